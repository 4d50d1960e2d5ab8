"""What is refused at load: each problem with its code, its exact place, and a help that names the way out."""

from __future__ import annotations

from typing import Any

import pytest
from expression_support import (
    DATA,
    LINE,
    SCOPE,
    STATUS,
    compiled,
    condition,
    node_of,
    problem,
    refused,
    text_node,
    try_compile,
)

from tusk_runtime.expressions import Expression, Scope, compile_value
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.types import DATE, DECIMAL, DURATION, INTEGER, JSON, NUMBER, STRING, Type, record_of

REFUSED: list[tuple[str, str, str, str]] = [
    # names, fields, functions: the nearest one, or where it really is
    ("dta.name", "TSK403", "dta", "did you mean `data`?"),
    ("total + 1", "TSK403", "total", "did you mean `data.total`?"),
    ("None", "TSK403", "None", "`null`"),
    ("loop.index", "TSK403", "loop", "for_each"),
    ("data.totl", "TSK404", "totl", "did you mean `total`?"),
    ("data.user_id", "TSK404", "user_id", "did you mean `meta.user_id`?"),
    ("data.lines[0].prise", "TSK404", "prise", "did you mean `price`?"),
    ("[l.skuu for l in data.lines]", "TSK404", "skuu", "did you mean `sku`?"),
    ("data.lines.sku", "TSK404", "sku", "[x.sku for x in data.lines]"),
    ("data.lines.length", "TSK404", "length", "length(data.lines)"),
    ("data.name.upper", "TSK404", "upper", "upper(data.name)"),
    ("lowr(data.name)", "TSK405", "lowr", "did you mean `lower`?"),
    ("lower()", "TSK406", "lower()", "lower(s: text)"),
    ("lower(data.name, 1)", "TSK406", "lower(data.name, 1)", "lower(s: text)"),
    ("sort(data.lines)", "TSK406", "sort(data.lines)", "`sku`"),
    ("sort(data.lines, 'prize')", "TSK404", "'prize'", "did you mean `price`?"),
    ("omit(data.lines[0], 'prise')", "TSK404", "'prise'", "did you mean `price`?"),
    # types
    ("data.name + 1", "TSK407", "data.name + 1", "string(1)"),
    ("data.name * 2", "TSK407", "data.name * 2", "decimal(data.name)"),
    ("data.lines + data.items", "TSK407", "data.items", ""),
    ("data.ok + 1", "TSK407", "data.ok + 1", ""),
    ("now + 1", "TSK407", "now + 1", "duration('1d')"),
    ("now - data.day", "TSK407", "now - data.day", "date(now)"),
    ("data.day + data.at", "TSK407", "data.day + data.at", ""),
    ("data.span / 2", "TSK407", "data.span / 2", "data.span * 0.5"),
    ("-data.name", "TSK407", "-data.name", ""),
    ("data.name > 3", "TSK407", "data.name > 3", "integer(data.name)"),
    ("data.n == '3'", "TSK407", "data.n == '3'", "write the number without quotes: `3`"),
    ("data.day == now", "TSK407", "data.day == now", "date(now)"),
    ("data.ok > false", "TSK407", "data.ok", "no order"),
    ("data.items > data.items", "TSK407", "data.items", ""),
    ("data.tags == data.name", "TSK407", "data.tags == data.name", "data.name in data.tags"),
    ("data.name in data.items", "TSK407", "data.name in data.items", ""),
    ("1 in data.name", "TSK407", "1", ""),
    ("1 in data.n", "TSK407", "data.n", "`1 == data.n`"),
    ("data.j + data.j", "TSK407", "data.j + data.j", "decimal(data.j)"),
    ("data.j > data.j", "TSK407", "data.j > data.j", "decimal(data.j)"),
    ("sum(data.tags)", "TSK407", "data.tags", ""),
    ("sum(data.lines)", "TSK407", "data.lines", "x.field"),
    ("sum(data.holes)", "TSK407", "data.holes", "x != null"),
    ("sum(data.j.a.b)", "TSK407", "data.j.a.b", "decimal(x) for x in data.j.a.b"),
    ("length(data.n)", "TSK407", "data.n", ""),
    ("lower(data.n)", "TSK407", "data.n", "string(data.n)"),
    ("day(data.name)", "TSK407", "data.name", "date(data.name)"),
    ("data.m[1]", "TSK407", "1", ""),
    ("data.items['a']", "TSK407", "'a'", ""),
    ("data.lines[0][data.name]", "TSK407", "data.name", "data.lines[0].sku"),
    ("[x for x in data.m]", "TSK407", "data.m", "keys(data.m)"),
    ("[x for x in data.n]", "TSK407", "data.n", "range(0, data.n)"),
    ("[1, 'a']", "TSK407", "'a'", ""),
    ("1 if data.ok else 'a'", "TSK407", "'a'", ""),
    ("data.n ?? 'a'", "TSK407", "'a'", ""),
    ("string(data.lines)", "TSK407", "data.lines", "to_json(data.lines)"),
    ("data.total * data.f", "TSK408", "data.total * data.f", "decimal(data.f)"),
    ("data.total > data.f", "TSK408", "data.total > data.f", ""),
    ("sum(data.m)", "TSK407", "data.m", ""),
    ("sort(data.items, 1)", "TSK406", "1", "quote"),
    # null
    ("data.opt + 1", "TSK409", "data.opt", "data.opt ?? …"),
    ("1 + data.opt * 2", "TSK409", "data.opt", "data.opt != null"),
    ("data.opt > 1", "TSK409", "data.opt", ""),
    ("data.line.price", "TSK409", "data.line", "data.line?.price"),
    ("lower(data.word)", "TSK409", "data.word", ""),
    ("null + 1", "TSK409", "null", ""),
    ("data.opt > 1 or data.opt != null", "TSK409", "data.opt", ""),
    ("data.opt == null and data.opt > 1", "TSK409", "data.opt", ""),
    ("data.opt + 1 if data.opt == null else 0", "TSK409", "data.opt", ""),
    ("not data.maybe", "TSK409", "data.maybe", "data.maybe ?? false"),
    ("first(data.items) + 1", "TSK409", "first(data.items)", ""),
    ("data.line?.price + 1", "TSK409", "data.line?.price", ""),
    # literals
    ("data.status == 'plced'", "TSK410", "'plced'", "did you mean `placed`?"),
    ("data.status in ['new', 'xxxxxxx']", "TSK410", "'xxxxxxx'", "`new`, `placed`, `on hold`"),
    ("data.day == '2026-02-30'", "TSK410", "'2026-02-30'", ""),
    ("data.at > '2026-01-01'", "TSK410", "'2026-01-01'", ""),
    ("data.at + 'soon'", "TSK410", "'soon'", ""),
    ("data.span > '3 months'", "TSK410", "'3 months'", ""),
    ("data.id == 'x'", "TSK410", "'x'", ""),
    # truth
    ("not data.n", "TSK411", "data.n", "data.n != 0"),
    ("data.ok and data.name", "TSK411", "data.name", "data.name != ''"),
    ("1 if data.lines else 2", "TSK411", "data.lines", "length(data.lines) > 0"),
    ("data.ok or data.opt", "TSK411", "data.opt", "data.opt != null"),
    ("[x for x in data.items if x]", "TSK411", "x", "x != 0"),
    # Jinja2 and other languages
    ("data.name.lower()", "TSK414", "lower", "lower(data.name)"),
    ("data.items.append(1)", "TSK414", "append", "list + [x]"),
    ("data.n | int", "TSK414", "int", "integer(x)"),
    ("data.items | map('x')", "TSK414", "map", "[x.field for x in list]"),
    ("now()", "TSK414", "now", "without brackets"),
    ("data.word is defined", "TSK414", "is defined", "x != null"),
    ("data.word is not none", "TSK414", "is not none", "x != null"),
    ("data.name ~ 'x'", "TSK414", "~", "+"),
    ("data.n ** 2", "TSK414", "**", "x * x"),
    # names of loops
    ("[data for data in data.items]", "TSK415", "data", "another name"),
    ("[x for x in data.items for x in data.items]", "TSK415", "x", "another name"),
    ("[identity for identity in data.items]", "TSK415", "identity", ""),
    # two readings
    ("data.opt ?? 0 + 1", "TSK416", "data.opt ?? 0 + 1", "(a ?? 0) + b"),
    # patterns
    ("matches(data.name, '(')", "TSK417", "'('", ""),
    ("matches(data.name, '(?=a)')", "TSK417", "'(?=a)'", ""),
    ("format(now, '%Q')", "TSK417", "'%Q'", ""),
    ("part(now, 'hours')", "TSK417", "'hours'", "did you mean `hour`?"),
    ("day(now, 'Europe/Berln')", "TSK417", "'Europe/Berln'", "Europe/Berlin"),
    ("matches(data.name, data.name)", "TSK406", "data.name", "literal"),
    ("round(data.total, 2, 'halfup')", "TSK406", "'halfup'", "did you mean `half_up`?"),
    ("round(data.total, 2, null)", "TSK406", "null", ""),
    # not available yet
    ("lookup('orders', data.id)", "TSK449", "lookup", ""),
    ("query('orders', {})", "TSK449", "query", ""),
    # numbers
    ("99999999999999999999", "TSK453", "99999999999999999999", "decimal"),
    # syntax
    ("data.n +", "TSK400", "", "last operator"),
    ("(data.n", "TSK400", "", "close `(`"),
    ("data.n data.n", "TSK400", "data", "operator"),
    ("data.n = 3", "TSK400", "=", "=="),
    ("data.n && true", "TSK400", "&&", "and"),
    ("data.ok || true", "TSK400", "||", "or"),
    ("!data.ok", "TSK400", "!", "not"),
    ("data.ok ? 1 : 2", "TSK400", "?", "b if a else c"),
    ("1 if data.ok", "TSK400", "", "else"),
    ("7d", "TSK400", "7d", "'7d'"),
    ("@env('X')", "TSK400", "@", "outside"),
    ("$x", "TSK400", "$", ""),
    ("", "TSK400", "{{  }}", ""),
    ("data.items orders", "TSK400", "orders", ""),
]  # fmt: skip


