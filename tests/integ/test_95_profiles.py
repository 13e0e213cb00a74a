"""Vendors' messages, from the broker to the database, through profiles that are files."""
import re
import subprocess

import pytest

from conftest import BIN, TOP
from ring import balanced, influx_sink, publish, small, sump_rows, wait_settled

ACME = """version: 1
profile: acme
kinds: [sump]
topics: ["acme/{id}/up", "acme/{id}/ack"]
messages:
  - name: ack
    topic: "acme/{id}/ack"
    ignore: reply
  - name: up
    topic: "acme/{id}/up"
    device: "{id}"
    values: {level: {from: $.cm, unit: cm}}
"""


def profiled(bench, broker, influx, sources, profiles):
    g = small(bench, broker, [influx_sink(influx)])
    (g.folder / "profiles").mkdir()
    for name, text in profiles.items():
        (g.folder / "profiles" / name).write_text(text, encoding="utf-8")
    return g.configure(sources=sources, profiles=["profiles/*.yaml"])


def test_a_vendors_messages_become_points(bench, broker, influx):
    g = profiled(bench, broker, influx,
                 [{"profile": "gaihou-json", "broker": "main"},
                  {"profile": "acme", "broker": "main"}], {"acme.yaml": ACME})
    g.start()
    publish(broker, [("acme/EUI-1/up", {"cm": 83}), ("acme/EUI-1/ack", {"ok": 1}),
                     ("acme/nobody/up", {"cm": 12}), ("acme/EUI-2/up", "no JSON"),
                     ("gaihou/v1/up/c1/s2", {"level": 1.5})])
    wait_settled(g, 5)
    total = balanced(g)["messages"]
    assert total["decoded"] == 2 and total["quarantined"] == 1
    assert [r["level"] for r in sump_rows(influx, "s1")] == [0.83]
    assert [r["level"] for r in sump_rows(influx, "s2")] == [1.5]


def test_a_profile_comes_with_a_reload(bench, broker, influx):
    g = profiled(bench, broker, influx, [{"profile": "gaihou-json", "broker": "main"}], {})
    g.configure(sources=[{"profile": "gaihou-json", "broker": "main"}])
    g.start()
    (g.folder / "profiles" / "acme.yaml").write_text(ACME, encoding="utf-8")
    g.configure(sources=[{"profile": "acme", "broker": "main"}])
    out = subprocess.run([BIN / "gaihouctl", "--socket", g.socket, "reload"], text=True,
                         capture_output=True, timeout=30, check=False)
    assert out.returncode == 0, out.stdout + out.stderr
    assert "reloaded" in out.stdout
    g.until(lambda: publish(broker, [("acme/EUI-1/up", {"cm": 10})]) or
            g.status()["ledger"]["messages"]["received"] > 0, 20, "it is subscribed")
    wait_settled(g)
    assert {r["level"] for r in sump_rows(influx, "s1")} == {0.1}


def test_check_runs_examples(bench, broker, influx):
    example = """examples:
  - {name: one, topic: acme/x/up, payload: '{"cm": 50}', kind: sump, expect: [{device: x, level: %s}]}
"""
    for value, code in (("0.5", 0), ("0.6", 78)):
        g = profiled(bench, broker, influx, [{"profile": "acme", "broker": "main"}],
                     {"acme.yaml": ACME + example % value})
        out = subprocess.run([BIN / "gaihoud", "--check", "--config", g.config], text=True,
                             capture_output=True, timeout=30, check=False)
        assert out.returncode == code, out.stdout + out.stderr
        assert ("1 examples" in out.stdout) if code == 0 else ("acme.yaml:" in out.stderr)


def test_shipped_profiles_are_good(bench, broker):
    """All of config/profiles, with their examples."""
    g = small(bench, broker)
    g.configure(profiles=[str(TOP / "config" / "profiles" / "*.yaml")])
    out = subprocess.run([BIN / "gaihoud", "--check", "--config", g.config], text=True,
                         capture_output=True, timeout=60, check=False)
    assert out.returncode == 0, out.stdout + out.stderr


@pytest.mark.parametrize("file", sorted((TOP / "tests/data/profiles").glob("*.yaml")),
                         ids=lambda f: f.stem)
def test_a_family_never_seen_before_is_a_file(file):
    """These do not ship: what they need, the language has."""
    r = subprocess.run([BIN / "gaihouctl", "profile", "test", "--catalog",
                        TOP / "config/catalog.yaml", file], capture_output=True, text=True,
                       check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    assert "1 example" in r.stdout


@pytest.mark.parametrize("page", ["profiles.md", "profiles.zh-CN.md"])
def test_the_pages_profiles_work_as_they_stand(page, tmp_path):
    blocks = re.findall(r"```yaml\n(version: 1\n.*?)```", (TOP / "docs" / page).read_text("utf-8"),
                        re.S)
    assert len(blocks) == 3
    for i, text in enumerate(blocks):
        file = tmp_path / f"{i}.yaml"
        file.write_text(text, encoding="utf-8")
        r = subprocess.run([BIN / "gaihouctl", "profile", "test", "--catalog",
                            TOP / "config/catalog.yaml", file], capture_output=True, text=True,
                           check=False)
        assert r.returncode == 0, r.stdout + r.stderr
