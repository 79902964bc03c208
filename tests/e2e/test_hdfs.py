"""The HDFS client (src/hdfs) against a real HDFS, with and without Kerberos, and against nodes that are in its way."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from harness import BINARY, PATIENCE, SANITIZED, free_port, until
from hdfs import HdfsCluster, StubNameNode, StubStandby, jmx, remote_exception
from kerberos import Kdc

pytestmark = pytest.mark.hadoop

TOOL = BINARY.parent / "tests" / "unit" / "hdfs_tool"
NOBODY = "http://127.0.0.1:1"  # nothing listens there
PART = 10  # entries of a listing at a time


def tool(nodes, *words, user="root", timeout_ms=20000, environment=None):
    """Starts the tool; finish() has its answers."""
    nodes = nodes if isinstance(nodes, str) else ",".join(nodes)
    return subprocess.Popen([TOOL, nodes, user, str(timeout_ms), *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})


def finish(process):
    out, err = process.communicate(timeout=120 * PATIENCE)
    assert process.returncode == 0 and not err, err
    return [json.loads(line) for line in out.splitlines()]


def run(nodes, *words, **more):
    """All answers of operations with "+" between them."""
    return finish(tool(nodes, *words, **more))


def one(nodes, *words, **more):
    answers = run(nodes, *words, **more)
    assert len(answers) == 1
    return answers[0]


def done(nodes, *words, **more):
    answer = one(nodes, *words, **more)
    assert answer["code"] == "OK", answer
    return answer


def refused(code, nodes, *words, **more):
    answer = one(nodes, *words, **more)
    assert answer["code"] == code, answer
    return answer["message"]


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory):
    with HdfsCluster(tmp_path_factory.mktemp("hdfs"), settings={"dfs.ls.limit": PART}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def standby():
    with StubStandby() as stub:
        yield stub


@pytest.fixture
def local(tmp_path):
    path = tmp_path / "local"
    path.write_bytes(b"burning bright")
    return path


# ---- what it does ----


@pytest.mark.parametrize("name", ["plain", "a b", "100%", "50%41", "a+b", "a;b=c", "a?b#c", "a&b", "grüße-日本", "\"'\\`$", "..a", "[x]{y}|z^"])
def test_a_file_of_any_name_comes_and_goes(hdfs, local, name):
    path = f"/names/{name}/{name}.jar"
    done(hdfs.namenode_url, "create", path, local, "new")
    assert hdfs.read(path) == local.read_bytes()  # by other means
    file = done(hdfs.namenode_url, "status", path)["file"]
    assert (file["name"], file["is_folder"], file["size"], file["owner"], file["permission"]) == ("", False, 14, hdfs.user, "644")
    assert abs(file["modified_ms"] / 1000 - time.time()) < 600
    assert done(hdfs.namenode_url, "read", path, 8, 100, "whole")["data"] == "bright"
    assert [f["name"] for f in done(hdfs.namenode_url, "list", f"/names/{name}", 10)["files"]] == [name + ".jar"]
    assert done(hdfs.namenode_url, "presence", path)["presence"] == "present"
    done(hdfs.namenode_url, "remove", path, "one")
    assert hdfs.status(path) is None
    refused("NOT_FOUND", hdfs.namenode_url, "status", path)


def test_parts_of_files(hdfs):
    hdfs.write("/parts", b"0123456789")
    hdfs.write("/empty", b"")
    read = [(0, 4, "part", "0123"), (8, 4, "part", "89"), (10, 4, "whole", ""), (99, 4, "whole", ""), (6, 4, "whole", "6789"), (0, 10, "whole", "0123456789")]
    for offset, most, manner, text in read:
        assert done(hdfs.namenode_url, "read", "/parts", offset, most, manner)["data"] == text
    assert "more than 9 bytes" in refused("TOO_LARGE", hdfs.namenode_url, "read", "/parts", 0, 9, "whole")
    assert done(hdfs.namenode_url, "read", "/empty", 0, 10, "whole")["bytes"] == 0


def test_folders_are_listed_whole_and_in_order(hdfs):
    names = sorted([f"{n:03}" for n in range(3 * PART + 2)] + ["a b", "ü", "Z"], key=lambda name: name.encode())
    for name in names:
        hdfs.make_folder(f"/many/{name}")
    listed = done(hdfs.namenode_url, "list", "/many", len(names))["files"]
    assert [f["name"] for f in listed] == names and all(f["is_folder"] for f in listed)
    assert f"more than {len(names) - 1} entries" in refused("TOO_LARGE", hdfs.namenode_url, "list", "/many", len(names) - 1)
    hdfs.write("/alone", b"x")
    assert [(f["name"], f["size"]) for f in done(hdfs.namenode_url, "list", "/alone", 1)["files"]] == [("", 1)]
    assert done(hdfs.namenode_url, "list", "/many/000", 0)["files"] == []
    refused("NOT_FOUND", hdfs.namenode_url, "list", "/none", 10)


def test_folders_are_made_and_removed(hdfs, local):
    done(hdfs.namenode_url, "mkdir", "/made/by/hearth")
    done(hdfs.namenode_url, "mkdir", "/made/by/hearth")  # it is there, which is what was wanted
    done(hdfs.namenode_url, "create", "/made/by/file", local, "new")
    assert "/made/by/file" in refused("CONFLICT", hdfs.namenode_url, "mkdir", "/made/by/file/below")
    assert "Directory is not empty" in refused("CONFLICT", hdfs.namenode_url, "remove", "/made", "one")
    done(hdfs.namenode_url, "remove", "/made", "all")
    refused("NOT_FOUND", hdfs.namenode_url, "remove", "/made", "all")


def test_a_file_that_is_there_is_only_replaced_when_asked(hdfs, local, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(os.urandom(8 << 20))  # so much that the refusal would get lost if it were sent at once
    hdfs.write("/there", b"old")
    assert "it is there already" in refused("CONFLICT", hdfs.namenode_url, "create", "/there", large, "new")
    assert hdfs.read("/there") == b"old"
    done(hdfs.namenode_url, "create", "/there", local, "over")
    assert hdfs.read("/there") == local.read_bytes()


def test_what_cannot_be_sent_is_named(hdfs, tmp_path):
    assert f"{tmp_path}/none: No such file" in refused("INVALID", hdfs.namenode_url, "create", "/x", f"{tmp_path}/none", "new")
    assert f"{tmp_path}: not a file" in refused("INVALID", hdfs.namenode_url, "create", "/x", tmp_path, "new")
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refused("INVALID", hdfs.namenode_url, "create", "/x", tmp_path / "pipe", "new")
    assert hdfs.status("/x") is None


@pytest.mark.parametrize("path", ["", "relative", "/..", "/../jmx", "/a/./b", "/a/../b"])
def test_paths_that_hdfs_would_not_take(hdfs, path):
    refused("INVALID", hdfs.namenode_url, "status", path)


def test_hdfs_itself_calls_a_path_illegal(hdfs):
    assert "InvalidPathException" in refused("INVALID", hdfs.namenode_url, "mkdir", "/a:b/" + "x")


def test_who_may_not_is_told(hdfs, local):
    hdfs.make_folder("/private", permission="700")
    hdfs.write("/private/x", b"secret")
    for words in (["status", "/private/x"], ["read", "/private/x", 0, 10, "part"], ["create", "/private/y", local, "new"],
                  ["mkdir", "/private/z"], ["remove", "/private", "all"], ["list", "/private", 10]):
        assert "Permission denied: user=joe" in refused("DENIED", hdfs.namenode_url, *words, user="joe")


def test_a_large_file_takes_no_memory(hdfs, tmp_path):
    large = tmp_path / "large"
    content = os.urandom(1 << 20) * 64
    large.write_bytes(content)
    small, big = run(hdfs.namenode_url, "status", "/", "+", "create", "/large", large, "new")
    assert big["code"] == "OK", big
    assert big["peak_kb"] - small["peak_kb"] < (8 << 10) * (4 if SANITIZED else 1)
    assert hashlib.sha256(hdfs.read("/large")).digest() == hashlib.sha256(content).digest()
    hdfs.remove("/large")


# ---- nodes ----


def test_the_active_one_is_found_in_either_order(hdfs, standby, local):
    hdfs.write("/x", b"x")
    for nodes in ([hdfs.namenode_url, standby.namenode_url], [standby.namenode_url, hdfs.namenode_url]):
        done(nodes, "status", "/x")
        done(nodes, "create", "/order/x", local, "over")
        done(nodes, "read", "/order/x", 0, 10, "part")
        done(nodes, "remove", "/order", "all")


def test_a_node_that_answered_is_kept(hdfs):
    with StubStandby() as other:
        answers = run([other.namenode_url, hdfs.namenode_url], "status", "/", "+", "status", "/", "+", "list", "/", 1000)
        assert [a["code"] for a in answers] == ["OK"] * 3
        assert len(other.asked) == 1


def test_a_node_that_is_not_there_is_left(hdfs):
    done([NOBODY, hdfs.namenode_url], "status", "/")
    message = refused("IO", [NOBODY, "http://127.0.0.1:2"], "status", "/", timeout_ms=1000)
    assert NOBODY in message and "http://127.0.0.1:2" in message and "Connection refused" in message


def test_nothing_but_standby_nodes(standby):
    answer = one([standby.namenode_url, NOBODY], "status", "/", timeout_ms=4000)
    assert answer["code"] == "BUSY" and "state standby" in answer["message"] and answer["ms"] > 3000


def test_a_real_failover_is_not_noticed(tmp_path, local):
    with HdfsCluster(tmp_path / "ha", ha=True) as ha:
        nodes = [ha.namenode_url, ha.standby_url]
        done(nodes, "create", "/x", local, "new")
        ha.command("fail-over", 1)
        for order in (nodes, nodes[::-1]):
            assert done(order, "read", "/x", 0, 7, "part")["data"] == "burning"
            done(order, "create", "/y", local, "over")
            done(order, "create", "/z", local, "new")  # the standby one redirects, and the DataNode says that it is standby
            done(order, "remove", "/z", "one")


def test_safe_mode_is_waited_for(hdfs, local):
    hdfs.command("safe-mode", "on")
    try:
        assert "safe mode" in refused("BUSY", hdfs.namenode_url, "mkdir", "/safe", timeout_ms=5000)
        done(hdfs.namenode_url, "status", "/")  # reading is fine
        waits = [tool(hdfs.namenode_url, "mkdir", "/safe", timeout_ms=60000), tool(hdfs.namenode_url, "create", "/safe/x", local, "over", timeout_ms=60000)]
        time.sleep(1)  # both have been refused by now, most likely
    finally:
        hdfs.command("safe-mode", "off")
    assert [finish(process)[0]["code"] for process in waits] == ["OK", "OK"]


def test_no_datanode(hdfs, local):
    hdfs.write("/data", b"data")
    hdfs.command("stop-datanode")
    try:
        assert "datanode" in refused("IO", hdfs.namenode_url, "create", "/new", local, "over", timeout_ms=3000).lower()
        refused("IO", hdfs.namenode_url, "read", "/data", 0, 10, "part", timeout_ms=3000)
    finally:
        hdfs.command("start-datanode")
    until(lambda: one(hdfs.namenode_url, "read", "/data", 0, 10, "part")["code"] == "OK", 60, "the DataNode")


def test_a_datanode_that_is_gone_is_named_to_the_node(local):
    """The stub knows two: one that is dead, and itself."""
    def answer(method, path):
        if path.startswith("/data"):
            return 201, ""
        if method == "GET":
            return 404, remote_exception("FileNotFoundException", "File does not exist: /x", "java.io.")
        place = f"{stub.namenode_url}/data" if "excludedatanodes=127.0.0.1" in path else "http://127.0.0.1:1/webhdfs/v1/x?op=CREATE"
        return 307, "", {"Location": place}

    with StubNameNode(answer) as stub:
        done(stub.namenode_url, "create", "/x", local, "new")
        assert [path.partition("?")[0] for _, path in stub.asked] == ["/webhdfs/v1/x"] * 3 + ["/data"]


def test_a_transfer_that_breaks_off(tmp_path):
    """The DataNode takes some of the data, then it is gone. A new file is not tried again: half of it may be there."""
    (tmp_path / "local").write_bytes(bytes(4 << 20))

    def take_some(listener):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                taken.append(connection.recv(1 << 16))

    def answer(method, path):
        if method == "GET":
            return 404, remote_exception("FileNotFoundException", "File does not exist: /x", "java.io.")
        return 307, "", {"Location": f"http://127.0.0.1:{listener.getsockname()[1]}/data"}

    for manner in ("new", "over"):
        taken = []
        with socket.create_server(("127.0.0.1", 0)) as listener, StubNameNode(answer) as stub:
            threading.Thread(target=take_some, args=[listener], daemon=True).start()
            refused("IO", stub.namenode_url, "create", "/x", tmp_path / "local", manner, timeout_ms=1500)
            listener.shutdown(socket.SHUT_RDWR)
        assert (len(taken) == 1) == (manner == "new")


@contextlib.contextmanager
def deaf():
    """The port of a listener whose queue is full: it answers no connection, as a machine that is switched off."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_machine_that_is_switched_off(hdfs, local):
    with deaf() as port:
        def answer(_method, path):
            if path.startswith("/data"):
                return 201, ""
            return 307, "", {"Location": f"{stub.namenode_url}/data" if "excluded" in path else f"http://127.0.0.1:{port}/x"}

        off = f"http://127.0.0.1:{port}"
        with StubNameNode(answer) as stub:
            done(stub.namenode_url, "create", "/x", local, "over", timeout_ms=15000)
        done([off, hdfs.namenode_url], "status", "/", timeout_ms=15000)
        assert presence([off, hdfs.namenode_url], "/", timeout_ms=15000) == "present"
        assert "no connection within" in refused("TIMEOUT", off, "status", "/", timeout_ms=3000)


