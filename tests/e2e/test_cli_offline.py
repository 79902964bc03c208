"""The commands without a real server: help, configuration, mistakes, and a server made of Python that
answers what it is told to, so that broken connections and odd answers can be played."""

import json
import re
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fake_server import Server, environment, run
from harness import BINARY, PATIENCE, free_port, until

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = ("serve", "submit", "ps", "logs", "kill", "session", "status", "relation", "cron", "config", "doctor", "version")
RELATION_COMMANDS = tuple(f"relation {c}" for c in (
    "hook", "states", "get", "publish", "send-master", "send-rest-port", "set-started", "clear-started"))
SESSION_COMMANDS = tuple(f"session {c}" for c in ("start", "list", "stop", "exec", "attach"))


# -- help and mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", (*COMMANDS, *SESSION_COMMANDS, *RELATION_COMMANDS))
def test_every_command_has_help_with_examples(command):
    for words in ((*command.split(), "--help"), ("help", *command.split())):
        answer = run(*words)
        assert answer.returncode == 0
        assert f"usage: hearth {command}" in answer.stdout
        assert f"  hearth {command}" in answer.stdout.split("examples:")[1]
        assert max(len(line) for line in answer.stdout.splitlines()) <= 110


def test_help_lists_the_commands_and_exit_codes():
    answer = run("--help")
    assert answer.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in answer.stdout
    assert "exit codes:" in answer.stdout
    assert run().returncode == 2


@pytest.mark.parametrize("wrong, right", [("sumbit", "submit"), ("server", "serve"), ("lgos", "logs")])
def test_a_mistyped_command_is_answered_with_the_right_one(wrong, right):
    answer = run(wrong)
    assert answer.returncode == 2
    assert f"unknown command '{wrong}'; did you mean '{right}'?" in answer.stderr


@pytest.mark.parametrize("words, said", [
    (("ps", "--al"), "unknown option --al; did you mean --all?"),
    (("ps", "7"), "too many words"),
    (("logs",), "something is missing: hearth logs [options] ID"),
    (("logs", "-n", "x", "7"), "--lines: 'x' is not a whole number"),
    (("submit",), "which application?"),
    (("submit", "nosuch.py"), "nosuch.py: there is no such file in"),
    (("submit", "--supervise", "/a.py"), "--supervise needs --deploy-mode cluster"),
    (("submit", "--kill", "7"), "hearth kill ID"),
    (("submit", "--confg", "a=b", "/a.py"), "unknown option --confg; did you mean --conf?"),
])
def test_a_wrong_command_line_is_exit_2_with_words(words, said):
    answer = run(*words)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize("words", [("ps",), ("logs", "1"), ("kill", "1"), ("status",), ("submit", "/a.py")])
def test_no_server_is_exit_3_with_what_to_do(words):
    port = free_port()
    answer = run(*words, HEARTH_URL=f"http://127.0.0.1:{port}/")
    assert answer.returncode == 3
    assert answer.stderr == (f"hearth {words[0]}: no hearth answers at http://127.0.0.1:{port} "
                             "(Connection refused): start one with `hearth serve`\n")


def test_version_needs_no_server():
    answer = run("--version", HEARTH_URL=f"http://127.0.0.1:{free_port()}")
    assert answer.returncode == 0
    assert re.fullmatch(r"hearth \d+\.\d+\.\d+\n", answer.stdout)


# -- configuration ------------------------------------------------------------------------------------


def effective(*words, **env):
    answer = run("config", "--json", *words, **env)
    assert answer.returncode == 0, answer.stderr
    return {row["key"]: (row["value"], row["origin"]) for row in json.loads(answer.stdout)}


def test_each_place_wins_over_the_one_before(tmp_path):
    file = tmp_path / "hearth.yaml"
    file.write_text("server:\n  connections: 20\n  depth_limit: 20\n  listen: 127.0.0.1:20\nadmission.queue: 20\n")
    values = effective("--config", file, "--set", "server.depth_limit=40", "--listen", "127.0.0.1:50",
                       HEARTH_SERVER_CONNECTIONS="30", HEARTH_SERVER_DEPTH_LIMIT="30")
    assert values["retain.count"] == ("10000", "default")
    assert values["admission.queue"] == ("20", f"file {file} line 5")
    assert values["server.connections"] == ("30", "environment HEARTH_SERVER_CONNECTIONS")
    assert values["server.depth_limit"] == ("40", "--set")
    assert values["server.listen"] == ("127.0.0.1:50", "--listen")


def test_the_file_may_be_named_by_the_environment(tmp_path):
    file = tmp_path / "named.yaml"
    file.write_text("admission: {queue: 5}\n")
    assert effective(HEARTH_CONFIG=str(file))["admission.queue"][0] == "5"


