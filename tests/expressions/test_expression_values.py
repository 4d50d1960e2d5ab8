"""What expressions give: every operator and every function, from a table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D  # noqa: N817
from typing import Any

import pytest
from expression_support import NOW, VALUES, compiled, evaluate, run

from tusk_runtime.expressions import FUNCTIONS

CASES: list[tuple[str, Any, str]] = [
    # literals
    ("1", 1, "integer"),
    ("0.19", D("0.19"), "decimal"),
    ("1e3", D("1000"), "decimal"),
    ("'te\\nxt'", "te\nxt", "string"),
    ("'\\u00e9\\x41'", "éA", "string"),
    ("'\\d'", "\\d", "string"),
    ("true", True, "boolean"),
    ("false", False, "boolean"),
    ("null", None, "null?"),
    ("[1, 2]", [1, 2], "list<integer>"),
    ("[1, 2.5]", [D(1), D("2.5")], "list<decimal>"),
    ("[]", [], "list<json>"),
    ("{'key': 1, word: 'x'}", {"key": 1, "word": "x"}, "this map"),
    # payload keys win over everything
    ("data.items", [3, 1, 2], "list<integer>"),
    ("data.keys + data.get", "KG", "string"),
    ("data.pop", 9, "integer"),
    ("data['items'][0]", 3, "integer"),
    # numbers
    ("data.n + 1", 8, "integer"),
    ("data.n - 10", -3, "integer"),
    ("data.n * data.n", 49, "integer"),
    ("data.n / 2", D("3.5"), "decimal"),
    ("1 / 3", D("0.3333333333333333333333333333"), "decimal"),
    ("data.n // 2", 3, "integer"),
    ("-data.n // 2", -4, "integer"),
    ("-data.n % 4", 1, "integer"),
    ("data.n % 4", 3, "integer"),
    ("data.total + 1", D("151.00"), "decimal"),
    ("data.total * 1.2", D("180.000"), "decimal"),
    ("data.total - data.n", D("143.00"), "decimal"),
    ("data.total / 7", D("21.42857142857142857142857143"), "decimal"),
    ("data.total // 7", D("21"), "decimal"),
    ("-data.total // 7", D("-22"), "decimal"),
    ("data.total % 7", D("3.00"), "decimal"),
    ("-data.total % 7", D("4.00"), "decimal"),
    ("-data.total", D("-150.00"), "decimal"),
    ("+data.total", D("150.00"), "decimal"),
    ("data.f * 2", 5.0, "number"),
    ("data.f * 0.5", 1.25, "number"),
    ("0.5 * data.f", 1.25, "number"),
    ("data.f / data.n", 2.5 / 7, "number"),
    ("data.f // 2", 1.0, "number"),
    ("data.f % 2", 0.5, "number"),
    ("2 + 3 * 4 - 6 / 2", D("11"), "decimal"),
    ("(2 + 3) * 4", 20, "integer"),
    ("data.j.n * data.total", D("450.00"), "decimal"),
    ("data.j.n + 1", 4, "integer"),
    ("data.price + data.price", D("39.80"), "decimal"),
    # comparisons
    ("data.n == 7", True, "boolean"),
    ("data.n != 7.0", False, "boolean"),
    ("data.total >= 150", True, "boolean"),
    ("data.f > 2.4", True, "boolean"),
    ("1 < data.n <= 7", True, "boolean"),
    ("data.name < 'B'", True, "boolean"),
    ("data.status == 'placed'", True, "boolean"),
    ("'placed' == data.status", True, "boolean"),
    ("data.day < '2026-02-01'", True, "boolean"),
    ("data.at <= now", True, "boolean"),
    ("data.at == '2026-01-01T01:00:00+01:00'", True, "boolean"),
    ("data.span > '1d'", True, "boolean"),
    ("data.opt == null", True, "boolean"),
    ("1 == null", False, "boolean"),
    ("null == null", True, "boolean"),
    ("'a' != null", True, "boolean"),
    ("null != data.opt", False, "boolean"),
    ("data.word == 'x'", False, "boolean"),
    ("data.j.n == 3", True, "boolean"),
    ("data.j.n > 2", True, "boolean"),
    ("data.j.when == data.day", False, "boolean"),
    ("data.j.none == null", True, "boolean"),
    ("data.j.a.b[4] == 1", False, "boolean"),
    ("data.lines == data.lines", True, "boolean"),
    ("data.lines != data.empty", True, "boolean"),
    ("2 in data.items", True, "boolean"),
    ("data.n not in data.items", True, "boolean"),
    ("data.status in ['new', 'placed']", True, "boolean"),
    ("'nn' in data.name", True, "boolean"),
    ("'x' in data.m", True, "boolean"),
    ("'n' in data.j", True, "boolean"),
    ("1 in data.j.a.b", True, "boolean"),
    ("'clerk' in meta.roles", True, "boolean"),
    # logic
    ("data.ok and data.n > 3", True, "boolean"),
    ("not data.ok or data.n > 3", True, "boolean"),
    ("not (data.ok and data.n > 30)", True, "boolean"),
    ("'big' if data.n > 100 else 'small'", "small", "string"),
    ("1 if not data.ok else 2 if data.n > 3 else 3", 2, "integer"),
    # missing and null
    ("data.opt ?? 5", 5, "integer"),
    ("(data.opt ?? 5) + 1", 6, "integer"),
    ("data.m.z ?? 5", 5, "integer"),
    ("data.m['z'] ?? data.opt ?? 6", 6, "integer"),
    ("data.lines[9].sku ?? 'none'", "none", "string"),
    ("data.j.a.zz ?? 'none'", "none", "string"),
    ("data.j.none ?? 'none'", "none", "string"),
    ("data.j.a.zz ?? null", None, "json?"),
    ("data.j.s ?? null", "7d", "json?"),
    ("data.opt ?? 5 > 3", True, "boolean"),
    ("data.line?.price", None, "decimal?"),
    ("data.line?.price ?? 0", D(0), "decimal"),
    ("data.j?.zz?.yy", None, "json?"),
    ("data.opt + 1 if data.opt != null else 0", 0, "integer"),
    ("data.opt != null and data.opt > 3", False, "boolean"),
    ("data.opt == null or data.opt > 3", True, "boolean"),
    ("data.line.price if data.line != null else 0", D(0), "decimal"),
    ("data.line.price if data.line?.sku != null else 0", D(0), "decimal"),
    ("[data.opt + 1 for x in data.items if data.opt != null]", [], "list<integer>"),
    ("[x + 1 for x in data.holes if x != null]", [2], "list<integer>"),
    ("(data.word | lower) == 'x' if data.word == 'X' else false", False, "boolean"),
    # access
    ("data.lines[0].sku", "a", "string"),
    ("data.lines[-1].sku", "b", "string"),
    ("data.items[1:]", [1, 2], "list<integer>"),
    ("data.items[:-1]", [3, 1], "list<integer>"),
    ("data.items[1:2]", [1], "list<integer>"),
    ("data.name[1:3]", "nn", "string"),
    ("data.name[0]", "A", "string"),
    ("data.m.x", 1, "integer"),
    ("data.m[data.text[1:2] + '']  ?? 0", 0, "integer"),
    ("data.j.a.b[1]", 2.5, "json"),
    ("data.j['a'].b[-1]", True, "json"),
    # texts and lists
    ("data.name + '!'", "Anna!", "string"),
    ("data.items + [9]", [3, 1, 2, 9], "list<integer>"),
    ("[l.sku for l in data.lines]", ["a", "b"], "list<string>"),
    ("[l.sku for l in data.lines if l.quantity > 1]", ["a"], "list<string>"),
    ("[x * y for x in data.items for y in [1, 10] if x > 1]", [3, 30, 2, 20], "list<integer>"),
    ("[{'s': l.sku, 'p': l.price * 2} for l in data.lines][0].p", D("3.00"), "decimal"),
    # time
    ("now - data.at", NOW - VALUES["at"], "duration"),
    ("data.day - '2026-01-01'", timedelta(days=30), "duration"),
    ("data.at + '7d'", datetime(2026, 1, 8, tzinfo=UTC), "datetime"),
    ("data.at - '1h30m'", datetime(2025, 12, 31, 22, 30, tzinfo=UTC), "datetime"),
    ("data.day + '1d'", date(2026, 2, 1), "date"),
    ("data.day - 'P1D'", date(2026, 1, 30), "date"),
    ("data.span * 2", timedelta(days=2, hours=4, minutes=6, seconds=9), "duration"),
    ("2 * data.span", timedelta(days=2, hours=4, minutes=6, seconds=9), "duration"),
    ("data.span * 0.5", timedelta(hours=13, minutes=1, seconds=32, milliseconds=250), "duration"),
    ("data.span + '1s' - '2s'", timedelta(days=1, hours=2, minutes=3, seconds=3.5), "duration"),
    ("data.span / '1h'", D("26.05125"), "decimal"),
    ("-data.span", -VALUES["span"], "duration"),
]

FUNCTION_CASES: list[tuple[str, Any, str]] = [
    ("string(data.total)", "150.00", "string"),
    ("string(data.ok)", "true", "string"),
    ("string(data.n)", "7", "string"),
    ("string(data.f)", "2.5", "string"),
    ("string(data.at)", "2026-01-01T00:00:00Z", "string"),
    ("string(data.day)", "2026-01-31", "string"),
    ("string(data.span)", "P1DT2H3M4.5S", "string"),
    ("string(data.status)", "placed", "string"),
    ("string(data.j.n)", "3", "string"),
    ("integer('12')", 12, "integer"),
    ("integer(data.total)", 150, "integer"),
    ("integer(4.0)", 4, "integer"),
    ("integer(data.j.n)", 3, "integer"),
    ("decimal('12.50')", D("12.50"), "decimal"),
    ("decimal(data.f)", D("2.5"), "decimal"),
    ("decimal(data.n)", D(7), "decimal"),
    ("number(data.total)", 150.0, "number"),
    ("number('1.5')", 1.5, "number"),
    ("boolean('true')", True, "boolean"),
    ("boolean(data.j.a.b[4])", True, "boolean"),
    ("date('2026-01-31')", date(2026, 1, 31), "date"),
    ("date(now)", date(2026, 3, 31), "date"),
    ("date(data.at - '1h', 'Asia/Tokyo')", date(2026, 1, 1), "date"),
    ("datetime('2026-01-31T00:00:00+02:00')", datetime(2026, 1, 30, 22, tzinfo=UTC), "datetime"),
    ("datetime(data.day)", datetime(2026, 1, 31, tzinfo=UTC), "datetime"),
    ("datetime(data.day, 'Europe/Berlin')", datetime(2026, 1, 30, 23, tzinfo=UTC), "datetime"),
    ("duration('90s')", timedelta(seconds=90), "duration"),
    ("duration(data.j.s)", timedelta(days=7), "duration"),
    ("default(data.opt, 4)", 4, "integer"),
    ("data.opt | default(4) + 1", 5, "integer"),
    (
        "to_json(data.lines)",
        '[{"sku":"a","quantity":2,"price":"1.50"},{"sku":"b","quantity":1,"price":"3"}]',
        "string",
    ),
    ("to_json(data.opt)", "null", "string"),
    ("length(data.lines)", 2, "integer"),
    ("data.name | length", 4, "integer"),
    ("length(data.m)", 2, "integer"),
    ("length(data.j.a)", 1, "integer"),
    ("sum(data.items)", 6, "integer"),
    ("sum(l.quantity * l.price for l in data.lines)", D("6.00"), "decimal"),
    ("sum([l.price for l in data.empty])", D(0), "decimal"),
    ("sum([0.1, 0.2, data.f])", 2.8, "number"),
    ("sum(x / 3 for x in data.items)", D("2.000000000000000000000000000"), "decimal"),
    ("avg(data.items)", D(2), "decimal?"),
    ("avg([data.f, data.f])", 2.5, "number?"),
    ("avg(l.price for l in data.empty)", None, "decimal?"),
    ("min(data.items)", 1, "integer?"),
    ("max(l.price for l in data.lines)", D(3), "decimal?"),
    ("max(l.price for l in data.empty)", None, "decimal?"),
    ("min(data.n, 3, 5)", 3, "integer"),
    ("max(data.total, data.n)", D("150.00"), "decimal"),
    ("max(data.at, now)", NOW, "datetime"),
    ("max(data.day, '2027-01-01')", date(2027, 1, 1), "date"),
    ("any(l.quantity > 1 for l in data.lines)", True, "boolean"),
    ("all(l.quantity > 1 for l in data.lines)", False, "boolean"),
    ("any([data.ok, false])", True, "boolean"),
    ("all([])  if false else data.ok", True, "boolean"),
    ("first(data.items)", 3, "integer?"),
    ("first(l for l in data.lines if l.sku == 'b')?.price", D(3), "decimal?"),
    ("first(data.empty)", None, "OrderLine?"),
    ("last(data.items)", 2, "integer?"),
    ("sort(data.items)", [1, 2, 3], "list<integer>"),
    ("sort(data.items, true)", [3, 2, 1], "list<integer>"),
    ("[l.sku for l in sort(data.lines, 'quantity')]", ["b", "a"], "list<string>"),
    ("[l.sku for l in sort(data.lines, 'price', true)]", ["b", "a"], "list<string>"),
    ("unique(data.tags)", ["y", "x"], "list<string>"),
    ("unique(data.lines + data.lines) | length", 2, "integer"),
    ("join(data.tags, '-')", "y-x-y", "string"),
    ("join(data.items)", "312", "string"),
    ("join([l.price for l in data.lines], ' ')", "1.50 3", "string"),
    ("range(2, 5)", [2, 3, 4], "list<integer>"),
    ("range(5, 2)", [], "list<integer>"),
    ("keys(data.m)", ["x", "y"], "list<string>"),
    ("values(data.m)", [1, 2], "list<integer>"),
    ("items(data.m)", [{"key": "x", "value": 1}, {"key": "y", "value": 2}], "list<entry>"),
    ("[e.key for e in items(data.m) if e.value > 1]", ["y"], "list<string>"),
    ("keys(data.lines[0])", ["sku", "quantity", "price"], "list<string>"),
    ("keys(data.j.a)", ["b"], "list<string>"),
    ("combine(data.lines[0], {'price': 2}).price", D(2), "decimal"),
    ("combine(data.lines[0], {'note': 'x'}).note", "x", "string"),
    ("combine(data.m, {'z': 3})", {"x": 1, "y": 2, "z": 3}, "map<integer>"),
    ("omit(data.lines[0], 'price')", {"sku": "a", "quantity": 2}, "OrderLine"),
    ("omit(data.m, 'x')", {"y": 2}, "map<integer>"),
    ("lower(data.name)", "anna", "string"),
    ("data.name | upper", "ANNA", "string"),
    ("trim(data.text)", "a,b ,c", "string"),
    ("replace(data.name, 'n', 'm')", "Amma", "string"),
    ("replace(data.name, '', 'm')", "Anna", "string"),
    ("split(data.text, ',')", [" a", "b ", "c "], "list<string>"),
    ("split(data.name, '')", ["A", "n", "n", "a"], "list<string>"),
    ("startswith(data.name, 'An')", True, "boolean"),
    ("endswith(data.name, 'An')", False, "boolean"),
    ("matches(data.name, '[A-Z][a-z]+')", True, "boolean"),
    ("matches(data.name, '[a-z]+')", False, "boolean"),
    ("truncate(data.name, 3)", "An…", "string"),
    ("truncate(data.name, 4)", "Anna", "string"),
    ("truncate(data.name, 0)", "", "string"),
    ("mask(data.email)", "a***", "string"),
    ("mask('')", "", "string"),
    ("urlencode('a b/ü')", "a%20b%2F%C3%BC", "string"),
    ("abs(-data.n)", 7, "integer"),
    ("-data.n | abs", 7, "integer"),
    ("abs(-data.total)", D("150.00"), "decimal"),
    ("abs(-data.f)", 2.5, "number"),
    ("round(2.5)", 3, "integer"),
    ("round(-2.5)", -3, "integer"),
    ("round(data.f)", 3, "integer"),
    ("round(data.total / 7, 2)", D("21.43"), "decimal"),
    ("round(0.125, 2, 'half_even')", D("0.12"), "decimal"),
    ("round(0.129, 2, 'down')", D("0.12"), "decimal"),
    ("round(0.121, 2, 'up')", D("0.13"), "decimal"),
    ("round(data.total, -2)", D("200"), "decimal"),
    ("round(data.f * 1.07, 2)", 2.68, "number"),
    ("round(1234, -2)", 1200, "integer"),
    ("floor(2.9)", 2, "integer"),
    ("floor(-2.1)", -3, "integer"),
    ("ceil(2.1)", 3, "integer"),
    ("floor(now, '15m')", datetime(2026, 3, 31, 10, 15, tzinfo=UTC), "datetime"),
    ("floor(now, '7d')", datetime(2026, 3, 30, tzinfo=UTC), "datetime"),
    ("day(now)", date(2026, 3, 31), "date"),
    ("now | day", date(2026, 3, 31), "date"),
    ("day(data.at - '1s', 'Europe/Berlin')", date(2026, 1, 1), "date"),
    ("week(now)", date(2026, 3, 30), "date"),
    ("month(now)", date(2026, 3, 1), "date"),
    ("quarter(data.day)", date(2026, 1, 1), "date"),
    ("year(data.day)", date(2026, 1, 1), "date"),
    ("hour(now)", datetime(2026, 3, 31, 10, tzinfo=UTC), "datetime"),
    ("minute(now)", datetime(2026, 3, 31, 10, 20, tzinfo=UTC), "datetime"),
    ("part(now, 'hour')", 10, "integer"),
    ("part(now, 'hour', 'Europe/Berlin')", 12, "integer"),
    ("part(data.day, 'weekday')", 6, "integer"),
    ("part(data.day, 'week')", 5, "integer"),
    ("part(now, 'quarter')", 1, "integer"),
    ("part(now, 'day_of_year')", 90, "integer"),
    ("format(now, '%d.%m.%Y %H:%M')", "31.03.2026 10:20", "string"),
    ("format(now, '%A %B %p %I %%', 'Europe/Berlin')", "Tuesday March PM 12 %", "string"),
    ("data.day | format('%y-%j %V')", "26-031 05", "string"),
    ("days(data.span)", 1, "integer"),
    ("days(-data.span)", -1, "integer"),
    ("hours(data.span)", 26, "integer"),
    ("minutes(data.span)", 1563, "integer"),
    ("seconds(data.span)", D("93784.5"), "decimal"),
    ("add_months(data.day, 1)", date(2026, 2, 28), "date"),
    ("add_months(now, -13)", datetime(2025, 2, 28, 10, 20, 30, 400_000, tzinfo=UTC), "datetime"),
    ("dates('2026-01-30', '2026-02-01')", [date(2026, 1, 30), date(2026, 1, 31)], "list<date>"),
    ("dates(data.at, data.day) | length", 30, "integer"),
    ("uuid() == uuid()", True, "boolean"),
    ("uuid('a') == uuid('b')", False, "boolean"),
    ("uuid('a', 1) == uuid('a1')", False, "boolean"),
    ("length(uuid(data.n, data.day))", 36, "integer"),
]


@pytest.mark.parametrize(("source", "value", "kind"), CASES + FUNCTION_CASES, ids=lambda v: str(v)[:60])
def test_value(source: str, value: Any, kind: str) -> None:
    expression = compiled("{{ " + source + " }}")
    assert str(expression.type) == kind
    result = evaluate(source)
    assert result == value
    assert type(result) is type(value)
    # Equal decimals may differ in their places, which are kept.
    assert str(result) == str(value)


def test_every_function_has_a_case() -> None:
    named = " ".join(source for source, *_ in FUNCTION_CASES)
    assert [name for name in FUNCTIONS if f"{name}(" not in named and f"| {name}" not in named] == []


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda f: f.name)
def test_function_is_documented(function: Any) -> None:
    assert function.doc
    assert all(signature.name == function.name for signature in function.signatures)


def test_mixed_text() -> None:
    assert (
        run("{{ data.name }}: {{ data.total }} on {{ data.day }}, {{ data.ok }}")
        == "Anna: 150.00 on 2026-01-31, true"
    )
    assert run("plain") == "plain"
    assert run("{{ '{{' }}") == "{{"
    assert run("{{ {'a': {'b': 1}}.a.b }}") == 1
    assert run("a { b } c") == "a { b } c"


def test_uuid_derives_from_the_identity() -> None:
    expression = compiled("{{ uuid('x') }}")
    first = expression(NOW, {}, VALUES, identity=b"a" * 16)
    assert first == expression(NOW, {}, VALUES, identity=b"a" * 16)
    assert first != expression(NOW, {}, VALUES, identity=b"b" * 16)
    assert first[14] == "8"


def test_values_are_fresh() -> None:
    expression = compiled({"a": [1], "b": {}})
    one = expression(NOW, {}, VALUES)
    one["a"].append(2)
    assert expression(NOW, {}, VALUES) == {"a": [1], "b": {}}


def test_data_is_never_changed() -> None:
    before = repr(VALUES)
    for source, *_ in CASES + FUNCTION_CASES:
        evaluate(source)
    assert repr(VALUES) == before
