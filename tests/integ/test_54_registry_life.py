"""docs/registry.md: compounds merged and split, devices replaced and moved; the queries of that page
find the history under the new name and the old."""
import re

from conftest import TOP
from ring import influx_sink, now_ms, publish, small, topic, wait_settled

DAY = 86400000
DEVICES = "device,kind,compound,building,retired,replaces\n"


def write(g, compounds, devices):
    (g.folder / "compounds.csv").write_text(compounds, encoding="utf-8")
    (g.folder / "devices.csv").write_text(DEVICES + devices, encoding="utf-8")


def turn(g, compounds, devices):
    write(g, compounds, devices)
    assert "reloaded" in g.ctl("reload").stdout


def queries():
    """The page's InfluxQL, by what it begins with."""
    text = (TOP / "docs/registry.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sql\n(.*?)```", text, re.S)
    return [re.sub(r"\s*--.*", "", q) for b in blocks for q in b.splitlines()
            if q and not q.startswith("--")]


def tag_values(influx, query):
    return {r["value"] for r in influx.query(query)}


def levels(influx, where):
    return {r["level"] for r in influx.query(f"SELECT level FROM sump WHERE {where}")}


def one_of(codes):
    return "/^(" + "|".join(sorted(codes)) + ")$/"


def test_merged(bench, broker, influx):
    asked = queries()
    find, read = (next(q for q in asked if words in q)
                  for words in ("compound_now\" = 'yard'", "dorm-01|dorm-02"))
    g = small(bench, broker, [influx_sink(influx)])
    write(g, "compound,name\ndorm-01,一\ndorm-02,二\nother,别\n",
          "d1,sump,dorm-01,,,\nd2,sump,dorm-02,,,\nx,sump,other,,,\n")
    g.start()
    t = now_ms() - 60000
    publish(broker, [(topic("d1", "dorm-01"), {"ts": t, "level": 1}),
                     (topic("x", "other"), {"ts": t, "level": 4})])
    wait_settled(g, 2)
    turn(g, "compound,name,merged_into\ndorm-01,一,yard\ndorm-02,二,yard\nyard,院,\nother,别,\n",
         "d1,sump,dorm-01,,,\nd2,sump,dorm-02,,,\nx,sump,other,,,\nnew,sump,yard,,,\n")
    # old code, new code, a sibling's: all are taken; another compound's is not
    publish(broker, [(topic("d1", "yard"), {"ts": t + 1, "level": 2}),
                     (topic("d2", "dorm-02"), {"ts": t + 1, "level": 3}),
                     (topic("new", "yard"), {"ts": t + 1, "level": 2.5}),
                     (topic("d1", "other"), {"ts": t + 2, "level": 4.5})])
    wait_settled(g, 6)
    g.until(lambda: len(tag_values(influx, find)) == 3, 10, "places")
    codes = tag_values(influx, find)
    assert codes == {"dorm-01", "dorm-02", "yard"}
    assert levels(influx, f"compound =~ {one_of(codes)}") == {1, 2, 2.5, 3}
    assert levels(influx, "compound = 'dorm-01'") == {1, 2}  # the old name has it all
    assert influx.query(read.replace("dorm-01|dorm-02|…", "dorm-01|dorm-02"))
    assert g.ledger()["total"]["messages"]["quarantined"] == 1
    g.until(lambda: influx.query("SELECT last(devices) FROM gaihou_place WHERE compound = 'dorm-01' "
                                 "AND compound_now = 'dorm-01'")[0]["last"] == 0, 10, "closed")


def test_split_replaced_and_moved(bench, broker, influx):
    asked = queries()

    def q(words, n=0):
        return [x for x in asked if words in x][n]
    g = small(bench, broker, [influx_sink(influx)])
    write(g, "compound\nwhole\n", "d1,sump,whole,1,,\nd2,sump,whole,2,,\nsmoke-102,smoke,whole,,,\n")
    g.start()
    t = now_ms() - 60000
    publish(broker, [(topic("d1", "whole"), {"ts": t, "level": 1}),
                     (topic("d2", "whole"), {"ts": t, "level": 4})])
    wait_settled(g, 2)
    turn(g, "compound,split_from\nwhole,\nblock-1,whole\nblock-2,whole\n",
         "d1,sump,block-1,1,,\nd2,sump,block-2,2,,\nsmoke-102,smoke,whole,,2026-11-01,\n"
         "smoke-102b,smoke,whole,,,smoke-102\n")
    publish(broker, [(topic("d1", "whole"), {"ts": t + 1, "level": 2}),
                     (topic("d1", "block-1"), {"ts": t + 2, "level": 3}),
                     (topic("d1", "block-2"), {"ts": t + 3, "level": 4.5})])
    wait_settled(g, 5)
    g.until(lambda: tag_values(influx, q("\"compound\" = 'block-1'")) == {"d1"}, 10, "places")
    devices = tag_values(influx, q("\"compound\" = 'block-1'"))
    assert levels(influx, f"device =~ {one_of(devices)}") == {1, 2, 3}
    g.until(lambda: tag_values(influx, q("compound_was")) == {"block-1", "block-2"}, 10, "both")
    now = tag_values(influx, q("compound_was"))
    assert levels(influx, f"compound =~ {one_of(now | {'whole'})}") == {1, 2, 3, 4}
    assert levels(influx, "compound = 'whole'") == {1, 4}
    g.until(lambda: [r["moved_from"] for r in influx.query(q("moved_from")) if r["moved_from"]]
            == ["whole"], 10, "where it was")
    g.until(lambda: [r["moved_to"] for r in influx.query(
        "SELECT moved_to FROM gaihou_place WHERE device = 'd1'")] == ["block-1"], 10, "where it went")
    g.until(lambda: influx.query(q("last(\"replaces\")")), 10, "replaced")
    assert influx.query(q("last(\"replaces\")"))[0]["last"] == "smoke-102"
    # each of the page's queries is one that InfluxDB takes
    for x in asked:
        influx.query(x.replace("|…", "|z"))
    # counted once: sums over places are the devices there are
    g.until(lambda: influx.query("SELECT sum(n) FROM (SELECT last(devices) AS n FROM gaihou_place "
                                 "GROUP BY *)")[0]["sum"] == 3, 10, "three")
