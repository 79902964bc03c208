"""The connection to hearth: JSON lines over TCP, which may break at any moment and loses nothing.

Messages that matter (durable ones) get a number and stay here until hearth has said that they are
in its store. After each new connection what it does not have yet is sent again, in order. What does
not fit in memory goes to a file; when that is full too, whoever has a result waits.

Both ends prove that they know the session's token before anything else is said; the token itself
never crosses the wire. The address is read again from its file before each attempt, because hearth
may come back on another port.

One thread does all reading and all connecting. Any thread may send: what the socket takes at once
is written by the sender, the rest by the thread of the link, so nobody ever waits for a slow
reader.
"""

import fcntl
import hashlib
import hmac
import json
import os
import re
from collections import deque
from select import POLLIN, POLLOUT, poll
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY
from socket import socket as Socket
from threading import Condition, Lock, Thread
from time import monotonic

LINE_LIMIT = 64 << 20  # bytes, both directions
MEMORY_LIMIT = 8 << 20  # bytes of unacknowledged messages in memory; the next ones go to the file
UNWRITTEN_LIMIT = 1 << 20  # bytes given to the socket's queue before more is taken from the outbox
HANDSHAKE_S = 10.0
SILENCE_S = 30.0
DELAY_MIN_S = 0.05
DELAY_MAX_S = 2.0
READ_SIZE = 256 << 10

# Here and elsewhere names are taken from modules at the start: statements may replace them later.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_decode = json.JSONDecoder().decode
_NUL = re.compile(rb"((?<!\\)(?:\\\\)*)\\u0000")


class MessageTooLarge(ValueError):
    """The message is longer than one line may be."""


class Closed(Exception):
    """This connection is over; the text says why."""


def log(text):
    """A line in the driver's log. Never fails: a statement may have closed the descriptor."""
    try:
        os.write(2, ("hearth agent: %s\n" % text).encode("utf-8", "replace"))
    except OSError:
        pass


def encode(message):
    """One line without its end. Text that JSON or hearth cannot hold (lone surrogates, NUL) is
    replaced; ValueError, TypeError or RecursionError for a value that cannot be sent at all."""
    line = _encode(message).encode("utf-8", "replace")
    if b"\\u0000" in line:
        line = _NUL.sub(b"\\1\\\\ufffd", line)
    if len(line) > LINE_LIMIT - 64:  # room for its number and the end of the line
        raise MessageTooLarge("the message has %d bytes, %d are possible" % (len(line), LINE_LIMIT))
    return line


class Outbox:
    """Durable messages, numbered from 1, until they are acknowledged. The caller holds the lock."""

    def __init__(self, path, limit):
        self._path = path
        self._limit = limit
        self._file = None  # descriptor, once it was needed
        self._file_end = 0
        self._in_file = 0  # messages there that are not acknowledged
        self._memory = 0
        self._entries = {}  # number → bytes, or (offset, length) in the file
        self.last = 0
        self._acknowledged = 0
        self._next = 1  # the next one to hand out

    def add(self, body):
        """`body` is an encoded object; the number becomes its first field."""
        self.last += 1
        line = b'{"seq":%d,%s\n' % (self.last, body[1:])
        if self._memory + len(line) > MEMORY_LIMIT and self._memory > 0:
            place = self._spill(line)
            if place is not None:
                self._entries[self.last] = place
                return
        self._entries[self.last] = line
        self._memory += len(line)

    def _spill(self, line):
        """Writes a line to the file; None when it does not take it, and memory has to."""
        if self._file_end + len(line) > self._limit:
            return None
        try:
            if self._file is None:
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            written = 0
            while written < len(line):
                written += os.pwrite(self._file, line[written:], self._file_end + written)
        except OSError as error:
            log("cannot keep a message in %s: %s" % (self._path, error))
            return None
        place = (self._file_end, len(line))
        self._file_end += len(line)
        self._in_file += 1
        return place

    def full(self):
        """Nothing but what cannot wait should be added now."""
        return self._memory >= MEMORY_LIMIT and self._file_end + self._memory >= self._limit

    def empty(self):
        return not self._entries

    def acknowledge(self, number):
        """Forgets everything up to `number`."""
        if number > self.last:
            raise Closed(
                "hearth acknowledged message %d, the last one was %d" % (number, self.last)
            )
        while self._acknowledged < number:
            self._acknowledged += 1
            entry = self._entries.pop(self._acknowledged)
            if isinstance(entry, bytes):
                self._memory -= len(entry)
            else:
                self._in_file -= 1
        self._next = max(self._next, self._acknowledged + 1)
        if self._in_file == 0 and self._file_end > 0:
            self._file_end = 0
            try:
                os.ftruncate(self._file, 0)
            except OSError:
                pass  # the space is given back later; the next message overwrites from the start

    def rewind(self):
        """A new connection: what is not acknowledged is handed out again."""
        self._next = self._acknowledged + 1

    def next(self):
        """The next line to send, or None."""
        if self._next > self.last:
            return None
        entry = self._entries[self._next]
        if not isinstance(entry, bytes):
            offset, length = entry
            entry = os.pread(self._file, length, offset)
            if len(entry) != length:
                raise OSError("%s is not what was written" % self._path)
        self._next += 1
        return entry


