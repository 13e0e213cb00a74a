"""What gaihoud does about every answer of a database (a rude one, and the real ones)."""
import json
import threading
import time

import pytest
import requests

from conftest import until
from ring import (balanced, influx_sink, log_lines, now_ms, publish, rude_sink, small, topic,
                  wait_messages, wait_settled)
from rude_server import CLOSE, GARBAGE, HANG, OK


def sink(g):
    return g.status()["sinks"][0]


def say(g, broker, n=20, device="s1", first=0, kind_value=1.0):
    """n readings of one device; their times. One message: they are in one block, however long the
    way through the broker takes."""
    t = now_ms() - 60000 + first
    publish(broker, [(topic(device), [{"ts": t + i, "level": kind_value} for i in range(n)])])
    return [t + i for i in range(n)]


def readings(requests_):
    return [x for r in requests_ for x in r.lines if x.startswith("sump")]


def with_readings(rude):
    return [r for r in rude.requests if any(x.startswith("sump") for x in r.lines)]


def only_readings(answer):
    """Answers posts that carry readings; others are taken."""
    return lambda r: answer(r) if any(x.startswith("sump") for x in r.lines) else OK


def in_turn(*answers, given=None):
    """These, then OK; `given` has the posts that got them."""
    left = list(answers)

    def answer(r):
        if not left:
            return OK
        if given is not None:
            given.append(r)
        return left.pop(0)
    return only_readings(answer)


@pytest.mark.parametrize("first", [
    (500, b'{"error":"timeout"}', {}), (503, b"request throttled, queue full", {}),
    (429, b"", {}), (502, b"<html>bad gateway</html>", {}), (507, b"", {}),
    (400, b'{"error":"partial write: write /x/_series: no space left on device dropped=5"}', {}),
    (400, b'{"error":"gzip: invalid checksum"}', {}), (200, b"<html>hotel portal</html>", {}),
    CLOSE, GARBAGE], ids=lambda x: str(x[0]) if isinstance(x, tuple) else x)
def test_what_passes_is_sent_again_the_same_bytes(bench, broker, rude, first):
    g = small(bench, broker, [rude_sink(rude)]).start()
    given = []
    rude.answer = in_turn(first, given=given)
    times = say(g, broker)
    wait_settled(g, 1)
    sent = with_readings(rude)
    assert len(given) == 1 and [r.raw for r in sent].count(given[0].raw) == 2
    assert sum(str(t) + "000000" in x for t in times for x in set(readings(sent))) == 20
    assert balanced(g)["sinks"]["db"]["refused"] == 0
    assert json.loads(g.ctl("--json", "dead", "list").stdout)["dead"] == []


def test_no_answer_is_a_timeout_and_sent_again(bench, broker, rude):
    g = small(bench, broker, [rude_sink(rude, timeout="3s", in_flight=1)]).start()
    seen = threading.Event() # until then no post of them is answered: the state lasts
    rude.answer = only_readings(lambda r: OK if seen.is_set() else HANG)
    began = time.monotonic() # before the first was sent; when it came, a busy server sees later
    say(g, broker)

    def told():
        s = sink(g)
        return s if s["state"] == "retrying" else None
    assert "time" in g.until(told, 10, "told")["problem"].lower()
    seen.set()
    wait_settled(g, 1)
    sent = with_readings(rude)
    again = [r.at for r in sent if r.raw == sent[0].raw]
    assert len(again) >= 2 and again[1] - began >= 3


def test_retry_after_is_kept(bench, broker, rude):
    # one at a time: a second one would be under way when the answer comes
    g = small(bench, broker, [rude_sink(rude, in_flight=1)]).start()
    rude.answer = in_turn((429, b"slow down", {"Retry-After": "3"}))
    say(g, broker)
    wait_settled(g, 1)
    sent = with_readings(rude)
    assert sent[1].at - sent[0].at >= 2.9
    between = [r for r in rude.requests if sent[0].at < r.at < sent[0].at + 2.8]
    assert between == []


def test_connections_and_blocks_are_decent(bench, broker, rude):
    g = small(bench, broker, [rude_sink(rude)]).start()
    say(g, broker)
    wait_settled(g, 1)
    for r in rude.requests:
        h = {k.lower(): v for k, v in r.headers.items()}
        assert r.path.startswith("/write?") and "db=gaihou" in r.path
        assert h["content-type"] == "text/plain; charset=utf-8" and "expect" not in h
        assert int(h["content-length"]) == len(r.raw) and "transfer-encoding" not in h
        assert h["content-encoding"] == "gzip" and all(r.lines)


