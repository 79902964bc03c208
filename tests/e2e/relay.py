"""Stands between a client and a server on TCP and breaks off where a test wants it."""

import contextlib
import socket
import threading


class Relay:
    """Passes bytes on, until the client sends `trouble`: then it does `what` once, and passes on as before.

    lose_request   the connection breaks before the server sees those bytes
    lose_answer    the server gets them, and its answer goes no further: the connection breaks
    keep_answer    the same, but the connection stays open without a word
    """

    def __init__(self, port, trouble=b"", what=""):
        self.target, self.trouble, self.what = port, trouble, what
        self.troubled = threading.Event()  # set when the answer, or the request, has been lost
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                pair = Pair(self, client, server)
                self.pairs.append(pair)
                threading.Thread(target=pair.requests, daemon=True).start()
                threading.Thread(target=pair.answers, daemon=True).start()

    def close(self):
        self.listener.close()
        for pair in self.pairs:
            pair.cut()


class Pair:
    def __init__(self, relay, client, server):
        self.relay, self.client, self.server, self.losing = relay, client, server, False

    def cut(self):
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def requests(self):
        seen = b""
        with contextlib.suppress(OSError):
            while data := self.client.recv(65536):
                seen = seen[-len(self.relay.trouble):] + data
                if self.relay.trouble and self.relay.trouble in seen and not self.relay.troubled.is_set() and not self.losing:
                    if self.relay.what == "lose_request":
                        self.relay.troubled.set()
                        break
                    self.losing = True
                self.server.sendall(data)
        self.cut()

    def answers(self):
        with contextlib.suppress(OSError):
            while data := self.server.recv(65536):
                if self.losing:
                    self.relay.troubled.set()
                    if self.relay.what == "lose_answer":
                        break
                else:
                    self.client.sendall(data)
        self.cut()
