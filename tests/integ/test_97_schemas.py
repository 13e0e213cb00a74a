# SPDX-License-Identifier: Apache-2.0
"""What is told is what docs/schemas says: on the samples that test_cases leaves behind, and on all
that the simulation's gateways tell. (The tests with real brokers look at what they hear: schemas.py.)"""
import json
import os
import pathlib
import re
import subprocess

import pytest

import schemas

TOP = pathlib.Path(__file__).resolve().parents[2]
TOLD = re.compile(rb"^ *[0-9.]+  alerts: (gaihou/v1/\S+) (.*?)(?: \(retained\))?$", re.MULTILINE)
SEEDS = range(1, 301 if os.environ.get("GAIHOU_TEST_LONG") else 31)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_schema_itself(name):
    v = schemas.validator(name)
    v.check_schema(v.schema)


@pytest.mark.parametrize("file", ["cases-samples.jsonl", "cases-samples-random.jsonl"])
def test_samples(file):
    path = TOP / "build" / file
    if not path.exists():
        pytest.skip("make unit T=test_cases* makes them")
    n = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        d = json.loads(line)
        if "result" in d:
            topic = "reply/f1/c1"
        elif d.get("firm") and d["open"] and "record" not in d:
            topic = f"alerts/{d['firm']}/{d['compound']}/{d['case']}"
        else:
            topic = f"events/{d['firm']}/{d['compound']}"
        assert not schemas.mistakes(topic, line), line
        n += 1
    assert n > 100


@pytest.fixture(scope="module")
def programs():
    variant = next((v for v in ("release", "asan") if (TOP / f"build/{v}/sim/model").exists() and
                    (TOP / f"build/{v}/sim/sim").exists()), "release")
    made = [TOP / f"build/{variant}/sim/{x}" for x in ("model", "sim")]
    subprocess.run(["make", "-s", f"VARIANT={variant}", *(str(p.relative_to(TOP)) for p in made)],
                   cwd=TOP, check=True, timeout=900)
    return made


def test_what_the_simulation_tells(programs):
    model, sim = programs
    runs = [[model, "--verbose", str(seed)] for seed in SEEDS]
    runs += [[sim, "-v", str(f)] for f in sorted((TOP / "tests/sim").glob("*.scn"))]
    all_ = schemas.Checked()
    heard = set()
    for argv in runs:
        r = subprocess.run(argv, cwd=TOP, capture_output=True, timeout=300, check=False)
        assert r.returncode == 0, (argv, r.stderr[-2000:])
        for topic, payload in TOLD.findall(r.stderr):
            topic = topic.decode()
            all_.hear(topic, payload)
            heard.add(topic.split("/")[2])
    all_.good()
    assert {"alerts", "events", "urgent", "reply", "gateway"} <= heard
    assert all_.n > 1000, all_.n


def test_mistakes_are_seen():
    """Each of these is one."""
    good = json.loads((TOP / "docs/schemas/example-state.json").read_text(encoding="utf-8"))
    topic = f"alerts/{good['firm']}/{good['compound']}/{good['case']}"

    def wrong(change, where=topic):
        return schemas.mistakes(where, json.dumps({**good, **change}))
    assert not wrong({})
    assert wrong({"severity": "grave"}) and wrong({"seq": 0}) and wrong({"firm": "other"})
    assert wrong({"case": "another"}) and wrong({"open": False}) and wrong({"new": 1})
    assert wrong({"test": True}) and wrong({}, "urgent/" + "/".join(topic.split("/")[1:3]))
    assert schemas.mistakes(topic, "{") and schemas.mistakes("events/f/c", "")
    assert schemas.mistakes("gateway/x/status", '{"v":1,"state":"online","gateway":"x","lane":"all"}')
    assert schemas.mistakes("nonsense/f", "{}") and schemas.mistakes("cmd/f/c/x/ack", '{"by":1}')
