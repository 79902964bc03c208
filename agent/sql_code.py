"""Statements in SQL: one query each, on the session that all languages share."""

import datetime
import json

import outputs
import tables

EPOCH = datetime.datetime(1970, 1, 1)
# Types whose values Python cannot hold or would change, and what the JVM casts them to: dates and
# timestamps outside of Python's years, the local time zone, types that the wire does not know.
CAST = {"timestamp": "BIGINT", "date": "STRING", "timestamp_ntz": "STRING", "variant": "STRING"}
CAST_PREFIXES = ("interval", "time(")


class SqlCode:
    """Has no state of its own."""

    def __init__(self, driver, capture):
        self._driver = driver
        self._limit = capture.limit

    def run(self, code):
        """The output of the query. KeyboardInterrupt goes out, and so do errors that are not
        Java's, which come from a broken gateway."""
        spark = self._driver.context()
        try:
            return outputs.fit(self._query(spark, code), self._limit)
        except Exception as problem:
            output = outputs.java_error(problem)
            if output is None:
                raise
            return outputs.fit(output, self._limit)

    def complete(self, code, cursor):
        """There is none for SQL."""
        return []

    def close(self):
        """Nothing to close."""

    def _query(self, spark, code):
        frame = spark.sql(code)
        schema = json.loads(frame._jdf.schema().json())
        kinds = [field["type"] for field in schema["fields"]]
        rows = self._transportable(frame, kinds).take(self._driver.config["sqlRows"])
        data = [[_cell(value, kind) for value, kind in zip(row, kinds)] for row in rows]
        return outputs.ok({"application/json": {"schema": tables.json_value(schema), "data": data}})

    def _transportable(self, frame, kinds):
        """The frame with columns that reach Python unharmed."""
        casts = [_cast(kind) for kind in kinds]
        if not any(casts):
            return frame
        names = ["c%d" % index for index in range(len(kinds))]
        columns = ["CAST(%s AS %s)" % (n, c) if c else n for n, c in zip(names, casts)]
        to_seq = self._driver.jvm.org.apache.spark.api.python.PythonUtils.toSeq
        try:
            # By position: names may be there twice.
            java = frame._jdf.toDF(to_seq(names)).selectExpr(to_seq(columns))
        except Exception as problem:
            if outputs.java_error(problem) is None:
                raise
            return frame  # a cast that this Spark does not have; most values need none
        return type(frame)(java, frame.sparkSession)


def _cast(kind):
    """The SQL type that a column of the type is to be cast to; None if no part of it needs that."""
    cast = _sql_type(kind, _transportable_leaf)
    return None if cast == _sql_type(kind, _same_leaf) else cast


def _transportable_leaf(kind):
    if isinstance(kind, dict):
        return "STRING"  # a key that is an array or a map could not be one of a dict
    return "STRING" if kind.startswith(CAST_PREFIXES) else CAST.get(kind, kind)


def _same_leaf(kind):
    return kind if isinstance(kind, str) else _sql_type(kind, _same_leaf)


def _sql_type(kind, leaf):
    """The type of a schema's JSON as SQL spells it; leaf() gives simple types and those of keys."""
    if isinstance(kind, str):
        return leaf(kind)
    if kind["type"] == "array":
        return "ARRAY<%s>" % _sql_type(kind["elementType"], leaf)
    if kind["type"] == "map":
        return "MAP<%s, %s>" % (leaf(kind["keyType"]), _sql_type(kind["valueType"], leaf))
    if kind["type"] == "struct":
        fields = (
            "`%s`: %s" % (field["name"].replace("`", "``"), _sql_type(field["type"], leaf))
            for field in kind["fields"]
        )
        return "STRUCT<%s>" % ", ".join(fields)
    return kind["type"]  # a user's own, which SQL cannot spell


def _cell(value, kind):
    """The value of a column or of a part of it, as JSON."""
    if value is None:
        return None
    if isinstance(kind, dict):
        return _nested_cell(value, kind)
    if kind == "timestamp":
        return _utc(value)
    if kind == "binary":
        return [byte - 256 if byte > 127 else byte for byte in bytes(value)]
    if kind == "boolean":
        return value
    if kind in ("byte", "short", "integer", "long", "float", "double") or "decimal" in kind:
        return tables.number(value)
    return tables.clean_text(str(value))


def _nested_cell(value, kind):
    if kind["type"] == "array":
        return [_cell(item, kind["elementType"]) for item in value]
    if kind["type"] == "map":
        return {
            _key(key, kind["keyType"]): _cell(item, kind["valueType"])
            for key, item in value.items()
        }
    if kind["type"] == "struct":
        return {
            tables.clean_text(field["name"]): _cell(item, field["type"])
            for field, item in zip(kind["fields"], value)
        }
    return tables.clean_text(str(value))


def _key(value, kind):
    if isinstance(value, str):
        return tables.clean_text(value)
    cell = _cell(value, kind)
    return cell if isinstance(cell, str) else json.dumps(cell)


def _utc(value):
    """2020-01-02T03:04:05Z of seconds since 1970."""
    if isinstance(value, datetime.datetime):  # it could not be cast, and is local time
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        return (EPOCH + datetime.timedelta(seconds=value)).isoformat() + "Z"
    except OverflowError:  # after the year 9999
        return str(value)
