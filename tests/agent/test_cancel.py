"""Cancelling, whatever the statement does, and that the next one runs."""

import time

import pytest

QUICK_S = 3  # what ends at once takes less than this on a busy machine


def cancelled(end, code, kind="pyspark", wait_s=0.5, limit_s=20):
    """Cancels a running statement; its result and how long that took."""
    number = end.execute(code, kind)
    end.wait("started", id=number)
    time.sleep(wait_s)
    begin = time.monotonic()
    end.cancel(number)
    result = end.result(number, limit_s)
    assert result["state"] == "cancelled"
    assert result["output"] is None or result["output"]["status"] == "error"
    return result, time.monotonic() - begin


# ---- without Spark

SLEEP = "__import__('time').sleep(100)"


@pytest.mark.parametrize(
    "code",
    [
        SLEEP,
        "while True: pass",
        "sum(n * n for n in range(10 ** 12))",
        "__import__('subprocess').run(['sleep', '100'])",
        "__import__('threading').Event().wait(100)",
        "__import__('queue').Queue().get()",
        "try:\n    %s\nexcept KeyboardInterrupt:\n    %s" % (SLEEP, SLEEP),
        "try:\n    %s\nfinally:\n    print('cleaned')" % SLEEP,
        "def deep(n):\n    return deep(n - 1) if n else %s\ndeep(500)" % SLEEP,
        "print('x' * 1000)\nwhile True: print('y' * 1000)",
        "exec(%r)" % SLEEP,
    ],
)
def test_plain_python_ends_at_once(bare, code):
    _, seconds = cancelled(bare.end, code)
    assert seconds < QUICK_S
    assert bare.end.text("1 + 1") == "2"


def test_what_catches_everything_is_asked_until_it_ends(bare):
    code = (
        "for _ in range(5):\n    try:\n        %s\n    except BaseException:\n        pass" % SLEEP
    )
    _, seconds = cancelled(bare.end, code)
    assert seconds < 2 * QUICK_S
    assert bare.end.text("'next'") == "'next'"


def test_a_waiting_statement_never_runs(bare):
    end = bare.end
    first = end.execute(SLEEP)
    second = end.execute("ran = True")
    third = end.execute("'ran' in globals()")
    end.wait("started", id=first)
    end.cancel(second)
    result = end.result(second)
    assert result["state"] == "cancelled" and result["output"] is None
    end.cancel(first)
    assert end.result(first)["state"] == "cancelled"
    assert end.result(third)["output"]["data"]["text/plain"] == "False"
    assert [m for m in end.of_type("started") if m["id"] == second] == []


def test_a_finished_statement_cannot_be_cancelled(bare):
    end = bare.end
    number = end.execute("1")
    assert end.result(number)["state"] == "available"
    end.cancel(number)
    assert end.text("2") == "2"
    assert len([m for m in end.of_type("result") if m["id"] == number]) == 1


def test_one_that_ends_by_itself_while_it_is_cancelled_is_cancelled(bare):
    """Code that finishes as if nothing had happened still shows what was asked for."""
    code = "try:\n    %s\nexcept KeyboardInterrupt:\n    print('ignored')" % SLEEP
    result, _ = cancelled(bare.end, code)
    assert result["output"] is None
    assert bare.end.text("''.join('ok')") == "'ok'"


def test_a_statement_that_does_not_yield_is_told_and_ends_later(bare):
    end = bare.end
    number = end.execute(
        "end = __import__('time').time() + 4\n"
        "while __import__('time').time() < end:\n"
        "    try:\n"
        "        while __import__('time').time() < end: pass\n"
        "    except KeyboardInterrupt: pass"
    )
    end.wait("started", id=number)
    end.cancel(number, timeout_ms=1000)
    end.wait("stuck", id=number)
    assert end.result(number)["state"] == "cancelled"
    assert end.text("3") == "3"


def test_a_statement_that_took_the_handlers_away_ends_all_the_same(bare):
    code = (
        "signal = __import__('signal')\n"
        "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGRTMIN + 2)]\n"
        "while True: pass"
    )
    _, seconds = cancelled(bare.end, code)
    assert seconds < QUICK_S
    _, seconds = cancelled(bare.end, SLEEP)  # the next one has its handler again
    assert seconds < QUICK_S


