"""The provisioner as its callers see it: descriptors of data products, requests, and what is known of the answers.

    d = Descriptor("nightly", cron="0 30 2 * * ?")          # of the component urn:dmb:cmp:orders.nightly
    provision(server, d)                                    # must be accepted; the result, read
    errors(server, d)                                       # of /v1/validate: [] when it is valid
    d.config["executorMemory"] = "4g"; d.specific["queue"] = "root"; d.component, d.product, d.whole: all dicts
"""

import copy
import datetime
import hashlib
import json
import re
import threading
import time
from urllib.parse import quote

import hdfs
from harness import FINAL, program, until

DECODE = "Unable to decode the workload. Please check that all required fields have been provided"
DATES = 'startDate, endDate have to match the following pattern: "yyyy-MM-ddTHH:mm:ssZ"'
RULES = {
    1: "The provided component is not accepted by this provisioner",
    2: "Job name not valid",
    3: "If specified, driver cores must be a positive integer",
    4: "If specified, driver memory must be a positive integer followed by 'g' (e.g. 2g)",
    5: "If specified, executor cores must be a positive integer",
    6: "If specified, executor memory must be a positive integer followed by 'g' (e.g. 2g)",
    7: "If specified, num executors must be a positive integer",
    8: "Invalid cron expression",
    9: DATES,
    10: "Errors when connecting to hdfs NameNode",
    11: "Job Source application file not found",
}
NOT_IMPLEMENTED = {
    "error": "Endpoint not implemented", "userMessage": "The requested feature hasn't been implemented", "input": None,
    "inputErrorField": None, "moreInfo": {"problems": ["Endpoint not implemented"], "solutions": []},
}
GATEWAY = "Unable to execute provision service: Unable to complete provision. Component gateway error: "
MALFORMED = "The request body was malformed."
INVALID = "The request body was invalid. "

JMX = "/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus"
DEFAULT_CONF = {"dex.safariEnabled": "true"}
RUN_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [AP]M"
TOKEN = re.compile(r"[A-Za-z0-9_-]+")
NEVER = "0 0 0 1 1 ?"  # a cron text for jobs that shall not fire while a test runs, with a window far ahead
START, END = "2040-01-01T00:00:00Z", "2049-01-01T00:00:00Z"


def rules(*numbers):
    return [RULES[n] for n in numbers]


def job_name_of(rest, environment):
    """Each UTF-16 unit outside a-z, A-Z and 0-9 is one minus sign."""
    return "".join(c if re.fullmatch("[a-zA-Z0-9]", c) else "-" * (1 + (ord(c) > 0xFFFF)) for c in f"{rest}-{environment}")


class Descriptor:
    """One that is valid. Without a cron its job has no schedule. `jar` is one that is not checked, unless given."""

    def __init__(self, name="load", group="orders", cron=None, start=START, end=END, jar="local:/opt/apps/load.jar",
                 environment="dev", **config):
        rest = f"orders.{name}"
        self.specific = {
            "jobName": job_name_of(rest, environment), "jar": jar, "className": "org.example.Load", "queue": "",
            "jobConfig": config,
        }
        if cron is not None:
            config["schedule"] = {"cronExpression": cron, "startDate": start, "endDate": end}
        self.component = {
            "kind": "workload", "id": f"urn:dmb:cmp:{rest}", "name": name, "description": "loads what came in",
            "version": "0.1.0", "specific": self.specific,
        }
        self.product = {
            "id": "urn:dmb:dp:sales.orders.0", "name": group, "domain": "sales", "environment": environment,
            "version": "0.1.0", "dataProductOwner": "user:carla_example.org", "devGroup": "group:dev",
            "ownerGroup": "group:owners", "specific": {}, "components": [self.component],
        }
        self.whole = {"dataProduct": self.product, "componentIdToProvision": self.component["id"]}

    @property
    def config(self):
        return self.specific["jobConfig"]

    @property
    def schedule(self):
        return self.config["schedule"]

    @property
    def job(self):
        return self.specific["jobName"]

    @property
    def group(self):
        return self.product["name"]

    def text(self):
        return json.dumps(self.whole, ensure_ascii=False)

    def copy(self):
        return copy.deepcopy(self)


