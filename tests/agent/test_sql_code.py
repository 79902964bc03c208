"""SQL: what each type becomes, how queries fail. The session is in New York's time zone, for times
have to come as UTC all the same."""

import pytest
from hearth_end import Agent, HearthEnd
from in_process import data, failure

JSON = "application/json"


@pytest.fixture(scope="module")
def agent(home, tmp_path_factory):
    end = HearthEnd(tmp_path_factory.mktemp("session"))
    end.listen()
    agent = Agent(
        end,
        home,
        conf={"spark.sql.session.timeZone": "America/New_York"},
        environment={"TZ": "America/New_York"},
        sqlRows=100,
        outputLimit=1 << 20,
    )
    end.wait("context")
    yield agent
    agent.kill()
    end.crash()
    assert end.violations == []


def query(agent, code):
    """(fields of the schema, rows)"""
    output = data(agent.end.run(code, "sql"))
    assert list(output) == [JSON]
    assert sorted(output[JSON]) == ["data", "schema"]
    assert output[JSON]["schema"]["type"] == "struct"
    return output[JSON]["schema"]["fields"], output[JSON]["data"]


def one(agent, expression):
    """The value of an expression, and its type."""
    fields, rows = query(agent, "select %s" % expression)
    return rows[0][0], fields[0]["type"]


def test_a_result_has_sparks_schema_and_rows(agent):
    assert query(agent, "select 1 as n") == (
        [{"name": "n", "type": "integer", "nullable": False, "metadata": {}}],
        [[1]],
    )


@pytest.mark.parametrize(
    "expression, value, kind",
    [
        ("1Y", 1, "byte"),
        ("1S", 1, "short"),
        ("1L", 1, "long"),
        ("9223372036854775807", 9223372036854775807, "long"),
        ("cast('x' as string)", "x", "string"),
        ("true", True, "boolean"),
        ("null", None, "void"),
        ("cast(2.5 as double)", 2.5, "double"),
        ("cast('NaN' as double)", "NaN", "double"),
        ("cast('Infinity' as float)", "Infinity", "float"),
        ("cast('-Infinity' as double)", "-Infinity", "double"),
        ("cast(1.50 as decimal(10,2))", 1.5, "decimal(10,2)"),
        ("cast(7 as decimal(10,0))", 7, "decimal(10,0)"),
        ("cast('12345678901234567890' as decimal(38,0))", 1.2345678901234567e19, "decimal(38,0)"),
        ("X'00ff7f80'", [0, -1, 127, -128], "binary"),
        ("date'2020-01-02'", "2020-01-02", "date"),
        ("date'0001-01-01'", "0001-01-01", "date"),
        ("date'-0005-01-01'", "-0005-01-01", "date"),
        ("timestamp'2020-01-02 03:04:05.678'", "2020-01-02T08:04:05Z", "timestamp"),
        ("timestamp'2020-07-02 03:04:05'", "2020-07-02T07:04:05Z", "timestamp"),
        ("timestamp'1969-12-31 23:59:59.5 UTC'", "1969-12-31T23:59:59Z", "timestamp"),
        ("timestamp'2020-11-01 05:30:00 UTC'", "2020-11-01T05:30:00Z", "timestamp"),
        ("timestamp'2020-11-01 06:30:00 UTC'", "2020-11-01T06:30:00Z", "timestamp"),
        ("timestamp'0001-01-01 00:00:00 UTC'", "0001-01-01T00:00:00Z", "timestamp"),
        ("timestamp'9999-12-31 23:59:59 UTC'", "9999-12-31T23:59:59Z", "timestamp"),
        ("timestamp_ntz'2020-01-02 03:04:05'", "2020-01-02 03:04:05", "timestamp_ntz"),
        ("interval 1 year 2 month", "INTERVAL '1-2' YEAR TO MONTH", "interval year to month"),
        ("interval 1 day 2 hour", "INTERVAL '1 02' DAY TO HOUR", "interval day to hour"),
        ("make_interval(1, 2)", "1 years 2 months", "interval"),
        ("concat('a', char(0))", "a\ufffd", "string"),
    ],
)
def test_each_type_has_its_form(agent, expression, value, kind):
    assert one(agent, expression) == (value, kind)


