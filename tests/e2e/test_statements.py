"""What statements of each language show, in which order they run, how they are cancelled and completed."""

import base64
import json
import re
import time

import pytest

from harness import until
from sessions import STATEMENT_KEYS, appending, file_lines, open_session

pytestmark = pytest.mark.spark


# -- the object ------------------------------------------------------------------------------------


def test_a_statement_from_its_post_to_its_end(live):
    before = live.answer("/statements")["total_statements"]
    answer = live.post("/statements", json={"code": "import time; time.sleep(0.3); 6 * 7"})
    assert answer.status_code == 201
    posted = answer.json()
    assert posted["id"] == before and answer.headers["Location"] == f"/sessions/{live.id}/statements/{before}"
    assert posted["state"] in ("waiting", "running") and posted["output"] is None
    assert posted["progress"] == 0.0 and posted["completed"] == 0
    assert live.state() == "busy"
    ended = live.wait(posted)
    assert set(ended) >= STATEMENT_KEYS
    assert (ended["state"], ended["code"], ended["progress"]) == ("available", "import time; time.sleep(0.3); 6 * 7", 1.0)
    assert ended["output"] == {"status": "ok", "execution_count": before, "data": {"text/plain": "42"}}
    now = time.time() * 1000
    assert now - 60000 < ended["started"] < ended["completed"] <= now + 1000
    assert 300 <= ended["completed"] - ended["started"] < 5000
    live.wait_state("idle", 5)


@pytest.mark.parametrize("body, status, words", [
    ({}, 400, "code"), ({"code": None}, 400, "code"), ({"code": "1", "kind": "perl"}, 400, "Invalid kind: perl"),
    ({"code": "1", "Kind": "sql"}, 400, 'Unrecognized field "Kind"'), ({"code": ["1"]}, 400, ""), ("1", 400, ""), (None, 400, ""),
])
def test_a_wrong_request_creates_no_statement(live, body, status, words):
    before = live.answer("/statements")["total_statements"]
    answer = live.post("/statements", data=json.dumps(body).encode())
    assert answer.status_code == status and words in str(answer.json()), answer.text
    assert live.answer("/statements")["total_statements"] == before


def test_a_statement_that_is_not_there_is_404(live):
    for number in ("2147483647", "-1"):
        answer = live.get(f"/statements/{number}")
        assert (answer.status_code, answer.json()) == (404, "Statement not found")


def test_statements_are_paged_and_reversed_before_that(live):
    made = [live.run(str(i))["id"] for i in range(3)]
    total = made[-1] + 1
    whole = live.answer("/statements")
    assert set(whole) == {"total_statements", "statements"}
    assert whole["total_statements"] == total and [s["id"] for s in whole["statements"]] == list(range(total))

    def ids(query):
        answer = live.answer(f"/statements?{query}")
        assert answer["total_statements"] == total
        return [s["id"] for s in answer["statements"]]

    assert ids(f"from={made[1]}") == made[1:]
    assert ids(f"from={made[0]}&size=2") == made[:2]
    assert ids("from=0&size=2&order=desc") == [made[2], made[1]]
    assert ids("order=%20DESC%20&size=1") == [made[2]]
    assert ids("order=sideways&size=1") == [0]
    assert ids(f"from={total}") == [] and ids("size=0") == []


def test_the_same_idempotency_key_runs_a_statement_once(live, tmp_path):
    code = appending(tmp_path / "ran", "once")
    first = live.submit(code, headers={"Idempotency-Key": "s1"})
    again = live.submit(code, headers={"Idempotency-Key": "s1"})
    assert again["id"] == first["id"]
    assert live.post("/statements", json={"code": "other"}, headers={"Idempotency-Key": "s1"}).status_code == 422
    live.wait(first)
    live.text("1")
    assert file_lines(tmp_path / "ran") == ["once"]


