"""Standalone clusters as the server watches them and as `hearth cluster` shows them: real ones, and what pretends to be one."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from cluster import Cluster
from harness import BINARY, PATIENCE, SANITIZED, free_port, resident_bytes, until

pytestmark = pytest.mark.spark


def hearth(*words, server=None, timeout=60):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HEARTH_")}
    env["HEARTH_URL"] = server.url if server else "http://127.0.0.1:1"
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, env=env, timeout=timeout * PATIENCE,
                          stdin=subprocess.DEVNULL)


def shown(url, *more):
    """What `hearth cluster URL --json` prints of a cluster that is reachable."""
    answer = hearth("cluster", url, "--json", *more)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def watched(server, name):
    answer = server.get(f"/hearth/clusters/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_watched(server, name, condition, timeout=60):
    def arrived():
        cluster = watched(server, name)
        return condition(cluster) and cluster

    return until(arrived, timeout, lambda: watched(server, name))


@contextlib.contextmanager
def watching(url):
    """What `hearth cluster URL --watch` prints, look by look."""
    process = subprocess.Popen([BINARY, "cluster", url, "--json", "--watch=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, text=True)
    try:
        yield map(json.loads, process.stdout)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory, cluster_home):
    """A real cluster for all tests of the module; its workers and its master come and go."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), cluster_home)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


@pytest.fixture
def watch(make_hearth):
    """watch({name: url}, period=…) starts a server that watches these."""

    def start(clusters, period="200ms", **settings):
        listed = " ".join(f"{name}={url}" for name, url in clusters.items())
        return make_hearth({"clusters.watch": listed, "clusters.period": period, **settings}, fake_java=True).start()

    return start


# ---- real ones ----------------------------------------------------------------------------------


@pytest.mark.every_cluster
def test_a_cluster_is_shown_as_a_table_and_as_json(live):
    answer = hearth("cluster", live.url)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    lines = answer.stdout.splitlines()
    assert lines[0].startswith(f"{live.url}  ALIVE  Spark ")
    assert ["workers", "1/1"] in [line.split() for line in lines]
    assert ["cores", "0/1"] in [line.split() for line in lines]
    row = next(line.split() for line in lines if line.startswith(f"127.0.0.1:{live.workers[0].port}"))
    assert row[1:3] == ["ALIVE", "0/1"]

    cluster = shown(live.url)
    assert cluster["reachable"] and cluster["trouble"] is None and cluster["leader"] == live.url.removeprefix("spark://")
    assert cluster["masters"] == [{"address": cluster["leader"], "status": "ALIVE", "trouble": None, "result": None}]
    assert cluster["webUi"] == live.page and cluster["webUiTrouble"] is None
    assert cluster["totals"]["workersAlive"] == 1 and cluster["totals"]["memory"] == 1 << 30
    worker, page = cluster["workers"][0], live.state()["workers"][0]
    assert (worker["id"], worker["port"], worker["webUi"]) == (page["id"], live.workers[0].port, page["webuiaddress"])
    assert worker["lastHeartbeat"] is not None
    assert live.spark_home.name and cluster["sparkVersion"]


@pytest.mark.every_cluster
def test_a_watched_cluster_is_listed_and_shown_by_name(live, watch):
    server = watch({"main": live.url})
    cluster = wait_watched(server, "main", lambda c: c["reachable"])
    direct = shown(live.url)
    assert set(cluster) == set(direct)
    assert [w["id"] for w in cluster["workers"]] == [w["id"] for w in direct["workers"]]
    (listed,) = server.get("/hearth/clusters").json()["clusters"]
    assert set(cluster) - set(listed) == {"workers", "applications", "drivers"}
    assert hearth("cluster", "main", server=server).stdout.startswith(f"main  {live.url}  ALIVE")
    assert "main" in hearth("cluster", server=server).stdout
    before = watched(server, "main")["checkedAt"]
    wait_watched(server, "main", lambda c: c["checkedAt"] > before and c["ageMs"] < 5000)


