"""The rows of rules and alarms; bench.py takes them in.

Alarms are made and heard by tests/bench/alert_feed, whose devices (a0 …, in compounds b0 …) exist
beside the city's: each of its samples is one transition, told at once. What it hears is compared
with what it said; no row is a figure if something is missing.
"""
import csv
import io
import json
import os
import pathlib
import subprocess
import threading
import time

import requests
import yaml

from rig import (TOP, WINDOW, Process, Rig, binaries, cpu_seconds, fetch, gateway_cpu,
                 interleaved, median, ratio_of, row, spread, tool, until, with_rig)

CATALOG = yaml.safe_load((TOP / "config" / "catalog.yaml").read_text(encoding="utf-8"))
FAST = """version: 1
groups:
  - name: bench
    rules:
      - id: bench-level
        kind: sump
        title: high
        action: look
        levels: [{severity: major, when: level > 0.8, off: level < 0.6}]
        flapping: off
        no_data: {after: 24h, policy: keep}
        work: none
        only: {firms: [%s]}
"""


# -- rules ------------------------------------------------------------------------------------

def limits(metrics):
    """(name, high, low) of what can be compared with a number, the range known."""
    out = []
    for name, m in metrics.items():
        m = m or {}
        if m.get("type") in ("float", "int"):
            low, high = float(m.get("min", 0)), float(m.get("max", 1e6))
            out.append((name, high, (high - low) / 100))
    return out


def rules_of(kind, metrics, n=10, only=None, tag="r"):
    """n rules of a kind that hardly ever fire: of ten, eight compare one number (two levels,
    hysteresis, a delay), one is a window's average, one needs two metrics."""
    numbers, out = limits(metrics), []
    words = [k for k, m in metrics.items() if (m or {}).get("type") == "bool"]
    for i in range(n):
        if numbers:
            a, high, step = numbers[i % len(numbers)]
            b = numbers[(i + 1) % len(numbers)][0]
            on, off = high - step * (1 + i % 10 / 10), high - step * 3
            low = [{"severity": "minor", "when": f"{a} > {on:.6g}", "off": f"{a} < {off:.6g}",
                    "for": "60s"}]
            top = [{"severity": "major", "when": f"{a} > {high - step / 20 * (1 + i):.6g}",
                    "off": f"{a} < {on:.6g}", "for": "10s"}]
            if i % 10 == 8:
                low, top = [{**low[0], "when": f"avg({a}, 10m) > {on:.6g}",
                             "off": f"avg({a}, 10m) < {off:.6g}"}], []
            elif i % 10 == 9:
                low, top = [{**low[0], "when": f"{a} > {on:.6g} and {b} >= 0"}], []
            levels = low + top
        elif words:
            a, b = words[i % len(words)], words[(i + 1) % len(words)]
            levels = [{"severity": "minor", "when": f"{a} and not {b}" if a != b else a,
                       "for": "24h"}]
        else:
            return []
        rule = {"id": f"{tag}-{kind.replace('_', '-')}-{i}", "kind": kind, "title": "t",
                "action": "a", "levels": levels, "off_for": "2m",
                "no_data": {"after": "6h", "policy": "keep"}}
        out.append({**rule, "only": only} if only else rule)
    return out


def write_rules(path, rules):
    lines = ",\n".join(json.dumps(r) for r in rules)  # a line of a file has a ceiling
    path.write_text(f'{{"version": 1, "groups": [{{"name": "bench", "rules": [\n{lines}\n]}}]}}')
    return str(path)


def metrics_for(kind):
    """Those that a kind's rules read: its own, and what it shares where that is too little."""
    k = CATALOG["kinds"][kind]
    own = k.get("metrics") or {}
    if limits(own):
        return own
    shared = {}
    for name in k.get("use") or []:
        shared.update(CATALOG["common"].get(name) or {})
    return {**own, **shared}


def kinds_in(rig):
    with open(rig.registry / "devices.csv", encoding="utf-8") as f:
        return sorted({r["kind"] for r in csv.DictReader(f)})