def test_statements_of_all_kinds_run_in_order_one_at_a_time(live, tmp_path):
    live.text("1", "spark", 90)
    trace = tmp_path / "trace"
    slow = f"import time\nwith open({str(trace)!r}, 'a') as f:\n  x = f.write('begin\\n'); f.flush(); time.sleep(0.3); x = f.write('end\\n')"
    scala = f'val w = new java.io.FileWriter("{trace}", true); w.write("scala\\n"); w.close()'
    made = [live.submit(slow), live.submit(scala, "spark"), live.submit("select 1", "sql"), live.submit(slow), live.submit(appending(trace, "last"))]
    assert [s["id"] for s in made] == list(range(made[0]["id"], made[0]["id"] + 5))
    ended = [live.wait(s) for s in made]
    assert all(s["output"]["status"] == "ok" for s in ended), ended
    assert file_lines(trace) == ["begin", "end", "scala", "begin", "end", "last"]
    assert all(a["completed"] <= b["started"] for a, b in zip(ended, ended[1:]))


@pytest.mark.every_spark
def test_all_kinds_share_one_spark_session(live):
    live.text("spark.range(5).createOrReplaceTempView('shared_view')")
    assert live.table("select count(*) from shared_view") == [[5]]
    assert "Long = 5" in live.text('spark.table("shared_view").count()', "spark", 90)
    live.data("create or replace temporary view from_sql as select 7 as seven", "sql")
    assert live.text("spark.table('from_sql').first().seven") == "7"


def test_a_kind_must_be_named_in_a_shared_session(spark_server):
    session = open_session(spark_server)
    answer = session.post("/statements", json={"code": "1"})
    assert answer.status_code == 400 and "Code type should be specified if session kind is shared" in answer.text
    assert session.answer("/statements")["total_statements"] == 0
    assert session.text("1 + 1", "python") == "2"
    assert session.table("select 3 as x") == [[3]]
    session.delete()


# -- Python ----------------------------------------------------------------------------------------


@pytest.mark.every_spark
@pytest.mark.parametrize("code, text", [
    ("1 + 1", "2"), ("'a'\n'b'", "'b'"), ("None", ""), ("", ""), ("  \n# only a comment\n", ""), ("x = 5", ""), ("x = 7; x;", "7"),
    ("print('out')\nimport sys\nprint('err', file=sys.stderr)\nprint('more')", "out\nmore\nerr"), ("print('right   \\n\\n')", "right"),
    ("print('first')\n'last'", "first\n'last'"), ("def f():\n    return 'called'\n\nf()", "'called'"), ("a = 1\r\nb = 2\r\na + b", "3"),
    ("'火 🔥 ü'", "'火 🔥 ü'"), ("sc.parallelize(range(10), 2).sum()", "45"), ("spark.range(10).count()", "10"),
    ("class Point:\n    def __init__(self, x): self.x = x\n\nsc.parallelize([1, 2], 2).map(lambda x: Point(x)).map(lambda p: p.x).sum()", "3"),
    ("import pickle\nclass Pickled: pass\ntype(pickle.loads(pickle.dumps(Pickled()))).__name__", "'Pickled'"),
    ("for i in range(3): print(i)", "0\n1\n2"), ("__name__", "'__main__'"), ("sqlContext.sql('select 1 as one').first().one", "1"),
    ("HiveContext, StreamingContext, cloudpickle; 'there'", "'there'"),
])
def test_what_python_shows(live, code, text):
    assert live.text(code) == text


def test_pythons_definitions_persist(live):
    live.text("kept = 41\ndef more(): return kept + 1")
    assert live.text("more()") == "42"
    live.text("globals().pop('_', None)")  # one that a loop left hides the shell's
    live.text("5 * 5")
    assert live.text("_ + 1") == "26"


