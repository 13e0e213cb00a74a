import http.server, json, os, socket, subprocess, threading, time
import pytest
from conftest import BIN, free_port, until
from ring import *

def show(what, g, since=0):
    print("\n###", what)
    for l in g.text().splitlines()[since:]:
        if l[:3] in ("<3>", "<4>", "<5>", "<2>"):
            print("   ", l[:400])
    try:
        print("    status:", g.status()["state"], g.status()["problems"])
    except Exception as e:
        print("    no status", e)

class H(http.server.BaseHTTPRequestHandler):
    code, body = 404, b"nope"
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.code); self.send_header("Content-Length", str(len(self.body))); self.end_headers(); self.wfile.write(self.body)
    do_GET = do_POST
    def log_message(self, *a): pass

def test_broker_is_http(bench, influx):
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H); threading.Thread(target=s.serve_forever, daemon=True).start()
    g = small(bench, None, [influx_sink(influx)])
    g.configure(brokers=[{"id": "main", "url": f"mqtt://127.0.0.1:{s.server_port}"}])
    g.start(ready=False); time.sleep(8); show("broker port is a web server", g)
    s.shutdown()

def test_broker_silent(bench, influx):
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
    g = small(bench, None, [influx_sink(influx)])
    g.configure(brokers=[{"id": "main", "url": f"mqtt://127.0.0.1:{s.getsockname()[1]}"}])
    g.start(ready=False); time.sleep(20); show("broker accepts and says nothing", g)

@pytest.mark.parametrize("code,body", [(404, b"nope"), (401, b'{"error":"authorization failed"}'), (204, b""), (200, b"<html>login</html>"), (302, b""), (500, b"boom")])
def test_db_odd(bench, broker, code, body):
    h = type("X", (H,), {"code": code, "body": body})
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), h); threading.Thread(target=s.serve_forever, daemon=True).start()
    g = small(bench, broker, [{"id": "db", "type": "influxdb1", "url": f"http://127.0.0.1:{s.server_port}", "database": "gaihou", "batch": {"age": "100ms"}}])
    g.start(); publish(broker, [(topic("s1"), {"level": 1})]); time.sleep(3); show(f"database answers {code} {body}", g)
    s.shutdown()

def test_db_wrong_name(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx, database="gaihuo")]).start()
    publish(broker, [(topic("s1"), {"level": 1})]); time.sleep(2); show("database name typo", g)

def test_db_down(bench, broker):
    g = small(bench, broker, [{"id": "db", "type": "influxdb1", "url": f"http://127.0.0.1:{free_port()}", "database": "gaihou"}]).start()
    publish(broker, [(topic("s1"), {"level": 1})]); time.sleep(3); show("database not there", g)
    print(g.ctl("status").stdout)

def test_db_https_to_http(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx, url=influx.url.replace("http:", "https:"))]).start()
    publish(broker, [(topic("s1"), {"level": 1})]); time.sleep(3); show("https to a http database", g)

def test_messages(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)]).start()
    t = now_ms()
    publish(broker, [(topic("s1"), {"ts": t - 400 * 86400000, "level": 1}), (topic("s1"), {"ts": t + 7200000, "level": 1.5}),
                     (topic("s2"), "level=3"), (topic("s2"), ""), (topic("s1", "c2"), {"level": 1}), (topic("nobody"), {"level": 1}),
                     (topic("s2"), {"level": "high"}), (topic("s2"), {"levle": 2}), (topic("s2"), {"level": 99.99}), (topic("s2"), {"level": 1e400 if 0 else 123456}),
                     (topic("s2"), {"level": 21.899999618530273}), ("gaihou/v1/up/c1", {"level": 1})])
    time.sleep(2); show("odd messages", g)
    for c in (["dead"], ["quarantine"], ["quarantine", "show", "nobody"], ["devices"], ["devices", "show", "s9"], ["dead", "show", "1"], ["status"], ["ledger"]):
        r = g.ctl(*c, check=False); print("$ gaihouctl", *c, "\n" + r.stdout + r.stderr)
    r = g.ctl("quarantine", "adopt", "nobody", "--kind", "sumpf", "--config", g.config, check=False); print("adopt bad kind:", r.stdout, r.stderr)
    r = g.ctl("quarantine", "adopt", "nobody", "--config", g.config, "--dry-run", check=False); print("adopt dry:", r.stdout, r.stderr)
    (g.folder / "devices.csv").write_text(DEVICES.replace("sump,c2", "sump,c9"))
    r = g.ctl("reload", check=False); print("reload bad:", r.returncode, r.stdout, r.stderr)
    (g.folder / "devices.csv").write_text(DEVICES)
    import signal
    n = len(g.text().splitlines()); os.kill(g.process.popen.pid if hasattr(g, "process") else g.popen.pid, signal.SIGHUP); time.sleep(1); show("SIGHUP, nothing changed", g, n)
    d = g.folder / "data"
    assert g.stop() == 0
    for c in (["info"], ["verify"], ["dump", "--limit", "3"]):
        r = subprocess.run([BIN / "gaihouctl", "journal", c[0], "--dir", d, *c[1:]], capture_output=True, text=True); print("$ journal", *c, r.returncode, "\n" + r.stdout[:1500] + r.stderr)
    r = subprocess.run([BIN / "gaihouctl", "journal", "export", "--dir", d], capture_output=True, text=True); print("export", r.returncode, len(r.stdout.splitlines()), r.stderr)
    (g.folder / "x.jsonl").write_text(r.stdout); g.start()
    r = g.ctl("journal", "replay", g.folder / "x.jsonl", check=False); print("replay", r.returncode, r.stdout, r.stderr); time.sleep(2)
    print(g.ctl("ledger").stdout)

def test_credentials(bench, broker, influx):
    cred = bench.folder / "cred"; cred.mkdir(); (cred / "main").write_text("x\n")
    g = small(bench, broker, [influx_sink(influx)])
    g.configure(brokers=[{"id": "main", "url": broker.url, "username": "u", "password_file": "main"}])
    r = g.check(); print("no directory:", r.returncode, r.stderr)
    r = subprocess.run([BIN / "gaihoud", "--check", "--config", g.config], capture_output=True, text=True, env={**os.environ, "CREDENTIALS_DIRECTORY": str(cred)}); print("with:", r.returncode, r.stdout, r.stderr)
    (cred / "main").write_text("a\nb\n")
    r = subprocess.run([BIN / "gaihoud", "--check", "--config", g.config], capture_output=True, text=True, env={**os.environ, "CREDENTIALS_DIRECTORY": str(cred)}); print("two lines:", r.returncode, r.stdout, r.stderr)

def test_failover(bench, influx):
    a, b = bench.mosquitto(), bench.mosquitto()
    g = small(bench, None, [influx_sink(influx)]); g.configure(brokers=[{"id": "main", "url": [a.url, b.url]}]).start()
    print(g.status()["brokers"][0]["server"], a.url); a.kill(); t = time.time()
    g.until(lambda: g.status()["brokers"][0]["connected"] and g.status()["brokers"][0]["server"].endswith(str(b.port)), 30, "fails over"); print("over after", time.time() - t); show("failed over", g)
    publish(b, [(topic("s1"), {"level": 1})]); wait_settled(g, 1)
