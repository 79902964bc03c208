"""The agent's modules in the tests' own process, with a stand-in for the driver: for what needs no
Spark. Nothing of the agent's folder stays on the path of the tests that start real agents."""

import contextlib
import io
import sys
import threading
from pathlib import Path

AGENT = Path(__file__).resolve().parent.parent.parent / "agent"
sys.path.insert(0, str(AGENT))

import capture  # noqa: E402
import outputs  # noqa: E402
import python_code  # noqa: E402
import session  # noqa: E402

MEBIBYTE = 1024 * 1024


class NoSpark:
    """A driver whose context is not there yet. waits counts who asked for it."""

    def __init__(self):
        self.spark = self.sc = self.gateway = None
        self.on_context = []
        self.config = {"outputLimit": MEBIBYTE}
        self.waits = 0

    def context(self):
        self.waits += 1

    @contextlib.contextmanager
    def protected(self):
        yield


class PythonSession:
    """A PythonCode that holds the standard streams and __main__ while it runs a statement."""

    def __init__(self, limit=MEBIBYTE):
        self.driver = NoSpark()
        self.streams = capture.Capture(limit)
        self._kept = sys.modules["__main__"]
        self._code = python_code.PythonCode(self.driver, self.streams)
        self._standard = io.StringIO(), self.streams._out, self.streams._err
        self.namespace = self._code.namespace
        self.complete = self._code.complete

    def run(self, code):
        kept = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = self._standard
        try:
            return self._code.run(code)
        finally:
            self._standard = sys.stdin, getattr(sys, "stdout", None), getattr(sys, "stderr", None)
            sys.stdin, sys.stdout, sys.stderr = kept
            sys.modules["__main__"] = self._kept


def text(output):
    """The text of an output that must be good and nothing but text."""
    assert list(data(output)) == [outputs.TEXT], output
    return output["data"][outputs.TEXT]


def data(output):
    """The values by media type of an output that must be good."""
    assert output["status"] == "ok", output
    assert set(output) - {"execution_count"} == {"status", "data"}
    return output["data"]


def failure(output):
    """(ename, evalue) of an output that must be an error."""
    assert output["status"] == "error", output
    assert set(output) - {"execution_count"} == {"status", "ename", "evalue", "traceback"}
    return output["ename"], output["evalue"]


class NoJobs:
    """What a canceller needs of a driver."""

    def cancel_group(self, group):
        pass

    def group_is_active(self, group):
        return False


@contextlib.contextmanager
def cancelled_after(seconds, canceller):
    """What runs inside on the main thread is cancelled as a statement is."""
    statement = session.Statement(0, "sparkr", "")
    over = statement.over

    def cancel():
        if not over.wait(seconds):
            statement.cancelling = True
            canceller.cancel(statement, 60, NoJobs(), lambda: None)

    thread = threading.Thread(target=cancel)
    canceller.begin(statement)
    thread.start()
    try:
        yield
    finally:
        canceller.end()
        over.set()
        thread.join()
