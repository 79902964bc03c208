"""`hearth cron`: no server is needed."""

import json
from pathlib import Path

import pytest

from fake_server import run

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "quartz-cron.jsonl"

# Quartz accepts these and then fails or does what nobody wrote: hearth refuses them
REFUSED = ("0 0 L * * ?", "0 0 0 99 * ?", "0 0 0 ? * 0#1")


def batch(*questions, **env):
    answer = run("cron", "--batch", stdin="".join(q if isinstance(q, str) else json.dumps(q) + "\n" for q in questions), **env)
    return answer, [json.loads(line) for line in answer.stdout.splitlines()]


def test_a_person_gets_the_meaning_and_the_next_times():
    answer = run("cron", "0 15 10 ? * MON-FRI", "--tz", "Europe/Rome", "--from", "2026-11-20T12:00:00Z", "-n", 2)
    assert answer.returncode == 0
    assert answer.stdout == ("At 10:15 every weekday in Europe/Rome\n"
                             "  2026-11-23 10:15:00 +01:00   2026-11-23T09:15:00Z\n"
                             "  2026-11-24 10:15:00 +01:00   2026-11-24T09:15:00Z\n")


def test_the_offset_is_that_of_each_time():
    answer = run("cron", "0 30 1 * * ?", "--tz", "America/St_Johns", "--from", "2026-10-31T00:00:00Z", "-n", 2)
    assert [line[22:28] for line in answer.stdout.splitlines()[1:]] == ["-02:30", "-03:30"]


@pytest.mark.parametrize("cron, after, last", [
    ("0 0 0 1 1 ? 2030", "2029-01-01", "  and never again"),
    ("0 0 0 30 2 ?", "2029-01-01", "  never"),
])
def test_what_ends_says_so(cron, after, last):
    answer = run("cron", cron, "--tz", "UTC", "--from", after)
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[-1] == last


def test_programs_get_json():
    answer = run("cron", "--json", "0 0 12 * * ?", "--tz", "UTC", "--from", "2027-01-01T00:00:00.999Z", "--count", 1)
    assert answer.returncode == 0
    assert json.loads(answer.stdout) == {"valid": True, "error": None, "description": "At 12:00 every day in UTC",
                                         "next": ["2027-01-01T12:00:00Z"]}


def test_an_invalid_expression_is_exit_1_with_field_value_and_what_is_allowed():
    answer = run("cron", "0 0 24 * * ?")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr == "hearth cron: hours '24': Hour values must be between 0 and 23 (allowed: 0-23 and , - * /)\n"
    answer = run("cron", "0 0 24 * * ?", "--json")
    assert answer.returncode == 1
    assert json.loads(answer.stdout) == {
        "valid": False, "error": "Hour values must be between 0 and 23", "description": None, "next": [],
        "field": "hours", "value": "24", "allowed": "0-23 and , - * /"}


def test_five_fields_get_a_hint():
    assert "unix: and its five fields" in run("cron", "30 2 * * *").stderr
    assert run("cron", "unix: 30 2 * * *", "--tz", "UTC").stdout.startswith("At 02:30 every day in UTC\n")


def test_the_zone_of_the_process_counts_without_tz():
    assert run("cron", "0 0 1 * * ?", TZ="Asia/Tokyo").stdout.startswith("At 01:00 every day in Asia/Tokyo\n")
    assert run("cron", "0 0 1 * * ?", TZ="Nowhere/None").returncode == 2


@pytest.mark.parametrize("words, said", [
    (("cron",), "which expression?"),
    (("cron", "0 0 1 * * ?", "--tz", "Nowhere/None"), "time zone 'Nowhere/None': there is none of this name below"),
    (("cron", "0 0 1 * * ?", "--tz", "../../../etc/passwd"), "not a name such as Europe/Rome or UTC"),
    (("cron", "0 0 1 * * ?", "--from", "tomorrow"), "from: 'tomorrow' is not an instant such as"),
    (("cron", "0 0 1 * * ?", "--count", "x"), "--count: 'x' is not a whole number"),
    (("cron", "0 0 1 * * ?", "--count", "10001"), "--count:"),
    (("cron", "--batch", "0 0 1 * * ?"), "--batch takes everything from its lines"),
])
def test_a_wrong_command_line_is_exit_2(words, said):
    answer = run(*words)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert answer.stdout == ""


def test_a_batch_answers_quartz_vectors_as_quartz_does():
    vectors = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    answer, results = batch(*({"cron": v["cron"], "tz": v["tz"], "from": v["start"], "count": 8} for v in vectors))
    assert answer.returncode == 0
    assert len(results) == len(vectors)
    for vector, result in zip(vectors, results):
        if vector["cron"] in REFUSED:
            assert not result["valid"]
            continue
        assert (vector["id"], result["valid"], result["next"]) == (vector["id"], vector["valid"], vector.get("next") or [])
        bracket = "Illegal cron expression format ("
        if (vector["error"] or "").startswith(bracket):
            assert result["error"].startswith(bracket)
        else:
            assert result["error"] == vector["error"]


def test_each_line_of_a_batch_gets_one_line():
    answer, results = batch({"cron": "0 0 12 * * ?", "tz": "UTC", "from": "2027-01-01T00:00:00Z", "count": 2, "id": 7},
                            "nonsense\n", "\n", '{"tz":"UTC"}\n', '{"cron":"0 0 12 * * ?","count":"x"}\n',
                            {"cron": "0 0 12 * * ?", "tz": "Nowhere/None"}, {"cron": "0 0 12 * * ?", "from": "x"},
                            '{"cron":"' + " " * 70000 + '"}\n', {"cron": "0 0 12 * * ?" + " " * 2000},
                            '{"cron":"0 0 12 * * ?","tz":"UTC","count":0}')
    assert answer.returncode == 1
    assert [r["valid"] for r in results] == [True] + [False] * 8 + [True]
    assert results[0]["next"] == ["2027-01-01T12:00:00Z", "2027-01-02T12:00:00Z"]
    assert results[3]["error"] == "cron is required"
    assert "time zone 'Nowhere/None'" in results[5]["error"]
    assert "the line is longer" in results[7]["error"]
    assert results[8]["error"] == "Longer than 1024 bytes"
    assert results[9]["next"] == []
    assert all(r["error"] for r in results[1:9])


def test_an_empty_batch_is_answered_with_nothing():
    answer, results = batch()
    assert (answer.returncode, results) == (0, [])


def test_ten_thousand_times_are_told():
    _, results = batch({"cron": "* * * * * ?", "tz": "Europe/Rome", "from": "2027-03-28T00:00:00Z", "count": 10000})
    assert len(set(results[0]["next"])) == 10000
