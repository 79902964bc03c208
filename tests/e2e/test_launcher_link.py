"""What a driver says over Spark's launcher protocol, spoken here by hand beside a fake driver."""

import time

import pytest

import launcher
from harness import alive, fake, until


class Driver:
    def __init__(self, server, go):
        self.server, self.go = server, go
        self.id = server.submit(fake("wait", go))["id"]
        server.wait_state(self.id, "running")
        self.pid = server.driver_pid(self.id)
        until(lambda: launcher.has_environment(self.pid), 5, "the driver's environment")

    def batch(self):
        return self.server.batch(self.id)

    def history(self):
        return self.server.record(self.id)["history"]

    def wait_app_id(self, identity):
        until(lambda: self.batch()["appId"] == identity, 5, lambda: f"{identity}: {self.batch()}")

    def end(self):
        self.go.touch()
        return self.server.wait_end_of(self.id, 15)


@pytest.fixture
def driver(plain, tmp_path):
    return Driver(plain, tmp_path / "go")


def test_the_secret_is_long_and_differs_between_drivers(plain, tmp_path):
    secrets = {launcher.link_of(Driver(plain, tmp_path / f"go{i}").pid)[1] for i in range(3)}
    assert len(secrets) == 3 and all(len(bytes.fromhex(s)) >= 32 for s in secrets)


def test_the_listener_answers_on_loopback_only(driver):
    port = f"{launcher.link_of(driver.pid)[0]:04X}"
    with open("/proc/net/tcp") as f4, open("/proc/net/tcp6") as f6:
        listening = [line.split()[1] for line in list(f4)[1:] + list(f6)[1:] if line.split()[3] == "0A"]
    assert [a for a in listening if a.endswith(":" + port)] == ["0100007F:" + port]


def test_the_stream_header_comes_at_once(driver):
    with launcher.Link(driver.pid) as link:
        assert link.receive(4) == launcher.HEADER


def test_hello_and_application_id_become_visible(driver):
    with launcher.greeted(driver.pid, "local-4711"):
        driver.wait_app_id("local-4711")
    assert driver.end()["state"] == "success"


def test_messages_in_single_bytes_are_understood(driver):
    with launcher.Link(driver.pid) as link:
        for byte in launcher.HEADER + launcher.hello(link.secret) + launcher.app_id("local-12"):
            link.send(bytes([byte]))
        driver.wait_app_id("local-12")


def test_the_last_state_is_in_the_diagnosis(driver):
    with launcher.greeted(driver.pid) as link:
        link.send(launcher.first_state("RUNNING"), launcher.next_state("FINISHED"))
    ended = driver.end()
    assert ended["state"] == "success" and ended["diagnosis"]["launcherState"] == "FINISHED"


@pytest.mark.parametrize("word", ["FAILED", "KILLED"])
def test_exit_0_is_no_success_after_a_failed_or_killed_context(driver, word):
    with launcher.greeted(driver.pid) as link:
        link.send(launcher.first_state("RUNNING"), launcher.next_state(word))
    ended = driver.end()
    assert ended["state"] in ("dead", "killed") and word in ended["reason"]


def test_finished_is_no_end_as_long_as_the_process_lives(driver):
    with launcher.greeted(driver.pid) as link:
        link.send(launcher.first_state("RUNNING"), launcher.next_state("FINISHED"))
    time.sleep(0.3)  # that nothing happens is the promise
    assert driver.batch()["state"] == "running"


def test_the_id_of_the_last_context_is_shown(driver):
    for identity in ("local-1", "local-2", "local-3"):
        with launcher.greeted(driver.pid, identity):
            driver.wait_app_id(identity)
    assert driver.end()["appId"] == "local-3"


def test_a_link_that_breaks_without_a_last_state_harms_nothing(driver):
    with launcher.greeted(driver.pid) as link:
        link.send(launcher.first_state("RUNNING"))
        driver.wait_app_id("local-1")
    assert driver.end()["state"] == "success"


def test_a_wrong_secret_is_turned_away(driver):
    with launcher.Link(driver.pid) as link:
        link.send(launcher.HEADER, launcher.hello("0" * 64), launcher.app_id("local-666"))
        assert launcher.HEADER.startswith(link.receive_all()[:4])
    assert driver.batch()["appId"] is None
    with launcher.greeted(driver.pid, "local-7"):
        driver.wait_app_id("local-7")


def test_an_application_id_before_hello_is_turned_away(driver):
    with launcher.Link(driver.pid) as link:
        link.send(launcher.HEADER, launcher.app_id("local-666"))
        link.receive_all()
    assert driver.batch()["appId"] is None


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), launcher.HEADER + b"\x70" * 1000, launcher.HEADER + b"\x75" + b"\xff" * 500,
                                     launcher.HEADER + b"\x74\xff\xff" + b"x" * 100, launcher.HEADER + b"\x7c" + b"\x7f" * 8],
                         ids=["http", "zeros", "nulls", "array", "string", "long string"])
def test_garbage_is_turned_away_and_the_driver_is_still_followed(driver, garbage):
    with launcher.Link(driver.pid, timeout=20) as link:
        link.send(garbage)
        link.receive_all()
    with launcher.greeted(driver.pid, "local-8"):
        driver.wait_app_id("local-8")
    assert driver.end()["state"] == "success"


def test_a_message_above_one_megabyte_is_turned_away(driver):
    with launcher.Link(driver.pid) as link:
        try:
            link.send(launcher.HEADER, launcher.hello(link.secret))
            for _ in range(300):
                link.send(b"\x74\xff\xff" + b"x" * 0xffff)
        except OSError:
            pass
        link.receive_all()
    assert driver.end()["state"] == "success"


def test_a_connection_that_says_nothing_is_closed_after_ten_seconds(driver):
    with launcher.Link(driver.pid, timeout=20) as link:
        start = time.monotonic()
        link.receive_all()
        assert 5 < time.monotonic() - start < 15
    assert driver.end()["state"] == "success"


def test_a_kill_first_asks_the_context_to_stop(driver):
    with launcher.greeted(driver.pid) as link:
        driver.wait_app_id("local-1")
        assert link.receive(4) == launcher.HEADER
        driver.server.post(f"/hearth/batches/{driver.id}/kill")
        assert b"LauncherProtocol$Stop" in link.receive_all()
    driver.server.wait_state(driver.id, "killed", 15)
    assert not alive(driver.pid)


def test_a_program_that_ends_well_when_it_is_asked_to_stop_was_killed_all_the_same(driver):
    with launcher.greeted(driver.pid) as link:
        driver.wait_app_id("local-1")
        link.receive(4)
        driver.server.post(f"/hearth/batches/{driver.id}/kill")
        link.receive(20)
        link.send(launcher.first_state("KILLED"))
        driver.go.touch()
    assert driver.server.wait_end_of(driver.id, 15)["state"] == "killed"
