"""The Grafana dashboard: its structure, and every query of it against a real influxd.

The database is filled by the real pipeline: broker, gaihoud, the city and devices of our own. Grafana
itself is not needed: its variables and macros are put in as it does. A query that fails, answers
nothing, or names what neither the catalogue nor gaihoud's own records have is a failure.
"""
import collections
import csv
import json
import math
import re
import subprocess
import time

import pytest
import yaml

import influxql
from conftest import TOP, Bench
from ring import wait_settled

GRAFANA = TOP / "config" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "gaihou.json").read_text(encoding="utf-8"))
CATALOG = yaml.safe_load((TOP / "config" / "catalog.yaml").read_text(encoding="utf-8"))
KINDS = {name: {m: d for use in ["device", *kind.get("use", [])]
                for m, d in CATALOG["common"][use].items()} | kind.get("metrics", {})
         for name, kind in CATALOG["kinds"].items()}
PANELS = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
VARIABLES = DASHBOARD["templating"]["list"]
TARGETS = [pytest.param(p, t, id=f"{p['id']}-{t['refId']}") for p in PANELS for t in p["targets"]]

# -- a compound whose devices say everything that the dashboard asks for ----------------------

COMPOUND, BUILDING, GATEWAY = "tuanjieba", "b1", "grafana-test"
PLACE = {"name": "团结坝小区", "city": "重庆市", "district": "nanan", "street": "longmenhao",
         "community": "longmenhao-9", "grid": "g07", "firm": "anju"}
STEP, SAMPLES = 30, 60  # half an hour
NEVER, SILENT, LOW, FLAT = "tjb-lamp-9", "tjb-lamp-4", "tjb-smoke-2", "tjb-sos-1"


