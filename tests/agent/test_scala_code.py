"""Scala, 2.12 with Spark 3 and 2.13 with Spark 4: what is shown, errors, magics, completion."""

import struct
import zipfile

import pytest
from in_process import data, failure

import scala_code

JSON = "application/json"
TABLE = "application/vnd.livy.table.v1+json"


@pytest.fixture
def scala(agent):
    """Runs a statement; its output."""
    return lambda code: agent.end.run(code, "spark")


@pytest.fixture
def shown(agent):
    """Runs a statement that must succeed; its text in the words of Scala 2.12, whose echo has no
    `val`, and no warnings of deprecation."""

    def run(code):
        lines = agent.end.text(code, "spark").splitlines(keepends=True)
        lines = [line for line in lines if "deprecation" not in line]
        return "".join(line[4:] if line.startswith("val ") else line for line in lines)

    return run


# --- without Spark -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines, end",
    [
        (["a", "b"], 1),
        (["a", "  .b", "  .c", "d"], 3),
        (["a", "", "// why", "  .b", "d"], 4),
        (["a", "", "b"], 1),
        (["if (x) {", "}", "else {"], 1),
        (["}", "else {", "}"], 2),
        (["}", "catch {", "finally"], 3),
        (["for (i <- x)", "  yield i"], 2),
        (["a", "elsewhere"], 1),
        (["a"], 1),
    ],
)
def test_some_lines_go_on_with_the_one_before(lines, end):
    assert scala_code._logical_end(lines, 0) == end


@pytest.mark.parametrize(
    "code, rest",
    [
        ("", ""),
        ("  // only", ""),
        ("// c\na", "a"),
        ("/* a /* b */ c */ d", "d"),
        ("/* a", None),
        ("/* a /* b */", None),
        ("/**/// x\n/* y */", ""),
        ("a // b", "a // b"),
    ],
)
def test_comments_are_told_from_code(code, rest):
    assert scala_code._after_comments(code) == rest


@pytest.mark.parametrize(
    "lines, message",
    [
        (["<console>:24: error: not found: value foo\n", "  foo\n", "  ^\n"],
         "<console>:24: error: not found: value foo"),
        (["       ^\n", "       error: not found: value foo\n"], "error: not found: value foo"),
        (["warning: 1 deprecation\n", "       ^\n", "       error: x\n"], "error: x"),
        (["java.lang.E: boom\n", "  at f(<console>:1)\n", "error: y\n"], "java.lang.E: boom"),
        (["warning: 1 deprecation\n", "java.lang.E: boom\n", "  ... 9 elided\n"],
         "java.lang.E: boom"),
        (["something\n", "else\n"], "something"),
        ([], "the interpreter does not say why"),
    ],
)
def test_the_message_of_an_error_is_found(lines, message):
    found, others = scala_code._split_error(lines)
    assert found == message
    assert others == [line for line in lines if line.strip() != message]


# --- what is shown -------------------------------------------------------------------------------


def test_each_line_is_echoed(shown):
    code = "val a = 3\nval b = a * 2\nprintln(b)\nval c = b + 1"
    assert shown(code) == "a: Int = 3\nb: Int = 6\n6\nc: Int = 7\n"


def test_the_last_value_gets_a_name(scala):
    text = data(scala("40 + 2"))["text/plain"]
    name, _, value = text.partition(": ")
    assert name.split()[-1].startswith("res") and value == "Int = 42\n"


@pytest.mark.parametrize("code", ["", " \n ", "// only", "/* a\n * b\n */", "/* a */ // b"])
def test_nothing_is_shown_for_no_code(shown, code):
    assert shown(code) == ""


@pytest.mark.parametrize(
    "code, text",
    [
        ("val o1 = if (true) {\n  1\n}\nelse {\n  2\n}", "o1: Int = 1\n"),
        ("val o2 = List(1, 2)\n  .map(_ + 1)\n\n  // why\n  .sum", "o2: Int = 5\n"),
        ('val o3 = """a\n\n  .b\n%json x"""\nprint(o3.length)',
         "o3: String =\na\n\n  .b\n%json x\n15"),
        ("val o4 = try { 1 / 0 }\ncatch { case e: Exception => -1 }\nfinally println('f')",
         "f\no4: Int = -1\n"),
        ("val o5 = for (i <- List(1, 2))\n  yield i * 2", "o5: List[Int] = List(2, 4)\n"),
        ("/** doc\n  * of it */\nval o6 = 6 // six\n\n\n// end", "o6: Int = 6\n"),
        ("def twice(n: Int): Int = {\n  n * 2\n}\nval o7 = twice(4)", None),
        ("println(\"é\U0001f600\")", "é\U0001f600\n"),
        ("import java.util.Date", "import java.util.Date\n"),
        ("val o8 = 1; val o9 = 'c'", "o8: Int = 1\no9: Char = c\n"),
    ],
)
def test_constructs_may_take_many_lines(shown, code, text):
    if text is None:
        assert shown(code).endswith("o7: Int = 8\n")
    else:
        assert shown(code) == text


