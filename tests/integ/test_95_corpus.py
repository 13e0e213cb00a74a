"""Messages that nobody here wrote, through the shipped profiles: each stated value must come out.

The corpus is data published by others; it lies beside the project or where GAIHOU_CORPUS says. Without
it the test is skipped. Tables: corpus_lorawan.py, corpus_china.py (routes and rules by vendor).
"""
import collections
import json
import os
import pathlib
import subprocess

import pytest

import corpus
import corpus_china
import corpus_lorawan
from conftest import BIN, TOP, VARIANT

ROUTES = corpus_lorawan.ROUTES + corpus_china.ROUTES
GOAL = 0.97


def corpus_file():
    named = os.environ.get("GAIHOU_CORPUS")
    folders = [pathlib.Path(named)] if named else [d / "shared" / "corpus" for d in TOP.parents]
    for d in folders:
        if (d / "payloads.jsonl").is_file():
            return d / "payloads.jsonl"
    pytest.skip("no corpus: neither GAIHOU_CORPUS nor ../shared/corpus holds payloads.jsonl")


def records():
    with open(corpus_file(), encoding="utf-8") as f:
        return [dict(json.loads(line), index=i) for i, line in enumerate(f)]


@pytest.fixture(scope="module")
def probe():
    program = BIN / "tools" / "profile_probe"
    if not os.environ.get("GAIHOU_TEST_BUILT"):
        subprocess.run(["make", "-s", f"VARIANT={VARIANT}", str(program.relative_to(TOP))], cwd=TOP, check=True)
    p = corpus.Probe(program, TOP / "config/catalog.yaml", sorted((TOP / "config/profiles").glob("*.yaml")))
    loads = subprocess.run([*p.argv], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if loads.returncode:
        pytest.fail("the profiles do not load:\n" + loads.stderr)
    yield p
    p.close()


class Row:
    def __init__(self):
        self.records = self.stated = self.met = self.named = self.missing = self.wrong = self.other = 0


def ask(probe, route, record):
    topic = corpus.told(route.topic, record) or corpus.plain_topic(record["topic"])
    payload = corpus.payload_bytes(record)
    if route.wrap:
        topic, payload = route.wrap(record, topic, payload)
    kind = corpus.told(route.kind, record)
    broker = corpus.told(route.broker, record)
    broker = record["index"] + 1000 if broker is None else broker
    return probe.ask(record["index"], broker, route.profiles, topic, kind, payload)


def ended(got):
    if got["outcome"] == "ignored":
        return "ignored:" + got["count"]
    return got["outcome"]


def judge(route, record, got, row, told):
    """Adds to the row; returns the number of wrong values."""
    name = f"{record['index']:3d} {record['vendor']}"
    want = corpus.told(route.ends, record) or ("samples" if corpus.wellformed(record) else "refused")
    how = ended(got)
    row.records += 1
    row.stated += len(record["expect"])
    if how not in want.split("|"):
        row.other += 1
        row.missing += len(record["expect"])
        told.append(f"{name}: {how} ({got['detail']}), should be {want}: {len(record['expect'])} not met")
        return
    if how == "refused" and not got["detail"]:
        row.other += 1
        told.append(f"{name}: refused without a reason")
    if how != "samples": # nothing of it may become data: that is how its values are met
        row.met += len(record["expect"])
        return
    for e in record["expect"]:
        word, why = route.rule(e["field"]).judge(e["value"], got)
        if word == corpus.Outcome.MET:
            row.met += 1
        elif word == corpus.Outcome.BY_NAME:
            row.met += 1
            row.named += 1
        elif word == corpus.Outcome.WRONG:
            row.wrong += 1
        else:
            row.missing += 1
        if word not in (corpus.Outcome.MET, corpus.Outcome.BY_NAME):
            told.append(f"{name}: {word}: {e['field']} = {e['value']!r}: {why}")


def table(rows):
    out = [f"{'family':44} {'records':>7} {'stated':>7} {'met':>5} {'by name':>8} {'not met':>8} {'wrong':>6} {'other end':>9}"]
    total = Row()
    for name, r in sorted(rows.items()):
        out.append(f"{name[:44]:44} {r.records:7} {r.stated:7} {r.met:5} {r.named:8} {r.missing:8} {r.wrong:6} {r.other:9}")
        for k in vars(total):
            setattr(total, k, getattr(total, k) + getattr(r, k))
    out.append(f"{'all':44} {total.records:7} {total.stated:7} {total.met:5} {total.named:8} {total.missing:8} {total.wrong:6} "
               f"{total.other:9}")
    return total, "\n".join(out)


def test_examples(probe):
    """Every example of the shipped profiles comes out as it says."""
    ran = subprocess.run([probe.argv[0], "-e", *probe.argv[1:]], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_corpus(probe, capsys):
    rows, told, routeless = collections.defaultdict(Row), [], []
    for record in records():
        route = next((r for r in ROUTES if r.takes(record)), None)
        if not route:
            routeless.append(f"{record['index']} {record['vendor']}")
            rows[record["vendor"]].records += 1
            rows[record["vendor"]].stated += len(record["expect"])
            rows[record["vendor"]].missing += len(record["expect"])
            continue
        got = ask(probe, route, record)
        judge(route, record, got, rows[record["vendor"]], told)
        if os.environ.get("GAIHOU_CORPUS_SHOW") == str(record["index"]):
            told.append(json.dumps(got, ensure_ascii=False, indent=1))
    total, text = table(rows)
    with capsys.disabled():
        print("\n" + text + "\n" + "\n".join(told) + "\n" + "\n".join(f"no route: {r}" for r in routeless))
    assert probe.crashes == 0
    assert total.wrong == 0
    assert total.other == 0
    assert not routeless
    assert total.met / total.stated >= GOAL, f"{total.met} of {total.stated}"
