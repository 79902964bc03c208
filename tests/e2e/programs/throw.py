"""Fails with an exception that nobody catches."""
from pyspark import SparkContext

sc = SparkContext()


def third_floor():
    raise ValueError("the cake is a lie")


third_floor()
