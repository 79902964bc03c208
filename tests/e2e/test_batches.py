"""The life of a batch seen through its routes, with the fake java in the driver's place."""

import re
import threading
import time
from datetime import datetime

import pytest

from harness import FINAL, alive, fake, until

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def moment(text):
    assert TIME.match(text), text
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# -- ends ------------------------------------------------------------------------------------------


def test_exit_0_is_success(shared):
    ended = shared.wait_end_of(shared.submit(fake("exit", 0))["id"])
    assert ended["state"] == "success"
    assert ended["diagnosis"]["exitCode"] == 0 and ended["diagnosis"]["signal"] is None


@pytest.mark.parametrize("code", [1, 3, 255])
def test_another_exit_code_is_dead_and_named(shared, code):
    ended = shared.wait_end_of(shared.submit(fake("exit", code))["id"])
    assert ended["state"] == "dead"
    assert ended["diagnosis"]["exitCode"] == code
    assert str(code) in ended["diagnosis"]["summary"] and str(code) in ended["reason"]
    assert ended["appInfo"]["reason"] and ended["appInfo"]["exitCode"] == str(code)


def test_a_driver_killed_by_somebody_else_is_dead_with_its_signal(plain):
    made = plain.submit(fake("sleep", 100))
    import os

    os.kill(plain.driver_pid(made["id"]), 9)
    ended = plain.wait_end_of(made["id"])
    assert ended["state"] == "dead"
    assert ended["diagnosis"]["signal"] == "SIGKILL" and ended["diagnosis"]["exitCode"] is None
    assert ended["diagnosis"]["killedForMemory"] is False


def test_times_and_history_follow_the_life_of_a_batch(shared):
    made = shared.submit(fake("exit", 0))
    shared.wait_end_of(made["id"])
    record = shared.record(made["id"])
    assert moment(record["createdAt"]) <= moment(record["startedAt"]) <= moment(record["endedAt"])
    states = [step["state"] for step in record["history"]]
    assert states[-1] == "success" and "running" in states
    times = [moment(step["at"]) for step in record["history"]]
    assert times == sorted(times)
    assert record["pid"] and record["memory"] > 0 and record["folder"].startswith(str(shared.state_dir))


def test_a_java_that_cannot_be_started_is_a_dead_batch_with_a_reason(make_hearth, tmp_path):
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    java = home / "bin" / "java"
    java.write_text("#!/bin/sh\nexit 0\n")
    java.chmod(0o755)
    server = make_hearth({"spark.class_data_archive": "false"}, environment={"JAVA_HOME": str(home)}).start()
    java.unlink()
    ended = server.wait_end_of(server.submit(fake("exit", 0))["id"])
    assert ended["state"] == "dead"
    assert "java" in ended["reason"].lower()


# -- delete and kill -------------------------------------------------------------------------------


