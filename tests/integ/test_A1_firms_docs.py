"""What docs/firms.md tells a firm's developer to type: run as it stands, in both languages."""
import re
import subprocess

import pytest

import schemas
from conftest import PATIENCE, TOP, until
from test_A0_tell_mqtt import Firm, agreed, feed, gateway_at, guarded, telling  # noqa: F401

FILES = [TOP / "docs" / "firms.md", TOP / "docs" / "firms.zh-CN.md"]


def blocks(path, language="sh"):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"),
                      re.DOTALL | re.MULTILINE)


def test_both_languages_show_the_same():
    assert blocks(FILES[0]) == blocks(FILES[1])
    assert blocks(FILES[0], "json") == blocks(FILES[1], "json")


@pytest.fixture
def shell(guarded, tmp_path):  # noqa: F811
    settings, *rest = blocks(FILES[0])
    assert settings.startswith("BROKER=")
    settings = (f"BROKER=127.0.0.1 PORT={guarded.port} FIRM=yulin PASSWORD=y\n"
                + settings.partition("\n")[2])

    def run(*numbers, before=""):
        script = "set -euo pipefail\n" + settings + before + "".join(rest[n] for n in numbers)
        # a person's patience with an answer is that of an idle machine
        script = script.replace("-W 10", f"-W {10 * PATIENCE:.0f}")
        r = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120,
                           cwd=tmp_path, check=False)
        assert r.returncode == 0, f"{script}\n{r.stdout}{r.stderr}"
        return r.stdout
    run.listen = settings + rest[0]
    return run


def test_the_lines_run(bench, guarded, shell):  # noqa: F811
    g = gateway_at(bench, guarded).start()
    g.until(agreed(g), 30)
    listener = bench.process("listen", ["bash", "-c", shell.listen.replace(
        "mosquitto_sub", "exec mosquitto_sub", 1)]).start()
    listener.until_log("gateway/test/status", 15)
    shell(1)
    g.until(lambda: telling(g)["presence_online"] == 1, 10)
    for d in ("s1", "s2"):
        feed(guarded, d, 0.93)
    listener.until(lambda: listener.text().count("gaihou/v1/alerts/yulin/c1/") == 2, 15)
    # the pages' lines wait some seconds, as a person would: a busy machine may take longer
    until(lambda: shell(2).count("gaihou/v1/alerts/yulin/c1/test.all.") == 2, 15, "what is open")
    reply = shell(3, 4)
    assert '"verb":"arrive","result":"done"' in reply
    listener.until(lambda: '"work":"on_site"' in listener.text(), 10)
    # whole, and alone: one that came too late for who asked before may be among it
    snapshot = until(lambda: (x := shell(5).splitlines()) and '"snapshot":"end"' in x[-1] and
                     len(x) == 4 and x, 20, "a snapshot to its end")
    assert '"snapshot":"begin"' in snapshot[0] and '"snapshot":"end"' in snapshot[-1]
    assert len(snapshot) == 4
    heard = [x.partition(" ")[::2] for x in listener.text().splitlines()
             if x.startswith(schemas.PREFIX)]
    assert len(heard) > 5
    assert not [w for topic, payload in heard for w in schemas.mistakes(topic, payload.encode())]
    listener.kill()
    g.until(lambda: telling(g)["presence_absent"] == 1, 10, "the will told")
