"""Operations whose answer comes later: tokens, and what they tell."""

import json

import pytest

from harness import until
from provision import (DECODE, INVALID, MALFORMED, NEVER, TOKEN, Descriptor, NameNodes, ask, errors, has_trigger, job_of, job_path,
                       provision, read, read_refusal, read_status, read_validation, rules, unprovision)

LATER = {"Prefer": "respond-async"}


def token_of(answer):
    token = read(answer, 202)
    assert isinstance(token, str) and TOKEN.fullmatch(token), token
    return token


def validation(server, token):
    status = read(server.get(f"/v2/validate/{token}/status"))
    assert set(status) == {"status", "info"} and status["status"] in ("RUNNING", "COMPLETED", "FAILED"), status
    if status["status"] == "RUNNING":
        assert status == {"status": "RUNNING", "info": None}
    return status


def validated(server, token):
    """The errors that a validation has found in the end."""
    status = until(lambda: (s := validation(server, token))["status"] != "RUNNING" and s, 30, "the validation")
    assert status["status"] == "COMPLETED", status
    return read_validation(status["info"]["publicInfo"])


def operation(server, token):
    status = read(server.get(f"/v1/provision/{token}/status"))
    assert status["status"] in ("RUNNING", "COMPLETED", "FAILED"), status
    if status["status"] == "RUNNING":
        assert read_status(status, "RUNNING") == ""
    return status


def done(server, token, expected="COMPLETED"):
    """The ProvisioningStatus in the end."""
    status = until(lambda: (s := operation(server, token))["status"] != "RUNNING" and s, 30, "the operation")
    read_status(status, expected)
    return status


@pytest.fixture(scope="module")
def nodes():
    nodes = NameNodes()
    yield nodes
    nodes.close()


@pytest.fixture(scope="module")
def server(module_hearth, nodes):
    return module_hearth({"provision.namenodes": ",".join(nodes.urls)}, fake_java=True)


@pytest.fixture(autouse=True)
def fresh(nodes):
    nodes.reset()
    yield
    nodes.open.set()


def slow(name="load", **more):
    """Its validation waits until nodes.open is set."""
    return Descriptor(name, jar="hdfs://ns1/apps/load.jar", **more)


# -- validation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change, found", [
    ({}, []), ({"driverCores": 0}, rules(3)), ({"driverMemory": "x", "numExecutors": -1}, rules(4, 7)), ({"args": 5}, [DECODE]),
])
def test_a_validation_gives_what_it_would_have_given_at_once(server, change, found):
    d = Descriptor(**change)
    assert errors(server, d) == found
    token = token_of(ask(server, "/v2/validate", d))
    assert validated(server, token) == found
    assert validated(server, token) == found, "as often as one asks"


def test_a_text_that_is_no_descriptor(server):
    assert validated(server, token_of(ask(server, "/v2/validate", "a: ["))) == [DECODE]


def test_no_component(server):
    d = Descriptor()
    d.whole["componentIdToProvision"] = "other"
    assert validated(server, token_of(ask(server, "/v2/validate", d))) == rules(*range(1, 12))


def test_a_validation_runs_until_it_has_its_answers(server, nodes):
    nodes.open.clear()
    tokens = [token_of(ask(server, "/v2/validate", slow())) for _ in range(3)]
    assert len(set(tokens)) == 3
    for token in tokens:
        assert validation(server, token) == {"status": "RUNNING", "info": None}
    assert validated(server, token_of(ask(server, "/v2/validate", Descriptor()))) == [], "others need not wait"
    nodes.open.set()
    for token in tokens:
        assert validated(server, token) == []


def test_bodies_are_checked_before_there_is_a_token(server):
    answer = server.post("/v2/validate", data=b"{")
    assert (answer.status_code, answer.text) == (400, MALFORMED)
    answer = server.post("/v2/validate", json={"descriptor": "x"})
    assert answer.status_code == 422 and answer.text.startswith(INVALID)


