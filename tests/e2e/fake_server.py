"""The commands under test, and a server made of Python that answers them with what it is told to."""

import contextlib
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from harness import BINARY, PATIENCE, free_port


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HEARTH_", "http_proxy"))}
    env.update(more)
    return env


def run(*words, cwd=None, stdin="", **env):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, cwd=cwd,
                          env=environment(**env), timeout=60 * PATIENCE, input=stdin)


class Server:
    """Answers requests through `routes`: {"GET /path": function(query, body) -> (status, object)}, and perhaps
    a third, a dict of headers. None instead of an answer cuts the connection, None as object is no body."""

    def __init__(self):
        self.routes = {}
        self.requests = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(url.query).items()}
                owner.requests.append((self.command, url.path, query, body, dict(self.headers)))
                route = owner.routes.get(f"{self.command} {url.path}")
                answer = route(query, body) if route else (404, {"msg": f"no {url.path}"})
                if answer is None:
                    return
                status, content, *headers = answer
                text = content if isinstance(content, bytes) else json.dumps(content).encode()
                if content is None:
                    text = b""
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # a command that was interrupted has gone
                    self.wfile.write(text)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.handler = Handler
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = None
        self.start()

    def start(self):
        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def run(self, *words, **more):
        return run(*words, HEARTH_URL=self.url, **more)

    def application(self, lines, state="success", diagnosis=None, name=None):
        """An application with number 7 that has printed these (stream, text) lines."""
        lines = [{"n": n, "stream": s, "text": t} for n, (s, t) in enumerate(lines)]
        batch = {"id": 7, "name": name, "state": "starting", "appId": None, "reason": None, "log": []}
        record = batch | {"state": state, "diagnosis": diagnosis, "history": []}

        def log(query, _):
            chosen = [line for line in lines if query["stream"] in ("all", line["stream"])]
            first = int(query["from"])
            return 200, {"id": 7, "from": first, "total": len(chosen), "state": state, "ended": True,
                         "lines": chosen[first:first + int(query["size"])]}

        self.routes |= {
            "POST /batches": lambda q, b: (201, batch),
            "GET /batches/7": lambda q, b: (200, batch),
            "GET /hearth/batches/7": lambda q, b: (200, record),
            "GET /hearth/batches/7/log": log,
            "POST /hearth/batches/7/kill": lambda q, b: (200, {"msg": "killing"}),
            "DELETE /batches/7": lambda q, b: (200, {"msg": "deleted"}),
        }
        return record

    def bodies(self, method, path):
        return [json.loads(r[3]) for r in self.requests if r[:2] == (method, path)]
