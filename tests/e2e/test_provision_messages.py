"""The provisioner's endpoints, the bodies they take, and what they answer to those that cannot be read."""

import json

import pytest

import wire
from provision import (DECODE, INVALID, MALFORMED, NOT_IMPLEMENTED, Descriptor, ask, completed, errors, provision, read,
                       read_validation, refused, request, rules, unprovision)

DESCRIPTORS = ("/v1/validate", "/v1/provision", "/v1/unprovision", "/v2/validate")
ACL = {"refs": ["user:alice", "group:dev"], "provisionInfo": {"request": "{}", "result": "{}"}}
REVERSE = {"useCaseTemplateId": "urn:dmb:utm:spark:0.0.0", "environment": "dev", "params": {"a": 1}, "catalogInfo": {}}
POSTS = (*DESCRIPTORS, "/v1/updateacl", "/v1/reverse-provisioning")


def body_of(path):
    if path in DESCRIPTORS:
        return request(Descriptor("messages"))
    return {"/v1/updateacl": ACL, "/v1/reverse-provisioning": REVERSE}[path]


def without(body, field):
    return {key: value for key, value in body.items() if key != field}


# -- endpoints -------------------------------------------------------------------------------------------


def test_health_is_an_empty_200(shared):
    answer = shared.get("/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/v1/updateacl", ACL), ("POST", "/v1/updateacl", {**ACL, "refs": []}), ("POST", "/v1/updateacl", {**ACL, "more": 1}),
    ("POST", "/v1/reverse-provisioning", REVERSE),
    ("POST", "/v1/reverse-provisioning", {"useCaseTemplateId": "", "environment": ""}),
    ("POST", "/v1/reverse-provisioning", {**REVERSE, "params": None, "catalogInfo": None}),
    ("GET", "/v1/reverse-provisioning/some-token/status", None),
])
def test_what_is_not_implemented_says_so(shared, method, path, body):
    answer = read(shared.request(method, path, json=body), 500)
    assert json.dumps(answer) == json.dumps(NOT_IMPLEMENTED), "all fields, in this order"


@pytest.mark.parametrize("path", [
    "/v1/validate/x", "/v1/provision/x", "/v1/provision/x/state", "/v1/provision/x/status/y", "/v1/unprovision/x",
    "/v1/updateacl/x", "/v2/validate/x", "/v2/validate/x/y", "/v1/reverse-provisioning/x", "/v2/provision", "/v2/unprovision",
    "/v1/scheduler", "/v1/scheduler/x", "/v1/scheduler/jobs/group", "/v1/scheduler/triggers", "/v1/scheduler/jobs/g/n/x",
    "/v1/nothing", "/v1/Validate", "/v2",
])
def test_an_unknown_path_is_404(shared, path):
    for method in ("GET", "POST"):
        answer = shared.request(method, path)
        assert (answer.status_code, answer.text) == (404, "Not found")
        assert answer.headers["Content-Type"].replace(" ", "").lower() == "text/plain;charset=utf-8"


@pytest.mark.parametrize("path", [*POSTS, "/health", "/v1/provision/x/status", "/v2/validate/x/status",
                                  "/v1/reverse-provisioning/x/status", "/v1/scheduler/jobs", "/v1/scheduler/jobs/g/n",
                                  "/v1/scheduler/triggers/g/n", "/v1/scheduler/jobs/g/n/triggers"])
def test_another_method_is_refused(shared, path):
    right = "POST" if path in POSTS or path.endswith("/triggers") else "GET"
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {right}:
        answer = shared.request(method, path, json={})
        assert (answer.status_code, answer.text) == (404, "Not found") or (
            answer.status_code == 405 and right in answer.headers["Allow"]), f"{method} {answer.status_code} {answer.text}"


