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
        no_data: {policy: alert, after: 1h}
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
    assert out.returncode == 0 and "1 rules" in out.stdout, out.stderr
    assert out.stderr.splitlines() == [
        f"{g.folder}/compounds.csv: warning: no owner: 1 compound with devices under rules has no firm, and nobody is "
        "told of what happens there: c2"]
    compounds = (g.folder / "compounds.csv").read_text(encoding="utf-8")
    (g.folder / "compounds.csv").write_text(compounds.replace(",none,", ",yulin,"), encoding="utf-8")
    assert check(g).stderr == ""


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
    # one of the example's compounds is the residents' own: it has no firm, and that is worth a word
    assert len(said) == 1 and said[0].endswith("nobody is told of what happens there: guojing"), said
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
