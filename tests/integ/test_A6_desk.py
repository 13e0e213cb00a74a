"""A duty desk at work: gaihouctl alerts and the verbs, the HTTP interface, test mode with its result,
a compound that changes its firm, and a firm whose program speaks MQTT 3.1.1."""
import contextlib
import itertools
import json

import paho.mqtt.client as mqtt
import pytest

import schemas
from conftest import until
from ring import now_ms, topic, wait_messages
from test_A0_tell_mqtt import (PREFIX, agreed, firms, gateway_at,  # noqa: F401
                               guarded, kept)

RULES = """version: 1
groups:
  - name: 试验
    rules:
      - id: sump-high
        kind: sump
        title: {zh: 集水井水位过高, en: Sump level high}
        action: {zh: 检查潜水泵与浮球, en: Look after the pump}
        class: flooding
        levels: [{severity: major, when: level > 0.8, off: level < 0.6}]
        no_data: {after: 24h, policy: keep}
        work: full
      - id: sump-latched
        kind: sump
        title: 水位曾超高
        action: 查明原因后复位
        levels: [{severity: minor, when: level > 1.5, off: level < 1.4}]
        no_data: {after: 24h, policy: keep}
        latch: true
        work: none
      - id: smoke
        kind: smoke
        title: 烟雾报警
        action: 立即到场
        class: fire
        life_safety: true
        levels: [{severity: critical, when: alarm}]
        no_data: {after: 24h, policy: keep}
        work: ack
"""
DEVICES = """device,kind,compound,building,point,expected_interval,life_safety
s1,sump,c1,1,,5m,
s2,sump,c1,2,,5m,
s3,sump,c2,,,5m,
y1,smoke,c1,1,,5m,yes
y2,smoke,c1,1,,5m,yes
"""


