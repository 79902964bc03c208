"""HTTP by hand, for what no client library lets a test do."""

import contextlib
import socket


def connect(server, timeout=10):
    return socket.create_connection(("127.0.0.1", server.port), timeout)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def read_answer(stream, head_only=False):
    """One answer from a socket's file object; None when the connection ended instead."""
    line = stream.readline()
    if not line:
        return None
    status = int(line.split()[1])
    headers = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if status < 200 or head_only or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    elif "content-length" in headers:
        body = stream.read(int(headers["content-length"]))
    else:
        body = stream.read()
    return Answer(status, headers, body)


def exchange(server, data, answers=1):
    """Sends the bytes on a new connection and reads that many answers (fewer when it is closed)."""
    with connect(server) as s, s.makefile("rb") as stream:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(data)
        got = []
        with contextlib.suppress(ConnectionResetError):
            while len(got) < answers and (answer := read_answer(stream)) is not None:
                got.append(answer)
        return got


def request(method, path, body=b"", **headers):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    for name, value in headers.items():
        head += f"{name.replace('_', '-')}: {value}\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
