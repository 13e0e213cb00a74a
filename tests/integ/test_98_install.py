"""What `make install` puts where, below DESTDIR and PREFIX: all that the pages say is installed, and it works."""
import getpass
import json
import re
import subprocess

import jsonschema
import pytest

from conftest import BIN, TOP, VARIANT, Process, free_port, port_open


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    to = tmp_path_factory.mktemp("installed")
    install(to)
    return to


def test_what_is_built_is_not_built_again(tree):  # pylint: disable=unused-argument
    """Neither warnings that are errors nor a second make change a flag that code depends on: an
    install beside other tests took the programs from under them."""
    for word in ("WERROR=1", "WERROR="):
        out = subprocess.run(["make", "-s", "--debug=b", f"VARIANT={VARIANT}", word, "all"], cwd=TOP,
                             capture_output=True, text=True, timeout=600, check=False)
        assert out.returncode == 0, out.stdout + out.stderr
        built = [x for x in re.findall(r"Must remake target '(\S+)'", out.stdout) if x not in ("all", "FORCE")]
        assert not [x for x in built if not x.endswith("flags")], built


def install(to, **more):
    words = [f"{k}={v}" for k, v in {"PREFIX": "/opt/gaihou", "SYSCONFDIR": "/etc", **more}.items()]
    out = subprocess.run(["make", "-s", "install", f"VARIANT={VARIANT}", f"DESTDIR={to}", *words], cwd=TOP,
                         capture_output=True, text=True, timeout=600, check=False)
    assert out.returncode == 0, out.stdout + out.stderr


def test_schemas_are_where_the_pages_say(tree):
    share = tree / "opt/gaihou/share/gaihou"
    for f in (TOP / "docs/schemas").glob("*.json"):
        assert (share / "schemas" / f.name).read_text(encoding="utf-8") == f.read_text(encoding="utf-8")
        assert (share / "schemas" / f.name).stat().st_mode & 0o777 == 0o644
    schema = json.loads((share / "schemas/state.json").read_text(encoding="utf-8"))
    example = json.loads((share / "schemas/example-state.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(example)
    for page in ("docs/firms.md", "docs/firms.zh-CN.md", "daemon/man/gaihou-mqtt.7"):
        assert "/usr/share/gaihou/schemas" in (TOP / page).read_text(encoding="utf-8"), page


def test_what_the_man_pages_name_is_there(tree):
    """Every file below /usr/share that a page names, with this PREFIX."""
    named = set()
    for page in (TOP / "daemon/man").glob("*.[1-9]"):
        named |= set(re.findall(r"/usr/share/(?:doc/)?gaihou/[^\s,;)]+", page.read_text(encoding="utf-8")))
    assert len(named) >= 9
    for path in named:
        path = path.rstrip(".").replace("/usr/", "opt/gaihou/")
        assert list(tree.glob(path)), path
    for page in (TOP / "daemon/man").glob("*.[1-9]"):
        assert (tree / f"opt/gaihou/share/man/man{page.suffix[1]}" / page.name).exists()


def test_programs_run_and_the_example_is_good(tree):
    etc = tree / "etc/gaihou"
    run = [tree / "opt/gaihou/bin/gaihoud", "--check", "--config", etc / "gaihou.yaml"]
    out = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert out.returncode == 0, out.stderr
    assert (BIN / "gaihouctl").read_bytes() == (tree / "opt/gaihou/bin/gaihouctl").read_bytes()


def test_the_example_reads_params(tree):
    """docs/rules.md: a pit that is deeper has its own line in params.csv. What no file names changes nothing."""
    params = tree / "etc/gaihou/params.csv"
    as_shipped = params.read_text(encoding="utf-8")
    assert as_shipped.startswith("device,name,value\n") and "gj-sump-1,level_alarm,1.1\n" in as_shipped
    run = [tree / "opt/gaihou/bin/gaihoud", "--check", "--config", tree / "etc/gaihou/gaihou.yaml"]
    params.write_text(as_shipped.replace("level_alarm,1.1", "level_alarm,99"), encoding="utf-8")
    try:
        out = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    finally:
        params.write_text(as_shipped, encoding="utf-8")
    assert out.returncode != 0
    assert "rule sump-high: $level_alarm of device gj-sump-1 is 99 in " in out.stderr, out.stderr


def test_what_people_changed_stays(tree):
    mine = tree / "etc/gaihou/compounds.csv"
    mine.write_text("compound\nmine\n", encoding="utf-8")
    (tree / "opt/gaihou/share/gaihou/schemas/state.json").write_text("{}", encoding="utf-8")
    install(tree)
    assert mine.read_text(encoding="utf-8") == "compound\nmine\n"
    assert len((tree / "opt/gaihou/share/gaihou/schemas/state.json").read_text(encoding="utf-8")) > 100


# /etc/mosquitto/mosquitto.conf of Debian 12, less its comments
DEBIAN = """pid_file {0}/mosquitto.pid
persistence true
persistence_location {0}/
log_dest file {0}/mosquitto.log
include_dir {0}/conf.d
"""


def test_the_broker_starts_with_ours_beside_debian_s(tmp_path):
    """As README.md says: gaihou.conf goes into conf.d. What both name, mosquitto refuses."""
    (tmp_path / "conf.d").mkdir()
    port = free_port()
    ours = (TOP / "config/mosquitto/gaihou.conf").read_text(encoding="utf-8")
    assert "\nlistener 1883 127.0.0.1\n" in ours
    (tmp_path / "conf.d/gaihou.conf").write_text(
        ours.replace("listener 1883", f"listener {port}"), encoding="utf-8")
    (tmp_path / "mosquitto.conf").write_text(
        DEBIAN.format(tmp_path) + f"user {getpass.getuser()}\n", encoding="utf-8")
    broker = Process("mosquitto", ["/usr/sbin/mosquitto", "-c", tmp_path / "mosquitto.conf"],
                     tmp_path / "said").start()
    try:
        broker.until(lambda: port_open(port), 10, "mosquitto listens")
    finally:
        broker.kill()
