"""Whose job it is, and a server that stops while a NameNode is silent."""

import threading

import pytest
import requests

from provision import NEVER, Descriptor, NameNodes, job_path, request
from test_access import As, closed  # noqa: F401  (a fixture)
from harness import until


@pytest.mark.parametrize("user, view, modify", [
    ("alice", True, True), ("viewer", True, False), ("editor", True, True), ("boss", True, True), ("bob", False, False)])
def test_a_job_belongs_to_who_provisioned_it(closed, user, view, modify):  # noqa: F811
    server = closed()
    d = Descriptor("owned", cron=NEVER)
    assert As(server, "alice").post("/v1/provision", request(d)).status_code == 200
    who = As(server, user)
    assert who.post("/v1/validate", request(d)).json() == {"valid": True, "error": None}
    assert [job["name"] for job in who.get("/v1/scheduler/jobs").json()["jobs"]] == ([d.job] if view else [])
    assert who.get(job_path(d.group, d.job)).status_code == (200 if view else 404)
    assert who.post(job_path(d.group, d.job) + "/triggers", {}).status_code == (409 if modify else 403 if view else 404)
    for call in ("/v1/provision", "/v1/unprovision"):
        answer = who.post(call, request(d))
        assert answer.status_code == (200 if modify else 403), answer.text
        assert modify or "another user" in answer.json()["errors"][0]


def test_who_is_acted_for_has_the_rights(closed):  # noqa: F811
    server = closed(auth__impersonation="true")
    d = Descriptor("acted", cron=NEVER)
    assert As(server, "boss", doAs="bob").post("/v1/provision", request(d)).status_code == 200
    for call in ("/v1/provision", "/v1/unprovision"):
        assert As(server, "boss", doAs="alice").post(call, request(d)).status_code == 403
        assert As(server, "boss", doAs="bob").post(call, request(d)).status_code == 200


def test_a_probe_needs_no_user(closed):  # noqa: F811
    server = closed()
    assert requests.get(server.url + "/health", timeout=60).status_code == 200
    assert requests.get(server.url + "/v1/scheduler/jobs", timeout=60).status_code == 401


def test_a_server_that_stops_does_not_wait_for_a_silent_namenode(make_hearth):
    nodes = NameNodes()
    nodes.open.clear()
    server = make_hearth({"provision.namenodes": ",".join(nodes.urls)}, fake_java=True).start()
    answers = []

    def validate():
        try:
            answers.append(requests.post(server.url + "/v1/validate", json=request(Descriptor(jar="hdfs://ns1/a.jar")), timeout=60).status_code)
        except requests.ConnectionError:
            answers.append(None)

    asking = threading.Thread(target=validate)
    asking.start()
    until(lambda: nodes.asked, 30, "a question to the NameNode")
    server.stop()
    asking.join(30)
    nodes.close()
    assert answers in ([503], [None])
    server.start()


def test_a_list_longer_than_a_page_is_whole(make_hearth):
    server = make_hearth(fake_java=True).start()
    made = [Descriptor(f"n{i:04}", group=f"g{i % 3}", cron=NEVER) for i in range(510)]
    for d in made:
        assert server.post("/v1/provision", json=request(d)).status_code == 200
    listed = [(job["group"], job["name"]) for job in server.get("/v1/scheduler/jobs").json()["jobs"]]
    assert listed == sorted((d.group, d.job) for d in made)
    assert server.get("/v1/scheduler/jobs", params={"state": "running"}).json() == {"jobs": []}
