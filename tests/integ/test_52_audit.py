"""gaihouctl devices audit: what came in, computed again from the journal."""
import collections
import csv
import io
import json
import subprocess
import time

from conftest import BIN, read_truth
from ring import influx_sink, now_ms, publish, small, topic, wait_settled


def audit(g, *argv, check=True):
    r = subprocess.run([BIN / "gaihouctl", "devices", "audit", "--dir", g.folder / "data",
                        *map(str, argv)], capture_output=True, text=True, timeout=60, check=False)
    assert not check or r.returncode == 0, r
    return r


def today():
    """The day in the gateway's zone."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_by_vendor_and_model(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    (g.folder / "devices.csv").write_text(
        "device,kind,compound,expected_interval,vendor,model\n"
        "s1,sump,c1,1h,Milesight,EM500\ns2,sump,c1,1h,Milesight,EM500\n"
        "s3,sump,c2,1h,海康,\"X, 1\"\ns4,sump,c2,,海康,\"X, 1\"\n", encoding="utf-8")
    g.start()
    t = now_ms() - 60000
    messages = [(topic("s1"), {"ts": t + i, "level": 0.5, "pump_on": True}) for i in range(10)]
    messages += [(topic("s1"), {"ts": t + 3, "level": 0.5, "pump_on": True})] * 2  # twice
    messages += [(topic("s1"), {"ts": t + 100 + i, "level": 99}) for i in range(3)]  # range
    messages += [(topic("s2"), {"ts": 5, "level": 1}), (topic("s2"), {"ts": t, "level": 1})]
    messages += [(topic("s3", "c2"), [{"ts": t + i, "level": 1} for i in range(20)])]
    messages += [(topic("s9", "c2"), {"level": 1})]  # nobody's
    messages += [(topic("s4", "c1"), {"level": 1})]  # another compound's publisher: no sign of s4
    days = {today()}
    publish(broker, messages)
    wait_settled(g, len(messages), again=2)
    days.add(today())  # two, if it was midnight meanwhile

    by_model = {(r["vendor"], r["model"]): r for r in rows(audit(g, "--period", "1d", "--csv").stdout)}
    assert set(by_model) == {("Milesight", "EM500"), ("海康", "X, 1")}
    m, h = by_model[("Milesight", "EM500")], by_model[("海康", "X, 1")]
    assert (m["devices"], m["spoke"], m["messages"]) == ("2", "2", "17")
    assert (m["values"], m["bad"], m["duplicates"]) == ("25", "3", "2")
    assert (m["clock_errors"], m["bad_pct"], m["availability_pct"]) == ("1", "12.00", "100.00")
    assert (h["devices"], h["spoke"], h["messages"], h["values"]) == ("2", "1", "1", "20")

    one = {r["device"]: r for r in rows(audit(g, "--period", "1d", "--csv", "--by-device",
                                              "--vendor", "Milesight").stdout)}
    assert set(one) == {"s1", "s2"} and one["s1"]["bad"] == "3" and one["s2"]["clock_errors"] == "1"
    assert rows(audit(g, "--period", "1d", "--csv", "--compound", "c2").stdout) == [h]
    text = audit(g, "--period", "1d").stdout
    assert "VENDOR" in text and "12.00" in text
    j = json.loads(audit(g, "--period", "1d", "--json").stdout)
    assert [r["messages"] for r in j["rows"]] == [17, 1]
    assert sum(int(r["messages"]) for day in days
               for r in rows(audit(g, "--period", day, "--csv", "--vendor", "Milesight").stdout)) == 17
    assert rows(audit(g, "--period", "2020-01", "--csv").stdout) == []
    for bad in (["--period", "soon"], ["--period"], [], ["--period", "2026-13"], ["--when", "1d"]):
        assert audit(g, *bad, check=False).returncode == 64
    g.stop()  # of a stopped gateway, the same
    assert rows(audit(g, "--period", "1d", "--csv").stdout)[0]["values"] == "25"


def test_the_citys_truth(gateway, broker):
    """Every message of every device, over a registry that changes on the way."""
    g = gateway.start()
    feed = g.city.feed(broker.url, "--rate", 3000, "--messages", 3000)
    feed.result()
    wait_settled(g, 3000)
    devices = (g.folder / "devices.csv").read_text(encoding="utf-8-sig").splitlines()
    (g.folder / "devices.csv").write_text(
        "\n".join([devices[0] + ",vendor,model"] + [
            line + f",V{i % 3},M{i % 2}" for i, line in enumerate(devices[1:])]) + "\n",
        encoding="utf-8")
    assert "reloaded" in g.ctl("reload").stdout
    feed2 = g.city.feed(broker.url, "--rate", 3000, "--messages", 2000)
    feed2.result()
    wait_settled(g, 5000)
    said = collections.Counter(d for f in (feed, feed2) for d, *_ in read_truth(f.truth))
    got = rows(audit(g, "--period", "1d", "--csv", "--by-device").stdout)
    assert {r["device"]: int(r["messages"]) for r in got if int(r["messages"])} == dict(said)
    ledger = g.ledger()["total"]
    assert sum(int(r["bad"]) for r in got) == g.status()["engine"]["fields_bad"]
    assert sum(int(r["duplicates"]) for r in got) == ledger["points"]["duplicate"]
    by_model = rows(audit(g, "--period", "1d", "--csv").stdout)
    assert len(by_model) == 6 and sum(int(r["messages"]) for r in by_model) == 5000
    assert {r["vendor"] for r in rows(audit(g, "--period", "1d", "--csv", "--vendor", "V1",
                                            "--model", "M0").stdout)} == {"V1"}


def test_the_archive_too(bench, broker, influx):
    """What was released from the journal is read from its archive."""
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url, "max_packet_bytes": "64KiB"}], sinks=[influx_sink(influx)],
                     journal={"segment_bytes": "1MiB", "max_bytes": "4MiB",
                              "archive": {"keep": "1d", "max_bytes": "64MiB"}})
    city = bench.city(devices=60)
    city.registry(g.folder)
    g.configure().start()
    feed = city.feed(broker.url, "--rate", 3000, "--messages", 15000)
    feed.result()
    wait_settled(g, 15000)
    g.until(lambda: list((g.folder / "data" / "archive").glob("*.zst")), 60, "a segment is let go")
    bad = g.status()["engine"]["fields_bad"]
    assert g.stop() == 0  # no segment goes from the journal to the archive while both are read
    said = collections.Counter(d for d, *_ in read_truth(feed.truth))
    got = rows(audit(g, "--period", "1d", "--csv", "--by-device").stdout)
    # a journal as small may have left the broker, which then delivers again what it had no word of
    assert {r["device"]: int(r["messages"]) - int(r["duplicates"]) for r in got
            if int(r["messages"])} == dict(said)
    assert sum(int(r["bad"]) for r in got) == bad
