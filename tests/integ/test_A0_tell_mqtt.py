"""Telling firms over MQTT: the whole way from a sample to a listening firm and back by a command,
with the broker's own access lists; lost and emptied brokers; what the gateway says of itself."""
import contextlib
import itertools
import json
import signal
import subprocess
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
import pytest

import schemas
from conftest import TOP, until
from ring import now_ms, publish, topic

PREFIX = "gaihou/v1"
ACL = TOP / "config" / "mosquitto" / "gaihou.acl"
USERS = {"gaihou": "g", "devices": "d", "yulin": "y", "lihua": "l", "duty": "u"}
COMPOUNDS = """compound,name,district,street,community,grid,firm
c1,一号院,yuzhong,daxigou,guojing-lu,g01,yulin
c2,二号院,nanan,huayuan,hualong,g12,lihua
"""
DEVICES = """device,kind,compound,building,point,expected_interval
s1,sump,c1,1,pit,5m
s2,sump,c1,2,,5m
s3,sump,c2,,,5m
"""
RULES = """version: 1
groups:
  - name: 地下室与排水
    rules:
      - id: sump-high
        kind: sump
        title: 集水井水位过高
        action: 检查潜水泵与浮球
        class: flooding
        levels: [{severity: major, when: level > 0.8, off: level < 0.6}]
        no_data: {after: 24h, policy: keep}
        work: ack
"""


def password_file(folder):
    path = folder / "passwords"
    path.write_text("".join(f"{u}:{p}\n" for u, p in USERS.items()))
    subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True)
    return path


@pytest.fixture
def guarded(bench, tmp_path):
    """A broker that knows its users and what each may do."""
    return bench.mosquitto("allow_anonymous false", f"password_file {password_file(tmp_path)}",
                           f"acl_file {ACL}", "log_type all")


