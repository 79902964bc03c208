"""`hearth session`: against a server made of Python that plays a session, at a terminal too, and against a
real server with real Spark."""

import json
import re
import signal
import subprocess
import termios
import threading

import pytest

from fake_server import Server, environment, run
from harness import BINARY, PATIENCE, free_port, until
from terminal import Terminal

KEYS = {"name": None, "appId": None, "owner": None, "proxyUser": None, "appInfo": {}, "log": []}


class Session:
    """Session 7 ("etl"): statements answer with what `outputs` says for their code, else with the code itself.
    A statement whose code begins with "wait" runs until somebody sets its state."""

    def __init__(self, server, state="idle", kind="pyspark", **more):
        self.server = server
        self.view = KEYS | {"id": 7, "name": "etl", "state": state, "kind": kind, "reason": None,
                            "sparkVersion": "3.5.7", **more}
        self.record = dict(self.view)
        self.outputs = {}
        self.statements = []
        self.asked = []  # bodies of POST statements
        self.completions = lambda body: []
        for name in ("7", "etl"):
            server.routes |= {
                f"GET /sessions/{name}": lambda q, b: (200, self.view),
                f"DELETE /sessions/{name}": self.delete,
                f"POST /sessions/{name}/stop": self.stop,
                f"GET /hearth/sessions/{name}": lambda q, b: (200, self.record),
            }
        server.routes |= {
            "POST /sessions": lambda q, b: (201, self.view),
            "POST /sessions/7/statements": self.run,
            "POST /sessions/7/completion": lambda q, b: (200, {"candidates": self.completions(json.loads(b))}),
        }

    def delete(self, *_):
        self.view["state"] = "dead"
        return 200, {"msg": "deleted"}

    def stop(self, *_):
        self.view["state"] = "dead"
        return 204, None

    def die(self, summary, *errors):
        self.view["state"] = self.record["state"] = "dead"
        self.record["diagnosis"] = {"summary": summary, "lastErrors": list(errors)}

    def run(self, _, body):
        body = json.loads(body)
        self.asked.append(body)
        if self.view["state"] not in ("idle", "busy"):
            return 409, {"msg": f"Session is in state {self.view['state']}"}
        number = len(self.statements)
        statement = {"id": number, "code": body["code"], "state": "available", "progress": 1.0, "output": {
            "status": "ok", "execution_count": number, "data": {"text/plain": body["code"]}}}
        if body["code"] in self.outputs:
            statement["output"] = self.outputs[body["code"]]
        if body["code"].startswith("wait"):
            statement |= {"state": "running", "output": None, "progress": 0.0}
        self.statements.append(statement)
        path = f"/sessions/7/statements/{number}"
        self.server.routes |= {
            f"GET {path}": lambda q, b: self.read(statement),
            f"POST {path}/cancel": lambda q, b: self.cancel(statement),
        }
        return 201, statement

    def read(self, statement):
        if self.view["state"] not in ("idle", "busy"):
            return 400, {"msg": "requirement failed: Session isn't active."}
        return 200, statement

    def cancel(self, statement):
        stubborn = "stubborn" in statement["code"]
        statement["state"] = "cancelling" if stubborn else "cancelled"
        return 200, {"msg": "canceled"}


def ok(**data):
    return {"status": "ok", "execution_count": 0, "data": {k.replace("_", "/"): v for k, v in data.items()}}


def error(name, words, *traceback):
    return {"status": "error", "execution_count": 0, "ename": name, "evalue": words, "traceback": list(traceback)}


@pytest.fixture
def server():
    s = Server()
    yield s
    s.stop()


@pytest.fixture
def session(server):
    return Session(server)


@pytest.fixture
def at_terminal(server, tmp_path):
    made = []

    def open_terminal(*words, **env):
        made.append(Terminal(*words, **{"HEARTH_URL": server.url, "HOME": str(tmp_path),
                                        "XDG_STATE_HOME": str(tmp_path / "state"), **env}))
        return made[-1]

    yield open_terminal
    for terminal in made:
        terminal.close()
        assert "Sanitizer" not in terminal.text and "runtime error" not in terminal.text


