"""Jobs of Livy's Python client: pickled functions beside the statements."""

import base64
import pickle
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="module")
def pickled(home):
    """Pickles a function given as an expression, as a client's cloudpickle does."""

    def pickled(expression):
        code = (
            "import sys; sys.path[:0] = %r\n"
            "from pyspark import cloudpickle\n"
            "sys.stdout.buffer.write(cloudpickle.dumps(%s))"
        )
        path = [str(home.parent), str(home / "python")]
        return subprocess.check_output([sys.executable, "-c", code % (path, expression)])

    return pickled


def outcome(end, number):
    return end.wait("job_result", id=number)


def value(message):
    """What Livy's client makes of it."""
    assert message["ok"] and not message["cancelled"] and message["error"] is None, message
    return pickle.loads(base64.b64decode(base64.b64decode(message["result"])))


def run(end, function):
    return value(outcome(end, end.job(function)))


def test_a_job_is_given_spark(agent, pickled):
    end = agent.end
    assert run(end, pickled("lambda context: context.sc.parallelize(range(5)).sum()")) == 10
    assert run(end, pickled("lambda context: context.spark_session.range(7).count()")) == 7
    assert run(end, pickled("lambda context: context.sql_ctx.sql('select 1').count()")) == 1
    assert run(end, pickled("lambda context: type(context.hive_ctx).__name__")) == "HiveContext"
    assert run(
        end, pickled("lambda context: __import__('os').path.isdir(context.local_tmp_dir_path)")
    )


def test_none_is_a_result(agent, pickled):
    assert run(agent.end, pickled("lambda context: None")) is None


def test_it_runs_in_the_sessions_own_process(agent, pickled):
    end = agent.end
    end.run("counter = [1]\nclass Thing:\n    size = 3")
    assert run(end, pickled("lambda context: __import__('__main__').counter.append(2)")) is None
    assert end.text("counter") == "[1, 2]"
    assert run(end, pickled("lambda context: __import__('__main__').Thing.size")) == 3


def test_it_runs_beside_a_statement_and_beside_other_jobs(agent, pickled):
    end = agent.end
    number = end.execute("import time; time.sleep(60)")
    end.wait("started", id=number)
    slow = end.job(pickled("lambda context: __import__('time').sleep(60)"))
    assert run(end, pickled("lambda context: context.spark_session.range(3).count()")) == 3
    end.cancel(number)
    assert end.result(number)["state"] == "cancelled"
    end.send({"t": "job_cancel", "id": slow})


def test_shared_objects_live_as_long_as_the_session(agent, pickled):
    end = agent.end
    run(end, pickled("lambda context: context.set_shared_object('a', [1])"))
    assert run(end, pickled("lambda context: context.get_shared_object('a')")) == [1]
    assert run(end, pickled("lambda context: context.get_shared_object('b')")) is None
    run(end, pickled("lambda context: context.remove_shared_object('a')"))
    assert run(end, pickled("lambda context: context.get_shared_object('a')")) is None
    many = "lambda context: [context.set_shared_object(str(n), n) for n in range(101)] and None"
    run(end, pickled(many))
    assert run(end, pickled("lambda context: context.get_shared_object('0')")) is None
    assert run(end, pickled("lambda context: context.get_shared_object('1')")) == 1


def test_a_failing_job_tells_its_traceback(agent, pickled):
    message = outcome(agent.end, agent.end.job(pickled("lambda context: context.no_such_thing")))
    assert not message["ok"] and message["result"] is None
    assert message["error"].startswith("Client job error:")
    assert "Traceback" in message["error"] and "AttributeError" in message["error"]
    message = outcome(
        agent.end, agent.end.job(pickled("lambda context: __import__('sys').exit(1)"))
    )
    assert "SystemExit" in message["error"]
    message = outcome(agent.end, agent.end.job(b"no pickle"))
    assert "UnpicklingError" in message["error"]


def test_a_result_that_no_line_can_hold_is_an_error(agent, pickled):
    message = outcome(agent.end, agent.end.job(pickled("lambda context: b'x' * (50 << 20)")))
    assert not message["ok"] and "bytes" in message["error"]
    assert agent.end.text("1") == "1"


def test_java_jobs_and_unknown_ones_fail_with_words(agent):
    for kind in ("spark", None):
        message = outcome(agent.end, agent.end.job(b"\x01\x00", kind=kind))
        assert not message["ok"] and "Java" in message["error"] and "statement" in message["error"]
    message = outcome(agent.end, agent.end.job(b"x", kind="perl"))
    assert "perl" in message["error"]


@pytest.mark.parametrize(
    "function",
    [
        "lambda context: __import__('time').sleep(2) or [n for n in range(10 ** 12) if n < 0]",
        "lambda context: context.sc.parallelize([60], 1).foreach(__import__('time').sleep)",
    ],
)
def test_a_job_is_cancelled(agent, pickled, function):
    end = agent.end
    number = end.job(pickled(function))
    end.wait("job_started", id=number)
    time.sleep(1)
    begin = time.monotonic()
    end.send({"t": "job_cancel", "id": number})
    message = outcome(end, number)
    assert message["cancelled"] and not message["ok"]
    assert message["result"] is None and message["error"] is None
    assert time.monotonic() - begin < 10
    assert run(end, pickled("lambda context: context.spark_session.range(4).count()")) == 4


def test_cancelling_what_is_over_or_unknown_changes_nothing(agent, pickled):
    end = agent.end
    number = end.job(pickled("lambda context: 5"))
    assert value(outcome(end, number)) == 5
    for wrong in (number, 9999):
        end.send({"t": "job_cancel", "id": wrong})
    assert end.text("1") == "1"


def test_a_job_runs_once_however_often_it_is_sent(agent, pickled):
    end = agent.end
    end.run("calls = []")
    function = pickled("lambda context: __import__('__main__').calls.append(1)")
    number = end.job(function)
    outcome(end, number)
    again = {
        "t": "job",
        "id": number,
        "type": "pyspark",
        "job": base64.b64encode(function).decode(),
    }
    end.send(again)
    assert run(end, pickled("lambda context: 1")) == 1
    assert end.text("calls") == "[1]"


def test_a_client_may_pickle_with_the_package_cloudpickle(agent):
    """Whose modules the pickle names, whether or not the driver has that package."""
    module = b"ccloudpickle.cloudpickle\nsubimport\n(S'json'\ntR."  # what it makes of `json`
    message = outcome(agent.end, agent.end.job(module))
    assert "'module' object is not callable" in message["error"]


def test_streaming_contexts(agent, pickled):
    end = agent.end
    message = outcome(end, end.job(pickled("lambda context: context.streaming_ctx")))
    assert "no streaming context" in message["error"]
    run(end, pickled("lambda context: context.create_streaming_ctx(1)"))
    assert (
        run(end, pickled("lambda context: type(context.streaming_ctx).__name__"))
        == "StreamingContext"
    )
    run(end, pickled("lambda context: context.stop_streaming_ctx()"))
    assert end.text("spark.range(2).count()") == "2"
