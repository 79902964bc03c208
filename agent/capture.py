"""What statements print.

While a statement runs, sys.stdout and sys.stderr collect; at all other times they go on to the real
streams, which are the driver's log. Only a bounded beginning is kept, the rest is counted: a loop
that prints for ever costs time, not memory.
"""

import codecs
import io
import os
import sys


class Collector:
    """The first `limit` bytes of a text that comes in pieces, and how long all of it was.

    Written to by several threads without a lock: a lock could stay taken when a cancelled statement
    is interrupted inside it. The worst that a race does here is a slightly wrong count.
    """

    def __init__(self, limit):
        self.limit = limit
        self.total = 0
        self._room = limit
        self._text = io.StringIO()

    def write(self, text):
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        self.total += size
        if size > self._room:
            kept = text[: self._room].encode("utf-8", "surrogatepass")[: self._room]
            text = kept.decode("utf-8", "ignore")
            size = self._room
        self._room -= size
        self._text.write(text)

    def text(self):
        return self._text.getvalue()


class Stream(io.TextIOBase):
    """Stands as sys.stdout or sys.stderr for the whole life of the process."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, real):
        super().__init__()
        self._real = real
        self._collector = None
        self.buffer = _Bytes(self)

    def collect(self, collector):
        """From now on into the collector; None: to the real stream."""
        self._collector = collector
        self.buffer.reset()

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        collector = self._collector
        if collector is not None:
            collector.write(text)
        elif self._real is not None:
            self._real.write(text)
        return len(text)

    def flush(self):
        if self._collector is None and self._real is not None:
            self._real.flush()

    def fileno(self):
        if self._real is None:
            raise io.UnsupportedOperation("fileno")
        return self._real.fileno()

    def writable(self):
        return True

    def reconfigure(self, **_):
        """Libraries ask text streams for UTF-8 in this way; this one always is."""

    def close(self):
        """A statement must not close what later ones print to."""


class _Bytes(io.RawIOBase):
    """The `buffer` of a Stream: bytes are read as UTF-8."""

    def __init__(self, stream):
        super().__init__()
        self._stream = stream
        self.reset()

    def reset(self):
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data):
        data = bytes(data)
        self._stream.write(self._decoder.decode(data))
        return len(data)

    def flush(self):
        self._stream.flush()

    def writable(self):
        return True

    def close(self):
        """As of the stream."""


class Capture:
    """The process's standard streams. Used on the main thread; any thread may print."""

    def __init__(self, limit):
        self.limit = limit
        self._out = Stream(sys.__stdout__)
        self._err = Stream(sys.__stderr__)
        self._collectors = ()

    def install(self):
        """Takes the place of the standard streams, once. Standard input becomes empty."""
        for real in (sys.__stdout__, sys.__stderr__):
            if real is not None:
                real.reconfigure(errors="backslashreplace", line_buffering=True)
        sys.stdin = io.StringIO()
        sys.stdout, sys.stderr = self._out, self._err
        # What a forked child prints could not reach the statement; the log it can.
        os.register_at_fork(after_in_child=self.end)

    def begin(self):
        """A statement starts; what the one before printed is forgotten."""
        self._put_back()
        self._collectors = (Collector(self.limit), Collector(self.limit))
        self._out.collect(self._collectors[0])
        self._err.collect(self._collectors[1])

    def end(self):
        """The statement is over; may be called again."""
        self._out.collect(None)
        self._err.collect(None)

    def text(self):
        """All of the statement's standard output, then all of its standard error."""
        return "".join(collector.text() for collector in self._collectors).rstrip()

    def total(self):
        """How many bytes text() would have without a limit; None if nothing was left out."""
        if all(collector.total <= self.limit for collector in self._collectors):
            return None
        return sum(collector.total for collector in self._collectors)

    def _put_back(self):
        """A statement may set streams of its own, which stay, and may leave closed ones behind."""
        if getattr(sys.stdout, "closed", True):
            sys.stdout = self._out
        if getattr(sys.stderr, "closed", True):
            sys.stderr = self._err
