"""How fast sessions start and answer; a cold start beside bin/spark-submit.

    interactive.py [SPARK_HOME]

Cold starts and runs of spark-submit alternate. What a script under spark-submit needs is taken from its own
clock: from the start of the command to the result of its first `spark.range(10).count()`.
"""

import os
import subprocess
import sys
import time

import common
from harness import until

PAIRS = 3
WARM_UP = 150  # statements after which the JVM has compiled what each of them needs
COUNT = "spark.range(10).count()"
SCRIPT = f"""from pyspark.sql import SparkSession
import time
spark = SparkSession.builder.getOrCreate()
assert {COUNT} == 10
print("DONE", time.time())
"""


def run(server, session, code, kind=None, pause=0.0005):
    """Seconds from the POST until a poll shows the result, and the output."""
    path = f"/sessions/{session}/statements"
    start = time.perf_counter()
    answer = server.http.post(server.url + path, json={"code": code, **({"kind": kind} if kind else {})})
    assert answer.status_code == 201, answer.text
    url = f"{server.url}{path}/{answer.json()['id']}"
    while (statement := server.http.get(url).json())["state"] not in ("available", "error", "cancelled"):
        time.sleep(pause)
    return time.perf_counter() - start, statement["output"]


def create(server, kind, **more):
    answer = server.http.post(f"{server.url}/sessions", json={"kind": kind, "conf": {"spark.ui.enabled": "false"}, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def wait_idle(server, session):
    deadline = time.monotonic() + 120
    while (state := server.http.get(f"{server.url}/sessions/{session}/state").json()["state"]) != "idle":
        assert state == "starting" and time.monotonic() < deadline, state
        time.sleep(0.005)


def delete(server, session):
    record = server.http.get(f"{server.url}/hearth/sessions/{session}").json()
    server.http.delete(f"{server.url}/sessions/{session}").raise_for_status()
    until(lambda: not os.path.exists(f"/proc/{record['pid']}"), 30, "the end of a driver")


def cold(server):
    start = time.perf_counter()
    session = create(server, "pyspark")
    wait_idle(server, session)
    idle = time.perf_counter() - start
    _, output = run(server, session, COUNT, pause=0.03)  # a notebook's patience: quicker polls take a processor
    first = time.perf_counter() - start
    assert output["data"]["text/plain"] == "10", output
    return idle, first, session


def by_spark_submit(server, script):
    env = server.child_environment()
    command = [f"{server.spark_home}/bin/spark-submit", "--master", "local[*]", "--conf", "spark.ui.enabled=false", script]
    start = time.time()
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=server.folder, check=True)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("DONE")).split()[1]) - start


def round_trips(server, session, version):
    wanted = {"pyspark": ("1 + 1", 5, 300), "sql": ("select 1 + 1", 69, 60), "spark": ("1 + 1", 86, 60)}
    for kind, (code, limit, times) in wanted.items():
        for _ in range(WARM_UP):
            run(server, session, code, kind)
        values = [run(server, session, code, kind)[0] * 1000 for _ in range(times)]
        yield common.below(f"Spark {version}: round trip of `{code}` in {kind}, median", common.median(values), "ms", limit)


def starts(server, version):
    script = server.folder / "count.py"
    script.write_text(SCRIPT)
    idles, firsts, theirs = [], [], []
    by_spark_submit(server, str(script))  # warms the disk cache for both
    _, _, session = cold(server)
    delete(server, session)
    for _ in range(PAIRS):
        idle, first, session = cold(server)
        delete(server, session)
        idles.append(idle)
        firsts.append(first)
        theirs.append(by_spark_submit(server, str(script)))
    yield common.Figure(f"Spark {version}: cold session idle", common.median(idles), "s")
    yield common.Figure(f"Spark {version}: first count, spark-submit", common.median(theirs), "s")
    yield common.below(f"Spark {version}: first count, cold session", common.median(firsts), "s", round(0.6 * common.median(theirs), 2))


def warm(home, version):
    with common.server({"spark.class_data_archive": "false", "sessions.warm": "pyspark=1"}, fake_java=False, home=home) as server:
        idles, firsts = [], []
        for _ in range(PAIRS):
            until(lambda: server.status()["sessions"]["warm"] == 1, 120, "a driver that stands ready")
            start = time.perf_counter()
            session = create(server, "pyspark")
            wait_idle(server, session)
            idles.append((time.perf_counter() - start) * 1000)
            firsts.append(run(server, session, COUNT, pause=0.01)[0])
            delete(server, session)
        yield common.below(f"Spark {version}: warm session idle after its POST", common.median(idles), "ms", 300)
        yield common.below(f"Spark {version}: first count in a warm session", common.median(firsts), "s", 1)


def measure(home=None):
    home = home or common.spark_home()
    with common.server({"spark.class_data_archive": "true"}, fake_java=False, home=home) as server:
        until(lambda: server.status()["spark"]["archive"] != "training", 180, "the archive of Spark's classes")
        version = server.status()["spark"]["version"]
        yield from starts(server, version)
        session = create(server, "pyspark")
        wait_idle(server, session)
        yield from round_trips(server, session, version)
    yield from warm(home, version)


if __name__ == "__main__":
    common.main(lambda: measure(sys.argv[1] if len(sys.argv) > 1 else None))
