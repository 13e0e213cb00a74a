#!/usr/bin/python3
"""make bench: gaihoud against a subscriber that only counts, and against its own goals.

  bench.py [--short] [--runs N] [--only ROW]… [--out FILE] [--list]

Every ratio comes from one run in which both sides take turns; figures are medians. --short uses
fewer messages and shorter times, and says so in the result. What each row measures stands at its
function; docs/performance.md has the figures and what they mean.
"""
import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import traceback
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from rig import (ROWS, TOP, Influx, Process, Rig, anonymous_mib, binaries, fetch,  # noqa: E402
                 gateway_cpu, interleaved, median, passed, ratio_of, row, spread, tool, until,
                 with_rig)
import alarms  # noqa: E402,F401  its rows

# -- CPU per message --------------------------------------------------------------------------

@row("CPU per message, saturated, Debian's Paho / null", "<= 1.3", lambda v: v <= 1.3)
def cpu_saturated(o):
    return with_rig(lambda r: ratio_of(o, r, 100000 if o.short else 300000))


@row("CPU per message, 4,000/s, Debian's Paho / null", "<= 1.3", lambda v: v <= 1.3)
def cpu_4000(o):
    return with_rig(lambda r: ratio_of(o, r, 24000 if o.short else 80000, rate=4000))


@row("CPU per message, saturated, PAHO=lean / null of Debian's", "<= 1.0", lambda v: v <= 1.0)
def lean_saturated(o):
    return with_rig(lambda r: ratio_of(o, r, 100000 if o.short else 300000, lean=True))


@row("CPU per message, 4,000/s, PAHO=lean / null of Debian's", "<= 1.0", lambda v: v <= 1.0)
def lean_4000(o):
    return with_rig(lambda r: ratio_of(o, r, 24000 if o.short else 80000, rate=4000, lean=True))


@row("CPU at 200/s, percent of one core", "report", None)
def cpu_200(o):
    def measure(rig):
        n = 2000 if o.short else 6000
        v = [gateway_cpu(rig, n, rate=200) for _ in range(min(o.runs, 3))]
        return median(fetch(v, "share_percent")), {"us": round(median(fetch(v, "us")), 1),
                                                   "messages": n, "runs": len(v)}
    return with_rig(measure)


@row("CPU per message, 100,000 devices / 1,000", "<= 1.15", lambda v: v <= 1.15)
def devices(o):
    """Saturated. Both registries are in place before; the larger one's snapshots and reports are
    part of it. Every device has reported before it counts, so that no series is new."""
    few, many = Rig(devices=1000, compounds=10), Rig(devices=100000, compounds=100)
    n = 200000 if o.short else 400000
    try:
        a, b = interleaved(min(o.runs, 5) if o.short else o.runs,
                           lambda: gateway_cpu(few, n), lambda: gateway_cpu(many, n))
        x, y = fetch(a, "us"), fetch(b, "us")
        return median(y) / median(x), {"few_us": round(median(x), 2), "few_spread": spread(x),
                                       "many_us": round(median(y), 2), "many_spread": spread(y),
                                       "messages": n, "runs": len(x)}
    finally:
        few.close()
        many.close()


# -- the highest rate -------------------------------------------------------------------------

def keeps_up(rig, rate, seconds, gateway):
    """Does the feed reach the rate, and has everything come (gaihoud: reached the database)
    within two seconds of its end? Whoever falls behind has a queue that grows."""
    b = rig.broker()
    n = int(rate * seconds)
    try:
        if gateway:
            p = rig.gateway(b)
        else:
            p = rig.null(b, count=n)
        r = rig.feed_result(rig.feed(b, "--rate", rate, "--messages", n))
        if r["sent"] / r["seconds"] < 0.97 * rate or r["pauses"]:
            return False
        end = time.monotonic() + 2 + (1 if gateway else 0)  # a block waits one second for lines
        while time.monotonic() < end:
            if passed(p, n) if gateway else not p.running:
                return True
            time.sleep(0.05)
        return False
    finally:
        for p in list(reversed(rig.open)):
            rig.done(p)


