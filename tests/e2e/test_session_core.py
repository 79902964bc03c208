"""What a session keeps when the server is killed or its disk is full, with a stand-in for the JVM: the statements are
Python that needs no Spark. (An import statement would wait for the SparkContext.)"""

import random
import time

import requests
from sessions import Session, appending, create, file_lines, open_session
from harness import SANITIZED, alive, resident_bytes, until
from test_store import fill, small_disk  # noqa: F401  (a fixture)


FOR_EVER = "while True: __import__('time').sleep(0.02)"


def submit_through_restarts(session, code, key):
    """Posts until an answer comes, as a client with an idempotency key may."""
    while True:
        try:
            answer = session.post("/statements", json={"code": code}, headers={"Idempotency-Key": key})
        except requests.ConnectionError:
            session.server.http.close()
            time.sleep(0.01)
            continue
        assert answer.status_code == 201, answer.text
        return answer.json()


def test_kills_at_random_instants_lose_and_repeat_nothing(make_hearth, tmp_path):
    server = make_hearth(fake_java=True).start()
    session = open_session(server, kind="pyspark")
    done = tmp_path / "done"
    random.seed(20)
    posted = []
    for round_ in range(12):
        for n in range(random.randrange(1, 8)):
            number = len(posted)
            posted.append(submit_through_restarts(session, f"{appending(done, str(number))}\n{number} * 2", f"k{number}"))
        time.sleep(random.random() * 0.02)  # the instant of the kill, not a wait for anything
        server.kill9()
        server.start()
    for number, statement in enumerate(posted):
        assert statement["id"] == number
        assert session.wait(statement)["output"]["data"] == {"text/plain": str(number * 2)}
    assert file_lines(done) == [str(n) for n in range(len(posted))], "each ran once, in order"
    assert session.answer("/statements?size=0")["total_statements"] == len(posted)
    assert session.wait_state("idle")["appInfo"].get("reason") is None


def test_a_cancel_survives_a_kill(make_hearth, tmp_path):
    server = make_hearth(fake_java=True).start()
    session = open_session(server, kind="pyspark")
    running = session.submit(f"{appending(tmp_path / 'began', 'x')}\n{FOR_EVER}")
    waiting = session.submit("1")
    until(lambda: file_lines(tmp_path / "began"), 20, "the start of the statement")
    for statement in (waiting, running):
        assert session.post(f"/statements/{statement['id']}/cancel").json() == {"msg": "canceled"}
    server.kill9()
    server.start()
    assert session.wait(running)["state"] == "cancelled"
    cancelled = session.wait(waiting)
    assert (cancelled["state"], cancelled["output"], cancelled["started"]) == ("cancelled", None, 0)
    assert session.text("2 + 2") == "4"


def test_results_wait_for_a_full_disk(make_hearth, small_disk, tmp_path):  # noqa: F811
    server = make_hearth(fake_java=True, state_dir=small_disk / "state").start()
    server.expect_error("")
    session = open_session(server, kind="pyspark")
    go = tmp_path / "go"
    code = f"while not __import__('os').path.exists({str(go)!r}): __import__('time').sleep(0.01)\n'x' * 200000"
    first = session.submit(code)
    second = session.submit("'second'")
    until(lambda: session.statement(first["id"])["state"] == "running", 20, "a running statement")
    filler = fill(small_disk)
    go.touch()

    def refusal():
        answer = session.post("/statements", json={"code": "3"})
        return [answer] if answer.status_code != 201 else None

    [refused] = until(refusal, 20, "a refused write")
    assert refused.status_code == 503 and refused.json()["msg"], refused.text
    filler.unlink()
    assert len(session.wait(first)["output"]["data"]["text/plain"]) == 200002
    assert session.wait(second)["output"]["data"] == {"text/plain": "'second'"}
    server.restart()
    assert len(session.wait(first)["output"]["data"]["text/plain"]) == 200002


def test_a_long_queue_of_long_programs_costs_no_memory(make_hearth):
    server = make_hearth(fake_java=True).start()
    session = open_session(server, kind="pyspark")
    blocker = session.submit(FOR_EVER)
    session.submit("0")
    before = resident_bytes(server.pid)
    long = [session.submit(f"x = {n}  # {'-' * 200000}\nx") for n in range(300)]
    grown = resident_bytes(server.pid) - before
    session.post(f"/statements/{blocker['id']}/cancel")
    for n, statement in enumerate(long):
        assert session.wait(statement)["output"]["data"] == {"text/plain": str(n)}
    assert SANITIZED or grown < 30e6, f"{grown / 1e6:.0f} MB for 60 MB of programs"


def test_an_interpreter_that_dies_ends_its_session_and_its_statements(make_hearth):
    server = make_hearth(fake_java=True).start()
    session = open_session(server, kind="pyspark")
    dying = session.submit("__import__('time').sleep(0.3)\n__import__('os')._exit(3)")
    waiting = session.submit("1")
    view = session.wait_end()
    assert (view["state"], view["diagnosis"]["exitCode"]) == ("error", 3)
    output = session.statement(dying["id"])["output"]
    assert (output["status"], output["ename"]) == ("error", "Error") and output["evalue"].startswith("Interpreter died:")
    assert session.statement(waiting["id"])["state"] == "cancelled"
    assert session.post("/statements", json={"code": "1"}).status_code == 409


def test_a_stopped_session_keeps_its_statements_below_hearth(make_hearth):
    server = make_hearth(fake_java=True).start()
    session = open_session(server, kind="pyspark", name="kept")
    pid = session.driver_pid()
    assert session.text("6 * 7") == "42"
    assert session.post("/stop").status_code == 204
    assert session.wait_end()["state"] == "dead"
    until(lambda: not alive(pid), 20, "the driver's end")
    assert session.get("/statements").status_code == 400
    kept = server.get(f"/hearth/sessions/{session.id}/statements").json()
    assert [s["output"]["data"] for s in kept["statements"]] == [{"text/plain": "42"}]
    session.delete()
    assert server.get("/sessions/kept").status_code == 404
    again = create(server, kind="pyspark", name="kept")
    assert again.id == session.id + 1
    assert server.get(f"/hearth/sessions/{session.id}/statements").json()["total_statements"] == 1


def test_a_deleted_session_is_gone_at_once_and_its_driver_soon(make_hearth):
    server = make_hearth(fake_java=True).start()
    session = open_session(server, kind="pyspark")
    pid = session.driver_pid()
    session.submit(FOR_EVER)
    session.delete()
    assert session.get().status_code == 404
    assert server.get("/sessions").json()["total"] == 0
    server.kill9()
    server.start()
    assert server.get("/sessions").json()["total"] == 0
    until(lambda: not alive(pid), 20, "the driver's end")
    assert Session(server, session.id).record()["state"] == "dead"
