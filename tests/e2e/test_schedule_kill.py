"""Fires and crashes: a server killed at each named point of a fire, and one that was down while fire times passed."""

import contextlib
import datetime
import json
import sqlite3

import pytest
import requests

from harness import BINARY, PATIENCE, until
from schedules import FIRE_ENDS, create, get, history, wait_fires

needs_points = pytest.mark.skipif(not BINARY.exists() or b"schedule.before_step" not in BINARY.read_bytes(),
                                  reason="needs a build with -Dfault_points=true")
POINTS = [
    ("schedule.due", (1, 2)),
    ("schedule.before_step", (1, 3)),
    ("store.before_commit", (2, 3, 4, 5, 6)),
    ("store.after_commit", (2, 3, 4, 5, 6)),
    ("schedule.after_step", (1, 2)),
    ("launch.before_guard", (1, 2)),
    ("launch.after_guard", (1, 2)),
]


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def change(server, schedule_id, verb):
    """The server may well die of it."""
    with contextlib.suppress(requests.ConnectionError):
        assert server.post(f"/hearth/schedules/{schedule_id}/{verb}").status_code == 200


def start_to_die(server, point, visit):
    """It may die before it answers at all."""
    server.environment["HEARTH_POINT"] = f"{point}=exit:{visit}"
    server.launch()
    with contextlib.suppress(AssertionError):
        server.wait_ready()


def start_again(server):
    assert server.wait_end(30) == -9
    del server.environment["HEARTH_POINT"]
    server.start()


def all_ended(server, schedule_id):
    """All fires, oldest first, once the paused schedule rests."""
    change(server, schedule_id, "pause")

    def rests():
        fires = history(server, schedule_id)[::-1]
        return fires if all(fire["state"] in FIRE_ENDS for fire in fires) else None

    return until(rests, 60, lambda: f"all fires to end: {history(server, schedule_id)}")


def starts(folder):
    note = folder / "starts"
    return note.read_text().splitlines() if note.exists() else []


def assert_once_each(server, fires, folder):
    planned = [instant(fire["plannedAt"]) for fire in fires]
    assert [fire["number"] for fire in fires] == list(range(1, len(fires) + 1))
    steps = {(b - a).total_seconds() for a, b in zip(planned, planned[1:])}
    assert steps == {1.0}, f"no fire time is left out, none comes twice: {planned}"
    assert {fire["state"] for fire in fires} == {"succeeded"}, fires
    batches = [fire["batch"] for fire in fires]
    assert len(set(batches)) == len(fires)
    assert sorted(b["id"] for b in server.get("/batches?size=1000").json()["sessions"]) == sorted(batches)
    assert len(starts(folder)) == len(fires), "each driver was started once"


@needs_points
@pytest.mark.parametrize("point, visit", [(point, visit) for point, visits in POINTS for visit in visits])
def test_a_kill_at_each_point_leaves_one_application_per_fire_time(make_hearth, tmp_path, point, visit):
    server = make_hearth(fake_java=True).start()
    made = create(server, "each second", "note", tmp_path / "starts", "x", cron="* * * * * ?", paused=True,
                  timeZone="Europe/Rome")
    server.stop()
    start_to_die(server, point, visit)
    change(server, made["id"], "resume")
    start_again(server)
    change(server, made["id"], "resume")
    wait_fires(server, made["id"], 4)
    fires = all_ended(server, made["id"])
    if fires[0]["state"] == "missed":  # made and resumed far apart, on a slow machine
        fires = fires[1:]
    assert_once_each(server, fires, tmp_path)


@needs_points
@pytest.mark.parametrize("point, visit", [("schedule.before_step", 1), ("schedule.after_step", 1)] + [
    (point, visit) for point in ("store.before_commit", "store.after_commit") for visit in (2, 3, 4, 5)])
def test_a_kill_while_a_waiting_fire_is_launched_launches_it_once(make_hearth, tmp_path, point, visit):
    server = make_hearth(fake_java=True).start()
    gate = tmp_path / "gate"
    made = create(server, "queued", "wait", gate, overlap="queue")
    for _ in range(2):
        assert server.post(f"/hearth/schedules/{made['id']}/run").status_code == 202
    assert [fire["state"] for fire in history(server, made["id"])] == ["waiting", "running"]
    server.stop()
    start_to_die(server, point, visit)
    gate.touch()
    start_again(server)
    fires = wait_fires(server, made["id"], 2)
    assert [(fire["state"], fire["batch"]) for fire in fires] == [("succeeded", 0), ("succeeded", 1)]
    assert server.get("/batches").json()["total"] == 2


# -- the server is down while fire times pass ------------------------------------------------------


def down_for(server, schedule_id, seconds):
    """Stops the server, and starts it when so many seconds of fire times have passed."""
    next_at = instant(get(server, schedule_id)["nextAt"])
    server.stop()
    until(lambda: (datetime.datetime.now(datetime.timezone.utc) - next_at).total_seconds() > seconds, seconds + 30,
          "fire times to pass")
    server.start()


