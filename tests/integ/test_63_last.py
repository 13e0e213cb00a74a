"""What a device said last: `gaihouctl devices show` and GET /api/v1/devices/CODE."""
import concurrent.futures
import json

from ring import now_ms, publish, small, topic, wait_messages

GATEWAY = """version: 1
profile: acme
topics: ["acme/{gw}/up"]
messages:
  - each: "$.list[*]"
    device: "{@.id}"
    point: "{@.ch}"
    values: {level: {from: "@.cm", unit: cm}, pump_on: "@.on"}
    quality:
      - {when: {"@.broken": 1}, bad: fault, values: [level]}
"""


def last(g, device):
    return g.get(f"/api/v1/devices/{device}")["last"]


def values(entry):
    return {v["metric"]: v for v in entry["values"]}


def shown(g, device):
    return [x.split() for x in g.ctl("devices", "show", device).stdout.splitlines()]


def row(g, device, metric):
    """The table's cells of that metric."""
    rows = [x for x in shown(g, device) if metric in x[:2]]
    assert len(rows) == 1, rows
    return rows[0]


def check_first(g, t, before, after):
    """What test_the_values publishes, as it is told."""
    one = last(g, "s1")
    assert [e["state"] for e in one] == ["read"] and one[0]["point"] == "pit"
    assert one[0]["time_ms"] == t and one[0]["topic"] == topic("s1")
    assert one[0]["profile"] == "gaihou-json" and before <= one[0]["received_ms"] <= after
    v = values(one[0])
    assert v.keys() == {"level", "pump_on", "liquid"}
    assert v["level"] == {"metric": "level", "title": "水位", "value": 0.83, "unit": "m",
                          "quality": "good", "reason": "", "time_ms": t, "clock": "device"}
    assert v["pump_on"]["value"] is True and v["pump_on"]["unit"] == ""
    assert (v["liquid"]["value"], v["liquid"]["code"], v["liquid"]["value_title"]) == ("full", 1, "满")
    v = values(last(g, "s2")[0])["level"]
    assert (v["value"], v["quality"], v["reason"], v["clock"]) == (77, "bad", "range", "receipt")
    assert before <= v["time_ms"] <= after
    assert row(g, "s1", "level")[:6] == ["pit", "level", "水位", "0.83", "m", "good"]
    assert row(g, "s1", "level")[-1] == "device's"
    assert row(g, "s1", "liquid")[3:5] == ["full", "满"]
    assert row(g, "s2", "level")[:6] == ["level", "水位", "77", "m", "bad:", "range"]
    assert row(g, "s2", "level")[-1] == "receipt"
    assert json.loads(g.ctl("--json", "devices", "show", "s1").stdout)["last"] == one
    assert last(g, "s3") == []
    text = g.ctl("devices", "show", "s3").stdout # it lives, and said nothing
    assert "no values yet" in text and "never" not in text and "METRIC" not in text
    text = g.ctl("devices", "show", "lift1").stdout
    assert "no values yet" in text and "never" in text


def test_the_values(bench, broker):
    g = small(bench, broker).start()
    t, before = now_ms() - 5000, now_ms() - 100
    publish(broker, [(topic("s1"), {"ts": t - 1000, "level": 3, "temperature": 20}),
                     (topic("s1"), {"ts": t, "level": 0.83, "pump_on": True, "liquid": "full"}),
                     (topic("s2"), {"level": 77}), (topic("s1"), b"{oops"),
                     (topic("s3", "c2"), "")])
    wait_messages(g, 5)
    after = now_ms() + 100
    g.until(lambda: last(g, "s1") and last(g, "s2"), 10, "they have spoken")
    assert shown(g, "s1")[0] == ["device", "s1"]
    check_first(g, t, before, after)
    g.stop() # from its snapshot
    g.start()
    check_first(g, t, before, after)
    g.kill()
    g.start()
    g.until(lambda: g.status()["engine"]["lag_records"] == 0, 10, "all is passed")
    check_first(g, t, before, after)
    one = last(g, "s1")
    # many ask at once
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: last(g, f"s{1 + i % 3}"), range(120)))
    assert answers[0::3] == [one] * 40 and answers[2::3] == [[]] * 40
    publish(broker, [(topic("s1"), {"level": 0.5})])
    g.until(lambda: values(last(g, "s1")[0])["level"]["value"] == 0.5, 10, "the next")
    assert values(last(g, "s1")[0]).keys() == {"level"} # that message's, not of each metric


