"""What provisioning and unprovisioning answer: the text of the result, and the failures behind validation."""

import json
import time

import pytest

from harness import free_port, program
from provision import (DEFAULT_CONF, END, GATEWAY, NEVER, START, Descriptor, ask, errors, failure, job_of, job_path, jobs, mount_of,
                       provision, read, read_status, refused, rules, runnable, trigger_of, unprovision)

SPARK = {"proxyUser": None, "pythonEnvResourceName": None, "pyFiles": None}
SCHEDULE = {"user": "", "paused": None, "catchup": None, "dependsOnPast": None, "pausedUponCreation": None, "nextExecution": None}
NO_SCHEDULE = {"enabled": False, **dict.fromkeys(("user", "paused", "catchup", "dependsOnPast", "pausedUponCreation", "start", "end",
                                                  "cronExpression", "nextExecution"))}


@pytest.fixture(scope="module")
def utc(module_hearth):
    return module_hearth(fake_java=True, environment={"TZ": "UTC"})


@pytest.fixture(scope="module")
def elsewhere(module_hearth):
    """Its jobs would run on another server, which may take what hearth itself does not."""
    return module_hearth({"provision.livy_url": f"http://127.0.0.1:{free_port()}"}, fake_java=True, environment={"TZ": "UTC"})


@pytest.fixture(scope="module")
def rome(module_hearth):
    return module_hearth(fake_java=True, environment={"TZ": "Europe/Rome"})


def whole():
    d = Descriptor("nightly", group="orders", cron="0 30 2 * * ?", start="2030-01-01T00:00:00Z", end="2031-01-01T00:00:00Z",
                   jar="s3a://apps/orders/load.jar", args=["--day", "yesterday"], dependencies=["hdfs://ns1/apps/lib/util.jar"],
                   driverCores=1, driverMemory="2g", executorCores=2, executorMemory="4g", numExecutors=3, logLevel="INFO",
                   conf={"spark.sql.shuffle.partitions": "64"})
    d.specific["queue"] = "root.sales"
    return d


def expected(d, created="Tue Jan 01 02:30:00 UTC 2030"):
    return {
        "name": d.job, "type": "spark", "created": created, "modified": created, "lastUsed": created, "mounts": mount_of(d.job),
        "retentionPolicy": "keep_indefinitely",
        "spark": {"file": "s3a://apps/orders/load.jar", "driverCores": 1, "driverMemory": "2g", "executorCores": 2, "executorMemory": "4g",
                  "logLevel": "INFO", "numExecutors": 3, "className": "org.example.Load", "args": ["--day", "yesterday"],
                  "conf": {**DEFAULT_CONF, "spark.sql.shuffle.partitions": "64"}, "jars": ["util.jar"], **SPARK},
        "schedule": {"enabled": True, **SCHEDULE, "start": "2030-01-01T00:00:00Z", "end": "2031-01-01T00:00:00Z",
                     "cronExpression": "0 30 2 * * ?"},
    }


# -- the result ------------------------------------------------------------------------------------------


def test_provisioning_tells_the_whole_job(utc):
    d = whole()
    status = read(ask(utc, "provision", d))
    assert status["info"] is None or set(status["info"]) == {"publicInfo", "privateInfo"}
    assert json.loads(read_status(status)) == {"createdJob": expected(d), "destroyedJob": None}


def test_unprovisioning_tells_it_too(utc):
    d = whole()
    job = expected(d)
    for field in ("created", "modified", "lastUsed"):
        del job[field]
    assert json.loads(read_status(read(ask(utc, "unprovision", d)))) == {"createdJob": None, "destroyedJob": {**job, "airflow": None}}


def test_unprovisioning_tells_the_request_and_not_what_was_stored(utc):
    d = whole()
    provision(utc, d)
    d.config.update(numExecutors=7, args=["other"], driverMemory=None)
    del d.config["schedule"]
    job = unprovision(utc, d)
    assert (job["spark"]["numExecutors"], job["spark"]["args"], job["spark"]["driverMemory"]) == (7, ["other"], "1g")
    assert job["schedule"] == NO_SCHEDULE
    assert utc.get(job_path(d.group, d.job)).status_code == 404