@pytest.mark.every_spark
@pytest.mark.parametrize("code, ename, evalue, traceback", [
    ("1/0", "ZeroDivisionError", "division by zero", ["Traceback (most recent call last):\n", "ZeroDivisionError: division by zero\n"]),
    ("def g():\n    return 1/0\n\ng()", "ZeroDivisionError", "division by zero",
     ["Traceback (most recent call last):\n", '  File "<stdin>", line 2, in g\n', "ZeroDivisionError: division by zero\n"]),
    ("input()", "EOFError", "EOF when reading a line", None),
    ("raise ValueError('own words')", "ValueError", "own words", None),
    ("import sys; sys.exit(3)", "SystemExit", "3", None),
    ("import no_such_module", "ModuleNotFoundError", "No module named 'no_such_module'", None),
])
def test_pythons_errors(live, code, ename, evalue, traceback):
    error = live.error(code)
    assert (error["ename"], error["evalue"]) == (ename, evalue)
    if traceback is not None:
        assert error["traceback"] == traceback
    assert live.text("'alive'") == "'alive'"


@pytest.mark.parametrize("code, ename", [("a b", "SyntaxError"), ("def f(:", "SyntaxError"), ("  x = 1", "IndentationError"),
                                         ("await x", "SyntaxError"), ("if True:\nx = 1", "IndentationError")])
def test_pythons_syntax_errors_show_the_line_without_a_header(live, code, ename):
    error = live.error(code)
    assert error["ename"] == ename and "(<stdin>, line" in error["evalue"]
    text = "".join(error["traceback"])
    assert text.startswith('  File "<stdin>", line ') and f"{ename}: " in text and "Traceback" not in text


def test_what_was_printed_before_an_error_goes_nowhere(live):
    assert "leaking" not in json.dumps(live.error("print('leaking')\n1/0"))
    assert live.text("'next'") == "'next'"


@pytest.mark.every_spark
def test_sparks_own_errors_in_python(live):
    error = live.error("spark.table('no_such_table')")
    assert error["ename"] == "AnalysisException" and "[TABLE_OR_VIEW_NOT_FOUND]" in error["evalue"]
    error = live.error("sc.parallelize([1], 1).map(lambda x: 1/0).collect()")
    assert error["ename"] == "Py4JJavaError" and "division by zero" in error["evalue"] + "".join(error["traceback"])


def test_a_value_as_json(live):
    live.text("data = {'a': [1, 2.5, None, 'ü']}")
    assert live.data("%json data") == {"application/json": {"a": [1, 2.5, None, "ü"]}}
    assert live.data("x = {'b': 1}\n%json x") == {"application/json": {"b": 1}}
    shown = live.data("print('beside')\n%json data")
    assert shown["application/json"] == {"a": [1, 2.5, None, "ü"]} and shown.get("text/plain", "beside") == "beside"


def test_a_value_as_a_table(live):
    live.text("import datetime, decimal\nrows = [(1, 'x', 2.5, True, None, datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5), decimal.Decimal('1.50'), [1]),"
              " (2, None, 3.5, False, 'late', None, None, None, [2])]")
    table = live.data("%table rows")["application/vnd.livy.table.v1+json"]
    assert [h["name"] for h in table["headers"]] == [str(i) for i in range(9)] or [h["name"] for h in table["headers"]] == list(range(9))
    assert [h["type"] for h in table["headers"]] == ["INT_TYPE", "STRING_TYPE", "DOUBLE_TYPE", "BOOLEAN_TYPE", "STRING_TYPE", "DATE_TYPE",
                                                     "TIMESTAMP_TYPE", "DECIMAL_TYPE", "ARRAY_TYPE"]
    assert table["data"] == [[1, "x", 2.5, True, None, "2020-01-02", "2020-01-02 03:04:05", "1.50", [1]],
                             [2, None, 3.5, False, "late", None, None, None, [2]]]
    live.text("from pyspark.sql import Row\nrows = [Row(b=1, a='x')]")
    table = live.data("%table rows")["application/vnd.livy.table.v1+json"]
    assert [(h["name"], h["type"]) for h in table["headers"]] == [("a", "STRING_TYPE"), ("b", "INT_TYPE")]
    assert table["data"] == [["x", 1]]


