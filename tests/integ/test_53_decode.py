"""gaihouctl decode and profile: the tools of who writes a profile; no daemon runs."""
import json
import subprocess

import pytest

from conftest import BIN, TOP

PROFILE = """version: 1
profile: yard
vendor: Test
topics: ["yard/{gw}/up"]
messages:
  - name: hello
    when: {$.type: hello}
    ignore: join
  - name: broken
    when: {$.type: broken}
    refuse: "the device says that it is broken"
  - name: up
    when: {$.recs: {exists: true}}
    each: $.recs[*]
    device: "{@.id}"
    time: "@.t"
    values:
      level: {from: "@.mm", unit: mm}
      temperature: {from: "@.temp", divide: 10}
examples:
  - name: one
    topic: yard/g/up
    payload: '{"recs":[{"id":"w-1","t":1795219200000,"mm":830}]}'
    kind: sump
    expect:
      - {device: w-1, time: 2026-11-21T00:00:00Z, level: 0.83}
"""


def ctl(*argv, stdin=None):
    return subprocess.run([BIN / "gaihouctl", *map(str, argv)], capture_output=True, timeout=60,
                          input=stdin, check=False)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "yard.yaml").write_text(PROFILE)
    return ["--catalog", TOP / "config/catalog.yaml", "--profiles", tmp_path / "*.yaml"]


def test_a_pattern_that_finds_nothing_is_told(files, tmp_path):
    """`profile new --hex` tries the codecs of --profiles: with none of them it would only know no codec."""
    for command in (["profile", "new", "--name", "a", "--hex", "-"], ["profile", "list"],
                    ["decode", "--profile", "yard", "-"], ["profile", "test", files[3]]):
        r = ctl(*command, *files, "--profiles", tmp_path / "other/*.yaml", stdin=b"00")
        assert r.returncode == 1 and r.stdout == b"", r
        assert r.stderr.decode() == f"gaihouctl: {tmp_path}/other/*.yaml: No such file or directory\n"


def decode(files, payload, *argv, profile="yard"):
    r = ctl("--json", "decode", "--profile", profile, *files, *argv, "-", stdin=payload)
    return r.returncode, [json.loads(x) for x in r.stdout.decode().splitlines()], r.stderr.decode()


def test_samples_with_quality_and_places(files):
    payload = (b'{"recs":[{"id":"w-1","t":1795219200000,"mm":830},\n'
               b'{"id":"w-2","mm":99830,"temp":"x","t":"never"}]}')
    code, (m,), _ = decode(files, payload, "--topic", "yard/g/up", "--kind", "sump")
    assert code == 0 and m["outcome"] == "samples" and m["message"] == "up"
    one, two = m["samples"]
    assert one["device"] == "w-1" and one["time_ms"] == 1795219200000
    assert one["time"] == "2026-11-21T08:00:00.000+08:00" and one["kind"] == "sump"
    v = one["values"][0]
    assert (v["metric"], v["value"], v["unit"], v["quality"]) == ("level", "0.83", "m", "good")
    assert (v["from"], v["raw"], v["place"]) == ("$.recs[0].mm", "830", "line 1, col 45")
    assert two["time_from"] == "unread"
    by = {x.get("metric"): x for x in two["values"]}
    assert (by["level"]["quality"], by["level"]["reason"]) == ("bad", "range")
    assert by["level"]["place"] == "line 2, col 18"
    text = ctl("decode", "--profile", "yard", *files, "--topic", "yard/g/up", "-",
               stdin=payload).stdout.decode()
    assert "bad: range" in text and "$.recs[1].mm" in text
    lone = ctl("decode", "--profile", "gaihou-json", *files[:2], "-",
               stdin=b'{"level":1,"pump_on":true}').stdout.decode()
    assert "sump (guessed by its values)" in lone


def test_who_may_not_speak_there(tmp_path):
    (tmp_path / "compounds.csv").write_text("compound,merged_into\nold,\nnew,\nwas,old\n")
    (tmp_path / "devices.csv").write_text("device,kind,compound,retired\nd1,sump,old,\n"
                                          "d2,sump,old,2026-01-01\n")
    (tmp_path / "gaihou.yaml").write_text(f"""gateway: {{id: g}}
brokers: [{{id: a, url: "mqtt://h"}}]
sources: [{{profile: gaihou-json, broker: a}}]
catalog: {TOP}/config/catalog.yaml
registry: {{compounds: compounds.csv, devices: devices.csv}}
sinks: [{{id: s, type: victoriametrics, url: "http://h"}}]
""")
    for at, why in (("old/d1", None), ("was/d1", None), ("new/d1", "other_compound"),
                    ("old/d2", "retired_device"), ("old/d3", "unknown_device")):
        files = ["--config", tmp_path / "gaihou.yaml"]
        argv = ["--topic", f"gaihou/v1/up/{at}"]
        code, (m,), err = decode(files, b'{"level":1}', *argv, profile="gaihou-json")
        assert code == 0, err
        assert m["samples"][0].get("quarantined") == why, at
        text = ctl("decode", "--profile", "gaihou-json", *files, *argv, "-",
                   stdin=b'{"level":1}').stdout.decode()
        assert (f"quarantined{{{why}}}" in text) == (why is not None), text


