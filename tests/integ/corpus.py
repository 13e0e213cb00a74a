"""What the corpus test is told with: routes, rules for stated values, and the probe.

A route says for the messages of one vendor: which profiles are asked, as what kind of facility the
device is registered, on which topic the message comes when the corpus names none, how bare bytes are
wrapped as a network server would, and where each stated value must come out. A rule is one of the
classes below; a field without a rule has the default: the metric of the last name of its path.
"""
import json
import math
import re
import subprocess


class Outcome:
    """MET: the value is there. MISSING: it is not. WRONG: another value stands there as a good one."""

    MET, BY_NAME, MISSING, WRONG = "met", "by name", "not met", "wrong"


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a == b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return a == b


class Metric:
    """Comes out as this metric: stated × scale + add, or through `map`; of this point, or sample number."""

    def __init__(self, metric, scale=1, add=0, map=None, point=None, nth=None, bad=None):
        self.metric, self.scale, self.add, self.map = metric, scale, add, map
        self.point, self.nth, self.bad = point, nth, bad

    def want(self, stated):
        if self.map is not None:
            key = stated if not callable(self.map) else None
            return self.map(stated) if callable(self.map) else self.map.get(key, key)
        if isinstance(stated, (int, float)) and not isinstance(stated, bool):
            if (self.scale, self.add) == (1, 0):
                return stated
            return round(stated * self.scale + self.add, 12)
        return stated

    def judge(self, stated, got):
        want, seen = self.want(stated), []
        samples = got["samples"]
        if self.nth is not None:
            samples = samples[self.nth:][:1]
        for s in samples:
            if self.point is not None and s["point"] != self.point:
                continue
            for v in s["values"]:
                if v["metric"] == self.metric and "value" in v:
                    seen.append(v)
        if self.bad:
            if any(v.get("quality") == "bad" and v.get("reason") == self.bad for v in seen):
                return Outcome.MET, ""
            good = [v for v in seen if v.get("quality") == "good"]
            return (Outcome.WRONG if good else Outcome.MISSING), f"{self.metric} is not bad{{{self.bad}}}: {seen}"
        for v in seen:
            if same(v["value"], want) or (v.get("quality") == "bad" and same_text(v["value"], stated)):
                return Outcome.MET, ""
        if not seen:
            return Outcome.MISSING, f"no {self.metric}"
        good = [v["value"] for v in seen if v.get("quality") != "bad"]
        word = Outcome.WRONG if good else Outcome.MISSING
        return word, f"{self.metric} is {[v['value'] for v in seen]}, stated {want!r}"


def same_text(a, b):
    return str(a) == str(b)


class Device:
    """Is (part of) the device's identifier; lower or upper case is no matter."""

    def __init__(self, part=False):
        self.part = part

    def judge(self, stated, got):
        ids = [got["device"]] + [s["device"] for s in got["samples"]]
        for i in ids:
            if i.lower() == str(stated).lower() or (self.part and i and str(stated).lower() in i.lower()):
                return Outcome.MET, ""
        return Outcome.MISSING, f"device is {ids[:3]}"


class Point:
    """Is (part of) a sample's point."""

    def judge(self, stated, got):
        points = [s["point"] for s in got["samples"]]
        ok = str(stated) in points
        return (Outcome.MET, "") if ok else (Outcome.MISSING, f"points are {points[:4]}")


class Time:
    """Is the time of a sample: epoch in the unit given, or text that `read` makes ms of."""

    def __init__(self, ms=1000, read=None, nth=None):
        self.ms, self.read, self.nth = ms, read, nth

    def judge(self, stated, got):
        want = self.read(stated) if self.read else round(float(stated) * self.ms)
        times = [s.get("time") for s in got["samples"]]
        if self.nth is not None:
            times = times[self.nth:][:1]
        if want in times:
            return Outcome.MET, ""
        return (Outcome.WRONG if any(t for t in times) else Outcome.MISSING), f"times are {times[:4]}, stated {want}"


class Selects:
    """Tells the kind of message: the profile must have taken this one."""

    def __init__(self, *messages):
        self.messages = messages

    def judge(self, stated, got):
        ok = got["message"] in self.messages
        return (Outcome.MET, "") if ok else (Outcome.MISSING, f"taken as {got['message']!r}")


