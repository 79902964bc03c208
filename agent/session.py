"""The session: statements in order on the main thread, and the ways in which all of this ends.

Threads: main (runs statements, one at a time), link (reads what hearth wants and must not be held
up), context (builds the SparkContext), jvm (waits for the JVM's end), progress, and a short-lived
one for each cancellation, completion, job, added file, and for the end.
"""

import os
import signal
import sys
from collections import deque
from threading import Condition, Event, Lock, Thread
from time import sleep, time

from cancel import SIGNAL, Canceller
from driver import VERDICT_S, ContextFailed, Driver
from link import MessageTooLarge, log
from masters import Masters

# Names of exceptions that a statement meets when the JVM is gone.
_BROKEN_GATEWAY = {
    "BrokenPipeError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EOFError",
    "Error",  # of the other languages
    "OSError",
    "Py4JError",
    "Py4JJavaError",
    "Py4JNetworkError",
}
LAST_WORDS_S = 2.0  # how long an end waits for acknowledgements
CANCEL_AT_END_S = 5.0
JVM_END_S = 120.0  # a JVM that writes a class-data archive at its end takes its time
TERMINATE_S = 2.0


class Statement:
    """One statement from its arrival to its result."""

    def __init__(self, number, kind, code):
        self.id = number
        self.kind = kind
        self.code = code
        self.group = str(number)  # of its Spark jobs
        self.lock = Lock()  # for interrupting its JVM thread only while it runs
        self.over = Event()  # its code has ended
        self.answered = False
        self.cancelling = False
        self.attached = False  # the JVM's thread has its job group
        self.interrupted = False
        self.stopped = False


