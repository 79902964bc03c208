"""Values on their way to hearth: strict JSON, and the tables of %table."""

import collections
import datetime
import decimal
import enum
import json

import pytest
import tables


def headers(value):
    return [(h["name"], h["type"]) for h in tables.table(value)[tables.TABLE]["headers"]]


def rows(value):
    return tables.table(value)[tables.TABLE]["data"]


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value, safe",
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        ([float("-inf")], ["-Infinity"]),
        ("a\0\ud800b", "a\ufffd\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ({7: 1, None: 2, True: 3, 1.5: 4}, {"7": 1, "null": 2, "true": 3, "1.5": 4}),
        ({1: "a", "1": "b"}, {"1": "b"}),
        ({"\0": 1}, {"\ufffd": 1}),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, float(2**63)),
        (10**400, "1" + "0" * 400),
        ((1, (2,)), [1, [2]]),
        (Colour.RED, "red"),
        (True, True),
    ],
)
def test_values_become_strict_json(value, safe):
    result = tables.json_value(value)
    assert result == safe and type(result) is type(safe)
    json.dumps(result, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), decimal.Decimal(1), {b"x": 1}])
def test_what_is_not_json_is_a_type_error(value):
    with pytest.raises(TypeError):
        tables.json_value(value)


def test_depth_is_limited():
    deep = []
    for _ in range(tables.DEPTH_LIMIT - 1):
        deep = [deep]
    tables.json_value(deep)
    with pytest.raises(ValueError):
        tables.json_value([deep])


@pytest.mark.parametrize(
    "value, result",
    [
        (decimal.Decimal("1.50"), 1.5),
        (decimal.Decimal("7"), 7),
        (decimal.Decimal("1E+2"), 100),
        (decimal.Decimal("12345678901234567890"), 12345678901234567890.0),
        (decimal.Decimal("NaN"), "NaN"),
    ],
)
def test_decimals_become_numbers(value, result):
    assert tables.number(value) == result and type(tables.number(value)) is type(result)


@pytest.mark.parametrize(
    "cell, kind, shown",
    [
        (None, "NULL_TYPE", None),
        (True, "BOOLEAN_TYPE", True),
        (3, "INT_TYPE", 3),
        (2.5, "DOUBLE_TYPE", 2.5),
        (float("nan"), "DOUBLE_TYPE", "NaN"),
        ("x", "STRING_TYPE", "x"),
        (datetime.date(2020, 1, 2), "DATE_TYPE", "2020-01-02"),
        (datetime.datetime(2020, 1, 2, 3, 4, 5), "TIMESTAMP_TYPE", "2020-01-02 03:04:05"),
        (decimal.Decimal("1.50"), "DECIMAL_TYPE", "1.50"),
        ((1, "a"), "ARRAY_TYPE", [1, "a"]),
        ({1: datetime.date(2020, 1, 2)}, "MAP_TYPE", {"1": "2020-01-02"}),
        (b"x", "STRING_TYPE", "b'x'"),
    ],
)
def test_each_type_has_its_name(cell, kind, shown):
    assert headers([[cell]]) == [("0", kind)]
    assert rows([[cell]]) == [[shown]]


def test_a_row_may_be_a_list_a_dict_or_a_single_value():
    assert headers([{"b": 1, "a": "x"}]) == [("a", "STRING_TYPE"), ("b", "INT_TYPE")]
    assert rows([{"b": 1, "a": "x"}]) == [["x", 1]]
    assert rows([(1, 2), [3, 4]]) == [[1, 2], [3, 4]]
    assert rows([1, 2]) == [[1], [2]]
    assert rows(7) == [[7]]
    assert rows({"k": 1}) == [[1]]
    assert tables.table([])[tables.TABLE] == {"headers": [], "data": []}


def test_a_spark_row_is_read_by_its_names():
    class Row(tuple):
        def asDict(self):
            return {"n": self[0], "a": self[1]}

    assert headers([Row((1, "x"))]) == [("a", "STRING_TYPE"), ("n", "INT_TYPE")]
    assert rows(Row((1, "x"))) == [["x", 1]]


def test_columns_are_sorted_numbers_as_numbers():
    assert [name for name, _ in headers([list(range(12))])] == [str(n) for n in range(12)]
    assert [name for name, _ in headers([{"b": 1, 10: 1, 9: 1}])] == ["9", "10", "b"]


def test_null_takes_the_first_real_type():
    assert headers([[None], [3], [None]]) == [("0", "INT_TYPE")]


def test_a_missing_cell_is_null_in_its_column():
    assert rows([{"a": 1, "b": 2}, {"b": 3}]) == [[1, 2], [None, 3]]
    assert rows([[1], [2, 3]]) == [[1, None], [2, 3]]


def test_different_types_in_a_column_are_refused():
    with pytest.raises(TypeError, match="table rows have different types"):
        tables.table([[1], ["a"]])


def test_a_cell_that_contains_itself_is_refused():
    loop = collections.OrderedDict()
    loop["self"] = loop
    with pytest.raises(ValueError):
        tables.table([[loop]])


def test_scala_calls_its_integers_otherwise():
    assert tables.table([[1]], "BIGINT_TYPE")[tables.TABLE]["headers"][0]["type"] == "BIGINT_TYPE"
