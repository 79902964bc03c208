"""Resident memory of the server idle and with 50 running batches, and what each guard takes."""

import common
from harness import fake, resident_bytes, until


def proportional_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))


def measure():
    with common.server({"admission.memory": "1t"}) as server:
        yield common.below("resident memory of an idle server", resident_bytes(server.pid) / 1e6, "MB", 20)
        for _ in range(50):
            server.submit(fake("sleep", 600))
        until(lambda: server.status()["admission"]["running"] == 50, 60, "fifty running batches")
        for batch in range(50):
            server.wait_state(batch, "running")
        assert len(server.get("/batches").json()["sessions"]) == 50
        yield common.below("resident memory with 50 running batches", resident_bytes(server.pid) / 1e6, "MB", 20)
        guards = [proportional_bytes(pid) / 1e6 for pid in server.guards()]
        assert len(guards) == 50, len(guards)
        yield common.Figure("memory of one guard (proportional share), median", common.median(guards), "MB")


if __name__ == "__main__":
    common.main(measure)
