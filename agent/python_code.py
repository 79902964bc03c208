"""Statements in Python, in the session's own process and namespace."""

import __future__
import ast
import base64
import builtins
import io
import keyword
import os
import re
import sys
import traceback
import types
import warnings

import outputs
import tables

FILE_NAME = "<stdin>"
OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Bound once Spark is there; a statement that names one of them waits for it.
SPARK_NAMES = ("spark", "sc", "sqlContext", "HiveContext", "StreamingContext", "cloudpickle")
HEADER = "Traceback (most recent call last):\n"
CANDIDATES_LIMIT = 500
FUTURE_FEATURES = [getattr(__future__, name) for name in __future__.all_feature_names]


class MagicError(Exception):
    """A magic command that cannot be carried out."""

    def __init__(self, ename, evalue):
        super().__init__(evalue)
        self.ename = ename
        self.evalue = evalue


class PythonCode:
    """Runs statements on the main thread; complete() may come from another one meanwhile."""

    def __init__(self, driver, capture):
        self._driver = driver
        self._capture = capture
        self._flags = 0
        self._bound = False
        # pickle, dataclasses and typing look for what statements define in sys.modules["__main__"].
        # The module replaced there is kept, for its functions live on.
        self._replaced = sys.modules.get("__main__")
        self._module = types.ModuleType("__main__")
        self.namespace = self._module.__dict__
        self._set_main()
        driver.on_context.append(self._bind)

    def run(self, code):
        """The output of the statement. KeyboardInterrupt goes out, for cancelling raises it."""
        self._set_main()
        self._capture.begin()
        try:
            output = self._run(code)
        finally:
            self._capture.end()
        return outputs.fit(output, self._capture.limit, self._capture.total())

    def complete(self, code, cursor):
        """Names that can stand where the cursor is."""
        if not 0 <= cursor <= len(code):
            return []
        *parents, word = re.search(r"[\w.]*\Z", code[:cursor]).group().split(".")
        try:
            names = self._attributes(parents) if parents else self._names()
        except Exception:  # whatever an object's own attributes raise
            return []
        fitting = {
            name
            for name in names
            if isinstance(name, str)
            and name.startswith(word)
            and (word.startswith("_") or not name.startswith("_"))
        }
        return sorted(fitting)[:CANDIDATES_LIMIT]

    def close(self):
        """Nothing outlives the process."""

    def _set_main(self):
        """Before each statement, for the one before may have damaged it."""
        sys.modules["__main__"] = self._module
        self.namespace["__builtins__"] = builtins

    def _run(self, code):
        try:
            parts = self._parts(code)
        except Exception as problem:  # SyntaxError; too deep, too large, not text
            return _refused(problem, code)
        try:
            self._wait_for_spark(parts)
            rich = {}
            for part in parts:
                rich = part.run() or {}
        except KeyboardInterrupt:
            raise
        except MagicError as problem:
            line = "%s: %s\n" % (problem.ename, problem.evalue)
            return outputs.error(problem.ename, problem.evalue, [line])
        except BaseException as problem:  # sys.exit() too ends the statement, not the session
            return _failed(problem)
        text = self._capture.text()
        return outputs.ok(dict(rich, **{outputs.TEXT: text}) if text or not rich else rich)

    def _parts(self, code):
        """The statement as code and magic commands, all compiled before anything runs."""
        try:
            return [_Code(self, code)]
        except SyntaxError:
            lines = code.split("\n")
            if not any(line.startswith("%") for line in lines):
                raise
        parts = []
        start = 0
        for index, line in enumerate(lines + ["%"]):
            if not line.startswith("%"):
                continue
            if index > start:
                # The empty lines keep the numbers of the lines as they are in the whole statement.
                parts.append(_Code(self, "\n" * start + "\n".join(lines[start:index])))
            if index < len(lines):
                parts.append(_Magic(self.namespace, line))
            start = index + 1
        return parts

    def compile(self, tree, mode):
        """A code object; imports from __future__ hold for all that is compiled later."""
        code = compile(tree, FILE_NAME, mode, self._flags, dont_inherit=True)
        for feature in FUTURE_FEATURES:
            self._flags |= code.co_flags & feature.compiler_flag
        return code

    def parse(self, code):
        return compile(code, FILE_NAME, "exec", self._flags | ast.PyCF_ONLY_AST, dont_inherit=True)

    def _wait_for_spark(self, parts):
        if self._bound:
            return
        if self._driver.spark is not None or any(part.needs_spark() for part in parts):
            self._driver.context()

    def _bind(self, spark, sc):
        """Gives Spark's names to the statements, but for those that they have taken already."""
        from pyspark import cloudpickle
        from pyspark.sql import HiveContext, SQLContext
        from pyspark.streaming import StreamingContext

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "deprecated", but Livy's statements have it
            sql_context = SQLContext.getOrCreate(sc)
        values = (spark, sc, sql_context, HiveContext, StreamingContext, cloudpickle)
        for name, value in zip(SPARK_NAMES, values):
            self.namespace.setdefault(name, value)
        self._bound = True

    def _names(self):
        """All that can be written without a dot."""
        return [*self.namespace, *keyword.kwlist, *dir(builtins), *SPARK_NAMES]

    def _attributes(self, path):
        """Names after `path.`; only a chain of plain names is looked up, nothing is called."""
        first, *rest = path
        if first == "spark" and first not in self.namespace:
            value = self._driver.spark
        elif first in self.namespace:
            value = self.namespace[first]
        else:
            value = getattr(builtins, first)
        for name in rest:
            value = getattr(value, name)
        return dir(value)


