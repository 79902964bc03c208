"""`hearth schedule …` against a real server. Drivers are the fake java."""

import json

import pytest

from harness import program, until
from schedules import create as create_over_http
from schedules import get, history, wait_fires
from test_cli import run

FAKE = program("fake.py")
HOURLY = ("--every", "1h", "--start", "2100-01-01T00:00:00Z")


def schedule(server, *words, code=0):
    answer = run(server, "schedule", *words)
    assert answer.returncode == code, f"{answer.returncode}: {answer.stdout}{answer.stderr}"
    return answer


def create(server, *words):
    return int(schedule(server, "create", *words).stdout)


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_create_says_what_it_means_and_prints_the_number(shared):
    answer = schedule(shared, "create", "nightly", "--cron", "0 0 2 * * ?", "--tz", "Europe/Rome", FAKE, "exit", "0")
    made = get(shared, int(answer.stdout))
    assert (made["name"], made["group"], made["cron"], made["timeZone"]) == ("nightly", "default", "0 0 2 * * ?",
                                                                             "Europe/Rome")
    assert made["batch"]["args"] == ["exit", "0"]
    assert answer.stderr == (
        f"hearth schedule create: nightly: At 02:00 every day in Europe/Rome; fires next at {made['nextAt']}\n")


def test_options_stand_before_and_behind_the_name_and_not_behind_the_program(shared):
    made = get(shared, create(shared, "--overlap", "skip", "options", "--every", "10min", "--repeat", "3", "--priority", "9",
                              "--jitter", "5s", "--retry", "2", "--retry-delay", "1m", "--misfire", "ignore",
                              "--driver-memory", "300m", "-c", "spark.x=y", "--paused", FAKE, "--every", "x"))
    assert (made["overlap"], made["every"], made["repeat"], made["priority"], made["jitter"], made["misfire"]) == (
        "skip", "10min", 3, 9, "5s", "ignore")
    assert made["retry"] == {"limit": 2, "delay": "1min", "maxDelay": "10min"}
    assert made["batch"]["args"] == ["--every", "x"]
    assert made["batch"]["conf"] == {"spark.driver.memory": "300m", "spark.x": "y"}
    assert made["state"] == "paused"


def test_the_group_is_said_in_the_name_or_beside_it(shared):
    first = create(shared, "etl/hourly", *HOURLY, FAKE, "exit", "0")
    assert (get(shared, first)["group"], get(shared, first)["name"]) == ("etl", "hourly")
    second = create(shared, "--group", "etl", "a/b", *HOURLY, FAKE, "exit", "0")
    assert (get(shared, second)["group"], get(shared, second)["name"]) == ("etl", "a/b")
    for called, number in (("etl/hourly", first), ("etl/a/b", second), (first, first)):
        assert json.loads(schedule(shared, "show", "--json", called).stdout)["id"] == number


def test_digits_and_slashes_are_names_when_nothing_else_is_called_so(shared):
    digits = create(shared, "--group", "default", "20261121", *HOURLY, FAKE, "exit", "0")
    slash = create(shared, "--group", "default", "of/mine", *HOURLY, FAKE, "exit", "0")
    for called, number in (("20261121", digits), ("of/mine", slash)):
        assert json.loads(schedule(shared, "show", "--json", called).stdout)["id"] == number
    assert "there is no schedule 'mine' in the group 'off'" in schedule(shared, "show", "off/mine", code=1).stderr
    assert "there is no schedule 4711" in schedule(shared, "show", "4711", code=1).stderr
    assert "there is no schedule 'nobody' in the group 'default'" in schedule(shared, "show", "nobody", code=1).stderr


def test_replace_makes_it_or_changes_it(shared):
    first = create(shared, "--replace", "again", *HOURLY, FAKE, "exit", "0")
    answer = schedule(shared, "create", "again", *HOURLY, FAKE, "exit", "1", code=1)
    assert answer.stderr == "hearth schedule create: again exists already; --replace gives it this definition\n"
    assert create(shared, "--replace", "again", "--cron", "0 0 3 * * ?", FAKE, "exit", "2") == first
    assert (get(shared, first)["cron"], get(shared, first)["batch"]["args"][1]) == ("0 0 3 * * ?", "2")
    assert create(shared, "--replace", "again", "--paused", *HOURLY, FAKE, "exit", "3") == first
    assert get(shared, first)["state"] == "paused"


def test_what_is_replaced_and_paused_does_not_fire(shared):
    made = create(shared, "at rest", *HOURLY, FAKE, "exit", "0")
    assert create(shared, "--replace", "at rest", "--paused", "--at", "2020-01-01T00:00:00Z", FAKE, "exit", "1") == made
    assert (get(shared, made)["state"], history(shared, made)) == ("paused", [])
    schedule(shared, "resume", str(made))
    assert wait_fires(shared, made, 1)


@pytest.mark.parametrize("words, code, said", [
    ((), 2, "what is it called?"),
    (("n",), 2, "which application?"),
    (("n", FAKE), 2, "when? Give one of --cron, --at and --every"),
    (("n", "--cron", "0 0 2 * * ?", "--every", "1h", FAKE), 2, "when? Give one of"),
    (("n", "--every", "1h", "--priority", "high", FAKE), 2, "--priority: 'high' is not a whole number"),
    (("n", "--every", "1h", "--retry-delay", "1m", FAKE), 2, "--retry-delay and --retry-max-delay go with --retry"),
    (("/n", "--every", "1h", FAKE), 2, "NAME is empty"),
    (("n/", "--every", "1h", FAKE), 2, "NAME is empty"),
    (("n", "--every", "1h", "missing.py"), 2, "there is no such file"),
    (("n", "--evry", "1h", FAKE), 2, "did you mean --every?"),
    (("n", "--every", "1x", FAKE), 1, "every: '1x' is not a duration"),
    (("n", "--cron", "0 0 2 * *", FAKE), 1, "cron: "),
    (("n", "--every", "1h", "--overlap", "skp", FAKE), 1, "did you mean skip?"),
    (("n", "--every", "1h", "--priority", "11", FAKE), 1, "priority is 11; it must be a whole number from 1 to 10"),
    (("n", "--every", "1h", "/etc/passwd"), 1, "batch: requirement failed: Local path /etc/passwd"),
])
def test_mistakes_are_told_and_nothing_is_made(shared, words, code, said):
    before = shared.get("/hearth/schedules").json()["total"]
    answer = schedule(shared, "create", *words, code=code)
    assert answer.stderr.startswith("hearth schedule create: ") and said in answer.stderr
    assert shared.get("/hearth/schedules").json()["total"] == before


