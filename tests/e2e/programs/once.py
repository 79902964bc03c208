"""Makes a file that must not exist yet, with a job in between: once.py FILE"""
import os
import sys

from pyspark import SparkContext

try:
    os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
except FileExistsError:
    open(sys.argv[1] + ".twice", "a").close()
    raise
sc = SparkContext()
print(sc.parallelize([1, 2, 3], 1).sum())
sc.stop()
