"""Estimates pi by throwing darts: spark_pi.py [SLICES]"""
import random
import sys

from pyspark.sql import SparkSession

slices = int(sys.argv[1]) if len(sys.argv) > 1 else 2
darts = 100_000 * slices


def hits(seed):
    dice = random.Random(seed)
    return sum(dice.random() ** 2 + dice.random() ** 2 <= 1 for _ in range(darts // slices))


spark = SparkSession.builder.appName("Spark Pi").getOrCreate()
inside = spark.sparkContext.parallelize(range(slices), slices).map(hits).sum()
print(f"Pi is roughly {4.0 * inside / darts}")
spark.stop()