def test_many_cancellations_in_a_row_hit_only_their_own_statement(bare):
    end = bare.end
    for n in range(40):
        number = end.execute("for i in range(10 ** 12): pass")
        end.wait("started", id=number)
        time.sleep(0.002 * (n % 5))
        end.cancel(number)
        assert end.result(number, 20)["state"] == "cancelled"
        assert end.text("%d" % n) == str(n)


def test_waiting_for_spark_can_be_cancelled(rig):
    agent = rig.start_bare()
    _, seconds = cancelled(agent.end, "spark")
    assert seconds < QUICK_S
    _, seconds = cancelled(agent.end, "select 1", kind="sql")
    assert seconds < QUICK_S
    assert agent.end.text("1") == "1"


def test_cancelling_at_any_moment_of_a_quick_statement_leaves_the_session_whole(bare):
    end = bare.end
    for n in range(60):
        number = end.execute("sum(range(%d))" % (n * 1000))
        end.cancel(number)
        assert end.result(number, 20)["state"] in ("available", "cancelled")
    assert end.text("7") == "7"


# ---- with Spark

SLOW = "lambda n: __import__('time').sleep(100)"
ACTIVE_JOBS = "len(sc.statusTracker().getActiveJobsIds())"
SLOW_SQL = "select count(*) from range(100000000) a join range(100000) b on a.id % 7 = b.id % 7"


def assert_usable(end):
    assert end.text("spark.range(10).count()") == "10"
    deadline = time.monotonic() + 30
    while end.text(ACTIVE_JOBS) != "0":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    code = "sc.getLocalProperty('spark.jobGroup.id')"
    number = end.execute(code)
    assert end.result(number)["output"]["data"]["text/plain"] == "'%d'" % number
    assert end.text("import time; time.sleep(0.1); 'slept'") == "'slept'"


@pytest.mark.parametrize(
    "code, kind",
    [
        ("sc.parallelize(range(4), 4).foreach(%s)" % SLOW, "pyspark"),
        ("while True: spark.range(1000).count()", "pyspark"),
        ("spark.sql('%s').collect()" % SLOW_SQL, "pyspark"),
        (SLOW_SQL, "sql"),
        ("sc._jvm.Thread.sleep(100000)", "pyspark"),
        ("sc.parallelize(1 to 4, 4).foreach(_ => Thread.sleep(100000))", "spark"),
        ("Thread.sleep(100000)", "spark"),
    ],
)
def test_spark_ends_soon_and_leaves_nothing_running(agent, code, kind):
    agent.end.run("1", kind="spark")  # the interpreter's own start cannot be cancelled
    _, seconds = cancelled(agent.end, code, kind, wait_s=2)
    assert seconds < 10
    assert_usable(agent.end)
    assert "= 3" in agent.end.text("1 + 2", kind="spark")


def test_a_loop_in_the_jvm_is_stopped(agent):
    _, seconds = cancelled(agent.end, "while (true) {}", "spark", wait_s=1, limit_s=40)
    assert 3 < seconds < 20
    assert_usable(agent.end)
    assert "= 3" in agent.end.text("1 + 2", kind="spark")


def test_the_jobs_of_others_go_on(agent):
    end = agent.end
    end.run(
        "import threading, time\n"
        "def other(): result.append(sc.parallelize(range(2), 2).map(\n"
        "    lambda n: __import__('time').sleep(3)).count())\n"
        "result = []; thread = threading.Thread(target=other); thread.start()"
    )
    cancelled(end, "sc.parallelize(range(2), 2).foreach(%s)" % SLOW)
    assert end.text("thread.join(); result") == "[2]"


def test_cancelling_while_the_scala_interpreter_is_built_does_not_break_it(rig, any_home):
    agent = rig.start(any_home)
    end = agent.end
    end.wait("context")
    number = end.execute("1 + 1", kind="spark")
    end.wait("started", id=number)
    time.sleep(0.3)
    end.cancel(number)
    assert end.result(number)["state"] == "cancelled"
    assert "10" in end.text("sc.range(0, 10).count", kind="spark")


def test_shutting_down_ends_a_running_statement(rig, any_home):
    agent = rig.start(any_home)
    end = agent.end
    end.wait("context")
    number = end.execute("sc.parallelize(range(4), 4).foreach(%s)" % SLOW)
    end.wait("started", id=number)
    time.sleep(1)
    agent.shut_down()
    assert end.result(number, 1)["state"] == "cancelled"
