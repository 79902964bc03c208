"""Real Spark programs, from POST to their end."""

import json
import os
import re

import pytest

from harness import alive, program, until

pytestmark = pytest.mark.spark


def run(server, file, /, *args, state="success", **fields):
    """Submits a program of programs/ and waits for its end; the batch."""
    fields.setdefault("driverMemory", "512m")
    made = server.submit({"file": program(file), "args": list(args), **fields})
    ended = server.wait_end_of(made["id"], 90)
    assert ended["state"] == state, f"{ended}\n" + "\n".join(server.log(made["id"])[-60:])
    return ended


def printed(server, batch, prefix):
    """What follows the prefix in the line of the program's output that begins with it."""
    for line in server.log(batch["id"]):
        if line.startswith(prefix):
            return line[len(prefix):]
    raise AssertionError(f"no line with {prefix!r}:\n" + "\n".join(server.log(batch["id"])))


def conf_of(server, **fields):
    return json.loads(printed(server, run(server, "show_conf.py", **fields), "CONF "))


@pytest.mark.every_spark
def test_a_program_runs_to_success_and_everything_about_it_is_known(spark_server):
    ended = run(spark_server, "hello.py", name="hello there")
    assert re.match(r"^local-\d+$", ended["appId"])
    assert ended["name"] == "hello there" and ended["master"] == "local[1]"
    assert printed(spark_server, ended, "the sum is ") == "45"
    assert ended["diagnosis"]["exitCode"] == 0 and ended["diagnosis"]["signal"] is None
    assert ended["diagnosis"]["launcherState"] == "FINISHED"
    assert 100 << 20 < ended["diagnosis"]["maxMemory"] < 2 << 30
    log = spark_server.log(ended["id"])
    assert log[0] == "stdout: " and log[-1] == "\nstderr: "
    assert any("SparkContext" in line for line in log), "Spark's own lines are merged in"


@pytest.mark.every_spark
def test_the_application_id_and_the_ui_address_are_known_while_it_runs(spark_server, tmp_path):
    made = spark_server.submit({"file": program("wait_for.py"), "args": [str(tmp_path / "go")], "driverMemory": "512m"})
    spark_server.wait_log(made["id"], "waiting as")
    batch = until(lambda: (b := spark_server.batch(made["id"]))["appId"] and b, 10, "the application id")
    assert batch["state"] == "running"
    ui = until(lambda: spark_server.batch(made["id"])["appInfo"]["sparkUiUrl"], 10, "the address of the application's UI")
    assert ui.startswith("http://")
    import requests

    assert batch["appId"] in requests.get(ui + "/api/v1/applications", timeout=20, proxies={"http": ""}).text
    (tmp_path / "go").touch()
    assert spark_server.wait_end_of(made["id"])["state"] == "success"


ARGUMENTS = ["", " ", "two words", "  edges  ", "'single'", '"double"', "$HOME", "${HOME}", "`id`", "$(id)", "a\\b", "\\", "*", "~", "--name",
             "-v", "--conf", "spark.x=y", "new\nline", "tab\there", "ümlaut", "火", "🔥", "a;b", "a&b", "a|b", "!x", "#", "%s", "key=value", "a,b"]


@pytest.mark.every_spark
def test_arguments_arrive_unchanged(spark_server):
    ended = run(spark_server, "show_args.py", *ARGUMENTS)
    assert json.loads(printed(spark_server, ended, "ARGS ")) == ARGUMENTS


def test_a_job_reads_files_and_counts(spark_server, tmp_path):
    (tmp_path / "text").write_text("a b a\nc a b\n")
    log = spark_server.log(run(spark_server, "word_count.py", str(tmp_path / "text"))["id"])
    assert [line for line in log if re.match(r"^[abc]=\d$", line)] == ["a=3", "b=2", "c=1"]


@pytest.mark.every_spark
def test_conf_reaches_the_context_and_the_fields_win(spark_server):
    conf = conf_of(spark_server, name="a name with blanks", driverMemory="600m", executorMemory="700m", executorCores=1, conf={
        "spark.driver.memory": "900m", "spark.executor.memory": "900m", "spark.app.name": "loses", "spark.master": "local[7]",
        "spark.e2e.blank": "two words", "spark.e2e.quote": "a\"b'c", "spark.e2e.dollar": "$HOME", "spark.e2e.text": "火",
        "spark.e2e.equals": "a=b", "spark.e2e.number": 5})
    assert conf["spark.master"] == "local[1]"
    assert conf["spark.app.name"] == "a name with blanks"
    assert conf["spark.driver.memory"] == "600m" and conf["spark.executor.memory"] == "700m"
    assert 500 << 20 < conf["(max memory)"] <= 600 << 20, "the driver's real heap"
    assert conf["spark.e2e.blank"] == "two words" and conf["spark.e2e.quote"] == "a\"b'c"
    assert conf["spark.e2e.dollar"] == "$HOME" and conf["spark.e2e.text"] == "火"
    assert conf["spark.e2e.equals"] == "a=b" and conf["spark.e2e.number"] == "5"


def test_the_servers_own_secrets_are_not_in_the_conf(spark_server):
    text = json.dumps(conf_of(spark_server))
    assert "LAUNCHER" not in text and "secret" not in text.lower()


