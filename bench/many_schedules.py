"""Schedules: 10,000 that fire in the same second; a server that has stored 1,000,000.

The first part posts 10,000 schedules with one fire time, the beginning of a minute, and looks into the database
afterwards: each has fired once, with an application of its own, and how late. Two of the applications are let run,
a program that sleeps; the others wait for their turn. The second part stores one schedule
and copies its row in the database, under other names and with other due times, until there are 1,000,000; it
starts the server on it, leaves it alone for a minute, and has 10,000 of them fire at the same time.
"""

import contextlib
import datetime
import os
import sqlite3
import threading
import time

import common
import requests
from harness import fake, until

AT_ONCE = 10_000
STORED = 1_000_000
POSTERS = 8
IDLE_S = 60
SETTINGS = {"admission.running": "2", "admission.queue": str(2 * AT_ONCE), "server.log_level": "info"}
# What a schedule of some length looks like; its row has about 900 bytes.
CONF = {f"spark.e2e.key{i}": "a value of some length" for i in range(8)}

# What the copies of a row have of their own. The first is due at :from, and each minute one more.
OF_COPIES = {
    "id": "first.id + i",
    "name": "name || '-' || i",
    "due_ms": ":from + (i * 7919 % :stored) * 60000",
    "progress": "json_set(progress, '$.nextMs', :from + (i * 7919 % :stored) * 60000)",
}


@contextlib.contextmanager
def database(server):
    db = sqlite3.connect(server.state_dir / "hearth.db", timeout=60, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def memory_mb(pid, word):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(word + ":")) * 1024 / 1e6


def processor_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def next_minute(lead_s):
    """The first beginning of a minute that is at least lead_s away."""
    return datetime.datetime.fromtimestamp((int(time.time() + lead_s) // 60 + 1) * 60, datetime.timezone.utc)


def post(server, http, name, when):
    body = {"name": name, "cron": f"0 {when.minute} {when.hour} {when.day} {when.month} ? {when.year}", "timeZone": "UTC",
            "batch": dict(fake("sleep", 3600), conf=CONF)}
    answer = http.post(server.url + "/hearth/schedules", json=body, timeout=60)
    assert answer.status_code == 201, answer.text


def post_all(server, when):
    def work(which):
        with requests.Session() as http:
            http.trust_env = False
            for i in range(which, AT_ONCE, POSTERS):
                post(server, http, f"at-once-{i}", when)

    posters = [threading.Thread(target=work, args=(i,)) for i in range(POSTERS)]
    for poster in posters:
        poster.start()
    for poster in posters:
        poster.join()


def wait_for_fires(server, at_ms, wanted):
    """When, after their time, the last of them was on disk, and the processor time that the server took for all."""
    with database(server) as db:
        def fired():
            return db.execute("SELECT count(*) FROM fire WHERE planned_ms = ?", (at_ms,)).fetchone()[0]

        time.sleep(max(0, at_ms / 1000 - time.time()))
        before = processor_s(server.pid)
        until(lambda: fired() >= wanted, 120, lambda: f"{wanted} fires, there are {fired()}")
        return time.time() - at_ms / 1000, processor_s(server.pid) - before


def fires(server, at_ms, wanted, what):
    """Figures of fires that were all planned for one moment."""
    on_disk_s, busy_s = wait_for_fires(server, at_ms, wanted)
    with database(server) as db:
        rows = db.execute("SELECT schedule, actual_ms, batch, state FROM fire WHERE planned_ms = ?", (at_ms,)).fetchall()
        batches = {row[0] for row in db.execute("SELECT id FROM application WHERE kind = 'batch'")}
    good = [row for row in rows if row[3] in ("running", "succeeded")]
    late = [row[1] - at_ms for row in good]
    missing = wanted - len({row[0] for row in good})
    double = len(rows) - len({row[0] for row in rows})
    yield common.Figure(f"{what}: missing", missing, "", "0", missing == 0)
    yield common.Figure(f"{what}: double", double, "", "0", double == 0)
    lost = wanted - len(batches & {row[2] for row in good})
    yield common.Figure(f"{what}: without an application of its own", lost, "", "0", lost == 0)
    yield common.Figure(f"{what}: earliest recorded start after the time", min(late), "ms", "≥ 0", min(late) >= 0)
    yield common.Figure(f"{what}: median recorded start after the time", common.median(late), "ms")
    yield common.below(f"{what}: last recorded start after the time", max(late), "ms", 1000)
    yield common.Figure(f"{what}: all on disk after the time", on_disk_s, "s")
    yield common.Figure(f"{what}: processor time of the server until then", busy_s, "s")


def measure_at_once():
    with common.server(SETTINGS) as server:
        when = next_minute(45)
        start = time.perf_counter()
        post_all(server, when)
        yield common.Figure(f"{AT_ONCE:,} schedules posted by {POSTERS} connections", AT_ONCE / (time.perf_counter() - start), "posts/s")
        assert time.time() < when.timestamp() - 2, "posting took too long"
        yield from fires(server, int(when.timestamp() * 1000), AT_ONCE, f"{AT_ONCE:,} at once")


def fill(server):
    """Copies of the one schedule there is, the first of them due in an hour; the size of the database."""
    with database(server) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(schedule)")]
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :stored) "
                   f"INSERT INTO schedule ({', '.join(columns)}) "
                   f"SELECT {', '.join(OF_COPIES.get(name, 'first.' + name) for name in columns)} FROM schedule AS first, n",
                   {"stored": STORED, "from": int(time.time() + 3600) * 1000})
        db.execute("UPDATE counter SET next = ? WHERE kind = 'schedule'", (STORED,))
        db.execute("COMMIT")
        assert db.execute("SELECT count(*) FROM schedule").fetchone()[0] == STORED
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return os.path.getsize(server.state_dir / "hearth.db") / 1e6