def runnable(name, *args, cron=None, **more):
    """A job that the fake java runs (see fake_java/bin/java)."""
    d = Descriptor(name, cron=cron, jar=program("fake.py"), args=[str(a) for a in args], **more)
    d.specific["className"] = ""
    return d


def request(descriptor, **fields):
    """The body of a ProvisioningRequest; the descriptor is one of ours, or text."""
    text = descriptor if isinstance(descriptor, str) else descriptor.text()
    return {"descriptorKind": "COMPONENT_DESCRIPTOR", "descriptor": text, "removeData": False, **fields}


# -- requests, and the shape of the answers --------------------------------------------------------------


def ask(server, what, descriptor, headers=None, **fields):
    """POST /v1/validate and so on."""
    path = what if what.startswith("/") else f"/v1/{what}"
    return server.post(path, json=request(descriptor, **fields), headers=headers)


def read(answer, status=200):
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


def read_validation(validation):
    """The errors of a ValidationResult, which is well formed."""
    assert list(validation) == ["valid", "error"], validation
    if validation["valid"] is True:
        assert validation["error"] is None
        return []
    assert validation["valid"] is False and list(validation["error"]) == ["errors"] and validation["error"]["errors"], validation
    return validation["error"]["errors"]


def errors(server, descriptor):
    return read_validation(read(ask(server, "validate", descriptor)))


def read_refusal(answer, status=400):
    """The messages of a RequestValidationError."""
    body = read(answer, status)
    assert set(body) == {"errors", "userMessage", "input", "inputErrorField", "moreInfo"}, body
    assert body["errors"] and all(isinstance(e, str) for e in body["errors"]), body
    return body["errors"]


def refused(server, what, descriptor):
    return read_refusal(ask(server, what, descriptor))


def failure(server, what, descriptor):
    """The text of a SystemError."""
    body = read(ask(server, what, descriptor), 500)
    assert set(body) == {"error", "userMessage", "input", "inputErrorField", "moreInfo"}, body
    return body["error"]


def read_status(status, expected="COMPLETED"):
    """The result of a ProvisioningStatus, which is well formed."""
    assert set(status) == {"status", "result", "info", "logs"}, status
    assert status["status"] == expected, status
    assert isinstance(status["result"], str)
    if status["info"] is not None:
        assert isinstance(status["info"]["publicInfo"], dict) and isinstance(status["info"]["privateInfo"], dict)
    for line in status["logs"] or []:
        assert {"timestamp", "level", "message"} <= set(line) <= {"timestamp", "level", "message", "phase"}, line
        assert line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR") and line["message"]
        datetime.datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00"))
    return status["result"]


def completed(server, what, descriptor, **fields):
    """The result document of an operation that must work."""
    return json.loads(read_status(read(ask(server, what, descriptor, **fields))))


def provision(server, descriptor, **fields):
    result = completed(server, "provision", descriptor, **fields)
    assert list(result) == ["createdJob", "destroyedJob"] and result["destroyedJob"] is None
    return result["createdJob"]


def unprovision(server, descriptor, **fields):
    result = completed(server, "unprovision", descriptor, **fields)
    assert list(result) == ["createdJob", "destroyedJob"] and result["createdJob"] is None
    return result["destroyedJob"]


def mount_of(job):
    return [{"resourceName": "mainres-" + hashlib.md5(job.encode()).hexdigest()}]


# -- jobs and their runs ---------------------------------------------------------------------------------


def job_path(group, name):
    return f"/v1/scheduler/jobs/{quote(group, safe='')}/{quote(name, safe='')}"


def trigger_path(group, name):
    return f"/v1/scheduler/triggers/{quote(group, safe='')}/{quote(name, safe='')}"


def job_of(server, d):
    return read(server.get(job_path(d.group, d.job)))


def trigger_of(server, d):
    return read(server.get(trigger_path(d.group, d.job + "Trigger")))


def has_trigger(server, d):
    answer = server.get(trigger_path(d.group, d.job + "Trigger"))
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200


def jobs(server, **params):
    body = read(server.get("/v1/scheduler/jobs", params=params))
    assert list(body) == ["jobs"]
    return body["jobs"]


def fire(server, d, expected=201):
    """A trigger made by hand."""
    return read(server.post(job_path(d.group, d.job) + "/triggers", json={}), expected)


def runs(server, job):
    """The batches of a job, the oldest first: those whose name is the job's and a time, and perhaps more where several are of one second."""
    named = re.compile(re.escape(job) + f"-{RUN_TIME}(\\W.*)?")
    batches = server.get("/batches", params={"size": 100000}).json()["sessions"]
    return sorted((b for b in batches if named.fullmatch(b["name"] or "")), key=lambda b: b["id"])


def wait_runs(server, job, count, timeout=60):
    """At least that many."""
    def enough():
        made = runs(server, job)
        return made if len(made) >= count else None

    return until(enough, timeout, lambda: f"{count} runs of {job}; there are {[b['name'] for b in runs(server, job)]}")


def wait_used_up(server, d, timeout=60):
    """Until the job's trigger has done all its fires."""
    until(lambda: not has_trigger(server, d), timeout, lambda: f"the last fire of {d.job}: {job_of(server, d)}")


def let_others_fire(server, count=2, end="2049-01-01T00:00:00Z", name="other"):
    """Returns when another job, of every second, has fired some times: what would have fired meanwhile has fired."""
    other = runnable(name, "exit", 0, group="others", cron="* * * * * ?", start=instant(time.time()), end=end)
    unprovision(server, other)
    before = len(runs(server, other.job))
    provision(server, other)
    wait_runs(server, other.job, before + count + 1)
    unprovision(server, other)


def ended(batch):
    return batch["state"] in FINAL


def instant(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text), text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def run_time(name):
    """The time in a batch's name, which is of a clock of twelve hours, in UTC."""
    text = re.search(RUN_TIME, name).group()
    read = datetime.datetime.strptime(text, "%Y-%m-%d %I:%M:%S %p").replace(tzinfo=datetime.timezone.utc)
    assert read.strftime("%Y-%m-%d %I:%M:%S %p") == text
    return read.timestamp()


# -- NameNodes -------------------------------------------------------------------------------------------


class NameNodes:
    """Two stand-ins for NameNodes; `states` and `files` say what they answer, `asked` what they were asked."""

    def __init__(self, hosts=("127.0.0.1", "127.0.0.2"), port=0):
        self.asked, self.nodes, self.hosts = [], {}, hosts
        self.open = threading.Event()  # while it is not set, no answer comes
        self.reset()
        self.port = port
        for node in range(2):
            self.start(node)
            self.port = self.nodes[0].web_port
        self.urls = [f"http://{host}:{self.port}" for host in hosts]

    def reset(self, *states, files=("/apps/load.jar",)):
        """states: of each node "active", "standby", or the (status, body) of its JMX page."""
        self.states = list(states or ("active", "standby"))
        self.files = {path: (200, json.dumps({"FileStatus": {"fileId": 16387, "type": "FILE"}})) for path in files}
        self.asked.clear()
        self.open.set()

    def start(self, node):
        if node not in self.nodes:
            self.nodes[node] = hdfs.StubNameNode(lambda _, path: self.answer(node, path), self.hosts[node], self.port)
            self.nodes[node].server.handle_error = lambda *_: None

    def stop(self, node):
        self.nodes.pop(node).stop()

    def close(self):
        self.open.set()
        for node in list(self.nodes):
            self.stop(node)

    def answer(self, node, path):
        if node not in self.nodes:
            raise ConnectionAbortedError("this connection has outlived its server")
        self.asked.append((node, path))
        self.open.wait(60)
        state = self.states[node]
        if path.startswith("/jmx"):
            return (200, hdfs.jmx(state)) if isinstance(state, str) else state
        missing = 404, hdfs.remote_exception("FileNotFoundException", "File does not exist", "java.io.")
        return self.files.get(path.partition("?")[0].removeprefix("/webhdfs/v1"), missing)
