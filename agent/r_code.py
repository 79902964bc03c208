"""Statements in R, in a process of their own that uses the driver's Spark through SparkR.

R reads code from one pipe and answers over another; what it prints comes over a third and ends with
a mark. Nobody else can speak to it, so there is no port and no secret but SparkR's own.
"""

import base64
import codecs
import os
import select
import shutil
import signal
import subprocess
import threading
from time import monotonic

import outputs
from capture import Collector
from link import log

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "r_side.R")
# After cancelling: SparkR returns by itself when its jobs are cancelled, and is not to be torn out
# of its talk with the JVM before. Then an interrupt comes in each such time; what does not yield to
# them is ended.
INTERRUPT_AFTER_S = 0.5
KILL_AFTER_S = 5.0
LOOK_S = 0.1
END_S = 1.0
READ_SIZE = 65536


class RFailed(Exception):
    """There is no R process, or not any more."""


class RCode:
    """R is started at the first statement, and again when it has ended."""

    def __init__(self, driver, capture):
        self._driver = driver
        self._limit = capture.limit
        self._process = None
        self._backend = None

    def run(self, code):
        """The output of the statement. KeyboardInterrupt goes out."""
        self._driver.context()
        try:
            process = self._running_process()
        except (RFailed, OSError) as problem:
            log("R: %s" % problem)
            return outputs.error("InterpreterError", "Fail to start interpreter")
        try:
            return process.run(code, self._driver.job_group or "")
        except RFailed as problem:
            lost = "its variables are lost, the next statement starts it again"
            return outputs.error("Error", "Interpreter died: %s; %s" % (problem, lost))

    def complete(self, code, cursor):
        """There is none for R."""
        return []

    def close(self):
        if self._process is not None:
            self._process.close()
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def _running_process(self):
        if self._process is None or not self._process.is_usable():
            self.close()
            command = self._command()
            environment = self._environment()
            protected = self._driver.protected
            self._process = RProcess(command, environment, self._limit, protected)
            self._process.wait_until_ready()
        return self._process

    def _command(self):
        given = self._driver.sc.getConf().get("spark.r.shell.command")
        command = given or os.environ.get("SPARKR_DRIVER_R") or "R"
        path = shutil.which(command)
        if path is None:
            raise RFailed("there is no program %r" % command)
        return path

    def _environment(self):
        """Names SparkR's backend, which serves one connection: a new one for each process."""
        self._backend = backend = self._driver.jvm.org.apache.spark.api.r.RBackend()
        address = backend.init()
        # run() returns when the backend is closed.
        threading.Thread(target=backend.run, name="SparkR backend", daemon=True).start()
        return {
            "SPARK_HOME": self._driver.spark_home,
            "EXISTING_SPARKR_BACKEND_PORT": str(address._1()),
            "SPARKR_BACKEND_AUTH_SECRET": address._2().secret(),
        }