def launch_driver(cluster):
    """Submits a program that waits for ever, with Spark's own client; its driver's id."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "HEARTH_"))}
    # Any free port, told to the client and, since it sends its environment, to the driver, too.
    environment.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_SUBMIT_OPTS="-Dspark.shuffle.service.port=0",
                       JAVA_TOOL_OPTIONS="-Dspark.shuffle.service.port=0")
    before = set(cluster.drivers())
    jar = next((cluster.spark_home / "jars").glob("commons-lang3-*.jar"))
    subprocess.run([cluster.spark_home / "bin" / "spark-class", "org.apache.spark.deploy.Client", "--memory", "256m", "launch",
                    cluster.url, f"file://{jar}", "org.apache.spark.deploy.ExternalShuffleService"],
                   env=environment, capture_output=True, timeout=120 * PATIENCE, check=False, stdin=subprocess.DEVNULL)
    (driver,) = until(lambda: set(cluster.drivers()) - before, 60, cluster.log)
    return driver


@pytest.mark.every_cluster
def test_drivers_are_shown_and_killed(live, watch):
    server = watch({"main": live.url}, period="1h")
    wait_watched(server, "main", lambda c: c["reachable"])
    running, waiting = launch_driver(live), launch_driver(live)
    live.wait_driver(running, "RUNNING")
    drivers = {d["id"]: d for d in shown(live.url)["drivers"]}
    assert drivers[running]["state"] == "RUNNING"
    assert drivers[running]["worker"] == f"127.0.0.1:{live.workers[0].port}"
    assert drivers[running]["mainClass"] == "org.apache.spark.deploy.ExternalShuffleService"
    assert drivers[running]["memory"] == 256 << 20
    assert (drivers[waiting]["state"], drivers[waiting]["worker"]) == ("SUBMITTED", None)
    assert "shuffle.service.port" not in hearth("cluster", live.url, "--json").stdout, "Java options are not shown"

    answer = hearth("cluster", "kill", waiting, "--cluster", "main", server=server)
    assert (answer.returncode, answer.stdout) == (0, f"driver {waiting}: KILLED\n"), answer.stderr
    answer = hearth("cluster", "kill", running, "--master", live.url)
    assert (answer.returncode, answer.stdout) == (0, f"driver {running}: KILLED\n"), answer.stderr
    live.wait_driver(running, "KILLED")
    answer = hearth("cluster", "kill", running, "--master", live.url)
    assert (answer.returncode, answer.stdout) == (0, f"driver {running} is already KILLED\n")
    assert server.post(f"/hearth/clusters/main/drivers/{running}/kill").json() == {"msg": f"driver {running} is already KILLED"}

    answer = hearth("cluster", "kill", "driver-0", "--master", live.url)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "knows no driver 'driver-0'" in answer.stderr
    answer = server.post("/hearth/clusters/main/drivers/driver-0/kill")
    assert answer.status_code == 404 and "knows no driver 'driver-0'" in answer.json()["msg"]


@pytest.mark.every_cluster
def test_a_lost_worker_is_dead(live, watch):
    server = watch({"main": live.url})
    worker = live.add_worker()
    live.wait_workers(2)
    wait_watched(server, "main", lambda c: c["totals"]["workersAlive"] == 2)
    worker.kill()
    cluster = wait_watched(server, "main", lambda c: c["totals"]["workersAlive"] == 1)
    states = {w["port"]: w["state"] for w in cluster["workers"]}
    assert states[worker.port] == "DEAD" and states[live.workers[0].port] == "ALIVE"
    assert cluster["totals"]["workers"] == len(states) and cluster["totals"]["cores"] == 1


def lose_and_find_master(live, server):
    last = wait_watched(server, "main", lambda c: c["reachable"])
    live.masters[0].kill()
    lost = wait_watched(server, "main", lambda c: not c["reachable"])
    assert "cannot be reached" in lost["trouble"] or "closed" in lost["trouble"], lost["trouble"]
    assert lost["leader"] is None and lost["masters"][0]["status"] is None
    assert lost["stateAt"] >= last["stateAt"] and [w["id"] for w in lost["workers"]] == [w["id"] for w in last["workers"]]
    wait_watched(server, "main", lambda c: c["ageMs"] > lost["ageMs"])
    answer = hearth("cluster", "main", server=server)
    assert answer.returncode == 1 and "UNREACHABLE" in answer.stdout and "last state" in answer.stdout
    answer = hearth("cluster", live.url)
    assert answer.returncode == 3 and answer.stderr.startswith("hearth cluster: 127.0.0.1:")
    answer = server.post("/hearth/clusters/main/drivers/driver-0/kill")
    assert answer.status_code == 503 and "cannot be reached" in answer.json()["msg"]

    live.masters[0].start()
    wait_watched(server, "main", lambda c: c["reachable"] and c["totals"]["workersAlive"] == 1, 120)
    assert "a cluster cannot be reached" in server.stderr() and "a cluster is reached" in server.stderr()


@pytest.mark.every_cluster
def test_a_master_that_was_away_is_found_again(live, watch):
    server = watch({"main": live.url})
    with watching(live.url) as looks:
        assert next(looks)["reachable"]
        lose_and_find_master(live, server)
        assert next(look for look in looks if look["reachable"] and look["totals"]["workersAlive"] == 1)


def test_a_cluster_with_a_secret(tmp_path, cluster_home, watch):
    secret = tmp_path / "secret"
    secret.write_text("the cluster's own\n")
    secret.chmod(0o600)
    secrets = tmp_path / "secrets"
    secrets.write_text("main:the cluster's own\nwrong:another\n")
    secrets.chmod(0o600)
    cluster = Cluster(tmp_path / "cluster", cluster_home, secret="the cluster's own")
    try:
        cluster.start()
        server = watch({"main": cluster.url, "wrong": cluster.url, "none": cluster.url}, **{"clusters.secrets_file": str(secrets)})
        assert shown(cluster.url, "--secret-file", secret)["totals"]["workersAlive"] == 1
        answer = hearth("cluster", cluster.url)
        assert answer.returncode == 1 and "secret" in answer.stderr
        wait_watched(server, "main", lambda c: c["reachable"])
        for name in "wrong", "none":
            lost = wait_watched(server, name, lambda c: c["checkedAt"])
            assert not lost["reachable"] and lost["masters"][0]["result"] == "unauthorized", lost
    finally:
        cluster.kill()
    secret.chmod(0o644)
    answer = hearth("cluster", cluster.url, "--secret-file", secret)
    assert answer.returncode == 2 and "chmod 600" in answer.stderr


# ---- what pretends to be a master ---------------------------------------------------------------


class Stub:
    """A port of this machine; `behave` has each connection."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"spark://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            self.behave(connection)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def silence(connection):
    while connection.recv(65536):
        pass


