"""Alarms under kills: devices whose truth is known, a firm that listens, an operator who commands,
and a judge of what the store, the broker and the firm know at the end. For scripts/chaos and tests.

What a device did is its list of (time, level); each good and each bad level is unlike every other
of the device, so that whatever a transition says about a value can be looked up in the truth.
"""
import collections
import contextlib
import csv
import datetime
import json
import random
import sqlite3
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import schemas
from conftest import until

PREFIX = "gaihou/v1"
FIRMS = {"k1": "anshun", "k2": "bajiang"}
FAST, HELD, SAFE = "kf", "kh", "ks"  # devices: judged at once; with delays; life-safety
RULES = """version: 1
groups:
  - name: 试验
    rules:
      - id: chaos-fast
        kind: sump
        title: 水位
        action: 查看
        class: flooding
        levels: [{severity: major, when: level > 0.8, off: level < 0.6}]
        flapping: off
        points: [fast]
        only: {compounds: [k1, k2]}
      - id: chaos-fast-ack
        kind: sump
        title: 水位（需确认）
        action: 查看
        class: flooding
        levels: [{severity: minor, when: level > 0.8, off: level < 0.6}]
        flapping: off
        work: ack
        points: [fast]
        only: {compounds: [k1, k2]}
      - id: chaos-held
        kind: sump
        title: 水位（持续）
        action: 查看
        class: flooding
        levels:
          - {severity: minor, when: level > 0.8, off: level < 0.6, for: 1s, off_for: 1s}
          - {severity: critical, when: level > 1.5, off: level < 1.4, for: 1s, off_for: 500ms}
        no_data: {after: 6s, policy: alert, severity: warning}
        flapping: off
        points: [held]
        only: {compounds: [k1, k2]}
      - id: chaos-safe
        kind: manhole
        title: 井下水位
        action: 立即到场
        class: flooding
        life_safety: true
        levels: [{severity: critical, when: level > 0.8, off: level < 0.6}]
        only: {compounds: [k1, k2]}
"""


def registry(folder, fast=10, held=8, safe=4):
    """Adds our compounds and devices to the registry in `folder`, and writes the rules."""
    add(folder / "compounds.csv", [
        {"compound": c, "name": c, "district": "nanan", "street": "s", "community": "o",
         "grid": "g1", "firm": f} for c, f in FIRMS.items()])
    add(folder / "devices.csv", [
        {"device": f"{head}{i}", "source_id": f"CHAOS-{head}{i}", "kind": kind,
         "compound": "k1" if i % 2 else "k2", "building": "1", "point": point,
         "expected_interval": "5m", "life_safety": "yes" if head == SAFE else ""}
        for head, n, kind, point in ((FAST, fast, "sump", "fast"), (HELD, held, "sump", "held"),
                                     (SAFE, safe, "manhole", "")) for i in range(n)])
    (folder / "chaos-rules.yaml").write_text(RULES, encoding="utf-8")
    return [f"{head}{i}" for head, n in ((FAST, fast), (HELD, held), (SAFE, safe))
            for i in range(n)]


def add(path, rows):
    names, old = list(rows[0]), []
    if path.exists():
        with open(path, encoding="utf-8-sig", newline="") as f:
            reader = csv.DictReader(f)
            names, old = reader.fieldnames, list(reader)
    with open(path, "w", encoding="utf-8", newline="") as f:
        w = csv.DictWriter(f, names, extrasaction="ignore", restval="")
        w.writeheader()
        w.writerows(old + rows)


def connected(name, port, version=mqtt.MQTTv5, start=False):
    """A client that keeps its session and comes again by itself."""
    c = mqtt.Client(name, protocol=version, **({} if version == mqtt.MQTTv5
                                               else {"clean_session": False}))
    c.reconnect_delay_set(1, 1)
    c.max_inflight_messages_set(50)
    if version == mqtt.MQTTv5:
        p = Properties(PacketTypes.CONNECT)
        p.SessionExpiryInterval = 86400
        c.connect("127.0.0.1", port, 10, clean_start=start, properties=p)
    else:
        c.connect("127.0.0.1", port, 10)
    return c


