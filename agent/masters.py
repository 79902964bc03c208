"""Notices at once when a standalone cluster's masters are gone.

Spark itself then waits for them, for ever and without a word to anybody but its log. Here a connection of
our own, on which nothing is ever said, ends with the master's process or machine.
"""

import socket
from threading import Thread
from time import sleep

CONNECT_S = 2.0
AGAIN_S = 1.0
PREFIX = "spark://"


def addresses(master):
    """The (host, port) pairs of spark://a:7077,b:7077; none for other masters."""
    found = []
    if master.startswith(PREFIX):
        for text in master[len(PREFIX) :].split(","):
            host, colon, port = text.rpartition(":")
            if colon and port.isdigit():
                found.append((host.strip("[]"), int(port)))
    return found


class Masters:
    """Calls `tell` with a sentence when no master answers any more, and with None when one does again."""

    def __init__(self, master, tell):
        self._master = master
        self._addresses = addresses(master)
        self._tell = tell
        self._lost = False

    def start(self):
        if self._addresses:
            Thread(target=self._run, name="masters", daemon=True).start()

    def _run(self):
        while True:
            connection = self._connect()
            if connection is None:
                self._set_lost(True)
                sleep(AGAIN_S)
                continue
            self._set_lost(False)
            with connection:
                _wait_for_end(connection)

    def _connect(self):
        for address in self._addresses:
            try:
                connection = socket.create_connection(address, CONNECT_S)
            except OSError:
                continue
            connection.settimeout(None)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return connection
        return None

    def _set_lost(self, lost):
        if lost == self._lost:
            return
        self._lost = lost
        words = "Spark's master does not answer (%s); Spark waits for it to come back" % self._master
        self._tell(words if lost else None)


def _wait_for_end(connection):
    """A master says nothing to somebody who asks nothing; what comes is its end."""
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass
