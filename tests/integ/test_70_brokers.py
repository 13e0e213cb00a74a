"""Brokers: restarts, sessions, take-over, retained, QoS 0, two of them, refused filters."""
import json
import os
import time

import paho.mqtt.client as mqtt
import pytest

from conftest import free_port, until
from ring import (DEVICES, balanced, client, influx_sink, log_lines, now_ms, publish, small, topic,
                  wait_settled)


def test_broker_restarted(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t, "level": 1})])
    wait_settled(g, 1)
    assert broker.stop() == 0
    g.until(lambda: not g.status()["brokers"][0]["connected"], 10, "seen")
    s = g.status()
    assert s["state"] == "degraded" and "main" in s["problems"][0] and not g.ready()
    broker.start()
    g.until(g.ready, 20, "back")
    publish(broker, [(topic("s1"), {"ts": t + 1, "level": 2})])
    wait_settled(g, 2)
    assert len(log_lines(g, "lost after")) == 1 and len(log_lines(g, "connected again")) == 1
    assert g.status()["state"] == "ok"


def test_broker_that_comes_later(bench, influx):
    broker = bench.mosquitto(start=False)
    g = small(bench, broker, [influx_sink(influx)]).start(ready=False)
    g.until_log("cannot connect")
    broker.start()
    g.until(g.ready, 20, "there")
    publish(broker, [(topic("s1"), {"ts": now_ms(), "level": 1})])
    wait_settled(g, 1)
    assert len(log_lines(g, "cannot connect")) == 1


def test_what_was_published_while_down_is_delivered(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    assert g.stop() == 0
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t + i, "level": 1}) for i in range(500)])
    g.start()
    wait_settled(g, 500)
    assert influx.query("SELECT count(level) FROM sump")[0]["count"] == 500
    assert "session kept" in g.text()
    balanced(g)


def test_take_over_is_named_and_not_fought(bench, broker, influx):
    """mosquitto 2.0 says to nobody why it hangs up: the third time within 30 s gives it away."""
    g = small(bench, broker, [influx_sink(influx)]).start()
    with client(broker, "gaihou-test", version=mqtt.MQTTv5) as other: # it comes back each time
        g.until_log('another client may be using our client id "gaihou-test"', 30)
        until(other.is_connected, 10, "the other one is back")
        assert broker.text().count("already connected, closing old connection") >= 3
        before = broker.text().count("New client connected")
        time.sleep(5) # a pause is what is to be seen
        assert other.is_connected()
        assert broker.text().count("New client connected") == before
        assert any("may be using our client id" in p for p in g.status()["problems"])
    assert g.status()["state"] == "degraded"


def test_retained_is_no_reading(bench, broker, influx):
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t, "level": 1})], retain=True)
    g = small(bench, broker, [influx_sink(influx)]).start()
    g.until(lambda: balanced(g)["messages"]["ignored{retained}"] == 1, 10, "counted")
    publish(broker, [(topic("s2"), {"ts": t + 1, "level": 2})], retain=True) # live, kept too
    wait_settled(g, 2)
    rows = influx.query("SELECT * FROM sump")
    assert [(r["device"], r["level"]) for r in rows] == [("s2", 2)]
    d = g.get("/api/v1/devices/s1")
    assert d["last_seen_ms"] == 0 and d["messages"] == 0


def test_qos_0_source(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    g.configure(sources=[{"profile": "gaihou-json", "broker": "main", "qos": 0}])
    r = g.check() # a lift is life-safety: it needs the promise
    assert r.returncode == 78 and '"lift1"' in r.stderr and "qos: 1" in r.stderr
    devices = [x for x in DEVICES.splitlines() if "lift1" not in x]
    (g.folder / "devices.csv").write_text("\n".join(devices) + "\n")
    r = g.check()
    assert r.returncode == 0 and "promises nothing" in r.stderr
    g.start()
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t + i, "level": 1}) for i in range(20)], qos=0)
    wait_settled(g, 20)
    assert influx.query("SELECT count(level) FROM sump")[0]["count"] == 20


