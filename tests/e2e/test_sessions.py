"""Sessions through their routes: what is accepted, what is answered, how they end; with and without real Spark."""

import gzip
import json
import os
import re
import time

import pytest

import wire
from harness import alive, fake, until
from sessions import ENDS, SESSION_KEYS, Session, create, open_session

NEW_LOG = ["stdout: ", "\nstderr: "]


def refused(server, body, raw=False):
    """The status and JSON of a POST that creates nothing."""
    total = server.get("/sessions?size=0").json()["total"]
    answer = server.post("/sessions", data=body if raw else json.dumps(body).encode())
    assert server.get("/sessions?size=0").json()["total"] == total, answer.text
    return answer.status_code, answer.json()


def rejected(server, body):
    """The reason of a refusal in Livy's words."""
    status, message = refused(server, body)
    assert status == 400 and list(message) == ["msg"], (status, message)
    assert message["msg"].startswith("Rejected, Reason: "), message
    return message["msg"][len("Rejected, Reason: "):]


# -- creation --------------------------------------------------------------------------------------


def test_the_answer_to_a_post_has_livys_keys_and_the_request_as_it_was_sent(queued):
    body = {"name": "nightly", "kind": "pyspark", "idleTimeout": "30m", "driverMemory": "2g",
            "conf": {"spark.sql.shuffle.partitions": "8"}, "files": [f"{queued.folder}/a.txt"], "heartbeatTimeoutInSecond": 600}
    answer = queued.post("/sessions", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["Location"] == f"/sessions/{made['id']}"
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    app_info = made.pop("appInfo")
    assert {k: app_info[k] for k in ("driverLogUrl", "sparkUiUrl", "executorLogUrls")} == dict.fromkeys(
        ("driverLogUrl", "sparkUiUrl", "executorLogUrls"))
    expected = {"id": made["id"], "name": "nightly", "appId": None, "owner": None, "proxyUser": None, "state": "starting",
                "kind": "pyspark", "log": NEW_LOG, "ttl": None, "idleTimeout": "30m", "driverMemory": "2g", "driverCores": 0,
                "executorMemory": None, "executorCores": 0, "conf": {"spark.sql.shuffle.partitions": "8"}, "archives": [],
                "files": body["files"], "heartbeatTimeoutInSecond": 600, "jars": [], "numExecutors": 0, "pyFiles": [], "queue": None}
    assert made == expected
    shown = Session(queued, made["id"]).view()
    assert {k: shown[k] for k in expected if k != "log"} == {k: v for k, v in expected.items() if k != "log"}
    listed = [s for s in queued.get("/sessions").json()["sessions"] if s["id"] == made["id"]]
    assert len(listed) == 1 and set(listed[0]) >= SESSION_KEYS


def test_an_empty_object_creates_a_shared_session(queued):
    made = queued.post("/sessions", data=b"{}").json()
    assert made["kind"] == "shared" and made["name"] is None and made["conf"] == {}
    assert set(made) == SESSION_KEYS


@pytest.mark.parametrize("given, shown", [("spark", "spark"), ("scala", "spark"), ("pyspark", "pyspark"), ("python", "pyspark"),
                                          ("sql", "sql"), ("shared", "shared"), (None, "shared")])
def test_kinds_are_shown_by_their_first_spelling(queued, given, shown):
    session = create(queued, kind=given)
    assert session.view()["kind"] == shown


def test_a_kind_for_r_is_accepted_or_refused_with_the_reason(queued):
    for kind in ("sparkr", "r"):
        answer = queued.post("/sessions", json={"kind": kind})
        if answer.status_code == 201:
            assert answer.json()["kind"] == "sparkr"
        else:
            assert answer.status_code == 400 and re.search(r"\bR\b|SparkR", answer.json()["msg"]), answer.text


@pytest.mark.parametrize("kind, words", [("perl", "Invalid kind: perl"), ("pyspark3", "Invalid kind: pyspark3"), ("Spark", "Invalid kind: Spark"),
                                         ("", "Invalid kind: "), (5, "Kind should be a string."), (["spark"], "Kind should be a string.")])
def test_another_kind_is_refused(queued, kind, words):
    status, message = refused(queued, {"kind": kind})
    assert status == 400 and isinstance(message, str) and words in message, message


@pytest.mark.parametrize("field", ["idleTimeout", "ttl"])
@pytest.mark.parametrize("value", ["30m", "90min", "2h", "1d", "100s", "500000ms", "999999999us", "600000", " 30M "])
def test_durations_are_read_with_their_units(queued, field, value):
    session = create(queued, **{field: value})
    assert session.view()[field] == value


@pytest.mark.parametrize("field", ["idleTimeout", "ttl"])
@pytest.mark.parametrize("value, words", [("soon", "Invalid time string: soon"), ("5x", 'Invalid suffix: "x"'), ("-5", "Invalid value: -5"),
                                          ("1.5h", "Invalid time string: 1.5h"), ("5 m", "Invalid time string: 5 m")])
def test_a_duration_that_is_none_is_refused_in_livys_words(queued, field, value, words):
    assert rejected(queued, {field: value}) == words


def test_texts_take_numbers_and_integers_take_digits_in_quotes(queued):
    made = queued.post("/sessions", json={"name": True, "queue": 5, "heartbeatTimeoutInSecond": "600", "driverCores": "2", "executorCores": 1,
                                          "numExecutors": "3", "conf": {"spark.x": 1, "spark.y": True, "spark.z": None}}).json()
    assert (made["name"], made["queue"]) == ("true", "5")
    assert (made["heartbeatTimeoutInSecond"], made["driverCores"], made["executorCores"], made["numExecutors"]) == (600, 2, 1, 3)
    assert made["conf"] == {"spark.x": "1", "spark.y": "true"}


@pytest.mark.parametrize("field", ["driverCores", "executorCores", "numExecutors", "heartbeatTimeoutInSecond"])
@pytest.mark.parametrize("value", [1.5, "1.5", "two", "-1", -1, [1]])
def test_a_number_that_is_none_is_refused_by_the_name_of_its_field(queued, field, value):
    status, message = refused(queued, {field: value})
    assert status == 400 and field in json.dumps(message), message


@pytest.mark.parametrize("body", [b"", b"{not json", b"null", b"[]", b"5", b'"x"', b'{"kind":"spark"'])
def test_a_body_that_is_no_object_is_400(queued, body):
    assert refused(queued, body, raw=True)[0] == 400


@pytest.mark.parametrize("name", ["Kind", "file", "className", "args", "language"])
def test_an_unknown_field_is_refused_by_name(queued, name):
    status, message = refused(queued, {"kind": "spark", name: "x"})
    assert status == 400 and isinstance(message, str) and message.startswith(f'Unrecognized field "{name}"'), message
    assert "heartbeatTimeoutInSecond" in message and "idleTimeout" in message


@pytest.mark.parametrize("body, words", [
    ({"jars": ["app.jar"]}, "requirement failed: Path 'app.jar' is not absolute."),
    ({"pyFiles": ["lib.py"]}, "requirement failed: Path 'lib.py' is not absolute."),
    ({"conf": {"spark.files": "x"}}, "requirement failed: Path 'x' is not absolute."),
    ({"files": ["/etc/hostname"]}, "requirement failed: Local path /etc/hostname cannot be added to user sessions."),
    ({"files": ["file:/a/b c"]}, "java.net.URISyntaxException: Illegal character in path at index 9: file:/a/b c"),
    ({"conf": {"spark.submit.deployMode": "cluster"}}, "Blacklisted configuration values in session config: spark.submit.deployMode"),
    ({"name": "123"}, "Invalid session name: 123"),
])
def test_what_is_not_allowed_is_refused_in_livys_words(queued, body, words):
    assert rejected(queued, body) == words


def test_an_empty_name_is_refused(queued):
    assert rejected(queued, {"name": ""}).startswith("Invalid session name")


def test_the_cluster_deploy_mode_is_refused(queued):
    assert "cluster" in rejected(queued, {"deployMode": "cluster"})


def test_what_hue_sends_is_accepted(queued):
    session = create(queued, kind="scala", proxyUser="hue", jars=[""], files=[""], pyFiles=[""], archives=[""], driverMemory="1G",
                     driverCores=1, executorMemory="1G", executorCores=1, queue="default")
    view = session.view()
    assert (view["state"], view["proxyUser"], view["kind"]) == ("starting", None, "spark")
    assert view["jars"] in ([], [""])


def test_what_livys_java_client_sends_is_answered_with_nine_keys(queued):
    nine = {"id", "name", "appId", "owner", "proxyUser", "state", "kind", "appInfo", "log"}
    headers = {"User-Agent": "livy-client-http", "X-Requested-By": "livy", "Content-Encoding": "UTF-8", "Content-Type": "application/json"}
    answer = queued.post("/sessions/", headers=headers, json={"conf": {"livy.uri": "http://x", "livy.client.http.x": "1", "spark.a": "b"}})
    assert answer.status_code == 201 and set(answer.json()) == nine and answer.json()["kind"] == "shared"
    connected = queued.post(f"/sessions/{answer.json()['id']}/connect", headers=headers)
    assert connected.status_code == 200 and set(connected.json()) == nine


def test_livys_java_client_is_told_to_go_on_before_it_sends_the_body(queued):
    body = b'{"conf":{}}'
    with wire.connect(queued) as s, s.makefile("rb") as stream:
        s.sendall(wire.request("POST", "/sessions/", Content_Length=len(body), Expect="100-continue", User_Agent="livy-client-http",
                               Content_Type="application/json"))
        assert wire.read_answer(stream).status == 100
        s.sendall(body)
        assert wire.read_answer(stream).status == 201


def test_a_compressed_body_is_read_and_the_media_type_is_not_looked_at(queued):
    body = gzip.compress(b'{"kind":"sql"}')
    answer = queued.post("/sessions/", data=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})
    assert answer.status_code == 201 and answer.json()["kind"] == "sql"


