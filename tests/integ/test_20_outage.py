"""The database goes away and comes back: nothing is lost, the newest goes first."""
import signal
import time

import pytest

from conftest import LONG, read_truth, until
from ring import (balanced, influx_sink, log_lines, now_ms, publish, rude_sink, small, topic,
                  wait_settled)
from rude_server import OK
from test_10_flow import samples_of, stored

AS_DEBIAN = ("max_queued_messages 1000", "max_inflight_messages 20")


def all_there(influx, feed):
    rows, lines = stored(influx)
    told = {(d, s["ts"]) for d, s in samples_of(read_truth(feed.truth))}
    kept = {(d, t) for d in rows for t in rows[d]}
    assert kept == told, (len(kept - told), len(told - kept))
    assert max(lines.values()) == 1


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_database_away_loses_nothing(bench, influx, how):
    broker = bench.mosquitto(*AS_DEBIAN)
    # Such a broker drops what 1,020 are ahead of. That is more than a gateway that a busy machine holds
    # up lets come together, and less than what comes while the database is away.
    rate, away = (2000, 60) if LONG else (100, 12)
    # one that is stopped is known by this only; one that writes slowly is not away
    timeout = "20s" if how == "stopped" else "60s"
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url}],
                     sinks=[influx_sink(influx, timeout=timeout)])
    city = bench.city(devices=400, compounds=4)
    city.registry(g.folder)
    g.configure().start()
    feed = city.feed(broker.url, "--rate", rate, "--truth-payload", "--drain", 30)
    g.until(lambda: g.status()["sinks"][0]["accepted"] > rate, 20, "it flows")
    if how == "stopped":
        influx.signal(signal.SIGSTOP)
    else:
        influx.kill()
    began = g.ledger()["total"]["messages"]["received"]
    g.until(lambda: g.ledger()["total"]["messages"]["received"] > began + rate * away * 0.9,
            away * 3, "messages come while the database is away")
    g.until(lambda: g.status()["sinks"][0]["state"] == "retrying", 20, "told")
    assert g.status()["state"] == "degraded"
    assert g.ready() # the database being away does not stop ingest
    if how == "stopped":
        influx.signal(signal.SIGCONT)
    else:
        influx.start(create=False)
    feed.signal(signal.SIGTERM)
    summary = feed.result()
    assert summary["acked"] == summary["sent"] and summary["disconnects"] == 0
    wait_settled(g, summary["acked"], 120)
    total = balanced(g)
    assert total["messages"]["received"] == summary["acked"]
    all_there(influx, feed)
    assert len(log_lines(g, "cannot write to")) == 1 + len(log_lines(g, "still cannot write"))
    assert len(log_lines(g, "writes to")) == 1
    assert "again after" in log_lines(g, "writes to")[0]


@pytest.mark.alone
def test_newest_first_while_the_backlog_drains(bench, rude):
    """A database that takes two small blocks in 100 ms: what is new does not wait for the old, of
    which there is more than five new values may take."""
    def down(_):
        return (503, b"", {})

    def slow(_):
        time.sleep(0.1)
        return OK
    broker = bench.mosquitto("max_queued_messages 100000")
    g = small(bench, broker, [rude_sink(rude, batch={"lines": 50, "age": "100ms"})]).start()
    rude.answer = down
    t0 = now_ms() - 3600_000
    for k in range(4):
        publish(broker, [(topic("s1"), {"ts": t0 + k * 5000 + i, "level": 1}) for i in range(2500)])
    g.until(lambda: g.status()["sinks"][0]["pending_lines"] >= 10000, 20, "a backlog")
    rude.answer = slow
    g.until(lambda: g.status()["sinks"][0]["accepted"] > 100, 60, "it writes again")
    delays = []
    for i in range(5):
        t, began = now_ms(), time.monotonic()
        publish(broker, [(topic("s2"), {"ts": t, "level": i})])
        until(lambda mark=f",device=s2 level={i} ": any(mark in x for r in rude.requests
                                                        for x in r.lines), 20, "the new value")
        delays.append(time.monotonic() - began)
    left = g.status()["sinks"][0]["pending_lines"]
    assert left > 1000, "the backlog was gone before: the test saw nothing"
    assert max(delays) < 1.5, delays
    rude.answer = lambda _: OK  # the rest is not what is measured
    wait_settled(g, 10005, 60)
    lines = {x for r in rude.requests if r.at > 0 for x in r.lines if x.startswith("sump")}
    assert len(lines) == 10005


def test_data_of_an_hour_ago_is_told_as_backfill(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 3 * 3600_000
    publish(broker, [(topic("s1"), {"ts": t, "level": 1})])
    wait_settled(g, 1)
    b = g.status()["sinks"][0]["backfill"]
    assert b and b["from_ms"] <= t <= b["to_ms"]
