"""kill -9 between the token of an operation and its end: what was accepted is done, and done once."""

import contextlib
import json
import random
import subprocess
import time

import pytest
import requests

from harness import BINARY, PATIENCE, until
from provision import (NEVER, Descriptor, ask, has_trigger, job_of, jobs, let_others_fire, provision, read, read_status, runnable, runs,
                       unprovision, wait_runs)

LATER = {"Prefer": "respond-async"}
# Where the token and what was asked are on disk but not told; told; done but not noted; all on disk.
POINTS = ["provision.before_accepted", "provision.after_accepted", "provision.before_end", "provision.after_end"]

points = pytest.mark.skipif(not BINARY.exists() or POINTS[0].encode() not in BINARY.read_bytes(),
                            reason="needs a build with -Dfault_points=true")


def later(server, what, descriptor):
    """The token; None when the server died before it had told it."""
    try:
        return read(ask(server, what, descriptor, headers=LATER), 202)
    except requests.ConnectionError:
        return None


def status_of(server, token):
    return read(server.get(f"/v1/provision/{token}/status"))


def done(server, token):
    """The result of an operation that must end well."""
    status = until(lambda: (s := status_of(server, token))["status"] != "RUNNING" and s, 30, "the operation")
    return json.loads(read_status(status))


def dies_at(make_hearth, point, visit=1):
    return make_hearth(fake_java=True, environment={"HEARTH_POINT": f"{point}=exit:{visit}"}).start()


def start_again(server):
    """Once it has died at its point."""
    server.process.wait(30 * PATIENCE)
    server.kill9()
    server.environment.pop("HEARTH_POINT", None)
    server.start()


@points
@pytest.mark.parametrize("point", POINTS)
def test_a_job_is_there_once(make_hearth, point):
    server = dies_at(make_hearth, point)
    d = Descriptor("kill", cron=NEVER, numExecutors=3)
    token = later(server, "provision", d)
    start_again(server)
    until(lambda: jobs(server) and has_trigger(server, d), 30, "the job")
    if token is not None:
        assert done(server, token)["createdJob"]["name"] == d.job
    [job] = jobs(server)
    assert (job["name"], job["data"]["numExecutors"], len(job["triggers"])) == (d.job, 3, 1)


@points
@pytest.mark.parametrize("point", POINTS)
def test_a_job_without_a_schedule_runs_once(make_hearth, point):
    server = dies_at(make_hearth, point)
    d = runnable("once", "exit", 0)
    token = later(server, "provision", d)
    start_again(server)
    wait_runs(server, d.job, 1)
    if token is not None:
        assert done(server, token)["createdJob"]["name"] == d.job
    let_others_fire(server)
    assert len(runs(server, d.job)) == 1


@points
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("commit", range(2, 8))  # the first one is the start's own
def test_a_job_without_a_schedule_runs_once_wherever_the_server_dies(make_hearth, where, commit):
    """Around each write: of the token, the job, the token's end, the run and its end."""
    server = dies_at(make_hearth, f"store.{where}_commit", commit)
    d = runnable("once", "exit", 0)
    token = later(server, "provision", d)
    with contextlib.suppress(subprocess.TimeoutExpired):  # the last ones may be one write
        server.process.wait(3 * PATIENCE)
    server.kill9()
    server.environment.pop("HEARTH_POINT")
    server.start()
    if token is None and where == "before":
        let_others_fire(server)
        assert runs(server, d.job) == [], "it was not accepted"
        return
    wait_runs(server, d.job, 1)
    if token is not None:
        assert done(server, token)["createdJob"]["name"] == d.job
    let_others_fire(server)
    assert len(runs(server, d.job)) == 1


@points
@pytest.mark.parametrize("point", POINTS)
def test_a_job_is_gone(make_hearth, point):
    server = dies_at(make_hearth, point)
    d = Descriptor("kill", cron=NEVER)
    provision(server, d)
    token = later(server, "unprovision", d)
    start_again(server)
    until(lambda: jobs(server) == [], 30, "the end of the job")
    if token is not None:
        assert done(server, token)["destroyedJob"]["name"] == d.job


@points
@pytest.mark.parametrize("point", POINTS)
def test_a_replaced_job_is_the_new_one(make_hearth, point):
    server = dies_at(make_hearth, point)
    d = Descriptor("kill", cron=NEVER)
    provision(server, d)
    d.config["numExecutors"] = 7
    later(server, "provision", d)
    start_again(server)
    until(lambda: job_of(server, d)["data"]["numExecutors"] == 7, 30, "the new job")
    assert len(jobs(server)) == 1 and has_trigger(server, d)


def test_what_was_told_is_done_whenever_the_server_dies(plain):
    """Killed again and again at any moment: each token leads to its outcome, and the last change of each job is what is there."""
    told, wanted = [], {}
    for turn in range(8):
        for i in range(6):
            d = Descriptor(f"job{i}", cron=NEVER, numExecutors=1 + turn)
            token = later(plain, "provision", d)
            assert token is not None
            told.append((token, d.job))
            wanted[d.job] = 1 + turn
        time.sleep(random.uniform(0, 0.05))
        plain.restart()
    for token, job in told:
        assert done(plain, token)["createdJob"]["name"] == job
    assert {job["name"]: job["data"]["numExecutors"] for job in jobs(plain)} == wanted
    for i in range(6):
        unprovision(plain, Descriptor(f"job{i}"))
    assert jobs(plain) == []
