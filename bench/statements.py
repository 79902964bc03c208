"""10,000 statements through one session: the server's memory, and how fast any page of them is.

The JVM is a stand-in that never answers; the statements are Python that needs none.
"""

import random
import time

import common
from harness import resident_bytes
from interactive import create, wait_idle

STATEMENTS = 10_000
PAGES = 200


def measure():
    with common.server() as server:
        session = create(server, "pyspark")
        wait_idle(server, session)
        path = f"{server.url}/sessions/{session}/statements"
        memory = []
        start = time.perf_counter()
        for i in range(STATEMENTS):
            answer = server.http.post(path, json={"code": f"print('line {i} ' * 20)"})
            assert answer.status_code == 201, answer.text
            if i in (STATEMENTS // 10, STATEMENTS - 1):
                while server.http.get(f"{path}/{i}").json()["state"] != "available":
                    time.sleep(0.01)
                memory.append(resident_bytes(server.pid) / 1e6)
        seconds = time.perf_counter() - start
        pages = []
        for _ in range(PAGES):
            place = random.randrange(STATEMENTS - 100)
            begin = time.perf_counter()
            page = server.http.get(f"{path}?from={place}&size=100").json()
            pages.append((time.perf_counter() - begin) * 1000)
            assert [s["id"] for s in page["statements"]] == list(range(place, place + 100)) and page["total_statements"] == STATEMENTS
        yield common.Figure("statements accepted and run, one client", STATEMENTS / seconds, "/s")
        yield common.Figure("memory of the server after 1,000 statements", memory[0], "MB")
        yield common.below("memory of the server after 10,000 statements", memory[1], "MB", 25)
        yield common.below("growth between the two", memory[1] - memory[0], "MB", 2)
        yield common.below("a page of 100 statements, anywhere, median", common.median(pages), "ms", 5)
        yield common.Figure("a page of 100 statements, anywhere, slowest of 200", max(pages), "ms")


if __name__ == "__main__":
    common.main(measure)