@pytest.mark.parametrize("config", [{}, None, "nulls"], ids=str)
def test_what_is_not_given_has_defaults(utc, config):
    d = runnable("defaults")
    fields = ("args", "dependencies", "driverCores", "executorCores", "numExecutors", "driverMemory", "executorMemory", "logLevel", "conf",
              "schedule")
    d.specific["jobConfig"] = dict.fromkeys(fields) if config == "nulls" else config
    before = int(time.time())
    job = provision(utc, d)
    after = time.time()
    assert job["spark"] == {"file": program("fake.py"), "driverCores": 1, "driverMemory": "1g", "executorCores": 1, "executorMemory": "1g",
                            "logLevel": "INFO", "numExecutors": 1, "className": "", "args": None, "conf": DEFAULT_CONF, "jars": None, **SPARK}
    assert job["schedule"] == NO_SCHEDULE
    created = time.mktime(time.strptime(job["created"].replace(" UTC", ""), "%a %b %d %H:%M:%S %Y")) - time.timezone
    assert before <= created <= after
    assert job["created"] == job["modified"] == job["lastUsed"]


def test_values_are_told_as_they_were_given(elsewhere):
    d = Descriptor("given", cron=NEVER, driverCores="2", executorCores="3", numExecutors="4", driverMemory="007g", logLevel="LOUD", args=["", " ", '"\\'],
                   dependencies=["util.jar", "local:/a/b.jar", "hdfs://ns1/x/y/z.jar", "/opt/w.jar"], conf={"dex.safariEnabled": "false", "a": ""})
    spark = provision(elsewhere, d)["spark"]
    unprovision(elsewhere, d)
    assert (spark["driverCores"], spark["executorCores"], spark["numExecutors"]) == (2, 3, 4)
    assert (spark["driverMemory"], spark["logLevel"], spark["args"]) == ("007g", "LOUD", ["", " ", '"\\'])
    assert spark["jars"] == ["util.jar", "b.jar", "z.jar", "w.jar"]
    assert spark["conf"] == {"dex.safariEnabled": "false", "a": ""}


def test_the_mount_is_made_of_the_jobs_name(utc):
    for name in ("mount", "größe", "x" * 150):
        d = Descriptor(name, cron=NEVER)
        assert provision(utc, d)["mounts"] == mount_of(d.job)
        unprovision(utc, d)


def test_strict_compatibility(module_hearth):
    """No conf but the one that always was; the names of the dependencies are told nevertheless."""
    strict = module_hearth({"provision.strict_compat": "true"}, fake_java=True, environment={"TZ": "UTC"})
    d = whole()
    job = expected(d)
    job["spark"]["conf"] = DEFAULT_CONF
    assert provision(strict, d) == job
    assert job_of(strict, d)["data"]["conf"] == DEFAULT_CONF


# -- the time of the first fire --------------------------------------------------------------------------


def first_fire(server, cron, start, end=END):
    d = runnable("first", "exit", 0, cron=cron, start=start, end=end)
    job = provision(server, d)
    unprovision(server, d)
    assert job["created"] == job["modified"] == job["lastUsed"]
    return job["created"]


@pytest.mark.parametrize("cron, start, created", [
    ("0 30 2 * * ?", "2030-01-01T00:00:00Z", "Tue Jan 01 02:30:00 UTC 2030"),
    ("0 30 2 * * ?", "2030-01-01T02:30:00Z", "Tue Jan 01 02:30:00 UTC 2030"),
    ("0 30 2 * * ?", "2030-01-01T02:30:01Z", "Wed Jan 02 02:30:00 UTC 2030"),
    ("5 4 3 12 11 ?", "2030-01-01T00:00:00Z", "Tue Nov 12 03:04:05 UTC 2030"),
    ("0 0 0 29 2 ?", "2030-01-01T00:00:00Z", "Sun Feb 29 00:00:00 UTC 2032"),
    ("0 0 0 ? * 6L", "2030-05-01T00:00:00Z", "Fri May 31 00:00:00 UTC 2030"),
    ("0 0 0 * * ?", "2029-02-31T00:00:00Z", "Sat Mar 03 00:00:00 UTC 2029"),
    ("0 0 0 * * ?", "2029-02-01T24:00:00Z", "Fri Feb 02 00:00:00 UTC 2029"),
    ("0 0 0 * * ?", "2029-12-31T24:00:00Z", "Tue Jan 01 00:00:00 UTC 2030"),
    ("0 0 0 1 1 ?", "2020-01-01T00:00:00Z", "Wed Jan 01 00:00:00 UTC 2020"),
    ("0 0 12 * * ?", "1999-12-31T12:00:01Z", "Sat Jan 01 12:00:00 UTC 2000"),
])
def test_created_is_the_first_fire(utc, cron, start, created):
    assert first_fire(utc, cron, start) == created


