"""Descriptors whose jobs are real Spark: each time its cron says, until unprovisioned, replaced, or over."""

import time

import pytest

from harness import program, until
from provision import Descriptor, has_trigger, instant, provision, run_time, runs, unprovision, wait_runs, wait_used_up

pytestmark = pytest.mark.spark


@pytest.fixture
def texts(tmp_path):
    """Makes a file with a text, to count the words of."""
    def make(text):
        file = tmp_path / text
        file.write_text(text)
        return str(file)

    return make


def real(name, text, cron=None, **more):
    """A Spark job that prints how often the file has its word."""
    d = Descriptor(name, cron=cron, jar=program("word_count.py"), args=[text], **more)
    d.specific["className"] = ""
    return d


def succeeded(server, run, word):
    ended = server.wait_end_of(run["id"], 120)
    assert ended["state"] == "success", f"{ended}\n" + "\n".join(server.log(run["id"])[-60:])
    assert f"{word}=1" in server.log(run["id"]), server.log(run["id"])[:40]


def pass_time(moment):
    until(lambda: time.time() > moment, moment - time.time() + 30, "the clock")


def test_every_ten_seconds_until_it_is_replaced_and_unprovisioned(spark_server, texts):
    d = real("ten", texts("as-it-was"), cron="0/10 * * * * ?", start=instant(time.time()))
    provision(spark_server, d)
    old = wait_runs(spark_server, d.job, 2)
    times = [run_time(run["name"]) for run in old]
    assert all(t % 10 < 5 for t in times) and times[1] - times[0] == pytest.approx(10, abs=5)
    d.config["args"] = [texts("as-it-is")]
    provision(spark_server, d)
    count = len(runs(spark_server, d.job))
    wait_runs(spark_server, d.job, count + 2)
    unprovision(spark_server, d)
    made = runs(spark_server, d.job)
    for run in made[:2]:
        succeeded(spark_server, run, "as-it-was")
    for run in made[count:]:
        succeeded(spark_server, run, "as-it-is")
    pass_time((time.time() // 10 + 2) * 10 + 3)
    assert len(runs(spark_server, d.job)) == len(made)


def test_the_end_date_stops_it(spark_server, texts):
    first = (int(time.time()) // 5 + 1) * 5
    d = real("end", texts("until-then"), cron="0/5 * * * * ?", start=instant(first), end=instant(first + 10))
    provision(spark_server, d)
    made = wait_runs(spark_server, d.job, 3)
    wait_used_up(spark_server, d)
    for run in made:
        succeeded(spark_server, run, "until-then")
    pass_time(first + 18)
    assert len(runs(spark_server, d.job)) == 3 and not has_trigger(spark_server, d)
    unprovision(spark_server, d)


def test_once_without_a_schedule(spark_server, texts):
    d = real("once", texts("just-once"), driverMemory="1g", conf={"spark.e2e.word": "from the descriptor"}, numExecutors=1, logLevel="WARN")
    provision(spark_server, d)
    [run] = wait_runs(spark_server, d.job, 1)
    succeeded(spark_server, run, "just-once")
    conf = spark_server.record(run["id"])["submission"]["conf"]
    assert {"dex.safariEnabled": "true", "spark.e2e.word": "from the descriptor"}.items() <= conf.items()
    unprovision(spark_server, d)