def kind_rules(rig, n):
    """n rules for every kind that the city has."""
    return [r for k in kinds_in(rig) for r in rules_of(k, metrics_for(k), n)]


def ten_rules(rig, n=10):
    return write_rules(rig.folder / f"rules-{n}.json", kind_rules(rig, n))


def sections(rules):
    return {"rules": rules, "alerts": {"broker": "main"}}


def with_rules(o, rate=None, lean=False):
    n = (24000 if rate else 100000) if o.short else (80000 if rate else 300000)
    return with_rig(lambda r: ratio_of(o, r, n, rate, lean, **sections([ten_rules(r)])))


@row("10 rules on every device, saturated, Debian's Paho / null", "<= 1.4", lambda v: v <= 1.4)
def rules_saturated(o):
    return with_rules(o)


@row("10 rules on every device, 4,000/s, Debian's Paho / null", "<= 1.4", lambda v: v <= 1.4)
def rules_4000(o):
    return with_rules(o, 4000)


def elsewhere(rig, n):
    """n rules for the kinds that the city has, all of them for a compound where nothing is."""
    with open(rig.registry / "compounds.csv", encoding="utf-8") as f:
        head = f.readline().strip().split(",")
    append(rig.registry / "compounds.csv", [{"compound": "elsewhere", "name": "elsewhere",
                                             "district": "yuzhong"}], head)
    kinds, out = [k for k in kinds_in(rig) if rules_of(k, metrics_for(k), 1)], []
    for i in range(n):
        kind = kinds[i % len(kinds)]
        out += rules_of(kind, metrics_for(kind), 1, {"compounds": ["elsewhere"]}, f"x{i}")
    return out


@row("CPU per message, 1,000 rules of which 10 touch it / 1 rule", "<= 1.2", lambda v: v <= 1.2)
def rules_thousand(o):
    """One: a rule for each kind. Ten: ten for each. Thousand: the ten for each kind and so many
    more for the same kinds, but another compound, that there are a thousand."""
    def measure(rig):
        ten = kind_rules(rig, 10)
        sets = {"one": kind_rules(rig, 1), "ten": ten,
                "thousand": ten + elsewhere(rig, 1000 - len(ten))}
        files = [[write_rules(rig.folder / f"{k}-{i}.json", v[i:i + 250])
                  for i in range(0, len(v), 250)] for k, v in sets.items()]
        n = 100000 if o.short else 300000
        runs = interleaved(o.runs, *(lambda f=f: gateway_cpu(rig, n, **sections(f))
                                     for f in files))
        us = [fetch(r, "us") for r in runs]
        return median(us[2]) / median(us[0]), {
            "one_us": round(median(us[0]), 2), "one_spread": spread(us[0]),
            "ten_us": round(median(us[1]), 2), "ten_spread": spread(us[1]),
            "thousand_us": round(median(us[2]), 2), "thousand_spread": spread(us[2]),
            "thousand_to_ten": round(median(us[2]) / median(us[1]), 3),
            "rules": {k: len(v) for k, v in sets.items()}, "messages": n, "runs": o.runs}
    return with_rig(measure)


# -- the evaluator ----------------------------------------------------------------------------

EVALUATED = {}


def evaluator(o, order):
    """tests/bench/bench_alarm: a million series, four rules each, six rounds of a sample each and
    the timers between them, by the process's own CPU time; samples arrive in the registry's order
    or in one that has nothing to do with it. The registry's memory is not counted."""
    if order not in EVALUATED:
        EVALUATED[order] = [json.loads(tool("bench_alarm", 1000000, 7, order))
                            for _ in range(min(o.runs, 3) if o.short else o.runs)]
    return EVALUATED[order]


@row("evaluator, 1 M series x 4 rules, in order, M samples/s", ">= 4", lambda v: v >= 4)
def evaluator_in_order(o):
    v = fetch(evaluator(o, "in-order"), "rate")
    return median(v), {"runs": v}


