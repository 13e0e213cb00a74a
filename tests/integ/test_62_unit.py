"""The systemd units: what they allow is what gaihoud needs, snapshots by a process of its own
included."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import TOP
from ring import influx_sink, log_lines, now_ms, publish, small, topic, wait_settled

UNITS = sorted((TOP / "systemd").glob("*.service"))
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")


def installed(folder, unit):
    """As it is installed, but for the programs, which need not be."""
    text = re.sub(r"/usr/bin/gaihoud", "/bin/true", unit.read_text(encoding="utf-8"))
    path = pathlib.Path(folder) / unit.name.replace("@.", "@x.")
    path.write_text(text, encoding="utf-8")
    return path


def options(unit):
    out = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            out.setdefault(key, []).append(value)
    return out


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_exposure(tmp_path, unit):
    path = installed(tmp_path, unit)
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True,
                       text=True, check=False)
    assert r.returncode == 0 and not r.stdout + r.stderr, r.stdout + r.stderr
    r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path],
                       capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level.*: ([0-9.]+)", r.stdout)
    assert level and float(level[1]) <= 1.5, r.stdout + r.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_it_comes_again_and_a_copy_may_die(unit):
    o = options(unit)
    assert o["Restart"] == ["on-failure"] and o["StartLimitIntervalSec"] == ["0"]
    assert o["RestartPreventExitStatus"] == ["78 64"]
    assert o["OOMPolicy"] == ["continue"]  # else a snapshot's copy takes the gateway with it


def group(name, seen=None):
    """System calls of a set, those of the sets within it included."""
    seen = seen if seen is not None else set()
    r = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name],
                       capture_output=True, text=True, check=True)
    out = set()
    for line in r.stdout.splitlines()[1:]:
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if word.startswith("@"):
            if word not in seen:
                seen.add(word)
                out |= group(word, seen)
        else:
            out.add(word)
    return out


def allowed(unit):
    out = group("@default")  # what every filter that allows begins with
    for value in options(unit)["SystemCallFilter"]:
        take = value.startswith("~")
        for word in value.removeprefix("~").split():
            calls = group(word) if word.startswith("@") else {word}
            out = out - calls if take else out | calls
    return out


@needs_systemd
@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_system_calls(bench, broker, influx):
    """A whole life under strace, with a snapshot, a reload and an alarm: it asks the kernel for
    nothing that the unit refuses."""
    trace = bench.folder / "trace"
    g = small(bench, broker, [influx_sink(influx)], of_broker={"max_packet_bytes": "256KiB"},
              journal={"max_bytes": "4MiB", "segment_bytes": "1MiB"})
    plain = g.argv
    g.argv = ["strace", "-f", "-qq", "-o", str(trace), *plain]
    g.start()
    t = now_ms() - 60000
    for first in range(0, 400, 100): # an eighth of the journal
        publish(broker, [(topic("s1"), {"ts": t + first + i, "level": 1, "firmware": "x" * 3000})
                         for i in range(100)])
        wait_settled(g, first + 100, 30)
    g.until(lambda: g.status()["engine"]["snapshots"] > 0, 60, "a snapshot")
    (g.folder / "params.csv").write_text("device,name,value\n", encoding="utf-8")
    g.ctl("reload", check=False)
    pid = int(subprocess.run(["pgrep", "-P", str(g.pid), "gaihoud"], capture_output=True,
                             text=True, check=True).stdout.split()[0])
    os.kill(pid, 15)
    assert g.wait(60) == 0
    assert not log_lines(g, "no process can be made")
    text = trace.read_text(errors="replace")
    used = set(re.findall(r"^\d+\s+(?:<\.\.\. )?(\w+)[( ]", text, re.M)) - {"resumed", "exited", "killed"}
    forked = re.search(r"^\d+\s+clone\w*\((?!.*CLONE_THREAD)", text, re.M)
    assert forked and {"prctl", "pipe2", "close_range", "writev"} <= used
    for unit in UNITS:
        refused = used - allowed(unit)
        if os.geteuid() == 0:
            refused -= {"fchown", "setpriority"}  # SQLite's and io/image.c's, where root runs them
        assert not refused
