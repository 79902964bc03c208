"""The class-data archive with the real java: drivers run the same with it, faster, and whatever is wrong
with it neither ends them nor shows in their output."""

import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import pytest

import harness

PRINTER = harness.BINARY.parent / "tests" / "unit" / "print_command"
CORE_SITE = """<configuration><property><name>from.core.site</name><value>seen</value></property></configuration>"""

pytestmark = [pytest.mark.spark, pytest.mark.every_spark]


class Launcher:
    """Starts drivers as hearth would, with an archive of its own that is made first."""

    def __init__(self, home, folder):
        self.home = home
        self.conf = folder / "conf"
        self.archives = folder / "archives"
        self.conf.mkdir()
        (self.conf / "spark-defaults.conf").write_text("spark.from.defaults seen\nspark.ui.enabled false\n")
        (self.conf / "core-site.xml").write_text(CORE_SITE)
        (self.conf / "marker.txt").write_text("here")
        self.env = {**os.environ, "SPARK_CONF_DIR": str(self.conf)}
        self.env.pop("SPARK_ENV_LOADED", None)
        self.command(archive=True)
        self.file = next(self.archives.glob("*.jsa"))

    def command(self, archive):
        line = json.dumps({"file": harness.program("where_is_conf.py"), "master": "local[1]"}) + "\n"
        args = [PRINTER, self.home] + ([str(self.archives)] if archive else [])
        done = subprocess.run(args, env=self.env, input=line.encode(), capture_output=True, timeout=600)
        assert not archive or done.stderr.endswith(b"archive: ready\n"), done.stderr.decode()
        argv, _, env = done.stdout.decode().partition("\0\0")
        return argv.split("\0"), dict(v.split("=", 1) for v in env.split("\0") if "=" in v)

    def run(self, argv, env):
        """What the program printed, which is its one line; and the seconds it took."""
        begin = time.monotonic()
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300, cwd=self.conf.parent)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1, done.stdout
        assert "shared archive" not in done.stderr and "[cds" not in done.stderr
        return json.loads(done.stdout), time.monotonic() - begin


@pytest.fixture(scope="module")
def launcher(spark_home, tmp_path_factory):
    if not PRINTER.exists():
        pytest.skip(f"{PRINTER} was not built")
    return Launcher(spark_home, tmp_path_factory.mktemp("archive"))


def test_a_driver_with_the_archive_sees_the_same_configuration(launcher):
    plain, _ = launcher.run(*launcher.command(archive=False))
    argv, env = launcher.command(archive=True)
    assert f"-XX:SharedArchiveFile={launcher.file}" in argv
    shared, _ = launcher.run(argv, env)
    assert shared == plain
    assert plain == {"marker": (launcher.conf / "marker.txt").as_uri().replace("file:///", "file:/"),
                     "default": "seen", "hadoop": "seen", "rows": 5}


def test_the_archive_saves_time(launcher):
    plain, shared = launcher.command(archive=False), launcher.command(archive=True)
    times = [(launcher.run(*plain)[1], launcher.run(*shared)[1]) for _ in range(3)]
    assert statistics.median(s for _, s in times) < 0.9 * statistics.median(p for p, _ in times), times


@pytest.mark.parametrize("options", [["-XX:+UseParallelGC"], ["-Xmx40g"], ["-XX:-UseCompressedOops"]], ids=str)
def test_java_options_that_archives_do_not_fit_only_cost_time(launcher, options):
    argv, env = launcher.command(archive=True)
    at = argv.index("org.apache.spark.deploy.SparkSubmit")
    assert launcher.run(argv[:at] + options + argv[at:], env)[0]["rows"] == 5


def test_an_archive_of_other_jars_only_costs_time(launcher, tmp_path):
    argv, env = launcher.command(archive=True)
    jar = tmp_path / "more.jar"
    shutil.copy(next(Path(launcher.home).glob("jars/slf4j-api-*.jar")), jar)
    at = argv.index("-cp") + 1
    changed = argv[:at] + [f"{jar}:{argv[at]}"] + argv[at + 1:]
    assert launcher.run(changed, env)[0]["rows"] == 5
