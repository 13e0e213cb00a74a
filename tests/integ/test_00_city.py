"""The city's own feed: acknowledged means acknowledged, and a broker's death does not hide."""
import csv
import json
import signal
import subprocess

import pytest

from conftest import BIN, read_truth, until


@pytest.fixture
def broker(bench):
    """One that drops nothing for a reader slower than the feed, and says who subscribed."""
    return bench.mosquitto("max_queued_messages 0", "log_type subscribe")


def subscriber(bench, broker):
    p = bench.process("sub", ["mosquitto_sub", "-p", broker.port, "-q", "1", "-i", "reader", "-c",
                              "-t", "gaihou/v1/up/#", "-F", "%t %p"])
    p.start()
    until(lambda: "gaihou/v1/up/#" in broker.text(), 10, "the subscription is there")
    return p


def said(process):
    out = []
    for line in process.text().splitlines():
        topic, _, payload = line.partition(" ")
        body = json.loads(payload)
        for sample in body if isinstance(body, list) else [body]:
            out.append((topic, sample.get("ts"), sample.get("report_seq")))
    return out


def test_what_is_acknowledged_is_published(bench, broker):
    sub = subscriber(bench, broker)
    city = bench.city(devices=60)
    result = city.feed(broker.url, "--flat-out", "--messages", 3000, "--batch", 10,
                       "--clockless", 20)
    summary = result.result()
    assert summary["sent"] == summary["acked"] == 3000 and summary["resent"] == 0
    truth = read_truth(result.truth)
    assert len(truth) == 3000
    until(lambda: sub.text().count("\n") >= 3000)
    samples = set(said(sub))
    for device, seq, ts, *_ in truth:
        topic = f"gaihou/v1/up/{device.split('-')[0]}/{device}"
        assert ts is None or all((topic, t, None) in samples for t in ts)
        assert ts is not None or (topic, None, seq) in samples
    times = [(d, t) for d, _, ts, *_ in truth if ts for t in ts]
    assert len(times) == len(set(times))


def test_a_killed_broker_is_waited_for_and_told_again(bench):
    broker = bench.mosquitto()
    city = bench.city(devices=60)
    feed = city.feed(broker.url, "--rate", 1000)

    def acknowledged(n):
        until(lambda: feed.truth.exists() and len(feed.truth.read_text().splitlines()) > n, 30)
    acknowledged(1000)
    broker.kill()
    n = len(feed.truth.read_text().splitlines())
    broker.start()
    acknowledged(n + 5000)
    feed.signal(signal.SIGTERM)
    summary = feed.result()
    assert summary["acked"] == summary["sent"] > 6000 and summary["unacked"] == 0
    assert summary["disconnects"] == 1 and summary["connects"] == 2
    truth = read_truth(feed.truth)
    assert len({(d, seq) for d, seq, *_ in truth}) == summary["acked"]


def test_same_seed_same_words(bench, broker):
    sub = subscriber(bench, broker)
    city = bench.city(devices=60)
    hashes = []
    for _ in range(2):
        feed = city.feed(broker.url, "--flat-out", "--messages", 2000, "--start",
                         "2026-11-20T00:00:00+08:00", "--truth-payload")
        assert feed.result()["acked"] == 2000
        hashes.append([(d, seq, h, p) for d, seq, _, _, _, h, p in read_truth(feed.truth)])
    assert hashes[0] == hashes[1]
    first = json.loads(hashes[0][0][3])["ts"]
    assert 1795104000000 <= first < 1795104000000 + 86400_000
    assert sub.running


def test_registry_names_every_device_that_speaks(bench, broker, tmp_path):
    city = bench.city(devices=200)
    city.registry(tmp_path / "reg")
    with open(tmp_path / "reg" / "devices.csv", encoding="utf-8") as f:
        devices = {r["device"]: r for r in csv.DictReader(f)}
    with open(tmp_path / "reg" / "compounds.csv", encoding="utf-8") as f:
        compounds = {r["compound"] for r in csv.DictReader(f)}
    feed = city.feed(broker.url, "--flat-out", "--messages", 4000)
    feed.result()
    spoke = {d for d, *_ in read_truth(feed.truth)}
    assert spoke <= set(devices) and len(devices) == 200
    assert {r["compound"] for r in devices.values()} <= compounds


def test_ends_when_told(bench, broker):
    city = bench.city()
    feed = city.feed(broker.url, "--rate", 100)
    until(lambda: feed.truth.exists() and len(feed.truth.read_text().splitlines()) > 10)
    assert feed.stop() == 0
    assert json.loads(feed.text().splitlines()[-1])["unacked"] == 0


def test_wrong_options_are_told():
    for argv, words in [(["run"], "--url"), (["walk"], "no command walk"),
                        (["run", "--url", "http://x"], "expected mqtt://HOST:PORT"),
                        (["run", "--url", "mqtt://x", "--rate", "many"], "expected a number"),
                        (["registry", "--out", "x", "--devices", "0"], "expected a number")]:
        r = subprocess.run([BIN / "city", *argv], capture_output=True, text=True, check=False)
        assert r.returncode == 64 and words in r.stderr, (argv, r)
