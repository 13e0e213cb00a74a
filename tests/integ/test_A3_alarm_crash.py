"""Alarms over kills: both lanes as two processes on one broker, each killed in turn; what firms
heard, what the stores know, what the broker keeps and what the devices did must be one story."""
import contextlib
import json
import shutil
import time

import alarm_chaos
from alarm_chaos import FAST, HELD, SAFE
from conftest import until
from ring import influx_sink, now_ms, publish, topic

SETTINGS = ("max_queued_messages 0", "max_inflight_messages 100", "autosave_on_changes true",
            "autosave_interval 1")


def lanes(bench, broker, influx):
    """One configuration, but for lane and port; the life-safety lane's data folder is …-ls."""
    made = []
    for lane in ("routine", "life-safety"):
        g = bench.gaihou(brokers=[{"id": "main", "url": broker.url, "keepalive": "5s"}],
                         sinks=[influx_sink(influx)], alerts={"broker": "main"},
                         registry={"compounds": "compounds.csv", "devices": "devices.csv"},
                         rules=["chaos-rules.yaml"])
        names = alarm_chaos.registry(g.folder, fast=4, held=2, safe=3)
        g.configure(gateway={"id": "test", "lane": lane, "data_dir": str(g.folder / "data")})
        g.lane = lane
        made.append(g)
    return made, names


def at_rest(g):
    """All that it has is told and stored."""
    s = g.status()
    telling, engine = s["alarms"]["telling"], s["engine"]
    return (telling["reconciled"] and not telling["waiting"] and engine["lag_records"] == 0 and
            not engine["replaying"] and
            all(k["pending_lines"] == k["open_lines"] == 0 for k in s["sinks"]))


def test_kills_of_both_lanes(bench, influx):
    broker = bench.mosquitto(*SETTINGS)
    (routine, safety), names = lanes(bench, broker, influx)
    for g in (routine, safety):
        g.start()
    desk = alarm_chaos.Listener(broker.port)
    devices = alarm_chaos.Devices(broker.port, names, seed=3)
    operator = alarm_chaos.Operator(broker.port, desk, seed=3)
    devices.start()
    operator.start()
    try:
        for victims in ((routine,), (safety,), (routine, safety), (safety,), (routine,)):
            n = sum(map(len, devices.truth.values())) + 40
            until(lambda: sum(map(len, devices.truth.values())) >= n, 60, "samples")
            for g in victims:
                g.kill()
            n += 10  # some come while it is away
            until(lambda: sum(map(len, devices.truth.values())) >= n, 60, "samples")
            for g in victims:
                g.start(ready=False)
        devices.settle()
        operator.settle()
        for g in (routine, safety):
            g.until(g.ready, 60)
            g.until(lambda: at_rest(g), 60, "all is told and stored")
            assert g.ledger()["total"]["balanced"]

        def come():
            """Every sample that the broker acknowledged is a point."""
            points = alarm_chaos.levels(influx)
            return all(points[d].keys() >= {ts for ts, _ in said}
                       for d, said in devices.truth.items())
        with contextlib.suppress(AssertionError):  # what never comes the judge names
            until(come, 20)
        # whoever says nothing more is silent some minutes from now, and that is told
        known, points, j = alarm_chaos.while_still(
            lambda: both(routine, safety), lambda: at_rest(routine) and at_rest(safety), desk,
            lambda known: judge(known, broker, influx, desk, devices, operator), operator)
        assert not j.wrong, (j.said, j.figures)
        the_judge_sees(known, desk, operator)
        the_judge_sees_the_store(known, desk, operator, devices, points)
        judge_lanes(desk, routine, safety)
        stop(desk, routine, safety)
    finally:
        for x in (devices, operator, desk):
            x.close()


def stores(routine, safety):
    return (alarm_chaos.Known(routine.folder / "data" / "store.db"),
            alarm_chaos.Known(safety.folder / "data-ls" / "store.db"))


def both(routine, safety):
    mine, theirs = stores(routine, safety)
    return mine.add(theirs)


def spoilt(desk, change):
    """The desk, had it heard something else: would the judge see it?"""
    other = desk.so_far()
    other.heard = change(other.heard)
    return other


