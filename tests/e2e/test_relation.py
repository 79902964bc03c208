"""`hearth relation`: the interface spark between Juju charms, both sides.

Juju's own tools cannot run here; stand_in/juju/tool.py takes their place and tells what it leaves out. What
happens around the tools (which hook runs when, with which variables) is played by the class Unit, in Juju's order.
"""

import json
import os
import stat

import pytest

import harness
from fake_server import Server, run

TOOL = harness.HERE / "stand_in" / "juju" / "tool.py"
TOOLS = ("relation-ids", "relation-list", "relation-get", "relation-set", "network-get", "unit-get")


class Juju:
    """The world behind the tools."""

    def __init__(self, folder):
        self.folder, self.file, self.bin = folder, folder / "juju.json", folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(TOOL)
        self.save({"endpoints": {}, "links": {}, "addresses": {}})

    def load(self):
        return json.loads(self.file.read_text())

    def save(self, world):
        self.file.write_text(json.dumps(world))

    def relate(self, link, provider="spark", client="user", ends=("client", "spark")):
        """integrate provider:client client:spark; the ids of the two sides."""
        world = self.load()
        number = len(world["links"])
        ids = (f"{ends[0]}:{number}", f"{ends[1]}:{number + 50}")
        world["endpoints"][ids[0]] = {"app": provider, "relation": ends[0], "link": link}
        world["endpoints"][ids[1]] = {"app": client, "relation": ends[1], "link": link}
        world["links"][link] = {"members": [], "data": {}}
        self.save(world)
        return ids

    def unit(self, name, address="10.0.0.1"):
        world = self.load()
        world["addresses"][name] = address
        self.save(world)
        return Unit(self, name)

    def data(self, link, unit):
        return self.load()["links"][link]["data"].get(str(unit), {})


class Unit:
    """A unit of a charm: runs hearth in its hooks."""

    def __init__(self, juju, name):
        self.juju, self.name = juju, name
        self.folder = juju.folder / name.replace("/", "-")
        self.folder.mkdir()

    def __str__(self):
        return self.name

    def environment(self, **more):
        return {"PATH": f"{self.juju.bin}:{os.environ['PATH']}", "JUJU_STAND_IN": str(self.juju.file),
                "JUJU_UNIT_NAME": self.name, "JUJU_CONTEXT_ID": "1", "JUJU_CHARM_DIR": str(self.folder), **more}

    def run(self, *words, **environment):
        return run("relation", *words, **self.environment(**environment))

    def ok(self, *words, **environment):
        answer = self.run(*words, **environment)
        assert (answer.returncode, answer.stderr) == (0, ""), answer
        return answer.stdout

    def hook(self, kind, side, relation_id, remote, **more):
        """Runs `hearth relation hook` as in the hook of that name; what it printed."""
        relation = relation_id.partition(":")[0]
        name = f"{relation}-relation-{kind}"
        return self.ok("hook", "--relation", relation, "--side", side, JUJU_HOOK_NAME=name,
                       JUJU_DISPATCH_PATH=f"hooks/{name}", JUJU_RELATION=relation, JUJU_RELATION_ID=relation_id,
                       JUJU_REMOTE_UNIT=str(remote), **more).splitlines()

    def states(self, relation):
        prefix = f"{relation}."
        lines = self.ok("states", "--relation", relation).splitlines()
        assert all(line.startswith(prefix) for line in lines)
        return [line.removeprefix(prefix) for line in lines]


class Client:
    """The client's side of one relation, whose providers are played."""

    def __init__(self, juju):
        self.juju = juju
        _, self.id = juju.relate("a")
        self.unit = juju.unit("user/0")
        self.providers = {p: juju.unit(f"spark/{p[1]}", f"10.0.0.{p[1]}") for p in ("p0", "p1")}

    def write(self, p, **pairs):
        world = self.juju.load()
        world["links"]["a"]["data"].setdefault(str(self.providers[p]), {}).update(pairs)
        self.juju.save(world)

    def happen(self, kind, p):
        world = self.juju.load()
        members, unit = world["links"]["a"]["members"], str(self.providers[p])
        if kind == "joined":
            members.append(unit)
        if kind == "departed":
            members.remove(unit)  # before the hook runs: it does not find the unit any more
        self.juju.save(world)
        return self.unit.hook(kind, "client", self.id, unit)

    def states(self):
        return self.unit.states("spark")