def test_sparks_names_are_there(shown):
    assert shown("print(spark.range(10).count())") == "10"
    assert shown("print(sc.parallelize(1 to 4).sum)") == "10.0"
    assert shown("print(sql(\"select 1 as n\").select(col(\"n\") + lit(1)).head.get(0))") == "2"
    assert shown("print(Seq(1, 2).toDF(\"x\").count)") == "2"
    assert "|  0|" in shown("spark.range(1).show()")


def test_classes_of_statements_work_on_executors(shown):
    shown("case class Item(n: Int, name: String)")
    assert shown("print(Seq(Item(1, \"x\")).toDS.map(i => i.n + 1).collect().toList)") == "List(2)"
    code = "print(sc.parallelize(1 to 2, 2).map(i => Item(i, \"x\")).collect().toList)"
    assert shown(code) == "List(Item(1,x), Item(2,x))"
    code = "case class Later(n: Int)\nval later = Seq(Later(1)).toDS\nprint(later.count)"
    assert shown(code).endswith("1")


def test_views_are_shared_with_the_other_languages(agent, shown):
    agent.end.run("spark.range(3).createOrReplaceTempView('from_python')")
    assert shown("print(sql(\"select * from from_python\").count)") == "3"


def test_threads_of_a_statement_are_heard_and_later_ones_are_not(agent, shown):
    code = (
        "val thread = new Thread(new Runnable { def run() = { println(\"heard\") } })\n"
        "thread.start(); thread.join()"
    )
    assert "heard\n" in shown(code)
    code = (
        "val gate = new java.util.concurrent.CountDownLatch(1)\n"
        "val late = new Thread(new Runnable {\n"
        "  def run() = { gate.await(); println(\"too late\") }\n"
        "})\n"
        "late.start()"
    )
    assert "too late" not in shown(code)
    assert shown("gate.countDown(); late.join(); print(\"now\")") == "now"
    assert "too late\n" in agent.log()


# --- errors --------------------------------------------------------------------------------------


def test_what_cannot_be_compiled_is_an_error(scala):
    ename, evalue = failure(scala("nowhere"))
    assert ename == "Error" and evalue.endswith("error: not found: value nowhere")
    output = scala("val wrong: Int = \"x\"")
    assert failure(output)[1].endswith("error: type mismatch;")
    assert any("found   : String(\"x\")\n" in line for line in output["traceback"])
    assert all(line.endswith("\n") for line in output["traceback"])


def test_what_is_thrown_is_an_error(scala):
    output = scala("println(\"lost\"); throw new RuntimeException(\"boom\")")
    assert failure(output) == ("Error", "java.lang.RuntimeException: boom")
    assert len(output["traceback"]) == 1 and "elided" in output["traceback"][0]


def test_lines_before_a_failing_one_have_taken_effect(scala, shown):
    assert failure(scala("val before = 1\nnowhere\nval after = 2"))[0] == "Error"
    assert shown("print(before)") == "1"
    assert failure(scala("after"))[1].endswith("not found: value after")


@pytest.mark.parametrize("code", ["val q =", "foo(", "{\n1", "/* open", "\"\"\"open", "List(1,\n2"])
def test_half_a_statement_is_incomplete(scala, code):
    output = scala(code)
    assert failure(output) == ("Error", "incomplete statement")
    assert output["traceback"] == []


def test_text_of_a_failed_statement_is_not_in_the_next(scala, shown):
    failure(scala("println(\"lost\"); 1 / 0"))
    assert shown("print(\"next\")") == "next"


def test_an_exhausted_stack_ends_only_its_statement(scala, shown):
    output = scala("def deep(n: Int): Int = deep(n + 1) + 1\ndeep(1)")
    assert failure(output) == ("Error", "java.lang.StackOverflowError")
    assert shown("print(1)") == "1"


def test_printing_without_end_is_cut(shown):
    text = shown("for (i <- 1 to 300000) println(\"x\" * 99)")
    assert text.startswith("x" * 99 + "\n")
    assert text.split("\n")[-1].endswith("of 30000000 bytes shown; sessions.output_limit]")
    assert len(text) <= 16 << 20
    assert shown("print(1)") == "1"


# --- magic commands ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "definition, value",
    [
        ("List(1, 2)", [1, 2]),
        ("Map(\"a\" -> 1, \"b\" -> 2)", {"a": 1, "b": 2}),
        ("(1, \"a\")", {"_1": 1, "_2": "a"}),
        ("java.time.DayOfWeek.MONDAY.getValue", 1),
        ("\"x\\u0000\"", "x\ufffd"),
        ("sc.parallelize(1 to 100)", list(range(1, 11))),
        ("None: Option[Int]", None),
        ("Some(2.5)", 2.5),
        ("BigInt(\"36893488147419103232\")", 36893488147419103232.0),
        ("null: String", None),
    ],
)
def test_json_gives_the_value(scala, definition, value):
    assert data(scala("val j = %s\n%%json j" % definition)) == {JSON: value}


