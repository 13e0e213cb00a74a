"""What the tests of the whole ring share: a registry of a few devices, messages by hand, waiting
for what comes out."""
import contextlib
import csv
import json
import time

import paho.mqtt.client as mqtt

from conftest import until

COMPOUNDS = """compound,name,district,street,community,grid,firm,lon,lat
c1,一号院,yuzhong,daxigou,guojing-lu,g01,yulin,106.5712,29.5563
c2,二号院,nanan,huayuan,hualong,g12,none,,
"""
DEVICES = """device,source_id,kind,compound,building,point,expected_interval
s1,EUI-1,sump,c1,1,pit,5m
s2,EUI-2,sump,c1,2,,5m
s3,EUI-3,sump,c2,,,5m
lift1,,elevator,c2,3,,
"""


def small(bench, broker=None, sinks=(), of_broker=None, **sections):
    """A gateway with four devices in two compounds; configured, not started."""
    main = {"id": "main", "url": broker.url, **(of_broker or {})} if broker else None
    g = bench.gaihou(brokers=[main] if main else None,
                     sinks=list(sinks),
                     registry={"compounds": "compounds.csv", "devices": "devices.csv"}, **sections)
    (g.folder / "compounds.csv").write_text(COMPOUNDS, encoding="utf-8")
    (g.folder / "devices.csv").write_text(DEVICES, encoding="utf-8")
    return g.configure()


# A database of a busy machine takes its time: one that is slow is not away. Whose subject is how long
# is waited for an answer says so.
PATIENT = {"batch": {"age": "100ms"}, "timeout": "60s"}


def influx_sink(influx, **more):
    return {"id": "influx", "type": "influxdb1", "url": influx.url, "database": "gaihou",
            **PATIENT, **more}


def rude_sink(rude, **more):
    return {"id": "db", "type": "influxdb1", "url": rude.url, "database": "gaihou",
            **PATIENT, **more}


def now_ms():
    return time.time_ns() // 1000000


def topic(device, compound="c1"):
    return f"gaihou/v1/up/{compound}/{device}"


@contextlib.contextmanager
def client(broker, client_id="", version=mqtt.MQTTv311, **kw):
    """A connected paho client with its loop running."""
    c = mqtt.Client(client_id, protocol=version, **kw)
    c.connect("127.0.0.1", broker.port)
    c.loop_start()
    until(c.is_connected, 10, "the test's client is connected")
    try:
        yield c
    finally:
        c.disconnect()
        c.loop_stop()


def publish(broker, messages, qos=1, retain=False):
    """[(topic, payload: bytes, text or what JSON can say)], each acknowledged on return."""
    with client(broker) as c:
        c.max_inflight_messages_set(100)
        infos = [c.publish(t, p if isinstance(p, (bytes, str)) else json.dumps(p), qos, retain)
                 for t, p in messages]
        for i in infos:
            i.wait_for_publish(60)
            assert i.is_published(), "the broker does not acknowledge"


def came_in(s, n, again=0):
    """So many messages are through the engine, `again` of them told before by who sent them. A
    broker that was left, or that did not hear an answer, delivers a message twice at any time:
    such come on top, and take nobody's place. A start has passed what its journal has also behind
    the last message: what a timer counted stands there."""
    m = s["ledger"]["messages"]
    return (s["engine"]["lag_records"] == 0 and not s["engine"]["replaying"] and
            m["received"] - m["duplicate"] >= n - again)


def settled(g, messages=0, again=0):
    """Nothing is under way; at least so many messages came in."""
    s = g.status()
    return (s if came_in(s, messages, again)
            and all(k["pending_lines"] == 0 and k["open_lines"] == 0 for k in s["sinks"])
            else None)


def wait_settled(g, messages=0, seconds=30, again=0):
    return g.until(lambda: settled(g, messages, again), seconds,
                   f"all is in the database ({messages})")


def wait_messages(g, n, seconds=20):
    def there():
        s = g.status()
        return s if came_in(s, n) else None
    return g.until(there, seconds, f"{n} messages are through the engine")


def sump_rows(influx, device=None):
    where = f" WHERE device='{device}'" if device else ""
    return influx.query(f'SELECT * FROM "sump"{where}')


def kinds(folder):
    """{device: kind} of a registry."""
    with open(folder / "devices.csv", encoding="utf-8-sig") as f:
        return {r["device"]: r for r in csv.DictReader(f)}


def balanced(g):
    ledger = g.ledger()
    assert ledger["total"]["balanced"], ledger["total"]
    assert all(c["balanced"] for c in ledger["compounds"]), ledger["compounds"]
    return ledger["total"]


def log_lines(g, words):
    return [x for x in g.text().splitlines() if words in x]


def dead_letters(g, n):
    """The n dead letters, once the store has them (its commits come behind the engine)."""
    def there():
        d = json.loads(g.ctl("--json", "dead", "list", "--limit", "1000").stdout)["dead"]
        assert len(d) <= n, d
        return d if len(d) == n else None
    return g.until(there, 15, f"{n} dead letters") if n else there() or []


def quarantined(g, n, messages=0):
    """The n devices in quarantine, once the store has them and so many messages of them: who takes
    them up earlier takes only those that are there."""
    def there():
        d = json.loads(g.ctl("--json", "quarantine", "list").stdout)["devices"]
        assert len(d) <= n, d
        return d if len(d) == n and sum(x["messages"] for x in d) >= messages else None
    return g.until(there, 15, f"{n} devices in quarantine")
