"""A job on executors, without Python in them; tells what it was started with: cluster_job.py [ARGUMENTS…]"""
import json
import os
import sys

from pyspark.sql import SparkSession

builder = SparkSession.builder
if "_SPARK_AUTH_SECRET" in os.environ:
    # A worker takes the secret out of a driver's command and hands it over here, where a SparkContext does not look.
    builder = builder.config("spark.authenticate.secret", os.environ["_SPARK_AUTH_SECRET"])
spark = builder.getOrCreate()
context = spark.sparkContext
print("ARGS " + json.dumps(sys.argv[1:]))
print("CONF " + json.dumps(dict(context.getConf().getAll())))
print("ENVIRONMENT " + json.dumps(sorted(os.environ)))
print("MEMORY", context._jvm.java.lang.Runtime.getRuntime().maxMemory())
print("SUM", spark.range(0, 10, 1, 2).selectExpr("sum(id)").first()[0])
print("APPLICATION", context.applicationId, flush=True)
spark.stop()