def highest(rig, seconds, gateway):
    """Bisected to 6 percent in short tries; then held for the whole time, 5 percent lower until
    it holds."""
    short = min(seconds, 15)
    low, rate = 0, 8000
    while rate < 200000 and keeps_up(rig, rate, short, gateway):
        low, rate = rate, int(rate * 1.5)
    high = rate
    while high / max(low, 1) > 1.06:
        rate = int((low + high) / 2)
        if keeps_up(rig, rate, short, gateway):
            low = rate
        else:
            high = rate
    while short < seconds and low > 1000 and not keeps_up(rig, low, seconds, gateway):
        low = int(low * 0.95)
    return low


@row("highest rate without growing lag / null's", ">= 0.75", lambda v: v >= 0.75)
def highest_rate(o):
    """Feed, mosquitto and influxd on the same processors. Bisected to 6 percent."""
    seconds = o.seconds or (30 if o.short else 300)

    def measure(rig):
        null, ours = interleaved(1, lambda: highest(rig, seconds, False),
                                 lambda: highest(rig, seconds, True))
        return median(ours) / median(null), {"null": null, "gaihou": ours, "seconds": seconds}
    return with_rig(measure)


# -- outage and drain -------------------------------------------------------------------------

def bodies(folder):
    """The gzip members in an outbound log's segments, found by their magic: what was posted."""
    out = []
    for f in sorted(folder.rglob("*")):
        if not f.is_file():
            continue
        data, at = f.read_bytes(), 0
        while (at := data.find(b"\x1f\x8b\x08", at)) >= 0:
            d = zlib.decompressobj(31)
            try:
                text = d.decompress(data[at:at + (4 << 20)])
            except zlib.error:
                at += 3
                continue
            if not d.eof or not text.endswith(b"\n"):
                at += 3
                continue
            n = min(len(data) - at, 4 << 20) - len(d.unused_data)
            out.append((data[at:at + n], text.count(b"\n")))
            at += n
    return out


def post_all(port, database, blocks, connections=2):
    """Seconds for posting the blocks as they are, over so many connections."""
    todo = iter(blocks)

    def worker():
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for body, _ in todo_lock(todo):
            c.request("POST", f"/write?db={database}&precision=ns", body,
                      {"Content-Encoding": "gzip"})
            r = c.getresponse()
            r.read()
            assert r.status == 204, r.status
    lock = threading.Lock()

    def todo_lock(it):
        while True:
            with lock:
                x = next(it, None)
            if x is None:
                return
            yield x
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        for f in [pool.submit(worker) for _ in range(connections)]:
            f.result()
    return time.monotonic() - began


def newest_age(influx):
    """Seconds since the newest point's time, at most 20; points are stamped when they are sent."""
    rows = influx.query("SELECT * FROM /.*/ WHERE time > now() - 20s ORDER BY time DESC LIMIT 1")
    times = [r["time"] for r in rows if not r["measurement"].startswith("gaihou_")]
    return time.time() - max(times) / 1000 if times else 20.0


