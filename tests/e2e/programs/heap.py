"""Asks the driver's JVM for more heap than it may have."""
from pyspark import SparkContext

sc = SparkContext()
hoard = [sc._gateway.new_array(sc._jvm.long, 16 << 20) for _ in range(64)]
print("there was room for", len(hoard))
