"""Properties over random expressions and values."""

from __future__ import annotations

import decimal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from expression_support import IDENTITY, META_VALUES, NOW, VALUES, compiled, evaluate, is_of, try_compile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tusk_runtime.expressions import FUNCTIONS, Expression, ExpressionFailed

WIDE = decimal.Context(prec=200)

integers = st.integers(-(2**63), 2**63 - 1)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12)
fields = st.sampled_from(["data." + name for name in VALUES] + ["now", "meta.user_id", "x"])
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(source: str, **changes: Any) -> Any:
    """The value, or None where it failed as it may."""
    try:
        return evaluate(source, **changes)
    except ExpressionFailed:
        return None


@relaxed
@given(integers, integers, st.sampled_from(["+", "-", "*", "//", "%"]))
def test_integers_are_exact_or_fail(a: int, b: int, op: str) -> None:
    expected: int | None
    if op in ("//", "%") and b == 0:
        expected = None
    else:
        expected = {
            "+": int.__add__,
            "-": int.__sub__,
            "*": int.__mul__,
            "//": int.__floordiv__,
            "%": int.__mod__,
        }[op](a, b)
        if not -(2**63) <= expected < 2**63:
            expected = None
    assert outcome(f"data.n {op} data.big", n=a, big=b) == expected


@relaxed
@given(decimals, decimals, st.sampled_from(["+", "-", "*"]))
def test_decimals_are_exact_or_fail(a: Decimal, b: Decimal, op: str) -> None:
    expected = {"+": WIDE.add, "-": WIDE.subtract, "*": WIDE.multiply}[op](a, b)
    assert outcome(f"data.total {op} data.price", total=a, price=b) == expected


@relaxed
@given(decimals, decimals)
def test_quotients_have_28_digits(a: Decimal, b: Decimal) -> None:
    expected = decimal.Context(prec=28).divide(a, b) if b else None
    result = outcome("data.total / data.price", total=a, price=b)
    if expected is None or abs(expected) > Decimal("1e-10"):
        assert result == expected
    whole, rest = (
        outcome("data.total // data.price", total=a, price=b),
        outcome("data.total % data.price", total=a, price=b),
    )
    if b:
        assert whole * b + rest == a
        assert 0 <= abs(rest) < abs(b)
        assert rest == 0 or (rest < 0) == (b < 0)


@relaxed
@given(st.lists(decimals, max_size=20))
def test_sums_are_exact(prices: list[Decimal]) -> None:
    lines = [{"sku": "a", "quantity": 1, "price": price} for price in prices]
    assert evaluate("sum(l.price for l in data.lines)", lines=lines) == sum(prices, Decimal(0))


@relaxed
@given(decimals, st.integers(0, 6), st.sampled_from(["half_up", "half_even", "down", "up"]))
def test_rounding_is_pythons(value: Decimal, places: int, mode: str) -> None:
    rounding = {"half_up": decimal.ROUND_HALF_UP, "half_even": decimal.ROUND_HALF_EVEN, "down": decimal.ROUND_DOWN,
                "up": decimal.ROUND_UP}[mode]  # fmt: skip
    result = evaluate(f"round(data.total, {places}, '{mode}')", total=value)
    assert str(result) == str(value.quantize(Decimal(1).scaleb(-places), rounding, WIDE))


@relaxed
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(-9999), timedelta(9999)),
)
def test_time_goes_there_and_back(moment: datetime, span: timedelta) -> None:
    assert evaluate("data.at + data.span - data.span == data.at", at=moment, span=span)
    assert evaluate("(data.at + data.span) - data.at == data.span", at=moment, span=span)


@relaxed
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_days_and_hours_begin_before_what_they_hold(moment: datetime, zone: str) -> None:
    assert evaluate(
        f"hour(data.at, '{zone}') <= data.at and data.at - hour(data.at, '{zone}') < '1h'", at=moment
    )
    assert evaluate(f"datetime(day(data.at, '{zone}'), '{zone}') <= data.at", at=moment)
    assert evaluate(f"week(data.at, '{zone}') <= day(data.at, '{zone}')", at=moment)
    assert evaluate(f"part(week(data.at, '{zone}'), 'weekday') == 1", at=moment)