@pytest.fixture
def beside(server):
    """A command that runs while the test plays the server's part."""
    made = []

    def start(*words):
        made.append(subprocess.Popen([BINARY, *words], env=environment(HEARTH_URL=server.url), text=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


# -- the command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words, said", [
    ((), "something is missing: hearth session COMMAND [options]"),
    (("strat",), "unknown command 'strat'; did you mean 'start'?"),
    (("start", "x"), "too many words"),
    (("start", "--kind", "perl"), "--kind perl: it is one of spark, pyspark, sparkr, sql, shared"),
    (("start", "--ttl", "soon"), "--ttl: 'soon' is not"),
    (("start", "-c", "spark.submit.deployMode=cluster"), "the driver of a session runs beside the server"),
    (("start", "--deploy-mode", "client"), "unknown option --deploy-mode"),
    (("stop",), "something is missing"),
    (("exec", "7"), "the code is wanted once"),
    (("exec", "7", "1", "-f", "x"), "the code is wanted once"),
    (("exec", "7", "-f", "nosuch.py"), "nosuch.py does not exist"),
    (("exec", "--kind", "shared", "7", "1"), "--kind shared: it is one of spark, pyspark, sparkr, sql"),
    (("attach",), "something is missing"),
    (("attach", "7", "--kind", "perl"), "--kind perl: it is one of"),
])
def test_a_wrong_command_line_is_exit_2_with_words(words, said):
    answer = run("session", *words)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize("words", [("start",), ("list",), ("stop", "7"), ("exec", "7", "1"), ("attach", "7")])
def test_no_server_is_exit_3(words):
    answer = run("session", *words, HEARTH_URL=f"http://127.0.0.1:{free_port()}")
    assert answer.returncode == 3
    assert f"hearth session {words[0]}: no hearth answers at " in answer.stderr


# -- start, list, stop --------------------------------------------------------------------------------


def test_start_sends_the_options_and_prints_the_number(server, session):
    answer = server.run("session", "start", "--kind", "scala", "--name", "etl", "--master", "local[2]",
                        "--driver-memory", "2g", "-c", "spark.x=y", "--jars", "/a.jar,/b.jar", "--idle-timeout",
                        "30m", "--ttl", "8h")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "7\n", "")
    assert server.bodies("POST", "/sessions") == [
        {"kind": "scala", "name": "etl", "master": "local[2]", "idleTimeout": "30m", "ttl": "8h",
         "conf": {"spark.x": "y", "spark.jars": "/a.jar,/b.jar", "spark.driver.memory": "2g"}}]


def test_start_tells_what_it_waits_for_and_prints_the_number_when_idle(server, beside):
    session = Session(server, "starting")
    process = beside("session", "start")
    assert process.stderr.readline() == "hearth session start: session 7 (etl) is starting\n"
    session.view["reason"] = "waits for 2g of memory"
    assert process.stderr.readline() == \
        "hearth session start: session 7 (etl): waiting: waits for 2g of memory\n"
    session.view |= {"reason": None, "state": "idle"}
    out, err = process.communicate(timeout=30 * PATIENCE)
    assert (process.returncode, out, err) == (0, "7\n", "")


def test_start_without_waiting(server):
    session = Session(server, "starting")
    assert server.run("session", "start", "--no-wait").stdout == "7\n"
    session.view["state"] = "idle"
    assert json.loads(server.run("session", "start", "--json").stdout) == session.view


def test_a_session_that_dies_at_its_start_is_exit_1_with_the_diagnosis(server, session):
    session.die("the driver ended with exit code 1", "Exception in thread main", "\u001b[2Jat nowhere")
    answer = server.run("session", "start")
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr == ("hearth session start: session 7 (etl) ended as dead: the driver ended with exit "
                             "code 1\n  Exception in thread main\n  ?[2Jat nowhere\n")


def test_a_refused_session_is_exit_1_with_the_servers_words(server):
    server.routes["POST /sessions"] = lambda q, b: (400, {"msg": "Rejected, Reason: Duplicate session name"})
    answer = server.run("session", "start")
    assert (answer.returncode, answer.stderr) == (
        1, "hearth session start: Rejected, Reason: Duplicate session name\n")


