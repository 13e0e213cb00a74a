"""What breaks in the city is told: the simulated city with faults, mosquitto, the gateway with the
shipped rules, InfluxDB and a firm's desk that listens.

Time is compressed: a second of the wall clock is half a minute of the city. So are the rules' and
the registry's times; nothing else of the shipped rules is changed. (That nothing is told that no
fault explains is tests/history's, in virtual time and over weeks.)
"""
import base64
import collections
import contextlib
import csv
import json
import math
import re
import time

import alarm_chaos
import schemas
from conftest import LONG, TOP, until
from ring import influx_sink

SPEED = 30
GRACE = 8000  # ms: two busy cores; where they are busier, as much more as that is seen to take
DURATION = re.compile(r"(?<![\w.:\"])(\d+)(s|m|h|d)\b")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# By the code of their kind; each goes to the next device of that code, half a minute apart. Those that
# take hours of the city are for the long form.
SLOW = """gas/leak sump/flood hole/methane hydr/pressure-lost smoke/silent drain/methane
heat/burst""".split()
QUICK = """lift/entrapment lift/stopped lift/overspeed lift/ebike
hole/cover-open gas/alarm gas/silent smoke/smoke smoke/tamper efire/residual efire/arc hydr/opened
water/outlet-low water/burst pump/fault pump/no-pressure lamp/leakage lamp/silent chg/leakage
chg/ground chg/faulted shed/smoke leak/leak bin/smoke sos/button sos/fall door/forced door/silent
power/phase-lost power/lost uplink/offline uplink/silent env/silent""".split()
FAULTS = SLOW + QUICK if LONG else QUICK


def compressed(text):
    """A rule file whose times are a part of what they were; whole seconds, at least one."""
    def shorter(m):
        return f"{max(1, math.ceil(int(m[1]) * SECONDS[m[2]] / SPEED))}s"

    def line(x):
        if not re.search(r"\b(for|off_for|after|fresh|max_gap|when|off|within|settle):", x):
            return x
        return DURATION.sub(shorter, x)
    return "\n".join(map(line, text.splitlines())) + "\n"


def compress(folder):
    (folder / "rules").mkdir()
    for f in (TOP / "config" / "rules").glob("*.yaml"):
        text = compressed(f.read_text(encoding="utf-8"))
        (folder / "rules" / f.name).write_text(text, encoding="utf-8")
    with open(folder / "devices.csv", encoding="utf-8", newline="") as f:
        devices = list(csv.DictReader(f))
    for d in devices:
        seconds = int(d["expected_interval"][:-1])
        d["expected_interval"] = f"{max(1, math.ceil(seconds / SPEED))}s"
    with open(folder / "devices.csv", "w", encoding="utf-8", newline="") as f:
        w = csv.DictWriter(f, list(devices[0]))
        w.writeheader()
        w.writerows(devices)
    return devices


def orders(devices):
    """--fault … for each of FAULTS; the devices of a code take turns."""
    of, taken, argv = collections.defaultdict(list), collections.Counter(), []
    for d in devices:
        of[d["device"].split("-")[1]].append(d["device"])
    for n, fault in enumerate(FAULTS):
        code, name = fault.split("/")
        device = of[code][taken[code] % len(of[code])]
        taken[code] += 1
        argv += ["--fault", f"{name}@{device}+{240 + 15 * n}"]
    return argv


def truths(path):
    """What was wrong, as dicts; times in ms, None: it lasts."""
    names = ("what", "device", "point", "fault", "from", "to", "rule", "told_by", "may", "over_by")
    out = []
    for x in path.read_text().splitlines():
        if x.startswith(("fault:", "silence:")):
            t = dict(zip(names, x.split("\t")))
            for k in ("from", "to", "told_by", "over_by"):
                t[k] = None if t[k] == "-" else int(t[k])
            out.append(t)
    return out


def over(path, n):
    return sum(x["to"] is not None and x["fault"] not in ("roof-leaks", "not-emptied", "battery-low",
                                                          "behind") for x in truths(path)) >= n


def state_of(heard):
    topic, payload, retained, _ = heard
    return topic, json.loads(payload) if payload else None, retained


def held_up(g):
    """Ms by which this machine was late: how long a message was on its way to the journal at worst,
    and how long the city, whose devices speak several times a second, said nothing at all."""
    on_its_way, said = 0, []
    for line in g.ctl("journal", "export", "--dir", g.folder / "data").stdout.splitlines():
        r = json.loads(line)
        ts = json.loads(base64.b64decode(r["payload_base64"]))["ts"]
        on_its_way = max(on_its_way, r["wall_ns"] / 1e6 - ts)
        said.append(ts)
    said.sort()
    return on_its_way + sum(b - a for a, b in zip(said, said[1:]) if b - a > 1000)


