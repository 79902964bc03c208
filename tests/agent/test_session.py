"""Statements one after the other, in every language, whatever the one before did to the process."""

import json
import os
import time
import zipfile
from pathlib import Path

import pytest

# ---- without Spark


def test_statements_run_in_order_and_one_at_a_time(bare):
    end = bare.end
    numbers = [end.execute("(%d, __import__('time').sleep(0.01))[0]" % n) for n in range(20)]
    results = [end.result(number) for number in numbers]
    assert [r["output"]["data"]["text/plain"] for r in results] == [str(n) for n in range(20)]
    order = [
        (m["t"], m["id"]) for m in end.events if m.get("id") in numbers and m["t"] != "progress"
    ]
    assert order == [(t, number) for number in numbers for t in ("started", "result")]


def test_a_result_tells_when_and_of_which_statement(bare):
    number = bare.end.execute("1")
    started, result = bare.end.wait("started", id=number), bare.end.result(number)
    assert abs(started["at"] / 1000 - time.time()) < 60
    assert result["at"] >= started["at"]
    assert result["state"] == "available"
    assert result["output"]["execution_count"] == number


def test_an_id_runs_once_however_often_it_is_sent(bare):
    end = bare.end
    end.run("count = []")
    number = end.execute("count.append(1)")
    end.result(number)
    end.send({"t": "execute", "id": number, "kind": "pyspark", "code": "count.append(2)"})
    assert end.text("count") == "[1]"


def test_an_unknown_kind_is_an_error_of_the_statement(bare):
    output = bare.end.run("1", kind="perl")
    assert output["status"] == "error" and "perl" in output["evalue"]


def test_an_unknown_message_is_harmless(bare):
    bare.end.send({"t": "something new", "id": 1})
    bare.end.send({"t": "cancel", "id": 123456, "timeout": 1000})
    bare.end.send({"t": "execute", "id": "x"})
    assert bare.end.text("'fine'") == "'fine'"


def test_modules_of_the_agent_are_invisible(bare):
    names = [path.stem for path in Path(__file__).resolve().parents[2].glob("agent/*.py")]
    assert len(names) > 10
    code = "[n for n in %r if n in __import__('sys').modules and n != '__main__']" % names
    assert bare.end.text(code) == "[]"
    assert bare.end.text("[p for p in __import__('sys').path if p.endswith('agent')]") == "[]"


def test_50_mb_of_output_are_cut_and_the_session_goes_on(bare):
    text = bare.end.text("print('0123456789' * 5_000_000)")
    assert len(text) <= 16 << 20
    assert "output truncated" in text[-200:]
    assert bare.end.text("1") == "1"


def test_a_statement_that_exits_does_not_end_the_session(bare):
    output = bare.end.run("__import__('sys').exit(3)")
    assert (output["ename"], output["evalue"]) == ("SystemExit", "3")
    output = bare.end.run("raise KeyboardInterrupt('mine')")
    assert output["ename"] == "KeyboardInterrupt"
    assert bare.end.text("1") == "1"


# `import` waits for Spark, which never comes to these agents.
MODULES = "json os signal socket stat sys threading time"
MODULES_CODE = "%s = map(__import__, %r)\n" % (MODULES.replace(" ", ", "), MODULES.split())

HOSTILE = {
    "closes the standard streams": """
os.close(1)
os.close(2)
sys.stdout.close()""",
    "closes every socket": """
for number in range(3, 200):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            os.close(number)
    except OSError:
        pass""",
    "closes the pipe that wakes the link": """
os.close(signal.set_wakeup_fd(-1))""",
    "forgets all modules": """
sys.modules.clear()""",
    "replaces what the agent may use": """
json.dumps = json.loads = json.JSONEncoder = time.sleep = time.time = time.monotonic = None
threading.Thread = threading.Timer = socket.socket = socket.create_connection = None""",
    "takes every signal": """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)""",
    "blocks every signal": """
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())""",
    "forks, and the child comes back": """
pid = os.fork()
if pid == 0:
    raise ValueError("the child")
os.waitpid(pid, 0)""",
    "interrupts itself": """
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)""",
    "prints from a thread for ever": """
def talk():
    while True:
        print("NOISE")
        time.sleep(0.001)
threading.Thread(target=talk, daemon=True).start()""",
    "sets a tracer and a profiler": """
sys.settrace(lambda *_: None)
sys.setprofile(lambda *_: None)""",
}