def test_two_brokers(bench, influx):
    a, b = bench.mosquitto(), bench.mosquitto()
    g = small(bench, None, [influx_sink(influx)])
    g.configure(brokers=[{"id": "a", "url": a.url}, {"id": "b", "url": b.url}],
                sources=[{"profile": "gaihou-json", "broker": "a", "qos": 1},
                         {"profile": "gaihou-json", "broker": "b", "qos": 1}]).start()
    g.until(lambda: all(x["connected"] for x in g.status()["brokers"]), 10, "both")
    t = now_ms() - 60000
    publish(a, [(topic("s1"), {"ts": t, "level": 1})])
    publish(b, [(topic("s2"), {"ts": t, "level": 2})])
    wait_settled(g, 2)
    a.kill()
    g.until(lambda: not g.status()["brokers"][0]["connected"], 10, "one is away")
    publish(b, [(topic("s2"), {"ts": t + 1, "level": 2})])
    wait_settled(g, 3)
    assert any("broker a" in p for p in g.status()["problems"])
    assert not any("broker b" in p for p in g.status()["problems"])
    rows = influx.query("SELECT * FROM sump")
    assert sorted(r["device"] for r in rows) == ["s1", "s2", "s2"]


def test_fail_over_list(bench, broker, influx):
    g = small(bench, None, [influx_sink(influx)])
    g.configure(brokers=[{"id": "main", "url": [f"mqtt://127.0.0.1:{free_port()}",
                                                broker.url]}]).start()
    assert g.status()["brokers"][0]["server"].endswith(str(broker.port))


def test_refused_filter_is_an_error(bench, influx):
    plugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
    if not os.path.exists(plugin):
        pytest.skip("this mosquitto has no dynamic security: an acl_file refuses no SUBSCRIBE")
    rights = bench.folder / "rights.json"
    rights.write_text(json.dumps({
        "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True,
                             "subscribe": False, "unsubscribe": True},
        "clients": [], "roles": [], "groups": [{"groupname": "all", "roles": [], "clients": []}],
        "anonymousGroup": "all"}))
    rights.chmod(0o600)
    broker = bench.mosquitto(f"plugin {plugin}", f"plugin_opt_config_file {rights}")
    g = small(bench, broker, [influx_sink(influx)]).start(ready=False)
    g.until_log("refuses the subscription", 15)
    s = g.status()
    assert s["state"] == "degraded"
    assert any("gaihou/v1/up" in p for p in s["problems"]), s["problems"]
    assert g.metrics()["gaihou_broker_refused_filters"]['broker="main"'] == 1
    assert len(log_lines(g, "refuses the subscription")) == 1


def test_falls_back_to_3_1_1(bench, influx):
    """A listener that does not know MQTT 5."""
    port = free_port()
    b = bench.mosquitto(f"listener {port} 127.0.0.1", "accept_protocol_versions 4",
                        "allow_anonymous true", port=port, start=False)
    import subprocess
    probe = subprocess.run(["/usr/sbin/mosquitto", "-h"], capture_output=True, text=True,
                           check=False).stdout
    assert "mosquitto" in probe
    try:
        b.start()
    except AssertionError: # this mosquitto has no such setting: a proxy that hangs up on 5
        b = OnlyOld(bench.mosquitto())
    g = small(bench, b, [influx_sink(influx)]).start(ready=False)
    g.until(lambda: g.status()["brokers"][0]["connected"], 30, "connected")
    assert g.status()["brokers"][0]["version"] == "3.1.1"
    g.until(g.ready, 10, "subscribed")
    real = getattr(b, "broker", b)
    publish(real, [(topic("s1"), {"ts": now_ms(), "level": 1})])
    wait_settled(g, 1)


class OnlyOld:
    """A proxy before a broker that closes the connection on CONNECT of MQTT 5."""

    def __init__(self, broker):
        import socket
        import threading
        self.broker = broker
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        import socket
        import threading
        while True:
            c, _ = self.listener.accept()
            first = c.recv(4096)
            if b"MQTT\x05" in first or not first:
                c.close()
                continue
            s = socket.create_connection(("127.0.0.1", self.broker.port))
            s.sendall(first)
            for a, b in ((c, s), (s, c)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        finally:
            a.close()
            b.close()
