# SPDX-License-Identifier: Apache-2.0
"""What cases tell is what docs/schemas says: on the samples that test_cases leaves behind."""
import json
import pathlib

import pytest

jsonschema = pytest.importorskip("jsonschema")
TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = ("state", "reply", "command", "snapshot", "status", "epoch")


def schema(name):
    return jsonschema.Draft202012Validator(json.loads((TOP / f"docs/schemas/{name}.json").read_text()))


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_itself(name):
    jsonschema.Draft202012Validator.check_schema(schema(name).schema)


@pytest.mark.parametrize("file", ["cases-samples.jsonl", "cases-samples-random.jsonl"])
def test_samples(file):
    path = TOP / "build" / file
    if not path.exists():
        pytest.skip("make unit T=test_cases* makes them")
    state, reply = schema("state"), schema("reply")
    n = 0
    for line in path.read_text().splitlines():
        d = json.loads(line)
        errors = list((reply if "result" in d else state).iter_errors(d))
        assert not errors, (errors[0].message, line)
        n += 1
    assert n > 100