@pytest.mark.parametrize("deed", list(HOSTILE))
def test_the_session_survives_a_statement_that(rig, deed):
    end = rig.start_bare().end
    end.run(MODULES_CODE + HOSTILE[deed], limit_s=30)
    end.drop()
    end.until(lambda: end.welcomes == 2, "the next connection")
    for n in range(3):
        text = end.text("%d * 2" % n, limit_s=30)
        assert [line for line in text.split("\n") if line != "NOISE"] == [str(n * 2)]
    assert end.text("value = 5\nvalue + 1", limit_s=30).replace("NOISE\n", "").startswith("6")


def test_a_child_of_a_fork_does_not_speak_for_the_session(rig):
    agent = rig.start_bare()
    end = agent.end
    text = end.text(
        "os = __import__('os')\npids = [os.fork() for _ in range(2)]\n"
        "if all(pids): [os.waitpid(p, 0) for p in pids]\nlen(pids)"
    )
    assert text == "2"
    assert end.text("'parent'") == "'parent'"
    assert len(end.of_type("result")) == 2
    assert len(end.last_seqs) == 1  # nobody else connected


# ---- with Spark


def test_hello_and_idle_come_before_the_context(agent):
    kinds = [message["t"] for message in agent.end.events]
    assert kinds[0] == "state"
    context = agent.end.wait("context")
    assert context["appId"].startswith("local-")
    assert context["version"][0] in "34"
    assert context["scala"].startswith("2.1")
    assert context["ui"] is None


def test_all_languages_share_one_session(agent):
    end = agent.end
    end.run("spark.range(3).createOrReplaceTempView('shared_view')")
    rows = end.run("select sum(id) from shared_view", kind="sql")
    assert rows["data"]["application/json"]["data"] == [[3]]
    assert "3" in end.text('spark.table("shared_view").count', kind="spark")


def test_the_working_folder_is_sparks_folder_of_files(agent):
    text = agent.end.text(
        "import os; from pyspark import SparkFiles\n"
        "os.getcwd() == os.path.realpath(SparkFiles.getRootDirectory())"
    )
    assert text == "True"


def test_workers_run_this_python(agent):
    code = "sc.parallelize([0], 1).map(lambda _: __import__('sys').executable).first()"
    assert agent.end.text("import sys; sys.executable == %s" % code) == "True"
    assert agent.end.text("spark.udf.register('twice', lambda n: n * 2, 'int'); 1") == "1"
    rows = agent.end.run("select twice(21)", kind="sql")
    assert rows["data"]["application/json"]["data"] == [[42]]


def test_child_processes_find_pyspark(agent):
    code = "subprocess.check_output([sys.executable, '-c', 'import pyspark; print(1)'])"
    assert agent.end.text("import subprocess, sys\n" + code) == "b'1\\n'"


def test_each_statement_has_its_job_group(agent):
    end = agent.end
    for _ in range(2):
        number = end.execute("sc.getLocalProperty('spark.jobGroup.id')")
        assert end.result(number)["output"]["data"]["text/plain"] == "'%d'" % number


def test_progress_grows(agent):
    end = agent.end
    code = "_ = sc.parallelize(range(20), 20).map(lambda n: __import__('time').sleep(0.2)).count()"
    number = end.execute(code)
    assert end.result(number)["output"]["status"] == "ok"
    told = [m["progress"] for m in end.of_type("progress") if m["id"] == number]
    assert len(told) >= 2
    assert told == sorted(told)
    assert 0 < told[0] < 1