class Thread(threading.Thread):
    """Calls step() until it is told to end; a failure is kept, and raised by end()."""

    def __init__(self, pause):
        super().__init__(daemon=True)
        self.pause, self.over, self.failed = pause, threading.Event(), None

    def run(self):
        try:
            while not self.over.wait(self.pause):
                self.step()
        except Exception as e:  # noqa: BLE001 - whatever it was, the run is worth nothing
            self.failed = e

    def end(self):
        self.over.set()
        self.join(30)
        if self.failed:
            raise self.failed


class Devices(Thread):
    """Turns good and bad, each at its own random times; every sample is in .truth."""

    def __init__(self, port, devices, seed):
        super().__init__(0.02)
        self.random = random.Random(seed)
        self.truth = {d: [] for d in devices}  # [(ts_ms, level)…]
        self.next = {d: 0.0 for d in devices}
        self.turns = dict(self.next)
        self.bad = {d: False for d in devices}
        self.silent = collections.Counter()
        self.c = connected("chaos-devices", port, mqtt.MQTTv311)
        self.c.loop_start()

    def say(self, d):
        n = len(self.truth[d])
        level = (1.0 if self.bad[d] else 0.1) + n % 4000 / 10000
        if self.bad[d] and d.startswith(HELD) and n // 7 % 3 == 0:
            level += 0.6  # the second level
        level = round(level, 4)
        ts = max(time.time_ns() // 1000000, self.truth[d][-1][0] + 1 if n else 0)
        self.truth[d].append((ts, level))
        compound = "k1" if int(d[2:]) % 2 else "k2"
        self.c.publish(f"{PREFIX}/up/{compound}/{d}", json.dumps({"ts": ts, "level": level}), 1)

    def step(self):
        now = time.monotonic()
        for d in self.truth:
            if now < self.next[d]:
                continue
            if now >= self.turns[d]:
                self.bad[d] = not self.bad[d]
                self.turns[d] = now + self.random.choice([0.3, 1, 3, 8]) * (0.5 + self.random.random())
            self.say(d)
            self.next[d] = now + 0.2 + self.random.random() * 0.8
            if d.startswith(HELD) and self.random.random() < 0.01:
                self.next[d] = now + 10  # says nothing, good or bad
                self.silent[d] += 1

    def settle(self):
        """The last word of every device, said until delays are over."""
        self.end()
        for _ in range(8):
            for d in self.truth:
                self.say(d)
            time.sleep(0.5)
        # QoS 1: all of them are the broker's
        until(lambda: not self.c._out_messages, 60, "the devices' samples are the broker's")

    def close(self):
        self.over.set()
        self.c.loop_stop()


class Listener:
    """A firm's desk (of all firms): a persistent session, everything heard is kept."""

    def __init__(self, port, name="chaos-desk"):
        self.heard = []  # (topic, payload, retained, correlation)
        self.sessions = collections.Counter()
        self.c = connected(name, port)
        self.c.on_message = self._message
        self.c.on_connect = self._connect
        self.subscribed = False
        self.c.on_subscribe = lambda *a: setattr(self, "subscribed", True)
        self.c.loop_start()
        until(lambda: self.subscribed, 20, "the desk listens")

    def _connect(self, c, _u, flags, _rc, _p=None):
        self.sessions["kept" if flags["session present"] else "new"] += 1
        if not flags["session present"]:
            c.subscribe([(f"{PREFIX}/{t}/#", 1) for t in
                         ("alerts", "events", "urgent", "reply", "gateway")])

    def _message(self, _c, _u, m):
        p = getattr(m, "properties", None)
        self.heard.append((m.topic[len(PREFIX) + 1:], m.payload, bool(m.retain),
                           getattr(p, "CorrelationData", None)))

    def on(self, level):
        return [h for h in list(self.heard) if h[0].startswith(level)]

    def so_far(self):
        """What it has heard by now, and nothing more."""
        other = Listener.__new__(Listener)
        other.heard = list(self.heard)
        return other

    def nap(self):
        """Goes without a word; the broker keeps what comes meanwhile."""
        with contextlib.suppress(OSError):
            self.c._sock_close()

    def close(self):
        self.c.loop_stop()


class Operator(Thread):
    """Acknowledges and accepts what is open, with correlation data; and now and then nonsense."""

    VERBS = ("ack", "ack", "ack", "accept", "arrive", "resolve", "confirm", "feedback", "close")

    def __init__(self, port, listener, seed):
        super().__init__(0.25)
        self.random, self.listener = random.Random(seed + 1), listener
        self.sent = {}  # correlation: (firm, compound, case, verb)
        self.at, self.open = 0, {}
        self.c = connected("chaos-operator", port)
        self.c.loop_start()

    def look(self):
        heard = self.listener.heard
        while self.at < len(heard):
            topic, payload, _, _ = heard[self.at]
            self.at += 1
            level, _, rest = topic.partition("/")
            if rest.startswith("none/"):
                continue  # of compounds without a firm: no topic can prove who commands there
            if level == "alerts" and payload:
                self.open[rest] = json.loads(payload)
            elif level == "alerts":
                self.open.pop(rest, None)

    def step(self):
        self.look()
        waits = [k for k, s in self.open.items() if not s["ack"]]
        known = waits or list(self.open)
        if not known:
            return
        firm, compound, case = self.random.choice(known).split("/")
        verb = self.random.choice(self.VERBS)
        if self.random.random() < 0.05:
            case += "x"  # nobody's
        correlation = f"c{len(self.sent)}".encode()
        p = Properties(PacketTypes.PUBLISH)
        p.ResponseTopic = f"{PREFIX}/reply/{firm}/chaos"
        p.CorrelationData = correlation
        self.sent[correlation] = (firm, compound, case, verb)
        self.c.publish(f"{PREFIX}/cmd/{firm}/{compound}/{case}/{verb}",
                       json.dumps({"by": "老王", "note": correlation.decode()}), 1, False, p)

    def settle(self):
        """Acknowledges whatever still asks for it."""
        self.end()
        until(lambda: not self.c._out_messages, 60, "the commands are the broker's")

    def close(self):
        self.over.set()
        self.c.loop_stop()


def retained(port):
    """{topic below alerts/: payload} that a newcomer finds."""
    found, done = {}, []
    c = mqtt.Client("", protocol=mqtt.MQTTv311)
    c.on_message = lambda _c, _u, m: (found.__setitem__(m.topic[len(PREFIX) + 8:], m.payload)
                                      if m.topic.startswith(f"{PREFIX}/alerts/")
                                      else done.append(1))
    c.connect("127.0.0.1", port)
    c.loop_start()
    c.subscribe(f"{PREFIX}/alerts/#", 1)
    mark = f"{PREFIX}/mark/{time.monotonic_ns()}"
    c.subscribe(mark, 1)
    time.sleep(0.2)
    c.publish(mark, "x", 1)
    try:
        until(lambda: done, 20, "the retained topics are read")
    finally:
        c.disconnect()
        c.loop_stop()
    return found


def levels(influx):
    """{device: {ms: level}} of what the database has of our devices' kinds."""
    points = collections.defaultdict(dict)
    for p in influx.query("SELECT level FROM sump, manhole GROUP BY device"):
        points[p["device"]][p["time"]] = p["level"]
    return points


def in_turn(device, points, acked):
    """[(ms, level)…] of those that were news when they came."""
    order = [ts for d, ts in dict.fromkeys(acked) if d == device and ts in points]
    missing = sorted(points.keys() - set(order), reverse=True) # came, and nobody saw it
    out = []
    for ts in order:
        while missing and missing[-1] < ts:
            out.append(missing.pop())
        out.append(ts)
    out += reversed(missing)
    newest, news = 0, []
    for ts in out:
        if ts > newest:
            news.append((ts, points[ts]))
            newest = ts
    return news


def milliseconds(stamp):
    return round(datetime.datetime.fromisoformat(stamp).timestamp() * 1000)


def as_bytes(text):
    return text.encode() if isinstance(text, str) else text


class Known:
    """What the store knows, read beside the daemon."""

    def __init__(self, path):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")  # all of one moment
            self.transitions = [
                dict(zip(("id", "case", "version", "stream", "firm", "compound", "rule", "device",
                          "point", "change", "seq", "wall_ms", "json"), row))
                for row in db.execute(
                    "SELECT t.id, case_id, version, stream, firm, compound, rule, device, point,"
                    " change, seq, wall_ms, json FROM alarm_transition t JOIN alarm_text x"
                    " ON x.id = t.id ORDER BY t.id")]
            self.rows = db.execute("SELECT count(*) FROM alarm_transition").fetchone()[0]
            self.told = dict(db.execute(
                "SELECT told_firm || '/' || told_compound || '/' || case_id, x.json FROM alarm_case"
                " c JOIN alarm_text x ON x.id = told_id WHERE closed_ms IS NULL"))
            self.open = {c: (r, d) for c, r, d in db.execute(
                "SELECT case_id, rule, device FROM alarm_case WHERE closed_ms IS NULL")}
            self.outbox = db.execute("SELECT count(*) FROM outbox").fetchone()[0]
            self.replies = db.execute("SELECT count(*) FROM alarm_reply").fetchone()[0]
        for t in self.transitions:
            t["state"] = json.loads(t["json"])

    def add(self, other):
        """What another lane knows."""
        self.transitions += other.transitions
        self.rows += other.rows
        self.told |= other.told
        self.open |= other.open
        self.outbox += other.outbox
        return self


def on_its_way(known, listener, operator=None):
    """Is there what the store told, or an answer that the operator waits for, and the listener has
    not heard it? The broker that has it brings it at any later time."""
    heard, answers = {"events": set(), "urgent": set()}, set()
    for topic, payload, _, correlation in list(listener.heard):
        level, _, rest = topic.partition("/")
        if level == "reply":
            answers.add(correlation)
        elif level in heard and payload:
            s = json.loads(payload)
            heard[level].add((s["stream"], *rest.split("/")[:2], s["seq"]))
    told = {(t["stream"], t["firm"], t["compound"], t["seq"]): t["state"]
            for t in known.transitions if t["seq"]}
    urgent = {k for k, s in told.items() if s["life_safety"] and not s["test"]}
    return bool(told.keys() - heard["events"] or urgent - heard["urgent"] or
                operator and operator.sent.keys() - answers)


def while_still(look, settled, listener, judge, operator=None, lossy=False):
    """judge(known) of stores (as look() knows them) that do not change meanwhile: a city that has
    ended falls silent, and that is told, too. Its result. All that was told is heard, if no broker
    lost it."""
    for _ in range(10):
        until(settled, 120, "all is told and stored")
        with contextlib.suppress(AssertionError):  # what never comes the judge names
            until(lambda: lossy or not on_its_way(look(), listener, operator), 15)
        n = -1
        while n != len(listener.heard):  # and what the broker brings besides
            n = len(listener.heard)
            time.sleep(2)
        known = look()
        if known.rows == look().rows and settled():
            result = judge(known)
            if known.rows == look().rows:
                return result
    raise AssertionError("the store does not come to rest")


class Judge:
    """Every figure that must be 0 is in .wrong, what it was about in .said."""

    def __init__(self):
        self.wrong = collections.Counter()
        self.said, self.figures = [], {}
        self.bytes_of = {}  # {(stream, firm, compound, seq): payload} that was heard

    def say(self, what, about=""):
        self.wrong[what] += 1
        if self.wrong[what] <= 5:
            self.said.append(f"{what}: {about}")

    def streams(self, known, listener, lossy):
        """seq, bytes, versions; and has the firm heard all of it?"""
        told = [t for t in known.transitions if t["seq"]]
        by_stream, by_version = collections.defaultdict(list), {}
        for t in told:
            by_stream[t["stream"], t["firm"], t["compound"]].append(t["seq"])
            if (t["case"], t["version"]) in by_version:
                self.say("version_twice", (t["case"], t["version"]))
            by_version[t["case"], t["version"]] = t["seq"]
            if t["stream"].endswith("/0"):
                self.say("epoch_0", t["case"])
        for key, seqs in by_stream.items():
            if seqs != list(range(1, len(seqs) + 1)):
                self.say("seq_gap_in_store", (key, len(seqs), seqs[:3], seqs[-1]))
        checked = schemas.Checked()
        bytes_of, heard = self.bytes_of, {"events": set(), "urgent": set()}
        versions, order = {}, collections.defaultdict(list)
        for topic, payload, was_retained, _ in list(listener.heard):
            level, _, rest = topic.partition("/")
            checked.hear(topic, payload)
            if level not in ("events", "urgent", "alerts") or not payload:
                continue
            s = json.loads(payload)
            firm, compound = rest.split("/")[:2]
            key = (s["stream"], firm, compound, s["seq"])
            if bytes_of.setdefault(key, payload) != payload:
                self.say("other_bytes_for_a_seq", key)
            if versions.setdefault((s["case"], s["version"]), key) != key:
                self.say("transition_under_two_seq", (s["case"], s["version"], key))
            if level != "alerts":
                heard[level].add(key)
            if level == "events" and not was_retained:
                order[key[:3]].append(s["seq"])
        stored = {(t["stream"], t["firm"], t["compound"], t["seq"]): t for t in told}
        for key, payload in bytes_of.items():
            if key not in stored:
                self.say("told_and_not_in_store", key)
            elif as_bytes(stored[key]["json"]) != payload:
                self.say("told_other_than_stored", key)
        missed = set(stored) - heard["events"]
        if lossy:
            self.figures["events_lost_by_broker"] = len(missed)
        else:
            for key in missed:
                self.say("never_heard", key)
        urgent = {k for k, t in stored.items()
                  if t["state"]["life_safety"] and not t["state"]["test"]}
        for key in () if lossy else urgent - heard["urgent"]:
            self.say("never_heard_urgent", key)
        for key in heard["urgent"] & set(stored) - urgent:
            self.say("urgent_and_is_not", key)
        for mistake in checked.wrong:
            self.say("not_as_the_schema", mistake)
        first = {k: list(dict.fromkeys(v)) for k, v in order.items()}
        for key, seqs in () if lossy else first.items():
            if seqs != sorted(seqs):
                self.say("heard_out_of_order", key)
        self.figures |= {"streams": sorted({k[0] for k in by_stream}), "transitions": known.rows,
                         "delivered": len(told), "events_heard": len(listener.on("events/")),
                         "urgent_heard": len(listener.on("urgent/")),
                         "repeats": len(listener.on("events/")) - len(heard["events"])}

    def wire(self, known, told):
        """Whatever a broker lost afterwards: it had each transition once, with the stored bytes,
        new ones in the order of their numbers. `told`: as mqtt_tap.Tap has it."""
        stored = {(t["firm"], t["compound"], t["stream"], t["seq"]): t
                  for t in known.transitions if t["seq"]}
        had, order = {"events": set(), "urgent": set()}, collections.defaultdict(list)
        for sent, topic, payload in told:
            level, firm, compound = topic[len(PREFIX) + 1:].split("/")[:3]
            s = json.loads(payload)
            key = (firm, compound, s["stream"], s["seq"])
            t = stored.get(key)
            if t is None or as_bytes(t["json"]) != payload:
                self.say("on_the_wire_and_not_in_store", (level, key))
            had[level].add(key)
            if level == "events":
                order[key[:3]].append((sent, s["seq"]))
        for key, t in stored.items():
            if key not in had["events"]:
                self.say("never_on_the_wire", (key, t["change"]))
            if (t["state"]["life_safety"] and not t["state"]["test"]
                    and key not in had["urgent"]):
                self.say("never_on_the_wire_urgent", (key, t["change"]))
        for key, seqs in order.items():
            first = list(dict.fromkeys(n for _, n in sorted(seqs)))
            if first != sorted(first):
                self.say("sent_out_of_order", key)
        self.figures["on_the_wire"] = len(told)

    def cases(self, known):
        """Each case from its beginning to its end: every version once, nothing behind the end,
        counted as often as it was active, and closed just when its rule says so."""
        by = collections.defaultdict(list)
        for t in known.transitions:
            by[t["case"]].append(t)
        for case, ts in by.items():
            self._life(case, ts)
            s = ts[-1]["state"]
            if s["open"] and case not in known.open:
                self.say("open_and_not_known", case)
            if not s["open"] and case in known.open:
                self.say("closed_and_known_as_open", case)
            # what clears and is acknowledged is over (`work: ack`)
            if (s["open"] and s["rule"].startswith("chaos-") and s["ack"] and
                    s["condition"] == "normal"):
                self.say("over_and_not_closed", (case, s["change"]))
        for case in known.open.keys() - by.keys():
            self.say("case_without_transition", case)
        self.figures["cases"] = len(by)

    def _life(self, case, ts):
        if ts[0]["state"].get("record"):
            return
        versions = [t["version"] for t in ts]
        if versions != list(range(1, len(ts) + 1)):
            self.say("versions_differ", (case, versions[:20]))
        if ts[0]["change"] not in ("activated", "flapping"):
            self.say("begins_in_the_middle", (case, ts[0]["change"]))
        before = None
        for t in ts:
            s = t["state"]
            active = s["condition"] in ("active", "recovering")
            if before is not None and not before["open"]:
                self.say("goes_on_behind_its_end", (case, t["change"]))
            if s["count"] != (before["count"] if before else 0) + (
                    t["change"] in ("activated", "recurred") or before is None):
                self.say("count_differs", (case, t["change"], s["count"]))
            if t["change"] in ("activated", "recurred", "raised", "lowered") and not active:
                self.say("active_and_is_not", (case, t["change"], s["condition"]))
            if t["change"] == "cleared" and active:
                self.say("cleared_and_is_not", (case, s["condition"]))
            if before is not None and s["at"] <= before["at"]:
                self.say("time_goes_back", (case, before["at"], s["at"]))
            before = s

    def truth(self, known, devices, lossy, points=None, acked=()):
        """Each condition that was said is one that the device had. `points`: {device: {ms:
        level}} as the database has them; what was lost on the way to gaihoud is not in them.
        `acked`: (device, ms) in the order in which gaihoud acknowledged them: a broker that was
        killed hands over old news behind newer, which moves no state."""
        by = collections.defaultdict(list)
        for t in known.transitions:
            if t["device"] in devices.truth and t["rule"].startswith("chaos-"):
                by[t["device"], t["rule"]].append(t)
        for (d, rule), ts in by.items():
            levels = {v for _, v in devices.truth[d]}
            before = None
            for t in ts:
                s = t["state"]
                active = s["condition"] == "active"
                value = s.get("value")
                if before and not active and value is not None and value >= 0.6:
                    self.say("invented_recovery", (d, t["case"], t["change"], value))
                if value is not None and value not in levels:
                    self.say("value_that_nobody_said", (d, t["case"], value))
                before = active
            if (points is not None or not lossy) and (rule.startswith("chaos-fast") or
                                                      rule == "chaos-safe"):
                self._exactly(d, rule, ts, devices.truth[d] if points is None else
                              in_turn(d, points.get(d, {}), acked))
            elif points is not None and rule == "chaos-held":
                self._held(d, ts, in_turn(d, points.get(d, {}), acked))
        self._points(devices, lossy, points)
        openly = {(r, d) for r, d in known.open.values()}
        last = {(r, d): ts[-1]["state"] for (d, r), ts in by.items()}
        n = 0
        for d, samples in devices.truth.items():
            rules = {FAST: ("chaos-fast", "chaos-fast-ack"), HELD: ("chaos-held",),
                     SAFE: ("chaos-safe",)}[d[:2]]
            bad = samples[-1][1] > 0.8
            for r in rules:
                s = last.get((r, d))
                n += 1
                if bad and ((r, d) not in openly or s["condition"] != "active"):
                    self.say("bad_and_no_case", (r, d, s and s["condition"]))
                if not bad and s and s["condition"] == "active":
                    self.say("good_and_not_cleared", (r, d, s["case"], s["value"]))
        for case, (r, d) in known.open.items():
            if r.startswith("chaos-") and d not in devices.truth:
                self.say("case_of_nobody", (case, d))
        self.figures |= {"samples": sum(map(len, devices.truth.values())), "judged": n,
                         "open": len(known.open)}

    def _points(self, devices, lossy, points):
        """What is in the database is what the device said, all of it."""
        for d, samples in devices.truth.items() if points is not None else ():
            said, there = dict(samples), points.get(d, {})
            for ts, level in there.items():
                if said.get(ts) != level:
                    self.say("point_that_nobody_said", (d, ts, level, said.get(ts)))
            for ts in () if lossy else said.keys() - there.keys():
                self.say("no_point_of_a_sample", (d, ts))

    def _exactly(self, d, rule, ts, samples):
        """Without delays every turn of the truth is a turn of the case, by the very sample, and
        nothing else is."""
        wanted, bad = [], False
        for _, v in samples:
            if (v > 0.8) != bad:
                bad = not bad
                wanted.append((bad, v))
        seen, active = [], False
        for t in ts:
            now = t["state"]["condition"] == "active"
            if now != active or (t["change"] == "recurred" and active):
                seen.append((now, t["state"]["value"]))
            active = now
        if seen != wanted:
            i = next((i for i, (a, b) in enumerate(zip(seen, wanted)) if a != b),
                     min(len(seen), len(wanted)))
            self.say("turns_differ", (d, rule, len(wanted), len(seen), f"from turn {i}",
                                      wanted[i:i + 3], seen[i:i + 3]))
        self.figures["turns"] = self.figures.get("turns", 0) + len(seen)

    def _held(self, d, ts, samples):
        """With delays of a second: two seconds of one kind without a long gap are not missed."""
        spans = []  # [from, to or None], by the samples' time
        for t in ts:
            s = t["state"]
            if t["change"] in ("activated", "recurred"):
                spans.append([milliseconds(s["since"]), None])
            elif s["cleared"] and spans and spans[-1][1] is None:
                spans[-1][1] = milliseconds(s["cleared"])
        runs = []  # [bad, from, to]
        for at, level in samples:
            if runs and runs[-1][0] == (level > 0.8) and at - runs[-1][2] < 4000:
                runs[-1][2] = at
            else:
                runs.append([level > 0.8, at, at])
        for bad, begin, end in runs:
            if end - begin < 2000:
                continue
            told = any(a <= end - (not bad) and (b is None or b > end) for a, b in spans)
            if bad and not told:
                self.say("bad_and_never_told", (d, begin, end))
            if told and not bad:
                self.say("good_and_told_as_bad", (d, begin, end))
        self.figures["held_runs"] = self.figures.get("held_runs", 0) + len(runs)

    def kept(self, known, port):
        """The retained set is the open set, to the byte."""
        there = retained(port)
        mine = {k: as_bytes(v) for k, v in known.told.items()}
        for k in there.keys() - mine.keys():
            self.say("retained_and_not_open", k)
        for k in mine.keys() - there.keys():
            self.say("open_and_not_retained", k)
        for k in mine.keys() & there.keys():
            if mine[k] != there[k]:
                self.say("retained_other_bytes", k)
        self.figures["retained"] = len(there)

    def commands(self, operator, listener, lossy):
        """Each got one answer: one text, however often it came. A command that found nothing is
        not remembered: delivered again it is asked again, at another time."""
        answers = collections.defaultdict(set)
        for topic, payload, _, correlation in listener.on("reply/"):
            if correlation and json.loads(payload)["result"] in ("unknown", "not_yours", "bad"):
                payload = json.dumps({**json.loads(payload), "at": None})
            if correlation:
                answers[correlation].add((topic, payload))
        results = collections.Counter()
        for c in operator.sent:
            n = len(answers.get(c, ()))
            if n > 1:
                self.say("answered_twice", (c, operator.sent[c], answers[c]))
            elif n == 0 and not lossy:
                self.say("not_answered", (c, operator.sent[c]))
            elif n == 0:
                self.figures["commands_without_answer"] = self.figures.get(
                    "commands_without_answer", 0) + 1
            for _, payload in answers.get(c, ()):
                results[json.loads(payload)["result"]] += 1
        for c in answers.keys() - operator.sent.keys():
            self.say("answer_to_nobody", c)
        self.figures |= {"commands": len(operator.sent), "answers": dict(results)}

    def effects(self, known, operator, listener):
        """A command that was done made one transition, which the answer names; any other, none:
        however often it came, and whether its answer was heard or not. The note is the command's
        own."""
        made, answers = collections.defaultdict(list), {}
        for t in known.transitions:
            note = t["state"]["note"]
            if note is not None and note.encode() in operator.sent:
                made[note.encode()].append(t)
        for _, payload, _, correlation in listener.on("reply/"):
            if correlation in operator.sent:
                answers[correlation] = json.loads(payload)
        for c, (firm, compound, case, verb) in operator.sent.items():
            ts, a = made.get(c, []), answers.get(c)
            if len(ts) > 1:
                self.say("done_twice", (c, verb, [(t["case"], t["version"]) for t in ts]))
            for t in ts:
                if (t["case"], t["firm"], t["compound"]) != (case, firm, compound):
                    self.say("done_elsewhere", (c, verb, case, t["case"]))
            if a and a["result"] == "done" and not ts:
                self.say("done_and_lost", (c, verb, case, a))
            elif a and a["result"] == "done" and ts[0]["version"] != a["version"]:
                self.say("done_as_another_version", (c, verb, a, ts[0]["version"]))
            elif a and a["result"] != "done" and ts:
                self.say("not_done_and_done", (c, verb, a))
        self.figures["effects"] = sum(map(len, made.values()))

    @staticmethod
    def says(listener, gateway):
        heard = listener.on(f"gateway/{gateway}/status")
        return json.loads(heard[-1][1]) if heard else {}

    def status(self, listener, gateway, reason=None):
        """What the gateway's retained status says last."""
        s = self.says(listener, gateway)
        if s.get("reason" if reason else "state") != (reason or "online"):
            self.say("status_wrong", (gateway, s))

    def history(self, known, influx):
        """One point of gaihou_alert a transition."""
        rows = influx.query('SELECT * FROM "gaihou_alert"')
        there = collections.Counter((r["case"], r["version"], r["change"]) for r in rows)
        mine = collections.Counter((t["case"], t["version"], t["change"])
                                   for t in known.transitions)
        for k in mine - there:
            self.say("no_point_of_a_transition", k)
        for k in there - mine:
            self.say("point_of_no_transition", k)
        self.figures["gaihou_alert"] = len(rows)
