"""The server may be killed at any moment: nothing accepted is lost, nothing runs twice."""

import os
import random
import signal
import threading
import time

import pytest
import requests

from harness import FINAL, alive, fake, process_state, program, until


def one_guard(server):
    return until(lambda: list(server.guards()), 10, "a guard")[0]


def test_a_clean_stop_leaves_drivers_running_and_the_next_server_follows_them(plain, tmp_path):
    made = plain.submit(fake("wait", tmp_path / "go"))
    pid = plain.driver_pid(made["id"])
    plain.stop()
    assert alive(pid)
    plain.start()
    batch = plain.batch(made["id"])
    assert batch["state"] == "running" and plain.record(made["id"])["pid"] == pid
    (tmp_path / "go").touch()
    assert plain.wait_end_of(made["id"])["state"] == "success"


def test_a_running_driver_is_followed_to_its_end_after_kill_9(plain, tmp_path):
    made = plain.submit(fake("wait", tmp_path / "go"))
    pid = plain.driver_pid(made["id"])
    plain.restart()
    assert plain.batch(made["id"])["state"] == "running"
    assert plain.record(made["id"])["pid"] == pid and alive(pid)
    (tmp_path / "go").touch()
    assert plain.wait_end_of(made["id"])["state"] == "success"


@pytest.mark.parametrize("code, state", [(0, "success"), (7, "dead")])
def test_an_end_while_no_server_runs_is_learnt_afterwards(plain, tmp_path, code, state):
    # The shell of the fake java cannot wait and then exit with a code: `once` in a folder that
    # does not exist fails with 9, which is enough of a code.
    action = fake("sleep", 0.5) if code == 0 else fake("once", tmp_path / "none" / "x")
    made = plain.submit(action)
    plain.kill9()
    until(lambda: not plain.processes(), 15, lambda: f"the driver's end: {plain.processes()}")
    plain.start()
    ended = plain.wait_end_of(made["id"], 10)
    assert ended["state"] == state
    assert ended["diagnosis"]["exitCode"] == (0 if code == 0 else 9)


def test_a_log_is_complete_although_no_server_was_there(plain):
    made = plain.submit(fake("lines", 2000))
    plain.kill9()
    until(lambda: not plain.processes(), 30, lambda: f"the driver's end: {plain.processes()}")
    plain.start()
    plain.wait_end_of(made["id"])
    assert plain.log(made["id"])[1:-1] == [f"line {i}" for i in range(2000)]


def test_waiting_ones_wait_in_the_same_order_after_kill_9(make_hearth, tmp_path):
    server = make_hearth({"admission.running": "1"}, fake_java=True).start()
    made = [server.submit(fake("wait", tmp_path / "go"))["id"] for _ in range(4)]
    server.wait_state(made[0], "running")
    server.restart()
    assert [server.batch(b)["queuePosition"] for b in made] == [None, 1, 2, 3]
    (tmp_path / "go").touch()
    for batch in made:
        assert server.wait_end_of(batch)["state"] == "success"
    started = [server.record(batch)["startedAt"] for batch in made]
    assert started == sorted(started)


def test_finished_ones_are_the_same_after_kill_9(plain):
    made = [plain.submit(dict(fake("exit", code), name=f"batch {code}"))["id"] for code in (0, 1, 2)]
    before = [plain.wait_end_of(batch) for batch in made]
    logs = [plain.log(batch) for batch in made]
    plain.restart()
    assert [plain.batch(batch) for batch in made] == before
    assert [plain.log(batch) for batch in made] == logs


def test_ids_are_never_reused_even_when_everything_was_deleted(plain):
    last = max(plain.submit(fake("exit", 0))["id"] for _ in range(3))
    for batch in range(last + 1):
        plain.delete(f"/batches/{batch}")
    plain.restart()
    assert plain.get("/batches").json()["total"] == 0
    assert plain.submit(fake("exit", 0))["id"] > last


def test_names_are_still_taken_after_kill_9(plain):
    plain.submit(dict(fake("exit", 0), name="mine"))
    plain.restart()
    assert plain.post("/batches", json=dict(fake("exit", 0), name="mine")).status_code == 400


def test_a_kill_that_was_asked_for_is_carried_out_by_the_next_server(plain, tmp_path):
    made = plain.submit(fake("burn", tmp_path / "pid"))
    until((tmp_path / "pid").exists, 10, "the driver")
    plain.post(f"/hearth/batches/{made['id']}/kill")
    plain.restart()
    plain.wait_state(made["id"], "killed", 20)
    until(lambda: not plain.processes(), 10, lambda: f"all to be gone: {plain.processes()}")


def test_a_killed_guard_leaves_its_driver_followed_and_its_end_reported_as_lost(plain, tmp_path):
    made = plain.submit(fake("wait", tmp_path / "go"))
    pid = plain.driver_pid(made["id"])
    os.kill(one_guard(plain), signal.SIGKILL)
    until(lambda: not plain.guards(), 5, "the guard's end")
    time.sleep(0.3)  # nothing can be waited for: that nothing happens is the promise
    assert alive(pid) and plain.batch(made["id"])["state"] == "running"
    (tmp_path / "go").touch()
    ended = plain.wait_end_of(made["id"], 20)
    assert ended["state"] == "dead"
    assert ended["diagnosis"]["exitCode"] is None
    assert "guard" in ended["reason"] or "lost" in ended["reason"], ended["reason"]


def test_a_driver_without_guard_can_still_be_killed(plain):
    made = plain.submit(fake("sleep", 100))
    pid = plain.driver_pid(made["id"])
    os.kill(one_guard(plain), signal.SIGKILL)
    until(lambda: not plain.guards(), 5, "the guard's end")
    assert plain.delete(f"/batches/{made['id']}").status_code == 200
    until(lambda: not alive(pid), 5, "the driver's end")


