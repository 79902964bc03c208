"""Who may do what: authentication, access control, impersonation, CSRF."""

import subprocess

import pytest
import requests

from harness import Hearth, FAKE_JAVA_HOME, fake

ON = {
    "auth.type": "simple",
    "auth.access_control": "true",
    "auth.superusers": "root,boss",
    "auth.view_users": "viewer",
    "auth.modify_users": "editor",
}


class As:
    """Requests in the name of one user."""

    def __init__(self, server, user, **params):
        self.server, self.params = server, {"user.name": user, **params}

    def get(self, path, **params):
        return self.server.get(path, params={**params, **self.params})

    def post(self, path, body=None, **params):
        return self.server.post(path, json=body, params={**params, **self.params})

    def delete(self, path, **params):
        return self.server.delete(path, params={**params, **self.params})


class Closed(Hearth):
    """A server whose harness is a superuser."""

    user = "root"

    def request(self, method, path, **more):
        if "params" not in more and "user.name" not in path:
            more["params"] = {"user.name": self.user}
        elif isinstance(more.get("params"), dict):
            more["params"].setdefault("user.name", self.user)
        headers = more.setdefault("headers", {}) if method in ("POST", "DELETE") else {}
        headers.setdefault("X-Requested-By", "tests")
        return super().request(method, path, **more)


@pytest.fixture
def closed(request, tmp_path, spark_home):
    import conftest

    made = []

    def make(**settings):
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        server = Closed(tmp_path / "closed", spark_home, settings={**ON, **settings}, java_home=FAKE_JAVA_HOME).start()
        made.append(server)
        return server

    yield make
    for server in made:
        conftest.finish(server, getattr(request.node, "call_failed", True))


def test_without_authentication_the_owner_is_null_and_everything_is_allowed(shared):
    made = shared.submit(fake("exit", 0))
    assert made["owner"] is None
    assert shared.delete(f"/batches/{made['id']}").status_code == 200


def test_a_user_who_does_not_say_who_he_is_gets_401(closed):
    server = closed()
    for method, path in (("GET", "/batches"), ("POST", "/batches"), ("DELETE", "/batches/0"), ("GET", "/hearth/status"),
                         ("GET", "/hearth/batches/0"), ("GET", "/hearth/batches/0/log"), ("POST", "/hearth/batches/0/kill")):
        assert server.http.request(method, server.url + path).status_code == 401, path


def test_health_needs_no_user(closed):
    server = closed()
    assert server.http.get(server.url + "/healthz").status_code == 200
    assert server.http.get(server.url + "/readyz").status_code == 200


def test_the_owner_is_who_submitted(closed):
    server = closed()
    made = As(server, "alice").post("/batches", fake("exit", 0)).json()
    assert (made["owner"], made["proxyUser"]) == ("alice", None)
    assert As(server, "bob").get(f"/batches/{made['id']}").json()["owner"] == "alice"
    assert server.record(made["id"])["owner"] == "alice"


@pytest.mark.parametrize("user, view, modify", [
    ("alice", True, True), ("viewer", True, False), ("editor", True, True), ("boss", True, True), ("bob", False, False)])
def test_rights_with_access_control(closed, user, view, modify):
    server = closed()
    made = As(server, "alice").post("/batches", fake("print", "a secret")).json()["id"]
    server.wait_end_of(made)
    who = As(server, user)
    assert made in [b["id"] for b in who.get("/batches").json()["sessions"]]
    assert who.get(f"/batches/{made}/state").status_code == 200
    shown = who.get(f"/batches/{made}").json()
    listed = who.get("/batches").json()["sessions"][0]
    assert shown["log"] == listed["log"]
    assert ("a secret" in shown["log"]) if view else shown["log"] == []
    if not view:
        assert "a secret" not in str(shown) + str(listed)
    for path in (f"/batches/{made}/log", f"/hearth/batches/{made}/log"):
        answer = who.get(path)
        assert answer.status_code == (200 if view else 403)
        assert view or path.startswith("/hearth") or answer.json() == {}
    kill = who.post(f"/hearth/batches/{made}/kill")
    assert (kill.status_code != 403) == modify
    answer = who.delete(f"/batches/{made}")
    assert (answer.status_code, answer.json()) == ((200, {"msg": "deleted"}) if modify else (403, {}))


