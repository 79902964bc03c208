"""/hearth/schedules…: schedules over HTTP. Drivers are the fake java, but for a few real Spark programs at the end."""

import contextlib
import datetime
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import fake, program, until
from provision import NEVER, provision, runnable
from schedules import body, create, get, history, wait_fires

LATER = "2100-01-01T00:00:00Z"


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def message(answer, status):
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return answer.json()["msg"]


def put(server, schedule_id, definition, **headers):
    return server.request("PUT", f"/hearth/schedules/{schedule_id}", json=definition, headers=headers)


def server_etag(server, schedule_id):
    return server.get(f"/hearth/schedules/{schedule_id}").headers["ETag"]


# -- making and looking ----------------------------------------------------------------------------


def test_a_new_schedule_is_told_whole(shared):
    answer = shared.post("/hearth/schedules", json=body("whole", "exit", 0, cron="0 0 2 * * ?", timeZone="Europe/Rome",
                                                        group="etl", priority=7, overlap="skip", jitter="90s",
                                                        misfire="do_nothing", retry={"limit": 2, "delay": "5s"},
                                                        end=LATER))
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/hearth/schedules/{made['id']}"
    assert answer.headers["ETag"] == server_etag(shared, made["id"])
    told = {k: made[k] for k in ("name", "group", "state", "cron", "timeZone", "at", "every", "repeat", "end", "priority",
                                 "overlap", "jitter", "misfire", "retry", "fires", "lastFire", "description", "owner")}
    assert told == {
        "name": "whole", "group": "etl", "state": "active", "cron": "0 0 2 * * ?", "timeZone": "Europe/Rome", "at": None,
        "every": None, "repeat": None, "end": "2100-01-01T00:00:00.000Z", "priority": 7, "overlap": "skip",
        "jitter": "90s", "misfire": "do_nothing", "retry": {"limit": 2, "delay": "5s", "maxDelay": "10min"}, "fires": 0,
        "lastFire": None, "description": "At 02:00 every day in Europe/Rome", "owner": None,
    }
    assert made["batch"]["file"] == program("fake.py") and made["batch"]["args"] == ["exit", "0"]
    assert instant(made["nextAt"]) > instant(made["createdAt"])
    assert shared.get(answer.headers["Location"]).json() == made


def test_a_name_belongs_to_one_schedule_of_a_group(shared):
    made = create(shared, "taken")
    assert message(shared.post("/hearth/schedules", json=body("taken")), 409) == (
        f"group and name belong to schedule {made['id']}")
    assert create(shared, "taken", group="elsewhere")["id"] != made["id"]


def test_names_may_hold_anything_that_can_be_read(shared):
    name = "Ünï/cödé \"quoted\" <b> 💡"
    made = create(shared, name, group="%2F&?#")
    found = shared.get("/hearth/schedules", params={"group": "%2F&?#", "name": name}).json()
    assert [s["id"] for s in found["schedules"]] == [made["id"]] and found["total"] == 1


def test_lists_have_pages_and_groups(shared):
    ids = [create(shared, f"page {n}", group="pages")["id"] for n in range(5)]
    newest = shared.get("/hearth/schedules?group=pages&size=3").json()
    assert ([s["id"] for s in newest["schedules"]], newest["total"]) == (ids[:1:-1], 5)
    rest = shared.get("/hearth/schedules?group=pages&size=3&from=3").json()
    assert ([s["id"] for s in rest["schedules"]], rest["total"]) == (ids[1::-1], 5)
    named = shared.get("/hearth/schedules?group=pages&order=name&from=1&size=2").json()
    assert ([s["name"] for s in named["schedules"]], named["total"]) == (["page 1", "page 2"], 5)
    assert shared.get("/hearth/schedules?group=pages&from=5").json() == {"total": 5, "schedules": []}
    assert shared.get("/hearth/schedules?group=nobody").json() == {"total": 0, "schedules": []}
    assert shared.get("/hearth/schedules?name=nobody").json() == {"total": 0, "schedules": []}
    assert shared.get("/hearth/schedules?group=pages&size=0").json() == {"total": 5, "schedules": []}


