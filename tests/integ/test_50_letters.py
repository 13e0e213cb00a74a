"""Quarantine, dead letters, and the reload that takes them up again."""
import json
import signal

from conftest import TOP, UnixSession, until
from ring import (DEVICES, balanced, dead_letters, influx_sink, log_lines, now_ms, publish,
                  quarantined, small, topic, wait_settled)


def test_unknown_device_is_adopted_and_its_messages_keep_their_times(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("new-1"), {"ts": t + i, "level": i / 10}) for i in range(10)])
    publish(broker, [(topic("new-2"), {"level": 1})])
    q = {d["device"]: d for d in quarantined(g, 2)}
    assert q["new-1"]["messages"] == 10 and q["new-1"]["compound"] == "c1"
    assert q["new-1"]["topic"] == topic("new-1")
    assert "new-1" in g.ctl("quarantine", "list").stdout
    shown = json.loads(g.ctl("--json", "quarantine", "show", "new-1").stdout)
    assert shown["device"] == "new-1" and '"level"' in shown["samples"][0]["payload"]
    assert g.ctl("quarantine", "show", "nobody", check=False).returncode == 1
    assert influx.query("SELECT * FROM sump") == []

    # the line it shows is a line of devices.csv, in the file's own columns
    header, line = shown["line"].splitlines()
    assert header == DEVICES.splitlines()[0] and shown["profile"] == "gaihou-json"
    row = dict(zip(header.split(","), line.split(",")))
    assert row["device"] == "new-1" and row["compound"] == "c1" and row["source_id"] == ""
    row["kind"] = "sump"
    with open(g.folder / "devices.csv", "a", encoding="utf-8") as f:
        f.write(",".join(row.values()) + "\n")

    reloaded = g.ctl("reload")
    assert "5 devices" in reloaded.stdout
    g.until(lambda: g.ctl("devices", "show", "new-1", check=False).returncode == 0, 10, "known")
    g.ctl("quarantine", "adopt", "new-1", "--replay")
    g.until(lambda: len(influx.query("SELECT level FROM sump")) == 10, 15, "its points")
    assert {r["time"]: r["level"] for r in influx.query("SELECT level FROM sump")} == {
        t + i: i / 10 for i in range(10)}
    # the new-2 stays; a second replay doubles nothing
    quarantine_left = json.loads(g.ctl("--json", "quarantine", "list").stdout)["devices"]
    assert "new-2" in {d["device"] for d in quarantine_left}
    g.ctl("quarantine", "adopt", "new-1", "--replay")
    wait_settled(g)
    assert len(influx.query("SELECT level FROM sump")) == 10
    m = balanced(g)["messages"]
    assert m["received"] == 11 and m["reinjected"] == 10 and m["quarantined"] == 11
    g.ctl("quarantine", "purge", "--device", "new-2")


