"""What fails at run time: the exact part of the file, the reason, the values; also out of fused functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import traceback
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from expression_support import (
    IDENTITY,
    META_VALUES,
    NOW,
    SCOPE,
    VALUES,
    compiled,
    failure,
    text_node,
    try_compile,
)

from tusk_runtime.expressions import (
    Expression,
    ExpressionFailed,
    Missing,
    Scope,
    compile_condition,
    compile_value,
    explain,
    fuse,
)
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.types import DATE, DURATION, INTEGER, JSON, STRING, Type, personal, record_of

FAILURES: list[tuple[str, str, str, dict[str, str]]] = [
    ("1 + data.n / data.zero", "data.n / data.zero", "division by zero", {"data.n": "7", "data.zero": "0"}),
    ("data.n // data.zero", "data.n // data.zero", "division by zero", {"data.zero": "0"}),
    ("data.total % data.zero", "data.total % data.zero", "division by zero", {"data.total": "150.00"}),
    ("data.f / data.zero", "data.f / data.zero", "division by zero", {}),
    ("data.span / (data.span - data.span)", "data.span / (data.span - data.span)", "division by zero", {}),
    ("data.n + data.items[7]", "data.items[7]", "there is no index 7 in 3 entries", {"data.items": "[3, 1, 2]"}),
    ("[data.items[x] for x in data.items]", "data.items[x]", "there is no index 3", {"x": "3"}),
    ("data.m.z", "data.m.z", "there is no key 'z'; there are 'x', 'y'", {"data.m": "{x: 1, y: 2}"}),
    ("data.m['z']", "data.m['z']", "there is no key 'z'", {}),
    ("data.j.a.c.d", "data.j.a.c", "there is no key 'c'", {}),
    ("data.j.n.x", "data.j.n.x", "there is no 'x' in 3", {"data.j.n": "3"}),
    ("data.big * data.n", "data.big * data.n", "64 bits", {"data.big": "4611686018427387904"}),
    ("(data.big + data.big) > 1", "(data.big + data.big)", "64 bits", {}),
    ("data.f * 1e300 * 1e300", "data.f * 1e300 * 1e300", "not a finite number", {}),
    ("data.total * 99999999999999999999999999999999999999", "data.total * 99999999999999999999999999999999999999",
     "38 digits", {}),
    ("integer(data.name)", "integer(data.name)", "must be an integer, not 'Anna'", {"data.name": "'Anna'"}),
    ("date(data.name) == data.day", "date(data.name)", "must be a date", {}),
    ("data.day + data.span", "data.day + data.span", "whole days", {"data.span": "P1DT2H3M4.5S"}),
    ("data.at + data.span * 99999999", "data.at + data.span * 99999999", "out of range", {}),
    ("data.j.s + 1", "data.j.s", "must be an integer, not '7d'", {}),
    ("data.j.a.b[3] > 1", "data.j.a.b[3]", "must not be null", {}),
    ("[l.sku for l in data.lines if data.j.s > 1]", "data.j.s", "must be an integer", {}),
    ("sum(l.quantity / data.zero for l in data.lines)", "l.quantity / data.zero", "division by zero",
     {"l.quantity": "2", "data.zero": "0"}),
    ("any(l.quantity // data.zero > 1 for l in data.lines)", "l.quantity // data.zero", "division by zero", {}),
    ("data.m.z ?? (1 // data.zero)", "1 // data.zero", "division by zero", {}),
    ("string(data.j.a)", "string(data.j.a)", "has no text", {}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "place", "message", "values"), FAILURES, ids=lambda v: str(v)[:40])
def test_failure(source: str, place: str, message: str, values: dict[str, str]) -> None:
    found = failure(source)
    assert found.span is not None
    assert found.span.text.strip("()") == place.strip("()")
    assert message in found.message
    assert values.items() <= dict(found.values).items()
    assert all(len(text) <= 200 and len(value) <= 80 for text, value in found.values)


def test_place_on_a_later_line() -> None:
    expression = compiled(text_node("a {{ data.name }} b {{ data.n // data.zero }}", line=12))
    with pytest.raises(ExpressionFailed, match=r"app\.tsk:12:30: division by zero") as caught:
        expression(NOW, META_VALUES, VALUES, identity=IDENTITY)
    assert caught.value.span is not None
    assert caught.value.span.text == "data.n // data.zero"


def test_place_in_a_text_with_escapes() -> None:
    """One offset per character: the file writes quotes as escapes."""
    written = r'x: "{{ data.m[\"z\"] + 1 }}"'
    value = '{{ data.m["z"] + 1 }}'
    offsets = []
    at = 4
    for char in value:
        offsets.append(at)
        at += 2 if char == '"' else 1
    node = ScalarNode(value, Source("app.tsk", written).span(3, len(written)), True, [*offsets, at])
    with pytest.raises(ExpressionFailed) as caught:
        compiled(node)(NOW, META_VALUES, VALUES, identity=IDENTITY)
    assert caught.value.span is not None
    assert caught.value.span.text == r"data.m[\"z\"]"


def test_place_in_a_text_put_together_at_load() -> None:
    source = Source("app.tsk", "x: $y\n")
    node = ScalarNode("{{ data.n // data.zero }}", source.span(3, 5))
    with pytest.raises(ExpressionFailed) as caught:
        compiled(node)(NOW, META_VALUES, VALUES, identity=IDENTITY)
    assert caught.value.span is not None
    assert caught.value.span.text == "$y"


def test_umlauts_before_the_place() -> None:
    expression = compiled(text_node("{{ 'äöü€😀' + string(data.n // data.zero) }}"))
    with pytest.raises(ExpressionFailed) as caught:
        expression(NOW, META_VALUES, VALUES, identity=IDENTITY)
    assert caught.value.span is not None
    assert caught.value.span.text == "data.n // data.zero"


def test_fused_functions() -> None:
    """Many expressions in one function: one call, and still the exact place, also over several files."""
    other = Source("other.tsk", 'b: "{{ data.n // data.zero }}"')
    one = compiled("{{ data.n * 2 }}")
    two = compiled("{{ sum(l.quantity for l in data.lines) }}")
    three = try_compile(ScalarNode("{{ data.n // data.zero }}", other.span(3, 30), True, 4))
    assert isinstance(three, Expression)
    keys: list[ast.expr | None] = [ast.Constant("one"), ast.Constant("two"), ast.Constant("three")]
    body: list[ast.stmt] = [ast.Return(ast.Dict(keys, [one.body, two.body, three.body]))]
    namespace = {**one.globals, **two.globals, **three.globals}
    run = fuse("emit", (*one.parameters, "identity"), body, namespace)
    assert run(NOW, {}, {**VALUES, "zero": 2}, b"") == {"one": 14, "two": 3, "three": 3}
    with pytest.raises(ZeroDivisionError) as caught:
        run(NOW, {}, VALUES, b"")
    failed = explain(caught.value)
    assert str(failed) == "other.tsk:1:8: division by zero"
    assert dict(failed.values) == {"data.n": "7", "data.zero": "0"}
    # The expressions still work on their own.
    assert one(NOW, {}, VALUES) == 14


def test_data_that_breaks_its_type() -> None:
    found = failure("data.lines[0].price + 1", lines=[{"sku": "a"}])
    assert "there is no 'price'" in found.message
    found = failure("data.n + 1", n=None)
    assert "null or of another type" in found.message
    found = failure("data.total + 1", total="x")
    assert found.message


def test_explain_without_a_place() -> None:
    failed = explain(ValueError("x"))
    assert failed.span is None
    assert failed.values == ()
    assert explain(failed) is failed


def test_python_shows_the_file_in_its_own_tracebacks() -> None:
    expression = compiled(text_node("{{ data.n // data.zero }}", line=5))
    try:
        expression.function(NOW, META_VALUES, VALUES, b"")
    except ZeroDivisionError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        assert (frame.filename, frame.lineno, frame.colno) == ("app.tsk", 5, 9)


def test_compiling_waits_for_the_first_call() -> None:
    problems = Problems()
    expression = compile_value(text_node("{{ data.n + 1 }}"), SCOPE, problems)
    assert expression is not None
    assert expression._function is None
    assert expression(NOW, {}, VALUES) == 8
    assert expression._function is not None


def test_values_are_bounded() -> None:
    found = failure("data.m[data.name]", name="x" * 50_000, m={f"key {i}": i for i in range(500)})
    assert len(found.message) < 300
    assert all(len(value) <= 80 for _, value in found.values)


def test_without_columns_the_line_is_told() -> None:
    """Python may run with -X no_debug_ranges."""
    code = (
        "from expression_support import *\n"
        "e = compiled(text_node('{{ 1 + data.n // data.zero }}', line=4))\n"
        "try: e(NOW, META_VALUES, VALUES)\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "no_debug_ranges", "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("app.tsk:4:"), done.stdout + done.stderr


def test_decimals_stay_exact_under_another_context() -> None:
    """Whoever changes the thread's decimal context does not change results."""
    import decimal

    with decimal.localcontext() as context:
        context.prec = 3
        assert compiled("{{ data.total * 1.23456 + 1 }}")(NOW, {}, VALUES) == Decimal("186.1840000")
        assert compiled("{{ -(data.total + 0.12345) }}")(NOW, {}, VALUES) == Decimal("-150.12345")
        assert compiled("{{ sum([data.total, 0.12345]) }}")(NOW, {}, VALUES) == Decimal("150.12345")
        assert compiled("{{ abs(-(data.total + 0.12345)) }}")(NOW, {}, VALUES) == Decimal("150.12345")