@pytest.mark.parametrize("cron, start, created", [
    ("0 30 2 * * ?", "2030-01-01T00:00:00Z", "Tue Jan 01 02:30:00 CET 2030"),
    ("0 30 2 * * ?", "2030-07-01T00:00:00Z", "Mon Jul 01 02:30:00 CEST 2030"),
    ("0 30 2 * * ?", "2030-07-01T00:30:01Z", "Tue Jul 02 02:30:00 CEST 2030"),
    ("0 30 2 * * ?", "2030-03-31T00:00:00Z", "Mon Apr 01 02:30:00 CEST 2030"),
    ("0 0 3 * * ?", "2030-03-31T00:00:00Z", "Sun Mar 31 03:00:00 CEST 2030"),
    ("0 30 2 * * ?", "2030-10-26T22:00:00Z", "Sun Oct 27 02:30:00 CET 2030"),
    ("0 0 0 * * ?", "2029-02-31T00:00:00Z", "Sun Mar 04 00:00:00 CET 2029"),
])
def test_the_cron_is_of_the_servers_zone_and_the_dates_are_utc(rome, cron, start, created):
    assert first_fire(rome, cron, start) == created


def test_the_end_may_be_very_far(utc):
    assert first_fire(utc, "0 0 0 1 1 ?", START, "+10000-01-01T00:00:00Z") == "Sun Jan 01 00:00:00 UTC 2040"
    assert first_fire(utc, "0 0 0 1 1 ?", START, "9999-12-31T23:59:59Z") == "Sun Jan 01 00:00:00 UTC 2040"


def test_the_end_belongs_to_the_window(utc):
    assert first_fire(utc, "0 30 2 * * ?", "2030-01-01T00:00:00Z", "2030-01-01T02:30:00Z") == "Tue Jan 01 02:30:00 UTC 2030"
    assert first_fire(utc, "0 30 2 * * ?", "2030-01-01T02:30:00Z", "2030-01-01T02:30:00Z") == "Tue Jan 01 02:30:00 UTC 2030"


# -- creating, replacing, deleting -----------------------------------------------------------------------


def test_provisioning_submits_nothing_itself(utc):
    d = Descriptor("quiet", cron=NEVER)
    before = utc.get("/batches?size=0").json()["total"]
    provision(utc, d)
    assert utc.get("/batches?size=0").json()["total"] == before
    assert job_of(utc, d)["lastSubmission"] is None
    unprovision(utc, d)


def test_a_job_is_replaced(utc):
    d = whole()
    provision(utc, d)
    d.config.update(numExecutors=9, args=None)
    d.schedule["cronExpression"] = "0 0 4 * * ?"
    assert provision(utc, d)["created"] == "Tue Jan 01 04:00:00 UTC 2030"
    job = job_of(utc, d)
    assert (job["data"]["numExecutors"], [t["cronExpression"] for t in job["triggers"]]) == (9, ["0 0 4 * * ?"])
    assert [j["name"] for j in jobs(utc, group=d.group)].count(d.job) == 1
    unprovision(utc, d)


def test_deleting_what_is_not_there_works(utc):
    d = whole()
    first = unprovision(utc, d)
    assert unprovision(utc, d) == first


@pytest.mark.parametrize("remove", [True, False])
def test_remove_data_has_no_effect(utc, remove):
    d = whole()
    provision(utc, d)
    unprovision(utc, d, removeData=remove)
    assert utc.get(job_path(d.group, d.job)).status_code == 404


def test_a_jar_that_is_gone_keeps_the_job(utc):
    jar = utc.folder / "load.jar"
    jar.write_bytes(b"")
    d = Descriptor("gone", cron=NEVER, jar=str(jar))
    provision(utc, d)
    jar.unlink()
    assert refused(utc, "unprovision", d) == rules(11)
    assert job_of(utc, d)["triggers"]
    jar.write_bytes(b"")
    unprovision(utc, d)