@row("drain of a backlog / the database's own ceiling", ">= 0.7", lambda v: v >= 0.7)
def drain(o):
    """The backlog of ten minutes at 2,000/s (--short: one minute's), made faster than that; then
    the database comes back while a feed of 2,000/s goes on. Drain: all lines accepted (backlog and
    live) from the first that is until the backlog is gone, by time; how long the back-off kept
    gaihoud from noticing is told apart. Ceiling: the same blocks, read from the outbound log,
    posted by two connections to an influxd that has the same series, nothing else running.
    Live delay: age of the newest point in the database, asked each half second, its maximum."""
    backlog = 240000 if o.short else 1200000

    def measure(rig):
        b = rig.broker()
        rates, ceilings, delays, noticed = [], [], [], []
        for _ in range(3 if o.short else 5):
            g = rig.gateway(b)
            rig.feed_result(rig.feed(b, "--rate", 2000, "--messages", 6000))  # series exist
            until(lambda: passed(g, 6000), 30)
            rig.influx.stop()
            rig.feed_result(rig.feed(b, "--rate", 15000, "--messages", backlog), 900)
            until(lambda: passed(g, 6000 + backlog, database=False), 120)
            time.sleep(1.5)
            blocks = bodies(g.folder / "data")
            live = rig.feed(b, "--rate", 2000)
            rig.influx.start(create=False)
            back, a0 = time.monotonic(), g.status()["sinks"][0]["accepted"]
            until(lambda: g.status()["sinks"][0]["accepted"] > a0, 120)
            t0, ages, asked = time.monotonic(), [], time.monotonic()
            a0 = g.status()["sinks"][0]["accepted"]
            noticed.append(t0 - back)
            while (k := g.status()["sinks"][0])["pending_lines"] > 12000:
                time.sleep(0.1)
                if time.monotonic() - asked > 0.5:
                    ages.append(newest_age(rig.influx))
                    asked = time.monotonic()
            took = time.monotonic() - t0
            rates.append((k["accepted"] - a0) / took)
            delays.append(max(ages) if ages else newest_age(rig.influx))
            live.signal(15)
            rig.feed_result(live)
            rig.done(g)
            other = Influx(rig.place("ceiling")).start()
            rig.open.append(other)
            post_all(other.port, "gaihou", blocks[:10])  # series exist
            t = post_all(other.port, "gaihou", blocks[10:])
            ceilings.append(sum(n for _, n in blocks[10:]) / t)
            rig.done(other)
        rig.done(b)
        return median(rates) / median(ceilings), {
            "lines_per_second": [round(x) for x in rates],
            "ceiling": [round(x) for x in ceilings],
            "live_delay_s": [round(x, 2) for x in delays],
            "noticed_after_s": [round(x, 1) for x in noticed], "backlog_messages": backlog}
    return with_rig(measure)


@row("disk of one hour's outage at 10,000/s, GiB", "<= 1", lambda v: v <= 1)
def disk(o):
    """The outbound log's bytes per message, database down, times 36 million."""
    n = 200000 if o.short else 600000

    def measure(rig):
        b = rig.broker()
        g = rig.gateway(b)
        rig.feed_result(rig.feed(b, "--rate", 10000, "--messages", n))
        until(lambda: passed(g, n, database=False), 60)
        time.sleep(2)
        k = g.status()["sinks"][0]
        per = k["log_bytes"] / n
        return per * 36e6 / (1 << 30), {"bytes_per_message": round(per, 2),
                                        "lines_per_message": round(k["pending_lines"] / n, 3),
                                        "messages": n}
    return with_rig(measure, influx=False)


# -- memory -----------------------------------------------------------------------------------

def report_all(rig, b, g, most=3000000):
    """A feed until (nearly) every device has reported."""
    p = rig.feed(b, "--flat-out", "--messages", most)
    until(lambda: g.status()["engine"]["devices_seen"] >= rig.devices or not p.running, 900)
    p.signal(15)
    rig.feed_result(p)
    until(lambda: g.status()["engine"]["lag_records"] == 0, 60)


@row("RssAnon, 100,000 devices, dedupe and clock state, MiB", "<= 96", lambda v: v <= 96)
def memory(o):
    """All registered and reporting, with their times, so that each has clock and last points."""
    def measure(rig):
        b = rig.broker()
        g = rig.gateway(b)
        until(g.ready, 30)
        start = anonymous_mib(g.pid)
        report_all(rig, b, g)
        rig_feed = rig.feed(b, "--rate", 2000, "--seconds", 20 if o.short else 90)
        seen = []
        while rig_feed.running:
            time.sleep(0.5)
            seen.append(anonymous_mib(g.pid))
        rig.feed_result(rig_feed)
        return max(seen), {"at_start": round(start, 1), "median": round(median(seen), 1),
                           "devices_seen": g.status()["engine"]["devices_seen"]}
    return with_rig(measure, devices=100000, compounds=100)


