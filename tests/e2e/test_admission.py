"""Applications beyond the machine's budget wait, in order, with a reason."""

import pytest

from harness import fake, until

# A driver without a memory setting takes 1 GiB of heap and what a JVM needs beside it: less than
# 1.9 GiB, more than 1 GiB. So one fits into BUDGET, two do not.
BUDGET = "1900m"


@pytest.fixture
def small(make_hearth):
    """Room for one driver; two may wait."""
    return make_hearth({"admission.memory": BUDGET, "admission.queue": "3"}, fake_java=True).start()


def waiting(server, batch):
    return server.batch(batch["id"])["state"] == "starting"


def test_a_driver_without_room_waits_with_a_reason_and_its_place(small, tmp_path):
    first = small.submit(fake("wait", tmp_path / "go"))
    small.wait_state(first["id"], "running")
    second, third = small.submit(fake("exit", 0)), small.submit(fake("exit", 0))
    assert (second["state"], second["queuePosition"]) == ("starting", 1)
    assert third["queuePosition"] == 2
    shown = small.batch(third["id"])
    assert "memory" in shown["reason"].lower() and shown["appInfo"]["reason"] == shown["reason"]
    assert any("memory" in line.lower() for line in small.log(third["id"])), "the reason is a line of the log"
    status = small.status()["admission"]
    assert (status["running"], status["waiting"]) == (1, 2)
    assert 0 < status["memoryUsed"] <= status["memory"] == 1900 << 20
    assert small.record(second["id"])["pid"] is None
    (tmp_path / "go").touch()
    assert small.wait_end_of(third["id"])["state"] == "success"
    assert small.wait_end_of(second["id"])["queuePosition"] is None
    until(lambda: small.status()["admission"]["memoryUsed"] == 0, 5, "the memory to be given back")


def test_the_answer_to_a_post_is_the_same_whether_it_waits_or_not(small, tmp_path):
    small.submit(fake("wait", tmp_path / "go"))
    made = small.submit(fake("exit", 0))
    assert made["log"] == ["stdout: ", "\nstderr: "] and made["state"] == "starting"


def test_waiting_applications_start_in_the_order_of_their_acceptance(small, tmp_path):
    small.submit(fake("wait", tmp_path / "go"))
    rest = [small.submit(fake("exit", 0))["id"] for _ in range(3)]
    (tmp_path / "go").touch()
    for batch in rest:
        small.wait_end_of(batch)
    started = [small.record(batch)["startedAt"] for batch in rest]
    ended = [small.record(batch)["endedAt"] for batch in rest]
    assert started == sorted(started)
    assert all(end <= start for end, start in zip(ended, started[1:])), "never two at a time"


def test_a_small_one_does_not_overtake_the_first_in_the_queue(make_hearth, tmp_path):
    server = make_hearth({"admission.memory": "4g"}, fake_java=True).start()
    first = server.submit(dict(fake("wait", tmp_path / "go"), driverMemory="2g"))
    server.wait_state(first["id"], "running")
    big = server.submit(dict(fake("exit", 0), driverMemory="3g"))
    little = server.submit(dict(fake("exit", 0), driverMemory="512m"))
    assert (big["queuePosition"], little["queuePosition"]) == (1, 2)
    (tmp_path / "go").touch()
    server.wait_end_of(little["id"])
    assert server.record(big["id"])["startedAt"] <= server.record(little["id"])["startedAt"]


def test_a_demand_that_can_never_be_met_is_refused_by_name(small):
    for body in (dict(fake("exit", 0), driverMemory="100g"), dict(fake("exit", 0), conf={"spark.driver.memory": "100g"})):
        answer = small.post("/batches", json=body)
        assert answer.status_code == 400, answer.text
        assert list(answer.json()) == ["msg"]
        words = answer.json()["msg"].lower()
        assert "memory" in words and ("100" in words or "gib" in words or "1900" in words), words
    assert small.get("/batches").json()["total"] == 0


def test_a_full_queue_is_503_with_retry_after_and_leaves_no_trace(small, tmp_path):
    first = small.submit(fake("wait", tmp_path / "go"))
    small.wait_state(first["id"], "running")
    for _ in range(3):
        small.submit(fake("exit", 0))
    answer = small.post("/batches", json=fake("exit", 0))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert list(answer.json()) == ["msg"]
    assert small.get("/batches").json()["total"] == 4
    (tmp_path / "go").touch()
    small.wait_end_of(first["id"])
    until(lambda: small.post("/batches", json=fake("exit", 0)).status_code == 201, 10, "room in the queue")


def test_a_limit_of_running_applications_is_kept(make_hearth, tmp_path):
    server = make_hearth({"admission.running": "2"}, fake_java=True).start()
    made = [server.submit(fake("wait", tmp_path / "go"))["id"] for _ in range(4)]
    for batch in made[:2]:
        server.wait_state(batch, "running")
    assert [server.batch(batch)["queuePosition"] for batch in made] == [None, None, 1, 2]
    assert server.status()["admission"]["runningLimit"] == 2
    (tmp_path / "go").touch()
    for batch in made:
        assert server.wait_end_of(batch)["state"] == "success"


def test_deleting_one_that_waits_moves_the_others_up_and_never_starts_it(small, tmp_path):
    first = small.submit(fake("wait", tmp_path / "go"))
    small.wait_state(first["id"], "running")
    gone = small.submit(fake("once", tmp_path / "never"))
    stays = small.submit(fake("exit", 0))
    assert small.delete(f"/batches/{gone['id']}").json() == {"msg": "deleted"}
    assert small.batch(stays["id"])["queuePosition"] == 1
    (tmp_path / "go").touch()
    small.wait_end_of(stays["id"])
    assert not (tmp_path / "never").exists()


def test_killing_one_that_waits_keeps_its_entry_as_killed(small, tmp_path):
    first = small.submit(fake("wait", tmp_path / "go"))
    small.wait_state(first["id"], "running")
    made = small.submit(fake("once", tmp_path / "never"))
    assert small.post(f"/hearth/batches/{made['id']}/kill").status_code == 200
    assert small.wait_state(made["id"], "killed", 5)["startedAt"] is None
    (tmp_path / "go").touch()
    small.wait_end_of(first["id"])
    assert not (tmp_path / "never").exists()


def test_killing_the_running_one_makes_room(small):
    first = small.submit(fake("sleep", 100))
    small.wait_state(first["id"], "running")
    second = small.submit(fake("exit", 0))
    assert waiting(small, second)
    small.delete(f"/batches/{first['id']}")
    assert small.wait_end_of(second["id"], 15)["state"] == "success"
