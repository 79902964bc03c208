"""A command at a terminal of its own: what a person would see and type."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading

from fake_server import environment
from harness import BINARY, PATIENCE, until

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07")


class Terminal:
    """terminal.see("text") waits for text that was not seen before; the screen's own codes are left out."""

    def __init__(self, *words, columns=100, **env):
        self.end, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [BINARY, *map(str, words)], stdin=other, stdout=other, stderr=other, start_new_session=True,
            env=environment(TERM="xterm", **env),
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        self.raw = b""
        self.seen = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with contextlib.suppress(OSError):  # EIO: the command has gone
            while True:
                if not select.select([self.end], [], [], 0.5)[0]:
                    continue
                self.raw += os.read(self.end, 65536)

    @property
    def text(self):
        return CONTROL.sub("", self.raw.decode(errors="replace")).replace("\r\n", "\n")

    def see(self, text, timeout=20):
        """Waits for the text behind what was seen before; what stood between the two."""
        at = until(lambda: self.text.find(text, self.seen) + 1, timeout,
                   lambda: f"{text!r} on the terminal:\n{self.text[self.seen:]!r}") - 1
        before = self.text[self.seen:at]
        self.seen = at + len(text)
        return before

    def type(self, text):
        os.write(self.end, text.encode())

    def enter(self, line, prompt):
        """Types a line once the prompt is there."""
        self.see(prompt)
        self.type(line + "\r")

    def wait(self):
        """The exit code."""
        return self.process.wait(timeout=60 * PATIENCE)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        os.close(self.end)
