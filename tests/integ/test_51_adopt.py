"""gaihouctl quarantine adopt: from a device that nobody knows to history, with one command."""
import json
import os
import stat

import pytest

from ring import (COMPOUNDS, DEVICES, balanced, influx_sink, now_ms, publish, quarantined, small,
                  topic, wait_settled)

MINUTE = 60000


def speaks(broker, device, t, n=5, compound="c1", more=None):
    publish(broker, [(topic(device, compound), {"ts": t + i, "level": i / 10, "pump_on": True,
                                                **(more or {})}) for i in range(n)])


def levels(influx, device):
    return {r["time"]: r["level"]
            for r in influx.query(f"SELECT level FROM sump WHERE device = '{device}'")}


def known(g, code):
    return g.ctl("devices", "show", code, check=False).returncode == 0


def test_one_command_from_unknown_to_history(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - MINUTE
    speaks(broker, "EUI-77", t, 4)
    publish(broker, [(topic("EUI-77"), json.dumps({"ts": t + 4, "level": 0.4, "pump_on": True}) + "\n")])
    wait_settled(g, 5)

    def shown():
        return g.ctl("quarantine", "show", "EUI-77", check=False).stdout
    g.until(lambda: '"level": 0.4' in shown(), 10, "the last raw message")
    text = shown()
    assert "unknown_device" in text and "gaihou-json" in text and topic("EUI-77") in text
    assert "true}\n" in text  # the line end is no part of it, and no "?"
    assert "EUI-77,,sump,c1," in text  # the kind is told by what it says

    file = g.folder / "devices.csv"
    os.chmod(file, 0o640)
    said = g.ctl("quarantine", "adopt", "EUI-77", "--device", "s9", "--building", "3",
                 "--point", "北井").stdout
    assert "replayed 5" in said
    assert file.read_text(encoding="utf-8") == DEVICES + "s9,EUI-77,sump,c1,3,北井,\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not list(g.folder.glob("*.new"))
    g.until(lambda: len(levels(influx, "s9")) == 5, 15, "its points")
    assert levels(influx, "s9") == {t + i: i / 10 for i in range(5)}
    g.until(lambda: '"devices": []' in g.ctl("--json", "quarantine", "list").stdout, 10, "empty")
    speaks(broker, "EUI-77", t + 1000, 1)
    wait_settled(g, 6)
    assert len(levels(influx, "s9")) == 6
    assert balanced(g)["messages"]["reinjected"] == 5


@pytest.mark.parametrize("journal", [{"sync_interval": "5s"}, {"sync": "never"}], ids=["interval", "never"])
def test_what_came_a_moment_ago_is_taken_up_as_well(bench, broker, influx, journal):
    """The store has it only when the journal is synced past it: adopting waits for that."""
    g = small(bench, broker, [influx_sink(influx)], journal=journal).start()
    t = now_ms() - MINUTE
    speaks(broker, "EUI-77", t, 1)
    quarantined(g, 1, 1)
    speaks(broker, "EUI-77", t + 1, 4)
    g.until(lambda: g.status()["brokers"][0]["messages"] >= 5, 20, "received")
    assert "replayed 5" in g.ctl("quarantine", "adopt", "EUI-77").stdout
    g.until(lambda: len(levels(influx, "EUI-77")) == 5, 30, "its points")


@pytest.mark.parametrize("bom, end, encoding", [
    (b"\xef\xbb\xbf", "\r\n", "utf-8"), (b"", "\r\n", "gb18030"), (b"", "\n", "utf-8")])
def test_the_file_stays_as_its_people_keep_it(bench, broker, influx, bom, end, encoding):
    g = small(bench, broker, [influx_sink(influx)])
    before = bom + DEVICES.replace("\n", end).replace("pit", "泵房").encode(encoding)
    (g.folder / "devices.csv").write_bytes(before)
    g.start()
    speaks(broker, "n1", now_ms() - MINUTE)
    quarantined(g, 1, 5)
    g.ctl("quarantine", "adopt", "n1", "--point", "东井")
    assert (g.folder / "devices.csv").read_bytes() == (
        before + ("n1,,sump,c1,,东井," + end).encode(encoding))
    g.until(lambda: len(levels(influx, "n1")) == 5, 15, "its points")


def test_what_would_not_load_is_refused_and_nothing_changes(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    file = g.folder / "devices.csv"
    publish(broker, [(topic("n1"), {"ts": now_ms(), "battery_pct": 50})])  # of any kind
    publish(broker, [(topic("n2", "c9"), {"ts": now_ms(), "level": 1, "pump_on": True})])
    quarantined(g, 2)

    def refused(*argv, words):
        r = g.ctl("quarantine", "adopt", *argv, check=False)
        assert r.returncode == 1, r
        assert all(w in r.stderr for w in words), r.stderr
        assert file.read_text(encoding="utf-8") == DEVICES
        assert not list(g.folder.glob("*.new"))

    refused("n1", words=["a kind is missing", "--kind", "Nothing was written"])
    refused("n1", "--kind", "sumpf", words=["devices.csv:6:", "sumpf", "sump", "Nothing was"])
    refused("n1", "--kind", "sump", "--device", "s1", words=['"s1" is repeated'])
    refused("n1", "--kind", "sump", "--source-id", "EUI-1", words=['that of device "s1"'])
    refused("n1", "--kind", "sump", "--room", "x", words=['no column "room"'])
    refused("n2", words=["a compound is missing; give it with --compound CODE."])
    refused("n2", "--compound", "c8", words=["c8", "Nothing was written"])
    refused("nobody", words=["not found"])
    assert "n1,,sump,c1" in g.ctl("quarantine", "adopt", "n1", "--kind", "sump",
                                  "--dry-run").stdout
    assert file.read_text(encoding="utf-8") == DEVICES
    # the registry itself is broken: that is said, and not blamed on the line
    file.write_text(DEVICES + "x,,nokind,c1,,,\n", encoding="utf-8")
    r = g.ctl("quarantine", "adopt", "n1", "--kind", "sump", check=False)
    assert r.returncode == 1 and "as it is would not load" in r.stderr
    file.write_text(DEVICES, encoding="utf-8")
    # another file is broken: the reload is refused, and the line is taken back
    good = g.config.read_text()
    g.config.write_text(good.replace('"level"', '"lvel"', 1) if '"level"' in good else
                        good.replace('"http"', '"htp"', 1))
    r = g.ctl("quarantine", "adopt", "n1", "--kind", "sump", "--config", g.folder / "good.yaml",
              check=False)
    assert r.returncode == 1 and "good.yaml" in r.stderr
    (g.folder / "good.yaml").write_text(good)
    r = g.ctl("quarantine", "adopt", "n1", "--kind", "sump", "--config", g.folder / "good.yaml",
              check=False)
    assert r.returncode == 1 and "reload was refused" in r.stderr and "as it was" in r.stderr
    assert file.read_text(encoding="utf-8") == DEVICES
    assert g.ctl("quarantine", "adopt", check=False).returncode == 64
    assert g.ctl("quarantine", "adopt", "n1", "--colour", "red", check=False).returncode == 64


def test_a_replacement_takes_the_place_and_the_id(bench, broker, influx):
    """The old device is retired, its messages (the same id goes on) are the new one's."""
    g = small(bench, broker, [influx_sink(influx)])
    (g.folder / "devices.csv").write_text(
        "device,source_id,kind,compound,building,retired,replaces\n"
        "s1,EUI-1,sump,c1,1,2026-11-01,\n", encoding="utf-8")
    g.start()
    speaks(broker, "EUI-1", now_ms() - MINUTE)
    q = quarantined(g, 1, 5)[0]
    shown = json.loads(g.ctl("--json", "quarantine", "show", q["device"]).stdout)
    assert shown["samples"][0]["reason"] == "retired_device"
    g.ctl("quarantine", "adopt", "EUI-1", "--device", "s1b", "--replaces", "s1", "--building", 1)
    g.until(lambda: len(levels(influx, "s1b")) == 5, 15, "its points")
    one = json.loads(g.ctl("--json", "devices", "show", "s1b").stdout)
    assert one["replaces"] == "s1"
    assert json.loads(g.ctl("--json", "devices", "show", "s1").stdout)["replaced_by"] == "s1b"
    rows = g.until(lambda: influx.query("SELECT * FROM gaihou_place WHERE device = 's1b'"), 15,
                   "its place")
    assert rows[-1]["replaces"] == "s1"


def test_an_old_code_in_the_topic_leads_to_the_compound_of_today(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    (g.folder / "compounds.csv").write_text(
        COMPOUNDS.replace("lat\n", "lat,merged_into\n", 1) + "old,旧院,,,,,,,,c2\n",
        encoding="utf-8")
    g.start()
    speaks(broker, "n1", now_ms() - MINUTE, compound="old")
    quarantined(g, 1, 5)
    g.ctl("quarantine", "adopt", "n1")
    assert "n1,,sump,c2," in (g.folder / "devices.csv").read_text(encoding="utf-8")
    g.until(lambda: len(levels(influx, "n1")) == 5, 15, "its points")
    g.until(lambda: known(g, "n1"), 5, "known")


PROFILE = """version: 1
profile: acme
vendor: Acme
topics: ["acme/{gw}/up"]
messages:
  - name: up
    each: $.recs[*]
    device: "{@.id}"
    time: "@.t"
    values:
      level: {from: "@.mm", unit: mm}
      pump_on: "@.pump"
"""


def test_a_vendors_device_by_its_profile(bench, broker, influx):
    """A gateway's children: kind by what the profile makes of their messages, vendor from it; the
    identifier is no code."""
    g = small(bench, broker, [influx_sink(influx)], profiles=["acme.yaml"],
              sources=[{"profile": "gaihou-json", "broker": "main", "qos": 1},
                       {"profile": "acme", "broker": "main", "qos": 1}])
    (g.folder / "acme.yaml").write_text(PROFILE)
    (g.folder / "devices.csv").write_text(
        "device,source_id,kind,compound,vendor,model\ns1,k/1,sump,c1,Acme,M\n", encoding="utf-8")
    g.start()
    t = now_ms() - MINUTE
    publish(broker, [("acme/g1/up", {"recs": [
        {"id": "k/1", "t": t + i, "mm": 100, "pump": 1},
        {"id": "k/2", "t": t + i, "mm": 830 + i, "pump": 0}]}) for i in range(4)])
    q = quarantined(g, 1, 4)
    assert q[0]["device"] == "k/2"
    shown = json.loads(g.ctl("--json", "quarantine", "show", "k/2").stdout)
    assert shown["profile"] == "acme" and shown["missing"] == "a compound"
    assert shown["line"].splitlines()[1] == "k-2,k/2,sump,,Acme,"
    r = g.ctl("quarantine", "adopt", "k/2", check=False)
    assert r.returncode == 1 and "a compound is missing" in r.stderr
    g.ctl("quarantine", "adopt", "k/2", "--compound", "c2", "--model", "M")
    assert (g.folder / "devices.csv").read_text(encoding="utf-8").endswith(
        "k-2,k/2,sump,c2,Acme,M\n")
    g.until(lambda: len(levels(influx, "k-2")) == 4, 15, "its points")
    assert levels(influx, "k-2") == {t + i: (830 + i) / 1000 for i in range(4)}
    wait_settled(g)
    assert len(levels(influx, "s1")) == 4  # its sibling's are not told twice
    balanced(g)
