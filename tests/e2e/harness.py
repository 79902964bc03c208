"""One real hearth server that a test owns, with its own state folder and port, and ways to break it.

    HEARTH_BIN           the program under test (default: build/hearth of this tree)
    SPARK_HOME           the Spark that all tests use
    HEARTH_SPARK_HOMES   several, with ':' between them; tests marked `every_spark` run on each,
                         all others on the first
    HEARTH_CLUSTER_SPARK_HOMES   of the clusters that tests marked `every_cluster` start (default: HEARTH_SPARK_HOMES)
    HEARTH_TEST_WRAP     a command put before the server's own, such as "valgrind -q --error-exitcode=99"
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import requests

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
FAKE_JAVA_HOME = HERE / "fake_java"
BINARY = Path(os.environ.get("HEARTH_BIN", HERE.parent.parent / "build" / "hearth")).absolute()
# Everything under a memory checker is slower; limits that a healthy run never meets may be generous.
PATIENCE = float(os.environ.get("HEARTH_TEST_PATIENCE", "1"))

# A program built with a sanitizer holds several times the memory.
SANITIZED = BINARY.exists() and b"__asan_init" in BINARY.read_bytes()

FINAL = ("success", "dead", "killed")

# An environment variable of the server, which its guards and drivers inherit: how a test finds what
# belongs to it among all processes of the machine.
MARK = "E2E_STATE_DIR"

SANITIZER = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|==\d+==\s*(ERROR|Invalid|Conditional|definitely)"
)


def spark_homes():
    homes = [h for h in os.environ.get("HEARTH_SPARK_HOMES", "").split(":") if h]
    if os.environ.get("SPARK_HOME"):
        homes = [os.environ["SPARK_HOME"]] + [h for h in homes if h != os.environ["SPARK_HOME"]]
    return homes


def cluster_homes():
    return [h for h in os.environ.get("HEARTH_CLUSTER_SPARK_HOMES", "").split(":") if h] or spark_homes()


def program(name):
    return str(PROGRAMS / name)


def fake(*args):
    """The body of a batch that the fake java of this folder runs (see fake_java/bin/java)."""
    return {"file": program("fake.py"), "args": [str(a) for a in args]}


def until(condition, timeout, what):
    """The first true value of condition(), or a failure that says what was waited for."""
    deadline = time.monotonic() + timeout * PATIENCE
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout * PATIENCE:g} s: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def process_state(pid):
    """The letter of /proc/PID/stat ("Z" for a zombie), None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def alive(pid):
    return process_state(pid) not in (None, "Z", "X")


def marked_processes(state_dir):
    """{pid: command line} of the living processes that carry this state folder's mark."""
    mark = f"{MARK}={state_dir}".encode()
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            if mark not in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                continue
            if alive(entry):
                command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry)] = command.decode(errors="replace").strip()
    return found


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no VmRSS of process {pid}")


