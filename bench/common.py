"""What the programs of this folder share: a server to measure, numbers, and how they are shown.

The server is the one of the end-to-end tests (tests/e2e/harness.py), on a folder of a real disk.
"""

import contextlib
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import harness  # noqa: E402

# One line of the table: `limit` is what the figure must stay below (or reach, for rates); None for
# figures that are only told.
Figure = namedtuple("Figure", "what value unit limit good", defaults=(None, True))

median = statistics.median


def below(what, value, unit, limit):
    return Figure(what, value, unit, f"< {limit:g}", value < limit)


def at_least(what, value, unit, limit):
    return Figure(what, value, unit, f"≥ {limit:g}", value >= limit)


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(p / 100 * (len(ordered) - 1)))]


def spark_home():
    homes = harness.spark_homes()
    if not homes:
        sys.exit("set SPARK_HOME to a Spark installation")
    return homes[0]


@contextlib.contextmanager
def server(settings=None, fake_java=True, home=None):
    """A started server; everything of it is gone afterwards."""
    folder = tempfile.mkdtemp(prefix="hearth-bench-", dir=os.environ.get("HEARTH_BENCH_DIR", "/var/tmp"))
    made = harness.Hearth(folder, home or spark_home(), {"server.log_level": "warn", **(settings or {})},
                          java_home=harness.FAKE_JAVA_HOME if fake_java else None)
    try:
        made.start()
        yield made
    finally:
        made.discard()
        shutil.rmtree(folder, ignore_errors=True)


def machine():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release()}"


def show(value):
    return value if isinstance(value, str) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(figures):
    yield "| figure | measured | wanted | |"
    yield "|---|---|---|---|"
    for f in figures:
        mark = "" if f.limit is None else "ok" if f.good else "**missed**"
        yield f"| {f.what} | {show(f.value)} {f.unit} | {f.limit or ''} | {mark} |"


def main(measure):
    """For a program run alone: its table, and exit code 1 when something was missed."""
    figures = list(measure())
    print("\n".join(table(figures)))
    sys.exit(0 if all(f.good for f in figures) else 1)
