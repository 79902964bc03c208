"""What happens when the state folder cannot be written, or is not what it should be."""

import contextlib
import os
import sqlite3
import subprocess

import pytest

from harness import FINAL, fake, until


@contextlib.contextmanager
def mounted(folder, options):
    """A small file system of its own for a state folder; skips where mounting is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "hearth-e2e", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("mounting a tmpfs is not permitted here: " + done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "disk", "size=8m") as folder:
        yield folder


def fill(folder):
    """Takes all the room that is left; returns the file to remove."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
        while True:
            f.write(b"x" * 65536)
    with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as f:
        while True:
            f.write(b"x")
    return filler


def database(server):
    for path in sorted(server.state_dir.iterdir()):
        if path.is_file() and path.open("rb").read(15) == b"SQLite format 3":
            return path
    raise AssertionError(f"no SQLite database in {list(server.state_dir.iterdir())}")


def refuses_to_start(server):
    """Starts a server that must end by itself with a failure; what it said."""
    before = len(server.stderr())
    server.launch()
    code = server.wait_end(10)
    said = server.stderr()[before:]
    server.expect_error(".*")
    assert code not in (0, None) and code > 0, (code, said)
    return said


def test_a_full_disk_refuses_writes_with_a_reason_and_goes_on_reading(make_hearth, small_disk, spark_home):
    server = make_hearth(fake_java=True, state_dir=small_disk / "state").start()
    server.expect_error("")
    kept = server.submit(fake("print", "kept"))
    server.wait_end_of(kept["id"])
    filler = fill(small_disk)

    def refused():
        answer = server.post("/batches", json=dict(fake("exit", 0), conf={"spark.e2e": "x" * 30000}))
        return None if answer.status_code == 201 else [answer]

    [answer] = until(refused, 20, "a write that meets the full disk")
    assert answer.status_code == 503, answer.text
    assert list(answer.json()) == ["msg"] and answer.json()["msg"]
    total = server.get("/batches?size=0").json()["total"]
    assert server.batch(kept["id"])["state"] == "success"
    assert "kept" in server.log(kept["id"])
    assert server.get("/healthz").status_code == 200
    ready = server.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready") and ready.json()["reason"]
    store = server.status()["store"]
    assert store["writable"] is False and store["reason"]

    filler.unlink()
    until(lambda: server.get("/readyz").status_code == 200, 30, lambda: f"recovery: {server.get('/readyz').text}")
    made = server.submit(fake("exit", 0))
    assert server.wait_end_of(made["id"])["state"] == "success"
    assert server.get("/batches?size=0").json()["total"] == total + 1, "the refused ones left no trace"
    assert server.status()["store"] == {"writable": True, "reason": None}


def test_a_driver_that_ends_while_the_disk_is_full_is_not_forgotten(make_hearth, small_disk, tmp_path, spark_home):
    server = make_hearth(fake_java=True, state_dir=small_disk / "state").start()
    server.expect_error("")
    made = server.submit(fake("wait", tmp_path / "go"))
    pid = server.driver_pid(made["id"])
    filler = fill(small_disk)
    (tmp_path / "go").touch()
    until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the driver's end")
    assert server.get("/batches").status_code == 200
    filler.unlink()
    ended = server.wait_end_of(made["id"], 60)
    assert ended["state"] == "success", ended
    server.restart()
    assert server.batch(made["id"])["state"] == "success"


def test_a_read_only_state_folder_is_named_at_the_start(make_hearth, tmp_path, spark_home):
    with mounted(tmp_path / "disk", "size=8m") as disk:
        server = make_hearth(fake_java=True, state_dir=disk / "state").start()
        server.wait_end_of(server.submit(fake("exit", 0))["id"])
        until(lambda: not server.processes(), 10, "the guard's end")
        server.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        said = refuses_to_start(server)
        assert str(server.state_dir) in said
        assert "read-only" in said.lower() or "readonly" in said.lower() or "permission" in said.lower(), said


