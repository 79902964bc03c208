"""The description of the API says what the server does."""

import re

import pytest


@pytest.fixture(scope="module")
def document(shared):
    answer = shared.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def test_it_says_which_server_it_is_of(document, shared):
    assert document["openapi"] == "3.0.3"
    assert document["info"]["version"] == shared.get("/hearth/status").json()["version"]
    assert document["servers"] == [{"url": "/"}]


def test_every_operation_is_a_route(document, shared):
    for path, method, _ in operations(document):
        answer = shared.http.options(shared.url + re.sub(r"{[^}]+}", "1", path))
        assert method.upper() in answer.headers.get("Allow", ""), f"{method} {path}"


def test_every_operation_has_a_name_of_its_own_and_a_summary(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(set(names))
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_every_parameter_of_a_path_is_described(document):
    for path, _, operation in operations(document):
        shared = document["paths"][path].get("parameters", [])
        described = set()
        for parameter in shared + operation.get("parameters", []):
            if "$ref" in parameter:
                parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
            if parameter["in"] == "path":
                described.add(parameter["name"])
        assert described == set(re.findall(r"{([^}]+)}", path)), path


def test_a_base_path_is_told(make_hearth):
    server = make_hearth({"server.base_path": "/spark"}, fake_java=True).launch()
    server.url += "/spark"
    server.wait_ready()
    server.fds_at_start = server.fds()
    assert server.get("/openapi.json").json()["servers"] == [{"url": "/spark"}]
