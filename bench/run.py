"""Runs all measurements and prints them as one Markdown document.

    run.py [NAME…]     names of programs of this folder; default: all; those that start Spark run once for each
"""

import datetime
import shlex
import subprocess
import sys

import clusters
import common
import cron
import interactive
import many_schedules
import memory
import posts
import reads
import schedules_spark
import standalone
import start
import statements
import stored
from harness import BINARY, spark_homes

PROGRAMS = {
    "cron": cron.measure,
    "many_schedules": many_schedules.measure,
    "reads": reads.measure,
    "posts": posts.measure,
    "stored": stored.measure,
    "memory": memory.measure,
    "statements": statements.measure,
    "interactive": lambda: (figure for home in spark_homes() for figure in interactive.measure(home)),
    "clusters": lambda: (figure for home in spark_homes() for figure in clusters.measure(home)),
    "standalone": lambda: (figure for home in spark_homes() for figure in standalone.measure(home)),
    "schedules_spark": schedules_spark.measure,
    "start": lambda: (figure for home in spark_homes() for figure in start.measure(home)),
}


def main(names):
    unknown = set(names) - set(PROGRAMS)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(PROGRAMS)}")
    version = subprocess.run([str(BINARY), "version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"Measured {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC on {common.machine()}, {version or BINARY}, "
          f"with `{shlex.join(['bench/run.py', *names])}`.")
    good = True
    for name in names or PROGRAMS:
        print(f"\n## {name}\n\n{(sys.modules.get(name) or common).__doc__.splitlines()[0]}\n", flush=True)
        figures = list(PROGRAMS[name]())
        print("\n".join(common.table(figures)), flush=True)
        good = good and all(f.good for f in figures)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