@pytest.fixture
def juju(tmp_path):
    return Juju(tmp_path)


@pytest.fixture
def client(juju):
    return Client(juju)


# -- the tables ----------------------------------------------------------------------------------------


def test_the_sequence_of_the_interface_on_a_clients_side(client):
    """Row by row; the fourth column is what the hook printed."""
    url = {"connection_string": "spark://10.0.0.0:7077", "master": "10.0.0.0"}
    rows = [
        ("joined", "p0", {}, ["joined"], ["set spark.joined"]),
        ("changed", "p0", {}, ["joined"], []),
        ("changed", "p0", url, ["joined", "master"], ["set spark.master"]),
        ("changed", "p0", {"spark_started": "True"}, ["joined", "master", "ready"], ["set spark.ready"]),
        ("joined", "p1", {}, ["joined", "master", "ready"], []),
        ("changed", "p1", {"spark_started": "False"}, ["joined", "master", "ready"], []),
        ("changed", "p0", {"spark_started": "False"}, ["joined", "master"], ["removed spark.ready"]),
        ("changed", "p0", {"spark_started": "True"}, ["joined", "master", "ready"], ["set spark.ready"]),
        ("departed", "p0", {}, ["joined", "master", "ready"], []),  # stale
        ("changed", "p1", {}, ["joined"], ["removed spark.master", "removed spark.ready"]),
        ("departed", "p1", {}, [], ["removed spark.joined"]),
    ]
    for number, (kind, p, written, states, printed) in enumerate(rows, 1):
        client.write(p, **written)
        assert client.happen(kind, p) == printed, f"row {number}"
        assert client.states() == states, f"row {number}"


def test_master_outlives_the_last_departure(client):
    client.happen("joined", "p0")
    client.write("p0", connection_string="yarn-client", master="10.0.0.0", spark_started="true")
    assert client.happen("changed", "p0") == ["set spark.master", "set spark.ready"]
    assert client.happen("departed", "p0") == ["removed spark.joined", "removed spark.ready"]
    assert client.states() == ["master"]
    assert client.unit.hook("broken", "client", client.id, "") == []
    assert client.states() == ["master"]
    client.happen("joined", "p1")
    assert client.happen("changed", "p1") == ["removed spark.master"]
    assert client.states() == ["joined"]


def test_ready_needs_no_master_and_master_needs_both_values(client):
    client.happen("joined", "p0")
    client.write("p0", spark_started="TRUE")
    assert client.happen("changed", "p0") == ["set spark.ready"]
    client.write("p0", connection_string="spark://10.0.0.0:7077")
    assert client.happen("changed", "p0") == []
    client.write("p0", master="10.0.0.0", spark_started="yes")
    assert client.happen("changed", "p0") == ["set spark.master", "removed spark.ready"]
    client.write("p0", connection_string="")
    assert client.happen("changed", "p0") == ["removed spark.master"]


def test_the_states_of_a_provider(juju):
    a, _ = juju.relate("a")
    b, _ = juju.relate("b", client="other")
    spark = juju.unit("spark/0")
    assert spark.states("client") == []
    assert spark.hook("joined", "provider", a, "user/0") == ["set client.joined"]
    assert spark.hook("joined", "provider", a, "user/1") == []
    assert spark.hook("joined", "provider", b, "other/0") == []
    assert spark.hook("changed", "provider", a, "user/0") == []
    assert spark.hook("departed", "provider", a, "user/0") == []
    assert spark.hook("departed", "provider", b, "other/0") == []
    assert spark.states("client") == ["joined"]
    assert spark.hook("departed", "provider", a, "user/1") == ["removed client.joined"]
    assert spark.hook("broken", "provider", a, "") == []
    assert spark.states("client") == []