def drop_one(level):
    def change(heard):
        i = next(i for i, h in enumerate(heard) if h[0].startswith(level))
        return [h for h in heard if h[:2] != heard[i][:2]]
    return change


def renumber(heard):
    i = next(i for i, h in enumerate(heard) if h[0].startswith("events/"))
    topic, payload, *rest = heard[i]
    s = json.loads(payload)
    return heard + [(topic, json.dumps({**s, "seq": s["seq"] + 1}).encode(), *rest)]


def spoilt_store(known, change):
    other = alarm_chaos.Known.__new__(alarm_chaos.Known)
    other.__dict__ |= known.__dict__ | {"transitions": change(list(known.transitions))}
    return other


def the_judge_sees_the_store(known, desk, operator, devices, points):
    """A store that lost one transition, or has one twice, or was told of another sample."""
    def first(**wanted):
        return next(i for i, t in enumerate(known.transitions)
                    if all(t[k] == v for k, v in wanted.items()))
    last_words = {t["case"]: i for i, t in enumerate(known.transitions)}.values()
    inner = next(i for i in range(len(known.transitions)) if i not in last_words)
    j = alarm_chaos.Judge()
    j.cases(spoilt_store(known, lambda ts: ts[:inner] + ts[inner + 1:]))
    assert j.wrong["versions_differ"]
    i = first(rule="chaos-fast", change="activated")
    other = {**known.transitions[i]}
    other["state"] = {**other["state"], "value": other["state"]["value"] + 1e-4}
    j = alarm_chaos.Judge()
    j.truth(spoilt_store(known, lambda ts: ts[:i] + [other] + ts[i + 1:]), devices, True, points)
    assert j.wrong["turns_differ"]
    d = known.transitions[i]["device"]
    j = alarm_chaos.Judge()
    j.truth(known, devices, False, {**points, d: dict(list(points[d].items())[1:])})
    assert j.wrong["no_point_of_a_sample"]
    done = next(t for t in known.transitions if t["state"]["note"])
    j = alarm_chaos.Judge()
    j.effects(spoilt_store(known, lambda ts: ts + [done]), operator, desk)
    assert j.wrong["done_twice"]
    j = alarm_chaos.Judge()
    j.effects(spoilt_store(known, lambda ts: [t for t in ts if t is not done]), operator, desk)
    assert j.wrong["done_and_lost"]
    told = [(0, alarm_chaos.PREFIX + "/" + t, p) for t, p, _, _ in desk.on("events/") +
            desk.on("urgent/")]
    j = alarm_chaos.Judge()
    j.wire(known, [t for t in told if t != told[0]])
    assert set(j.wrong) == {"never_on_the_wire"}


def the_judge_sees(known, desk, operator):
    for change, wrong in ((drop_one("events/"), "never_heard"),
                          (drop_one("urgent/"), "never_heard_urgent"),
                          (renumber, "transition_under_two_seq")):
        j = alarm_chaos.Judge()
        j.streams(known, spoilt(desk, change), False)
        assert j.wrong[wrong], wrong
    j = alarm_chaos.Judge()
    j.commands(operator, spoilt(desk, drop_one("reply/")), False)
    assert j.wrong["not_answered"]


def judge_lanes(desk, routine, safety):
    mine, theirs = stores(routine, safety)
    assert mine.rows > 10 and theirs.rows > 5
    assert {t["stream"].split("/")[1] for t in mine.transitions} == {"routine"}
    assert {t["stream"].split("/")[1] for t in theirs.transitions} == {"life-safety"}
    assert not {t["case"] for t in mine.transitions} & {t["case"] for t in theirs.transitions}
    assert {t["device"][:2] for t in mine.transitions} <= {FAST, HELD}
    assert {t["device"][:2] for t in theirs.transitions} == {SAFE}
    urgent = {json.loads(p)["device"][:2] for _, p, _, _ in desk.on("urgent/")}
    assert urgent == {SAFE}
    streams = {t["stream"] for t in mine.add(theirs).transitions}
    assert len(streams) == 2  # no new epoch by a kill