def make_down(make_hearth, threshold, name, *action, **more):
    server = make_hearth(fake_java=True, settings={"schedule.misfire_threshold": threshold}).start()
    made = create(server, name, *action, **more)
    wait_fires(server, made["id"], 2)
    down_for(server, made["id"], 4)
    return server, made["id"]


def split(fires):
    return [f for f in fires if f["state"] == "missed"], [f for f in fires if f["state"] == "succeeded"]


def test_within_the_threshold_each_time_fires(make_hearth, tmp_path):
    server, schedule_id = make_down(make_hearth, "1min", "patient", "note", tmp_path / "starts", "x", cron="* * * * * ?")
    wait_fires(server, schedule_id, 9)
    assert_once_each(server, all_ended(server, schedule_id), tmp_path)


@pytest.mark.parametrize("misfire", ["smart", "fire_now", "do_nothing", "ignore"])
def test_cron_beyond_the_threshold(make_hearth, misfire, tmp_path):
    server, schedule_id = make_down(make_hearth, "1s", misfire, "note", tmp_path / "starts", "x", cron="* * * * * ?",
                                    misfire=misfire)
    fires = wait_fires(server, schedule_id, 6 if misfire != "ignore" else 9)
    missed, done = split(all_ended(server, schedule_id))
    if misfire == "ignore":
        assert not missed
        assert_once_each(server, fires, tmp_path)
        return
    assert len(missed) == 1 and missed[0]["missed"]["count"] >= 3 and f"(misfire: {misfire})" in missed[0]["reason"]
    assert missed[0]["batch"] is None and missed[0]["actualAt"] is None
    after = [f for f in done if f["number"] > missed[0]["number"]]
    now, first = instant(after[0]["plannedAt"]), instant(after[1]["plannedAt"])
    if misfire == "do_nothing":
        assert now.microsecond == 0 and now > instant(missed[0]["missed"]["until"])
    else:  # once now, then the regular times
        assert 0 < (first - now).total_seconds() <= 1 and first.microsecond == 0
    assert len(starts(tmp_path)) == len(done)


REPEATS = 9


@pytest.mark.parametrize("misfire, total", [
    ("smart", None),  # with repeats: as now_with_existing_count
    ("now_with_existing_count", None),
    ("now_with_remaining_count", REPEATS + 2),
    ("fire_now", REPEATS + 2),
    ("next_with_remaining_count", REPEATS + 1),
    ("next_with_existing_count", REPEATS + 1),
])
def test_an_interval_beyond_the_threshold(make_hearth, misfire, total):
    """`total`: fires and missed times together; None: as many fires as without the misfire."""
    server, schedule_id = make_down(make_hearth, "1s", misfire, every="1s", repeat=REPEATS, misfire=misfire)
    until(lambda: get(server, schedule_id)["state"] == "complete", 60, "the last of its repeats")
    missed, done = split(all_ended(server, schedule_id))
    assert len(missed) == 1
    count = missed[0]["missed"]["count"]
    assert count >= 3
    assert len(done) + (count if total else 0) == (total or REPEATS + 1)
    planned = [instant(f["plannedAt"]) for f in done if f["number"] > missed[0]["number"]]
    assert {(b - a).total_seconds() for a, b in zip(planned, planned[1:])} <= {1.0}


def test_a_one_shot_that_was_missed_fires_once(make_hearth, tmp_path):
    server = make_hearth(fake_java=True, settings={"schedule.misfire_threshold": "1s"}).start()
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2 * PATIENCE)
    made = create(server, "once", "note", tmp_path / "starts", "x", at=at.isoformat())
    down_for(server, made["id"], 2)
    fires = wait_fires(server, made["id"], 2)
    assert [fire["state"] for fire in fires] == ["missed", "succeeded"]
    assert get(server, made["id"])["state"] == "complete" and len(starts(tmp_path)) == 1


def test_two_minutes_without_a_server(make_hearth, tmp_path):
    """The threshold as it is by itself, with the stored times moved instead of waiting."""
    server = make_hearth(fake_java=True).start()
    made = create(server, "minutely", "note", tmp_path / "starts", "x", cron="0 * * * * ?")
    server.stop()
    db = sqlite3.connect(server.state_dir / "hearth.db")
    progress, spec = (json.loads(text) for text in db.execute("SELECT progress, spec FROM schedule").fetchone())
    progress["nextMs"] -= 3 * 60 * 1000
    spec["trigger"]["startMs"] -= 3 * 60 * 1000
    db.execute("UPDATE schedule SET progress = ?, spec = ?, due_ms = ?",
               (json.dumps(progress), json.dumps(spec), progress["nextMs"]))
    db.commit()
    db.close()
    server.start()
    missed, done = wait_fires(server, made["id"], 2)[:2]
    assert missed["state"] == "missed" and missed["missed"]["count"] in (2, 3)
    assert done["state"] == "succeeded" and done["plannedAt"] > missed["missed"]["until"]
