"""Jobs of Livy's Python client: pickled functions that run beside the statements, on threads of
their own, in the same process and with the same Spark. And what such programs add to a session:
files, modules, jars."""

import base64
import ctypes
import importlib.util
import os
import pickle
import sys
import tempfile
import traceback
from collections import OrderedDict
from threading import Lock, RLock, Thread, get_ident
from time import time
from types import ModuleType

from link import MessageTooLarge, log

SHARED_OBJECTS = 100
JAVA_JOBS = (
    'hearth cannot run serialized Java or Scala jobs: send the code as a statement of kind "spark",'
    ' with its classes in a jar of the session ("jars" or add-jar), or submit it as a batch'
)


class JobContext:
    """What a job's function is given, with the names of Livy's own."""

    def __init__(self, driver, namespace):
        self._driver = driver
        self._namespace = namespace
        self._lock = RLock()
        self._shared = OrderedDict()
        self._streaming = None
        self._folder = None

    @property
    def sc(self):
        return self._driver.sc

    @property
    def spark_session(self):
        return self._driver.spark

    @property
    def sql_ctx(self):
        from pyspark.sql import SQLContext

        return self._namespace.get("sqlContext") or SQLContext.getOrCreate(self.sc)

    @property
    def hive_ctx(self):
        from pyspark.sql import HiveContext

        return HiveContext(self.sc)

    @property
    def streaming_ctx(self):
        with self._lock:
            if self._streaming is None:
                raise ValueError("there is no streaming context: create_streaming_ctx makes one")
            return self._streaming

    @property
    def local_tmp_dir_path(self):
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix="jobs-")
            return self._folder

    def create_streaming_ctx(self, batch_duration):
        """`batch_duration` in seconds."""
        from pyspark.streaming import StreamingContext

        with self._lock:
            if self._streaming is not None:
                raise ValueError("there is a streaming context already: stop_streaming_ctx ends it")
            self._streaming = StreamingContext(self.sc, batch_duration)

    def stop_streaming_ctx(self):
        with self._lock:
            streaming = self.streaming_ctx
            self._streaming = None
        streaming.stop(False)

    def get_shared_object(self, name):
        with self._lock:
            return self._shared.get(name)

    def set_shared_object(self, name, value):
        with self._lock:
            self._shared.pop(name, None)
            self._shared[name] = value
            while len(self._shared) > SHARED_OBJECTS:
                self._shared.popitem(last=False)

    def remove_shared_object(self, name):
        with self._lock:
            self._shared.pop(name, None)


class Jobs:
    def __init__(self, driver, link, namespace):
        self._driver = driver
        self._link = link
        self._context = JobContext(driver, namespace)
        self._lock = Lock()
        self._running = {}  # id → _Job

    def running(self):
        return bool(self._running)

    def start(self, number, kind, data):
        job = _Job(number)
        with self._lock:
            self._running[number] = job
        work = (job, kind, data)
        thread = Thread(target=self._run, args=work, name=job.group, daemon=True)
        thread.start()

    def cancel(self, number):
        """Asks the job to end; its result tells that it was cancelled."""
        with self._lock:
            job = self._running.get(number)
            if job is None:
                return
            job.cancelled = True
            if job.thread is not None:
                _raise_in(job.thread)
        self._driver.cancel_group(job.group)

    def _run(self, job, kind, data):
        self._link.send({"t": "job_started", "id": job.id, "at": _now_ms()})
        answer = {"t": "job_result", "id": job.id, "ok": False, "cancelled": False}
        answer.update(result=None, error=None)
        try:
            answer.update(self._outcome(job, kind, data))
        except KeyboardInterrupt:  # the cancellation came late
            pass
        self._finish(job)
        if job.cancelled:
            answer.update(ok=False, cancelled=True, result=None, error=None)
        answer["at"] = _now_ms()
        try:
            self._link.send_result(answer)
        except MessageTooLarge as problem:
            answer.update(ok=False, result=None, error="Client job error: the result: %s" % problem)
            self._link.send_result(answer)

    def _finish(self, job):
        """No exception is sent to this thread from here on; one may still be on its way."""
        while job.id in self._running:
            try:
                with self._lock:
                    job.thread = None
                    self._running.pop(job.id, None)
            except KeyboardInterrupt:
                pass

    def _outcome(self, job, kind, data):
        """The fields of the answer that tell how it ended."""
        if kind in (None, "spark", "scala"):
            return {"error": JAVA_JOBS}
        if kind not in ("pyspark", "python"):
            return {"error": "there are no jobs of type %r" % kind}
        try:
            with self._lock:
                job.thread = get_ident()
            return {"ok": True, "result": self._call(job, data)}
        except BaseException:  # whatever the function raises is its error
            return {"error": "Client job error:%s" % traceback.format_exc()}

    def _call(self, job, data):
        """The function's value as Livy's client wants it: pickled, and twice in base64."""
        self._driver.context()
        self._driver.sc.setJobGroup(job.group, "job %d" % job.id, True)
        from pyspark import cloudpickle

        _offer_cloudpickle(cloudpickle)
        function = pickle.loads(base64.b64decode(data))
        value = cloudpickle.dumps(function(self._context))
        return base64.b64encode(base64.b64encode(value)).decode("ascii")

    def add(self, what, uri):
        """A file, a module or a jar for the session. None, or why not."""
        try:
            self._driver.context()
            if what == "file":
                self._driver.sc.addFile(uri)
            elif what == "pyfile":
                self._driver.sc.addPyFile(uri)
            elif what == "jar":
                self._driver.add_jar(uri)
            else:
                return "there is nothing to do with a %r" % what
        except Exception as error:
            log("adding %s %s: %s" % (what, os.path.basename(uri), error))
            return _reason(error)
        return None


def _offer_cloudpickle(of_spark):
    """A client pickles with the package of that name, which a driver need not have: Spark's copy
    serves. What pickles name has moved between its modules over the years, so each has all of
    it."""
    if "cloudpickle" in sys.modules or importlib.util.find_spec("cloudpickle") is not None:
        return
    everything = ModuleType("cloudpickle.cloudpickle")
    for name in ("cloudpickle_fast", "cloudpickle"):
        try:
            module = importlib.import_module("%s.%s" % (of_spark.__name__, name))
        except ImportError:
            continue
        names = {k: v for k, v in vars(module).items() if not k.startswith("__")}
        everything.__dict__.update(names)
    for name in ("cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"):
        sys.modules[name] = everything
    sys.modules["cloudpickle"] = of_spark


class _Job:
    def __init__(self, number):
        self.id = number
        self.group = "job-%d" % number
        self.cancelled = False
        self.thread = None  # while its function may be interrupted


def _raise_in(thread):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt)
    )


def _reason(error):
    """One sentence: the Java exception's own, where there is one."""
    java = getattr(error, "java_exception", None)
    text = java.getMessage() if java is not None else None
    return text or "%s: %s" % (type(error).__name__, error)


def _now_ms():
    return int(time() * 1000)