def test_ctrl_c_takes_the_session_back(server, beside):
    Session(server, "starting")
    process = beside("session", "start")
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30 * PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "giving session 7 up" in err
    assert [r[1] for r in server.requests if r[0] == "DELETE"] == ["/sessions/7"]


def test_a_start_whose_answer_is_lost_is_repeated_with_the_same_key(server, session):
    answers = [lambda q, b: None, server.routes["POST /sessions"]]
    server.routes["POST /sessions"] = lambda q, b: answers.pop(0)(q, b)
    assert server.run("session", "start").stdout == "7\n"
    keys = {r[4]["Idempotency-Key"] for r in server.requests if r[:2] == ("POST", "/sessions")}
    assert len(keys) == 1 and not answers


def test_list_shows_the_living_and_with_all_the_ended(server):
    states = ["idle", "dead", "starting", "busy", "error", "shutting_down", "killed"]
    sessions = [KEYS | {"id": n, "name": f"s{n}", "state": state, "kind": "pyspark", "owner": "ada",
                        "createdAt": "2026-11-21T08:00:00.000Z", "statements": 10 + n, "reason": f"because {n}"}
                for n, state in enumerate(states)]
    server.routes["GET /sessions"] = lambda q, b: (200, {"from": 0, "total": len(sessions), "sessions": sessions})
    lines = server.run("session", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "KIND", "STATE", "OWNER", "AGE", "STATEMENTS", "REASON"]
    assert [line.split()[3] for line in lines[1:]] == ["idle", "starting", "busy", "shutting_down"]
    assert re.fullmatch(r"2 +s2 +pyspark +starting +ada +\S+ +12 +because 2", lines[2])
    assert len(server.run("session", "list", "--all").stdout.splitlines()) == 8
    assert json.loads(server.run("session", "list", "-a", "--json").stdout)["sessions"] == sessions


def test_stop_keeps_the_record_and_delete_does_not(server, session):
    answer = server.run("session", "stop", "nobody", "etl")
    assert answer.returncode == 1
    assert answer.stdout == "etl: stopped\n" and "hearth session stop: no /sessions/nobody" in answer.stderr
    assert server.run("session", "stop", "--delete", "7").stdout == "7: deleted\n"
    assert [r[:2] for r in server.requests][1:] == [("POST", "/sessions/etl/stop"), ("DELETE", "/sessions/7")]


def test_a_session_that_vanished_tells_when_and_why(server):
    server.routes["GET /sessions/7"] = lambda q, b: (404, {"msg": "Session '7' not found."}, {
        "Hearth-Ended-At": "2026-11-21T08:44:05.123Z", "Hearth-Reason": "nobody used it for 1h"})
    for words in (("exec", "7", "1"), ("attach", "7")):
        answer = server.run("session", *words)
        assert answer.returncode == 1
        assert answer.stderr == (f"hearth session {words[0]}: Session '7' not found. "
                                 "It ended at 2026-11-21T08:44:05.123Z: nobody used it for 1h\n")


# -- exec ---------------------------------------------------------------------------------------------


def test_exec_prints_text_as_it_is(server, session):
    session.outputs = {"x": ok(text_plain="ä\t€\n  2"), "nothing": ok(text_plain=""), "n": ok(text_plain="a\n")}
    assert server.run("session", "exec", "etl", "x").stdout == "ä\t€\n  2\n"
    assert server.run("session", "exec", "etl", "nothing").stdout == ""
    assert server.run("session", "exec", "etl", "n").stdout == "a\n"
    assert session.asked[0] == {"code": "x"}


def test_exec_takes_code_from_its_places(server, session, tmp_path):
    file = tmp_path / "code.py"
    file.write_text("if 1:\n    2\n\n3\n")
    assert server.run("session", "exec", "7", "-f", file).returncode == 0
    assert server.run("session", "exec", "7", "-", stdin="a\n\nb" * 50000).returncode == 0
    assert server.run("session", "exec", "7", "--kind", "sql", "--", "-- 1").returncode == 0
    assert session.asked == [{"code": "if 1:\n    2\n\n3\n"}, {"code": "a\n\nb" * 50000},
                             {"code": "-- 1", "kind": "sql"}]