def devices():
    """{device: (kind, building, what it says at step i, or None for nothing)}"""
    def wave(i, middle, swing, digits=3):
        return round(middle + swing * math.sin(i / 7), digits)

    out = {}
    for n in (1, 2):
        out[f"tjb-sump-{n}"] = ("sump", BUILDING, lambda i, n=n: {
            "level": wave(i, 0.6, 0.1 * n), "pump_on": i // 10 % 2 == 0, "pump_fault": n == 2})
        out[f"tjb-lift-{n}"] = ("elevator", BUILDING, lambda i, n=n: {
            "state": "stopped" if n == 2 and i > 40 else "normal", "floor": i % 6 + 1,
            "fault_code": "entrapment_at_level" if n == 2 and i > 40 else "none",
            "entrapment": n == 2 and i > 40})
        out[f"tjb-smoke-{n}"] = ("smoke", BUILDING, lambda i, n=n: {
            "alarm": n == 1 and i == 30, "concentration": wave(i, 0.05, 0.02),
            "battery_pct": 80 if n == 1 else 12.5})
        out[f"tjb-gas-{n}"] = ("gas", BUILDING, lambda i, n=n: {
            "alarm": n == 2 and i == 31, "lel": wave(i, 1.5, 0.4)})
    out["tjb-water-1"] = ("water-supply", BUILDING, lambda i: {
        "inlet_pressure": wave(i, 0.3, 0.02), "outlet_pressure": wave(i, 0.48, 0.02)})
    out["tjb-efire-1"] = ("electric-fire", BUILDING, lambda i: {
        "residual_current": wave(i, 120, 20, 1), "temp_a": 31.5})
    out[FLAT] = ("sos", BUILDING, lambda i: {"button": False, "battery_low": True})
    for n in (1, 2, 3, 4):
        out[f"tjb-lamp-{n}"] = ("lamp", "", lambda i, n=n: {
            "on": n != 3, "power": 58.5} if n < 4 or i < SAMPLES // 3 else None)
    out[NEVER] = ("lamp", "", lambda i: None)
    for n, state in enumerate(("charging", "available", "faulted"), 1):
        out[f"tjb-chg-{n}"] = ("charger", "", lambda i, s=state: {
            "state": s, "power": 6900.0 if s == "charging" else 0.0})
    out["tjb-shed-1"] = ("ebike-shed", "", lambda i: {"power": wave(i, 900, 100, 0)})
    for metric, of in (("water", 0.4), ("gas", 0.5), ("heat", 20), ("energy", 7)):
        out[f"tjb-meter-{metric}"] = ("meter", BUILDING, lambda i, m=metric, of=of: {
            m: round(1000 + i * of / 2880, 3)})
    out["tjb-env-1"] = ("environment", "", lambda i: {
        "temperature": wave(i, 21, 1, 1), "humidity": wave(i, 70, 5, 1), "pm25": wave(i, 40, 5, 0),
        "pm10": wave(i, 60, 5, 0), "noise": wave(i, 48, 4, 1)})
    return out


DEVICES = devices()
BAD = [  # device, metric, value, reason
    ("tjb-sump-1", "level", 99.0, "range"), ("tjb-sump-1", "level", "much", "type"),
    ("tjb-smoke-1", "temperature", 327.67, "sentinel"), ("tjb-lift-1", "state", "flying", "enum")]


def series_of(device, start_ms):
    """[(ms, {metric: value})…]: what the device says."""
    says = DEVICES[device][2]
    values = ((start_ms + i * STEP * 1000, says(i)) for i in range(SAMPLES))
    return [(ms, v) for ms, v in values if v is not None]


# -- filling, by the real pipeline -------------------------------------------------------------

def publish(broker, device, payload):
    topic = f"gaihou/v1/up/{COMPOUND}/{device}"
    words = ["-s"] if payload else ["-n"]
    subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", topic, *words],
                   input=payload.encode(), check=True, timeout=30)


def add_to_registry(folder):
    def append(name, rows):
        with open(folder / name, encoding="utf-8", newline="") as f:
            columns = next(csv.reader(f))
        with open(folder / name, "a", encoding="utf-8", newline="") as f:
            w = csv.DictWriter(f, columns, restval="", lineterminator="\n")
            w.writerows(rows)
    append("compounds.csv", [{"compound": COMPOUND, **PLACE, "lon": 106.58, "lat": 29.55,
                              "datum": "GCJ-02", "model": "专业物业", "tier": "规范型"}])
    append("devices.csv", [{"device": d, "source_id": f"src-{d}", "kind": kind,
                            "compound": COMPOUND, "building": building}
                           for d, (kind, building, _) in DEVICES.items()])


def fill_by_pipeline(bench, influx):
    broker = bench.mosquitto()
    g = bench.gaihou(gateway={"id": GATEWAY, "data_dir": str(bench.folder / "data")},
                     brokers=[{"id": "main", "url": broker.url}],
                     sinks=[{"id": "influx", "type": "influxdb1", "url": influx.url,
                             "database": influx.database}])
    city = bench.city()
    city.registry(g.folder)
    add_to_registry(g.folder)
    g.configure().start()

    def own(field):
        return [r[field] for r in influx.query(f'SELECT "{field}" FROM "gaihou_gateway"')]
    # the counters' first record must be there before anything is counted
    g.until(lambda: own("messages_s"), 30, "the gateway's own metrics are stored")
    # so many that every kind of device speaks, however fast this machine is
    feed = city.feed(broker.url, "--rate", 100, "--messages", 2000)
    start = (int(time.time()) - SAMPLES * STEP) * 1000
    said = [(device, json.dumps([{"ts": ms, **v} for ms, v in series_of(device, start)]))
            for device in DEVICES if series_of(device, start)]
    said += [("tjb-env-1", json.dumps([{"ts": ms, **v}
                                       for ms, v in series_of("tjb-env-1", start)[-3:]]))]
    said += [(device, json.dumps({"ts": start + 1000 + n, metric: value}))
             for n, (device, metric, value, _) in enumerate(BAD)]
    said += [("nobody-knows-me", '{"level": 1}'), ("tjb-env-1", '{"temperature": '), ("tjb-env-1", "")]
    for device, payload in said:
        publish(broker, device, payload)
    assert feed.result()["acked"] == 2000
    # … and another one after all of it, within a minute; the batch of samples said twice is one message
    wait_settled(g, 2000 + len(said), 90, again=1)
    before = len(own("messages_s"))
    g.until(lambda: len(own("messages_s")) > before, 90, "a further record of its own metrics")
    wait_settled(g, 2000 + len(said), again=1)
    g.until(lambda: influx.query('SELECT last("received") FROM "gaihou_ledger" '
                                 f"WHERE \"compound\" = '{COMPOUND}'")[0]["last"] > 0)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("grafana"))
    try:
        influx = bench.influx()
        fill_by_pipeline(bench, influx)
        yield influx
    finally:
        bench.close()


# -- what Grafana does with a query ------------------------------------------------------------

ONE = {"gateway": GATEWAY, "district": PLACE["district"], "street": PLACE["street"],
       "community": PLACE["community"], "compound": COMPOUND, "building": BUILDING}
ALL = ".*"
WHOLE = {**{name: ALL for name in ONE}, "compound": COMPOUND}


def interpolate(query, values, interval="1m"):
    """Variables and macros as Grafana puts them in (a time range of one hour)."""
    now = int(time.time() * 1000)
    values = {v["name"]: v["query"] for v in VARIABLES if v["type"] == "constant"} | values

    def put(m):
        name, how = m.groups()
        if how == "raw" or values[name] == ALL:  # a custom "all" value is not escaped
            return values[name]
        assert how == "regex", m.group(0)
        return re.sub(r"[\\^$*+?.()|{}\[\]/]", r"\\\g<0>", values[name])
    out = re.sub(r"\$\{(\w+):(\w+)\}", put, query)
    out = out.replace("$timeFilter", f"time >= {now - 3600_000}ms and time <= {now + 60_000}ms")
    out = out.replace("$__interval", interval)
    assert not re.search(r"\$[\w{]", out), f"not put in: {out}"
    return out


def ask(influx, query, values):
    """Rows that say something: more than their time, measurement and tags."""
    rows = influx.query(interpolate(query, values))
    labels = {"time", "measurement", "key", *ONE, "device", "point", "kind", "reason", "lane",
              "sink", "city", "grid", "firm"}
    return [r for r in rows if any(v is not None for k, v in r.items() if k not in labels)]


def target(title, ref="A"):
    panel, = [p for p in PANELS if p["title"] == title]
    return [t["query"] for t in panel["targets"] if t["refId"] == ref][0]


@pytest.mark.parametrize("panel, t", TARGETS)
def test_every_query_answers(database, panel, t):
    yard = "${building:regex}" not in t["query"]
    for values in (ONE, WHOLE):
        assert ask(database, t["query"], values), (
            f"{panel['title']} {t['refId']}: no series" + ("" if yard else f" in {values}") + ": "
            + interpolate(t["query"], values))


def test_variables_lead_to_the_compound(database):
    chosen = {}
    for v in [v for v in VARIABLES if v["type"] == "query"]:
        values = {**{name: ALL for name in ONE}, **chosen}
        options = [r["value"] for r in database.query(interpolate(v["query"], values))]
        assert ONE[v["name"]] in options, v["name"]
        assert len(options) == len(set(options))
        chosen[v["name"]] = ONE[v["name"]]
    elsewhere = {**WHOLE, "district": "no-such-district"}
    for name in ("street", "community", "compound"):
        query, = [v["query"] for v in VARIABLES if v["name"] == name]
        assert not database.query(interpolate(query, elsewhere)), name


def test_devices_are_counted_and_the_silent_ones_found(database):
    registered = {r["device"] for r in ask(database, target("最久未上报的设备"), WHOLE)}
    assert registered == set(DEVICES)
    assert ask(database, target("在册设备"), WHOLE)[0]["count"] == len(DEVICES)
    seen = {r["device"]: r["time"] for r in ask(database, target("最久未上报的设备", "B"), WHOLE)}
    assert registered - set(seen) == {NEVER}
    assert min(seen, key=seen.get) == SILENT
    assert max(seen.values()) - seen[SILENT] >= (SAMPLES // 2) * STEP * 1000
    by_kind = {r["measurement"]: r["count"]
               for r in ask(database, target("有上报的设备（按种类）"), WHOLE)}
    said = collections.Counter(kind for d, (kind, _, _) in DEVICES.items() if d != NEVER)
    assert by_kind == dict(said)
    assert sum(r["count"] for r in ask(database, target("有上报的设备"), WHOLE)) == len(seen)
    here = {r["device"] for r in ask(database, target("最久未上报的设备"), ONE)}
    assert here == {d for d, (_, building, _) in DEVICES.items() if building == BUILDING}


def test_figures(database):
    lit = [r["mean"] for r in ask(database, target("路灯亮灯率"), WHOLE)]
    assert lit[SAMPLES // 12] == 75 and lit[-2] == pytest.approx(200 / 3)
    assert {r["device"] for r in ask(database, target("电池电量低"), WHOLE)} == {LOW}
    assert {r["device"] for r in ask(database, target("电池电量低", "B"), WHOLE)} == {FLAT}
    assert {r["device"] for r in ask(database, target("电梯故障"), WHOLE)} == {"tjb-lift-2"}
    assert [r["device"] for r in ask(database, target("烟感与燃气报警"), WHOLE)] == ["tjb-smoke-1"]
    bad = collections.Counter()
    for r in ask(database, target("坏值（按原因）"), WHOLE):
        bad[r["reason"]] += r["count"]
    assert bad == {"range": 1, "type": 1, "sentinel": 1, "enum": 1}
    for ref, state in (("A", "充电中"), ("B", "空闲"), ("C", "故障")):
        assert {r["count"] for r in ask(database, target("充电桩状态", ref), WHOLE)} == {1}, state


def test_ledger_shows_what_became_of_messages(database):
    rows = {r["compound"]: r for r in ask(database, target("消息账目（按小区）"), ONE)}
    lost = collections.Counter()
    for r in rows.values():
        lost.update({k: r[k] for k in ("收到", "重复", "隔离", "死信", "忽略")})
    assert rows[COMPOUND]["收到"] > 0
    assert all(n > 0 for n in lost.values()), lost
    flow = ask(database, target("消息去向"), ONE)
    assert max(r["收到"] for r in flow) > 0
    assert ask(database, target("账目平衡"), ONE)[-1]["last"] == 1


# -- the files themselves ------------------------------------------------------------------------

def test_panels_are_told_apart_and_do_not_overlap():
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = {}
    for p in DASHBOARD["panels"]:
        g = p["gridPos"]
        assert g["x"] >= 0 and g["w"] > 0 and g["h"] > 0 and g["x"] + g["w"] <= 24, p["title"]
        for x in range(g["x"], g["x"] + g["w"]):
            for y in range(g["y"], g["y"] + g["h"]):
                assert (x, y) not in taken, f"{p['title']} lies on {taken[x, y]}"
                taken[x, y] = p["title"]
    assert all(p["title"] and p.get("description") for p in PANELS)
    titles = [p["title"] for p in PANELS]
    assert all(re.search(r"[\u4e00-\u9fff]", t) for t in titles) and titles
    for p in PANELS:
        refs = [t["refId"] for t in p["targets"]]
        assert len(refs) == len(set(refs)) and refs, p["title"]


def data_sources(node):
    if isinstance(node, dict):
        if "datasource" in node:
            yield node["datasource"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from data_sources(child)


def test_data_source_is_the_provisioned_one():
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/gaihou.yaml").read_text())
    source, = provisioned["datasources"]
    found = list(data_sources(DASHBOARD))
    assert found and all(d == {"type": source["type"], "uid": source["uid"]} for d in found)
    assert source["database"] == source["jsonData"]["dbName"] == "gaihou"
    assert "password" not in source
    provider, = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/gaihou.yaml").read_text())["providers"]
    assert provider["type"] == "file" and provider["options"]["path"].startswith("/var/lib/grafana")
    assert str(provider["options"]["path"]) in (TOP / "docs/grafana.md").read_text()
    assert DASHBOARD["uid"] == "gaihou" and "id" not in DASHBOARD


def test_variables_are_defined_before_they_are_used():
    known = set()
    for v in VARIABLES:
        used = set(re.findall(r"\$\{(\w+)", v["query"]))
        assert used <= known, f"{v['name']} uses {used - known}"
        known.add(v["name"])
    texts = json.dumps([t["query"] for p in PANELS for t in p["targets"]])
    used = set(re.findall(r"\$\{(\w+)", texts))
    assert used <= known
    assert not re.search(r"\$(?!timeFilter|__interval|\{\w+:(regex|raw)\}|/)", texts)
    kinds, = [v["query"] for v in VARIABLES if v["name"] == "kinds"]
    assert sorted(kinds.split("|")) == sorted(KINDS), "the kinds of the catalogue"


def own_fields():
    def read(path, pattern):
        return re.findall(pattern, (TOP / path).read_text(encoding="utf-8"))
    return {
        "gaihou_gateway": set(read("daemon/app/report_metrics.c", r'own_[ud]\(b, "(\w+)"')),
        "gaihou_ledger": {"_".join(x for x in c if x) for c in
                          read("daemon/core/ledger.h", r'X\(\w+, "(\w+)", "(\w*)"\)')},
        "gaihou_place": set(read("daemon/core/engine_place.c",
                                 r'(?:_field\(|\.key = )"(\w+)"')),
    }


TAGS = {"compound", "building", "device", "point"}  # of every series of a device
OWN_TAGS = {
    "gaihou_gateway": {"gateway", "lane", "sink"},
    "gaihou_ledger": {"gateway", "lane", "compound"},
    "gaihou_place": {"building", "city", "community", "compound", "compound_now", "compound_was",
                     "device", "district", "firm", "grid", "kind", "model", "street", "vendor"},
}


def schema():
    """{measurement: what it has}: the kinds of the catalogue, their bad values, our own."""
    out = {}
    for kind, metrics in KINDS.items():
        metrics = {**metrics, "uncertain": {"type": "string"}} # of the gateway, docs/time.md
        out[kind] = influxql.Table(metrics, TAGS)
        raw = {f"{m}_raw": {"type": "string"} for m in metrics}
        out[f"{kind}_bad"] = influxql.Table({**metrics, **raw}, TAGS | {"reason"})
    for name, fields in own_fields().items():
        out[name] = influxql.Table(dict.fromkeys(fields), OWN_TAGS[name])
    return out


def names_of(query):
    """(measurement, field) pairs that a query names; Wrong for what there is not."""
    constants = {v["name"]: v["query"] for v in VARIABLES if v["type"] == "constant"}
    raw = re.sub(r"\$\{(\w+):raw\}", lambda m: constants[m.group(1)], query)
    return influxql.Reader(raw, schema()).read()


def test_every_name_is_in_the_catalogue_or_our_own():
    asked, wrong = collections.defaultdict(set), []
    queries = [(v["name"], v["query"]) for v in VARIABLES if v["type"] == "query"]
    queries += [(f"{p['title']} {t['refId']}", t["query"]) for p in PANELS for t in p["targets"]]
    for title, query in queries:
        try:
            for measurement, field in names_of(query):
                asked[measurement].add(field)
        except influxql.Wrong as e:
            wrong.append(f"{title}: {e}")
    assert not wrong, wrong
    assert {"sump", "electric-fire", "gaihou_place", "gaihou_ledger"} <= set(asked)
    ledger = {"_".join(x) for x in re.findall(r'X\(\w+, "(dead|ignored|again)", "(\w+)"\)', (
        TOP / "daemon/core/ledger.h").read_text(encoding="utf-8"))}
    assert ledger <= asked["gaihou_ledger"], "a reason of the ledger that no panel shows"


@pytest.mark.parametrize("query, wrong", [
    ('SELECT mean("pressure_in") FROM "water-supply"', "no field pressure_in"),
    ('SELECT last("v") FROM "meter-water"', "no measurement meter-water"),
    ('SELECT last("battery_pct") FROM /^(sump|meter-gas)$/', "no measurement meter-gas"),
    ('SELECT last("battery_percent") FROM /^(${kinds:raw})$/', "no field battery_percent"),
    ('SELECT count("s") FROM (SELECT last("lamp_on") AS "s" FROM "lamp")', "no field lamp_on"),
    ('SELECT count("t") FROM (SELECT last("on") AS "s" FROM "lamp")', "no field t"),
    ('SELECT "state" FROM "charger" WHERE "state" = \'busy\'', "never 'busy'"),
    ('SELECT "s" FROM (SELECT last("state") AS "s" FROM "charger") WHERE "s" = \'busy\'', "never"),
    ('SELECT "level" FROM "sump" WHERE "pump" = true', "no field or tag pump"),
    ('SELECT "level" FROM "sump" WHERE "level" = true', "level is float"),
    ('SELECT mean("pump_on") FROM "sump"', "which is bool"),
    ('SELECT last("level") FROM "sump" GROUP BY "house"', "no tag {'house'}"),
    ('SELECT last("messages") FROM "gaihou_gateway"', "no field messages"),
    ('SELECT last(level) FROM "sump"', "not quoted: level"),
    ('SHOW TAG VALUES FROM "gaihou_place" WITH KEY = "town"', "no tag {'town'}"),
])
def test_a_wrong_name_is_noticed(query, wrong):
    with pytest.raises(influxql.Wrong, match=re.escape(wrong)):
        names_of(query)


def test_what_the_pipeline_stores_is_what_the_check_believes(database):
    """Fields and tags in the database, the city's among them, are those of the schema above."""
    known, stored = schema(), set()
    for r in database.query("SHOW FIELD KEYS"):
        stored.add(r["measurement"])
        assert r["fieldKey"] in known[r["measurement"]].fields, r
    for r in database.query("SHOW TAG KEYS"):
        assert r["tagKey"] in known[r["measurement"]].tags, r
    only_profiles = {"tracker", "valve", "io", "fire-panel"} # kinds that no device of the city is
    assert set(KINDS) - only_profiles | set(OWN_TAGS) <= stored, "the city has devices of every other kind"


def test_kinds_are_shown_in_chinese():
    titles = {name: kind["zh"] for name, kind in CATALOG["kinds"].items()}
    for title in ("在册设备（按种类）", "有上报的设备（按种类）"):
        panel, = [p for p in PANELS if p["title"] == title]
        assert {o["matcher"]["options"]: o["properties"][0]["value"]
                for o in panel["fieldConfig"]["overrides"]} == titles
    panel, = [p for p in PANELS if p["title"] == "最久未上报的设备"]
    shown, = [o["properties"][0]["value"][0]["options"] for o in panel["fieldConfig"]["overrides"]
              if o["matcher"]["options"] == "种类"]
    assert {name: m["text"] for name, m in shown.items()} == titles


def test_enumerations_are_shown_in_chinese():
    def texts(title):
        panel, = [p for p in PANELS if p["title"] == title]
        config = json.dumps(panel["fieldConfig"], ensure_ascii=False)
        return config, panel
    for title, kind, metric in (("电梯服务状态", "elevator", "state"),
                                ("电梯故障", "elevator", "fault_code")):
        config, _ = texts(title)
        for code in KINDS[kind][metric]["codes"]:
            assert f'"{code["name"]}": {{"text": "{code["zh"]}"' in config, (title, code)
