"""The stream of a session's events: server-sent events of its state and its statements."""

import contextlib
import json
import socket
import threading

import pytest

import wire
from harness import until
from sessions import STATEMENT_KEYS, create


class Stream:
    """Reads GET /sessions/{id}/events on a thread of its own, from a socket that another one may shut."""

    def __init__(self, session):
        self.events, self.ended = [], threading.Event()
        self.socket = wire.connect(session.server, 120)
        self.socket.sendall(wire.request("GET", f"/sessions/{session.id}/events", Accept="text/event-stream"))
        self.stream = self.socket.makefile("rb")
        self.status = int(self.stream.readline().split()[1])
        self.headers = {}
        while (line := self.stream.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        assert (self.status, self.headers.get("transfer-encoding")) == (200, "chunked"), self.headers
        threading.Thread(target=self.read, daemon=True).start()

    def lines(self):
        """The lines of the body, out of its chunks."""
        rest = b""
        while size := int(self.stream.readline() or b"0", 16):
            rest += self.stream.read(size)
            self.stream.readline()
            *whole, rest = rest.split(b"\n")
            yield from (line.decode() for line in whole)

    def read(self):
        event = {}
        with contextlib.suppress(OSError, ValueError):
            for line in self.lines():
                if line == "":
                    if "data" in event:
                        self.events.append((event.get("event"), json.loads(event["data"]), event.get("id")))
                    event = {}
                elif not line.startswith(":"):
                    field, _, value = line.partition(":")
                    event[field] = value.removeprefix(" ")
        self.ended.set()

    def wait(self, condition, timeout=20):
        return until(lambda: condition(list(self.events)), timeout, lambda: f"an event; there were {self.events}")

    def states(self):
        return [data["state"] for name, data, _ in list(self.events) if name == "state"]

    def statements(self, number):
        return [data for name, data, _ in list(self.events) if name == "statement" and data["id"] == number]

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def test_a_stream_begins_with_the_state_and_ends_with_the_session(queued):
    session = create(queued)
    stream = Stream(session)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store" and "content-length" not in stream.headers
    stream.wait(lambda events: events)
    assert stream.events[0][0] == "state" and stream.events[0][1]["state"] == "starting"
    session.delete()
    assert stream.ended.wait(15), stream.events
    assert stream.states()[-1] in ("dead", "killed"), stream.events


@pytest.mark.spark
def test_every_change_of_a_statement_is_an_event(live):
    stream = Stream(live)
    try:
        stream.wait(lambda events: events)
        made = live.submit("import time; time.sleep(0.3); 'seen'")
        live.wait(made)
        stream.wait(lambda events: any(s["state"] == "available" for s in stream.statements(made["id"])))
        seen = stream.statements(made["id"])
        assert all(set(s) >= STATEMENT_KEYS for s in seen)
        states = [s["state"] for s in seen]
        order = ["waiting", "running", "available"]
        assert "running" in states and [order.index(s) for s in states] == sorted(order.index(s) for s in states), states
        assert seen[-1]["output"]["data"] == {"text/plain": "'seen'"} and seen[-1] == live.statement(made["id"])
        stream.wait(lambda events: stream.states()[-1] == "idle")
        assert stream.states()[0] == "idle" and "busy" in stream.states()
        numbers = [int(number) for _, _, number in stream.events if number is not None]
        assert numbers and numbers == sorted(set(numbers))
    finally:
        stream.close()


@pytest.mark.spark
def test_progress_is_told_while_a_job_runs(live):
    stream = Stream(live)
    try:
        made = live.submit("sc.parallelize(range(6), 6).map(lambda x: __import__('time').sleep(0.4)).count()")
        stream.wait(lambda events: any(0 < s["progress"] < 1 for s in stream.statements(made["id"])))
        live.wait(made)
        stream.wait(lambda events: any(s["state"] == "available" for s in stream.statements(made["id"])))
        progress = [s["progress"] for s in stream.statements(made["id"])]
        assert progress == sorted(progress)
    finally:
        stream.close()


@pytest.mark.spark
def test_many_streams_hear_the_same_and_may_leave_at_any_time(live):
    streams = [Stream(live) for _ in range(20)]
    try:
        for stream in streams[::2]:
            stream.close()
        made = live.run("'for all'")
        for stream in streams[1::2]:
            stream.wait(lambda events, s=stream: any(x["state"] == "available" for x in s.statements(made["id"])))
    finally:
        for stream in streams:
            stream.close()
