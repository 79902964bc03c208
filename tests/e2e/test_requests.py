"""Which requests are accepted, how they are read, and the exact words of a refusal."""

import json

import pytest

from harness import fake, program

FILE = program("fake.py")


def refusal(server, body, raw=False):
    """The status and JSON of a POST that creates nothing."""
    total = server.get("/batches?size=0").json()["total"]
    answer = server.post("/batches", data=body if raw else json.dumps(body).encode())
    assert server.get("/batches?size=0").json()["total"] == total, answer.text
    return answer.status_code, answer.json()


def rejected(server, body):
    status, message = refusal(server, body)
    assert status == 400, message
    assert list(message) == ["msg"], message
    return message["msg"]


def submission(server, body):
    """What hearth made of an accepted body."""
    return server.record(server.submit(body)["id"])["submission"]


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body, words", [
    (b"", "No content to map due to end-of-input"),
    (b"{not json", "Unexpected character"),
    (b"hello", "Unexpected character"),
    (b"{'file': 'x'}", "Unexpected character"),
    (b'{"file": "/a.py"', "Unexpected end-of-input"),
    (b'{"file": "/a', "Unexpected end-of-input"),
])
def test_an_unreadable_body_is_400_with_a_bare_string(shared, body, words):
    status, message = refusal(shared, body, raw=True)
    assert status == 400
    assert isinstance(message, str) and words in message, message


@pytest.mark.parametrize("body", [b"null", b"[]", b"5", b'"x"', b"true"])
def test_a_body_that_is_not_an_object_is_400(shared, body):
    assert refusal(shared, body, raw=True)[0] == 400


@pytest.mark.parametrize("body", [b'{"file":"\xff\xfe"}', b'{"file":"/a\\ud800.py"}', b'{"file":"/a\\u0000b.py"}', b"\xef\xbb\xbf\xff{}"])
def test_a_body_that_is_not_text_is_400(shared, body):
    assert refusal(shared, body, raw=True)[0] == 400


def test_an_unknown_field_is_refused_by_name(shared):
    status, message = refusal(shared, {"file": FILE, "File": "x"})
    assert status == 400
    assert isinstance(message, str) and message.startswith('Unrecognized field "File"'), message
    assert "className" in message and "executorMemory" in message


def test_fields_of_sessions_are_unknown_in_a_batch(shared):
    for name in ("kind", "heartbeatTimeoutInSecond", "ttl"):
        assert refusal(shared, {"file": FILE, name: "x"})[0] == 400


@pytest.mark.parametrize("field", ["jars", "files", "archives", "pyFiles", "args"])
def test_a_scalar_where_a_list_is_due_is_400(shared, field):
    status, message = refusal(shared, {"file": FILE, field: "x"})
    assert status == 400
    assert "Cannot deserialize value of type" in str(message), message


@pytest.mark.parametrize("value", [[1], "x", 5])
def test_something_else_where_conf_is_due_is_400(shared, value):
    status, message = refusal(shared, {"file": FILE, "conf": value})
    assert status == 400
    assert "Cannot deserialize value of type" in str(message), message


@pytest.mark.parametrize("body", [{"file": ["/a.py"]}, {"file": {"a": 1}}, {"file": FILE, "name": ["x"]},
                                  {"file": FILE, "args": [["x"]]}, {"file": FILE, "conf": {"spark.a": {"b": 1}}},
                                  {"file": FILE, "conf": {"spark.a": ["b"]}}])
def test_a_list_or_object_where_text_is_due_is_400(shared, body):
    assert refusal(shared, body)[0] == 400


# -- coercions -------------------------------------------------------------------------------------


def test_numbers_and_booleans_become_text_where_text_is_due(shared):
    made = shared.submit({"file": FILE, "name": 5.25, "args": ["exit", 0, True, 1.5]})
    assert made["name"] == "5.25"
    assert shared.record(made["id"])["submission"]["args"] == ["exit", "0", "true", "1.5"]


