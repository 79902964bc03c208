"""Prints, as one line of JSON, what a driver sees of Spark's configuration folder."""

import json

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
found = loader.getResource("marker.txt")
hadoop = spark.sparkContext._jsc.hadoopConfiguration()
print(json.dumps({"marker": None if found is None else found.toString(),
                  "default": spark.conf.get("spark.from.defaults", None),
                  "hadoop": hadoop.get("from.core.site"),
                  "rows": spark.range(5).count()}))
spark.stop()
