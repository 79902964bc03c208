"""Stands in for Livy's own Python client, which is in no package: the same requests in the same order, the same
serialization, and the same readiness to take offence, behind the same names.
"""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

import cloudpickle
import requests

TIMEOUT = 10  # s, of each request
FIRST_POLL, LAST_POLL = 0.1, 5.0


class HttpClient:
    """With a server's address it makes a session; with a session's it connects to that one."""

    def __init__(self, url, load_defaults=True, conf_dict=None):
        parts = urlparse(url)
        path = parts.path.rstrip("/")
        before, _, number = path.rpartition("/sessions/")
        self._http = requests.Session()
        self._http.trust_env = False
        self._threads = ThreadPoolExecutor(max_workers=4)
        self._lock = threading.Lock()
        root = f"{parts.scheme}://{parts.netloc}"
        if number.isdigit():
            self._sessions = f"{root}{before}/sessions"
            self._session_id = int(number)
            self._send("POST", f"/{number}/connect")
        else:
            self._sessions = f"{root}{path}/sessions"
            conf = {key.lower(): value for key, value in (conf_dict or {}).items()}
            self._session_id = self._send("POST", "/", json={"kind": "pyspark", "conf": conf}).json()["id"]

    def _send(self, method, path, **more):
        with self._lock:
            answer = self._http.request(method, self._sessions + path, timeout=TIMEOUT, headers={"X-Requested-By": "livy"}, **more)
        answer.raise_for_status()
        return answer

    # -- jobs -------------------------------------------------------------------------------------

    def submit(self, job):
        return self._start("submit-job", job)

    def run(self, job):
        return self._start("run-job", job)

    def _start(self, command, job):
        text = base64.b64encode(cloudpickle.dumps(job)).decode()
        sent = self._send("POST", f"/{self._session_id}/{command}", json={"job": text, "jobType": "pyspark"}).json()
        assert set(sent) == {"id", "state", "result", "error"}, sent
        return self._threads.submit(self._follow, sent["id"])

    def _follow(self, number):
        pause = FIRST_POLL
        while True:
            job = self._send("GET", f"/{self._session_id}/jobs/{number}").json()
            state = job["state"]
            if state == "SUCCEEDED":
                return cloudpickle.loads(base64.b64decode(base64.b64decode(job["result"])))
            if state == "FAILED":
                raise RuntimeError(job["error"])
            if state == "CANCELLED":
                raise RuntimeError("cancelled")
            if state not in ("QUEUED", "STARTED"):
                raise RuntimeError(f"a job may not be {state} when it is asked for")
            time.sleep(pause)
            pause = min(2 * pause, LAST_POLL)

    # -- files ------------------------------------------------------------------------------------

    def add_file(self, uri):
        return self._threads.submit(self._add, "add-file", uri)

    def add_pyfile(self, uri):
        return self._threads.submit(self._add, "add-pyfile", uri)

    def upload_file(self, path):
        return self._threads.submit(self._upload, "upload-file", path)

    def upload_pyfile(self, path):
        return self._threads.submit(self._upload, "upload-pyfile", path)

    def _add(self, command, uri):
        self._send("POST", f"/{self._session_id}/{command}", json={"uri": uri})

    def _upload(self, command, path):
        with open(path, "rb") as f:
            self._send("POST", f"/{self._session_id}/{command}", files={"file": f})

    # -- the end ----------------------------------------------------------------------------------

    def stop(self, shutdown_context):
        self._threads.shutdown(wait=True)
        if shutdown_context:
            self._send("DELETE", f"/{self._session_id}")
        self._http.close()
