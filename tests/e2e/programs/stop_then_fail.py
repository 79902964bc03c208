"""Stops its SparkContext in good order, and fails afterwards."""
from pyspark import SparkContext

SparkContext().stop()
raise RuntimeError("failed after the context was stopped")
