"""Sessions outlive the server, and tell the truth when their driver does not outlive something."""

import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest
import requests

from harness import alive, fake, until
from sessions import ENDS, appending, create, file_lines, open_session

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def mortal(module_hearth):
    """A server that tests kill."""
    return module_hearth()


@pytest.fixture
def survivor(mortal):
    """An idle session of it, the same one for all tests that leave it alive."""
    session = getattr(mortal, "survivor", None)
    if session is None or session.get("/state").json().get("state") not in ("idle", "busy"):
        session = mortal.survivor = open_session(mortal, kind="pyspark")
    session.post("/interrupt")
    session.wait_state("idle")
    return session


# -- the server dies -------------------------------------------------------------------------------


class Notebook(threading.Thread):
    """Polls a statement as a notebook does until it has ended; notes every answer that is not the statement."""

    def __init__(self, server, session, number):
        super().__init__(daemon=True)
        self.url = f"{server.url}/sessions/{session.id}/statements/{number}"
        self.refused, self.surprises, self.ended = 0, [], None
        self.start()

    def run(self):
        deadline = time.monotonic() + 120
        while self.ended is None and time.monotonic() < deadline:
            try:
                answer = requests.get(self.url, timeout=20, proxies={"http": ""})
                if answer.status_code != 200:
                    self.surprises.append((answer.status_code, answer.text))
                elif answer.json()["state"] in ("available", "cancelled"):
                    self.ended = answer.json()
                elif answer.json()["state"] not in ("waiting", "running"):
                    self.surprises.append(answer.json())
            except requests.ConnectionError:
                self.refused += 1
            time.sleep(0.02)


@pytest.mark.every_spark
def test_four_statements_survive_kill_9_and_each_runs_once(mortal, survivor, tmp_path):
    trace, go = tmp_path / "trace", tmp_path / "go"
    first = survivor.submit(f"import os, time\n{appending(trace, 'first')}\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\n'first'")
    rest = [survivor.submit(f"{appending(trace, word)}\n{word!r}") for word in ("second", "third", "fourth")]
    survivor.wait(first, states=("running",))
    until(lambda: file_lines(trace), 60, "the first one to be in the midst of it")
    notebooks = [Notebook(mortal, survivor, s["id"]) for s in (first, *rest)]
    time.sleep(0.1)
    mortal.kill9()
    until(lambda: all(n.refused for n in notebooks), 10, "the notebooks to notice")
    mortal.start()
    assert survivor.state() == "busy"
    assert [survivor.statement(s["id"])["state"] for s in rest] == ["waiting"] * 3
    go.touch()
    for notebook in notebooks:
        notebook.join(60)
    assert [n.surprises for n in notebooks] == [[]] * 4
    ended = [n.ended for n in notebooks]
    assert [s["output"]["data"]["text/plain"] for s in ended] == ["'first'", "'second'", "'third'", "'fourth'"]
    assert all(a["completed"] <= b["started"] for a, b in zip(ended, ended[1:]))
    assert file_lines(trace) == ["first", "second", "third", "fourth"]
    survivor.wait_state("idle", 5)


def test_what_ended_while_no_server_ran_arrives_with_the_next(mortal, survivor, tmp_path):
    trace = tmp_path / "trace"
    made = [survivor.submit(f"import time; time.sleep(0.3)\n{appending(trace, str(i))}\n{i}") for i in range(4)]
    survivor.wait(made[0], states=("running",))
    mortal.kill9()
    until(lambda: len(file_lines(trace)) == 4, 20, "all four to end")
    mortal.start()
    assert [survivor.wait(s)["output"]["data"]["text/plain"] for s in made] == ["0", "1", "2", "3"]
    assert file_lines(trace) == ["0", "1", "2", "3"]


def test_a_clean_stop_keeps_sessions_too(mortal, survivor):
    survivor.text("kept = 'over the stop'")
    pid = survivor.driver_pid()
    mortal.stop()
    assert alive(pid)
    mortal.start()
    survivor.wait_state("idle", 10)
    assert survivor.text("kept", timeout=10) == "'over the stop'"
    assert survivor.driver_pid() == pid