def test_what_a_provider_writes(juju):
    juju.relate("a")
    juju.relate("b", client="other")
    juju.relate("c", ends=("backup", "spark"))
    spark = juju.unit("spark/0", "10.9.9.9")
    for words, written in (
            (("send-master", "spark://10.0.0.1:7077", "10.0.0.1"),
             {"connection_string": "spark://10.0.0.1:7077", "master": "10.0.0.1"}),
            (("send-rest-port", "6066"), {"rest_port": "6066"}),
            (("set-started",), {"spark_started": "True"}),
            (("clear-started",), {"spark_started": "False"}),
            (("send-master", "local[*]", ""), {"connection_string": "local[*]", "master": None}),
            (("send-master", "yarn-client"), {"connection_string": "yarn-client", "master": "10.9.9.9"})):
        before = juju.data("a", spark)
        assert spark.ok(words[0], "--relation", "client", *words[1:]) == ""
        expected = {k: v for k, v in {**before, **written}.items() if v is not None}
        assert juju.data("a", spark) == juju.data("b", spark) == expected, words
    assert juju.data("c", spark) == {}, "a relation of another name"


def test_what_a_client_reads(client):
    nothing = {"spark_started": False, "connection_string": None, "master": None, "rest_port": None, "private_address": None}
    assert json.loads(client.unit.ok("get", "--relation", "spark", "--json")) == nothing
    client.happen("joined", "p0")
    client.happen("joined", "p1")
    client.write("p1", **{"spark_started": "True", "connection_string": "spark://one", "private-address": "10.0.0.1"})
    read = json.loads(client.unit.ok("get", "--relation", "spark", "--json"))
    assert read == {**nothing, "spark_started": True, "connection_string": "spark://one", "private_address": "10.0.0.1"}
    client.write("p0", **{"spark_started": "False", "connection_string": "", "master": "zero", "rest_port": "6066"})
    read = json.loads(client.unit.ok("get", "--relation", "spark", "--json"))
    assert read == {"spark_started": False, "connection_string": "spark://one", "master": "zero", "rest_port": "6066",
                    "private_address": "10.0.0.1"}, "per key the first text that is not empty"
    lines = dict(line.split(None, 1) for line in client.unit.ok("get", "-r", "spark").splitlines())
    assert lines == {"spark_started": "false", "connection_string": "spark://one", "master": "zero",
                     "rest_port": "6066", "private_address": "10.0.0.1"}


# -- both sides together -------------------------------------------------------------------------------


def test_both_sides_from_joining_to_departing(juju, plain):
    """The provider's charm has one line per hook, fed by a real hearth; the client's reads when it is ready."""
    ours, theirs = juju.relate("a")
    spark, user = juju.unit("spark/0"), juju.unit("user/0", "10.0.0.2")
    offer = f"{plain.url}/v1/discovery/main/units/p0"

    def put(**values):
        assert plain.http.put(offer, json=values).status_code in (200, 201)

    def publish():
        spark.ok("publish", "--relation", "client", "--server", plain.url)

    def changed():
        return user.hook("changed", "client", theirs, spark)

    world = juju.load()
    world["links"]["a"]["members"] = ["spark/0", "user/0"]
    world["links"]["a"]["data"] = {"spark/0": {"private-address": "10.0.0.1"}}
    juju.save(world)
    assert spark.hook("joined", "provider", ours, user) == ["set client.joined"]
    assert user.hook("joined", "client", theirs, spark) == ["set spark.joined"]

    put(connection_string="spark://10.0.0.1:7077", master="10.0.0.1", rest_port=6066)  # joined and not ready
    publish()
    assert juju.data("a", spark) == {"private-address": "10.0.0.1", "spark_started": "False"}
    assert changed() == []

    put(spark_started=True)
    publish()
    assert changed() == ["set spark.master", "set spark.ready"]
    assert json.loads(user.ok("get", "--relation", "spark", "--json")) == {
        "spark_started": True, "connection_string": "spark://10.0.0.1:7077", "master": "10.0.0.1", "rest_port": "6066",
        "private_address": "10.0.0.1"}

    put(connection_string="spark://10.0.0.7:7077", master="10.0.0.7", rest_port=None)  # another master
    publish()
    assert changed() == []
    read = json.loads(user.ok("get", "--relation", "spark", "--json"))
    assert (read["connection_string"], read["master"], read["rest_port"]) == ("spark://10.0.0.7:7077", "10.0.0.7", None)

    put(spark_started=False)
    publish()
    assert changed() == ["removed spark.ready"]
    assert user.states("spark") == ["joined", "master"]

    put(spark_started=True)
    publish()
    assert changed() == ["set spark.ready"]
    world = juju.load()
    world["links"]["a"]["members"] = []
    juju.save(world)
    assert user.hook("departed", "client", theirs, spark) == ["removed spark.joined", "removed spark.ready"]
    assert spark.hook("departed", "provider", ours, user) == ["removed client.joined"]
    assert user.states("spark") == ["master"] and spark.states("client") == []


