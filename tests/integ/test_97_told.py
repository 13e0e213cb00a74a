"""What shipped profiles can say is read by the rules that ship, or it is said here why not; and what can only be said to
begin is an event to the rules, for no message would ever end it."""
import re

import pytest
import yaml

from conftest import TOP


class Loader(yaml.SafeLoader):
    """true and false are booleans; on, off, yes and no are names, as in our own files."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in said if tag != "tag:yaml.org,2002:bool"]
    for first, said in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))

STATE = "a state of its normal work: what is wrong with it depends on the place"
UNREAD = {  # metric, or kind and metric: why no rule that ships reads it
    "test": "a test is no alarm",
    "online": "a platform's word that may be retained, or its end lost: silence is told; an uplink's word has a rule",
    "rebirth_asked": "the gateway's own doing",
    "calibrated": "somebody who is there calibrates it",
    "calibration": "somebody who is there calibrates it",
    "manual": STATE,
    "pump_manual": STATE,
    "valve_open": STATE,
    "fan_on": STATE,
    "port_on": STATE,
    "switch_on": STATE,
    "contactor_on": STATE,
    "charging_allowed": STATE,
    "output": STATE,
    "locked": STATE,
    "barrier_up": STATE,
    "lid_open": STATE,
    "window_open": STATE,
    "sleeping": STATE,
    "moving": STATE,
    "mode": STATE,
    "presence": STATE,
    "in_bed": STATE,
    "bright": STATE,
    "water-supply pump_on": STATE,
    "press": "how the button was pressed: `button_event` is said along with it",
    "sos door_open": STATE,
    "environment door_open": STATE,
    "environment door_2_open": STATE,
    "sump float_low": "what the pump is switched by",
    "sump level_low": "an empty sump is a good one; a pump that runs dry has its own rule",
    "sump liquid": "critical is a container that is nearly empty (EM300-CL): a good sump",
    "sump liquid_alarm": "critical is a container that is nearly empty (EM300-CL): a good sump",
    "fire-panel feedback": "of what was started: that is told",
    "fire-panel delay": "what follows is told",
    **{f"{kind} input_{i}": "what it means is told by the registry's note"
       for kind, n in (("io", 8), ("valve", 2), ("meter", 1)) for i in range(1, n + 1)},
    **{f"lamp on_{i}": STATE for i in range(1, 9)},
    **{f"valve valve_{i}_{what}": STATE for i in (1, 2) for what in ("open", "type")},
}
ONLY_TRUE = {  # profile and metric: why it need not be an event
    "gb26875 online": "its silence is told",
    "tasmota sleeping": "no rule reads it",
    "rtl-433 alarm": "of kinds that have no event: better told for ever than never",
    "rtl-433 leak": "of a pump room, which has no event: better told for ever than never",
}


def load(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


CATALOG = load(TOP / "config/catalog.yaml")
KINDS = {kind: {name: metric for use in (*(CATALOG["common"][u] for u in k.get("use", [])), k["metrics"])
                for name, metric in use.items()} for kind, k in CATALOG["kinds"].items()}
FLAGS = {kind: {n for n, m in metrics.items() if m["type"] in ("bool", "enum")} for kind, metrics in KINDS.items()}
RULES = [r for f in sorted((TOP / "config/rules").glob("*.yaml")) for g in load(f)["groups"] for r in g["rules"]]
PROFILES = sorted((TOP / "config/profiles").glob("*.yaml"))


def words(text):
    return set(re.findall(r"[a-z_][a-z0-9_]*", str(text)))


def conditions(rule):
    return [str(level[key]) for level in rule.get("levels", []) for key in ("when", "off") if key in level]


def kinds_of(rule):
    kinds = rule.get("kinds") or [rule["kind"]]
    return list(KINDS) if kinds == ["*"] else kinds


READ = {kind: set() for kind in KINDS}
for _r in RULES:
    for _k in kinds_of(_r):
        READ[_k] |= {w for c in conditions(_r) for w in words(c)} & set(KINDS[_k])


def allowed(kind, metric):
    return metric in UNREAD or f"{kind} {metric}" in UNREAD


@pytest.mark.parametrize("kind", KINDS)
def test_every_flag_is_read_or_it_is_said_why_not(kind):
    """Profiles copy what has a name of the catalogue: whatever it has may come."""
    assert {m for m in FLAGS[kind] - READ[kind] if not allowed(kind, m)} == set()


def test_what_needs_no_reason_has_none():
    for entry in UNREAD:
        *kind, metric = entry.split()
        kinds = kind or [k for k in KINDS if metric in FLAGS[k]]
        assert any(metric in FLAGS[k] and metric not in READ[k] for k in kinds), entry


def mapped(node, name=None):
    """(metric, what it may become) of all that a profile gives a fixed set of values, and (metric, []) of what it copies."""
    if isinstance(node, list):
        for x in node:
            yield from mapped(x, name)
    elif isinstance(node, dict):
        metric = node.get("metric", name)
        said = list(node["map"].values()) if isinstance(node.get("map"), dict) else []
        said += [node["const"]] if "const" in node else []
        said += [node["default"]] if said and node.get("default") is not None else []
        if said or "metric" in node or "from" in node:
            yield metric, said
            return
        for key, x in node.items():
            if key not in ("when", "examples"):
                yield from mapped(x, key)
    elif isinstance(node, str):
        yield name, []
        yield node, []


def only_true(profile):
    """Of each message what it says true and never false, where no other message is there to say that it is over."""
    each = []
    for message in profile.get("messages", []):
        said = {}
        for metric, values in mapped(message):
            said.setdefault(metric, set()).update(v for v in values if isinstance(v, bool))
            if not values:
                said[metric].add("copied")
        each.append(said)
    return {m for said in each for m, values in said.items()
            if values == {True} and not any(other.get(m) == {False} for other in each)}


def is_event(rule, metric):
    """It ends by itself: who reads it reads its age, too."""
    return all(f"age({metric}) <" in str(level["when"]) or f"age({metric}) >" in str(level.get("off"))
               for level in rule["levels"] if metric in words(level["when"]))


@pytest.mark.parametrize("file", PROFILES, ids=lambda f: f.stem)
def test_what_only_begins_is_an_event(file):
    profile = load(file)
    for metric in only_true(profile):
        if f"{file.stem} {metric}" in ONLY_TRUE:
            continue
        kinds = set(profile.get("kinds", KINDS))
        rules = [r for r in RULES if kinds & set(kinds_of(r)) and any(metric in words(c) for c in conditions(r))]
        assert rules, f"{file.stem}: no rule reads {metric}"
        assert all(is_event(r, metric) for r in rules), f"{file.stem} says {metric} and never that it is over: " + \
            ", ".join(r["id"] for r in rules if not is_event(r, metric))


def test_only_what_never_ends_is_excused():
    said = {f"{f.stem} {m}" for f in PROFILES for m in only_true(load(f))}
    assert set(ONLY_TRUE) <= said
    assert {m.split()[1] for m in said} >= {"button_event", "alarm_event", "leak_event", "read_error"} # it sees them


def values_of(node):
    """Every mapping of `values`, `names` and the like: what one message gives together."""
    if isinstance(node, list):
        for x in node:
            yield from values_of(x)
    elif isinstance(node, dict):
        for key in ("values", "names"):
            if isinstance(node.get(key), dict):
                yield node[key]
        for key, x in node.items():
            if key != "examples":
                yield from values_of(x)


@pytest.mark.parametrize("file", PROFILES, ids=lambda f: f.stem)
def test_one_fire_is_one_alarm(file):
    """smoke-alarm and smoke-state-alarm, gas-alarm and gas-state-alarm: who says both has two cases."""
    for values in values_of(load(file)):
        said = list(mapped(values))
        both = any(m == "alarm" for m, _ in said) and any(m == "state" and "alarm" in v for m, v in said)
        assert not both, f"{file.stem}: {values.get('alarm')} and {values.get('state')}"