def test_delete_ends_the_driver_and_forgets_the_entry(plain):
    made = plain.submit(dict(fake("sleep", 100), name="short lived"))
    pid = plain.driver_pid(made["id"])
    answer = plain.delete(f"/batches/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, {"msg": "deleted"})
    assert not alive(pid)
    for path in ("", "/state", "/log"):
        assert plain.get(f"/batches/{made['id']}{path}").status_code == 404
    assert plain.delete(f"/batches/{made['id']}").status_code == 404
    assert plain.get("/batches").json() == {"from": 0, "total": 0, "sessions": []}
    assert plain.submit(dict(fake("exit", 0), name="short lived"))["id"] == made["id"] + 1


def test_a_deleted_batch_stays_readable_below_hearths_own_path(plain):
    made = plain.submit(fake("print", "last words"))
    plain.wait_end_of(made["id"])
    plain.delete(f"/batches/{made['id']}")
    record = plain.record(made["id"])
    assert record["state"] == "success" and record["id"] == made["id"]
    lines = plain.get(f"/hearth/batches/{made['id']}/log").json()["lines"]
    assert [line["text"] for line in lines] == ["last words"]


def test_a_finished_batch_is_deleted_at_once(shared):
    made = shared.submit(fake("exit", 0))
    shared.wait_end_of(made["id"])
    start = time.monotonic()
    assert shared.delete(f"/batches/{made['id']}").json() == {"msg": "deleted"}
    assert time.monotonic() - start < 1


def test_two_deletes_at_once_both_get_an_answer(plain, tmp_path):
    made = plain.submit(fake("burn", tmp_path / "pid"))
    until((tmp_path / "pid").exists, 10, "the driver")
    answers = []

    def delete():
        import requests

        answers.append(requests.delete(f"{plain.url}/batches/{made['id']}", timeout=30).status_code)

    threads = [threading.Thread(target=delete) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert 200 in answers and set(answers) <= {200, 404}


def test_kill_ends_the_application_and_keeps_the_entry(plain):
    made = plain.submit(dict(fake("sleep", 100), name="kept"))
    pid = plain.driver_pid(made["id"])
    answer = plain.post(f"/hearth/batches/{made['id']}/kill")
    assert (answer.status_code, answer.json()) == (200, {"msg": "killing"})
    ended = plain.wait_state(made["id"], "killed", 15)
    assert not alive(pid)
    assert ended["reason"] and ended["diagnosis"]
    assert plain.get("/batches/kept").json()["state"] == "killed"


def test_kill_ends_a_whole_process_group_that_ignores_sigterm(plain, tmp_path):
    made = plain.submit(fake("burn", tmp_path / "pid"))
    until((tmp_path / "pid").exists, 10, "the driver")
    start = time.monotonic()
    plain.post(f"/hearth/batches/{made['id']}/kill")
    plain.wait_state(made["id"], "killed", 15)
    assert time.monotonic() - start < 10
    until(lambda: not plain.processes(), 5, lambda: f"the group to be gone: {plain.processes()}")


def test_a_batch_killed_as_soon_as_it_was_accepted_never_leaves_a_process(plain):
    made = [plain.submit(fake("sleep", 100))["id"] for _ in range(10)]
    for batch in made:
        assert plain.delete(f"/batches/{batch}").status_code == 200
    assert plain.get("/batches").json()["total"] == 0
    until(lambda: not plain.processes(), 10, lambda: f"all to be gone: {plain.processes()}")


def test_killing_an_unknown_batch_is_404(shared):
    assert shared.post("/hearth/batches/4711/kill").status_code == 404


def test_killing_a_finished_batch_changes_nothing(shared):
    made = shared.submit(fake("exit", 3))
    shared.wait_end_of(made["id"])
    assert shared.post(f"/hearth/batches/{made['id']}/kill").status_code < 500
    assert shared.batch(made["id"])["state"] == "dead"


# -- logs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ten_lines(shared):
    """A finished batch that printed `line 0` .. `line 9`."""
    made = shared.submit(fake("lines", 10))
    shared.wait_end_of(made["id"])
    return made["id"]


WHOLE = ["stdout: "] + [f"line {i}" for i in range(10)] + ["\nstderr: "]


@pytest.mark.parametrize("query, first, lines", [
    ("", 0, WHOLE), ("?size=-1", 0, WHOLE), ("?from=0", 0, WHOLE), ("?from=3&size=2", 3, WHOLE[3:5]), ("?size=3", 9, WHOLE[9:]),
    ("?from=-1&size=2", 10, WHOLE[10:]), ("?size=0", 12, []), ("?from=0&size=0", 0, []), ("?from=12&size=100", 12, []),
    ("?from=100", 100, []), ("?from=5&size=-1", 5, WHOLE[5:]), ("?from=-7", 0, WHOLE), ("?size=100&from=0", 0, WHOLE),
    ("?size=2147483647", 0, WHOLE), ("?from=2147483647&size=2147483647", 2147483647, []),
])
def test_the_window_of_a_log(shared, ten_lines, query, first, lines):
    answer = shared.get(f"/batches/{ten_lines}/log{query}").json()
    assert list(answer) == ["id", "from", "total", "log"]
    assert (answer["id"], answer["from"], answer["total"], answer["log"]) == (ten_lines, first, 12, lines)


def test_a_batch_shows_the_last_ten_lines_of_its_log(shared, ten_lines):
    assert shared.batch(ten_lines)["log"] == WHOLE[-10:]


def test_lines_appear_while_the_program_runs_and_the_last_line_moves_down(plain, tmp_path):
    script = tmp_path / "hearth0" / "go"
    made = plain.submit(fake("once", script, 60))  # prints nothing
    plain.wait_state(made["id"], "running")
    assert plain.log(made["id"]) == ["stdout: ", "\nstderr: "]


def test_the_whole_log_of_a_talkative_driver_is_kept_with_stable_numbers(shared):
    made = shared.submit(fake("lines", 3000))
    shared.wait_end_of(made["id"])
    seen = []
    while page := shared.get(f"/batches/{made['id']}/log?from={len(seen)}&size=100").json()["log"]:
        seen += page
    assert seen == ["stdout: "] + [f"line {i}" for i in range(3000)] + ["\nstderr: "]


def test_a_log_beyond_its_cap_keeps_the_end_and_marks_the_gap(make_hearth):
    server = make_hearth({"driver.log_size": "1m"}, fake_java=True).start()
    made = server.submit(fake("lines", 200_000))
    server.wait_end_of(made["id"], 120)
    answer = server.get(f"/batches/{made['id']}/log?size=50").json()
    assert answer["total"] == 200_002, "line numbers stay what they were"
    assert answer["log"][-2:] == ["line 199999", "\nstderr: "]
    used = sum(f.stat().st_size for f in server.state_dir.rglob("*.log*"))
    assert used < 3 << 20, used
    first = server.get(f"/hearth/batches/{made['id']}/log?from=0&size=5").json()["lines"]
    assert first and first[0]["text"] != "line 0", "the gap is marked where lines were dropped"


def test_bytes_that_are_not_text_do_not_break_the_log(shared):
    made = shared.submit(fake("print", "tab\there", "bell\x07", "quote\"back\\slash", "ümlaut 火"))
    shared.wait_end_of(made["id"])
    assert shared.log(made["id"])[1:-1] == ["tab\there", "bell\x07", "quote\"back\\slash", "ümlaut 火"]


def test_hearths_own_log_numbers_lines_and_names_streams(shared, ten_lines):
    answer = shared.get(f"/hearth/batches/{ten_lines}/log?from=2&size=2").json()
    assert set(answer) == {"id", "stream", "from", "total", "state", "ended", "lines"}
    assert (answer["stream"], answer["from"], answer["total"]) == ("all", 2, 10)
    assert answer["lines"] == [{"n": n, "stream": "stdout", "text": f"line {n}"} for n in (2, 3)]
    assert answer["ended"] is True and answer["state"] == "success"


def test_hearths_own_log_shows_the_last_lines_by_default(shared, ten_lines):
    lines = shared.get(f"/hearth/batches/{ten_lines}/log?size=3").json()["lines"]
    assert [line["n"] for line in lines] == [7, 8, 9]


def test_hearths_own_log_selects_a_stream(shared, ten_lines):
    answer = shared.get(f"/hearth/batches/{ten_lines}/log?stream=stderr").json()
    assert answer["lines"] == [] and answer["total"] == 0
    assert shared.get(f"/hearth/batches/{ten_lines}/log?stream=stdout").json()["total"] == 10
    assert shared.get(f"/hearth/batches/{ten_lines}/log?stream=nonsense").status_code == 400


@pytest.mark.parametrize("query", ["size=10001", "size=x", "wait=60001", "wait=-1", "wait=x", "from=x"])
def test_hearths_own_log_refuses_numbers_out_of_range(shared, ten_lines, query):
    assert shared.get(f"/hearth/batches/{ten_lines}/log?{query}").status_code == 400


def test_waiting_for_a_line_ends_when_the_application_ends(plain, tmp_path):
    made = plain.submit(fake("wait", tmp_path / "go"))
    plain.wait_state(made["id"], "running")
    answers = []

    def follow():
        import requests

        answers.append(requests.get(f"{plain.url}/hearth/batches/{made['id']}/log?from=0&wait=60000", timeout=70).json())

    thread = threading.Thread(target=follow)
    thread.start()
    (tmp_path / "go").touch()
    plain.wait_end_of(made["id"])
    thread.join(10)
    assert answers and answers[0]["lines"] == []
    last = plain.get(f"/hearth/batches/{made['id']}/log?from=0&wait=60000").json()
    assert last["ended"] is True


def test_waiting_for_a_line_ends_after_the_time_given(plain, tmp_path):
    made = plain.submit(fake("sleep", 60))
    plain.wait_state(made["id"], "running")
    start = time.monotonic()
    answer = plain.get(f"/hearth/batches/{made['id']}/log?from=0&wait=300").json()
    assert answer["lines"] == [] and answer["ended"] is False
    assert 0.25 <= time.monotonic() - start < 5


def test_a_client_that_leaves_while_it_waits_for_a_line_does_no_harm(plain):
    import wire

    made = plain.submit(fake("sleep", 60))
    plain.wait_state(made["id"], "running")
    for _ in range(20):
        with wire.connect(plain) as s:
            s.sendall(wire.request("GET", f"/hearth/batches/{made['id']}/log?from=0&wait=60000"))
    assert plain.get("/version").status_code == 200


# -- Idempotency-Key -------------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_first_answer_again(plain):
    body = fake("exit", 0)
    first = plain.post("/batches", json=body, headers={"Idempotency-Key": "k1"})
    plain.wait_end_of(first.json()["id"])
    again = plain.post("/batches", json=body, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["Location"] == first.headers["Location"]
    assert plain.get("/batches").json()["total"] == 1


def test_the_same_key_with_another_body_is_422(plain):
    plain.post("/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k1"})
    answer = plain.post("/batches", json=fake("exit", 1), headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 422 and list(answer.json()) == ["msg"]
    assert plain.get("/batches").json()["total"] == 1


def test_a_key_is_remembered_by_a_server_that_was_killed(plain):
    first = plain.post("/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k1"}).json()
    plain.restart()
    again = plain.post("/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (201, first["id"])


def test_twenty_posts_of_one_key_at_once_make_one_batch(plain):
    import requests

    answers = []

    def post():
        r = requests.post(plain.url + "/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k1"}, timeout=30)
        answers.append((r.status_code, r.json().get("id")))

    threads = [threading.Thread(target=post) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [(201, 0)] * 20
    assert plain.get("/batches").json()["total"] == 1


def test_a_key_of_255_characters_is_taken_and_a_longer_one_refused(plain):
    assert plain.post("/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k" * 255}).status_code == 201
    assert plain.post("/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k" * 256}).status_code == 400


def test_a_refused_request_does_not_use_up_its_key(plain):
    assert plain.post("/batches", json={"file": "x.py"}, headers={"Idempotency-Key": "k"}).status_code == 400
    assert plain.post("/batches", json=fake("exit", 0), headers={"Idempotency-Key": "k"}).status_code == 201


# -- retention -------------------------------------------------------------------------------------


def test_the_oldest_ended_batches_go_when_there_are_too_many(make_hearth, tmp_path):
    server = make_hearth({"retain.count": "3"}, fake_java=True).start()
    living = server.submit(fake("wait", tmp_path / "go"))["id"]
    ended = [server.submit(fake("exit", 0))["id"] for _ in range(6)]
    for batch in ended[-3:]:
        server.wait_end_of(batch)
    until(lambda: server.get("/batches?size=0").json()["total"] == 4, 70,
          lambda: f"three ended ones and the living one: {[b['id'] for b in server.get('/batches').json()['sessions']]}")
    assert [b["id"] for b in server.get("/batches").json()["sessions"]] == [living] + ended[-3:]
    (tmp_path / "go").touch()


def test_ended_batches_go_by_age_with_their_folders(make_hearth):
    server = make_hearth({"retain.age": "1s"}, fake_java=True).start()
    made = server.submit(fake("print", "soon gone"))["id"]
    server.wait_end_of(made)
    folder = server.record(made)["folder"]
    until(lambda: server.get(f"/batches/{made}").status_code == 404, 90, "the batch to be retired")
    import os

    until(lambda: not os.path.exists(folder), 70, f"{folder} to be removed")


# -- environment of drivers ------------------------------------------------------------------------


def test_ended_states_are_the_words_that_clients_know(shared):
    for batch in shared.get("/batches?size=10000").json()["sessions"]:
        assert batch["state"] in FINAL + ("starting", "running")


def test_a_driver_holds_none_of_the_servers_descriptors(plain):
    import os

    made = plain.submit(fake("sleep", 60))
    pid = plain.driver_pid(made["id"])
    until(lambda: os.readlink(f"/proc/{pid}/exe").endswith("sleep"), 10, "the driver")
    # While it starts, its loader opens a library for a moment.
    until(lambda: set(os.listdir(f"/proc/{pid}/fd")) == {"0", "1", "2"}, 10, lambda: os.listdir(f"/proc/{pid}/fd"))


def test_a_driver_runs_in_a_group_of_its_own_with_default_signals(plain):
    import os

    made = plain.submit(fake("sleep", 60))
    pid = plain.driver_pid(made["id"])
    assert os.getpgid(pid) == pid
    until(lambda: os.readlink(f"/proc/{pid}/exe").endswith("sleep"), 10, "the driver")
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigIgn"], 16) == 0
