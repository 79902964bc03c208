"""What statements print: collected while they run, the log's at all other times."""

import io
import os
import sys
import threading

import pytest
from in_process import AGENT, capture, outputs, PythonSession, text


class Log(io.StringIO):
    """A real stream of the process."""


@pytest.fixture
def streams():
    result = capture.Capture(1000)
    result._out = capture.Stream(Log())
    result._err = capture.Stream(Log())
    return result


def test_outside_of_a_statement_the_log_has_it(streams):
    streams._out.write("before\n")
    streams.begin()
    streams._out.write("inside\n")
    streams.end()
    streams._out.write("after\n")
    assert streams._out._real.getvalue() == "before\nafter\n"
    assert streams.text() == "inside"


def test_a_thread_that_prints_after_its_statement_prints_to_the_log():
    python = PythonSession()
    python.streams._out._real = Log()
    python.run(
        "import sys, threading\n"
        "go, out = threading.Event(), sys.stdout\n"
        "def late():\n"
        "  go.wait(30)\n"
        "  print('late', file=out)\n"
        "thread = threading.Thread(target=late)\n"
        "thread.start()"
    )
    python.namespace["go"].set()
    python.namespace["thread"].join(30)
    assert python.streams._out._real.getvalue() == "late\n"
    assert text(python.run("1")) == "1"


def test_threads_of_a_statement_are_heard_while_it_runs():
    python = PythonSession()
    code = (
        "import threading\n"
        "t = [threading.Thread(target=print, args=(i,)) for i in range(5)]\n"
        "for x in t: x.start()\n"
        "for x in t: x.join()\n"
    )
    assert sorted(text(python.run(code)).split()) == list("01234")


def test_a_forked_child_prints_to_the_log():
    reader, writer = os.pipe()
    program = (
        "import sys, os; sys.path.insert(0, %r); import capture\n"
        "c = capture.Capture(1000); c.install(); c.begin()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child'); sys.stdout.flush(); os._exit(0)\n"
        "os.waitpid(pid, 0); print('parent'); c.end(); print('[' + c.text() + ']')\n" % str(AGENT)
    )
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", program],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)],
    )
    os.close(writer)
    with os.fdopen(reader) as result:
        assert result.read() == "child\n[parent]\n"
    assert os.waitpid(pid, 0)[1] == 0


def test_the_streams_pass_for_text_streams(streams):
    out = streams._out
    assert out.writable() and not out.isatty() and not out.readable()
    assert out.encoding == "utf-8"
    out.reconfigure(encoding="utf-8")
    streams.begin()
    print("a", 1, file=out, flush=True)
    out.writelines(["b", "c"])
    out.buffer.write("é".encode()[:1])
    out.buffer.write(memoryview("é".encode()[1:]))
    assert streams.text() == "a 1\nbcé"
    with pytest.raises(TypeError):
        out.write(b"x")


def test_only_the_limit_is_kept_and_all_is_counted(streams):
    streams.begin()
    for _ in range(100):
        streams._out.write("é" * 30)
    assert streams.total() == 6000
    assert streams.text() == "é" * 500
    streams.begin()
    streams._err.write("x" * 1000)
    assert streams.total() is None
    assert len(streams.text()) == 1000


def test_many_threads_lose_nothing(streams):
    streams.limit = 10**6
    streams.begin()
    threads = [
        threading.Thread(target=lambda: [streams._out.write("xy") for _ in range(1000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert streams.text() == "xy" * 8000


# --- size of outputs -----------------------------------------------------------------------------


def size(output):
    return outputs._json_bytes(output)


@pytest.mark.parametrize("piece", ["x", "é", "\n", "\x01", "\U0001f600", "line\n"])
@pytest.mark.parametrize("limit", [300, 1000, 70000, 200000])
def test_a_cut_text_fills_the_limit_and_not_more(piece, limit):
    shown = outputs.fit(outputs.ok({"text/plain": piece * limit}), limit)
    assert limit - 60 < size(shown) + outputs.RESERVED <= limit
    full = len((piece * limit).encode())
    last = shown["data"]["text/plain"].split("\n")[-1]
    assert last.startswith("… [output truncated: ") and "of %d bytes shown" % full in last


def test_a_text_at_the_limit_is_whole():
    room = 1000 - outputs.RESERVED - size(outputs.ok({"text/plain": ""}))
    whole = outputs.ok({"text/plain": "x" * room})
    assert outputs.fit(whole, 1000) == whole
    assert "truncated" in outputs.fit(outputs.ok({"text/plain": "x" * (room + 1)}), 1000)["data"][
        "text/plain"]


def test_a_text_of_which_only_the_head_was_kept_says_so():
    shown = outputs.fit(outputs.ok({"text/plain": "head"}), 1000, 5000)["data"]["text/plain"]
    assert shown == "head\n… [output truncated: 4 of 5000 bytes shown; sessions.output_limit]"


def test_an_image_over_the_limit_is_an_error_and_one_below_leaves_room_for_text():
    image = {"image/png": "A" * 900}
    assert outputs.fit(outputs.ok(image), 1000)["data"] == image
    assert outputs.fit(outputs.ok({"image/png": "A" * 1000}), 1000)["ename"] == "OutputTooLarge"
    shown = outputs.fit(outputs.ok(dict(image, **{"text/plain": "x" * 5000})), 1200)
    assert shown["data"]["image/png"] == image["image/png"]
    assert "truncated" in shown["data"]["text/plain"]


def test_a_long_traceback_is_cut():
    shown = outputs.fit(outputs.error("E", "v", ["frame %d\n" % i for i in range(1000)]), 1000)
    assert shown["traceback"][0] == "frame 0\n"
    assert size(shown) < 1200