def test_an_offer_that_nobody_has_joined_is_not_ready(juju, plain):
    juju.relate("a")
    spark = juju.unit("spark/0")
    answer = spark.run("publish", "--relation", "client", "nobody", HEARTH_URL=plain.url)
    assert answer.returncode == 0 and "offer 'nobody' is not known" in answer.stderr
    assert juju.data("a", spark) == {"spark_started": "False"}


def test_without_a_server_nothing_is_sent(juju):
    juju.relate("a")
    spark = juju.unit("spark/0")
    answer = spark.run("publish", "--relation", "client", "--server", f"http://127.0.0.1:{harness.free_port()}")
    assert answer.returncode == 3 and "no hearth answers" in answer.stderr
    assert juju.data("a", spark) == {}


def test_a_server_that_refuses_is_told(juju):
    juju.relate("a")
    spark = juju.unit("spark/0")
    server = Server()
    server.routes["GET /v1/discovery/main"] = lambda q, b: (503, {"error": "a reason"})
    answer = spark.run("publish", "--relation", "client", HEARTH_URL=server.url)
    assert answer.returncode == 1 and "a reason" in answer.stderr and juju.data("a", spark) == {}
    server.stop()


# -- hooks ---------------------------------------------------------------------------------------------


def test_hooks_of_others_change_nothing(client):
    for name in ("config-changed", "spark-relation-created", "spark-relation-broken", "spark2-relation-joined",
                 "relation-joined", "spark-relation-joined-more", "upgrade-charm"):
        assert client.unit.ok("hook", "--relation", "spark", "--side", "client", JUJU_HOOK_NAME=name,
                              JUJU_REMOTE_UNIT="spark/0", JUJU_RELATION_ID=client.id) == ""
    assert client.states() == []
    assert list(client.unit.folder.iterdir()) == []


def test_a_charm_that_is_dispatched(client):
    said = client.unit.ok("hook", "--side", "client", JUJU_DISPATCH_PATH="hooks/spark-relation-joined",
                          JUJU_HOOK_NAME="", JUJU_RELATION="spark", JUJU_RELATION_ID=client.id, JUJU_REMOTE_UNIT="spark/0")
    assert said == "set spark.joined\n"


def test_data_of_the_application_changes_without_a_unit(client):
    client.happen("joined", "p0")
    client.write("p0", spark_started="true")
    assert client.unit.hook("changed", "client", client.id, "") == ["set spark.ready"]
    assert json.loads(client.unit.ok("states", "-r", "spark", "--json")) == {
        "side": "client", "states": ["spark.joined", "spark.ready"], "units": [f"{client.id} spark/0"]}


def test_lost_states_come_back_with_the_next_change(client):
    client.happen("joined", "p0")
    client.write("p0", connection_string="c", master="m", spark_started="True")
    (client.unit.folder / ".hearth-relation.json").unlink()
    assert client.happen("changed", "p0") == ["set spark.joined", "set spark.master", "set spark.ready"]


