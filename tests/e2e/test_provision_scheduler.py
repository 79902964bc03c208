"""Jobs and their triggers: what is told of them, when they fire, and triggers made by hand.

The jobs are batches of hearth's own; the java that runs them is fake_java/bin/java.
"""

import re
import time

import pytest

from harness import program, until
from provision import (DEFAULT_CONF, END, NEVER, START, TOKEN, Descriptor, ended, fire, has_trigger, instant, job_of, job_path, jobs,
                       let_others_fire, provision, read, read_refusal, run_time, runnable, runs, seconds, trigger_of, trigger_path, unprovision,
                       wait_runs, wait_used_up)

JOB = {"name", "group", "durable", "running", "executions", "data", "triggers", "lastSubmission"}
TRIGGER = {"name", "group", "jobName", "jobGroup", "type", "state", "cronExpression", "timeZone", "startTime", "endTime", "previousFireTime",
           "nextFireTime", "finalFireTime", "misfireInstruction", "priority"}
EVERY_SECOND = "* * * * * ?"


@pytest.fixture(scope="module")
def rome(module_hearth):
    return module_hearth({"schedule.misfire_threshold": "3s"}, fake_java=True, environment={"TZ": "Europe/Rome"})


# -- what is told ----------------------------------------------------------------------------------------


def test_a_job_that_waits_for_its_time(rome):
    d = Descriptor("told", group="told", cron="0 30 2 * * ?", start="2030-01-01T00:00:00Z", end="2031-01-01T00:00:00Z", args=["--day", "x"],
                   driverCores=1, driverMemory="2g", executorCores=2, executorMemory="4g", numExecutors=3, conf={"a": "b"})
    d.specific["queue"] = "root.sales"
    provision(rome, d)
    job = job_of(rome, d)
    trigger = trigger_of(rome, d)
    assert set(job) == JOB and set(trigger) == TRIGGER
    assert {**trigger, "finalFireTime": None} == {
        "name": d.job + "Trigger", "group": "told", "jobName": d.job, "jobGroup": "told", "type": "CRON", "state": "NORMAL",
        "cronExpression": "0 30 2 * * ?", "timeZone": "Europe/Rome", "startTime": "2030-01-01T00:00:00Z", "endTime": "2031-01-01T00:00:00Z",
        "previousFireTime": None, "nextFireTime": "2030-01-01T01:30:00Z", "finalFireTime": None, "misfireInstruction": 0, "priority": 5}
    assert trigger["finalFireTime"] in (None, "2030-12-31T01:30:00Z")
    assert job == {
        "name": d.job, "group": "told", "durable": True, "running": False, "executions": [], "triggers": [trigger], "lastSubmission": None,
        "data": {"className": "org.example.Load", "jarPath": "local:/opt/apps/load.jar", "jobArgs": ["--day", "x"], "driverMemory": "2g",
                 "driverCores": 1, "executorMemory": "4g", "executorCores": 2, "numExecutors": 3, "conf": {**DEFAULT_CONF, "a": "b"},
                 "name": d.job, "queue": "root.sales"}}
    assert jobs(rome, group="told") == [job]
    unprovision(rome, d)
    assert rome.get(job_path("told", d.job)).status_code == rome.get(trigger_path("told", d.job + "Trigger")).status_code == 404


def test_the_data_of_a_job_without_configuration(rome):
    d = Descriptor("bare", cron=NEVER)
    d.specific["jobConfig"] = {"schedule": d.schedule}
    provision(rome, d)
    data = job_of(rome, d)["data"]
    unprovision(rome, d)
    assert not data.pop("jobArgs") and not data.pop("queue")
    assert data == {"className": "org.example.Load", "jarPath": "local:/opt/apps/load.jar", "driverMemory": "1g", "driverCores": 1,
                    "executorMemory": "1g", "executorCores": 1, "numExecutors": 1, "conf": DEFAULT_CONF, "name": d.job}