def test_dead_letters_after_the_catalogue_was_mended(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    catalog = (TOP / "config" / "catalog.yaml").read_text()
    (g.folder / "catalog.yaml").write_text(catalog)
    g.configure(catalog="catalog.yaml").start()
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), b"{oops"), (topic("s1"), {"ts": t, "depth": 0.5})])
    wait_settled(g, 2)
    d = dead_letters(g, 1)[0]
    assert d["reason"] == "bad_json"
    assert balanced(g)["points"]["refused{unknown_metric}"] == 1
    (g.folder / "catalog.yaml").write_text(catalog.replace(
        "      float_high: {type: bool",
        "      depth: {type: float, unit: m, min: 0, max: 9, zh: 深度, en: Depth}\n"
        "      float_high: {type: bool", 1))
    g.signal(signal.SIGHUP)
    g.until_log("reloaded: 2 compounds, 4 devices")
    publish(broker, [(topic("s1"), {"ts": t + 1, "depth": 0.75})])
    g.until(lambda: influx.query("SELECT depth FROM sump"), 10, "the new metric")
    # a dead letter is taken up again, is dead again, and everything adds up
    assert "1" in g.ctl("dead", "replay").stdout
    g.until(lambda: balanced(g)["messages"].get("again{dead}") == 1, 10, "read again")
    assert balanced(g)["messages"]["dead{bad_json}"] == 1 # it is still one message
    wait_settled(g, 3)
    # what is no number is not "all"
    wrong = g.ctl("dead", "purge", "--id", "abc", check=False)
    assert wrong.returncode == 1 and "id: expected a number" in wrong.stderr
    for given, why in ((["--id", ""], "id: is empty"), (["--topic", ""], "topic: is empty"),
                       (["--reason="], "reason: is empty"), (["--id", "0"], "expected a number"),
                       (["--limit", "1"], "a purge has none"), (["--before", "9"], "before: nothing here is picked")):
        wrong = g.ctl("dead", "purge", *given, check=False)
        assert wrong.returncode == 1 and why in wrong.stderr, (given, wrong.stderr)
    status, said = UnixSession(g.socket).request("POST", "/api/v1/dead/purge?resaon=bad_json")
    assert status == 400 and b"did you mean reason?" in said, said
    assert json.loads(g.ctl("--json", "dead", "list").stdout)["dead"]
    # what is wrong with a command is said so that it can be put right
    for args, code, why in ((["dead", "list", "--resaon", "x"], 64, "did you mean --reason?"),
                            (["dead", "list", "--reason"], 64, "--reason lacks its value"),
                            (["dead", "show", "999999"], 1, "999999: not found"),
                            (["ack", "nope"], 1, "gaihouctl alerts lists them"),
                            (["test", "device/s1", "--for", "300h"], 1, "a test a day")):
        wrong = g.ctl(*args, check=False)
        assert wrong.returncode == code and why in wrong.stderr, (args, wrong.stderr)

    def gone(): # the letter that was taken up again comes to the store behind its count
        g.ctl("dead", "purge")
        return json.loads(g.ctl("--json", "dead", "list").stdout)["dead"] == []
    g.until(gone, 10, "gone")


def test_dead_letters_of_a_source_that_was_not_configured(bench, broker, influx):
    """A message no source fits is dead; with the source configured the replay makes points."""
    g = small(bench, broker, [influx_sink(influx)])
    both = ["gaihou/v1/up/{compound}/{device}", "old/{device}/data"]

    def sources(topics):
        return [{"profile": "gaihou-json", "broker": "main", "qos": 1, "topics": topics}]
    g.configure(sources=sources(both)).start()
    t = now_ms() - 60000
    publish(broker, [("old/s1/data", {"ts": t, "level": 1})])
    wait_settled(g, 1)
    assert len(influx.query("SELECT level FROM sump")) == 1
    g.configure(sources=sources(both[:1]))
    assert "reloaded" in g.ctl("reload").stdout
    publish(broker, [("old/s1/data", {"ts": t + 1, "level": 2}),
                     (topic("s1"), {"ts": t + 2, "level": 3})])
    g.until(lambda: len(influx.query("SELECT level FROM sump")) >= 2, 10, "the other topic")
    g.configure(sources=sources(both))
    assert "reloaded" in g.ctl("reload").stdout
    until(lambda: any("old/+/data" in x for x in broker.text().splitlines()) or True, 1)

    def there():
        publish(broker, [("old/s1/data", {"ts": t + 3, "level": 4})])
        return [r for r in influx.query("SELECT level FROM sump") if r["time"] == t + 3]
    g.until(there, 10, "subscribed again")
    balanced(g)