@pytest.fixture
def desk(bench, guarded):  # noqa: F811
    g = gateway_at(bench, guarded)
    (g.folder / "devices.csv").write_text(DEVICES, encoding="utf-8")
    (g.folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    g.start()
    g.until(agreed(g), 30)
    g.broker = guarded
    return g


def say(g, device, compound="c1", **values):
    c = mqtt.Client("feed")
    c.username_pw_set("devices", "d")
    c.connect("127.0.0.1", g.broker.port)
    c.loop_start()
    sent = c.publish(topic(device, compound), json.dumps({"ts": now_ms(), **values}), 1)
    sent.wait_for_publish(60)
    assert sent.is_published()
    c.loop_stop()
    c.disconnect()


def cases(g, *argv):
    return json.loads(g.ctl("--json", "alerts", *argv).stdout)["cases"]


def case_of(g, device, rule, *argv):
    found = until(lambda: [c for c in cases(g, "--device", device, "--rule", rule, *argv)], 15,
                  f"a case of {device}")
    assert len(found) == 1
    return found[0]


def condition(g, device, rule, is_):
    return until(lambda: [c for c in cases(g, "--device", device, "--rule", rule, "--state", "any")
                          if c["state"]["condition"] == is_], 15, f"{device} is {is_}")[0]


def test_the_whole_work(desk):
    say(desk, "s1", level=0.93)
    case = case_of(desk, "s1", "sump-high")
    assert case["state"]["work"] == "dispatched"
    name = case["case"]
    listed = desk.ctl("alerts").stdout
    for words in ("major", "active", "dispatched", "一号院 1", "集水井水位过高", "0.93 m", name):
        assert words in listed, words
    # whoever is woken reads the gateway's clock, not UTC: in each table, and when asked why
    since = case["state"]["since"]
    assert since.endswith("+08:00")
    hours = {x[:13].replace("T", " ") for x in (since, case["state"]["at"])}  # of an hour's end
    for said in (listed, desk.ctl("alerts", "show", name).stdout, desk.ctl("alerts", "history").stdout,
                 desk.ctl("rules", "explain", name).stdout):
        assert any(x in said for x in hours), said

    def refused(verb, reason, *argv):
        r = desk.ctl(verb, name, "--by", "李", *argv, check=False)
        assert r.returncode == 1 and reason in r.stderr and name in r.stderr, (verb, r.stderr)

    def done(verb, *argv, answer="done"):
        assert f"{name}: {answer}" in desk.ctl(verb, name, "--by", "李", *argv).stdout
        return case_of(desk, "s1", "sump-high", "--state", "any")["state"]
    refused("arrive", "not_accepted")
    refused("close", "condition_active")
    refused("transfer", "no_target")
    assert done("ack")["ack"]["by"] == "李"
    done("ack", answer="already")
    rejected = done("reject", "--note", "不归我们")
    assert rejected["steps"]["rejected"]["note"] == "不归我们" and rejected["work"] == "rejected"
    assert done("transfer", "--to", "水务")["steps"]["transferred"]["to"] == "水务"
    assert done("accept", "--note", "10 分钟到")["work"] == "accepted"
    assert done("arrive", "--photo", "p/1.jpg")["steps"]["on_site"]["photo"] == "p/1.jpg"
    refused("accept", "version", "--version", "1")
    assert done("resolve")["work"] == "resolved"
    assert done("rework")["rework"] == 1
    done("resolve")
    refused("feedback", "not_confirmed")
    assert done("confirm")["same_person"] is True
    say(desk, "s1", level=0.2)
    state = condition(desk, "s1", "sump-high", "normal")["state"]
    assert (state["open"], state["work"]) == (True, "confirmed")  # the work is not done
    closed = done("feedback")
    assert (closed["open"], closed["work"]) == (False, "closed")
    assert cases(desk) == [] and "unknown" in desk.ctl("ack", name, check=False).stderr
    shown = desk.ctl("alerts", "show", name).stdout
    for words in ("检查潜水泵与浮球", "10 分钟到", "李", "resolved", "fed_back", "not_accepted",
                  "operator", "yulin"):
        assert words in shown, words
    changes = [t["change"] for t in
               json.loads(desk.ctl("--json", "alerts", "history").stdout)["transitions"]]
    assert changes == ["fed_back", "cleared", "confirmed", "resolved", "reworked", "resolved",
                       "arrived", "accepted", "transferred", "rejected", "acknowledged",
                       "activated"]


def test_reset_shelve_and_filters(desk):
    watch = desk.ctl("--json", "alerts", "show", "nobody", check=False)
    assert watch.returncode == 1
    for d in ("s1", "s2"):
        say(desk, d, level=1.6)
    latched = case_of(desk, "s1", "sump-latched")["case"]
    assert "condition_active" in desk.ctl("reset", latched, check=False).stderr
    say(desk, "s1", level=0.1)
    state = condition(desk, "s1", "sump-latched", "normal")["state"]
    assert state["latched"] and state["open"]
    assert "latched" in desk.ctl("close", latched, check=False).stderr
    assert "done" in desk.ctl("reset", latched).stdout
    assert not case_of(desk, "s1", "sump-latched", "--state", "any")["open"]
    # on a filter: nothing without a yes
    r = desk.ctl("shelve", "--device", "s2", "--for", "3s", check=False)
    assert r.returncode == 1 and "--yes does it to these 2 cases" in r.stderr
    assert "集水井水位过高" in r.stderr  # the preview
    # as long as what is to be seen while it lasts may take
    r = desk.ctl("shelve", "--device", "s2", "--for", "20s", "--by", "张", "--yes")
    assert r.stdout.count(": done") == 2
    assert case_of(desk, "s2", "sump-high")["state"]["masked"] == ["shelved"]
    assert "shelved" in desk.ctl("alerts", "--device", "s2").stdout
    say(desk, "s2", level=0.1)
    hidden = condition(desk, "s2", "sump-high", "normal")
    until(lambda: case_of(desk, "s2", "sump-high")["state"]["masked"] == [], 40, "it expires")

    def told(): # the store has it a moment later
        t = json.loads(desk.ctl("--json", "alerts", "show", hidden["case"]).stdout)["transitions"]
        return t if len(t) >= 4 else None
    assert [(t["change"], t["seq"] > 0) for t in until(told, 15, "its history")][::-1] == [
        ("activated", True), ("shelved", True), ("cleared", False), ("unshelved", True)]
    say(desk, "y1", alarm=True)
    burning = case_of(desk, "y1", "smoke")
    fire = burning["case"]
    assert burning["state"]["summary"].endswith("：是）"), burning  # no sentence without a verb
    assert "life_safety" in desk.ctl("shelve", fire, "--for", "1h", check=False).stderr
    assert desk.ctl("shelve", "--for", "1h", check=False).returncode == 64


def test_watch(bench, desk):
    w = bench.process("watch", [desk.argv[0].parent / "gaihouctl" if hasattr(desk.argv[0], "parent")
                                else desk.argv[0].replace("gaihoud", "gaihouctl"), "--socket",
                                desk.socket, "alerts", "watch", "--compound", "c1"]).start()
    turns = itertools.cycle((0.93, 0.1))

    def begun():  # what was before it began is not news: s2 shows that it has
        say(desk, "s2", level=next(turns))
        with contextlib.suppress(AssertionError):
            return until(lambda: "  s2  " in w.text(), 5, exactly=True)
        return False

    def lines():
        return [x for x in w.text().splitlines() if "  s1  " in x]
    w.until(begun, 15, "it watches")
    say(desk, "s1", level=0.93)
    say(desk, "s3", "c2", level=0.93)
    w.until(lambda: lines() and "activated" in lines()[-1], 15, "activated")
    say(desk, "s1", level=0.1)
    w.until(lambda: "cleared" in lines()[-1], 15, "cleared")
    assert len(lines()) == 2 and "c2" not in w.text()
    assert w.stop() == 0


def test_test_mode(desk, firms):  # noqa: F811
    yulin = firms(desk.broker, "yulin")
    assert "nothing is in test" in desk.ctl("alerts", "tests").stdout
    for scope in ("building/c1/9", "device/zz", "compound/zz"):
        assert "unknown" in desk.ctl("test", scope, check=False).stderr
    assert "too_long" in desk.ctl("test", "device/y1", "--for", "2d", check=False).stderr
    desk.ctl("test", "building/c1/1", "--for", "1h", "--by", "王工")
    force = desk.status()["alarms"]["tests"]
    assert [(t["scope"], t["by"]) for t in force] == [("building/c1/1", "王工")]
    assert "building/c1/1" in desk.ctl("alerts", "tests").stdout
    assert "in test   building/c1/1" in desk.ctl("status").stdout
    say(desk, "y1", alarm=True)
    say(desk, "s2", level=0.93)  # another building
    real = until(lambda: [e for e in yulin.on("events") if e["device"] == "s2"], 15)[0]
    tested = until(lambda: [e for e in yulin.on("events") if e["device"] == "y1"], 15)[0]
    assert (real["test"], real["work"]) == (False, "dispatched") and "tester" not in real
    assert (tested["test"], tested["tester"], tested["work"]) == (True, "王工", "discovered")
    assert tested["summary"].startswith("【测试】")
    assert yulin.on("urgent") == []
    # a restart ends no test
    desk.kill()
    desk.start()
    desk.until(agreed(desk), 30)
    wait_messages(desk, 0)  # all that the journal has is passed again
    assert desk.status()["alarms"]["tests"] == force
    say(desk, "y1", alarm=False)
    ended = until(lambda: [e for e in yulin.on("events") if e["device"] == "y1" and not e["open"]],
                  15, "it ends by itself")[0]
    assert ended["test"] and ended["ack"] is None
    # its result
    r = desk.ctl("alerts", "tests", "building/c1/1").stdout
    assert "building/c1/1: 1 of 3 devices alarmed in the test, 2 did not" in r
    rows = {x.split()[0]: x for x in r.splitlines() if x}
    assert "smoke" in rows["y1"] and rows["y1"].count("20") >= 2 and "-" in rows["y2"]
    r = desk.ctl("alerts", "tests", "building/c1/1", "--kind", "smoke").stdout
    assert "1 of 2 devices" in r
    # it ends while something burns: then somebody is sent
    say(desk, "y2", alarm=True)
    until(lambda: [e for e in yulin.on("events") if e["device"] == "y2"], 15)
    desk.ctl("untest", "building/c1/1", "--by", "王工")
    burns = until(lambda: yulin.on("urgent"), 15, "it is no test any more")[0]
    assert (burns["device"], burns["change"], burns["test"], burns["work"]) == (
        "y2", "unmasked", False, "dispatched")
    assert "nothing is in test" in desk.ctl("alerts", "tests").stdout
    r = desk.ctl("alerts", "tests", "building/c1/1", check=False)
    assert r.returncode == 64 and "--from" in r.stderr
    r = desk.ctl("alerts", "tests", "building/c1/1", "--from", force[0]["since"]).stdout
    assert "2 of 3 devices" in r
    # and by its expiry
    desk.ctl("test", "device/s1", "--for", "2s")
    until(lambda: desk.status()["alarms"]["tests"] == [], 10, "the test expires")
    yulin.command(tested["case"], "test")  # no verb of firms
    until(lambda: yulin.on("reply"), 15)
    assert yulin.on("reply")[0]["result"] in ("not_yours", "bad", "unknown")


def test_http(desk):
    began = now_ms()
    for d in ("s1", "s2", "s3"):
        say(desk, d, "c2" if d == "s3" else "c1", level=1.6)
    until(lambda: desk.status()["alarms"]["open"] == 6, 15)
    until(lambda: len(desk.get("/api/v1/alerts/history")["transitions"]) == 6, 15, "stored")

    def get(query, key="cases", path="alerts"):
        return desk.get(f"/api/v1/{path}?{query}")[key]
    assert len(get("")) == 6
    assert {c["device"] for c in get("firm=yulin")} == {"s1", "s2"}
    assert {c["device"] for c in get("compound=c2")} == {"s3"}
    assert {c["rule"] for c in get("severity=major")} == {"sump-high"}
    assert [c["device"] for c in get("rule=sump-latched&device=s2")] == ["s2"]
    assert get("state=closed") == [] and len(get("state=any")) == 6
    assert get("firm=nobody") == []
    pages, before = [], ""
    while True:
        page = desk.get(f"/api/v1/alerts?limit=4{before}")
        pages += page["cases"]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert len(pages) == 6 and len({c["id"] for c in pages}) == 6
    one = pages[0]
    assert desk.get(f"/api/v1/alerts/{one['case']}")["transitions"][0]["change"] == "activated"
    assert not schemas.mistakes(f"alerts/{one['firm']}/{one['compound']}/{one['case']}",
                                json.dumps(one["state"]))
    assert len(get("", "transitions", "alerts/history")) == 6
    assert get("test=1", "transitions", "alerts/history") == []
    assert len(get(f"from={began - 1000}&to={now_ms() + 1000}", "transitions",
                   "alerts/history")) == 6
    assert get(f"from={now_ms() + 60000}", "transitions", "alerts/history") == []

    unix = desk.unix()

    def fails(target, status, words, method="GET", body=b""):
        code, answer = unix.request(method, target, body)
        assert code == status and words in answer.decode(), (target, code, answer)
    fails("/api/v1/alerts?severity=grave", 400, "severity")
    fails("/api/v1/alerts?state=odd", 400, "state")
    fails("/api/v1/alerts?from=yesterday", 400, "from")
    fails("/api/v1/alerts?compund=c1", 400, "did you mean compound?")
    fails("/api/v1/devices?silnet=1", 400, "did you mean silent?")
    fails("/api/v1/dead?resaon=bad_json", 400, "did you mean reason?")
    assert unix.request("GET", "/metrics?from=habit", b"")[0] == 200
    fails("/api/v1/alerts/nobody", 404, "error")
    at = f"/api/v1/alerts/{one['case']}"
    fails(f"{at}/dance", 404, "verb", "POST")
    fails(f"{at}/ack", 400, "bad", "POST", b"{")
    fails(f"{at}/ack", 400, "by", "POST", b'{"by":1}')
    fails(f"{at}/ack", 413, "8 KiB", "POST", b" " * 9000)
    fails("/api/v1/alerts/test.all.1.zz.0/ack", 404, "unknown", "POST")
    fails(f"{at}/close", 409, "condition_active", "POST")
    fails(f"{at}/ack", 409, "refused: version_not_reached", "POST", b'{"version":99}')
    fails("/api/v1/alerts/device%2Fzz/test", 404, "not_registered", "POST")
    fails("/api/v1/alerts/zz/test", 400, "device/D", "POST")
    code, answer = unix.request("POST", f"{at}/ack", '{"by":"值班"}'.encode())
    assert code == 200 and json.loads(answer)["result"] == "done"
    code, answer = unix.request("POST", f"{at}/ack", b"")
    assert code == 200 and json.loads(answer)["result"] == "already"
    fails(f"{at}/ack", 409, "stale: the case's version is 2", "POST", b'{"version":1}')
    import requests
    assert requests.post(f"{desk.url}{at}/ack", timeout=60).status_code == 403  # no token
    assert requests.put(f"{desk.url}{at}", timeout=60).status_code == 405


def test_a_compound_changes_its_firm(desk, firms):  # noqa: F811
    yulin, lihua = firms(desk.broker, "yulin"), firms(desk.broker, "lihua")
    say(desk, "s1", level=0.93)
    case = until(lambda: yulin.on("alerts/yulin/c1"), 15)[0]["case"]
    yulin.command(case, "accept")
    until(lambda: yulin.on("reply"), 15)
    path = desk.folder / "compounds.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("g01,yulin", "g01,lihua"),
                    encoding="utf-8")
    desk.ctl("reload")
    moved = until(lambda: lihua.on("events/lihua/c1"), 15)[0]
    assert (moved["case"], moved["seq"], moved["change"], moved["work"]) == (
        case, 1, "moved", "dispatched")
    assert moved["was"] == {"firm": "yulin", "compound": "c1"} and moved["ack"] is None
    until(lambda: yulin.on("alerts/yulin/c1")[-1] is None, 10, "it is theirs no more")
    assert kept(desk.broker, "yulin") == {}
    until(lambda: list(kept(desk.broker, "lihua")) == [f"{PREFIX}/alerts/lihua/c1/{case}"], 10)
    yulin.command(case, "arrive")
    until(lambda: len(yulin.on("reply")) == 2, 15)
    assert yulin.on("reply")[1]["result"] == "not_yours"
    lihua.command(case, "accept")
    assert until(lambda: lihua.on("reply/lihua/c1"), 15)[0]["result"] == "done"
    # also when it happens while the gateway is away
    desk.stop()
    path.write_text(path.read_text(encoding="utf-8").replace("g01,lihua", "g01,yulin"),
                    encoding="utf-8")
    desk.start()
    desk.until(agreed(desk), 30)
    back = until(lambda: [e for e in yulin.on("events") if e["change"] == "moved"], 15)[0]
    assert back["was"]["firm"] == "lihua" and back["seq"] == 3  # activated, accepted, moved
    until(lambda: kept(desk.broker, "lihua") == {}, 10)