@pytest.mark.parametrize("words", [["create", "/x", "LOCAL", "over"], ["read", "/x", 0, 10, "part"]], ids=["create", "read"])
def test_no_other_datanode_than_the_one_that_failed(local, words):
    """What a NameNode says when all it has is excluded must not be the end: the one may be back."""
    def answer(_method, path):
        if path.startswith("/data"):
            return 201, ""
        if "excludedatanodes" in path:
            return 403, remote_exception("IOException", "Failed to find datanode", "java.io.")
        tried = sum("excludedatanodes" in asked for _, asked in stub.asked)
        return 307, "", {"Location": f"{stub.namenode_url}/data" if tried else "http://127.0.0.1:1/x"}

    with StubNameNode(answer) as stub:
        done(stub.namenode_url, *(local if word == "LOCAL" else word for word in words))


def test_a_slow_node(hdfs):
    release = threading.Event()

    def answer(_method, _path):
        release.wait(60)
        return 503, ""

    with StubNameNode(answer) as slow:
        try:
            done([slow.namenode_url, hdfs.namenode_url], "status", "/", timeout_ms=4000)
            late = one(slow.namenode_url, "status", "/", timeout_ms=1000)
            assert late["code"] == "TIMEOUT" and 900 < late["ms"] < 10000
            asked = one([slow.namenode_url, hdfs.namenode_url], "presence", "/", timeout_ms=6000)
            assert asked["presence"] == "present"
        finally:
            release.set()


