"""The HTTP interface and gaihouctl over the real daemon."""
import contextlib
import datetime
import json
import re
import socket
import subprocess
import threading
import time
from zoneinfo import ZoneInfo

import pytest
import requests

from conftest import BIN, TOP, free_port, until
from ring import (balanced, influx_sink, now_ms, publish, quarantined, small, topic, wait_settled)

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse_prometheus(text):
    """{name: (type, {labels: value})}; what the text format 0.0.4 forbids fails."""
    families, current = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            assert words and name not in families, line
        elif line.startswith("# TYPE "):
            current, kind = line[7:].split(" ")
            assert kind in ("counter", "gauge", "histogram", "summary") and current not in families
            families[current] = (kind, {})
        else:
            m = SAMPLE.match(line)
            assert m, line
            assert m[1] == current, f"{m[1]} stands under {current}"
            labels, rest = [], m[3] or ""
            while rest:
                one = LABEL.match(rest)
                assert one, line
                labels.append((one[1], one[2]))
                rest = rest[one.end():]
            key = tuple(sorted(labels))
            assert len({k for k, _ in key}) == len(key), line
            assert key not in families[current][1], f"twice: {line}"
            families[current][1][key] = float(m[4])
    return families


@pytest.fixture
def fed(bench, broker, influx):
    """A gateway with something in every list."""
    g = small(bench, broker, [influx_sink(influx)])
    token = g.folder / "token"
    token.write_text("pssst-42\n")
    token.chmod(0o600)
    g.configure(http={"listen": f"127.0.0.1:{g.port}", "socket": str(g.socket),
                      "token_file": str(token)}).start()
    t = now_ms() - 5000
    publish(broker, [(topic("s1"), {"ts": t, "level": 1}), (topic("s2"), {"ts": t, "level": 77}),
                     (topic("s1"), b"{oops"), (topic("x9"), {"level": 1}), (topic("s3", "c2"), "")])
    wait_settled(g, 5)
    quarantined(g, 1)
    return g


def test_metrics(fed):
    r = requests.get(fed.url + "/metrics", timeout=60)
    assert r.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    f = parse_prometheus(r.text)
    for name, (kind, samples) in f.items():
        assert name.startswith("gaihou_") and samples is not None
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|us|ns|kb|mb)(_|$)", name), name
    messages = f["gaihou_messages_total"][1]
    assert messages[(("class", "received"), ("compound", "c1"), ("reason", ""))] == 3
    assert messages[(("class", "dead"), ("compound", "c1"), ("reason", "bad_json"))] == 1
    assert messages[(("class", "quarantined"), ("compound", "-"), ("reason", ""))] == 1
    assert messages[(("class", "ignored"), ("compound", "c2"), ("reason", "empty"))] == 1
    assert f["gaihou_broker_connected"][1][(("broker", "main"),)] == 1
    assert f["gaihou_ledger_balanced"][1][()] == 1
    for name in ("gaihou_sink_up", "gaihou_sink_pending_lines", "gaihou_journal_bytes",
                 "gaihou_engine_lag_seconds", "gaihou_dead_rows", "gaihou_build_info"):
        assert f[name][1], name


def test_health_and_readiness(fed):
    assert requests.get(fed.url + "/healthz", timeout=60).text == "ok\n"
    r = requests.get(fed.url + "/readyz", timeout=60)
    assert r.status_code == 200 and r.json()["ready"] and r.json()["sinks"] == {"influx": "ok"}


def test_not_ready_without_broker(bench):
    g = small(bench, None)
    g.configure(brokers=[{"id": "main", "url": f"mqtt://127.0.0.1:{free_port()}"}])
    g.start(ready=False)
    until(lambda: requests.get(g.url + "/healthz", timeout=60).status_code == 200, 10, "alive")
    assert requests.get(g.url + "/readyz", timeout=60).status_code == 503
    until(lambda: g.status()["state"] == "degraded", 10, "told")
    assert any("broker main" in p for p in g.status()["problems"])


