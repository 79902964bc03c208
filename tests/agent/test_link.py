"""The connection to hearth: nothing is lost, nothing comes twice, nobody else is believed."""

import json
import socket
import threading
import time

import pytest

import link
from hearth_end import HearthEnd

# ---- encoding


def test_what_hearth_cannot_hold_is_replaced():
    line = link.encode({"a": "x\0y\ud800z", "b": ["\\u0000", "\\\0", "\0\0"]})
    assert json.loads(line) == {"a": "x\ufffdy?z", "b": ["\\u0000", "\\\ufffd", "\ufffd\ufffd"]}
    assert b"\\u0000" not in line.replace(b"\\\\u0000", b"")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1j: 1}])
def test_what_is_not_json_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        link.encode({"a": value})


def test_a_message_longer_than_a_line_is_refused():
    with pytest.raises(link.MessageTooLarge):
        link.encode({"a": "x" * link.LINE_LIMIT})


# ---- the outbox


def body(text):
    return link.encode({"t": text})


def take_all(outbox):
    lines = []
    while True:
        line = outbox.next()
        if line is None:
            return [json.loads(line) for line in lines]
        lines.append(line)


def test_messages_are_numbered_and_handed_out_again_until_acknowledged(tmp_path):
    outbox = link.Outbox(tmp_path / "spool", 1000)
    for text in "abc":
        outbox.add(body(text))
    expected = [{"seq": n, "t": t} for n, t in ((1, "a"), (2, "b"), (3, "c"))]
    assert take_all(outbox) == expected
    assert take_all(outbox) == []
    outbox.acknowledge(1)
    outbox.rewind()
    assert take_all(outbox) == expected[1:]
    outbox.acknowledge(3)
    outbox.rewind()
    assert take_all(outbox) == []
    assert outbox.empty()
    with pytest.raises(link.Closed):
        outbox.acknowledge(4)