def test_many_deaths_lose_and_repeat_nothing(mortal, survivor, tmp_path):
    chance = random.Random(7)
    trace, accepted, rounds = tmp_path / "trace", [], 15
    stop = threading.Event()

    def client():
        number = 0
        while not stop.is_set() or number < 20:
            code = f"import time; time.sleep(0.01)\n{appending(trace, str(number))}\n{number}"
            # With a key of its own a request may be repeated until it is answered.
            with contextlib.suppress(requests.RequestException):
                answer = requests.post(f"{mortal.url}/sessions/{survivor.id}/statements", json={"code": code}, timeout=20,
                                       headers={"Idempotency-Key": f"{trace}-{number}"}, proxies={"http": ""})
                assert answer.status_code == 201, answer.text
                accepted.append(answer.json()["id"])
                number += 1
            time.sleep(0.01)

    thread = threading.Thread(target=client, daemon=True)
    thread.start()
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.4))
        mortal.restart()
    stop.set()
    thread.join(60)
    assert not thread.is_alive() and len(accepted) >= 20
    assert accepted == list(range(accepted[0], accepted[0] + len(accepted))), "no number is lost or used twice"
    ended = [survivor.wait({"id": number}) for number in accepted]
    assert [s["output"]["data"]["text/plain"] for s in ended] == [str(i) for i in range(len(accepted))]
    assert file_lines(trace) == [str(i) for i in range(len(accepted))], "each ran once, in order"


def test_a_cancel_that_was_answered_is_carried_out_by_the_next_server(mortal, survivor):
    running = survivor.submit("import time; time.sleep(1000)")
    waiting = survivor.submit("'never'")
    survivor.wait(running, states=("running",))
    survivor.post(f"/statements/{waiting['id']}/cancel")
    survivor.post(f"/statements/{running['id']}/cancel")
    mortal.restart()
    assert survivor.wait(waiting, 20)["state"] == "cancelled"
    assert survivor.wait(running, 20)["state"] == "cancelled"
    assert survivor.text("1 + 1") == "2"


def test_a_session_that_starts_when_the_server_dies_comes_up(mortal):
    session = create(mortal, kind="pyspark")
    time.sleep(0.2)
    mortal.restart()
    session.wait_state("idle")
    assert session.text("spark.range(4).count()") == "4"
    session.delete()


def test_a_driver_that_dies_while_no_server_runs_is_dead_afterwards(mortal):
    session = open_session(mortal, kind="pyspark")
    running = session.submit("import time; time.sleep(1000)")
    session.wait(running, states=("running",))
    pid = session.driver_pid()
    mortal.kill9()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), 5, "its end")
    mortal.start()
    view = session.wait_end(10)
    assert view["state"] in ("dead", "error") and view["diagnosis"]["signal"] == "SIGKILL", view
    kept = mortal.get(f"/hearth/sessions/{session.id}/statements").json()["statements"]
    assert kept[0]["state"] == "available" and kept[0]["output"]["status"] == "error"


def test_waiting_sessions_wait_in_the_same_order_after_kill_9(make_hearth):
    server = make_hearth({"admission.running": "1"}, fake_java=True).start()
    server.submit(fake("sleep", 1000))
    made = [create(server, kind="pyspark", name=f"s{i}") for i in range(3)]
    jobs = made[0].post("/submit-job", json={"job": "eA==", "jobType": "pyspark"}).json()["id"]
    before = [dict(s.view(), lastActivityAt=None) for s in made]
    server.restart()
    assert [dict(s.view(), lastActivityAt=None) for s in made] == before
    assert [s.view()["queuePosition"] for s in made] == [1, 2, 3]
    assert made[0].answer(f"/jobs/{jobs}")["state"] == "QUEUED"
    assert create(server).id == made[-1].id + 1


# -- the driver dies -------------------------------------------------------------------------------


def end_within(session, seconds, gone):
    """Its view, in an end state not later than that after `gone` became true."""
    until(gone, 60, "the driver's end")
    view = session.wait_state(ENDS, seconds)
    assert view["appInfo"]["reason"] and view["diagnosis"]["summary"], view
    return view


@pytest.mark.every_spark
def test_a_killed_jvm_is_a_dead_session_with_its_signal(spark_server):
    session = open_session(spark_server, kind="pyspark")
    session.text("spark.range(3).count()")
    running = session.submit("import time\nwhile True: sc.parallelize([1], 1).count(); time.sleep(0.05)")
    session.wait(running, states=("running",))
    jvm = session.jvm_pid()
    os.kill(jvm, signal.SIGKILL)
    view = end_within(session, 2, lambda: not alive(jvm))
    assert view["state"] == "dead"
    assert view["diagnosis"]["signal"] == "SIGKILL" and view["diagnosis"]["exitCode"] is None
    assert "SIGKILL" in view["diagnosis"]["summary"] or "killed" in view["diagnosis"]["summary"].lower()
    kept = spark_server.get(f"/hearth/sessions/{session.id}/statements").json()["statements"]
    assert kept[running["id"]]["output"]["ename"] == "DriverDied", kept
    session.delete()