class Session:
    def __init__(self, config, link, jvm, class_dir):
        self._config = config
        self._link = link
        self._jvm = jvm
        self._pid = os.getpid()
        self._canceller = Canceller()
        self._driver = Driver(config, jvm, self._canceller, class_dir)
        self._changed = Condition()
        self._waiting = deque()
        self._current = None
        self._newest = -1
        self._newest_job = 0
        self._idle_told = False
        self._free = False  # the main thread takes statements
        self._ending = False
        self._interpreters = {}
        self._jobs = None
        self._progress = None
        self._messages = {
            "execute": self._on_execute,
            "cancel": self._on_cancel,
            "complete": self._on_complete,
            "job": self._on_job,
            "job_cancel": self._on_job_cancel,
            "add": self._on_add,
            "adopt": self._on_adopt,
            "shutdown": self._on_shutdown,
        }

    # ---- start, on the main thread

    def start(self):
        """The link, and Spark's side."""
        link, driver = self._link, self._driver
        link.on_message = self._on_message
        link.on_refused = self._on_refused
        link.on_lost = self._on_lost
        link.on_signal = self._on_signal
        driver.on_warming = self._on_warming
        driver.on_warm = lambda: link.send({"t": "warm"})
        driver.on_ready = self._on_context
        driver.on_failed = self._on_context_failed
        signal.signal(signal.SIGTERM, self._note_signal)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been left ignored
        self._take_wakeups()
        os.register_at_fork(after_in_child=self._abandon)
        _thread("jvm", self._jvm.watch, self._on_jvm_end)
        link.start()
        driver.start()

    def _take_wakeups(self):
        """A signal wakes the link even while the main thread is in C code. Event loops of
        statements take this for themselves and do not give it back."""
        try:
            signal.set_wakeup_fd(self._link.wake_descriptor, warn_on_full_buffer=False)
        except (OSError, ValueError):
            pass  # a statement closed the descriptor; the link makes another

    def load_interpreters(self):
        """While the JVM starts."""
        from capture import Capture
        from jobs import Jobs
        from progress import Progress
        from python_code import PythonCode
        from r_code import RCode
        from scala_code import ScalaCode
        from sql_code import SqlCode

        capture = Capture(self._config["outputLimit"])
        kinds = {"pyspark": PythonCode, "sql": SqlCode, "spark": ScalaCode, "sparkr": RCode}
        interpreters = {kind: code(self._driver, capture) for kind, code in kinds.items()}
        capture.install()
        self._jobs = Jobs(self._driver, self._link, interpreters["pyspark"].namespace)
        self._progress = Progress(self._driver, self._canceller, self._link)
        self._progress.start()
        with self._changed:
            self._interpreters = interpreters
            self._changed.notify_all()

    def _interpreter(self, kind):
        """Any thread; waits while they are being loaded."""
        with self._changed:
            while not self._interpreters:
                self._changed.wait()
            return self._interpreters.get(kind)

    def _tell_idle(self):
        config = self._config
        with self._changed:
            told = self._idle_told or not self._free or self._driver.waits_for_adoption()
            if told or (config["idleWithContext"] and self._driver.spark is None):
                return
            self._idle_told = True
        self._link.send({"t": "state", "state": "idle", "ms": _process_age_ms()})

    # ---- statements, on the main thread

    def run(self):
        """Takes statements for ever; the end of the process comes from other threads."""
        self._free = True
        self._tell_idle()
        while True:
            try:
                self._execute(self._take())
            except KeyboardInterrupt:  # it came late, when the statement was over
                self._end_current("KeyboardInterrupt", "statement cancelled")

    def _take(self):
        with self._changed:
            while not self._waiting or self._ending:
                self._changed.wait()
            self._current = self._waiting.popleft()
            return self._current

    def _execute(self, statement):
        self._link.send({"t": "started", "id": statement.id, "at": _now_ms()})
        output = self._output(statement)
        if os.getpid() != self._pid:
            os._exit(0 if output["status"] == "ok" else 1)  # a fork() in the statement: its child
        with statement.lock:
            statement.over.set()
        if statement.interrupted:
            self._driver.clear_interrupt()
        if output["status"] == "error" and self._has_lost_jvm(statement, output):
            # The answer comes with the verdict, and the end after it.
            sleep(VERDICT_S + LAST_WORDS_S)
        if statement.cancelling and output["status"] == "ok":
            output = None  # it came to its end all the same; nobody waits for that
        self._answer(statement, output)

    def _output(self, statement):
        """Runs it. Whatever it does, this returns."""
        code = self._interpreter(statement.kind)
        if code is None:
            return _error("InvalidKind", "there is no interpreter for %r" % statement.kind)
        try:
            try:
                self._take_wakeups()
                self._driver.leave_lost_folder()
                self._canceller.begin(statement)
                return code.run(statement.code)
            finally:
                self._canceller.end()
        except KeyboardInterrupt:
            return _error("KeyboardInterrupt", "statement cancelled")
        except ContextFailed as failure:
            return _error("ContextFailed", str(failure))
        except BaseException as error:
            return _error(type(error).__name__, str(error))

    def _has_lost_jvm(self, statement, output):
        """Whether the statement failed because the JVM is gone, which is then seen in a moment."""
        broken = statement.attached and output["ename"] in _BROKEN_GATEWAY
        if not broken and output["ename"] != "ContextFailed":
            return False
        if self._driver.is_alive():
            return False
        return self._jvm.wait(VERDICT_S)

    def _answer(self, statement, output):
        """Its result, once; whoever ends the session may have been first."""
        with self._changed:
            if statement.answered:
                return
            statement.answered = True
            state = "cancelled" if statement.cancelling else "available"
        if output is not None:
            output["execution_count"] = statement.id
        message = {"t": "result", "id": statement.id, "state": state, "output": output}
        message["at"] = _now_ms()
        try:
            self._link.send_result(message)
        except MessageTooLarge as problem:
            message["output"] = _error("OutputTooLarge", str(problem), statement.id)
            self._link.send_result(message)
        except (TypeError, ValueError, RecursionError) as problem:
            message["output"] = _error("InternalError", str(problem), statement.id)
            self._link.send_result(message)
        with self._changed:
            self._current = None
            self._changed.notify_all()

    # ---- what hearth wants, on the thread of the link

    def _on_message(self, message):
        act = self._messages.get(message["t"])
        if act is None:
            log("hearth sent %r, which is unknown here" % message["t"])
        else:
            act(message)

    def _on_execute(self, message):
        statement = Statement(message["id"], message["kind"], message["code"])
        with self._changed:
            if statement.id <= self._newest:
                return  # hearth repeats what it has no result for
            self._newest = statement.id
            self._waiting.append(statement)
            self._changed.notify_all()

    def _on_cancel(self, message):
        statement = self._mark_cancelled(message["id"])
        if statement is None:
            return
        if statement.answered:
            self._send_cancelled(statement)
        else:
            _thread("cancel", self._cancel, statement, message["timeout"] / 1000)

    def _mark_cancelled(self, number):
        """The statement that is to be cancelled from now on, with `answered` set when it was
        waiting and will never run; None when there is nothing to do."""
        with self._changed:
            for statement in self._waiting:
                if statement.id == number:
                    self._waiting.remove(statement)
                    statement.answered = statement.cancelling = True
                    return statement
            statement = self._current
            if statement is None or statement.id != number or statement.over.is_set():
                return None
            if statement.cancelling:
                return None
            statement.cancelling = True
            return statement

    def _send_cancelled(self, statement):
        message = {"t": "result", "id": statement.id, "state": "cancelled", "output": None}
        message["at"] = _now_ms()
        self._link.send(message)

    def _cancel(self, statement, timeout_s):
        def tell_stuck():
            self._link.send({"t": "stuck", "id": statement.id})

        self._canceller.cancel(statement, timeout_s, self._driver, tell_stuck)

    def _on_complete(self, message):
        _thread("complete", self._complete, message)

    def _complete(self, message):
        candidates = []
        try:
            code = self._interpreter(message["kind"])
            if code is not None:
                candidates = code.complete(message["code"], message["cursor"])
        except Exception as error:
            log("completing: %s: %s" % (type(error).__name__, error))
        self._link.tell({"t": "completions", "rid": message["rid"], "candidates": candidates})

    def _on_job(self, message):
        if message["id"] > self._newest_job:
            self._newest_job = message["id"]
            self._interpreter("pyspark")
            self._jobs.start(message["id"], message["type"], message["job"])

    def _on_job_cancel(self, message):
        self._jobs.cancel(message["id"])

    def _on_add(self, message):
        _thread("add", self._add, message)

    def _add(self, message):
        error = self._jobs.add(message["what"], message["uri"])
        answer = {"t": "added", "rid": message["rid"], "ok": error is None, "error": error}
        self._link.tell(answer)

    def _on_adopt(self, message):
        if self._driver.adopt(message["conf"]):
            self._config["kind"] = message["kind"]
            self._tell_idle()

    # ---- Spark's side, on its threads

    def _on_warming(self, spark):
        if self._config["warm"] == "spark":
            self._prepare_scala()

    def _on_context(self):
        driver = self._driver
        scala = driver.jvm.scala.util.Properties.versionNumberString()
        message = {"t": "context", "appId": driver.sc.applicationId, "ui": driver.sc.uiWebUrl}
        self._link.send(dict(message, version=driver.sc.version, scala=scala))
        Masters(driver.sc.master, self._tell_trouble).start()
        self._tell_idle()
        if self._config["kind"] == "spark":
            self._prepare_scala()

    def _tell_trouble(self, words):
        self._link.send({"t": "trouble", "error": words})

    def _prepare_scala(self):
        """So that the first statement finds the compiler running."""
        try:
            self._interpreter("spark").prepare()
        except Exception as error:  # the statement that needs it tries again, and tells
            log("building the Scala interpreter: %s" % str(error)[:1000])

    def _on_context_failed(self, reason):
        if self._begin_end():
            self._link.send({"t": "context_failed", "error": reason})
            self._end_current("ContextFailed", reason)
            self._link.drain(LAST_WORDS_S)
            _end_process(1)

    def _on_jvm_end(self, death):
        if not self._begin_end():
            return
        log("the JVM ended: %s" % _describe(death))
        message = {"t": "jvm_exit", "exit": death.exit, "signal": death.signal, "lines": []}
        self._link.send(dict(message, files=self._jvm.crash_files()))
        self._end_current("DriverDied", "the Spark driver's JVM ended: %s" % _describe(death))
        self._link.drain(LAST_WORDS_S)
        if death.signal is not None:
            _end_by_signal(death.signal)
        _end_process(1 if death.exit is None else death.exit)

    # ---- the end

    def _begin_end(self):
        """True for the first one; from then on no statement is taken."""
        with self._changed:
            first = not self._ending
            self._ending = True
            return first

    def _end_current(self, ename, evalue):
        statement = self._current
        if statement is not None:
            statement.over.set()
            self._answer(statement, _error(ename, evalue))

    def _on_shutdown(self, _):
        if self._begin_end():
            _thread("shutdown", self._shut_down)

    def _on_refused(self, reason):
        log("hearth does not want this session: %s" % reason)
        if self._begin_end():
            _thread("shutdown", self._shut_down, 1)

    def _on_lost(self, seconds):
        """Nobody may ever come back for a session; but what runs is let run."""
        if seconds * 1000 < self._config["orphanTimeoutMs"] or self._is_busy():
            return
        if self._begin_end():
            log("there was no connection to hearth for %d s" % seconds)
            _thread("shutdown", self._shut_down)

    def _is_busy(self):
        jobs = self._jobs
        with self._changed:
            running = bool(self._waiting) or self._current is not None
        return running or (jobs is not None and jobs.running())

    def _shut_down(self, code=0):
        statement = self._current
        if statement is not None and self._mark_cancelled(statement.id) is not None:
            _thread("cancel", self._cancel, statement, CANCEL_AT_END_S)
            statement.over.wait(CANCEL_AT_END_S)
        for interpreter in list(self._interpreters.values()):
            try:
                interpreter.close()
            except Exception as error:
                log("closing: %s: %s" % (type(error).__name__, error))
        self._driver.stop_context()
        self._link.drain(LAST_WORDS_S)
        self._link.tell({"t": "bye"})
        self._jvm.close()
        self._jvm.wait(JVM_END_S)
        _end_process(code)

    def _note_signal(self, number, _):
        """The signal's byte has woken the link already, unless a statement took the descriptor
        away."""
        try:
            os.write(self._link.wake_descriptor, bytes([number]))
        except OSError:
            pass

    def _on_signal(self, number):
        if number == signal.SIGTERM:
            _thread("terminate", self._terminate)

    def _terminate(self):
        """The whole process group is asked to end; the JVM too, which stops its context itself when
        it was asked. This process ends within its time, whatever the main thread is doing, but for
        C code that lets no other thread run; the guard sees to that."""
        self._begin_end()
        _thread("stop", self._driver.stop_context).join(TERMINATE_S)
        self._jvm.close()
        _end_by_signal(signal.SIGTERM)

    def _abandon(self):
        """In a forked child: what belongs to its parent."""
        if os.getpid() != self._pid:
            signal.set_wakeup_fd(-1)
            for number in (SIGNAL, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self._canceller.end()
            self._link.abandon()
            self._jvm.abandon()


def _thread(name, function, *arguments):
    thread = Thread(target=function, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def _error(ename, evalue, number=None):
    output = {"status": "error", "ename": ename, "evalue": evalue, "traceback": []}
    if number is not None:
        output["execution_count"] = number
    return output


def _now_ms():
    return int(time() * 1000)


def _process_age_ms():
    """Since this process was started, the interpreter's own start included."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    with open("/proc/uptime", encoding="ascii") as file:
        return max(0, int((float(file.read().split()[0]) - started) * 1000))


def _describe(death):
    if death.signal is not None:
        try:
            return "signal %d (%s)" % (death.signal, signal.Signals(death.signal).name)
        except ValueError:
            return "signal %d" % death.signal
    if death.exit is None:
        return "nobody knows how"
    words = "exit code %d" % death.exit
    if death.exit in (3, 52):  # ExitOnOutOfMemoryError; Spark's own handler
        words += ", which says that it ran out of heap: raise driverMemory"
    return words


def _end_process(code):
    """At once: user threads and their clean-up must not hold up the end."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit(code)


def _end_by_signal(number):
    """As if the signal had ended this process. Only the C library can restore a signal's default
    from a thread that is not the main one."""
    try:
        import ctypes
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).signal(int(number), None)
    except (ImportError, OSError, ValueError, AttributeError):
        _end_process(128 + number)
    os.kill(os.getpid(), number)
    sleep(1.0)  # it is delivered to some thread soon
    _end_process(128 + number)
