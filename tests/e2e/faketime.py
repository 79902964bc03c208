"""A clock on the wall that a test sets while a server runs, by libfaketime. The monotonic clock stays true."""

import glob
import os
import time
from datetime import datetime, timezone

import pytest

import harness


def seconds(instant):
    """Of "2027-03-28T01:00:00Z", as time.time() counts."""
    return datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp()


def text(at):
    """"2027-03-28T01:00:00.000Z", as hearth writes it."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock:
    def __init__(self, folder, at):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not libraries:
            pytest.fail("libfaketime is missing: scripts/setup.sh test installs it")
        if harness.SANITIZED:
            pytest.skip("a sanitizer and libfaketime cannot both come first")
        self.file = folder / "clock"
        self.begin = time.time()
        self.offsets = []
        self.set(at)
        self.environment = {
            "LD_PRELOAD": libraries[0],
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name in older versions
            "NO_FAKE_STAT": "1",
        }

    def set(self, at):
        """To an instant, as text or in seconds."""
        at = seconds(at) if isinstance(at, str) else at
        self.move(at - time.time() - (self.offsets[-1] if self.offsets else 0))

    def move(self, by):
        """Forward or back by seconds, in one step."""
        self.offsets.append((self.offsets[-1] if self.offsets else 0) + by)
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.offsets[-1]:+.3f}\n")
        os.replace(new, self.file)

    def now(self):
        return time.time() + self.offsets[-1]

    def true(self, at):
        """When it really was that this clock showed `at`, the settings being hours apart."""
        times = [at - offset for offset in self.offsets]
        fitting = [t for t in times if self.begin - 1 <= t <= time.time() + 1]
        assert len(fitting) == 1, f"{text(at)} was not shown, or more than once: {[text(t) for t in times]}"
        return fitting[0]
