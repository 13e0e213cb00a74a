"""gaihouctl rules: check, test, backtest and explain, and the pages that teach them."""
import datetime
import http.server
import json
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET

import pytest
from conftest import BIN, TOP, until
from ring import publish, small, topic, wait_settled

DATA = TOP / "tests" / "data" / "rules-test"
CATALOG = DATA / "catalog.yaml"
RULE = """version: 1
groups:
  - name: 排水
    rules:
      - id: sump-high
        kind: sump
        title: 集水井水位过高
        action: 检查水泵
        levels:
          - {severity: major, when: level > %s, off: level < 0.6}
        no_data: {after: 30d, policy: keep}
"""


def rules(*argv, cwd=None, code=0):
    r = subprocess.run([BIN / "gaihouctl", "rules", *map(str, argv)], capture_output=True, text=True,
                       timeout=120, check=False, cwd=cwd)
    assert r.returncode == code, f"{argv}: {r.returncode}\n{r.stdout}{r.stderr}"
    return r


# -- check ----------------------------------------------------------------------------------------

def test_check_says_every_problem(tmp_path):
    (tmp_path / "a.yaml").write_text(RULE % "0.8 kg")
    (tmp_path / "b.yaml").write_text((RULE % "0.8").replace("level <", "levl <"))
    r = rules("check", tmp_path / "a.yaml", tmp_path / "b.yaml", "--catalog", CATALOG, code=1)
    lines = [x for x in r.stderr.splitlines() if ": error: " in x]
    assert any(re.match(r".*/a\.yaml:\d+:\d+: error: ", x) for x in lines), r.stderr
    assert any(re.match(r".*/b\.yaml:\d+:\d+: error: .*levl.*level", x) for x in lines), r.stderr


def test_check_refuses_what_is_not_there(tmp_path):
    """Else all would be well with no rule at all."""
    r = rules("check", tmp_path / "*.yaml", "--catalog", CATALOG, code=1)
    assert f"{tmp_path}/*.yaml: No such file or directory" in r.stderr and r.stdout == ""


def test_check_says_lints_and_counts(tmp_path):
    (tmp_path / "a.yaml").write_text((RULE % "0.8").replace(", off: level < 0.6", ""))
    r = rules("check", tmp_path / "a.yaml", "--catalog", CATALOG)
    assert "warning:" in r.stderr and r.stdout == "1 rule in 1 file: no errors\n"


def test_check_sees_the_registry_as_the_daemon_does(bench):
    g = small(bench)
    g.configure(rules=["rules/*.yaml"], brokers=[{"id": "main", "url": "mqtt://127.0.0.1:1"}])
    (g.folder / "rules").mkdir()
    (g.folder / "rules" / "a.yaml").write_text(
        (RULE % "0.8").replace("        levels", "        only: {compounds: [nowhere]}\n        levels"))
    said = {x for x in g.check().stderr.splitlines() if "rules/a.yaml" in x}
    r = rules("check", "--config", g.config)
    assert said and said <= set(r.stderr.splitlines()), (said, r.stderr)
    assert any("nowhere" in x for x in said)


def test_check_of_one_file_does_not_miss_the_other_files(bench):
    """A device's own limit is read by the rules that are there; those of a file that is tried need not read it."""
    g = small(bench)
    g.configure(rules=["rules/*.yaml"], brokers=[{"id": "main", "url": "mqtt://127.0.0.1:1"}],
                registry={"compounds": "compounds.csv", "devices": "devices.csv", "params": "params.csv"})
    (g.folder / "rules").mkdir()
    (g.folder / "rules" / "a.yaml").write_text(RULE % "0.8")
    (g.folder / "new.yaml").write_text((RULE % "1.2").replace("id: sump-high", "id: another"))
    (g.folder / "params.csv").write_text("device,name,value\ns1,level_alarm,1.1\n")
    assert "no rule of kind sump reads $level_alarm (device s1)" in rules("check", "--config", g.config).stderr
    assert "level_alarm" not in rules("check", g.folder / "new.yaml", "--config", g.config).stderr
    # what it does read is judged
    (g.folder / "new.yaml").write_text((RULE % "$level_alarm").replace(
        "        levels:", "        params: {level_alarm: {default: 0.9, unit: m, max: 1}}\n        levels:"))
    r = rules("check", g.folder / "new.yaml", "--config", g.config, code=1)
    assert "$level_alarm of device s1 is 1.1 in " in r.stderr


