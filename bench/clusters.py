"""What watching standalone clusters costs: one real master, watched every second under 100 names; and one look by command."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import common

from cluster import Cluster
from harness import BINARY, until

CLUSTERS = 100
SECONDS = 30
RUNS = 40


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(server):
    """Share of a core, in percent."""
    before, began = processor_seconds(server.pid), time.monotonic()
    time.sleep(SECONDS)
    return (processor_seconds(server.pid) - before) / (time.monotonic() - began) * 100


def run_ms(*command):
    began = time.perf_counter()
    subprocess.run([BINARY, *command], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def measure(home=None):
    home = home or common.spark_home()
    version = next(Path(home).glob("jars/spark-core_*.jar")).stem.rpartition("-")[2]
    with tempfile.TemporaryDirectory(prefix="hearth-bench-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(folder, home)
        try:
            cluster.start()
            for _ in range(RUNS):  # the master's JVM becomes warm
                run_ms("cluster", cluster.url)
            times = [run_ms("cluster", cluster.url) for _ in range(RUNS)]
            alone = [run_ms("help") for _ in range(RUNS)]
            yield common.below(f"Spark {version}: hearth cluster on a live master, whole process, median", common.median(times), "ms", 20)
            yield common.Figure(f"Spark {version}: of that, starting the program, median", common.median(alone), "ms")
            watch = " ".join(f"c{i}={cluster.url}" for i in range(CLUSTERS))
            with common.server({"clusters.watch": watch, "clusters.period": "1s"}) as server:
                until(lambda: all(c["reachable"] for c in server.get("/hearth/clusters").json()["clusters"]), 60, "all clusters")
                yield common.below(f"Spark {version}: {CLUSTERS} clusters watched every second, of a core", cost(server), "%", 3)
        finally:
            cluster.kill()


if __name__ == "__main__":
    common.main(measure)