def test_exec_shows_rows_as_a_table(server, session):
    fields = [{"name": n, "type": "string", "nullable": True, "metadata": {}} for n in ("id", "größe", "x\u001b")]
    session.outputs = {
        "sql": ok(**{"application_json": {"schema": {"type": "struct", "fields": fields}, "data": [
            [1, "ä", None], [-2.5, "b\u001b[2J", {"k": [True]}]]}}),
        "ddl": ok(**{"application_json": {"schema": {"type": "struct", "fields": []}, "data": []}}),
        "table": ok(**{"application_vnd.livy.table.v1+json": {"headers": [{"name": "a", "type": "INT_TYPE"}],
                                                              "data": [[5]]}, "text_plain": "said"}),
        "wide": ok(**{"application_json": {"schema": {"type": "struct", "fields": [
            {"name": f"c{n}"} for n in range(40)]}, "data": [list(range(40))]}}),
    }
    rows = [line.split() for line in server.run("session", "exec", "7", "sql").stdout.splitlines()]
    assert rows == [["id", "größe", "x?"], ["1", "ä", "NULL"], ["-2.5", "b?[2J", '{"k":[true]}']]
    assert server.run("session", "exec", "7", "ddl").stdout == ""
    assert server.run("session", "exec", "7", "table").stdout == "said\na\n5\n"
    assert server.run("session", "exec", "7", "wide").stdout.split()[39:41] == ["c39", "0"]


def test_exec_shows_other_data(server, session):
    session.outputs = {"json": ok(**{"application_json": {"a": [1]}}), "scalar": ok(**{"application_json": 5}),
                       "image": ok(**{"image_png": "AAAA"}), "none": None}
    assert json.loads(server.run("session", "exec", "7", "json").stdout) == {"a": [1]}
    assert server.run("session", "exec", "7", "scalar").stdout == "5\n"
    image = server.run("session", "exec", "7", "image")
    assert image.stdout == "" and "image/png, 3 bytes" in image.stderr
    assert server.run("session", "exec", "7", "none").returncode == 0
    statement = json.loads(server.run("session", "exec", "7", "json", "--json").stdout)
    assert statement["output"] == session.outputs["json"]


def test_an_error_is_exit_1_with_its_traceback_on_standard_error(server, session):
    session.outputs["1/0"] = error("ZeroDivisionError", "division by zero", "Traceback (most recent call last):\n",
                                   "ZeroDivisionError: division by zero\n")
    answer = server.run("session", "exec", "7", "1/0")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "Traceback (most recent call last):\nZeroDivisionError: division by zero\n"
    answer = server.run("session", "exec", "7", "1/0", "--json")
    assert answer.returncode == 1 and json.loads(answer.stdout)["output"]["ename"] == "ZeroDivisionError"


def test_exec_waits_for_a_session_that_starts(server, beside):
    session = Session(server, "starting")
    process = beside("session", "exec", "etl", "x")
    assert process.stderr.readline() == "hearth session exec: session 7 (etl) is starting\n"
    assert not session.asked
    session.view["state"] = "idle"
    out, _ = process.communicate(timeout=30 * PATIENCE)
    assert (process.returncode, out) == (0, "x\n")


def test_exec_follows_a_statement_through_a_restart_of_the_server(server, session, beside):
    process = beside("session", "exec", "7", "wait")
    until(lambda: session.statements, 20, "the statement")
    server.stop()
    assert "the server has gone away; waiting for it" in process.stderr.readline()
    session.statements[0] |= {"state": "available", "output": ok(text_plain="done")}
    server.start()
    out, _ = process.communicate(timeout=30 * PATIENCE)
    assert (process.returncode, out) == (0, "done\n")
    assert len(session.statements) == 1


def test_the_first_ctrl_c_cancels(server, session, beside):
    process = beside("session", "exec", "7", "wait")
    until(lambda: any(r[0] == "GET" and "/statements/" in r[1] for r in server.requests), 20, "a poll")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30 * PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "cancelling; Ctrl-C again" in err
    assert session.statements[0]["state"] == "cancelled"


