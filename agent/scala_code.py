"""Statements in Scala: the compiler that Spark brings runs in the driver's JVM. No jar is needed.

Code is offered to it line by line, because a class and a Dataset of it in one request fail, and
because the answer is then what a person at the Scala prompt would see.
"""

import json
import re
import threading

import outputs
import tables
from link import log
from python_code import CANDIDATES_LIMIT

# One request costs a third less than six. Lazy, so that it can come before there is a context.
PRELUDE = """
@transient lazy val spark: org.apache.spark.sql.SparkSession =
  org.apache.spark.sql.SparkSession.active
@transient lazy val sc: org.apache.spark.SparkContext = spark.sparkContext
import org.apache.spark.SparkContext._
import spark.implicits._
import spark.sql
import org.apache.spark.sql.functions._
"""

# Compiled in the JVM by Janino, which is among Spark's jars, in 0.03 s.
HELPER_CLASS = "HearthScala"
HELPER = """
import java.io.*;

/** What a statement prints. */
public class HearthScala {
    /** Keeps a bounded beginning and counts the rest. */
    static class Kept extends OutputStream {
        private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
        private final int limit;
        private long total = 0;
        private boolean keeping = true;
        private OutputStream next = null;

        Kept(int limit) {
            this.limit = limit;
        }

        public synchronized void write(int b) throws IOException {
            write(new byte[] { (byte) b }, 0, 1);
        }

        public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
            if (keeping) {
                kept.write(bytes, offset, Math.min(length, limit - kept.size()));
                total += length;
            }
            if (next != null)
                next.write(bytes, offset, length);
        }

        /** Starts anew; what comes is also written to `next`. */
        synchronized void restart(OutputStream next) {
            kept.reset();
            total = 0;
            this.next = next;
        }

        /** Forgets what it has; what comes goes to `next` only. */
        synchronized void pass(OutputStream next) {
            restart(next);
            keeping = false;
        }

        synchronized String text() throws IOException {
            return kept.toString("UTF-8");
        }

        synchronized long total() {
            return total;
        }
    }

    private int limit;
    private Kept reports;
    private Kept printed;
    private PrintWriter writer;

    /** The writer for what the interpreter itself says. */
    public PrintWriter open(int limit) throws IOException {
        this.limit = limit;
        reports = new Kept(limit);
        printed = new Kept(limit);
        writer = new PrintWriter(new OutputStreamWriter(reports, "UTF-8"), true);
        return writer;
    }

    /** A statement starts on this thread. Each has a stream of its own: a thread that one of them
        leaves behind prints to the log, not into the output of another. */
    public void begin() throws IOException {
        end();
        printed = new Kept(limit);
        scala.Console$.MODULE$.setOutDirect(new PrintStream(printed, true, "UTF-8"));
    }

    /** The next request of the statement. */
    public void request() {
        writer.flush();
        reports.restart(printed);
    }

    /** What the interpreter said to the last request. */
    public String report() throws IOException {
        writer.flush();
        return reports.text();
    }

    /** All that the statement printed and the interpreter said, in order. */
    public String text() throws IOException {
        writer.flush();
        return printed.text();
    }

    public long total() {
        return printed.total();
    }

    public void end() {
        writer.flush();
        reports.restart(null);
        printed.pass(System.out);
    }

    /** The names of completion candidates, one to a line: plain strings up to Scala 2.12. */
    public static String names(Object candidates, int limit) throws Exception {
        StringBuilder names = new StringBuilder();
        scala.collection.Iterator each = ((scala.collection.Iterable) candidates).iterator();
        for (int n = 0; n < limit && each.hasNext(); n++) {
            Object one = each.next();
            if (!(one instanceof String))
                one = one.getClass().getMethod("name", new Class[0]).invoke(one, new Object[0]);
            names.append(one).append('\\n');
        }
        return names.toString();
    }
}
"""

MAGIC = re.compile(r"%(\w+)\s*(.*)")
NAME = re.compile(r"\w+\Z")
# A line that starts so belongs to the one before, although that looks complete.
CONTINUATION = re.compile(r"\s*(\.|(else|catch|finally|yield)\b)")
COMPILER_ERROR = re.compile(r"\s*(<\w+>:\d+: )?error:")
COMPILER_WARNING = re.compile(r"\s*(<\w+>:\d+: )?warning:")
STACK_FRAME = re.compile(r"\s+(at .*\(.*\)|\.\.\. \d+ (elided|more))$")