@row("RssAnon with the database down, growth in percent", "within 5", lambda v: abs(v) <= 5)
def memory_outage(o):
    """100,000 devices, 2,000/s. From a minute into the outage (--short: 15 s) to its end, ten
    minutes (two) later: medians of its first and last fifth."""
    settle, down = (15, 105) if o.short else (60, 540)

    def measure(rig):
        b = rig.broker()
        g = rig.gateway(b)
        report_all(rig, b, g)
        p = rig.feed(b, "--rate", 2000, "--seconds", settle + down + 5)
        time.sleep(3)
        before = anonymous_mib(g.pid)
        rig.influx.stop()
        time.sleep(settle)
        seen, end = [], time.monotonic() + down
        while time.monotonic() < end:
            seen.append(anonymous_mib(g.pid))
            time.sleep(0.5)
        rig.feed_result(p)
        fifth = len(seen) // 5
        first, last = median(seen[:fifth]), median(seen[-fifth:])
        return (last / first - 1) * 100, {"before": round(before, 1), "first": round(first, 1),
                                          "last": round(last, 1), "peak": round(max(seen), 1),
                                          "seconds": down}
    return with_rig(measure, devices=100000, compounds=100)


# -- replay -----------------------------------------------------------------------------------

def fill_journal(rig, mib):
    """A killed gateway whose journal of that size no snapshot covers: its folder of snapshots was
    a file meanwhile."""
    b = rig.broker()
    g = rig.gateway(b)
    until(g.ready, 30)
    folder = next(p for p in (g.folder / "data").iterdir() if p.name.startswith("snapshot"))
    for f in folder.iterdir():
        f.unlink()
    folder.rmdir()
    folder.write_text("")
    feed = rig.feed(b, "--flat-out")
    until(lambda: g.status()["journal"]["end"] - g.status()["journal"]["first"] > mib << 20
          or not feed.running, 1200)
    feed.signal(15)
    n = rig.feed_result(feed)["acked"]
    until(lambda: passed(g, n, database=False), 600)
    g.kill()
    folder.unlink()
    folder.mkdir()
    return b, g


REPLAYED = {}


def replays(o):
    if REPLAYED:
        return REPLAYED
    mib = 256 if o.short else 1024
    rig = Rig()
    try:
        b, g = fill_journal(rig, mib)
        folder = next(p for p in (g.folder / "data").iterdir() if p.name.startswith("snapshot"))
        subscribed, rates, records = [], [], 0
        for _ in range(3 if o.short else o.runs):
            for f in (g.folder / "data" / "journal").iterdir():  # warm
                f.read_bytes()
            for f in folder.iterdir():
                f.unlink()
            began = time.monotonic()
            g.start(ready=False)
            until(lambda: g.status()["brokers"][0]["connected"], 120)
            subscribed.append(time.monotonic() - began)
            until(lambda: not g.status()["engine"]["replaying"], 300)
            e = g.status()["engine"]
            records = e["replayed"]
            rates.append(e["replayed"] / e["replay_seconds"])
            g.kill()
        REPLAYED.update(subscribed=subscribed, rates=rates, records=records, mib=mib)
        return REPLAYED
    finally:
        rig.close()


@row("killed, journal to replay, warm: seconds until subscribed", "<= 2", lambda v: v <= 2)
def replay_subscribed(o):
    r = replays(o)
    return median(r["subscribed"]), {"seconds": [round(x, 2) for x in r["subscribed"]],
                                     "journal_mib": r["mib"]}


@row("replay rate, million records a second", ">= 1", lambda v: v >= 1)
def replay_rate(o):
    r = replays(o)
    return median(r["rates"]) / 1e6, {"rates": [round(x) for x in r["rates"]],
                                      "records": r["records"], "journal_mib": r["mib"]}


# -- journal ----------------------------------------------------------------------------------

@row("journal append: mapped - write(), microseconds", "report", None)
def journal_copy(o):
    """tests/bench/bench_journal: records of 250 bytes appended by one thread, another syncs."""
    r = Process("bench_journal", [binaries(False) / "bench" / "bench_journal",
                                  "100000" if o.short else "400000"],
                pathlib.Path(tempfile.mkdtemp(prefix="gaihou-bench-")) / "log").start()
    assert r.wait(300) == 0, r.text()
    v = json.loads(r.text().splitlines()[-1])
    return v["mapped_us"] - v["written_us"], v