class Link:
    """The agent's end. Callbacks, all on the thread of the link, which must not be held up:

    on_message(dict)   what hearth wants, in order
    on_refused(reason) hearth will never have us; no further attempt is made
    on_lost(seconds)   called again and again while there is no connection, with its duration
    on_signal(number)  this process got a signal for which a Python handler is set
    """

    def __init__(self, config, token, spool_path):
        self._session = config["session"]
        self._address_file = config["addressFile"]
        self._token = token
        self._boot = os.urandom(16).hex()
        self._pid = os.getpid()
        self._outbox = Outbox(spool_path, config["spoolLimit"])
        self._lock = Lock()
        self._changed = Condition(self._lock)  # something was acknowledged
        self._socket = None
        self._welcomed = False
        self._unwritten = deque()  # what the socket did not take yet
        self._unwritten_size = 0
        self._stopped = False
        self._wake_read, self._wake_write = _pipe()
        self._received = bytearray()
        self._searched = 0
        self._expect = None  # what does the next line
        self._nonce = None
        self._deadline = 0.0
        self._lost_since = monotonic()
        self._last_trouble = None
        self.on_message = self.on_refused = self.on_lost = self.on_signal = None

    def start(self):
        Thread(target=self._run, name="link", daemon=True).start()

    def stop(self):
        """No connection and no further attempt."""
        self._stopped = True
        self._wake()

    @property
    def wake_descriptor(self):
        """For signal.set_wakeup_fd(): a byte written here wakes the thread of the link."""
        return self._wake_write

    def abandon(self):
        """In a forked child: the connection belongs to its parent."""
        for descriptor in (self._wake_read, self._wake_write):
            _close_quietly(descriptor)
        if self._socket is not None:
            _close_quietly(self._socket.detach())

    # ---- sending, any thread

    def send(self, message):
        """A durable message: hearth will have it, once, in order."""
        body = encode(message)
        if os.getpid() != self._pid:
            return  # a statement forked: its child is not the session
        with self._lock:
            self._outbox.add(body)
            self._write()

    def send_result(self, message):
        """As send(), but waits while too much is unacknowledged."""
        body = encode(message)
        if os.getpid() != self._pid:
            return
        with self._lock:
            while self._outbox.full() and not self._stopped:
                self._changed.wait(1.0)
            self._outbox.add(body)
            self._write()

    def tell(self, message):
        """A message that may be lost: dropped when there is no connection, or one that does not
        read."""
        if os.getpid() != self._pid:
            return
        line = encode(message) + b"\n"
        with self._lock:
            if self._welcomed and self._unwritten_size < UNWRITTEN_LIMIT:
                self._queue(line)
                self._write()

    def drain(self, timeout_s):
        """Waits until hearth has everything, but not longer than `timeout_s`. True when it has."""
        end = monotonic() + timeout_s
        with self._lock:
            while not self._outbox.empty():
                left = end - monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def _queue(self, line):
        self._unwritten.append(memoryview(line))
        self._unwritten_size += len(line)

    def _write(self):
        """Gives the socket what it takes, oldest first; the thread of the link goes on with the
        rest."""
        if not self._welcomed:
            return
        try:
            while True:
                while self._unwritten_size < UNWRITTEN_LIMIT:
                    line = self._outbox.next()
                    if line is None:
                        break
                    self._queue(line)
                if not self._unwritten:
                    return
                first = self._unwritten[0]
                sent = self._socket.send(first)
                self._unwritten_size -= sent
                if sent == len(first):
                    self._unwritten.popleft()
                else:
                    self._unwritten[0] = first[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._welcomed = False  # the thread of the link sees the same and starts again
        self._wake()

    def _wake(self):
        try:
            os.write(self._wake_write, b"\0")
        except OSError:
            pass  # full: it is awake; closed by a statement: replaced by the thread of the link

    # ---- the thread of the link

    def _run(self):
        delay = DELAY_MIN_S
        while not self._stopped:
            trouble = self._connect_and_serve()
            if self._expect == self._on_line:  # it was a real connection
                self._lost_since = monotonic()
                self._last_trouble = None
                delay = DELAY_MIN_S
            if trouble != self._last_trouble:
                log("no connection to hearth: %s" % trouble)
                self._last_trouble = trouble
            self._expect = None
            if self._stopped:
                break
            self.on_lost(monotonic() - self._lost_since)
            self._sleep(delay)
            delay = min(delay * 2, DELAY_MAX_S)

    def _connect_and_serve(self):
        """One connection from its start to its end; returns why it ended."""
        try:
            self._open()
            self._serve()
        except Closed as closed:
            return str(closed)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return "%s: %s" % (type(error).__name__, error)
        finally:
            self._close()

    def _open(self):
        with open(self._address_file, encoding="utf-8") as file:
            host, _, port = file.read(4096).strip().rpartition(":")
        host = host.strip("[]")
        family = AF_INET6 if ":" in host else AF_INET
        self._socket = _above_standard(Socket(family, SOCK_STREAM))
        self._socket.settimeout(5.0)
        self._socket.connect((host, int(port)))
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._socket.settimeout(0.0)
        self._received.clear()
        self._searched = 0
        self._nonce = os.urandom(16).hex()
        self._expect = self._on_challenge
        self._deadline = monotonic() + HANDSHAKE_S
        self._say_hello()

    def _say_hello(self):
        hello = {"t": "hello", "v": 1, "session": self._session, "boot": self._boot}
        hello["nonce"] = self._nonce
        self._socket.send(encode(hello) + b"\n")

    def _close(self):
        with self._lock:
            connection, self._socket = self._socket, None
            self._welcomed = False
            self._unwritten.clear()
            self._unwritten_size = 0
        if connection is not None:
            try:
                connection.close()
            except OSError:
                pass

    def _serve(self):
        while not self._stopped:
            readable = self._poll(max(0.0, self._deadline - monotonic()))
            if readable:
                self._read()
            elif monotonic() >= self._deadline:
                raise Closed("no word from it for too long")

    def _poll(self, timeout_s):
        """Waits for something to do; True when the socket has something to read."""
        waiting = poll()
        waiting.register(self._wake_read, POLLIN)
        with self._lock:
            descriptor = self._socket.fileno() if self._socket is not None else -1
            broken = self._expect == self._on_line and not self._welcomed
            waits = bool(self._unwritten)
        if descriptor >= 0:
            waiting.register(descriptor, POLLIN | (POLLOUT if waits else 0))
        if broken:
            raise Closed("it closed the connection")
        readable = False
        for number, events in waiting.poll(timeout_s * 1000):
            if number == self._wake_read:
                self._on_wake(events)
                continue
            if events & POLLOUT:
                with self._lock:
                    self._write()
            readable = readable or bool(events & ~POLLOUT)
        return readable

    def _sleep(self, seconds):
        end = monotonic() + seconds
        while monotonic() < end and not self._stopped:
            self._poll(max(0.0, end - monotonic()))

    def _on_wake(self, events):
        if events & ~POLLIN:  # a statement closed our descriptors
            self._wake_read, self._wake_write = _pipe()
            return
        for number in os.read(self._wake_read, 4096):
            if number != 0:
                self.on_signal(number)

    def _read(self):
        try:
            received = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        if not received:
            raise Closed("it closed the connection")
        self._received += received
        if self._expect == self._on_line:
            self._deadline = monotonic() + SILENCE_S
        while True:
            end = self._received.find(b"\n", self._searched)
            if end < 0:
                break
            line = self._received[:end].decode("utf-8")
            del self._received[: end + 1]
            self._searched = 0
            self._expect(_decode(line))
        self._searched = len(self._received)
        if self._searched > (LINE_LIMIT if self._expect == self._on_line else 4096):
            raise Closed("it sent a line that is too long")

    def _proof(self, *words):
        return hmac.new(self._token, "|".join(words).encode(), hashlib.sha256).hexdigest()

    def _on_challenge(self, message):
        session, nonce = str(self._session), message["nonce"]
        expected = self._proof("gw", session, self._nonce, nonce)
        if message["t"] != "challenge" or not hmac.compare_digest(message["proof"], expected):
            raise Closed("whoever listens there does not know this session")
        auth = {"t": "auth", "proof": self._proof("agent", session, nonce, self._nonce)}
        auth["pid"] = self._pid
        auth["last_seq"] = self._outbox.last
        self._expect = self._on_verdict
        self._socket.send(encode(auth) + b"\n")

    def _on_verdict(self, message):
        if message["t"] == "refused":
            reason = str(message.get("reason"))
            if message.get("fatal"):
                self._stopped = True
                self.on_refused(reason)
            raise Closed("refused: %s" % reason)
        if message["t"] != "welcome":
            raise Closed("it answered %r" % message["t"])
        self._expect = self._on_line
        self._deadline = monotonic() + SILENCE_S
        with self._lock:
            self._outbox.acknowledge(message["ack"])
            self._outbox.rewind()
            self._welcomed = True
            self._changed.notify_all()
            self._write()

    def _on_line(self, message):
        kind = message["t"]
        if kind == "ack":
            with self._lock:
                self._outbox.acknowledge(message["n"])
                self._changed.notify_all()
                self._write()
        elif kind == "ping":
            self.tell({"t": "pong", "n": message.get("n")})
        else:
            try:
                self.on_message(message)
            except Exception as error:  # one bad message is no reason to lose the good ones
                log("cannot follow %r: %s: %s" % (kind, type(error).__name__, error))


def _pipe():
    read, write = (_above_standard_descriptor(end) for end in os.pipe())
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    return read, write


def _close_quietly(descriptor):
    try:
        os.close(descriptor)
    except OSError:
        pass


def _above_standard_descriptor(descriptor):
    """Statements may close the standard streams; nothing of ours may take their numbers, or
    whatever is printed there later would become part of the protocol."""
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def _above_standard(connection):
    if connection.fileno() > 2:
        return connection
    descriptor = _above_standard_descriptor(connection.detach())
    return Socket(fileno=descriptor)