def test_jobs_are_listed_by_group_and_name(rome):
    made = [Descriptor(name, group=group, cron=NEVER) for group, name in
            (("list b", "z"), ("list b", "a"), ("list a", "z"), ("list a", "m"), ("list", "x"), ("LIST", "x"))]
    for d in made:
        provision(rome, d)
    wanted = sorted((d.group, d.job) for d in made)
    assert [key for j in jobs(rome) if (key := (j["group"], j["name"])) in wanted] == wanted
    assert [j["name"] for j in jobs(rome, group="list b")] == ["orders-a-dev", "orders-z-dev"]
    assert jobs(rome, group="none of them") == jobs(rome, state="running") == jobs(rome, group="list", state="running") == []
    for d in made:
        unprovision(rome, d)


def test_what_is_not_there_is_404(rome):
    d = Descriptor("there", cron=NEVER)
    provision(rome, d)
    for path in (job_path("orders", "x"), job_path("x", d.job), job_path("orders", d.job.upper()), trigger_path("orders", d.job)):
        [message] = read_refusal(rome.get(path), 404)
        assert "not found" in message
    [message] = read_refusal(rome.get(job_path("orders", "x")), 404)
    assert message == "Job orders.x not found"
    [message] = read_refusal(rome.post(job_path("orders", "x") + "/triggers", json={}), 404)
    assert message == "Job orders.x not found"
    [message] = read_refusal(rome.get(trigger_path("orders", "x")), 404)
    assert "orders.x" in message
    unprovision(rome, d)


def test_names_are_encoded_in_paths(rome):
    d = Descriptor("ü/ä ?#%2F", group="a/b c?d#ü%2F", cron=NEVER)
    provision(rome, d)
    assert job_of(rome, d)["group"] == d.group
    assert trigger_of(rome, d)["jobGroup"] == d.group
    assert [j["group"] for j in jobs(rome, group=d.group)] == [d.group]
    assert rome.get(job_path(d.group.replace("/", "%2F"), d.job)).status_code == 404
    unprovision(rome, d)


# -- fires -----------------------------------------------------------------------------------------------


def test_a_job_without_schedule_runs_once_at_once(plain):
    d = runnable("once", "print", "hello", numExecutors=2, driverMemory="2g")
    before = int(time.time())
    provision(plain, d)
    [run] = wait_runs(plain, d.job, 1)
    assert before <= run_time(run["name"]) <= time.time() + 1
    wait_used_up(plain, d)
    assert plain.wait_end_of(run["id"])["state"] == "success"
    job = until(lambda: (j := job_of(plain, d))["running"] is False and j, 20, "it to end")
    assert (job["durable"], job["triggers"], job["executions"]) == (True, [], []), "the job stays"
    last = until(lambda: job_of(plain, d)["lastSubmission"], 20, "what became of it")
    assert set(last) == {"time", "status", "batchId", "message"}
    assert last["batchId"] == run["id"] and last["status"] in (0, 200, 201)
    assert before - 1 <= seconds(last["time"]) <= time.time() + 1
    assert "hello" in plain.log(run["id"])
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == 1
    submission = plain.record(run["id"])["submission"]
    assert (submission["file"], submission["args"]) == (program("fake.py"), ["print", "hello"])
    asked = {"spark.executor.instances": "2", "spark.driver.memory": "2g", **DEFAULT_CONF}
    assert asked.items() <= submission["conf"].items(), submission
    unprovision(plain, d)
    assert len(runs(plain, d.job)) == 1


def test_each_second_until_it_is_unprovisioned(plain):
    start = int(time.time())
    d = runnable("often", "exit", 0, cron=EVERY_SECOND, start=instant(start))
    provision(plain, d)
    made = wait_runs(plain, d.job, 4)
    times = [run_time(run["name"]) - start for run in made]
    assert all(late >= i for i, late in enumerate(times)), f"none before its time: {times}"
    trigger = trigger_of(plain, d)
    assert seconds(trigger["nextFireTime"]) > seconds(trigger["previousFireTime"])
    unprovision(plain, d)
    count = len(runs(plain, d.job))
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == count


