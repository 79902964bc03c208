"""Posts to a Livy server that wants Kerberos tickets, from a real KDC; the Livy is a stand-in that checks them."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import until
from kerberos import REALM, Kdc
from provision import job_of, provision, unprovision
from test_provision_livy import job

pytestmark = pytest.mark.hadoop

gssapi = pytest.importorskip("gssapi", reason="checks tickets: apt install python3-gssapi")


class SecureLivy:
    """Answers 401 to whom it does not know; keeps (who, body) of the others."""

    def __init__(self, kdc):
        name = gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service)
        credentials = gssapi.Credentials(name=name, usage="accept", store={"keytab": str(kdc.keytab("HTTP/localhost"))})
        self.accepted, self.refused = [], 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kind, _, token = self.headers.get("Authorization", "").partition(" ")
                if kind != "Negotiate":
                    owner.refused += 1
                    return self.reply(401, "Negotiate")
                context = gssapi.SecurityContext(creds=credentials, usage="accept")
                answer = context.step(base64.b64decode(token))
                owner.accepted.append((str(context.initiator_name), self.path, json.loads(body)))
                return self.reply(201, "Negotiate " + base64.b64encode(answer or b"").decode())

            def reply(self, status, challenge):
                body = json.dumps({"id": len(owner.accepted)}).encode()
                self.send_response(status)
                self.send_header("WWW-Authenticate", challenge)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://localhost:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def kdc(tmp_path_factory):
    with Kdc(tmp_path_factory.mktemp("kerberos") / "kdc") as kdc:
        yield kdc


@pytest.fixture
def livy(kdc, monkeypatch):
    monkeypatch.setenv("KRB5_CONFIG", str(kdc.conf))
    livy = SecureLivy(kdc)
    yield livy
    livy.close()


def last_submission(server, d):
    return until(lambda: job_of(server, d)["lastSubmission"], 30, "what became of it")


def test_a_post_has_a_ticket(make_hearth, kdc, livy):
    server = make_hearth({"provision.livy_url": livy.url, "provision.kerberos": "true"}, fake_java=True,
                         environment=kdc.environment("alice")).start()
    for i in range(3):
        d = job(f"ticket{i}")
        provision(server, d)
        last = last_submission(server, d)
        assert (last["status"], last["batchId"]) == (201, i + 1), last
        who, path, body = livy.accepted[i]
        assert (who, path) == (f"alice@{REALM}", "/batches")
        assert body["file"] == "s3a://apps/load.jar" and body["name"].startswith(d.job)
        unprovision(server, d)
    assert len(livy.accepted) == 3, "each is posted once"


def test_the_original_s_variable_turns_it_on(make_hearth, kdc, livy):
    server = make_hearth(fake_java=True, environment={
        **kdc.environment("alice"), "CLOUDERA_MODE": "private", "LIVY_URL": livy.url, "SCHEDULER_PROP": "", "LOGIN_CONTEXT": "Client",
        "HDFS_NAMENODE0": "", "HDFS_NAMENODE1": "", "WEBHDFS_PORT": "", "WEBHDFS_PROTOCOL": "", "USE_KERBEROS_AUTH": "true"}).start()
    d = job("variable")
    provision(server, d)
    assert last_submission(server, d)["status"] == 201 and livy.accepted[0][0] == f"alice@{REALM}"


@pytest.mark.parametrize("settings", [{}, {"provision.kerberos": "true"}])
def test_without_a_ticket_it_is_refused(make_hearth, kdc, livy, settings):
    """Not asked for, or no credentials to get one with: the answer is told, and the post is not tried again."""
    server = make_hearth({"provision.livy_url": livy.url, **settings}, fake_java=True, environment=kdc.environment()).start()
    d = job("nobody")
    provision(server, d)
    last = last_submission(server, d)
    assert last["status"] in (0, 401) and last["batchId"] is None and last["message"]
    assert livy.accepted == [] and livy.refused <= 2
