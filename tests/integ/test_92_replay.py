"""An exported journal, taken up by another gateway: the same points under their own times."""
import json
import re

from ring import (balanced, influx_sink, now_ms, publish, small, topic, wait_settled)


def rows(influx, where=""):
    return {(r["time"], r["level"]) for r in influx.query(f"SELECT level FROM sump {where}")}


def test_an_exported_journal_gives_the_same_points_elsewhere(bench, broker, influx, tmp_path):
    first = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 3600000
    publish(broker, [(topic("s1"), {"ts": t + i, "level": i / 100}) for i in range(200)])
    publish(broker, [(topic("s2"), {"level": 1.25})])  # no clock: the receipt's time
    wait_settled(first)
    first.until(lambda: len(rows(influx)) == 201, 15, "its points")
    there = rows(influx)
    first.stop()
    data = first.folder / "data"
    exported = first.ctl("journal", "export", "--dir", data).stdout
    assert exported.count("\n") == 201
    info = json.loads(first.ctl("--json", "journal", "info", "--dir", data).stdout)
    assert info["messages"] == 201
    file = tmp_path / "export.jsonl"
    file.write_text(exported)

    other = bench.influx(database="elsewhere")
    second = small(bench, None, [{**influx_sink(other), "database": "elsewhere"}])
    second.configure(brokers=[{"id": "main", "url": "mqtt://127.0.0.1:1"}])
    second.start(ready=False)
    second.until(lambda: second.ctl("status", check=False).returncode == 0, 15, "it answers")
    assert "201 messages" in second.ctl("journal", "replay", file).stdout
    second.until(lambda: len(rows(other)) == 201, 15, "the same points elsewhere")
    assert rows(other) == there
    # again: everything is known
    second.ctl("journal", "replay", file)
    second.until(lambda: second.ledger()["total"]["messages"]["reinjected"] == 402, 15, "again")
    assert balanced(second)["messages"]["decoded"] <= 402
    assert rows(other) == there
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"topic": "x"}\n')
    r = second.ctl("journal", "replay", bad, check=False)
    assert r.returncode == 1 and "line 1: expected what journal export writes" in r.stderr
    # a long file goes in pieces: the line is that of the file
    good = file.read_text().rstrip("\n") + "\n"
    many = good * (700000 // len(good) + 1)
    bad.write_text(many + "\nnonsense\n")
    r = second.ctl("journal", "replay", bad, check=False)
    said = re.search(r"line (\d+): expected.*behind line (\d+) of the file", r.stderr, re.S)
    assert r.returncode == 1 and said, r.stderr
    assert int(said[1]) + int(said[2]) == many.count("\n") + 2
