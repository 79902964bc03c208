"""Statements in Python: what they show, how they fail, what stays of them. No Spark needed."""

import base64
import gc
import json
import sys
import tracemalloc

import pytest
from in_process import data, failure, PythonSession, text

JSON = "application/json"
TABLE = "application/vnd.livy.table.v1+json"


@pytest.fixture
def python():
    return PythonSession()


@pytest.mark.parametrize(
    "code, shown",
    [
        ("1+1", "2"),
        ("", ""),
        ("  \n\n", ""),
        ("# only this", ""),
        ("'a'\n'b'", "'b'"),
        ("t = 3", ""),
        ("t = 3\nt;", "3"),
        ("None", ""),
        ("print('x')", "x"),
        ("print('x  ', end='\\n\\n')", "x"),
        ("import sys\nprint('e', file=sys.stderr)\nprint('o')", "o\ne"),
        ("print('before')\n5", "before\n5"),
        ("for i in range(3): i", "0\n1\n2"),
        ("def f():\n  return 7\nf()", "7"),
        ("x = '''a\n%json b\n'''\nx", "'a\\n%json b\\n'"),
        ("5 \\\n% 3", "2"),
        ("print('\\0')", "\ufffd"),
        ("print('\\ud83d\\ude00 \\ud800')", "\U0001f600 \ufffd"),
        ("import sys\n_ = sys.stdout.buffer.write('é'.encode())", "é"),
    ],
)
def test_the_last_expression_and_all_that_was_printed_is_shown(python, code, shown):
    assert text(python.run(code)) == shown


def test_underscore_holds_the_last_value_and_definitions_stay(python):
    python.run("import os.path\ndef double(n): return 2 * n")
    assert text(python.run("double(21)")) == "42"
    assert text(python.run("_ + 1")) == "43"
    assert text(python.run("os.path.sep")) == "'/'"


def test_standard_input_is_empty(python):
    assert failure(python.run("input()")) == ("EOFError", "EOF when reading a line")


def test_classes_of_statements_are_found_in_main(python):
    python.run("import pickle\nclass Item: pass")
    assert text(python.run("type(pickle.loads(pickle.dumps(Item()))) is Item")) == "True"
    assert text(python.run("Item.__module__")) == "'__main__'"


def test_imports_from_the_future_hold_for_later_statements(python):
    python.run("from __future__ import annotations")
    assert text(python.run("def f(x: nowhere): pass\nf.__annotations__")) == "{'x': 'nowhere'}"


def test_an_error_has_its_class_text_and_traceback(python):
    output = python.run("1/0")
    assert failure(output) == ("ZeroDivisionError", "division by zero")
    assert output["traceback"] == [
        "Traceback (most recent call last):\n",
        "ZeroDivisionError: division by zero\n",
    ]


def test_inner_frames_stay_in_a_traceback_and_causes_do_not(python):
    python.run("def g():\n  return 1/0\ndef h():\n  try: g()\n  except ZeroDivisionError as e:\n"
               "    raise KeyError('k') from e")
    assert python.run("g()")["traceback"] == [
        "Traceback (most recent call last):\n",
        '  File "<stdin>", line 2, in g\n',
        "ZeroDivisionError: division by zero\n",
    ]
    output = python.run("h()")
    assert failure(output) == ("KeyError", "'k'")
    assert output["traceback"][1:] == ['  File "<stdin>", line 6, in h\n', "KeyError: 'k'\n"]


def test_no_frame_of_the_agent_is_in_a_traceback(python):
    output = python.run("import sys\nsys.stdout.write(5)")
    assert output["ename"] == "TypeError"
    assert output["traceback"][0] == "Traceback (most recent call last):\n"
    assert len(output["traceback"]) == 2
    assert ".py" not in "".join(output["traceback"])


def test_a_syntax_error_shows_the_place_without_header(python):
    output = python.run("x = )")
    assert output["ename"] == "SyntaxError"
    assert output["evalue"].endswith("(<stdin>, line 1)")
    assert output["traceback"][:2] == ['  File "<stdin>", line 1\n', "    x = )\n"]
    assert output["traceback"][2].strip() == "^"
    assert output["traceback"][3].startswith("SyntaxError: ")


