"""A real HDFS of this machine, and a stand-in for a NameNode that is standby.

    with HdfsCluster(tmp_path / "hdfs") as hdfs:            # one NameNode, one DataNode; some 5 s, 250 MB
        hdfs.write("/apps/load.jar", b"...")                # through WebHDFS, as the superuser
        hdfs.namenode_url                                   # "http://127.0.0.1:40123", for WebHDFS and /jmx
        hdfs.uri("/apps/load.jar")                          # "hdfs://127.0.0.1:40122/apps/load.jar", for Spark
        with StubStandby(port=hdfs.web_port) as standby:    # on 127.0.0.2, so that both have one port
            ...nn0 = standby.host, nn1 = hdfs.host, port = hdfs.web_port...

HdfsCluster is Hadoop's own MiniDFSCluster in a JVM of its own (hdfs_cluster/MiniHdfs.java); `scripts/setup.sh test` has
Maven put its jars into the cache. With ha=True it has two real NameNodes, the first of them active (not for /jmx: a JVM
has one page of it, whichever NameNode is asked).
"""

import contextlib
import json
import os
import queue
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import requests

from harness import HERE, PATIENCE, free_port

PROGRAM = HERE / "hdfs_cluster"
SMALL_JVM = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
STANDBY_WORDS = "Operation category READ is not supported in state standby. Visit https://s.apache.org/sbnn-error"


def jars():
    """The folder with Hadoop's jars."""
    version = re.search(r"<hadoop.version>(.*)</hadoop.version>", (PROGRAM / "pom.xml").read_text()).group(1)
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hearth" / f"hadoop-{version}"
    if not folder.is_dir():
        raise AssertionError(f"{folder} is missing: scripts/setup.sh test makes it")
    return folder


class HdfsCluster:
    """host, web_port, namenode_url   the NameNode's web server
    rpc_port                       of hdfs:// URIs
    standby_url, standby_port      of the second NameNode, with ha=True
    user                           the superuser: who runs the tests
    settings                       Hadoop's, such as {"dfs.namenode.safemode.extension": 0}
    jvm, environment               more words for java, more variables
    """

    host = "127.0.0.1"

    def __init__(self, folder, ha=False, settings=None, jvm=(), environment=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        self.ports = [free_port() for _ in range(4 if ha else 2)]
        self.rpc_port, self.web_port = self.ports[:2]
        self.namenode_url = f"http://{self.host}:{self.web_port}"
        self.standby_port = self.ports[3] if ha else None
        self.standby_url = f"http://{self.host}:{self.standby_port}" if ha else None
        self.session = requests.Session()
        self.session.trust_env = False
        self.user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        words = [*map(str, self.ports), *(f"{key}={value}" for key, value in (settings or {}).items())]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["java", *SMALL_JVM, *jvm, "-cp", f"{jars()}/*", str(PROGRAM / "MiniHdfs.java"), str(self.folder / "data"), *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.folder,
                env={**os.environ, "HADOOP_USER_NAME": self.user, **(environment or {})})
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._expect("ready", 120)
        except AssertionError:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        with contextlib.suppress(ValueError):
            for line in self.process.stdout:
                self.lines.put(line.strip())
        self.lines.put("it has ended")

    def _expect(self, wanted, timeout):
        try:
            line = self.lines.get(timeout=timeout * PATIENCE)
        except queue.Empty:
            line = f"nothing within {timeout} s"
        if line != wanted:
            raise AssertionError(f"the HDFS said {line!r}, not {wanted!r}; its log: {self.log.read_text()[-3000:]}")

    def command(self, *words):
        """One of MiniHdfs.java: "safe-mode on", "safe-mode off", "stop-datanode", "start-datanode", "fail-over 1"."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        self._expect("ok", 60)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.session.close()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    # ---- files, by WebHDFS of its own ----

    def uri(self, path):
        return f"hdfs://{self.host}:{self.rpc_port}{quote(path)}"

    def call(self, method, operation, path, user=None, body=None, **parameters):
        return self.session.request(method, f"{self.namenode_url}/webhdfs/v1{quote(path)}", data=body, timeout=60,
                                    params={"op": operation, "user.name": user or self.user, **parameters})

    def write(self, path, content=b"", user=None):
        place = self.call("PUT", "CREATE", path, user, overwrite="true", noredirect="true").json()["Location"]
        self.session.put(place, data=content, timeout=60).raise_for_status()

    def read(self, path, user=None):
        answer = self.call("GET", "OPEN", path, user)
        answer.raise_for_status()
        return answer.content

    def make_folder(self, path, user=None, permission="755"):
        self.call("PUT", "MKDIRS", path, user, permission=permission).raise_for_status()

    def remove(self, path, user=None):
        self.call("DELETE", "DELETE", path, user, recursive="true").raise_for_status()

    def status(self, path):
        """The FileStatus of the path; None when there is no such path."""
        return self.call("GET", "GETFILESTATUS", path).json().get("FileStatus")


def remote_exception(name, words, java="org.apache.hadoop.ipc."):
    """The body of an error as WebHDFS sends it."""
    return json.dumps({"RemoteException": {"exception": name, "javaClassName": java + name, "message": words}})


class StubNameNode:
    """Pretends to be a NameNode: each request is answered by answer(method, path with query), which returns (status,
    body) or (status, body, headers). All that was asked is in `asked`. For what no real one does when a test wants it."""

    def __init__(self, answer, host="127.0.0.2", port=0):
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stub.asked.append((self.command, self.path))
                status, body, *more = answer(self.command, self.path)
                body = body if isinstance(body, bytes) else body.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(more[0] if more else {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = reply

            def log_message(self, *_):
                pass

        self.asked = []
        self.server = ThreadingHTTPServer((host, port), Handler)
        self.server.daemon_threads = True
        self.host, self.web_port = self.server.server_address
        self.namenode_url = f"http://{self.host}:{self.web_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def jmx(state):
    """What /jmx says of a NameNode in that state."""
    return json.dumps({"beans": [{"name": "Hadoop:service=NameNode,name=NameNodeStatus", "NNRole": "NameNode", "State": state}]})


class StubStandby(StubNameNode):
    """A NameNode that is standby: StandbyException for WebHDFS, "standby" on its JMX page."""

    def __init__(self, host="127.0.0.2", port=0):
        super().__init__(self.answer, host, port)

    @staticmethod
    def answer(_method, path):
        if path.startswith("/jmx"):
            return 200, jmx("standby")
        return 403, remote_exception("StandbyException", STANDBY_WORDS)
