"""How the provisioner is configured: hearth's own settings, and the variables and the scheduler's file of the original."""

import json
import time

import pytest

from harness import free_port, until
from provision import (DEFAULT_CONF, GATEWAY, NEVER, Descriptor, NameNodes, completed, errors, failure, instant, job_of, job_path, provision,
                       read, refused, rules, runnable, runs, trigger_of, unprovision, wait_runs, wait_used_up)
from test_provision_livy import Livy, job

SWITCHED = ("LIVY_URL", "SCHEDULER_PROP", "LOGIN_CONTEXT", "HDFS_NAMENODE0", "HDFS_NAMENODE1", "WEBHDFS_PORT", "WEBHDFS_PROTOCOL",
            "USE_KERBEROS_AUTH")


@pytest.fixture(scope="module")
def livy():
    livy = Livy()
    yield livy
    livy.close()


@pytest.fixture(scope="module")
def nodes():
    nodes = NameNodes()
    yield nodes
    nodes.close()


@pytest.fixture(autouse=True)
def fresh(request):
    for name in ("livy", "nodes"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()


def variables(**changes):
    """What a deployment of the original sets; None leaves one out."""
    values = {"CLOUDERA_MODE": "private", "LIVY_URL": f"http://127.0.0.1:{free_port()}", "SCHEDULER_PROP": "", "LOGIN_CONTEXT": "Client",
              "HDFS_NAMENODE0": "127.0.0.1", "HDFS_NAMENODE1": "127.0.0.2", "WEBHDFS_PORT": "9870", "WEBHDFS_PROTOCOL": "http",
              "USE_KERBEROS_AUTH": "false", **changes}
    return {key: value for key, value in values.items() if value is not None}


def refuses_to_start(server, *words):
    """It ends before it listens, and says why."""
    server.launch()
    code = server.wait_end()
    told = server.stderr()
    assert code not in (0, None) and code > 0, f"{code}: {told}"
    assert "Sanitizer" not in told
    assert all(word in told for word in words), told


@pytest.fixture
def switched(make_hearth):
    """A server that has been put in the original's place."""
    def make(settings=None, **changes):
        return make_hearth(settings, fake_java=True, environment=variables(**changes))

    return make


# -- the original's variables ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SWITCHED)
def test_a_variable_that_is_missing_is_named(switched, name):
    refuses_to_start(switched(**{name: None}), name)


@pytest.mark.parametrize("mode", ["public", "Private", "PRIVATE", "privat", "private "])
def test_modes_that_are_not_supported(switched, mode):
    refuses_to_start(switched(CLOUDERA_MODE=mode), "CLOUDERA_MODE", f"'{mode}'", "private")


def test_variables_may_be_empty(switched):
    server = switched(**dict.fromkeys(("LIVY_URL", "SCHEDULER_PROP", "LOGIN_CONTEXT", "USE_KERBEROS_AUTH", "HDFS_NAMENODE0", "HDFS_NAMENODE1"),
                                      "")).start()
    assert errors(server, Descriptor()) == []
    assert errors(server, Descriptor(jar="hdfs://ns1/apps/load.jar")) == rules(10, 11)


def test_without_a_livy_provisioning_fails(switched):
    server = switched(LIVY_URL="").start()
    d = runnable("nowhere", "exit", 0)
    assert errors(server, d) == []
    assert failure(server, "provision", d) == GATEWAY + "Livy URL not found in env vars"
    assert server.get(job_path(d.group, d.job)).status_code == 404
    assert refused(server, "provision", Descriptor(driverCores=0)) == rules(3), "validation comes first"
    backwards = Descriptor(cron=NEVER, start="2040-01-01T00:00:00Z", end="2030-01-01T00:00:00Z")
    assert failure(server, "provision", backwards) == GATEWAY + "Livy URL not found in env vars", "and this before the trigger"
    assert runs(server, d.job) == []


def test_the_jobs_are_posted_to_the_livy(switched, livy):
    server = switched(LIVY_URL=livy.url).start()
    provision(server, job("switched"))
    livy.wait("orders-switched-dev", 1)
    assert server.get("/batches?size=0").json()["total"] == 0


def test_both_namenodes_are_asked(switched, nodes):
    server = switched(HDFS_NAMENODE0=nodes.hosts[0], HDFS_NAMENODE1=nodes.hosts[1], WEBHDFS_PORT=str(nodes.port)).start()
    d = Descriptor(jar="hdfs://ns1/apps/load.jar")
    for states in (("active", "standby"), ("standby", "active")):
        nodes.reset(*states)
        assert errors(server, d) == []
        assert {node for node, path in nodes.asked if "webhdfs" in path} == {states.index("active")}
    nodes.reset("standby", "standby")
    assert errors(server, d) == rules(10, 11)


def test_the_protocol_may_be_https(switched, nodes):
    """The stand-ins speak http alone, so none of them is active."""
    server = switched(HDFS_NAMENODE0=nodes.hosts[0], HDFS_NAMENODE1=nodes.hosts[1], WEBHDFS_PORT=str(nodes.port),
                      WEBHDFS_PROTOCOL="https").start()
    assert errors(server, Descriptor(jar="hdfs://ns1/apps/load.jar")) == rules(10, 11)
    assert nodes.asked == []


@pytest.mark.parametrize("value", ["", "false", "True", "TRUE", "yes", "1", " true"])
def test_kerberos_is_exactly_true(switched, nodes, value):
    """Every other value is no authentication."""
    server = switched(HDFS_NAMENODE0=nodes.hosts[0], HDFS_NAMENODE1=nodes.hosts[1], WEBHDFS_PORT=str(nodes.port),
                      USE_KERBEROS_AUTH=value).start()
    assert errors(server, Descriptor(jar="hdfs://ns1/apps/load.jar")) == []


def test_kerberos_without_credentials(switched, nodes, livy, tmp_path):
    """A NameNode that asks for a ticket gets none; nothing worse happens."""
    server = switched(HDFS_NAMENODE0=nodes.hosts[0], HDFS_NAMENODE1=nodes.hosts[1], WEBHDFS_PORT=str(nodes.port), LIVY_URL=livy.url,
                      USE_KERBEROS_AUTH="true", KRB5CCNAME=f"FILE:{tmp_path}/none", KRB5_CONFIG="/dev/null").start()
    server.expect_error("")
    challenge = (401, "<html>Authentication required</html>", {"WWW-Authenticate": "Negotiate"})
    nodes.reset(challenge, challenge)
    assert errors(server, Descriptor(jar="hdfs://ns1/apps/load.jar")) == rules(10, 11)
    livy.answer = lambda _: (401, b"")
    provision(server, job("kerberos"))
    last = until(lambda: job_of(server, job("kerberos"))["lastSubmission"], 30, "what became of it")
    assert last["status"] in (0, 401) and last["batchId"] is None
    assert server.get("/health").status_code == 200


def test_the_variables_mean_nothing_without_the_mode(make_hearth, livy):
    server = make_hearth(fake_java=True, environment={**variables(CLOUDERA_MODE=None, LIVY_URL=livy.url), "WEBHDFS_PROTOCOL": "nonsense",
                                                      "SCHEDULER_PROP": "/no/such/file"}).start()
    d = runnable("own", "exit", 0)
    provision(server, d)
    wait_runs(server, d.job, 1)
    assert livy.posts == []


# -- the scheduler's file --------------------------------------------------------------------------------


DOCUMENTED = """\
# the store of the original, in PostgreSQL
org.quartz.scheduler.instanceName = Provisioner
org.quartz.scheduler.instanceId: AUTO
! another comment
org.quartz.threadPool.class=org.quartz.simpl.SimpleThreadPool
  org.quartz.threadPool.threadCount   =  {threads}
org.quartz.threadPool.threadPriority 5

org.quartz.jobStore.misfireThreshold=\\
    {threshold}
org.quartz.jobStore.class = org.quartz.impl.jdbcjobstore.JobStoreTX
org.quartz.jobStore.driverDelegateClass = org.quartz.impl.jdbcjobstore.PostgreSQLDelegate
org.quartz.jobStore.dataSource = quartz
org.quartz.jobStore.tablePrefix=qrtz_
org.quartz.dataSource.quartz.driver = org.postgresql.Driver
org.quartz.dataSource.quartz.URL = jdbc:postgresql://db.example.org:5432/quartz
org.quartz.dataSource.quartz.user = quartz
org.quartz.dataSource.quartz.password = pass#word!=:x
something.else
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_file_of_the_scheduler(switched, livy, tmp_path, line_end):
    """So many posts at a time, and a threshold; where the original kept its jobs is not looked at."""
    file = tmp_path / "quartz.properties"
    file.write_bytes(DOCUMENTED.format(threads=1, threshold=2000).replace("\n", line_end).encode())
    server = switched(LIVY_URL=livy.url, SCHEDULER_PROP=str(file)).start()
    livy.open.clear()
    for i in range(3):
        provision(server, job(f"one{i}"))
    until(lambda: livy.posts, 20, "a post")
    completed(server, "provision", job("more", NEVER))
    assert len(livy.posts) == 1
    livy.open.set()
    until(lambda: len(livy.posts) == 3, 30, "the others")
    assert livy.most == 1
    assert_threshold_is_seconds(server, livy)


def assert_threshold_is_seconds(server, livy):
    """A window of ten seconds that is over since more than two: one fire, where a minute would have given ten."""
    now = int(time.time())
    late = job("late", "* * * * * ?", start=instant(now - 15), end=instant(now - 5))
    provision(server, late)
    livy.wait(late.job, 1)
    wait_used_up(server, late)
    another = job("late-after")
    provision(server, another)
    livy.wait(another.job, 1)
    assert len(livy.of(late.job)) == 1


def test_the_file_of_a_store_in_memory(switched, tmp_path):
    file = tmp_path / "quartz.properties"
    file.write_text("org.quartz.jobStore.class = org.quartz.simpl.RAMJobStore\n")
    server = switched(SCHEDULER_PROP=str(file)).start()
    assert errors(server, Descriptor()) == []


def test_an_empty_file_of_the_scheduler(switched, tmp_path):
    file = tmp_path / "quartz.properties"
    file.write_bytes(b"")
    assert errors(switched(SCHEDULER_PROP=str(file)).start(), Descriptor()) == []


def test_a_file_that_is_not_there_is_named(switched, tmp_path):
    refuses_to_start(switched(SCHEDULER_PROP=str(tmp_path / "none.properties")), "none.properties")


@pytest.mark.parametrize("line, word", [
    ("org.quartz.threadPool.threadCount = many", "threadCount"), ("org.quartz.threadPool.threadCount = 0", "threadCount"),
    ("org.quartz.threadPool.threadCount = -1", "threadCount"), ("org.quartz.jobStore.misfireThreshold = soon", "misfireThreshold"),
])
def test_a_value_that_is_none_is_named(switched, tmp_path, line, word):
    file = tmp_path / "quartz.properties"
    file.write_text(line + "\n")
    refuses_to_start(switched(SCHEDULER_PROP=str(file)), word)


# -- hearth's settings -----------------------------------------------------------------------------------


def given_by(make_hearth, tmp_path, how, settings):
    """A server that has the settings from the command line, from its environment, or from a file."""
    if how == "command line":
        return make_hearth(settings, fake_java=True)
    if how == "environment":
        names = {"HEARTH_" + key.upper().replace(".", "_"): value for key, value in settings.items()}
        return make_hearth(fake_java=True, environment=names)
    groups = {}
    for key, value in settings.items():
        group, _, name = key.partition(".")
        groups.setdefault(group, {})[name] = value
    file = tmp_path / "hearth.yaml"
    file.write_text(json.dumps(groups))
    return make_hearth(fake_java=True, environment={"HEARTH_CONFIG": str(file)})


@pytest.mark.parametrize("how", ["command line", "environment", "file"])
def test_settings_come_from_everywhere(make_hearth, tmp_path, livy, nodes, how):
    server = given_by(make_hearth, tmp_path, how, {
        "provision.livy_url": livy.url, "provision.strict_compat": "true", "provision.namenodes": ",".join(nodes.urls),
        "provision.threads": "1", "provision.kerberos": "false", "schedule.misfire_threshold": "2s"}).start()
    d = Descriptor("everywhere", jar="hdfs://ns1/apps/load.jar", conf={"a": "b"})
    provision(server, d)
    [body] = livy.wait(d.job, 1)
    assert body["conf"] == DEFAULT_CONF
    assert nodes.asked
    assert_threshold_is_seconds(server, livy)


def test_a_list_of_namenodes_in_a_file(make_hearth, tmp_path, nodes):
    file = tmp_path / "hearth.yaml"
    file.write_text("provision:\n  namenodes:\n" + "".join(f"    - {url}\n" for url in nodes.urls))
    server = make_hearth(fake_java=True, environment={"HEARTH_CONFIG": str(file)}).start()
    assert errors(server, Descriptor(jar="hdfs://ns1/apps/load.jar")) == []


def test_by_default_the_jobs_are_hearths_own(plain):
    d = runnable("own", "print", "own", conf={"spark.a": "b"})
    provision(plain, d)
    [run] = wait_runs(plain, d.job, 1)
    assert {**DEFAULT_CONF, "spark.a": "b"}.items() <= plain.record(run["id"])["submission"]["conf"].items()
    d.config["schedule"] = {"cronExpression": "* * * * * ?", "startDate": instant(time.time() - 20), "endDate": "2049-01-01T00:00:00Z"}
    provision(plain, d)
    made = wait_runs(plain, d.job, 12, timeout=90)
    assert len(made) >= 12, "the threshold is a minute"
    assert trigger_of(plain, d)["state"] == "NORMAL"
    unprovision(plain, d)


@pytest.mark.parametrize("settings, word", [
    ({"provision.livy_url": "livy:8998"}, "provision.livy_url"), ({"provision.livy_url": "ftp://livy"}, "provision.livy_url"),
    ({"provision.strict_compat": "maybe"}, "provision.strict_compat"), ({"provision.kerberos": "maybe"}, "provision.kerberos"),
    ({"provision.threads": "0"}, "provision.threads"), ({"provision.threads": "x"}, "provision.threads"),
    ({"provision.namenodes": "nn0"}, "provision.namenodes"), ({"provision.namenodes": "ftp://nn0:1"}, "provision.namenodes"),
    ({"provision.namenodes": "http://a:1,http://b:1,http://c:1"}, "provision.namenodes"),
    ({"schedule.misfire_threshold": "soon"}, "schedule.misfire_threshold"), ({"provision.unknown": "x"}, "provision.unknown"),
])
def test_mistakes_in_settings_are_named(make_hearth, settings, word):
    refuses_to_start(make_hearth(settings, fake_java=True), word)


def test_the_answers_need_no_header_unless_asked_for(make_hearth):
    server = make_hearth({"auth.csrf": "true"}, fake_java=True).start()
    body = {"descriptorKind": "COMPONENT_DESCRIPTOR", "descriptor": Descriptor().text(), "removeData": False}
    assert server.post("/v1/validate", json=body).status_code in (400, 403)
    assert read(server.post("/v1/validate", json=body, headers={"X-Requested-By": "tests"}))["valid"] is True
