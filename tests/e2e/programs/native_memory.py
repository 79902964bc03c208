"""Takes memory outside of the JVM's heap until something stops it: native_memory.py MIB"""
import sys

from pyspark import SparkContext

sc = SparkContext()
print("taking", sys.argv[1], "MiB", flush=True)
hoard = [bytearray(b"x" * (16 << 20)) for _ in range(int(sys.argv[1]) // 16)]
print("there was room for", len(hoard))
sc.stop()
