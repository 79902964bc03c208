"""How the agent ends when something dies: what it says, and that its own end tells the truth."""

import os
import signal
import sys
import time

import pytest

SLEEP = "__import__('time').sleep(100)"


def jvm_stand_in(code):
    """A Python program in the JVM's place."""
    return [sys.executable, "-c", "import os, sys, signal, time\n" + code]


def died(end, number):
    output = end.result(number, 30)["output"]
    assert output["status"] == "error" and output["ename"] == "DriverDied", output
    assert output["execution_count"] == number
    return output["evalue"]


# ---- without Spark


@pytest.mark.parametrize("code", [0, 1, 3, 52, 255])
def test_it_ends_with_the_exit_code_of_its_jvm(rig, code):
    agent = rig.start_bare(java=jvm_stand_in("time.sleep(1); os._exit(%d)" % code))
    number = agent.end.execute(SLEEP)
    assert str(code) in died(agent.end, number)
    assert ("heap" in agent.end.result(number)["output"]["evalue"]) == (code in (3, 52))
    message = agent.end.wait("jvm_exit")
    assert (message["exit"], message["signal"]) == (code, None)
    assert message["files"] == [] and message["lines"] == []
    assert agent.ends(10) == code
    agent.group_is_gone()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV])
def test_it_ends_by_the_signal_that_ended_its_jvm(rig, number):
    agent = rig.start_bare()
    statement = agent.end.execute(SLEEP)
    agent.end.wait("started")
    os.kill(agent.child_pid(), number)
    assert signal.Signals(number).name in died(agent.end, statement)
    message = agent.end.wait("jvm_exit")
    assert (message["exit"], message["signal"]) == (None, number)
    assert agent.ends(10) == -number
    assert not list(agent.folder.glob("core*"))


def test_the_news_is_quick(rig):
    agent = rig.start_bare()
    agent.end.run("1")
    begin = time.time()
    os.kill(agent.child_pid(), signal.SIGKILL)
    assert agent.end.wait("jvm_exit")["_at"] - begin < 2
    assert agent.ends(10) == -signal.SIGKILL
    assert time.time() - begin < 4


def test_the_news_waits_for_a_server_that_is_away_for_a_moment(rig):
    agent = rig.start_bare()
    end = agent.end
    number = end.execute(SLEEP)
    end.wait("started")
    end.crash()
    os.kill(agent.child_pid(), signal.SIGKILL)
    time.sleep(0.2)
    end.listen()
    died(end, number)
    assert agent.ends(10) == -signal.SIGKILL


def test_without_any_server_it_ends_all_the_same(rig):
    agent = rig.start_bare()
    agent.end.run("1")
    agent.end.crash()
    os.kill(agent.child_pid(), signal.SIGKILL)
    assert agent.ends(10) == -signal.SIGKILL
    assert "SIGKILL" in agent.log()


def test_what_the_jvm_left_behind_is_named(rig):
    code = "open('hs_err_pid%d.log' % os.getpid(), 'w').close(); time.sleep(0.5); os.abort()"
    agent = rig.start_bare(java=jvm_stand_in(code))
    message = agent.end.wait("jvm_exit")
    assert [name.rpartition("/")[2][:10] for name in message["files"]] == ["hs_err_pid"]
    assert agent.ends(10) == -signal.SIGABRT


def test_a_jvm_that_cannot_be_started_is_an_end_with_words(rig):
    agent = rig.start_bare(java=["/nonexistent/java", "x"])
    assert agent.ends(20) == 1
    assert "/nonexistent/java" in agent.log()


def test_os_exit_ends_the_agent_and_its_jvm(rig):
    agent = rig.start_bare()
    agent.end.execute("__import__('os')._exit(3)")
    assert agent.ends(20) == 3
    agent.group_is_gone(10)
    assert agent.end.of_type("result") == []  # the server says how it ended


def test_a_killed_agent_takes_its_jvm_along(rig):
    agent = rig.start_bare()
    agent.end.run("1")
    agent.process.kill()
    agent.group_is_gone(10)


# One call of C code that no signal interrupts, as of many libraries; it lets other threads run.
IN_C = "__import__('hashlib').pbkdf2_hmac('sha256', b'a', b'b', 10 ** 9)"


