"""Notes each of its starts in a file and waits for another, without a SparkContext: counted.py STARTS GO [EXIT CODE]"""
import os
import sys
import time

with open(sys.argv[1], "a") as starts:
    starts.write(f"{os.getpid()}\n")
print("started", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
sys.exit(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