@pytest.mark.parametrize("query, words", [
    ("size=1001", "size: '1001' is not a whole number from 0 to 1000"),
    ("size=x", "size: 'x' is not"),
    ("from=-1", "from: '-1' is not"),
    ("order=age", "order is 'age'; it must be newest or name"),
])
def test_a_wrong_page_is_refused(shared, query, words):
    assert words in message(shared.get(f"/hearth/schedules?{query}"), 400)


# -- requests that are refused ---------------------------------------------------------------------


@pytest.mark.parametrize("text, words", [
    ("", "No content to map due to end-of-input"),
    ("{", "line 1"),
    ("[]", "the body must be a JSON object"),
    ("null", "the body must be a JSON object"),
    ('{"name":"n"}', "batch is missing"),
    ('{"name":"n\\u0000"}', "line 1"),
    ('{"name":"n","every":"1h","batch":{}}', "batch: requirement failed: File is required."),
    ('{"name":"n","every":"1h","batch":{"file":"relative.py"}}', "batch: requirement failed: Path 'relative.py'"),
    ('{"name":"n","every":"1h","batch":{"file":"/etc/passwd"}}', "batch: requirement failed: Local path /etc/passwd"),
    ('{"name":"n","every":"1h","batch":{"file":"hdfs:/x.py","conf":{"spark.yarn.jar":"/x"}}}', "batch: Blacklisted"),
    ('{"name":"n","every":"1h","batch":{"file":"hdfs:/x.py","deployMode":"x"}}', "batch: deployMode is 'x'"),
    ('{"name":"n","cron":"0 0 2 * *","batch":{"file":"hdfs:/x.py"}}', "cron: "),
    ('{"name":"n","cron":"0 0 0 30 2 ?","batch":{"file":"hdfs:/x.py"}}', ""),
    ('{"name":"n","evry":"1h","batch":{"file":"hdfs:/x.py"}}', "evry is no field of it; did you mean every?"),
    ("[" * 200, "nested deeper"),
])
def test_what_is_wrong_is_named_and_nothing_is_made(shared, text, words):
    before = shared.get("/hearth/schedules").json()["total"]
    assert words in message(shared.post("/hearth/schedules", data=text), 400)
    assert shared.get("/hearth/schedules").json()["total"] == before


@pytest.mark.parametrize("method, path", [
    ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run"),
    ("GET", "/history"), ("GET", "/upcoming"),
])
def test_a_schedule_that_is_not_there(shared, method, path):
    sent = {"json": body("n")} if method == "PUT" else {}
    assert message(shared.request(method, f"/hearth/schedules/4711{path}", **sent), 404) == "there is no schedule 4711"
    for wrong in ("x", "-1", "9223372036854775808", "1%20"):
        assert message(shared.request(method, f"/hearth/schedules/{wrong}{path}", **sent), 400).startswith("id: ")


# -- changing --------------------------------------------------------------------------------------


def test_a_replaced_schedule_has_the_new_definition_and_the_old_history(shared):
    made = create(shared, "replaced", retry={"limit": 1})
    number = shared.post(f"/hearth/schedules/{made['id']}/run").json()["fire"]
    wait_fires(shared, made["id"], 1)
    answer = put(shared, made["id"], body("renamed", "exit", 0, cron="0 0 3 * * ?", timeZone="UTC"))
    now = answer.json()
    assert answer.status_code == 200, answer.text
    assert (now["name"], now["cron"], now["every"], now["retry"]) == ("renamed", "0 0 3 * * ?", None, None)
    assert (now["id"], now["lastFire"]["number"], now["createdAt"]) == (made["id"], number, made["createdAt"])
    assert now["version"] > made["version"]
    assert now["nextAt"].endswith("T03:00:00.000Z")


def test_what_a_schedule_says_can_be_put_back(shared):
    asked = {"cron": "0 0 2 ? * MON", "timeZone": "America/New_York", "priority": 3, "retry": {"limit": 4, "delay": "1m"}}
    made = create(shared, "there and back", "print", "x", **asked)
    fields = ("name", "group", "batch", "cron", "at", "every", "repeat", "timeZone", "start", "end", "priority", "misfire",
              "overlap", "jitter", "retry")
    answer = put(shared, made["id"], {field: made[field] for field in fields})
    assert answer.status_code == 200, answer.text
    assert [answer.json()[f] for f in fields if f != "start"] == [made[f] for f in fields if f != "start"]
    assert answer.json()["nextAt"] == made["nextAt"]


