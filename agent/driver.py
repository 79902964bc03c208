"""Spark's side of the session: the JVM, the gateway into it, and the SparkContext.

The JVM is a child of this process and lives no longer: its standard input is a pipe, and it ends
when that closes. The context is built in the background from the first moment; statements that need
it wait for it, others do not.

A warm driver builds a throw-away context first, so that classes are loaded and compiled, and then
waits until hearth gives it a session to be (`adopt`).
"""

import glob
import os
import signal
import struct
import subprocess
import sys
import weakref
from collections import namedtuple
from threading import Event, Thread, get_ident, local, main_thread
from time import sleep
from urllib.parse import unquote, urlsplit

from link import log

# How the JVM ended: exit code or signal, the other is None; both when nobody can know.
Death = namedtuple("Death", "exit signal")

VERDICT_S = 2.0  # how long the JVM's end may take to be seen after its gateway broke

PLAIN_CONTEXT = {
    "spark.master": "local[1]",
    "spark.app.name": "hearth warm-up",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


class ContextFailed(Exception):
    """There is no SparkContext and there will be none."""


class JvmEnded(Exception):
    """The JVM ended before it said where its gateway is."""


def prepare_environment(home):
    """Makes `import pyspark` work here and in child processes. Returns the JVM's environment: this
    process's own as it was, for Spark makes the path of its workers itself; the variables of
    Spark's launcher protocol are the JVM's alone."""
    os.environ["SPARK_HOME"] = home
    os.environ.setdefault("PYTHONHASHSEED", "0")
    environment = dict(os.environ)
    for name in ("_SPARK_LAUNCHER_PORT", "_SPARK_LAUNCHER_SECRET"):
        os.environ.pop(name, None)
    path = _pyspark_path(home)
    sys.path[1:1] = path
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path + ([inherited] if inherited else []))
    os.environ.setdefault("MPLBACKEND", "Agg")  # a plot must not look for a screen
    return environment


def _pyspark_path(home):
    """A full Spark keeps pyspark below its own folder, the package from an index is it."""
    if os.path.exists(os.path.join(home, "python", "pyspark", "__init__.py")):
        path = [os.path.join(home, "python")]
        complete = False
    else:
        path = [os.path.dirname(os.path.abspath(home))]
        complete = os.path.isdir(os.path.join(path[0], "py4j"))
    if not complete:
        path += glob.glob(os.path.join(glob.escape(home), "python", "lib", "py4j-*-src.zip"))
    return path


class Jvm:
    """The process."""

    def __init__(self, argv, environment, folder):
        self._connection_file = os.path.join(folder, "connection")
        self._folder = os.getcwd()
        environment["_PYSPARK_DRIVER_CONN_INFO_PATH"] = self._connection_file
        environment["SPARK_CONNECT_MODE"] = "0"
        interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a child keeps what is ignored
        try:
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment)
        finally:
            signal.signal(signal.SIGINT, interrupts)
        self.pid = self._process.pid
        self.death = None
        self._ended = Event()

    def connection(self):
        """Waits until the gateway listens; its port and secret."""
        while not os.path.exists(self._connection_file):
            if self._ended.is_set():
                raise JvmEnded()
            sleep(0.002)
        with open(self._connection_file, "rb") as file:
            port, length = struct.unpack(">ii", file.read(8))
            secret = file.read(length).decode()
        os.unlink(self._connection_file)
        return port, secret

    def watch(self, on_death):
        """Waits on this thread until the process has ended."""
        try:
            info = os.waitid(os.P_PID, self.pid, os.WEXITED)
            code, status = info.si_code, info.si_status
        except ChildProcessError:  # a statement waited for all children
            code, status = None, None
        if code is None:
            self.death = Death(None, None)
        elif code == os.CLD_EXITED:
            self.death = Death(status, None)
        else:
            self.death = Death(None, status)
        self._process.returncode = 0  # or Popen would wait for it again
        self._ended.set()
        on_death(self.death)

    def wait(self, timeout_s):
        """True when it has ended within that time."""
        return self._ended.wait(timeout_s)

    def close(self):
        """Makes it end."""
        try:
            self._process.stdin.close()
        except OSError:
            pass

    def abandon(self):
        """In a forked child: the pipe must end with its parent."""
        self.close()

    def crash_files(self):
        return sorted(
            glob.glob(os.path.join(glob.escape(self._folder), "hs_err_pid%d*" % self.pid))
        )


