"""Discovery: offers over HTTP, by server-sent events and as files, and what outlives a kill."""

import contextlib
import datetime
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

import wire
from harness import BINARY, FAKE_JAVA_HOME, PATIENCE, until
from test_access import ON, Closed
from test_store import fill, small_disk  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent.parent
EMPTY = {"states": [], "joined": 0, "spark_started": None, "connection_string": None, "master": None,
         "rest_port": None, "private_address": None, "provider": None, "units": {}}


class Offer:
    """One offer of a server, by the requests of the door."""

    def __init__(self, server, name="main"):
        self.server, self.name, self.path = server, name, f"/v1/discovery/{name}"

    def put(self, unit, **values):
        return self.server.request("PUT", f"{self.path}/units/{unit}", json=values)

    def beat(self, unit):
        return self.server.post(f"{self.path}/units/{unit}/heartbeat")

    def leave(self, unit):
        return self.server.delete(f"{self.path}/units/{unit}")

    def get(self, **more):
        return self.server.get(self.path, **more)

    def json(self):
        answer = self.get()
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def file(self, ending="json"):
        return self.server.state_dir / "discovery" / f"{self.name}.{ending}"


class Events:
    """Reads an offer's events on a thread of its own; on_event sees each as it comes."""

    def __init__(self, offer, on_event=None, last=None):
        self.events, self.comments, self.ended, self.on_event = [], [], threading.Event(), on_event
        headers = {"Last-Event-ID": str(last)} if last is not None else {}
        self.socket = wire.connect(offer.server, 120)
        self.socket.sendall(wire.request("GET", f"{offer.path}/events", **headers))
        self.stream = self.socket.makefile("rb")
        self.status = int(self.stream.readline().split()[1])
        self.headers = {}
        while (line := self.stream.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def lines(self):
        rest = b""
        while size := int(self.stream.readline() or b"0", 16):
            rest += self.stream.read(size)
            self.stream.readline()
            *whole, rest = rest.split(b"\n")
            yield from (line.decode() for line in whole)

    def read(self):
        event = {}
        with contextlib.suppress(OSError, ValueError):
            for line in self.lines():
                if line == "" and event:
                    one = (int(event["id"]), event["event"], json.loads(event["data"]))
                    if self.on_event:
                        self.on_event(*one)
                    self.events.append(one)
                    event = {}
                elif line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    field, _, value = line.partition(":")
                    assert field not in event, "data is one line"
                    event[field] = value.removeprefix(" ")
        self.ended.set()

    def told(self):
        """[(version, kind), …]"""
        return [(version, kind) for version, kind, _ in list(self.events)]

    def wait(self, expected, timeout=20):
        until(lambda: self.told() == expected, timeout, lambda: f"events {expected}; there were {self.told()}")

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.stream.close()
        self.socket.close()


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# -- the example ----------------------------------------------------------------------------------------


def test_the_example_of_the_documentation(plain):
    main = Offer(plain)
    first = main.put("p0", private_address="10.0.0.1")
    assert (first.status_code, first.json()["version"], first.json()["states"]) == (201, 1, ["joined"])
    events = Events(main)
    second = main.put("p0", connection_string="spark://10.0.0.1:7077", master="10.0.0.1")
    assert (second.status_code, second.json()["version"], second.json()["states"]) == (200, 2, ["joined", "master"])
    third = main.put("p0", spark_started=True, rest_port=6066)
    assert (third.status_code, third.json()["version"]) == (200, 3)
    assert third.json()["states"] == ["joined", "master", "ready"]
    answers = []
    held = threading.Thread(target=lambda: answers.append(
        requests.get(plain.url + main.path, params={"wait": 30, "since": 3}, proxies={"http": ""})))
    held.start()
    time.sleep(0.5)  # not awaited: that nothing comes takes time
    assert answers == []
    fourth = main.put("p0", spark_started=False)
    assert (fourth.status_code, fourth.json()["version"]) == (200, 4)
    held.join(20 * PATIENCE)
    assert (answers[0].status_code, answers[0].json()) == (200, fourth.json())
    gone = main.leave("p0")
    assert (gone.status_code, gone.text) == (204, "")
    events.wait([(1, "changed"), (2, "changed"), (3, "changed"), (4, "changed"), (5, "departed"), (5, "broken")])
    assert (main.json()["version"], main.json()["states"]) == (5, [])
    departed, broken = events.events[-2][2], events.events[-1][2]
    assert (departed.pop("unit"), departed.pop("reason")) == ("p0", "left")
    assert departed == broken == main.json()
    events.close()


def test_the_object_has_the_documented_fields(plain):
    main = Offer(plain)
    values = {"spark_started": True, "connection_string": "spark://10.0.0.1:7077", "master": "10.0.0.1",
              "rest_port": 6066, "private_address": "10.0.0.1"}
    before = time.time()
    answer = main.put("p0", **values)
    offer = answer.json()
    assert list(offer) == ["name", "version", "joined", "states", "spark_started", "connection_string", "master",
                           "rest_port", "private_address", "provider", "updated", "units"]
    assert {key: offer[key] for key in values} == values
    assert (offer["name"], offer["version"], offer["joined"], offer["provider"]) == ("main", 1, 1, "p0")
    unit = offer["units"]["p0"]
    assert {key: unit[key] for key in values} == values and set(unit) == {*values, "expires"}
    assert before - 1 < time_of(offer["updated"]) < time.time() + 1
    assert abs(time_of(unit["expires"]) - time_of(offer["updated"]) - 90) < 0.01
    assert answer.headers["ETag"] == '"1"'
    assert main.json() == offer
    assert plain.get("/v1/discovery").json() == {"offers": [offer]}


def test_values_come_from_one_unit(plain):
    main = Offer(plain)
    main.put("p0", connection_string="spark://zero", master="zero", spark_started=False, rest_port=1)
    offer = main.put("p1", connection_string="spark://one", spark_started=True).json()
    assert (offer["provider"], offer["connection_string"], offer["master"], offer["rest_port"]) == \
        ("p1", "spark://one", None, None)
    assert (offer["joined"], offer["states"], list(offer["units"])) == (2, ["joined", "ready"], ["p0", "p1"])
    offer = main.put("p0", spark_started="TRUE").json()
    assert (offer["provider"], offer["states"]) == ("p0", ["joined", "master", "ready"])


# -- asking ---------------------------------------------------------------------------------------------


def test_what_is_not_known_is_404(plain):
    nobody = Offer(plain, "x")
    assert (nobody.get().status_code, nobody.get().json()) == (404, {"error": "offer 'x' is not known"})
    for answer in (nobody.beat("p0"), nobody.leave("p0")):
        assert (answer.status_code, answer.json()) == (404, {"error": "offer 'x' is not known"})
    nobody.put("p0")
    for answer in (nobody.beat("p1"), nobody.leave("p1")):
        assert answer.status_code == 404 and "unit 'p1' of offer 'x' is not known" in answer.json()["error"]
    assert plain.get("/v1/discovery").json()["offers"][0]["version"] == 1


def test_a_client_that_has_the_version_gets_304(plain):
    main = Offer(plain)
    main.put("p0")
    main.put("p0", master="a")
    for tags, status in (('"2"', 304), ('W/"2"', 304), ('"1", "2"', 304), ("*", 304), ('"1"', 200), ('"22"', 200),
                         ("2", 200), ("", 200)):
        answer = main.get(headers={"If-None-Match": tags})
        assert (answer.status_code, answer.headers["ETag"]) == (status, '"2"'), tags
        assert (answer.content == b"") == (status == 304)


def test_a_held_request_ends_with_its_time(plain):
    main = Offer(plain)
    main.put("p0")
    began = time.monotonic()
    answer = main.get(params={"wait": 1, "since": 1})
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert time.monotonic() - began >= 0.95
    assert main.get(params={"wait": 1, "since": 1}, headers={"If-None-Match": '"1"'}).status_code == 304
    began = time.monotonic()
    assert main.get(params={"wait": 60, "since": 0}).json()["version"] == 1
    assert main.get(params={"wait": 0, "since": 1}).json()["version"] == 1
    assert time.monotonic() - began < 20 * PATIENCE


def test_one_can_wait_for_an_offer_that_nobody_has_joined(plain):
    later = Offer(plain, "later")
    assert later.get(params={"wait": 1, "since": 0}).status_code == 404
    answers = []
    held = [threading.Thread(target=lambda: answers.append(
        requests.get(plain.url + later.path, params={"wait": 60, "since": 0}, proxies={"http": ""}))) for _ in range(8)]
    events = Events(later)
    assert (events.status, events.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
    for thread in held:
        thread.start()
    time.sleep(0.3)  # so that they are held; if not, the test passes anyway
    assert plain.get("/v1/discovery").json() == {"offers": []}
    later.put("p0", master="m")
    for thread in held:
        thread.join(20 * PATIENCE)
    assert [a.json()["version"] for a in answers] == [1] * 8
    events.wait([(1, "joined")])
    events.close()


@pytest.mark.parametrize("query, words", [
    ("wait=61&since=0", "wait"), ("wait=-1&since=0", "wait"), ("wait=x&since=0", "wait"), ("wait=5&since=x", "since"),
    ("wait=5", "since is missing"), ("since=5", "wait is missing"), ("wait=5&since=99999999999999999999", "since")])
def test_wrong_questions_are_told(shared, query, words):
    answer = shared.get(f"/v1/discovery/asked?{query}")
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text


def test_a_server_that_stops_answers_those_who_wait(make_hearth):
    server = make_hearth(fake_java=True).start()
    main = Offer(server)
    main.put("p0")
    events = Events(main)
    events.wait([(1, "changed")])
    answers = []
    held = threading.Thread(target=lambda: answers.append(
        requests.get(server.url + main.path, params={"wait": 60, "since": 1}, proxies={"http": ""})))
    held.start()
    time.sleep(0.3)
    server.stop()
    held.join(20 * PATIENCE)
    assert [(a.status_code, a.json()["version"]) for a in answers] == [(200, 1)]
    assert events.ended.wait(20 * PATIENCE)
    events.close()


def test_the_example_that_waits(plain):
    later = Offer(plain, "later")
    waiting = subprocess.Popen([sys.executable, ROOT / "examples" / "wait_for_spark.py", "later"], stdout=subprocess.PIPE,
                               text=True, env={**os.environ, "HEARTH_URL": plain.url, "no_proxy": "*"})
    later.put("p0", connection_string="spark://a:7077", master="a")
    later.put("p0", spark_started=True)
    assert waiting.communicate(timeout=60 * PATIENCE)[0] == "spark://a:7077\n"
    assert waiting.returncode == 0


# -- leases ---------------------------------------------------------------------------------------------


def test_what_changes_nothing_renews_the_lease_and_no_version(plain):
    main = Offer(plain)
    first = main.put("p0", master="a", ttl=100).json()
    events = Events(main)
    events.wait([(1, "changed")])
    until(lambda: time.time() > time_of(first["updated"]) + 0.05, 5, "a moment to pass")
    same = main.put("p0", master="a")
    assert (same.status_code, same.json()["version"], same.json()["updated"]) == (200, 1, first["updated"])
    assert time_of(same.json()["units"]["p0"]["expires"]) > time_of(first["units"]["p0"]["expires"])
    beat = main.beat("p0")
    assert (beat.status_code, beat.text) == (204, "")
    now = main.json()
    assert (now["version"], now["updated"]) == (1, first["updated"])
    assert time_of(now["units"]["p0"]["expires"]) >= time_of(same.json()["units"]["p0"]["expires"])
    assert json.loads(main.file().read_text()) == now, "the file tells of the lease, too"
    main.put("p0", master="b")
    events.wait([(1, "changed"), (2, "changed")])
    events.close()


def test_a_lease_that_runs_out(plain):
    main = Offer(plain)
    main.put("p1", master="kept", ttl=3600)
    main.put("p0", connection_string="c", master="m", spark_started=True, ttl=5)
    events = Events(main)
    events.wait([(2, "changed")])
    joined = time.monotonic()
    events.wait([(2, "changed"), (3, "departed")], 30)
    assert time.monotonic() - joined > 4
    data = events.events[-1][2]
    assert (data["unit"], data["reason"], data["states"], data["provider"]) == ("p0", "expired", ["joined"], "p1")
    assert main.beat("p0").status_code == 404 and "join again" in main.beat("p0").json()["error"]
    main.put("p1", ttl=5)
    events.wait([(2, "changed"), (3, "departed"), (4, "departed"), (4, "broken")], 30)
    assert main.json() == {**EMPTY, "name": "main", "version": 4, "updated": main.json()["updated"]}
    assert main.file("env").read_text() == "SPARK_STARTED=false\nSPARK_DISCOVERY_VERSION=4\n"
    events.close()


def test_heartbeats_keep_a_unit(plain):
    main = Offer(plain)
    main.put("p0", ttl=5)
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        assert main.beat("p0").status_code == 204
        time.sleep(0.5)  # the pace of a client
    assert main.json()["version"] == 1


# -- events ---------------------------------------------------------------------------------------------


def test_what_a_client_gets_when_it_connects(plain):
    main = Offer(plain)
    main.put("p0")
    main.put("p0", master="a")
    begun = {last: Events(main, last=last) for last in (None, 0, 1, 2, 3, "x", -1)}
    main.put("p0", master="b")
    for last, events in begun.items():
        events.wait([(3, "changed")] if last == 2 else [(2, "changed"), (3, "changed")])
        events.close()
    main.leave("p0")
    begun = {last: Events(main, last=last) for last in (None, 3, 4)}
    main.put("p0")
    for last, events in begun.items():
        events.wait([(4, "broken"), (5, "joined")] if last == 3 else [(5, "joined")])
        events.close()


def test_kinds_of_events(plain):
    main = Offer(plain)
    events = Events(main)
    main.put("p0")
    main.put("p1")
    main.put("p1", spark_started=True)
    main.leave("p0")
    main.leave("p1")
    main.put("p1")
    events.wait([(1, "joined"), (2, "changed"), (3, "changed"), (4, "departed"), (5, "departed"), (5, "broken"),
                 (6, "joined")])
    for version, kind, data in events.events:
        assert data["version"] == version
        assert ("unit" in data) == ("reason" in data) == (kind == "departed")
    events.close()


def test_who_gets_an_event_finds_the_file_as_new(plain):
    main = Offer(plain)
    old = []

    def look(version, kind, data):
        file = json.loads(main.file().read_text())
        env = main.file("env").read_text()
        if file["version"] < version or int(env.rpartition("=")[2]) < version:
            old.append((version, file["version"], env))

    events = Events(main, look)
    for i in range(60):
        main.put("p0", master=f"m{i}")
    until(lambda: len(events.events) == 60, 30, lambda: f"60 events, not {len(events.events)}")
    assert old == []
    assert [version for version, _ in events.told()] == list(range(1, 61))
    events.close()


def test_silence_carries_comments(plain):
    events = Events(Offer(plain))
    until(lambda: events.comments, 40, "a comment")
    assert set(events.comments) == {": keep-alive"} and events.events == []
    events.close()


def test_concurrent_changes_each_have_a_version_of_their_own(plain):
    main = Offer(plain)
    events = Events(main)
    versions = []

    def change(unit):
        with requests.Session() as session:
            session.trust_env = False
            for i in range(25):
                answer = session.put(f"{plain.url}{main.path}/units/{unit}", json={"master": f"{unit}-{i}"})
                versions.append(answer.json()["version"])

    threads = [threading.Thread(target=change, args=(f"p{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, 201))
    until(lambda: len(events.events) == 200, 30, lambda: f"200 events, not {len(events.events)}")
    assert [version for version, _ in events.told()] == list(range(1, 201))
    events.close()


def test_a_client_that_is_too_far_behind_is_let_go(plain):
    main = Offer(plain)
    long = "x" * 250
    main.put("p0", private_address=long, connection_string="y" * 2000)
    healthy = Events(main)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect(("127.0.0.1", plain.port))
    stuck.sendall(wire.request("GET", f"{main.path}/events"))
    with requests.Session() as session:
        session.trust_env = False
        for i in range(1600):
            answer = session.put(f"{plain.url}{main.path}/units/p0", json={"master": f"m{i}"})
            assert answer.status_code == 200
    assert main.json()["version"] == 1601
    until(lambda: len(healthy.events) == 1601, 60, lambda: f"1601 events, not {len(healthy.events)}")
    stuck.settimeout(30)
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := stuck.recv(65536):
            got += piece
    assert b"event: changed" in got and b'"version":1601' not in got, "it was cut off"
    stuck.close()
    again = Events(main, last=5)
    again.wait([(1601, "changed")])
    again.close()
    healthy.close()


# -- files ----------------------------------------------------------------------------------------------


def test_files_are_what_the_documentation_says(plain):
    main = Offer(plain)
    offer = main.put("p0", connection_string="spark://10.0.0.1:7077", master="10.0.0.1", rest_port="6066",
                     spark_started=True).json()
    text = main.file().read_text()
    assert json.loads(text) == offer and text.endswith("}\n") and text.count("\n") == 1
    assert main.file("env").read_text() == (
        "SPARK_STARTED=true\nSPARK_MASTER_URL=spark://10.0.0.1:7077\nSPARK_MASTER_IP=10.0.0.1\n"
        "SPARK_REST_PORT=6066\nSPARK_DISCOVERY_VERSION=1\n")
    for file in (main.file(), main.file("env")):
        assert file.stat().st_mode & 0o7777 == 0o644
    assert sorted(os.listdir(main.file().parent)) == ["main.env", "main.json"]


def test_a_shell_reads_the_file_whatever_the_values_are(plain, tmp_path):
    main = Offer(plain)
    url = "it's $(touch oops) `touch oops` \"q\" \\ * ;touch oops"
    main.put("p0", connection_string=url, master="a b", spark_started=False)
    said = subprocess.run(["sh", "-c", f'. {main.file("env")}; printf "%s|%s|%s" "$SPARK_MASTER_URL" "$SPARK_MASTER_IP" '
                                       f'"$SPARK_STARTED"'], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout == f"{url}|a b|false" and said.stderr == ""
    assert not (tmp_path / "oops").exists()


def test_a_reader_never_sees_half_a_file(plain):
    main = Offer(plain)
    main.put("p0", connection_string="a" * 2000)
    over = threading.Event()
    seen = []

    def read():
        while not over.is_set():
            seen.append(json.loads(main.file().read_text())["version"])
            assert main.file("env").read_text().splitlines()[-1].startswith("SPARK_DISCOVERY_VERSION=")

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(100):
        main.put("p0", connection_string=("ab"[i % 2]) * (1 + i * 20))
    over.set()
    reader.join()
    assert seen == sorted(seen) and len(seen) > 10


def test_files_that_cannot_be_written_are_written_later(plain):
    main = Offer(plain)
    main.put("p0")
    plain.expect_error("files of an offer cannot be written")
    folder = main.file().parent
    folder.rename(folder.with_name("away"))
    answer = main.put("p0", master="m")
    assert (answer.status_code, answer.json()["version"]) == (200, 2), "what is stored counts"
    folder.with_name("away").rename(folder)
    until(lambda: json.loads(main.file().read_text())["version"] == 2, 20, "the file to be written after all")


# -- restarts -------------------------------------------------------------------------------------------


def test_offers_outlive_the_server(plain):
    main, other = Offer(plain), Offer(plain, "other")
    main.put("p1", master="m", ttl=600)
    main.put("p0", connection_string="it's", spark_started=True, rest_port=1)
    other.put("p0")
    other.leave("p0")
    before = plain.get("/v1/discovery").json()
    for file in main.file().parent.iterdir():
        file.unlink()
    plain.restart()
    assert plain.get("/v1/discovery").json() == before
    until(lambda: len(list(main.file().parent.iterdir())) == 4, 20, "the files to be back")
    assert json.loads(main.file().read_text()) == main.json()
    assert other.put("p0").json()["version"] == 3
    plain.stop()
    plain.start()
    assert main.json() == before["offers"][0]
    assert main.beat("p1").status_code == 204


def test_a_lease_that_ran_out_while_the_server_was_down(plain):
    main = Offer(plain)
    main.put("gone", spark_started=True, ttl=5)
    main.put("stays", spark_started=True, ttl=60)
    plain.kill9()
    time.sleep(5.5)  # the lease's own time
    plain.start()
    offer = main.json()
    assert (offer["version"], list(offer["units"]), offer["provider"]) == (3, ["stays"], "stays")
    assert main.beat("gone").status_code == 404
    assert main.beat("stays").status_code == 204
    events = Events(main, last=2)
    events.wait([(3, "changed")])
    events.close()
    plain.kill9()
    plain.start()
    assert main.json()["version"] == 3


def test_after_kill_9_no_version_goes_back(plain):
    main = Offer(plain)
    shown = []
    for _ in range(5):
        over = threading.Event()

        def change(unit):
            i = 0
            with requests.Session() as session, contextlib.suppress(requests.RequestException):
                session.trust_env = False
                while not over.is_set():
                    i += 1
                    answer = session.put(f"{plain.url}{main.path}/units/{unit}", json={"master": f"{time.time_ns()}-{i}"})
                    shown.append((answer.json()["version"], answer.json()["units"][unit]["master"]))

        threads = [threading.Thread(target=change, args=(f"p{i}",)) for i in range(3)]
        count = len(shown)
        events = Events(main)
        for thread in threads:
            thread.start()
        until(lambda: len(shown) > count + 20, 30, "changes")
        plain.kill9()
        over.set()
        for thread in threads:
            thread.join()
        told = max((version for version, _ in events.told()), default=0)
        events.close()
        file = json.loads(main.file().read_text())["version"]
        plain.start()
        version = main.json()["version"]
        assert version >= max(told, file, max(v for v, _ in shown)), "nobody has seen more than what is stored"
        until(lambda: json.loads(main.file().read_text())["version"] == version, 20, "the file to catch up")
    assert len({v for v, _ in shown}) == len(shown), "no version was given twice"


@pytest.mark.skipif(not BINARY.exists() or b"discovery.stored" not in BINARY.read_bytes(), reason="needs a build with -Dfault_points=true")
def test_a_kill_between_the_store_and_the_files(make_hearth):
    server = make_hearth(fake_java=True, environment={"HEARTH_POINT": "discovery.stored=exit:3"}).start()
    main = Offer(server)
    events = Events(main)
    for i in range(2):
        assert main.put("p0", master=f"m{i}").status_code in (200, 201)
    with pytest.raises(requests.ConnectionError):
        main.put("p0", master="m2")
    events.ended.wait(20 * PATIENCE)
    assert (events.told(), json.loads(main.file().read_text())["version"]) == ([(1, "joined"), (2, "changed")], 2)
    events.close()
    server.kill9()
    del server.environment["HEARTH_POINT"]
    server.start()
    assert (main.json()["version"], main.json()["master"]) == (3, "m2"), "what is stored is shown, and nobody had seen it"
    until(lambda: json.loads(main.file().read_text()) == main.json(), 20, "the file to catch up")


def test_a_full_disk_changes_nothing_until_there_is_room(make_hearth, small_disk):
    server = make_hearth(fake_java=True, state_dir=small_disk / "state").start()
    main = Offer(server)
    main.put("p0", ttl=5)
    main.put("p1", ttl=3600)
    server.expect_error("")
    events = Events(main)
    filler = fill(small_disk)

    def refused():
        before = main.json()
        answer = main.put("p1", connection_string=f"{time.time_ns():02000d}")
        return None if answer.status_code == 200 else [before, answer]

    [before, answer] = until(refused, 20, "a write that meets the full disk")
    assert answer.status_code == 503 and answer.json()["error"], answer.text
    assert main.json()["version"] == before["version"]
    assert not any("left" in str(data) for _, _, data in events.events)
    filler.unlink()
    until(lambda: list(main.json()["units"]) == ["p1"], 30, "the lease that ran out meanwhile to be ended")
    assert main.put("p1", master="b").status_code == 200
    until(lambda: json.loads(main.file().read_text()) == main.json(), 20, "the files to be as new")
    events.close()


# -- hostile input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a%20b", "%2e%2e%2fx", "x" * 65, "%C3%A4", "a%0ab", "a;b", "%F0%9F%94%A5", "x" * 4000])
def test_names_are_limited(shared, name):
    for method, path in (("GET", f"/v1/discovery/{name}"), ("PUT", f"/v1/discovery/{name}/units/p0"),
                         ("PUT", f"/v1/discovery/a/units/{name}"), ("DELETE", f"/v1/discovery/a/units/{name}"),
                         ("POST", f"/v1/discovery/a/units/{name}/heartbeat"), ("GET", f"/v1/discovery/{name}/events")):
        answer = shared.request(method, path, data="{}" if method == "PUT" else None)
        assert answer.status_code == 400 and "1 to 64 characters" in answer.json()["error"], (method, answer.text)
    assert shared.get("/v1/discovery/a").status_code == 404


def test_names_that_look_like_paths_stay_in_the_folder(plain):
    for name in ("..", ".", "main.json", "-rf"):
        answer = wire.exchange(plain, wire.request("PUT", f"/v1/discovery/{name}/units/{name}", b"{}"))[0]
        assert answer.status == 201, answer
    assert sorted(os.listdir(plain.state_dir / "discovery")) == sorted(
        f"{name}.{ending}" for name in ("..", ".", "main.json", "-rf") for ending in ("json", "env"))


@pytest.mark.parametrize("body, words", [
    ("", "No content"), ("{", "line 1"), ("[]", "must be a JSON object"), ('"x"', "must be a JSON object"),
    ('{"spark_started":"maybe"}', "spark_started"), ('{"rest_port":"x"}', "rest_port"), ('{"rest_port":70000}', "rest_port"),
    ('{"connection_string":["a"]}', "connection_string"), ('{"master":"' + "m" * 256 + '"}', "master"),
    ('{"private_address":"a\\nb"}', "private_address"), ('{"ttl":1}', "ttl"), ('{"ttl":1e9}', "ttl"),
    ('{"unknown":1}', "unknown"), ('{"master":"\\u0000"}', "line 1"), ('{"a":' + "[" * 5000 + "]" * 5000 + "}", "deeper"),
    ('{"rest_port":99999999999999999999}', "line 1"), (b'{"master":"\xff\xfe"}', "line 1")])
def test_bodies_are_checked(shared, body, words):
    answer = shared.request("PUT", "/v1/discovery/bodies/units/p0", data=body)
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    assert shared.get("/v1/discovery/bodies").status_code == 404


def test_huge_bodies_are_refused(shared):
    for size in (65_537, 20_000_000):
        body = b'{"master":"' + b"x" * size + b'"}'
        with contextlib.suppress(requests.ConnectionError):  # cut off while it still sends
            answer = shared.request("PUT", "/v1/discovery/huge/units/p0", data=body)
            assert answer.status_code == 413, answer.text
    assert shared.get("/v1/discovery/huge").status_code == 404


def test_offers_and_units_are_limited(plain):
    with requests.Session() as session:
        session.trust_env = False
        base = f"{plain.url}/v1/discovery"
        for i in range(256):
            assert session.put(f"{base}/o{i}/units/p0", json={}).status_code == 201
        refused = session.put(f"{base}/more/units/p0", json={})
        assert refused.status_code == 503 and "256 offers" in refused.json()["error"]
        assert session.get(f"{base}/more").status_code == 404
        for i in range(1, 32):
            assert session.put(f"{base}/o0/units/p{i}", json={}).status_code == 201
        refused = session.put(f"{base}/o0/units/more", json={})
        assert refused.status_code == 503 and "32 units" in refused.json()["error"]
        assert session.put(f"{base}/o0/units/p31", json={"master": "m"}).status_code == 200
        listed = session.get(base).json()["offers"]
        assert [o["name"] for o in listed] == sorted(f"o{i}" for i in range(256))


def test_hearths_own_unit_cannot_be_changed_from_outside(shared):
    own = Offer(shared, "own")
    for answer in (own.put("self"), own.beat("self"), own.leave("self")):
        assert answer.status_code == 409 and "hearth's own" in answer.json()["error"]


def test_methods_of_the_paths(shared):
    for path, allowed in (("/v1/discovery", "GET, HEAD"), ("/v1/discovery/x", "GET, HEAD"),
                          ("/v1/discovery/x/events", "GET, HEAD"), ("/v1/discovery/x/units/y", "PUT, DELETE"),
                          ("/v1/discovery/x/units/y/heartbeat", "POST")):
        answer = shared.request("PATCH", path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


# -- who may --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user, modify", [("editor", True), ("boss", True), ("viewer", False), ("bob", False)])
def test_rights_with_access_control(tmp_path, spark_home, request, user, modify):
    import conftest

    server = Closed(tmp_path / "closed", spark_home, settings={**ON, "auth.allowed_users": "*"},
                    java_home=FAKE_JAVA_HOME).start()
    request.addfinalizer(lambda: conftest.finish(server, getattr(request.node, "call_failed", True)))
    assert server.http.get(server.url + "/v1/discovery").status_code == 401
    path = "/v1/discovery/main/units/p0"
    assert server.request("PUT", path, json={}, headers={"X-Requested-By": "t"}).status_code == 201
    who = {"user.name": user}
    assert server.get("/v1/discovery/main", params=who).status_code == 200
    headers = {"X-Requested-By": "tests"}
    answers = [server.request("PUT", path, json={"master": "m"}, params=who, headers=headers),
               server.request("POST", path + "/heartbeat", params=who, headers=headers),
               server.request("DELETE", path, params=who, headers=headers)]
    assert [a.status_code for a in answers] == ([200, 204, 204] if modify else [403] * 3)
    if not modify:
        assert all(f"user '{user}' may not change offers" in a.json()["error"] for a in answers)
        assert server.get("/v1/discovery/main").json()["version"] == 1
