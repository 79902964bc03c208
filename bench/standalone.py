"""Standalone clusters: how fast a master tells its state and gets a driver; beside spark-submit.

    standalone.py [SPARK_HOME]

The drivers are larger than the cluster's worker, so that they wait on the master: submitting is measured, not
starting. Submissions of hearth and of spark-submit (RPC, as its `--deploy-mode cluster` is without the REST
server) alternate.
"""

import subprocess
import sys
import threading
import time

import common
import requests
from cluster import Cluster
from harness import BINARY

ASKS, POSTS, PAIRS = 500, 30, 3
TOO_BIG = {"spark.driver.cores": "64"}
WAITS = "org.apache.spark.deploy.PythonRunner"


def asks(cluster):
    """Of one request after the other on an open connection; the first ones warm up the master's JVM."""
    master = cluster.masters[0]
    command = [str(BINARY.parent / "bench" / "ask_master"), "127.0.0.1", str(master.port), str(2 * ASKS)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [int(us) / 1000 for us in said[ASKS:]]


class Arrival(threading.Thread):
    """Notes when the master has one driver more."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.page, self.at = cluster.page + "/json/", None
        self.http = requests.Session()
        self.http.trust_env = False
        self.known = self.drivers()
        self.start()

    def drivers(self):
        return {d["id"] for d in self.http.get(self.page, timeout=20).json()["activedrivers"]}

    def run(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.drivers() - self.known:
                self.at = time.perf_counter()
                return
            time.sleep(0.001)

    def milliseconds_since(self, start):
        self.join()
        assert self.at, "no driver came to the master"
        return (self.at - start) * 1000


def by_hearth(server, cluster):
    """Milliseconds to the answer and until the master has the driver."""
    arrival = Arrival(cluster)
    body = {"file": jar(cluster), "className": WAITS, "master": cluster.url, "deployMode": "cluster", "conf": TOO_BIG}
    start = time.perf_counter()
    batch = server.submit(body)["id"]
    answered = (time.perf_counter() - start) * 1000
    arrived = arrival.milliseconds_since(start)
    server.delete(f"/batches/{batch}").raise_for_status()
    return answered, arrived


def by_spark_submit(server, cluster):
    """Milliseconds until the master has the driver and to the end of the command."""
    arrival = Arrival(cluster)
    command = [f"{cluster.spark_home}/bin/spark-submit", "--master", cluster.url, "--deploy-mode", "cluster", "--class", WAITS,
               "--conf", "spark.driver.cores=64", "--conf", "spark.master.rest.enabled=false", jar(cluster)]
    environment = {k: v for k, v in server.child_environment().items() if k != "JAVA_HOME"}  # the server's is no JVM
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=server.folder, check=False)
    assert done.returncode == 0, done.stderr
    ended = (time.perf_counter() - start) * 1000
    return arrival.milliseconds_since(start), ended


def jar(cluster):
    """A jar for the request; a driver that waits does not read it."""
    return str(next((cluster.spark_home / "jars").glob("spark-core_*.jar")))


def measure(home=None):
    home = home or common.spark_home()
    with common.server(home=home) as server:
        version = server.status()["spark"]["version"]
        cluster = Cluster(server.folder / "cluster", home)
        try:
            cluster.start()
            times = asks(cluster)
            yield common.below(f"Spark {version}: a master's state on an open connection, median", common.median(times), "ms", 3)
            yield common.Figure(f"Spark {version}: a master's state on an open connection, 99th percentile", common.percentile(times, 99), "ms")
            by_hearth(server, cluster)
            ours = [by_hearth(server, cluster) for _ in range(POSTS)]
            theirs = []
            for _ in range(PAIRS):
                theirs.append(by_spark_submit(server, cluster))
                ours.append(by_hearth(server, cluster))
            yield common.below(f"Spark {version}: a driver's submission is answered (POST /batches), median", common.median([o[0] for o in ours]), "ms", 20)
            yield common.Figure(f"Spark {version}: the master has the driver, median", common.median([o[1] for o in ours]), "ms")
            yield common.Figure(f"Spark {version}: the master has spark-submit's driver, median", common.median([t[0] for t in theirs]), "ms")
            yield common.Figure(f"Spark {version}: spark-submit --deploy-mode cluster ends, median", common.median([t[1] for t in theirs]), "ms")
        finally:
            cluster.kill()


if __name__ == "__main__":
    common.main(lambda: measure(sys.argv[1] if len(sys.argv) > 1 else None))
