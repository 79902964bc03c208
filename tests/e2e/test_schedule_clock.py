"""Schedules on a clock that is set: forward, back, over both changes to and from summer time, and into a leap day.

The server runs with libfaketime (faketime.py). What its schedules run is the fake java of this folder, which ends at
once: these tests are about fire times. The clock is put to a moment shortly before each interesting one.
"""

import pytest

import faketime
import harness
from faketime import seconds, text
from harness import until

NOON = "2027-06-15T12:00:00Z"
HOUR = 3600
MINUTE = 60
SHORTLY = 2  # before a moment
SLOW = 10  # what fires at once may need that long on a busy machine


class World:
    """A server, its clock, and what its schedules did."""

    def __init__(self, server, clock):
        self.server = server
        self.clock = clock
        self.names = {}

    def add(self, name, **when):
        body = {"name": name, "batch": harness.fake("exit", 0), **when}
        answer = self.server.post("/hearth/schedules", json=body)
        assert answer.status_code == 201, answer.text
        self.names[name] = answer.json()["id"]

    def get(self, name):
        answer = self.server.get(f"/hearth/schedules/{self.names[name]}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fires(self, name):
        """Oldest first."""
        answer = self.server.get(f"/hearth/schedules/{self.names[name]}/history", params={"size": 1000})
        assert answer.status_code == 200, answer.text
        return list(reversed(answer.json()["fires"]))

    def ran(self, name):
        """The fire times that made an application, in seconds."""
        return [seconds(f["plannedAt"]) for f in self.fires(name) if f["batch"] is not None]

    def missed(self, name):
        """[(how many, from, until)]"""
        found = [f["missed"] for f in self.fires(name) if f["state"] == "missed"]
        return [(m["count"], m["from"], m["until"]) for m in found]

    def wait_ran(self, name, n, within=30):
        return until(lambda: len(self.ran(name)) >= n and self.ran(name), within,
                     lambda: f"{n} runs of {name}: {self.get(name)} {self.fires(name)}")

    def wait_ran_at(self, name, *instants):
        """Exactly these fire times have run, and none was missed."""
        expected = [seconds(i) if isinstance(i, str) else i for i in instants]
        self.wait_ran(name, len(expected))
        assert [text(t) for t in self.ran(name)] == [text(t) for t in expected]
        assert not self.missed(name)

    def wait_missed(self, name, count, first, last):
        """One record of missed fire times, and none of them has run."""
        until(lambda: self.missed(name), 30, lambda: f"a misfire of {name}: {self.get(name)} {self.fires(name)}")
        assert self.missed(name) == [(count, text(seconds(first)), text(seconds(last)))]

    def next(self, name):
        at = self.get(name)["nextAt"]
        return at and text(seconds(at))

    def beat(self, n):
        """Waits for so many seconds of the server's own: a schedule that fires each second, whatever the clock shows."""
        if "beat" not in self.names:
            self.add("beat", every="1s")
        self.wait_ran("beat", len(self.ran("beat")) + n)

    def ran_now(self, name, since):
        """It ran once, planned for the moment, since then."""
        (planned,) = self.wait_ran(name, 1)
        assert since <= planned <= self.clock.now(), f"{name}: {text(planned)} is not between {text(since)} and now"
        return planned


@pytest.fixture
def world(make_hearth, tmp_path):
    """world(at): a server whose clock shows that instant."""

    def make(at):
        clock = faketime.Clock(tmp_path, at)
        return World(make_hearth(fake_java=True, environment=clock.environment).start(), clock)

    return make


# ---- an hour forward, an hour back ----


def test_fire_times_that_the_clock_jumped_over_are_treated_as_misfires(world):
    w = world("2027-06-15T10:29:50Z")
    for misfire in ("smart", "fire_now", "ignore", "do_nothing"):
        w.add(misfire, cron="0 0 * * * ?", timeZone="UTC", misfire=misfire)
    w.add("soon", cron="0 30 * * * ?", timeZone="UTC", start="2027-06-15T11:00:00Z")
    w.add("each", cron="0 * * * * ?", timeZone="UTC", start="2027-06-15T10:31:00Z", misfire="do_nothing")
    w.clock.set("2027-06-15T11:30:10Z")
    jumped = w.clock.now()
    eleven = (1, "2027-06-15T11:00:00Z", "2027-06-15T11:00:00Z")
    for misfire in ("smart", "fire_now"):
        w.wait_missed(misfire, *eleven)
        w.ran_now(misfire, jumped)
    w.wait_missed("do_nothing", *eleven)
    assert w.ran("do_nothing") == []
    w.wait_ran_at("ignore", "2027-06-15T11:00:00Z")
    w.wait_ran_at("soon", "2027-06-15T11:30:00Z")  # not later than the threshold
    w.wait_missed("each", 60, "2027-06-15T10:31:00Z", "2027-06-15T11:30:00Z")
    for name in ("smart", "fire_now", "ignore", "do_nothing"):
        assert w.next(name) == "2027-06-15T12:00:00.000Z"


def test_no_fire_time_of_cron_comes_twice_when_the_clock_goes_back(world):
    w = world(NOON)
    w.add("cron", cron="* * * * * ?", timeZone="UTC")
    w.wait_ran("cron", 2)
    w.clock.move(-HOUR)
    w.beat(1)  # what began before the clock was set has ended
    before = w.ran("cron")
    w.beat(3)
    assert w.ran("cron") == before
    w.clock.move(HOUR)
    w.wait_ran("cron", len(before) + 3)
    times = w.ran("cron")
    assert times == [times[0] + i for i in range(len(times))]  # each one once, none left out
    assert not w.missed("cron")


def test_a_one_shot_fires_once_however_the_clock_is_set(world):
    w = world(NOON)
    w.add("early", at="2027-06-15T12:00:03Z")
    w.add("late", at="2027-06-15T12:30:00Z")
    w.wait_ran_at("early", "2027-06-15T12:00:03Z")
    w.clock.move(-HOUR)
    w.beat(2)
    w.clock.set("2027-06-15T12:00:01Z")
    w.add("again", at="2027-06-15T12:00:04Z")
    w.wait_ran_at("again", "2027-06-15T12:00:04Z")
    w.wait_ran_at("early", "2027-06-15T12:00:03Z")
    assert w.get("early")["state"] == "complete"
    assert w.ran("late") == []
    w.clock.set("2027-06-15T12:29:58Z")
    w.wait_ran_at("late", "2027-06-15T12:30:00Z")


def test_a_one_shot_that_the_clock_jumped_over_fires_now(world):
    w = world(NOON)
    w.add("over", at="2027-06-15T12:30:00Z")
    w.add("before", at="2027-06-15T13:15:00Z")
    w.clock.move(HOUR)
    jumped = w.clock.now()
    w.wait_missed("over", 1, "2027-06-15T12:30:00Z", "2027-06-15T12:30:00Z")
    w.ran_now("over", jumped)
    w.clock.move(-HOUR)
    w.beat(3)
    assert len(w.ran("over")) == 1
    assert w.get("over")["state"] == "complete"
    assert w.ran("before") == []
    assert w.next("before") == "2027-06-15T13:15:00.000Z"


def test_an_interval_keeps_its_pace_while_the_clock_is_set(world):
    w = world(NOON)
    w.add("pace", every="1s")
    w.add("hourly", every="1h")
    w.add("later", every="1h", start="2027-06-15T18:00:00Z")
    for jump in (HOUR, -2 * HOUR, HOUR + HOUR / 2):
        w.wait_ran("pace", len(w.ran("pace")) + 2)
        w.clock.move(jump)
    w.wait_ran("pace", len(w.ran("pace")) + 2)
    times = [w.clock.true(seconds(f["actualAt"])) for f in w.fires("pace")]
    planned = [w.clock.true(t) for t in w.ran("pace")]
    assert len(times) == len(planned)
    for times_or_planned, slack in ((times, 1.5), (planned, 0.5)):
        gaps = [b - a for a, b in zip(times_or_planned, times_or_planned[1:])]
        assert all(abs(gap - 1) < slack * harness.PATIENCE for gap in gaps), gaps
    assert not w.missed("pace")
    assert len(w.ran("hourly")) == 1 and not w.missed("hourly")
    assert w.ran("later") == []
    assert w.next("later") == "2027-06-15T18:00:00.000Z"


def test_an_interval_ends_when_the_clock_is_put_past_its_end(world):
    w = world(NOON)
    w.add("ends", every="1s", end="2027-06-15T12:30:00Z")
    w.wait_ran("ends", 2)
    w.clock.move(HOUR)
    until(lambda: w.get("ends")["state"] == "complete", 20, lambda: w.get("ends"))
    assert all(t <= seconds("2027-06-15T12:30:00Z") for t in w.ran("ends"))
    w.beat(2)  # the server lives


# ---- summer time ----

ZONES = [
    # zone, clocks go from 02:00 to 03:00, they go back an hour, to the hour that comes twice
    ("Europe/Rome", "2027-03-28T01:00:00Z", "2027-10-31T01:00:00Z", 2),
    ("America/New_York", "2027-03-14T07:00:00Z", "2027-11-07T06:00:00Z", 1),
]


@pytest.mark.parametrize(("zone", "spring"), [z[:2] for z in ZONES])
def test_when_clocks_go_forward_the_hour_that_is_left_out_does_not_fire(world, zone, spring):
    change = seconds(spring)
    w = world(change - 20 * MINUTE)
    w.add("left out", cron="0 30 2 * * ?", timeZone=zone)
    w.add("behind", cron="0 0 3 * * ?", timeZone=zone)
    w.add("each", cron="0 0/30 * * * ?", timeZone=zone)
    w.add("utc", cron="0 0/30 * * * ?", timeZone="UTC")
    w.clock.set(change - SHORTLY)
    w.wait_ran_at("behind", change)
    w.wait_ran_at("each", change)
    w.clock.set(change + 30 * MINUTE - SHORTLY)
    w.wait_ran_at("utc", change, change + 30 * MINUTE)
    w.wait_ran_at("each", change, change + 30 * MINUTE)
    assert w.fires("left out") == []
    assert w.next("left out") == text(change + 23.5 * HOUR)  # 02:30 of the day behind
    assert w.next("behind") == text(change + 24 * HOUR)


@pytest.mark.parametrize(("zone", "autumn", "hour"), [(z[0], *z[2:]) for z in ZONES])
def test_when_clocks_go_back_the_hour_that_comes_twice_fires_the_second_time(world, zone, autumn, hour):
    change = seconds(autumn)
    w = world(change - 100 * MINUTE)
    w.add("twice", cron=f"0 30 {hour} * * ?", timeZone=zone)
    w.add("each", cron="0 0/30 * * * ?", timeZone=zone)
    w.add("utc", cron="0 30 * * * ?", timeZone="UTC")
    w.clock.set(change - 90 * MINUTE - SHORTLY)
    w.wait_ran_at("each", change - 90 * MINUTE)
    w.clock.set(change - 30 * MINUTE - SHORTLY)  # the first time
    w.wait_ran_at("utc", change - 90 * MINUTE, change - 30 * MINUTE)
    assert w.fires("twice") == []
    w.clock.set(change - SHORTLY)
    w.wait_ran_at("each", change - 90 * MINUTE, change)
    w.clock.set(change + 30 * MINUTE - SHORTLY)  # the second time
    w.wait_ran_at("twice", change + 30 * MINUTE)
    w.wait_ran_at("each", change - 90 * MINUTE, change, change + 30 * MINUTE)
    assert w.next("twice") == text(change + 24.5 * HOUR)


# ---- 29 February ----


def test_a_leap_day_fires_in_leap_years_only(world):
    w = world("2027-02-28T23:30:00Z")
    w.add("leap", cron="0 0 0 29 2 ?", timeZone="UTC")
    w.add("last", cron="0 0 0 L 2 ?", timeZone="UTC")
    w.add("march", cron="0 0 0 1 3 ?", timeZone="UTC")
    assert w.next("last") == "2028-02-29T00:00:00.000Z"
    w.clock.set("2027-02-28T23:59:58Z")
    w.wait_ran_at("march", "2027-03-01T00:00:00Z")
    assert w.fires("leap") == []
    w.clock.set("2028-02-28T23:59:58Z")
    w.wait_ran_at("leap", "2028-02-29T00:00:00Z")
    w.wait_ran_at("last", "2028-02-29T00:00:00Z")
    assert w.next("leap") == "2032-02-29T00:00:00.000Z"
    w.clock.set("2028-02-29T23:59:58Z")
    w.wait_ran_at("march", "2027-03-01T00:00:00Z", "2028-03-01T00:00:00Z")
    assert len(w.ran("leap")) == 1


# ---- a server that was down, each misfire instruction for each kind ----

FIRST, LAST = "2027-06-15T12:00:30Z", "2027-06-15T12:02:30Z"
BACK, NEXT = "2027-06-15T12:02:40Z", "2027-06-15T12:03:30Z"

# what, when, what happens: "now", "each", or "next"
DOWN = [
    *((f"cron {m}", {"cron": "30 * * * * ?", "timeZone": "UTC", "misfire": m}, then) for m, then in (
        ("smart", "now"), ("fire_now", "now"), ("ignore", "each"), ("do_nothing", "next"))),
    *((f"once {m}", {"at": FIRST, "misfire": m}, then) for m, then in (
        ("smart", "now"), ("fire_now", "now"), ("ignore", "each"))),
    *((f"interval {m}", {"every": "1min", "start": FIRST, "repeat": 5, "misfire": m}, then) for m, then in (
        ("smart", "now"), ("fire_now", "now"), ("ignore", "each"), ("now_with_existing_count", "now"),
        ("now_with_remaining_count", "now"), ("next_with_existing_count", "next"), ("next_with_remaining_count", "next"))),
    ("interval for ever", {"every": "1min", "start": FIRST}, "next"),
]


def test_after_two_minutes_down_each_misfire_instruction_is_followed(world):
    w = world(NOON)
    for name, when, _ in DOWN:
        w.add(name, **when)
    w.add("cron past its end", cron="30 * * * * ?", timeZone="UTC", end=LAST)
    w.add("interval past its end", every="1min", start=FIRST, end=LAST, misfire="now_with_existing_count")
    w.server.stop()
    w.clock.set(BACK)
    w.server.start()
    for name, when, then in DOWN:
        last, count = (FIRST, 1) if "at" in when else (LAST, 3)
        if then == "each":
            w.wait_ran_at(name, *(seconds(FIRST) + i * MINUTE for i in range(count)))
            continue
        w.wait_missed(name, count, FIRST, last)
        planned = w.ran_now(name, seconds(BACK)) if then == "now" else None
        if "at" in when:
            assert w.get(name)["state"] == "complete"
        elif then == "now" and "every" in when:
            assert w.next(name) == text(planned + MINUTE)
        else:
            assert w.next(name) == text(seconds(NEXT))
            assert then == "now" or w.ran(name) == []
    assert w.get("interval smart")["repeat"] == 5  # none had fired
    assert w.get("interval now_with_remaining_count")["repeat"] == 3  # of the three that were missed one fires now
    w.wait_missed("cron past its end", 3, FIRST, LAST)
    w.ran_now("cron past its end", seconds(BACK))
    w.wait_missed("interval past its end", 3, FIRST, LAST)
    assert w.ran("interval past its end") == []
    for name in ("cron past its end", "interval past its end"):
        until(lambda name=name: w.get(name)["state"] == "complete", SLOW, lambda name=name: w.get(name))
