"""A grouped query, which needs a shuffle."""
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
rows = spark.range(10).selectExpr("id % 2 AS odd").groupBy("odd").count().orderBy("odd").collect()
print("groups", [(row["odd"], row["count"]) for row in rows])
spark.stop()
