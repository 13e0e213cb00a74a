"""The city in the words of fourteen vendors, mixed, with the faults of the field at stated rates:
what became of each message, counted, and each value in the database."""
import collections
import os

import pytest

from families import expected, lines_of, read_musts, sources, start_time
from ring import balanced, influx_sink, wait_settled
from test_10_flow import same

FAULTS = ["--clocks", 15, "--repeats", 6, "--odd", 8, "--strangers", 3, "--no-data", 8,
          "--malformed", 3, "--elsewhere", 4]
SPAN = 420  # simulated seconds, all within ten minutes of receipt


@pytest.fixture
def fed(bench, broker, influx):
    """(gateway, truths, influx) after the feed."""
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url}], sinks=[influx_sink(influx)],
                     **sources())
    seed = int(os.environ.get("SEED", "7"))
    print(f"SEED={seed}")
    city = bench.city(seed=seed, devices=400, compounds=5)
    city.fleet += ["--families", "all"]
    city.registry(g.folder)
    g.configure().start()
    feed = city.feed(broker.url, "--start", start_time(SPAN + 60), "--speed", 25, "--seconds",
                     SPAN / 25, "--truth-payload", *FAULTS)
    result = feed.result()
    assert result["acked"] == result["sent"] > 1500 and result["resent"] == 0
    musts = read_musts(feed.truth)
    assert len(musts) == result["sent"]
    wait_settled(g, len(musts), again=sum(m["must"] == "duplicate" for m in musts))
    return g, musts, influx


def find(rows, used, sample, until_ms, since_ms):
    """The row in which all of the sample stands. A sample may have been moved by some
    milliseconds: others of its series were there."""
    at = rows[sample["device"]]
    want = {k: v for k, v in sample["values"].items()}
    replaced = sample["ts"] is None
    times = (sorted(t for t in at if since_ms <= t <= until_ms) if replaced
             else [t for t in range(sample["ts"], sample["ts"] + 9) if t in at])
    for t in times:
        if all((sample["device"], t, k) not in used and holds(at[t], k, v)
               for k, v in want.items()):
            used.update((sample["device"], t, k) for k in want)
            return at[t]
    return None


def holds(row, key, value):
    if not isinstance(value, list):
        return key in row and same(value, row[key]) and key not in row["bad"]
    raw, reason = value
    kept = row.get(key, row.get(key + "_raw"))
    return kept is not None and same(raw, kept) and row["bad"].get(key) == reason


def all_rows(influx):
    """{device: {time: {field: value, "bad": {field: reason}}}}"""
    rows = collections.defaultdict(dict)
    for m in influx.query("SHOW MEASUREMENTS"):
        name = m["name"]
        if name.startswith("gaihou_"):
            continue
        for r in influx.query(f'SELECT * FROM "{name}"'):
            at = rows[r["device"]].setdefault(r["time"], {"bad": {}})
            fields = {k: v for k, v in r.items() if v is not None}
            if name.endswith("_bad"):
                at["bad"].update({k.removesuffix("_raw"): r["reason"] for k in fields})
            at.update(fields)
    return rows


def told(m, s):
    return f"{m['n']} {m['family']} {m['what']} {m['topic']}\n{m['payload']}\n{s}"


def test_each_message_becomes_what_the_truth_says(fed):
    g, musts, influx = fed
    messages, points = expected(musts)
    total = balanced(g)
    have = collections.Counter({k: n for k, n in total["messages"].items() if n})
    assert have == messages, {k: (have[k], messages[k]) for k in have | messages
                              if have[k] != messages[k]}
    assert total["points"]["made"] == points["made"]
    assert total["points"]["duplicate"] == points["duplicate"]
    # every family spoke, and every fault was there
    assert len({m["family"] for m in musts}) == 15
    assert {m["what"] for m in musts} == {"data", "birth", "repeat", "no_data", "malformed",
                                          "stranger", "elsewhere"}
    samples = [s for m in musts if m["must"] == "decoded" for s in m["samples"]]
    assert {s["clock"] for s in samples} == {"good", "ahead", "behind", "never_set", "far"}
    assert {v[1] for s in samples for v in s["values"].values()
            if isinstance(v, list)} == {"range", "sentinel", "type"}
    # values
    rows, used, n = all_rows(influx), set(), 0
    for m in musts:
        if m["must"] != "decoded":
            continue
        for s in m["samples"]:
            row = find(rows, used, s, m["acked"] + 30000, m["sent"] - 2000)
            assert row, told(m, s)
            assert (row["device"], row["compound"]) == (s["device"], s["compound"])
            good = any(not isinstance(v, list) for v in s["values"].values())
            assert not good or row.get("uncertain") == (None if s["clock"] == "good" else "clock")
            n += lines_of(s)
    assert n == points["made"]
    # and nothing else: every field of every row was told
    rest = [(d, t, k) for d in rows for t, r in rows[d].items() for k in r
            if k not in ("bad", "time", "measurement", "device", "compound", "building", "point",
                         "reason", "uncertain") and not k.endswith("_code")
            and (d, t, k.removesuffix("_raw")) not in used]
    assert not rest, rest[:20]