def test_variables_of_others_are_left_alone():
    effective(HEARTH_URL="http://x", HEARTH_USER="ada", HEARTH_PORT_8998_TCP="tcp://10.0.0.1:8998",
              HEARTH_SERVICE_HOST="10.0.0.1")


@pytest.mark.parametrize("text, said", [
    ("server:\n  lissten: x\n", "{file} line 2: unknown key 'server.lissten'; did you mean 'server.listen'?"),
    ("driver:\n\n  log_size: 12 parsecs\n", "{file} line 3: driver.log_size: '12 parsecs' is not a size: "
     "a whole number with k, m, g or t, as in 512m or 2g"),
    ("server.listen: a\nserver: {listen: b}\n", "{file} line 2: server.listen was already set in line 1"),
])
@pytest.mark.parametrize("command", ["config", "serve", "doctor"])
def test_a_wrong_file_is_exit_2_with_line_and_remedy(tmp_path, command, text, said):
    file = tmp_path / "hearth.yaml"
    file.write_text(text)
    answer = run(command, "--config", file)
    assert answer.returncode == 2
    assert answer.stderr == f"hearth {command}: {said.format(file=file)}\n"


def test_the_example_is_a_valid_file(tmp_path):
    example = run("config", "--example").stdout
    file = tmp_path / "hearth.yaml"
    file.write_text(re.sub(r"^  #(\w)", r"  \1", example, flags=re.M))
    values = effective("--config", file)
    assert all(origin.startswith(f"file {file}") for _, origin in values.values())
    assert {k: v for k, (v, _) in values.items()} == {k: v for k, (v, _) in effective().items()}


def test_the_pages_about_settings_and_commands_are_up_to_date():
    assert run("config", "--markdown").stdout == (ROOT / "docs/configuration.md").read_text()
    sections = dict(part.split("\n", 1) for part in (ROOT / "docs/cli.md").read_text().split("\n## ")[1:])
    shared = sections["What all commands share"]
    for command in (*COMMANDS, *SESSION_COMMANDS, *RELATION_COMMANDS):
        told = sections[f"hearth {command}"] + shared
        words = command.split()
        options = set(re.findall(r"--[a-z][a-z-]+", run(*words, "--help").stdout.split("examples:")[0]))
        missing = [option for option in options if option not in told]
        assert not missing, f"docs/cli.md does not tell {missing} of hearth {command}"


# -- doctor -------------------------------------------------------------------------------------------


def diagnosis(*words, **env):
    answer = run("doctor", "--json", *words, **env)
    findings = {f["check"]: f for f in json.loads(answer.stdout)}
    assert (answer.returncode == 1) == any(f["result"] == "fail" for f in findings.values())
    assert all(f["mend"] for f in findings.values() if f["result"] == "fail")
    return findings


def test_doctor_tells_a_taken_port_from_a_free_one(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert diagnosis("--listen", f"127.0.0.1:{free_port()}")["port"]["result"] == "ok"
        taken.close()
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        listen = f"127.0.0.1:{other.server_port}"
        assert diagnosis("--listen", listen)["port"]["result"] == "fail"
        other.shutdown()


def test_doctor_wants_a_folder_that_can_be_written(tmp_path):
    fine = diagnosis("--state", tmp_path / "new" / "below")["disk"]
    assert fine["result"] in ("ok", "warn") and not (tmp_path / "new").exists()
    file = tmp_path / "file"
    file.write_text("")
    assert diagnosis("--state", file / "below")["disk"]["result"] == "fail"


def test_doctor_misses_spark(tmp_path):
    found = diagnosis("--set", f"spark.home={tmp_path}")
    assert found["spark"]["result"] == "fail"
    assert "SPARK_HOME" in found["spark"]["mend"]


def test_doctor_misses_python(tmp_path):
    assert diagnosis(PYSPARK_PYTHON=str(tmp_path / "python9"))["python"]["result"] == "warn"


# -- a server made of Python --------------------------------------------------------------------------


@pytest.fixture
def server():
    s = Server()
    yield s
    s.stop()


def test_submit_prints_both_streams_and_ends_well(server):
    server.application([("stdout", "out 1"), ("stderr", "err"), ("stdout", "ä € \u0000 \t2"), ("stdout", "")])
    answer = server.run("submit", "--master", "local", "/a.py", "-x", "1")
    assert answer.returncode == 0
    assert answer.stdout == "out 1\nä € \u0000 \t2\n\n"
    assert answer.stderr == "hearth submit: this is application 7\nerr\n"
    assert server.bodies("POST", "/batches") == [
        {"file": "/a.py", "master": "local", "args": ["-x", "1"], "conf": {}}]


@pytest.mark.parametrize("exit_code, expected", [(5, 5), (None, 1), (0, 1), (300, 1)])
def test_submit_ends_as_the_application_ended(server, exit_code, expected):
    server.application([], "dead", {"summary": "it fell over", "exitCode": exit_code})
    answer = server.run("submit", "/a.py")
    assert answer.returncode == expected
    assert "application 7 ended as dead: it fell over\n" in answer.stderr


def test_submit_detached_prints_the_number_alone(server):
    server.application([])
    answer = server.run("submit", "--detach", "/a.py")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "7\n", "")
    answer = server.run("submit", "-d", "--json", "/a.py")
    assert json.loads(answer.stdout)["id"] == 7


