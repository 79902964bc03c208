"""A real standalone cluster of one worker on free ports, for tests that lose it."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import requests

from harness import free_port, until


class Cluster:
    def __init__(self, folder, spark_home):
        self.folder, self.spark_home = Path(folder), Path(spark_home)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.url = f"spark://127.0.0.1:{free_port()}"
        self.page = f"http://127.0.0.1:{free_port()}"
        self.processes = []

    def launch(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "HEARTH_"))}
        environment.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_DAEMON_MEMORY="256m", PYSPARK_PYTHON="/usr/bin/python3",
                           SPARK_DAEMON_JAVA_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
                           SPARK_LOG_DIR=str(self.folder), SPARK_WORKER_DIR=str(self.folder / "work"))
        with open(self.folder / "cluster.log", "ab") as log:
            self.processes.append(subprocess.Popen(
                [self.spark_home / "bin" / "spark-class", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, cwd=self.folder, start_new_session=True))

    def start(self):
        self.launch("org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2],
                    "--webui-port", self.page.rpartition(":")[2])
        self.launch("org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", str(free_port()),
                    "--cores", "1", "--memory", "1g", self.url)
        until(lambda: self.state().get("aliveworkers") == 1, 60, self.log)
        return self

    def state(self):
        """What the master's page tells as JSON; nothing while it does not answer."""
        with contextlib.suppress(requests.RequestException, ValueError):
            return requests.get(self.page + "/json/", timeout=5, proxies={"http": ""}).json()
        return {}

    def applications(self):
        return [a["id"] for a in self.state().get("activeapps", [])]

    def kill_application(self, application):
        """What an operator does on the master's page."""
        requests.post(self.page + "/app/kill/", data={"id": application, "terminate": "true"}, timeout=20,
                      proxies={"http": ""}, allow_redirects=False)

    def log(self):
        return (self.folder / "cluster.log").read_text(errors="replace")[-4000:]

    def kill(self):
        """Master, worker and the worker's executors, without a word."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes = []
