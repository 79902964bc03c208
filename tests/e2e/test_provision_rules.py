"""The eleven rules of validation, in their order, with dates and the look into HDFS."""

import json
import threading
import time
from urllib.parse import unquote

import pytest

import hdfs
from harness import until
from provision import (JMX, RULES, Descriptor, NameNodes, ask, errors, job_name_of, read, refused, rules)

MISSING, NO_NODE = 11, 10


# -- order -----------------------------------------------------------------------------------------------


def broken():
    """Breaks every rule but the first."""
    d = Descriptor(cron="never", start="tomorrow", end="then", jar="hdfs://ns1/apps/load.jar", driverCores=0, driverMemory="1024m",
                   executorCores=-1, executorMemory="1", numExecutors=0)
    d.specific["jobName"] = "x"
    return d


REPAIRS = {
    2: lambda d: d.specific.update(jobName="orders-load-dev"), 3: lambda d: d.config.update(driverCores=1),
    4: lambda d: d.config.update(driverMemory="1g"), 5: lambda d: d.config.update(executorCores=1),
    6: lambda d: d.config.update(executorMemory="1g"), 7: lambda d: d.config.update(numExecutors=1),
    8: lambda d: d.schedule.update(cronExpression="0 0 0 * * ?"),
    9: lambda d: d.schedule.update(startDate="2040-01-01T00:00:00Z", endDate="2040-01-02T00:00:00Z"),
    10: lambda d: d.specific.update(jar="/there/is/no/such.jar"), 11: lambda d: d.specific.update(jar="local:/x.jar"),
}


def test_all_failures_are_told_in_the_order_of_the_rules(shared):
    d = broken()
    assert errors(shared, d) == refused(shared, "provision", d) == refused(shared, "unprovision", d) == rules(*range(2, 12))


@pytest.mark.parametrize("order", [range(2, 12), reversed(range(2, 10)), (9, 2, 11, 5, 4, 8, 3, 7, 6)])
def test_what_is_repaired_is_told_no_more(shared, order):
    d, left = broken(), set(range(2, 12))
    for rule in order:
        REPAIRS[rule](d)
        left -= {rule} if rule != MISSING else {NO_NODE, MISSING}
        assert errors(shared, d) == rules(*sorted(left))


@pytest.mark.parametrize("rule", range(2, 10))
def test_each_rule_alone(shared, rule):
    d = broken()
    for other in set(REPAIRS) - {rule}:
        REPAIRS[other](d)
    assert errors(shared, d) == rules(rule)
    assert read(ask(shared, "provision", d), 400) == {
        "errors": [RULES[rule]], "userMessage": None, "input": None, "inputErrorField": None, "moreInfo": None}


# -- 2: the name -----------------------------------------------------------------------------------------


def named(rest, environment, job, **more):
    d = Descriptor(environment=environment, **more)
    d.component["id"] = d.whole["componentIdToProvision"] = f"urn:dmb:cmp:{rest}"
    d.specific["jobName"] = job
    return d


@pytest.mark.parametrize("rest, environment, job", [
    ("sales.orders.0.nightly-load", "dev", "sales-orders-0-nightly-load-dev"),
    ("a", "b", "a-b"), ("A.b_C", "Dev.1", "A-b-C-Dev-1"), ("a:b/c d", "x@y", "a-b-c-d-x-y"), ("a..b", "dev", "a--b-dev"),
    ("", "dev", "-dev"), ("a", "", "a-"), ("größe", "dev", "gr--e-dev"), ("a🔥b", "dev", "a--b-dev"), ("日本", "東京", "-----"),
    ("\u00e9e\u0301", "dev", "-e--dev"), ("urn:dmb:cmp:x", "dev", "urn-dmb-cmp-x-dev"), ("a-b", "dev", "a-b-dev"),
    ("0٣", "dev", "0--dev"), ("\u212a", "\u017f", "---"), ("a\nb", "dev", "a-b-dev"),
])
def test_the_name_follows_from_id_and_environment(shared, rest, environment, job):
    assert job == job_name_of(rest, environment)
    assert errors(shared, named(rest, environment, job)) == []
    for other in {job + "x", job + "-", "x" + job, job[:-1], job.swapcase(), "", f"{rest}-{environment}x"} - {job}:
        assert errors(shared, named(rest, environment, other)) == rules(2), other


@pytest.mark.parametrize("identity", ["orders.load", "urn:dmb:cmp", "urn:dmb:dp:orders.load", "URN:DMB:CMP:orders.load",
                                      " urn:dmb:cmp:orders.load", "urn:dmb:cmp.orders.load"])
def test_an_id_that_is_none_of_a_component(shared, identity):
    d = Descriptor()
    d.component["id"] = d.whole["componentIdToProvision"] = identity
    assert errors(shared, d) == rules(2)


# -- 3 to 7: sizes ---------------------------------------------------------------------------------------


CORES = {"driverCores": 3, "executorCores": 5, "numExecutors": 7}
MEMORY = {"driverMemory": 4, "executorMemory": 6}


@pytest.mark.parametrize("field", CORES)
def test_counts_are_positive(shared, field):
    for value in (1, 2, 1000, 2147483647, "1"):
        assert errors(shared, Descriptor(**{field: value})) == [], value
    for value in (0, -1, -2147483648, "0", "-5"):
        assert errors(shared, Descriptor(**{field: value})) == rules(CORES[field]), value


@pytest.mark.parametrize("field", MEMORY)
def test_memory_is_digits_and_g(shared, field):
    for value in ("1g", "2g", "16g", "0g", "007g", "99999999999999999999999g"):
        assert errors(shared, Descriptor(**{field: value})) == [], value
    for value in ("", "g", "1", "1G", "1024m", "1gb", "-1g", "+1g", "1.5g", "1 g", " 1g", "1g ", "1g\n", "1gg", "0x1g", "１g", "1_0g", "1g1g"):
        assert errors(shared, Descriptor(**{field: value})) == rules(MEMORY[field]), value


# -- 8: cron ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cron", [
    "0 30 2 * * ?", "* * * * * ?", "0/10 * * * * ?", "0 0 12 ? * MON-FRI", "0 0 12 ? * mon-fri", "0 0 0 L * ?", "0 0 0 LW * ?", "0 0 0 L-3 * ?",
    "0 0 0 15W * ?", "0 0 0 ? * 6L", "0 0 0 ? * FRI#3", "0 0 22-2 * * ?", "0 0 0 1 NOV-FEB ?", "0 0 0 1 1 ? 2020", "0 0 0 1 1 ? 2020-2030/2",
    "0\t0\t0 * * ?", "  0 0 0 * * ?  ", "0 0 0 * * ? * and what follows is not read", "0 0 0 29 2 ?", "0 0 0 31 2 ?", "0,30 0 0 * * ?",
])
def test_cron_texts_that_are_accepted(shared, cron):
    """Also those that never come again, or never came: that is known when they are to be used."""
    assert errors(shared, Descriptor(cron=cron)) == []


@pytest.mark.parametrize("cron", [
    "", " ", "never", "* * * * *", "30 2 * * *", "0 30 2 * *", "0 30 2 * * *", "0 0 0 1 * 1", "0 0 0 ? * ?", "60 0 0 * * ?", "0 60 0 * * ?",
    "0 0 24 * * ?", "0 0 0 32 * ?", "0 0 0 0 * ?", "0 0 0 * 13 ?", "0 0 0 * 0 ?", "0 0 0 ? * 8", "0 0 0 ? * XYZ", "0 0 0 * ABC ?", "? 0 0 * * ?",
    "0/60 0 0 * * ?x", "0 0 0 L,5 * ?", "0 0 0 ? * MON#6", "0 0 0 ? * MON#1,TUE#2", "0 0 0 L-31 * ?", "@daily", "0 0 0 * * ? 2030-2020",
    "99 0 0 1 * ?", "0 0 0 98 * ?", "0 0 0 0W * ?", "0 0 L * * ?", "0 0 0 ? * 0#1", "0 0 0 ? * 8#1", "🔥 0 0 * * ?",
])
def test_cron_texts_that_are_refused(shared, cron):
    d = Descriptor(cron=cron)
    assert errors(shared, d) == rules(8)
    assert refused(shared, "provision", d) == rules(8)


# -- 9: dates --------------------------------------------------------------------------------------------


GOOD_DATES = [
    "2030-01-01T00:00:00Z", "2030-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z",
    "2029-02-29T00:00:00Z", "2029-02-31T00:00:00Z", "2029-04-31T12:00:00Z", "2029-02-01T24:00:00Z", "+10000-01-01T00:00:00Z",
    "2028-02-29T00:00:00Z",
]
BAD_DATES = [
    "", "tomorrow", "2030-01-01", "2030-01-01T00:00Z", "2030-01-01T00:00:00", "2030-01-01T00:00:00z", "2030-01-01t00:00:00Z",
    "2030-01-01 00:00:00Z", "2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00+01:00", "2030-01-01T00:00:00ZZ",
    "2030-01-01T00:00:00 Z", " 2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z ", "2030-01-01T00:00:00Z\n", "2030-1-01T00:00:00Z",
    "2030-01-1T00:00:00Z", "2030-01-01T0:00:00Z", "2030-01-01T00:0:00Z", "2030-01-01T00:00:0Z", "30-01-01T00:00:00Z", "030-01-01T00:00:00Z",
    "2030-00-01T00:00:00Z", "2030-13-01T00:00:00Z", "2030-01-00T00:00:00Z", "2030-01-32T00:00:00Z", "2030-01-01T24:00:01Z",
    "2030-01-01T24:01:00Z", "2030-01-01T25:00:00Z", "2030-01-01T00:60:00Z", "2030-01-01T00:00:60Z", "2030-01-01T23:59:60Z",
    "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-2030-01-01T00:00:00Z", "2030/01/01T00:00:00Z", "20300101T000000Z",
    "２０３０-01-01T00:00:00Z", "2030-01-01T00:00:00\u00a0Z", "20x0-01-01T00:00:00Z", "2030-001T00:00:00Z",
]


@pytest.mark.parametrize("date", GOOD_DATES)
def test_dates_that_match(shared, date):
    """The days of the month are not counted, and nobody asks which comes first."""
    for start, end in ((date, "2030-01-01T00:00:00Z"), ("2030-01-01T00:00:00Z", date), (date, date)):
        assert errors(shared, Descriptor(cron="0 0 0 * * ?", start=start, end=end)) == []


@pytest.mark.parametrize("date", BAD_DATES)
def test_dates_that_do_not(shared, date):
    for start, end in ((date, "2030-01-01T00:00:00Z"), ("2030-01-01T00:00:00Z", date), (date, date)):
        assert errors(shared, Descriptor(cron="0 0 0 * * ?", start=start, end=end)) == rules(9)


# -- 10 and 11: the file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("jar", ["s3a://bucket/load.jar", "s3://b/x", "file:/no/such/file.jar", "file:///no/such/file.jar", "local:/no/such.jar",
                                 "local:///x", "http://127.0.0.1:1/x.jar", "HDFS://ns1/apps/load.jar", "Hdfs://ns1/x", "webhdfs://ns1/x",
                                 "gs:b", "x+y.z-1:/a", "abfs://c@a.example.org/x.jar", "mailto:carla@example.org"])
def test_other_schemes_are_not_checked(shared, jar):
    assert errors(shared, Descriptor(jar=jar)) == []


def test_a_path_is_one_of_this_machine(shared, tmp_path):
    jar = tmp_path / "load.jar"
    assert errors(shared, Descriptor(jar=str(jar))) == rules(MISSING)
    jar.write_bytes(b"")
    assert errors(shared, Descriptor(jar=str(jar))) == []
    assert errors(shared, Descriptor(jar=str(tmp_path))) == []
    assert errors(shared, Descriptor(jar=str(jar) + "/x")) == rules(MISSING)
    jar.unlink()
    assert errors(shared, Descriptor(jar=str(jar))) == rules(MISSING)


def test_a_relative_path_is_one_of_the_servers_folder(shared):
    (shared.folder / "apps").mkdir()
    (shared.folder / "apps" / "load.jar").write_bytes(b"")
    for jar in ("apps/load.jar", "./apps/load.jar", "apps", "apps/../apps/load.jar"):
        assert errors(shared, Descriptor(jar=jar)) == [], jar
    for jar in ("load.jar", "apps/other.jar", "../apps/load.jar", "..."):
        assert errors(shared, Descriptor(jar=jar)) == rules(MISSING), jar


@pytest.mark.parametrize("jar", ["", "/no/such/load.jar", "x" * 5000, "/" + "x" * 5000, "/a\u00a0b"])
def test_files_that_are_not_there(shared, jar):
    assert errors(shared, Descriptor(jar=jar)) == rules(MISSING)


def test_without_namenodes_there_is_no_active_one(shared):
    assert errors(shared, Descriptor(jar="hdfs://ns1/apps/load.jar")) == rules(NO_NODE, MISSING)
    assert errors(shared, Descriptor(jar="hdfs:/apps/load.jar")) == rules(NO_NODE, MISSING)


# -- HDFS, by two stand-ins ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes():
    nodes = NameNodes()
    yield nodes
    nodes.close()


@pytest.fixture(scope="module")
def checked(module_hearth, nodes):
    """A server that knows both."""
    return module_hearth({"provision.namenodes": ",".join(nodes.urls)}, fake_java=True)


@pytest.fixture(autouse=True)
def fresh(request):
    if "nodes" in request.fixturenames:
        nodes = request.getfixturevalue("nodes")
        nodes.start(0)
        nodes.start(1)
        nodes.reset()


def found(server, jar="hdfs://ns1/apps/load.jar"):
    return errors(server, Descriptor(jar=jar))


def test_the_active_node_is_asked_for_the_file(checked, nodes):
    assert found(checked) == []
    assert nodes.asked == [(0, JMX), (0, JMX), (0, "/webhdfs/v1/apps/load.jar?op=GETFILESTATUS")], "each of both rules asks who is active"
    assert found(checked, "hdfs://ns1/apps/other.jar") == rules(MISSING)


def test_the_second_node_may_be_the_active_one(checked, nodes):
    nodes.reset("standby", "active")
    assert found(checked) == []
    assert nodes.asked == [*[(0, JMX), (1, JMX)] * 2, (1, "/webhdfs/v1/apps/load.jar?op=GETFILESTATUS")]
    assert found(checked, "hdfs://ns1/apps/other.jar") == rules(MISSING)


def test_the_nodes_change_places(checked, nodes):
    for states in (("active", "standby"), ("standby", "active")) * 2:
        nodes.reset(*states)
        assert found(checked) == []
        assert {node for node, path in nodes.asked if path != JMX} == {states.index("active")}


def test_no_node_is_active(checked, nodes):
    for states in (("standby", "standby"), ("observer", "initializing"), ("ACTIVE", "Active"), ("", "active ")):
        nodes.reset(*states)
        assert found(checked) == rules(NO_NODE, MISSING)
        assert {path for _, path in nodes.asked} == {JMX}
    d = Descriptor(jar="hdfs://ns1/apps/load.jar")
    assert refused(checked, "provision", d) == refused(checked, "unprovision", d) == rules(NO_NODE, MISSING)


def test_a_node_that_is_down_is_not_active(checked, nodes):
    nodes.reset("active", "active")
    nodes.stop(0)
    assert found(checked) == []
    assert {node for node, _ in nodes.asked} == {1}
    nodes.start(0)
    nodes.stop(1)
    assert found(checked) == []
    nodes.reset("standby", "active")
    assert found(checked) == rules(NO_NODE, MISSING)
    nodes.stop(0)
    assert found(checked) == rules(NO_NODE, MISSING)
    assert refused(checked, "provision", Descriptor(jar="hdfs://ns1/apps/load.jar")) == rules(NO_NODE, MISSING)


def test_the_http_status_is_not_looked_at(checked, nodes):
    nodes.reset((500, hdfs.jmx("active")), "standby", files=())
    nodes.files["/apps/load.jar"] = 404, '{"FileStatus":{"fileId":1}}'
    assert found(checked) == []
    nodes.files["/apps/load.jar"] = 200, hdfs.remote_exception("FileNotFoundException", "no")
    assert found(checked) == rules(MISSING)


@pytest.mark.parametrize("body, active", [
    ('{"beans":[{"State":"active"}]}', True), ('{"beans":[{"name":"x"},{"State":"standby"},{"State":"active"}]}', True),
    ('{"more":1,"beans":[{"State":"active","more":[]}]}', True), (' {"beans" : [ 5, null, {"State" : "active"} ] } ', None),
    ('{"beans":[{"State":"standby"}]}', False), ('{"beans":[]}', False), ('{"beans":{"State":"active"}}', False),
    ('{"beans":null}', False), ("{}", False), ("[]", False), ('[{"State":"active"}]', False), ('{"State":"active"}', False), ("", False),
    ("active", False), ("<html>active</html>", False), ('{"beans":[{"State":"active"}]', False), ('{"beans":[{"state":"active"}]}', False),
    ('{"beans":[{"State":["active"]}]}', False), ('{"beans":[{"State":true}]}', False), ("\xff\xfe", False),
])
def test_what_says_that_a_node_is_active(checked, nodes, body, active):
    for states in (((200, body), "standby"), ("standby", (200, body))):
        nodes.reset(*states)
        answer = found(checked)
        if active is not None:
            assert answer == ([] if active else rules(NO_NODE, MISSING))


@pytest.mark.parametrize("body, there", [
    ('{"FileStatus":{"fileId":16387}}', True), ('{"FileStatus":{"fileId":null}}', True), ('{"FileStatus":{"fileId":"x","type":"DIRECTORY"}}', True),
    ('{"FileStatus":{"fileId":0,"more":{}},"more":1}', True), ('{"FileStatus":{}}', False), ('{"FileStatus":{"fileID":1}}', False),
    ('{"FileStatus":null}', False), ('{"FileStatus":[1]}', False), ('{"fileId":1}', False), ("{}", False), ("[]", False), ("", False),
    ("FileStatus", False), ('{"FileStatus":{"fileId":1}', False),
])
def test_what_says_that_a_file_is_there(checked, nodes, body, there):
    nodes.files["/apps/load.jar"] = 200, body
    assert found(checked) == ([] if there else rules(MISSING))


@pytest.mark.parametrize("jar, path", [
    ("hdfs://ns1/apps/load.jar", "/apps/load.jar"), ("hdfs:/apps/load.jar", "/apps/load.jar"), ("hdfs:///apps/load.jar", "/apps/load.jar"),
    ("hdfs://carla@ns1:8020/apps/load.jar?a=b&op=DELETE#c", "/apps/load.jar"), ("hdfs://ns1/a%20b.jar", "/a b.jar"),
    ("hdfs://ns1/a%2Fb%2fc.jar", "/a/b/c.jar"), ("hdfs://ns1/a%3Fop=DELETE", "/a?op=DELETE"), ("hdfs://ns1/%C3%BC.jar", "/ü.jar"),
    ("hdfs://ns1/ü.jar", "/ü.jar"), ("hdfs://ns1/100%25.jar", "/100%.jar"), ("hdfs://ns1/a+b&c=d;e.jar", "/a+b&c=d;e.jar"),
    ("hdfs://ns1/a%23b", "/a#b"), ("hdfs://ns1/folder/", "/folder/"),
])
def test_the_path_that_is_asked_for(checked, nodes, jar, path):
    nodes.reset()
    assert found(checked, jar) == ([] if path == "/apps/load.jar" else rules(MISSING))
    [asked] = {asked for _, asked in nodes.asked if asked != JMX}
    target, _, query = asked.partition("?")
    assert (unquote(target).removeprefix("/webhdfs/v1"), query) == (path, "op=GETFILESTATUS")
    assert "%2f" not in target.lower()


@pytest.mark.parametrize("jar", ["hdfs://ns1", "hdfs://ns1/", "hdfs://ns1?x=y"])
def test_no_path_asks_for_the_root(checked, nodes, jar):
    nodes.reset(files=("", "/"))
    assert found(checked, jar) == []
    assert {asked for _, asked in nodes.asked if asked != JMX} <= {"/webhdfs/v1/?op=GETFILESTATUS", "/webhdfs/v1?op=GETFILESTATUS"}


@pytest.mark.parametrize("jar", ["hdfs://nn/a b.jar", "hdfs://ns1/a%zz.jar", "hdfs://ns1/a%2", "hdfs://ns1/a\\b", "hdfs://ns1/{a}", "hdfs://ns1/a|b",
                                 "hdfs://ns1/a\"b", "hdfs://ns1/<a>", "hdfs://ns1/a^b", "hdfs://ns1/a`b", "hdfs://ns1/a\tb", "hdfs:"])
def test_a_jar_that_is_no_uri_is_not_found(checked, nodes, jar):
    nodes.reset(files=("/a b.jar", "/a\\b", "/{a}", "/a|b", "/a%20b.jar", "/", ""))
    assert found(checked, jar) == rules(MISSING)


def test_other_schemes_ask_no_node(checked, nodes):
    for jar in ("HDFS://ns1/apps/other.jar", "s3a://b/apps/other.jar", "local:/x"):
        assert found(checked, jar) == []
    assert found(checked, "/no/such/file") == rules(MISSING)
    assert nodes.asked == []


def test_hosts_whose_names_contain_each_other(module_hearth):
    """The node that says it is active is the one that is asked, also when its name begins with the other's."""
    nodes = NameNodes(hosts=("127.0.0.1", "127.0.0.11"))
    try:
        server = module_hearth({"provision.namenodes": ",".join(nodes.urls)}, fake_java=True)
        nodes.reset("standby", "active")
        assert found(server) == []
        assert {node for node, path in nodes.asked if path != JMX} == {1}
    finally:
        nodes.close()


def test_one_node_alone(module_hearth, nodes):
    server = module_hearth({"provision.namenodes": nodes.urls[1]}, fake_java=True)
    nodes.reset("active", "active")
    assert found(server) == []
    nodes.reset("active", "standby")
    assert found(server) == rules(NO_NODE, MISSING)
    assert {node for node, _ in nodes.asked} == {1}


def test_a_node_that_does_not_answer_keeps_nobody_else_waiting(checked, nodes):
    nodes.open.clear()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(found(checked)))
    waiting.start()
    try:
        until(lambda: nodes.asked, 20, "the question")
        begun = time.monotonic()
        assert checked.get("/health").status_code == 200
        assert errors(checked, Descriptor()) == []
        assert time.monotonic() - begun < 5 and not answers
    finally:
        nodes.open.set()
        waiting.join(60)
    assert answers == [[]]


def test_answers_without_end_are_not_kept(checked, nodes):
    nodes.reset((200, '{"beans":[' + '"x",' * 3_000_000 + '{"State":"active"}]}'), "standby")
    assert found(checked) in ([], rules(NO_NODE, MISSING))
    nodes.reset((200, "[" * 1_000_000), "active")
    assert found(checked) == []
    nodes.files["/apps/load.jar"] = 200, json.dumps({"FileStatus": {"x": "y" * 5_000_000}})
    assert found(checked) == rules(MISSING)