# ---- presence: contract of the provisioner, 5.2 ----


def presence(nodes, path, **more):
    return done(nodes, "presence", path, **more)["presence"]


def test_presence_on_a_real_hdfs(hdfs, standby):
    hdfs.write("/apps/a b+c.jar", b"x")
    for nodes in ([hdfs.namenode_url], [hdfs.namenode_url, standby.namenode_url], [standby.namenode_url, hdfs.namenode_url],
                  [NOBODY, hdfs.namenode_url], [hdfs.namenode_url, NOBODY]):
        assert presence(nodes, "/apps/a b+c.jar") == "present"
        assert presence(nodes, "/apps") == "present"  # folders count
        assert presence(nodes, "") == "present"
        assert presence(nodes, "/apps/none.jar") == "missing"
    for nodes in ([standby.namenode_url], [NOBODY], [NOBODY, NOBODY], [standby.namenode_url, NOBODY]):
        assert presence(nodes, "/apps") == "no active node"


def test_presence_asks_two_or_three_questions(standby):
    def answer(_method, path):
        return (500, jmx("active")) if path.startswith("/jmx") else (418, '{"FileStatus": {"fileId": null}}')

    with StubNameNode(answer) as active, StubStandby() as other:
        assert presence([other.namenode_url, active.namenode_url], "/a b/%2F", user="-") == "present"
        assert other.asked == [("GET", "/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus")]
        assert active.asked == [("GET", "/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus"),
                                ("GET", "/webhdfs/v1/a%20b/%252F?op=GETFILESTATUS")]


