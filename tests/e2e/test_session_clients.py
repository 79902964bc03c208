"""Unmodified clients of Livy in sessions of hearth. Skipped where a client is not installed."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import HERE, PATIENCE, program, until
from sessions import Session, open_session

pytestmark = pytest.mark.spark

# Beside the tests' own environment: scripts/venv.sh.
NOTEBOOK_PYTHON = Path(sys.prefix) / "notebook" / "bin" / "python"


def in_notebook_environment(script, wish, **environment):
    """Runs a script of this folder with the notebooks' Python; what it prints as JSON."""
    if not NOTEBOOK_PYTHON.exists():
        pytest.skip("the notebooks' environment is not installed")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HEARTH_", "SPARK", "PYTHON"))}
    env.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", **environment)
    done = subprocess.run([NOTEBOOK_PYTHON, HERE / script], input=json.dumps(wish), capture_output=True, text=True, env=env,
                          timeout=240 * PATIENCE)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


# -- sparkmagic ------------------------------------------------------------------------------------


class Cells:
    """The outputs of a notebook that has run."""

    def __init__(self, server, kernel, cells, **config):
        # Graphs of results need a browser, and a kernel's end waits for the next heartbeat; else all is as sparkmagic comes.
        config = {"use_auto_viz": False, "heartbeat_refresh_seconds": 1, **config}
        self.outputs = in_notebook_environment("notebook.py", {"kernel": kernel, "url": server.url, "cells": cells, "config": config})
        assert len(self.outputs) == len(cells)

    def stream(self, cell, name="stdout"):
        return "".join(o["text"] for o in self.outputs[cell] if o["output_type"] == "stream" and o["name"] == name)

    def shown(self, cell, mime="text/html"):
        return "".join(o["data"].get(mime, "") for o in self.outputs[cell] if "data" in o)

    def ok(self, cell):
        assert not self.stream(cell, "stderr") and not [o for o in self.outputs[cell] if o["output_type"] == "error"], self.outputs[cell]
        return self.stream(cell)


CONFIGURE = '%%configure -f\n{"driverMemory": "512m", "name": "NAME", "conf": {"spark.e2e.notebook": "yes"}}'


@pytest.mark.every_spark
def test_sparkmagics_pyspark_kernel_runs_a_notebook(spark_server):
    cells = Cells(spark_server, "pysparkkernel", [
        CONFIGURE.replace("NAME", "a python notebook"),
        "1 + 1",
        "%%info",
        "%%sql\nselect id as n, concat('row ', id) as word from range(3)",
        "%%sql -o frame -q\nselect id * 10 as tens from range(4)",
        "%%local\nprint(frame['tens'].sum(), type(frame).__name__)",
        "1/0",
        "import time\nfor i in range(3):\n    time.sleep(1.2); print('step', i)",
        "%%spark -o numbers\nnumbers = spark.sql('select id from range(2)').selectExpr('id', 'id * 2 as twice')",
        "%%local\nprint(list(numbers['twice']))",
        "%%local\nword = 'from the notebook'",
        "%%send_to_spark -i word -t str -n word",
        "print(word, sc.getConf().get('spark.e2e.notebook'), sc.getConf().get('spark.driver.memory'))",
        "%%logs",
    ], livy_server_heartbeat_timeout_seconds=3)
    assert "spark.e2e.notebook" in cells.shown(0)
    assert "SparkSession available as 'spark'" in cells.ok(1) and cells.stream(1).endswith("2")
    assert "local-" in cells.shown(2) and "idle" in cells.shown(2) and "pyspark" in cells.shown(2)
    assert "row 0" in cells.shown(3) and "row 2" in cells.shown(3)
    cells.ok(4)
    assert cells.ok(5) == "60 DataFrame\n"
    error = cells.stream(6, "stderr")
    assert "division by zero" in error and "ZeroDivisionError" in error and "Traceback" in error
    assert cells.ok(7) == "step 0\nstep 1\nstep 2", "a cell longer than the heartbeat's time-out"
    assert cells.ok(9) == "[0, 2]\n"
    assert cells.ok(12) == "from the notebook yes 512m"
    assert "stderr:" in cells.stream(13)
    assert "a python notebook" not in [s["name"] for s in spark_server.get("/sessions").json()["sessions"]], "deleted with its kernel"


