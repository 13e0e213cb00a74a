"""Starting, stopping, being killed, and what systemd is told."""
import contextlib
import json
import os
import signal
import socket
import time

import pytest

from conftest import LONG, UnixSession, until
from ring import (balanced, dead_letters, influx_sink, log_lines, now_ms, publish, rude_sink, small,
                  topic, wait_messages, wait_settled)
from rude_server import HANG, OK


class NotifySocket:
    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.05)
        self.seen = []

    def all(self):
        try:
            while True:
                self.seen += self.socket.recv(65536).decode().split("\n")
        except TimeoutError:
            pass
        return self.seen

    def until(self, words, seconds=15):
        until(lambda: any(x.startswith(words) for x in self.all()), seconds, f"systemd told {words}")


@pytest.mark.alone
def test_what_systemd_is_told(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    n = NotifySocket(bench.folder / "notify")
    g.env = {"NOTIFY_SOCKET": n.path, "WATCHDOG_USEC": "10000000"}
    g.start()
    n.until("READY=1")
    n.until("WATCHDOG=1")
    n.until("STATUS=", 20)
    g.signal(signal.SIGHUP)
    n.until("RELOADING=1")
    assert any(x.startswith("MONOTONIC_USEC=") for x in n.all())
    until(lambda: n.all().count("READY=1") == 2, 10, "ready again")
    began = time.monotonic()
    assert g.stop() == 0
    assert time.monotonic() - began < 8
    n.until("STOPPING=1")


def test_watchdog_starves_when_it_hangs(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    n = NotifySocket(bench.folder / "notify")
    g.env = {"NOTIFY_SOCKET": n.path, "WATCHDOG_USEC": "10000000"}
    g.start()
    n.until("WATCHDOG=1")
    g.signal(signal.SIGSTOP)
    n.all()
    before = n.all().count("WATCHDOG=1")
    time.sleep(2.5)
    assert n.all().count("WATCHDOG=1") == before
    g.signal(signal.SIGCONT)
    until(lambda: n.all().count("WATCHDOG=1") > before, 10, "fed again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_with_everything_written(bench, broker, influx, number):
    g = small(bench, broker, [influx_sink(influx, batch={"age": "1s"})]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t + i, "level": 1}) for i in range(300)])
    wait_messages(g, 300)
    began = time.monotonic()
    g.signal(number)
    assert g.wait(10) == 0
    took = time.monotonic() - began

    def there():
        return sum(r["count"] for r in influx.query("SELECT count(level) FROM sump"))
    # a database is waited for for 3 s; of one that needs longer the rest waits in the log
    assert there() == 300 or took >= 3
    assert log_lines(g, "stopped")
    mark = len(g.text())
    g.start()
    assert "did not stop cleanly" not in g.text()[mark:]
    wait_settled(g, 300)
    assert there() == 300
    total = balanced(g)
    assert total["messages"]["received"] == 300 and total["messages"]["duplicate"] == 0


@pytest.mark.alone
def test_stops_with_the_database_away(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    influx.signal(signal.SIGSTOP)
    publish(broker, [(topic("s1"), {"ts": now_ms() - 1000 + i, "level": 1}) for i in range(100)])
    wait_messages(g, 100)
    began = time.monotonic()
    assert g.stop() == 0
    assert time.monotonic() - began < 15
    influx.signal(signal.SIGCONT)
    g.start()
    wait_settled(g, 100)
    assert influx.query("SELECT count(level) FROM sump")[0]["count"] == 100


@pytest.mark.alone
def test_the_mark_of_a_clean_stop_is_the_last(bench, broker, rude):
    """While the last lines are posted it still answers, and takes nothing any more."""
    g = small(bench, broker, [rude_sink(rude)]).start()
    publish(broker, [(topic("s1"), b"{oops")])
    dead_letters(g, 1)
    rude.answer = lambda r: HANG
    publish(broker, [(topic("s1"), {"ts": now_ms(), "level": 1})])
    g.until(lambda: g.status()["sinks"][0]["pending_lines"] > 0, 10, "lines wait")
    line = json.dumps({"topic": topic("s1"), "wall_ns": 1, "payload_base64": "e30="}).encode()
    g.signal(signal.SIGTERM)
    g.until_log("stopping", 10)
    answers = []
    with contextlib.suppress(OSError, IndexError):  # until it has ended
        while True:
            answers.append(UnixSession(g.socket).request("POST", "/api/v1/dead/replay")[0])
            answers.append(UnixSession(g.socket).request("POST", "/api/v1/journal/replay", line)[0])
            answers.append(UnixSession(g.socket).request("POST", "/api/v1/alerts/x/ack", b"{}")[0])
            time.sleep(0.1)
    assert g.wait(20) == 0
    assert len(answers) > 6 and set(answers) == {503}, answers
    mark = len(g.text())
    rude.answer = lambda r: OK
    g.start()
    assert "did not stop cleanly" not in g.text()[mark:]


@pytest.mark.alone
def test_stops_with_the_broker_away(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    broker.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert g.stop() == 0
    assert time.monotonic() - began < 15


@pytest.mark.alone
def test_killed_and_subscribed_again(bench, influx):
    broker = bench.mosquitto("max_queued_messages 100000")
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 60000
    total = 40000 if LONG else 8000
    for first in range(0, total, 2000):
        publish(broker, [(topic("s1"), {"ts": t + first + i, "level": 1}) for i in range(2000)])
    g.kill()
    mark = len(g.text())
    began = time.monotonic()
    g.start(ready=False)
    until(lambda: g.status()["brokers"][0]["connected"], 10, "connected")
    until(g.ready, 10, "subscribed")
    assert time.monotonic() - began < 4
    assert "did not stop cleanly" in g.text()[mark:]
    g.until(lambda: influx.query("SELECT count(level) FROM sump")[0]["count"] == total, 30, "all")
    wait_settled(g)
    balanced(g)
    mark = len(g.text())
    assert g.stop() == 0
    g.start()
    assert "did not stop cleanly" not in g.text()[mark:]


def test_stale_socket_of_a_killed_one_is_replaced(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    g.kill()
    assert os.path.exists(g.socket)
    g.start()
    assert g.unix().request("GET", "/healthz")[0] == 200
    mode = os.stat(g.socket).st_mode & 0o777
    assert mode & 0o007 == 0, oct(mode)