# -- test -----------------------------------------------------------------------------------------

def test_rule_tests_pass():
    r = rules("test", *sorted(DATA.glob("first*.yaml")))
    assert re.search(r"^\d+ passed, 0 failed; \d+ values in", r.stdout, re.M), r.stdout


# What no test can go through: within ten minutes the highest of ten minutes' winds does not fall.
UNREACHABLE = {"environment-gale: `flapping`: never"}


def test_shipped_rules():
    """config/rules/tests: no rule file without; and together they go through every level, `off`, `for`, `off_for`,
    `no_data`, schedule, latch and flapping of every rule that ships."""
    files = sorted((TOP / "config" / "rules" / "tests").glob("*.yaml"))
    assert {f.name for f in files} >= {f.name for f in (TOP / "config" / "rules").glob("*.yaml")}
    r = rules("test", *files, "--coverage")
    assert re.search(r"^\d+ passed, 0 failed", r.stdout, re.M), r.stdout
    missing = set(re.findall(r"^\S+:\d+: rule (.*)$", r.stdout, re.M))
    assert missing <= UNREACHABLE, missing
    seen, all_ = map(int, re.search(r"^(\d+) of (\d+) branches", r.stdout, re.M).groups())
    assert seen == all_ - len(missing) and all_ >= 550