def test_what_is_no_data_and_what_is_wrong(files):
    code, (m,), _ = decode(files, b'{"type":"hello"}', "--topic", "yard/g/up")
    assert code == 0 and m["outcome"] == "ignored" and m["reason"] == "join"
    code, (m,), _ = decode(files, b'{"type":"broken"}', "--topic", "yard/g/up")
    assert code == 1 and m["outcome"] == "refused" and "says that it is broken" in m["detail"]
    code, (m,), _ = decode(files, b'{"recs":[\n {"id":"w-1" "t":5}]}', "--topic", "yard/g/up")
    assert code == 1 and m["outcome"] == "refused" and "line 2, col 14" in m["detail"]
    code, (m,), _ = decode(files, b'{"recs":[]}', "--topic", "other/topic")
    assert code == 1 and m["outcome"] == "not_mine" and "no topic of the profile" in m["detail"]
    profiles = ["--profiles", str(TOP / "config/profiles/*.yaml")]
    r = ctl("decode", "--profile", "chirpstack-v4", *profiles, *files[:2], "-", stdin=b"hello")
    assert "should be JSON, it is wrong at line 1, col 1" in r.stdout.decode(), r.stdout
    code, (m,), _ = decode(files, b'{"level": 1,}', profile="gaihou-json")
    assert code == 1 and m["reason"] == "bad_json" and "line 1, col 13" in m["detail"]


def test_hex_base64_and_lines(files):
    import base64
    payload = b'{"recs":[{"id":"w-1","mm":1000}]}'
    for flag, data in (("--hex", payload.hex(" ").encode() + b"\n"),
                       ("--base64", base64.b64encode(payload) + b"\n")):
        code, (m,), _ = decode(files, data, flag, "--topic", "yard/g/up", "--kind", "sump")
        assert code == 0 and m["samples"][0]["values"][0]["value"] == "1"
    lines = [{"topic": "yard/a/up", "payload": json.loads(payload)},
             {"topic": "yard/a/up", "payload": payload.decode()},
             {"topic": "yard/a/up", "payload_hex": payload.hex()},
             {"topic": "yard/a/up", "payload": {"type": "hello"}}]
    code, out, _ = decode(files, "\n".join(json.dumps(x) for x in lines).encode(), "--jsonl")
    assert code == 0 and [m["outcome"] for m in out] == ["samples"] * 3 + ["ignored"]
    code, out, err = decode(files, b'{"topic":"yard/a/up"}\n', "--jsonl")
    assert code == 1 and ":1: expected" in err
    code, _, err = decode(files, b"zz", "--hex")
    assert code == 1 and "hexadecimal" in err


def test_usage_is_told(files):
    assert ctl("decode").returncode == 64
    assert ctl("decode", "--profile", "yard", "--hex", "--base64", "x").returncode == 64
    r = ctl("decode", "--profile", "yrad", *files, "-", stdin=b"{}")
    assert r.returncode == 1 and b'did you mean "yard"' in r.stderr
    r = ctl("decode", "--profile", "yard", *files, "--kind", "pond", "-", stdin=b"{}")
    assert r.returncode == 1 and b"no kind" in r.stderr
    r = ctl("decode", "--profile", "yard", *files, "/no/such/file")
    assert r.returncode == 1 and b"/no/such/file" in r.stderr
    assert ctl("profile", "sing").returncode == 64