@row("evaluator, 1 M series x 4 rules, scattered, M samples/s", ">= 4", lambda v: v >= 4)
def evaluator_scattered(o):
    v = fetch(evaluator(o, "scattered"), "rate")
    return median(v), {"runs": v}


@row("evaluator, 1 M series x 4 rules, MB", "<= 200", lambda v: v <= 200)
def evaluator_memory(o):
    v = evaluator(o, "scattered")
    return max(fetch(v, "megabytes")), {"runs": fetch(v, "megabytes"),
                                        "save_ms": fetch(v, "save_ms")}


# -- from a sample to its alert -----------------------------------------------------------------

def append(path, rows, head):
    text = io.StringIO()
    w = csv.DictWriter(text, head, restval="", lineterminator="\n")
    w.writerows(rows)
    with open(path, "a", encoding="utf-8") as f:
        f.write(text.getvalue())


def add_alarm_devices(rig, devices, compounds=1, life_safety=False, firms=None):
    """alert_feed's devices; returns the rule file that they need."""
    names = firms or ["f0"]
    with open(rig.registry / "compounds.csv", encoding="utf-8") as f:
        head = f.readline().strip().split(",")
    append(rig.registry / "compounds.csv",
           [{"compound": f"b{i}", "name": f"b{i}", "district": "yuzhong",
             "firm": names[i % len(names)]} for i in range(compounds)], head)
    with open(rig.registry / "devices.csv", encoding="utf-8") as f:
        head = f.readline().strip().split(",")
    append(rig.registry / "devices.csv",
           [{"device": f"a{i}", "kind": "sump", "compound": f"b{i % compounds}",
             "life_safety": "yes" if life_safety else ""} for i in range(devices)], head)
    path = rig.folder / "fast.yaml"
    path.write_text(FAST % ", ".join(names))
    return str(path)


def alert_feed(rig, broker, *argv, log="alert"):
    p = Process("alert_feed", [binaries(False) / "alert_feed", "--url", broker.url, *argv],
                rig.place(f"{log}.log"))
    return rig.start(p)


def alerts_of(rig, p, seconds=600):
    code = p.wait(seconds)
    rig.open.remove(p)
    r = json.loads(p.text().splitlines()[-1])
    assert code == 0 and r["missing"] == 0, r
    return r


def telling(g):
    return g.status()["alarms"]["telling"]


def agreed(g):
    until(lambda: telling(g)["reconciled"] and not telling(g)["waiting"], 60,
          "the retained topics are compared")


def latency(o, busy):
    """alert_feed at 50 samples a second (idle: 5), its disk meter beside the journal; busy: the
    city says 4,000 messages a second meanwhile, ten rules on each of its devices."""
    seconds = 15 if o.short else 60
    rate = 50 if busy else 5

    def measure(rig):
        rules = [add_alarm_devices(rig, 500), ten_rules(rig)]
        b, runs = rig.broker(), []
        for _ in range(min(o.runs, 3)):
            g = rig.gateway(b, **sections(rules))
            agreed(g)
            feed = rig.feed(b, "--rate", 4000) if busy else None
            time.sleep(3 if busy else 0)
            r = alerts_of(rig, alert_feed(
                rig, b, "--devices", 500, "--count", rate * seconds, "--rate", rate,
                "--filter", "gaihou/v1/events/f0/#", "--sync", g.folder / "meter"))
            if feed:
                feed.signal(15)
                rig.feed_result(feed)
            runs.append(r)
            rig.done(g)
        rig.done(b)
        p99s = [r["latency"]["p99_ms"] for r in runs]
        syncs = [r["sync"]["p99_ms"] for r in runs]
        base = 20 if busy else 150
        return median([p / (base + 2 * s) for p, s in zip(p99s, syncs)]), {
            "p50_ms": median([r["latency"]["p50_ms"] for r in runs]), "p99_ms": p99s,
            "max_ms": [r["latency"]["max_ms"] for r in runs], "fdatasync_p99_ms": syncs,
            "fdatasync_p50_ms": [r["sync"]["p50_ms"] for r in runs],
            "allowed_ms": [round(base + 2 * s, 1) for s in syncs], "alerts": runs[0]["said"]}
    return with_rig(measure)