def judge(known, broker, influx, desk, devices, operator):
    j = alarm_chaos.Judge()
    points = alarm_chaos.levels(influx)
    j.streams(known, desk, False)
    j.cases(known)
    j.truth(known, devices, False, points)
    j.kept(known, broker.port)
    j.commands(operator, desk, False)
    j.effects(known, operator, desk)
    j.history(known, influx)
    for gateway in ("test", "test-ls"):
        j.status(desk, gateway)
    return known, points, j


def stop(desk, routine, safety):
    for g, gateway in ((routine, "test"), (safety, "test-ls")):
        g.stop()
        until(lambda: json.loads(desk.on(f"gateway/{gateway}/status")[-1][1]).get("reason")
              == "stopped", 10, "it said that it stops")


def test_a_lost_store_begins_a_stream_of_its_own(bench):
    """The data folder is gone, and the alerts' broker away when the first alarm comes: nothing of
    it has a number that was told before."""
    main, alerts = bench.mosquitto(*SETTINGS), bench.mosquitto(*SETTINGS)
    g = bench.gaihou(brokers=[{"id": "main", "url": main.url},
                              {"id": "alerts", "url": alerts.url}], sinks=[],
                     alerts={"broker": "alerts"}, rules=["chaos-rules.yaml"],
                     registry={"compounds": "compounds.csv", "devices": "devices.csv"})
    alarm_chaos.registry(g.folder, fast=1, held=0, safe=0)
    g.configure().start()
    desk = alarm_chaos.Listener(alerts.port)

    def say(level):
        publish(main, [(topic("kf0", "k2"), {"ts": now_ms(), "level": level})])

    def events():  # a broker that was stopped may bring one again
        return [json.loads(p) for p in dict.fromkeys(p for _, p, _, _ in desk.on("events/"))]
    try:
        say(1.0)
        until(lambda: len(events()) == 2, 20, "both rules are told of")
        told = {(e["stream"], e["seq"]) for e in events()}
        g.kill()
        assert alerts.stop() == 0  # with what it keeps
        shutil.rmtree(g.folder / "data")
        until(lambda: time.time() > int(events()[0]["stream"].split("/")[2]) + 1, 5)
        g.start(ready=False)
        g.until(lambda: g.status()["brokers"][0]["connected"], 20)
        say(1.1)
        g.until(lambda: g.status()["alarms"]["open"] == 2, 20, "its cases are open")
        alerts.start()
        until(lambda: len(events()) == 4, 60, "told again")
        assert not {(e["stream"], e["seq"]) for e in events()[2:]} & told
        known = alarm_chaos.Known(g.folder / "data" / "store.db")
        assert {t["stream"] for t in known.transitions} == {events()[3]["stream"]}
        # those of the lost store stay until somebody closes them
        until(lambda: len(alarm_chaos.retained(alerts.port)) == 4, 10, "all are kept")
        g.until(lambda: g.status()["alarms"]["telling"]["orphaned"] == 2, 20, "and known as such")
        listed = json.loads(g.ctl("--json", "alerts", "orphaned").stdout)
        assert listed["orphaned"] == 2
        old = sorted(c["case"] for c in listed["cases"])
        assert {e["case"] for e in events()[:2]} == set(old)
        wrong = g.ctl("ack", old[0], check=False)
        assert wrong.returncode != 0 and "former_epoch" in wrong.stderr
        g.ctl("close", old[0])
        place = next(c for c in listed["cases"] if c["case"] == old[1])
        publish(alerts, [(f"gaihou/v1/cmd/{place['firm']}/{place['compound']}/{old[1]}/close",
                          {"by": "值班"})])
        until(lambda: len(alarm_chaos.retained(alerts.port)) == 2, 20, "they are closed")
        until(lambda: any(json.loads(p)["result"] == "done"
                          for _, p, _, _ in desk.on("reply/")), 10, "and the firm is told")
        assert g.status()["alarms"]["telling"]["orphaned"] == 0
        assert old[0] not in g.ctl("alerts", "orphaned").stdout
    finally:
        desk.close()