def garbage(connection):
    connection.sendall(os.urandom(4096))
    silence(connection)


def close_at_once(connection):
    connection.recv(65536)


def close_in_the_middle(connection):
    connection.recv(65536)
    connection.sendall(bytes.fromhex("0000000000000400" "04" "0000000000000001" "00000100" "aced0005"))


def two_gigabytes(connection):
    """Announces a frame of 2 GB and sends of it what anybody takes."""
    connection.recv(65536)
    connection.sendall((1 << 31).to_bytes(8, "big") + b"\x04" + (1).to_bytes(8, "big"))
    while True:
        connection.sendall(bytes(1 << 16))


def trickle(connection):
    """A frame within the limit that never ends."""
    connection.recv(65536)
    connection.sendall((1 << 25).to_bytes(8, "big") + b"\x04" + (1).to_bytes(8, "big"))
    while True:
        connection.sendall(b"\0")
        time.sleep(0.05)


def speak_http(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


HOSTILE = [silence, garbage, close_at_once, close_in_the_middle, two_gigabytes, trickle, speak_http]


@pytest.mark.parametrize("behave", HOSTILE)
def test_what_is_no_master_is_told_in_time(behave):
    stub = Stub(behave)
    try:
        began = time.monotonic()
        answer = hearth("cluster", stub.url, "--timeout", 2)
        took = time.monotonic() - began
    finally:
        stub.close()
    assert took < 4 * PATIENCE, "within its time and a bit"
    assert answer.returncode == (3 if behave in (silence, trickle) else 1), answer
    assert answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"hearth cluster: 127.0.0.1:{stub.port} "), line


def test_a_closed_port_is_told_with_its_reason():
    port = free_port()
    answer = hearth("cluster", f"spark://127.0.0.1:{port}")
    assert answer.returncode == 3
    assert answer.stderr == f"hearth cluster: 127.0.0.1:{port} cannot be reached (connection refused)\n"
    answer = hearth("cluster", f"spark://127.0.0.1:{port}", "--json")
    assert answer.returncode == 3 and json.loads(answer.stdout)["masters"][0]["result"] == "unreachable"