def test_the_second_ctrl_c_leaves(server, session, beside):
    process = beside("session", "exec", "7", "wait stubborn")
    until(lambda: any(r[0] == "GET" and "/statements/" in r[1] for r in server.requests), 20, "a poll")
    process.send_signal(signal.SIGINT)
    until(lambda: session.statements[0]["state"] == "cancelling", 20, "the cancellation")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30 * PATIENCE)
    assert process.returncode == 130
    assert session.statements[0]["state"] == "cancelling"


def test_ctrl_c_leaves_while_the_server_is_away(server, session, beside):
    process = beside("session", "exec", "7", "wait")
    until(lambda: session.statements, 20, "the statement")
    server.stop()
    assert "the server has gone away" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    until(lambda: process.poll() is not None or process.send_signal(signal.SIGINT), 20, "the end of the command")
    assert process.returncode == 130
    server.start()


def test_a_statement_cancelled_by_somebody_else_is_exit_1(server, session, beside):
    process = beside("session", "exec", "7", "wait")
    until(lambda: session.statements, 20, "the statement")
    session.statements[0]["state"] = "cancelled"
    _, err = process.communicate(timeout=30 * PATIENCE)
    assert process.returncode == 1
    assert "somebody else has cancelled the statement" in err


def test_a_session_that_dies_while_it_runs_is_told(server, session, beside):
    process = beside("session", "exec", "7", "wait")
    until(lambda: session.statements, 20, "the statement")
    session.die("killed for memory")
    _, err = process.communicate(timeout=30 * PATIENCE)
    assert process.returncode == 1
    assert err == "hearth session exec: session 7 (etl) ended as dead: killed for memory\n"


def test_a_refused_statement_is_told(server, session):
    server.routes["POST /sessions/7/statements"] = lambda q, b: (
        400, {"msg": "Code type should be specified if session kind is shared"})
    answer = server.run("session", "exec", "7", "x")
    assert (answer.returncode, answer.stderr) == (
        1, "hearth session exec: Code type should be specified if session kind is shared\n")


# -- attach, as a script ------------------------------------------------------------------------------


def test_a_script_runs_statement_by_statement(server, session):
    answer = server.run("session", "attach", "7", stdin="a = 1\n\ndef f():\n    return a\n\n(1 +\n2)\n:kind sql\nx\n")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert session.asked == [{"code": "a = 1", "kind": "pyspark"}, {"code": "def f():\n    return a\n",
                                                                    "kind": "pyspark"},
                             {"code": "(1 +\n2)", "kind": "pyspark"}, {"code": "x", "kind": "sql"}]
    assert answer.stdout == "a = 1\ndef f():\n    return a\n(1 +\n2)\nx\n"


def test_a_script_ends_at_its_first_error(server, session):
    session.outputs["bad"] = error("ValueError", "no")
    answer = server.run("session", "attach", "7", stdin="good\nbad\nnever\n")
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "good\n", "ValueError: no\n")
    answer = server.run("session", "attach", "7", stdin=":nosuch\nnever\n")
    assert answer.returncode == 2 and ":kind KIND" in answer.stderr
    assert [body["code"] for body in session.asked] == ["good", "bad"]


def test_a_script_may_end_within_a_statement(server, session):
    assert server.run("session", "attach", "7", stdin="for x in y:\n    x").returncode == 0
    assert session.asked == [{"code": "for x in y:\n    x", "kind": "pyspark"}]


def test_a_shared_session_wants_a_language_first(server):
    session = Session(server, kind="shared")
    answer = server.run("session", "attach", "7", stdin="x\n")
    assert answer.returncode == 2 and "choose one: :kind pyspark" in answer.stderr
    assert server.run("session", "attach", "7", stdin=":kind scala\nx\n").returncode == 0
    assert server.run("session", "attach", "--kind", "r", "7", stdin="y\n").returncode == 0
    assert session.asked == [{"code": "x", "kind": "spark"}, {"code": "y", "kind": "sparkr"}]


# -- attach, at a terminal ----------------------------------------------------------------------------