def test_the_state_file_holds_several_relations(client, tmp_path):
    file = tmp_path / "states.json"
    common = {"JUJU_REMOTE_UNIT": "x/0", "JUJU_RELATION_ID": "r:1"}
    for relation, side in (("spark", "client"), ("client", "provider")):
        client.unit.ok("hook", "--relation", relation, "--side", side, "--state", file,
                       JUJU_HOOK_NAME=f"{relation}-relation-joined", **common)
    known = json.loads(file.read_text())
    one = {"states": ["joined"], "units": ["r:1 x/0"]}
    assert known == {"spark": {"side": "client", **one}, "client": {"side": "provider", **one}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert client.unit.ok("states", "-r", "client", "--state", file) == "client.joined\n"


# -- mistakes ------------------------------------------------------------------------------------------


def test_a_tool_that_fails_changes_nothing(client):
    client.happen("joined", "p0")
    client.write("p0", spark_started="True")
    world = client.juju.load()
    world["broken"] = ["relation-get"]
    client.juju.save(world)
    answer = client.unit.run("hook", "--side", "client", JUJU_HOOK_NAME="spark-relation-changed", JUJU_RELATION="spark",
                             JUJU_RELATION_ID=client.id, JUJU_REMOTE_UNIT="spark/0")
    assert answer.returncode == 1 and answer.stdout == ""
    assert "ERROR relation-get is told to fail" in answer.stderr, "the tool's own words"
    assert "hearth relation hook: relation-get ended with exit code 2" in answer.stderr
    assert client.states() == ["joined"]


def test_one_relation_that_refuses_does_not_spare_the_others(juju):
    juju.relate("a")
    juju.relate("b", client="other")
    spark = juju.unit("spark/0")
    world = juju.load()
    world["endpoints"]["client:0"]["app"] = "spark"
    world["links"]["a"] = None  # whatever is written there fails
    juju.save(world)
    answer = spark.run("set-started", "--relation", "client")
    assert answer.returncode == 1 and "client:0: relation-set ended with exit code" in answer.stderr
    assert juju.data("b", spark) == {"spark_started": "True"}


def test_outside_of_a_hook(client, tmp_path):
    answer = run("relation", "get", "--relation", "spark", PATH=str(tmp_path))
    assert answer.returncode == 1
    assert answer.stderr == "hearth relation get: relation-ids is not on PATH: this works inside a hook of a Juju charm\n"
    environment = client.unit.environment()
    del environment["JUJU_CONTEXT_ID"]
    answer = run("relation", "get", "--relation", "spark", **environment)
    assert answer.returncode == 1 and "JUJU_CONTEXT_ID not set" in answer.stderr
    answer = client.unit.run("hook", "--relation", "spark", "--side", "client")
    assert answer.returncode == 2 and "neither JUJU_HOOK_NAME nor JUJU_DISPATCH_PATH is set" in answer.stderr


@pytest.mark.parametrize("said", ["", "[", '"text"', "7"])
def test_a_damaged_state_file_is_told(client, tmp_path, said):
    file = tmp_path / "states.json"
    file.write_text(said)
    answer = client.unit.run("states", "--relation", "spark", "--state", file)
    assert answer.returncode == 1 and "states.json is damaged" in answer.stderr
    assert file.read_text() == said


@pytest.mark.parametrize("answer", ["{", "7", '{"a":1}', "[1]", "[[]]", "x" * 5_000_000, '["\\u001b[2J"]'], ids=range(7))
def test_odd_answers_of_a_tool(tmp_path, answer):
    (tmp_path / "answer").write_text(answer)
    tool = tmp_path / "relation-ids"
    tool.write_text(f'#!/bin/sh\nexec cat "{tmp_path}/answer"\n')
    tool.chmod(0o755)
    said = run("relation", "get", "--relation", "spark", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert said.returncode == 1 and said.stderr.startswith("hearth relation get: ") and said.stdout == ""
    assert "\x1b" not in said.stderr


@pytest.mark.parametrize("words, said", [
    ((), "something is missing"),
    (("hok",), "did you mean 'hook'?"),
    (("get",), "which relation? --relation NAME; JUJU_RELATION is not set"),
    (("get", "--relation", "--all"), "--relation: '--all' is not the name of a relation"),
    (("get", "--relation", "spark", "--side", "provider"), "this is for the side of the client alone"),
    (("set-started", "--relation", "spark", "--side", "client"), "this is for the side of the provider alone"),
    (("hook", "--relation", "spark", "--side", "both"), "'both' is neither provider nor client"),
    (("hook", "--relation", "spark"), "which side?"),
    (("send-master", "--relation", "client"), "something is missing"),
    (("send-rest-port", "--relation", "client", "0"), "PORT: "),
    (("send-rest-port", "--relation", "client", "x"), "PORT: "),
    (("states", "--relation", "client", "more"), "too many words")])
def test_mistakes_of_the_command_line(words, said):
    answer = run("relation", *words)
    assert answer.returncode == 2 and said in answer.stderr, answer.stderr
