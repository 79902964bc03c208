"""/v1/submissions: Spark's own REST submission protocol, by plain requests and by the real spark-submit."""

import contextlib
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from harness import PATIENCE, program, until
from test_access import As, closed  # noqa: F401 (a fixture)

DOOR = "/v1/submissions"
ID = re.compile(r"driver-\d{14}-\d{4,}")
HINT = "Please submit requests through http://[host]:[port]/v1/submissions/..."
NO_ACTION = "Missing an action: please specify one of /create, /kill, /killall, /clear, /status, or /readyz. " + HINT


def request_of(*args, properties=None, **fields):
    """A creation that the fake java runs (see fake_java/bin/java)."""
    return {
        "action": "CreateSubmissionRequest",
        "clientSparkVersion": "3.5.7",
        "appResource": program("fake.py"),
        "appArgs": [str(a) for a in args],
        "environmentVariables": {},
        "sparkProperties": {"spark.app.name": "demo", **(properties or {})},
        **fields,
    }


def create(server, *args, **fields):
    """The id of a submission that must be accepted."""
    answer = server.post(f"{DOOR}/create", json=request_of(*args, **fields))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["success"] is True, body
    return body["submissionId"]


def status(server, submission):
    answer = server.get(f"{DOOR}/status/{submission}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_driver(server, submission, state, timeout=60):
    def arrived():
        told = status(server, submission)
        assert told["driverState"] in (state, "SUBMITTED", "RUNNING"), told
        return told if told["driverState"] == state else None

    return until(arrived, timeout, lambda: f"{submission} {state}, it is {status(server, submission)}")


def kill(server, submission):
    answer = server.post(f"{DOOR}/kill/{submission}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def number(submission):
    return int(submission.rpartition("-")[2])


# ---- what the protocol says ---------------------------------------------------------------------


def version_of(spark_home):
    return next(Path(spark_home).glob("jars/spark-core_*.jar")).stem.rpartition("-")[2]


@pytest.mark.parametrize(
    "method, path, code, message",
    [
        ("GET", "/v1", 400, "Missing the /submissions prefix. " + HINT),
        ("GET", DOOR, 400, NO_ACTION),
        ("POST", DOOR + "/", 400, NO_ACTION),
        ("GET", DOOR + "/frobnicate", 400, NO_ACTION),
        ("POST", DOOR + "/frobnicate/x", 400, NO_ACTION),
        ("POST", DOOR + "/create/x", 400, NO_ACTION),
        ("GET", DOOR + "/status", 400, "Submission ID is missing in status request."),
        ("GET", DOOR + "/status/", 400, "Submission ID is missing in status request."),
        ("POST", DOOR + "/kill", 400, "Submission ID is missing in kill request."),
        ("POST", DOOR + "/create", 400, "Malformed request: No content to map due to end-of-input"),
        ("GET", "/v2/submissions/status/x", 468, f"Unknown protocol version 'v2'. {HINT}"),
        ("POST", "/v9/submissions/create", 468, f"Unknown protocol version 'v9'. {HINT}"),
        ("GET", "/v17/submissions", 468, f"Unknown protocol version 'v17'. {HINT}"),
    ],
)
def test_an_error_is_an_error_response(shared, spark_home, method, path, code, message):
    answer = shared.request(method, path)
    assert answer.status_code == code
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    expected = {"action": "ErrorResponse", "message": message, "serverSparkVersion": version_of(spark_home)}
    if code == 468:
        expected["highestProtocolVersion"] = "v1"
    assert answer.json() == expected


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("GET", "create", "POST"),
        ("PUT", "create", "POST"),
        ("DELETE", "kill/driver-x", "POST"),
        ("GET", "kill/driver-x", "POST"),
        ("GET", "killall", "POST"),
        ("GET", "clear", "POST"),
        ("POST", "readyz", "GET, HEAD"),
        ("POST", "status/driver-x", "GET, HEAD"),
        ("PUT", "status", "GET, HEAD"),
    ],
)
def test_another_method_is_405(shared, method, path, allowed):
    answer = shared.request(method, f"{DOOR}/{path}")
    assert (answer.status_code, answer.headers["Allow"], answer.text) == (405, allowed, "")


def test_addresses_of_other_doors_stay_theirs(shared):
    for path, status in (("/v2/validate", 405), ("/v1/provision", 405), ("/x/submissions/status/y", 404), ("/vx/submissions", 404)):
        assert (shared.get(path).status_code, shared.get(path).text) == (status, ""), path
    assert shared.get("/sessions/submissions").json() == {"msg": "Session 'submissions' not found."}
    assert shared.delete("/batches/submissions").status_code == 404