def test_points_and_a_gateway(bench, broker):
    g = small(bench, broker)
    (g.folder / "acme.yaml").write_text(GATEWAY, encoding="utf-8")
    english = {"id": "test", "language": "en", "data_dir": str(g.folder / "data")}
    g.configure(profiles=["acme.yaml"], gateway=english,
                sources=[{"profile": "acme", "broker": "main"}]).start()
    publish(broker, [("acme/g1/up", {"list": [{"id": "EUI-1", "cm": 150, "on": True},
                                              {"id": "s2", "ch": "a", "cm": 20},
                                              {"id": "s2", "ch": "b", "cm": 30},
                                              {"id": "nobody", "cm": 1}]}),
                     ("acme/g1/up", {"list": [{"id": "s2", "ch": "a", "cm": 40, "broken": 1}]})])
    wait_messages(g, 2)
    g.until(lambda: len(last(g, "s2")) == 2, 10, "both are through")
    v = values(last(g, "s1")[0])
    assert v["level"]["value"] == 1.5 and v["level"]["title"] == "Water level" and v["pump_on"]["value"]
    a, b = last(g, "s2")
    assert (a["point"], b["point"]) == ("a", "b") and a["offset"] > b["offset"]
    broken = values(a)["level"]
    assert (broken["value"], broken["unit"], broken["quality"], broken["reason"]) == (0.4, "", "bad", "fault")
    assert values(b)["level"]["value"] == 0.3 and b["profile"] == "acme"
    assert row(g, "s2", "b")[:5] == ["b", "level", "Water", "level", "0.3"]
    # read by what is configured now: without that source nobody understands it
    g.configure(gateway=english, sources=[{"profile": "gaihou-json", "broker": "main"}])
    assert "reloaded" in g.ctl("reload").stdout
    g.until(lambda: [e["state"] for e in last(g, "s2")] == ["changed", "changed"], 10, "changed")
    assert "point b: the last message, of " in g.ctl("devices", "show", "s2").stdout


def crowded(bench, broker, **journal):
    """s2 has spoken, and what others say fills segment after segment until its own is gone."""
    g = small(bench, broker, of_broker={"max_packet_bytes": "64KiB"},
              journal={"max_bytes": "4MiB", "segment_bytes": "1MiB", **journal}).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s2"), {"ts": t, "level": 1})])
    g.until(lambda: last(g, "s2"), 10, "it has spoken")
    one = last(g, "s2")[0]
    assert one["state"] == "read"
    sent = 0

    def gone():
        nonlocal sent
        publish(broker, [(topic("s1"), {"ts": t + i, "level": 1, "firmware": "x" * 2000})
                         for i in range(sent, sent + 300)])
        sent += 300
        wait_messages(g, sent + 1)  # a broker keeps 1,000 for a gateway that has left it
        return all(int(f.stem, 16) > one["offset"]
                   for f in (g.folder / "data" / "journal").glob("*.journal"))
    g.until(gone, 30, "its segment is released")
    return g, one


def test_what_the_journal_let_go(bench, broker):
    g, before = crowded(bench, broker)
    assert last(g, "s2") == [{"point": "", "time_ms": before["time_ms"], "values": [],
                              "state": "released"}]
    text = g.ctl("devices", "show", "s2").stdout
    assert "is no longer in the journal" in text and "METRIC" not in text
    assert values(last(g, "s1")[0])["firmware"]["value"] == "x" * 2000
    publish(broker, [(topic("s2"), {"level": 2})])
    g.until(lambda: last(g, "s2")[0]["state"] == "read", 10, "it speaks again")


def test_what_the_archive_has(bench, broker):
    g, before = crowded(bench, broker, archive={"keep": "1d", "max_bytes": "64MiB"})
    assert last(g, "s2") == [before] and values(before)["level"]["value"] == 1
    for f in (g.folder / "data" / "archive").glob("*.zst"):
        f.unlink()
    assert last(g, "s2")[0]["state"] == "released"


def test_a_damaged_record(bench, broker):
    """Reading it again fails this question only."""
    g = small(bench, broker).start()
    publish(broker, [(topic("s1"), {"level": 0.25}), (topic("s2"), {"level": 0.5})])
    g.until(lambda: last(g, "s1") and last(g, "s2"), 10, "they have spoken")
    place = last(g, "s1")[0]["offset"]
    file = next(f for f in sorted((g.folder / "data" / "journal").glob("*.journal"), reverse=True)
                if int(f.stem, 16) <= place)
    with open(file, "r+b") as f:
        f.seek(place - int(file.stem, 16) + 60)
        f.write(b"!!")
    assert last(g, "s1")[0]["state"] == "damaged"
    assert "cannot be read from the journal" in g.ctl("devices", "show", "s1").stdout
    assert last(g, "s2")[0]["state"] == "read" and g.ready()