class Driver:
    """What the interpreters use. `sc`, `spark`, `gateway`, `jvm` and `loader` are None until they
    are there; context() waits for them. `on_context` are callables (spark, sc), called once on the
    main thread; `on_jar` are callables (java.net.URL), called for each jar that is added later."""

    def __init__(self, config, jvm_process, canceller, class_dir):
        self.config = config
        self.spark_home = config["sparkHome"]
        self.class_dir = class_dir
        self.gateway = self.jvm = self.loader = self.sc = self.spark = None
        self.on_context = []
        self.on_jar = []
        self.spark_used = Event()  # by the running statement
        self.process = jvm_process
        # Of the session, on the thread that builds the context.
        self.on_warming = self.on_warm = self.on_ready = self.on_failed = None
        self._canceller = canceller
        self._client = None
        self._main = main_thread().ident
        self._threads = local()
        self._finished = Event()  # there is a context, or it failed
        self._failure = None
        self._bound = False
        self._folder = os.getcwd()
        self._files_folder = None
        self._stopping = False
        self._adopted = Event()
        self._adopted_conf = None
        self._warm_names = set()

    # ---- for the interpreters

    def context(self):
        """Waits until there is a SparkSession and returns it; raises ContextFailed."""
        if not self._finished.is_set():
            self._wait_for_context()
        if self._failure is not None:
            raise ContextFailed(self._failure)
        self.bind()
        return self.spark

    def protected(self):
        """A context manager: what runs inside is not cancelled half-way."""
        return self._canceller.shielded()

    @property
    def job_group(self):
        """The running statement's job group, or None."""
        statement = self._canceller.running
        return statement.group if statement is not None else None

    def jar_urls(self):
        """java.net.URL of every jar that came with the session or was added since."""
        found = []
        loader = self.loader
        while loader is not None and "MutableURLClassLoader" in loader.getClass().getName():
            found += [url for url in loader.getURLs() if not url.getPath().endswith("/")]
            loader = loader.getParent()
        return found

    def add_jar(self, uri):
        """On the class path of executors, of the driver, and of Scala code."""
        self.context()
        parts = urlsplit(uri)
        if parts.scheme in ("", "file") and not os.path.exists(unquote(parts.path)):
            raise FileNotFoundError("there is no file %s" % parts.path)  # Spark only logs it
        self.sc._jsc.sc().addJar(uri)
        before = len(self.loader.getURLs())
        self._load_jars(uri, self.sc._jsc.sc().conf())
        for url in list(self.loader.getURLs())[before:]:
            for add in self.on_jar:
                add(url)

    # ---- for the session

    def start(self):
        Thread(target=self._build, name="context", daemon=True).start()

    def adopt(self, conf):
        """A warm driver becomes a session with these settings, once. False when it is one
        already."""
        if not self.waits_for_adoption():
            return False
        self._adopted_conf = conf
        self._adopted.set()
        return True

    def waits_for_adoption(self):
        return self.config["warm"] is not None and not self._adopted.is_set()

    def bind(self):
        """Shows the context to the namespaces and enters Spark's folder of files, once. Main
        thread; nothing on others."""
        if self._bound or self.spark is None or get_ident() != self._main:
            return
        with self.protected():
            if os.path.isdir(self._files_folder) and _present_folder() == self._folder:
                os.chdir(self._files_folder)
            for bind in self.on_context:
                bind(self.spark, self.sc)
            self._bound = True

    def leave_lost_folder(self):
        """Spark's folder of files goes with its context; nothing works in a folder that is no
        more."""
        if self._bound and _present_folder() is None:
            os.chdir(self._folder)

    def is_alive(self):
        """Whether the JVM still answers."""
        try:
            self.jvm.java.lang.System.nanoTime()
            return True
        except Exception:
            return False

    def stop_context(self):
        """At the end of the session."""
        context = self._running_context()
        self._stopping = True
        if context is not None:
            try:
                context.stop()
            except Exception as error:
                log("stopping Spark: %s" % _first_line(error))

    def clear_interrupt(self):
        """Main thread, after a cancelled statement: or the next one would be interrupted."""
        try:
            self.jvm.java.lang.Thread.interrupted()
        except Exception as error:
            log("clearing an interrupt: %s" % _first_line(error))

    def cancel_group(self, group):
        context = self._running_context()
        if context is not None:
            try:
                context._jsc.sc().cancelJobGroup(group)
            except Exception as error:
                log("cancelling the jobs of %s: %s" % (group, _first_line(error)))

    def group_is_active(self, group):
        try:
            tracker = self.status_tracker()
            infos = (tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group))
            return any(i is not None and i.status().toString() == "RUNNING" for i in infos)
        except Exception:
            return False  # the context was stopped, and its jobs with it

    def status_tracker(self):
        """The JVM's JavaSparkStatusTracker; fails when there is no context."""
        return self._running_context()._jsc.statusTracker()

    def _running_context(self):
        """The session's context, or the one that a statement made after stopping it; None when
        there is none, or everything is about to end."""
        if self.sc is None or self._stopping or self.process.death is not None:
            return None
        context = type(self.sc)._active_spark_context or self.sc
        # A context that is being made has none yet, one that was stopped has none any more.
        return context if getattr(context, "_jsc", None) is not None else None

    # ---- building, on a thread of its own

    def _build(self):
        try:
            self._connect()
            conf = {}
            if self.config["warm"] is not None:
                self._warm_up()
                self.on_warm()
                self._adopted.wait()
                conf = self._adopted_conf
            self._build_context(conf)
        except JvmEnded:
            self._failure = "the JVM ended before there was a SparkContext"
        except Exception as error:
            self._failure = _message(error)
            log("no SparkContext: %s" % (_java_stack(error) or self._failure))
        self._finished.set()
        if self._failure is None:
            self.on_ready()
        elif self.is_alive() or not self.process.wait(VERDICT_S):
            self.on_failed(self._failure)

    def _connect(self):
        # The import takes as long as the JVM's start and runs beside it.
        from pyspark import SparkConf, SparkContext  # noqa: F401
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession  # noqa: F401

        port, secret = self.process.connection()
        os.environ["PYSPARK_PIN_THREAD"] = "true"  # cancelling needs to know the JVM's thread
        os.environ["PYSPARK_GATEWAY_PORT"] = str(port)
        os.environ["PYSPARK_GATEWAY_SECRET"] = secret
        try:
            gateway = launch_gateway()
        finally:
            del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
        self._client = gateway._gateway_client
        self._canceller.guard_gateway(self._client, self._attach)
        self.gateway, self.jvm = gateway, gateway.jvm
        self.loader = self._class_loader()

    def _class_loader(self):
        """Classes that Scala statements define are loaded from class_dir. Threads inherit this
        loader from the one that builds the context."""
        urls = self.gateway.new_array(self.jvm.java.net.URL, 1)
        urls[0] = self.jvm.java.io.File(self.class_dir).toURI().toURL()
        thread = self.jvm.java.lang.Thread.currentThread()
        parent = thread.getContextClassLoader()
        loader = self.jvm.org.apache.spark.util.MutableURLClassLoader(urls, parent)
        thread.setContextClassLoader(loader)
        return loader

    def _build_context(self, settings):
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        settings = dict(settings)
        # The setting alone does not bring them to the executors of a JVM that runs already.
        python_files = settings.pop("spark.submit.pyFiles", "")
        self._change_system_settings(settings)
        conf = SparkConf(_jvm=self.jvm)
        python = conf.get("spark.pyspark.python", None)
        os.environ["PYSPARK_PYTHON"] = python or os.environ.get("PYSPARK_PYTHON") or sys.executable
        if settings.get("spark.jars"):
            self._load_jars(settings["spark.jars"], conf._jconf)
        sc = SparkContext(gateway=self.gateway, conf=conf)
        for file in filter(None, python_files.split(",")):
            sc.addPyFile(file)
        spark = SparkSession(sc)
        self._files_folder = self.jvm.org.apache.spark.SparkFiles.getRootDirectory()
        self.sc = sc
        self.spark = spark

    def _change_system_settings(self, settings):
        """In the system properties, where this context and any later one of the session take them
        from. The JVM of a warm driver was started with others, which end here."""
        system = self.jvm.java.lang.System
        own = {
            "spark.repl.class.outputDir": self.class_dir,
            "spark.ui.showConsoleProgress": "false",
        }
        settings = dict(settings, **own)
        for name in self._warm_names - set(settings):
            system.clearProperty(name)
        for name, value in settings.items():
            system.setProperty(name, value)

    def _load_jars(self, jars, conf):
        """On the driver's own class path, fetched first where they are elsewhere: what spark-submit
        does with spark.jars."""
        tools = getattr(getattr(self.jvm.org.apache.spark.util, "DependencyUtils$"), "MODULE$")
        hadoop = self.jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(conf)
        local = tools.resolveAndDownloadJars(jars, "pyspark-shell", conf, hadoop)
        tools.addJarsToClassPath(local, self.loader)

    # ---- warming up

    def _warm_up(self):
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        # One call: the text of all settings, one to a line.
        text = self.jvm.SparkConf(True).toDebugString()
        self._warm_names = {line.partition("=")[0] for line in text.splitlines()}
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = SparkConf(loadDefaults=False, _jvm=self.jvm)
        for name, value in PLAIN_CONTEXT.items():
            conf.set(name, value)
        conf.set("spark.repl.class.outputDir", self.class_dir)
        conf.set("spark.ui.showConsoleProgress", "false")
        sc = SparkContext(gateway=self.gateway, conf=conf)
        spark = SparkSession(sc)
        spark.sql(
            "select id % 3 k, count(*) n, sum(id) s from range(100) group by 1 order by 1"
        ).collect()
        spark.range(10).count()  # by other ways than SQL: Scala's reflection alone takes a second
        spark.createDataFrame([(1, "a")], "a int, b string").collect()
        self.on_warming(spark)
        sc.stop()
        self._forget_session(SparkSession)

    def _forget_session(self, session_class):
        """Of the throw-away context, in both languages."""
        session_class._instantiatedSession = None
        if hasattr(session_class, "_activeSession"):
            session_class._activeSession = None
        name = "org.apache.spark.sql.SparkSession"
        if hasattr(session_class, "_get_j_spark_session_class"):  # Spark 4
            name = "org.apache.spark.sql.classic.SparkSession"
        java_class = getattr(self.jvm, name)
        java_class.clearActiveSession()
        java_class.clearDefaultSession()

    # ---- threads

    def _attach(self):
        """Before each call to the JVM, on the calling thread. A thread here has a thread there, as
        long as its connection lives; a new one has neither the class loader nor the statement's job
        group.
        """
        threads = self._threads
        if self.loader is None or getattr(threads, "attaching", False):
            return
        new = self._is_new(threads)
        statement = self._canceller.running if get_ident() == self._main else None
        if not new and (statement is None or statement.attached):
            return
        threads.attaching = True
        try:
            if new:
                self._attach_thread(threads)
            context = self._running_context()
            if statement is not None and context is not None:
                statement.attached = True
                self.spark_used.set()
                context.setJobGroup(statement.group, "statement %d" % statement.id, True)
        finally:
            threads.attaching = False

    def _is_new(self, threads):
        connection = self._client.get_thread_connection()
        if connection is None or connection.socket is None:
            return True
        known = getattr(threads, "connection", None)
        return known is None or known() is not connection

    def _attach_thread(self, threads):
        thread = self.jvm.java.lang.Thread.currentThread()
        thread.setContextClassLoader(self.loader)
        if get_ident() == self._main:
            self._canceller.java_thread = thread
        threads.connection = weakref.ref(self._client.get_thread_connection())

    def _wait_for_context(self):
        if get_ident() != self._main:
            self._finished.wait()
            return
        while not self._finished.is_set():
            with self.protected():  # an exception inside wait() could leave its lock taken
                self._finished.wait(0.05)


def _present_folder():
    try:
        return os.getcwd()
    except OSError:
        return None


def _first_line(error):
    return "%s: %s" % (type(error).__name__, (str(error).splitlines() or [""])[0][:300])


def _message(error):
    """What a person needs: the Java exception's own words, where there is one."""
    java = getattr(error, "java_exception", None)
    if java is not None:
        try:
            return java.toString()
        except Exception:
            pass
    return "%s: %s" % (type(error).__name__, error)


def _java_stack(error):
    return str(error) if getattr(error, "java_exception", None) is not None else None