# ---- Kerberos ----


@pytest.fixture(scope="module")
def kdc(tmp_path_factory):
    with Kdc(tmp_path_factory.mktemp("kerberos") / "kdc") as kdc:
        yield kdc


@pytest.fixture(scope="module")
def secure(kdc, tmp_path_factory):
    """The web address of an HDFS with Kerberos, in which everybody may write."""
    with HdfsCluster(tmp_path_factory.mktemp("secure"), **kdc.hdfs()) as cluster:
        node = f"http://localhost:{cluster.web_port}"
        done(node, "mkdir", "/superuser", user="kerberos", environment=kdc.environment("hdfs/localhost"))
        yield node


def test_a_ticket_opens_a_secure_hdfs(kdc, secure, local):
    as_hdfs = {"user": "kerberos", "environment": kdc.environment("hdfs/localhost")}
    done(secure, "create", "/superuser/x", local, "new", **as_hdfs)
    assert done(secure, "read", "/superuser/x", 0, 7, "part", **as_hdfs)["data"] == "burning"
    assert done(secure, "status", "/superuser/x", **as_hdfs)["file"]["owner"] == "hdfs"
    assert presence(secure, "/superuser/x", **as_hdfs) == "present"
    done([NOBODY, secure], "list", "/", 10, **as_hdfs)