def test_a_figure_as_a_png(live):
    png = b"\x89PNG\r\n\x1a\n" + b"not really"
    live.text(f"class Plot:\n    def gcf(self): return self\n    def savefig(self, out, *a, **k): out.write({png!r})\nplot = Plot()")
    assert base64.b64decode(live.data("%matplot plot")["image/png"]) == png


@pytest.mark.parametrize("before, code, ename, evalue", [
    ("", "%bogus x", "UnknownMagic", "unknown magic command 'bogus'"), ("", "%", "UnknownMagic", "magic command not specified"),
    ("", "%json nope", "KeyError", "'nope'"), ("", "%table nope", "KeyError", "'nope'"),
    ("rows = [(1,), ('x',)]", "%table rows", "TypeError", "table rows have different types"),
    ("rows = object()", "%json rows", "TypeError", None), ("", "%json", None, None),
])
def test_a_magic_that_fails_is_an_error_and_the_session_lives(live, before, code, ename, evalue):
    if before:
        live.text(before)
    error = live.error(code)
    assert ename is None or error["ename"] in (ename, "ValueError"), error
    assert evalue is None or error["evalue"] == evalue, error
    assert live.text("'alive'") == "'alive'"


@pytest.mark.parametrize("code", ["x = float('nan')\n%json x", "x = [1, float('inf')]\n%json x", "x = '\\ud800'\n%json x", "print('\\ud800')", "'\\udfff'",
                                  "raise ValueError('\\ud800')", "x = {'a': {1: 2}}\n%table x", "x = [[{'k': 'v'}]]\n%table x"])
def test_values_that_json_has_not_do_not_hurt_the_session(live, code):
    assert live.output(code)["status"] in ("ok", "error")
    assert live.text("'alive'") == "'alive'"


def test_code_of_1_mb_and_output_of_2_mb_pass(live):
    text = "x" * (1 << 20)
    assert live.text(f"len('{text}')") == str(1 << 20)
    assert live.text("'y' * (2 << 20)") == repr("y" * (2 << 20))


def test_output_above_the_limit_is_cut_with_a_word(live):
    text = live.text("print('z' * (20 << 20))")
    assert 1 << 20 < len(text) <= 16 << 20 and "trunc" in text[-300:]
    assert live.text("'alive'") == "'alive'"


def test_a_thread_that_prints_after_its_statement_hurts_nothing(live):
    assert live.text("import threading, time\ndef late():\n    time.sleep(0.2); print('too late')\nthreading.Thread(target=late).start()") == ""
    time.sleep(0.5)
    assert live.text("'next'") == "'next'"


# -- Scala -----------------------------------------------------------------------------------------


@pytest.fixture
def scala(live):
    """Runs Scala; its session knows which Scala it is."""
    version = live.text("scala.util.Properties.versionNumberString", "spark", 90)
    echo = "val " if "2.13" in version else ""

    def text(code):
        return live.text(code, "scala", 90)

    text.error = lambda code: live.error(code, "spark", 90)
    text.live, text.echo = live, echo
    return text


@pytest.mark.every_spark
def test_what_scala_shows(scala):
    v = scala.echo
    shown = re.sub(r"res\d+", "res0", scala("val a = 3\nval b = a * 2\nprintln(b)\nb + 1"))
    assert shown == f"{v}a: Int = 3\n{v}b: Int = 6\n6\n{v}res0: Int = 7\n"
    assert scala("  \n") == "" and scala("// only a comment") == ""
    assert "defined class Item" in scala("case class Item(n: Int)") or v
    assert "Long = 10" in scala("spark.range(10).count()")
    assert "45.0" in scala("sc.parallelize(0 to 9, 2).sum()")
    assert "import java.time.Duration" in scala("import java.time.Duration")
    assert "Int = 6" in scala("def twice(n: Int): Int = {\n  n * 2\n}\ntwice(3)")
    assert "Int = 4" in scala("List(1, 2, 3)\n  .map(_ + 1)\n  .last")