@pytest.mark.parametrize("answer,word", [
    ((401, b'{"error":"authorization failed"}', {}), "authorization failed"),
    ((403, b'{"error":"\\"ro\\" user is not authorized"}', {}), "not authorized"),
    ((404, b'{"error":"database not found: \\"gaihou\\""}', {}), "database not found"),
    ((500, b'{"error":"retention policy not found: nope"}', {}), "retention policy not found"),
    ((400, b'{"error":"partial write: max-series-per-database limit exceeded: (10) dropped=8"}',
      {}), "max-series-per-database")], ids=["401", "403", "404", "rp", "max-series"])
def test_what_an_operator_must_mend_blocks_and_is_told(bench, broker, rude, answer, word):
    g = small(bench, broker, [rude_sink(rude)]).start()
    rude.answer = lambda r: answer
    say(g, broker)
    wait_messages(g, 1)
    g.until(lambda: sink(g)["state"] == "blocked", 15, "blocked")
    assert word in sink(g)["problem"]
    until(lambda: sink(g)["pending_lines"] >= 20, 5, "they wait")
    assert sink(g)["refused"] == sink(g)["shed"] == 0
    line = log_lines(g, "an operator has to act")
    assert len(line) == 1 and word in line[0] and "nothing is thrown away" in line[0]
    assert g.ctl("status").stdout.find(word) >= 0
    n = len(rude.requests)
    time.sleep(3) # probes are slow: every 30 s
    assert len(rude.requests) <= n + 2


@pytest.mark.parametrize("text", ["partial", "unparsable", "413"])
def test_a_refused_block_is_searched_for_the_guilty_line(bench, broker, rude, text):
    """Real rules: a request with a line for s2 is refused; the others are stored (413: not)."""
    answers = {"partial": (400, b'{"error":"partial write: field type conflict: input field '
                                b'\\"level\\" on measurement \\"sump\\" is type float, already '
                                b'exists as type integer dropped=1"}', {}),
               "unparsable": (400, b'{"error":"unable to parse \'sump\': invalid number"}', {}),
               "413": (413, b'{"error":"Request Entity Too Large"}', {"Connection": "close"})}
    taken = set()

    def answer(r):
        if any(",device=s2 " in x for x in r.lines):
            return answers[text]
        taken.update(r.lines)
        return OK
    rude.answer = answer
    g = small(bench, broker, [rude_sink(rude)]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s2" if i == 37 else "s1"), {"ts": t + i, "level": 0.5})
                     for i in range(100)])
    wait_settled(g, 100, 60)
    assert len([x for x in taken if x.startswith("sump")]) == 99
    # the guilty device's place point is refused as well: it carries the same tag
    dead = json.loads(g.ctl("--json", "dead", "list").stdout)["dead"]
    assert {d["kind"] for d in dead} == {"line"} and {d["sink"] for d in dead} == {"db"}
    mine = [d for d in dead if d["payload"].startswith("sump")]
    assert len(mine) == 1 and f"level=0.5 {t + 37}000000" in mine[0]["payload"]
    assert mine[0]["status"] == answers[text][0]
    shown = json.loads(g.ctl("--json", "dead", "show", mine[0]["id"]).stdout)
    assert shown["payload"] == mine[0]["payload"] and shown["reason"] == mine[0]["reason"]
    total = balanced(g)["sinks"]["db"]
    assert total["refused"] == len(dead) == sum(total["refused_by"].values())
    assert sink(g)["state"] == "ok"


def test_a_poisonous_line_that_gives_500_is_found(bench, broker, rude):
    taken = set()

    def answer(r):
        if any(",device=s2 " in x and x.startswith("sump") for x in r.lines):
            return (500, b"Internal Server Error", {"Content-Type": "text/plain"})
        taken.update(r.lines)
        return OK
    rude.answer = answer
    g = small(bench, broker, [rude_sink(rude)]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s2" if i == 7 else "s1"), {"ts": t + i, "level": 0.5})
                     for i in range(30)])
    wait_settled(g, 30, 90)
    assert len([x for x in taken if x.startswith("sump")]) == 29
    dead = json.loads(g.ctl("--json", "dead", "list").stdout)["dead"]
    assert len(dead) == 1 and dead[0]["status"] == 500


