"""Fifty schedules of one second with real Spark programs: none is missing, none comes twice, and they wait for each other."""

import datetime
import sys
import time

import common

from harness import program, until

COUNT = 50
RUNNING = 2
AHEAD_S = 5
PATIENCE_S = 1800
HELLO = {"file": program("hello.py"), "driverMemory": "512m", "conf": {"spark.ui.enabled": "false"}}


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def schedule(server, number, at):
    answer = server.post("/hearth/schedules", json={"name": f"one of many {number}", "at": at, "batch": HELLO})
    if answer.status_code != 201:
        sys.exit(f"{answer.status_code}: {answer.text}")
    return answer.json()["id"]


def fires_of(server, schedule_id):
    return server.get(f"/hearth/schedules/{schedule_id}/history?size=1000").json()["fires"]


def most_running(server):
    """Watches until nothing waits or runs any more; how many ran at most at the same time."""
    most = 0
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_S:
        status = server.status()
        most = max(most, status["admission"]["running"])
        if status["schedules"]["active"] == 0 and status["schedules"]["running"] == 0:
            return most
        time.sleep(0.2)
    sys.exit("they do not end")


def measure(home=None):
    with common.server({"admission.running": str(RUNNING)}, fake_java=False, home=home) as server:
        until(lambda: server.status()["spark"]["archive"] != "training", 600, "the archive of Spark's classes")
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=AHEAD_S)
        ids = [schedule(server, number, at.isoformat()) for number in range(COUNT)]
        most = most_running(server)
        fires = [fire for schedule_id in ids for fire in fires_of(server, schedule_id)]
        late = max((instant(fire["actualAt"]) - instant(fire["plannedAt"])).total_seconds() for fire in fires)
        took = (max(instant(fire["endedAt"]) for fire in fires) - at).total_seconds()
        batches = {fire["batch"] for fire in fires}
        yield common.Figure(f"{COUNT} schedules of one second: batches made", len(batches), "", f"= {COUNT}",
                            len(batches) == COUNT and len(fires) == COUNT)
        good = sum(fire["state"] == "succeeded" for fire in fires)
        yield common.Figure("succeeded", good, "", f"= {COUNT}", good == COUNT)
        yield common.below("latest record of a start", late * 1000, "ms after its time", 1000)
        yield common.Figure("at most at the same time", most, "drivers", f"≤ {RUNNING}", most <= RUNNING)
        yield common.Figure("all of them", took, "s")


if __name__ == "__main__":
    common.main(measure)