def test_bad_indentation_is_an_indentation_error(python):
    output = python.run("if True:\nx = 1")
    assert output["ename"] == "IndentationError"
    assert output["traceback"][0] == '  File "<stdin>", line 2\n'


@pytest.mark.parametrize("code", ["await x", "return 1", "yield 1", "break"])
def test_what_cannot_stand_at_the_top_is_a_syntax_error_and_nothing_ran(python, code):
    output = python.run("ran = True\n" + code)
    assert output["ename"] == "SyntaxError"
    assert output["traceback"][0] == '  File "<stdin>", line 2\n'
    assert output["traceback"][1].strip() == code
    assert failure(python.run("ran"))[0] == "NameError"


@pytest.mark.parametrize("code", ["'a\0b'", "'\ud800'", "(" * 5000, "-" * 100000 + "1"])
def test_code_that_cannot_be_read_is_an_error_statement(python, code):
    assert python.run(code)["status"] == "error"
    assert text(python.run("1")) == "1"


def test_printed_text_of_an_error_does_not_reach_the_next_statement(python):
    failure(python.run("print('lost')\n1/0"))
    assert text(python.run("'next'")) == "'next'"


@pytest.mark.parametrize(
    "code, ename",
    [
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(): f()\nf()", "RecursionError"),
        ("class Bad(Exception):\n  def __str__(self): 1/0\nraise Bad", "Bad"),
        ("class Odd(Exception):\n  def __init__(self): pass\nraise Odd", "Odd"),
        ("raise ValueError('\\ud800\\0')", "ValueError"),
    ],
)
def test_any_exception_ends_only_its_statement(python, code, ename):
    output = python.run(code)
    assert output["ename"] == ename
    json.dumps(output, allow_nan=False).encode()
    assert "\0" not in json.dumps(output)
    assert text(python.run("1+1")) == "2"


def test_cancelling_goes_through_and_leaves_nothing_behind(python):
    with pytest.raises(KeyboardInterrupt):
        python.run("print('half')\nraise KeyboardInterrupt")
    assert text(python.run("'next'")) == "'next'"


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.stdout.close(); sys.stderr.close()",
        "import sys\nsys.stdout = open('/dev/null', 'w')\nsys.stdout.close()",
        "import sys\nsys.stdout = sys.stderr = None",
        "import sys\ndel sys.stdout",
        "import sys\nsys.modules.clear()",
        "import sys\ndel sys.modules['__main__']",
        "__builtins__ = 5",
        "globals().clear()",
    ],
)
def test_a_statement_cannot_spoil_the_ones_after_it(code):
    modules = dict(sys.modules)
    python = PythonSession()
    python.run(code)
    sys.modules.update(modules)
    assert text(python.run("print('still here')")) == "still here"


def test_a_stream_that_a_statement_sets_stays(python):
    python.run("import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()")
    assert text(python.run("print('kept')")) == ""
    assert text(python.run("kept, sys.stdout = sys.stdout, old\nprint(kept.getvalue())")) == "kept"


# --- waiting for Spark ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, waits",
    [
        ("1+1", 0),
        ("x = [1]\n%json x", 0),
        ("spark", 1),
        ("def later(): return sc.version", 1),
        ("import math", 1),
        ("from math import pi", 1),
        ("%json spark", 1),
        ("'spark'", 0),
    ],
)
def test_only_what_could_use_spark_waits_for_it(python, code, waits):
    python.run(code)
    assert python.driver.waits == waits


def test_a_name_that_the_user_took_does_not_wait(python):
    python.run("spark = 5")
    assert text(python.run("spark")) == "5"
    assert python.driver.waits <= 1


# --- magic commands ------------------------------------------------------------------------------


def test_json_gives_the_value(python):
    assert data(python.run("x = {'a': [1, None, 2.5]}\n%json x")) == {
        JSON: {"a": [1, None, 2.5]}
    }


def test_text_printed_beside_a_magic_is_added(python):
    assert data(python.run("x = 1\nprint('hi')\n%json x")) == {JSON: 1, "text/plain": "hi"}