def test_what_is_no_file_is_told(files, tmp_path):
    """A failure is never silent and never 0."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/journal").symlink_to("journal")
    (tmp_path / "empty").write_text("")
    lines = ("decode", "--profile", "yard", *files, "--jsonl")
    for argv, word in [
            ((*lines, tmp_path / "empty"), "empty: there is no message in it"),
            ((*lines, "-"), "-: there is no message in it"),
            ((*lines, tmp_path), "Is a directory"),
            (("profile", "list", *files[:2], "--profiles", tmp_path / "loop/*"), "Too many levels of symbolic links"),
            (("journal", "export", "--dir", tmp_path / "data"), "Too many levels of symbolic links"),
            (("journal", "info", "--dir", tmp_path / "nowhere"), "no journal in"),
            (("journal", "replay", tmp_path), "Is a directory"),
            (("journal", "replay", tmp_path / "nowhere"), "No such file")]:
        r = ctl(*argv, stdin=b"")
        assert r.returncode == 1 and word in r.stderr.decode(), (argv, r)


def test_profile_list_and_test(files, tmp_path):
    text = ctl("profile", "list", *files).stdout.decode()
    assert "yard" in text and "yard/{gw}/up" in text and "gaihou-json" in text
    listed = json.loads(ctl("--json", "profile", "list", *files).stdout)
    assert listed == [{"profile": "yard", "vendor": "Test", "verified": True,
                       "topics": ["yard/{gw}/up"]}]
    r = ctl("profile", "test", "--catalog", TOP / "config/catalog.yaml", tmp_path / "yard.yaml")
    assert r.returncode == 0 and b"ok     yard: 1 example" in r.stdout
    (tmp_path / "yard.yaml").write_text(PROFILE.replace("level: 0.83", "level: 0.38"))
    r = ctl("profile", "test", "--catalog", TOP / "config/catalog.yaml", tmp_path / "yard.yaml")
    assert r.returncode == 1 and b"FAILED yard" in r.stdout
    assert b"0.83" in r.stderr and b"0.38" in r.stderr and b"yard.yaml:" in r.stderr
    (tmp_path / "yard.yaml").write_text(PROFILE.replace("divide: 10", "divid: 10"))
    r = ctl("profile", "test", "--catalog", TOP / "config/catalog.yaml", tmp_path / "yard.yaml")
    assert r.returncode == 1 and b'did you mean "divide"' in r.stderr


SAMPLES = [
    {"topic": "gw/24e124136b502217/up",
     "payload": {"list": [{"devEUI": "24e1240001", "time": "2026-11-20 08:00:00", "level_mm": 830,
                           "pump": 1},
                          {"devEUI": "24e1240002", "time": "2026-11-20 08:00:01", "level_mm": 93}]}},
    {"topic": "gw/24e124136b502218/up",
     "payload": {"list": [{"devEUI": "24e1240003", "time": "2026-11-20 08:00:00",
                           "level_mm": 99930, "pump": 0}]}},
]


def test_new_profile_passes_its_own_test(files, tmp_path):
    (tmp_path / "s.jsonl").write_text("\n".join(json.dumps(s) for s in SAMPLES))
    out = tmp_path / "new" / "gw.yaml"
    out.parent.mkdir()
    catalog = files[:2]
    r = ctl("profile", "new", "--name", "gw", *catalog, "--out", out, tmp_path / "s.jsonl")
    assert r.returncode == 0 and b"places to review" in r.stdout, r.stderr
    text = out.read_text()
    assert "gw/{device}/up" in text and "each: '$.list[*]'" in text and "# review" in text
    r = ctl("profile", "test", *catalog, out)
    assert r.returncode == 0 and b"2 examples" in r.stdout
    r = ctl("profile", "new", "--name", "gw", *catalog, "--out", out, tmp_path / "s.jsonl")
    assert r.returncode == 1 and b"left as it is" in r.stderr
    code, (m,), _ = decode([*catalog, "--profiles", out],
                           json.dumps(SAMPLES[1]["payload"]).encode(),
                           "--topic", SAMPLES[1]["topic"], profile="gw")
    assert code == 0 and m["samples"][0]["values"][0]["reason"] == "range"
    # one file with one payload, whose text has line ends
    (tmp_path / "s.json").write_text('{\n "sn": "A-0001",\n "temp": "21.5",\n "湿度": 44\n}\n')
    r = ctl("profile", "new", "--name", "air", *catalog, "--topic", "air/A-0001",
            tmp_path / "s.json")
    assert r.returncode == 0 and b"payload_base64" in r.stdout, r.stderr
    (tmp_path / "air.yaml").write_bytes(r.stdout)
    assert ctl("profile", "test", *catalog, tmp_path / "air.yaml").returncode == 0
    (tmp_path / "s.json").write_text("##0101QN=1")
    r = ctl("profile", "new", "--name", "air", *catalog, tmp_path / "s.json")
    assert r.returncode == 1 and b"not JSON" in r.stderr
    assert ctl("profile", "new", "--name", "Air", *catalog, tmp_path / "s.json").returncode == 64
    assert ctl("profile", "new", *catalog, tmp_path / "s.json").returncode == 64


def draft(tmp_path, sample, *argv, name="lw", profiles=True):
    """profile new of that sample, which must pass its own test; its text and what was said."""
    (tmp_path / "sample").write_bytes(sample)
    files = ["--catalog", TOP / "config/catalog.yaml"]
    shipped = ["--profiles", TOP / "config/profiles/*.yaml"] if profiles else []
    out = tmp_path / f"{name}.yaml"
    out.unlink(missing_ok=True)
    r = ctl("profile", "new", "--name", name, *files, *shipped, "--out", out, *argv,
            tmp_path / "sample")
    assert r.returncode == 0, r.stderr
    text = out.read_text()
    listed = ctl("profile", "test", *files, *shipped, out)
    assert f"ok     {name}: 1 example".encode() in listed.stdout, listed
    return text, r.stderr.decode()


CLIMATE = bytes.fromhex("01755c03673401046865")


def test_new_profile_of_json_with_a_mistake(files, tmp_path):
    (tmp_path / "s.json").write_text('{"sn": "A-0001",\n "temp": 21.5,}\n')
    r = ctl("profile", "new", "--name", "air", *files[:2], tmp_path / "s.json")
    assert r.returncode == 1
    assert b"if sample 1 should be JSON, it is wrong at line 2, col 15: " in r.stderr, r.stderr
    (tmp_path / "s.txt").write_bytes(b"\x00\x7b\x7d")  # is none: no such word
    r = ctl("profile", "new", "--name", "air", *files[:2], tmp_path / "s.txt")
    assert b"should be JSON" not in r.stderr, r.stderr


def test_new_profile_of_a_frame(tmp_path):
    """What an engineer has of a LoRaWAN sensor: its bytes, in one form or another."""
    import base64
    topic = ["--topic", "lora/24e124136b502217/up"]
    for sample, argv, decode in (
            (CLIMATE, [], "milesight"),
            (CLIMATE.hex().encode() + b"\n", [], "[hex, milesight]"),
            (base64.b64encode(CLIMATE), [], "[base64, milesight]"),
            (CLIMATE.hex(" ").encode(), ["--hex"], "milesight"),
            (base64.b64encode(CLIMATE), ["--base64"], "milesight")):
        text, said = draft(tmp_path, sample, *topic, *argv)
        assert f"decode: {decode}   # review" in text and "milesight" in said, text
        assert '"temperature": {from: ' in text and "lora/{device}/up" in text
        assert "temperature\": 30.8" in text and "humidity\": 50.5" in text
    # within the JSON of a network server that has no decoder
    up = {"deviceInfo": {"devEui": "24e124136b502217"}, "fPort": 85,
          "time": "2026-11-20T08:00:00Z", "data": base64.b64encode(CLIMATE).decode()}
    text, said = draft(tmp_path, json.dumps(up).encode(), "--topic",
                       "application/1/device/24e124136b502217/event/up")
    assert "also:\n  frame: {from: '$.data', decode: [base64, milesight]}" in text
    assert "'$frame.temperature'" in text and "$.data" in said
    assert "time: '$.time'" in text and "temperature\": 30.8" in text
    # and of one whose device nobody knows: of the JSON's own values none is a metric
    up = {"devEui": "24e124136b502217", "port": 12, "data": "AA5501002A0E1000C8FFECFC"}
    text, said = draft(tmp_path, json.dumps(up).encode(), "--topic", "lora/24e124136b502217/rx")
    assert "no known codec reads the bytes of $.data" in said, said
    assert "also:\n  frame: {from: '$.data', decode: [hex, lw-frame]}" in text
    assert "#   $frame.b5 = 14" in text and "values: {}   # review: none was understood" in text
    # one that nobody knows: laid out, to be put together by hand
    text, said = draft(tmp_path, b"f10a00dc03e8", *topic)
    assert "no known codec" in said and "anything of that length: ldds75" in said
    assert "codecs:\n  lw-frame:" in text
    assert "- {name: b2, type: u8}   # 00; with the next: u16be 220" in text
    text, said = draft(tmp_path, CLIMATE.hex().encode(), *topic, profiles=False)
    assert "lw-frame" in text and "--profiles" in said


def test_new_profile_of_text(tmp_path):
    topic = ["--topic", "meter/0017/data"]
    text, _ = draft(tmp_path, b"temp=21.5;hum=44;batt=3.6", *topic)
    assert 'decode: {keyvalue: {pair: ";", is: "="}}' in text and "temperature\": 21.5" in text
    text, _ = draft(tmp_path, b"temperature:21.5,humidity:44", *topic)
    assert 'pair: ",", is: ":"' in text
    text, said = draft(tmp_path, b"0017,21.5,44,3.6", *topic)
    assert "names: [f1, f2, f3, f4]" in text and "names by the vendor's document" in said
    text, _ = draft(tmp_path, bytes.fromhex("a26474656d70f94d60626875182c"), *topic)
    assert "decode: cbor" in text
    (tmp_path / "sample").write_text('{"temp": 21.5,}')
    r = ctl("profile", "new", "--name", "lw", "--catalog", TOP / "config/catalog.yaml",
            tmp_path / "sample")
    assert r.returncode == 1 and b"not JSON" in r.stderr