def test_preference_changes_nothing_for_a_validation(server):
    assert validated(server, token_of(ask(server, "/v2/validate", Descriptor(), headers=LATER))) == []
    assert read_validation(read(ask(server, "validate", Descriptor(), headers=LATER))) == []


# -- provisioning and unprovisioning ---------------------------------------------------------------------


def test_provisioning_and_unprovisioning_later(server):
    d = slow("later", cron="0 30 2 * * ?", numExecutors=3)
    at_once = json.loads(read_status(read(ask(server, "provision", d))))
    job = job_of(server, d)
    gone = unprovision(server, d)
    status = done(server, token_of(ask(server, "provision", d, headers=LATER)))
    assert json.loads(status["result"]) == at_once
    assert job_of(server, d) == job
    status = done(server, token_of(ask(server, "unprovision", d, headers=LATER)))
    assert json.loads(status["result"]) == {"createdJob": None, "destroyedJob": gone}
    assert server.get(job_path(d.group, d.job)).status_code == 404


def test_an_operation_runs_until_its_validation_has_its_answers(server, nodes):
    d = slow("running", cron=NEVER)
    nodes.open.clear()
    token = token_of(ask(server, "provision", d, headers=LATER))
    assert operation(server, token)["status"] == "RUNNING"
    assert not has_trigger(server, d)
    nodes.open.set()
    created = json.loads(done(server, token)["result"])["createdJob"]
    assert created["name"] == d.job and has_trigger(server, d)
    nodes.open.clear()
    token = token_of(ask(server, "unprovision", d, headers=LATER))
    assert operation(server, token)["status"] == "RUNNING" and has_trigger(server, d)
    nodes.open.set()
    done(server, token)
    assert not has_trigger(server, d)


@pytest.mark.parametrize("what", ["provision", "unprovision"])
@pytest.mark.parametrize("change, messages", [
    ({"driverCores": 0, "executorMemory": "1"}, rules(3, 6)), ({"conf": []}, [DECODE]), ({"cron": "x", "end": "y"}, rules(8, 9)),
])
def test_an_operation_that_is_refused(server, what, change, messages):
    status = done(server, token_of(ask(server, what, Descriptor(**change), headers=LATER)), "FAILED")
    assert status["result"] == "\n".join(messages)
    assert status["logs"]


@pytest.mark.parametrize("text", ["", "a: [", "*nobody", "a: &x [*x]", "- 1\n--- \n- 2", "\ufffe", "a: !!int x", "? [a]\n: b", "[" * 1000])
def test_an_operation_of_a_text_that_is_no_descriptor(server, text):
    status = done(server, token_of(ask(server, "provision", text, headers=LATER)), "FAILED")
    assert status["result"] == DECODE


def test_an_operation_that_fails_behind_validation(server):
    d = Descriptor("never", cron="0 0 0 1 1 ? 2020")
    text = read(ask(server, "provision", d), 500)["error"]
    status = done(server, token_of(ask(server, "provision", d, headers=LATER)), "FAILED")
    assert status["result"] == text and status["logs"]


@pytest.mark.parametrize("prefer", ["respond-async", "Respond-Async", "respond-async, wait=10", "return=minimal, respond-async",
                                    "wait=5,respond-async"])
def test_how_one_asks_for_a_later_answer(server, prefer):
    d = Descriptor("asks", cron=NEVER)
    done(server, token_of(ask(server, "provision", d, headers={"prefer": prefer})))
    done(server, token_of(ask(server, "unprovision", d, headers={"PREFER": prefer})))


@pytest.mark.parametrize("prefer", ["", "wait=5", "return=minimal", "respond-asynchronously", "no-respond-async", "x=respond-async"])
def test_other_wishes_change_nothing(server, prefer):
    d = Descriptor("asks", cron=NEVER)
    read_status(read(ask(server, "provision", d, headers={"Prefer": prefer})))
    read_status(read(ask(server, "unprovision", d, headers={"Prefer": prefer})))