@relaxed
@given(st.text(max_size=200), st.text(max_size=5), st.text(max_size=5))
def test_text_functions_are_pythons(text: str, a: str, b: str) -> None:
    if a:
        assert evaluate("replace(data.text, data.get, data.keys)", text=text, get=a, keys=b) == text.replace(
            a, b
        )
        assert evaluate("join(split(data.text, data.get), data.get)", text=text, get=a) == text
    assert evaluate(
        "(data.get in data.text) == (length(split(data.text, data.get)) > 1)", text=text, get=a or "x"
    )


def _expressions() -> st.SearchStrategy[str]:
    literals = st.sampled_from(
        ["1", "0", "0.5", "'a'", "'7d'", "'2026-01-01'", "'placed'", "null", "true", "[]", "[1]", "{}"]
    )
    leaves = st.one_of(literals, fields)

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        binary = st.sampled_from(
            ["+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "in", "not in", "and", "or", "??"]
        )
        pair = st.tuples(inner, inner)
        return st.one_of(
            st.tuples(inner, binary, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
            pair.map(lambda p: f"[{p[0]} for x in {p[1]}]"),
            st.tuples(inner, inner, inner).map(lambda p: f"[{p[0]} for x in {p[1]} if {p[2]}]"),
            st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=3)).map(
                lambda p: f"{p[0]}({', '.join(p[1])})"
            ),
            pair.map(lambda p: f"[{p[0]}, {p[1]}]"),
            pair.map(lambda p: f"{{'sku': {p[0]}, 'b': {p[1]}}}"),
            pair.map(lambda p: f"{p[0]}[{p[1]}]"),
            st.tuples(inner, st.sampled_from(["sku", "price", "x", "a", "b"])).map(
                lambda p: f"{p[0]}?.{p[1]}"
            ),
            st.tuples(inner, st.sampled_from(["sku", "price", "x", "a", "b"])).map(
                lambda p: f"{p[0]}.{p[1]}"
            ),
            inner.map(lambda p: f"(not {p})"),
            inner.map(lambda p: f"(-{p})"),
            st.tuples(inner, inner, inner).map(lambda p: f"{p[0]}[{p[1]}:{p[2]}]"),
        )

    return st.recursive(leaves, extend, max_leaves=8)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_expressions())
def test_no_expression_breaks_the_compiler_or_the_run(source: str) -> None:
    """Checked, it gives a value of its type or fails in words; never anything else."""
    result = try_compile("{{ " + source + " }}")
    if not isinstance(result, Expression):
        for problem in result:
            assert problem.message
            assert problem.span.text in source or "{{" in problem.span.text
        return
    try:
        value = result(NOW, META_VALUES, VALUES, identity=IDENTITY)
    except ExpressionFailed as error:
        failed = error
    else:
        assert is_of(value, result.type), (value, str(result.type))
        return
    assert failed.span is not None
    assert failed.span.text.strip()
    # What the checker let through never fails for its types.
    assert "of another type than declared" not in failed.message


@settings(max_examples=600, deadline=None)
@given(st.text(alphabet="abxdat.?[](){}|+-*/%=!<>'\", 019:\\nif orelse&~@$#é\n\t", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    for value in ("{{ " + text + " }}", "{{" + text, text):
        try_compile(value)


@relaxed
@given(integers, decimals, st.text(max_size=30))
def test_the_same_values_give_the_same(n: int, total: Decimal, text: str) -> None:
    source = "{{ [uuid(data.n, data.total, data.text), to_json(data.j), string(now), sort(data.items) | join('-')] }}"
    expression = compiled(source)
    changed = {**VALUES, "n": n, "total": total, "text": text}
    one = expression(NOW, META_VALUES, changed, identity=IDENTITY)
    assert compiled(source)(NOW, META_VALUES, changed, identity=IDENTITY) == one


@pytest.mark.parametrize("a", ["data.opt", "data.word", "data.line", "data.maybe", "data.due"])
def test_null_never_slips_through(a: str) -> None:
    """No operator takes a value that may be null, alone or behind a test that does not settle it."""
    for wrong in (
        f"{a} + {a}",
        f"{a} < {a}",
        f"-{a}",
        f"{a}.x",
        f"{a} and true",
        f"lower({a})",
        f"[{a}] | sum",
    ):
        for source in (wrong, f"({wrong}) if {a} == null else null", f"{a} == null and ({wrong}) == null"):
            assert isinstance(try_compile("{{ " + source + " }}"), list), source
