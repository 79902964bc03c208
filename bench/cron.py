"""Next fire times per second of one core, for the expressions of cron.txt, beside Quartz's own.

Quartz is fetched with Maven once; without mvn, javac or a network only hearth's figures are there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import common
from harness import BINARY

HERE = Path(__file__).resolve().parent
ZONE = "Europe/Rome"
SECONDS = 1.0
ROUNDS = 2
RATE_WANTED = 1_000_000
TIMES_WANTED = 10
QUARTZ = "org.quartz-scheduler:quartz:2.3.2"


def rates(*command):
    """{expression: fire times per second}, the best of some rounds."""
    best = {}
    for _ in range(ROUNDS):
        out = subprocess.run([*command, str(HERE / "cron.txt"), ZONE, str(SECONDS)], check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            rate, expression = line.split("\t")
            best[expression] = max(best.get(expression, 0), float(rate))
    return best


def quartz_jar():
    """Quartz's jar, or None with a word why not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hearth" / "quartz"
    jar = cache / "quartz-2.3.2.jar"
    missing = [tool for tool in ("javac", "mvn") if shutil.which(tool) is None and not (tool == "mvn" and jar.exists())]
    if missing:
        print(f"no comparison with Quartz: {' and '.join(missing)} is not installed", file=sys.stderr)
        return None
    if not jar.exists():
        got = subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={QUARTZ}", f"-DoutputDirectory={cache}"],
                             capture_output=True, text=True, check=False)
        if got.returncode != 0 or not jar.exists():
            print(f"no comparison with Quartz: {QUARTZ} cannot be fetched: {got.stdout.strip()[:300]}", file=sys.stderr)
            return None
    return jar


def quartz_rates(jar):
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder:
        subprocess.run(["javac", "-nowarn", "-cp", str(jar), "-d", folder, str(HERE / "CronRate.java")], check=True)
        return rates("java", "-cp", f"{jar}{os.pathsep}{folder}", "CronRate")


def measure():
    ours = rates(str(BINARY.parent / "bench" / "cron_rate"))
    jar = quartz_jar()
    theirs = quartz_rates(jar) if jar else {}
    for expression, rate in ours.items():
        what = f"`{expression}`".replace("|", "\\|")
        yield common.at_least(f"{what}, hearth", rate, "/s", RATE_WANTED)
        if expression in theirs:
            yield common.Figure(f"{what}, Quartz 2.3.2", theirs[expression], "/s")
            yield common.at_least(f"{what}, hearth beside Quartz", rate / theirs[expression], "times", TIMES_WANTED)


if __name__ == "__main__":
    common.main(measure)
