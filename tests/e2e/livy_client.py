"""The usual calls of Livy's own Python client, and what they gave as one line of JSON. Runs in the notebooks' environment,
with the client's folder on the PYTHONPATH:

    livy_client.py < {"url": "http://…", "session": 7, "folder": "/…"}
"""

import json
import sys

from livy.client import HttpClient

TIMEOUT = 120


def count(context):
    return context.sc.parallelize([10, 20, 30], 2).count()


def context_names(context):
    return [context.spark_session.range(3).count(), context.sql_ctx.sql("select 7 as x").first().x]


def multiplied(name):
    """A job that multiplies by the number in a file that the driver was given."""
    def job(context):
        def by_file(rows):
            from pyspark import SparkFiles

            with open(SparkFiles.get(name)) as f:
                factor = int(f.read())
            return [row * factor for row in rows]

        return context.sc.parallelize([1, 2, 3], 1).mapPartitions(by_file).collect()

    return job


def module_word(context):
    import client_module

    return client_module.WORD


def failing(context):
    return "hello".no_such_attribute


def main():
    wish, told = json.load(sys.stdin), {}
    client = HttpClient(wish["url"], load_defaults=False, conf_dict={"spark.app.name": "by livy's client", "spark.driver.memory": "512m"})
    told["created"] = client._session_id
    told["count"] = client.submit(count).result(TIMEOUT)
    told["context"] = client.run(context_names).result(TIMEOUT)
    client.add_file(f"file:{wish['folder']}/client_added.txt").result(TIMEOUT)
    told["added"] = client.submit(multiplied("client_added.txt")).result(TIMEOUT)
    client.upload_file(f"{wish['folder']}/client_uploaded.txt").result(TIMEOUT)
    told["uploaded"] = client.submit(multiplied("client_uploaded.txt")).result(TIMEOUT)
    client.upload_pyfile(f"{wish['folder']}/client_module.py").result(TIMEOUT)
    told["module"] = client.submit(module_word).result(TIMEOUT)
    told["error"] = str(client.submit(failing).exception(TIMEOUT))
    told["name"] = client.submit(lambda context: context.sc.appName).result(TIMEOUT)
    client.stop(True)
    known = HttpClient(f"{wish['url']}/sessions/{wish['session']}", load_defaults=False)
    told["connected"] = known.submit(lambda context: context.sc.appName).result(TIMEOUT)
    known.stop(False)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