@pytest.mark.parametrize(("source", "code", "place", "hint"), REFUSED, ids=lambda v: str(v)[:50])
def test_refused(source: str, code: str, place: str, hint: str) -> None:
    found = refused(source)
    assert (found.code, found.span.text) == (code, place), found
    assert hint in found.help + found.message
    assert found.message


def test_all_problems_in_one_go() -> None:
    found = try_compile("{{ data.totl + data.nam }}")
    assert isinstance(found, list)
    assert [problem.span.text for problem in found] == ["totl", "nam"]


def test_the_second_of_the_same_word_is_meant() -> None:
    found = problem(text_node("{{ data.n + data.opt + data.n }}", line=3))
    assert (found.span.line, found.span.column) == (3, 19)


def test_nearest_suggestions_of_single_typos() -> None:
    """A letter left out of any field or function is found again."""
    from tusk_runtime.expressions import FUNCTIONS

    missed = []
    for name in [field for field in DATA.fields if len(field) > 3]:
        typo = name[:1] + name[2:]
        found = refused(f"data.{typo}")
        if f"`{name}`" not in found.help:
            missed.append(name)
    for name in [function for function in FUNCTIONS if len(function) > 4]:
        typo = name[:2] + name[3:]
        found = refused(f"{typo}(data.name)")
        if f"`{name}`" not in found.help:
            missed.append(name)
    assert len(missed) <= 3, missed


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("{{ data.n", "TSK401", "{{"),
        ("a {{ data.n } b", "TSK401", "{{"),
        ("{% if data.ok %}x{% endif %}", "TSK402", "{% if data.ok %}"),
        ("a {# note #} {{ data.n }}", "TSK402", "{# note #}"),
        ("{{ 'abc }}", "TSK400", "'abc }}"),
        ("x {{ data.items }}", "TSK407", "data.items"),
        ("x {{ data.opt }}", "TSK409", "data.opt"),
        ("x {{ data.nn }} {{ data.n }}", "TSK404", "nn"),
    ],
)
def test_templates(text: str, code: str, place: str) -> None:
    found = problem(text)
    assert (found.code, found.span.text) == (code, place)


