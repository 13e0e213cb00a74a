"""Fixtures of the integration tests: real servers, private folders, free ports.

Every process is started by a Process and ended by the id that it has; every folder is temporary;
every port was free a moment before. Waiting is for a condition (until), never for a time.
"""
import contextlib
import csv
import io
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

import pytest
import requests

TOP = pathlib.Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("VARIANT", "release")
BIN = TOP / "build" / VARIANT
LONG = bool(os.environ.get("GAIHOU_TEST_LONG"))

# Times to wait for are those of an idle machine. What must not take longer says so: exactly=True.
PATIENCE = float(os.environ.get("GAIHOU_TEST_PATIENCE", "4"))
PORTS = range(10000, 32000) # below those that the kernel gives to outgoing connections

_given_ports = {} # each with a name that says so to the other runs beside this one, while this lasts
_random = random.Random(os.getpid() ^ time.time_ns())


def free_port():
    """A loopback port that nobody listens on and that nobody else of ours was given: neither before
    its server listens nor while that is down may another take it (tests/unit/mqtt_rig.h does the
    same)."""
    while True:
        port = _random.choice(PORTS)
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as s, contextlib.suppress(OSError):
            mark.bind(f"\0gaihou-test-port-{port}") # gone with this process
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            _given_ports[port] = mark
            return port
        mark.close()


def until(condition, seconds=20, what=None, exactly=False):
    """Calls condition() until it is true and returns what it returned."""
    seconds *= 1 if exactly else PATIENCE
    end = time.monotonic() + seconds
    pause = 0.01
    last = None
    while True:
        try:
            result = condition()
            if result:
                return result
        except (OSError, requests.RequestException, LookupError, ValueError) as e:
            last = e
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"{name}: not within {seconds:g} s" + (f" ({last})" if last else ""))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def port_open(port):
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    return False


class Process:
    """A program of ours; its output goes to a log file."""

    def __init__(self, name, argv, log, cwd=None, env=None, stdin=subprocess.DEVNULL):
        self.name, self.argv, self.log = name, [str(x) for x in argv], pathlib.Path(log)
        self.cwd, self.env, self.stdin = cwd, env, stdin
        self.popen = None

    def start(self):
        assert not self.running, f"{self.name} runs already"
        with open(self.log, "ab") as f:
            self.popen = subprocess.Popen(self.argv, stdout=f, stderr=subprocess.STDOUT,
                                          stdin=self.stdin, cwd=self.cwd, start_new_session=True,
                                          env={**os.environ, **(self.env or {})})
        return self

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """SIGKILL, as a crash."""
        if self.running:
            self.popen.kill()
        self.popen.wait(30)

    def stop(self, seconds=60):
        """SIGTERM and its exit status; a process that does not end is killed and an error."""
        if self.popen is None:
            return None
        if self.running:
            self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(30)
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM:\n"
                                 + self.text()[-4000:]) from None

    def wait(self, seconds=60):
        return self.popen.wait(seconds * PATIENCE)

    def until(self, condition, seconds=20, what=None, exactly=False):
        """until(), but ends at once if the process has."""
        def both():
            result = condition()
            assert result or self.running, f"{self.name} ended:\n{self.text()[-4000:]}"
            return result
        return until(both, seconds, what or f"{self.name}: {condition}", exactly)

    def until_log(self, words, seconds=20):
        return self.until(lambda: words in self.text(), seconds, f"{self.name} says {words!r}")


class Mosquitto(Process):
    def __init__(self, folder, port=None, settings=(), persistence=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True)
        own = "\n".join(settings)
        listener = "" if "listener" in own else f"listener {self.port} 127.0.0.1\n"
        # Drops nothing for a gateway that a busy machine holds up: only where that is the subject.
        # (Not 0, without end: then mosquitto 2.0 hangs up on who publishes what the ACL forbids.)
        queue = "" if "max_queued_messages" in own else "max_queued_messages 1000000\n"
        access = "" if "allow_anonymous" in own else "allow_anonymous true\n"
        (self.folder / "mosquitto.conf").write_text(
            f"{listener}{access}{queue}user {user.stdout.strip()}\n"
            f"persistence {'true' if persistence else 'false'}\n"
            f"persistence_location {self.folder}/\n"
            "log_type error\nlog_type warning\nlog_type notice\n" + own + "\n")
        super().__init__("mosquitto", ["/usr/sbin/mosquitto", "-c", self.folder / "mosquitto.conf"],
                         self.folder / "mosquitto.log")

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        super().start()
        self.until(lambda: port_open(self.port), 10, "mosquitto listens")
        return self


class Influx(Process):
    """influxd 1.6 with a folder of its own."""

    def __init__(self, folder, port=None, database="gaihou"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.database = port or free_port(), database
        (self.folder / "influxdb.conf").write_text(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{self.folder}/meta"
  logging-enabled = false
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
""")
        super().__init__("influxd", ["influxd", "-config", self.folder / "influxdb.conf"],
                         self.folder / "influxd.log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, create=True):
        super().start()
        self.until(self._answers, 30, "influxd answers")
        if create:
            self.query(f'CREATE DATABASE "{self.database}"', post=True)
        return self

    def _answers(self):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/ping", timeout=2).status_code == 204
        return False

    def query(self, q, post=False, epoch="ms"):
        """Rows as dicts: measurement, tags, columns; error texts raise."""
        r = requests.request("POST" if post else "GET", f"{self.url}/query", timeout=60,
                             params={"db": self.database, "q": q, "epoch": epoch})
        body = r.json()
        assert r.status_code == 200 and "error" not in body, body
        rows = []
        for result in body["results"]:
            assert "error" not in result, result
            for series in result.get("series", []):
                for values in series.get("values", []):
                    rows.append({"measurement": series.get("name"), **series.get("tags", {}),
                                 **dict(zip(series["columns"], values))})
        return rows

    def write(self, lines):
        return requests.post(f"{self.url}/write", params={"db": self.database}, data=lines,
                             timeout=30)

    def points(self, internal=False):
        """Number of points by measurement (gaihou_… only if asked). Each kind has a metric that
        is always said, so the largest count of a field is the number of points."""
        out = {}
        for row in self.query("SELECT count(*) FROM /.*/"):
            name = row["measurement"]
            if internal or not name.startswith("gaihou_"):
                out[name] = max(v for k, v in row.items()
                                if k.startswith("count_") and isinstance(v, int))
        return out


class VictoriaMetrics(Process):
    def __init__(self, folder, port=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        super().__init__("victoria-metrics",
                         ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{self.port}",
                          f"-storageDataPath={self.folder}/data", "-retentionPeriod=100y",
                          "-search.latencyOffset=0s", "-memory.allowedBytes=128MB"],
                         self.folder / "victoria-metrics.log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        super().start()
        self.until(self._answers, 30, "victoria-metrics answers")
        return self

    def _answers(self):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/health", timeout=2).status_code == 200
        return False

    def export(self, match):
        """[{metric, values, timestamps}] of every series that matches; flushed first."""
        requests.get(f"{self.url}/internal/force_flush", timeout=30)
        r = requests.get(f"{self.url}/api/v1/export", params={"match[]": match}, timeout=60)
        r.raise_for_status()
        return [json.loads(line) for line in r.text.splitlines()]


class UnixSession:
    """GET and POST over gaihoud's Unix socket, without anything that is not in Debian."""

    def __init__(self, path):
        self.path = str(path)

    def request(self, method, target, body=b""):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(self.path)
            s.sendall(f"{method} {target} HTTP/1.1\r\nHost: gaihou\r\nConnection: close\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            data = b"".join(iter(lambda: s.recv(65536), b""))
        head, _, rest = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), rest


class Gaihou(Process):
    """gaihoud with a folder of its own: configuration, registry, data, socket."""

    def __init__(self, folder, **sections):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "gaihou.yaml"
        self.port = free_port()
        self.socket = self.folder / "gaihou.sock"
        self.sections = sections
        super().__init__("gaihoud", [BIN / "gaihoud", "--config", self.config],
                         self.folder / "gaihoud.log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def configure(self, **changes):
        """Writes gaihou.yaml (JSON is YAML). A section set to None is left out."""
        c = {
            "gateway": {"id": "test", "data_dir": str(self.folder / "data")},
            "sources": [{"profile": "gaihou-json", "broker": "main", "qos": 1}],
            "catalog": str(TOP / "config" / "catalog.yaml"),
            "registry": {"compounds": "compounds.csv", "devices": "devices.csv",
                         "params": "params.csv"},
            "http": {"listen": f"127.0.0.1:{self.port}", "socket": str(self.socket)},
            **self.sections, **changes,
        }
        c = {k: v for k, v in c.items() if v is not None}
        self.config.write_text(json.dumps(c, indent=1, ensure_ascii=False))
        return self

    def start(self, ready=True):
        if not self.config.exists():
            self.configure()
        super().start()
        if ready:
            self.until(self.ready, 30, "gaihoud is ready")
        return self

    def ready(self):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/readyz", timeout=10).status_code == 200
        return False

    def get(self, path):
        r = requests.get(self.url + path, timeout=60)
        r.raise_for_status()
        return r.json()

    def status(self):
        return self.get("/api/v1/status")

    def ledger(self):
        return self.get("/api/v1/ledger")

    def metrics(self):
        """{name: {labels as written, "" for none: value}}"""
        out = {}
        for line in requests.get(f"{self.url}/metrics", timeout=60).text.splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                name, _, labels = key.partition("{")
                out.setdefault(name, {})[labels.rstrip("}")] = float(value)
        return out

    def ctl(self, *argv, check=True):
        r = subprocess.run([BIN / "gaihouctl", "--socket", self.socket, *map(str, argv)],
                           capture_output=True, text=True, timeout=120, check=False)
        assert not check or r.returncode == 0, f"{argv}: {r.returncode}\n{r.stdout}{r.stderr}"
        return r

    def check(self):
        return subprocess.run([BIN / "gaihoud", "--check", "--config", self.config],
                              capture_output=True, text=True, timeout=60, check=False)

    def unix(self):
        return UnixSession(self.socket)


class City:
    """The simulated city: its registry, and runs of its feed."""

    def __init__(self, folder, seed=1, compounds=3, devices=100):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.fleet = ["--seed", seed, "--compounds", compounds, "--devices", devices]
        self.runs = 0

    def registry(self, folder):
        subprocess.run([str(x) for x in (BIN / "city", "registry", *self.fleet, "--out", folder)],
                       check=True, timeout=120)

    def feed(self, broker_url, *argv):
        """Starts a feed; .truth is its truth file, .result() its summary at the end."""
        self.runs += 1
        p = Process("city", [BIN / "city", "run", "--url", broker_url, *self.fleet, "--truth",
                             self.folder / f"truth-{self.runs}", "--drain", 60, *argv],
                    self.folder / f"city-{self.runs}.log")
        p.truth = self.folder / f"truth-{self.runs}"
        p.result = lambda seconds=120: city_result(p, seconds)
        return p.start()


def city_result(process, seconds):
    status = process.wait(seconds)
    assert status in (0, 1), process.text()
    return json.loads(process.text().splitlines()[-1])


def read_truth(path):
    """[(device, seq, [ts_ms…] or None, sent_ns, acked_ns, hash, payload or None)…] of a truth
    file, version 1; a last line cut short by a kill is left out."""
    text = pathlib.Path(path).read_text()
    lines = text.split("\n")[:-1]
    assert lines[0].startswith("# gaihou-city truth 1 "), lines[0]
    out = []
    for device, seq, ts, sent, acked, hash_, *rest in csv.reader(
            io.StringIO("\n".join(x for x in lines if not x.startswith("#"))), delimiter="\t",
            quoting=csv.QUOTE_NONE):
        out.append((device, int(seq), None if ts == "-" else [int(x) for x in ts.split(",")],
                    int(sent), int(acked), hash_, rest[0] if rest else None))
    return out


class Bench:
    """Makes servers for one test and ends them, last first; a failure shows their logs."""

    def __init__(self, folder):
        self.folder = folder
        self.made = []

    def _add(self, p):
        self.made.append(p)
        return p

    def _place(self, name):
        return self.folder / f"{name}{len(self.made)}"

    def mosquitto(self, *settings, start=True, **kw):
        p = self._add(Mosquitto(self._place("mosquitto"), settings=settings, **kw))
        return p.start() if start else p

    def influx(self, start=True, **kw):
        p = self._add(Influx(self._place("influx"), **kw))
        return p.start() if start else p

    def victoria(self, start=True, **kw):
        p = self._add(VictoriaMetrics(self._place("victoria"), **kw))
        return p.start() if start else p

    def gaihou(self, **sections):
        return self._add(Gaihou(self._place("gaihou"), **sections))

    def process(self, name, argv, **kw):
        return self._add(Process(name, argv, self.folder / f"{name}{len(self.made)}.log", **kw))

    def city(self, **kw):
        city = City(self._place("city"), **kw)
        feed = city.feed
        city.feed = lambda *a: self._add(feed(*a))
        return city

    def close(self):
        for p in reversed(self.made):
            if p.popen is not None and p.running:
                with contextlib.suppress(AssertionError):
                    p.signal(signal.SIGCONT)
                    p.stop()


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures times; wants nothing beside it")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    bench = item.funcargs.get("bench") if hasattr(item, "funcargs") else None
    report = outcome.get_result()
    if bench is not None and report.when == "call" and report.failed:
        for p in bench.made:
            report.sections.append((f"{p.name} {p.log.parent.name}", p.text()[-3000:]))


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    yield b
    b.close()


@pytest.fixture
def broker(bench):
    return bench.mosquitto()


@pytest.fixture
def influx(bench):
    return bench.influx()


@pytest.fixture
def gateway(bench, broker, influx):
    """A gateway between the broker and the database, configured, its city's registry written;
    not started."""
    g = bench.gaihou(brokers=[{"id": "main", "url": broker.url}],
                     sinks=[{"id": "influx", "type": "influxdb1", "url": influx.url,
                             "database": influx.database}])
    g.city = bench.city()
    g.city.registry(g.folder)
    return g.configure()


@pytest.fixture
def rude():
    from rude_server import RudeServer
    server = RudeServer(time.monotonic)
    yield server
    server.close()