def test_a_post_whose_answer_is_lost_is_repeated_with_the_same_key(server):
    server.application([])
    accepted = server.routes["POST /batches"]
    answers = [lambda q, b: None, lambda q, b: None, accepted]
    server.routes["POST /batches"] = lambda q, b: answers.pop(0)(q, b)
    assert server.run("submit", "-d", "/a.py").stdout == "7\n"
    keys = {headers["Idempotency-Key"] for method, _, _, _, headers in server.requests if method == "POST"}
    assert len(keys) == 1 and not answers


def test_a_taken_name_is_given_to_spark_only(server):
    server.application([])

    def create(_, body):
        if "name" in json.loads(body):
            return 400, {"msg": "Rejected, Reason: Duplicate session name: Some(etl) for session 3"}
        return 201, {"id": 7}

    server.routes["POST /batches"] = create
    answer = server.run("submit", "-d", "--name", "etl", "/a.py")
    assert answer.stdout == "7\n"
    assert "the name 'etl' is taken" in answer.stderr
    assert server.bodies("POST", "/batches")[1]["conf"] == {"spark.app.name": "etl"}


def test_a_refused_submission_is_exit_1_with_the_servers_words(server):
    server.routes["POST /batches"] = lambda q, b: (400, {"msg": "Rejected, Reason: no\u001b[31m thanks"})
    answer = server.run("submit", "/a.py")
    assert answer.returncode == 1
    assert answer.stderr == "hearth submit: Rejected, Reason: no?[31m thanks\n"


class Running:
    """A command that is at work while the test plays the server's part."""

    def __init__(self, server, folder, *words):
        self.out, self.err = folder / "out", folder / "err"
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen([BINARY, *words], env=environment(HEARTH_URL=server.url),
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def end(self):
        code = self.process.wait(timeout=60 * PATIENCE)
        return code, self.out.read_text(), self.err.read_text()


@pytest.fixture
def start(server, tmp_path):
    made = []

    def run_beside(*words):
        made.append(Running(server, tmp_path, *words))
        return made[-1]

    yield run_beside
    for command in made:
        command.process.kill()
        command.process.wait()


def grow(server):
    """An application whose log grows and which ends when the test says so."""
    log = {"lines": [], "state": "running", "ended": False}

    def answer(query, _):
        first = int(query["from"])
        return 200, {"total": len(log["lines"]), "state": log["state"], "ended": log["ended"],
                     "lines": [{"n": n, "stream": "stdout", "text": t}
                               for n, t in enumerate(log["lines"])][first:]}

    record = server.application([])
    server.routes["GET /hearth/batches/7/log"] = answer
    return log, record


def test_following_survives_a_restart_of_the_server(server, start):
    log, _ = grow(server)
    log["lines"] = ["one"]
    command = start("submit", "/a.py")
    until(lambda: any("/log" in r[1] for r in server.requests), 10, "the log to be asked for")
    server.stop()
    log["lines"] = ["one", "two"]
    until(lambda: "the server has gone away; waiting for it" in command.err.read_text(), 20, "a notice")
    log |= {"state": "success", "ended": True}
    server.start()
    code, out, _ = command.end()
    assert (code, out) == (0, "one\ntwo\n")


def test_ctrl_c_ends_the_application_and_waits_for_that(server, start):
    log, record = grow(server)

    def kill(*_):
        log["lines"].append("last words")
        log.update(state="killed", ended=True)
        record["state"] = "killed"
        return 200, {"msg": "killing"}

    server.routes["POST /hearth/batches/7/kill"] = kill
    command = start("submit", "/a.py")
    until(lambda: any("/log" in r[1] for r in server.requests), 10, "the log to be asked for")
    command.process.send_signal(signal.SIGINT)
    code, out, err = command.end()
    assert code == 130
    assert out == "last words\n"
    assert "ending application 7" in err and "ended as killed" in err


def test_submit_tells_why_the_application_waits(server, start):
    log, _ = grow(server)
    log["state"] = "starting"
    server.routes["GET /batches/7"] = lambda q, b: (200, {"id": 7, "reason": "waits for 2g of memory"})
    command = start("submit", "/a.py")
    until(lambda: sum(r[1] == "/batches/7" for r in server.requests) > 1, 10, "the reason to be asked for")
    log |= {"state": "success", "ended": True}
    _, _, err = command.end()
    assert err.count("hearth: waiting: waits for 2g of memory\n") == 1


def test_logs_chooses_streams_and_lines(server):
    server.application([("stdout", "a"), ("stderr", "b"), ("stdout", "c")])
    assert server.run("logs", "7").stdout == "a\nc\n"
    assert server.run("logs", "7").stderr == "b\n"
    assert server.run("logs", "--stdout", "-n", "1", "7").stdout == "c\n"
    assert server.run("logs", "7", "--stderr").stderr == "b\n"
    assert server.run("logs", "-n0", "7").stdout == ""
    lines = [json.loads(line) for line in server.run("logs", "--json", "7").stdout.splitlines()]
    assert [(line["n"], line["text"]) for line in lines] == [(0, "a"), (1, "b"), (2, "c")]


def test_ps_shows_the_living_and_with_all_the_ended(server):
    batches = [{"id": n, "name": f"job {n}", "state": state, "appId": f"local-{n}", "master": "local[*]",
                "createdAt": "2026-11-21T08:00:00.000Z", "startedAt": None, "endedAt": None, "reason": None}
               for n, state in enumerate(["success", "running", "dead", "starting"] * 300)]

    def page(query, _):
        first = int(query["from"])
        return 200, {"from": first, "total": len(batches), "sessions": batches[first:first + int(query["size"])]}

    server.routes["GET /batches"] = page
    lines = server.run("ps").stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "STATE", "APPLICATION-ID", "MASTER", "AGE", "TIME", "REASON"]
    assert len(lines) == 601 and lines[1].split()[:4] == ["1", "job", "1", "running"]
    assert "\033" not in server.run("ps").stdout
    everything = json.loads(server.run("ps", "-a", "--json").stdout)
    assert everything["total"] == 1200 and everything["sessions"] == batches