def test_a_prompt_runs_statements_until_ctrl_d(session, at_terminal):
    session.outputs = {"1 + 1": ok(text_plain="= two"), "1/0": error("ZeroDivisionError", "no")}
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("session 7 (etl), Spark 3.5.7; :help tells more, Ctrl-D leaves\n")
    terminal.enter("1 + 1", "pyspark> ")
    terminal.see("= two\n")
    terminal.enter("1/0", "pyspark> ")
    terminal.see("ZeroDivisionError: no\n")
    terminal.enter("", "pyspark> ")
    terminal.see("pyspark> ")
    terminal.type("\x04")
    assert terminal.wait() == 0
    assert session.view["state"] == "idle"
    assert [body["code"] for body in session.asked] == ["1 + 1", "1/0"]


def test_lines_can_be_edited_and_are_remembered_from_one_time_to_the_next(session, at_terminal, tmp_path):
    terminal = at_terminal("session", "attach", "etl")
    terminal.enter("größe = 12\x7f3", "pyspark> ")  # backspace
    terminal.see("größe = 13\n")
    terminal.enter("second", "pyspark> ")
    terminal.see("second\n")
    terminal.see("pyspark> ")
    terminal.type("\x04")
    assert terminal.wait() == 0
    history = tmp_path / "state/hearth/history"
    assert history.read_text() == "größe = 13\nsecond\n"
    assert history.stat().st_mode & 0o777 == 0o600 and history.parent.stat().st_mode & 0o777 == 0o700
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    terminal.type("\x1b[A\x1b[A\x01x\r")  # up, up, to the beginning
    until(lambda: len(session.asked) == 3, 20, "the statement")
    assert [body["code"] for body in session.asked] == ["größe = 13", "second", "xgröße = 13"]


def test_a_long_history_is_cut_to_its_newest_lines(session, at_terminal, tmp_path):
    history = tmp_path / "state/hearth/history"
    history.parent.mkdir(parents=True)
    history.write_text("".join(f"line {n}\n" for n in range(5000)))
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    lines = history.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("line 4000", "line 4999", 1000)