# -- bodies that cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"x", b'{"a":}', b"{'a': 1}", b'{"a": 1} x', b"[1,", b'"x', b"dataProduct: {}"])
def test_a_body_that_is_no_json_is_malformed(shared, path, body):
    answer = shared.post(path, data=body)
    assert (answer.status_code, answer.text) == (400, MALFORMED)


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_never_was_sent_is_malformed(shared, path):
    [answer] = wire.exchange(shared, wire.request("POST", path, Connection="close", Content_Length="0"))
    assert (answer.status, answer.body.decode()) == (400, MALFORMED)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", ["null", "[]", "5", '"x"', "true", "[{}]"])
def test_json_that_is_no_object_is_invalid(shared, path, body):
    answer = shared.post(path, data=body)
    assert answer.status_code == 422 and answer.text.startswith(INVALID), answer.text


def invalid(server, path, body, field):
    answer = server.post(path, json=body)
    assert answer.status_code == 422 and answer.text.startswith(INVALID), answer.text
    assert field in answer.text.removeprefix(INVALID), answer.text


REQUIRED = [
    *[(path, field) for path in DESCRIPTORS for field in ("descriptorKind", "descriptor", "removeData")],
    *[("/v1/updateacl", field) for field in ("refs", "provisionInfo")],
    *[("/v1/reverse-provisioning", field) for field in ("useCaseTemplateId", "environment")],
]


@pytest.mark.parametrize("path, field", REQUIRED)
def test_a_required_field_that_is_missing_is_named(shared, path, field):
    invalid(shared, path, without(body_of(path), field), field)
    invalid(shared, path, {**body_of(path), field: None}, field)


@pytest.mark.parametrize("path, field", REQUIRED)
def test_a_field_of_another_type_is_named(shared, path, field):
    wrong = {"removeData": ["true", 1, 0, [], {}], "provisionInfo": ["x", 1, True, []], "refs": ["user:alice", 1, {}]}
    for value in wrong.get(field, [5, 1.5, True, {}, []]):
        invalid(shared, path, {**body_of(path), field: value}, field)


@pytest.mark.parametrize("kind", ["X", "", "component_descriptor", "COMPONENT_DESCRIPTOR ", "DATAPRODUCT"])
@pytest.mark.parametrize("path", DESCRIPTORS)
def test_an_unknown_kind_of_descriptor_is_named(shared, path, kind):
    invalid(shared, path, {**body_of(path), "descriptorKind": kind}, "descriptorKind")


@pytest.mark.parametrize("field", ["request", "result"])
def test_the_fields_below_provision_info_are_required(shared, field):
    invalid(shared, "/v1/updateacl", {**ACL, "provisionInfo": without(ACL["provisionInfo"], field)}, field)
    invalid(shared, "/v1/updateacl", {**ACL, "provisionInfo": {**ACL["provisionInfo"], field: {}}}, field)


def test_refs_are_texts(shared):
    for refs in ([1], ["user:alice", None], [["user:alice"]], [{}]):
        invalid(shared, "/v1/updateacl", {**ACL, "refs": refs}, "refs")


# -- bodies that can -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["DATAPRODUCT_DESCRIPTOR", "COMPONENT_DESCRIPTOR", "DATAPRODUCT_DESCRIPTOR_WITH_RESULTS"])
def test_the_kind_of_descriptor_changes_nothing(shared, kind):
    d = Descriptor("kinds", cron="0 30 2 * * ?")
    assert read_validation(read(ask(shared, "validate", d, descriptorKind=kind))) == []
    created = json.loads(read(ask(shared, "provision", d, descriptorKind=kind))["result"])["createdJob"]
    assert created["name"] == d.job
    completed(shared, "unprovision", d, descriptorKind=kind)


@pytest.mark.parametrize("fields", [
    {"removeData": True}, {"latestEnrichedDescriptor": "anything: ["}, {"latestEnrichedDescriptor": None},
    {"unknown": {"a": []}, "Descriptor": 5}, {"": ""},
])
def test_what_else_is_in_a_request_changes_nothing(shared, fields):
    d = Descriptor("fields", cron="0 30 2 * * ?")
    assert read_validation(read(ask(shared, "validate", d, **fields))) == []
    plain, other = provision(shared, d), provision(shared, d, **fields)
    assert plain == other
    assert unprovision(shared, d) == unprovision(shared, d, **fields)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml; charset=x",
                                  "multipart/form-data; boundary=x", "application/json; charset=utf-8", "nonsense"])