def make_due(server, when):
    """As many as fired at once before, from all over the database, get that fire time while the server is down."""
    at_ms = int(when.timestamp() * 1000)
    with database(server) as db:
        db.execute("UPDATE schedule SET due_ms = :at, progress = json_set(progress, '$.nextMs', :at) WHERE id % :each = 0",
                   {"at": at_ms, "each": STORED // AT_ONCE})
    return at_ms


def start_seconds(server):
    """From the start of the process to the first good answer of /readyz."""
    start = time.perf_counter()
    server.launch()
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(server.url + "/readyz", timeout=60, proxies={"http": ""}).status_code == 200:
                break
        assert server.process.poll() is None, server.stderr()
        time.sleep(0.005)
    taken = time.perf_counter() - start
    server.fds_at_start = server.fds()
    return taken


def measure_stored():
    with common.server(SETTINGS) as server:
        with requests.Session() as http:
            http.trust_env = False
            post(server, http, "stored", datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc))
        server.stop()
        yield common.Figure(f"{STORED:,} schedules: size of the database", fill(server), "MB")
        yield common.below("start to the first answer of /readyz", start_seconds(server), "s", 5)
        yield common.below("largest memory until then (VmHWM)", memory_mb(server.pid, "VmHWM"), "MB", 300)
        until(lambda: "the database was checked: no damage" in server.stderr(), 300, "the check of the database")
        yield common.below("largest memory with the check of the database (VmHWM)", memory_mb(server.pid, "VmHWM"), "MB", 300)
        yield common.below("resident memory after it (VmRSS)", memory_mb(server.pid, "VmRSS"), "MB", 300)
        before = processor_s(server.pid)
        time.sleep(IDLE_S)
        yield common.below(f"idle processor time in {IDLE_S} s", 100 * (processor_s(server.pid) - before) / IDLE_S, "%", 1)
        server.stop()
        when = next_minute(30)
        at_ms = make_due(server, when)
        yield common.below("start again to the first answer of /readyz", start_seconds(server), "s", 5)
        yield from fires(server, at_ms, AT_ONCE, f"{AT_ONCE:,} of {STORED:,} at once")
        yield common.below("largest memory then (VmHWM)", memory_mb(server.pid, "VmHWM"), "MB", 300)


def measure():
    yield from measure_at_once()
    yield from measure_stored()


if __name__ == "__main__":
    common.main(measure)