@pytest.mark.parametrize(
    "expression, value",
    [
        ("array(1, null)", [1, None]),
        ("array(timestamp'2020-01-02 03:04:05')", ["2020-01-02T08:04:05Z"]),
        ("map('k', date'2020-01-02')", {"k": "2020-01-02"}),
        ("map(true, 1)", {"true": 1}),
        ("map(5, X'ff')", {"5": [-1]}),
        ("map(timestamp'2020-01-02 03:04:05', 1)", {"2020-01-02T08:04:05Z": 1}),
        ("map(array(1, 2), 3)", {"[1, 2]": 3}),
        ("named_struct('x y`', timestamp'2020-01-02 03:04:05', 'b', 1.50)",
         {"x y`": "2020-01-02T08:04:05Z", "b": 1.5}),
        ("struct(1, array(struct('a')))", {"col1": 1, "col2": [{"col1": "a"}]}),
        ("array(interval 1 day)", ["INTERVAL '1' DAY"]),
    ],
)
def test_values_in_values_keep_their_form(agent, expression, value):
    assert one(agent, expression)[0] == value


def test_the_schema_of_nested_values_is_sparks_own(agent):
    assert one(agent, "array(date'2020-01-02')")[1] == {
        "type": "array", "elementType": "date", "containsNull": False,
    }


def test_columns_may_share_a_name(agent):
    fields, rows = query(agent, "select 1 as a, date'2020-01-02' as a, 'x' as a")
    assert [field["name"] for field in fields] == ["a", "a", "a"]
    assert rows == [[1, "2020-01-02", "x"]]


def test_the_first_rows_are_shown_in_order(agent):
    _, rows = query(agent, "select id, date'2020-01-02' from range(5000) order by id desc")
    assert [row[0] for row in rows] == list(range(4999, 4899, -1))


def test_a_result_may_be_empty(agent):
    fields, rows = query(agent, "select id from range(3) where id > 5")
    assert [field["name"] for field in fields] == ["id"] and rows == []


def test_commands_give_their_rows_or_nothing(agent):
    assert query(agent, "create or replace temp view v as select 1 as a") == ([], [])
    assert query(agent, "show databases")[1] == [["default"]]
    assert query(agent, "set spark.app.name")[1] == [["spark.app.name", "agent test"]]
    assert query(agent, "select * from v;")[1] == [[1]]


def test_views_are_shared_with_python(agent):
    agent.end.run("spark.range(2).createOrReplaceTempView('from_python')")
    assert query(agent, "select count(*) from from_python")[1] == [[2]]


@pytest.mark.parametrize(
    "code, begins",
    [
        ("select * from nope", "[TABLE_OR_VIEW_NOT_FOUND]"),
        ("select nope", "[UNRESOLVED_COLUMN"),
        ("selec 1", "[PARSE_SYNTAX_ERROR]"),
        ("select 1; select 2", "[PARSE_SYNTAX_ERROR]"),
        ("", "[PARSE_"),
        ("select raise_error('boom')", ""),
    ],
)
def test_a_query_that_fails_has_sparks_message_and_frames(agent, code, begins):
    output = agent.end.run(code, "sql")
    ename, evalue = failure(output)
    assert ename == "Error" and evalue.startswith(begins)
    assert len(output["traceback"]) > 3
    for frame in output["traceback"]:
        assert "(" in frame and frame.endswith(")") and "\n" not in frame
    assert "boom" not in code or "boom" in evalue
    assert query(agent, "select 1")[1] == [[1]]


def test_a_result_over_the_limit_is_an_error(agent):
    output = agent.end.run("select id, repeat('x', 100000) from range(100)", "sql")
    ename, evalue = failure(output)
    assert ename == "OutputTooLarge"
    assert "application/json of 100" in evalue and "1048576 bytes" in evalue


def test_there_is_no_completion(agent):
    assert agent.end.complete("sel", "sql") == []
