"""Quartz itself, to compare with: fetched with Maven once, kept in the cache."""

import os
import shutil
import subprocess
from pathlib import Path

VERSION = "2.3.2"
JARS = {f"quartz-{VERSION}.jar": f"org.quartz-scheduler:quartz:{VERSION}", "slf4j-api-1.7.36.jar": "org.slf4j:slf4j-api:1.7.36"}


class Missing(Exception):
    """Why there is no Quartz here."""


def class_path():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hearth" / "quartz"
    if shutil.which("javac") is None:
        raise Missing("javac is not installed")
    for name, artifact in JARS.items():
        if not (cache / name).exists():
            fetch(artifact, cache)
    return os.pathsep.join(str(cache / name) for name in JARS)


def fetch(artifact, cache):
    if shutil.which("mvn") is None:
        raise Missing("mvn is not installed")
    got = subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={cache}"],
                         capture_output=True, text=True, check=False)
    if got.returncode != 0:
        raise Missing(f"{artifact} cannot be fetched: {got.stdout.strip()[:300]}")


def run(source, folder, *args):
    """What a Java program of one file that uses Quartz prints."""
    jars = class_path()
    subprocess.run(["javac", "-nowarn", "-cp", jars, "-d", str(folder), str(source)], check=True)
    java = ["java", "-XX:+UseSerialGC", "-cp", f"{jars}{os.pathsep}{folder}", Path(source).stem]
    return subprocess.run([*java, *args], check=True, capture_output=True, text=True).stdout