def test_a_wrong_expectation_is_shown(tmp_path):
    for f in DATA.glob("*.yaml"):
        shutil.copy(f, tmp_path)
    t = (tmp_path / "first.yaml").read_text()
    t = t.replace("{at: 6m, transition: activated, rule: sump-high, device: s1, severity: major, value: 0.9, told",
                  "{at: 7m, transition: activated, rule: sump-high, device: s1, severity: minor, value: 0.9, told")
    (tmp_path / "first.yaml").write_text(t)
    r = rules("test", "first.yaml", "--run", "^水位过高$", "--junit", "out.xml", cwd=tmp_path, code=1)
    assert re.search(r"^first\.yaml:\d+:\d+: 水位过高: other transitions", r.stdout, re.M), r.stdout
    assert re.search(r"^    - \{at: 7m, .*severity: minor", r.stdout, re.M)
    assert re.search(r"^    \+ \{at: 6m, .*severity: major", r.stdout, re.M)
    assert "FAILED first.yaml: 1 of 1 tests" in r.stdout and "0 passed, 1 failed" in r.stdout
    suite = ET.parse(tmp_path / "out.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    case = suite.find("testcase")
    assert case.get("name") == "水位过高" and "at: 7m" in case.find("failure").text


def test_what_diff_prints_passes(tmp_path):
    """--diff gives lines that can be taken over."""
    for f in DATA.glob("*.yaml"):
        shutil.copy(f, tmp_path)
    head, _, _ = (tmp_path / "first.yaml").read_text().partition("tests:\n")
    test = ('tests:\n  - name: a\n    series:\n'
            '      - {device: s1, metric: level, values: "0.5x4 0.9x3 1.4x5 _x40 0.5x9"}\n'
            '      - {device: k1, metric: alarm, values: "false true false"}\n    expect:\n')
    (tmp_path / "a.yaml").write_text(head + test + "      - {no_more: true}\n")
    r = rules("test", "a.yaml", "--diff", cwd=tmp_path, code=1)
    came = r.stdout.split("as it would pass:\n")[1].split("FAILED")[0]
    assert came.count("transition:") >= 6, came
    (tmp_path / "a.yaml").write_text(head + test + came.replace("    - ", "      - "))
    rules("test", "a.yaml", cwd=tmp_path)


def test_coverage_names_what_no_test_reaches():
    r = rules("test", DATA / "first.yaml", "--coverage")
    assert re.search(r"rule pump-not-lowering: no test makes it alarm", r.stdout)
    assert not re.search(r"rule sump-high: major: never", r.stdout)
    all_, seen = re.search(r"^(\d+) of (\d+) branches", r.stdout, re.M).groups()[::-1]
    assert 0 < int(seen) < int(all_)


def test_files_that_cannot_be_loaded(tmp_path):
    (tmp_path / "a.yaml").write_text("version: 1\nrules: none.yaml\ntests: [{name: a}]\n")
    r = rules("test", "a.yaml", "none.yaml", "--catalog", CATALOG, cwd=tmp_path, code=1)
    assert "none.yaml" in r.stderr and "0 passed, 2 failed" in r.stdout
    assert "which files" in rules("test", "--diff", code=64).stderr
    rules("test", "a.yaml", "--run", "[", cwd=tmp_path, code=64)
    rules("nothing", code=64)


def test_nothing_tested_is_no_success(tmp_path):
    """No rules, no tests, no test of that name: exit 1, with the place."""
    for f in DATA.glob("*.yaml"):
        shutil.copy(f, tmp_path)
    head, _, rest = (tmp_path / "first.yaml").read_text().partition("rules: drainage.yaml")
    (tmp_path / "glob.yaml").write_text(head + 'rules: "none-*.yaml"' + rest)
    r = rules("test", "glob.yaml", "--junit", "out.xml", cwd=tmp_path, code=1)
    assert 'glob.yaml:2:9: error: rules: "none-*.yaml": there is no such file' in r.stderr
    failure = ET.parse(tmp_path / "out.xml").getroot().find("testsuite/testcase/failure")
    assert "none-*.yaml" in failure.text
    (tmp_path / "calendar.yaml").write_text('version: 1\ncalendar: {holidays: ["2026-10-01"]}\n')
    (tmp_path / "empty.yaml").write_text(head + "rules: calendar.yaml" + rest)
    r = rules("test", "empty.yaml", cwd=tmp_path, code=1)
    assert "empty.yaml:2:8: error: there are no rules in these files" in r.stderr
    assert "fits the name of no test" in rules("test", "first.yaml", "--run", "^no such$",
                                               cwd=tmp_path, code=1).stderr
    (tmp_path / "a[1]").mkdir()
    for f in DATA.glob("*.yaml"):
        shutil.copy(f, tmp_path / "a[1]")
    rules("test", "a[1]/first.yaml", cwd=tmp_path)


def test_junit_is_xml_whatever_is_wrong(tmp_path):
    """A long Chinese name in a message is cut off; not within a character, or it is no XML."""
    for f in DATA.glob("*.yaml"):
        shutil.copy(f, tmp_path)
    head, _, _ = (tmp_path / "first.yaml").read_text().partition("tests:\n")
    for i in range(3):
        long = "集水井" * 9 + "x" * i + "水位" * 20
        (tmp_path / "a.yaml").write_text(
            f"{head}tests:\n  - name: <a> & \"b\"\n    series:\n"
            f"      - {{device: s1, metric: mode, values: \"{'y' * i}{long}\"}}\n"
            f"    expect: [{{at: 1m, transition: activated, rule: {long}}}]\n")
        rules("test", "a.yaml", "--junit", "out.xml", cwd=tmp_path, code=1)
        case = ET.parse(tmp_path / "out.xml").getroot().find("testsuite/testcase")
        assert case.get("name") == '<a> & "b"' and "集水井" in case.find("failure").text


@pytest.mark.parametrize("page", ["rules-testing.md", "rules-testing.zh-CN.md"])
def test_the_pages_examples(page, tmp_path):
    text = (TOP / "docs" / page).read_text()
    rule, test = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)[:2]
    (tmp_path / "sump.yaml").write_text(rule)
    (tmp_path / "sump.test.yaml").write_text(test)
    shutil.copy(TOP / "config" / "catalog.yaml", tmp_path)
    points = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)[2]
    (tmp_path / "points.yaml").write_text(test.partition("tests:\n")[0] +
                                          "tests:\n  - name: points\n" + points)
    assert "1 passed, 0 failed" in rules("test", "points.yaml", cwd=tmp_path).stdout
    consoles = re.findall(r"^```console\n(.*?)^```", text, re.S | re.M)
    said = rules("test", "sump.test.yaml", cwd=tmp_path).stdout
    shown = consoles[0].split("\n", 1)[1]
    assert re.sub(r"\d+\.\d\d s", "_", said) == re.sub(r"\d+\.\d\d s", "_", shown)
    if len(consoles) > 2:  # the failing one
        (tmp_path / "sump.yaml").write_text(rule.replace("off_for: 2m", "off_for: 1m"))
        said = rules("test", "sump.test.yaml", cwd=tmp_path, code=1).stdout
        assert re.sub(r"\d+\.\d\d s", "_", said) == re.sub(r"\d+\.\d\d s", "_", consoles[1])