@pytest.mark.every_spark
def test_scala_classes_travel_to_tasks_and_back(scala):
    scala("case class Pair(a: Int, b: String)")
    assert "Pair(2,x)" in scala('sc.parallelize(Seq(1), 1).map(n => Pair(n + 1, "x")).collect().mkString')
    assert "Long = 2" in scala('Seq(Pair(1, "x"), Pair(2, "y")).toDS().filter(_.a > 0).count()')
    assert "42" in scala('spark.udf.register("plus_one", (n: Int) => n + 1)\nspark.sql("select plus_one(41)").collect().mkString')
    assert scala.live.table("select plus_one(1)") == [[2]]


@pytest.mark.every_spark
def test_scalas_errors(scala):
    error = scala.error('val x: Int = "x"')
    assert error["ename"] == "Error" and "error: type mismatch" in error["evalue"]
    assert any("String" in line for line in error["traceback"])
    error = scala.error('throw new RuntimeException("boom")')
    assert error["ename"] == "Error" and error["evalue"] == "java.lang.RuntimeException: boom"
    error = scala.error("def incomplete(")
    assert (error["ename"], error["evalue"], error["traceback"]) == ("Error", "incomplete statement", [])
    scala.error('val before = 11\nthrow new RuntimeException("boom")\nval after = 12')
    assert "Int = 11" in scala("before")
    assert "not found: value after" in json.dumps(scala.error("after"))


def test_what_scala_prints_does_not_leak_into_the_next_statement(scala):
    scala.error('println("leaking")\nthrow new RuntimeException("boom")')
    assert scala('"next"').endswith('String = next\n')


def test_scalas_magics(scala):
    live = scala.live
    scala('case class Cell(n: Int, s: String)\nval cells = List(Cell(1, "x"), Cell(2, "y"))\nval m = Map("k" -> 1)\nval t = (1, "two")')
    assert live.data("%json cells", "spark") == {"application/json": [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]}
    assert live.data("%json m", "spark") == {"application/json": {"k": 1}}
    assert live.data("%json t", "spark") == {"application/json": {"_1": 1, "_2": "two"}}
    table = live.data("%table cells", "spark")["application/vnd.livy.table.v1+json"]
    assert [(h["name"], h["type"]) for h in table["headers"]] == [("n", "BIGINT_TYPE"), ("s", "STRING_TYPE")]
    assert table["data"] == [[1, "x"], [2, "y"]]
    for code, ename, evalue in (("%json nope", "NameError", "Value nope does not exist"), ("%bogus x", "UnknownMagic", "Unknown magic command bogus")):
        error = scala.error(code)
        assert (error["ename"], error["evalue"], error["traceback"]) == (ename, evalue, [])


# -- SQL -------------------------------------------------------------------------------------------


@pytest.mark.every_spark
def test_what_sql_shows(live):
    shown = live.data("select 1 as n, 'x' as s, cast(1.5 as decimal(10,2)) as d", "sql")
    assert list(shown) == ["application/json"]
    value = shown["application/json"]
    assert value["schema"]["type"] == "struct" and value["data"] == [[1, "x", 1.5]]
    assert [(f["name"], f["type"], f["nullable"], f["metadata"]) for f in value["schema"]["fields"]] == [
        ("n", "integer", False, {}), ("s", "string", False, {}), ("d", "decimal(10,2)", True, {})] or value["schema"]["fields"][2]["nullable"] is False
    assert live.table("select 1;") == [[1]]
    assert live.table("select 1 where false") == []
    empty = live.data("create or replace temporary view ddl as select 1", "sql")["application/json"]
    assert empty == {"schema": {"type": "struct", "fields": []}, "data": []}
    assert ["spark.sql.shuffle.partitions"] == [row[0] for row in live.table("set spark.sql.shuffle.partitions")]