def test_a_killed_agent_is_a_dead_session_with_its_signal(spark_server):
    session = open_session(spark_server, kind="pyspark")
    session.text("1")
    agent, jvm = session.driver_pid(), session.jvm_pid()
    os.kill(agent, signal.SIGKILL)
    view = end_within(session, 2, lambda: not alive(agent))
    assert view["state"] in ("dead", "error") and view["diagnosis"]["signal"] == "SIGKILL"
    until(lambda: not alive(jvm), 5, "the JVM to follow")
    session.delete()


FILL = "hoard = [sc._gateway.new_array(sc._jvm.long, 16 << 20) for _ in range(64)]"


@pytest.mark.every_spark
def test_a_full_heap_is_a_dead_session_and_called_by_its_name(spark_server):
    session = open_session(spark_server, kind="pyspark")
    session.text("spark.range(1).count()")
    jvm = session.jvm_pid()
    filling = session.submit(FILL)
    view = end_within(session, 2, lambda: not alive(jvm))
    assert view["state"] == "dead"
    summary = view["diagnosis"]["summary"]
    assert "OutOfMemoryError" in summary or "heap" in summary.lower(), view["diagnosis"]
    assert view["diagnosis"]["killedForMemory"] is False, "nobody killed it"
    kept = spark_server.get(f"/hearth/sessions/{session.id}/statements").json()["statements"]
    assert kept[filling["id"]]["output"]["status"] == "error"
    session.delete()


def test_sys_exit_is_an_error_and_the_session_lives(survivor):
    assert survivor.error("import sys; sys.exit(5)")["ename"] == "SystemExit"
    assert survivor.text("1 + 1") == "2"


@pytest.mark.every_spark
def test_os_exit_is_an_error_statement_and_an_error_session(spark_server):
    session = open_session(spark_server, kind="pyspark")
    leaving, next_one = session.submit("import os, time; time.sleep(0.2); os._exit(3)"), session.submit("'never'")
    agent = session.driver_pid()
    view = end_within(session, 2, lambda: not alive(agent))
    assert view["state"] == "error"
    assert view["diagnosis"]["exitCode"] == 3 and "3" in view["appInfo"]["exitCode"]
    output = session.statement(leaving["id"])["output"]
    assert (output["status"], output["ename"]) == ("error", "Error") and output["evalue"].startswith("Interpreter died:"), output
    assert session.statement(next_one["id"])["state"] in ("available", "cancelled")
    session.delete()


@pytest.mark.parametrize("kind, code, exit_code", [("spark", "System.exit(0)", 0), ("pyspark", "sc._jvm.java.lang.System.exit(7)", 7)])
def test_system_exit_is_a_dead_session_with_its_code(spark_server, kind, code, exit_code):
    session = open_session(spark_server, kind=kind)
    session.run("1 + 1", timeout=90)
    jvm = session.jvm_pid()
    session.submit(code)
    view = end_within(session, 2, lambda: not alive(jvm))
    assert view["state"] == "dead" and view["diagnosis"]["exitCode"] == exit_code, view
    assert session.get("/statements").json() == {"msg": "requirement failed: Session isn't active."}
    session.delete()


# -- the cluster dies ------------------------------------------------------------------------------


def on_cluster(server, cluster):
    session = open_session(server, kind="pyspark", master=cluster.url, executorMemory="512m", executorCores=1)
    assert session.text("sc.parallelize(range(10), 2).map(lambda x: x * x).sum()", timeout=120) == "285"
    view = session.view()
    assert view["appId"].startswith("app-") and cluster.applications() == [view["appId"]]
    return session


def test_an_application_killed_on_the_masters_page_ends_its_session(spark_server, cluster):
    session = on_cluster(spark_server, cluster)
    cluster.kill_application(session.view()["appId"])
    view = end_within(session, 2, lambda: not cluster.applications())
    assert view["state"] in ("killed", "dead"), view
    assert "kill" in json.dumps(view["diagnosis"]).lower(), view
    session.delete()


def test_a_session_that_loses_its_cluster_says_so(spark_server, cluster):
    session = on_cluster(spark_server, cluster)
    session.submit("sc.parallelize(range(4), 4).map(lambda x: __import__('time').sleep(1000)).count()")
    cluster.kill()

    def told():
        view = session.view()
        words = json.dumps([view.get("reason"), view.get("diagnosis"), view["appInfo"]]).lower()
        return view if "master" in words or "cluster" in words else None

    view = until(told, 2, lambda: f"a word about the cluster: {session.view()}")
    assert view["state"] in ("dead", "killed", "error", "busy")
    session.delete()