class Any:
    """One of several rules."""

    def __init__(self, *rules):
        self.rules = rules

    def judge(self, stated, got):
        said = [r.judge(stated, got) for r in self.rules]
        for s in said:
            if s[0] == Outcome.MET:
                return s
        return said[0]


class Count:
    """So many values of this metric."""

    def __init__(self, metric):
        self.metric = metric

    def judge(self, stated, got):
        n = sum(v["metric"] == self.metric for s in got["samples"] for v in s["values"])
        return (Outcome.MET, "") if n == stated else (Outcome.MISSING, f"{n} of {self.metric}")


class ByName:
    """A tag of one site whose name is no metric: comes out by its own name. Tallied apart."""

    def __init__(self, name, bad=None):
        self.name, self.bad = name, bad

    def judge(self, stated, got):
        seen = [v for s in got["samples"] for v in s["values"] if v["key"] == self.name]
        if any(same(v["value"], stated) and (not self.bad or v.get("said") == f"bad {self.bad}") for v in seen):
            return Outcome.BY_NAME, ""
        return Outcome.MISSING, f"{self.name} is {seen}"


class NotMet:
    """Known not to be met, and why."""

    def __init__(self, why):
        self.why = why

    def judge(self, stated, got):
        return Outcome.MISSING, self.why


class Route:
    """vendor: exact name or compiled pattern. kind, topic, wrap, ends: values, or functions of the record.
    wrap gives (topic, bytes). ends: None (samples), "ignored:REASON", "refused". first: records of the same
    vendor (by index in the corpus) to be fed before, on the same broker."""

    def __init__(self, vendor, profiles, kind="", topic=None, wrap=None, fields=None, ends=None, broker=None,
                 only=None):
        self.vendor = vendor if hasattr(vendor, "fullmatch") else re.compile(re.escape(vendor))
        self.profiles = [profiles] if isinstance(profiles, str) else profiles
        self.kind, self.topic, self.wrap = kind, topic, wrap
        self.fields, self.ends, self.broker, self.only = fields or {}, ends, broker, only

    def takes(self, record):
        return self.vendor.fullmatch(record["vendor"]) and (not self.only or self.only(record))

    def rule(self, field):
        if field in self.fields:
            return self.fields[field]
        for name, rule in self.fields.items():
            if name.startswith("~") and (m := re.fullmatch(name[1:], field)):
                return rule(m) if callable(rule) else rule
        return Metric(re.split(r"[.\]]", field.rstrip("]"))[-1])


def told(value, record):
    return value(record) if callable(value) else value


def facility(record):
    return re.search(r"facility=([^;]*)", record["notes"])[1]


def wellformed(record):
    return "wellformed=yes" in record["notes"]


def plain_topic(topic):
    """`{x}`, `<x>`, `[X]` in the corpus stand for some name."""
    return re.sub(r"[{<\[]([^}>\]]*)[}>\]]", r"\1", topic or "")


def payload_bytes(record):
    text = record["payload"]
    if record["encoding"] == "hex":
        return bytes.fromhex(text)
    if record["encoding"].startswith("base64"):
        import base64
        return base64.b64decode(text)
    return text.encode()


class Probe:
    """profile_probe, or whatever answers its lines; started again when it dies."""

    def __init__(self, program, catalog, profiles):
        self.argv = [str(program), str(catalog), *map(str, profiles)]
        self.child, self.crashes = None, 0

    def ask(self, ident, broker, profiles, topic, kind, payload):
        line = "\t".join([str(ident), str(broker), ",".join(profiles), topic, kind, payload.hex()]) + "\n"
        if self.child is None or self.child.poll() is not None:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.child.stdin.write(line)
            self.child.stdin.flush()
            answer = self.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.crashes += 1
            rc = self.child.wait()
            self.child = None
            return {"outcome": "crash", "detail": f"exit {rc}", "samples": [], "message": "", "device": ""}
        return json.loads(answer)

    def close(self):
        if self.child:
            self.child.stdin.close()
            self.child.wait()
            self.child.stdout.close()
