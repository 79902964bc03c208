"""The OpenAPI description: what it covers, and whether the server does what it says, as schemathesis finds out.

schemathesis runs in an environment of its own (scripts/venv.sh).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fake_server
from harness import PATIENCE
from provision import NEVER, Descriptor, ask, provision, read, runnable, runs, unprovision, wait_used_up

SCHEMATHESIS = Path(sys.prefix) / "openapi" / "bin" / "schemathesis"
SCHEDULES = "/hearth/schedules"

PATHS = {
    "/health": {"get"}, "/v1/validate": {"post"}, "/v1/provision": {"post"}, "/v1/provision/{token}/status": {"get"},
    "/v1/unprovision": {"post"}, "/v1/updateacl": {"post"}, "/v2/validate": {"post"}, "/v2/validate/{token}/status": {"get"},
    "/v1/reverse-provisioning": {"post"}, "/v1/reverse-provisioning/{token}/status": {"get"}, "/v1/scheduler/jobs": {"get"},
    "/v1/scheduler/jobs/{group}/{name}": {"get"}, "/v1/scheduler/triggers/{group}/{name}": {"get"},
    "/v1/scheduler/jobs/{group}/{name}/triggers": {"post"},
}
NOT_IMPLEMENTED = ("/v1/updateacl", "/v1/reverse-provisioning", "/v1/reverse-provisioning/{token}/status")


@pytest.fixture(scope="module")
def description(shared):
    answer = shared.get("/openapi.json")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
    return answer.json()


def resolve(description, part):
    while "$ref" in part:
        reference, part = part["$ref"], description
        assert reference.startswith("#/")
        for word in reference[2:].split("/"):
            part = part[word]
    return part


def test_it_is_an_openapi_description(description):
    assert description["openapi"].startswith("3.")
    assert description["info"]["title"] and description["info"]["version"]


def test_it_covers_every_endpoint(description):
    methods = {path: {m for m in item if m in ("get", "post", "put", "delete", "patch")} for path, item in description["paths"].items()}
    assert {path: methods.get(path) for path in PATHS} == PATHS
    assert any(path.startswith(SCHEDULES) for path in methods)


def test_every_reference_leads_somewhere(description):
    def walk(part):
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                assert resolve(description, part)
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(description)


@pytest.mark.parametrize("path", ["/v1/validate", "/v1/provision", "/v1/unprovision", "/v2/validate"])
def test_what_a_request_must_have(description, path):
    body = resolve(description, description["paths"][path]["post"]["requestBody"])
    schema = resolve(description, body["content"]["application/json"]["schema"])
    assert set(schema["required"]) == {"descriptorKind", "descriptor", "removeData"}
    kinds = resolve(description, schema["properties"]["descriptorKind"])["enum"]
    assert set(kinds) == {"DATAPRODUCT_DESCRIPTOR", "COMPONENT_DESCRIPTOR", "DATAPRODUCT_DESCRIPTOR_WITH_RESULTS"}


@pytest.mark.parametrize("path, method, codes", [
    ("/v1/validate", "post", {"200", "400", "422"}), ("/v1/provision", "post", {"200", "202", "400", "422", "500"}),
    ("/v1/unprovision", "post", {"200", "202", "400", "422", "500"}), ("/v2/validate", "post", {"202", "400", "422"}),
    ("/v1/provision/{token}/status", "get", {"200", "400"}), ("/v2/validate/{token}/status", "get", {"200", "400"}),
    ("/v1/updateacl", "post", {"400", "422", "500"}), ("/v1/reverse-provisioning", "post", {"400", "422", "500"}),
    ("/v1/scheduler/jobs/{group}/{name}", "get", {"200", "404"}), ("/v1/scheduler/triggers/{group}/{name}", "get", {"200", "404"}),
    ("/v1/scheduler/jobs/{group}/{name}/triggers", "post", {"201", "404", "409"}),
])
def test_the_answers_that_are_described(description, path, method, codes):
    assert codes <= set(description["paths"][path][method]["responses"])


# -- schemathesis ----------------------------------------------------------------------------------------


def try_all(server, folder, *options, examples=40):
    """Requests that fit the description and requests that do not; each answer must fit it. Random, but the same each time."""
    if not SCHEMATHESIS.exists():
        pytest.skip("the environment of schemathesis is not installed")
    # A request that fits the description may still be refused for what its texts say.
    excluded = ["positive_data_acceptance", *(o for o in options if not o.startswith("--"))]
    words = [o for o in options if o.startswith("--")]
    done = subprocess.run(
        [SCHEMATHESIS, "run", server.url + "/openapi.json", "--phases=examples,coverage,fuzzing", f"--max-examples={examples}",
         "--generation-deterministic", "--continue-on-failure", "--no-color", "--request-timeout=60",
         "--suppress-health-check=all", f"--exclude-checks={','.join(excluded)}", *words],
        capture_output=True, text=True, cwd=folder, timeout=280 * PATIENCE, env=fake_server.environment(NO_PROXY="*", no_proxy="*"))
    assert done.returncode == 0, (done.stdout + done.stderr)[-12_000:]


def test_the_provisioner_does_what_is_described(shared, tmp_path):
    try_all(shared, tmp_path, "--include-path-regex=^/(health|v1/|v2/)", *(f"--exclude-path={path}" for path in NOT_IMPLEMENTED))
    assert shared.get("/health").status_code == 200


def test_answers_about_what_is_there_are_as_described(shared, tmp_path):
    """A job, its trigger, a job without one, and tokens, where random names would find nothing."""
    known, used_up = Descriptor("known", cron=NEVER), runnable("used-up", "exit", 0)
    for d in (known, used_up):
        provision(shared, d)
    wait_used_up(shared, used_up)
    later = {"Prefer": "respond-async"}
    tokens = [read(ask(shared, path, known, headers=later), 202) for path in ("/v2/validate", "/v1/provision")]
    parameters = {
        "/v1/scheduler/jobs/{group}/{name}": {"group": known.group, "name": known.job},
        "/v1/scheduler/triggers/{group}/{name}": {"group": known.group, "name": known.job + "Trigger"},
        "/v1/scheduler/jobs/{group}/{name}/triggers": {"group": used_up.group, "name": used_up.job},
        "/v2/validate/{token}/status": {"token": tokens[0]}, "/v1/provision/{token}/status": {"token": tokens[1]},
    }
    with open(tmp_path / "schemathesis.toml", "w") as file:
        for path, values in parameters.items():
            words = ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
            file.write(f"[[operations]]\ninclude-path = {json.dumps(path)}\nparameters = {{ {words} }}\n\n")
    try_all(shared, tmp_path, *(f"--include-path={path}" for path in parameters), examples=10)
    assert len(runs(shared, used_up.job)) > 1, "triggers made by hand"
    for d in (known, used_up):
        unprovision(shared, d)


def test_what_is_not_implemented_does_what_is_described(shared, tmp_path):
    """Its answer is a 500, which is described."""
    try_all(shared, tmp_path, *(f"--include-path={path}" for path in NOT_IMPLEMENTED), "not_a_server_error", examples=15)


def test_the_schedules_do_what_is_described(shared, tmp_path):
    try_all(shared, tmp_path, f"--include-path-regex=^{SCHEDULES}")
    assert shared.get("/health").status_code == 200
