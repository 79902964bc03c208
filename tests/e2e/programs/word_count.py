"""Counts the words of a file: word_count.py FILE"""
import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
words = spark.sparkContext.textFile("file://" + sys.argv[1]).flatMap(str.split)
for word, n in sorted(words.map(lambda w: (w, 1)).reduceByKey(lambda a, b: a + b).collect()):
    print(f"{word}={n}")
spark.stop()