@pytest.mark.every_spark
def test_sparkmagics_spark_kernel_runs_a_notebook(spark_server):
    cells = Cells(spark_server, "sparkkernel", [
        CONFIGURE.replace("NAME", "a scala notebook"),
        "val a = 20\na + 22",
        "%%info",
        "%%sql\nselect id as n, concat('row ', id) as word from range(3)",
        "%%spark -o frame\nval frame = spark.range(4).selectExpr(\"id * 10 as tens\")",
        "%%local\nprint(frame['tens'].sum())",
        'throw new RuntimeException("boom")',
        "Thread.sleep(4000)\nprintln(\"long\")",
        'val set = sc.getConf.get("spark.e2e.notebook")\nprintln(s"$a $set")',
    ], livy_session_startup_timeout_seconds=120)
    assert "Int = 42" in cells.ok(1)
    assert "spark" in cells.shown(2) and "idle" in cells.shown(2)
    assert "row 0" in cells.shown(3) and "row 2" in cells.shown(3)
    assert cells.ok(5) == "60\n"
    assert "java.lang.RuntimeException: boom" in cells.stream(6, "stderr")
    assert "long" in cells.ok(7)
    assert cells.ok(8).strip().endswith("\n20 yes")


def test_sparkmagic_configures_anew_and_cleans_up(spark_server):
    cells = Cells(spark_server, "pysparkkernel", [
        CONFIGURE.replace("NAME", "configured once"),
        "mine = 1",
        CONFIGURE.replace("NAME", "configured twice"),
        "'mine' in globals(), sc.appName",
        "%%cleanup -f",
    ])
    assert "(False, 'configured twice')" in cells.ok(3)
    left = {s["name"] for s in spark_server.get("/sessions?size=10000").json()["sessions"]}
    assert not left & {"configured once", "configured twice"}
    spark_server.live = None  # cleaned up with all the others


# -- pylivy, livyc ---------------------------------------------------------------------------------


@pytest.fixture
def pylivy():
    return pytest.importorskip("livy", reason="pylivy is not installed")


def test_pylivy_runs_code_and_carries_frames_both_ways(spark_server, pylivy, capsys):
    import pandas

    with pylivy.LivySession.create(spark_server.url, kind=pylivy.SessionKind.PYSPARK, driver_memory="512m", name="by pylivy",
                                   spark_conf={"spark.e2e": "x"}, heartbeat_timeout=600, echo=True) as session:
        assert session.state == pylivy.SessionState.IDLE
        output = session.run("print('echoed'); 6 * 7")
        assert output.text == "echoed\n42" and "echoed" in capsys.readouterr().out
        with pytest.raises(pylivy.SparkRuntimeError, match="ZeroDivisionError"):
            session.run("1/0")
        session.run("frame = spark.range(3).selectExpr('id', 'id * 2 as twice')")
        assert session.download("frame").to_dict("list") == {"id": [0, 1, 2], "twice": [0, 2, 4]}
        session.upload("back", pandas.DataFrame([{"word": "a", "n": 1}, {"word": "b", "n": 2}]))
        assert session.run("back.where('n = 2').first().word").text == "'b'"
        client, number = session.client, session.session_id
        assert number in [s.session_id for s in client.list_sessions()]
        assert client.get_session(number).kind == pylivy.SessionKind.PYSPARK
        assert [s.state.value for s in client.list_statements(number)][:1] == ["available"]
    assert Session(spark_server, number).get().status_code == 404


