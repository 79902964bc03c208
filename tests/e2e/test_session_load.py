"""Ten thousand statements through one session."""

import statistics
import time

import pytest

from harness import SANITIZED, resident_bytes, until
from sessions import open_session

pytestmark = pytest.mark.spark

COUNT = 10000


def median_ms(action, times=50):
    taken = []
    for i in range(times):
        start = time.perf_counter()
        action(i)
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


@pytest.mark.timeout(600)
def test_memory_stays_flat_and_pages_stay_quick(module_hearth):
    server = module_hearth()
    session = open_session(server, kind="pyspark")
    session.text("spark.range(3).count()")
    sizes = {}
    for i in range(1, COUNT):
        session.submit(f"{i} * 2")
        if i % 1000 == 0:
            # A backlog is work that waits, not growth.
            until(lambda: session.state() == "idle", 60, "the backlog to be done")
            sizes[i] = resident_bytes(server.pid)
    session.wait_state("idle")
    assert session.statement(COUNT - 1)["output"]["data"] == {"text/plain": str((COUNT - 1) * 2)}
    assert SANITIZED or sizes[9000] < sizes[1000] + (2 << 20), sizes
    assert SANITIZED or max(sizes.values()) < 25 << 20, sizes

    def page(i):
        start = i * (COUNT // 50)
        answer = session.answer(f"/statements?from={start}&size=100")
        assert answer["total_statements"] == COUNT
        assert [s["id"] for s in answer["statements"]] == list(range(start, start + 100))

    def last_page(_):
        assert [s["id"] for s in session.answer("/statements?size=10&order=desc")["statements"]] == list(range(COUNT - 1, COUNT - 11, -1))

    def single(i):
        number = 1 + i * (COUNT // 50)
        assert session.statement(number)["output"]["data"] == {"text/plain": str(number * 2)}

    for action in (page, last_page, single):
        assert median_ms(action) < 5, (action.__name__, median_ms(action))
    assert SANITIZED or resident_bytes(server.pid) < sizes[9000] + (4 << 20)
    session.delete()
