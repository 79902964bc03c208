"""Many clients at once, on a small budget."""

import threading

import requests

from harness import FINAL, SANITIZED, fake, resident_bytes, until


def all_ended(server):
    return all(b["state"] in FINAL for b in server.get("/batches?size=100000").json()["sessions"])


def test_fifty_posts_by_fifty_connections_are_all_accepted_and_run_in_20_mb(make_hearth):
    server = make_hearth({"admission.running": "3"}, fake_java=True).start()
    answers, gate = [], threading.Barrier(50)

    def post():
        gate.wait()
        answer = requests.post(server.url + "/batches", json=fake("sleep", 0.05), timeout=60)
        answers.append((answer.status_code, answer.json().get("id")))

    threads = [threading.Thread(target=post) for _ in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(answers) == [(201, i) for i in range(50)]
    most = 0

    def ended():
        nonlocal most
        most = max(most, resident_bytes(server.pid))
        running = server.status()["admission"]["running"]
        assert running <= 3, running
        return all_ended(server)

    until(ended, 60, "all fifty to end")
    assert {b["state"] for b in server.get("/batches").json()["sessions"]} == {"success"}
    assert SANITIZED or most < 20 << 20, most


def test_five_hundred_idle_connections_do_not_keep_others_out(plain):
    import wire

    idle = []
    try:
        for _ in range(500):
            idle.append(wire.connect(plain))
        assert plain.get("/version").status_code == 200
        assert SANITIZED or resident_bytes(plain.pid) < 40 << 20
    finally:
        for s in idle:
            s.close()


def test_more_connections_than_the_limit_do_not_hang_the_server(make_hearth):
    import wire

    server = make_hearth({"server.connections": "50"}, fake_java=True).start()
    idle = [wire.connect(server) for _ in range(80)]
    for s in idle:
        s.close()
    until(lambda: server.get("/version", timeout=5).status_code == 200, 10, "an answer")