class _Code:
    """A run of ordinary code. Only its last node prints its value, as at Python's prompt."""

    def __init__(self, python, code):
        self._tree = python.parse(code)
        self._namespace = python.namespace
        *first, last = self._tree.body or [None]
        self._codes = [python.compile(ast.Module([node], []), "exec") for node in first]
        if last is not None:
            self._codes.append(python.compile(ast.Interactive([last]), "single"))

    def needs_spark(self):
        """Whether it names what is bound with the context, or imports: pyspark would build a
        context of its own for one who asks for it too early."""
        for node in ast.walk(self._tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                return True
            if isinstance(node, ast.Name) and node.id in SPARK_NAMES:
                if node.id not in self._namespace:
                    return True
        return False

    def run(self):
        for code in self._codes:
            exec(code, self._namespace)


class _Magic:
    """A line that starts with %."""

    def __init__(self, namespace, line):
        self._namespace = namespace
        self._command, _, rest = line[1:].partition(" ")
        self._name = rest.strip()

    def needs_spark(self):
        return self._name in SPARK_NAMES and self._name not in self._namespace

    def run(self):
        """{media type: value}"""
        command = self._command.strip()
        if not command:
            raise MagicError("UnknownMagic", "magic command not specified")
        commands = {"json": _json, "table": tables.table, "matplot": _image}
        if command not in commands:
            raise MagicError("UnknownMagic", "unknown magic command '%s'" % command)
        if not self._name:
            raise MagicError("ValueError", "%%%s needs the name of a value" % command)
        if self._name not in self._namespace:
            raise MagicError("KeyError", repr(self._name))
        return commands[command](self._namespace[self._name])


def _json(value):
    return {"application/json": tables.json_value(value)}


def _image(value):
    """The current figure of a module such as matplotlib.pyplot."""
    if not hasattr(value, "gcf"):
        kind = type(value).__name__
        raise MagicError("TypeError", "%%matplot needs matplotlib.pyplot, not a %s" % kind)
    image = io.BytesIO()
    value.gcf().savefig(image, format="png")
    return {"image/png": base64.b64encode(image.getvalue()).decode("ascii")}


def _refused(problem, code):
    """The output for code that could not be compiled: no traceback, but the place."""
    if isinstance(problem, SyntaxError) and problem.text is None and problem.lineno:
        problem.text = code.split("\n")[problem.lineno - 1]
    return _error(problem, traceback.format_exception_only(type(problem), problem))


def _failed(problem):
    """The output for an exception of the statement. The frames of this program are left out, and
    the statement's own outermost one, which says nothing."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != FILE_NAME:
        trace = trace.tb_next
    trace = trace and trace.tb_next
    try:
        report = traceback.TracebackException(type(problem), problem, trace)
        report.stack[:] = [f for f in report.stack if not f.filename.startswith(OWN_FOLDER)]
        lines = list(report.format(chain=False))
    except Exception as second:  # an exception whose own methods fail
        lines = ["%s: (%s)\n" % (type(problem).__name__, type(second).__name__)]
    if "Traceback (most recent call last)" not in lines[0]:
        lines.insert(0, HEADER)
    return _error(problem, lines)


def _error(problem, lines):
    try:
        text = str(problem)
    except Exception as second:
        text = "(its text cannot be made: %s)" % type(second).__name__
    return outputs.error(type(problem).__name__, text, lines)
