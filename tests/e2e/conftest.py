"""Fixtures: servers of the kinds that tests need. A server's life and checks are in harness.py."""

import pytest

import harness
import sessions
from cluster import Cluster


def pytest_configure(config):
    config.addinivalue_line("markers", "spark: starts real Spark drivers (seconds each)")
    config.addinivalue_line("markers", "hadoop: starts a real HDFS or a real KDC; runs on the sanitized build alone")
    config.addinivalue_line("markers", "every_spark: also runs on the further versions of HEARTH_SPARK_HOMES")
    config.addinivalue_line("markers", "every_cluster: on clusters of all versions of HEARTH_CLUSTER_SPARK_HOMES")


# One list for the whole run: pytest keeps a server for the next test only when the parameter is the
# very same object.
SPARK_HOMES = harness.spark_homes()
CLUSTER_HOMES = harness.cluster_homes()


def pytest_generate_tests(metafunc):
    if "spark_home" in metafunc.fixturenames:
        homes = SPARK_HOMES
        if not metafunc.definition.get_closest_marker("every_spark"):
            homes = homes[:1]
        metafunc.parametrize("spark_home", homes or [None], ids=version_of, scope="session", indirect=True)
    if "cluster_home" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("every_cluster")
        homes = CLUSTER_HOMES if every else CLUSTER_HOMES[:1]
        metafunc.parametrize("cluster_home", homes or [None], ids=lambda h: "on-" + version_of(h), scope="session", indirect=True)


def version_of(home):
    """An id for the parametrised tests: "3.5.7" out of …/jars/spark-core_2.12-3.5.7.jar."""
    if home is None:
        return "no-spark"
    for jar in harness.Path(home).glob("jars/spark-core_*.jar"):
        return jar.stem.rpartition("-")[2]
    return home.replace("/", "_")


@pytest.fixture(scope="session")
def spark_home(request):
    if request.param is None:
        pytest.fail("set SPARK_HOME or HEARTH_SPARK_HOMES to a Spark installation")
    return request.param


@pytest.fixture(scope="session")
def cluster_home(request):
    """The Spark of a cluster; hearth's own is spark_home."""
    if request.param is None:
        pytest.fail("set SPARK_HOME, HEARTH_SPARK_HOMES or HEARTH_CLUSTER_SPARK_HOMES to a Spark installation")
    return request.param


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.call_failed = outcome.get_result().failed


def finish(server, failed):
    """Quiet if the test passed; whatever the test did, nothing stays behind."""
    try:
        if not failed:
            server.assert_quiet()
        else:
            print(f"--- the server's log ---\n{server.stderr()[-6000:]}")
    finally:
        server.discard()


@pytest.fixture
def make_hearth(request, tmp_path, spark_home):
    """make_hearth(settings={…}, fake_java=True) makes servers, not yet started."""
    made = []

    def make(settings=None, fake_java=False, **more):
        settings = {"spark.class_data_archive": "false", **(settings or {})}
        server = harness.Hearth(tmp_path / f"hearth{len(made)}", spark_home, settings,
                                java_home=harness.FAKE_JAVA_HOME if fake_java else None, **more)
        made.append(server)
        return server

    yield make
    failed = getattr(request.node, "call_failed", True)
    for server in made:
        finish(server, failed)
    harness.remove_tree(tmp_path)


@pytest.fixture
def hearth(make_hearth):
    """A started server whose drivers are real Spark."""
    return make_hearth().start()


@pytest.fixture
def plain(make_hearth):
    """A started server whose "java" is fake_java/bin/java: for tests about counts and crashes."""
    return make_hearth(fake_java=True).start()


@pytest.fixture(scope="module")
def shared(request, tmp_path_factory, spark_home):
    """One server with the fake java for all tests of a module that only ask and never break it."""
    folder = tmp_path_factory.mktemp("shared")
    server = harness.Hearth(folder, spark_home, java_home=harness.FAKE_JAVA_HOME).start()
    failures = request.session.testsfailed
    yield server
    finish(server, request.session.testsfailed > failures)
    harness.remove_tree(folder)


@pytest.fixture(scope="session")
def spark_server(request, tmp_path_factory, spark_home):
    """One server with real Spark, and with the archive of its classes, for all tests that do not break it."""
    folder = tmp_path_factory.mktemp("spark")
    server = harness.Hearth(folder, spark_home)
    request.addfinalizer(server.discard)  # also when it does not get as far as its first test
    server.start()
    harness.until(lambda: server.status()["spark"]["archive"] != "training", 120, "the archive of Spark's classes")
    failures = request.session.testsfailed
    yield server
    finish(server, request.session.testsfailed > failures)
    harness.remove_tree(folder)


@pytest.fixture
def live(spark_server):
    """A session of real Spark that the tests share, idle; one that a test has broken is replaced."""
    session = getattr(spark_server, "live", None)
    if session is None or session.get("/state").json().get("state") not in ("idle", "busy"):
        session = spark_server.live = sessions.open_session(spark_server, kind="pyspark")
    session.post("/interrupt")  # what a failed test may have left running
    session.wait_state("idle")
    return session


@pytest.fixture(scope="module")
def module_hearth(request, tmp_path_factory, spark_home):
    """module_hearth(settings={…}, fake_java=True) starts servers that all tests of a module share."""
    made = []

    def make(settings=None, fake_java=False, **more):
        server = harness.Hearth(tmp_path_factory.mktemp("hearth"), spark_home, settings,
                                java_home=harness.FAKE_JAVA_HOME if fake_java else None, **more)
        made.append(server)
        if not fake_java:
            server.take_archive(request.getfixturevalue("spark_server"))
        return server.start()

    failures = request.session.testsfailed
    yield make
    for server in made:
        finish(server, request.session.testsfailed > failures)
        harness.remove_tree(server.folder)


@pytest.fixture(scope="module")
def queued(module_hearth):
    """One server for all tests of a module whose sessions never start: a batch has the only place there is."""
    server = module_hearth({"admission.running": "1"}, fake_java=True)
    server.wait_state(server.submit(harness.fake("sleep", 100000))["id"], "running")
    return server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, spark_home):
    """A standalone cluster of one small worker, for all tests of a module; the last of them may kill it."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), spark_home)
    try:
        yield cluster.start()
    finally:
        cluster.kill()
