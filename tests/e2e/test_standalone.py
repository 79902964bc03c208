"""Batches in cluster deploy mode on real standalone clusters: submitted, followed and killed without a JVM.

hearth's own "java" is the stand-in of fake_java/ in all of these tests: what a driver does here, no JVM of hearth's
had a part in.
"""

import json
import random
import signal
import subprocess
import threading
import time

import pytest
import requests

from cluster import Cluster, ZooKeeper
from harness import BINARY, PROGRAMS, cluster_homes, free_port, program, until
from relay import Relay

pytestmark = pytest.mark.spark

QUICK = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
SECRET = "the hearth's key: ü$ 1"
AES = {"spark.network.crypto.enabled": "true", "spark.network.crypto.saslFallback": "false"}
PATIENT = 180  # seconds for a driver with executors on a busy machine


@pytest.fixture(scope="module")
def standing(tmp_path_factory, cluster_home):
    """A cluster for all tests that leave it as it is. Its worker may have more drivers than it would have room for."""
    cluster = Cluster(tmp_path_factory.mktemp("standing"), cluster_home)
    try:
        yield cluster.start(cores=12, memory="12g")
    finally:
        cluster.kill()


def settings(**more):
    """Programs may come from the tests, from temporary folders and from any Spark."""
    folders = [str(PROGRAMS), "/tmp", *cluster_homes()]
    return {"spark.local_dirs": ",".join(folders), **more}


FDS_KEPT = 12  # connections to clusters and to pages of their workers stay open for the next question


@pytest.fixture(scope="module")
def server(module_hearth):
    server = module_hearth(settings(), fake_java=True)
    server.fds_kept = FDS_KEPT
    return server


@pytest.fixture
def make_hearth(make_hearth, spark_home):  # its parameter is not found through a fixture of the same name
    def make(*arguments, **options):
        server = make_hearth(*arguments, **options)
        server.fds_kept = FDS_KEPT
        return server

    return make


