"""More sessions than the machine holds: they wait with a reason, and each gets its turn."""

import pytest

from harness import SANITIZED, resident_bytes, until
from sessions import create

pytestmark = pytest.mark.spark


def test_eight_sessions_on_a_budget_for_four_all_get_their_turn(queued, module_hearth):
    memory = create(queued, kind="pyspark").record()["memory"]  # that one of them is admitted with
    assert 512 << 20 < memory < 4 << 30
    server = module_hearth({"admission.memory": str(memory * 4 + memory // 2)})
    made = [create(server, kind="pyspark", name=f"session {i}") for i in range(8)]
    most = 0

    def watch():
        nonlocal most
        most = max(most, resident_bytes(server.pid))
        admission = server.status()["admission"]
        assert admission["running"] <= 4 and admission["memoryUsed"] <= admission["memory"], admission
        return admission

    for session in made[:4]:
        session.wait_state("idle", 120)
        watch()
    for place, session in enumerate(made[4:], 1):
        view = session.view()
        assert (view["state"], view["queuePosition"]) == ("starting", place)
        assert "memory" in view["appInfo"]["reason"].lower()
        assert any("memory" in line.lower() for line in session.log()), "the reason is a line of the log"
        assert session.record()["pid"] is None
    assert (watch()["running"], watch()["waiting"]) == (4, 4)
    for ends, next_one in zip(made[:4], made[4:]):
        assert ends.text("1 + 1") == "2"
        ends.delete()
        until(lambda: watch() and next_one.record()["pid"], 30, f"{next_one} to start")
    for session in made[4:]:
        session.wait_state("idle", 120)
        watch()
        assert session.text("1 + 1") == "2"
    assert made[-1].text("spark.range(3).count()") == "3"
    started = [session.record()["startedAt"] for session in made]
    assert all(a < b for a in started[:4] for b in started[4:]) and started[4:] == sorted(started[4:])
    assert SANITIZED or most < 25 << 20, most