def test_control_characters_in_names_do_not_reach_the_terminal(server):
    server.routes["GET /batches"] = lambda q, b: (200, {"total": 1, "sessions": [
        {"id": 1, "name": "\u001b[2Jgone", "state": "running"}]})
    assert "?[2Jgone" in server.run("ps").stdout


def test_kill_goes_on_after_a_failure(server):
    server.application([])
    answer = server.run("kill", "nobody", "7")
    assert answer.returncode == 1
    assert answer.stdout == "7: killing\n"
    assert "hearth kill: no /hearth/batches/nobody/kill" in answer.stderr
    assert server.run("kill", "--forget", "7").stdout == "7: deleted\n"


def test_names_are_escaped_in_urls(server):
    server.run("status", "a b/ä")
    assert server.requests[0][1] == "/hearth/batches/a%20b%2F%C3%A4"


def test_status_tells_the_diagnosis_first(server):
    record = server.application([], "dead", {"summary": "killed for memory", "exitCode": None, "signal": "SIGKILL",
                                             "killedForMemory": True, "maxMemory": 1 << 30, "lastErrors": ["boom"]},
                                name="etl")
    record["history"] = [{"at": "2026-11-21T08:00:00.000Z", "state": "waiting", "reason": None},
                         {"at": "2026-11-21T08:00:02.500Z", "state": "dead", "reason": "oom"}]
    lines = server.run("status", "7").stdout.splitlines()
    assert lines[0] == "application 7 (etl): dead"
    assert lines[1].split() == ["diagnosis", "killed", "for", "memory"]
    assert any("1.0 GiB" in line for line in lines) and any("+2s" in line and "oom" in line for line in lines)
    assert json.loads(server.run("status", "--json", "7").stdout) == record


def test_who_asks_is_told(server):
    server.run("ps", "--user", "ada")
    server.run("ps", HEARTH_USER="ada:s3cret")
    plain, basic = server.requests
    assert plain[2]["user.name"] == "ada"
    assert basic[4]["Authorization"] == "Basic YWRhOnMzY3JldA==" and "user.name" not in basic[2]


@pytest.mark.parametrize("status, body, said", [
    (401, b"", "--user NAME[:PASSWORD] or HEARTH_USER"),
    (403, b"{}", "you are not allowed to do that"),
    (500, b"<html>", "answered HTTP status 500: is it a hearth?"),
    (200, b"<html>", "answered something that is not JSON: is it a hearth?"),
])
def test_odd_answers_are_exit_1_with_words(server, status, body, said):
    server.routes["GET /hearth/status"] = lambda q, b: (status, body)
    answer = server.run("status")
    assert answer.returncode == 1
    assert said in answer.stderr


def test_a_wrong_url_is_told():
    answer = run("ps", "--server", "ftp://here")
    assert answer.returncode == 1
    assert "'ftp://here' is not a server's URL" in answer.stderr