def test_a_replaced_job_changes_at_once(plain):
    d = runnable("replaced", "print", "old", cron=EVERY_SECOND, start=instant(time.time()))
    provision(plain, d)
    wait_runs(plain, d.job, 2)
    d.config["args"] = ["print", "new"]
    provision(plain, d)
    count = len(runs(plain, d.job))
    made = wait_runs(plain, d.job, count + 2)
    unprovision(plain, d)
    assert [plain.record(run["id"])["submission"]["args"][1] for run in made[:2]] == ["old", "old"]
    assert {plain.record(run["id"])["submission"]["args"][1] for run in made[count:]} == {"new"}


def test_a_job_that_loses_its_schedule_runs_once_more(plain):
    d = runnable("lost", "exit", 0, cron=EVERY_SECOND, start=instant(time.time()))
    provision(plain, d)
    wait_runs(plain, d.job, 1)
    unprovision(plain, d)
    count = len(runs(plain, d.job))
    del d.config["schedule"]
    provision(plain, d)
    wait_runs(plain, d.job, count + 1)
    wait_used_up(plain, d)
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == count + 1


def test_the_end_stops_it(plain):
    """Every second of the window once, the last included, the ones that were over already at once."""
    now = int(time.time())
    d = runnable("window", "exit", 0, cron=EVERY_SECOND, start=instant(now - 4), end=instant(now + 3))
    provision(plain, d)
    made = wait_runs(plain, d.job, 4)
    assert run_time(made[3]["name"]) - run_time(made[0]["name"]) <= 1, "at once"
    wait_used_up(plain, d)
    assert time.time() >= now + 3
    made = wait_runs(plain, d.job, 8)
    assert job_of(plain, d)["triggers"] == []
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == 8
    assert [run["id"] for run in made] == sorted(run["id"] for run in made)
    unprovision(plain, d)


def test_a_window_that_is_over_since_less_than_the_threshold(plain):
    now = int(time.time())
    d = runnable("over", "exit", 0, cron="0/5 * * * * ?", start=instant(now - 20), end=instant(now - 1))
    provision(plain, d)
    due = sum(1 for t in range(now - 20, now) if t % 5 == 0)
    wait_runs(plain, d.job, due)
    wait_used_up(plain, d)
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == due


@pytest.mark.parametrize("cron, start, end, name", [
    ("0 0 0 1 1 ?", "2020-01-01T00:00:00Z", END, "years"), ("* * * * * ?", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "past"),
])
def test_later_than_the_threshold_it_fires_once(rome, cron, start, end, name):
    """Also when its window is over."""
    d = runnable(name, "exit", 0, cron=cron, start=start, end=end)
    provision(rome, d)
    [run] = wait_runs(rome, d.job, 1)
    if end == END:
        trigger = until(lambda: (t := trigger_of(rome, d))["previousFireTime"] and t, 20, "the fire")
        year = time.gmtime(time.time() + 7200).tm_year + 1
        assert trigger["nextFireTime"] == f"{year - 1}-12-31T23:00:00Z", "midnight of Rome"
        assert abs(seconds(trigger["previousFireTime"]) - run_time(run["name"])) <= 2, "now, and not the time that was missed"
    else:
        wait_used_up(rome, d)
    let_others_fire(rome)
    assert len(runs(rome, d.job)) == 1
    unprovision(rome, d)


def test_runs_of_one_job_may_overlap(plain):
    d = runnable("overlap", "sleep", 100000, cron=EVERY_SECOND, start=instant(time.time()))
    provision(plain, d)
    made = wait_runs(plain, d.job, 3)
    unprovision(plain, d)
    for run in made[:2]:
        plain.wait_state(run["id"], "running")
    assert not any(ended(plain.batch(run["id"])) for run in runs(plain, d.job)), "what runs is left alone"