def test_conf_values_may_be_numbers_and_booleans(shared):
    conf = submission(shared, dict(fake("exit", 0), conf={"spark.x": 1, "spark.y": True, "spark.z": 2.5}))["conf"]
    assert (conf["spark.x"], conf["spark.y"], conf["spark.z"]) == ("1", "true", "2.5")


def test_digits_in_quotes_are_integers(shared):
    conf = submission(shared, dict(fake("exit", 0), driverCores="2", executorCores="3", numExecutors="4"))["conf"]
    assert conf["spark.driver.cores"] == "2"
    assert conf["spark.executor.cores"] == "3"
    assert conf["spark.executor.instances"] == "4"


@pytest.mark.parametrize("field", ["driverCores", "executorCores", "numExecutors"])
@pytest.mark.parametrize("value", [1.5, "1.5", -1, "-1", "+2", "two", "", True, [1], 2**40])
def test_an_integer_that_is_none_is_400_naming_the_field(shared, field, value):
    status, message = refusal(shared, {"file": FILE, field: value})
    assert status == 400
    assert field in str(message), message


def test_null_is_the_same_as_absent(shared):
    fields = ["className", "args", "jars", "files", "archives", "pyFiles", "driverMemory", "executorMemory", "driverCores",
              "executorCores", "numExecutors", "queue", "name", "conf", "proxyUser", "master", "deployMode"]
    answer = shared.post("/batches", json={"file": FILE, **dict.fromkeys(fields)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] is None


def test_a_conf_value_null_leaves_the_key_out(shared):
    conf = submission(shared, dict(fake("exit", 0), conf={"spark.gone": None, "spark.there": "x"}))["conf"]
    assert "spark.gone" not in conf and conf["spark.there"] == "x"


@pytest.mark.parametrize("field", ["jars", "files", "archives", "pyFiles", "args"])
def test_null_inside_a_list_is_400_naming_the_element(shared, field):
    status, message = refusal(shared, {"file": FILE, field: ["file:" + FILE, None]})
    assert status == 400
    assert field in str(message) and "1" in str(message), message


def test_of_a_repeated_key_the_last_wins(shared):
    body = '{"name": "first %s", "file": "/nonsense/x", "name": "last %s", "file": "%s"}' % (id(shared), id(shared), FILE)
    answer = shared.post("/batches", data=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == f"last {id(shared)}"


def test_the_fields_win_over_conf(shared):
    conf = submission(shared, dict(fake("exit", 0), driverMemory="600m", executorMemory="700m", driverCores=1, conf={
        "spark.driver.memory": "800m", "spark.executor.memory": "900m", "spark.driver.cores": "7"}))["conf"]
    assert conf["spark.driver.memory"] == "600m"
    assert conf["spark.executor.memory"] == "700m"
    assert conf["spark.driver.cores"] == "1"


def test_lists_stand_before_the_entries_of_the_same_conf_key(shared):
    conf = submission(shared, dict(fake("exit", 0), jars=["local:/a.jar", "local:/b.jar"], files=["local:/f"],
                                   conf={"spark.jars": "local:/c.jar, local:/d.jar", "spark.files": "local:/g"}))["conf"]
    assert conf["spark.jars"] == "local:/a.jar,local:/b.jar,local:/c.jar,local:/d.jar"
    assert conf["spark.files"] == "local:/f,local:/g"


@pytest.mark.parametrize("field", ["jars", "files", "archives", "pyFiles"])
def test_empty_strings_in_lists_are_dropped(shared, field):
    made = submission(shared, dict(fake("exit", 0), **{field: [""]}))
    assert not [k for k in made["conf"] if k in ("spark.jars", "spark.files", "spark.archives", "spark.yarn.dist.archives",
                                                  "spark.submit.pyFiles")], made


# -- rejections ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"file": None}, {"file": ""}, {"className": "x"}])
def test_file_is_required(shared, body):
    assert rejected(shared, body) == "Rejected, Reason: requirement failed: File is required."


@pytest.mark.parametrize("name", ["123", "0", "", "00000000000000000000"])
def test_a_name_of_digits_or_nothing_is_refused(shared, name):
    assert rejected(shared, {"file": FILE, "name": name}) == f"Rejected, Reason: Invalid session name: {name}"


@pytest.mark.parametrize("name", ["-1", "1.5", "a b", "ü", "x" * 200, "-", "../../x", "12a", "a'b\"c", "log"])
def test_a_name_is_free_text_and_finds_its_batch(shared, name):
    made = shared.submit(dict(fake("exit", 0), name=name))
    from urllib.parse import quote

    found = shared.get("/batches/" + quote(name, safe=""))
    assert found.json()["id"] == made["id"]
    assert shared.get(f"/batches/{quote(name, safe='')}/state").json()["id"] == made["id"]
    assert shared.get(f"/batches/{quote(name, safe='')}/log").json()["id"] == made["id"]
    assert shared.delete("/batches/" + quote(name, safe="")).json() == {"msg": "deleted"}
    assert shared.get(f"/batches/{made['id']}").status_code == 404


def test_a_name_is_held_until_the_entry_is_deleted(shared):
    made = shared.submit(dict(fake("exit", 0), name="held"))
    shared.wait_end_of(made["id"])
    words = rejected(shared, {"file": FILE, "name": "held"})
    assert words.startswith("Rejected, Reason: Duplicate session name:") and "held" in words
    shared.delete("/batches/held")
    assert shared.submit(dict(fake("exit", 0), name="held"))["id"] > made["id"]


def test_the_deny_list_is_named_with_every_key(shared):
    words = rejected(shared, {"file": FILE, "conf": {"spark.submit.deployMode": "cluster"}})
    assert words == "Rejected, Reason: Blacklisted configuration values in session config: spark.submit.deployMode"
    words = rejected(shared, {"file": FILE, "conf": {"spark.submit.deployMode": "cluster", "spark.yarn.jars": "x", "spark.ok": "1"}})
    prefix = "Rejected, Reason: Blacklisted configuration values in session config: "
    assert words.startswith(prefix)
    assert set(words[len(prefix):].split(", ")) == {"spark.submit.deployMode", "spark.yarn.jars"}


@pytest.mark.parametrize("key", ["spark.submit.deployMode", "spark.submit.proxyUser.allowCustomClasspathInClusterMode",
                                 "spark.yarn.jar", "spark.yarn.jars", "spark.yarn.archive"])
def test_these_keys_are_denied_by_default(shared, key):
    assert rejected(shared, {"file": FILE, "conf": {key: "x"}}).endswith(": " + key)


def test_a_configured_deny_list_may_name_the_master(make_hearth):
    server = make_hearth({"spark.denied_conf": "spark.master,spark.e2e"}, fake_java=True).start()
    assert rejected(server, {"file": FILE, "conf": {"spark.master": "local"}}).endswith(": spark.master")
    assert rejected(server, {"file": FILE, "conf": {"spark.e2e": "x"}}).endswith(": spark.e2e")


def test_the_master_of_the_request_is_replaced_silently(shared):
    record = shared.record(shared.submit(dict(fake("exit", 0), conf={"spark.master": "yarn"}))["id"])
    assert record["master"] == "local[1]"
    assert record["submission"]["conf"].get("spark.master", "local[1]") == "local[1]"


def test_master_and_deploy_mode_are_fields_of_hearths_own(shared):
    record = shared.record(shared.submit(dict(fake("exit", 0), master="local[2]", deployMode="client"))["id"])
    assert record["master"] == "local[2]"


@pytest.mark.parametrize("field", ["file", "jars", "files", "archives", "pyFiles"])
def test_a_path_without_scheme_must_be_absolute(shared, field):
    body = {"file": FILE, field: "app.py" if field == "file" else ["app.py"]}
    assert rejected(shared, body) == "Rejected, Reason: requirement failed: Path 'app.py' is not absolute."


PATH_KEYS = ["spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles", "spark.yarn.dist.archives",
             "spark.yarn.dist.files", "spark.yarn.dist.jars"]


@pytest.mark.parametrize("key", PATH_KEYS)
def test_a_path_in_conf_must_be_absolute(shared, key):
    words = rejected(shared, {"file": FILE, "conf": {key: "local:/x, app.py"}})
    assert words == "Rejected, Reason: requirement failed: Path 'app.py' is not absolute."


@pytest.mark.parametrize("path", ["/etc/hostname", "file:/etc/hostname", "file:///etc/hostname", "/tmp/../etc/hostname"])
def test_a_local_file_must_lie_in_a_permitted_folder(shared, path):
    for body in ({"file": path}, {"file": FILE, "jars": [path]}, {"file": FILE, "conf": {"spark.files": path}}):
        assert rejected(shared, body) == "Rejected, Reason: requirement failed: Local path /etc/hostname cannot be added to user sessions."


def test_a_permitted_folder_is_not_left_by_dots_or_by_a_longer_name(shared):
    folder = FILE.rpartition("/")[0]
    for path in (folder + "/../../../../../../../../../../etc/hostname", folder + "x/app.py", folder + "/%2e%2e/app.py"):
        answer = shared.post("/batches", json={"file": path})
        if "%2e" in path and answer.status_code == 201:
            continue  # a folder really called %2e%2e, if it is read as written
        assert answer.status_code == 400 and "cannot be added to user sessions" in answer.text, (path, answer.text)


def test_without_a_list_of_folders_every_local_file_may_be_named_on_loopback(make_hearth):
    server = make_hearth({"spark.local_dirs": ""}, fake_java=True).start()
    assert server.post("/batches", json={"file": "/etc/hostname"}).status_code == 201


@pytest.mark.parametrize("path", ["hdfs://nn:8020/a/b.py", "s3a://bucket/key.py", "http://x/y.py", "local:/opt/a.py"])
def test_other_schemes_pass_unchecked(shared, path):
    answer = shared.post("/batches", json={"file": path, "jars": [path]})
    assert answer.status_code == 201, answer.text


def test_a_fragment_stays(shared):
    conf = submission(shared, dict(fake("exit", 0), files=[f"file:{FILE}#alias"]))["conf"]
    assert conf["spark.files"].endswith("fake.py#alias")


@pytest.mark.parametrize("path, words", [
    ("file:/a/b c.py", "java.net.URISyntaxException: Illegal character in path at index 9: file:/a/b c.py"),
])
def test_a_path_must_be_a_uri(shared, path, words):
    assert rejected(shared, {"file": path}) == "Rejected, Reason: " + words


def test_a_file_that_does_not_exist_is_accepted(shared):
    folder = FILE.rpartition("/")[0]
    assert shared.post("/batches", json={"file": folder + "/missing.py"}).status_code == 201


def test_a_refused_request_uses_no_id_up_for_good_and_leaves_no_ghost(shared):
    before = shared.submit(fake("exit", 0))["id"]
    for _ in range(3):
        rejected(shared, {"file": "app.py"})
    assert shared.submit(fake("exit", 0))["id"] > before
    ids = [b["id"] for b in shared.get("/batches?size=10000").json()["sessions"]]
    assert ids == sorted(set(ids))


# -- ids, numbers, lists ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/batches?from={}", "/batches?size={}", "/batches/{id}/log?from={}", "/batches/{id}/log?size={}"])
@pytest.mark.parametrize("text", ["abc", "", " 1", "1.5", "2147483648", "-2147483649", "0x1", "１"])
def test_a_number_that_is_none_is_400_with_javas_words(shared, path, text):
    some = shared.submit(fake("exit", 0))["id"]
    answer = shared.get(path.format(text.replace(" ", "%20"), id=some))
    assert (answer.status_code, answer.json()) == (400, {"msg": f'For input string: "{text}"'})


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_id_above_32_bits_is_400(shared, method):
    answer = shared.request(method, "/batches/99999999999")
    assert (answer.status_code, answer.json()) == (400, {"msg": 'For input string: "99999999999"'})


@pytest.mark.parametrize("written, read", [("4711", "4711"), ("nosuch", "nosuch"), ("-1", "-1"), ("1.5", "1.5"),
                                           ("no%20such", "no such"), ("%C3%BC", "ü"), ("a%2Fb", "a/b"), ("a+b", "a+b"),
                                           ("a%22b", 'a"b')])
@pytest.mark.parametrize("rest", ["", "/state", "/log"])
def test_an_unknown_batch_is_404_in_the_words_that_hue_looks_for(shared, written, read, rest):
    answer = shared.get(f"/batches/{written}{rest}")
    assert (answer.status_code, answer.json()) == (404, {"msg": f"Session '{read}' not found."})


def test_deleting_an_unknown_batch_is_404(shared):
    answer = shared.delete("/batches/4711")
    assert (answer.status_code, answer.json()) == (404, {"msg": "Session '4711' not found."})


def test_the_list_has_exactly_three_keys_and_ascending_ids(shared):
    for _ in range(3):
        shared.submit(fake("exit", 0))
    page = shared.get("/batches").json()
    assert list(page) == ["from", "total", "sessions"]
    ids = [b["id"] for b in page["sessions"]]
    assert ids == sorted(ids) and page["from"] == 0 and page["total"] >= len(ids)


def test_lists_are_paged(make_hearth):
    server = make_hearth(fake_java=True).start()
    for _ in range(103):
        server.submit(fake("exit", 0))

    def page(query):
        answer = server.get("/batches" + query).json()
        return answer["from"], answer["total"], [b["id"] for b in answer["sessions"]]

    assert page("") == (0, 103, list(range(100)))
    assert page("?from=100") == (100, 103, [100, 101, 102])
    assert page("?from=1&size=2") == (1, 103, [1, 2])
    assert page("?size=1000") == (0, 103, list(range(103)))
    assert page("?size=0") == (0, 103, [])
    assert page("?from=500") == (500, 103, [])
    assert page("?from=-1&size=-1") == (-1, 103, [])
    assert page("?from=2147483647&size=2147483647") == (2147483647, 103, [])


BATCH_KEYS = {"id", "name", "owner", "proxyUser", "state", "appId", "appInfo", "log"}
OUR_KEYS = {"master", "file", "createdAt", "startedAt", "endedAt", "reason", "queuePosition", "diagnosis"}


def test_a_new_batch_has_all_keys_and_livys_two_log_lines(shared):
    made = shared.submit(dict(fake("exit", 0), name="all keys"))
    assert set(made) >= BATCH_KEYS | OUR_KEYS
    assert made["state"] == "starting"
    assert made["name"] == "all keys"
    assert made["owner"] is None and made["proxyUser"] is None and made["appId"] is None
    assert set(made["appInfo"]) >= {"driverLogUrl", "sparkUiUrl", "executorLogUrls"}
    assert made["log"] == ["stdout: ", "\nstderr: "]
    assert made["diagnosis"] is None and made["endedAt"] is None


def test_state_has_exactly_two_keys(shared):
    made = shared.submit(fake("exit", 0))
    answer = shared.get(f"/batches/{made['id']}/state").json()
    assert list(answer) == ["id", "state"] and answer["id"] == made["id"]


def test_every_value_of_appinfo_is_text_or_null(shared):
    made = shared.submit(fake("exit", 3))
    ended = shared.wait_end_of(made["id"])
    assert all(value is None or isinstance(value, str) for value in ended["appInfo"].values())
    assert ended["appInfo"]["exitCode"] == "3"