@pytest.fixture
def make_cluster(tmp_path, cluster_home):
    """make_cluster(masters=2, …) makes clusters that a test may break, not yet started."""
    made = []

    def make(**options):
        made.append(Cluster(tmp_path / f"cluster{len(made)}", cluster_home, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.kill()


@pytest.fixture
def zookeeper(tmp_path):
    server = ZooKeeper(tmp_path / "zookeeper")
    try:
        yield server.start()
    finally:
        server.kill()


def body(master, file, *args, conf=None, **fields):
    conf = {"spark.driver.extraJavaOptions": QUICK, "spark.executor.extraJavaOptions": QUICK, "spark.cores.max": "1",
            "spark.executor.memory": "512m", **(conf or {})}
    return {"file": str(file), "args": [str(a) for a in args], "master": master, "deployMode": "cluster",
            "driverMemory": "512m", "conf": conf, **fields}


class Counted:
    """A batch of counted.py: a driver that notes each of its starts and ends when it is told to."""

    def __init__(self, server, cluster, folder, *code, master=None, **fields):
        self.server, self.cluster = server, cluster
        folder.mkdir(parents=True, exist_ok=True)
        self.starts_file, self.go_file = folder / "starts", folder / "go"
        self.body = body(master or cluster.url, program("counted.py"), self.starts_file, self.go_file, *code, **fields)
        self.known = set(cluster.drivers())
        self.id = None

    def submit(self, **more):
        self.id = self.server.submit(self.body, **more)["id"]
        return self

    def starts(self):
        return self.starts_file.read_text().split() if self.starts_file.exists() else []

    def wait_started(self, times=1):
        until(lambda: len(self.starts()) >= times, 120, lambda: f"start {times} of the driver: {self.server.batch(self.id)}")
        return self

    def wait_running(self):
        self.wait_started()
        self.server.wait_state(self.id, "running", 30)
        return self.driver()

    def driver(self):
        """The id of the only driver that the master has for it."""
        [driver] = set(self.cluster.drivers()) - self.known
        return driver

    def finish(self):
        """Lets it end well; its batch."""
        self.go_file.touch()
        ended = self.server.wait_end_of(self.id, 90)
        assert ended["state"] == "success", ended
        return ended

    def ended_once(self):
        """It ended well, and was started once."""
        self.finish()
        assert len(self.starts()) == 1, self.starts()
        return self.driver()


def said(text, word):
    """What follows the word in the line that begins with it."""
    return next(line[len(word) + 1:] for line in text.splitlines() if line.startswith(word + " "))


def states(server, batch_id):
    """Those it went through; history has a line more for each new reason."""
    history = [step["state"] for step in server.record(batch_id)["history"]]
    return [state for before, state in zip([None, *history], history) if state != before]


def words(server, batch_id):
    """All that a person is told about how it stands."""
    batch = server.batch(batch_id)
    return json.dumps([batch["reason"], batch["diagnosis"], batch["appInfo"]]).lower()


def wait_words(server, batch_id, *alternatives, timeout=30):
    until(lambda: any(word in words(server, batch_id) for word in alternatives), timeout,
          lambda: f"one of {alternatives} about batch {batch_id}: {server.batch(batch_id)}")


def fetch(url):
    return requests.get(url, timeout=20, proxies={"http": ""})


# -- what a driver is and does ---------------------------------------------------------------------

ARGUMENTS = ["", " ", "two words", "$HOME", "`id`", "a\\b", "*", '"double"', "'single'", "--conf", "spark.x=y", "new\nline", "ümlaut", "🔥", "%s"]


@pytest.mark.every_cluster
def test_a_python_program_runs_on_the_cluster(server, standing):
    known = set(standing.drivers())
    made = server.submit(body(standing.url, program("cluster_job.py"), *ARGUMENTS, name=f"a job on {standing.folder.name}", driverMemory="600m",
                              driverCores=2, conf={"spark.e2e.word": "two words", "spark.e2e.fire": "火"}))
    assert made["state"] == "starting" and made["master"] == standing.url
    ended = server.wait_end_of(made["id"], PATIENT)
    [driver] = set(standing.drivers()) - known
    output = standing.output(driver)
    assert ended["state"] == "success", (ended, output, standing.output(driver, "stderr")[-3000:])
    assert json.loads(said(output, "ARGS")) == ARGUMENTS
    assert said(output, "SUM") == "45"
    assert ended["appId"] == said(output, "APPLICATION")
    conf = json.loads(said(output, "CONF"))
    assert conf["spark.app.name"] == f"a job on {standing.folder.name}" and conf["spark.master"] == standing.url
    assert conf["spark.submit.deployMode"] == "cluster"
    assert conf["spark.e2e.word"] == "two words" and conf["spark.e2e.fire"] == "火"
    assert 500 << 20 < int(said(output, "MEMORY")) <= 600 << 20, "the driver's real heap"
    record = standing.drivers()[driver]
    assert (record["cores"], record["memory"], record["state"]) == (2, 600, "FINISHED")
    assert "E2E_STATE_DIR" not in json.loads(said(output, "ENVIRONMENT")), "hearth's own environment stays with hearth"
    assert [s for s in states(server, made["id"]) if s != "waiting"] == ["launching", "running", "success"]
    assert not server.processes(), "no process of hearth's beside the server"


@pytest.mark.every_cluster
def test_a_jar_runs_on_the_cluster(server, standing, cluster_home, tmp_path):
    # A program that every Spark brings along; its own first argument is the master.
    [jar] = (standing.spark_home / "jars").glob("spark-mllib_*.jar")
    made = server.submit(body(standing.url, jar, standing.url, tmp_path / "out", 20, 3, 2,
                              className="org.apache.spark.mllib.util.LinearDataGenerator"))
    ended = server.wait_end_of(made["id"], PATIENT)
    assert ended["state"] == "success", ended
    assert sum(len(part.read_text().splitlines()) for part in (tmp_path / "out").glob("part-*")) == 20
    assert ended["appId"].startswith("app-")


@pytest.mark.every_cluster
def test_files_and_python_libraries_are_delivered(server, standing, tmp_path):
    (tmp_path / "delivered.py").write_text("WORD = 'brought'\n")
    (tmp_path / "plain.txt").write_text("content")
    known = set(standing.drivers())
    made = server.submit(body(standing.url, program("uses_library.py"), "plain.txt", pyFiles=[str(tmp_path / "delivered.py")],
                              files=[f"file:{tmp_path}/plain.txt"]))
    ended = server.wait_end_of(made["id"], PATIENT)
    [driver] = set(standing.drivers()) - known
    output = standing.output(driver)
    assert ended["state"] == "success", (ended, output, standing.output(driver, "stderr")[-3000:])
    assert said(output, "library says") == "brought" and said(output, "file says") == "content"
    assert server.wait_log(made["id"], "library says brought", 10), "its output is here, too, once it has ended"


@pytest.mark.every_cluster
def test_while_it_runs_its_application_and_its_pages_are_known(server, standing, tmp_path):
    known = set(standing.drivers())
    made = server.submit(body(standing.url, program("wait_for.py"), tmp_path / "go"))
    running = server.wait_state(made["id"], "running", PATIENT)
    [driver] = set(standing.drivers()) - known
    running = until(lambda: (b := server.batch(made["id"]))["appId"] and b["appInfo"]["sparkUiUrl"] and b, 60,
                    lambda: f"application and page: {server.batch(made['id'])}")
    assert standing.applications() == [running["appId"]]
    assert running["appId"] in fetch(running["appInfo"]["sparkUiUrl"] + "/api/v1/applications").text
    page = running["appInfo"]["driverLogUrl"]
    assert driver in page and driver in fetch(page).text, page
    (tmp_path / "go").touch()
    ended = server.wait_end_of(made["id"], 60)
    assert ended["state"] == "success" and ended["appInfo"]["driverLogUrl"] == page
    assert fetch(page).status_code == 200, "it outlives the driver"


@pytest.mark.every_cluster
def test_a_program_that_fails_is_dead_and_says_where(server, standing, tmp_path):
    batch = Counted(server, standing, tmp_path, 3).submit()
    driver = batch.wait_running()
    batch.go_file.touch()
    ended = server.wait_end_of(batch.id, 60)
    assert ended["state"] == "dead"
    assert standing.driver_state(driver) == "FAILED"
    assert "fail" in ended["reason"].lower() and ended["diagnosis"]["summary"], ended
    assert ended["appInfo"]["driverLogUrl"] and driver in ended["appInfo"]["driverLogUrl"]


@pytest.mark.every_cluster
def test_a_kill_ends_the_driver_and_keeps_the_entry(server, standing, tmp_path):
    batch = Counted(server, standing, tmp_path).submit()
    driver = batch.wait_running()
    assert server.post(f"/hearth/batches/{batch.id}/kill").status_code == 200
    ended = server.wait_state(batch.id, "killed", 60)
    assert ended["reason"] and standing.driver_state(driver) == "KILLED"
    assert len(batch.starts()) == 1


def test_a_delete_ends_the_driver(server, standing, tmp_path):
    batch = Counted(server, standing, tmp_path).submit()
    driver = batch.wait_running()
    assert server.delete(f"/batches/{batch.id}").json() == {"msg": "deleted"}
    standing.wait_driver(driver, "KILLED", 30)
    assert server.get(f"/batches/{batch.id}").status_code == 404


def test_a_driver_killed_by_somebody_else_is_killed(server, standing, tmp_path):
    batch = Counted(server, standing, tmp_path).submit()
    driver = batch.wait_running()
    requests.post(standing.page + "/driver/kill/", data={"id": driver, "terminate": "true"}, timeout=20, proxies={"http": ""},
                  allow_redirects=False)
    assert server.wait_end_of(batch.id, 60)["state"] == "killed"


@pytest.mark.every_cluster
def test_a_driver_too_big_for_every_worker_waits_with_a_reason(server, standing, tmp_path):
    batch = Counted(server, standing, tmp_path, driverCores=64).submit()
    wait_words(server, batch.id, "worker", "room", "resources")
    assert server.batch(batch.id)["state"] == "starting"
    driver = batch.driver()
    assert standing.driver_state(driver) == "SUBMITTED"
    server.post(f"/hearth/batches/{batch.id}/kill")
    server.wait_state(batch.id, "killed", 30)
    assert standing.driver_state(driver) == "KILLED" and batch.starts() == []


def test_a_program_that_no_worker_finds_is_dead_with_the_clusters_words(server, standing, tmp_path):
    made = server.submit(body(standing.url, tmp_path / "not_there.py"))
    ended = server.wait_end_of(made["id"], 60)
    assert ended["state"] == "dead" and "not_there.py" in words(server, made["id"]), ended


@pytest.mark.parametrize("fields, word", [({"file": "/tmp/program.R"}, "R program"), ({"proxyUser": "carol"}, "proxyUser")])
def test_what_no_standalone_cluster_can_do_is_refused(make_hearth, fields, word):
    server = make_hearth(settings(**{"auth.impersonation": "true"}), fake_java=True).start()
    answer = server.post("/batches", json={**body("spark://127.0.0.1:9", program("hello.py")), **fields})
    assert answer.status_code == 400 and word in answer.json()["msg"], answer.text
    assert server.get("/batches").json()["total"] == 0


def test_a_cluster_that_comes_later_gets_the_batch(make_cluster, server, tmp_path):
    cluster = make_cluster()
    batch = Counted(server, cluster, tmp_path).submit()
    wait_words(server, batch.id, "reach", "refused", "alive")
    assert server.batch(batch.id)["state"] == "starting"
    cluster.start()
    batch.wait_running()
    batch.ended_once()


def test_a_kill_before_any_master_answers_is_at_once(make_cluster, server, tmp_path):
    batch = Counted(server, make_cluster(), tmp_path).submit()
    wait_words(server, batch.id, "reach", "refused", "alive")
    server.post(f"/hearth/batches/{batch.id}/kill")
    server.wait_state(batch.id, "killed", 30)


# -- what `hearth cluster` shows of it ---------------------------------------------------------------


def hearth(*arguments, code=0):
    """What the command prints."""
    done = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, (arguments, done)
    return done.stdout + done.stderr


def test_the_command_shows_what_the_masters_page_shows(server, standing, tmp_path):
    known = set(standing.drivers())
    made = server.submit(body(standing.url, program("wait_for.py"), tmp_path / "go", name="shown"))
    until(lambda: server.batch(made["id"])["appId"], PATIENT, "the application")
    [driver] = set(standing.drivers()) - known

    def settled():  # the executor may come between the two looks
        page, shown = standing.state(), json.loads(hearth("cluster", standing.url, "--json"))
        return page["coresused"] == shown["totals"]["coresUsed"] == 2 and (page, shown)

    page, shown = until(settled, 60, lambda: standing.state())
    assert shown["reachable"] and shown["leader"] == standing.url.removeprefix("spark://") and shown["webUi"] == standing.page
    assert [m["status"] for m in shown["masters"]] == ["ALIVE"]
    assert shown["totals"]["workersAlive"] == 1 and shown["totals"]["driversRunning"] == 1 and shown["totals"]["applicationsRunning"] == 1
    assert shown["totals"]["memoryUsed"] == page["memoryused"] << 20
    [worker] = shown["workers"]
    assert (worker["id"], worker["state"], worker["cores"]) == (page["workers"][0]["id"], "ALIVE", 12)
    [running] = [d for d in shown["drivers"] if d["state"] == "RUNNING"]
    assert running["id"] == driver and running["worker"] == f"127.0.0.1:{standing.workers[0].port}" and running["memory"] == 512 << 20
    assert {d["id"]: d["state"] for d in shown["drivers"]}.items() <= {i: d["state"] for i, d in standing.drivers().items()}.items()
    [application] = [a for a in shown["applications"] if a["active"]]
    assert (application["name"], application["state"], application["id"]) == ("shown", "RUNNING", server.batch(made["id"])["appId"])
    assert driver in hearth("cluster", standing.url)
    hearth("cluster", "kill", driver, "--master", standing.url)
    assert standing.driver_state(driver) == "KILLED"
    assert server.wait_end_of(made["id"], 60)["state"] == "killed"


def test_a_watched_cluster_is_followed_through_a_failover(make_cluster, make_hearth, zookeeper):
    cluster = make_cluster(masters=2, zookeeper=zookeeper).start()
    server = make_hearth({"clusters.watch": f"main={cluster.url}@200ms"}, fake_java=True).start()

    def look():
        return server.get("/hearth/clusters/main").json()

    first = cluster.wait_leader()
    until(lambda: look()["leader"] == f"127.0.0.1:{first.port}", 30, look)
    assert {m["status"] for m in look()["masters"]} == {"ALIVE", "STANDBY"}
    first.kill()
    until(lambda: not look()["reachable"], 30, look)
    assert look()["totals"]["workersAlive"] == 1 and look()["trouble"], "its last state stays, with the trouble beside it"
    second = cluster.wait_leader()
    seen = until(lambda: (l := look())["reachable"] and l, 30, look)
    assert seen["leader"] == f"127.0.0.1:{second.port}" and second is not first
    assert [m["result"] for m in seen["masters"] if m["address"].endswith(f":{first.port}")] == ["unreachable"]
    cluster.workers[0].kill()
    until(lambda: look()["totals"]["workersAlive"] == 0 and look()["workers"][0]["state"] == "DEAD", 30, look)


@pytest.mark.every_cluster
@pytest.mark.parametrize("crypto", [False, True], ids=["sasl", "aes"])
def test_a_cluster_with_a_secret_shows_itself_to_who_knows_it(make_cluster, crypto, tmp_path):
    cluster = make_cluster(secret=SECRET, conf=AES if crypto else {}).start()
    secret, wrong = tmp_path / "secret", tmp_path / "wrong"
    for path, text in ((secret, SECRET), (wrong, "another")):
        path.write_text(text + "\n")
        path.chmod(0o600)
    assert json.loads(hearth("cluster", cluster.url, "--json", "--secret-file", str(secret)))["totals"]["workersAlive"] == 1
    for arguments in ((), ("--secret-file", str(wrong))):
        assert "secret" in hearth("cluster", cluster.url, *arguments, code=1), "it answered, so the exit code is 1"


# -- one driver for a batch, whatever breaks -------------------------------------------------------


def test_a_server_that_dies_around_its_answers_submits_each_batch_once(make_hearth, standing, tmp_path):
    chance, server = random.Random(5), make_hearth(settings(), fake_java=True).start()
    known, batches = set(standing.drivers()), []
    for number in range(6):
        batch = Counted(server, standing, tmp_path / f"b{number}", conf={"spark.cores.max": "1"})
        key = {"Idempotency-Key": f"key-{number}"}

        def post(batch=batch, key=key):
            try:
                answer = requests.post(server.url + "/batches", json=batch.body, headers=key, timeout=20, proxies={"http": ""})
                batch.first_answer = answer.json()["id"] if answer.status_code == 201 else None
            except requests.RequestException:
                batch.first_answer = None

        client = threading.Thread(target=post)
        client.start()
        time.sleep(chance.uniform(0, 0.06))
        server.restart()
        client.join()
        batch.submit(headers=key)
        assert batch.first_answer in (None, batch.id), "the same batch for the same key"
        batches.append(batch)
    for batch in batches:
        batch.wait_started()
        server.wait_state(batch.id, "running", 60)
    server.restart()
    for batch in batches:
        batch.finish()
        assert len(batch.starts()) == 1
    assert len(set(standing.drivers()) - known) == len(batches)


@pytest.mark.every_cluster
def test_a_running_driver_is_followed_again_after_kill_9(make_hearth, standing, tmp_path):
    server = make_hearth(settings(), fake_java=True).start()
    batch = Counted(server, standing, tmp_path).submit()
    driver = batch.wait_running()
    page = until(lambda: server.batch(batch.id)["appInfo"]["driverLogUrl"], 20, "the page of its output")
    server.restart()
    assert server.batch(batch.id)["state"] == "running"
    until(lambda: server.batch(batch.id)["appInfo"]["driverLogUrl"] == page, 20, "the page again")
    assert server.record(batch.id)["driver"]["id"] == driver
    assert batch.ended_once() == driver


def test_a_driver_that_waits_for_a_worker_is_followed_and_killed_after_kill_9(make_hearth, standing, tmp_path):
    server = make_hearth(settings(), fake_java=True).start()
    batch = Counted(server, standing, tmp_path, driverCores=64).submit()
    until(lambda: set(standing.drivers()) - batch.known, 30, "the driver on the master")
    driver = batch.driver()
    server.restart()
    wait_words(server, batch.id, "worker")
    assert server.batch(batch.id)["state"] == "starting" and batch.driver() == driver
    assert server.delete(f"/batches/{batch.id}").status_code == 200
    standing.wait_driver(driver, "KILLED", 30)


@pytest.mark.parametrize("code, state", [(0, "success"), (1, "dead")])
def test_an_end_that_no_server_saw_is_learnt_by_the_next(make_hearth, standing, tmp_path, code, state):
    server = make_hearth(settings(), fake_java=True).start()
    batch = Counted(server, standing, tmp_path, code).submit()
    driver = batch.wait_running()
    server.kill9()
    batch.go_file.touch()
    standing.wait_driver(driver, ("FINISHED", "FAILED"))
    server.start()
    assert server.wait_end_of(batch.id, 30)["state"] == state
    assert len(batch.starts()) == 1


@pytest.mark.parametrize("dies", [False, True], ids=["server-lives", "server-dies"])
@pytest.mark.parametrize("what", ["lose_request", "lose_answer", "keep_answer"])
def test_a_submission_that_breaks_off_ends_in_one_driver(make_hearth, standing, tmp_path, what, dies):
    relay = Relay(standing.masters[0].port, b"RequestSubmitDriver", what)
    try:
        server = make_hearth(settings(), fake_java=True).start()
        batch = Counted(server, standing, tmp_path, master=f"spark://127.0.0.1:{relay.port}").submit()
        assert relay.troubled.wait(30), "the submission did not come through the relay"
        if dies:
            server.restart()
        batch.wait_running()
        batch.ended_once()
    finally:
        relay.close()


def test_a_master_that_hangs_for_a_while_is_waited_for(make_cluster, make_hearth, tmp_path):
    cluster = make_cluster().start(cores=2, memory="2g")
    server = make_hearth(settings(), fake_java=True).start()
    batch = Counted(server, cluster, tmp_path / "first").submit()
    batch.wait_running()
    cluster.masters[0].daemon.signal(signal.SIGSTOP)
    try:
        until(lambda: "answer" in words(server, batch.id) or "reach" in words(server, batch.id), 60, lambda: server.batch(batch.id))
        assert server.batch(batch.id)["state"] == "running"
        assert server.get("/healthz").elapsed.total_seconds() < 1, "the server does not hang with it"
    finally:
        cluster.masters[0].daemon.signal(signal.SIGCONT)
    batch.ended_once()


# -- workers die -----------------------------------------------------------------------------------


@pytest.mark.every_cluster
def test_a_supervised_driver_is_followed_under_its_new_id(make_cluster, server, tmp_path):
    cluster = make_cluster().start(workers=2)
    batch = Counted(server, cluster, tmp_path, conf={"spark.driver.supervise": "true"}).submit()
    first = batch.wait_running()
    cluster.worker_of(first).kill()
    batch.wait_started(2)
    [second] = set(cluster.drivers()) - batch.known - {first}
    assert cluster.driver_state(first) in ("RELAUNCHING", None) and cluster.driver_state(second) == "RUNNING"
    until(lambda: second in (server.batch(batch.id)["appInfo"]["driverLogUrl"] or ""), 60, lambda: server.batch(batch.id))
    assert server.batch(batch.id)["state"] == "running"
    batch.finish()
    assert len(batch.starts()) == 2
    assert cluster.driver_state(second) == "FINISHED"


def test_a_supervised_driver_that_fails_is_started_again_by_its_worker(make_cluster, server, tmp_path):
    cluster = make_cluster().start()
    batch = Counted(server, cluster, tmp_path, 5, conf={"spark.driver.supervise": "true"}).submit()
    driver = batch.wait_running()
    batch.go_file.touch()
    batch.wait_started(2)
    assert server.batch(batch.id)["state"] == "running" and batch.driver() == driver
    server.post(f"/hearth/batches/{batch.id}/kill")
    server.wait_state(batch.id, "killed", 60)


def test_a_relaunch_that_no_server_saw_is_followed_by_the_next(make_cluster, make_hearth, tmp_path):
    cluster, server = make_cluster().start(workers=2), make_hearth(settings(), fake_java=True).start()
    batch = Counted(server, cluster, tmp_path, conf={"spark.driver.supervise": "true"}).submit()
    first = batch.wait_running()
    server.kill9()
    cluster.worker_of(first).kill()
    batch.wait_started(2)
    server.start()
    batch.finish()
    assert len(batch.starts()) == 2


@pytest.mark.every_cluster
def test_a_lost_worker_is_a_dead_batch_that_says_so(make_cluster, server, tmp_path):
    cluster = make_cluster().start()
    batch = Counted(server, cluster, tmp_path).submit()
    driver = batch.wait_running()
    cluster.workers[0].kill()
    ended = server.wait_end_of(batch.id, 60)
    assert ended["state"] == "dead" and cluster.driver_state(driver) == "ERROR"
    assert "lost with its worker" in ended["reason"], ended


# -- masters die -----------------------------------------------------------------------------------


def test_a_driver_is_followed_from_one_master_to_the_next(make_cluster, server, zookeeper, tmp_path):
    cluster = make_cluster(masters=2, zookeeper=zookeeper).start()
    batch = Counted(server, cluster, tmp_path).submit()
    driver = batch.wait_running()
    first = cluster.leader()
    first.kill()
    second = cluster.wait_leader()
    assert second is not first
    cluster.wait_driver(driver, "RUNNING")
    assert server.batch(batch.id)["state"] == "running"
    assert batch.ended_once() == driver


@pytest.mark.every_cluster
def test_a_submission_during_a_failover_arrives_once(make_cluster, server, zookeeper, tmp_path):
    cluster = make_cluster(masters=2, zookeeper=zookeeper).start(cores=2)
    first = cluster.leader()
    batches = [Counted(server, cluster, tmp_path / name) for name in ("before", "after")]
    batches[0].submit()
    first.kill()  # at once: it may have the driver already, or not
    batches[1].submit()
    assert {server.batch(b.id)["state"] for b in batches} <= {"starting", "running"}
    cluster.wait_leader()
    for batch in batches:
        batch.wait_started()
        server.wait_state(batch.id, "running", 60)
    for batch in batches:
        batch.finish()
        assert len(batch.starts()) == 1
    assert len(cluster.drivers()) == 2


def test_a_master_that_forgot_the_driver_is_a_clear_end(make_cluster, server, tmp_path):
    cluster = make_cluster().start()
    batch = Counted(server, cluster, tmp_path).submit()
    batch.wait_running()
    cluster.masters[0].kill()
    wait_words(server, batch.id, "reach", "refused", "closed")
    assert server.batch(batch.id)["state"] == "running", "nobody knows better"
    cluster.masters[0].start()
    ended = server.wait_end_of(batch.id, 120)
    assert ended["state"] == "dead" and "know" in ended["reason"].lower(), ended


# -- with a secret ---------------------------------------------------------------------------------

@pytest.mark.every_cluster
@pytest.mark.parametrize("crypto", [False, True], ids=["sasl", "aes"])
def test_a_cluster_with_a_secret_runs_what_brings_it(make_cluster, server, crypto):
    cluster = make_cluster(secret=SECRET, conf=AES if crypto else {}).start(cores=2, memory="2g")
    made = server.submit(body(cluster.url, program("cluster_job.py"),
                              conf={"spark.authenticate.secret": SECRET, **(AES if crypto else {})}))
    ended = server.wait_end_of(made["id"], PATIENT)
    [driver] = cluster.drivers()
    assert ended["state"] == "success", (ended, cluster.output(driver, "stderr")[-3000:])
    assert said(cluster.output(driver), "SUM") == "45"
    assert SECRET not in cluster.output(driver, "stderr"), "the worker writes the whole command there"


def test_a_wrong_secret_or_none_is_called_so(make_cluster, server, tmp_path):
    cluster = make_cluster(secret=SECRET).start()
    for name, conf in {"wrong": {"spark.authenticate": "true", "spark.authenticate.secret": "another"}, "none": {}}.items():
        batch = Counted(server, cluster, tmp_path / name, conf=conf).submit()
        wait_words(server, batch.id, "secret", "authenticat")
        assert "another" not in words(server, batch.id)
        server.delete(f"/batches/{batch.id}")
    assert cluster.drivers() == {}


def test_the_secret_of_a_watched_cluster_comes_from_the_file(make_cluster, make_hearth, tmp_path):
    cluster = make_cluster(secret=SECRET).start(cores=2, memory="2g")
    secrets = tmp_path / "secrets"
    secrets.write_text(f"main:{SECRET}\n")
    secrets.chmod(0o600)
    server = make_hearth(settings(**{"clusters.watch": f"main={cluster.url}", "clusters.secrets_file": str(secrets)}), fake_java=True).start()
    made = server.submit(body(cluster.url, program("cluster_job.py")))
    ended = server.wait_end_of(made["id"], PATIENT)
    [driver] = cluster.drivers()
    assert ended["state"] == "success", (ended, cluster.output(driver, "stderr")[-3000:])
    assert SECRET not in json.dumps(server.record(made["id"]), ensure_ascii=False)


# -- over the REST submission server ---------------------------------------------------------------


@pytest.mark.every_cluster
def test_over_rest_when_it_is_configured(make_cluster, make_hearth, tmp_path):
    cluster = make_cluster(rest=True).start(cores=2, memory="2g")
    relay = Relay(cluster.masters[0].port, b"RequestSubmitDriver", "lose_answer")
    server = make_hearth(settings(**{"clusters.submission": "rest", "clusters.rest_port": str(cluster.masters[0].rest_port)}), fake_java=True).start()
    try:
        batch = Counted(server, cluster, tmp_path, "0", master=f"spark://127.0.0.1:{relay.port}").submit()
        driver = batch.wait_running()
        server.restart()
        assert batch.ended_once() == driver
        assert not relay.troubled.is_set(), "submitted over RPC"
        made = server.submit(body(cluster.url, program("cluster_job.py"), *ARGUMENTS))
        ended = server.wait_end_of(made["id"], PATIENT)
        [job] = set(cluster.drivers()) - {driver}
        assert ended["state"] == "success", (ended, cluster.output(job)[-3000:], cluster.output(job, "stderr")[-3000:])
        assert json.loads(said(cluster.output(job), "ARGS")) == ARGUMENTS
    finally:
        relay.close()


def test_over_rest_when_rpc_is_refused(make_cluster, make_hearth, tmp_path):
    cluster = make_cluster(rest=True).start()
    server = make_hearth(settings(**{"clusters.rest_port": str(cluster.masters[0].rest_port)}), fake_java=True).start()
    batch = Counted(server, cluster, tmp_path, master=f"spark://127.0.0.1:{free_port()}").submit()
    driver = batch.wait_running()
    server.restart()
    assert server.batch(batch.id)["state"] == "running"
    assert batch.ended_once() == driver


def test_a_kill_over_rest(make_cluster, make_hearth, tmp_path):
    cluster = make_cluster(rest=True).start()
    server = make_hearth(settings(**{"clusters.submission": "rest", "clusters.rest_port": str(cluster.masters[0].rest_port)}), fake_java=True).start()
    batch = Counted(server, cluster, tmp_path).submit()
    driver = batch.wait_running()
    server.post(f"/hearth/batches/{batch.id}/kill")
    server.wait_state(batch.id, "killed", 60)
    assert cluster.driver_state(driver) == "KILLED"


def test_rest_that_is_off_says_so(make_cluster, make_hearth, tmp_path):
    cluster = make_cluster(rest=False).start()
    server = make_hearth(settings(**{"clusters.submission": "rest"}), fake_java=True).start()
    batch = Counted(server, cluster, tmp_path).submit()
    wait_words(server, batch.id, "rest")
    assert cluster.drivers() == {}
