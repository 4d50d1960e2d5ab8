"""Values fitted to the fields that they are written to: widened, completed, taken through constraints."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from expression_support import IDENTITY, LINE, LINES, META_VALUES, NOW, STATUS, VALUES, compiled, run

from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.types import (
    DATE,
    DECIMAL,
    DURATION,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    Field,
    Record,
    Type,
)

MONEY = Type("decimal", places=2)
WITH_DEFAULTS = Type(
    "record",
    record=Record(
        "Note",
        {
            "text": Field("text", STRING),
            "stars": Field("stars", INTEGER, 3),
            "by": Field("by", STRING.or_null()),
            "tags": Field("tags", Type("list", item=STRING), ["x"]),
            "due": Field("due", DATE.or_null(), date(2026, 1, 1)),
        },
    ),
)


@pytest.mark.parametrize(
    ("value", "expected", "result"),
    [
        ("{{ data.n }}", DECIMAL, Decimal(7)),
        ("{{ data.n }}", MONEY, Decimal("7.00")),
        ("{{ data.n }}", NUMBER, 7.0),
        ("{{ data.n + 1 }}", NUMBER.or_null(), 8.0),
        ("{{ data.opt }}", DECIMAL.or_null(), None),
        ("{{ data.total / 8 }}", MONEY, Decimal("18.75")),
        ("{{ 90 }}", MONEY, Decimal("90.00")),
        ("{{ 0.5 }}", NUMBER, 0.5),
        ("{{ data.f * 1 if data.ok else 0.5 }}", NUMBER, 2.5),
        ("{{ data.status }}", STRING, "placed"),
        ("{{ data.id }}", STRING, VALUES["id"]),
        ("{{ 'placed' if data.ok else 'new' }}", STATUS, "placed"),
        ("{{ '7d' }}", DURATION, timedelta(days=7)),
        ("{{ '2026-01-31' }}", DATE, date(2026, 1, 31)),
        ("{{ data.day ?? '2026-01-31' }}", DATE, date(2026, 1, 31)),
        ("{{ data.items }}", Type("list", item=DECIMAL), [Decimal(3), Decimal(1), Decimal(2)]),
        ("{{ [x * 2 for x in data.items] }}", Type("list", item=NUMBER), [6.0, 2.0, 4.0]),
        ("{{ data.m }}", Type("map", item=NUMBER), {"x": 1.0, "y": 2.0}),
        ("{{ {'a': 1, 'b': data.n} }}", Type("map", item=DECIMAL), {"a": Decimal(1), "b": Decimal(7)}),
        ("{{ {'sku': 'a', 'quantity': 1, 'price': data.n} }}", LINE, {"sku": "a", "quantity": 1, "price": Decimal(7)}),
        ("{{ data.j.a.b[1] }}", NUMBER, 2.5),
        ("{{ data.j.n }}", MONEY, Decimal("3.00")),
        ("{{ data.j.none }}", INTEGER.or_null(), None),
        ("{{ data.j.when }}", DATE, date(2026, 1, 1)),
        ("{{ data.lines }}", JSON, [
            {"sku": "a", "quantity": 2, "price": "1.50"}, {"sku": "b", "quantity": 1, "price": "3"}]),
        ("{{ data.day }}", JSON, "2026-01-31"),
        ("https://example.org/{{ data.n }}", Type("url"), "https://example.org/7"),
        ("placed", STATUS, "placed"),
        ("7d", DURATION, timedelta(days=7)),
        ("12", INTEGER, 12),
        (5, MONEY, Decimal("5.00")),
        (Decimal("0.5"), JSON, 0.5),
        (["{{ data.n }}", 2], Type("list", item=INTEGER), [7, 2]),
        ({"a": "{{ data.n }}"}, Type("map", item=DECIMAL), {"a": Decimal(7)}),
        ({"a": ["{{ data.total }}", "{{ now }}"], "b": None}, JSON,
         {"a": ["150.00", "2026-03-31T10:20:30.400000Z"], "b": None}),
        ({"a": [1, "x"]}, None, {"a": [1, "x"]}),
        ({"text": "hi {{ data.name }}"}, WITH_DEFAULTS,
         {"text": "hi Anna", "stars": 3, "by": None, "tags": ["x"], "due": date(2026, 1, 1)}),
        ([{"sku": "{{ data.name }}", "quantity": 1, "price": "2.5"}], LINES,
         [{"sku": "Anna", "quantity": 1, "price": Decimal("2.5")}]),
    ],
    ids=lambda v: str(v)[:40],
)  # fmt: skip
def test_fits(value: Any, expected: Type | None, result: Any) -> None:
    found = run(value, expected)
    assert found == result
    assert str(found) == str(result)
    assert type(found) is type(result)


CHECKED: list[tuple[Any, Type, str]] = [
    ("{{ data.zero }}", Type("integer", min=1), "at least 1"),
    ("{{ data.zero - 1 }}", Type("integer", min=0), "at least 0"),
    ("{{ data.n }}", Type("integer", max=0), "at most 0"),
    ("{{ data.total / 8 }}", Type("decimal", places=0), "is not whole"),
    ("{{ data.total / 7 }}", MONEY, "more than 2 decimal places"),
    ("{{ data.name }}", Type("string", max=3), "at most 3 characters"),
    ("{{ data.name }}", Type("string", pattern="[a-z]+"), "match the pattern"),
    ("{{ data.tags }}", Type("list", item=STRING, unique=True), "must not repeat"),
    ("{{ [l for l in data.lines if l.sku == 'z'] }}", Type("list", item=LINE, min=1), "at least 1 entry"),
    (["{{ data.n }}", "{{ data.n }}"], Type("list", item=INTEGER, unique=True), "must not repeat"),
    ("{{ data.items }}", Type("list", item=Type("integer", min=2)), "at least 2"),
    ("{{ data.j.a }}", INTEGER, "must be an integer"),
    ("{{ data.j.none }}", INTEGER, "must not be null"),
    ("{{ data.j.s }}", DATE, "must be a date"),
    ("{{ data.name }} x", Type("email"), "must be an e-mail address"),
]


@pytest.mark.parametrize(("value", "expected", "message"), CHECKED, ids=lambda v: str(v)[:40])
def test_constraints_hold_at_run_time(value: Any, expected: Type, message: str) -> None:
    expression = compiled(value, expected)
    with pytest.raises(ExpressionFailed, match=message):
        expression(NOW, META_VALUES, VALUES, identity=IDENTITY)


def test_nothing_is_checked_twice() -> None:
    """A field copied as it is costs no function call."""
    expression = compiled("{{ data.price }}", Type("decimal", places=2))
    assert not expression.globals
    assert compiled("{{ data.n > 3 and data.total < 5 }}").globals.keys() == {"Decimal 5"}
