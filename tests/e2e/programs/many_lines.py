"""Prints numbered lines on standard output: many_lines.py N"""
import sys

from pyspark import SparkContext

sc = SparkContext()
for i in range(int(sys.argv[1])):
    print("row", i)
sc.stop()
