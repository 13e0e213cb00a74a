"""What the city's truth says of a feed in vendors' words, and what the gateway made of it."""
import collections
import datetime
import json

from conftest import TOP

PROFILES = ["gaihou-json", "chirpstack-v4", "tts-v3", "alink", "tencent-iot", "huawei-iotda",
            "ctwing-aep", "thingsboard", "hj212", "sparkplug-b", "pump-station",
            "gbt24476-elevator"]
BRIDGED = {  # one bridge in each compound, which puts its name in front
    "zigbee2mqtt": ["{device}", "{device}/{what}", "bridge/{group}/{what}"],
    "tasmota": ["tele/{device}/{what}", "stat/{device}/{what}"],
}


def sources():
    out = [{"profile": p, "broker": "main"} for p in PROFILES]
    out.append({"profile": "zigbee2mqtt", "broker": "main",
                "topics": ["{compound}/zigbee2mqtt/" + t for t in BRIDGED["zigbee2mqtt"]]})
    out.append({"profile": "tasmota", "broker": "main",
                "topics": ["{compound}/" + t for t in BRIDGED["tasmota"]]})
    return {"sources": out, "profiles": [str(TOP / "config" / "profiles" / "*.yaml")]}


def start_time(seconds_ago):
    t = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_musts(path):
    """The truths of a feed in its order; each with sent and acked in Unix ms."""
    out = []
    for line in path.read_text().split("\n")[:-1]:
        if line.startswith("must:\t"):
            _, sent, acked, truth, *payload = line.split("\t")
            out.append({**json.loads(truth), "sent": int(sent) / 1e6, "acked": int(acked) / 1e6,
                        "payload": bytes.fromhex(payload[0]) if payload else None})
    return sorted(out, key=lambda m: m["n"])


def lines_of(sample):
    """Points that a sample makes: one of good values, one for each reason of bad ones."""
    good = any(not isinstance(v, list) for v in sample["values"].values())
    return good + len({v[1] for v in sample["values"].values() if isinstance(v, list)})


def expected(musts):
    """Counters of the ledger, as its JSON has them."""
    messages, points = collections.Counter(), collections.Counter()
    for m in musts:
        messages["received"] += 1
        messages[m["must"], m["reason"]] += "reason" in m and m["must"] != "quarantined"
        messages[m["must"]] += "reason" not in m or m["must"] == "quarantined"
        n = sum(lines_of(s) for s in m["samples"])
        if m["must"] == "decoded":
            points["made"] += n
        if m["must"] == "duplicate" and m["points_known"]:
            points["duplicate"] += n
    return messages, points
