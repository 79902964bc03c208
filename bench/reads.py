"""How fast lists and single batches are read: wrk with 16 connections, 100 batches known, 4 running.

The running ones print a line a second each, so what is read changes all the time.
"""

import re
import subprocess

import common
from harness import fake

SECONDS = 8


def wrk(url):
    """Requests per second, 99th percentile in ms, answers that were no success."""
    out = subprocess.run(["wrk", "-t1", "-c16", f"-d{SECONDS}s", "--latency", url], check=True, capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    lost = re.search(r"Socket errors: (.*)", out)
    assert not lost, lost.group(0)
    return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], int(bad.group(1)) if bad else 0


def measure():
    with common.server({"admission.running": "4"}) as server:
        last = [server.submit(dict(fake("exit", 0), name=f"finished {i}")) for i in range(96)][-1]
        server.wait_end_of(last["id"])
        for i in range(4):
            server.wait_state(server.submit(dict(fake("talk", 1), name=f"running {i}"))["id"], "running")
        server.wait_log(99, "line 1")
        assert len(server.get("/batches").json()["sessions"]) == 100
        for path, rate_wanted in (("/batches", 40000), ("/batches/99", 40000)):
            rate, p99, bad = wrk(server.url + path)
            yield common.at_least(f"GET {path}, 16 connections", rate, "requests/s", rate_wanted)
            yield common.below(f"GET {path}, 99th percentile", p99, "ms", 5)
            yield common.Figure(f"GET {path}, answers that failed", bad, "", "0", bad == 0)


if __name__ == "__main__":
    common.main(measure)
