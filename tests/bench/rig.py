"""What the rows of bench.py share: servers, feeds, and the CPU time of processes.

All runs of one figure are interleaved, so that a neighbour on the machine disturbs both sides of a
ratio alike. Each run has a broker, a gateway and folders of its own. The broker is mosquitto with
the same settings for every subscriber: nothing is dropped, TCP_NODELAY, an in-flight window of
WINDOW (which is gaihoud's receive_maximum).
"""
import contextlib
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "integ"))
import conftest  # noqa: E402
from conftest import City, Gaihou, Influx, Mosquitto, Process, until  # noqa: E402

WINDOW = 100
BROKER = ("max_queued_messages 0", "max_queued_bytes 0", f"max_inflight_messages {WINDOW}",
          "set_tcp_nodelay true", "memory_limit 0")
FILTER = "gaihou/v1/up/+/+"


def cpu_seconds(pid):
    """User and system time of the whole process, threads that ended included: its CPU clock."""
    return time.clock_gettime(~pid << 3 | 2)


def median(values):
    return statistics.median(values)


def anonymous_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no RssAnon")


def binaries(lean):
    return TOP / "build" / ("release-lean" if lean else "release")


class Rig:
    """One database and one city for a figure; a place for its runs."""

    def __init__(self, devices=1000, compounds=10, influx=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gaihou-bench-"))
        self.devices, self.compounds = devices, compounds
        self.n = 0
        self.registry = self.folder / "registry"
        self.registry.mkdir()
        self.city = City(self.folder / "city", compounds=compounds, devices=devices)
        self.city.registry(self.registry)
        self.influx = Influx(self.folder / "influx").start() if influx else None
        self.open = []

    def close(self):
        for p in reversed(self.open):
            end(p)
        if self.influx:
            end(self.influx)
        shutil.rmtree(self.folder, ignore_errors=True)

    def place(self, name):
        self.n += 1
        return self.folder / f"{name}{self.n}"

    def start(self, p):
        self.open.append(p)
        return p.start()

    def done(self, *processes):
        for p in processes:
            end(p)
            self.open.remove(p)
            if hasattr(p, "folder"):
                shutil.rmtree(p.folder, ignore_errors=True)

    def broker(self):
        return self.start(Mosquitto(self.place("mosquitto"), settings=BROKER, persistence=False))

    def gateway(self, broker, lean=False, start=True, sink=None, **sections):
        sink = {"id": "influx", "type": "influxdb1", "url": self.influx.url if self.influx else
                "http://127.0.0.1:9", "database": "gaihou", **(sink or {})}
        brokers = [{"id": "main", "url": broker.url, "receive_maximum": WINDOW}]
        g = Gaihou(self.place("gaihou"), **{"brokers": brokers, "sinks": [sink], **sections})
        g.argv[0] = str(binaries(lean) / "gaihoud")
        for f in self.registry.iterdir():
            shutil.copy(f, g.folder)
        g.configure()
        if start:
            self.start(g)
        return g

    def null(self, broker, count=None, seconds=None):
        limit = ["--count", count] if count else ["--seconds", seconds]
        p = Process("null", [binaries(False) / "null_sub", "--url", broker.url, "--client-id",
                             "null", "--filter", FILTER, *limit], self.place("null.log"))
        self.start(p)
        p.until_log("subscribed", 10)
        return p

    def feed(self, broker, *argv):
        """A feed without a truth file: writing one is no work of a broker's clients."""
        p = Process("city", [conftest.BIN / "city", "run", "--url", broker.url, *self.city.fleet,
                             *argv], self.place("city.log"))
        return self.start(p)

    def feed_result(self, p, seconds=600):
        r = conftest.city_result(p, seconds)
        self.open.remove(p)
        assert r["acked"] == r["sent"], r
        return r


def end(p):
    if p.running:
        with contextlib.suppress(AssertionError, OSError):
            p.signal(signal.SIGCONT)
            p.stop()


def passed(g, messages, database=True):
    """Has everything come, been through the engine and, if asked, into the database?"""
    s = g.status()
    k = s["sinks"][0]
    return (s["brokers"][0]["messages"] >= messages and s["engine"]["lag_records"] == 0 and
            (not database or k["pending_lines"] + k["open_lines"] + k["in_flight"] == 0))


def null_result(p, seconds=600):
    assert p.wait(seconds) == 0, p.text()
    return json.loads(p.text().splitlines()[-1])


# -- CPU per message --------------------------------------------------------------------------
# `saturated`: the subscriber is stopped (SIGSTOP), the whole feed goes into the broker's queue, the
# subscriber goes on and takes it as fast as it and the broker can. So the feed does not compete,
# nothing is dropped, and both sides are given exactly the same. `rate`: a feed of so many messages
# a second. The CPU counts from the first message until the last one is counted (null), or is in
# the database (gaihoud).

def stop_fill_go(rig, broker, p, messages):
    p.signal(signal.SIGSTOP)
    rig.feed_result(rig.feed(broker, "--flat-out", "--messages", messages))
    p.signal(signal.SIGCONT)


def null_cpu(rig, messages, rate=None):
    b = rig.broker()
    p = rig.null(b, count=messages)
    if rate:
        rig.feed_result(rig.feed(b, "--rate", rate, "--messages", messages))
    else:
        stop_fill_go(rig, b, p, messages)
    r = null_result(p)
    rig.done(p, b)
    return {"us": r["cpu_us_per_message"], "per_second": r["per_second"]}


def gateway_cpu(rig, messages, rate=None, lean=False, before=None, **sections):
    b = rig.broker()
    g = rig.gateway(b, lean=lean, **sections)
    if before:
        before(g)
    if rate:
        cpu, began = cpu_seconds(g.pid), time.monotonic()
        rig.feed_result(rig.feed(b, "--rate", rate, "--messages", messages))
    else:
        g.signal(signal.SIGSTOP)
        rig.feed_result(rig.feed(b, "--flat-out", "--messages", messages))
        cpu, began = cpu_seconds(g.pid), time.monotonic()
        g.signal(signal.SIGCONT)
    took = time.monotonic() - began if rate else None
    if rate:
        time.sleep(1.5)  # the last block waits one second for more lines
    while not passed(g, messages):  # seldom: a look costs gaihoud some hundred microseconds
        time.sleep(0.5)
        assert time.monotonic() - began < 900, g.status()
    took = took or time.monotonic() - began
    used = cpu_seconds(g.pid) - cpu
    s = g.status()
    assert s["brokers"][0]["messages"] == messages and s["sinks"][0]["refused"] == 0, s
    out = {"us": used * 1e6 / messages, "per_second": messages / took,
           "share_percent": used / took * 100, "lines": s["sinks"][0]["accepted"] / messages}
    rig.done(g, b)
    return out


ROWS = {}


class Row:
    def __init__(self, name, what, goal, met):
        self.name, self.what, self.goal, self.met = name, what, goal, met


def row(what, goal, met):
    """A figure: what it is, its goal in words, and whether a value meets it (None: reported)."""
    def take(fn):
        ROWS[fn.__name__] = (Row(fn.__name__, what, goal, met), fn)
        return fn
    return take


def spread(values):
    return [round(min(values), 3), round(max(values), 3)]


def with_rig(fn, **kw):
    rig = Rig(**kw)
    try:
        return fn(rig)
    finally:
        rig.close()


def tool(name, *argv, seconds=300):
    """The last line that a program of tests/bench says."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gaihou-bench-"))
    r = Process(name, [binaries(False) / "bench" / name, *argv], folder / "log").start()
    assert r.wait(seconds) == 0, r.text()
    return r.text().splitlines()[-1]


def interleaved(runs, *sides):
    """Each side once per round; a list of results per side."""
    out = [[] for _ in sides]
    for _ in range(runs):
        for k, side in enumerate(sides):
            out[k].append(side())
    return out


def fetch(results, key):
    return [r[key] for r in results]


def ratio_of(options, rig, messages, rate=None, lean=False, **sections):
    null, ours = interleaved(options.runs,
                             lambda: null_cpu(rig, messages, rate),
                             lambda: gateway_cpu(rig, messages, rate, lean, **sections))
    a, b = fetch(null, "us"), fetch(ours, "us")
    return median(b) / median(a), {
        "null_us": round(median(a), 2), "null_spread": spread(a),
        "gaihou_us": round(median(b), 2), "gaihou_spread": spread(b),
        "pairwise_ratio": round(median([y / x for x, y in zip(a, b)]), 3),
        "null_per_second": round(median(fetch(null, "per_second"))),
        "gaihou_per_second": round(median(fetch(ours, "per_second"))),
        "share_percent": round(median(fetch(ours, "share_percent")), 2),
        "lines_per_message": round(median(fetch(ours, "lines")), 3),
        "messages": messages, "runs": options.runs}
