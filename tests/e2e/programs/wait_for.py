"""Runs until a file exists, with a SparkContext: wait_for.py FILE [LINES-BEFORE] [LINES-AFTER]"""
import os
import sys
import time

from pyspark import SparkContext

sc = SparkContext()
before, after = (int(a) for a in (sys.argv[2:4] + ["0", "0"])[:2])
for i in range(before):
    print(f"before {i}")
print("waiting as", os.getpid(), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
for i in range(after):
    print(f"after {i}")
print("done", flush=True)
sc.stop()