PERSONAL = record_of(
    "data",
    phone=personal(STRING),
    words=Type("list", item=personal(STRING)),
    notes=personal(JSON),
    by_name=personal(Type("map", item=INTEGER)),
    days=personal(DURATION),
    day=DATE,
    note=STRING,
    n=INTEGER,
    zero=INTEGER,
)
PERSONAL_VALUES = {
    "phone": "secret",
    "words": ["secret"],
    "notes": {"secret": "secret"},
    "by_name": {"secret": 1},
    "days": timedelta(hours=5, seconds=7),
    "day": date(2026, 1, 1),
    "note": "note",
    "n": 3,
    "zero": 0,
}


@pytest.mark.parametrize(
    ("source", "message", "values"),
    [
        ("integer(data.phone)", "must be an integer, not ***", {"data.phone": "***"}),
        ("decimal(data.phone)", "must be a decimal number, not ***", {}),
        ("date(data.phone)", "must be a date such as `2026-01-31`, not ***", {}),
        ("data.words[4]", "there is no index 4 in 1 entries", {"data.words": "***"}),
        ("data.notes.name", "there is no such key", {"data.notes": "***"}),
        ("data.notes.secret.more", "there is no *** in ***", {}),
        ("data.notes.secret + 1", "must be an integer, not ***", {}),
        ("data.by_name.other", "there is no such key", {"data.by_name": "***"}),
        ("data.by_name[data.phone + '!']", "there is no such key", {"data.phone + '!'": "***"}),
        ("data.day + data.days", "a date moves by whole days only, not by ***", {"data.days": "***"}),
        ("length(data.notes.secret) // data.zero", "division by zero", {"data.zero": "0"}),
        ("5 in data.notes.secret", "nothing can be in ***", {}),
        # What is not personal is told, also beside what is.
        ("integer(data.note)", "must be an integer, not 'note'", {"data.note": "'note'"}),
        ("data.n // data.zero", "division by zero", {"data.n": "3"}),
    ],
    ids=str,
)
def test_personal_data_is_masked(source: str, message: str, values: dict[str, str]) -> None:
    expression = compiled("{{ " + source + " }}", scope=Scope({"data": PERSONAL}))
    with pytest.raises(ExpressionFailed) as caught:
        expression(PERSONAL_VALUES)
    found = caught.value
    assert message in found.message
    assert values.items() <= dict(found.values).items()
    assert "secret" not in str(found) + str([value for _, value in found.values])


