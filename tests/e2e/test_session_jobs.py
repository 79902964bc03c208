"""Livy's programmatic API: serialized jobs beside the statements, files added and uploaded."""

import base64
import os
import pickle
import zipfile

import pytest

import wire
from harness import SANITIZED, fake, resident_bytes, until
from sessions import Session, create, file_lines, open_session

cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")

SENT = {"state": "SENT", "result": None, "error": None}


def said(refusal):
    """The words of either shape of an error."""
    words = refusal.json()
    return words if isinstance(words, str) else words["msg"]


def encoded(function):
    # By value, as a client's function of its own __main__ is.
    cloudpickle.register_pickle_by_value(__import__(__name__))
    return base64.b64encode(cloudpickle.dumps(function)).decode()


def submit(session, job, path="/submit-job", job_type="pyspark", **more):
    body = {"job": job if isinstance(job, str) else encoded(job), "jobType": job_type}
    answer = session.post(path, json=body, **more)
    assert answer.status_code == 201, answer.text
    posted = answer.json()
    assert {k: posted[k] for k in posted if k != "id"} == SENT and "Location" not in answer.headers
    return posted["id"]


def ended(session, job, timeout=60):
    def arrived():
        now = session.answer(f"/jobs/{job}")
        assert set(now) == {"id", "state", "result", "error"} and now["id"] == job
        assert now["state"] in ("QUEUED", "STARTED", "SUCCEEDED", "FAILED", "CANCELLED"), now
        return now if now["state"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    return until(arrived, timeout, lambda: f"job {job}: {session.answer(f'/jobs/{job}')}")


def result(session, job, **more):
    now = ended(session, submit(session, job, **more))
    assert now["state"] == "SUCCEEDED" and now["error"] is None, now["error"]
    return pickle.loads(base64.b64decode(base64.b64decode(now["result"])))


def failure(session, job, **more):
    now = ended(session, submit(session, job, **more))
    assert now["state"] == "FAILED" and now["result"] is None, now
    return now["error"]


# -- jobs ------------------------------------------------------------------------------------------


@pytest.mark.spark
@pytest.mark.every_spark
def test_a_job_gives_its_value_back(live):
    def count(context):
        return context.sc.parallelize([10, 20, 30], 2).map(lambda x: x + 1).sum()

    assert result(live, count) == 63
    assert result(live, lambda context: None) is None
    assert result(live, lambda context: {"a": [1, 2.5, "ü"], "b": (None, True)}) == {"a": [1, 2.5, "ü"], "b": (None, True)}
    assert result(live, count, path="/run-job") == 63


@pytest.mark.spark
@pytest.mark.every_spark
def test_the_context_of_a_job_has_livys_names(live):
    def look(context):
        import os
        return (context.spark_session.range(3).count(), context.sql_ctx.sql("select 7 as x").first().x, context.hive_ctx is not None,
                os.path.isdir(context.local_tmp_dir_path), context.sc is context.spark_session.sparkContext)

    assert result(live, look) == (3, 7, True, True, True)


@pytest.mark.spark
def test_jobs_share_objects_and_see_what_statements_defined(live):
    def put(context):
        context.set_shared_object("the answer", 42)

    def take(context):
        return context.get_shared_object("the answer")

    def drop(context):
        context.remove_shared_object("the answer")

    assert result(live, put) is None and result(live, take) == 42
    result(live, drop)
    assert result(live, lambda context: "ended") == "ended"
    assert live.text("import sys, types\nmodule = types.ModuleType('of_statement'); module.word = 'seen'\nsys.modules['of_statement'] = module") == ""
    assert result(live, lambda context: __import__("of_statement").word) == "seen"


@pytest.mark.spark
def test_jobs_are_numbered_and_kept(live):
    first = submit(live, lambda context: "kept")
    before = ended(live, first)
    assert submit(live, lambda context: 1) == first + 1
    assert ended(live, first) == before, "seen twice and still there"
    for number in (0, first + 1000):
        answer = live.get(f"/jobs/{number}")
        assert answer.status_code == 404 and list(answer.json()) == ["msg"]


@pytest.mark.spark
def test_a_job_that_fails_tells_its_traceback(live):
    def fails(context):
        return "hello".no_such_attribute

    error = failure(live, fails)
    assert "Client job error:" in error and "AttributeError" in error and "Traceback" in error
    assert "Client job error:" in failure(live, base64.b64encode(b"nonsense").decode())
    for leaving in (lambda context: __import__("sys").exit(3), lambda context: (_ for _ in ()).throw(KeyboardInterrupt())):
        assert failure(live, leaving)
    assert live.text("'alive'") == "'alive'"


@pytest.mark.spark
def test_a_value_that_cannot_be_serialized_is_a_failed_job(live):
    assert "Client job error:" in failure(live, lambda context: __import__("threading").Lock())
    assert result(live, lambda context: "next") == "next"


@pytest.mark.spark
@pytest.mark.parametrize("job_type", ["spark", "scala", None, "no-kind"])
def test_a_job_that_cannot_run_fails_with_a_sentence(live, job_type):
    body = {"job": base64.b64encode(b"\x01\x00livyjob.Jobs$Ech\xef").decode()}
    if job_type is not None:
        body["jobType"] = job_type
    answer = live.post("/submit-job", json=body)
    assert answer.status_code == 201, answer.text
    now = ended(live, answer.json()["id"], 10)
    assert now["state"] == "FAILED" and len(now["error"]) > 20


@pytest.mark.spark
def test_jobs_run_beside_a_statement(live, tmp_path):
    running = live.submit(f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.02)")
    live.wait(running, states=("running",))
    assert result(live, lambda context: context.sc.parallelize(range(4), 2).count()) == 4
    assert live.statement(running["id"])["state"] == "running"
    (tmp_path / "go").touch()
    live.wait(running)


@pytest.mark.spark
def test_a_job_is_cancelled(live):
    def sleeps(context):
        return context.sc.parallelize([1], 1).map(lambda x: __import__("time").sleep(1000)).count()

    job = submit(live, sleeps)
    until(lambda: live.answer(f"/jobs/{job}")["state"] == "STARTED", 10, "its start")
    answer = live.post(f"/jobs/{job}/cancel")
    assert (answer.status_code, answer.text) == (200, "")
    assert ended(live, job, 10) == {"id": job, "state": "CANCELLED", "result": None, "error": None}
    assert live.post("/jobs/999999/cancel").status_code == 200
    assert result(live, lambda context: "next") == "next"


@pytest.mark.spark
def test_the_same_idempotency_key_runs_a_job_once(live, tmp_path):
    path = str(tmp_path / "ran")
    job = encoded(lambda context: open(path, "a").write("x\n"))
    first = submit(live, job, headers={"Idempotency-Key": "j1"})
    assert submit(live, job, headers={"Idempotency-Key": "j1"}) == first
    ended(live, first)
    result(live, lambda context: None)
    assert file_lines(path) == ["x"]


@pytest.mark.spark
def test_a_job_posted_to_a_session_that_starts_runs_once_it_is_ready(spark_server):
    session = create(spark_server, kind="pyspark")
    job = submit(session, lambda context: context.sc.parallelize([1, 2, 3], 1).sum())
    now = ended(session, job)
    assert now["state"] == "SUCCEEDED", now
    session.delete()


@pytest.mark.parametrize("body, status, words", [
    ({}, 400, "requirement failed: no job provided."), ({"job": "", "jobType": "pyspark"}, 400, "requirement failed: no job provided."),
    ({"job": None}, 400, "requirement failed: no job provided."), ({"job": "no base64!", "jobType": "pyspark"}, 400, ""),
    ({"job": "eA==", "Type": "pyspark"}, 400, 'Unrecognized field "Type"'), (None, 400, ""),
])
def test_a_wrong_job_is_400(queued, body, status, words):
    session = create(queued, kind="pyspark")
    for path in ("/submit-job", "/run-job"):
        answer = session.post(path, json=body)
        assert answer.status_code == status and words in said(answer), answer.text
        if words.startswith("requirement"):
            assert answer.json() == {"msg": words}
    assert session.get("/jobs/1").status_code == 404


# -- add -------------------------------------------------------------------------------------------


def add(session, what, uri):
    answer = session.post(f"/add-{what}", json={"uri": uri})
    assert (answer.status_code, answer.text) == (200, ""), answer.text


@pytest.mark.spark
@pytest.mark.every_spark
def test_added_files_are_there_when_the_answer_comes(live):
    folder = live.server.folder
    (folder / "added.txt").write_text("added content")
    (folder / "added_module.py").write_text("WORD = 'added'\n")
    with zipfile.ZipFile(folder / "added.zip", "w") as z:
        z.writestr("zipped_module.py", "WORD = 'zipped'\n")
    add(live, "file", f"file:{folder}/added.txt")
    add(live, "pyfile", f"{folder}/added_module.py")
    add(live, "pyfile", f"{folder}/added.zip")
    assert live.text("from pyspark import SparkFiles; open(SparkFiles.get('added.txt')).read()") == "'added content'"
    assert live.text("import added_module, zipped_module; added_module.WORD + zipped_module.WORD") == "'addedzipped'"
    assert live.text("sc.parallelize([1], 1).map(lambda x: __import__('added_module').WORD).collect()") == "['added']"


def jar_with_a_resource(path):
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        jar.writestr("from-the-jar.txt", "resource of the jar")


READ_RESOURCE = 'scala.io.Source.fromInputStream(Thread.currentThread.getContextClassLoader.getResourceAsStream("from-the-jar.txt")).mkString'


@pytest.mark.spark
def test_an_added_jar_is_on_the_class_path_of_scala(live):
    jar_with_a_resource(live.server.folder / "added.jar")
    add(live, "jar", f"{live.server.folder}/added.jar")
    assert "resource of the jar" in live.text(READ_RESOURCE, "spark", 90)


@pytest.mark.parametrize("body, words", [({"uri": "relative"}, "requirement failed: Path 'relative' is not absolute."),
                                         ({"uri": "/etc/hostname"}, "requirement failed: Local path /etc/hostname cannot be added to user sessions."),
                                         ({"uri": "file:/a b"}, "URISyntaxException"), ({}, ""), ({"uri": None}, ""), ({"uri": ""}, ""), ({"url": "/x"}, 'Unrecognized field "url"')])
@pytest.mark.parametrize("what", ["file", "jar", "pyfile"])
def test_what_may_not_be_added_is_400(queued, what, body, words):
    session = create(queued, kind="pyspark")
    answer = session.post(f"/add-{what}", json=body)
    assert answer.status_code == 400 and words in said(answer), answer.text
    if words.startswith("requirement"):
        assert answer.json() == {"msg": words}


@pytest.mark.spark
def test_a_missing_file_cannot_be_added(live):
    for what in ("file", "pyfile", "jar"):
        answer = live.post(f"/add-{what}", json={"uri": f"{live.server.folder}/is-not-there.{'jar' if what == 'jar' else 'py'}"})
        assert answer.status_code == 400 and list(answer.json()) == ["msg"], answer.text
        assert "\tat " not in answer.text, "no stack"
    assert live.text("'alive'") == "'alive'"


# -- upload ----------------------------------------------------------------------------------------


def upload(session, what, name, content, part=None):
    return session.post(f"/upload-{what}", files={part or ("jar" if what == "jar" else "file"): (name, content)})


@pytest.mark.spark
def test_uploaded_files_are_there_when_the_answer_comes(live):
    answer = upload(live, "file", "uploaded.txt", b"uploaded content")
    assert (answer.status_code, answer.text) == (200, ""), answer.text
    assert live.text("from pyspark import SparkFiles; open(SparkFiles.get('uploaded.txt')).read()") == "'uploaded content'"
    assert upload(live, "pyfile", "uploaded_module.py", b"WORD = 'uploaded'\n").status_code == 200
    assert live.text("import uploaded_module; uploaded_module.WORD") == "'uploaded'"
    jar_with_a_resource(live.server.folder / "up.jar")
    assert upload(live, "jar", "up.jar", (live.server.folder / "up.jar").read_bytes()).status_code == 200


@pytest.mark.spark
@pytest.mark.parametrize("name, kept", [("../../escaped.txt", "escaped.txt"), ("/tmp/absolute-e2e.txt", "absolute-e2e.txt"), ("a/b/../deep.txt", "deep.txt"),
                                        ("two words ü.txt", "two words ü.txt"), ("quote'$(id).txt", "quote'$(id).txt"), ("..hidden", "..hidden")])
def test_a_hostile_name_keeps_only_its_last_segment(live, name, kept):
    answer = upload(live, "file", name, b"content of " + kept.encode())
    assert answer.status_code == 200, answer.text
    assert live.text(f"from pyspark import SparkFiles; open(SparkFiles.get({kept!r}), encoding='utf-8').read()") == repr("content of " + kept)
    folder = live.record()["folder"]
    assert not os.path.exists(os.path.join(folder, "..", kept)) and not os.path.exists(os.path.join(folder, "..", "..", kept))
    assert not os.path.exists("/tmp/absolute-e2e.txt")


def multipart(session, path, disposition, content=b"x"):
    """A part whose head no client library would send."""
    body = b'--boundary\r\nContent-Disposition: form-data; ' + disposition + b'\r\n\r\n' + content + b'\r\n--boundary--\r\n'
    [answer] = wire.exchange(session.server, wire.request("POST", f"/sessions/{session.id}/{path}", body,
                                                          Content_Type="multipart/form-data; boundary=boundary"))
    return answer


@pytest.mark.parametrize("name", [b"..", b".", b"a/", b"/", b"../..", b"line\x01feed", b"x" * 300])
def test_a_name_that_is_none_is_refused(queued, name):
    session = create(queued, kind="pyspark")
    answer = multipart(session, "upload-file", b'name="file"; filename="' + name + b'"')
    assert answer.status == 400, answer


@pytest.mark.parametrize("path, words", [("upload-file", "No file sent!"), ("upload-pyfile", "No file sent!"), ("upload-jar", "No jar sent!")])
def test_an_upload_without_its_part_is_400(queued, path, words):
    session = create(queued, kind="pyspark")
    answer = session.post(f"/{path}", files={"other": ("x", b"x")})
    assert (answer.status_code, answer.json()) == (400, words)
    answer = session.post(f"/{path}", data=b"no multipart at all")
    assert (answer.status_code, answer.json()) == (400, words)


def test_an_upload_to_an_unknown_session_is_404(queued):
    answer = upload(Session(queued, 987654), "file", "x", b"x")
    assert (answer.status_code, answer.json()) == (404, {"msg": "Session '987654' not found."})


def test_an_upload_above_the_limit_is_413_and_leaves_nothing(make_hearth):
    server = make_hearth({"sessions.upload_limit": "1m", "admission.running": "1"}, fake_java=True).start()
    server.submit(fake("sleep", 1000))
    session = create(server, kind="pyspark")
    answer = upload(session, "file", "large.bin", b"x" * (2 << 20))
    assert answer.status_code == 413 and "1" in answer.json()["msg"], answer.text
    left = [os.path.join(d, f) for d, _, files in os.walk(server.state_dir) for f in files if os.path.getsize(os.path.join(d, f)) > 1 << 20]
    assert not [f for f in left if not f.endswith((".db", ".db-wal", ".jsa"))], left
    assert server.get("/healthz").status_code == 200


@pytest.mark.spark
def test_50_mb_are_uploaded_without_being_held_in_memory(live, tmp_path):
    with open(tmp_path / "large.bin", "wb") as f:
        f.write(b"beginning")
        f.truncate(50 << 20)
    before = resident_bytes(live.server.pid)
    with open(tmp_path / "large.bin", "rb") as f:
        with wire.connect(live.server, 60) as s, s.makefile("rb") as stream:
            head = b'--boundary\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
            tail = b"\r\n--boundary--\r\n"
            s.sendall(wire.request("POST", f"/sessions/{live.id}/upload-file", Content_Type="multipart/form-data; boundary=boundary",
                                   Content_Length=len(head) + (50 << 20) + len(tail)) + head)
            s.sendfile(f)
            s.sendall(tail)
            assert wire.read_answer(stream).status == 200
    assert SANITIZED or resident_bytes(live.server.pid) < before + (10 << 20)
    assert live.text("import os; from pyspark import SparkFiles; os.path.getsize(SparkFiles.get('large.bin'))") == str(50 << 20)


@pytest.mark.spark
def test_what_was_uploaded_goes_with_the_session(spark_server):
    session = open_session(spark_server, kind="pyspark")
    assert upload(session, "file", "private.txt", b"private words of the upload").status_code == 200
    session.delete()

    def copies():
        return [d for d, _, files in os.walk(spark_server.state_dir) if "private.txt" in files]

    until(lambda: not copies(), 20, lambda: f"the upload to be gone: {copies()}")
