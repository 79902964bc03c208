"""Agents for the tests: real ones, on each Spark that SPARK_HOME and HEARTH_SPARK_HOMES (several,
with ':' between them) name, as for the end-to-end tests; and ones with a stand-in for the JVM,
where a test is not about Spark.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "agent"))

from hearth_end import Agent, HearthEnd  # noqa: E402

# Ends when its standard input does, as the gateway's JVM.
NO_JVM = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def spark_homes():
    homes = [os.environ.get("SPARK_HOME", "")] + os.environ.get("HEARTH_SPARK_HOMES", "").split(":")
    return list(dict.fromkeys(home for home in homes if home)) or [None]


def _some(home):
    if home is None:
        pytest.skip("neither SPARK_HOME nor HEARTH_SPARK_HOMES says where Spark is")
    return Path(home)


@pytest.fixture(scope="module", params=spark_homes(), ids=str)
def home(request):
    """Each Spark in turn."""
    return _some(request.param)


@pytest.fixture(scope="session")
def any_home():
    """The Spark for what does not depend on its version."""
    return _some(spark_homes()[0])


class Rig:
    """Starts agents, ends them, and looks whether they kept to the protocol."""

    def __init__(self, folders):
        self._folders = folders
        self._agents = []

    def end(self):
        """hearth's end, listening."""
        end = HearthEnd(self._folders.mktemp("session"))
        end.listen()
        return end

    def start(self, home, end=None, **settings):
        """An agent and hearth's end of it."""
        agent = Agent(end or self.end(), home, **settings)
        self._agents.append(agent)
        return agent

    def start_bare(self, end=None, **settings):
        """One whose Spark takes for ever to come up: plain Python without `import` is all it can
        run."""
        home = self._folders.mktemp("spark")
        package = home / "python" / "pyspark"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("import threading\nthreading.Event().wait()\n")
        return self.start(home, end, **dict({"java": NO_JVM}, **settings))

    def close(self):
        for agent in self._agents:
            agent.kill()
            agent.end.crash()
        for agent in self._agents:
            assert agent.end.violations == []


@pytest.fixture
def rig(tmp_path_factory):
    """For tests that break their agent."""
    rig = Rig(tmp_path_factory)
    yield rig
    rig.close()


@pytest.fixture(scope="module")
def agent(home, tmp_path_factory):
    """One agent for all tests of a module on one Spark; they must leave it usable."""
    rig = Rig(tmp_path_factory)
    agent = rig.start(home)
    agent.end.wait("context")
    yield agent
    rig.close()


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """One agent without Spark for all tests of a module; they must leave it usable."""
    rig = Rig(tmp_path_factory)
    yield rig.start_bare()
    rig.close()
