"""Quotas: full logs pause or shed, and nothing is lost that was not counted."""
import base64
import random

from conftest import until
from ring import (balanced, came_in, influx_sink, log_lines, now_ms, publish, rude_sink, small, topic,
                  wait_messages, wait_settled)
from rude_server import OK


def words(i):
    """Text that does not compress."""
    return base64.b64encode(random.Random(i).randbytes(2250)).decode()


def feed(broker, t, first, n):
    publish(broker, [(topic("s1"), {"ts": t + i, "level": 1, "firmware": words(i)})
                     for i in range(first, first + n)])


def test_pause_leaves_the_broker_and_comes_back(bench, rude):
    broker = bench.mosquitto("max_queued_messages 100000")
    g = small(bench, broker, [rude_sink(rude, on_full="pause", max_bytes="16MiB")],
              journal={"max_bytes": "64MiB", "segment_bytes": "4MiB"}).start()
    rude.answer = lambda r: (503, b"", {})
    t = now_ms() - 600_000
    n = 0

    def away_or_through():  # what it is given faster than it passes would fill its journal first
        s = g.status()
        return not s["brokers"][0]["connected"] or came_in(s, n)
    while g.status()["brokers"][0]["connected"]:
        feed(broker, t, n, 500)
        n += 500
        assert n < 40000, "it never paused"
        g.until(away_or_through, 20, "they are through, or it has left")
    assert any("on_full says pause" in p for p in g.status()["problems"])
    assert not g.ready()
    feed(broker, t, n, 500) # waits at the broker
    n += 500
    assert len(log_lines(g, "leaving the brokers")) == 1
    rude.answer = lambda r: OK
    wait_settled(g, n, 90)
    assert len(log_lines(g, "coming back to the brokers")) >= 1
    kept = {x.rsplit(" ", 1)[1] for r in rude.requests for x in r.lines if x.startswith("sump")}
    assert len(kept) == n
    total = balanced(g)
    assert total["sinks"]["db"]["shed"] == 0 and total["messages"]["decoded"] == n


def test_shed_is_counted_exactly(bench, rude):
    broker = bench.mosquitto("max_queued_messages 100000")
    g = small(bench, broker, [rude_sink(rude, on_full="shed", max_bytes="16MiB")]).start()
    rude.answer = lambda r: (503, b"", {})
    t = now_ms() - 600_000
    n = 0
    while g.status()["sinks"][0]["shed"] == 0:
        feed(broker, t, n, 500)
        n += 500
        wait_messages(g, n)
        assert n < 40000, "it never shed"
    feed(broker, t, n, 500)
    n += 500
    wait_messages(g, n)
    assert g.status()["brokers"][0]["connected"]
    taken = []

    def take(r):
        taken.append(r)
        return OK
    rude.answer = take
    wait_settled(g, n, 60)
    kept = {x.rsplit(" ", 1)[1] for r in taken for x in r.lines if x.startswith("sump")}
    total = balanced(g)  # of one moment: a minute's own metrics come at any time
    k, own = total["sinks"]["db"], total["points"]["own"]
    assert k["shed"] > 0 and k["refused"] == 0 and k["pending"] <= own
    assert n - len(kept) <= k["shed"] <= n - len(kept) + own
    assert k["accepted"] + k["shed"] + k["pending"] == n + own
    # the newest were kept
    assert f"{t + n - 1}000000" in kept
    assert log_lines(g, "shed") or log_lines(g, "given up")


def test_small_journal_with_the_database_down(bench, influx):
    """The outbound log takes what the database does not: the journal stays small."""
    broker = bench.mosquitto("max_queued_messages 100000")
    g = small(bench, broker, [influx_sink(influx)],
              journal={"max_bytes": "32MiB", "segment_bytes": "4MiB"}).start()
    influx.kill()
    t = now_ms() - 600_000
    total = 16 * 1000 # about 50 MB, more than the quota
    for first in range(0, total, 1000):
        feed(broker, t, first, 1000)
    wait_messages(g, total, 60)
    j = g.status()["journal"]
    assert j["bytes"] <= j["max_bytes"]
    influx.start(create=False)
    wait_settled(g, total, 60)
    until(lambda: influx.query("SELECT count(level) FROM sump")[0]["count"] == total, 20, "all")
    balanced(g)


def test_queue_that_is_longer_than_the_journal(bench, influx):
    """It comes faster than snapshots make room, and than the brokers are left: it waits."""
    broker = bench.mosquitto("max_queued_messages 100000", "max_queued_bytes 0",
                             "max_inflight_messages 100")
    g = small(bench, broker, [influx_sink(influx)], {"max_packet_bytes": "16KiB"},
              journal={"max_bytes": "4MiB", "segment_bytes": "1MiB"}).start()
    assert g.stop() == 0
    t = now_ms() - 600_000
    total = 2 * 1000 # about 6 MB
    for first in range(0, total, 1000):
        feed(broker, t, first, 1000)
    g.start()
    wait_settled(g, total, 90)
    assert g.running and balanced(g)["messages"]["decoded"] == total
    until(lambda: influx.query("SELECT count(level) FROM sump")[0]["count"] == total, 20, "all")