def test_completion_answers_while_a_statement_runs(agent):
    end = agent.end
    number = end.execute("import time; time.sleep(3)")
    end.wait("started", id=number)
    assert "range" in end.complete("spark.ra")
    assert end.of_type("result")[-1]["id"] != number
    assert end.complete("anything", kind="perl") == []
    end.cancel(number)
    end.result(number)


def test_threads_of_a_statement_see_its_classes_loader(agent):
    code = (
        "found = []\nimport threading\n"
        "def look():\n"
        "    thread = sc._jvm.Thread.currentThread()\n"
        "    found.append(thread.getContextClassLoader().toString())\n"
        "t = threading.Thread(target=look); t.start(); t.join()\n"
        "look(); found[0] == found[1]"
    )
    assert agent.end.text(code) == "True"


def test_a_file_a_module_and_a_jar_are_added(agent, tmp_path):
    end = agent.end
    (tmp_path / "data.txt").write_text("hello")
    (tmp_path / "session.py").write_text("VALUE = 41\n")  # a name that the agent uses too
    assert end.add("file", tmp_path / "data.txt") is None
    assert (
        end.text("from pyspark import SparkFiles; open(SparkFiles.get('data.txt')).read()")
        == "'hello'"
    )
    assert end.add("pyfile", tmp_path / "session.py") is None
    code = "sc.parallelize([1], 1).map(lambda n: __import__('session').VALUE + n).first()"
    assert end.text("import session\n" + code) == "42"
    with zipfile.ZipFile(tmp_path / "res.jar", "w") as jar:
        jar.writestr("greeting.txt", "from a jar")
    assert end.add("jar", tmp_path / "res.jar") is None
    code = (
        "scala.io.Source.fromInputStream(Thread.currentThread.getContextClassLoader"
        '.getResourceAsStream("greeting.txt")).mkString'
    )
    assert "from a jar" in end.text(code, kind="spark")


def test_what_cannot_be_added_is_told(agent, tmp_path):
    for what in ("file", "pyfile", "jar"):
        reason = agent.end.add(what, tmp_path / "nothing")
        assert reason and "\n" not in reason.strip().split("Caused")[0][:200]
    assert "picture" in agent.end.add("picture", "/x")


def test_files_of_the_session_are_there_from_the_start(rig, any_home, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "mine.py").write_text("def f(): return 7\n")
    conf = {"spark.files": str(tmp_path / "a.txt"), "spark.pyspark.python": os.sys.executable}
    conf["spark.submit.pyFiles"] = str(tmp_path / "mine.py")
    agent = rig.start(any_home, conf=conf, idleWithContext=True, kind="spark")
    end = agent.end
    end.wait("state")
    kinds = [message["t"] for message in end.events]
    assert kinds.index("context") < kinds.index("state")
    assert end.text("open('a.txt').read()") == "'a'"
    assert end.text("import mine; mine.f()") == "7"
    assert end.text("sc.parallelize([1], 1).map(lambda n: __import__('mine').f()).first()") == "7"
    assert "= 2" in end.text("1 + 1", kind="spark")
    assert "token" not in json.dumps(end.run("sc.getConf().getAll()")["data"]).lower()
    agent.shut_down()


def test_a_statement_may_stop_spark_and_make_it_again(rig, home):
    agent = rig.start(home)
    end = agent.end
    end.run("spark.stop()")
    assert end.run("spark.range(3).count()")["status"] == "error"
    assert end.text("1") == "1"
    end.run("from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()")
    number = end.execute("sc = spark.sparkContext\nsc.getLocalProperty('spark.jobGroup.id')")
    assert end.result(number)["output"]["data"]["text/plain"] == "'%d'" % number
    assert end.text("spark.range(3).count()") == "3"
    assert end.text("import os; os.path.isdir(os.getcwd())") == "True"
    code = "case class Pair(a: Int)\nsc.parallelize(1 to 3).map(Pair(_)).collect.length"
    assert "= 3" in end.text(code, kind="spark")
    agent.shut_down()