# -- the past -------------------------------------------------------------------------------------

@pytest.fixture
def past(bench, broker):
    """A gateway that ran with a rule that alarms above 1.5 and heard levels of 0.9 and 2."""
    g = small(bench, broker)
    g.configure(rules=["rules.yaml"], brokers=g.sections["brokers"])
    (g.folder / "rules.yaml").write_text(RULE % "1.5")
    g.start()
    # no two alike: within a millisecond they would be one said twice
    levels = [("s1", 0.5), ("s1", 0.9), ("s1", 0.51), ("s2", 2), ("s2", 0.5), ("s1", 0.91)]
    publish(broker, [(topic(d), {"level": v}) for d, v in levels])
    wait_settled(g, len(levels))
    g.stop()
    return g


def test_backtest(past, tmp_path):
    (tmp_path / "new.yaml").write_text(RULE % "0.8")
    dir_ = past.folder / "data"
    r = rules("backtest", "--from", "1d", "--dir", dir_, "--rules", tmp_path / "new.yaml", "--diff",
              "--list")
    assert re.match(r"These rules would have raised 3 alarms from .* to .*, all of them in ", r.stdout)
    assert "The recorded rules raised 1: 2 new, 0 gone." in r.stdout
    assert re.search(r"^sump-high +major +c1 +\S+ +3 +2 +2 ", r.stdout, re.M), r.stdout
    j = json.loads(rules("backtest", "--from", "1d", "--dir", dir_, "--json").stdout)
    assert j["raised"] == 1 and j["alarms"][0]["device"] == "s2"
    j = json.loads(rules("backtest", "--from", "1d", "--dir", dir_, "--rules", tmp_path / "new.yaml",
                         "--json").stdout)
    assert [a["device"] for a in j["alarms"]] == ["s1", "s2", "s1"]
    assert [a["cleared"] is None for a in j["alarms"]] == [False, False, True]
    assert j["standing"] == []
    # what was raised before the period and goes on is no alarm of it, and not passed over either
    after = datetime.datetime.fromisoformat(j["alarms"][2]["at"]) + datetime.timedelta(milliseconds=1)
    late = ("backtest", "--from", after.isoformat(), "--dir", dir_, "--rules", tmp_path / "new.yaml")
    assert ("Active already when it began, and not counted: sump-high, 1 time, 1 of them all the time: "
            "what always fires says nothing.") in rules(*late).stdout
    j = json.loads(rules(*late, "--json").stdout)
    assert j["raised"] == 0 and [a["device"] for a in j["standing"]] == ["s1"]
    j = json.loads(rules("backtest", "--from", "2020-01-01", "--to", "2020-02-01", "--dir", dir_,
                         "--json").stdout)
    assert j["raised"] == 0
    rules("backtest", "--from", "soon", "--dir", dir_, code=64)
    assert "what the folder has ends at " in rules("backtest", "--from", "2099-01-01", "--dir", dir_,
                                                   code=1).stderr
    rules("backtest", "--dir", dir_, code=64)
    # what would be another answer than the one that was asked for
    assert "there is no such file" in rules("backtest", "--from", "1d", "--dir", dir_, "--rules",
                                            tmp_path / "nwe*.yaml", code=1).stderr
    assert "needs --rules" in rules("backtest", "--from", "1d", "--dir", dir_, "--diff",
                                    code=64).stderr
    assert "not later than" in rules("backtest", "--from", "2026-02-01", "--to", "2026-01-01",
                                     "--dir", dir_, code=64).stderr
    (tmp_path / "bad.yaml").write_text(RULE % "x")
    assert "error:" in rules("backtest", "--from", "1d", "--dir", dir_, "--rules",
                             tmp_path / "bad.yaml", code=1).stderr