FITTING: list[tuple[Any, Type, str]] = [
    ("{{ data.opt }}", INTEGER, "TSK409"),
    ("{{ null }}", INTEGER, "TSK409"),
    ("{{ data.name }}", INTEGER, "TSK412"),
    ("{{ data.total }}", INTEGER, "TSK412"),
    ("{{ data.total }}", NUMBER, "TSK412"),
    ("{{ data.n }}", STRING, "TSK412"),
    ("{{ data.name }}", Type("uuid"), "TSK412"),
    ("{{ now }}", DATE, "TSK412"),
    ("{{ 'plased' }}", STATUS, "TSK410"),
    ("{{ 0 }}", Type("integer", min=1), "TSK412"),
    ("{{ 1.234 }}", Type("decimal", places=2), "TSK412"),
    ("{{ [1, 'a'] }}", Type("list", item=INTEGER), "TSK407"),
    ("{{ ['a'] }}", Type("list", item=INTEGER), "TSK412"),
    ("{{ data.lines }}", LINE, "TSK412"),
    ("{{ data.lines[0] }}", record_of("Other", sku=STRING), "TSK412"),
    ("{{ {'sku': 'a'} }}", LINE, "TSK412"),
    ("{{ {'sku': 'a', 'quantity': 1, 'price': 1, 'prise': 2} }}", LINE, "TSK404"),
    ("plased", STATUS, "TSK412"),
    ("3 months", DURATION, "TSK412"),
    ("abc", INTEGER, "TSK412"),
    (None, INTEGER, "TSK412"),
    (True, INTEGER, "TSK412"),
    ("data.n", INTEGER, "TSK412"),
    ([1, 2], INTEGER, "TSK412"),
    ({"a": 1}, INTEGER, "TSK412"),
    ({"a": "x"}, Type("map", item=INTEGER), "TSK412"),
    ({"sku": "a"}, LINE, "TSK413"),
    ({"sku": "a", "quantity": 1, "price": 2, "prise": 3}, LINE, "TSK404"),
]


