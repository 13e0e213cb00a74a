"""Every message below alerts.prefix is what docs/schemas says, and fits its topic. The schemas allow
members that they do not know, because receivers must; here one that they do not know is a mistake."""
import functools
import json
import re

import jsonschema

from conftest import TOP

PREFIX = "gaihou/v1/"
NAMES = ("state", "reply", "command", "snapshot", "status", "epoch", "presence")


@functools.cache
def validator(name):
    schema = json.loads((TOP / f"docs/schemas/{name}.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _mistakes(name, d):
    v = validator(name)
    for e in v.iter_errors(d):
        yield f"{name}.json: {'/'.join(map(str, e.absolute_path))}: {e.message}"
    for key in d.keys() - v.schema["properties"].keys():
        yield f"{name}.json does not know {key}"


def _place(levels, d):
    """A state stands where it says."""
    if [d.get("firm"), d.get("compound")] != levels[1:3]:
        yield f"is {d.get('firm')}/{d.get('compound')}'s"
    if levels[0] == "alerts" and d.get("case") != levels[3]:
        yield f"is {d.get('case')}'s"
    if levels[0] == "alerts" and not d.get("open"):
        yield "is kept and not open"
    if levels[0] == "alerts" and d.get("record"):
        yield "is kept and of the past"
    if levels[0] == "urgent" and (not d.get("life_safety") or d.get("test")):
        yield "is urgent and no life-safety"


def kind(levels):
    """Which schema speaks of a topic's payload; None: none, as of sensors' messages."""
    n, head = len(levels), levels[0]
    if (head, n) in (("alerts", 4), ("events", 3), ("urgent", 3)):
        return "state"
    if (head, n) == ("gateway", 3) and levels[2] in ("status", "epoch"):
        return levels[2]
    if (head, n) == ("presence", 2):
        return "presence"
    if (head, n) == ("cmd", 5):
        return "command"
    return "reply" if head == "reply" and n >= 3 else None


def mistakes(topic, payload):
    """What is wrong with a message, as texts; topic with or without the prefix."""
    levels = topic.removeprefix(PREFIX).split("/")
    name = kind(levels)
    if name is None or levels[0] == "up":
        return [] if levels[0] in ("up", "snapshot", "mark") else [f"{topic}: what is this?"]
    if not payload:
        return [] if name in ("presence", "command") or levels[0] == "alerts" else [
            f"{topic}: is empty"]
    try:
        d = json.loads(payload)
    except ValueError as e:
        return [f"{topic}: {e}"]
    if not isinstance(d, dict):
        return [f"{topic}: no object"]
    if name == "reply" and "result" not in d:  # a snapshot's, or one of its states
        name = "snapshot" if "snapshot" in d else "state"
    wrong = list(_mistakes(name, d))
    if name == "state" and levels[0] != "reply":
        wrong += _place(levels, d)
    if name in ("status", "epoch") and d.get("gateway") != re.sub("-ls$", "", levels[1]):
        wrong.append("is another gateway's")
    return [f"{topic}: {w}" for w in wrong]


class Checked:
    """Heard messages, each text looked at once."""

    def __init__(self):
        self.known, self.wrong, self.n = set(), [], 0

    def hear(self, topic, payload):
        key = hash((topic, bytes(payload)))
        if key in self.known:
            return
        self.known.add(key)
        self.n += 1
        self.wrong += mistakes(topic, payload)

    def good(self):
        assert not self.wrong, (len(self.wrong), self.wrong[:5])