def test_guard_and_server_killed_the_driver_is_found_again_by_its_pid(plain, tmp_path):
    made = plain.submit(fake("wait", tmp_path / "go"))
    pid = plain.driver_pid(made["id"])
    plain.kill9()
    for guard in plain.guards():
        os.kill(guard, signal.SIGKILL)
    plain.start()
    assert plain.wait_state(made["id"], "running", 10)
    assert plain.record(made["id"])["pid"] == pid and process_state(pid) is not None
    (tmp_path / "go").touch()
    ended = plain.wait_end_of(made["id"], 20)
    assert ended["state"] == "dead" and ended["reason"]


def test_guard_server_and_driver_killed_is_an_end_reported_as_lost(plain):
    made = plain.submit(fake("sleep", 100))
    plain.driver_pid(made["id"])
    plain.kill9()
    for pid in plain.processes():
        os.kill(pid, signal.SIGKILL)
    plain.start()
    ended = plain.wait_end_of(made["id"], 20)
    assert ended["state"] == "dead" and ended["reason"]


def post_until_told_to_stop(url, folder, accepted, stop, number):
    """Submits batches one after the other, each with a file of its own; notes the ids it was told."""
    n = 0
    while not stop.is_set():
        target = folder / f"{number}-{n}"
        n += 1
        try:
            answer = requests.post(url + "/batches", json=fake("once", target), timeout=10)
        except requests.RequestException:
            stop.wait(0.02)
            continue
        if answer.status_code == 201:
            accepted[answer.json()["id"]] = target
        stop.wait(0.03)


def test_thirty_kills_at_random_instants_each_accepted_batch_runs_exactly_once(make_hearth, tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    server = make_hearth({"admission.running": "4"}, fake_java=True).start()
    folder = tmp_path / "made"
    folder.mkdir()
    accepted, stop = {}, threading.Event()
    posters = [threading.Thread(target=post_until_told_to_stop, args=(server.url, folder, accepted, stop, i)) for i in range(2)]
    for poster in posters:
        poster.start()
    try:
        for _ in range(30):
            time.sleep(chance.uniform(0, 0.4))
            server.kill9()
            server.start()
    finally:
        stop.set()
        for poster in posters:
            poster.join()
    assert len(accepted) > 30, "the clients got too few answers for the test to mean anything"
    def unfinished():
        batches = server.get("/batches?size=100000").json()["sessions"]
        return [b for b in batches if b["state"] not in FINAL]

    until(lambda: not unfinished(), 120, lambda: f"all to end: {unfinished()[:3]}")
    batches = {b["id"]: b for b in server.get("/batches?size=100000").json()["sessions"]}
    missing = [b for b in accepted if b not in batches]
    assert not missing, f"accepted but unknown: {missing}"
    twice = [p.name for p in folder.glob("*.twice")]
    assert not twice, f"ran twice: {twice}"
    not_run = [b for b, target in accepted.items() if not target.exists()]
    assert not not_run, f"accepted but never ran: {[batches[b] for b in not_run[:3]]}"
    failed = [b for b in batches.values() if b["state"] != "success"]
    assert not failed, f"{len(failed)} of {len(batches)}: {failed[:3]}"


@pytest.mark.spark
@pytest.mark.every_spark
def test_a_real_driver_is_followed_through_kill_9_with_its_log_complete(hearth, tmp_path):
    made = hearth.submit({"file": program("wait_for.py"), "args": [str(tmp_path / "go"), "50", "50"]})
    hearth.wait_log(made["id"], "waiting as")
    pid = hearth.driver_pid(made["id"])
    before = hearth.batch(made["id"])
    assert before["appId"]
    hearth.kill9()
    (tmp_path / "go").touch()
    until(lambda: not hearth.processes(), 30, lambda: f"the driver's end: {hearth.processes()}")
    hearth.start()
    ended = hearth.wait_end_of(made["id"])
    assert ended["state"] == "success" and ended["appId"] == before["appId"]
    assert hearth.record(made["id"])["pid"] == pid
    printed = [line for line in hearth.log(made["id"]) if line.startswith(("before ", "after ", "waiting", "done"))]
    assert printed == ([f"before {i}" for i in range(50)] + [p for p in printed if p.startswith("waiting")] +
                       [f"after {i}" for i in range(50)] + ["done"])


@pytest.mark.spark
@pytest.mark.timeout(400)
def test_real_drivers_run_exactly_once_through_random_kills(make_hearth, tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    server = make_hearth({"admission.running": "2"}).start()
    targets = [tmp_path / f"once-{i}" for i in range(4)]
    made = [server.submit({"file": program("once.py"), "args": [str(t)], "driverMemory": "512m"})["id"] for t in targets]
    while any(b["state"] not in FINAL for b in server.get("/batches").json()["sessions"]):
        time.sleep(chance.uniform(0, 3))
        server.restart()
    assert [server.batch(b)["state"] for b in made] == ["success"] * len(made)
    assert all(t.exists() for t in targets)
    assert not list(tmp_path.glob("*.twice"))


@pytest.mark.spark
def test_the_jvm_that_makes_the_archive_ends_with_its_server(make_hearth):
    server = make_hearth({"spark.class_data_archive": "true"}).start()

    def training():
        return {pid: c for pid, c in server.processes().items() if pid not in server.drivers()}

    [first] = until(training, 10, "the training to begin")
    server.restart()
    until(lambda: not alive(first), 5, "the training of the killed server to end")
    assert len(training()) <= 1
