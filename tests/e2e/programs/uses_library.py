"""Imports what pyFiles brought and reads what files brought: uses_library.py NAME"""
import sys

import delivered
from pyspark import SparkContext, SparkFiles

sc = SparkContext()
print("library says", delivered.WORD)
print("file says", open(SparkFiles.get(sys.argv[1])).read())
sc.stop()
