"""How long a small Spark program takes through hearth and through bin/spark-submit, side by side.

    start.py [SPARK_HOME]

Pairs alternate. Both sides run the same jar with the same settings, which is checked: the same
result, the same SparkConf and the same JVM options, but for what names one run (ids, ports, times)
and for the archive of Spark's classes.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from harness import until

PAIRS = 7
OF_ONE_RUN = re.compile(r"^spark\.(app\.(id|startTime|submitTime|initial\.jar\.urls)|driver\.port|driver\.host|repl\.local\.jars)=")
OF_THE_ARCHIVE = re.compile(r"^-(XX:SharedArchiveFile=|Xshare:|Xlog:(cds|class|disable))")
HERE = Path(__file__).resolve().parent


def compile_program(home, folder):
    """The jar of SparkPi.java for this Spark."""
    classes = folder / "classes"
    subprocess.run(["javac", "-nowarn", "-cp", f"{home}/jars/*", "-d", str(classes), str(HERE / "SparkPi.java")], check=True)
    subprocess.run(["jar", "cf", str(folder / "pi.jar"), "-C", str(classes), "."], check=True)
    return str(folder / "pi.jar")


def said(lines, word):
    return [line[len(word) + 1:] for line in lines if line.startswith(word + " ")]


def without_archive(text):
    """Java options of a conf value, less those that speak of the archive."""
    return " ".join(word for word in text.split(" ") if not OF_THE_ARCHIVE.match(word))


def settings(lines):
    conf = sorted(without_archive(line) for line in said(lines, "CONF") if not OF_ONE_RUN.match(line))
    return conf + [word for word in said(lines, "JVM") if not OF_THE_ARCHIVE.match(word)]


def by_hearth(server, jar):
    """Seconds to a SparkContext, seconds to the end, lines printed."""
    wall, start = time.time(), time.perf_counter()
    batch = server.submit({"file": jar, "className": "SparkPi", "master": "local[1]", "conf": {"spark.app.name": "pi"}, "driverMemory": "1g"})["id"]
    # One request that is held until the end, as `hearth submit` follows: polling would take processor time.
    while not (answer := server.get(f"/hearth/batches/{batch}/log?from=1000000&size=1&wait=60000").json())["ended"]:
        pass
    end = time.perf_counter() - start
    state = answer["state"]
    lines = server.log(batch)
    assert state == "success", "\n".join(lines)
    return int(said(lines, "READY")[0]) / 1000 - wall, end, lines


def by_spark_submit(server, jar):
    env = {k: v for k, v in server.child_environment().items()}
    command = [f"{server.spark_home}/bin/spark-submit", "--master", "local[1]", "--conf", "spark.app.name=pi", "--class", "SparkPi", "--driver-memory", "1g", jar]
    wall, start = time.time(), time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=server.folder, check=True)
    end = time.perf_counter() - start
    lines = done.stdout.splitlines()
    return int(said(lines, "READY")[0]) / 1000 - wall, end, lines


def measure(home=None):
    home = home or common.spark_home()
    with common.server({"spark.class_data_archive": "true"}, fake_java=False, home=home) as server:
        until(lambda: server.status()["spark"]["archive"] != "training", 180, "the archive of Spark's classes")
        archive = server.status()["spark"]["archive"]
        version = server.status()["spark"]["version"]
        yield common.Figure(f"Spark {version}: archive of classes", archive, "", "ready", archive == "ready")
        jar = compile_program(home, server.folder)
        ways = {"hearth": by_hearth, "spark-submit": by_spark_submit}
        runs = {name: [] for name in ways}
        for way in ways.values():
            way(server, jar)  # warms the disk cache for both
        for _ in range(PAIRS):
            for name, way in ways.items():
                runs[name].append(way(server, jar))
        for i, what in ((0, "to a SparkContext"), (1, "to the end")):
            ours, theirs = (common.median([run[i] for run in runs[name]]) for name in ("hearth", "spark-submit"))
            yield common.Figure(f"Spark {version}: SparkPi {what}, spark-submit", theirs, "s")
            yield common.below(f"Spark {version}: SparkPi {what}, hearth", ours, "s", round(0.6 * theirs, 2))
        results = {tuple(said(run[2], "RESULT")) for name in ways for run in runs[name]}
        yield common.Figure(f"Spark {version}: different results", len(results), "", "1", len(results) == 1)
        ours, theirs = settings(runs["hearth"][0][2]), settings(runs["spark-submit"][0][2])
        different = sorted(set(ours) ^ set(theirs))
        if ours != theirs:
            print("settings only of hearth:", sorted(set(ours) - set(theirs)), "\nsettings only of spark-submit:",
                  sorted(set(theirs) - set(ours)), file=sys.stderr)
        yield common.Figure(f"Spark {version}: settings that differ", len(different), "", "0", ours == theirs)


if __name__ == "__main__":
    common.main(lambda: measure(sys.argv[1] if len(sys.argv) > 1 else None))
