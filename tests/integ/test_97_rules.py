"""Rule files from the outside: what --check says, what ships, and a reload."""
import pathlib
import shutil
import subprocess

from conftest import BIN, TOP
from ring import influx_sink, small

RULE = """version: 1
groups:
  - name: g
    rules:
      - id: high
        kind: sump
        title: high
        action: look
        no_data: {}
        levels: [{severity: minor, when: %s > 1, off: level < 0.5}]
"""


def check(g):
    return subprocess.run([BIN / "gaihoud", "--check", "--config", g.config], text=True,
                          capture_output=True, timeout=60, check=False)


def gateway(bench, broker, influx, **sections):
    g = small(bench, broker, [influx_sink(influx)], **sections)
    (g.folder / "rules").mkdir()
    return g.configure(**sections)


def test_a_wrong_rule_is_told_with_its_letter(bench, broker, influx):
    g = gateway(bench, broker, influx, alerts={"broker": "main"})
    (g.folder / "rules" / "a.yaml").write_text(RULE % "levl")
    out = check(g)
    assert out.returncode == 78
    assert 'rules/a.yaml:10:42: error: sump has no metric "levl", expected "level"?' in out.stderr
    (g.folder / "rules" / "a.yaml").write_text(RULE % "level")
    out = check(g)
    assert out.returncode == 0, out.stderr
    assert "1 rules" in out.stdout and "warning" not in out.stderr


def test_what_ships_is_good(bench, broker, influx):
    """The rules as `make install` puts them, for the example's devices: nothing is said but what is unverified."""
    g = gateway(bench, broker, influx, alerts={"broker": "main"})
    for f in (TOP / "config/rules").glob("*.yaml"):
        shutil.copy(f, g.folder / "rules")
    for f in (TOP / "config/example").glob("*.csv"):
        shutil.copy(f, g.folder)
    out = check(g)
    assert out.returncode == 0, out.stderr
    said = [line for line in out.stderr.splitlines() if "warning: unverified limits" not in line]
    assert not said, said
    kinds = len(list((TOP / "config/rules").glob("*.yaml")))
    assert kinds >= 10 and " rules" in out.stdout


def test_a_reload_takes_rules_whole_or_not_at_all(bench, broker, influx):
    g = gateway(bench, broker, influx, alerts={"broker": "main"})
    rules = pathlib.Path(g.folder / "rules" / "a.yaml")
    rules.write_text(RULE % "level")
    g.start()

    def reload():
        return subprocess.run([BIN / "gaihouctl", "--socket", g.socket, "reload"], text=True,
                              capture_output=True, timeout=30, check=False)
    rules.write_text(RULE % "levl")
    out = reload()
    assert out.returncode != 0 and "rules/a.yaml:10:42: error: " in out.stdout + out.stderr
    assert "nothing was changed" in out.stdout + out.stderr
    rules.write_text(RULE.replace("> 1", "> 2") % "level")
    out = reload()
    assert out.returncode == 0 and "reloaded" in out.stdout, out.stdout + out.stderr