class RProcess:
    """The process and the pipes to it. Main thread only; what is read from a pipe must not get lost
    when cancelling interrupts it, for which `protected` is (see Driver)."""

    def __init__(self, command, environment, limit, protected):
        self._limit = limit
        self._protected = protected
        theirs_in, self._requests = os.pipe()
        self._answers, theirs_out = os.pipe()
        paths = ["/dev/fd/%d" % theirs_in, "/dev/fd/%d" % theirs_out]
        options = ["--slave", "--no-restore", "--no-save", "--file=" + SCRIPT, "--args"]
        try:
            self._child = subprocess.Popen(
                [command, *options, *paths],
                env=dict(os.environ, **environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs_in, theirs_out),
            )
        except OSError:
            os.close(self._requests)
            os.close(self._answers)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._prints = self._child.stdout.fileno()
        self._busy = False
        self._interrupted = False
        self._closed = False

    def is_usable(self):
        """False when it has ended or may still be at an earlier statement."""
        return not self._closed and not self._busy and self._child.poll() is None

    def wait_until_ready(self):
        """Raises RFailed when it ended instead; the log has what it said."""
        printed = _Printed(self._limit)
        try:
            self._exchange("", "", printed)
        finally:
            _log_lines(printed.text())

    def run(self, code, group):
        """The output of the statement. RFailed when the process ended."""
        if self._interrupted:
            # It may have come when nothing ran any more, and then waits for the next code.
            self._exchange("Sys.sleep(0)", "", _Printed(self._limit))
            self._interrupted = False
        self._drain()
        printed = _Printed(self._limit)
        answer = self._exchange(code, group, printed)
        return outputs.fit(answer.output(printed.text()), self._limit, printed.total())

    def close(self):
        """Ends the process: there will be no more requests."""
        if self._closed:
            return
        self._closed = True
        os.close(self._requests)
        try:
            self._child.wait(0 if self._busy else END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        os.close(self._answers)
        self._child.stdout.close()

    def _exchange(self, code, group, printed):
        """Sends a request and waits for its answer. When cancelled it still waits, for R must be at
        its end before the next request, and raises KeyboardInterrupt then."""
        answer = _Answer()
        cancelled_at = strike_at = None
        self._busy = True
        self._send(code, printed.mark, group)
        while not (answer.complete and printed.complete):
            try:
                self._receive(answer, printed)
            except KeyboardInterrupt:
                cancelled_at = cancelled_at or monotonic()
                strike_at = strike_at or cancelled_at + INTERRUPT_AFTER_S
            if strike_at is not None and monotonic() >= strike_at:
                strike_at = monotonic() + INTERRUPT_AFTER_S
                self._strike(monotonic() - cancelled_at)
        self._busy = False
        if cancelled_at is not None:
            raise KeyboardInterrupt("statement cancelled")
        return answer

    def _send(self, code, mark, group):
        code = code.encode("utf-8", "replace")
        data = memoryview(b"%d %s %s\n%s" % (len(code), mark, group.encode(), code))
        try:
            while data:
                with self._protected():
                    data = data[os.write(self._requests, data) :]
        except BrokenPipeError:
            raise RFailed(self._death())

    def _receive(self, answer, printed):
        """Waits a moment for anything to come."""
        ready, _, _ = select.select([self._prints, self._answers], [], [], LOOK_S)
        if not ready and self._child.poll() is not None:
            raise RFailed(self._death())
        for descriptor, reader in ((self._prints, printed), (self._answers, answer)):
            if descriptor in ready:
                with self._protected():
                    data = os.read(descriptor, READ_SIZE)
                    reader.feed(data)
                if not data:
                    raise RFailed(self._death())

    def _strike(self, elapsed):
        if elapsed >= KILL_AFTER_S:
            self._child.kill()
        else:
            self._interrupted = True
            self._child.send_signal(signal.SIGINT)

    def _drain(self):
        """What child processes of earlier statements printed since."""
        while select.select([self._prints], [], [], 0)[0]:
            data = os.read(self._prints, READ_SIZE)
            if not data:
                return
            _log_lines(data.decode("utf-8", "replace"))

    def _death(self):
        try:
            code = self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            return "R closed its output"
        return "R ended by signal %d" % -code if code < 0 else "R ended with exit code %d" % code


class _Printed:
    """What a statement prints, up to the mark."""

    def __init__(self, limit):
        self.mark = os.urandom(16).hex().encode()
        self.complete = False
        self._end = b"\n" + self.mark + b"\n"
        self._held = b""  # might be the beginning of the mark
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._collector = Collector(limit)

    def feed(self, data):
        data = self._held + data
        end = data.find(self._end)
        self.complete = end >= 0
        if not self.complete:
            end = max(0, len(data) - len(self._end) + 1)
        self._held = data[end:]
        self._collector.write(self._decoder.decode(data[:end]))

    def text(self):
        return self._collector.text().strip("\n")

    def total(self):
        """As of Capture.total()."""
        total = self._collector.total
        return total if total > self._collector.limit else None


class _Answer:
    """How a statement ended."""

    def __init__(self):
        self.complete = False
        self._data = b""

    def feed(self, data):
        self._data += data
        head, newline, rest = self._data.partition(b"\n")
        if newline:
            status, message, image = head.split()
            self._good = status == b"ok"
            self._message = rest[: int(message)].decode("utf-8", "replace")
            self._image = rest[int(message) :]
            self.complete = len(rest) == int(message) + int(image)

    def output(self, text):
        if not self._good:
            return outputs.error("Error", self._message)
        data = {}
        if self._image:
            data["image/png"] = base64.b64encode(self._image).decode("ascii")
        if text or not data:
            data[outputs.TEXT] = text
        return outputs.ok(data)


def _log_lines(text):
    for line in text.splitlines():
        log("R: %s" % line)