def gateway_at(bench, broker, **sections):
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url, "client_id": "gw",
                               "username": "gaihou", "password_file": "./secret"}],
                     sinks=[], registry={"compounds": "compounds.csv", "devices": "devices.csv"},
                     alerts={"broker": "main"}, rules=["rules.yaml"], **sections)
    (g.folder / "secret").write_text("g\n")
    (g.folder / "secret").chmod(0o600)
    (g.folder / "compounds.csv").write_text(COMPOUNDS, encoding="utf-8")
    (g.folder / "devices.csv").write_text(DEVICES, encoding="utf-8")
    (g.folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return g.configure()


class Firm:
    """A listening firm: everything it hears, and its commands. What it hears is what the schemas
    say (checked: unless others than the gateway publish there)."""

    def __init__(self, broker, name, *filters, user=None, session=True, checked=True):
        self.heard = []
        self.checked = checked
        self.name = name
        self.c = mqtt.Client(f"{'firm' if session else 'new'}-{name}", protocol=mqtt.MQTTv5)
        self.c.username_pw_set(user or name, USERS[user or name])
        self.c.on_message = lambda c, u, m: self.heard.append(m)
        self.filters = filters or [f"{PREFIX}/{t}/{name}/#" for t in
                                   ("alerts", "events", "urgent", "reply")] + [
                                       f"{PREFIX}/gateway/#"]
        props = Properties(PacketTypes.CONNECT)
        props.SessionExpiryInterval = 3600
        self.c.connect("127.0.0.1", broker.port, clean_start=not session, properties=props)
        self.codes = None
        self.c.on_connect = lambda c, u, f, rc, p: c.subscribe([(x, 1) for x in self.filters])
        self.c.on_subscribe = lambda c, u, mid, codes, p: setattr(self, "codes", codes)
        self.c.loop_start()
        until(lambda: self.codes, 10, f"{name} has subscribed")

    def on(self, *levels, retained=None):
        """Payloads heard below these levels, as JSON; an emptied topic is None."""
        head = "/".join((PREFIX, *levels))
        return [json.loads(m.payload) if m.payload else None for m in list(self.heard)
                if m.topic.startswith(head) and retained in (None, bool(m.retain))]

    def command(self, case, verb, compound="c1", reply=None, correlation=None, retain=False,
                payload=None, firm=None):
        props = Properties(PacketTypes.PUBLISH)
        if reply:
            props.ResponseTopic = reply
        if correlation:
            props.CorrelationData = correlation
        self.c.publish(f"{PREFIX}/cmd/{firm or self.name}/{compound}/{case}/{verb}",
                       json.dumps(payload or {"by": "老王"}), 1, retain,
                       props).wait_for_publish(30)
        assert not schemas.mistakes(f"cmd/{self.name}/{compound}/{case}/{verb}",
                                    json.dumps(payload or {}))

    def close(self):
        with contextlib.suppress(Exception):
            self.c.disconnect()
        self.c.loop_stop()
        for m in self.heard if self.checked else ():
            wrong = schemas.mistakes(m.topic, m.payload)
            assert not wrong, (wrong, m.payload)


@pytest.fixture
def firms():
    made = []

    def make(*args, **kw):
        made.append(Firm(*args, **kw))
        return made[-1]
    yield make
    wrong = []
    for f in made:
        try:
            f.close()
        except AssertionError as e:
            wrong.append(e)
    assert not wrong, wrong


def feed(broker, device, level, compound="c1", t=None):
    c = mqtt.Client("feed")
    c.username_pw_set("devices", "d")
    c.connect("127.0.0.1", broker.port)
    c.loop_start()
    c.publish(topic(device, compound), json.dumps({"ts": t or now_ms(), "level": level}),
              1).wait_for_publish(30)
    c.loop_stop()
    c.disconnect()


def kept(broker, firm):
    """What a newcomer of the firm finds: {topic: state}."""
    f = Firm(broker, firm, f"{PREFIX}/alerts/{firm}/#", f"{PREFIX}/gateway/+/status",
             session=False)
    until(lambda: f.on("gateway"), 10, "the status is retained")
    f.close()
    return {m.topic: json.loads(m.payload) for m in f.heard
            if m.topic.startswith(f"{PREFIX}/alerts")}


def kept_status(broker):
    f = Firm(broker, "yulin", f"{PREFIX}/gateway/+/status", session=False)
    until(lambda: f.on("gateway"), 10, "the status is retained")
    f.close()
    return f.on("gateway")


def telling(g):
    return g.status()["alarms"]["telling"]


def agreed(g):
    return lambda: (telling(g)["reconciled"] and not telling(g)["waiting"])


def test_a_case_is_told_and_worked_on(bench, guarded, firms):
    g = gateway_at(bench, guarded).start()
    g.until(agreed(g), 30, "the retained topics were compared")
    yulin, lihua = firms(guarded, "yulin"), firms(guarded, "lihua")
    epoch = until(lambda: yulin.on("gateway", "test", "epoch"))[0]["epoch"]
    assert abs(epoch - time.time()) < 300  # a new store's
    feed(guarded, "s1", 0.93)
    state = until(lambda: yulin.on("alerts/yulin/c1"), 15, "the case's state")[0]
    event = until(lambda: yulin.on("events/yulin/c1"), 15, "the event")[0]
    assert state == event
    assert (state["stream"], state["seq"], state["change"]) == (f"test/all/{epoch}", 1, "activated")
    case = state["case"]
    assert case.startswith(f"test.all.{epoch}.")
    yulin.command(case, "ack", reply=f"{PREFIX}/reply/yulin/me", correlation=b"c1")
    reply = until(lambda: yulin.on("reply/yulin/me"), 15, "the reply")[0]
    assert (reply["case"], reply["verb"], reply["result"]) == (case, "ack", "done")
    m = next(m for m in yulin.heard if "/reply/" in m.topic)
    assert m.properties.CorrelationData == b"c1" and m.properties.MessageExpiryInterval > 0
    until(lambda: len(yulin.on("events/yulin/c1")) == 2)
    feed(guarded, "s1", 0.2)
    until(lambda: yulin.on("alerts/yulin/c1")[-1] is None, 15, "the topic is emptied")
    seqs = [e["seq"] for e in yulin.on("events/yulin/c1")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert kept(guarded, "yulin") == {}
    assert lihua.on("alerts") == lihua.on("events") == lihua.on("reply") == []


def test_a_firm_hears_and_commands_only_its_own(bench, guarded, firms):
    g = gateway_at(bench, guarded).start()
    g.until(agreed(g), 30)
    yulin = firms(guarded, "yulin")
    spy = firms(guarded, "spy", f"{PREFIX}/alerts/yulin/#", f"{PREFIX}/events/#",
                f"{PREFIX}/alerts/#", user="lihua")
    feed(guarded, "s1", 0.93)
    case = until(lambda: yulin.on("alerts/yulin/c1"), 15)[0]["case"]
    lihua = firms(guarded, "lihua")
    lihua.command(case, "ack", firm="yulin")  # the broker refuses it
    lihua.command(case, "ack", compound="c2", correlation=b"x")  # the gateway does
    reply = until(lambda: lihua.on("reply/lihua"), 15)[0]
    assert reply["result"] in ("not_yours", "unknown")
    lihua.command(case, "ack", compound="c2", reply=f"{PREFIX}/reply/yulin/x")
    until(lambda: len(lihua.on("reply/lihua")) == 2, 15, "answered where it may listen")
    yulin.command(case, "dance")
    bad = until(lambda: yulin.on("reply/yulin"), 15)
    assert [r["result"] for r in bad] == ["bad"]
    assert yulin.on("alerts/yulin/c1")[-1]["ack"] is None
    assert spy.heard == []


def test_a_firm_that_the_broker_refuses_holds_up_no_other(bench, tmp_path, firms):
    """Somebody forgot lihua in the broker's ACL; the broker says so in each PUBACK."""
    right = ACL.read_text(encoding="utf-8")
    wrong = "".join(f"topic write gaihou/v1/{t}/yulin/#\n" for t in ("alerts", "events", "urgent"))
    acl = tmp_path / "acl"
    lines = [x for x in right.splitlines()
             if x not in [f"topic write gaihou/v1/{t}/#" for t in ("alerts", "events", "urgent")]]
    at = lines.index("user gaihou") + 1
    acl.write_text("\n".join(lines[:at]) + "\n" + wrong + "\n".join(lines[at:]) + "\n",
                   encoding="utf-8")
    acl.chmod(0o600)
    broker = bench.mosquitto("allow_anonymous false", f"password_file {password_file(tmp_path)}",
                             f"acl_file {acl}")
    g = gateway_at(bench, broker).start()
    g.until(agreed(g), 30)
    yulin, lihua = firms(broker, "yulin"), firms(broker, "lihua")
    feed(broker, "s3", 0.93, "c2")
    g.until(lambda: g.metrics()["gaihou_tell_refused_firms"][""] == 1, 15)
    levels = itertools.cycle((0.93, 0.2))

    def at_once():  # before the other one is even tried again: however slow all this is, no pause
        refused = g.metrics()["gaihou_tell_refused_total"][""]
        n = len(yulin.on("events/yulin/c1"))
        feed(broker, "s1", next(levels))
        until(lambda: len(yulin.on("events/yulin/c1")) > n, 15, "an event")
        return g.metrics()["gaihou_tell_refused_total"][""] == refused
    until(at_once, 30, "no pause of 5 s for who is not refused")
    assert lihua.on("events") == []
    acl.write_text(right, encoding="utf-8")
    broker.signal(signal.SIGHUP)
    until(lambda: lihua.on("alerts/lihua/c2") and lihua.on("events/lihua/c2"), 30)
    g.until(lambda: g.metrics()["gaihou_tell_refused_firms"][""] == 0, 15)
    assert g.metrics()["gaihou_tell_refused_total"][""] >= 1
    g.until(agreed(g), 30)


def test_a_retained_command_is_not_done_again(bench, guarded, firms):
    g = gateway_at(bench, guarded).start()
    g.until(agreed(g), 30)
    yulin = firms(guarded, "yulin")
    feed(guarded, "s1", 0.93)
    case = until(lambda: yulin.on("alerts/yulin/c1"), 15)[0]["case"]
    yulin.command(case, "ack", retain=True)  # as it is said it is a command like any other
    assert until(lambda: yulin.on("reply/yulin"), 15)[0]["result"] == "done"
    g.stop()
    g.start()
    g.until(agreed(g), 30)
    # with each connection
    g.until(lambda: g.metrics()["gaihou_tell_commands_refused_total"][""] >= 1, 15, "it came again")
    assert len(yulin.on("reply/yulin")) == 1


def test_snapshot_presence_status(bench, guarded, firms):
    g = gateway_at(bench, guarded).start()
    g.until(agreed(g), 30)
    yulin = firms(guarded, "yulin")
    for d in ("s1", "s2"):
        feed(guarded, d, 0.93)
    until(lambda: len(yulin.on("alerts/yulin/c1")) == 2, 15)
    yulin.c.publish(f"{PREFIX}/snapshot/yulin", "", 1)
    until(lambda: len(yulin.on("reply/yulin/snapshot")) == 4, 15)
    begin, *states, end = yulin.on("reply/yulin/snapshot")
    epoch = yulin.on("gateway", "test", "epoch")[0]["epoch"]
    assert (begin["snapshot"], begin["stream"]) == ("begin", f"test/all/{epoch}")
    assert (end["snapshot"], end["cases"], end["complete"]) == ("end", 2, True)
    assert sorted(s["seq"] for s in states) == [1, 2]
    assert states == sorted(yulin.on("alerts/yulin/c1"), key=lambda s: states.index(s))
    yulin.c.publish(f"{PREFIX}/presence/yulin", '{"state":"online"}', 1, True)
    g.until(lambda: telling(g)["presence_online"] == 1, 10)
    status = until(lambda: yulin.on("gateway/test/status"))[-1]
    assert (status["state"], status["gateway"], status["lane"]) == ("online", "test", "all")
    g.kill()
    until(lambda: yulin.on("gateway/test/status")[-1]["state"] == "offline", 30, "its will")
    g.start()
    g.until(agreed(g), 30)
    # at once: what has not changed is said again a minute later
    until(lambda: yulin.on("gateway/test/status")[-1]["state"] == "online", 40, "at once", exactly=True)
    g.stop()
    until(lambda: yulin.on("gateway/test/status")[-1]["state"] == "offline", 10)
    yulin.close()
    assert [s["reason"] for s in kept_status(guarded)] == ["stopped"]


def test_the_broker_dies_and_forgets(bench, tmp_path, firms):
    """Killed without having written anything: retained states and sessions are gone."""
    broker = bench.mosquitto("allow_anonymous false",
                             f"password_file {password_file(tmp_path)}", f"acl_file {ACL}",
                             persistence=False)
    g = gateway_at(bench, broker).start()
    g.until(agreed(g), 30)
    yulin = firms(broker, "yulin")
    for d in ("s1", "s2"):
        feed(broker, d, 0.93)
    until(lambda: len(yulin.on("alerts/yulin/c1")) == 2, 15)
    before = kept(broker, "yulin")
    broker.kill()
    g.until(lambda: not telling(g)["connected"], 15)
    broker.start()
    g.until(agreed(g), 60, "agreed again")
    assert kept(broker, "yulin") == before
    until(lambda: yulin.codes, 10)
    # what was told once keeps its seq and bytes
    again = [m.payload for m in yulin.heard if "/alerts/" in m.topic]
    assert len(set(again)) == 2


def test_unknown_topics_of_ours_are_emptied_and_no_others(bench, guarded, firms):
    g = gateway_at(bench, guarded).start()
    g.until(agreed(g), 30)
    feed(guarded, "s1", 0.93)
    yulin = firms(guarded, "yulin", checked=False)
    until(lambda: yulin.on("alerts/yulin/c1"), 15)
    other = mqtt.Client("other")
    other.username_pw_set("gaihou", "g")
    other.connect("127.0.0.1", guarded.port)
    other.loop_start()
    epoch = telling(g)["epoch"]
    ours = f"test.all.{epoch}."
    ghosts = {ours + "zz.0": f"test/all/{epoch}", "test.all.1.zz.0": "test/all/1",
              "else.all.1.zz.0": "else/all/1", "test.routine.1.a.0": "test/routine/1"}
    for case, stream in ghosts.items():
        other.publish(f"{PREFIX}/alerts/yulin/c1/{case}", json.dumps({"stream": stream}), 1,
                      True).wait_for_publish(30)
    other.publish(f"{PREFIX}/alerts/yulin/c1/garbage", "garbage!", 1, True).wait_for_publish(30)
    other.loop_stop()
    g.kill()
    g.start()
    g.until(agreed(g), 60)
    left = Firm(guarded, "yulin2", f"{PREFIX}/alerts/yulin/#", user="yulin", session=False,
                checked=False)
    until(lambda: len(left.heard) >= 5, 10)
    left.close()
    names = {m.topic.rpartition("/")[2] for m in left.heard}
    assert ours + "zz.0" not in names
    assert {"test.all.1.zz.0", "else.all.1.zz.0", "test.routine.1.a.0", "garbage"} <= names
    assert len([n for n in names if n.startswith(ours)]) == 1  # the open case
