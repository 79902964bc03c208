"""A driver's end of Spark's launcher protocol: Java-serialised messages on a TCP connection.

Written against what a Spark 3.5.7 driver sends; the class identities are the same in all versions.
"""

import contextlib
import os
import socket

PREFIX = "org.apache.spark.launcher.LauncherProtocol$"
HEADER = bytes.fromhex("ACED0005")


def text(s):
    data = s.encode()
    return len(data).to_bytes(2, "big") + data


def number(n):
    return n.to_bytes(8, "big", signed=True)


STRING = b"\x71\x00\x7e\x00\x01"  # the field type java.lang.String, said once in Hello
MESSAGE = b"\x71\x00\x7e\x00\x02"  # the superclass, said once in Hello


def hello(secret, version="3.5.7"):
    return (b"\x73\x72" + text(PREFIX + "Hello") + number(9176922929317261517) + b"\x02\x00\x02"
            b"L" + text("secret") + b"\x74" + text("Ljava/lang/String;") + b"L" + text("sparkVersion") + STRING +
            b"\x78\x72" + text(PREFIX + "Message") + number(-5003164482046097355) + b"\x02\x00\x00\x78\x70"
            b"\x74" + text(secret) + b"\x74" + text(version))


def app_id(identity):
    return (b"\x73\x72" + text(PREFIX + "SetAppId") + number(1695274999092510280) + b"\x02\x00\x01"
            b"L" + text("appId") + STRING + b"\x78" + MESSAGE + b"\x74" + text(identity))


def first_state(word):
    """Sent after hello() and app_id(): refers to the handles that those have given."""
    return (b"\x73\x72" + text(PREFIX + "SetState") + number(-1192011395149543032) + b"\x02\x00\x01"
            b"L" + text("state") + b"\x74" + text("Lorg/apache/spark/launcher/SparkAppHandle$State;") + b"\x78" + MESSAGE +
            b"\x7e\x72" + text("org.apache.spark.launcher.SparkAppHandle$State") + number(0) + b"\x12\x00\x00\x78"
            b"\x72" + text("java.lang.Enum") + number(0) + b"\x12\x00\x00\x78\x70\x74" + text(word))


def next_state(word):
    return b"\x73\x71\x00\x7e\x00\x09\x7e\x71\x00\x7e\x00\x0c\x74" + text(word)


def link_of(pid):
    """Port and secret that a driver was given."""
    with open(f"/proc/{pid}/environ", "rb") as f:
        env = dict(entry.split(b"=", 1) for entry in f.read().split(b"\0") if b"=" in entry)
    return int(env[b"_SPARK_LAUNCHER_PORT"]), env[b"_SPARK_LAUNCHER_SECRET"].decode()


class Link:
    def __init__(self, pid, timeout=15):
        self.port, self.secret = link_of(pid)
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout)

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def receive(self, n):
        data = b""
        while len(data) < n and (more := self.socket.recv(n - len(data))):
            data += more
        return data

    def receive_all(self):
        """Everything until the other end closes."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while more := self.socket.recv(65536):
                data += more
        return data

    def close(self):
        """As a JVM does, with everything read: unread bytes would reset the connection, and what was
        sent last could be lost."""
        try:
            self.socket.setblocking(False)
            self.socket.recv(65536)
        except OSError:
            pass  # nothing to read, or closed by the other end
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def greeted(pid, identity="local-1"):
    """A link that has introduced itself and said its application id."""
    link = Link(pid)
    link.send(HEADER, hello(link.secret), app_id(identity))
    return link


def has_environment(pid):
    with contextlib.suppress(OSError, KeyError):
        link_of(pid)
        return os.path.exists(f"/proc/{pid}/exe")
    return False
