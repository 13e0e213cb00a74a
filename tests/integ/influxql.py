"""Reads the InfluxQL of the dashboard and tells what it names that a schema does not have.

Only what such queries consist of: SELECT with subqueries, SHOW TAG VALUES. Names must be quoted.
InfluxDB itself answers an unknown name with nothing, so nobody would notice a misspelt one.
"""
import dataclasses
import re

TOKEN = re.compile(r"""\s*(?:(?P<matches>=~|!~)|(?P<op>!=|<=|>=|[-+*<>=(),])
    |"(?P<name>[^"]*)"|'(?P<text>[^']*)'|/(?P<regex>[^/]*)/|(?P<variable>\$\w+)
    |(?P<number>\d+(?:\.\d+)?(?:ns|ms|s|m|h|d|w)?\b)|(?P<word>[A-Za-z_]\w*))""", re.X)
WORDS = {"AND", "OR", "AS", "BY", "ASC", "DESC", "true", "false", "time", "none", "null"}
CLAUSES = {"FROM", "WHERE", "GROUP", "fill", "ORDER", "LIMIT"}
KEEPS = {"last", "first", "max", "min"}  # functions whose result is one of the values
OF_NUMBERS = {"mean", "sum", "spread", "max", "min", "derivative", "non_negative_derivative"}


class Wrong(ValueError):
    """A query names what is not there, or compares or computes what cannot be."""


@dataclasses.dataclass
class Table:
    """What may be selected: {field: the catalogue's metric, or None if unknown}, and tags."""
    fields: dict
    tags: set
    origin: str = ""  # the measurement, or the regular expression of several

    def has(self, name):
        return name in self.fields or name in self.tags


def tokens(query):
    at, out = 0, []
    query = query.rstrip()
    while at < len(query):
        m = TOKEN.match(query, at)
        if not m:
            raise Wrong(f"not understood: {query[at:at + 30]!r}")
        out.append((m.lastgroup, m.group(m.lastgroup)))
        at = m.end()
    return out


class Reader:
    def __init__(self, query, schema):
        """schema: {measurement: Table}"""
        self.schema, self.left = schema, tokens(query)
        self.named = []  # (measurement, field) seen

    def next_is(self, *what):
        return bool(self.left) and self.left[0][1] in what and self.left[0][0] in ("word", "op")

    def take(self, *what):
        if not self.left or (what and not self.next_is(*what)):
            raise Wrong(f"expected {what}, not {self.left[:1]}")
        return self.left.pop(0)

    def until(self, *ends):
        """Tokens up to one of ends outside of parentheses, or the end of the subquery."""
        out, depth = [], 0
        while self.left:
            if depth == 0 and self.next_is(*ends, ")"):
                break
            depth += self.next_is("(") - self.next_is(")")
            out.append(self.left.pop(0))
        return out

    def read(self):
        if self.next_is("SHOW"):
            self.tag_values()
        else:
            self.select()
        if self.left:
            raise Wrong(f"more than a query: {self.left[:3]}")
        return self.named

    def tag_values(self):
        for word in ("SHOW", "TAG", "VALUES", "FROM"):
            self.take(word)
        table = self.measurement()
        for word in ("WITH", "KEY", "="):
            self.take(word)
        key = self.take()[1]
        where = self.until()
        names = [key] + [v for kind, v in where if kind == "name"]
        if not set(names) <= table.tags:
            raise Wrong(f"no tag {set(names) - table.tags}")

    def measurement(self):
        kind, value = self.take()
        if kind == "name":
            if value not in self.schema:
                raise Wrong(f"no measurement {value}")
            found = [value]
        elif kind == "regex":
            found = [m for m in self.schema if re.search(value, m)]
            if not found:
                raise Wrong(f"no measurement matches {value}")
            listed = re.search(r"\(([\w|-]+)\)(\w*)", value)
            for m in listed.group(1).split("|") if listed else []:
                if m + listed.group(2) not in self.schema:
                    raise Wrong(f"no measurement {m}{listed.group(2)}")
        else:
            raise Wrong(f"a measurement is a quoted name, not {value}")
        table = Table({}, set())
        for m in found:
            table.fields |= self.schema[m].fields
            table.tags |= self.schema[m].tags
        table.origin = value
        return table

    def sources(self):
        out = Table({}, set())
        while True:
            if self.next_is("("):
                self.take()
                table = self.select()
                self.take(")")
            else:
                table = self.measurement()
                out.origin = table.origin
            out.fields |= table.fields
            out.tags |= table.tags
            if not self.next_is(","):
                return out
            self.take()

    def select(self):
        self.take("SELECT")
        what = self.until(*CLAUSES)
        self.take("FROM")
        source = self.sources()
        where, tags = [], set()
        while self.left and not self.next_is(")"):
            clause = self.take(*CLAUSES)[1]
            body = self.until(*CLAUSES)
            check_words(body)
            if clause == "WHERE":
                where = body
            elif clause == "GROUP":
                tags = {v for kind, v in body if kind == "name"}
        check_words(what)
        if not tags <= source.tags:
            raise Wrong(f"GROUP BY: no tag {tags - source.tags}")
        check_comparisons(where, source)
        out = Table({}, tags)
        for column in split(what):
            self.column(column, source, out)
        return out

    def column(self, column, source, out):
        alias = None
        if len(column) > 2 and column[-2] == ("word", "AS"):
            alias, column = column[-1][1], column[:-2]
        if column == [("op", "*")]:
            out.fields |= source.fields
            out.tags |= source.tags
            return
        names = [v for kind, v in column if kind == "name"]
        functions = [v for kind, v in column if kind == "word"]
        for n in names:
            if not source.has(n):
                raise Wrong(f"no field {n}")
            if source.origin:
                self.named.append((source.origin, n))
            metric = source.fields.get(n)
            if metric and set(functions) & OF_NUMBERS and metric["type"] not in ("int", "float"):
                raise Wrong(f"{functions[0]}() of {n}, which is {metric['type']}")
        keeps = len(names) == 1 and set(functions) <= KEEPS and len(functions) < 2
        out.fields[alias or (functions or names)[0]] = metric if keeps else None


def split(what):
    out, depth = [[]], 0
    for t in what:
        depth += (t == ("op", "(")) - (t == ("op", ")"))
        if t == ("op", ",") and depth == 0:
            out.append([])
        else:
            out[-1].append(t)
    return out


def check_words(part):
    for i, (kind, word) in enumerate(part):
        called = part[i + 1:i + 2] == [("op", "(")]
        if kind == "word" and word not in WORDS and not called:
            raise Wrong(f"a name is not quoted: {word}")


def check_comparisons(where, source):
    for (kind, name), (_, _), (other, value) in zip(where, where[1:], where[2:] + [("", "")]):
        if kind != "name":
            continue
        if not source.has(name):
            raise Wrong(f"WHERE: no field or tag {name}")
        metric = source.fields.get(name)
        if not metric:
            continue
        type_ = metric["type"]
        codes = [c["name"] for c in metric.get("codes", [])]
        if other == "text" and type_ == "enum" and value not in codes:
            raise Wrong(f"{name} is never '{value}'")
        if {"text": type_ not in ("enum", "string"), "number": type_ not in ("int", "float"),
                "word": value in ("true", "false") and type_ != "bool"}.get(other):
            raise Wrong(f"{name} is {type_}, not {value}")