# -- what a message costs to be understood ----------------------------------------------------

DECODED = {}


def decodes(o):
    """tests/bench/bench_decode: decoded and judged, by shipped profiles, ÷ simdjson's DOM parse
    of the same bytes; medians of nine interleaved rounds of one process, then of the runs."""
    if not DECODED:
        runs = [tool("bench_decode", TOP / "config" / "catalog.yaml",
                     *(TOP / "config" / "profiles" / f"{p}.yaml"
                       for p in ("chirpstack-v4", "milesight-codec")))
                for _ in range(3 if o.short else o.runs)]
        DECODED.update({k: [json.loads(r)[k] for r in runs] for k in json.loads(runs[0])})
    return DECODED


def decode_ratio(o, what):
    r = decodes(o)[what]
    return median(fetch(r, "ratio")), {"ratios": fetch(r, "ratio"), "bytes": r[0]["bytes"],
                                       "values": r[0]["values"],
                                       "parse_ns": median(fetch(r, "parse_ns")),
                                       "all_ns": median(fetch(r, "all_ns"))}


@row("decode + judge, native, 5 fields / DOM parse", "<= 4", lambda v: v <= 4)
def decode_native(o):
    return decode_ratio(o, "native")


@row("ChirpStack v4 with object / DOM parse", "<= 2.5", lambda v: v <= 2.5)
def decode_object(o):
    return decode_ratio(o, "object")


@row("Milesight TLV in base64 in JSON / DOM parse", "<= 2.5", lambda v: v <= 2.5)
def decode_milesight(o):
    return decode_ratio(o, "milesight")


@row("topic to source, among 10,000 filters / among 10", "<= 1.5", lambda v: v <= 1.5)
def route(o):
    """tests/bench/bench_route, the same topics."""
    lines = [tool("bench_route") for _ in range(3 if o.short else o.runs)]
    values = [float(x.split("same topics: ")[1].split(" ")[0]) for x in lines]
    return median(values), {"ratios": values}


# -- all of it --------------------------------------------------------------------------------

def show(results):
    print(f"\n{'figure':62} {'goal':>10} {'measured':>10}  met")
    for r in results:
        value = "failed" if r["value"] is None else f"{r['value']:.3g}"
        met = {True: "yes", False: "NO", None: "-"}[r["met"]]
        print(f"{r['what']:62} {r['goal']:>10} {value:>10}  {met}")


def machine():
    cpu = [x.split(":")[1].strip() for x in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
           if x.startswith("model name")]
    return {"cpu": cpu[0] if cpu else "", "cores": os.cpu_count(), "kernel": os.uname().release,
            "load": os.getloadavg()[0]}


def main():
    a = argparse.ArgumentParser(description="gaihoud's figures")
    a.add_argument("--short", action="store_true")
    a.add_argument("--runs", type=int, default=7)
    a.add_argument("--seconds", type=int, help="of one try of highest_rate")
    a.add_argument("--only", action="append", choices=list(ROWS), metavar="ROW")
    a.add_argument("--out", default=str(TOP / "build" / "bench.json"))
    a.add_argument("--list", action="store_true")
    o = a.parse_args()
    if o.list:
        for name, (r, _) in ROWS.items():
            print(f"{name:20} {r.what} ({r.goal})")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends too
    results = []
    for name in o.only or ROWS:
        r, fn = ROWS[name]
        began = time.monotonic()
        one = {"row": name, "what": r.what, "goal": r.goal}
        try:
            value, detail = fn(o)
            one.update(value=value, met=r.met(value) if r.met else None, detail=detail)
        except Exception as e:  # one row that fails does not hide the others
            traceback.print_exc()
            one.update(value=None, met=False, error=str(e)[:2000])
        one["took_s"] = round(time.monotonic() - began, 1)
        print(json.dumps(one), flush=True)
        results.append(one)
    pathlib.Path(o.out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(o.out).write_text(json.dumps(
        {"date": datetime.datetime.now().isoformat(timespec="seconds"), "short": o.short,
         "machine": machine(), "rows": results}, indent=1) + "\n")
    show(results)
    return 0 if all(r["value"] is not None for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