def test_the_same_idempotency_key_makes_no_second_session(queued):
    first = queued.post("/sessions", json={"kind": "sql"}, headers={"Idempotency-Key": "once"})
    total = queued.get("/sessions?size=0").json()["total"]
    again = queued.post("/sessions", json={"kind": "sql"}, headers={"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code) == (201, 201) and again.json()["id"] == first.json()["id"]
    assert queued.post("/sessions", json={"kind": "spark"}, headers={"Idempotency-Key": "once"}).status_code == 422
    assert queued.get("/sessions?size=0").json()["total"] == total


# -- names, lists, paths ---------------------------------------------------------------------------


def test_a_name_stands_for_the_number_everywhere(queued):
    session = create(queued, name="my étl/1")
    path = "/sessions/my%20%C3%A9tl%2F1"
    assert queued.get(path).json()["id"] == session.id
    assert queued.get(path + "/state").json() == {"id": session.id, "state": "starting"}
    assert queued.get(path + "/log").json()["id"] == session.id
    assert queued.get(path + "/statements").json() == {"total_statements": 0, "statements": []}
    assert queued.post(path + "/connect").json()["id"] == session.id
    assert queued.delete(path).json() == {"msg": "deleted"}
    assert queued.get(path).status_code == 404


def test_a_name_is_unique_until_its_session_is_deleted(queued):
    session = create(queued, name="taken")
    assert rejected(queued, {"name": "taken"}).startswith("Duplicate session name: Some(taken)")
    assert session.post("/stop").status_code == 204
    session.wait_end()
    assert rejected(queued, {"name": "taken"}).startswith("Duplicate session name: Some(taken)")
    session.delete()
    assert create(queued, name="taken").id > session.id


def test_sessions_and_batches_have_their_own_names_and_numbers(queued):
    session = create(queued, name="both")
    batch = queued.submit(dict(fake("exit", 0), name="both"))
    assert queued.get("/batches/both").json()["id"] == batch["id"]
    assert queued.get("/sessions/both").json()["id"] == session.id
    assert queued.get(f"/batches/{session.id + 1000}").status_code == 404


def test_lists_are_paged_by_ascending_id(queued):
    made = [create(queued).id for _ in range(3)]
    whole = queued.get("/sessions?size=100000").json()
    ids = [s["id"] for s in whole["sessions"]]
    assert set(whole) == {"from", "total", "sessions"} and whole["total"] == len(ids)
    assert ids == sorted(ids) and ids[-3:] == made
    page = queued.get(f"/sessions?from={len(ids) - 2}&size=1").json()
    assert (page["from"], page["total"], [s["id"] for s in page["sessions"]]) == (len(ids) - 2, len(ids), [made[1]])
    assert queued.get("/sessions/?from=100000").json() == {"from": 100000, "total": len(ids), "sessions": []}
    assert queued.get("/sessions?from=-1&size=-1").json() == {"from": -1, "total": len(ids), "sessions": []}
    assert queued.get("/sessions?size=abc").json() == {"msg": 'For input string: "abc"'}


@pytest.mark.parametrize("method, path", [("GET", ""), ("GET", "/state"), ("GET", "/log"), ("DELETE", ""), ("POST", "/connect"), ("POST", "/stop"),
                                          ("POST", "/interrupt"), ("GET", "/statements"), ("GET", "/statements/0"), ("POST", "/statements/0/cancel"),
                                          ("GET", "/jobs/1"), ("GET", "/events")])
def test_an_unknown_session_is_404_in_livys_words(queued, method, path):
    for name in ("987654", "no-such", "-1", "1.5"):
        answer = queued.request(method, f"/sessions/{name}{path}")
        assert (answer.status_code, answer.json()) == (404, {"msg": f"Session '{name}' not found."})


def test_a_body_is_parsed_before_the_session_is_looked_up(queued):
    assert queued.post("/sessions/987654/statements", data=b"{nope").status_code == 400
    assert queued.post("/sessions/987654/statements", json={"code": "1"}).status_code == 404


def test_a_number_that_is_no_32_bit_integer_is_400(queued):
    assert queued.get("/sessions/2147483648").status_code == 400
    assert queued.get("/sessions/2147483648").json() == {"msg": 'For input string: "2147483648"'}
    session = create(queued)
    for name in ("abc", "1.5", "2147483648"):
        answer = session.get(f"/statements/{name}")
        assert (answer.status_code, answer.json()) == (400, {"msg": f'For input string: "{name}"'})
        assert session.get(f"/jobs/{name}").status_code == 400


def test_other_methods_and_paths_are_405_and_404_without_a_body(queued):
    session = create(queued)
    assert queued.request("PUT", "/sessions").headers["Allow"] == "GET, POST, HEAD"
    answer = session.request("PUT")
    assert (answer.status_code, answer.text, answer.headers["Allow"]) == (405, "", "GET, DELETE, HEAD")
    for path in ("/nothing", "/statements/0/nothing", "/state/x"):
        answer = session.get(path)
        assert (answer.status_code, answer.text) == (404, "")
        assert answer.headers["Content-Type"] == "application/json;charset=utf-8"


def test_head_is_get_without_the_body(queued):
    session = create(queued)
    for path in ("", "/state", "/log", "/statements"):
        answer = session.request("HEAD", path)
        assert (answer.status_code, answer.text) == (200, "")
        assert answer.headers["Content-Type"] == "application/json;charset=utf-8"


# -- a session that waits --------------------------------------------------------------------------


def test_a_waiting_session_is_starting_and_tells_why(queued):
    session = create(queued)
    view = session.view()
    assert view["state"] == "starting" and view["queuePosition"] >= 1
    assert view["appInfo"]["reason"]
    log = session.log()
    assert any(view["appInfo"]["reason"] in line for line in log[:log.index("\nstderr: ")]), log
    assert session.answer("/state") == {"id": session.id, "state": "starting"}


def test_a_starting_session_has_no_statements_and_takes_none(queued):
    session = create(queued, kind="pyspark")
    assert session.answer("/statements") == {"total_statements": 0, "statements": []}
    refusal = {"msg": "Session is in state starting"}
    for path, body in (("/statements", {"code": "1"}), ("/completion", {"code": "sp", "kind": "pyspark", "cursor": 2})):
        answer = session.post(path, json=body)
        assert (answer.status_code, answer.json()) == (409, refusal), path
    assert session.answer("/statements")["total_statements"] == 0


def test_a_starting_session_takes_jobs_which_wait(queued):
    session = create(queued, kind="pyspark")
    answer = session.post("/submit-job", json={"job": "gASVAAAA", "jobType": "pyspark"})
    assert (answer.status_code, answer.json()) == (201, {"id": 1, "state": "SENT", "result": None, "error": None})
    assert session.answer("/jobs/1") == {"id": 1, "state": "QUEUED", "result": None, "error": None}


def test_connect_ignores_its_body_and_answers_as_a_post_does(queued):
    session = create(queued, kind="sql")
    for body in (None, b"{}", b"garbage", b"null"):
        answer = session.post("/connect", data=body)
        assert answer.status_code == 200 and set(answer.json()) == SESSION_KEYS, answer.text
        assert (answer.json()["id"], answer.json()["kind"], answer.json()["state"]) == (session.id, "sql", "starting")


def test_a_deleted_one_that_waited_leaves_only_its_record(queued):
    session = create(queued, name="short lived")
    session.delete()
    for path in ("", "/state", "/log", "/statements"):
        answer = session.get(path)
        assert (answer.status_code, answer.json()) == (404, {"msg": f"Session '{session.id}' not found."})
    assert session.request("DELETE").status_code == 404
    record = session.record()
    assert record["id"] == session.id and record["name"] == "short lived" and record["deletedAt"]


def test_a_stopped_one_is_dead_and_answers_as_livy_does(queued):
    session = create(queued, kind="pyspark")
    answer = session.post("/stop")
    assert (answer.status_code, answer.text) == (204, "")
    view = session.wait_end()
    assert view["state"] == "dead" and view["appId"] is None
    inactive = {"msg": "requirement failed: Session isn't active."}
    for path in ("/statements", "/statements/0", "/jobs/1"):
        answer = session.get(path)
        assert (answer.status_code, answer.json()) == (400, inactive), path
    for path, body in (("/statements", {"code": "1"}), ("/completion", {"code": "sp", "kind": "pyspark", "cursor": 2}), ("/statements/0/cancel", {})):
        answer = session.post(path, json=body)
        assert answer.status_code == 409 and "Session is in state dead" in answer.json()["msg"], path
    assert session.post("/interrupt").json() == {"msg": "interrupted"}
    assert session.state() == "dead" and session.log()
    session.delete()


def test_a_driver_that_cannot_start_is_dead_with_its_reason(make_hearth, tmp_path):
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho no JVM today >&2\nexit 3\n")
    java.chmod(0o755)
    server = make_hearth(environment={"JAVA_HOME": str(tmp_path / "java")}).start()
    session = create(server, kind="pyspark")
    view = session.wait_end(30)
    assert view["state"] in ("dead", "error") and "3" in view["appInfo"]["reason"], view
    assert "no JVM today" in session.log()
    assert "no JVM today" in json.dumps(view["diagnosis"]), view
    session.delete()


# -- users -----------------------------------------------------------------------------------------


@pytest.fixture
def guarded(make_hearth):
    server = make_hearth({"auth.type": "simple", "auth.access_control": "true", "auth.view_users": "viewer", "auth.superusers": "root",
                          "admission.running": "1"}, fake_java=True).start()
    server.get = lambda path, user="root", **more: server.request("GET", path, params={"user.name": user}, **more)
    server.post = lambda path, user="root", **more: server.request("POST", path, params={"user.name": user}, **more)
    server.delete = lambda path, user="root", **more: server.request("DELETE", path, params={"user.name": user}, **more)
    made = server.post("/batches", json=fake("sleep", 1000))
    assert made.status_code == 201
    return server


def test_strangers_see_that_a_session_exists_and_nothing_in_it(guarded):
    made = guarded.post("/sessions", user="alice", json={"kind": "pyspark"}).json()
    assert (made["owner"], made["proxyUser"]) == ("alice", None)
    path = f"/sessions/{made['id']}"
    assert guarded.get(path, user="bob").json()["log"] == []
    assert guarded.get(path + "/state", user="bob").status_code == 200
    for below in ("/log", "/statements", "/statements/0", "/jobs/1", "/events"):
        answer = guarded.get(path + below, user="bob")
        assert (answer.status_code, answer.json()) == (403, {}), below
    assert guarded.get(path + "/statements", user="viewer").status_code == 200
    for user in ("bob", "viewer"):
        for below, body in (("/connect", {}), ("/stop", {}), ("/interrupt", {}), ("/statements", {"code": "1"}), ("/statements/0/cancel", {}),
                            ("/completion", {"code": "", "kind": "sql"}), ("/submit-job", {"job": "eA=="}), ("/add-file", {"uri": "/x"})):
            answer = guarded.post(path + below, user=user, json=body)
            assert (answer.status_code, answer.json()) == (403, {}), (user, below)
        assert guarded.delete(path, user=user).status_code == 403
    assert guarded.delete(path, user="alice").json() == {"msg": "deleted"}


# -- real sessions ---------------------------------------------------------------------------------


@pytest.mark.spark
@pytest.mark.every_spark
def test_a_session_goes_straight_from_starting_to_idle_and_everything_about_it_is_known(spark_server):
    session = create(spark_server, kind="pyspark", name="straight")
    seen = []

    def idle():
        view = session.view()
        if not seen or seen[-1] != view["state"]:
            seen.append(view["state"])
        return view["state"] in ("idle", *ENDS)

    until(idle, 60, "an end of starting")
    assert seen[0] in ("starting", "idle") and set(seen) <= {"starting", "idle"}, seen
    view = until(lambda: (v := session.view())["appId"] and v["appInfo"]["sparkUiUrl"] and v, 60, "the application")
    assert re.match(r"^local-\d+$", view["appId"])
    assert view["appInfo"]["sparkUiUrl"].startswith("http://")
    assert (view["kind"], view["state"], view["name"]) == ("pyspark", "idle", "straight")
    assert session.text("spark.sparkContext.appName") == "'straight'"
    pids = list(spark_server.drivers())
    start = time.monotonic()
    session.delete()
    assert time.monotonic() - start < 1
    assert session.get().status_code == 404
    until(lambda: not [p for p in session_pids(spark_server, pids, session) if alive(p)], 15, "the driver's end")


def session_pids(server, pids, session):
    """Those of the pids that belong to the folder of the session."""
    folder = session.record()["folder"]
    return [p for p in pids if folder in server.drivers().get(p, "")]


@pytest.mark.spark
def test_the_fields_of_a_request_take_effect(spark_server):
    folder = spark_server.folder
    (folder / "brought_along.py").write_text("WORD = 'brought'\n")
    (folder / "a_file.txt").write_text("content")
    session = open_session(spark_server, kind="pyspark", driverMemory="600m", executorMemory="700m", executorCores=1, numExecutors=1,
                           queue="default", files=[f"file:{folder}/a_file.txt"], pyFiles=[f"{folder}/brought_along.py"],
                           conf={"spark.driver.memory": "900m", "spark.e2e.text": "two words", "spark.master": "local[7]",
                                 "spark.sql.shuffle.partitions": 3, "livy.rsc.sql.num-rows": "10"})
    conf = json.loads(session.text("import json; print(json.dumps(dict(sc.getConf().getAll())))"))
    assert conf["spark.driver.memory"] == "600m" and conf["spark.executor.memory"] == "700m"
    assert conf["spark.master"] == "local[1]" and conf["spark.e2e.text"] == "two words"
    assert conf["spark.app.name"] == f"livy-session-{session.id}"
    assert not [key for key in conf if key.startswith("livy.")]
    assert not re.search(r"LAUNCHER|[0-9a-f]{64}", json.dumps(conf)), "secrets"
    heap = int(session.text("sc._jvm.java.lang.Runtime.getRuntime().maxMemory()"))
    assert 500 << 20 < heap <= 600 << 20
    assert session.text("spark.conf.get('spark.sql.shuffle.partitions')") == "'3'"
    assert session.text("from pyspark import SparkFiles; open(SparkFiles.get('a_file.txt')).read()") == "'content'"
    assert session.text("import os; os.path.realpath('.') == os.path.realpath(SparkFiles.getRootDirectory())") == "True"
    assert session.text("import brought_along; brought_along.WORD") == "'brought'"
    assert session.text("sc.parallelize([1], 1).map(lambda x: __import__('brought_along').WORD).collect()") == "['brought']"
    assert session.text("import os; sorted(k for k in os.environ if 'LAUNCHER' in k or 'SECRET' in k or 'TOKEN' in k)") == "[]"
    session.delete()


@pytest.mark.spark
def test_the_log_has_both_streams_and_nothing_of_the_statements(live):
    live.text("print('a secret of the statement')")
    live.text("import os; written = os.write(2, b'straight to the stream\\n')")
    log = until(lambda: (lines := live.log()) and "straight to the stream" in lines and lines, 10, live.log)
    assert log[0] == "stdout: " and log.count("\nstderr: ") == 1
    assert log.index("straight to the stream") > log.index("\nstderr: ")
    assert "a secret of the statement" not in "\n".join(log)
    whole = live.answer("/log", params={"size": -1})
    assert set(whole) == {"id", "from", "total", "log"} and (whole["from"], whole["total"]) == (0, len(whole["log"]))
    last = live.answer("/log", params={"size": 2})
    assert (last["from"], last["log"]) == (whole["total"] - 2, whole["log"][-2:])
    page = live.answer("/log", params={"from": 0, "size": 1})
    assert (page["from"], page["log"]) == (0, ["stdout: "])
    assert len(live.answer("/log?from=0")["log"]) <= 100
    assert live.view()["log"] == whole["log"][-10:]


@pytest.mark.spark
def test_stop_ends_the_driver_and_keeps_the_entry(spark_server):
    session = open_session(spark_server, kind="pyspark", name="stopped")
    assert session.text("'before'") == "'before'"
    pid = session.driver_pid()
    assert session.post("/stop").status_code == 204
    assert session.state() in ("shutting_down", "dead")
    view = session.wait_end(15)
    assert view["state"] == "dead" and view["name"] == "stopped"
    assert not alive(pid)
    assert session.get("/statements").json() == {"msg": "requirement failed: Session isn't active."}
    kept = spark_server.get(f"/hearth/sessions/{session.id}/statements").json()
    assert [s["output"]["data"]["text/plain"] for s in kept["statements"]] == ["'before'"]
    session.delete()


@pytest.mark.spark
def test_a_busy_session_is_deleted_at_once_and_its_processes_go(spark_server):
    session = open_session(spark_server, kind="pyspark")
    child = int(session.text("import subprocess; subprocess.Popen(['sleep', '1000']).pid"))
    pids = [session.driver_pid(), session.jvm_pid(), child]
    running = session.submit("import time; time.sleep(1000)")
    session.wait(running, states=("running",))
    assert session.state() == "busy" and all(map(alive, pids))
    start = time.monotonic()
    session.delete()
    assert time.monotonic() - start < 1
    assert session.get().status_code == 404
    until(lambda: not any(map(alive, pids)), 10, lambda: f"all of {pids} to end")
    record = session.record()
    assert record["deletedAt"]
    log = spark_server.get(f"/hearth/sessions/{session.id}/log?size=10000").json()
    assert log["ended"] is True and log["lines"]


@pytest.mark.spark
def test_interrupt_cancels_what_runs_and_waits_and_keeps_the_session(live):
    running = live.submit("import time; time.sleep(1000)")
    waiting = [live.submit("1 + 1") for _ in range(2)]
    live.wait(running, states=("running",))
    assert live.post("/interrupt").json() == {"msg": "interrupted"}
    assert {live.wait(s, 10)["state"] for s in (running, *waiting)} == {"cancelled"}
    live.wait_state("idle", 5)
    assert live.text("1 + 1") == "2"


@pytest.mark.spark
def test_a_bad_setting_of_spark_is_a_dead_session_in_sparks_words(spark_server):
    session = create(spark_server, kind="pyspark", conf={"spark.executor.memory": "1x"})
    view = session.wait_end(30)
    assert view["state"] in ("dead", "error")
    told = "\n".join(session.log()) + json.dumps(view["diagnosis"]) + json.dumps(view["appInfo"])
    assert "Executor memory must be a positive number" in told or "1x" in told, view
    session.delete()


@pytest.mark.spark
def test_a_heap_below_sparks_minimum_is_a_dead_session_in_sparks_words(spark_server):
    session = create(spark_server, kind="pyspark", driverMemory="200m")
    view = session.wait_end(30)
    assert view["state"] in ("dead", "error")
    assert "memory" in view["appInfo"]["reason"].lower(), view
    session.delete()


@pytest.mark.spark
def test_the_status_counts_sessions_among_the_applications(live):
    status = live.server.status()
    assert status["applications"] >= 1 and os.path.isdir(live.record()["folder"])