def test_what_does_not_fit_a_personal_place_is_masked() -> None:
    marked = personal(Type("string", max=3))
    for expected, told in (
        (marked, "at most 3 characters"),
        (personal(INTEGER), "must be an integer, not ***"),
    ):
        source = "{{ data.phone }}" if expected is marked else "{{ data.notes.secret }}"
        expression = compiled(source, expected, Scope({"data": PERSONAL}))
        with pytest.raises(ExpressionFailed, match=re.escape(told)) as caught:
            expression(PERSONAL_VALUES)
        assert "secret" not in str(caught.value) + str([value for _, value in caught.value.values])


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("data.a == 1", True),
        ("data.list[3] == 1", True),
        ("data.null.a == 1", True),
        ("data.list[0] == 1 or data.a == 1", True),
        ("data.list.a == 1", False),
        ("integer(data.text) == 1", False),
        ("1 // data.zero == 1", False),
    ],
)
def test_what_is_missing_is_told_apart(source: str, missing: bool) -> None:
    problems = Problems()
    text = "{{ " + source + " }}"
    node = ScalarNode(text, Source("app.tsk", text).span(0, len(text)), quoted=True)
    condition = compile_condition(node, Scope({"data": JSON}), problems)
    assert condition is not None, list(problems)
    with pytest.raises(ExpressionFailed) as caught:
        condition({"list": [0], "null": None, "text": "x", "zero": 0})
    assert caught.value.missing is missing
    with pytest.raises(Exception) as bare:
        condition.function({"list": [0], "null": None, "text": "x", "zero": 0}, b"")
    assert isinstance(bare.value, Missing) is missing