def test_list_shows_all_of_a_group(shared):
    made = create_over_http(shared, "in a list", group="listed", cron="0 0 2 * * ?", timeZone="UTC")
    create_over_http(shared, "resting", group="listed", paused=True)
    head, first, second = rows(schedule(shared, "list", "--group", "listed").stdout)
    assert head == ["ID", "GROUP", "NAME", "STATE", "NEXT", "FIRES", "OWNER", "WHEN"]
    assert first == [str(made["id"]), "listed", "in", "a", "list", "active", made["nextAt"].replace(".000", ""), "0", "-",
                     *"At 02:00 every day in UTC".split()]
    assert second[-3:] == ["-", "Every", "1h"] and "paused" in second
    answer = json.loads(schedule(shared, "list", "--json", "--group", "listed").stdout)
    assert [s["name"] for s in answer["schedules"]] == ["in a list", "resting"] and answer["total"] == 2


def test_the_life_of_a_schedule_through_the_commands(shared):
    number = create(shared, "life", *HOURLY, FAKE, "exit", "3")
    assert schedule(shared, "run", "life").stdout == "life: fire 1\n"
    fire = wait_fires(shared, number, 1)[0]
    head, line = rows(schedule(shared, "history", "life").stdout)
    assert head == ["FIRE", "CAUSE", "STATE", "PLANNED", "LATE", "TOOK", "BATCH", "REASON"]
    assert line[:3] == ["1", "manual", "failed"] and str(fire["batch"]) in line and "code" in line
    shown = schedule(shared, "show", "life").stdout
    assert shown.startswith(f"schedule {number} (life): active\n") and "last fire 1: failed" in shown
    assert schedule(shared, "pause", "life", number).stdout == f"life: paused\n{number}: paused\n"
    assert schedule(shared, "resume", "life").stdout == "life: resumed\n"
    coming = rows(schedule(shared, "upcoming", "life", "-n", "2", "--from", "2100-01-01T00:00:00Z").stdout)
    assert coming == [["AT", "ID", "GROUP", "NAME"], ["2100-01-01T00:00:00Z", str(number), "default", "life"],
                      ["2100-01-01T01:00:00Z", str(number), "default", "life"]]
    assert schedule(shared, "delete", "life").stdout == "life: deleted\n"
    assert schedule(shared, "delete", "life", code=1).stderr.endswith("there is no schedule 'life' in the group 'default'\n")


def test_one_that_fails_does_not_spare_the_others(shared):
    create(shared, "there", *HOURLY, FAKE, "exit", "0")
    answer = schedule(shared, "pause", "not there", "there", code=1)
    assert answer.stdout == "there: paused\n" and "there is no schedule 'not there'" in answer.stderr


def test_upcoming_tells_when_there_are_more(shared):
    create(shared, "often", "--every", "1min", "--paused", FAKE, "exit", "0")
    create(shared, "soon", "--every", "1h", "--start", "2090-01-01T00:00:00Z", FAKE, "exit", "0")
    answer = schedule(shared, "upcoming", "soon", "--from", "2090-01-01T00:00:00Z", "-n", "1")
    assert "there are more; -n shows up to 1000" in answer.stderr
    assert "from: " in schedule(shared, "upcoming", "--from", "soon", code=1).stderr
    assert schedule(shared, "upcoming", "-n", "0", code=2).stderr.startswith("hearth schedule upcoming: -n: ")


def test_names_cannot_move_the_cursor(shared):
    create_over_http(shared, "evil \u009b2J", group="evil")
    assert "\u009b" not in schedule(shared, "list", "--group", "evil").stdout


def test_status_counts_schedules(shared):
    create(shared, "counted", *HOURLY, FAKE, "exit", "0")
    assert any(line.split()[0] == "schedules" and "active" in line for line in run(shared, "status").stdout.splitlines()[1:])


@pytest.mark.parametrize("command", ["", "create", "list", "show", "pause", "resume", "delete", "run", "history", "upcoming"])
def test_every_command_has_help_with_examples(shared, command):
    answer = run(shared, "schedule", *([command] if command else []), "--help")
    assert answer.returncode == 0
    assert answer.stdout.count("hearth schedule") >= 2 and "examples" in answer.stdout
    assert max(len(line) for line in answer.stdout.splitlines()) <= 100


def test_a_missing_server_is_told(shared):
    answer = run(shared, "schedule", "list", "--server", "http://127.0.0.1:1")
    assert answer.returncode == 3 and "no hearth answers" in answer.stderr


def test_fires_go_on_while_nobody_looks(shared):
    number = create(shared, "ticks", "--every", "1s", "--repeat", "1", FAKE, "exit", "0")
    wait_fires(shared, number, 2)
    until(lambda: get(shared, number)["state"] == "complete", 20, "it to be complete")
    assert [f["state"] for f in history(shared, number)] == ["succeeded", "succeeded"]