def test_the_master_field_chooses_the_master(spark_server):
    assert conf_of(spark_server, master="local[2]", deployMode="client")["spark.master"] == "local[2]"


def test_files_and_python_libraries_are_delivered(spark_server):
    (spark_server.folder / "delivered.py").write_text("WORD = 'brought'\n")
    (spark_server.folder / "a file").write_text("content")
    (spark_server.folder / "plain.txt").write_text("content")
    ended = run(spark_server, "uses_library.py", "plain.txt", pyFiles=[str(spark_server.folder / "delivered.py")],
                files=[f"file:{spark_server.folder}/plain.txt"])
    assert printed(spark_server, ended, "library says ") == "brought"
    assert printed(spark_server, ended, "file says ") == "content"


@pytest.mark.every_spark
def test_two_contexts_one_after_the_other_show_the_last_id(spark_server):
    ended = run(spark_server, "two_contexts.py")
    first, second = (printed(spark_server, ended, name + " ").split()[0] for name in ("first", "second"))
    assert first != second and ended["appId"] == second


@pytest.mark.every_spark
def test_a_program_without_a_context_is_running_and_then_a_success(spark_server, tmp_path):
    made = spark_server.submit({"file": program("no_context.py"), "args": [str(tmp_path / "go")], "driverMemory": "512m"})
    spark_server.wait_state(made["id"], "running", 5)
    spark_server.wait_log(made["id"], "no context here")
    (tmp_path / "go").touch()
    ended = spark_server.wait_end_of(made["id"])
    assert ended["state"] == "success" and ended["appId"] is None and ended["diagnosis"]["launcherState"] is None


def test_the_whole_log_of_a_real_driver_is_kept(spark_server):
    ended = run(spark_server, "many_lines.py", "5000")
    rows = [line for line in spark_server.log(ended["id"]) if line.startswith("row ")]
    assert rows == [f"row {i}" for i in range(5000)]
    own = spark_server.get(f"/hearth/batches/{ended['id']}/log?stream=stdout&from=0&size=10000").json()
    assert [line["text"] for line in own["lines"] if line["text"].startswith("row ")] == rows


def test_a_line_arrives_with_the_waiting_reader_while_the_program_runs(spark_server, tmp_path):
    made = spark_server.submit({"file": program("wait_for.py"), "args": [str(tmp_path / "go")], "driverMemory": "512m"})
    answer = spark_server.get(f"/hearth/batches/{made['id']}/log?stream=stdout&from=0&wait=60000", timeout=70).json()
    assert answer["lines"] and answer["lines"][0]["text"].startswith("waiting as") and answer["ended"] is False
    (tmp_path / "go").touch()
    spark_server.wait_end_of(made["id"])


@pytest.mark.every_spark
def test_deleting_a_real_driver_ends_its_python_too(spark_server):
    made = spark_server.submit({"file": program("stubborn.py"), "driverMemory": "512m"})
    python = int(until(lambda: [line for line in spark_server.log(made["id"]) if line.startswith("stubborn ")], 60,
                       "the program's first line")[0].split()[1])
    pid = spark_server.driver_pid(made["id"])
    assert alive(python) and alive(pid)
    assert spark_server.delete(f"/batches/{made['id']}").json() == {"msg": "deleted"}
    assert not alive(pid) and not alive(python)


def test_killing_a_real_driver_leaves_a_killed_entry(spark_server, tmp_path):
    made = spark_server.submit({"file": program("wait_for.py"), "args": [str(tmp_path / "never")], "driverMemory": "512m"})
    spark_server.wait_log(made["id"], "waiting as")
    spark_server.post(f"/hearth/batches/{made['id']}/kill")
    ended = spark_server.wait_state(made["id"], "killed", 15)
    assert ended["reason"] and ended["appId"]


def test_with_impersonation_sparks_user_is_the_wanted_one(make_hearth):
    server = make_hearth({"auth.impersonation": "true"}).start()
    ended = run(server, "show_conf.py", proxyUser="carol")
    assert json.loads(printed(server, ended, "CONF "))["(user)"] == "carol"
    assert ended["proxyUser"] == "carol"


@pytest.mark.every_spark
def test_drivers_start_from_the_archive_of_spark_classes_once_it_is_made(spark_server):
    until(lambda: spark_server.status()["spark"]["archive"] != "training", 120, "the end of the training")
    assert spark_server.status()["spark"]["archive"] == "ready"
    made = spark_server.submit({"file": program("no_context.py"), "args": [str(spark_server.folder / "archive-go")], "driverMemory": "512m"})
    spark_server.wait_log(made["id"], "no context here")
    pid = spark_server.driver_pid(made["id"])
    command = open(f"/proc/{pid}/cmdline").read().split("\0")
    [archive] = [word.partition("=")[2] for word in command if word.startswith("-XX:SharedArchiveFile=")]
    assert os.path.realpath(archive) in {os.path.realpath(f) for f in re.findall(r"\S*" + re.escape(archive), open(f"/proc/{pid}/maps").read())}
    (spark_server.folder / "archive-go").touch()
    assert spark_server.wait_end_of(made["id"])["state"] == "success"