def test_a_run_that_fails_changes_nothing(plain):
    d = runnable("fails", "exit", 3, cron=EVERY_SECOND, start=instant(time.time()))
    provision(plain, d)
    [first, *_] = wait_runs(plain, d.job, 1)
    assert plain.wait_end_of(first["id"])["state"] == "dead"
    wait_runs(plain, d.job, len(runs(plain, d.job)) + 2)
    assert trigger_of(plain, d)["state"] == "NORMAL"
    unprovision(plain, d)


# -- after a kill ----------------------------------------------------------------------------------------


def test_jobs_outlive_a_kill(plain):
    made = [Descriptor("kept", cron=NEVER, numExecutors=3), Descriptor("kept", group="größe/2", cron="0 30 2 * * ?")]
    spent = runnable("spent", "exit", 0)
    for d in (*made, spent):
        provision(plain, d)
    wait_runs(plain, spent.job, 1)
    wait_used_up(plain, spent)
    before = [job_of(plain, d) for d in made]
    last = until(lambda: job_of(plain, spent)["lastSubmission"], 20, "what became of it")
    plain.restart()
    assert [job_of(plain, d) for d in made] == before
    job = job_of(plain, spent)
    assert (job["triggers"], job["lastSubmission"]) == ([], last)
    assert len(runs(plain, spent.job)) == 1
    for d in made:
        unprovision(plain, d)
    plain.restart()
    assert [j["name"] for j in jobs(plain)] == [spent.job]


def test_a_kill_loses_no_fire_and_doubles_none(plain):
    now = int(time.time())
    d = runnable("killed", "exit", 0, cron=EVERY_SECOND, start=instant(now), end=instant(now + 7))
    provision(plain, d)
    wait_runs(plain, d.job, 2)
    plain.restart()
    wait_runs(plain, d.job, len(runs(plain, d.job)) + 1)
    plain.restart()
    wait_used_up(plain, d)
    wait_runs(plain, d.job, 8)
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == 8


def test_a_window_that_passes_while_the_server_is_down(plain):
    """Within the threshold: each of its times."""
    now = int(time.time())
    d = runnable("down", "exit", 0, cron=EVERY_SECOND, start=instant(now + 2), end=instant(now + 4))
    provision(plain, d)
    plain.kill9()
    until(lambda: time.time() > now + 5, 20, "the window to pass")
    plain.start()
    wait_runs(plain, d.job, 3)
    wait_used_up(plain, d)
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == 3


def test_a_window_that_passes_while_the_server_is_down_for_long(make_hearth):
    """Later than the threshold: once."""
    server = make_hearth({"schedule.misfire_threshold": "1s"}, fake_java=True).start()
    now = int(time.time())
    d = runnable("down", "exit", 0, cron=EVERY_SECOND, start=instant(now + 2), end=instant(now + 3))
    provision(server, d)
    server.kill9()
    until(lambda: time.time() > now + 6, 20, "the window to pass, and the threshold")
    server.start()
    wait_runs(server, d.job, 1)
    wait_used_up(server, d)
    let_others_fire(server)
    assert len(runs(server, d.job)) == 1


# -- triggers made by hand -------------------------------------------------------------------------------