@pytest.mark.every_spark
@pytest.mark.parametrize("expression, value", [
    ("null", None), ("true", True), ("cast(2 as bigint)", 2), ("date '2020-01-02'", "2020-01-02"), ("array(1, 2)", [1, 2]),
    ("map('k', 1)", {"k": 1}), ("struct(1 as a, 'x' as b)", {"a": 1, "b": "x"}), ("cast('ab' as binary)", [97, 98]), ("unhex('FF')", [-1]),
    ("double('NaN')", "NaN"), ("double('Infinity')", "Infinity"), ("array(struct(1 as a))", [{"a": 1}]), ("'火'", "火"),
])
def test_sql_values(live, expression, value):
    assert live.table(f"select {expression}") == [[value]]


@pytest.mark.every_spark
def test_sql_times(live):
    live.data("set spark.sql.session.timeZone=UTC", "sql")
    [[moment]] = live.table("select timestamp '2020-01-02 03:04:05'")
    assert moment in ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05.000Z")
    [[interval]] = live.table("select interval '1' day")
    assert isinstance(interval, str) and "1" in interval


def test_sql_shows_the_first_1000_rows(live):
    assert [row[0] for row in live.table("select id from range(5000)")] == list(range(1000))


@pytest.mark.parametrize("query, words", [("select * from no_such_table", "[TABLE_OR_VIEW_NOT_FOUND]"), ("selec 1", "[PARSE_SYNTAX_ERROR]"),
                                          ("select nope from range(1)", "[UNRESOLVED_COLUMN"), ("select 1; select 2", "[PARSE_SYNTAX_ERROR]"),
                                          ("", "")])
def test_sql_errors(live, query, words):
    error = live.error(query, "sql")
    assert error["ename"] == "Error" and words in error["evalue"]
    assert not words or error["traceback"] and not any("\n" in line for line in error["traceback"])


# -- R ---------------------------------------------------------------------------------------------


def test_r_runs_or_says_that_it_is_missing(live):
    output = live.output("1 + 1", "sparkr")
    if output["status"] == "ok":
        assert output["data"]["text/plain"].strip() == "[1] 2"
    else:
        assert (output["ename"], output["evalue"], output["traceback"]) == ("InterpreterError", "Fail to start interpreter", [])
    assert live.text("'alive'") == "'alive'"


# -- cancelling ------------------------------------------------------------------------------------


def cancel(session, statement):
    answer = session.post(f"/statements/{statement['id']}/cancel", json={})
    assert (answer.status_code, answer.json()) == (200, {"msg": "canceled"})


@pytest.mark.every_spark
@pytest.mark.parametrize("kind, code, limit", [
    ("pyspark", "import time; time.sleep(1000)", 3), ("pyspark", "while True: pass", 3),
    ("pyspark", "sc.parallelize(range(4), 2).map(lambda x: __import__('time').sleep(1000)).count()", 5),
    ("pyspark", "import subprocess; subprocess.run(['sleep', '1000'])", 3),
    ("sql", "select count(*) from range(1000000) a cross join range(1000000) b where a.id * b.id = 7", 8),
    ("spark", "Thread.sleep(1000000)", 5), ("spark", "sc.parallelize(1 to 4, 2).map { x => Thread.sleep(1000000); x }.count()", 5),
])
def test_a_running_statement_is_cancelled(live, kind, code, limit):
    if kind == "spark":
        live.text("1", "spark", 90)  # its interpreter's start is not to be counted
    running = live.submit(code, kind)
    live.wait(running, states=("running",))
    time.sleep(0.5)  # so that it is in the midst of it
    cancel(live, running)
    assert live.statement(running["id"])["state"] in ("cancelling", "cancelled")
    ended = live.wait(running, limit)
    assert ended["state"] == "cancelled" and ended["progress"] == 1.0
    assert ended["output"] is None or ended["output"]["status"] == "error"
    live.wait_state("idle", 5)
    assert live.text("1 + 1", timeout=10) == "2"
    assert live.text("spark.range(3).count()", timeout=20) == "3"