def test_json_knows_case_classes_and_earlier_values(scala):
    scala("case class Point(x: Int, y: Int)\nval p = Point(1, 2)\nval other = 5")
    assert data(scala("val last = 7\n%json p")) == {JSON: {"x": 1, "y": 2}}
    assert data(scala("%json other")) == {JSON: 5}


@pytest.mark.parametrize(
    "definition, headers, rows",
    [
        ("List((1, \"a\"), (2, \"b\"))",
         [("_1", "BIGINT_TYPE"), ("_2", "STRING_TYPE")], [[1, "a"], [2, "b"]]),
        ("List(Map(\"b\" -> true, \"a\" -> false))",
         [("a", "BOOLEAN_TYPE"), ("b", "BOOLEAN_TYPE")], [[False, True]]),
        ("List(List(1.5, 2.5))", [("0", "DOUBLE_TYPE"), ("1", "DOUBLE_TYPE")], [[1.5, 2.5]]),
        ("List(1, 2)", [("0", "BIGINT_TYPE")], [[1], [2]]),
        ("List(List(List(1), Map(\"k\" -> 2), null))",
         [("0", "ARRAY_TYPE"), ("1", "MAP_TYPE"), ("2", "NULL_TYPE")], [[[1], {"k": 2}, None]]),
    ],
)
def test_table_gives_headers_and_rows(scala, definition, headers, rows):
    table = data(scala("val t = %s\n%%table t" % definition))[TABLE]
    assert [(h["name"], h["type"]) for h in table["headers"]] == headers
    assert table["data"] == rows


@pytest.mark.parametrize(
    "code, ename, evalue",
    [
        ("%json missing", "NameError", "Value missing does not exist"),
        ("%table missing", "NameError", "Value missing does not exist"),
        ("%json 1 + 1", "NameError", "Value 1 + 1 does not exist"),
        ("%bogus x", "UnknownMagic", "Unknown magic command bogus"),
        ("val mixed = List(1, \"a\")\n%table mixed", "TypeError",
         "table rows have different types"),
        ("lazy val breaks: Int = sys.error(\"x\")\n%json breaks", "ValueError",
         "Failed to convert value into a JSON value"),
    ],
)
def test_a_magic_that_cannot_be_carried_out_is_an_error(scala, code, ename, evalue):
    output = scala(code)
    assert failure(output) == (ename, evalue)
    assert output["traceback"] == []


def test_the_last_line_gives_the_result(scala):
    assert "text/plain" in data(scala("val x = 1\n%json x\nprint(2)"))
    assert data(scala("val x = 1\n%json x\n// done")) == {JSON: 1}


# --- jars, completion, cancelling ----------------------------------------------------------------


def empty_interface(name):
    """The class file of a public interface without members."""

    def text(value):
        return struct.pack(">BH", 1, len(value)) + value.encode()

    constants = text(name) + b"\7\0\1" + text("java/lang/Object") + b"\7\0\3"
    members = struct.pack(">HHHHHHH", 0x0601, 2, 4, 0, 0, 0, 0)
    return struct.pack(">IHHH", 0xCAFEBABE, 0, 52, 5) + constants + members


def test_an_added_jar_is_there_for_the_compiler_and_at_run_time(agent, scala, shown, tmp_path):
    with zipfile.ZipFile(tmp_path / "added.jar", "w") as jar:
        jar.writestr("added/Marker.class", empty_interface("added/Marker"))
    assert failure(scala("classOf[added.Marker]"))[0] == "Error"
    assert agent.end.add("jar", tmp_path / "added.jar") is None
    assert shown("print(classOf[added.Marker].getName)") == "added.Marker"


@pytest.mark.parametrize(
    "code, candidates",
    [
        ("spark.ra", ["range"]),
        ("val x = spark.ra", ["range"]),
        ("\"\U0001f600\"; spark.ra", ["range"]),
        ("spark.zz", []),
        ("sc.parallel", ["parallelize"]),
    ],
)
def test_completion_gives_names_that_can_follow(agent, code, candidates):
    assert agent.end.complete(code, "spark") == candidates
    assert agent.end.complete(code, "spark") == candidates


def test_completion_looks_at_the_cursor_and_keeps_to_the_limit(agent):
    assert agent.end.complete("spark.ra + 1", "spark", cursor=8) == ["range"]
    assert agent.end.complete("spark.ra", "spark", cursor=9) == []
    assert agent.end.complete("spark.ra", "spark", cursor=-1) == []
    names = agent.end.complete("", "spark")
    assert names == sorted(set(names)) and len(names) <= 500


def test_completion_works_while_a_statement_runs(agent):
    number = agent.end.execute("Thread.sleep(60000)", "spark")
    agent.end.wait("started", id=number)
    assert agent.end.complete("spark.ra", "spark") == ["range"]
    agent.end.cancel(number)
    assert agent.end.result(number)["state"] == "cancelled"


def test_after_cancelling_the_next_statement_runs(agent, shown):
    number = agent.end.execute("println(\"half\"); while (true) Thread.sleep(10)", "spark")
    agent.end.wait("started", id=number)
    agent.end.cancel(number)
    assert agent.end.result(number)["state"] == "cancelled"
    assert shown("print(\"next\")") == "next"