# Leaves the value of a name as JSON text in a system property. To json4s decimals are doubles.
VALUE_PROPERTY = "hearth.value"
VALUE_REQUEST = """{
  val hearthValue: Any = %s
  _root_.java.lang.System.setProperty("hearth.value", {
    import _root_.org.json4s._
    val plain = hearthValue match {
      case rdd: _root_.org.apache.spark.rdd.RDD[_] => rdd.take(10).toList
      case other => other
    }
    val json = Extraction.decompose(plain)(DefaultFormats) match {
      case JNothing => JNull
      case some => some
    }
    jackson.JsonMethods.compact(jackson.JsonMethods.render(json))
  })
  ()
}"""


class InterpreterFailed(Exception):
    """There is no interpreter."""


class Failure(Exception):
    """Ends the statement with this output."""

    def __init__(self, ename, evalue, traceback=()):
        super().__init__(evalue)
        self.output = outputs.error(ename, evalue, traceback)


class ScalaCode:
    """The interpreter is built at first use, or before by prepare()."""

    def __init__(self, driver, capture):
        self._driver = driver
        self._limit = capture.limit
        self._lock = threading.Lock()
        self._interpreter = None
        self._helper = None
        self._new_completer = None
        self._jars = set()
        self._jars_changed = True
        driver.on_jar.append(self._jar_came)

    def prepare(self):
        """Builds the interpreter ahead of its use; on any thread, with or without a context. When
        that fails, the first statement tries again and tells."""
        try:
            self._require()
        except Exception as problem:
            log("Scala: %s" % problem)

    def run(self, code):
        """The output of the statement. KeyboardInterrupt goes out."""
        self._driver.context()
        try:
            self._require()
        except InterpreterFailed as problem:
            log("Scala: %s" % problem)
            return outputs.error("InterpreterError", "Fail to start interpreter")
        self._add_jars()
        self._helper.begin()
        try:
            output = self._run(code)
            return outputs.fit(output, self._limit, self._total())
        except Exception as problem:  # of the JVM: out of memory, the compiler's own mistakes
            output = outputs.java_error(problem)
            if output is None:
                raise
            return outputs.fit(output, self._limit)
        finally:
            with self._driver.protected():
                self._helper.end()

    def complete(self, code, cursor):
        """Names that can stand where the cursor is."""
        if not 0 <= cursor <= len(code):
            return []
        self._driver.context()
        self._require()
        # Java counts in units of UTF-16. A completer that is asked the same thing twice gives
        # signatures instead of names, so each is asked once.
        units = len(code[:cursor].encode("utf-16-le", "surrogatepass")) // 2
        candidates = self._new_completer().complete(code, units).candidates()
        word = re.search(r"\w*\Z", code[:cursor]).group()
        names = self._helper.names(candidates, 10 * CANDIDATES_LIMIT).split("\n")
        fitting = {name for name in names if name and name.startswith(word)}
        return sorted(fitting)[:CANDIDATES_LIMIT]

    def close(self):
        """The interpreter ends with its JVM."""

    # ---- building

    def _require(self):
        with self._driver.protected(), self._lock:
            if self._interpreter is None:
                self._build()

    def _build(self):
        jvm = self._driver.jvm
        helper = self._compile_helper(jvm)
        writer = helper.open(self._limit)
        settings = self._settings(jvm)
        scala = jvm.scala.tools.nsc.interpreter
        if jvm.scala.util.Properties.versionNumberString().startswith("2.12"):
            interpreter = scala.IMain(settings, writer)
            interpreter.initializeSynchronous()
            self._new_completer = lambda: scala.PresentationCompilerCompleter(interpreter)
        else:
            reporter = scala.shell.ReplReporterImpl(settings, writer)
            interpreter = scala.IMain(settings, reporter)
            interpreter.initializeCompiler()
            self._new_completer = lambda: scala.shell.ReplCompletion(
                interpreter, scala.shell.Accumulator()
            )
        helper.request()
        if interpreter.interpret(PRELUDE).toString() != "Success":
            raise InterpreterFailed("the prelude failed: " + helper.report())
        self._helper = helper
        self._interpreter = interpreter

    def _compile_helper(self, jvm):
        compiler = jvm.org.codehaus.janino.SimpleCompiler()
        compiler.cook(HELPER)
        return compiler.getClassLoader().loadClass(HELPER_CLASS).newInstance()

    def _settings(self, jvm):
        arguments = jvm.java.util.ArrayList()
        class_dir = self._driver.class_dir
        for argument in ("-Yrepl-class-based", "-usejavacp", "-Yrepl-outdir", class_dir):
            arguments.add(argument)
        to_list = jvm.org.apache.spark.api.python.PythonUtils.toList
        settings = jvm.scala.tools.nsc.Settings()
        settings.processArguments(to_list(arguments), True)
        settings.embeddedDefaults(self._driver.loader)
        return settings

    # ---- jars

    def _jar_came(self, url):
        """On any thread: the compiler must not see it while a statement is compiled."""
        self._jars_changed = True

    def _add_jars(self):
        if not self._jars_changed:
            return
        self._jars_changed = False
        for url in self._driver.jar_urls():
            if url.toString() not in self._jars:
                self._jars.add(url.toString())
                urls = self._driver.jvm.java.util.ArrayList()
                urls.add(url)
                to_seq = self._driver.jvm.org.apache.spark.api.python.PythonUtils.toSeq
                self._interpreter.addUrlsToClassPath(to_seq(urls))

    # ---- running

    def _run(self, code):
        lines = code.strip().split("\n")
        rich = None
        pending = ""
        index = 0
        try:
            while index < len(lines):
                magic = None if pending else MAGIC.match(lines[index])
                if magic:
                    rich = self._magic(*magic.groups())
                    index += 1
                    continue
                end = _logical_end(lines, index)
                pending = "\n".join(([pending] if pending else []) + lines[index:end])
                index = end
                rest = _after_comments(pending)
                if rest is None:
                    continue
                if not rest or self._complete(pending):
                    pending = ""
                    rich = None if rest else rich
            if pending:
                raise Failure("Error", "incomplete statement")
        except Failure as problem:
            return problem.output
        return outputs.ok(rich or {outputs.TEXT: self._helper.text()})

    def _complete(self, code):
        """Runs the code; False when it is the beginning of something."""
        result = self._interpret(code)
        if result == "Error":
            lines = self._helper.report().splitlines(keepends=True)
            message, others = _split_error(lines)
            raise Failure("Error", message, others)
        return result == "Success"

    def _interpret(self, code):
        self._helper.request()
        return self._interpreter.interpret(code).toString()

    # ---- magic commands

    def _magic(self, command, name):
        if command not in ("json", "table"):
            raise Failure("UnknownMagic", "Unknown magic command " + command)
        value = self._value(name.strip())
        if command == "json":
            return {"application/json": tables.json_value(value)}
        try:
            return tables.table(value, "BIGINT_TYPE")
        except TypeError as problem:
            raise Failure("TypeError", str(problem))

    def _value(self, name):
        """The value of a name, as JSON has it."""
        missing = Failure("NameError", "Value %s does not exist" % name)
        if not NAME.match(name):
            raise missing
        if self._interpret(VALUE_REQUEST % name) != "Success":
            if "not found: value %s" % name in self._helper.report():
                raise missing
            raise Failure("ValueError", "Failed to convert value into a JSON value")
        text = self._driver.jvm.java.lang.System.clearProperty(VALUE_PROPERTY)
        return json.loads(text)

    def _total(self):
        """As of Capture.total()."""
        total = self._helper.total()
        return total if total > self._limit else None


