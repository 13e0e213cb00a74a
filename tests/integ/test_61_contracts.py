"""What others build upon is what the pages say: each key, metric, column and word; and what is
counted is exact over starts and kills."""
import json
import re
import time

import requests

from conftest import TOP
from ring import (balanced, influx_sink, now_ms, publish, quarantined, small, topic,
                  wait_messages, wait_settled)
from test_60_http import parse_prometheus

MAN = TOP / "daemon/man"
RULES = """version: 1
groups:
  - name: pits
    rules:
      - id: high
        kind: sump
        title: high
        action: look
        work: full
        levels: [{severity: major, when: level > 3 m, off: level < 2 m, for: 0s, off_for: 0s}]
        no_data: {after: 1h, policy: keep}
        flapping: off
"""


def page(name):
    """Text of a man page as people see it, roughly."""
    text = (MAN / name).read_text(encoding="utf-8")
    return re.sub(r"\\&|\\-", lambda m: "-" if m[0] == "\\-" else "", text)


def section(text, name):
    m = re.search(rf"^\.S[sh] {re.escape(name)}\n(.*?)(?=^\.S[sh] |\Z)", text, re.M | re.S)
    assert m, name
    return m[1]


def words_of(text):
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))


def keys_of(value, data=(), opaque=()):
    """Every member's name; below those named in `data` names are codes, ids and reasons, and what
    `opaque` ones hold another page says."""
    if isinstance(value, list):
        return {k for v in value for k in keys_of(v, data, opaque)}
    if not isinstance(value, dict):
        return set()
    out = set()
    for k, v in value.items():
        out.add(k)
        if k in data and isinstance(v, dict):
            out |= {x for inner in v.values() for x in keys_of(inner, data, opaque)}
        elif k not in opaque:
            out |= keys_of(v, data, opaque)
    return out


