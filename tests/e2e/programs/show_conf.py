"""Prints the SparkContext's configuration and who it runs as, as one line of JSON."""
import json

from pyspark import SparkContext

sc = SparkContext()
conf = dict(sc.getConf().getAll())
conf["(user)"] = sc.sparkUser()
conf["(application id)"] = sc.applicationId
conf["(max memory)"] = sc._jvm.java.lang.Runtime.getRuntime().maxMemory()
print("CONF " + json.dumps(conf))
sc.stop()
