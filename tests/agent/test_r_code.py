"""R: the process and what is said to it, without Spark; and that its absence is told."""

import base64
import shutil
import time

import pytest
from in_process import MEBIBYTE, NoSpark, cancelled_after, data, failure, text

import cancel
import capture
import r_code

needs_r = pytest.mark.skipif(shutil.which("R") is None, reason="no R")


@pytest.fixture(scope="module")
def canceller():
    return cancel.Canceller()


@pytest.fixture
def start(canceller):
    """Starts R processes, which end with the test."""
    processes = []

    def start(limit=MEBIBYTE):
        process = r_code.RProcess("R", {}, limit, canceller.shielded)
        processes.append(process)
        process.wait_until_ready()
        return process

    yield start
    for process in processes:
        process.close()


@pytest.fixture(scope="module")
def r(canceller):
    """One for all tests that leave it usable."""
    process = r_code.RProcess("R", {}, MEBIBYTE, canceller.shielded)
    process.wait_until_ready()
    yield process
    process.close()


def run(process, code):
    return process.run(code, "")


@needs_r
@pytest.mark.parametrize(
    "code, shown",
    [
        ("1+1", "[1] 2"),
        ("", ""),
        ("# only this", ""),
        ("x <- 5\nx", "[1] 5"),
        ("x\nx + 1", "[1] 5\n[1] 6"),
        ("invisible(7)", ""),
        ("cat('a\\n\\nb')", "a\n\nb"),
        ("message('told')", "told"),
        ("system('echo from a child')", "from a child"),
        ("nchar('é')", "[1] 1"),
        ("cat('é\\n')", "é"),
        ("f <- function(n) {\n  n * 2\n}\nf(4)", "[1] 8"),
        ("setClass('P', representation(a = 'numeric')); new('P', a = 1)@a", "[1] 1"),
        ("readline('?')", '?\n[1] ""'),
    ],
)
def test_r_shows_what_it_prints(r, code, shown):
    assert text(run(r, code)) == shown


@needs_r
def test_warnings_are_shown(r):
    assert "careful" in text(run(r, "warning('careful')"))


@needs_r
@pytest.mark.parametrize(
    "code, evalue",
    [
        ("stop('boom')", "boom"),
        ("nope", "object 'nope' not found"),
        ("log('x')", "non-numeric argument to mathematical function"),
        ("stop('é')", "é"),
    ],
)
def test_errors_have_their_text_and_no_traceback(r, code, evalue):
    output = run(r, "cat('lost')\n" + code)
    assert failure(output) == ("Error", evalue)
    assert output["traceback"] == []
    assert text(run(r, "1")) == "[1] 1"


@needs_r
def test_a_syntax_error_is_an_error_statement(r):
    ename, evalue = failure(run(r, "f(("))
    assert ename == "Error" and "unexpected end of input" in evalue


@needs_r
def test_what_is_drawn_comes_as_an_image(r):
    output = data(run(r, "plot(1:3)\ncat('drawn')"))
    assert base64.b64decode(output["image/png"]).startswith(b"\x89PNG")
    assert output["text/plain"] == "drawn"
    assert list(data(run(r, "hist(c(1,2,2,3))\ninvisible(1)"))) == ["image/png"]
    assert text(run(r, "1")) == "[1] 1"


@needs_r
def test_output_that_is_diverted_does_not_spoil_the_next_statement(r):
    assert text(run(r, "sink(tempfile())\nprint(1)")) == ""
    assert text(run(r, "2")) == "[1] 2"


@needs_r
def test_a_long_text_is_cut(start):
    process = start(limit=2000)
    shown = text(run(process, "for (i in 1:20000) cat(i, '\\n')"))
    assert shown.startswith("1 \n2 \n")
    assert shown.endswith("bytes shown; sessions.output_limit]")
    assert len(shown) <= 2000
    assert text(run(process, "1")) == "[1] 1"


@needs_r
@pytest.mark.parametrize("code", ["repeat {}", "Sys.sleep(60)", "while (TRUE) cat('x')"])
def test_a_running_statement_can_be_cancelled(r, canceller, code):
    run(r, "kept <- 42")
    begin = time.monotonic()
    with cancelled_after(0.3, canceller):
        with pytest.raises(KeyboardInterrupt):
            run(r, code)
    assert time.monotonic() - begin < 4
    assert r.is_usable()
    assert text(run(r, "kept")) == "[1] 42"


@needs_r
def test_what_does_not_yield_is_killed(start, canceller, monkeypatch):
    monkeypatch.setattr(r_code, "KILL_AFTER_S", 1.0)
    process = start()
    with cancelled_after(0.2, canceller):
        with pytest.raises(r_code.RFailed, match="signal 9"):
            run(process, "repeat tryCatch(repeat {}, interrupt = function(i) NULL)")
    assert not process.is_usable()


@needs_r
def test_the_end_of_r_is_told_with_its_code(start):
    process = start()
    with pytest.raises(r_code.RFailed, match="R ended with exit code 3"):
        run(process, "quit(status = 3)")
    assert not process.is_usable()
    process.close()


@needs_r
def test_closing_leaves_no_process(start):
    process = start()
    process.close()
    assert process._child.returncode == 0


def test_without_r_the_statement_is_an_error():
    driver = NoSpark()
    driver.sc = Conf()
    code = r_code.RCode(driver, capture.Capture(MEBIBYTE))
    output = code.run("1+1")
    assert failure(output) == ("InterpreterError", "Fail to start interpreter")
    assert output["traceback"] == []
    assert code.complete("prin", 4) == []
    code.close()


class Conf:
    """A SparkContext that names an R which is not there."""

    def getConf(self):
        return {"spark.r.shell.command": "/nonexistent/R"}


def test_r_without_sparkr_is_an_error_and_with_it_uses_the_session(rig, any_home):
    """PyPI's Spark comes without SparkR."""
    end = rig.start(any_home).end
    output = end.run("1+1", "sparkr")
    if output["status"] == "ok":
        assert text(output) == "[1] 2"
        assert text(end.run("nrow(sql('select 1'))", "sparkr")) == "[1] 1"
    else:
        assert failure(output) == ("InterpreterError", "Fail to start interpreter")
    assert end.text("1+1") == "2"
