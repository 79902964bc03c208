"""Unmodified clients of Livy against hearth. Skipped where a client is not installed (requirements.txt)."""

import contextlib

import pytest

from harness import fake, program

pytestmark = pytest.mark.spark


@pytest.fixture
def pylivy():
    return pytest.importorskip("livy", reason="pylivy is not installed")


def test_pylivy_runs_a_batch_and_reads_its_log(spark_server, pylivy):
    batch = pylivy.LivyBatch.create(spark_server.url, program("hello.py"), name="by pylivy", driver_memory="512m",
                                    spark_conf={"spark.e2e": "x"})
    assert batch.wait() == pylivy.SessionState.SUCCESS
    assert "the sum is 45" in batch.log(from_=0, size=10000)
    batch.kill()
    assert batch.client.get_batch(batch.batch_id) is None


def test_pylivy_accepts_the_version_and_lists_batches(plain, pylivy):
    client = pylivy.client.LivyClient(plain.url)
    assert client.legacy_server() is False
    batch = client.create_batch(program("fake.py"), args=["exit", "3"])
    plain.wait_end_of(batch.batch_id)
    listed = client.list_batches()
    assert [(b.batch_id, b.state) for b in listed] == [(batch.batch_id, pylivy.SessionState.DEAD)]
    client.delete_batch(batch.batch_id)
    assert client.list_batches() == []
    assert client.get_batch_log(batch.batch_id) is None
    client.close()


@pytest.fixture
def airflow(monkeypatch, tmp_path_factory):
    """Airflow's Livy provider, with connections to be found in the environment."""
    home = tmp_path_factory.mktemp("airflow")
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pytest.importorskip("airflow.providers.apache.livy.hooks.livy", reason="Airflow's Livy provider is not installed")
    from airflow.providers.apache.livy.hooks import livy as hooks
    from airflow.providers.apache.livy.operators.livy import LivyOperator

    def connect(server):
        monkeypatch.setenv("AIRFLOW_CONN_LIVY_DEFAULT", server.url)
        return hooks.LivyHook()

    connect.states, connect.operator = hooks.BatchState, LivyOperator
    return connect


def pages_of_log(hook, batch):
    """As Airflow pages: one page past the end is asked for."""
    lines, page = [], 0
    while True:
        answer = hook.get_batch_logs(batch, page, 100)
        lines += answer["log"]
        page += 100
        if page > answer["total"]:
            return lines


def test_airflows_hook_runs_a_batch_and_pages_its_log(spark_server, airflow):
    hook = airflow(spark_server)
    batch = hook.post_batch(file=program("many_lines.py"), args=[250], driver_memory="512m", driver_cores="1", name="by airflow",
                            conf={"spark.e2e": 5})
    spark_server.wait_end_of(batch)
    assert hook.get_batch_state(batch) == airflow.states.SUCCESS
    assert hook.get_batch(batch)["appId"].startswith("local-")
    assert [line for line in pages_of_log(hook, batch) if line.startswith("row ")] == [f"row {i}" for i in range(250)]
    hook.dump_batch_logs(batch)
    assert hook.delete_batch(batch) == {"msg": "deleted"}


def run_operator(operator):
    """execute() of a task without a scheduler, under a context that swallows what a task would push."""
    class Ti:
        pushed = {}

        def xcom_push(self, key, value):
            self.pushed[key] = value

    operator.execute({"ti": Ti()})
    return Ti.pushed


def test_airflows_operator_waits_for_the_end_of_a_batch(spark_server, airflow):
    airflow(spark_server)
    operator = airflow.operator(task_id="t", file=program("hello.py"), driver_memory="512m", polling_interval=1, durable=False)
    assert run_operator(operator)["app_id"].startswith("local-")


def test_airflows_operator_fails_with_a_dead_batch(plain, airflow):
    airflow(plain)
    operator = airflow.operator(task_id="t", file=program("fake.py"), args=["exit", "3"], polling_interval=1, durable=False)
    with pytest.raises(Exception, match="did not succeed"):
        run_operator(operator)


def test_airflows_operator_kills_its_batch(plain, airflow):
    airflow(plain)
    operator = airflow.operator(task_id="t", file=program("fake.py"), args=["sleep", "100"], durable=False)
    run_operator(operator)
    batch = plain.get("/batches").json()["sessions"][0]["id"]
    plain.wait_state(batch, "running")
    operator.on_kill()
    assert plain.get("/batches").json()["total"] == 0


def test_the_hook_shows_the_words_of_a_refusal(plain, airflow):
    hook = airflow(plain)
    with contextlib.closing(plain.http), pytest.raises(Exception, match="Path 'app.py' is not absolute"):
        hook.post_batch(file="app.py")


def test_hues_batch_with_empty_text_fields_is_accepted(plain):
    made = plain.submit(dict(fake("exit", 0), proxyUser="hue", jars=[""], files=[""], pyFiles=[""], archives=[""], driverMemory="1G",
                             driverCores=1, executorMemory="1G", executorCores=1, queue="default", name="hue batch"))
    assert plain.wait_end_of(made["id"])["state"] == "success"