def test_readyz(shared, spark_home):
    assert shared.get(f"{DOOR}/readyz").json() == {
        "action": "ReadyzResponse", "message": "", "serverSparkVersion": version_of(spark_home), "success": True,
    }


def test_without_spark_it_is_not_ready(make_hearth, tmp_path):
    server = make_hearth({"spark.home": str(tmp_path)}, fake_java=True).start()
    answer = server.get(f"{DOOR}/readyz")
    assert answer.status_code == 503
    assert answer.json()["action"] == "ErrorResponse"
    assert str(tmp_path) in answer.json()["message"]
    answer = server.post(f"{DOOR}/create", json=request_of("exit", 0))
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert answer.json()["action"] == "ErrorResponse" and answer.json()["serverSparkVersion"] == "unknown"


# ---- creation -----------------------------------------------------------------------------------


def test_a_submission_is_a_batch(shared, spark_home):
    answer = shared.post(f"{DOOR}/create", json=request_of(
        "exit", 0, mainClass="org.apache.spark.deploy.PythonRunner", colour="red",
        properties={"spark.master": "spark://elsewhere:7077", "spark.submit.deployMode": "cluster",
                    "spark.driver.memory": "600m", "spark.x": "y"}))
    body = answer.json()
    submission = body["submissionId"]
    assert body == {
        "action": "CreateSubmissionResponse", "message": f"Driver successfully submitted as {submission}",
        "serverSparkVersion": version_of(spark_home), "submissionId": submission, "success": True,
        "unknownFields": ["colour"],
    }
    record = shared.record(number(submission))
    created = datetime.strptime(record["createdAt"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert submission == f"driver-{created:%Y%m%d%H%M%S}-{record['id']:04}"
    assert record["name"] is None and record["master"] == "local[1]"
    asked = record["submission"]
    assert (asked["file"], asked["className"], asked["args"]) == (program("fake.py"), None, ["exit", "0"])
    assert asked["deployMode"] == "client"
    assert asked["conf"] == {"spark.app.name": "demo", "spark.driver.memory": "600m", "spark.x": "y"}
    assert shared.batch(number(submission))["id"] == number(submission)


def test_the_same_application_may_be_submitted_twice(shared):
    assert create(shared, "exit", 0) != create(shared, "exit", 0)


def test_variables_reach_the_driver(shared):
    submission = create(shared, "sleep", 1000, environmentVariables={
        "TZ": "Pacific/Auckland", "SPARK_LOCAL_DIRS": "/of/the/client", "MESOS_X": "1", "_SPARK_LAUNCHER_PORT": "1"})
    pid = shared.driver_pid(number(submission))
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"TZ=Pacific/Auckland" in environment
    assert not [v for v in environment if v.startswith((b"SPARK_LOCAL_DIRS=", b"MESOS_X="))]
    assert b"_SPARK_LAUNCHER_PORT=1" not in environment
    kill(shared, submission)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"action": None}, "action is missing; it must be CreateSubmissionRequest"),
        ({"action": "NoSuchRequest"}, "action is 'NoSuchRequest'; it must be CreateSubmissionRequest"),
        ({"clientSparkVersion": ""}, "clientSparkVersion is missing"),
        ({"appResource": None}, "appResource is missing; it must be the path or URL of a jar, .py or .R"),
        ({"appResource": "/x/app.jar"}, "mainClass is missing"),
        ({"appResource": "app.py"}, "appResource: requirement failed: Path 'app.py' is not absolute."),
        ({"appResource": "/etc/app.py"}, "appResource: requirement failed: Local path /etc/app.py cannot be added"),
        ({"appArgs": "1"}, "appArgs"),
        ({"sparkProperties": {}}, "spark.app.name of sparkProperties is missing"),
        ({"sparkProperties": {"spark.app.name": None}}, "spark.app.name of sparkProperties is missing"),
        ({"sparkProperties": {"spark.app.name": "x", "spark.driver.memory": "much"}},
         "spark.driver.memory of sparkProperties is 'much'; it must be a size such as 512m or 2g"),
        ({"sparkProperties": {"spark.app.name": "x", "spark.driver.cores": "two"}},
         "spark.driver.cores of sparkProperties is 'two'; it must be a number from 1 on"),
        ({"sparkProperties": {"spark.app.name": "x", "spark.driver.supervise": "perhaps"}},
         "spark.driver.supervise of sparkProperties is 'perhaps'; it must be true or false"),
        ({"sparkProperties": {"spark.app.name": "x", "spark.jars": "/etc/x.jar"}}, "Local path /etc/x.jar cannot be"),
        ({"sparkProperties": {"spark.app.name": "x", "spark.yarn.jars": "x"}}, "spark.yarn.jars"),
        ({"environmentVariables": {"A B": "1"}}, "environmentVariables holds 'A B'"),
    ],
)
def test_what_is_wrong_is_named(shared, change, words):
    before = shared.get("/batches").json()["total"]
    answer = shared.post(f"{DOOR}/create", json={**request_of("exit", 0), **change})
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body["action"] == "ErrorResponse" and "\n" not in body["message"]
    assert body["message"].startswith("Malformed request: ") and words in body["message"], body["message"]
    assert shared.get("/batches").json()["total"] == before


