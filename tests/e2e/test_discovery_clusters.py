"""Discovery of the clusters that hearth watches: unit `self` of the offer of the cluster's name."""

import json
import time

import pytest

from cluster import Cluster
from harness import free_port, until
from test_discovery import Events, Offer

DOWN = {"spark_started": False, "master": None, "rest_port": None}


@pytest.fixture
def cluster(tmp_path, spark_home):
    """A master alone, with its REST submission server; not started."""
    cluster = Cluster(tmp_path / "cluster", spark_home, rest=True)
    yield cluster
    cluster.kill()


def wait_for(offer, **expected):
    def arrived():
        answer = offer.get()
        now = answer.json() if answer.status_code == 200 else {}
        return now if {key: now.get(key) for key in expected} == expected else None

    return until(arrived, 90, lambda: f"{expected}; it is {offer.get().text}")


def test_an_offer_follows_its_cluster(make_hearth, cluster):
    master = cluster.masters[0]
    watched = {"clusters.watch": f"west={cluster.url}@200ms"}
    server = make_hearth(settings=watched, fake_java=True).start()
    west = Offer(server, "west")
    up = {"spark_started": True, "master": "127.0.0.1", "rest_port": master.rest_port}

    offer = wait_for(west, **DOWN)
    assert (offer["states"], offer["connection_string"], offer["provider"]) == (["joined"], cluster.url, "self")
    assert (offer["version"], offer["units"]["self"]["expires"]) == (1, None)
    events = Events(west)
    master.start()
    offer = wait_for(west, **up)
    assert offer["states"] == ["joined", "master", "ready"]
    # A master tells its REST port a moment after it answers, or with the same answer.
    events.wait([(v, "changed") for v in range(1, offer["version"] + 1)])
    assert west.file("env").read_text() == (
        f"SPARK_STARTED=true\nSPARK_MASTER_URL={cluster.url}\nSPARK_MASTER_IP=127.0.0.1\n"
        f"SPARK_REST_PORT={master.rest_port}\nSPARK_DISCOVERY_VERSION={offer['version']}\n")
    for answer in (west.put("self", spark_started=False), west.leave("self"), west.beat("self")):
        assert answer.status_code == 409 and "hearth's own" in answer.json()["error"]
    events.close()

    # A restart is no news about the cluster.
    server.kill9()
    server.start()
    assert west.json() == offer
    until(lambda: server.get("/hearth/clusters/west").json().get("reachable"), 60, "the first look")
    time.sleep(1)  # five periods: not awaited, as nothing is to happen
    assert west.json() == offer

    master.kill()
    down = wait_for(west, **DOWN)
    assert (down["states"], down["connection_string"]) == (["joined"], cluster.url)
    assert json.loads(west.file().read_text()) == down

    # What happened while no hearth ran is told with the first look.
    server.kill9()
    master.start()
    until(lambda: master.state().get("status") == "ALIVE", 60, "the master")
    server.start()
    assert wait_for(west, **up)["version"] > down["version"]
    server.kill9()
    master.kill()
    server.start()
    wait_for(west, **DOWN)


def test_others_may_provide_the_same_offer(make_hearth):
    url = f"spark://127.0.0.1:{free_port()}"
    server = make_hearth(settings={"clusters.watch": f"west={url}@200ms"}, fake_java=True).start()
    west = Offer(server, "west")
    wait_for(west, **DOWN)
    offer = west.put("p0", connection_string="spark://spare:7077", master="spare", spark_started=True).json()
    assert (offer["provider"], offer["joined"], offer["version"]) == ("p0", 2, 2)
    west.leave("p0")
    assert wait_for(west, provider="self")["version"] == 3


def test_a_cluster_that_is_not_watched_any_more_leaves(make_hearth):
    url = f"spark://127.0.0.1:{free_port()}"
    server = make_hearth(settings={"clusters.watch": f"west={url}@200ms,east={url}@200ms"}, fake_java=True).start()
    west, east = Offer(server, "west"), Offer(server, "east")
    before = wait_for(east, **DOWN)
    wait_for(west, **DOWN)
    server.stop()
    server.settings["clusters.watch"] = f"east={url}@200ms"
    server.start()
    offer = wait_for(west, states=[])
    assert (offer["version"], offer["units"]) == (2, {})
    assert east.json() == before
