"""Ignores SIGTERM and the end of its SparkContext: stubborn.py"""
import os
import signal
import time

from pyspark import SparkContext

signal.signal(signal.SIGTERM, signal.SIG_IGN)
sc = SparkContext()
print("stubborn", os.getpid(), flush=True)
while True:
    time.sleep(1)