def test_a_complete_schedule_lives_again_with_another_definition_and_a_paused_one_rests_on(shared):
    made = create(shared, "done", every="1s", repeat=0)
    wait_fires(shared, made["id"], 1)
    until(lambda: get(shared, made["id"])["state"] == "complete", 20, "it to be complete")
    again = put(shared, made["id"], body("done", every="1s", repeat=0)).json()
    assert again["state"] == "active" and again["nextAt"]
    assert [f["number"] for f in wait_fires(shared, made["id"], 2)] == [1, 2]
    resting = create(shared, "resting on", paused=True)
    assert put(shared, resting["id"], body("resting on", every="1s")).json()["state"] == "paused"


def test_if_match_finds_out_about_changes_of_others(shared):
    made = create(shared, "matched")
    etag = server_etag(shared, made["id"])
    assert put(shared, made["id"], body("matched", priority=6), **{"If-Match": etag}).status_code == 200
    assert "was changed since" in message(
        put(shared, made["id"], body("matched", priority=7), **{"If-Match": etag}), 412)
    assert get(shared, made["id"])["priority"] == 6
    assert put(shared, made["id"], body("matched", priority=8), **{"If-Match": "*"}).status_code == 200
    for wrong in ("7", '"x"', '"', "", 'W/"1"'):
        assert "If-Match is " in message(put(shared, made["id"], body("matched"), **{"If-Match": wrong}), 400)


def test_if_match_is_about_changes_and_not_about_fires(shared):
    made = create(shared, "fires on")
    etag = server_etag(shared, made["id"])
    shared.post(f"/hearth/schedules/{made['id']}/run")
    wait_fires(shared, made["id"], 1)
    assert get(shared, made["id"])["version"] > made["version"]
    answer = put(shared, made["id"], body("fires on", priority=6), **{"If-Match": etag})
    assert answer.status_code == 200 and answer.headers["ETag"] != etag


@pytest.mark.parametrize("method, tail", [("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")])
def test_if_match_counts_for_every_change(shared, method, tail):
    made = create(shared, "guarded" + tail)
    path = f"/hearth/schedules/{made['id']}"
    etag = server_etag(shared, made["id"])
    assert put(shared, made["id"], body("guarded" + tail, priority=6)).status_code == 200
    before = get(shared, made["id"])
    assert "was changed since" in message(shared.request(method, path + tail, headers={"If-Match": etag}), 412)
    assert "If-Match is " in message(shared.request(method, path + tail, headers={"If-Match": "7"}), 400)
    assert get(shared, made["id"]) == before
    answer = shared.request(method, path + tail, headers={"If-Match": server_etag(shared, made["id"])})
    assert answer.status_code in (200, 202, 204), answer.text


def test_a_replacement_that_is_refused_changes_nothing(shared):
    create(shared, "in the way")
    made = create(shared, "steady")
    assert "belong to schedule" in message(put(shared, made["id"], body("in the way")), 409)
    assert "cron: " in message(put(shared, made["id"], body("steady", cron="x")), 400)
    assert "paused is no field" in message(put(shared, made["id"], body("steady", paused=True)), 400)
    assert get(shared, made["id"]) == made


def test_a_schedule_of_another_door_is_seen_and_paused_here_and_replaced_there(shared):
    descriptor = runnable("other-door", "exit", 0, cron=NEVER)
    provision(shared, descriptor)
    found = shared.get("/hearth/schedules", params={"group": descriptor.group}).json()["schedules"]
    assert [(s["door"], s["state"], s["description"] != "") for s in found] == [("provision", "active", True)]
    schedule_id = found[0]["id"]
    assert "made by another door (provision)" in message(put(shared, schedule_id, body("mine")), 409)
    assert shared.post(f"/hearth/schedules/{schedule_id}/pause").json()["state"] == "paused"
    assert get(shared, schedule_id)["nextAt"] is None
    assert shared.delete(f"/hearth/schedules/{schedule_id}").status_code == 204