@row("sample to alert, 4,000/s: p99 / (20 ms + 2 x fdatasync p99)", "<= 1", lambda v: v <= 1)
def alert_busy(o):
    return latency(o, True)


@row("sample to alert, idle: p99 / (150 ms + 2 x fdatasync p99)", "<= 1", lambda v: v <= 1)
def alert_idle(o):
    return latency(o, False)


def heavy_rules(rig, n=200, terms=100):
    """For every routine kind with a number: n rules that never fire and cost more than all else, so that
    a process is overloaded by what a feed on the same machine can say. A file a kind."""
    files = []
    for k in kinds_in(rig):
        if CATALOG["kinds"][k].get("life_safety"):
            continue
        for a, high, _ in limits(metrics_for(k))[:1]:
            files.append(write_rules(rig.folder / f"heavy-{k}.json", [
                {"id": f"h-{k.replace('_', '-')}-{i}", "kind": k, "title": "t", "action": "a",
                 "levels": [{"severity": "minor", "when": " or ".join(
                     f"{a} > {high * (2 + t):.0f}" for t in range(terms))}],
                 "no_data": {"policy": "keep"}} for i in range(n)]))
    return files


def through(g):
    """Records that its engine has passed, and those that wait for it."""
    s = g.status()
    return s["brokers"][0]["messages"] - s["engine"]["lag_records"], s["engine"]["lag_records"]


@row("life-safety while routine is offered twice its rate: p99, s", "<= 1", lambda v: v <= 1)
def life_safety(o):
    """Two processes on one broker, the same files, with rules so heavy that it is the routine one
    that cannot follow. What it sustains is what it takes with nothing else running (saturated);
    the feed says twice that, or it is no figure. Life-safety: 20 samples a second."""
    seconds = 15 if o.short else 60

    def measure(rig):
        heavy = heavy_rules(rig)
        sustained = gateway_cpu(rig, 20000, **sections(heavy))["per_second"]
        fast = add_alarm_devices(rig, 200, life_safety=True)
        both = sections([fast, *heavy])
        runs = []
        for _ in range(min(o.runs, 3)):
            b = rig.broker()
            gs = []
            for lane in ("routine", "life-safety"):
                g = rig.gateway(b, start=False, **both)
                g.configure(gateway={"id": "test", "data_dir": str(g.folder / "data"),
                                     "lane": lane})
                gs.append(rig.start(g))
            agreed(gs[1])
            feed = rig.feed(b, "--rate", int(2 * sustained))
            time.sleep(3)
            began, messages = time.monotonic(), through(gs[0])[0]
            r = alerts_of(rig, alert_feed(
                rig, b, "--devices", 200, "--count", 20 * seconds, "--rate", 20, "--filter",
                "gaihou/v1/urgent/#", "--sync", gs[1].folder / "meter", "--patience", 60))
            now, r["behind"] = through(gs[0])
            r["routine_per_second"] = (now - messages) / (time.monotonic() - began)
            feed.signal(15)
            said = json.loads(_until_end(rig, feed))
            r["offered"] = said["sent"] / said["seconds"]
            assert r["offered"] >= 1.9 * sustained, (r["offered"], sustained)
            runs.append(r)
            rig.done(*reversed(gs), b)
        return median([r["latency"]["p99_ms"] for r in runs]) / 1000, {
            "p50_ms": [r["latency"]["p50_ms"] for r in runs],
            "p99_ms": [r["latency"]["p99_ms"] for r in runs],
            "max_ms": [r["latency"]["max_ms"] for r in runs],
            "sustained": round(sustained), "offered": [round(r["offered"]) for r in runs],
            "routine_took": [round(r["routine_per_second"]) for r in runs],
            "routine_behind": [r["behind"] for r in runs],
            "alerts": runs[0]["said"]}
    return with_rig(measure)


