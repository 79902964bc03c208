"""An interactive session of a server under test: what clients do with it, as short calls."""

import json
import os
from pathlib import Path

from harness import until

ENDS = ("dead", "error", "killed", "success")
DONE = ("available", "cancelled")

# What POST /sessions and connect answer with: no key more, no key less.
SESSION_KEYS = {
    "id", "name", "appId", "owner", "proxyUser", "state", "kind", "appInfo", "log", "ttl", "idleTimeout", "driverMemory",
    "driverCores", "executorMemory", "executorCores", "conf", "archives", "files", "heartbeatTimeoutInSecond", "jars",
    "numExecutors", "pyFiles", "queue",
}
STATEMENT_KEYS = {"id", "code", "state", "output", "progress", "started", "completed"}


class Session:
    def __init__(self, server, session_id):
        self.server, self.id = server, session_id

    def __repr__(self):
        return f"<session {self.id}>"

    # -- requests ---------------------------------------------------------------------------------

    def request(self, method, path="", **more):
        return self.server.request(method, f"/sessions/{self.id}{path}", **more)

    def get(self, path="", **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def answer(self, path="", **more):
        """The JSON of a GET that must succeed."""
        answer = self.get(path, **more)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()

    # -- the session ------------------------------------------------------------------------------

    def view(self):
        return self.answer()

    def state(self):
        return self.answer("/state")["state"]

    def log(self, size=-1, **params):
        return self.answer("/log", params={"size": size, **params})["log"]

    def record(self):
        """All that hearth knows of it, also when it is not listed any more."""
        answer = self.server.get(f"/hearth/sessions/{self.id}")
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def wait_state(self, states, timeout=60):
        """Its view once it is in one of the states; a failure shows where it went instead."""
        states = (states,) if isinstance(states, str) else states

        def arrived():
            state = self.state()
            if state in states:
                return self.view()
            if state in ENDS:
                view = self.view()
                raise AssertionError(f"{self} is {state}, not {states}: {view.get('reason')}\n{view.get('diagnosis')}\n"
                                     + "\n".join(self.log()[-40:]))
            return None

        return until(arrived, timeout, lambda: f"{self} {states}, it is {self.view()}")

    def wait_end(self, timeout=30):
        return self.wait_state(ENDS, timeout)

    def delete(self):
        answer = self.request("DELETE")
        assert (answer.status_code, answer.json()) == (200, {"msg": "deleted"}), answer.text

    # -- statements -------------------------------------------------------------------------------

    def submit(self, code, kind=None, **more):
        """Posts a statement that must be accepted, without waiting for anything."""
        answer = self.post("/statements", json={"code": code} if kind is None else {"code": code, "kind": kind}, **more)
        assert answer.status_code == 201, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def statement(self, number):
        return self.answer(f"/statements/{number}")

    def wait(self, statement, timeout=60, states=DONE):
        number = statement["id"]

        def arrived():
            now = self.statement(number)
            return now if now["state"] in states else None

        return until(arrived, timeout, lambda: f"statement {number} of {self}, it is {self.statement(number)}")

    def run(self, code, kind=None, timeout=60):
        """Runs a statement to its end."""
        return self.wait(self.submit(code, kind), timeout)

    def output(self, code, kind=None, timeout=60):
        ended = self.run(code, kind, timeout)
        assert ended["state"] == "available", ended
        return ended["output"]

    def data(self, code, kind=None, timeout=60):
        """What a statement that succeeds shows: {type: value}."""
        output = self.output(code, kind, timeout)
        assert set(output) == {"status", "execution_count", "data"} and output["status"] == "ok", output
        return output["data"]

    def text(self, code, kind=None, timeout=60):
        data = self.data(code, kind, timeout)
        assert set(data) == {"text/plain"}, data
        return data["text/plain"]

    def error(self, code, kind=None, timeout=60):
        """The output of a statement that fails."""
        output = self.output(code, kind, timeout)
        assert output["status"] == "error", output
        assert set(output) == {"status", "execution_count", "ename", "evalue", "traceback"}, output
        assert all(isinstance(line, str) for line in output["traceback"])
        return output

    def table(self, query):
        """The rows of a SQL statement."""
        return self.data(query, "sql")["application/json"]["data"]

    # -- processes --------------------------------------------------------------------------------

    def driver_pid(self):
        """The process that the guard follows: hearth's agent."""
        return until(lambda: self.record()["pid"], 30, f"a pid of {self}")

    def jvm_pid(self):
        """The JVM beside it: its child that runs SparkSubmit."""
        driver = self.driver_pid()
        return until(lambda: next((p for p in children(driver) if b"SparkSubmit" in command_line(p)), None), 30,
                     f"a JVM of {self}")


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry))
    return found


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def create(server, **body):
    """Posts a session that must be accepted; it is starting."""
    body.setdefault("driverMemory", "512m")
    answer = server.post("/sessions", json=body)
    assert answer.status_code == 201, f"{answer.status_code}: {answer.text}"
    return Session(server, answer.json()["id"])


def open_session(server, **body):
    """A session that is idle."""
    session = create(server, **body)
    session.wait_state("idle")
    return session


def file_lines(path):
    """The lines of a file that statements append to; none when there is no file yet."""
    try:
        return Path(path).read_text().splitlines()
    except FileNotFoundError:
        return []


def appending(path, word):
    """Python code with a side effect that can be counted."""
    return f"with open({json.dumps(str(path))}, 'a') as f: written = f.write({json.dumps(word + chr(10))})"
