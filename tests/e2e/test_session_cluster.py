"""Sessions whose executors are other processes: what their statements define has to travel there."""

import pytest

from sessions import open_session

pytestmark = [pytest.mark.spark, pytest.mark.every_spark]


@pytest.fixture(scope="module", params=["spark", "pyspark"])
def session(request, spark_server, cluster):
    """An idle session on a real standalone cluster, shared by the tests of its language."""
    session = open_session(spark_server, kind=request.param, master=cluster.url, executorMemory="512m", executorCores=1)
    yield session
    session.delete()


def value(session, code, kind=None):
    """The value of a statement's last expression: its text, of Scala's behind "name: Type = "."""
    return session.text(code, kind, timeout=120).rstrip().rpartition(" = ")[2]


@pytest.mark.parametrize("session", ["spark"], indirect=True)
def test_classes_of_a_scala_session_run_on_the_executors(session):
    places = "import org.apache.spark.SparkEnv\nsc.parallelize(1 to 4, 2).map(_ => SparkEnv.get.executorId).collect().toSet.contains(\"driver\")"
    assert value(session, places) == "false", "the work is done by executors"
    session.text("case class Ember(name: String, heat: Int)")
    session.text("class Scale(val factor: Int) extends Serializable { def of(e: Ember): Int = factor * e.heat }")
    session.text("val scale = new Scale(3)")
    # The class is made on an executor, used in a closure there, and comes back to the driver.
    assert value(session, "sc.parallelize(1 to 10, 2).map(i => Ember(\"e\" + i, i)).map(e => scale.of(e)).sum()") == "165.0"
    assert value(session, "sc.parallelize(1 to 3, 2).map(i => new Scale(i).factor).collect().mkString(\" \")") == "1 2 3"
    assert value(session, "sc.parallelize(1 to 2, 2).map(i => Ember(\"e\" + i, i)).collect().toList") == "List(Ember(e1,1), Ember(e2,2))"
    assert value(session, "sc.parallelize(1 to 9, 3).map(i => (Ember(\"e\", i % 2), i)).reduceByKey(_ + _).count()") == "2"
    session.text("import spark.implicits._\nval embers = Seq(Ember(\"a\", 1), Ember(\"b\", 2), Ember(\"a\", 4)).toDS()")
    assert value(session, "embers.repartition(2).map(e => e.copy(heat = scale.of(e))).collect().map(_.heat).sum") == "21"
    assert value(session, "embers.groupByKey(_.name).mapGroups((n, es) => Ember(n, es.map(_.heat).sum)).filter(_.name == \"a\").head().heat") == "5"


@pytest.mark.parametrize("session", ["spark"], indirect=True)
def test_a_class_defined_anew_is_the_new_one_on_the_executors(session):
    session.text("case class Ember(heat: Int) { def doubled = heat + heat }")
    assert value(session, "sc.parallelize(1 to 4, 2).map(i => Ember(i).doubled).sum()") == "20.0"
    session.text("case class Ember(heat: Int) { def doubled = heat * 20 }")
    assert value(session, "sc.parallelize(1 to 4, 2).map(i => Ember(i).doubled).sum()") == "200.0"


@pytest.mark.parametrize("session", ["pyspark"], indirect=True)
def test_functions_and_classes_of_a_python_session_run_on_the_executors(session):
    session.run("import os\nHERE = os.getpid()\nlimit = 3")
    session.run("def heat(n):\n    return n * limit")
    session.run("class Ember:\n    def __init__(self, n):\n        self.heat = heat(n)\n    def __add__(self, other):\n        return Ember((self.heat + other.heat) // limit)")
    assert session.text("sc.parallelize(range(10), 2).map(heat).sum()", timeout=120) == "135"
    assert session.text("sc.parallelize(range(4), 2).map(Ember).reduce(lambda a, b: a + b).heat") == "18"
    assert session.text("HERE in sc.parallelize(range(2), 2).map(lambda _: os.getpid()).collect()") == "False"
    session.run("def heat(n):\n    return -n")
    assert session.text("sc.parallelize(range(10), 2).map(heat).sum()") == "-45", "the later one"