def test_pylivy_reads_queries_as_frames(spark_server, pylivy):
    with pylivy.LivySession.create(spark_server.url, kind=pylivy.SessionKind.SQL, driver_memory="512m") as session:
        assert session.download_sql("select id, id * 2 as twice from range(3)").to_dict("list") == {"id": [0, 1, 2], "twice": [0, 2, 4]}
        with pytest.raises(pylivy.SparkRuntimeError, match="TABLE_OR_VIEW_NOT_FOUND"):
            session.run("select * from no_such_table")


def test_livyc_runs_a_script_and_reads_a_variable(spark_server):
    livyc = pytest.importorskip("livyc.livyc", reason="livyc is not installed")
    host, _, port = spark_server.url.removeprefix("http://").partition(":")
    client = livyc.LivyC({"livy_server_url": host, "port": port, "jars": []})
    session = client.create_session()
    client.run_script(session, "n_rows = spark.range(5).count()")
    assert session.read("n_rows") == 5
    with pytest.raises(livyc.SparkSessionError, match="ZeroDivisionError"):
        client.run_script(session, "1/0")
    number = session._session_id
    del session
    until(lambda: Session(spark_server, number).get().status_code == 404, 10, "its end")


# -- Airflow ---------------------------------------------------------------------------------------


def test_airflow_works_beside_sessions(live, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_LIVY_DEFAULT", live.server.url)
    hooks = pytest.importorskip("airflow.providers.apache.livy.hooks.livy", reason="Airflow's Livy provider is not installed")
    from airflow.providers.apache.livy.operators.livy import LivyOperator

    live.text("kept = 'in the session'")
    operator = LivyOperator(task_id="t", file=program("hello.py"), driver_memory="512m", polling_interval=1, durable=False)
    pushed = {}

    class Ti:
        def xcom_push(self, key, value):
            pushed[key] = value

    operator.execute({"ti": Ti()})
    assert pushed["app_id"].startswith("local-")
    hook = hooks.LivyHook()
    assert live.id in [s["id"] for s in hook.run_method("/sessions").json()["sessions"]]
    posted = hook.run_method(f"/sessions/{live.id}/statements", method="POST", data=json.dumps({"code": "kept"}),
                             headers={"Content-Type": "application/json"}).json()
    assert live.wait(posted)["output"]["data"] == {"text/plain": "'in the session'"}


# -- Livy's own Python client ----------------------------------------------------------------------


@pytest.mark.parametrize("source", [str(HERE / "stand_in")] + [folder for folder in [os.environ.get("LIVY_PYTHON_API")] if folder],
                         ids=lambda folder: Path(folder).name)
def test_livys_python_client_makes_its_usual_calls(spark_server, source):
    """The client is part of Livy's source and of no package. A stand-in makes the same calls; where LIVY_PYTHON_API names
    the folder python-api/src/main/python of Livy's source, the real one does, too."""
    folder = spark_server.folder
    (folder / "client_added.txt").write_text("2")
    (folder / "client_uploaded.txt").write_text("3")
    (folder / "client_module.py").write_text("WORD = 'of the module'\n")
    session = open_session(spark_server, kind="pyspark", name=f"to connect to from {Path(source).name}")
    told = in_notebook_environment("livy_client.py", {"url": spark_server.url, "session": session.id, "folder": str(folder)},
                                   PYTHONPATH=source)
    assert told["created"] != session.id
    assert told["count"] == 3 and told["context"] == [3, 7]
    assert told["added"] == [2, 4, 6] and told["uploaded"] == [3, 6, 9]
    assert told["module"] == "of the module"
    assert "AttributeError" in told["error"]
    assert told["name"] == "by livy's client", "a setting of Spark, its key in lower case"
    assert told["connected"] == f"to connect to from {Path(source).name}"
    assert Session(spark_server, told["created"]).get().status_code == 404, "stopped with its context"
    assert session.state() == "idle", "left running"
    with contextlib.suppress(AssertionError):
        session.delete()