@pytest.mark.parametrize("body", ["this is not json", "[]", "7", '{"action":', "{" * 300])
def test_what_is_no_json_object_is_malformed(shared, body):
    answer = shared.post(f"{DOOR}/create", data=body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Malformed request: ")


def test_more_memory_than_there_is_is_refused(plain):
    answer = plain.post(f"{DOOR}/create", json=request_of("exit", 0, properties={"spark.driver.memory": "9000g"}))
    assert answer.status_code == 400 and answer.json()["action"] == "ErrorResponse"
    assert "9" in answer.json()["message"]


def test_a_full_queue_is_told(make_hearth):
    server = make_hearth({"admission.running": "1", "admission.queue": "1"}, fake_java=True).start()
    running = create(server, "sleep", 1000)
    wait_driver(server, running, "RUNNING")
    waiting = create(server, "sleep", 1000)
    answer = server.post(f"{DOOR}/create", json=request_of("exit", 0))
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    assert answer.json()["action"] == "ErrorResponse"
    told = status(server, waiting)
    assert told["driverState"] == "SUBMITTED" and told["message"]


# ---- states and ends ----------------------------------------------------------------------------


def test_states(shared, spark_home):
    submission = create(shared, "sleep", 1000)
    told = wait_driver(shared, submission, "RUNNING")
    assert told == {
        "action": "SubmissionStatusResponse", "driverState": "RUNNING", "serverSparkVersion": version_of(spark_home),
        "submissionId": submission, "success": True,
    }
    assert kill(shared, submission) == {
        "action": "KillSubmissionResponse", "message": f"Kill request for {submission} submitted",
        "serverSparkVersion": version_of(spark_home), "submissionId": submission, "success": True,
    }
    assert wait_driver(shared, submission, "KILLED")["message"].startswith("killed by request")
    assert "message" not in wait_driver(shared, create(shared, "exit", 0), "FINISHED")
    assert "3" in wait_driver(shared, create(shared, "exit", 3), "FAILED")["message"]


def test_any_batch_can_be_asked_for(shared):
    batch = shared.submit({"file": program("fake.py"), "args": ["exit", "0"]})
    created = datetime.strptime(batch["createdAt"], "%Y-%m-%dT%H:%M:%S.%fZ")
    wait_driver(shared, f"driver-{created:%Y%m%d%H%M%S}-{batch['id']:04}", "FINISHED")


def test_an_id_that_differs_is_unknown(shared, spark_home):
    submission = create(shared, "sleep", 1000)
    stem, _, digits = submission.rpartition("-")
    others = [f"{stem}-0{digits}", f"{stem}-{int(digits) + 10000}", f"{stem[:-1]}{(int(stem[-1]) + 1) % 10}-{digits}",
              "driver-none", "x", "%20", digits, f"{submission}x", "a" * 3000]
    for other in others:
        plain = other.replace("%20", " ")
        assert status(shared, other) == {
            "action": "SubmissionStatusResponse", "serverSparkVersion": version_of(spark_home),
            "submissionId": plain, "success": False,
        }
        told = kill(shared, other)
        assert told["success"] is False and told["submissionId"] == plain
        assert told["message"].startswith(f"Driver {plain[:300]}")
        assert told["message"].endswith("has already finished or does not exist")
    kill(shared, submission)
    wait_driver(shared, submission, "KILLED")
    assert kill(shared, submission)["success"] is False  # it has ended


def test_a_deleted_batch_is_unknown(shared):
    submission = create(shared, "exit", 0)
    assert shared.delete(f"/batches/{number(submission)}").status_code == 200
    assert status(shared, submission)["success"] is False


def test_killall_and_clear_leave_other_batches_alone(plain):
    other = plain.submit({"file": program("fake.py"), "args": ["sleep", "1000"]})["id"]
    ended = plain.submit({"file": program("fake.py"), "args": ["exit", "0"]})["id"]
    plain.wait_end_of(ended)
    submissions = [create(plain, "sleep", 1000) for _ in range(3)]
    for submission in submissions:
        wait_driver(plain, submission, "RUNNING")
    plain.restart()  # what came in by which door is remembered
    answer = plain.post(f"{DOOR}/killall").json()
    assert answer["action"] == "KillAllSubmissionResponse" and answer["success"] is True
    assert answer["message"] == "Kill request for all drivers submitted"
    for submission in submissions:
        wait_driver(plain, submission, "KILLED")
    living = create(plain, "sleep", 1000)
    answer = plain.post(f"{DOOR}/clear").json()
    assert (answer["action"], answer["message"], answer["success"]) == ("ClearResponse", "", True)
    assert [status(plain, s)["success"] for s in submissions] == [False] * 3
    assert [b["id"] for b in plain.get("/batches").json()["sessions"]] == [other, ended, number(living)]
    wait_driver(plain, living, "RUNNING")


def test_killall_starts_nobody_who_waits(make_hearth, tmp_path):
    server = make_hearth({"admission.running": "1"}, fake_java=True).start()
    marks = [tmp_path / f"started{n}" for n in range(5)]
    submissions = [create(server, "once", mark, 1000) for mark in marks]
    until(marks[0].exists, 30, "the first driver")
    server.post(f"{DOOR}/killall")
    for submission in submissions:
        wait_driver(server, submission, "KILLED")
    assert [mark.exists() for mark in marks] == [True, False, False, False, False]


def test_an_accepted_submission_survives_kill_9(plain):
    running, later = create(plain, "sleep", 1000), create(plain, "sleep", 1)
    pid = plain.driver_pid(number(running))
    plain.restart()
    assert plain.driver_pid(number(running)) == pid
    wait_driver(plain, running, "RUNNING")
    wait_driver(plain, later, "FINISHED")
    assert kill(plain, running)["success"] is True
    wait_driver(plain, running, "KILLED")


# ---- who may what -------------------------------------------------------------------------------


def test_rights(closed):  # noqa: F811
    server = closed()
    alice, bob, boss = As(server, "alice"), As(server, "bob"), As(server, "boss")
    assert server.http.get(f"{server.url}{DOOR}/status/x").status_code == 401
    headers = {"X-Requested-By": "tests"}

    def made(asker, *args):
        return asker.post(f"{DOOR}/create", request_of(*args)).json()["submissionId"]

    mine, failed = made(alice, "sleep", 1000), made(alice, "exit", 3)
    assert server.record(number(mine))["owner"] == "alice"
    server.wait_end_of(number(failed))
    assert "message" in alice.get(f"{DOOR}/status/{failed}").json()
    told = bob.get(f"{DOOR}/status/{failed}").json()
    assert told["driverState"] == "FAILED" and "message" not in told
    answer = server.post(f"{DOOR}/kill/{mine}", params=bob.params, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["message"] == f"{mine} belongs to another user"
    assert server.post(f"{DOOR}/killall", params=bob.params, headers=headers).json()["success"] is True
    assert server.post(f"{DOOR}/clear", params=bob.params, headers=headers).json()["success"] is True
    assert alice.get(f"{DOOR}/status/{failed}").json()["success"] is True
    server.wait_state(number(mine), "running")
    assert boss.post(f"{DOOR}/killall").json()["success"] is True
    assert server.wait_end_of(number(mine))["state"] == "killed"


def test_impersonation(closed):  # noqa: F811
    server = closed(auth__impersonation="true")
    answer = server.post(f"{DOOR}/create", json=request_of("exit", 0), params={"user.name": "alice", "doAs": "bob"})
    assert answer.status_code == 403 and answer.json()["action"] == "ErrorResponse"
    assert answer.json()["message"] == "User 'alice' not allowed to impersonate 'Some(bob)'."
    answer = server.post(f"{DOOR}/create", json=request_of("exit", 0), params={"user.name": "boss", "doAs": "bob"})
    record = server.record(number(answer.json()["submissionId"]))
    assert (record["owner"], record["proxyUser"]) == ("boss", "bob")


# ---- the real spark-submit ----------------------------------------------------------------------


class SparkSubmit:
    """Spark's own client, with its words on standard error."""

    LOG4J = """
rootLogger.level = info
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %m%n%ex
logger.spark.name = org.apache.spark
logger.spark.level = info
"""

    def __init__(self, folder, spark_home, server):
        self.home = Path(spark_home)
        self.master = server.url.replace("http://", "spark://")
        self.conf = Path(folder) / "client-conf"
        self.conf.mkdir()
        (self.conf / "log4j2.properties").write_text(self.LOG4J)

    def run(self, *args):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HEARTH_", "SPARK_"))}
        environment.update(SPARK_CONF_DIR=str(self.conf), SPARK_LOCAL_IP="127.0.0.1",
                           SPARK_SUBMIT_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
        done = subprocess.run(
            [self.home / "bin" / "spark-submit", "--master", self.master, *args], env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120 * PATIENCE)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def submit(self, *args):
        """The id that it tells."""
        said = self.run("--deploy-mode", "cluster", "--conf", "spark.master.rest.enabled=true",
                        "--conf", "spark.driver.memory=512m", *args)
        assert "Submission successfully created as driver-" in said, said
        return ID.search(said).group(), said

    def state(self, submission):
        """As it shows it, when its log does."""
        said = self.run("--status", submission)
        found = re.search(r'"driverState" : "(\w+)"', said)
        assert found and submission in said, said
        return found.group(1)

    def workload(self, sets):
        """A program out of Spark's own jars: SparkPi, or where there are no examples the generator of jobs that
        Spark's developers look at its pages with. `sets` of jobs take some 40 s each; of no sets it ends soon."""
        examples = sorted(self.home.glob("examples/jars/spark-examples_*.jar"))
        if sets == 0 and examples:
            return "--class", "org.apache.spark.examples.SparkPi", examples[0], "2"
        core = next(self.home.glob("jars/spark-core_*.jar"))
        return "--class", "org.apache.spark.ui.UIWorkloadGenerator", core, "local[1]", "FIFO", str(sets)


@pytest.mark.spark
@pytest.mark.every_spark
def test_spark_submit_submits_follows_and_kills(hearth, tmp_path, spark_home):
    server = hearth
    client = SparkSubmit(tmp_path, spark_home, server)
    short, said = client.submit(*client.workload(0))
    assert "Server responded with CreateSubmissionResponse" in said
    assert re.search(rf"State of driver {short} is now (SUBMITTED|RUNNING)", said), said
    long, _ = client.submit(*client.workload(1))
    wait_driver(server, short, "FINISHED", timeout=120)
    assert server.record(number(short))["appId"].startswith("local-")
    assert client.state(short) == "FINISHED"

    until(lambda: server.record(number(long))["appId"], 60, "the application's id")
    server.restart()
    assert client.state(long) == "RUNNING"
    assert f"Kill request for {long} submitted" in client.run("--kill", long)
    assert wait_driver(server, long, "KILLED")["message"].startswith("killed by request")
    assert client.state(long) == "KILLED"


@pytest.mark.spark
def test_spark_submit_shows_why_a_submission_is_refused(hearth, tmp_path, spark_home):
    server = hearth
    client = SparkSubmit(tmp_path, spark_home, server)
    said = client.run("--deploy-mode", "cluster", "--conf", "spark.master.rest.enabled=true",
                      "--conf", "spark.yarn.jars=x", *client.workload(0))
    assert "Malformed request: " in said and "spark.yarn.jars" in said
    assert "does not exist" in client.run("--kill", "driver-20260101000000-0000")


def environment_of_process_with(word):
    """The variables of the process whose command line holds this word (a driver's path of its jar does)."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                return Path(f"/proc/{entry}/environ").read_text(errors="replace").split("\0")
    raise AssertionError(f"no process has {word} in its command line")


@pytest.mark.spark
def test_with_a_cluster_behind_it_the_driver_runs_there(make_hearth, cluster, spark_home):
    server = make_hearth({"spark.master": cluster.url, "spark.deploy_mode": "cluster"}).start()
    core = next(Path(spark_home).glob("jars/spark-core_*.jar"))
    submission = create(server, cluster.url, "FIFO", 1, appResource=f"file:{core}",
                        mainClass="org.apache.spark.ui.UIWorkloadGenerator", environmentVariables={"MARK": "of the test"},
                        properties={"spark.driver.memory": "512m", "spark.executor.memory": "512m"})
    told = wait_driver(server, submission, "RUNNING")
    driver = server.record(number(submission))["driver"]["id"]
    port = cluster.worker_of(driver).port
    assert told["workerHostPort"].endswith(f":{port}")
    cluster.wait_driver(driver, "RUNNING")
    assert "MARK=of the test" in environment_of_process_with(driver)
    server.restart()
    assert status(server, submission)["driverState"] == "RUNNING"
    assert kill(server, submission)["success"] is True
    wait_driver(server, submission, "KILLED")
    cluster.wait_driver(driver, "KILLED")