def _until_end(rig, p):
    p.wait(120)
    rig.open.remove(p)
    return p.text().splitlines()[-1]


# -- a burst ------------------------------------------------------------------------------------

def null_pub(rig, broker, count, size):
    listener = Process("null", [binaries(False) / "null_sub", "--url", broker.url, "--client-id",
                                "null-ear", "--filter", "null/v1/events/#", "--count",
                                count // 2], rig.place("null.log"))
    rig.start(listener)
    listener.until_log("subscribed", 10)
    p = rig.start(Process("null_pub", [binaries(False) / "null_pub", "--url", broker.url,
                                       "--count", count, "--window", 100, "--size", size],
                          rig.place("null_pub.log")))
    assert p.wait(300) == 0, p.text()
    listener.wait(60)
    rig.done(p, listener)
    return json.loads(p.text().splitlines()[-1])["per_second"]


def burst_once(rig, rules, n, live):
    """n transitions in n / 4,000 seconds, 100 firms. Not live: the alerts' broker stands still
    (SIGSTOP) until all are in the outbox. Returns messages a second that it took, and more."""
    b, c = rig.broker(), rig.broker()
    own = [{"id": "main", "url": b.url, "receive_maximum": WINDOW}, {"id": "alerts", "url": c.url}]
    g = rig.gateway(b, brokers=own, rules=rules, alerts={"broker": "alerts"})
    agreed(g)
    p = alert_feed(rig, b, "--listen", c.url, "--devices", n // 2, "--compounds", 100, "--count",
                   n, "--rate", 4000, "--patience", 60)
    if not live:
        p.until_log("ready", 10)
        c.signal(19)
        p.until_log("said", 120)
        # stopped: the outbox has them all when it does not grow any more
        last, same = -1, 0
        while same < 5:
            now = g.status()["alarms"]["outbox"]
            same = same + 1 if now == last and now > 0 else 0
            last = now
            time.sleep(0.2)
    began = time.monotonic()
    cpu = cpu_seconds(g.pid)
    if not live:
        c.signal(18)
    r = alerts_of(rig, p)
    until(lambda: not telling(g)["waiting"], 120)
    r["drain_s"] = r["last_s"] - r["first_s"] if live else time.monotonic() - began
    r["cpu_s"] = cpu_seconds(g.pid) - cpu
    r["told"] = telling(g)["told"]
    r["settle_s"] = r["last_s"] - r["said_s"]
    rig.done(g, c, b)
    return r


@row("burst to 100 firms: drained / a bare Paho publisher", ">= 0.8", lambda v: v >= 0.8)
def burst(o):
    """20,000 transitions in 5 s (--short: the same). First live: how long after the last sample
    the last event was heard, and that none was lost or came in a wrong place. Then into a broker
    that stands still and goes on when all are waiting: messages (state and event of the
    beginning, event and the emptied topic of the end) a second until the outbox is empty, against null_pub, which publishes
    as many messages of the mean size to the same kind of broker with the same window."""
    n = 20000

    def measure(rig):
        rules = [add_alarm_devices(rig, n // 2, 100, firms=[f"f{i}" for i in range(100)])]
        live = burst_once(rig, rules, n, True)
        messages = n * 2

        def bare():
            b = rig.broker()
            v = null_pub(rig, b, messages, 600)
            rig.done(b)
            return v
        bares, ours = interleaved(max(o.runs, 3), bare,
                                  lambda: burst_once(rig, rules, n, False))
        rates = [messages / r["drain_s"] for r in ours]
        return median(rates) / median(bares), {
            "null_per_second": [round(x) for x in bares], "gaihou": [round(x) for x in rates],
            "live_settled_after_s": round(live["settle_s"], 2),
            "live_p99_ms": live["latency"]["p99_ms"], "live_said_s": live["said_s"],
            "heard": live["heard"], "again": live["again"], "missing": live["missing"],
            "drain_again": [r["again"] for r in ours],
            "drain_cpu_us_per_message": [round(r["cpu_s"] / messages * 1e6, 1) for r in ours]}
    return with_rig(measure, devices=100, compounds=1)


# -- tools --------------------------------------------------------------------------------------

@row("rules test, M samples/s", ">= 1", lambda v: v >= 1)
def rules_test(o):
    """gaihouctl rules test on a file of 1,000 sumps (2,000 samples each, --short: 500), four
    rules, by its own CPU time as it prints it: from the series to the last expectation."""
    def measure(rig):
        n = 500 if o.short else 2000
        write_rules(rig.folder / "four.json", rules_of("sump", {"level": {
            "type": "float", "min": 0, "max": 5}}, 4))
        (rig.folder / "big.test.yaml").write_text(json.dumps({
            "version": 1, "rules": "four.json", "catalog": str(TOP / "config" / "catalog.yaml"),
            "devices": [{"device": "s", "count": 1000, "kind": "sump", "firm": "f1",
                         "expected_interval": 60}],
            "tests": [{"name": "many", "interval": "1m", "expect": [],
                       "series": [{"device": "s-*", "metric": "level",
                                   "values": f"0.5x{n - 1}"}]}]}))
        rates = []
        for _ in range(min(o.runs, 3)):
            r = subprocess.run([binaries(False) / "gaihouctl", "rules", "test",
                                rig.folder / "big.test.yaml"], capture_output=True, text=True,
                               check=False, timeout=600)
            assert r.returncode == 0, r.stdout + r.stderr
            words = r.stdout.splitlines()[-1].split()
            values, cpu = int(words[words.index("values") - 1]), float(words[words.index("s") - 1])
            rates.append(values / cpu)
        return median(rates) / 1e6, {"rates": [round(x) for x in rates], "values": values}
    return with_rig(measure, devices=100, compounds=1, influx=False)


@row("rules backtest, M samples/s", ">= 1", lambda v: v >= 1)
def rules_backtest(o):
    """Over a journal of 300,000 messages (--short: 100,000) of the city, ten rules on each
    device; a sample is a value in the database, as promtool counts; by the tool's whole CPU time."""
    n = 100000 if o.short else 300000

    def measure(rig):
        ten = ten_rules(rig)
        b = rig.broker()
        g = rig.gateway(b, rules=[ten], alerts={"broker": "main"})
        rig.feed_result(rig.feed(b, "--flat-out", "--messages", n))
        until(lambda: g.status()["engine"]["lag_records"] == 0 and
              g.status()["brokers"][0]["messages"] >= n, 120)
        time.sleep(2.5)
        values = sum(v for r in rig.influx.query("SELECT count(*) FROM /.*/")
                     if not r["measurement"].startswith("gaihou_")
                     for k, v in r.items() if k.startswith("count_") and v)
        g.stop()
        cpu = []
        for _ in range(min(o.runs, 3)):
            p = subprocess.Popen([binaries(False) / "gaihouctl", "rules", "backtest", "--from",
                                  "1d", "--dir", g.folder / "data", "--catalog",
                                  TOP / "config" / "catalog.yaml", "--rules", ten, "--json"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            out = p.stdout.read()
            _, status, used = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            assert p.returncode == 0, out
            cpu.append(used.ru_utime + used.ru_stime)
        m = json.loads(out)["messages"]
        return median([values / c for c in cpu]) / 1e6, {
            "messages": m, "values": values, "cpu_s": [round(c, 2) for c in cpu],
            "messages_per_second": round(m / median(cpu))}
    return with_rig(measure)


# -- a million series -----------------------------------------------------------------------------

class Pulse(threading.Thread):
    """Asks the loop for a page all the time: the longest answer is its longest pause, and what
    the machine adds."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.g, self.took, self.over = g, [], False

    def run(self):
        s = requests.Session()
        while not self.over:
            t = time.monotonic()
            s.get(self.g.url + "/healthz", timeout=30)
            self.took.append((t, time.monotonic() - t))
            time.sleep(0.002)


MILLION = {}


def pause_ms(g):
    """The longest since it started, by the loop's own clock."""
    return round(g.metrics()["gaihou_snapshot_pause_seconds_max"][""] * 1e3, 1)


def drained(g):
    """What the broker still has of the feed comes, too, before anything else is measured."""
    came = None
    while came != (now := g.status()["brokers"][0]["messages"]):
        came = now
        time.sleep(2)
    until(lambda: g.status()["engine"]["lag_records"] == 0, 300)


def million(o):
    """A gateway of a million devices (--short: 250,000), each with four rules, all of which have
    reported; a snapshot is taken with alert_feed saying 20 samples a second. The loop's longest pause
    at any, those under the feed before (fed_ms) included, by its own clock; the longest answer of /healthz meanwhile, which has this program's own waits
    in it, and alert_feed's longest wait are told beside it.
    Then it is stopped and started, warm, until /readyz; and killed and started."""
    if MILLION:
        return MILLION
    devices = o.devices or (250000 if o.short else 1000000)
    rig = Rig(devices=devices, compounds=100)
    try:
        rules = [add_alarm_devices(rig, 200), ten_rules(rig, 4)]
        b = rig.broker()
        g = rig.gateway(b, **sections(rules))
        most = devices * 3
        feed = rig.feed(b, "--flat-out", "--messages", most)
        until(lambda: g.status()["engine"]["devices_seen"] >= devices * 0.98 or not feed.running,
              1800)
        feed.signal(15)
        rig.feed_result(feed)
        drained(g)
        agreed(g)
        seen = g.status()["engine"]["devices_seen"]
        fed = pause_ms(g)
        quiet, taking, alerts = snapshots(rig, b, g, 70 if o.short else 150)
        rss = int(next(x.split()[1] for x in pathlib.Path(f"/proc/{g.pid}/status").read_text()
                       .splitlines() if x.startswith("RssAnon"))) / 1024
        MILLION.update(devices=devices, seen=seen, rss_mib=round(rss), quiet=quiet,
                       fed_ms=fed, pause=pause_ms(g), answers_ms=taking, alerts=alerts["latency"],
                       sync=alerts["sync"],
                       stopped=[], killed=[])
        for how in ("stopped", "killed") * (2 if o.short else 3):
            g.stop(120) if how == "stopped" else g.kill()
            began = time.monotonic()
            g.start(ready=False)
            until(g.ready, 300)
            MILLION[how].append(round(time.monotonic() - began, 2))
        return MILLION
    finally:
        rig.close()


def snapshots(rig, b, g, seconds):
    """One or two of them: answers of the loop outside and inside, in ms, and alert_feed's result."""
    p = alert_feed(rig, b, "--devices", 200, "--count", 20 * seconds, "--rate", 20, "--filter",
                   "gaihou/v1/events/f0/#", "--sync", g.folder / "meter")
    pulse = Pulse(g)
    pulse.start()
    r = alerts_of(rig, p)
    pulse.over = True
    pulse.join(30)
    took = sorted(x for _, x in pulse.took)
    return {"p50_ms": round(took[len(took) // 2] * 1e3, 2),
            "p99_ms": round(took[len(took) * 99 // 100] * 1e3, 2)}, round(took[-1] * 1e3, 1), r


@row("restart with 1 M series, warm: seconds to ready", "<= 5", lambda v: v <= 5)
def restart_million(o):
    m = million(o)
    return median(m["stopped"]), {k: m[k] for k in ("devices", "seen", "rss_mib", "stopped",
                                                    "killed")}


@row("longest pause of the loop while snapshotting 1 M series, ms", "<= 20", lambda v: v <= 20)
def pause_million(o):
    m = million(o)
    return m["pause"], {k: m[k] for k in ("devices", "fed_ms", "quiet", "answers_ms", "alerts", "sync")}
