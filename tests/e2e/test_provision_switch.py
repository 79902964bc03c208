"""Jobs follow the settings: where they run may change while they stay provisioned."""

import time

from harness import until
from provision import instant, job_of, provision, runnable, runs, unprovision, wait_runs
from test_provision_livy import EVERY_SECOND, Livy


def test_jobs_follow_where_they_run(make_hearth):
    livy = Livy()
    server = make_hearth({"provision.livy_url": livy.url}, fake_java=True).start()
    d = runnable("both", "exit", 0, cron=EVERY_SECOND, start=instant(time.time()), end="2049-01-01T00:00:00Z", driverMemory="2g")
    provision(server, d)
    livy.wait(d.job, 1)
    server.stop()
    del server.settings["provision.livy_url"]
    server.start()
    [run, *_] = wait_runs(server, d.job, 1)
    posted = len(livy.of(d.job))
    conf = server.record(run["id"])["submission"]["conf"]
    assert conf["spark.driver.memory"] == "2g", "by the rules of this server"
    assert len(livy.of(d.job)) == posted
    server.stop()
    server.settings["provision.livy_url"] = livy.url
    server.start()
    livy.wait(d.job, posted + 1)
    unprovision(server, d)
    livy.close()


def test_what_was_provisioned_for_another_server_is_held_to_the_rules_of_this_one(make_hearth):
    """A file that hearth's own core may not run is refused at its fire times, and the reason is told."""
    livy = Livy()
    server = make_hearth({"provision.livy_url": livy.url}, fake_java=True).start()
    d = runnable("rules", cron=EVERY_SECOND, start=instant(time.time()), end="2049-01-01T00:00:00Z")
    d.specific["jar"] = "file:///etc/hostname"
    provision(server, d)
    livy.wait(d.job, 1)
    server.stop()
    del server.settings["provision.livy_url"]
    server.start()
    last = until(lambda: (last := job_of(server, d)["lastSubmission"]) and last["message"] and last, 30, "a refusal")
    assert last["status"] == 0 and "/etc/hostname" in last["message"]
    assert runs(server, d.job) == []
    unprovision(server, d)
    livy.close()