def test_bodies_are_checked_before_an_operation_has_a_token(server):
    for path in ("/v1/provision", "/v1/unprovision"):
        answer = server.post(path, data=b"{", headers=LATER)
        assert (answer.status_code, answer.text) == (400, MALFORMED)
        answer = server.post(path, json={"descriptor": "x"}, headers=LATER)
        assert answer.status_code == 422 and answer.text.startswith(INVALID)


def test_operations_on_one_job_come_in_order(server):
    d = Descriptor("order", cron=NEVER)
    tokens = []
    for i in range(10):
        d.config["numExecutors"] = i + 1
        tokens.append(token_of(ask(server, "provision", d, headers=LATER)))
    for i, token in enumerate(tokens):
        assert json.loads(done(server, token)["result"])["createdJob"]["spark"]["numExecutors"] == i + 1
    assert job_of(server, d)["data"]["numExecutors"] == 10
    unprovision(server, d)


# -- tokens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["nobody-knows-it", "x", "0", "7f3a-7f3a", "A_b-C", "x" * 100])
def test_an_unknown_token_is_named(server, token):
    for path in (f"/v2/validate/{token}/status", f"/v1/provision/{token}/status"):
        [message] = read_refusal(server.get(path), 400)
        assert token in message


def test_a_token_is_of_its_kind(server):
    """What one asks for with the other's path is not there."""
    ours = token_of(ask(server, "/v2/validate", Descriptor()))
    theirs = token_of(ask(server, "provision", Descriptor("kind", cron=NEVER), headers=LATER))
    validated(server, ours)
    done(server, theirs)
    assert server.get(f"/v1/provision/{ours}/status").status_code == server.get(f"/v2/validate/{theirs}/status").status_code == 400
    unprovision(server, Descriptor("kind"))


def test_tokens_cannot_be_guessed(server):
    tokens = {token_of(ask(server, "/v2/validate", Descriptor())) for _ in range(20)}
    assert len(tokens) == 20 and min(map(len, tokens)) >= 16


# -- after a kill ----------------------------------------------------------------------------------------


def test_tokens_outlive_a_kill(plain):
    d = Descriptor("kill", cron=NEVER)
    wrong = Descriptor("kill", driverCores=0)
    good, bad = token_of(ask(plain, "/v2/validate", d)), token_of(ask(plain, "/v2/validate", wrong))
    made, failed = token_of(ask(plain, "provision", d, headers=LATER)), token_of(ask(plain, "provision", wrong, headers=LATER))
    assert (validated(plain, good), validated(plain, bad)) == ([], rules(3))
    before = [done(plain, made), done(plain, failed, "FAILED")]
    for _ in range(2):
        plain.restart()
        assert (validated(plain, good), validated(plain, bad)) == ([], rules(3))
        assert [operation(plain, made), operation(plain, failed)] == before
    assert has_trigger(plain, d)


def test_a_kill_in_the_middle_is_no_end(make_hearth, nodes):
    """What was promised a token has an outcome: a validation is done again, an operation is done or has failed."""
    server = make_hearth({"provision.namenodes": ",".join(nodes.urls)}, fake_java=True).start()
    d = slow("middle", cron=NEVER)
    nodes.open.clear()
    check, work = token_of(ask(server, "/v2/validate", d)), token_of(ask(server, "provision", d, headers=LATER))
    assert (validation(server, check)["status"], operation(server, work)["status"]) == ("RUNNING", "RUNNING")
    server.kill9()
    nodes.open.set()
    server.start()
    status = until(lambda: (s := validation(server, check))["status"] != "RUNNING" and s, 30, "the validation")
    assert status["status"] == "FAILED" or read_validation(status["info"]["publicInfo"]) == []
    status = until(lambda: (s := operation(server, work))["status"] != "RUNNING" and s, 30, "the operation")
    assert has_trigger(server, d) == (status["status"] == "COMPLETED"), status


def test_a_clean_stop_keeps_tokens_too(plain):
    token = token_of(ask(plain, "/v2/validate", Descriptor()))
    validated(plain, token)
    plain.stop()
    plain.start()
    assert validated(plain, token) == []
    provision(plain, Descriptor(cron=NEVER))