def test_the_last_node_gives_the_result(python):
    python.run("x = 1")
    assert data(python.run("%json x\nprint('hi')")) == {"text/plain": "hi"}
    assert data(python.run("%json x\n%table x")) == {
        TABLE: {"headers": [{"name": "0", "type": "INT_TYPE"}], "data": [[1]]}
    }


def test_table_gives_headers_and_rows(python):
    output = python.run("t = [[1, 'a'], [2, 'b']]\n%table t")
    assert data(output) == {
        TABLE: {
            "headers": [{"name": "0", "type": "INT_TYPE"}, {"name": "1", "type": "STRING_TYPE"}],
            "data": [[1, "a"], [2, "b"]],
        }
    }


def test_matplot_gives_the_current_figure(python):
    python.run(
        "class figure:\n"
        "  def savefig(self, file, format): file.write(b'picture as ' + format.encode())\n"
        "class plt:\n"
        "  gcf = staticmethod(lambda: figure())"
    )
    image = base64.b64encode(b"picture as png").decode()
    assert data(python.run("%matplot plt")) == {"image/png": image}


def test_matplot_needs_matplotlib(python):
    ename, evalue = failure(python.run("x = 5\n%matplot x"))
    assert ename == "TypeError" and "matplotlib.pyplot" in evalue
    output = python.run("import no_such_plotting as plt\n%matplot plt")
    assert failure(output) == ("ModuleNotFoundError", "No module named 'no_such_plotting'")


@pytest.mark.parametrize(
    "code, ename, evalue",
    [
        ("%bogus x", "UnknownMagic", "unknown magic command 'bogus'"),
        ("%", "UnknownMagic", "magic command not specified"),
        ("%  ", "UnknownMagic", "magic command not specified"),
        ("%json nope", "KeyError", "'nope'"),
        ("%table nope", "KeyError", "'nope'"),
        ("%matplot nope", "KeyError", "'nope'"),
        ("%json", "ValueError", "%json needs the name of a value"),
        ("x = {1}\n%json x", "TypeError", "Object of type set is not JSON serializable"),
        ("x = {(1, 2): 3}\n%json x", "TypeError",
         "keys must be str, int, float, bool or None, not tuple"),
        ("x = []\nx.append(x)\n%json x", "ValueError",
         "the value is nested deeper than 50 levels"),
        ("x = [[1], ['a']]\n%table x", "TypeError", "table rows have different types"),
    ],
)
def test_a_magic_that_cannot_be_carried_out_is_an_error_statement(python, code, ename, evalue):
    output = python.run(code)
    assert failure(output) == (ename, evalue)
    assert output["traceback"][-1] == "%s: %s\n" % (ename, evalue)
    assert text(python.run("1+1")) == "2"


def test_lines_keep_their_numbers_between_magics(python):
    python.run("x = 1")
    output = python.run("%json x\ny = 1\ny = )")
    assert output["evalue"].endswith("(<stdin>, line 3)")


def test_a_syntax_error_without_magic_lines_is_the_codes_own(python):
    assert python.run("x = (")["ename"] == "SyntaxError"


# --- limits --------------------------------------------------------------------------------------


def test_a_long_text_is_cut_and_says_so():
    python = PythonSession(limit=2000)
    shown = text(python.run("for i in range(10000): print(i)"))
    assert shown.startswith("0\n1\n2\n")
    assert shown.split("\n")[-1].endswith("of 48890 bytes shown; sessions.output_limit]")
    assert len(json.dumps(shown)) < 2000
    assert text(python.run("1")) == "1"


def test_printing_without_end_costs_no_memory():
    python = PythonSession(limit=100_000)
    gc.collect()
    tracemalloc.start()
    output = python.run("for i in range(20000): print('x' * 1000)")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "of 20020000 bytes shown" in text(output)
    assert peak < 5_000_000


def test_a_value_over_the_limit_is_an_error():
    python = PythonSession(limit=2000)
    ename, evalue = failure(python.run("x = list(range(10000))\n%json x"))
    assert ename == "OutputTooLarge"
    assert "48891 bytes" in evalue and "sessions.output_limit is 2000 bytes" in evalue