def test_the_ticket_says_who_it_is(kdc, secure, local):
    as_alice = {"user": "kerberos", "environment": kdc.environment("alice")}
    done(secure, "status", "/superuser", **as_alice)
    assert "user=alice" in refused("DENIED", secure, "create", "/superuser/y", local, "new", **as_alice)


def test_without_a_ticket_nobody_comes_in(kdc, secure):
    assert "HTTP 401" in refused("DENIED", secure, "status", "/", user="kerberos", environment=kdc.environment())
    assert "HTTP 401" in refused("DENIED", secure, "status", "/", user="hdfs")
    assert presence(secure, "/superuser", user="-") in ("no active node", "missing")


def test_a_kdc_that_is_silent_does_not_hold_up_the_loop(kdc, secure):
    """Tickets are asked for on another thread: the time of the operation holds all the same."""
    kdc.keytab("bob")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = kdc.write_conf("silent.conf", silent.getsockname()[1])
        process = tool(secure, "status", "/", user="kerberos", timeout_ms=1000, environment=kdc.environment("bob", conf))
        try:
            answer = json.loads(process.stdout.readline())
            assert answer["code"] in ("TIMEOUT", "DENIED") and answer["ms"] < 5000 * PATIENCE
        finally:
            process.kill()
            process.communicate()
