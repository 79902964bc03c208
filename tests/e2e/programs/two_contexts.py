"""Two SparkContexts, one after the other."""
from pyspark import SparkContext

for name in ("first", "second"):
    sc = SparkContext(appName=name)
    print(name, sc.applicationId, sc.parallelize([1, 2], 1).count(), flush=True)
    sc.stop()