def judge_telling(truth, activations, grace):
    """Each fault that lasted long enough was told in time by its rule."""
    late, must = [], 0
    for t in truth:
        if t["rule"] == "-" or (t["to"] is not None and t["to"] < t["told_by"]):
            continue
        if t["to"] is None:  # the feed ended
            continue
        must += 1
        told = [at for at in activations[t["device"], t["rule"]]
                if t["from"] - grace <= at <= t["told_by"] + grace]
        if not told:
            late.append((t, activations[t["device"], t["rule"]]))
    return must, late


def judge_events(desk, known):
    """Sequence numbers without gaps, as the store has them; payloads as the schema says."""
    seqs, checked = collections.defaultdict(list), schemas.Checked()
    for topic, payload, _, _ in list(desk.heard):
        checked.hear(topic, payload)
    checked.good()
    for h in desk.on("events/") + desk.on("urgent/") + desk.on("alerts/"):
        topic, s, retained = state_of(h)
        if s is None:
            continue
        level, firm, compound = topic.split("/")[:3]
        if level == "events" and not retained:
            seqs[s["stream"], firm, compound].append(s["seq"])
    for key, n in seqs.items():
        assert n == list(range(1, len(n) + 1)), (key, n)
    stored = collections.Counter((t["stream"], t["firm"], t["compound"])
                                 for t in known.transitions if t["seq"])
    assert {k: len(n) for k, n in seqs.items()} == dict(stored)
    urgent = {(s["stream"], s["firm"], s["compound"], s["seq"])
              for _, s, _ in map(state_of, desk.on("urgent/"))}
    assert urgent == {(t["stream"], t["firm"], t["compound"], t["seq"]) for t in known.transitions
                      if t["seq"] and t["state"]["life_safety"]}
    return sum(map(len, seqs.values()))


def quiet(g, desk, store):
    """Nothing is under way anywhere."""
    s = g.status()
    if (s["engine"]["lag_records"] or s["engine"]["replaying"] or s["alarms"]["telling"]["waiting"] or
            any(k["pending_lines"] or k["open_lines"] for k in s["sinks"])):
        return None
    known = alarm_chaos.Known(store)
    told = sum(bool(t["seq"]) for t in known.transitions)
    return known if len(desk.on("events/")) == told and not known.outbox else None


def test_what_breaks_is_told(bench, influx):
    broker = bench.mosquitto("max_queued_messages 0")
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url}], sinks=[influx_sink(influx)],
                     alerts={"broker": "main"}, rules=["rules/*.yaml"])
    city = bench.city(seed=3, compounds=3, devices=160)
    city.registry(g.folder)
    devices = compress(g.folder)
    g.configure()
    desk = alarm_chaos.Listener(broker.port)
    try:
        g.start()
        feed = city.feed(broker.url, "--speed", SPEED, *orders(devices))
        until(lambda: feed.truth.exists() and over(feed.truth, len(FAULTS)), 400,
              "every fault is over")
        time.sleep(GRACE / 1000)
        assert feed.stop() == 0
        # Now everybody falls silent, and that is told, too: until the slowest is.
        slowest = max(int(d["expected_interval"][:-1]) for d in devices)
        silent = time.monotonic() + 3 * slowest + 5
        until(lambda: time.monotonic() > silent, 3 * slowest + 30, "all are silent")
        store = g.folder / "data" / "store.db"

        def last_words(known):
            j = alarm_chaos.Judge()
            j.kept(known, broker.port)
            j.history(known, influx)
            return known, desk.so_far(), j
        known, desk_then, j = alarm_chaos.while_still(
            lambda: alarm_chaos.Known(store), lambda: quiet(g, desk, store), desk, last_words)

        truth = truths(feed.truth)
        activations = collections.defaultdict(list)
        for t in known.transitions:
            if t["seq"] and t["change"] in ("activated", "recurred"):
                activations[t["device"], t["rule"]].append(t["wall_ms"])
        must, late = judge_telling(truth, activations, GRACE + held_up(g))
        assert not late, late[:3]
        assert must >= len(FAULTS), (must, len(truth))
        assert judge_events(desk_then, known) > 2 * len(FAULTS)
        heard = {(s["device"], s["rule"]) for _, s, _ in map(state_of, desk_then.on("events/"))}
        assert {k for k, at in activations.items() if at} <= heard
        assert not j.wrong, (j.said, j.figures)
        # open and never told: only what hides behind a silent gateway
        told = {t["case"] for t in known.transitions if t["seq"]}
        assert j.figures["retained"] == len(known.open.keys() & told) > 0
        hidden = {known.open[c][1] for c in known.open.keys() - told}
        behind = {d["device"] for d in devices if d["uplink"] and d["life_safety"] != "yes"}
        assert hidden <= behind, hidden - behind
        assert j.figures["gaihou_alert"] == known.rows
        assert g.ledger()["total"]["balanced"]
    finally:
        with contextlib.suppress(Exception):
            desk.close()