def _logical_end(lines, start):
    """The index after lines[start] and the lines that go on with it."""
    end = start + 1
    index = end
    while index < len(lines):
        line = lines[index].strip()
        index += 1
        if CONTINUATION.match(line):
            end = index
        elif line and not line.startswith("//"):
            break
    return end


def _after_comments(code):
    """The code after the blanks and comments that it begins with; None if a comment is open."""
    while True:
        code = code.lstrip()
        if code.startswith("//"):
            code = code.partition("\n")[2]
        elif code.startswith("/*"):
            code = _after_block(code)
            if code is None:
                return None
        else:
            return code


def _after_block(code):
    """The code after the block comment that it begins with; comments may hold comments."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", code):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return code[mark.end() :]
    return None


def _split_error(lines):
    """(message, the other lines) of what the interpreter said. The message is the first line, but
    for warnings and, from Scala 2.13 on, the marked place, which stand before it."""
    if not lines:
        return "the interpreter does not say why", []
    thrown = any(STACK_FRAME.match(line.rstrip()) for line in lines)
    if thrown:
        found = [n for n, line in enumerate(lines) if not COMPILER_WARNING.match(line)]
    else:
        found = [n for n, line in enumerate(lines) if COMPILER_ERROR.match(line)]
    index = found[0] if found else 0
    return lines[index].strip(), lines[:index] + lines[index + 1 :]