def test_groups_are_separate(utc):
    one, two = Descriptor("same", group="one", cron=NEVER, numExecutors=1), Descriptor("same", group="two", cron=NEVER, numExecutors=2)
    provision(utc, one)
    provision(utc, two)
    assert (job_of(utc, one)["data"]["numExecutors"], job_of(utc, two)["data"]["numExecutors"]) == (1, 2)
    unprovision(utc, one)
    assert utc.get(job_path("one", one.job)).status_code == 404
    assert job_of(utc, two)["triggers"]
    unprovision(utc, two)


# -- failures --------------------------------------------------------------------------------------------


def will_never_fire(d):
    return (f"{GATEWAY}Error while scheduling job: org.quartz.SchedulerException: Based on configured schedule, the given trigger "
            f"'{d.group}.{d.job}Trigger' will never fire.")


END_BEFORE_START = (f"{GATEWAY}Error creating trigger: SchedulerError(Unexpected error while creating trigger. "
                    "End time cannot be before start time)")


@pytest.mark.parametrize("cron, start, end", [
    ("0 0 0 1 1 ? 2020", START, END), ("0 0 0 1 1 ?", "2040-01-02T00:00:00Z", "2040-12-31T23:59:59Z"), ("0 0 0 31 2 ?", START, END),
    ("0 0 0 ? * MON#5", "2040-02-01T00:00:00Z", "2040-02-29T00:00:00Z"), ("1 0 0 * * ?", START, START),
    ("0 0 0 * * ?", "2020-01-01T00:00:01Z", "2020-01-01T23:59:59Z"), ("0 0 0 29 2 ?", "2029-01-01T00:00:00Z", "2031-12-31T00:00:00Z"),
])
def test_a_window_without_a_fire(utc, cron, start, end):
    d = Descriptor("never", group="the orders", cron=cron, start=start, end=end)
    assert errors(utc, d) == []
    assert failure(utc, "provision", d) == will_never_fire(d)
    assert utc.get(job_path(d.group, d.job)).status_code == 404


@pytest.mark.parametrize("start, end", [(END, START), ("2040-01-01T00:00:01Z", "2040-01-01T00:00:00Z"),
                                        ("2029-02-31T00:00:00Z", "2029-03-01T00:00:00Z")])
def test_an_end_before_the_start(utc, start, end):
    d = Descriptor("backwards", cron="0 0 0 * * ?", start=start, end=end)
    assert errors(utc, d) == []
    assert failure(utc, "provision", d) == END_BEFORE_START
    assert utc.get(job_path(d.group, d.job)).status_code == 404


@pytest.mark.parametrize("start, end, text", [(START, END, will_never_fire), (END, START, lambda _: END_BEFORE_START)])
def test_a_job_outlives_a_replacement_that_fails(utc, start, end, text):
    d = Descriptor("kept", cron=NEVER)
    provision(utc, d)
    job, trigger = job_of(utc, d), trigger_of(utc, d)
    d.schedule.update(cronExpression="0 0 0 1 1 ? 2020", startDate=start, endDate=end)
    d.config["numExecutors"] = 5
    assert failure(utc, "provision", d) == text(d)
    assert (job_of(utc, d), trigger_of(utc, d)) == (job, trigger)
    unprovision(utc, d)


def test_a_schedule_that_never_fires_can_be_unprovisioned(utc):
    """It is validated, and no trigger is made of it."""
    d = Descriptor("never", cron="0 0 0 1 1 ? 2020")
    assert unprovision(utc, d)["schedule"]["cronExpression"] == "0 0 0 1 1 ? 2020"


def test_strange_names_work(utc):
    for group in (" ", "a.b/c", "%2F", "'\"", "größe 🔥", "x" * 200, "a?b#c&d=e", "\n"):
        d = Descriptor("strange", group=group, cron=NEVER)
        provision(utc, d)
        job = job_of(utc, d)
        assert (job["group"], job["triggers"][0]["group"]) == (group, group)
        unprovision(utc, d)
        assert utc.get(job_path(group, d.job)).status_code == 404


@pytest.mark.parametrize("group, job, words", [
    ("", None, "dataProduct.name has 0 bytes; it must have 1 to 255"), ("g" * 256, None, "dataProduct.name has 256 bytes"),
    ("orders", "l" * 256, "jobName has ")])
def test_what_no_schedule_can_be_called_is_refused(utc, group, job, words):
    d = Descriptor(job or "load", group=group, cron=NEVER)
    assert errors(utc, d) == []
    [message] = refused(utc, "provision", d)
    assert message.startswith(words)