@pytest.mark.parametrize("code", [SLEEP, "while True: pass", IN_C])
def test_sigterm_ends_it_whatever_the_main_thread_does(rig, code):
    agent = rig.start_bare()
    number = agent.end.execute(code)
    agent.end.wait("started", id=number)
    begin = time.monotonic()
    os.killpg(agent.group, signal.SIGTERM)
    assert agent.ends(10) == -signal.SIGTERM
    assert time.monotonic() - begin < 4
    agent.group_is_gone(5)


# ---- with Spark


def test_a_killed_jvm_is_told_in_whatever_language(rig, home):
    for kind, code in (
        ("pyspark", "sc.parallelize([1], 1).foreach(lambda _: %s)" % SLEEP),
        (
            "sql",
            "select count(*) from range(1000000000) a join range(100000) b on a.id % 7 = b.id % 7",
        ),
        ("spark", "Thread.sleep(100000)"),
    ):
        agent = rig.start(home)
        agent.end.wait("context")
        if kind == "spark":
            agent.end.run("1", kind="spark")
        number = agent.end.execute(code, kind)
        agent.end.wait("started", id=number)
        time.sleep(1.5)
        os.kill(agent.child_pid(), signal.SIGKILL)
        assert "SIGKILL" in died(agent.end, number)
        assert agent.ends(10) == -signal.SIGKILL
        agent.kill()


@pytest.mark.parametrize(
    "kind, code", [("spark", "System.exit(7)"), ("pyspark", "sc._jvm.System.exit(7)")]
)
def test_a_statement_that_ends_the_jvm_ends_the_session(rig, any_home, kind, code):
    agent = rig.start(any_home)
    agent.end.wait("context")
    number = agent.end.execute(code, kind)
    assert "7" in died(agent.end, number)
    assert agent.ends(10) == 7


def test_a_context_that_cannot_be_built_is_told_with_sparks_words(rig, home):
    # Spark wants 450 MiB at least; JVMs round a little.
    from hearth_end import PLAIN_CONF, java_command

    java = java_command(str(home), PLAIN_CONF, ("-Xmx300m", "-XX:TieredStopAtLevel=1"))
    agent = rig.start(home, java=java)
    end = agent.end
    number = end.execute("spark")
    error = end.wait("context_failed")["error"]
    assert "memory" in error.lower() and "450" in error or "471859200" in error
    output = end.result(number)["output"]
    assert output["ename"] == "ContextFailed" and output["evalue"] == error
    assert agent.ends(20) == 1
    assert "471859200" in agent.log()
    agent.group_is_gone()


def test_heap_exhausted_is_named(rig, any_home):
    from hearth_end import PLAIN_CONF, java_command

    options = ("-Xmx600m", "-XX:+ExitOnOutOfMemoryError", "-XX:TieredStopAtLevel=1")
    agent = rig.start(any_home, java=java_command(str(any_home), PLAIN_CONF, options))
    agent.end.wait("context")
    number = agent.end.execute("Array.fill(2000)(new Array[Long](10000000)).length", kind="spark")
    assert "driverMemory" in died(agent.end, number)
    assert agent.ends(10) == 3


def test_sigterm_to_the_group_ends_both_quickly(rig, any_home):
    agent = rig.start(any_home)
    agent.end.wait("context")
    agent.end.run("spark.range(3).count()")
    begin = time.monotonic()
    os.killpg(agent.group, signal.SIGTERM)
    assert agent.ends(10) == -signal.SIGTERM
    agent.group_is_gone(5)
    assert time.monotonic() - begin < 5
    assert agent.end.of_type("jvm_exit") == []


def test_an_error_of_a_living_gateway_is_no_death(agent):
    output = agent.end.run("sc._jvm.java.net.Socket('127.0.0.1', 1)")
    assert output["ename"] == "Py4JJavaError"
    begin = time.monotonic()
    output = agent.end.run("spark.range(1).count()\nraise ConnectionRefusedError('mine')")
    assert output["evalue"] == "mine"
    assert time.monotonic() - begin < 30
    assert agent.end.text("1") == "1"
