"""Values that may stand in an answer to hearth, and the table that %table makes of them.

hearth's end reads strict JSON: no NaN or Infinity, no lone surrogates and no NUL in text, integers
of 64 bits, limited depth. What a statement computed may be anything, so everything that leaves the
interpreters passes through here.
"""

import datetime
import decimal
import math

TABLE = "application/vnd.livy.table.v1+json"
DEPTH_LIMIT = 50
REPLACEMENT = "\ufffd"
INTEGER_BITS = 63


def clean_text(text):
    """The text without NUL and lone surrogates, as a plain str; two halves of a pair are joined."""
    text = str.__str__(text)
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def number(value):
    """A number of JSON for an int, float or Decimal; text for what JSON has no number for."""
    if isinstance(value, decimal.Decimal):
        whole = value.is_finite() and value.as_tuple().exponent >= 0
        value = int(value) if whole else float(value)
    if isinstance(value, int):
        value = int.__int__(value)
        if -(1 << INTEGER_BITS) <= value < 1 << INTEGER_BITS:
            return value
        try:
            return float(value)
        except OverflowError:
            return str(decimal.Decimal(value))
    value = float.__float__(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def json_value(value, depth=0):
    """A copy of value that is strict JSON. TypeError for what is not JSON, as of json.dumps;
    ValueError for what is nested too deeply, also because it contains itself."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, (int, float)):
        return number(value)
    if depth == DEPTH_LIMIT:
        raise ValueError("the value is nested deeper than %d levels" % DEPTH_LIMIT)
    if isinstance(value, dict):
        return {json_key(key): json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item, depth + 1) for item in value]
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def json_key(key):
    """The text that json.dumps makes of a key."""
    if isinstance(key, str):
        return clean_text(key)
    if key is None or key is True or key is False:
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, (int, float)):
        return str(number(key))
    raise TypeError("keys must be str, int, float, bool or None, not %s" % type(key).__name__)


def table(value, integer_type="INT_TYPE"):
    """{TABLE: …} of a list of rows or of one row. TypeError when a column's types differ."""
    single = not isinstance(value, (list, tuple)) or _is_spark_row(value)
    rows = [_cells(row, integer_type) for row in ([value] if single else value)]
    types = {}
    for row in rows:
        for key, (kind, _) in row.items():
            known = types.get(key, "NULL_TYPE")
            if "NULL_TYPE" not in (kind, known) and kind != known:
                raise TypeError("table rows have different types")
            types[key] = kind if known == "NULL_TYPE" else known
    keys = sorted(types, key=_column_order)
    missing = ("NULL_TYPE", None)
    return {
        TABLE: {
            "headers": [{"name": clean_text(str(key)), "type": types[key]} for key in keys],
            "data": [[row.get(key, missing)[1] for key in keys] for row in rows],
        }
    }


def _is_spark_row(row):
    return type(row).__name__ == "Row" and hasattr(row, "asDict")


def _column_order(key):
    """Column numbers by their value, before names by their spelling."""
    return (0, key, "") if isinstance(key, int) else (1, 0, str(key))


def _cells(row, integer_type):
    """The row as a dict from column to (type, value)."""
    if _is_spark_row(row):
        row = row.asDict()
    if not isinstance(row, dict):
        row = dict(enumerate(row if isinstance(row, (list, tuple)) else [row]))
    return {key: _cell(value, integer_type, 0) for key, value in row.items()}


def _cell(value, integer_type, depth):
    if value is None:
        return "NULL_TYPE", None
    if isinstance(value, bool):
        return "BOOLEAN_TYPE", value
    if isinstance(value, int):
        return integer_type, number(value)
    if isinstance(value, float):
        return "DOUBLE_TYPE", number(value)
    if isinstance(value, str):
        return "STRING_TYPE", clean_text(value)
    if isinstance(value, datetime.datetime):
        return "TIMESTAMP_TYPE", str(value)
    if isinstance(value, datetime.date):
        return "DATE_TYPE", str(value)
    if isinstance(value, decimal.Decimal):
        return "DECIMAL_TYPE", str(value)
    if depth == DEPTH_LIMIT:
        raise ValueError("a cell is nested deeper than %d levels" % DEPTH_LIMIT)
    if isinstance(value, dict):
        return "MAP_TYPE", {
            clean_text(str(key)): _cell(item, integer_type, depth + 1)[1]
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return "ARRAY_TYPE", [_cell(item, integer_type, depth + 1)[1] for item in value]
    return "STRING_TYPE", clean_text(str(value))
