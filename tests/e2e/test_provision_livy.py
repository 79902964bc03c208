"""Jobs that run elsewhere: with provision.livy_url their fires are posts to a Livy server, here a stand-in or another hearth."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import free_port, until
from provision import (DEFAULT_CONF, NEVER, Descriptor, completed, fire, instant, job_of, job_path, jobs, provision, run_time, runnable, runs,
                       seconds, trigger_of, unprovision, wait_runs, wait_used_up)

EVERY_SECOND = "* * * * * ?"
KEYS = ["file", "className", "args", "driverMemory", "driverCores", "executorMemory", "executorCores", "numExecutors", "conf", "name"]


class Livy:
    """Stands in for a Livy server: keeps what is posted, and answers (status, body) as it is told."""

    def __init__(self):
        self.posts = []
        self.open = threading.Event()  # while it is not set, no answer comes
        self.waiting = 0
        self.most = 0  # posts at the same time
        self.lock = threading.Lock()
        self.reset()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with owner.lock:
                    owner.posts.append((self.path, dict(self.headers), body))
                    number = len(owner.posts)
                    owner.waiting += 1
                    owner.most = max(owner.most, owner.waiting)
                owner.open.wait(60)
                with owner.lock:
                    owner.waiting -= 1
                status, answer = owner.answer(number)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_DELETE = do_POST

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self):
        self.posts.clear()
        self.most = 0
        self.answer = lambda number: (201, json.dumps({"id": number, "state": "starting"}).encode())
        self.open.set()

    def of(self, job):
        """The bodies that were posted for a job."""
        bodies = [json.loads(body) for _, _, body in list(self.posts)]
        return [body for body in bodies if body["name"].startswith(job + "-20")]

    def wait(self, job, count, timeout=30):
        until(lambda: len(self.of(job)) >= count, timeout, lambda: f"{count} posts of {job}; there are {self.posts}")
        return self.of(job)

    def close(self):
        self.open.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def livy():
    livy = Livy()
    yield livy
    livy.close()


@pytest.fixture(scope="module")
def server(module_hearth, livy):
    return module_hearth({"provision.livy_url": livy.url}, fake_java=True, environment={"TZ": "America/New_York"})


@pytest.fixture(autouse=True)
def fresh(livy):
    livy.reset()
    yield
    livy.open.set()


def job(name, cron=None, **more):
    return Descriptor(name, cron=cron, jar="s3a://apps/load.jar", **more)


def others_fire(server, livy, count=2):
    """Returns when another job has fired some times: what would have been posted meanwhile has been."""
    other = job("other", EVERY_SECOND, group="others", start=instant(time.time()))
    before = len(livy.of(other.job))
    provision(server, other)
    livy.wait(other.job, before + count + 1)
    unprovision(server, other)


def last_submission(server, d, after=None):
    return until(lambda: (last := job_of(server, d)["lastSubmission"]) != after and last, 30, f"what became of {d.job}")


def headers_of(post):
    return {name.lower(): value for name, value in post[1].items()}


# -- the request -----------------------------------------------------------------------------------------


def test_the_body_of_a_post(server, livy):
    d = job("whole", args=["--day", "yesterday"], driverCores=1, driverMemory="2g", executorCores="2", executorMemory="4g", numExecutors=3,
            logLevel="DEBUG")
    d.specific["queue"] = "root.sales"
    before = int(time.time())
    provision(server, d)
    livy.wait(d.job, 1)
    [(path, _, raw)] = livy.posts
    pairs = json.loads(raw, object_pairs_hook=list)
    assert path == "/batches"
    assert [key for key, _ in pairs] == [*KEYS, "queue"], "all of them, in this order"
    body = json.loads(raw)
    name = body.pop("name")
    assert body == {"file": "s3a://apps/load.jar", "className": "org.example.Load", "args": ["--day", "yesterday"], "driverMemory": "2g",
                    "driverCores": 1, "executorMemory": "4g", "executorCores": 2, "numExecutors": 3, "conf": DEFAULT_CONF,
                    "queue": "root.sales"}
    assert re.fullmatch(re.escape(d.job) + r"-\d{4}-\d\d-\d\d (0[1-9]|1[0-2]):\d\d:\d\d (AM|PM)", name), "a clock of twelve hours"
    assert before <= run_time(name) <= time.time() + 1, "UTC, whatever the server's zone"
    unprovision(server, d)


def test_the_headers_of_a_post(server, livy):
    provision(server, job("headers"))
    livy.wait("orders-headers-dev", 1)
    headers = headers_of(livy.posts[0])
    assert headers["content-type"] == "application/json; charset=UTF-8"
    assert headers["x-requested-by"] == "provisioner"
    assert headers["host"] == f"127.0.0.1:{livy.port}"
    assert "authorization" not in headers
    unprovision(server, job("headers"))


def test_what_is_not_given_has_defaults(server, livy):
    d = job("bare")
    d.specific.update(jobConfig=None, className="")
    provision(server, d)
    [body] = livy.wait(d.job, 1)
    assert list(body) == KEYS, "no queue, no jars"
    del body["name"]
    assert body == {"file": "s3a://apps/load.jar", "className": "", "args": [], "driverMemory": "1g", "driverCores": 1,
                    "executorMemory": "1g", "executorCores": 1, "numExecutors": 1, "conf": DEFAULT_CONF}
    unprovision(server, d)


def test_conf_and_dependencies_are_sent(server, livy):
    d = job("more", conf={"spark.sql.shuffle.partitions": "64", "a": ""}, dependencies=["hdfs://ns1/apps/lib/util.jar", "local:/x.jar"])
    provision(server, d)
    [body] = livy.wait(d.job, 1)
    assert body["conf"] == {**DEFAULT_CONF, "spark.sql.shuffle.partitions": "64", "a": ""}
    assert body["jars"] == ["hdfs://ns1/apps/lib/util.jar", "local:/x.jar"]
    assert [key for key in body if key != "jars"] == KEYS
    d.config["conf"] = {"dex.safariEnabled": "false"}
    provision(server, d)
    assert livy.wait(d.job, 2)[1]["conf"] == {"dex.safariEnabled": "false"}
    unprovision(server, d)


def test_strict_compatibility_sends_neither(module_hearth, livy):
    strict = module_hearth({"provision.livy_url": livy.url, "provision.strict_compat": "true"}, fake_java=True)
    d = job("strict", conf={"spark.sql.shuffle.partitions": "64"}, dependencies=["hdfs://ns1/apps/lib/util.jar"])
    created = provision(strict, d)
    [body] = livy.wait(d.job, 1)
    assert list(body) == KEYS and body["conf"] == DEFAULT_CONF
    assert created["spark"]["jars"] == ["util.jar"] and created["spark"]["conf"] == DEFAULT_CONF


def test_texts_are_sent_as_they_are(server, livy):
    d = job("texts", args=["ü 日 🔥", '"\\\n', ""])
    d.specific["queue"] = "größe"
    provision(server, d)
    [body] = livy.wait(d.job, 1)
    assert (body["args"], body["queue"]) == (["ü 日 🔥", '"\\\n', ""], "größe")
    unprovision(server, d)


def test_a_base_url_with_a_path(module_hearth, livy):
    server = module_hearth({"provision.livy_url": livy.url + "/gateway/livy"}, fake_java=True)
    provision(server, job("path"))
    livy.wait("orders-path-dev", 1)
    assert livy.posts[0][0] == "/gateway/livy/batches"


def test_nothing_is_posted_before_the_time(server, livy):
    d = job("waits", NEVER)
    provision(server, d)
    others_fire(server, livy)
    assert livy.of(d.job) == []
    assert server.get("/batches?size=0").json()["total"] == 0, "none of hearth's own either"
    unprovision(server, d)


def test_a_job_of_every_second(server, livy):
    start = int(time.time())
    d = job("often", EVERY_SECOND, start=instant(start), end=instant(start + 3))
    provision(server, d)
    bodies = livy.wait(d.job, 4)
    wait_used_up(server, d)
    times = sorted(run_time(body["name"]) - start for body in bodies)
    assert all(late >= i for i, late in enumerate(times)), f"none before its time: {times}"
    others_fire(server, livy)
    assert len(livy.of(d.job)) == 4
    unprovision(server, d)


def test_a_trigger_made_by_hand_posts(server, livy):
    d = job("hand", numExecutors=4)
    provision(server, d)
    livy.wait(d.job, 1)
    wait_used_up(server, d)
    fire(server, d)
    assert livy.wait(d.job, 2)[1]["numExecutors"] == 4
    unprovision(server, d)


# -- the answer ------------------------------------------------------------------------------------------


def test_the_answer_is_told(server, livy):
    livy.answer = lambda _: (201, b'{"id":4711,"state":"starting"}')
    d = job("answer")
    before = int(time.time())
    provision(server, d)
    last = last_submission(server, d)
    assert set(last) == {"time", "status", "batchId", "message"}
    assert (last["status"], last["batchId"]) == (201, 4711)
    assert before <= seconds(last["time"]) <= time.time() + 1
    assert last["message"] is None or isinstance(last["message"], str)
    unprovision(server, d)


@pytest.mark.parametrize("status, body", [
    (400, b'{"msg":"no such queue"}'), (401, b""), (403, b"Missing Required Header for CSRF protection."), (404, b"<html>"), (429, b"{}"),
    (500, b'{"msg":"it broke"}'), (503, b"busy"), (200, b"[]"), (201, b"no json"), (201, b'{"id":"x"}'), (201, b'{"id":99999999999999999999}'),
    (201, b"\xff\xfe"), (201, b"[" * 100_000), (204, b""),
])
def test_an_answer_of_any_kind_is_no_reason_to_try_again(server, livy, status, body):
    livy.answer = lambda _: (status, body)
    d = job("refused")
    provision(server, d)
    last = last_submission(server, d)
    assert (last["status"], last["batchId"]) == (status, None)
    assert livy.wait(d.job, 1)
    wait_used_up(server, d)
    assert job_of(server, d)["triggers"] == []
    unprovision(server, d)
    livy.answer = lambda _: (201, b'{"id":1}')
    others_fire(server, livy, 1)
    assert len(livy.of(d.job)) == 1


def test_refusals_leave_the_schedule_as_it_is(server, livy):
    livy.answer = lambda _: (500, b"")
    d = job("goes-on", EVERY_SECOND, start=instant(time.time()))
    provision(server, d)
    livy.wait(d.job, 3)
    assert trigger_of(server, d)["state"] == "NORMAL"
    unprovision(server, d)


def test_nobody_there(module_hearth):
    """No try again either; the job goes on with its schedule."""
    server = module_hearth({"provision.livy_url": f"http://127.0.0.1:{free_port()}"}, fake_java=True)
    server.expect_error("")
    once, often = job("once"), job("often", EVERY_SECOND, start=instant(time.time()))
    provision(server, once)
    last = last_submission(server, once)
    assert (last["status"], last["batchId"]) == (0, None) and last["message"]
    provision(server, often)
    for _ in range(2):
        last = last_submission(server, often, after=last)
        assert (last["status"], last["batchId"]) == (0, None) and last["message"]
    assert trigger_of(server, often)["state"] == "NORMAL"
    assert job_of(server, once)["triggers"] == []
    unprovision(server, often)


def test_a_livy_that_hangs_up(server, livy):
    def cut(_):
        raise ConnectionError("as told")

    livy.answer = cut
    d = job("cut")
    provision(server, d)
    last = last_submission(server, d)
    assert (last["status"], last["batchId"]) == (0, None) and last["message"]
    livy.answer = lambda _: (201, b'{"id":1}')
    others_fire(server, livy, 1)
    assert len(livy.of(d.job)) == 1
    unprovision(server, d)


# -- under way -------------------------------------------------------------------------------------------


def test_a_job_is_running_while_its_post_is_under_way(server, livy):
    d = job("running")
    livy.open.clear()
    before = int(time.time())
    provision(server, d)
    livy.wait(d.job, 1)
    found = until(lambda: (j := job_of(server, d))["running"] and j, 20, "it to run")
    [execution] = found["executions"]
    assert set(execution) == {"fireInstanceId", "triggerName", "fireTime", "runTimeMs", "batchId"}
    assert execution["triggerName"] == d.job + "Trigger" and execution["batchId"] is None and execution["fireInstanceId"]
    assert before <= seconds(execution["fireTime"]) <= time.time() + 1 and execution["runTimeMs"] >= 0
    assert [j["name"] for j in jobs(server, state="running")] == [d.job]
    later = until(lambda: (e := job_of(server, d)["executions"][0])["runTimeMs"] > execution["runTimeMs"] and e, 20, "time to pass")
    assert later["fireInstanceId"] == execution["fireInstanceId"]
    livy.open.set()
    until(lambda: not job_of(server, d)["running"], 20, "it to end")
    assert job_of(server, d)["executions"] == [] == jobs(server, state="running")
    unprovision(server, d)


def test_posts_of_one_job_may_overlap(server, livy):
    livy.open.clear()
    d = job("overlap", EVERY_SECOND, start=instant(time.time()))
    provision(server, d)
    livy.wait(d.job, 3)
    until(lambda: len(job_of(server, d)["executions"]) >= 3, 20, "three executions")
    assert len({e["fireInstanceId"] for e in job_of(server, d)["executions"]}) == len(job_of(server, d)["executions"])
    unprovision(server, d)
    assert server.get(job_path(d.group, d.job)).status_code == 404
    livy.open.set()


def test_a_livy_that_is_slow_keeps_nobody_waiting(server, livy):
    livy.open.clear()
    d = job("slow")
    provision(server, d)
    livy.wait(d.job, 1)
    begun = time.monotonic()
    completed(server, "provision", job("quick", NEVER))
    completed(server, "unprovision", job("quick", NEVER))
    assert server.get("/health").status_code == 200
    assert time.monotonic() - begun < 5
    livy.open.set()
    unprovision(server, d)


def test_so_many_posts_at_a_time(module_hearth, livy):
    server = module_hearth({"provision.livy_url": livy.url, "provision.threads": "2"}, fake_java=True)
    livy.open.clear()
    made = [job(f"thread{i}") for i in range(6)]
    for d in made:
        provision(server, d)
    until(lambda: len(livy.posts) == 2, 20, "two posts")
    assert len(jobs(server, state="running")) == 2
    assert completed(server, "provision", job("more", NEVER))
    assert len(livy.posts) == 2
    livy.open.set()
    for d in made:
        livy.wait(d.job, 1)
    assert livy.most == 2 and len(livy.posts) == 6
    until(lambda: not jobs(server, state="running"), 20, "all of them to end")


def test_a_kill_while_a_post_is_under_way(make_hearth, livy):
    """It is not posted again: whether it arrived is not known."""
    server = make_hearth({"provision.livy_url": livy.url}, fake_java=True).start()
    livy.open.clear()
    d = job("kill")
    provision(server, d)
    livy.wait(d.job, 1)
    server.kill9()
    livy.open.set()
    server.start()
    until(lambda: not job_of(server, d)["running"], 20, "it to be over")
    others_fire(server, livy)
    assert len(livy.of(d.job)) == 1
    assert job_of(server, d)["triggers"] == []


# -- another hearth --------------------------------------------------------------------------------------


def test_another_hearth_runs_the_jobs(make_hearth):
    """One that protects itself against requests of web pages."""
    far = make_hearth({"auth.csrf": "true"}, fake_java=True).start()
    near = make_hearth({"provision.livy_url": far.url}, fake_java=True).start()
    d = runnable("far", "print", "from afar")
    provision(near, d)
    [run] = wait_runs(far, d.job, 1)
    assert far.wait_end_of(run["id"])["state"] == "success"
    assert "from afar" in far.log(run["id"])
    assert last_submission(near, d)["batchId"] == run["id"]
    assert runs(near, d.job) == []