def test_explain_from_a_folder(past):
    dir_ = past.folder / "data"
    j = json.loads(rules("backtest", "--from", "1d", "--dir", dir_, "--json").stdout)
    case = j["alarms"][0]["case"]
    r = rules("explain", case, "--dir", dir_)
    assert f"case {case}" in r.stdout and "rules.yaml:5" in r.stdout
    assert "when_is: level > 1.5: 2 m, true" in r.stdout
    assert re.search(r"level 2\b", r.stdout) and re.search(r"activated +major", r.stdout)
    j = json.loads(rules("explain", case, "--dir", dir_, "--json").stdout)
    assert j["device"] == "s2" and [t["change"] for t in j["transitions"]][:2] == [
        "activated", "cleared"]
    assert "no case" in rules("explain", "test.all.1.0.0", "--dir", dir_, code=1).stderr


def test_explain_asks_a_running_gateway(bench, broker):
    g = small(bench, broker)
    g.configure(rules=["rules.yaml"], brokers=g.sections["brokers"],
                alerts={"broker": "main"})
    (g.folder / "rules.yaml").write_text(RULE % "1.5")
    g.start()
    publish(broker, [(topic("s1"), {"level": 2})])
    wait_settled(g, 1)
    case = until(lambda: g.get("/api/v1/alerts")["cases"])[0]["case"]
    # the transition comes to the store behind the case
    said = until(lambda: "activated" in (x := g.ctl("rules", "explain", case).stdout) and x)
    assert "when_is: level > 1.5: 2 m, true" in said
    j = json.loads(g.ctl("--json", "rules", "explain", case).stdout)
    assert j["explain"]["condition"] == "active" and j["transitions"]
    assert g.ctl("rules", "explain", "test.all.1.0.0", check=False).returncode == 1
    # a rule that is gone has nothing to say; what became of its case is told all the same
    (g.folder / "rules.yaml").write_text((RULE % "1.5").replace("id: sump-high", "id: another"))
    assert g.ctl("reload").returncode == 0
    said = until(lambda: "rule_removed" in (x := g.ctl("rules", "explain", case).stdout) and x)
    assert "How it stands now:\n  nothing to tell: rule sump-high or device s1 is gone" in said
    assert "What became of it:" in said and "activated" in said
    j = json.loads(g.ctl("--json", "rules", "explain", case).stdout)
    assert j["explain"] is None and j["case"] == case and j["transitions"]


def test_explain_tells_of_a_case_of_the_gateway_s_own():
    """No rule makes it, and its device is none of the registry: /api/v1/explain knows nothing of it. (A firm must
    be away for a quarter of an hour to have such a case, so a server of our own plays the gateway.)"""
    case = {"case": "test.all.1.a.0", "rule": "gaihou-firm-absent", "device": "yulin", "point": "",
            "transitions": [{"change": "activated", "at": "2026-11-21T08:00:02.000+08:00"}]}

    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            path = self.path.partition("?")[0]
            told = {"/api/v1/alerts/test.all.1.a.0": case, "/api/v1/status": {"timezone": "Asia/Shanghai"}}
            found = path in told
            body = json.dumps(told.get(path, {"error": "this rule does not look at this device"})).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):  # pylint: disable=arguments-differ
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def explain(*argv, code=0):
            r = subprocess.run([BIN / "gaihouctl", "--url", f"http://127.0.0.1:{server.server_port}", "rules",
                                "explain", *argv], capture_output=True, text=True, timeout=30, check=False)
            assert r.returncode == code, r.stdout + r.stderr
            return r
        r = explain(case["case"])
        assert "gaihou-firm-absent is an alarm of the gateway's own" in r.stdout and r.stderr == ""
        assert "What became of it:" in r.stdout and "activated" in r.stdout
        assert json.loads(explain(case["case"], "--json").stdout)["explain"] is None
        assert "does not look" in explain("test.all.1.b.0", code=1).stderr
        server.shutdown()