def test_hearths_record_shows_the_program_only_to_those_who_may_see_it(closed):
    server = closed()
    made = As(server, "alice").post("/batches", dict(fake("exit", 0), conf={"spark.e2e.token": "sesame"})).json()["id"]
    assert "sesame" not in As(server, "bob").get(f"/hearth/batches/{made}").text


def test_existence_is_told_before_rights(closed):
    server = closed()
    assert As(server, "bob").get("/batches/4711/log").status_code == 404
    assert As(server, "bob").delete("/batches/4711").status_code == 404


def test_without_access_control_every_user_may_do_everything(closed):
    server = closed(auth__access_control="false")
    made = As(server, "alice").post("/batches", fake("exit", 0)).json()["id"]
    assert As(server, "bob").get(f"/batches/{made}/log").status_code == 200
    assert As(server, "bob").delete(f"/batches/{made}").status_code == 200


def test_a_star_means_everybody(closed):
    server = closed(auth__view_users="*")
    made = As(server, "alice").post("/batches", fake("exit", 0)).json()["id"]
    assert As(server, "bob").get(f"/batches/{made}/log").status_code == 200
    assert As(server, "bob").delete(f"/batches/{made}").status_code == 403


def test_only_allowed_users_get_in(closed):
    server = closed(auth__allowed_users="alice")
    for user, code in (("alice", 200), ("boss", 200), ("viewer", 200), ("editor", 200), ("bob", 403)):
        assert As(server, user).get("/batches").status_code == code, user
    answer = As(server, "bob").post("/batches", fake("exit", 0))
    assert answer.status_code == 403 and "User not authorised to use Livy." in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert server.get("/batches").json()["total"] == 0


def test_the_same_key_of_two_users_makes_two_batches(closed):
    server = closed()
    ids = [server.post("/batches", json=fake("exit", 0), params={"user.name": user},
                       headers={"Idempotency-Key": "k"}).json()["id"] for user in ("alice", "bob", "alice")]
    assert ids[0] == ids[2] != ids[1]


# -- HTTP Basic ------------------------------------------------------------------------------------


@pytest.fixture
def basic(make_hearth, tmp_path):
    """A server that knows alice, whose password is `sesame`."""
    done = subprocess.run(["openssl", "passwd", "-6", "sesame"], capture_output=True, text=True, check=True)
    (tmp_path / "users").write_text(f"alice:{done.stdout.strip()}\n")
    server = make_hearth({"auth.type": "basic", "auth.users_file": str(tmp_path / "users")}, fake_java=True)
    server.http.auth = ("alice", "sesame")
    return server.start()


def test_basic_knows_who_asks(basic):
    assert basic.submit(fake("exit", 0))["owner"] == "alice"


@pytest.mark.parametrize("credentials", [None, ("alice", "wrong"), ("bob", "sesame"), ("", ""), ("alice", ""), ("alice:sesame", "")])
def test_basic_turns_others_away(basic, credentials):
    for path in ("/batches", "/hearth/status", "/batches/0/log"):
        answer = requests.get(basic.url + path, auth=credentials, timeout=10, proxies={"http": ""})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YWxpY2U=", "Bearer x", "Basic " + "A" * 10000, "basic YWxpY2U6d3Jvbmc="])
def test_basic_turns_malformed_credentials_away(basic, header):
    answer = requests.get(basic.url + "/batches", headers={"Authorization": header}, timeout=10, proxies={"http": ""})
    assert answer.status_code == 401