@contextlib.contextmanager
def slow_broker(answer):
    """Lets a client connect (MQTT 5) and answers its SUBSCRIBE once `answer` is set."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(c):
        with contextlib.suppress(OSError), c:
            while packet := c.recv(65536):
                if packet[0] >> 4 == 1:
                    c.sendall(b"\x20\x03\x00\x00\x00")
                elif packet[0] >> 4 == 8:
                    answer.wait()
                    c.sendall(b"\x90\x04" + packet[2:4] + b"\x00\x01")

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        answer.set()
        listener.close()


def test_not_ready_before_it_is_subscribed(bench):
    """What is published between a broker's two answers reaches nobody."""
    answer = threading.Event()
    with slow_broker(answer) as port:
        g = small(bench, None)
        g.configure(brokers=[{"id": "main", "url": f"mqtt://127.0.0.1:{port}"}],
                    sources=[{"profile": "gaihou-json", "broker": "main"}])
        g.start(ready=False)
        g.until(lambda: g.status()["brokers"][0]["connected"], 20, "connected")
        for _ in range(20):
            assert requests.get(g.url + "/readyz", timeout=60).status_code == 503
            time.sleep(0.02)
        answer.set()
        g.until(lambda: requests.get(g.url + "/readyz", timeout=60).status_code == 200, 20, "subscribed")


def test_reading_paths(fed):
    for path, key in [("status", "ledger"), ("ledger", "total"), ("devices", "devices"),
                      ("compounds", "compounds"), ("quarantine", "devices"), ("dead", "dead")]:
        r = requests.get(f"{fed.url}/api/v1/{path}", timeout=60)
        assert r.status_code == 200 and r.headers["Content-Type"].startswith("application/json")
        assert key in r.json(), path
        h = requests.head(f"{fed.url}/api/v1/{path}", timeout=60)
        assert h.status_code == 200 and h.content == b""
    d = fed.get("/api/v1/devices/s1")
    assert d["kind"] == "sump" and d["compound"] == "c1" and d["messages"] == 2
    page = fed.get("/api/v1/devices?limit=2")
    assert len(page["devices"]) == 2 and page["total"] == 4
    rest = fed.get(f"/api/v1/devices?limit=9&after={page['after']}")
    assert len(rest["devices"]) == 2 and rest["after"] is None
    assert len(fed.get("/api/v1/devices?compound=c2")["devices"]) == 2


def test_what_is_not_there(fed):
    for path in ("/nowhere", "/api/v1/nowhere", "/api/v2/status", "/api/v1/devices/zzz",
                 "/api/v1/dead/17", "/api/v1/dead/x", "/api/v1/quarantine/zzz", "/metrics/x"):
        r = requests.get(fed.url + path, timeout=60)
        assert r.status_code == 404 and r.json()["error"], path
    for method, path in [("POST", "/metrics"), ("DELETE", "/api/v1/status"),
                         ("GET", "/api/v1/reload"), ("PUT", "/api/v1/dead")]:
        r = requests.request(method, fed.url + path, timeout=60)
        assert r.status_code == 405, (method, path, r.status_code)


