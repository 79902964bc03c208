"""Warm drivers: Spark is loaded and has run, and any session can be made of it in a moment."""

import time

import pytest

from hearth_end import PLAIN_CONF


def warm(rig, home, kind="pyspark", **settings):
    agent = rig.start(home, warm=kind, conf={"spark.pool.only": "1"}, **settings)
    agent.end.wait("warm")
    assert agent.end.of_type("context") == agent.end.of_type("state") == []
    return agent


def session_conf(**more):
    conf = dict(PLAIN_CONF)
    conf.update({"spark.app.name": "adopted", "spark.sql.shuffle.partitions": "3"})
    conf.update({name.replace("__", "."): value for name, value in more.items()})
    return conf


@pytest.mark.parametrize("kind", ["pyspark", "spark"])
def test_a_warm_driver_becomes_a_session(rig, home, kind, tmp_path):
    (tmp_path / "mine.py").write_text("def f(): return 7\n")
    (tmp_path / "data.txt").write_text("data")
    agent = warm(rig, home, kind)
    end = agent.end
    files = {"spark__submit__pyFiles": str(tmp_path / "mine.py")}
    files["spark__files"] = str(tmp_path / "data.txt")
    begin = time.time()
    end.adopt(session_conf(**files), kind)
    number = end.execute("spark.range(10).count()", kind)
    state = end.wait("state", state="idle")
    context = end.wait("context")
    result = end.result(number)["output"]["data"]["text/plain"]
    assert "10" in result
    assert end.events.index(state) < end.events.index(end.result(number))
    assert context["appId"].startswith("local-")
    print("adopt to context %.3f s" % (context["_at"] - begin))
    assert (
        end.text("sc.appName, spark.conf.get('spark.sql.shuffle.partitions')") == "('adopted', '3')"
    )
    assert end.text("sc.getConf().get('spark.pool.only')") == ""  # None
    assert end.text("sc._jvm.System.getProperty('spark.pool.only')") == ""
    assert end.text("sc._jvm.System.getProperty('spark.app.name')") == "'adopted'"
    assert end.text("sc.parallelize([1], 1).map(lambda n: __import__('mine').f()).first()") == "7"
    assert end.text("open('data.txt').read()") == "'data'"
    assert end.text("spark.range(3).createOrReplaceTempView('v'); 1") == "1"
    rows = end.run("select sum(id) from v", kind="sql")
    assert rows["data"]["application/json"]["data"] == [[3]]
    code = "case class Pair(a: Int)\nsc.parallelize(1 to 3).map(Pair(_)).collect.length"
    assert "= 3" in end.text(code, kind="spark")
    agent.shut_down()


def test_jars_of_the_session_are_on_the_class_path(rig, any_home, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "res.jar", "w") as jar:
        jar.writestr("greeting.txt", "from a jar")
    agent = warm(rig, any_home)
    agent.end.adopt(session_conf(spark__jars=str(tmp_path / "res.jar")))
    code = (
        "scala.io.Source.fromInputStream(Thread.currentThread.getContextClassLoader"
        '.getResourceAsStream("greeting.txt")).mkString'
    )
    assert "from a jar" in agent.end.text(code, kind="spark")
    assert "res.jar" in agent.end.text("sc._jsc.sc().listJars().mkString()")


def test_it_is_adopted_once(rig, any_home):
    agent = warm(rig, any_home)
    end = agent.end
    end.adopt(session_conf())
    end.wait("context")
    end.drop()
    end.until(lambda: end.welcomes == 2, "the next connection, which repeats the adoption")
    end.adopt(session_conf(spark__app__name="another"))
    assert end.text("sc.appName") == "'adopted'"
    assert len(end.of_type("state")) == 1


def test_an_adoption_that_comes_too_early_waits(rig, any_home):
    agent = rig.start(any_home, warm="pyspark")
    end = agent.end
    end.until(lambda: end.welcomes, "the connection")
    end.adopt(session_conf())
    assert end.text("sc.appName") == "'adopted'"
    assert len(end.of_type("warm")) == 1


def test_a_warm_driver_that_is_not_needed_ends(rig, any_home):
    agent = warm(rig, any_home)
    agent.shut_down()


def test_settings_that_cannot_work_are_told_at_adoption(rig, any_home):
    agent = warm(rig, any_home)
    agent.end.adopt(session_conf(spark__master="nonsense://"))
    assert "nonsense" in agent.end.wait("context_failed")["error"]
    assert agent.ends(20) == 1
