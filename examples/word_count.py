"""Counts the words of a text: word_count.py FILE [HOW_MANY]"""
import re
import sys

from pyspark.sql import SparkSession

path = sys.argv[1]
how_many = int(sys.argv[2]) if len(sys.argv) > 2 else 20

spark = SparkSession.builder.appName("word count").getOrCreate()
lines = spark.sparkContext.textFile(path)
counts = (
    lines.flatMap(lambda line: re.findall(r"[a-z']+", line.lower()))
    .map(lambda word: (word, 1))
    .reduceByKey(lambda a, b: a + b)
)
print(f"{lines.count()} lines, {counts.count()} different words; the most frequent:")
for word, count in counts.takeOrdered(how_many, key=lambda pair: (-pair[1], pair[0])):
    print(f"{count:7d}  {word}")
spark.stop()