def test_dead_letters_make_the_history_once_all_is_mended(bench, broker, influx):
    """A configuration without the source, a registry without the device and a catalogue without
    the metric meet what waits at the broker. With all three mended the replay makes the points,
    at their own times."""
    both = ["gaihou/v1/up/{compound}/{device}", "old/{device}/data"]
    good = (TOP / "config" / "catalog.yaml").read_text()
    good = good.replace("      float_high: {type: bool",
                        "      depth: {type: float, unit: m, min: 0, max: 9, zh: 深度, en: Depth}\n"
                        "      float_high: {type: bool", 1)

    def configure(topics):
        g.configure(catalog="catalog.yaml", sources=[
            {"profile": "gaihou-json", "broker": "main", "qos": 1, "topics": topics}])
    g = small(bench, broker, [influx_sink(influx)])
    (g.folder / "catalog.yaml").write_text(good)
    configure(both)
    g.start()
    t = now_ms() - 60000
    publish(broker, [("old/s1/data", {"ts": t, "depth": 0.5})])
    wait_settled(g, 1)
    assert g.stop() == 0

    (g.folder / "catalog.yaml").write_text((TOP / "config" / "catalog.yaml").read_text())
    (g.folder / "devices.csv").write_text(DEVICES.replace("s1,", "other,"))
    configure(both[:1])
    publish(broker, [("old/s1/data", {"ts": t + i, "depth": i / 10}) for i in range(1, 21)])
    g.start()
    wait_settled(g, 21)
    letters = dead_letters(g, 20)
    assert {x["reason"] for x in letters} == {"no_source"}
    assert balanced(g)["messages"]["dead{no_source}"] == 20
    assert len(influx.query("SELECT depth FROM sump")) == 1

    (g.folder / "catalog.yaml").write_text(good)
    (g.folder / "devices.csv").write_text(DEVICES)
    configure(both)
    assert "reloaded" in g.ctl("reload").stdout
    assert "20" in g.ctl("dead", "replay").stdout
    g.until(lambda: len(influx.query("SELECT depth FROM sump")) == 21, 15, "the history")
    assert {r["time"]: r["depth"] for r in influx.query("SELECT depth FROM sump")} == {
        t: 0.5, **{t + i: i / 10 for i in range(1, 21)}}
    wait_settled(g, 21)
    m = balanced(g)["messages"]
    assert (m["received"], m["reinjected"], m["dead{no_source}"], m["decoded"]) == (21, 20, 20, 21)
    # they are marked, so that a second replay takes none of them
    assert "0" in g.ctl("dead", "replay").stdout.split()
    wait_settled(g)
    assert balanced(g)["messages"]["reinjected"] == 20


def test_reload_refused_changes_nothing(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    generation = g.status()["generation"]
    good = g.config.read_text()
    devices = (g.folder / "devices.csv").read_text()
    (g.folder / "devices.csv").write_text(devices + "x1,,sumpf,c1,,,\n")
    r = g.ctl("reload", check=False)
    assert r.returncode == 1
    assert "devices.csv:6:" in r.stdout + r.stderr and "sumpf" in r.stdout + r.stderr
    assert "nothing was changed" in r.stdout + r.stderr
    (g.folder / "devices.csv").write_text(devices)

    g.config.write_text(good.replace('"gateway"', '"gatewya"', 1))
    g.signal(signal.SIGHUP)
    g.until_log("gatewya")
    g.until_log("nothing was changed")

    c = json.loads(good)
    c["gateway"]["data_dir"] += "-elsewhere"
    g.config.write_text(json.dumps(c))
    uses = (g.folder / "data/generations/uses").read_text(encoding="utf-8")
    r = g.ctl("reload", check=False)
    assert r.returncode == 1
    assert (g.folder / "data/generations/uses").read_text(encoding="utf-8") == uses
    assert "gateway.data_dir cannot change without a restart" in r.stdout + r.stderr
    assert g.status()["generation"] == generation
    g.config.write_text(good)
    r = g.ctl("reload", check=False)
    assert "no file has changed" in r.stdout
    publish(broker, [(topic("s1"), {"ts": now_ms(), "level": 1})])
    wait_settled(g, 1)
    m = g.metrics()
    assert m["gaihou_reloads_total"][""] == 0 and m["gaihou_reload_failures_total"][""] >= 3


def test_reload_while_messages_come(bench, broker, influx):
    """A device that moves house: its messages before go to the old series, after to the new."""
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t + i, "level": 1}) for i in range(50)])
    g.until(lambda: g.status()["brokers"][0]["messages"] >= 50, 20, "they came before")
    (g.folder / "devices.csv").write_text(DEVICES.replace("s1,EUI-1,sump,c1,1,pit",
                                                          "s1,EUI-1,sump,c2,9,pit"))
    assert "reloaded" in g.ctl("reload").stdout
    g.until(lambda: json.loads(g.ctl("--json", "devices", "show", "s1").stdout)["compound"] == "c2",
            10, "moved")
    publish(broker, [(topic("s1", "c2"), {"ts": t + 100 + i, "level": 2}) for i in range(50)])
    wait_settled(g, 100)
    rows = influx.query("SELECT * FROM sump")
    assert {(r["compound"], r["building"], r["level"]) for r in rows} == {("c1", "1", 1),
                                                                         ("c2", "9", 2)}
    assert len(rows) == 100
    assert not log_lines(g, "<3>")
    balanced(g)
