"""From the city to the databases: every acknowledged message once, with its values."""
import collections
import json

from conftest import until
from ring import balanced, influx_sink, kinds, wait_messages, wait_settled
from conftest import read_truth


def samples_of(truth):
    """(device, sample) of every acknowledged message."""
    for device, *_, payload in truth:
        body = json.loads(payload)
        for s in body if isinstance(body, list) else [body]:
            yield device, s


def stored(influx):
    """{device: {time: {field: value}}} good and bad joined, {(device, time): lines of a kind}"""
    rows = collections.defaultdict(lambda: collections.defaultdict(dict))
    lines = collections.Counter()
    for m in influx.query("SHOW MEASUREMENTS"):
        name = m["name"]
        if name.startswith("gaihou_"):
            continue
        for r in influx.query(f'SELECT * FROM "{name}"'):
            kind = r["measurement"].removesuffix("_bad")
            lines[(r["device"], r["time"], name, r.get("reason"))] += 1
            at = rows[r["device"]][r["time"]]
            at.update({k: v for k, v in r.items() if v is not None})
            at["kind"] = kind
    return rows, lines


def same(said, kept):
    if isinstance(said, bool) or isinstance(kept, bool):
        return bool(said) == kept
    if isinstance(said, (int, float)) and isinstance(kept, (int, float)):
        return abs(said - kept) <= 1e-12 * max(abs(said), abs(kept))
    return said == kept or isinstance(kept, str) # an enumeration's code is told by its name


def test_every_acknowledged_message_is_in_influx_once(bench, broker, influx):
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url}], sinks=[influx_sink(influx)])
    city = bench.city(devices=150, compounds=4)
    city.registry(g.folder)
    g.configure().start()
    feed = city.feed(broker.url, "--rate", 3000, "--messages", 6000, "--truth-payload", "--batch",
                     5, "--clockless", 20)
    assert feed.result()["acked"] == 6000
    status = wait_settled(g, 6000)
    assert status["state"] == "ok" and status["problems"] == []
    # the city speaks the catalogue's words, within its ranges
    assert status["engine"]["fields_unknown"] == status["engine"]["fields_bad"] == 0
    total = balanced(g)
    assert total["messages"]["received"] == total["messages"]["decoded"] == 6000
    sums = total["sinks"]["influx"]
    # of our own metrics a minute's may have come since
    assert sums["accepted"] + sums["pending"] == total["points"]["made"] + total["points"]["own"]
    assert sums["pending"] <= total["points"]["own"] and sums["refused"] == sums["shed"] == 0
    truth = read_truth(feed.truth)
    registry = kinds(g.folder)
    rows, lines = stored(influx)
    assert max(lines.values()) == 1
    by_seq = {(d, r["report_seq"]): r for d in rows for r in rows[d].values()
              if r.get("report_seq") is not None}
    n = 0
    for device, s in samples_of(truth):
        row = rows[device].get(s["ts"]) if s.get("ts") else by_seq.get((device, s["report_seq"]))
        assert row, (device, s)
        assert row["kind"] == registry[device]["kind"]
        assert row["compound"] == registry[device]["compound"]
        assert (row.get("building") or "") == registry[device]["building"]
        for key, value in s.items():
            if key != "ts" and value is not None:
                kept = row.get(key, row.get(key + "_raw"))
                assert kept is not None and same(value, kept), (device, key, value, row)
        n += 1
    assert n == sum(len(r) for r in rows.values())


