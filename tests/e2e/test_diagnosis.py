"""How real drivers fail, and what hearth says about it."""

import os
import signal

import pytest

from harness import program

pytestmark = pytest.mark.spark


def failed(server, body):
    """Submits what must fail; the dead batch."""
    made = server.submit({"driverMemory": "512m", **body})
    ended = server.wait_end_of(made["id"], 90)
    assert ended["state"] == "dead", f"{ended}\n" + "\n".join(server.log(made["id"])[-40:])
    for text in (ended["reason"], ended["diagnosis"]["summary"]):
        assert text and "\n" not in text, ended
    return ended


def log_text(server, batch):
    return "\n".join(server.log(batch["id"]))


@pytest.mark.every_spark
def test_a_program_that_exits_with_3_is_dead_although_its_context_was_stopped(spark_server):
    ended = failed(spark_server, {"file": program("exit_code.py"), "args": ["3"]})
    assert ended["diagnosis"]["exitCode"] == 3 and "3" in ended["diagnosis"]["summary"]
    assert ended["diagnosis"]["launcherState"] == "FINISHED"


@pytest.mark.every_spark
def test_an_exception_is_dead_with_its_words(spark_server):
    ended = failed(spark_server, {"file": program("throw.py")})
    assert ended["diagnosis"]["exitCode"] == 1
    assert any("the cake is a lie" in line for line in ended["diagnosis"]["lastErrors"]), ended["diagnosis"]
    log = log_text(spark_server, ended)
    assert "Traceback (most recent call last):" in log and "in third_floor" in log


def test_a_failure_after_the_context_was_stopped_is_dead(spark_server):
    ended = failed(spark_server, {"file": program("stop_then_fail.py")})
    assert ended["diagnosis"]["exitCode"] == 1
    assert any("after the context was stopped" in line for line in ended["diagnosis"]["lastErrors"]), ended["diagnosis"]


@pytest.mark.every_spark
def test_a_driver_killed_by_sigkill_is_dead_with_its_signal(spark_server, tmp_path):
    made = spark_server.submit({"file": program("wait_for.py"), "args": [str(tmp_path / "never")], "driverMemory": "512m"})
    spark_server.wait_log(made["id"], "waiting as")
    os.kill(spark_server.driver_pid(made["id"]), signal.SIGKILL)
    ended = spark_server.wait_end_of(made["id"], 15)
    assert ended["state"] == "dead"
    assert ended["diagnosis"]["signal"] == "SIGKILL" and ended["diagnosis"]["exitCode"] is None
    assert ended["diagnosis"]["killedForMemory"] is False
    assert "SIGKILL" in ended["diagnosis"]["summary"] or "killed" in ended["diagnosis"]["summary"].lower()


def test_a_full_heap_is_dead_and_called_by_its_name(spark_server):
    ended = failed(spark_server, {"file": program("heap.py")})
    assert "OutOfMemoryError" in ended["diagnosis"]["summary"], ended["diagnosis"]
    assert ended["diagnosis"]["killedForMemory"] is False, "nobody killed it"


@pytest.mark.every_spark
def test_a_driver_above_its_control_groups_limit_was_killed_for_memory(make_hearth):
    if os.geteuid() != 0:
        pytest.skip("control groups need root")
    server = make_hearth({"driver.memory_limit": "true"}).start()
    ended = failed(server, {"file": program("native_memory.py"), "args": ["3000"]})
    assert ended["diagnosis"]["killedForMemory"] is True
    assert "memory" in ended["diagnosis"]["summary"].lower()
    assert "memory" in ended["reason"].lower()


def test_a_driver_within_its_control_groups_limit_runs(make_hearth):
    if os.geteuid() != 0:
        pytest.skip("control groups need root")
    server = make_hearth({"driver.memory_limit": "true"}).start()
    made = server.submit({"file": program("hello.py"), "driverMemory": "512m"})
    assert server.wait_end_of(made["id"])["state"] == "success"


def test_a_missing_file_is_dead_in_sparks_words(spark_server):
    missing = program("not_here.py")
    ended = failed(spark_server, {"file": missing})
    assert "No such file" in log_text(spark_server, ended) or "does not exist" in log_text(spark_server, ended)
    assert "not_here.py" in " ".join(ended["diagnosis"]["lastErrors"]), ended["diagnosis"]


def any_jar(server):
    jars = os.path.join(server.spark_home, "jars")
    return os.path.join(jars, next(name for name in sorted(os.listdir(jars)) if name.startswith("spark-launcher")))


@pytest.mark.every_spark
def test_an_unknown_class_is_dead_with_its_name(spark_server):
    ended = failed(spark_server, {"file": any_jar(spark_server), "className": "com.example.NoSuchClass"})
    assert "com.example.NoSuchClass" in log_text(spark_server, ended)
    assert "com.example.NoSuchClass" in " ".join(ended["diagnosis"]["lastErrors"]) + ended["diagnosis"]["summary"]


def test_a_jar_without_class_is_dead_or_refused_with_the_reason(spark_server):
    answer = spark_server.post("/batches", json={"file": any_jar(spark_server), "driverMemory": "512m"})
    if answer.status_code == 400:
        assert "class" in answer.json()["msg"].lower()
        return
    ended = spark_server.wait_end_of(answer.json()["id"])
    assert ended["state"] == "dead" and "class" in log_text(spark_server, ended).lower()


@pytest.mark.parametrize("key, value, words", [
    ("spark.sql.shuffle.partitions", "x", "should be int, but was x"),
    ("spark.executor.memory", "1x", "Executor memory must be a positive number"),
    ("spark.driver.maxResultSize", "banana", "banana"),
    ("spark.serializer", "no.such.Serializer", "no.such.Serializer"),
])
def test_a_bad_conf_value_is_dead_in_sparks_words(spark_server, key, value, words):
    ended = failed(spark_server, {"file": program("sql.py"), "conf": {key: value}})
    assert words in log_text(spark_server, ended)
    assert ended["diagnosis"]["lastErrors"]


def test_a_bad_driver_memory_is_refused_or_dead_with_the_value_named(spark_server):
    for body in ({"conf": {"spark.driver.memory": "banana"}}, {"driverMemory": "banana"}):
        answer = spark_server.post("/batches", json={"file": program("hello.py"), **body})
        if answer.status_code == 400:
            assert "banana" in answer.json()["msg"]
            continue
        ended = spark_server.wait_end_of(answer.json()["id"])
        assert ended["state"] == "dead" and "banana" in ended["reason"]


def test_a_heap_below_sparks_minimum_is_dead_in_sparks_words(spark_server):
    ended = failed(spark_server, {"file": program("hello.py"), "driverMemory": "200m"})
    assert any("System memory" in line for line in ended["diagnosis"]["lastErrors"]), ended["diagnosis"]


def test_an_unreachable_master_is_a_matter_of_the_application(spark_server):
    answer = spark_server.post("/batches", json={"file": program("hello.py"), "master": "nonsense", "driverMemory": "512m"})
    if answer.status_code == 400:
        assert "nonsense" in answer.json()["msg"]
        return
    assert spark_server.wait_end_of(answer.json()["id"])["state"] == "dead"