def test_without_a_folder_for_the_history_the_prompt_works(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl", XDG_STATE_HOME="/proc/nowhere")
    terminal.enter("x", "pyspark> ")
    terminal.see("x\n")
    terminal.see("pyspark> ")


def test_a_statement_of_several_lines(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl")
    terminal.enter("def f():", "pyspark> ")
    terminal.enter("    return 1", "    ...> ")
    terminal.enter("", "    ...> ")
    terminal.enter("f(", "pyspark> ")
    terminal.enter(")", "    ...> ")
    until(lambda: len(session.asked) == 2, 20, "two statements")
    assert [body["code"] for body in session.asked] == ["def f():\n    return 1\n", "f(\n)"]


def test_commands_of_the_prompt(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl")
    terminal.enter(":help", "pyspark> ")
    terminal.see(":kind KIND  change the language")
    terminal.enter(":kind perl", "pyspark> ")
    terminal.see(":kind is one of spark, pyspark, sparkr, sql\n")
    terminal.enter(":bogus", "pyspark> ")
    terminal.see("there are :kind KIND and :help\n")
    terminal.enter(":kind sql", "pyspark> ")
    terminal.enter("SELECT \\", "sql> ")
    terminal.enter("1", "...> ")
    until(lambda: session.asked, 20, "a statement")
    assert session.asked == [{"code": "SELECT \n1", "kind": "sql"}]


def test_ctrl_c_clears_what_was_typed(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    terminal.type("never mind\x03")
    terminal.see("^C\n")
    terminal.enter("f(", "pyspark> ")
    terminal.see("    ...> ")
    terminal.type("\x03")
    terminal.enter("x", "pyspark> ")
    terminal.see("x\n")
    terminal.see("pyspark> ")
    assert [body["code"] for body in session.asked] == ["x"]


def test_ctrl_c_cancels_the_running_statement_and_the_prompt_comes_back(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl")
    terminal.enter("wait", "pyspark> ")
    until(lambda: session.statements, 20, "the statement")
    terminal.type("\x03")
    terminal.see("cancelling; Ctrl-C again leaves the statement to the server\n")
    terminal.enter("wait stubborn", "pyspark> ")
    until(lambda: len(session.statements) == 2, 20, "the statement")
    terminal.type("\x03")
    terminal.see("cancelling")
    terminal.type("\x03")
    terminal.enter("x", "pyspark> ")
    terminal.see("x\n")
    until(lambda: [s["state"] for s in session.statements] == ["cancelled", "cancelling", "available"], 20,
          lambda: f"the third statement: {session.statements}")


def test_tab_completes_names(session, at_terminal):
    def names(body):
        word = re.search(r"\w*$", body["code"][:body["cursor"]])[0]
        return [n for n in ("range", "rangeBetween", "read", "\u001brung") if n.startswith(word) or n < " "]

    session.completions = names
    terminal = at_terminal("session", "attach", "etl")
    terminal.enter("größe(", "pyspark> ")
    terminal.see("    ...> ")
    terminal.type("\tspark.re\t)\r")  # at the beginning of a line Tab indents
    until(lambda: session.asked, 20, "a statement")
    assert session.asked == [{"code": "größe(\n    spark.read)", "kind": "pyspark"}]
    terminal.see("pyspark> ")
    terminal.type("ra\t\t")
    terminal.see("\nrange  rangeBetween  \n")
    terminal.see("pyspark> range")
    terminal.type("B\t\r")
    until(lambda: len(session.asked) == 2, 20, "a statement")
    assert session.asked[1]["code"] == "rangeBetween"
    first = [json.loads(r[3]) for r in session.server.requests if r[1].endswith("/completion")][0]
    assert first == {"code": "größe(\n    spark.re", "kind": "pyspark", "cursor": len("größe(\n    spark.re")}


def test_tab_is_harmless_when_the_driver_does_not_answer(session, at_terminal):
    session.server.routes["POST /sessions/7/completion"] = lambda q, b: (409, {"msg": "Session is in state busy"})
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    terminal.type("x.y\tz\r")
    until(lambda: session.asked, 20, "a statement")
    assert session.asked[0]["code"] == "x.yz"


def test_ctrl_c_ends_a_completion_that_takes_long(session, at_terminal):
    asked, go = threading.Event(), threading.Event()

    def slow(*_):
        asked.set()
        go.wait(60)
        return 200, {"candidates": ["xyz"]}

    session.server.routes["POST /sessions/7/completion"] = slow
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    terminal.type("x\t")
    assert asked.wait(20 * PATIENCE)
    terminal.type("\x03")
    terminal.see("^C\n", timeout=4)
    go.set()
    terminal.enter("ok", "pyspark> ")
    until(lambda: session.asked, 20, "a statement")
    assert session.asked[0]["code"] == "ok"


def test_a_bar_shows_the_progress_of_spark_jobs(session, at_terminal):
    terminal = at_terminal("session", "exec", "etl", "wait")
    until(lambda: session.statements, 20, "the statement")
    session.statements[0]["progress"] = 0.25
    terminal.see("[==========" + " " * 30 + "]  25%")
    session.statements[0]["progress"] = 0.75
    terminal.see(" 75%")
    session.statements[0] |= {"state": "available", "progress": 1.0, "output": ok(text_plain="done")}
    terminal.see("done\n")
    assert terminal.wait() == 0
    assert terminal.raw.endswith(b"\r\x1b[Kdone\r\n")


def test_a_prompt_ends_with_its_session(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    session.die("killed for memory")
    terminal.type("x\r")
    terminal.see("hearth session attach: session 7 (etl) ended as dead: killed for memory\n")
    assert terminal.wait() == 1


def test_the_prompt_survives_a_refused_statement_and_a_resized_terminal(session, at_terminal):
    refuse = [(503, {"msg": "too many"})]
    accept = session.server.routes["POST /sessions/7/statements"]
    session.server.routes["POST /sessions/7/statements"] = lambda q, b: refuse.pop() if refuse else accept(q, b)
    terminal = at_terminal("session", "attach", "etl")
    terminal.enter("x", "pyspark> ")
    terminal.see("hearth session attach: too many\n")
    terminal.see("pyspark> ")
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.type("y\r")
    until(lambda: session.asked, 20, "a statement")
    assert session.asked[0]["code"] == "y"


def test_sigterm_leaves_a_usable_terminal(session, at_terminal):
    terminal = at_terminal("session", "attach", "etl")
    terminal.see("pyspark> ")
    until(lambda: not termios.tcgetattr(terminal.end)[3] & termios.ICANON, 20, "editing")
    terminal.process.terminate()
    assert terminal.wait() == -signal.SIGTERM
    after = termios.tcgetattr(terminal.end)[3]
    assert after & (termios.ICANON | termios.ECHO) == termios.ICANON | termios.ECHO


# -- a real server with real Spark --------------------------------------------------------------------


@pytest.mark.spark
@pytest.mark.every_spark
def test_the_life_of_a_session_through_the_commands(spark_server):
    def hearth(*words, code=0, **more):
        answer = run("session", *words, HEARTH_URL=spark_server.url, **more)
        assert answer.returncode == code, answer.stderr
        return answer.stdout if code == 0 else answer.stderr

    number = hearth("start", "--name", "cli", "--driver-memory", "512m", "-c", "spark.ui.enabled=false").strip()
    try:
        assert hearth("exec", "cli", "a = 20\nspark.range(a).count() + 1") == "21\n"
        rows = [line.split() for line in hearth("exec", "cli", "--kind", "sql",
                                                "SELECT id, NULL AS x FROM range(2)").splitlines()]
        assert rows == [["id", "x"], ["0", "NULL"], ["1", "NULL"]]
        assert "Int = 3" in hearth("exec", "cli", "--kind", "scala", "1 + 2")
        assert hearth("exec", "cli", "1/0", code=1).endswith("ZeroDivisionError: division by zero\n")
        assert hearth("attach", "cli", stdin="for i in range(2):\n    print(i)\n\n:kind sql\nSELECT 5 AS n\n") == \
            "0\n1\nn\n5\n"
        listed = [line.split() for line in hearth("list").splitlines()]
        assert [number, "cli", "pyspark", "idle"] in [row[:4] for row in listed]
        assert hearth("stop", "cli") == "cli: stopped\n"
        assert "session " + number + " (cli) ended as dead" in hearth("exec", "cli", "1", code=1) or \
            "is being ended" in hearth("exec", "cli", "1", code=1)
    finally:
        assert hearth("stop", "--delete", number) == f"{number}: deleted\n"
    assert "not found" in hearth("exec", "cli", "1", code=1)


@pytest.mark.spark
def test_a_prompt_of_a_real_session(spark_server, at_terminal):
    number = run("session", "start", HEARTH_URL=spark_server.url).stdout.strip()
    try:
        terminal = at_terminal("session", "attach", number, HEARTH_URL=spark_server.url)
        terminal.enter("greeting = 'hel' + 'lo'", "pyspark> ")
        terminal.see("pyspark> ")
        terminal.type("greet\t.upp\t()\r")
        terminal.see("HELLO", timeout=60)
        terminal.enter("import time; time.sleep(600)", "pyspark> ")
        until(lambda: spark_server.get(f"/sessions/{number}/state").json()["state"] == "busy", 20, "the statement")
        terminal.type("\x03")
        terminal.see("cancelling")
        terminal.enter("6 * 7", "pyspark> ")
        terminal.see("42\n")
        terminal.see("pyspark> ")
        terminal.type("\x04")
        assert terminal.wait() == 0
    finally:
        spark_server.delete(f"/sessions/{number}")


@pytest.mark.spark
def test_a_real_session_that_expired_tells_when_and_why(spark_server):
    number = run("session", "start", "--ttl", "1s", "--no-wait", HEARTH_URL=spark_server.url).stdout.strip()
    until(lambda: spark_server.get(f"/sessions/{number}").status_code == 404, 60, "the end of the session")
    answer = run("session", "exec", number, "1", HEARTH_URL=spark_server.url)
    assert answer.returncode == 1
    assert re.match(rf"hearth session exec: Session '{number}' not found. It ended at 20\d\d-\S+Z: \w+", answer.stderr)
