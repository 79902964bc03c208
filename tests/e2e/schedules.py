"""What tests of schedules share: making them, and waiting for their fires."""

from harness import fake, until

FIRE_ENDS = ("succeeded", "failed", "killed", "skipped", "missed", "refused", "lost")


def body(name, *action, **more):
    """A schedule of the fake java; every hour unless `more` says when."""
    if not {"cron", "at", "every"} & set(more):
        more["every"] = "1h"
        more.setdefault("start", "2100-01-01T00:00:00Z")
    return {"name": name, "batch": fake(*(action or ("exit", 0))), **more}


def create(server, name, *action, **more):
    answer = server.post("/hearth/schedules", json=body(name, *action, **more))
    assert answer.status_code == 201, f"{answer.status_code}: {answer.text}"
    return answer.json()


def get(server, schedule_id):
    answer = server.get(f"/hearth/schedules/{schedule_id}")
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    return answer.json()


def history(server, schedule_id, **params):
    answer = server.get(f"/hearth/schedules/{schedule_id}/history", params={"size": 1000, **params})
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    return answer.json()["fires"]


def wait_fires(server, schedule_id, count, timeout=60):
    """All fires, oldest first, once at least so many have ended."""

    def ended():
        fires = history(server, schedule_id)
        done = [fire for fire in fires if fire["state"] in FIRE_ENDS]
        return fires[::-1] if len(done) >= count else None

    return until(ended, timeout, lambda: f"{count} fires to end: {history(server, schedule_id)}")
