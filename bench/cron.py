"""Next fire times per second of one core, for the expressions of cron.txt, beside Quartz's own.

Quartz is fetched with Maven once; without mvn, javac or a network only hearth's figures are there.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import common
import quartz
from harness import BINARY

HERE = Path(__file__).resolve().parent
ZONE = "Europe/Rome"
SECONDS = 1.0
ROUNDS = 2
RATE_WANTED = 1_000_000
TIMES_WANTED = 10


def rates(*command):
    """{expression: fire times per second}, the best of some rounds."""
    best = {}
    for _ in range(ROUNDS):
        out = subprocess.run([*command, str(HERE / "cron.txt"), ZONE, str(SECONDS)], check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            rate, expression = line.split("\t")
            best[expression] = max(best.get(expression, 0), float(rate))
    return best


def quartz_rates():
    """Nothing without Quartz, with a word why not."""
    try:
        jars = quartz.class_path()
    except quartz.Missing as missing:
        print(f"no comparison with Quartz: {missing}", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder:
        subprocess.run(["javac", "-nowarn", "-cp", jars, "-d", folder, str(HERE / "CronRate.java")], check=True)
        return rates("java", "-cp", f"{jars}{os.pathsep}{folder}", "CronRate")


def measure():
    ours = rates(str(BINARY.parent / "bench" / "cron_rate"))
    theirs = quartz_rates()
    for expression, rate in ours.items():
        what = f"`{expression}`".replace("|", "\\|")
        yield common.at_least(f"{what}, hearth", rate, "/s", RATE_WANTED)
        if expression in theirs:
            yield common.Figure(f"{what}, Quartz 2.3.2", theirs[expression], "/s")
            yield common.at_least(f"{what}, hearth beside Quartz", rate / theirs[expression], "times", TIMES_WANTED)


if __name__ == "__main__":
    common.main(measure)
