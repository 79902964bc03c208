"""What every answer promises on the level of HTTP, the same as Livy's server."""

import gzip
import json
import time

import pytest

import wire
from harness import fake

JSON = "application/json;charset=utf-8"


@pytest.fixture(scope="module")
def batch(shared):
    """The id of a batch that has ended."""
    made = shared.submit(dict(fake("print", "hello"), name="http tests"))
    shared.wait_end_of(made["id"])
    return made["id"]


def body_of(value):
    return json.dumps(value).encode()


# -- media types, methods, paths -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/batches", "/batches/", "/batches/{id}", "/batches/{id}/state",
                                  "/batches/{id}/log", "/version", "/version/", "/batches/4711"])
def test_answers_are_json_in_utf_8(shared, batch, path):
    answer = shared.get(path.format(id=batch))
    assert answer.headers["Content-Type"] == JSON
    answer.json()


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=utf-8", "nonsense"])
def test_the_content_type_of_a_request_is_not_looked_at(shared, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = shared.post("/batches", data=body_of(fake("exit", 0)), headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "", "application/vnd.livy.v0.1+json"])
def test_accept_is_not_negotiated(shared, accept):
    answer = shared.get("/batches", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, JSON)


def test_another_version_of_livys_api_is_not_acceptable(shared):
    answer = shared.get("/batches", headers={"Accept": "application/vnd.livy.v9.9+json"})
    assert (answer.status_code, answer.json()) == (406, {"msg": "No value found for '9.9'"})


@pytest.mark.parametrize("path", ["/batches", "/batches/{id}", "/batches/{id}/log", "/batches/4711", "/version"])
def test_head_answers_as_get_without_the_body(shared, batch, path):
    get = shared.get(path.format(id=batch))
    head = shared.request("HEAD", path.format(id=batch))
    assert head.status_code == get.status_code
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.content == b""


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_on_the_collection_is_405_with_allow(shared, method):
    answer = shared.request(method, "/batches")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["Allow"] == "GET, POST, HEAD"
    assert answer.headers["Content-Type"] == JSON


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "POST"])
@pytest.mark.parametrize("path", ["/batches/{id}", "/batches/4711"])
def test_a_wrong_method_on_an_item_is_405_with_allow_known_or_not(shared, batch, method, path):
    answer = shared.request(method, path.format(id=batch))
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["Allow"] == "GET, DELETE, HEAD"


@pytest.mark.parametrize("path", ["/batches/{id}/statements", "/batches/{id}/connect", "/batches/{id}/stop",
                                  "/batches/4711/statements", "/batches/{id}/log/1", "/batches/{id}/state/x"])
def test_an_unknown_resource_below_a_batch_is_404_with_an_empty_body(shared, batch, path):
    answer = shared.get(path.format(id=batch))
    assert (answer.status_code, answer.content) == (404, b"")
    assert answer.headers["Content-Type"] == JSON


