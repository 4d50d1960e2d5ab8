"""Templates: what they write, what they cannot reach, and how much they may take."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.expressions import ExpressionFailed, Scope
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.load import load_text
from tusk_runtime.language.source import Source, Span
from tusk_runtime.templates import Template, compile_template
from tusk_runtime.templates.sandbox import MAX_LENGTH, MAX_STEPS
from tusk_runtime.types import JSON

SCOPE = Scope({"data": JSON, "now": JSON}, "Europe/Berlin")
NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)


def node_of(text: str) -> ScalarNode:
    return ScalarNode(text, Span(Source("t.tsk", text), 0, len(text)), offsets=0)


def template(text: str, *, html: bool = False) -> Template:
    problems = Problems()
    found = compile_template(node_of(text), SCOPE, problems, "the text", html=html)
    problems.raise_if_errors()
    assert found is not None
    return found


def render(text: str, data: Any = None, *, html: bool = False) -> str:
    return template(text, html=html).render((data, NOW, b"the id"))


def failure(text: str, data: Any = None) -> str:
    with pytest.raises(ExpressionFailed) as failed:
        render(text, data)
    return failed.value.message


@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        ("no braces", None, "no braces"),
        ("{ one }", None, "{ one }"),
        ("a {{ data }}\n", Decimal("12.50"), "a 12.50\n"),
        ("{{ data }}", Decimal("1E+2"), "100"),
        ("{{ data }}", 5, "5"),
        ("{{ data }}", True, "true"),
        ("{{ data }}", date(2026, 1, 31), "2026-01-31"),
        ("{{ data }}", timedelta(hours=1), "PT1H"),
        ("{{ data }}", b"x", "eA=="),
        ("{{ data }}", "<b>&", "<b>&"),
        ("{{ now }}", None, "2026-01-31T12:30:00Z"),
        ("{{ now | format('%d.%m.%Y %H:%M') }}", None, "31.01.2026 13:30"),
        ("{{ now | format('%H:%M', 'UTC') }}", None, "12:30"),
        ("{{ data | format('%d.%m.') }}", date(2026, 1, 31), "31.01."),
        ("{{ now[:10] }}", None, "2026-01-31"),
        ("{{ data.items }} {{ data.keys | join('+') }}", {"items": 1, "keys": ["a", "b"]}, "1 a+b"),
        ("{{ data['a b'] }}{{ data.l[-1] }}{{ data.l[:1] | first }}", {"a b": 1, "l": [2, 3]}, "132"),
        ("{% for x in data %}\n{{ loop.index }}/{{ loop.length }} {{ x }}\n{% endfor %}\n", ["a", "b"], "1/2 a\n2/2 b\n"),
        ("{% for k, v in data.items() %}{% endfor %}", {}, None),
        ("{% for k, v in data | items %}{{ k }}={{ v }};{% endfor %}", {"a": 1, "b": 2}, "a=1;b=2;"),
        ("{% if data > 100 %}much{% else %}little{% endif %}", Decimal("100.01"), "much"),
        ("{{ data * 2 + 1 }}", Decimal("12.50"), "26.00"),
        ("{{ (data / 3) | round(2) }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 1 / 4 }}", Decimal("10"), "3.33 3 3 0.25"),
        ("{{ data | sum(attribute='x') }}", [{"x": Decimal("1.10")}, {"x": Decimal("2.20")}], "3.30"),
        ("{{ data | default('-') }}{{ data.x | default('+') }}", {}, None),
        ("{{ data.x | default('+') }}{{ data.y | d('-') }}", {"y": None}, "+-"),
        ("{{ data | map(attribute='a') | join(', ') }}", [{"a": 1}, {"a": 2}], "1, 2"),
        ("{% for g in data | groupby('a') %}{{ g.grouper }}:{{ g.list | length }} {% endfor %}", [{"a": 1}, {"a": 1}], "1:2 "),
        ("{{ data | tojson }}", {"a": [None, Decimal("1.0")]}, '{"a":[null,"1.0"]}'),
        ("{{ 'a' ~ data ~ 1 }}", "b", "ab1"),
        ("{{ data | replace('a', 'bb') | upper }}", "banana", "BBBNBBNBB"),
        ("{% set a = 1 %}{% set b, c = [2, 3] %}{{ a + b + c }}", None, "6"),
        ("{{ 'x' if data else 'y' }}{{ data or 'z' }}", None, "yz"),
        ("{{ range(3) | list | length }}", None, "3"),
    ],
)  # fmt: skip
def test_what_is_written(text: str, data: Any, expected: str | None) -> None:
    if expected is None:
        with pytest.raises((InvalidConfiguration, ExpressionFailed)):
            render(text, data)
    else:
        assert render(text, data) == expected


def test_a_page_is_escaped() -> None:
    """What data brings along; not what the file wrote, nor what it calls safe."""
    data = {"a": '<script>"', "b": "<b>"}
    assert (
        render("<p>{{ data.a }}</p>{{ data.b | safe }}", data, html=True) == "<p>&lt;script&gt;&#34;</p><b>"
    )
    assert render("{{ data.a ~ data.b }}{{ data | tojson }}", data, html=True).count("<") == 0
    assert render("{{ [data.a, data.b] | join('<br>') }}", data, html=True).count("<") == 0


@pytest.mark.parametrize(
    ("text", "data", "told"),
    [
        ("{{ data }}", None, "null is written"),
        ("{{ data | upper }}", None, "null is given to `upper`"),
        ("{{ data }}", [1], "a list or a map is written"),
        ("{{ data.x }}", {}, "there is no `x`"),
        ("{{ data.x.y }}", {}, "there is no `x`"),
        ("{{ data.x.y }}", {"x": "secret"}, "there is no `y`"),
        ("{{ data[data.k] }}", {"k": "secret"}, "a key or an element is not there"),
        ("{{ data[5] }}", [1], "a key or an element is not there"),
        ("{% for x in data %}{% endfor %}", None, "a value is null or of another type"),
        ("{{ data + 1 }}", "secret", "only numbers can be calculated with"),
        ("{{ data * 3 }}", "secret", "only numbers can be calculated with"),
        ("{{ 1 / data }}", 0, "divi"),
        ("{{ data > 5 }}", "secret", "a value is null or of another type"),
        ("{{ data + 0.5 }}", Decimal("1"), "a value is null or of another type"),
        ("{{ data | format('%Y') }}", "secret", "`format` has no result"),
        ("{{ data | round(1) }}", "secret", "only numbers"),
        ("{{ now | format('%Y', data) }}", "secret", "`format` has no result"),
        ("{{ data | join(data) }}", "secret" * 100_000, "a text is longer"),
    ],
)
def test_what_fails_says_why_and_nothing_personal(text: str, data: Any, told: str) -> None:
    message = failure(text, data)
    assert told in message
    assert "secret" not in message


def test_a_failure_is_told_at_its_line() -> None:
    problems, source = (
        Problems(),
        'a:\n  text: """\n    first\n      {{ data.x }}\n    {% for y in data.y %}\n      {{ y.z }}\n    {% endfor %}\n    """\n',
    )
    root: Any = load_text(source, "t.tsk", {}, problems).root
    node = root.get("a").get("text")
    found = compile_template(node, SCOPE, problems, "the text", html=False)
    assert found is not None
    with pytest.raises(ExpressionFailed) as failed:
        found.render(({"x": 1, "y": [{}]}, NOW, b""))
    assert failed.value.span is not None
    assert (failed.value.span.line, failed.value.span.text) == (6, "{{ y.z }}")


# ---- what it cannot reach -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{{ data.a.real }}",
        "{{ data.a['real'] }}",
        "{{ [data.a] | map(attribute='real') | join }}",
        "{{ data.__class__ }}",
        "{{ data['__class__'] }}",
        "{{ data | attr('__class__') }}",
        "{{ data.format('x') }}",
        "{{ self }}",
        "{{ self._TemplateReference__context }}",
        "{{ loop }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum }}",
        "{{ range.__class__ }}",
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in [1] %}{{ loop['__init__'] }}{% endfor %}",
        "{% for x in [1] %}{{ loop | tojson }}{% endfor %}",
        "{{ [data] | map(attribute='__class__') | list | tojson }}",
        "{{ [data] | map('attr', '__class__') | list }}",
        "{{ [data, data] | sort(attribute='__class__') | tojson }}",
        "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}",
        "{% include 'a' %}",
        "{% import 'a' as a %}",
        "{% from 'a' import b %}",
        "{% extends 'a' %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{% endmacro %}",
        "{% call a() %}{% endcall %}",
        "{% filter upper %}a{% endfilter %}",
        "{% autoescape false %}{{ data }}{% endautoescape %}",
        "{% with a = 1 %}{% endwith %}",
        "{% set a %}{% endset %}",
        "{{ data | @steps }}",
        "{{ data | xmlattr }}",
        "{{ range(1)() }}",
        "{% set range = data %}{{ range() }}",
    ],
)
def test_nothing_but_values_is_reached(text: str) -> None:
    """Refused when the file is loaded, or when it is written."""
    with pytest.raises((InvalidConfiguration, ExpressionFailed)):
        render(text, {"a": 1})


# ---- bounds ---------------------------------------------------------------------------------------

BIG = 100_000
EVERY: Mapping[str, tuple[str, Any]] = {
    "passes": ("{% for a in data %}{% for b in data %}{% endfor %}{% endfor %}", [0] * 10_000),
    "ranges": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", None),
    "a range": ("{% for a in range(10 * 1000 * 1000) %}{% endfor %}", None),
    "filters in loops": ("{% for a in data %}{% set x = data | sum %}{% endfor %}", [0] * 10_000),
    "lazy filters": (
        "{% for a in data %}{% set x = data | map('upper') | list %}{% endfor %}",
        ["a"] * 10_000,
    ),
    "chained filters": ("{{ data" + " | select('string')" * 20 + " | join }}", ["a"] * 10_000),
    "output": ("{% for a in data %}{{ data[0] }}{% endfor %}", ["x" * 1000] * 10_000),
    "joins": ("{{ data | join(data[0]) }}", ["x" * 10_000] * 10_000),
    "replaces": ("{{ data | replace('x', data) }}", "x" * BIG),
    "empty replaces": ("{{ data | replace('', data) }}", "x" * BIG),
    "doubling": ("{% set a = data %}" + "{% set a = a ~ a %}" * 60, "x"),
    "powers": ("{% set a = 10 %}" + "{% set a = a * a %}" * 60, None),
    "decimals": ("{% set a = data %}" + "{% set a = a * a %}" * 60, Decimal(10)),
    "repeating": ("{{ data * 1000000000 }}", "x"),
    "literal repeating": ("{{ 'x' * 1000000000 }}", None),
    "lists": ("{{ ([1] * 1000000000) | length }}", None),
    "places": ("{{ data | round(1000000000) }}", Decimal(1)),
    "a pattern": ("{{ now | format(data) }}", "%A" * 500_000),
}


@pytest.mark.parametrize("name", EVERY)
def test_everything_has_a_bound(name: str) -> None:
    """It ends with a failure, within a few seconds and without much memory."""
    text, data = EVERY[name]
    found = template(text)
    begin = time.perf_counter()
    with pytest.raises(ExpressionFailed):
        found.render((data, NOW, b""))
    assert time.perf_counter() - begin < 5


def test_what_is_within_the_bounds_is_written() -> None:
    """And each writing has all its steps: the one before leaves no trace."""
    found = template("{% for a in data %}{{ a }}{% endfor %}")
    for _ in range(3):
        assert len(found.render((["x" * 10] * (MAX_STEPS - 1), NOW, b""))) == 10 * (MAX_STEPS - 1)
    assert len(render("{{ data }}", "x" * MAX_LENGTH)) == MAX_LENGTH


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
        "{% for a in [1] %}" * 40 + "{% endfor %}" * 40,
        "{{ " + "not " * 5000 + "1 }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ " + "[" * 5000,
        "{{ x" * 20_000,
        "{{ a" + "|a" * 5000 + " }}",
    ],
)
def test_what_python_cannot_compile_is_told(text: str) -> None:
    with pytest.raises(InvalidConfiguration):
        template(text)


PIECES = st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", " ", "\n", "data", ".x", "for", "in", "if", "else", "endif", "endfor", "set",
     "=", "|", "upper", "join", "(", ")", "[", "]", "'a'", "1", ",", "~", "+", "is", "defined", "not", "null", "-", "a",
     "range", "loop", ".index", ":", "**", "recursive", "macro", "%", "\\", '"', "é"]
)  # fmt: skip


@given(
    st.lists(PIECES, max_size=25).map("".join), st.sampled_from([None, 1, "x", [1, {"x": 2}], {"x": None}])
)
def test_whatever_is_written_is_a_text_or_a_told_failure(text: str, data: Any) -> None:
    with suppress(InvalidConfiguration, ExpressionFailed):
        assert isinstance(render(text, data), str)


def test_what_is_read_is_known() -> None:
    """Also where only a loop or a condition reads it."""
    assert template("{% for x in data.l %}{{ x }}{% endfor %}").reads == {("data",)}
    assert template("{% if now %}a{% endif %}").reads == {("now",)}
    assert template("{% set data = 1 %}a").reads == frozenset()


def test_only_who_writes_templates_loads_jinja2() -> None:
    """It takes a while, and most applications send no e-mails, or plain ones."""
    code = (
        "import sys, tusk_runtime.model.build, tusk_runtime.consumers.acting; "
        "sys.exit('jinja2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
