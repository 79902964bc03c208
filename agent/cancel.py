"""Cancelling the running statement, whatever it does at that moment.

Statements run on the main thread. A private real-time signal (SparkContext and others take SIGINT
for themselves) interrupts it, and its handler raises KeyboardInterrupt, with three exceptions:

* Inside a call to the JVM: raising there would drop the connection of the main thread while the JVM
  goes on with the call, beside the next statement. The wish is noted, and the call raises once it
  has returned; it returns early because its jobs are cancelled and its JVM thread is interrupted.
* Inside `shielded()`: what must not be left half done, like building the Scala interpreter.
* Inside the agent's own functions, where an exception would leave something half done as well. The
  signal comes again soon.
"""

import os
import signal
from contextlib import contextmanager
from threading import get_ident, main_thread
from time import monotonic, sleep

from link import log

SIGNAL = signal.SIGRTMIN + 2
STRIKE_S = 0.1
INTERRUPT_AFTER_S = 0.5
STOP_AFTER_S = 5.0
FORCE_AFTER_S = 8.0
SWEEP_S = 0.2
SWEEPS = 50

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Own modules that may be interrupted anywhere: no state of theirs could break, and they may run for
# long.
_OWN_INTERRUPTIBLE = {_OWN_FOLDER + "tables.py", _OWN_FOLDER + "r_code.py"}


class Canceller:
    """`running` is the statement on the main thread, or None; see session.Statement."""

    def __init__(self):
        self.running = None
        self.java_thread = None  # the JVM's thread that serves the main thread
        self._main = main_thread().ident
        self._gateway_code = None  # code object of py4j's function that waits for the JVM
        self._depth = 0  # of calls to the JVM on the main thread
        self._in_gateway = False  # the last signal found it there
        self._shields = 0
        self._pending = False
        self._forced = False

    # ---- the main thread

    def begin(self, statement):
        """From here on `statement` can be cancelled. Takes back what the last one did to the
        signals."""
        self._pending = self._forced = self._in_gateway = False
        self._depth = self._shields = 0
        for number in (SIGNAL, signal.SIGINT):
            if number == SIGNAL or signal.getsignal(number) == signal.default_int_handler:
                signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})
        self.running = statement

    def end(self):
        self.running = None

    def check(self):
        """Raises when cancelling was put off and may happen now. For the main thread."""
        if self._pending and not self._shields and self.running is not None:
            self._pending = False
            raise KeyboardInterrupt("statement cancelled")

    @contextmanager
    def shielded(self):
        """Cancelling waits while the main thread is inside. Nothing on other threads."""
        if get_ident() != self._main:
            yield
            return
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self.check()

    def guard_gateway(self, client, before_call):
        """Makes calls to the JVM raise after their return where they were to be cancelled, and
        calls `before_call` before each, on its thread."""
        send = client.send_command
        self._gateway_code = send.__func__.__code__

        def send_command(command, retry=True, binary=False):
            before_call()
            if get_ident() != self._main:
                return send(command, retry, binary)
            self._depth += 1
            try:
                answer = send(command, retry, binary)
            finally:
                self._depth -= 1
                self._in_gateway = False
            if self._depth == 0 and not binary:  # binary: the caller has yet to read the stream
                self.check()
            return answer

        client.send_command = send_command

    def _on_signal(self, number, frame):
        statement = self.running
        if statement is None or (number == SIGNAL and not statement.cancelling):
            return
        inside = self._find_gateway(frame)
        if self._shields or (inside and not self._forced):
            self._in_gateway = inside
            self._pending = True
        elif not _is_own(frame):
            self._pending = False
            raise KeyboardInterrupt("statement cancelled")

    def _find_gateway(self, frame):
        while frame is not None:
            if frame.f_code is self._gateway_code:
                return True
            frame = frame.f_back
        return False

    # ---- the thread that cancels

    def cancel(self, statement, timeout_s, jobs, on_stuck):
        """Until `statement` is over; its `cancelling` is set. `jobs` is the driver, for its job
        groups. Calls `on_stuck` once when that takes longer than `timeout_s`, and goes on
        trying."""
        begin = monotonic()
        stuck = False
        while not statement.over.is_set():
            elapsed = monotonic() - begin
            self._strike(statement, elapsed, jobs)
            if not stuck and elapsed >= timeout_s:
                stuck = True
                on_stuck()
            statement.over.wait(1.0 if stuck else STRIKE_S)
        self._sweep(statement, jobs)

    def _strike(self, statement, elapsed, jobs):
        self._signal(statement)
        jobs.cancel_group(statement.group)
        if not self._in_gateway or self._shields or self.java_thread is None:
            return
        try:
            with statement.lock:
                if statement.over.is_set():
                    return
                if elapsed >= INTERRUPT_AFTER_S:
                    statement.interrupted = True
                    self.java_thread.interrupt()
                if elapsed >= STOP_AFTER_S and not statement.stopped:
                    statement.stopped = True
                    self.java_thread.stop()
        except Exception as error:  # Java 20 and later refuse stop()
            log("statement %d: %s" % (statement.id, str(error).splitlines()[0][:200]))
        if elapsed >= FORCE_AFTER_S and not self._forced:
            log("statement %d does not yield: its JVM thread is left to itself" % statement.id)
            self._forced = True

    def _signal(self, statement):
        if signal.getsignal(SIGNAL) == self._on_signal:
            signal.pthread_kill(self._main, SIGNAL)
            return
        # The statement took our handler away, and the signal would end the process. This way an
        # exception comes at the next instruction of Python, which is not the end of a sleep.
        import ctypes

        with statement.lock:
            if self.running is statement and not self._depth and not self._shields:
                thread = ctypes.c_ulong(self._main)
                exception = ctypes.py_object(KeyboardInterrupt)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, exception)

    def _sweep(self, statement, jobs):
        """A job that was submitted between the last look and the interrupt would run on and on."""
        for look in range(SWEEPS):
            jobs.cancel_group(statement.group)
            if look >= 5 and not jobs.group_is_active(statement.group):
                return
            sleep(SWEEP_S)


def _is_own(frame):
    name = frame.f_code.co_filename
    return name.startswith(_OWN_FOLDER) and name not in _OWN_INTERRUPTIBLE