def test_an_error_text_over_the_limit_is_cut():
    python = PythonSession(limit=2000)
    output = python.run("raise ValueError('é' * 50000)")
    assert output["ename"] == "ValueError"
    assert "of 100000 bytes shown" in output["evalue"]
    assert len(json.dumps(output, ensure_ascii=False).encode()) < 2500


# --- completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, candidates",
    [
        ("valu", ["value"]),
        ("x = value", ["value"]),
        ("value.re", ["real"]),
        ("holder.inner.de", ["depth"]),
        ("Fals", ["False"]),
        ("isinst", ["isinstance"]),
        ("whil", ["while"]),
        ("sqlC", ["sqlContext"]),
        ("str.upp", ["upper"]),
        ("_hid", ["_hidden"]),
        ("nowhere.x", []),
        ("make().de", []),
        ("holder.no.de", []),
        ("'abc'.up", []),
        ("1.re", []),
        ("spark.ra", []),
        ("zzz", []),
        ("broken.a", []),
    ],
)
def test_completion_gives_the_last_part_of_names(python, code, candidates):
    python.run(
        "value = 5\n_hidden = 6\n"
        "class holder:\n"
        "  class inner:\n"
        "    depth = 1\n"
        "def make(): raise SystemExit('called')\n"
        "class Broken:\n"
        "  def __dir__(self): raise RuntimeError\n"
        "broken = Broken()"
    )
    assert python.complete(code, len(code)) == candidates


def test_completion_shows_private_names_only_when_asked(python):
    python.run("class Box:\n  shown = 1\n  _hidden = 2")
    assert python.complete("Box.", 4) == ["mro", "shown"] or python.complete("Box.", 4) == ["shown"]
    assert "_hidden" in python.complete("Box._", 5)


def test_completion_looks_at_the_cursor_and_keeps_to_the_limit(python):
    python.run("many = type('Many', (), {'n%04d' % i: 0 for i in range(900)})")
    candidates = python.complete("many.n + 1", 6)
    assert len(candidates) == 500 and candidates[0] == "n0000"
    assert python.complete("many", 5) == []
    assert python.complete("many", -1) == []
    assert "many" in python.complete("many", 0)


# --- with Spark ----------------------------------------------------------------------------------


def test_sparks_names_are_there(agent):
    names = "spark, sc, sqlContext, HiveContext, StreamingContext, cloudpickle"
    assert agent.end.text("[type(x).__name__ for x in (%s)]" % names) == str(
        ["SparkSession", "SparkContext", "SQLContext", "type", "type", "module"]
    )
    assert agent.end.text("spark.sparkContext is sc and spark.range(3).count()") == "3"


def test_no_warning_is_shown_for_sparks_names(agent):
    assert agent.end.text("sqlContext.sql('select 1').collect()") == "[Row(1=1)]"


def test_classes_of_statements_travel_to_executors(agent):
    agent.end.run("class Item:\n  def __init__(self, n): self.n = n")
    assert agent.end.text("sc.parallelize([1, 2]).map(Item).map(lambda i: i.n).sum()") == "3"
    assert agent.end.text("[i.n for i in sc.parallelize([1, 2]).map(Item).collect()]") == "[1, 2]"


def test_sparks_errors_keep_their_class(agent):
    ename, evalue = failure(agent.end.run("spark.sql('select * from nope')"))
    assert ename == "AnalysisException"
    assert evalue.startswith("[TABLE_OR_VIEW_NOT_FOUND]")
    code = "sc.parallelize([1]).map(lambda x: 1 / 0).collect()"
    ename, evalue = failure(agent.end.run(code))
    assert ename == "Py4JJavaError" and "ZeroDivisionError" in evalue


def test_rows_of_spark_make_a_table(agent):
    output = agent.end.run("t = spark.sql(\"select 1 as n, 'x' as a\").collect()\n%table t")
    assert data(output) == {
        TABLE: {
            "headers": [{"name": "a", "type": "STRING_TYPE"}, {"name": "n", "type": "INT_TYPE"}],
            "data": [["x", 1]],
        }
    }


def test_completion_knows_spark(agent):
    assert agent.end.complete("spark.ra") == ["range"]
    assert agent.end.complete("spark.read.cs") == ["csv"]
    assert "parallelize" in agent.end.complete("sc.")
