"""The smallest Spark program: one job, one line of output."""
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("the sum is", spark.sparkContext.parallelize(range(10), 2).sum())
spark.stop()