@pytest.mark.parametrize(("value", "expected", "code"), FITTING, ids=lambda v: str(v)[:40])
def test_does_not_fit(value: Any, expected: Type, code: str) -> None:
    assert problem(value, expected).code == code


def test_nested_values_tell_all_their_problems() -> None:
    found = try_compile({"sku": "{{ data.nam }}", "quantity": "{{ data.name }}", "extra": 1}, LINE)
    assert isinstance(found, list)
    assert sorted(p.code for p in found) == ["TSK404", "TSK404", "TSK412", "TSK413"]


def test_conditions() -> None:
    for text in (
        "data.ok",
        "{{ data.ok }} ",
        "{{ data.ok }}{{ data.ok }}",
        "{{ data.n }}",
        True,
        1,
        ["{{ data.ok }}"],
    ):
        result = condition(text)
        assert isinstance(result, list), text
        assert result[0].code == "TSK411", text
        assert result[0].help
    assert '"{{ data.ok }}"' in condition("data.ok")[0].help  # type: ignore[index]
    good = condition("{{ data.n > 3 and not data.ok }}")
    assert isinstance(good, Expression)
    assert good.type.kind == "boolean"


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("data.n", {("data", "n")}),
        ("data", {("data",)}),
        ("data.line?.price", {("data", "line", "price")}),
        ("data.lines[0].sku", {("data", "lines")}),
        ("data['n'] + meta.user_id|length if meta.user_id != null else now|part('hour')",
         {("data", "n"), ("meta", "user_id"), ("now",)}),
        ("sum(l.price for l in data.lines)", {("data", "lines")}),
        ("data.m[data.name]", {("data", "m"), ("data", "name")}),
        ("data.j.a.b", {("data", "j", "a", "b")}),
        ("1 + 1", set()),
    ],
)  # fmt: skip
def test_reads(source: str, reads: set[tuple[str, ...]]) -> None:
    expression = compiled("{{ " + source + " }}")
    assert expression.reads == reads
    assert expression.constant == (not reads)


def test_constants() -> None:
    assert compiled("x").constant
    assert compiled({"a": [1, "{{ 1 + 1 }}"]}).constant
    assert not compiled("{{ uuid() }}").constant
    assert not compiled({"a": "{{ now }}"}).constant


def test_personal_data_is_noticed() -> None:
    assert compiled("{{ data.email }}").personal
    assert compiled("to {{ data.email | lower }}").personal
    assert not compiled("{{ mask(data.email) }}").personal
    assert compiled("{{ to_json(data) }}").personal
    assert not compiled("{{ data.name }}").personal
    assert not compiled("{{ data.lines }}").personal


def test_scope_refuses_words_of_the_language() -> None:
    with pytest.raises(ValueError, match="`in`"):
        Scope({"in": STRING})
    with pytest.raises(ValueError, match="`identity`"):
        Scope({"identity": STRING})


def test_names_that_python_reserves_are_fine() -> None:
    scope = Scope({"class": record_of("class", lambda_=INTEGER, **{"def": INTEGER, "if": INTEGER})})
    expression = compiled("{{ class.def + class.if + class.lambda_ }}", scope=scope)
    assert expression({"def": 1, "if": 2, "lambda_": 3}) == 6


def test_warnings_do_not_stop() -> None:
    problems = Problems()
    assert compile_value(node_of("{{ 1 }}"), SCOPE, problems, JSON) is not None
    assert compile_value(node_of("{{ data.total }}"), SCOPE, problems, DECIMAL) is not None
    assert len(problems) == 0
