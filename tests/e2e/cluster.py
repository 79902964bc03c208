"""Real standalone clusters on free ports of this machine, for tests that break them; and ZooKeeper, Debian's."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import requests

from harness import free_port, until

ZOOKEEPER = Path("/usr/share/java/zookeeper.jar")
SMALL_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


class Daemon:
    """A process with all that it starts, in a process group of its own; what it says goes to the end of a file."""

    def __init__(self, command, folder, log, environment=None):
        with open(log, "ab") as output:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env=environment, cwd=folder, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        """To the group: a stopped daemon hangs with all its children, and neither answers nor breaks off."""
        os.killpg(self.pid, number)

    def kill(self):
        """The whole group without a word, as a machine dies."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()

    def kill_alone(self):
        """The daemon and not what it started."""
        self.process.kill()
        self.process.wait()


class ZooKeeper:
    def __init__(self, folder):
        self.folder, self.port, self.daemon = Path(folder), free_port(), None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{self.port}"
        # Spark asks for sessions of a minute: so long a dead leader would stay the leader.
        (self.folder / "zoo.cfg").write_text(
            f"tickTime=500\nmaxSessionTimeout=5000\ndataDir={self.folder}/data\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n")

    def start(self):
        self.daemon = Daemon(["java", "-Xmx64m", *SMALL_JVM.split(), "-cp", ZOOKEEPER,
                              "org.apache.zookeeper.server.ZooKeeperServerMain", "zoo.cfg"], self.folder, self.folder / "zookeeper.log")
        until(lambda: listens(self.port), 60, lambda: (self.folder / "zookeeper.log").read_text()[-2000:])
        return self

    def kill(self):
        if self.daemon:
            self.daemon.kill()


class Master:
    def __init__(self, cluster, number):
        self.cluster, self.name = cluster, f"master{number}"
        self.port, self.page_port, self.rest_port = free_port(), free_port(), free_port()
        self.page = f"http://127.0.0.1:{self.page_port}"
        self.daemon = None

    def start(self):
        conf = {"spark.master.rest.enabled": str(self.cluster.rest).lower(), "spark.master.rest.port": self.rest_port}
        if self.cluster.zookeeper:
            conf.update({"spark.deploy.recoveryMode": "ZOOKEEPER", "spark.deploy.zookeeper.url": self.cluster.zookeeper.address})
        self.daemon = self.cluster.launch("org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", self.port,
                                          "--webui-port", self.page_port, "--properties-file", self.cluster.properties(self.name, conf))
        return self

    def state(self):
        """What its page tells as JSON; nothing while it does not answer."""
        with contextlib.suppress(requests.RequestException, ValueError):
            return requests.get(self.page + "/json/", timeout=5, proxies={"http": ""}).json()
        return {}

    def kill(self):
        self.daemon.kill()


class Worker:
    def __init__(self, cluster, number, cores, memory):
        self.cluster, self.cores, self.memory = cluster, cores, memory
        self.folder = cluster.folder / f"work{number}"
        self.port = free_port()
        self.daemon = cluster.launch("org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--port", self.port,
                                     "--webui-port", free_port(), "--cores", cores, "--memory", memory, "--work-dir", self.folder,
                                     "--properties-file", cluster.properties(f"worker{number}"), cluster.url)

    def kill(self):
        self.daemon.kill()


class Cluster:
    """One master and one small worker unless it is told otherwise.

    zookeeper   where several masters find their leader
    rest        with the masters' REST submission servers
    secret      spark.authenticate with it
    conf        more settings for masters and workers
    """

    def __init__(self, folder, spark_home, masters=1, zookeeper=None, rest=False, secret=None, conf=None):
        self.folder, self.spark_home = Path(folder), Path(spark_home)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.zookeeper, self.rest, self.conf = zookeeper, rest, dict(conf or {})
        if secret:
            self.conf.update({"spark.authenticate": "true", "spark.authenticate.secret": secret})
        self.daemons, self.workers = [], []
        self.masters = [Master(self, number) for number in range(masters)]
        self.url = "spark://" + ",".join(f"127.0.0.1:{master.port}" for master in self.masters)
        self.page = self.masters[0].page

    def properties(self, name, conf=None):
        path = self.folder / f"{name}.properties"
        path.write_text("".join(f"{key} {value}\n" for key, value in {**self.conf, **(conf or {})}.items()))
        return path

    def launch(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "HEARTH_"))}
        environment.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_DAEMON_MEMORY="256m", PYSPARK_PYTHON="/usr/bin/python3",
                           SPARK_DAEMON_JAVA_OPTS=SMALL_JVM, SPARK_LOG_DIR=str(self.folder))
        daemon = Daemon([self.spark_home / "bin" / "spark-class", *arguments], self.folder, self.folder / "cluster.log", environment)
        self.daemons.append(daemon)
        return daemon

    def start(self, workers=1, cores=1, memory="1g"):
        for master in self.masters:
            master.start()
        for _ in range(workers):
            self.add_worker(cores, memory)
        self.wait_workers(workers)
        return self

    def add_worker(self, cores=1, memory="1g"):
        self.workers.append(Worker(self, len(self.workers), cores, memory))
        return self.workers[-1]

    def wait_workers(self, count, timeout=90):
        until(lambda: self.state().get("aliveworkers") == count, timeout, lambda: f"{count} workers at {self.url}\n{self.log()}")

    def kill(self):
        """Masters, workers and what the workers started, without a word."""
        for daemon in self.daemons:
            daemon.kill()
        self.daemons = []

    # -- what the cluster tells -------------------------------------------------------------------

    def leader(self):
        """The master that is ALIVE; None while there is none."""
        return next((master for master in self.masters if master.state().get("status") == "ALIVE"), None)

    def wait_leader(self, timeout=120):
        return until(self.leader, timeout, lambda: f"a leader of {self.url}\n{self.log()}")

    def state(self):
        """What the leader's page tells as JSON; nothing while there is no leader."""
        return next((state for state in (master.state() for master in self.masters) if state.get("status") == "ALIVE"), {})

    def applications(self):
        return [a["id"] for a in self.state().get("activeapps", [])]

    def drivers(self):
        """{id: record} of all drivers, those that have ended too."""
        state = self.state()
        return {d["id"]: d for d in state.get("activedrivers", []) + state.get("completeddrivers", [])}

    def driver_state(self, driver_id):
        return self.drivers().get(driver_id, {}).get("state")

    def wait_driver(self, driver_id, states, timeout=60):
        states = (states,) if isinstance(states, str) else states
        return until(lambda: self.driver_state(driver_id) in states and self.drivers()[driver_id], timeout,
                     lambda: f"{driver_id} {states}: {self.drivers().get(driver_id)}")

    def worker_of(self, driver_id):
        """The worker that has this driver."""
        where = self.drivers()[driver_id]["worker"]
        return next(worker for worker in self.workers if where.endswith(f"-{worker.port}"))

    def output(self, driver_id, stream="stdout"):
        """What a driver has written so far; nothing when it was never started."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob(f"work*/{driver_id}/{stream}"))

    def kill_application(self, application):
        """What an operator does on the master's page."""
        requests.post(self.page + "/app/kill/", data={"id": application, "terminate": "true"}, timeout=20,
                      proxies={"http": ""}, allow_redirects=False)

    def log(self):
        return (self.folder / "cluster.log").read_text(errors="replace")[-4000:]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