def test_the_duty_desk_hears_all(desk, firms):  # noqa: F811
    duty = firms(desk.broker, "duty", f"{PREFIX}/alerts/#", f"{PREFIX}/events/#",
                 f"{PREFIX}/reply/#", f"{PREFIX}/up/#")
    say(desk, "s1", level=0.93)
    say(desk, "s3", "c2", level=0.93)
    until(lambda: {s["firm"] for s in duty.on("events")} == {"yulin", "lihua"}, 15)
    case = duty.on("alerts")[0]
    duty.command(case["case"], "ack", compound=case["compound"], firm=case["firm"])  # not here
    desk.ctl("ack", "--firm", "yulin", "--yes")
    until(lambda: [e for e in duty.on("events") if e["change"] == "acknowledged"], 15)
    assert not duty.on("reply") and not duty.on("up")
    assert all(e["by"] != "老王" for e in duty.on("events"))


def test_a_firm_with_mqtt_3(desk):
    heard = []
    c = mqtt.Client("old", clean_session=False, protocol=mqtt.MQTTv311)
    c.username_pw_set("yulin", "y")
    c.on_message = lambda _c, _u, m: heard.append((m.topic[len(PREFIX) + 1:], m.payload))
    c.connect("127.0.0.1", desk.broker.port)
    ready = []
    c.on_subscribe = lambda *a: ready.append(1)
    c.subscribe([(f"{PREFIX}/{t}/yulin/#", 1) for t in ("alerts", "events", "urgent", "reply")])
    c.loop_start()
    until(lambda: ready, 10)

    def on(head):
        return [json.loads(p) if p else None for t, p in list(heard) if t.startswith(head)]
    try:
        say(desk, "y1", alarm=True)
        case = until(lambda: on("alerts/yulin/c1"), 15)[0]["case"]
        until(lambda: on("urgent/yulin/c1"), 15)
        c.publish(f"{PREFIX}/cmd/yulin/c1/{case}/ack", '{"by":"老王"}', 1)
        reply = until(lambda: on("reply/yulin/c1"), 15)[0]
        assert (reply["case"], reply["verb"], reply["result"]) == (case, "ack", "done")
        c.publish(f"{PREFIX}/snapshot/yulin", "", 1)
        until(lambda: len(on("reply/yulin/snapshot")) == 3, 15)
        say(desk, "y1", alarm=False)
        until(lambda: on("alerts/yulin/c1")[-1] is None, 15)
        assert [e["seq"] for e in on("events")] == [1, 2, 3]
        wrong = [w for t, p in heard for w in schemas.mistakes(t, p)]
        assert not wrong, wrong
    finally:
        c.disconnect()
        c.loop_stop()


def test_what_refuses_is_documented():
    """Each reason that the code gives stands in the man page and in both pages for firms."""
    import re
    from conftest import TOP
    code = (TOP / "daemon/core/cases_command.c").read_text()
    reasons = set(re.findall(r'ANSWER_REFUSED, "([a-z_]+)"', code))
    reasons |= set(re.findall(r'reason = "([a-z_]+)"', code))
    reasons |= set(re.findall(r'CASE_[A-Z_]+,\s+"([a-z_]+)"\}', code)) | {"too_many_commands"}
    assert len(reasons) >= 14
    operators = {"too_many_masks"}
    for page, known in (("daemon/man/gaihou-mqtt.7", reasons), ("docs/firms.md", reasons - operators),
                        ("docs/firms.zh-CN.md", reasons - operators)):
        text = (TOP / page).read_text(encoding="utf-8")
        assert not {r for r in known if r not in text}, page
