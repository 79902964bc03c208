"""The look for a job's file in a real HDFS, of which one NameNode is active and the other a stand-in that is standby."""

import pytest

import hdfs
from harness import program, until
from provision import Descriptor, ask, errors, provision, read, refused, rules, unprovision, wait_runs

pytestmark = pytest.mark.hadoop


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with hdfs.HdfsCluster(tmp_path_factory.mktemp("hdfs")) as cluster:
        cluster.write("/apps/load.jar", b"PK")
        cluster.write("/apps/with blank, ü & 100%.jar", b"PK")
        cluster.make_folder("/apps/lib")
        yield cluster


@pytest.fixture(scope="module")
def standby(cluster):
    with hdfs.StubStandby(port=cluster.web_port) as standby:
        yield standby


def knowing(*nodes):
    return {"provision.namenodes": ",".join(nodes)}


@pytest.fixture(scope="module", params=["active first", "standby first"])
def server(request, module_hearth, cluster, standby):
    urls = [cluster.namenode_url, standby.namenode_url]
    return module_hearth(knowing(*(urls if request.param == "active first" else reversed(urls))), fake_java=True)


def found(server, jar):
    return errors(server, Descriptor(jar=jar))


@pytest.mark.parametrize("jar", ["hdfs://ns1/apps/load.jar", "hdfs:///apps/load.jar", "hdfs:/apps/load.jar", "hdfs://ns1/apps%2Fload.jar",
                                 "hdfs://ns1/apps/load.jar?version=1", "hdfs://ns1/apps/with%20blank,%20%C3%BC%20&%20100%25.jar",
                                 "hdfs://ns1/apps/lib", "hdfs://ns1/apps/", "hdfs://ns1/", "hdfs://ns1"])
def test_files_and_folders_that_are_there(server, jar):
    assert found(server, jar) == []


@pytest.mark.parametrize("jar", ["hdfs://ns1/apps/other.jar", "hdfs://ns1/apps/load.jar/x", "hdfs://ns1/load.jar", "hdfs://ns1/APPS/load.jar",
                                 "hdfs://ns1/apps/with%20blank", "hdfs://ns1/apps/load.jar%3Fop=LISTSTATUS"])
def test_files_that_are_not(server, jar):
    assert found(server, jar) == rules(11)


def test_provisioning_looks_too(server, cluster):
    cluster.write("/apps/comes and goes.jar", b"PK")
    d = Descriptor("goes", cron="0 30 2 * * ?", jar="hdfs://ns1/apps/comes%20and%20goes.jar")
    provision(server, d)
    cluster.remove("/apps/comes and goes.jar")
    assert refused(server, "provision", d) == refused(server, "unprovision", d) == rules(11)
    cluster.write("/apps/comes and goes.jar", b"PK")
    unprovision(server, d)


def test_the_uri_of_the_cluster_itself(server, cluster):
    assert found(server, cluster.uri("/apps/load.jar")) == []


def test_one_node_is_down(module_hearth, cluster, standby):
    nowhere = "http://127.0.0.3:9"
    for urls in ((cluster.namenode_url, nowhere), (nowhere, cluster.namenode_url)):
        server = module_hearth(knowing(*urls), fake_java=True)
        assert found(server, "hdfs://ns1/apps/load.jar") == []
        assert found(server, "hdfs://ns1/apps/other.jar") == rules(11)
    server = module_hearth(knowing(nowhere, standby.namenode_url), fake_java=True)
    assert found(server, "hdfs://ns1/apps/load.jar") == rules(10, 11)


def test_both_nodes_are_down(module_hearth):
    server = module_hearth(knowing("http://127.0.0.3:9", "http://127.0.0.4:9"), fake_java=True)
    assert found(server, "hdfs://ns1/apps/load.jar") == rules(10, 11)
    assert read(ask(server, "validate", Descriptor()))["valid"] is True


def test_the_variables_of_the_original(module_hearth, cluster, standby):
    server = module_hearth(fake_java=True, environment={
        "CLOUDERA_MODE": "private", "LIVY_URL": "", "SCHEDULER_PROP": "", "LOGIN_CONTEXT": "", "HDFS_NAMENODE0": standby.host,
        "HDFS_NAMENODE1": cluster.host, "WEBHDFS_PORT": str(cluster.web_port), "WEBHDFS_PROTOCOL": "http", "USE_KERBEROS_AUTH": "false"})
    assert found(server, "hdfs://ns1/apps/load.jar") == []
    assert found(server, "hdfs://ns1/apps/other.jar") == rules(11)


@pytest.mark.spark
def test_a_program_in_hdfs_runs(make_hearth, cluster, standby, tmp_path):
    server = make_hearth(knowing(standby.namenode_url, cluster.namenode_url)).start()
    with open(program("word_count.py"), "rb") as file:
        cluster.write("/apps/word_count.py", file.read())
    (tmp_path / "text").write_text("one word\nis one")
    d = Descriptor("real", jar=cluster.uri("/apps/word_count.py"), args=[str(tmp_path / "text")])
    d.specific["className"] = ""
    provision(server, d)
    [run] = wait_runs(server, d.job, 1)
    assert server.wait_end_of(run["id"], 120)["state"] == "success", "\n".join(server.log(run["id"])[-60:])
    assert "one=2" in server.log(run["id"])
    until(lambda: read(server.get(f"/v1/scheduler/jobs/orders/{d.job}"))["lastSubmission"], 20, "what became of it")
    assert unprovision(server, d)["spark"]["file"] == cluster.uri("/apps/word_count.py")