def test_the_content_type_of_a_request_is_not_looked_at(shared, kind):
    body = json.dumps(request(Descriptor("kinds"))).encode()
    answer = shared.post("/v1/validate", data=body, headers={"Content-Type": kind} if kind else {})
    assert read_validation(read(answer)) == []
    assert shared.post("/v1/validate", data=b"{", headers={"Content-Type": kind} if kind else {}).text == MALFORMED


def test_texts_are_utf8(shared):
    d = Descriptor("utf8", group="Verkäufe 販売 🔥", cron="0 30 2 * * ?")
    d.config["args"] = ["Größe", "日本", "🔥"]
    for ascii_only in (True, False):
        body = json.dumps(request(d), ensure_ascii=ascii_only).encode()
        result = json.loads(read(shared.post("/v1/provision", data=body))["result"])
        assert result["createdJob"]["spark"]["args"] == ["Größe", "日本", "🔥"]
    unprovision(shared, d)


def test_no_header_is_asked_for(shared):
    [answer] = wire.exchange(shared, wire.request("POST", "/v1/validate", json.dumps(request(Descriptor())).encode(), Connection="close"))
    assert answer.status == 200 and read_validation(json.loads(answer.body)) == []


# -- answers ---------------------------------------------------------------------------------------------


def test_a_refusal_has_all_its_fields(shared):
    d = Descriptor("refused", executorMemory="4096m")
    d.specific["jobName"] = "nightly"
    assert read(ask(shared, "validate", d)) == {"valid": False, "error": {"errors": rules(2, 6)}}
    for what in ("provision", "unprovision"):
        assert read(ask(shared, what, d), 400) == {
            "errors": rules(2, 6), "userMessage": None, "input": None, "inputErrorField": None, "moreInfo": None}


def test_a_descriptor_that_cannot_be_decoded_has_one_message(shared):
    assert read(ask(shared, "validate", "a: [")) == {"valid": False, "error": {"errors": [DECODE]}}
    assert refused(shared, "provision", "a: [") == refused(shared, "unprovision", "a: [") == [DECODE]


def test_validation_changes_nothing(shared):
    d = Descriptor("validated", cron="0 30 2 * * ?")
    assert errors(shared, d) == []
    answer = shared.get(f"/v1/scheduler/jobs/orders/{d.job}")
    assert answer.status_code == 404


# -- hostile ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [
    b"\xff\xfe{}", b'{"descriptor":"\xff"}', b'{"descriptor":"\\ud800","descriptorKind":"COMPONENT_DESCRIPTOR","removeData":false}',
    b'{"descriptor":"a\\u0000b","descriptorKind":"COMPONENT_DESCRIPTOR","removeData":false}', b"[" * 100_000, b'{"a":' * 5000,
    b'{"removeData":1e999}', b'{"removeData":' + b"9" * 5000 + b"}", b"\0" * 100,
])
@pytest.mark.parametrize("path", POSTS)
def test_hostile_bodies_are_refused(shared, path, body):
    answer = shared.post(path, data=body)
    accepted = (200, 202) if path in ("/v1/validate", "/v2/validate") else ()
    assert answer.status_code in (400, 422, *accepted), answer.text
    assert shared.get("/health").status_code == 200


def test_a_huge_body_is_refused(shared):
    answers = wire.exchange(shared, wire.request("POST", "/v1/validate", b"", Content_Length="99999999999", Connection="close"))
    assert all(answer.status in (400, 413) for answer in answers)
    assert shared.get("/health").status_code == 200


@pytest.mark.parametrize("token", ["%00", "%ff", "..%2f..", "x" * 4000, "%F0%9F%94%A5", "a%0d%0ab", "'", "%25", "*"])
def test_hostile_tokens_are_unknown(shared, token):
    for path in (f"/v1/provision/{token}/status", f"/v2/validate/{token}/status"):
        answer = shared.get(path)
        assert answer.status_code in (400, 404), f"{answer.status_code}: {answer.text}"