def test_writing_needs_the_socket_or_the_token(fed):
    for path in ("/api/v1/reload", "/api/v1/dead/purge", "/api/v1/quarantine/replay"):
        r = requests.post(fed.url + path, timeout=60)
        assert r.status_code in (401, 403) and "token" in r.json()["error"]
        r = requests.post(fed.url + path, headers={"Authorization": "Bearer falsch"}, timeout=60)
        assert r.status_code in (401, 403)
    r = requests.post(fed.url + "/api/v1/reload", headers={"Authorization": "Bearer pssst-42"},
                      timeout=60)
    assert r.status_code == 200 and r.json()["changed"] is False
    status, body = fed.unix().request("POST", "/api/v1/reload")
    assert status == 200 and b"no file has changed" in body
    token = fed.folder / "token"
    r = subprocess.run([BIN / "gaihouctl", "--url", fed.url, "reload"], capture_output=True,
                       text=True, timeout=60, check=False)
    assert r.returncode == 1 and "token" in r.stderr
    r = subprocess.run([BIN / "gaihouctl", "--url", fed.url, "--token-file", token, "reload"],
                       capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0 and "pssst" not in fed.text()
    # what a stranger asked did nothing
    assert len(fed.get("/api/v1/dead")["dead"]) == 1


def test_ctl_over_the_daemon(fed):
    status = fed.ctl("status").stdout
    assert "main" in status and "influx" in status
    assert "s1" in fed.ctl("devices").stdout and "sump" in fed.ctl("devices", "list").stdout
    assert "一号院" in fed.ctl("compounds").stdout
    assert "x9" in fed.ctl("quarantine").stdout
    assert "bad_json" in fed.ctl("dead").stdout
    assert "c1" in fed.ctl("ledger").stdout
    for command in (["status"], ["devices"], ["compounds"], ["quarantine"], ["dead"], ["ledger"]):
        json.loads(fed.ctl("--json", *command).stdout)
    one = json.loads(fed.ctl("--json", "devices", "show", "s1").stdout)
    assert one["device"] == "s1"
    seen = datetime.datetime.fromtimestamp(one["last_seen_ms"] // 1000, ZoneInfo("Asia/Shanghai"))
    assert f"{seen:%Y-%m-%d %H:%M:%S}" in fed.ctl("devices", "show", "s1").stdout
    for command in (["devices"], ["quarantine"], ["dead"]):
        assert re.search(r" 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d ", fed.ctl(*command).stdout), command
    assert fed.ctl("devices", "show", "zzz", check=False).returncode == 1
    assert fed.ctl("dead", "show", "999", check=False).returncode == 1
    for argv in (["frobnicate"], ["devices", "frob"], [], ["dead", "list", "--nonsense", "1"]):
        assert fed.ctl(*argv, check=False).returncode == 64, argv
    r = subprocess.run([BIN / "gaihouctl", "--socket", "/nonexistent/sock", "status"],
                       capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 2 and "/nonexistent/sock" in r.stderr


def test_ctl_journal(fed):
    folder = fed.folder / "data"
    fed.ctl("journal", "info", "--dir", folder) # while it runs, too
    fed.stop()
    fed.ctl("journal", "verify", "--dir", folder)
    dump = fed.ctl("journal", "dump", "--dir", folder).stdout
    assert "oops" in dump and topic("s1") in dump


def test_requests_that_are_none(fed):
    import socket
    for raw in (b"\x16\x03\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", fed.port), 5) as s:
            s.settimeout(20)
            try:
                s.sendall(raw)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    assert requests.get(fed.url + "/healthz", timeout=60).status_code == 200
    balanced(fed)


def test_completion_knows_every_command():
    """What `gaihouctl help` lists, both shells offer, and nothing else; bash's is run."""
    text = subprocess.run([BIN / "gaihouctl", "help"], capture_output=True, text=True,
                          check=True).stdout
    listed = text.split("\n\n")[1].replace("|\n  ", "|")
    commands = set()
    for line in listed.splitlines():
        words = line.split("  ")[1].split()
        commands |= set(words[0].rstrip(",").split("|"))
    commands = {c for c in commands if c.isalpha()} | {"help", "version"}
    assert {"status", "decode", "profile", "journal", "ack", "unshelve", "untest"} <= commands
    for c in commands - {"top"}: # each is one that the program knows
        r = subprocess.run([BIN / "gaihouctl", "--socket", "/nonexistent", c],
                           capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                           check=False)
        assert "there is no command" not in r.stderr, c
        # --help asks nobody, does nothing, and is no mistake
        r = subprocess.run([BIN / "gaihouctl", "--socket", "/nonexistent", c, "--help"],
                           capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20,
                           check=False)
        if c not in ("help", "version"):
            assert r.returncode == 0 and r.stdout.startswith("usage: "), (c, r)
            assert not r.stderr, (c, r)
    bash = TOP / "daemon/ctl/completion/gaihouctl.bash"
    script = f'. {bash}; COMP_WORDS=(gaihouctl ""); COMP_CWORD=1; _gaihouctl; echo "${{COMPREPLY[@]}}"'
    offered = set(subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                                 check=True).stdout.split())
    assert {x for x in offered if not x.startswith("-")} == commands
    zsh = (TOP / "daemon/ctl/completion/_gaihouctl").read_text()
    assert set(re.search(r"1:command:\(([^)]*)\)", zsh)[1].split()) == commands
    r = subprocess.run([BIN / "gaihouctl", "jurnal"], capture_output=True, text=True, check=False)
    assert r.returncode == 64 and 'did you mean "journal"' in r.stderr


def test_a_name_that_no_metric_has_is_told(bench, broker, influx):
    """Counted, and by name."""
    g = small(bench, broker, [influx_sink(influx)]).start()
    publish(broker, [(topic("s2"), {"levle": 2, "level": 1})])
    wait_settled(g, 1)
    assert g.status()["engine"]["unknown"] == {"device": "s2", "name": "levle", "names": 1,
                                               "profile": "gaihou-json"}
    assert 'most often "levle" (gaihou-json)' in g.ctl("status").stdout