def alarmed(bench, broker, influx, **sections):
    g = small(bench, broker, [influx_sink(influx)], rules=["rules.yaml"],
              alerts={"broker": "main"}, **sections)
    (g.folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return g.start()


def test_http_pages_keys(bench, broker, influx):
    """What the interface answers stands in gaihou-http(7), each key of it."""
    g = alarmed(bench, broker, influx)
    publish(broker, [(topic("s1"), {"ts": now_ms() - 100, "level": 4, "nonsense": 1}),
                     (topic("x9"), {"level": 1}), (topic("s1"), b"{oops")])
    wait_settled(g, 3)
    quarantined(g, 1)
    g.until(lambda: g.get("/api/v1/alerts")["cases"], 10, "a case is open")
    g.until(lambda: g.get("/api/v1/dead")["dead"], 10, "a dead letter")
    case = g.get("/api/v1/alerts")["cases"][0]["case"]
    assert g.unix().request("POST", f"/api/v1/alerts/{case}/ack", b'{"by":"me"}')[0] == 200
    said = words_of(page("gaihou-http.7")) | {"influx"}
    data, opaque = {"sinks", "messages", "points", "refused_by", "fields_left_out", "stamps"}, {"state", "command", "reply"}
    for path in ("status", "ledger", "devices", "devices/s1", "compounds", "alerts",
                 f"alerts/{case}", "alerts/history", "quarantine", "quarantine/x9", "dead",
                 "dead/1"):
        answer = g.get("/api/v1/" + path)
        missing = {k for k in keys_of(answer, data, opaque)
                   if "{" not in k and k not in said}
        assert not missing, (path, missing)
    ready = requests.get(g.url + "/readyz", timeout=60).json()
    assert ready.keys() == {"ready", "sinks", "alerts"}


def test_metrics_page(bench, broker, influx):
    """/metrics and its section name the same metrics, with the same labels; docs/operations.md
    names only such."""
    g = alarmed(bench, broker, influx)
    publish(broker, [(topic("s1"), {"level": 1})])
    wait_settled(g, 1)
    families = parse_prometheus(requests.get(g.url + "/metrics", timeout=60).text)
    text = section(page("gaihou-http.7"), "Metrics")
    items = re.findall(r"^\.It Li (.*)$", text, re.M)
    listed = {}
    for item in items:
        names, _, labels = item.partition(" No ")
        for name in names.split(" , "):
            listed[name.strip()] = set(labels.strip("{}").split(",")) if labels else set()
    assert listed.keys() == families.keys()
    for name, (_, samples) in families.items():
        labels = {k for key in samples for k, _ in key}
        assert labels == listed[name] or (not samples), (name, labels, listed[name])
    named = set(re.findall(r"`(gaihou_[a-z_]+)[`{]",
                           (TOP / "docs/operations.md").read_text(encoding="utf-8")))
    own = {"gaihou_gateway", "gaihou_alert", "gaihou_open", "gaihou_place", "gaihou_ledger"}
    assert named and named - own <= families.keys()


def test_schema_page(bench, broker, influx):
    """Fields and tags of our own measurements stand in gaihou-schema(7), and nothing else does."""
    g = alarmed(bench, broker, influx)
    publish(broker, [(topic("s1"), {"level": 4})])
    wait_settled(g, 1)

    def there():
        rows = influx.query("SELECT * FROM gaihou_ledger LIMIT 1", epoch="ns")
        return bool(rows)
    g.until(there, 90, "a minute's ledger")
    text = page("gaihou-schema.7")
    for measurement in ("gaihou_ledger", "gaihou_gateway", "gaihou_place", "gaihou_alert"):
        said = words_of(section(text, measurement))
        keys = set()
        for what, column in (("FIELD", "fieldKey"), ("TAG", "tagKey")):
            rows = influx.query(f'SHOW {what} KEYS FROM "{measurement}"')
            keys |= {r[column] for r in rows}
        assert keys, measurement
        assert not keys - said, (measurement, keys - said)
    columns = {r["fieldKey"] for r in influx.query('SHOW FIELD KEYS FROM "gaihou_ledger"')}
    items = re.findall(r"^\.It Li ((?:.*\\\n)*.*)$", section(text, "gaihou_ledger"), re.M)
    listed = {w for item in items for w in re.findall(r"[a-z_]+", item.replace("\\\n", ""))}
    assert listed == columns


def test_journal_page():
    """Each type of record stands in docs/journal.md."""
    code = (TOP / "daemon/core/record.h").read_text(encoding="utf-8")
    types = re.findall(r"^\s*RECORD_[A-Z_]+ =\s*(\d+),", code, re.M)
    text = (TOP / "docs/journal.md").read_text(encoding="utf-8")
    assert len(types) >= 13
    assert not [n for n in types if f"\n| {n} | " not in text]


ALWAYS = re.compile(r"gaihou_(messages|points|fields_\w+|times|repeated_ids|strangers_not_told|"
                    r"rebirths_wished|clock_steps_doubted|dead_not_kept|quarantine_not_kept|"
                    r"sink_(made|accepted|refused|shed)|alarm_(?!adopted)\w+)_total$")


def lasting(g):
    return {(name, labels): v for name, samples in g.metrics().items() if ALWAYS.match(name)
            for labels, v in samples.items()
            if 'compound="-"' not in labels and not name.startswith("gaihou_sink_")}


def test_counters_go_on_over_kills(bench, influx):
    """Each thing is counted once, whatever a start passes again, with a snapshot and without."""
    broker = bench.mosquitto("log_type debug")
    g = alarmed(bench, broker, influx)
    for life in range(3):
        t = now_ms() - 100
        said = [(topic("s1"), {"ts": t + i, "level": 4 if i % 2 else 1}) for i in range(20)]
        said += [(topic("s2"), {"level": 77}), (topic("s2"), {"levle": 1}),
                 (topic("s2"), {"ts": 4102444800000, "level": 1}), (topic("s1"), b"{oops")]
        publish(broker, said)
        wait_settled(g, 24 * (life + 1))
        # what the broker had no word of comes again, and is counted as that
        g.until(lambda n=24 * (life + 1): broker.text().count("Received PUBACK from gaihou-test ") >= n, 20,
                "acknowledged")
        # what a broker may have kept, and has no time to be believed, is judged later, once
        g.until(lambda n=22 + 21 * life: g.metrics()["gaihou_alarm_evaluations_total"][""] >= n, 30,
                "judged")
        before = lasting(g)
        values = {k: v for (name, k), v in before.items() if name == "gaihou_fields_bad_total"}
        assert values['reason="range"'] == life + 1
        assert before["gaihou_alarm_transitions_total", 'told="yes"'] > 0
        if life == 1:
            assert g.stop() == 0  # with a snapshot
        else:
            g.kill()
        g.start()
        wait_settled(g)
        after = lasting(g)
        assert after == before, {k: (before.get(k), after.get(k)) for k in before.keys() | after.keys()
                                 if before.get(k) != after.get(k)}
    balanced(g)


def test_fields_left_out_are_counted(bench, broker, influx):
    """What a database of numbers does not get, and what no database would take, is counted by sink
    and reason: as many as the other database has texts that are no codes."""
    vm = bench.victoria()
    g = small(bench, broker, [influx_sink(influx), {"id": "vm", "type": "victoriametrics",
                                                    "url": vm.url, "batch": {"age": "100ms"}}])
    g.start()
    publish(broker, [(topic("s1"), {"level": 1, "firmware": "1.2"}),
                     (topic("s1"), {"level": 2, "firmware": "x" * 65536}),
                     (topic("s2"), {"firmware": "1.3"}),
                     (topic("s2"), {"level": "wet"})])
    wait_settled(g, 4)
    # (each also once a day, at a minute of its own)
    g.until(lambda: len({r["device"] for r in influx.query("SELECT * FROM gaihou_place")}) == 4, 20,
            "places")
    wait_settled(g)
    texts = 0
    for m in influx.query("SHOW MEASUREMENTS"):
        for field in influx.query(f'SHOW FIELD KEYS FROM "{m["name"]}"'):
            if field["fieldType"] == "string" and field["fieldKey"] != "uncertain":
                texts += influx.query(f'SELECT count("{field["fieldKey"]}") FROM "{m["name"]}"')[0]["count"]
    assert texts >= 3 + 4  # firmware twice, level_raw, and the places' own
    counted = {k: v for k, v in g.metrics()["gaihou_sink_fields_left_out_total"].items()}
    want = {("influx", "string"): 0, ("influx", "too_long"): 1, ("influx", "other"): 0,
            ("vm", "string"): texts + 1, ("vm", "too_long"): 0, ("vm", "other"): 0}
    assert counted == {f'sink="{s}",reason="{r}"': n for (s, r), n in want.items()}
    for sink in g.status()["sinks"]:
        assert sink["fields_left_out"] == {r: n for (s, r), n in want.items() if s == sink["id"]}
    assert balanced(g)["sinks"]["vm"]["refused_by"]["no_field"] == 2


def test_no_rate_of_earlier_lives(bench, broker, influx):
    """The first second of a start does not call rate what was counted ever."""
    g = small(bench, broker, [influx_sink(influx)]).start()
    publish(broker, [(topic("s1"), {"ts": now_ms() - 60000 + i, "level": 1}) for i in range(3000)])
    wait_settled(g, 3000)
    assert g.stop() == 0
    g.start()
    seen = []
    end = time.monotonic() + 3
    while time.monotonic() < end:
        s = g.status()
        seen.append((s["engine"]["points_rate"], s["sinks"][0]["rate"]))
        time.sleep(0.1)
    assert max(p for p, _ in seen) < 500 and max(k for _, k in seen) < 500, seen


def test_a_sink_that_is_added(bench, broker, influx):
    """A later sink gets what comes from its start on, and its account says what was before."""
    g = small(bench, broker, [influx_sink(influx)]).start()
    publish(broker, [(topic("s1"), {"ts": now_ms() - 60000 + i, "level": 1}) for i in range(200)])
    wait_settled(g, 200)
    assert g.stop() == 0
    second = bench.influx()
    g.configure(sinks=[influx_sink(influx), {**influx_sink(second), "id": "second"}]).start()
    publish(broker, [(topic("s2"), {"ts": now_ms() - 60000 + i, "level": 1}) for i in range(50)])
    wait_settled(g, 250)
    account = balanced(g)["sinks"]
    assert account["influx"]["before"] == 0 and account["second"]["before"] >= 200
    assert (account["second"]["before"] + account["second"]["made"] == account["influx"]["made"])
    assert second.query("SELECT count(level) FROM sump WHERE device='s2'")[0]["count"] == 50
    assert not second.query("SELECT count(level) FROM sump WHERE device='s1'")
    g.kill()
    g.start()
    wait_settled(g)
    again = balanced(g)["sinks"]["second"]
    assert again["before"] == account["second"]["before"]


def test_a_type_changes_when_nothing_waits(bench, broker):
    """Lines that wait are written for one kind of database: another would misread them."""
    here = {"id": "db", "type": "influxdb1", "url": "http://127.0.0.1:9", "database": "gaihou",
            "batch": {"age": "50ms"}}
    numbers = {"id": "db", "type": "victoriametrics", "url": "http://127.0.0.1:9"}
    g = small(bench, broker, [here]).start()
    publish(broker, [(topic("s1"), {"level": 1, "firmware": "1.2"})])
    wait_messages(g, 1)
    g.until(lambda: g.status()["sinks"][0]["pending_lines"] > 0, 10, "it waits")
    assert g.stop() == 0
    mark = len(g.text())
    g.configure(sinks=[numbers]).start(ready=False)
    assert g.wait(20) == 78
    said = g.text()[mark:]
    assert "sink db" in said and "lines wait" in said and "another id" in said
    influx = bench.influx()
    g.configure(sinks=[{**here, "url": influx.url}]).start()
    wait_settled(g)
    assert influx.query("SELECT firmware FROM sump")[0]["firmware"] == "1.2"
    assert g.stop() == 0
    victoria = bench.victoria()
    g.configure(sinks=[{**numbers, "url": victoria.url}]).start()
    assert g.status()["sinks"][0]["type"] == "victoriametrics"


def test_thousands_of_compounds(bench, broker, influx):
    """The gateway's own line and each compound's are written, however many they are."""
    n = 3000
    g = small(bench, broker, [influx_sink(influx)])
    (g.folder / "compounds.csv").write_text(
        "compound,name\n" + "".join(f"k{i},k{i}\n" for i in range(n)), encoding="utf-8")
    (g.folder / "devices.csv").write_text(
        "device,kind,compound\n" + "".join(f"d{i},sump,k{i}\n" for i in range(n)),
        encoding="utf-8")
    g.start()
    g.until(lambda: influx.query("SELECT last(unread) FROM gaihou_gateway"), 30, "our own")

    def compounds():
        rows = influx.query("SELECT last(received) FROM gaihou_ledger GROUP BY compound")
        return len(rows) == n + 1
    g.until(compounds, 30, "all of the ledger")
    g.until(lambda: g.status()["engine"]["lag_records"] == 0, 10, "passed")
    balanced(g)


def test_state_page():
    """Each member of a case's state stands in gaihou-mqtt(7), each word of it that the schema
    allows, and so for the other messages."""
    text = words_of(page("gaihou-mqtt.7"))
    for name in ("state", "reply", "snapshot", "status", "epoch"):
        schema = json.loads((TOP / f"docs/schemas/{name}.json").read_text(encoding="utf-8"))
        missing = schema["properties"].keys() - text
        assert not missing, (name, missing)
        for key, p in schema["properties"].items():
            enum = p.get("enum", p.get("items", {}).get("enum", []))
            lacks = {w for e in enum for w in str(e).split("-")} - text
            assert not lacks, (name, key, lacks)
