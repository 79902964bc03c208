"""How fast batches are accepted: the answer comes when the record is on the disk.

One driver runs for the whole time and the others wait, so that accepting is measured, not starting.
"""

import threading
import time

import requests

import common
from harness import fake

ALONE = 300
CONNECTIONS, TOGETHER = 32, 1000


def post_alone(server):
    """Milliseconds of each of many posts, one after the other."""
    for _ in range(ALONE):
        start = time.perf_counter()
        server.submit(fake("exit", 0))
        yield (time.perf_counter() - start) * 1000


def post_together(server):
    """Seconds for all posts, and how many were not accepted."""
    todo, failed = iter(range(TOGETHER)), []
    lock = threading.Lock()

    def work():
        with requests.Session() as session:
            session.trust_env = False
            while True:
                with lock:
                    if next(todo, None) is None:
                        return
                try:
                    answer = session.post(server.url + "/batches", json=fake("exit", 0), timeout=30)
                    if answer.status_code != 201:
                        failed.append(answer.text)
                except requests.RequestException as e:
                    failed.append(str(e))

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    start = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return time.perf_counter() - start, failed


def measure():
    with common.server({"admission.running": "1", "admission.queue": "5000"}) as server:
        server.wait_state(server.submit(fake("sleep", 600))["id"], "running")
        times = list(post_alone(server))
        yield common.below("POST /batches, median of one connection", common.median(times), "ms", 5)
        yield common.Figure("POST /batches, 99th percentile of one connection", common.percentile(times, 99), "ms")
        seconds, failed = post_together(server)
        yield common.Figure(f"{TOGETHER} posts by {CONNECTIONS} connections, not accepted", len(failed), "", "0", not failed)
        yield common.Figure(f"{TOGETHER} posts by {CONNECTIONS} connections", TOGETHER / seconds, "posts/s")
        total = server.get("/batches?size=0").json()["total"]
        assert total == 1 + ALONE + TOGETHER - len(failed), total


if __name__ == "__main__":
    common.main(measure)