def test_a_database_of_a_newer_hearth_is_not_touched(plain):
    plain.wait_end_of(plain.submit(fake("exit", 0))["id"])
    until(lambda: not plain.processes(), 10, "the guard's end")
    plain.stop()
    path = database(plain)
    with contextlib.closing(sqlite3.connect(path)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        assert version > 0, "the schema's number is SQLite's user_version"
        db.execute(f"PRAGMA user_version = {version + 1000}")
    before = path.read_bytes()
    said = refuses_to_start(plain)
    assert "newer" in said.lower(), said
    assert path.read_bytes() == before


def test_a_corrupt_database_is_named_and_not_touched(plain):
    plain.wait_end_of(plain.submit(fake("exit", 0))["id"])
    until(lambda: not plain.processes(), 10, "the guard's end")
    plain.stop()
    path = database(plain)
    path.write_bytes(b"this is not a database, it only looks like a file of one. " * 200)
    before = path.read_bytes()
    said = refuses_to_start(plain)
    assert path.name in said, said
    assert path.read_bytes() == before


def test_a_database_damaged_in_its_middle_never_crashes_the_server(plain):
    for _ in range(30):
        plain.submit(fake("exit", 0))
    until(lambda: all(b["state"] in FINAL for b in plain.get("/batches").json()["sessions"]), 30, "all ends")
    until(lambda: not plain.processes(), 10, "the guards' end")
    plain.stop()
    path = database(plain)
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    plain.expect_error(".*")
    before = len(plain.stderr())
    plain.launch()
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = plain.process.wait(3)
        plain.process = None
        assert code > 0, f"killed by signal {-code}"
        assert path.name in plain.stderr()[before:], plain.stderr()[before:]
        return
    assert plain.get("/batches").status_code in (200, 503)


def test_a_second_server_on_the_same_state_folder_is_refused(make_hearth, plain):
    second = make_hearth(fake_java=True, state_dir=plain.state_dir)
    said = refuses_to_start(second)
    assert str(plain.state_dir) in said, said
    assert plain.get("/readyz").status_code == 200
    assert plain.submit(fake("exit", 0))["id"] == 0
    second.state_dir = second.folder / "none"  # what runs in the folder belongs to the first


def test_a_port_that_is_taken_is_named(make_hearth, plain):
    second = make_hearth({"server.listen": f"127.0.0.1:{plain.port}"}, fake_java=True)
    assert str(plain.port) in refuses_to_start(second)


def test_an_open_address_without_authentication_is_refused(make_hearth):
    server = make_hearth(fake_java=True)
    server.settings["server.listen"] = f"0.0.0.0:{server.port}"
    said = refuses_to_start(server)
    assert "auth" in said.lower(), said


@pytest.mark.parametrize("setting, value, words", [
    ("server.listne", "127.0.0.1:1", "server.listen"), ("admission.running", "many", "admission.running"),
    ("server.body_limit", "-1", "server.body_limit"),
])
def test_a_setting_that_cannot_be_used_is_named(make_hearth, setting, value, words):
    server = make_hearth({setting: value}, fake_java=True)
    assert words in refuses_to_start(server)


def test_without_spark_the_server_says_so_and_refuses_submissions(make_hearth):
    server = make_hearth({"spark.home": "/nonexistent"}, fake_java=True).start()
    assert "/nonexistent" in server.stderr()
    answer = server.post("/batches", json=fake("exit", 0))
    assert answer.status_code == 503 and "/nonexistent" in answer.json()["msg"]
    assert server.get("/readyz").status_code == 503
    assert server.get("/batches").json()["total"] == 0


def test_the_state_folder_is_private(plain):
    made = plain.submit(dict(fake("exit", 0), conf={"spark.e2e.password": "sesame"}))
    plain.wait_end_of(made["id"])
    assert plain.state_dir.stat().st_mode & 0o077 == 0, oct(plain.state_dir.stat().st_mode)
    for path in plain.state_dir.rglob("launch.json"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert "sesame" not in plain.stderr()