def test_hostile_masters_do_not_touch_a_good_one(live, watch):
    stubs = {behave.__name__: Stub(behave) for behave in HOSTILE}
    server = watch({"good": live.url, "closed": f"spark://127.0.0.1:{free_port()}",
                    **{name: stub.url for name, stub in stubs.items()}}, period="300ms")
    try:
        wait_watched(server, "good", lambda c: c["reachable"])
        for name in stubs:
            lost = wait_watched(server, name, lambda c: c["checkedAt"])
            assert not lost["reachable"] and str(stubs[name].port) in lost["trouble"], lost
        worst = 0
        for _ in range(20):
            before = watched(server, "good")["checkedAt"]
            worst = max(worst, wait_watched(server, "good", lambda c: c["checkedAt"] > before, 10)["ageMs"])
        assert worst < 3000 * PATIENCE, "it is looked at as often as without them"
        assert watched(server, "good")["reachable"]
        assert resident_bytes(server.pid) < (500 if SANITIZED else 200) << 20
    finally:
        for stub in stubs.values():
            stub.close()


# ---- the door and the command line --------------------------------------------------------------


def test_a_name_that_is_not_watched_is_404(watch):
    server = watch({"main": f"spark://127.0.0.1:{free_port()}"})
    for answer in server.get("/hearth/clusters/nix"), server.post("/hearth/clusters/nix/drivers/d/kill"):
        assert answer.status_code == 404 and "'nix'" in answer.json()["msg"]
    answer = hearth("cluster", "nix", server=server)
    assert answer.returncode == 1 and "'nix'" in answer.stderr


def test_killing_drivers_needs_the_right_to_change_everything(watch):
    server = watch({"main": f"spark://127.0.0.1:{free_port()}"},
                   **{"auth.type": "simple", "auth.access_control": "true", "auth.modify_users": "mod", "auth.superusers": "root",
                      "auth.impersonation": "true"})
    kill = "/hearth/clusters/main/drivers/d/kill"
    assert server.get("/hearth/clusters").status_code == 401
    assert server.get("/hearth/clusters?user.name=alice").status_code == 200
    assert server.post(f"{kill}?user.name=alice").status_code == 403
    assert server.post(f"{kill}?user.name=alice&doAs=mod").status_code == 403
    assert server.post(f"{kill}?user.name=root&doAs=alice").status_code == 403
    for user in "mod", "root":
        assert server.post(f"{kill}?user.name={user}").status_code == 503, "allowed, but nobody is there"
    server.http.params = {"user.name": "root"}  # for the looking after the test


@pytest.mark.parametrize("setting, words", [
    ("spark://a:7077", "has no name"),
    ("a=http://a:7077", "clusters.watch: a:"),
    ("a=spark://a:7077 a=spark://b:7077", "'a' is there twice"),
    ("a=spark://a:7077@never", "period"),
])
def test_a_wrong_entry_keeps_the_server_from_starting(make_hearth, setting, words):
    server = make_hearth({"clusters.watch": setting}, fake_java=True).launch()
    assert server.wait_end() == 1
    assert words in server.stderr()


@pytest.mark.parametrize("words, said", [
    (["spark://a:7077", "--watch=0"], "--watch"),
    (["spark://a:7077", "--timeout", "soon"], "--timeout"),
    (["main", "--secret-file", "x"], "--secret-file"),
    (["spark://a:x"], "spark://"),
    (["http://a:7077"], "spark://"),
    (["kill", "driver-1"], "--master"),
    (["kill", "driver-1", "--master", "spark://a", "--cluster", "b"], "either"),
    (["kill", "--master", "spark://a"], "missing"),
])
def test_wrong_command_lines_do_nothing(words, said):
    answer = hearth("cluster", *words)
    assert answer.returncode == 2 and said in answer.stderr, answer


def test_watching_prints_one_object_per_line(live):
    with watching(live.url) as looks:
        seen = [next(looks) for _ in range(3)]
    assert all(c["reachable"] for c in seen) and len({c["checkedAt"] for c in seen}) == 3