def test_wrong_password_waits_for_the_right_one(bench, broker):
    """influxd with authentication: refused until the password file says the right one."""
    influx = bench.influx(start=False)
    conf = influx.folder / "influxdb.conf"
    conf.write_text(conf.read_text().replace("[http]", "[http]\n  auth-enabled = true"))
    influx.start(create=False)
    r = requests.post(f"{influx.url}/query", params={
        "q": "CREATE USER admin WITH PASSWORD 'geheim' WITH ALL PRIVILEGES"}, timeout=60)
    assert r.status_code == 200
    r = requests.post(f"{influx.url}/query", auth=("admin", "geheim"),
                      params={"q": 'CREATE DATABASE "gaihou"'}, timeout=60)
    assert r.status_code == 200
    secret = bench.folder / "influx-password"
    secret.write_text("falsch\n")
    secret.chmod(0o600)
    g = small(bench, broker, [influx_sink(influx, username="admin",
                                          password_file=str(secret))]).start()
    say(g, broker)
    g.until(lambda: sink(g)["state"] == "blocked", 10, "blocked")
    assert "authorization failed" in sink(g)["problem"]
    assert "falsch" not in g.text() + json.dumps(g.status())
    assert g.stop() == 0
    secret.write_text("geheim\n")
    g.start()
    wait_settled(g, 1)
    r = requests.get(f"{influx.url}/query", auth=("admin", "geheim"), timeout=60,
                     params={"db": "gaihou", "q": "SELECT count(level) FROM sump"})
    assert r.json()["results"][0]["series"][0]["values"][0][1] == 20


def test_database_not_found_then_made(bench, broker):
    """influxd itself: no database, told; made, and the next probe writes."""
    influx = bench.influx(start=False).start(create=False)
    g = small(bench, broker, [influx_sink(influx)]).start()
    say(g, broker)
    g.until(lambda: sink(g)["state"] == "blocked", 10, "blocked")
    assert "database not found" in sink(g)["problem"]
    influx.query('CREATE DATABASE "gaihou"', post=True)
    wait_settled(g, 1, 75)
    assert influx.query("SELECT count(level) FROM sump")[0]["count"] == 20


def test_type_conflict_in_influx_is_one_dead_line(bench, broker, influx):
    g = small(bench, broker, [influx_sink(influx)])
    t = now_ms() - 60000
    r = influx.write(f"sump,compound=c1,device=x level=1i {t}000000\n")
    assert r.status_code == 204
    g.start()
    publish(broker, [(topic("s1"), {"ts": t + 1, "level": 0.5, "pump_on": True}),
                     (topic("s2"), {"ts": t + 2, "pump_on": True}),
                     (topic("lift1", "c2"), {"ts": t + 3, "floor": 3})])
    wait_settled(g, 3, 60)
    dead = json.loads(g.ctl("--json", "dead", "list").stdout)["dead"]
    assert len(dead) == 1 and "level=0.5" in dead[0]["payload"]
    assert "field type conflict" in dead[0]["detail"] and dead[0]["reason"]
    assert len(influx.query("SELECT pump_on FROM sump WHERE device='s2'")) == 1
    assert len(influx.query("SELECT floor FROM elevator")) == 1


def test_victoria_killed_right_after_taking_it_gets_it_again(bench, broker):
    """It has no log of its own: what it took in its last seconds is gone, and sent again."""
    vm = bench.victoria()
    g = small(bench, broker, [{"id": "vm", "type": "victoriametrics", "url": vm.url,
                               "batch": {"age": "100ms"}}]).start()
    t = now_ms() - 60000
    publish(broker, [(topic("s1"), {"ts": t + i * 10, "level": i / 100})
                     for i in range(100)])

    def there(n):
        return sum(len(set(s["timestamps"])) for s in vm.export("sump_level")) == n
    g.until(lambda: there(100), 20, "it took them")
    # not written to its disk since, if it comes soon: another value that only its memory has
    publish(broker, [(topic("s2"), {"ts": t, "level": 3})])
    g.until(lambda: there(101), 20, "taken")
    g.until(lambda: sink(g)["held"] > 0, 20, "held") # its answer comes to us behind what it tells
    vm.kill()
    vm.start()
    g.until_log("was restarted", 40)
    g.until(lambda: there(101), 40, "what it had lost")
    g.until(lambda: sink(g)["pending_lines"] == 0, 60, "the hold is over")
    balanced(g)