def test_basic_without_a_readable_users_file_does_not_start(make_hearth):
    server = make_hearth({"auth.type": "basic", "auth.users_file": "/nonexistent/users"}, fake_java=True).launch()
    assert server.wait_end(10) > 0
    server.expect_error("")
    assert "/nonexistent/users" in server.stderr()


# -- impersonation ---------------------------------------------------------------------------------


def test_without_impersonation_the_wish_is_accepted_and_ignored(closed):
    server = closed()
    made = As(server, "alice", doAs="bob").post("/batches", dict(fake("exit", 0), proxyUser="carol")).json()
    assert (made["owner"], made["proxyUser"]) == ("alice", None)


def test_with_impersonation_spark_runs_as_the_remote_user(closed):
    server = closed(auth__impersonation="true")
    made = As(server, "alice").post("/batches", fake("exit", 0)).json()
    assert (made["owner"], made["proxyUser"]) == ("alice", "alice")


def test_a_superuser_may_name_another(closed):
    server = closed(auth__impersonation="true")
    made = As(server, "boss").post("/batches", dict(fake("exit", 0), proxyUser="carol")).json()
    assert (made["owner"], made["proxyUser"]) == ("boss", "carol")
    assert As(server, "carol").get(f"/batches/{made['id']}/log").status_code == 200
    assert As(server, "carol").delete(f"/batches/{made['id']}").status_code == 200


def test_do_as_wins_over_the_body(closed):
    server = closed(auth__impersonation="true")
    made = As(server, "boss", doAs="dave").post("/batches", dict(fake("exit", 0), proxyUser="carol")).json()
    assert (made["owner"], made["proxyUser"]) == ("boss", "dave")


def test_others_may_not_name_another(closed):
    server = closed(auth__impersonation="true")
    expected = (403, {"msg": "User 'alice' not allowed to impersonate 'Some(bob)'."})
    answer = As(server, "alice").post("/batches", dict(fake("exit", 0), proxyUser="bob"))
    assert (answer.status_code, answer.json()) == expected
    answer = As(server, "alice", doAs="bob").post("/batches", fake("exit", 0))
    assert (answer.status_code, answer.json()) == expected
    answer = As(server, "alice", doAs="bob").get("/batches")
    assert (answer.status_code, answer.json()) == expected
    assert server.get("/batches").json()["total"] == 0


def test_naming_oneself_is_allowed(closed):
    server = closed(auth__impersonation="true")
    made = As(server, "alice").post("/batches", dict(fake("exit", 0), proxyUser="alice")).json()
    assert made["proxyUser"] == "alice"


def test_with_do_as_on_reads_the_rights_are_those_of_the_other(closed):
    server = closed(auth__impersonation="true")
    made = As(server, "alice").post("/batches", fake("exit", 0)).json()["id"]
    assert As(server, "boss", doAs="bob").get(f"/batches/{made}/log").status_code == 403
    assert As(server, "boss", doAs="alice").get(f"/batches/{made}/log").status_code == 200


# -- CSRF ------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(make_hearth):
    server = make_hearth({"auth.csrf": "true"}, fake_java=True).start()
    server.http.headers["X-Requested-By"] = "harness"
    return server


def test_a_post_needs_the_csrf_header(guarded):
    del guarded.http.headers["X-Requested-By"]
    try:
        answer = guarded.post("/batches", json=fake("exit", 0))
        assert answer.status_code == 400
        assert "Missing Required Header for CSRF protection." in answer.text
        assert "html" in answer.headers["Content-Type"]
        answer = guarded.delete("/batches/0")
        assert (answer.status_code, answer.content) == (400, b"")
        assert guarded.get("/batches").json()["total"] == 0
    finally:
        guarded.http.headers["X-Requested-By"] = "harness"


@pytest.mark.parametrize("value", ["livy", "hue", ""])
def test_any_value_of_the_csrf_header_will_do(guarded, value):
    assert guarded.post("/batches", json=fake("exit", 0), headers={"X-Requested-By": value}).status_code == 201