def test_what_does_not_fit_in_memory_goes_to_the_file_and_comes_back_in_order(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(link, "MEMORY_LIMIT", 300)
    spool = tmp_path / "spool"
    outbox = link.Outbox(spool, 1000)
    texts = [str(n) * 100 for n in range(8)]
    for text in texts:
        outbox.add(body(text))
    assert spool.stat().st_size > 500
    assert spool.stat().st_mode & 0o777 == 0o600
    assert [m["t"] for m in take_all(outbox)] == texts
    outbox.acknowledge(8)
    assert spool.stat().st_size == 0
    outbox.add(body("again"))
    assert [m["t"] for m in take_all(outbox)] == ["again"]


def test_it_is_full_when_memory_and_file_are_and_still_takes_what_cannot_wait(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(link, "MEMORY_LIMIT", 300)
    outbox = link.Outbox(tmp_path / "spool", 300)
    added = 0
    while not outbox.full():
        outbox.add(body("x" * 100))
        added += 1
        assert added < 20
    outbox.add(body("last"))
    assert take_all(outbox)[-1] == {"seq": added + 1, "t": "last"}
    outbox.acknowledge(added)
    assert not outbox.full()


def test_a_file_that_cannot_be_written_is_no_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(link, "MEMORY_LIMIT", 300)
    outbox = link.Outbox(tmp_path / "no such folder" / "spool", 10000)
    for n in range(9):
        outbox.add(body(str(n) * 100))
    assert len(take_all(outbox)) == 9


# ---- the link itself, in this process


class Calls:
    """A Link and what it called."""

    def __init__(self, end):
        self.messages, self.refusals, self.lost = [], [], []
        config = {
            "session": end.session,
            "addressFile": str(end.address_file),
            "spoolLimit": 1 << 20,
        }
        self.link = link.Link(config, end.token, str(end.folder / "spool"))
        self.link.on_message = self.messages.append
        self.link.on_refused = self.refusals.append
        self.link.on_lost = self.lost.append
        self.link.on_signal = lambda number: None
        self.link.start()


@pytest.fixture
def end(tmp_path):
    end = HearthEnd(tmp_path)
    yield end
    end.crash()
    assert end.violations == []


@pytest.fixture
def calls(end):
    calls = Calls(end)
    yield calls
    calls.link.stop()


def test_it_connects_when_there_is_somebody_and_delivers_both_ways(end, calls):
    calls.link.send({"t": "early"})
    end.until(lambda: calls.lost, "a try in vain")
    end.listen()
    end.wait("early", seq=1)
    end.send({"t": "anything", "text": "ä\n"})
    end.until(lambda: calls.messages == [{"t": "anything", "text": "ä\n"}], "the message")
    end.send({"t": "ping", "n": 42})
    end.wait("pong", n=42)
    assert calls.link.drain(10)


def test_silence_ends_the_connection_and_pings_keep_it(end, calls, monkeypatch):
    monkeypatch.setattr(link, "SILENCE_S", 0.5)
    end.listen()
    end.until(lambda: end.welcomes == 1, "the first connection")
    begin = time.monotonic()
    for n in range(10):
        end.send({"t": "ping", "n": n})
        end.wait("pong", n=n)
        time.sleep(0.1)
    assert end.welcomes == 1 or time.monotonic() - begin > 3
    before = end.welcomes
    end.until(lambda: end.welcomes > before, "a new connection")


def test_a_peer_that_says_nothing_is_left(end, calls, monkeypatch):
    monkeypatch.setattr(link, "HANDSHAKE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        end.address_file.write_text("127.0.0.1:%d\n" % mute.getsockname()[1])
        mute.settimeout(30)
        for _ in range(2):
            connection, _ = mute.accept()
            connection.close()
        connection, _ = mute.accept()
        with connection:
            connection.settimeout(30)
            assert connection.makefile("rb").readline().startswith(b'{"t":"hello"')
            assert connection.recv(1) == b""


def test_an_impostor_learns_nothing_and_is_left_for_the_right_server(end, calls, tmp_path):
    impostor_folder = tmp_path / "impostor"
    impostor_folder.mkdir()
    impostor = HearthEnd(impostor_folder, end.session)
    impostor.listen()
    end.address_file.write_text(impostor.address_file.read_text())
    calls.link.send({"t": "secret"})
    end.until(lambda: len(calls.lost) >= 2, "two tries")
    assert impostor.welcomes == 0
    assert impostor.events == []
    assert impostor.last_seqs == []  # it never saw a proof to copy
    end.listen()
    end.wait("secret")
    impostor.crash()


@pytest.mark.parametrize(
    "line", [b"[]\n", b"{}\n", b"x\n", b"\xff\n", b'{"t":"welcome","ack":0}\n', b"y" * 5000]
)
def test_nonsense_ends_the_attempt(end, calls, line):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        end.address_file.write_text("127.0.0.1:%d\n" % server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            connection.makefile("rb").readline()
            connection.sendall(line)
            connection.settimeout(30)
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                pass
    end.listen()
    end.until(lambda: end.welcomes, "the right server")


def test_a_line_beyond_the_limit_ends_the_connection(end, calls, monkeypatch):
    monkeypatch.setattr(link, "LINE_LIMIT", 100000)
    end.listen()
    end.until(lambda: end.welcomes == 1, "the connection")
    end.send({"t": "fine", "text": "x" * 90000})
    end.until(lambda: len(calls.messages) == 1, "the long message")
    end.send({"t": "too long", "text": "x" * 400000})
    end.until(lambda: end.welcomes == 2, "a new connection")
    assert len(calls.messages) == 1


def test_acknowledging_what_was_never_sent_ends_the_connection(end, calls):
    end.listen()
    end.until(lambda: end.welcomes == 1, "the connection")
    end.send({"t": "ack", "n": 5})
    end.until(lambda: end.welcomes == 2, "a new connection")


def test_a_callback_that_fails_costs_its_message_only(end, calls):
    seen = []

    def fail(message):
        seen.append(message["t"])
        raise RuntimeError("no")

    calls.link.on_message = fail
    end.listen()
    end.until(lambda: end.welcomes == 1, "the connection")
    end.send({"t": "one"})
    end.send({"t": "two"})
    end.until(lambda: seen == ["one", "two"], "both")
    assert end.welcomes == 1


def test_a_refusal_for_now_is_asked_again_and_a_final_one_is_final(end, calls):
    end.refuse = {"t": "refused", "fatal": False, "reason": "not yet"}
    end.listen()
    end.until(lambda: len(end.last_seqs) >= 3, "three tries")
    assert calls.refusals == []
    end.refuse = {"t": "refused", "fatal": True, "reason": "another one is here"}
    end.until(lambda: calls.refusals == ["another one is here"], "the refusal")
    tries = len(end.last_seqs)
    time.sleep(0.3)
    assert len(end.last_seqs) == tries


def test_a_server_that_does_not_read_holds_up_nobody(end, calls):
    """Large messages wait for the socket without a thread that waits with them."""
    end.listen()
    end.until(lambda: end.welcomes == 1, "the connection")
    end.reading.clear()
    begin = time.monotonic()
    for n in range(30):
        calls.link.send({"t": "large", "n": n, "text": "x" * (1 << 20)})
        calls.link.tell({"t": "unimportant"})
    assert time.monotonic() - begin < 20
    assert end.of_type("large") == []
    end.reading.set()
    end.wait("large", n=29)
    assert [m["n"] for m in end.of_type("large")] == list(range(30))


# ---- real agents


def test_a_statement_runs_once_and_is_reported_once_through_many_crashes(rig):
    end = rig.end()
    rig.start_bare(end)
    end.wait("state")
    end.run("runs = []")
    stop = threading.Event()

    def crash_and_come_back():
        while not stop.wait(0.15):
            end.crash()
            time.sleep(0.05)
            end.listen()

    trouble = threading.Thread(target=crash_and_come_back)
    trouble.start()
    try:
        numbers = [end.execute("runs.append(%d); %d" % (n, n)) for n in range(300)]
        outputs = [end.result(number)["output"] for number in numbers]
    finally:
        stop.set()
        trouble.join()
    end.until(end.is_connected, "a connection")
    assert [o["data"]["text/plain"] for o in outputs] == [str(n) for n in range(300)]
    assert end.text("len(runs), runs == sorted(set(runs))") == "(300, True)"
    assert [m["id"] for m in end.of_type("result")] == sorted(
        m["id"] for m in end.of_type("result")
    )
    assert len(end.of_type("started")) == 302


def test_what_ended_while_the_server_was_away_comes_with_the_next_connection(rig):
    agent = rig.start_bare()
    end = agent.end
    number = end.execute("__import__('time').sleep(1)\nprint('done')")
    end.wait("started", id=number)
    end.crash()
    time.sleep(1.2)
    end.listen()
    assert end.result(number)["output"]["data"]["text/plain"] == "done"


def test_unacknowledged_results_go_to_a_file_and_then_the_session_waits(rig):
    agent = rig.start_bare(spoolLimit=20 << 20)
    end = agent.end
    end.wait("state")
    end.acknowledge = False
    numbers = [end.execute("print('%d' * (1 << 20))" % (n % 10)) for n in range(40)]
    spool = agent.folder / ".agent" / "spool"
    end.until(lambda: spool.exists() and spool.stat().st_size > 10 << 20, "the file")
    time.sleep(1)
    assert len(end.of_type("result")) < 30  # 8 MiB in memory, 20 in the file
    assert spool.stat().st_size <= 20 << 20
    end.crash()
    end.acknowledge = True
    end.listen()
    for n, number in enumerate(numbers):
        text = end.result(number)["output"]["data"]["text/plain"]
        assert text == str(n % 10) * (1 << 20)
    end.run("1")
    end.until(lambda: spool.stat().st_size == 0, "an empty file")


def test_the_secrets_are_gone_before_statements_run(rig):
    launcher = {"_SPARK_LAUNCHER_PORT": "1", "_SPARK_LAUNCHER_SECRET": "sesame"}
    agent = rig.start_bare(environment=launcher)
    end = agent.end
    token = end.token.hex()
    end.wait("state")
    assert not agent.config_file.exists()
    assert (
        end.text("[n for n in __import__('os').environ if 'LAUNCHER' in n or 'GATEWAY' in n]")
        == "[]"
    )
    for place in ("environ", "cmdline"):
        code = "open('/proc/self/%s').read()" % place
        assert token not in end.text(code)
    assert "sesame" in open("/proc/%d/environ" % agent.child_pid()).read()
    assert token not in open("/proc/%d/environ" % agent.child_pid()).read()


def test_it_answers_before_spark_is_there(rig):
    agent = rig.start_bare()
    agent.end.wait("state", state="idle")
    assert agent.end.text("1 + 1") == "2"
    assert agent.end.of_type("context") == []
    assert 0 < agent.end.wait("state")["ms"] < 10000


def test_a_final_refusal_ends_the_agent_and_its_jvm(rig):
    end = rig.end()
    end.refuse = {"t": "refused", "fatal": True, "reason": "this session runs elsewhere"}
    agent = rig.start_bare(end)
    assert agent.ends() == 1
    agent.group_is_gone()
    assert "this session runs elsewhere" in agent.log()


def test_an_orphan_ends_but_not_while_a_statement_runs(rig):
    agent = rig.start_bare(orphanTimeoutMs=1000)
    end = agent.end
    number = end.execute("__import__('time').sleep(4)")
    end.wait("started", id=number)
    crashed = time.time()
    end.crash()
    assert agent.ends(60) == 0
    assert time.time() - crashed > 2.5
    agent.group_is_gone()
    assert "no connection" in agent.log()


def test_the_agent_ends_when_hearth_says_so(rig):
    agent = rig.start_bare()
    agent.end.run("1")
    agent.shut_down()
    assert agent.end.of_type("bye") != []
