"""The agent as a test sees it: hearth's end of the link, and the agent's process.

HearthEnd listens, proves itself, acknowledges, repeats what has no result, and can crash and come
back on another port, as the server does. It checks on the way that the agent keeps to the protocol:
whatever comes against it is in `violations`, which every test finds empty at its end.
"""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

AGENT = Path(__file__).resolve().parents[2] / "agent"
LIMIT_S = 120  # for whatever a test waits for
LINE_LIMIT = 64 << 20

OPENED_PACKAGES = """java.base/java.lang java.base/java.lang.invoke java.base/java.lang.reflect
java.base/java.io java.base/java.net java.base/java.nio java.base/java.util
java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/jdk.internal.ref
java.base/sun.nio.ch java.base/sun.nio.cs java.base/sun.security.action java.base/sun.util.calendar
java.security.jgss/sun.security.krb5""".split()

PLAIN_CONF = {
    "spark.master": "local[2]",
    "spark.app.name": "agent test",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "2",
}


def java_command(home, conf, options=("-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")):
    """The driver's java command line, as hearth makes it from a Spark home."""
    scala_213 = not list(Path(home, "jars").glob("scala-library-2.12*"))
    java = shutil.which("java")
    if "JAVA_HOME" in os.environ:
        java = os.path.join(os.environ["JAVA_HOME"], "bin", "java")
    first = sorted(map(str, Path(home, "jars").glob("slf4j-api-*.jar"))) if scala_213 else []
    command = [java, "-cp", ":".join(first + [os.path.join(home, "jars", "*")]), *options]
    command.append("-XX:+IgnoreUnrecognizedVMOptions")
    if scala_213:
        command += ["--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"]
        command += ["-Dio.netty.allocator.type=pooled"]
    command += ["--add-opens=%s=ALL-UNNAMED" % package for package in OPENED_PACKAGES]
    command += ["-Djdk.reflect.useDirectMethodHandle=false"]
    command += ["-Dio.netty.tryReflectionSetAccessible=true"]
    command.append("org.apache.spark.deploy.SparkSubmit")
    for name, value in conf.items():
        command += ["--conf", "%s=%s" % (name, value)]
    return command + ["pyspark-shell"]


