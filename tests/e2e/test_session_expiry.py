"""Ends by time: heartbeat, age, idleness; what is told of a session that has ended so."""

import re
import time
from datetime import datetime, timezone

import pytest

from harness import alive, fake, until
from sessions import Session, create, open_session

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def gone(session):
    """The answer of a request for a session that ended by time, once it has."""
    # The list names no session, so looking there is no heartbeat.
    until(lambda: session.id not in [s["id"] for s in session.server.get("/sessions?size=100000").json()["sessions"]], 30,
          f"{session} to be gone")
    answer = session.get()
    assert (answer.status_code, answer.json()) == (404, {"msg": f"Session '{session.id}' not found."})
    assert TIME.match(answer.headers["Hearth-Ended-At"]), answer.headers
    at = datetime.fromisoformat(answer.headers["Hearth-Ended-At"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - at).total_seconds()) < 30
    return answer


def test_without_a_heartbeat_a_session_ends(queued):
    session = create(queued, heartbeatTimeoutInSecond=2)
    start = time.monotonic()
    answer = gone(session)
    assert 1.5 < time.monotonic() - start < 5
    assert re.search("heartbeat", answer.headers["Hearth-Reason"], re.I)
    for method, path in (("DELETE", ""), ("GET", "/state"), ("GET", "/statements"), ("GET", "/log"), ("POST", "/connect")):
        later = session.request(method, path)
        assert (later.status_code, later.json()) == (404, answer.json())
        assert later.headers["Hearth-Reason"] == answer.headers["Hearth-Reason"]
    record = session.record()
    assert record["id"] == session.id and record["state"] in ("dead", "killed") and "heartbeat" in record["reason"].lower()
    assert queued.get(f"/hearth/sessions/{session.id}/statements").json()["statements"] == []
    assert queued.get(f"/hearth/sessions/{session.id}/log").status_code == 200


def test_every_request_that_names_it_is_a_heartbeat(queued):
    kept = {path: create(queued, heartbeatTimeoutInSecond=2) for path in ("", "/state", "/log", "/statements")}
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        for path, session in kept.items():
            assert session.get(path).status_code == 200, path
        time.sleep(0.3)
    for session in kept.values():
        gone(session)


def test_the_list_is_no_heartbeat(queued):
    session = create(queued, heartbeatTimeoutInSecond=1)
    start = time.monotonic()
    gone(session)  # which looks at the list all the time
    assert time.monotonic() - start < 4


def test_a_ttl_in_the_request_is_obeyed_whatever_happens(queued):
    session = create(queued, ttl="2s", heartbeatTimeoutInSecond=600)
    start = time.monotonic()
    while session.get().status_code == 200 and time.monotonic() - start < 10:
        session.post("/connect")
        time.sleep(0.1)
    assert 1.5 < time.monotonic() - start < 5
    assert re.search("ttl|old|age", gone(session).headers["Hearth-Reason"], re.I)


def test_an_unknown_or_deleted_session_has_no_such_headers_or_says_that_it_was_deleted(queued):
    assert "Hearth-Reason" not in Session(queued, 987654).get().headers
    session = create(queued)
    session.delete()
    assert "timeout" not in session.get().headers.get("Hearth-Reason", "")


def test_a_session_whose_time_ran_out_while_no_server_ran_is_gone_afterwards(make_hearth):
    server = make_hearth({"admission.running": "1"}, fake_java=True).start()
    server.submit(fake("sleep", 1000))
    session, stays = create(server, ttl="1s"), create(server, ttl="1h")
    server.kill9()
    time.sleep(1.2)
    server.start()
    gone(session)
    assert stays.state() == "starting"


@pytest.mark.spark
def test_an_idle_session_ends_and_a_busy_one_does_not(spark_server):
    session = open_session(spark_server, kind="pyspark", idleTimeout="2s", name="short of patience")
    pid = session.driver_pid()
    session.text("import time; time.sleep(5); 'survived'")  # longer than it may be idle
    start = time.monotonic()
    while time.monotonic() - start < 1.2:
        session.view()  # reading is not activity
        time.sleep(0.1)
    assert session.text("'activity'") == "'activity'"
    start = time.monotonic()
    until(lambda: session.get().status_code == 404, 10, "its end although it is read all the time")
    assert 1.5 < time.monotonic() - start < 5
    answer = gone(session)
    assert re.search("idle", answer.headers["Hearth-Reason"], re.I)
    until(lambda: not alive(pid), 10, "the driver's end")
    record = session.record()
    assert record["name"] == "short of patience" and "idle" in record["reason"].lower() and record["endedAt"]
    kept = spark_server.get(f"/hearth/sessions/{session.id}/statements?from=0&size=10").json()
    assert [s["output"]["data"]["text/plain"] for s in kept["statements"]] == ["'survived'", "'activity'"]
    assert spark_server.get("/sessions/short%20of%20patience").status_code == 404
    assert spark_server.get(f"/hearth/sessions/{session.id}/log?stream=stderr").json()["lines"]
