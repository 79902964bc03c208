"""Ends with the exit code of its argument, after its SparkContext was stopped in good order."""
import sys

from pyspark import SparkContext

SparkContext().stop()
print("leaving with", sys.argv[1], flush=True)
sys.exit(int(sys.argv[1]))