def test_a_waiting_statement_is_cancelled_at_once_and_never_runs(live, tmp_path):
    running = live.submit("import time; time.sleep(1000)")
    waiting = live.submit(appending(tmp_path / "ran", "never"))
    last = live.submit("'last'")
    live.wait(running, states=("running",))
    cancel(live, waiting)
    ended = live.wait(waiting, 1)
    assert (ended["state"], ended["output"], ended["started"]) == ("cancelled", None, 0)
    assert live.statement(running["id"])["state"] == "running"
    cancel(live, running)
    assert live.wait(last)["output"]["data"] == {"text/plain": "'last'"}
    assert file_lines(tmp_path / "ran") == []


def test_cancelling_what_has_ended_or_never_was_changes_nothing(live):
    ended = live.run("'done'")
    cancel(live, ended)
    cancel(live, {"id": 999999})
    assert live.statement(ended["id"]) == ended


def test_code_that_catches_everything_is_cancelled_all_the_same(live):
    running = live.submit("import time\nwhile True:\n    try:\n        time.sleep(0.2)\n    except BaseException:\n        caught = globals().get('caught', 0) + 1\n"
                          "        if caught > 3: raise")
    live.wait(running, states=("running",))
    cancel(live, running)
    assert live.wait(running, 10)["state"] == "cancelled"


# -- progress, completion --------------------------------------------------------------------------


def test_progress_grows_with_the_tasks(live):
    running = live.submit("sc.parallelize(range(8), 8).map(lambda x: __import__('time').sleep(0.4)).count()")
    seen = []

    def over():
        now = live.statement(running["id"])
        if not seen or seen[-1] != now["progress"]:
            seen.append(now["progress"])
        return now["state"] == "available"

    until(over, 30, "its end")
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert any(0.0 < p < 1.0 for p in seen), seen


def complete(session, code, kind, cursor=None):
    body = {"code": code, "kind": kind}
    if cursor is not None:
        body["cursor"] = cursor
    answer = session.post("/completion", json=body)
    assert answer.status_code == 200 and set(answer.json()) == {"candidates"}, answer.text
    return answer.json()["candidates"]


@pytest.mark.every_spark
def test_scala_is_completed(scala):
    assert complete(scala.live, "spark.ra", "spark", 8) == ["range"]
    assert complete(scala.live, "spark.no_such", "spark", 13) == []
    assert complete(scala.live, "spark.ra", "spark", 100) == []


def test_python_is_completed(live):
    live.text("completed_name = 1\ncompleted_other = 2")
    assert complete(live, "completed_", "pyspark", 10) == ["completed_name", "completed_other"]
    assert "parallelize" in complete(live, "sc.para", "pyspark", 7)
    assert complete(live, "no_such_na", "pyspark", 10) == []
    assert complete(live, "completed_", "pyspark", 100) == []


def test_completion_works_while_a_statement_runs(live):
    running = live.submit("import time; time.sleep(1000)")
    live.wait(running, states=("running",))
    assert complete(live, "sc.para", "pyspark", 7) == ["parallelize"]
    cancel(live, running)
    live.wait(running)


def test_other_languages_are_not_completed(live):
    assert complete(live, "selec", "sql", 5) == []
    assert complete(live, "prin", "sparkr", 4) == []


@pytest.mark.parametrize("body, words", [({"code": "x"}, "Invalid kind: "), ({"code": "x", "kind": "perl"}, "Invalid kind: perl"),
                                         ({"code": "x", "kind": "pyspark", "Cursor": 1}, 'Unrecognized field "Cursor"')])
def test_a_wrong_completion_is_400(live, body, words):
    answer = live.post("/completion", json=body)
    assert answer.status_code == 400 and words in str(answer.json()), answer.text


def test_a_round_trip_of_python_is_short(live):
    times = []
    for _ in range(100):
        start = time.perf_counter()
        made = live.post("/statements", json={"code": "1 + 1"}).json()
        while live.statement(made["id"])["state"] != "available":
            pass
        times.append(time.perf_counter() - start)
    assert sorted(times)[50] < 0.02, sorted(times)[::10]
