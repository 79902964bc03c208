"""Never creates a SparkContext: no_context.py [FILE to wait for]"""
import os
import sys
import time

print("no context here", flush=True)
while len(sys.argv) > 1 and not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