@pytest.mark.parametrize("path", ["/nothing", "/batchesx", "/version/x", "/v3/nothing"])
def test_an_unknown_path_is_404_with_an_empty_body(shared, path):
    answer = shared.get(path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_an_unknown_path_is_404_with_an_empty_body_also_when_gzip_is_accepted(shared, batch):
    answer = shared.get(f"/batches/{batch}/nothing", headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (404, b"")


def test_no_content_encoding_where_identity_was_asked_for(shared):
    assert "Content-Encoding" not in shared.get("/batches", headers={"Accept-Encoding": "identity"}).headers


def test_a_collection_takes_posts_with_a_trailing_slash(shared):
    answer = shared.post("/batches/", json=fake("exit", 0))
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/batches/{answer.json()['id']}"


def test_the_location_of_a_new_batch_is_a_path_without_host(shared):
    answer = shared.post("/batches", json=fake("exit", 0))
    assert answer.headers["Location"] == f"/batches/{answer.json()['id']}"
    assert shared.get(answer.headers["Location"]).json()["id"] == answer.json()["id"]


@pytest.mark.parametrize("path", ["/batches", "/batches/4711", "/nothing", "/version", "/hearth/status", "/healthz"])
def test_every_answer_carries_the_security_headers(shared, path):
    headers = shared.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["X-XSS-Protection"] == "1; mode=block"
    assert headers["Content-Security-Policy"] == (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; img-src 'self'; frame-src 'self';")
    assert "Strict-Transport-Security" not in headers


def test_security_headers_can_be_switched_off(make_hearth):
    server = make_hearth({"server.security_headers": "false"}, fake_java=True).start()
    assert "X-Frame-Options" not in server.get("/batches").headers


def test_a_path_prefix_stands_before_every_path_and_in_location(make_hearth):
    server = make_hearth({"server.base_path": "/gate/livy"}, fake_java=True)
    server.launch()
    bare = server.url
    server.url += "/gate/livy"
    server.wait_ready()
    server.fds_at_start = server.fds()
    answer = server.post("/batches", json=fake("exit", 0))
    assert answer.headers["Location"] == f"/gate/livy/batches/{answer.json()['id']}"
    assert server.http.get(bare + "/batches").status_code == 404


# -- request bodies --------------------------------------------------------------------------------


def test_a_gzip_body_is_decoded(shared):
    answer = shared.post("/batches", data=gzip.compress(body_of(fake("exit", 0))), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 201, answer.text


def test_a_broken_gzip_body_is_400(shared):
    whole = gzip.compress(body_of(fake("exit", 0)))
    for data in (b"not gzip at all", whole[:-12], whole[:12] + b"\xff" * 20):
        answer = shared.post("/batches", data=data, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 400, (data, answer.text)


@pytest.mark.parametrize("encoding", ["UTF-8", "br", "identity"])
def test_other_content_encodings_are_ignored(shared, encoding):
    answer = shared.post("/batches", data=body_of(fake("exit", 0)), headers={"Content-Encoding": encoding})
    assert answer.status_code == 201, answer.text


def test_the_java_clients_content_encoding_without_a_body_is_ignored(shared, batch):
    assert shared.get(f"/batches/{batch}", headers={"Content-Encoding": "UTF-8"}).status_code == 200


def test_a_chunked_body_is_read(shared):
    data = body_of(fake("exit", 0))
    answer = shared.post("/batches", data=iter([data[:5], data[5:20], data[20:]]))
    assert answer.status_code == 201, answer.text


def test_expect_100_continue_is_answered_before_the_body_is_sent(shared):
    data = body_of(fake("exit", 0))
    with wire.connect(shared) as s, s.makefile("rb") as stream:
        s.sendall(wire.request("POST", "/batches", Expect="100-continue", Content_Length=len(data)))
        assert wire.read_answer(stream).status == 100
        s.sendall(data)
        assert wire.read_answer(stream).status == 201


def test_a_body_of_64_kib_in_small_pieces_arrives_whole(shared):
    body = dict(fake("exit", 0), conf={"spark.e2e.long": "x" * 65536})
    data = body_of(body)
    with wire.connect(shared) as s, s.makefile("rb") as stream:
        s.sendall(wire.request("POST", "/batches", Content_Length=len(data)))
        for i in range(0, len(data), 4096):
            s.sendall(data[i:i + 4096])
        assert wire.read_answer(stream).status == 201


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"conf":{"a":['])
def test_json_nested_without_end_is_400(shared, opening):
    answer = shared.post("/batches", data=opening * 20000)
    assert answer.status_code == 400, answer.text


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, spark_home):
    """A server with small limits."""
    import conftest
    import harness

    folder = tmp_path_factory.mktemp("narrow")
    server = harness.Hearth(folder, spark_home, java_home=harness.FAKE_JAVA_HOME, settings={
        "server.body_limit": "64k", "server.request_timeout": "1s", "server.idle_timeout": "2s"}).start()
    yield server
    conftest.finish(server, failed=False)


def test_a_body_above_the_limit_is_413(narrow):
    answer = narrow.post("/batches", data=b" " * 70000)
    assert answer.status_code == 413
    assert narrow.get("/batches").json()["total"] == 0


def test_a_chunked_body_above_the_limit_is_413(narrow):
    answers = wire.exchange(narrow, wire.request("POST", "/batches", Transfer_Encoding="chunked") +
                            (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 6 + b"0\r\n\r\n")
    assert [a.status for a in answers] == [413]


def test_a_gzip_body_that_unpacks_above_the_limit_is_413(narrow):
    answer = narrow.post("/batches", data=gzip.compress(b" " * (64 << 20)), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413, answer.text


@pytest.mark.parametrize("slow", ["head", "body"])
def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(narrow, slow):
    start = time.monotonic()
    drip = 0
    with wire.connect(narrow, timeout=0.1) as s:
        s.sendall(b"POST /batches HTTP/1.1\r\nHost: x\r\n")
        if slow == "body":
            s.sendall(b"Content-Length: 5000\r\n\r\n")
        while time.monotonic() - start < 10:
            try:
                s.sendall(b"x")
                drip += 1
                if s.recv(4096) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail(f"still served after 10 s and {drip} bytes with a limit of 1 s")
    assert time.monotonic() - start > 0.5


def test_a_connection_that_says_nothing_is_closed(narrow):
    with wire.connect(narrow, timeout=12) as s:
        assert s.recv(1) in (b"", b"H")


# -- connections -----------------------------------------------------------------------------------


def test_128_kib_of_request_head_are_accepted(shared):
    filler = {f"X_Filler_{i}": "y" * 4000 for i in range(31)}
    [answer] = wire.exchange(shared, wire.request("GET", "/batches?size=1", **filler))
    assert answer.status == 200


def test_one_header_line_of_120_kib_is_accepted(shared):
    [answer] = wire.exchange(shared, wire.request("GET", "/batches?size=1", Authorization="Negotiate " + "c" * 120_000))
    assert answer.status == 200


def test_an_endless_request_head_is_refused_and_the_server_lives(shared):
    answers = wire.exchange(shared, b"GET /batches HTTP/1.1\r\n" + b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 100_000)
    assert not answers or 400 <= answers[0].status < 500
    assert shared.get("/batches?size=1").status_code == 200


def test_a_connection_stays_open_after_a_refused_request(shared):
    requests = [wire.request("GET", "/batches/4711"), wire.request("POST", "/batches", b"{not json"),
                wire.request("OPTIONS", "/batches"), wire.request("GET", "/nothing"),
                wire.request("GET", "/batches?from=x"), wire.request("GET", "/version")]
    with wire.connect(shared) as s, s.makefile("rb") as stream:
        got = []
        for data in requests:
            s.sendall(data)
            got.append(wire.read_answer(stream).status)
    assert got == [404, 400, 405, 404, 400, 200]


def test_connection_close_is_honoured(shared):
    with wire.connect(shared) as s, s.makefile("rb") as stream:
        s.sendall(wire.request("GET", "/version", Connection="close"))
        answer = wire.read_answer(stream)
        assert answer.status == 200
        assert answer.headers.get("connection", "").lower() == "close"
        assert stream.read() == b""


def test_http_1_0_is_answered_and_closed(shared):
    with wire.connect(shared) as s, s.makefile("rb") as stream:
        s.sendall(b"GET /version HTTP/1.0\r\n\r\n")
        assert wire.read_answer(stream).status == 200
        assert stream.read() == b""


def test_pipelined_requests_are_answered_in_order(shared, batch):
    post = wire.request("POST", "/batches", body_of(fake("exit", 0)))
    data = (wire.request("GET", f"/batches/{batch}/state") + post + wire.request("GET", "/batches/4711") +
            post + wire.request("GET", "/version"))
    answers = wire.exchange(shared, data, answers=5)
    assert [a.status for a in answers] == [200, 201, 404, 201, 200]
    assert json.loads(answers[0].body)["id"] == batch
    assert json.loads(answers[1].body)["id"] + 1 == json.loads(answers[3].body)["id"]
    assert "version" in json.loads(answers[4].body)


def test_a_request_in_single_bytes_is_understood(shared):
    with wire.connect(shared) as s, s.makefile("rb") as stream:
        for byte in wire.request("GET", "/version"):
            s.sendall(bytes([byte]))
        assert wire.read_answer(stream).status == 200


@pytest.mark.parametrize("data", [
    b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /bat\0ches HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /batches HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /batches HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /batches HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"G" * 300_000], ids=["nul", "no path", "tls hello", "nul in path", "negative length", "huge length", "bad chunk", "no end"])
def test_garbage_is_refused_and_the_server_lives(shared, data):
    with wire.connect(shared, timeout=3) as s, s.makefile("rb") as stream:
        try:
            s.sendall(data)
            s.shutdown(1)
            answer = wire.read_answer(stream)
            assert answer is None or 400 <= answer.status < 600
        except OSError:
            pass
    assert shared.get("/version").status_code == 200


@pytest.mark.parametrize("path", ["/batches/%00", "/batches/a%00b", "/batches/0%00", "/batches?from=%00", "/batches/%", "/batches/%zz",
                                  "/batches/%ff%fe", "/batches/../batches", "/batches/..%2f..%2fetc%2fpasswd", "//batches", "/batches//"])
def test_an_odd_path_is_a_clean_4xx_or_its_plain_meaning(shared, path):
    [answer] = wire.exchange(shared, wire.request("GET", path))
    assert answer.status in (200, 301, 400, 404), answer
    if "%00" in path:
        assert answer.status in (400, 404), answer
    assert shared.get("/version").status_code == 200


# -- other routes ----------------------------------------------------------------------------------


def test_version_has_livys_six_strings(shared):
    answer = shared.get("/version").json()
    assert set(answer) == {"url", "branch", "revision", "version", "date", "user"}
    assert all(isinstance(value, str) for value in answer.values())
    assert answer["version"].startswith("0.9.0-hearth-")


def test_healthz_and_readyz_say_ok_and_ready(shared):
    assert (shared.get("/healthz").status_code, shared.get("/healthz").json()) == (200, {"status": "ok"})
    assert (shared.get("/readyz").status_code, shared.get("/readyz").json()) == (200, {"status": "ready"})


def test_metrics_ping_is_pong(shared):
    answer = shared.get("/metrics/ping")
    assert (answer.status_code, answer.text) == (200, "pong\n")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_status_tells_what_runs_here(shared):
    status = shared.get("/hearth/status").json()
    assert status["pid"] == shared.pid
    assert status["listen"] == f"127.0.0.1:{shared.port}"
    assert status["stateDir"] == str(shared.state_dir)
    assert status["spark"]["home"] == shared.spark_home
    assert status["spark"]["master"] == "local[1]"
    assert status["store"] == {"writable": True, "reason": None}
    assert set(status["admission"]) >= {"memory", "memoryUsed", "running", "runningLimit", "waiting", "queueLimit"}
