"""The commands against a real server. Drivers are the fake java, but for one real Spark program."""

import json
import os
import signal
import subprocess

import pytest

from harness import BINARY, PATIENCE, program


def environment(server):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HEARTH_")}
    env["HEARTH_URL"] = server.url
    return env


def run(server, *words):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, env=environment(server),
                          timeout=120 * PATIENCE, stdin=subprocess.DEVNULL)


def submit(server, *args, options=()):
    return run(server, "submit", *options, program("fake.py"), *args)


def detached(server, *args, options=()):
    answer = submit(server, *args, options=("--detach", *options))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_submit_prints_what_the_application_prints(shared):
    answer = submit(shared, "print", "one", "two words", "drei €")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "one\ntwo words\ndrei €\n"


@pytest.mark.parametrize("code", [1, 9, 255])
def test_submit_ends_with_the_applications_exit_code(shared, code):
    answer = submit(shared, "exit", code)
    assert answer.returncode == code
    assert "ended as dead: " in answer.stderr


def test_a_long_log_arrives_whole_and_in_order(shared):
    answer = submit(shared, "lines", 5000)
    assert answer.stdout.splitlines() == [f"line {n}" for n in range(5000)]


def test_a_refused_submission_creates_nothing(shared):
    before = len(shared.get("/batches?size=100000").json()["sessions"])
    answer = submit(shared, "print", "x", options=("-c", "spark.yarn.jar=/x.jar"))
    assert answer.returncode == 1
    assert "spark.yarn.jar" in answer.stderr
    assert len(shared.get("/batches?size=100000").json()["sessions"]) == before


def test_the_life_of_an_application_through_the_commands(shared, tmp_path):
    go = tmp_path / "go"
    number = detached(shared, "wait", go, options=("--name", "life"))
    rows = [line.split() for line in run(shared, "ps").stdout.splitlines()]
    assert [number, "life"] in [row[:2] for row in rows]
    assert f"application {number} (life): " in run(shared, "status", "life").stdout
    assert run(shared, "kill", "life").returncode == 0
    shared.wait_end_of(number)
    status = run(shared, "status", number).stdout
    assert status.startswith(f"application {number} (life): killed\n")
    assert status.splitlines()[1].split()[0] == "diagnosis" and "history" in status
    assert number not in [line.split()[0] for line in run(shared, "ps").stdout.splitlines()]
    assert number in [line.split()[0] for line in run(shared, "ps", "-a").stdout.splitlines()]
    assert run(shared, "kill", "--forget", number).returncode == 0
    answer = run(shared, "logs", "life")
    assert answer.returncode == 1 and "not found" in answer.stderr


def test_a_second_application_of_the_same_name_has_only_its_number(shared):
    first = detached(shared, "exit", 0, options=("--name", "twice"))
    answer = submit(shared, "exit", 0, options=("--detach", "--name", "twice"))
    assert answer.returncode == 0 and answer.stdout.strip() != first
    assert "the name 'twice' is taken" in answer.stderr


def test_ctrl_c_kills_the_application(shared):
    process = subprocess.Popen([BINARY, "submit", program("fake.py"), "sleep", "600"], env=environment(shared),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    number = process.stderr.readline().split()[-1]
    shared.wait_state(int(number), "running")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60 * PATIENCE)
    assert process.returncode == 130, err
    assert shared.batch(number)["state"] == "killed"


def test_submit_survives_a_killed_server(plain, tmp_path):
    go = tmp_path / "go"
    process = subprocess.Popen([BINARY, "submit", program("fake.py"), "wait", go], env=environment(plain),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    number = int(process.stderr.readline().split()[-1])
    plain.wait_state(number, "running")
    plain.kill9()
    assert "the server has gone away" in process.stderr.readline()
    plain.start()
    go.write_text("")
    _, err = process.communicate(timeout=60 * PATIENCE)
    assert process.returncode == 0, err


def test_logs_by_stream_and_tail(shared):
    number = detached(shared, "lines", 30)
    shared.wait_end_of(int(number))
    assert run(shared, "logs", "-n", 2, number).stdout == "line 28\nline 29\n"
    assert run(shared, "logs", "-f", "--stderr", number).stdout == ""
    first = json.loads(run(shared, "logs", "--json", number).stdout.splitlines()[0])
    assert (first["n"], first["stream"], first["text"]) == (0, "stdout", "line 0")


def test_an_unknown_application_is_told(shared):
    for words in (("logs", "nobody"), ("status", "nobody"), ("kill", "nobody")):
        answer = run(shared, *words)
        assert answer.returncode == 1
        assert answer.stderr == f"hearth {words[0]}: Session 'nobody' not found.\n"


def test_status_and_version_tell_of_the_server(shared):
    text = run(shared, "status").stdout
    assert text.startswith("hearth ") and str(shared.state_dir) in text
    assert json.loads(run(shared, "version", "--json").stdout)["server"]
    port = {f["check"]: f for f in json.loads(run(shared, "doctor", "--json", "--listen",
                                                  f"127.0.0.1:{shared.port}").stdout)}["port"]
    assert port["result"] == "ok" and "answers" in port["text"]


@pytest.mark.spark
def test_a_real_spark_program_through_submit(make_hearth):
    hearth = make_hearth({"spark.class_data_archive": "false"}).start()
    code = hearth.folder / "count.py"
    code.write_text("import sys\n"
                    "from pyspark.sql import SparkSession\n"
                    "spark = SparkSession.builder.getOrCreate()\n"
                    "print(spark.range(int(sys.argv[1])).count(), spark.conf.get('spark.app.name'))\n"
                    "sys.exit(3)\n")
    answer = run(hearth, "submit", "--name", "counts", "--driver-memory", "512m", code, 1000)
    assert answer.stdout == "1000 counts\n"
    assert answer.returncode == 3, answer.stderr
    assert hearth.record(0)["appId"].startswith("local-")