def test_a_trigger_made_by_hand_fires_at_once(plain):
    d = runnable("hand", "exit", 0)
    provision(plain, d)
    wait_runs(plain, d.job, 1)
    wait_used_up(plain, d)
    for count in (2, 3):
        before = int(time.time())
        trigger = fire(plain, d)
        assert set(trigger) == TRIGGER
        assert re.fullmatch(r"manual-" + TOKEN.pattern, trigger["name"])
        start = trigger["startTime"]
        assert before <= seconds(start) <= time.time() + 1
        assert trigger == {
            "name": trigger["name"], "group": "orders", "jobName": d.job, "jobGroup": "orders", "type": "SIMPLE", "state": "NORMAL",
            "cronExpression": None, "timeZone": None, "startTime": start, "endTime": None, "previousFireTime": None, "nextFireTime": start,
            "finalFireTime": start, "misfireInstruction": 0, "priority": 5}
        made = wait_runs(plain, d.job, count)
        assert run_time(made[-1]["name"]) - before < 10
        until(lambda: plain.get(trigger_path("orders", trigger["name"])).status_code == 404, 20, "it to disappear")
        until(lambda: not job_of(plain, d)["triggers"], 20, "it to disappear from its job")
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == 3
    assert job_of(plain, d)["lastSubmission"]["batchId"] == made[-1]["id"]


def test_a_job_that_has_a_trigger_takes_no_other(plain):
    d = runnable("has", "exit", 0, cron=NEVER)
    provision(plain, d)
    [message] = read_refusal(plain.post(job_path("orders", d.job) + "/triggers", json={}), 409)
    assert d.job in message
    [trigger] = job_of(plain, d)["triggers"]
    assert trigger["name"] == d.job + "Trigger"
    assert runs(plain, d.job) == []


@pytest.mark.parametrize("body", [b"{}", b"", b'{"unknown":1}', b" {} "])
def test_the_body_of_a_trigger_made_by_hand(plain, body):
    d = runnable("body", "exit", 0)
    provision(plain, d)
    wait_runs(plain, d.job, 1)
    wait_used_up(plain, d)
    answer = plain.post(job_path("orders", d.job) + "/triggers", data=body)
    if body in (b"{}", b" {} "):
        assert answer.status_code == 201
        wait_runs(plain, d.job, 2)
    else:
        assert answer.status_code in (201, 400, 422)


def test_a_trigger_made_by_hand_uses_what_is_stored(plain):
    d = runnable("stored", "print", "first")
    provision(plain, d)
    wait_runs(plain, d.job, 1)
    wait_used_up(plain, d)
    fire(plain, d)
    made = wait_runs(plain, d.job, 2)
    assert plain.record(made[1]["id"])["submission"]["args"] == ["print", "first"]
    plain.restart()
    until(lambda: not job_of(plain, d)["triggers"], 20, "no trigger")
    fire(plain, d)
    wait_runs(plain, d.job, 3)


def test_many_ask_at_once_for_a_trigger(plain):
    """One of them at a time."""
    from concurrent.futures import ThreadPoolExecutor

    import requests

    d = runnable("many", "exit", 0)
    provision(plain, d)
    wait_runs(plain, d.job, 1)
    wait_used_up(plain, d)
    url = plain.url + job_path("orders", d.job) + "/triggers"
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: requests.post(url, json={}, proxies={"http": ""}, timeout=60).status_code, range(24)))
    assert set(codes) <= {201, 409} and 201 in codes
    wait_runs(plain, d.job, 1 + codes.count(201))
    let_others_fire(plain)
    assert len(runs(plain, d.job)) == 1 + codes.count(201)


# -- unprovisioning in the middle ------------------------------------------------------------------------


def test_a_job_is_made_and_deleted_many_times(plain):
    d = runnable("again", "exit", 0, cron=NEVER)
    for i in range(50):
        d.config["numExecutors"] = i + 1
        provision(plain, d)
        assert has_trigger(plain, d)
        if i % 3 == 0:
            unprovision(plain, d)
            assert not has_trigger(plain, d)
    assert job_of(plain, d)["data"]["numExecutors"] == 50
    assert [j["name"] for j in jobs(plain)] == [d.job]
    assert seconds(START) == seconds(trigger_of(plain, d)["startTime"])
    assert read(plain.get("/v1/scheduler/jobs"))["jobs"][0]["running"] is False