class Hearth:
    """settings: {"admission.memory": "2g", …}; environment: more variables for the server."""

    def __init__(self, folder, spark_home, settings=None, java_home=None, environment=None, state_dir=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state_dir = Path(state_dir) if state_dir else self.folder / "state"
        self.spark_home = spark_home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "server.listen": f"127.0.0.1:{self.port}",
            "server.state_dir": str(self.state_dir),
            "spark.home": spark_home,
            "spark.master": "local[1]",
            "spark.local_dirs": f"{PROGRAMS},{self.folder},{spark_home}",
            "driver.stop_grace": "1s",
            "driver.term_grace": "2s",
        }
        if java_home:
            self.settings["spark.class_data_archive"] = "false"
        self.settings.update(settings or {})
        self.java_home = java_home
        self.environment = environment or {}
        self.stderr_path = self.folder / "server.err"
        self.process = None
        self.expected_errors = []
        self.fds_at_start = 0
        self.fds_kept = 4  # so many more may be open in the end
        self.http = requests.Session()
        self.http.trust_env = False  # no proxies

    # -- the process ------------------------------------------------------------------------------

    def command(self):
        wrap = shlex.split(os.environ.get("HEARTH_TEST_WRAP", ""))
        sets = [f"--set={key}={value}" for key, value in self.settings.items()]
        return wrap + [str(BINARY), "serve"] + sets

    def child_environment(self):
        # hearth refuses HEARTH_… variables that it does not know.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HEARTH_", "SPARK_"))}
        env[MARK] = str(self.state_dir)
        env["PYSPARK_PYTHON"] = "/usr/bin/python3"
        env["SPARK_LOCAL_IP"] = "127.0.0.1"
        if self.java_home:
            env["JAVA_HOME"] = str(self.java_home)
        env.update(self.environment)
        return env

    def launch(self, preexec=None):
        """Starts the process without waiting for anything."""
        with open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                env=self.child_environment(), preexec_fn=preexec, cwd=self.folder,
            )
        return self

    def take_archive(self, other):
        """Before the start: finds the archive of Spark's classes that another server has made, instead of making its own."""
        folder = self.state_dir / "archives"
        folder.mkdir(mode=0o700, parents=True)
        self.state_dir.chmod(0o700)
        for archive in (other.state_dir / "archives").glob("*.jsa"):
            os.link(archive, folder / archive.name)

    def start(self, preexec=None):
        assert self.process is None, "already running"
        self.launch(preexec)
        self.wait_ready()
        self.fds_at_start = self.fds()
        return self

    def wait_ready(self, timeout=15):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.stderr()[-3000:]}")
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(self.url + "/healthz", timeout=5, proxies={"http": ""}).status_code == 200

        until(answers, timeout, lambda: f"the server to answer; it said:\n{self.stderr()[-3000:]}")

    def wait_end(self, timeout=15):
        """The exit code of a server that ends by itself."""
        code = self.process.wait(timeout * PATIENCE)
        self.process = None
        return code

    def stop(self):
        """SIGTERM; a clean end is exit code 0."""
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15 * PATIENCE)
        self.process = None
        assert code == 0, f"the server ended with {code} after SIGTERM:\n{self.stderr()[-3000:]}"

    def kill9(self):
        self.http.close()
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.kill9()
        return self.start()

    @property
    def pid(self):
        return self.process.pid

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def processes(self):
        """Guards, drivers and their children, without the server itself."""
        found = marked_processes(self.state_dir)
        if self.process is not None:
            found.pop(self.process.pid, None)
        return found

    def drivers(self):
        """The same without the JVM that makes the archive of Spark's classes."""
        return {pid: c for pid, c in self.processes().items() if "-XX:ArchiveClassesAtExit=" not in c}

    def guards(self):
        return {pid: c for pid, c in self.processes().items() if re.search(r"hearth guard ", c)}

    # -- requests ---------------------------------------------------------------------------------

    def request(self, method, path, **more):
        more.setdefault("timeout", 30 * PATIENCE)
        more.setdefault("allow_redirects", False)
        return self.http.request(method, self.url + path, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def submit(self, body, **more):
        """Posts a batch that must be accepted; its record."""
        answer = self.post("/batches", json=body, **more)
        assert answer.status_code == 201, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def batch(self, batch_id):
        answer = self.get(f"/batches/{batch_id}")
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def record(self, batch_id):
        answer = self.get(f"/hearth/batches/{batch_id}")
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def status(self):
        return self.get("/hearth/status").json()

    def log(self, batch_id, size=-1, **params):
        answer = self.get(f"/batches/{batch_id}/log", params={"size": size, **params})
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()["log"]

    def wait_state(self, batch_id, states, timeout=60):
        """The batch once it is in one of the states; a failure shows where it went instead."""
        states = (states,) if isinstance(states, str) else states

        def arrived():
            batch = self.batch(batch_id)
            if batch["state"] in states:
                return batch
            if batch["state"] in FINAL:
                log = "\n".join(self.log(batch_id)[-40:])
                raise AssertionError(
                    f"batch {batch_id} is {batch['state']}, not {states}: {batch['reason']}\n"
                    f"{batch['diagnosis']}\n{log}"
                )
            return None

        return until(arrived, timeout, lambda: f"batch {batch_id} {states}, it is {self.batch(batch_id)}")

    def wait_end_of(self, batch_id, timeout=60):
        return self.wait_state(batch_id, FINAL, timeout)

    def wait_log(self, batch_id, text, timeout=60):
        return until(lambda: any(text in line for line in self.log(batch_id)), timeout,
                     lambda: f"{text!r} in the log of batch {batch_id}:\n" + "\n".join(self.log(batch_id)[-40:]))

    def driver_pid(self, batch_id, timeout=30):
        return until(lambda: self.record(batch_id)["pid"], timeout, f"a pid of batch {batch_id}")

    # -- what every test ends with ----------------------------------------------------------------

    def expect_error(self, pattern):
        """This test provokes a line of level ERROR that matches the pattern."""
        self.expected_errors.append(re.compile(pattern))

    def delete_living(self):
        for collection, ended in (("batches", FINAL), ("sessions", (*FINAL, "error"))):
            entries = self.get(f"/{collection}?size=100000").json()["sessions"]
            for entry in reversed(entries):  # those that wait first, so that none of them is started
                if entry["state"] not in ended:
                    assert self.delete(f"/{collection}/{entry['id']}").status_code in (200, 404)

    def assert_quiet(self):
        """No sanitizer or valgrind report, no unexpected ERROR, nothing left running, no fd leaked."""
        if self.process is not None:
            assert self.process.poll() is None, f"the server died ({self.process.returncode}):\n{self.stderr()[-4000:]}"
            self.delete_living()
            until(lambda: not self.drivers(), 15, lambda: f"drivers and guards to be gone: {self.drivers()}")
            self.http.close()
            until(lambda: self.fds() <= self.fds_at_start + self.fds_kept, 10,
                  lambda: f"open descriptors back to {self.fds_at_start}: {self.fds()} {self.open_files()}")
            self.stop()
        until(lambda: not self.processes(), 5, lambda: f"nothing left running: {self.processes()}")
        self.assert_log_clean()

    def assert_log_clean(self):
        lines = self.stderr().splitlines()
        reports = [i for i, line in enumerate(lines) if SANITIZER.search(line)]
        assert not reports, "\n".join(lines[reports[0]:reports[0] + 40])
        errors = [line for line in lines if re.search(r"^\S+Z ERROR ", line)]
        surprises = [e for e in errors if not any(p.search(e) for p in self.expected_errors)]
        assert not surprises, "\n".join(surprises[:20])

    def open_files(self):
        folder = Path(f"/proc/{self.pid}/fd")
        names = []
        for fd in sorted(os.listdir(folder), key=int):
            with contextlib.suppress(OSError):
                names.append(os.readlink(folder / fd))
        return names

    def discard(self):
        """Ends whatever is left, when a test has failed already."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for pid in marked_processes(self.state_dir):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def remove_tree(folder):
    shutil.rmtree(folder, ignore_errors=True)