def test_a_deleted_schedule_is_gone_with_its_history(shared):
    made = create(shared, "deleted")
    answer = shared.delete(f"/hearth/schedules/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert shared.get(f"/hearth/schedules/{made['id']}/history").status_code == 404
    assert create(shared, "deleted")["id"] > made["id"]


def spoil(server, schedule_id):
    """Makes its row unreadable, as a time zone that this machine does not know any more would."""
    with contextlib.closing(sqlite3.connect(server.state_dir / "hearth.db", timeout=10)) as db:
        db.execute("UPDATE schedule SET spec = '{}' WHERE id = ?", (schedule_id,))
        db.commit()


def test_a_schedule_that_is_not_readable_can_be_replaced_and_deleted(shared):
    shared.expect_error("a stored schedule is not readable")
    first, second = create(shared, "spoilt")["id"], create(shared, "spoilt too")["id"]
    spoil(shared, first)
    spoil(shared, second)
    assert "is not readable: " in message(shared.get(f"/hearth/schedules/{first}"), 500)
    assert "is not readable: " in message(shared.post(f"/hearth/schedules/{first}/pause"), 500)
    assert put(shared, first, body("mended")).json()["name"] == "mended"
    assert get(shared, first)["name"] == "mended"
    assert shared.delete(f"/hearth/schedules/{second}").status_code == 204
    assert shared.get(f"/hearth/schedules/{second}").status_code == 404
    assert create(shared, "spoilt too")["id"] > second


def test_a_paused_schedule_rests_until_it_is_resumed(shared):
    made = create(shared, "rests", every="1s", paused=True)
    assert (made["state"], made["nextAt"], made["fires"]) == ("paused", None, 0)
    assert shared.post(f"/hearth/schedules/{made['id']}/pause").json()["state"] == "paused"
    answer = shared.post(f"/hearth/schedules/{made['id']}/resume")
    assert (answer.status_code, answer.json()["state"]) == (200, "active")
    wait_fires(shared, made["id"], 1)
    assert shared.post(f"/hearth/schedules/{made['id']}/pause").json()["state"] == "paused"


# -- fires -----------------------------------------------------------------------------------------


def test_an_interval_fires_its_times_and_is_complete(shared):
    made = create(shared, "thrice", every="1s", repeat=2)
    fires = wait_fires(shared, made["id"], 3)
    assert [f["number"] for f in fires] == [1, 2, 3]
    assert {(f["cause"], f["state"], f["attempt"]) for f in fires} == {("trigger", "succeeded", 1)}
    planned = [instant(f["plannedAt"]) for f in fires]
    assert [b - a for a, b in zip(planned, planned[1:])] == [datetime.timedelta(seconds=1)] * 2
    batch = shared.record(fires[0]["batch"])
    assert (batch["name"], batch["state"]) == ("thrice-1", "success")
    ended = until(lambda: (now := get(shared, made["id"]))["state"] == "complete" and now, 20, "it to be complete")
    assert (ended["nextAt"], ended["fires"]) == (None, 3)


def test_once_at_an_instant_of_the_past_is_now_and_the_record_says_so(shared):
    made = create(shared, "past", at="2020-01-01T00:00:00Z")
    missed, made_up = wait_fires(shared, made["id"], 2)
    assert (missed["state"], missed["missed"]["count"], made_up["state"]) == ("missed", 1, "succeeded")


def test_an_interval_counts_from_a_start_in_the_past_and_misses_nothing(shared):
    made = create(shared, "phase", every="1h", start="2020-01-01T00:17:00Z")
    assert made["nextAt"][13:] == ":17:00.000Z" and instant(made["nextAt"]) > instant(made["createdAt"])
    assert history(shared, made["id"]) == []


def test_run_now_fires_beside_the_fire_times(shared):
    made = create(shared, "by hand", "exit", 3)
    answer = shared.post(f"/hearth/schedules/{made['id']}/run")
    assert (answer.status_code, answer.json()) == (202, {"schedule": made["id"], "fire": 1})
    fire = wait_fires(shared, made["id"], 1)[0]
    assert (fire["cause"], fire["state"]) == ("manual", "failed")
    assert get(shared, made["id"])["lastFire"] == fire
    assert get(shared, made["id"])["nextAt"] == made["nextAt"]


def test_a_failed_fire_is_tried_again_as_often_as_was_asked(shared):
    made = create(shared, "again", "exit", 3, retry={"limit": 1, "delay": "1s"})
    shared.post(f"/hearth/schedules/{made['id']}/run")
    fires = wait_fires(shared, made["id"], 2)
    assert [(f["cause"], f["attempt"], f["state"]) for f in fires] == [("manual", 1, "failed"), ("retry", 2, "failed")]


def test_an_overlapping_fire_is_skipped_and_says_why(shared):
    made = create(shared, "overlaps", "sleep", 100, overlap="skip")
    for _ in range(2):
        assert shared.post(f"/hearth/schedules/{made['id']}/run").status_code == 202
    skipped = wait_fires(shared, made["id"], 1)[-1]
    assert (skipped["state"], skipped["batch"]) == ("skipped", None) and skipped["reason"]
    shared.delete(f"/hearth/schedules/{made['id']}")


def test_history_has_pages(shared):
    made = create(shared, "pages of fires")
    for _ in range(5):
        shared.post(f"/hearth/schedules/{made['id']}/run")
    wait_fires(shared, made["id"], 5)
    assert [f["number"] for f in history(shared, made["id"], size=2)] == [5, 4]
    assert [f["number"] for f in history(shared, made["id"], size=2, before=4)] == [3, 2]
    assert "size: " in message(shared.get(f"/hearth/schedules/{made['id']}/history?size=0"), 400)


# -- what is to come -------------------------------------------------------------------------------


def upcoming(server, path="", **params):
    answer = server.get(f"/hearth/schedules{path}/upcoming", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_upcoming_fires_of_one_schedule(shared):
    made = create(shared, "to come", cron="0 30 2 * * ?", timeZone="Europe/Rome")
    told = upcoming(shared, f"/{made['id']}", **{"from": "2027-03-27T00:00:00Z", "to": "2027-03-31T00:00:00Z"})
    # On the 28th the clocks go from 02:00 to 03:00: there is no half past two.
    assert [t["at"] for t in told["times"]] == ["2027-03-27T01:30:00.000Z", "2027-03-29T00:30:00.000Z",
                                               "2027-03-30T00:30:00.000Z"]
    assert told["complete"] and {t["name"] for t in told["times"]} == {"to come"}
    cut = upcoming(shared, f"/{made['id']}", **{"from": "2027-03-27T00:00:00Z", "size": 1})
    assert (len(cut["times"]), cut["complete"]) == (1, False)


def test_upcoming_fires_of_all_schedules(make_hearth):
    server = make_hearth(fake_java=True).start()
    create(server, "noon", cron="0 0 12 * * ?", timeZone="UTC")
    create(server, "early", cron="0 0 6 * * ?", timeZone="UTC")
    create(server, "resting", cron="0 0 7 * * ?", timeZone="UTC", paused=True)
    told = upcoming(server, **{"from": "2030-06-01T00:00:00Z", "to": "2030-06-03T00:00:00Z"})
    assert [(t["at"][:13], t["name"]) for t in told["times"]] == [
        ("2030-06-01T06", "early"), ("2030-06-01T12", "noon"), ("2030-06-02T06", "early"), ("2030-06-02T12", "noon")]


@pytest.mark.parametrize("params", [
    {"from": "2027-01-01T00:00:00Z", "to": "2028-06-01T00:00:00Z"},
    {"from": "2027-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
    {"from": "1960-01-01T00:00:00Z", "to": "1960-01-02T00:00:00Z"},
    {"from": "soon"}, {"to": "later"}, {"size": "0"}, {"size": "1001"},
])
def test_a_range_without_bounds_is_refused(shared, params):
    made = create(shared, f"range {params}")
    for path in ("", f"/{made['id']}"):
        assert message(shared.get(f"/hearth/schedules{path}/upcoming", params=params), 400)


def test_a_range_ends_with_the_year_9999(shared):
    told = upcoming(shared, **{"from": "9999-12-31T00:00:01Z"})
    assert told["to"] == "9999-12-31T23:59:59.999Z"
    assert upcoming(shared, **{"from": "9999-12-31T00:00:01Z", "to": told["to"]})["to"] == told["to"]


def test_upcoming_is_no_schedule(shared):
    answer = shared.request("PUT", "/hearth/schedules/upcoming", json=body("n"))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


# -- who may ---------------------------------------------------------------------------------------


ACCESS = {
    "auth.type": "simple", "auth.access_control": "true", "auth.superusers": "root", "auth.view_users": "viewer",
    "auth.modify_users": "editor", "auth.csrf": "false", "auth.allowed_users": "*",
}


@pytest.fixture
def guarded(make_hearth):
    """A server with users, whose harness is a superuser."""
    server = make_hearth(ACCESS, fake_java=True).start()
    plain = server.request

    def request(method, path, **more):
        params = more.pop("params", None) or {}
        if "user.name" not in path:
            params.setdefault("user.name", "root")
        return plain(method, path, params=params, **more)

    server.request = request
    return server


def test_what_runs_and_why_it_ended_is_for_those_who_may_read_its_logs(guarded):
    secret = {"spark.hadoop.fs.s3a.secret.key": "hunter2"}
    asked = body("mine", "exit", 3)
    asked["batch"]["conf"] = secret
    made = guarded.post("/hearth/schedules", json=asked, params={"user.name": "alice"}).json()
    assert made["owner"] == "alice"
    guarded.post(f"/hearth/schedules/{made['id']}/run", params={"user.name": "alice"})
    wait_fires(guarded, made["id"], 1)
    for user, sees in (("alice", True), ("viewer", True), ("editor", True), ("root", True), ("bob", False)):
        who = {"user.name": user}
        one = guarded.get(f"/hearth/schedules/{made['id']}", params=who).json()
        listed = guarded.get("/hearth/schedules", params=who).json()["schedules"][0]
        fires = guarded.get(f"/hearth/schedules/{made['id']}/history", params=who).json()["fires"]
        assert (one["batch"] is not None, listed["batch"] is not None, fires[0]["reason"] is not None,
                one["lastFire"]["reason"] is not None) == (sees,) * 4, user
        assert ("hunter2" in json.dumps([one, listed, fires])) == sees
        assert one["name"] == "mine" and fires[0]["state"] == "failed"
    assert "hunter2" not in guarded.stderr()


def test_a_schedule_is_changed_by_those_who_may_change_its_batches(guarded):
    made = guarded.post("/hearth/schedules", json=body("hers"), params={"user.name": "alice"}).json()
    path = f"/hearth/schedules/{made['id']}"
    for user in ("bob", "viewer"):
        who = {"user.name": user}
        for method, tail in (("PUT", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")):
            answer = guarded.request(method, path + tail, json=body("his"), params=who)
            assert "belongs to somebody else" in message(answer, 403)
    assert guarded.get(path).json()["version"] == made["version"]
    for user in ("editor", "root", "alice"):
        assert guarded.request("PUT", path, json=body("hers"), params={"user.name": user}).json()["owner"] == "alice"
    assert guarded.delete(path, params={"user.name": "editor"}).status_code == 204


def test_batches_belong_to_the_owner_of_the_schedule(guarded):
    made = guarded.post("/hearth/schedules", json=body("owned"), params={"user.name": "alice"}).json()
    guarded.post(f"/hearth/schedules/{made['id']}/run", params={"user.name": "editor"})
    fire = wait_fires(guarded, made["id"], 1)[0]
    assert guarded.record(fire["batch"])["owner"] == "alice"


def test_nobody_schedules_in_the_name_of_others(make_hearth):
    server = make_hearth({**ACCESS, "auth.impersonation": "true"}, fake_java=True).start()
    asked = body("proxy")
    asked["batch"]["proxyUser"] = "carol"
    answer = server.post("/hearth/schedules?user.name=alice", json=asked)
    assert "not allowed to impersonate" in message(answer, 403)
    made = server.post("/hearth/schedules?user.name=root", json=asked).json()
    assert (made["owner"], made["proxyUser"], made["batch"]["proxyUser"]) == ("root", "carol", "carol")
    assert server.post(f"/hearth/schedules/{made['id']}/pause?user.name=carol").status_code == 200
    assert server.post("/hearth/schedules?user.name=alice", json=body("own")).json()["proxyUser"] == "alice"
    server.delete_living = lambda: None  # nothing ran, and the harness is no user


def test_a_right_that_ends_meanwhile_replaces_nothing(make_hearth):
    """Bob may replace what runs as him. When alice gives it to carol at the same moment, bob was earlier, or he is refused."""
    server = make_hearth({**ACCESS, "auth.superusers": "root,alice", "auth.impersonation": "true"}, fake_java=True).start()
    server.delete_living = lambda: None  # nothing ran, and the harness is no user

    def put_as(user, runs_as, name):
        definition = body(name)
        definition["batch"]["proxyUser"] = runs_as
        return server.request("PUT", f"/hearth/schedules/{made['id']}?user.name={user}", json=definition)

    made = server.post("/hearth/schedules?user.name=alice", json=body("raced")).json()
    with ThreadPoolExecutor(9) as threads:
        for _ in range(30):
            assert put_as("alice", "bob", "raced").status_code == 200
            his = [threads.submit(put_as, "bob", "bob", "raced") for _ in range(8)]
            assert threads.submit(put_as, "alice", "carol", "raced").result().status_code == 200
            for answer in [asked.result() for asked in his]:
                assert answer.status_code in (200, 403), answer.text
            assert server.get(f"/hearth/schedules/{made['id']}?user.name=root").json()["proxyUser"] == "carol"


# -- the server ------------------------------------------------------------------------------------


def test_schedules_outlive_the_server(make_hearth):
    server = make_hearth(fake_java=True).start()
    made = create(server, "lasting", cron="0 0 2 * * ?", timeZone="Europe/Rome", retry={"limit": 2})
    ticking = create(server, "ticking", every="1s")
    wait_fires(server, ticking["id"], 1)
    server.restart()
    assert get(server, made["id"]) == made
    before = len(history(server, ticking["id"]))
    wait_fires(server, ticking["id"], before + 2)
    numbers = [f["number"] for f in history(server, ticking["id"])][::-1]
    assert numbers == list(range(1, len(numbers) + 1))
    server.post(f"/hearth/schedules/{ticking['id']}/pause")


def test_the_status_of_the_server_counts_schedules(make_hearth):
    server = make_hearth(fake_java=True).start()
    assert server.status()["schedules"] == {"known": 0, "active": 0, "running": 0, "nextAt": None}
    made = create(server, "counted")
    create(server, "resting", paused=True)
    assert server.status()["schedules"] == {"known": 2, "active": 1, "running": 0, "nextAt": made["nextAt"]}


def test_no_spark_now_is_tried_again_until_it_counts_as_missed(make_hearth):
    server = make_hearth({"spark.home": "/nonexistent", "schedule.misfire_threshold": "2s"}, fake_java=True).start()
    made = create(server, "hopeless", every="1s")
    told = until(lambda: [f for f in history(server, made["id"]) if f["state"] in ("missed", "refused")], 30,
                 "a fire on record that was not made")
    assert told[0]["batch"] is None
    server.post(f"/hearth/schedules/{made['id']}/pause")


# -- real Spark ------------------------------------------------------------------------------------


def real(name, script, *args, **when):
    return {"name": name, **when, "batch": {"file": program(script), "args": list(args), "driverMemory": "512m",
                                            "conf": {"spark.ui.enabled": "false"}}}


@pytest.mark.spark
def test_a_real_program_runs_each_time(spark_server):
    answer = spark_server.post("/hearth/schedules", json=real("real", "hello.py", every="3s", repeat=1))
    assert answer.status_code == 201, answer.text
    fires = wait_fires(spark_server, answer.json()["id"], 2, timeout=120)
    assert [f["state"] for f in fires] == ["succeeded", "succeeded"]
    assert fires[0]["batch"] != fires[1]["batch"]


@pytest.mark.spark
def test_many_real_programs_of_one_second_wait_for_each_other(make_hearth, spark_server):
    count = 10
    server = make_hearth({"admission.running": "2", "spark.class_data_archive": "true"})
    server.take_archive(spark_server)
    server.start()
    at = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).isoformat()
    ids = [server.post("/hearth/schedules", json=real(f"one of many {n}", "hello.py", at=at)).json()["id"]
           for n in range(count)]
    fires = [wait_fires(server, i, 1, timeout=240) for i in ids]
    assert [[f["state"] for f in of_one] for of_one in fires] == [["succeeded"]] * count
    batches = {of_one[0]["batch"] for of_one in fires}
    assert len(batches) == count
    late = max(instant(of_one[0]["actualAt"]) - instant(of_one[0]["plannedAt"]) for of_one in fires)
    assert late < datetime.timedelta(seconds=1), late