class HearthEnd:
    """One session's server."""

    def __init__(self, folder, session=7):
        self.folder = Path(folder)
        self.session = session
        self.token = os.urandom(32)
        self.address_file = self.folder / "sessions.address"
        self.events = []  # every message of the agent, in order
        self.violations = []
        self.stored = 0  # number of the last durable message that is "on disk"
        self.welcomes = 0
        self.boot = None
        self.acknowledge = True  # False: results are taken, but not acknowledged
        self.reading = threading.Event()  # cleared: nothing more is taken from the connection
        self.reading.set()
        self.refuse = None  # a refusal to answer instead of a welcome
        self.last_seqs = []
        self._open = {}  # what is repeated after each welcome: (type, id) → message
        self._adopt = None
        self._next = {"execute": 0, "job": 1, "request": 0}
        self._listener = None
        self._connection = None
        self._changed = threading.Condition(threading.RLock())

    # ---- life of the server

    def listen(self):
        """Starts, on a port that was not used before."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        text = "127.0.0.1:%d\n" % self._listener.getsockname()[1]
        new = self.address_file.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.address_file)
        _thread(self._accept, self._listener)

    def crash(self):
        """As after kill -9: listener and connections are gone."""
        with self._changed:
            listener, self._listener = self._listener, None
        if listener is not None:
            _hang_up(listener)
        self.drop()

    def drop(self):
        """Only the connection breaks."""
        with self._changed:
            connection, self._connection = self._connection, None
        if connection is not None:
            _hang_up(connection)

    def is_connected(self):
        return self._connection is not None

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            _thread(self._serve, connection)

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, connection.makefile("rb") as lines:
                if self._shake_hands(connection, lines):
                    self._follow(connection, lines)
        except (OSError, ValueError):
            pass

    def _shake_hands(self, connection, lines):
        hello = json.loads(lines.readline(4097))
        self._check(hello["t"] == "hello" and hello["v"] == 1, hello)
        self._check(hello["session"] == self.session, hello)
        self._check(len(hello["nonce"]) == 32 and 16 <= len(hello["boot"]) <= 64, hello)
        nonce = os.urandom(16).hex()
        proof = self._proof("gw", hello["nonce"], nonce)
        _send(connection, {"t": "challenge", "nonce": nonce, "proof": proof})
        auth = json.loads(lines.readline(4097))
        self._check(auth["proof"] == self._proof("agent", nonce, hello["nonce"]), auth)
        with self._changed:
            self.boot = self.boot or hello["boot"]
            self._check(self.boot == hello["boot"], hello)
            self.last_seqs.append(auth["last_seq"])
            if self.refuse is not None:
                _send(connection, self.refuse)
                return False
            _send(connection, {"t": "welcome", "ack": self.stored})
            self.welcomes += 1
            self._connection = connection
            for message in ([self._adopt] if self._adopt else []) + list(self._open.values()):
                _send(connection, message)
            self._changed.notify_all()
        return True

    def _proof(self, who, first, second):
        text = "%s|%d|%s|%s" % (who, self.session, first, second)
        return hmac.new(self.token, text.encode(), hashlib.sha256).hexdigest()

    def _follow(self, connection, lines):
        while True:
            line = lines.readline(LINE_LIMIT + 1)
            if not line.endswith(b"\n"):
                self._check(len(line) <= LINE_LIMIT, "a line that is too long")
                return
            message = json.loads(line, parse_constant=self._no_constant)
            message["_at"] = time.time()
            self.reading.wait(LIMIT_S)
            with self._changed:
                if self._connection is not connection:
                    return  # what comes after a crash is not read
                self._take(connection, message)
                self._changed.notify_all()

    def _no_constant(self, name):
        self._check(False, "%s is not JSON" % name)

    def _take(self, connection, message):
        number = message.get("seq")
        if number is not None:
            if number <= self.stored:
                return
            self._check(number == self.stored + 1, "%r after %d" % (message, self.stored))
            self.stored = number
        if message["t"] in ("result", "job_result"):
            kind = "execute" if message["t"] == "result" else "job"
            known = self._open.pop((kind, message["id"]), None)
            self._check(known is not None, "a second result: %r" % message)
        self.events.append(message)
        if number is not None and self.acknowledge:
            _send(connection, {"t": "ack", "n": number})

    def _check(self, good, what):
        if not good:
            self.violations.append(what)

    # ---- what tests do

    def send(self, message):
        """Lost when there is no connection, as in hearth."""
        with self._changed:
            if self._connection is not None:
                try:
                    _send(self._connection, message)
                except OSError:
                    pass

    def execute(self, code, kind="pyspark"):
        """Hands in a statement; its number."""
        return self._hand_in("execute", kind=kind, code=code)

    def job(self, function, kind="pyspark"):
        """Hands in a job: a pickle as bytes."""
        return self._hand_in("job", type=kind, job=base64.b64encode(function).decode())

    def _hand_in(self, what, **fields):
        with self._changed:
            number = self._next[what]
            self._next[what] += 1
            message = dict(fields, t=what, id=number)
            self._open[what, number] = message
            self.send(message)
            return number

    def cancel(self, number, timeout_ms=30000):
        self.send({"t": "cancel", "id": number, "timeout": timeout_ms})

    def adopt(self, conf, kind="pyspark"):
        with self._changed:
            self._adopt = {"t": "adopt", "kind": kind, "conf": conf}
            self.send(self._adopt)

    def complete(self, code, kind="pyspark", cursor=None):
        """The candidates."""
        cursor = len(code) if cursor is None else cursor
        answer = self._request("complete", "completions", kind=kind, code=code, cursor=cursor)
        return answer["candidates"]

    def add(self, what, uri):
        """None, or why the agent could not."""
        answer = self._request("add", "added", what=what, uri=str(uri))
        assert answer["ok"] == (answer["error"] is None)
        return answer["error"]

    def _request(self, asked, answer, **fields):
        with self._changed:
            self._next["request"] += 1
            number = self._next["request"]
            self.send(dict(fields, t=asked, rid=number))
        return self.wait(answer, rid=number)

    def wait(self, kind, limit_s=LIMIT_S, after=0, **fields):
        """The first message of this type with these fields, from event `after` on."""

        def find():
            for message in self.events[after:]:
                if message["t"] == kind and all(message[k] == v for k, v in fields.items()):
                    return message
            return None

        return self.until(find, "%s %s" % (kind, fields or ""), limit_s)

    def until(self, condition, what, limit_s=LIMIT_S):
        """Waits until `condition()` is true, and returns it."""
        end = time.monotonic() + limit_s
        with self._changed:
            while True:
                found = condition()
                if found:
                    return found
                if time.monotonic() > end:
                    raise AssertionError("never came: %s; last: %r" % (what, self.events[-3:]))
                self._changed.wait(0.05)

    def result(self, number, limit_s=LIMIT_S):
        """The result message of a statement."""
        return self.wait("result", limit_s, id=number)

    def run(self, code, kind="pyspark", limit_s=LIMIT_S):
        """The output of a statement."""
        return self.result(self.execute(code, kind), limit_s)["output"]

    def text(self, code, kind="pyspark", limit_s=LIMIT_S):
        """What a statement that must succeed prints."""
        output = self.run(code, kind, limit_s)
        assert output["status"] == "ok", output
        return output["data"]["text/plain"]

    def of_type(self, kind):
        with self._changed:
            return [message for message in self.events if message["t"] == kind]


class Agent:
    """The agent's process, in a process group of its own as under the guard."""

    def __init__(
        self, end, home, conf=None, kind="pyspark", java=None, environment=None, **settings
    ):
        self.end = end
        self.folder = end.folder / "work"
        self.folder.mkdir()
        self.log_file = end.folder / "log"
        config = {
            "session": end.session,
            "token": end.token.hex(),
            "addressFile": str(end.address_file),
            "sparkHome": str(home),
            "kind": kind,
            "java": java or java_command(str(home), dict(PLAIN_CONF, **(conf or {}))),
            "warm": None,
            "idleWithContext": False,
            "sqlRows": 1000,
            "outputLimit": 16 << 20,
            "spoolLimit": 64 << 20,
            "orphanTimeoutMs": 3600000,
        }
        self.config_file = end.folder / "session.json"
        self.config_file.write_text(json.dumps(dict(config, **settings)))
        self.config_file.chmod(0o600)
        with open(self.log_file, "wb") as log:
            self.started = time.time()
            self.process = subprocess.Popen(
                [sys.executable, str(AGENT), str(self.config_file)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(os.environ, PYTHONHASHSEED="0", **(environment or {})),
                start_new_session=True,
            )
        self.group = self.process.pid

    def log(self):
        return self.log_file.read_text(errors="replace")

    def child_pid(self):
        """The JVM's process, or that of its stand-in."""
        return self.end.until(lambda: _children(self.process.pid), "a child")[0]

    def ends(self, limit_s=30):
        """Waits for the end; the exit code, negative for a signal."""
        return self.process.wait(limit_s)

    def group_is_gone(self, limit_s=30):
        """Waits until no process of the group is left."""
        self.end.until(lambda: not _group_members(self.group), "the end of all processes", limit_s)

    def shut_down(self):
        self.end.send({"t": "shutdown"})
        code = self.ends(60)
        assert code == 0, self.log()
        self.group_is_gone()

    def kill(self):
        """The end of a test."""
        try:
            os.killpg(self.group, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(30)


def _send(connection, message):
    connection.sendall(json.dumps(message).encode() + b"\n")


def _hang_up(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def _thread(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _children(pid):
    try:
        text = Path("/proc/%d/task/%d/children" % (pid, pid)).read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _group_members(group):
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(entry.name))
    return members
