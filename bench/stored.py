"""A server with 10,000 finished batches: its memory, and the time of any page of the list."""

import time

import common
from harness import fake, resident_bytes, until

BATCHES = 10_000
RUN = 200  # so many ran to their end, the others were killed while they waited, which takes no process


def fill(server):
    for i in range(RUN):
        server.submit(dict(fake("print", "a line of output"), name=f"ran {i}"))
    until(lambda: server.status()["admission"]["waiting"] + server.status()["admission"]["running"] == 0, 120, "the first to end")
    blocker = server.submit(fake("sleep", 3600))["id"]
    server.wait_state(blocker, "running")
    for i in range(BATCHES - RUN):
        made = server.submit(dict(fake("exit", 0), name=f"waited {i}", conf={"spark.e2e.key": "a value of some length"}))
        assert server.post(f"/hearth/batches/{made['id']}/kill").status_code == 200
    server.delete(f"/batches/{blocker}")


def page_times(server, path, times=20):
    for _ in range(times):
        start = time.perf_counter()
        answer = server.get(path)
        assert answer.status_code == 200, answer.text
        yield (time.perf_counter() - start) * 1000


def measure():
    with common.server({"admission.running": "4", "admission.queue": "5000", "retain.count": str(2 * BATCHES)}) as server:
        fill(server)
        assert server.get("/batches?size=0").json()["total"] == BATCHES
        yield common.below("resident memory, 10,000 finished batches", resident_bytes(server.pid) / 1e6, "MB", 40)
        server.stop()
        start = time.perf_counter()
        server.start()
        yield common.Figure("start with 10,000 finished batches", (time.perf_counter() - start) * 1000, "ms")
        assert server.get("/batches?size=0").json()["total"] == BATCHES
        slowest = 0
        for first in (0, 2500, BATCHES // 2, BATCHES - 100):
            times = list(page_times(server, f"/batches?from={first}&size=100"))
            slowest = max(slowest, common.median(times))
        yield common.below("slowest page of 100 of 10,000, median", slowest, "ms", 5)
        yield common.below("one batch of 10,000, median", common.median(list(page_times(server, "/batches/5000"))), "ms", 5)
        yield common.below("resident memory, the same after a restart and these reads", resident_bytes(server.pid) / 1e6, "MB", 40)


if __name__ == "__main__":
    common.main(measure)
