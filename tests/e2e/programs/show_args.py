"""Prints its arguments as one line of JSON, without Spark."""
import json
import sys

print("ARGS " + json.dumps(sys.argv[1:]))