def test_schema(bench, broker, influx):
    from ring import now_ms, publish, small, topic
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 10000
    publish(broker, [
        (topic("s1"), {"ts": t, "level": 1, "pump_on": True, "pump_starts": 7, "firmware": "v1 二"}),
        (topic("s1"), {"ts": t + 1, "level": 9.5, "pump_on": False}),
        (topic("s2"), {"ts": t, "level": "wet"}),
        (topic("lift1", "c2"), {"ts": t, "state": "maintenance"})])
    wait_settled(g, 4)
    until(lambda: influx.query("SELECT * FROM gaihou_gateway"), 20, "own metrics")
    tags = collections.defaultdict(set)
    for r in influx.query("SHOW TAG KEYS"):
        tags[r["measurement"]].add(r["tagKey"])
    assert tags["sump"] == {"compound", "building", "device", "point"}
    assert tags["sump_bad"] == {"compound", "building", "device", "point", "reason"}
    assert tags["elevator"] == {"compound", "building", "device"}
    assert tags["gaihou_place"] == {"city", "district", "street", "community", "grid", "firm",
                                    "kind", "compound", "compound_now", "building", "device"} - {"city"}
    assert {"gateway", "lane"} <= tags["gaihou_gateway"]
    types = {(r["measurement"], r["fieldKey"]): r["fieldType"]
             for r in influx.query("SHOW FIELD KEYS")}
    assert types[("sump", "level")] == "float" and types[("sump", "pump_on")] == "boolean"
    assert types[("sump", "pump_starts")] == "integer" and types[("sump", "firmware")] == "string"
    assert types[("sump_bad", "level")] == "float" and types[("sump_bad", "level_raw")] == "string"
    assert types[("elevator", "state")] == "string"
    good = {(r["device"], r["time"]): r for r in influx.query("SELECT * FROM sump")}
    assert set(good) == {("s1", t), ("s1", t + 1)}
    one = good[("s1", t)]
    assert (one["level"], one["pump_on"], one["pump_starts"], one["firmware"]) == (1, True, 7,
                                                                                   "v1 二")
    assert one["point"] == "pit" and good[("s1", t + 1)]["level"] is None
    bad = {r["device"]: r for r in influx.query("SELECT * FROM sump_bad")}
    assert (bad["s1"]["level"], bad["s1"]["reason"]) == (9.5, "range")
    assert (bad["s2"]["level_raw"], bad["s2"]["reason"]) == ("wet", "type")
    # (each also once a day, at a minute of its own)
    until(lambda: len({r["device"] for r in influx.query("SELECT * FROM gaihou_place")}) == 4, 20,
          "places")
    place = {r["device"]: r for r in influx.query("SELECT * FROM gaihou_place")}
    assert place["s1"]["compound_name"] == "一号院" and place["s1"]["lat"] == 29.5563
    assert place["s1"]["firm"] == "yulin" and place["s3"]["firm"] == "none"
    assert place["s3"]["lat"] is None and place["lift1"]["kind"] == "elevator"


def test_two_sinks_one_dead_the_other_unaffected(bench, broker, influx):
    vm = bench.victoria()
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url}],
                     sinks=[influx_sink(influx),
                            {"id": "vm", "type": "victoriametrics", "url": vm.url,
                             "batch": {"age": "100ms"}}])
    city = bench.city(devices=60)
    city.registry(g.folder)
    g.configure().start()
    influx.kill()
    feed = city.feed(broker.url, "--rate", 2000, "--messages", 2000, "--truth-payload")
    assert feed.result()["acked"] == 2000
    wait_messages(g, 2000)
    registry = kinds(g.folder)
    want = {}
    for device, s in samples_of(read_truth(feed.truth)):
        for key, value in s.items():
            if key != "ts" and isinstance(value, (int, float)):
                want[(registry[device]["kind"], key, device, s["ts"])] = float(value)

    def have():
        out = {}
        for series in vm.export('{device!=""}'):
            m = series["metric"]
            for t, v in zip(series["timestamps"], series["values"]):
                out[(m["__name__"], m["device"], t)] = v
        there = {k: out[(f"{k[0]}_{k[1]}", *k[2:])] for k in want
                 if (f"{k[0]}_{k[1]}", *k[2:]) in out}
        return there if len(there) == len(want) else None
    got = g.until(have, 30, "all numbers are in VictoriaMetrics")
    for k, v in want.items():
        assert abs(got[k] - v) <= 1e-9 * max(1, abs(v)), (k, v, got[k])
    # each has its own pace: the one that lives may be through before the other was asked
    g.until(lambda: requests_ready(g) == {"influx": "retrying", "vm": "ok"}, 20, "told")
    g.until(lambda: g.status()["sinks"][0]["pending_lines"] >= 2000, 20, "they wait")
    influx.start(create=False)
    g.until(lambda: drained(g.status()["sinks"][0]), 60, "the backlog drained")
    rows, _ = stored(influx)
    told = {(d, s["ts"]) for d, s in samples_of(read_truth(feed.truth))}
    kept = {(d, t) for d in rows for t in rows[d]}
    assert kept == told, (kept - told, told - kept)
    total = balanced(g)
    # strings are refused by VictoriaMetrics' sink and counted, or left out of the line: never lost
    vm_sums = total["sinks"]["vm"]
    assert vm_sums["made"] == vm_sums["accepted"] + vm_sums["refused"] + vm_sums["pending"]


def requests_ready(g):
    return g.get("/readyz")["sinks"]


def drained(sink):
    return sink["pending_lines"] == sink["open_lines"] == 0
