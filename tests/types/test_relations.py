"""Which types widen to which, and the JSON Schema of types."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tusk_runtime.types import (
    ABSENT,
    DATE,
    DECIMAL,
    INTEGER,
    JSON,
    NULL,
    NUMBER,
    STRING,
    UUID,
    Field,
    Record,
    Type,
    assignable,
    json_schema,
    record_of,
)
from tusk_runtime.types.relations import same_form
from tusk_runtime.types.schema import PII

LINE = record_of("Line", sku=STRING, price=DECIMAL)
ENUM = Type("enum", values=("a", "b"))


@pytest.mark.parametrize(
    ("source", "target", "yes"),
    [
        (INTEGER, DECIMAL, True),
        (INTEGER, NUMBER, True),
        (DECIMAL, NUMBER, False),
        (NUMBER, DECIMAL, False),
        (DECIMAL, INTEGER, False),
        (UUID, STRING, True),
        (ENUM, STRING, True),
        (Type("email"), STRING, True),
        (STRING, UUID, False),
        (STRING, ENUM, False),
        (ENUM, Type("enum", values=("a", "b", "c")), True),
        (Type("enum", values=("a", "z")), ENUM, False),
        (STRING, STRING.or_null(), True),
        (STRING.or_null(), STRING, False),
        (NULL, STRING.or_null(), True),
        (NULL, STRING, False),
        (STRING, JSON, True),
        (STRING.or_null(), JSON, True),
        (JSON, STRING, True),
        (Type("list", item=INTEGER), Type("list", item=DECIMAL), True),
        (Type("list", item=INTEGER.or_null()), Type("list", item=INTEGER), False),
        (Type("list", item=INTEGER), Type("map", item=INTEGER), False),
        (Type("map", item=UUID), Type("map", item=STRING), True),
        (LINE, record_of("Other", sku=STRING, price=DECIMAL), True),
        (record_of("Less", sku=STRING), LINE, False),
        (record_of("Less", sku=STRING), record_of("Line", sku=STRING, note=STRING.or_null()), True),
        (record_of("More", sku=STRING, price=INTEGER, x=STRING), LINE, False),
        (LINE, Type("map", item=JSON), False),
        (DATE, Type("datetime"), False),
    ],
    ids=lambda v: str(v)[:30],
)
def test_assignable(source: Type, target: Type, yes: bool) -> None:
    assert assignable(source, target) == yes


CENTS = Type("decimal", places=2)


@pytest.mark.parametrize(
    ("source", "target", "yes"),
    [
        (INTEGER, INTEGER, True),
        (Type("integer", min=0), INTEGER, True),
        (INTEGER, Type("integer", min=0), False),
        (INTEGER, Type("integer", max=0), False),
        (Type("integer", min=1, max=5), Type("integer", min=0, max=9), True),
        (Type("integer", min=0), Type("integer", min=1), False),
        (Type("integer", max=10), Type("integer", max=9), False),
        (INTEGER, DECIMAL, False),
        (CENTS, DECIMAL, True),
        (Type("decimal", places=2, min=Decimal("0.01")), CENTS, True),
        (DECIMAL, CENTS, False),
        (DECIMAL, Type("decimal", places=0), False),
        (CENTS, Type("decimal", places=0), False),
        (Type("string", pattern="a+", max=3), STRING, True),
        (STRING, Type("string", pattern="a+"), False),
        (Type("string", pattern="b+"), Type("string", pattern="a+"), False),
        (UUID, STRING, True),
        (UUID, Type("string", max=40), False),
        (Type("list", item=INTEGER, unique=True), Type("list", item=INTEGER), True),
        (Type("list", item=INTEGER), Type("list", item=INTEGER, unique=True), False),
        (Type("list", item=Type("integer", min=1)), Type("list", item=Type("integer", min=0)), True),
        (Type("list", item=INTEGER), Type("list", item=Type("integer", min=0)), False),
    ],
)
def test_what_needs_no_check(source: Type, target: Type, yes: bool) -> None:
    assert same_form(source, target) is yes


@given(st.sampled_from([STRING, INTEGER, NUMBER, DECIMAL, JSON, ENUM, LINE, Type("list", item=LINE)]))
def test_every_type_fits_itself(type_: Type) -> None:
    assert assignable(type_, type_)
    assert assignable(type_, type_.or_null())
    assert assignable(type_.or_null(), type_.or_null())


def test_json_schema() -> None:
    record = Record(
        "PlaceOrder",
        {
            "sku": Field("sku", Type("string", min=1, max=9, pattern="[A-Z]+")),
            "price": Field("price", Type("decimal", places=2, min=Decimal(0))),
            "status": Field("status", ENUM.or_null()),
            "lines": Field("lines", Type("list", item=LINE, min=1, unique=True), ABSENT),
            "extra": Field("extra", Type("map", item=NUMBER), {}),
            "day": Field("day", DATE, date(2026, 1, 1)),
            "who": Field("who", Type("email", optional=True, pii=True)),
            "any": Field("any", JSON),
        },
    )
    line = {
        "type": "object",
        "title": "Line",
        "properties": {
            "sku": {"type": "string"},
            "price": {"type": ["string", "number"], "format": "decimal", "pattern": r"^-?\d+(?:\.\d+)?$"},
        },
        "additionalProperties": False,
        "required": ["sku", "price"],
    }
    assert PII["x-pii"] is True
    assert json_schema(Type("record", record=record)) == {
        "type": "object",
        "title": "PlaceOrder",
        "properties": {
            "sku": {"type": "string", "pattern": "^(?:[A-Z]+)$", "minLength": 1, "maxLength": 9},
            "price": {
                "type": ["string", "number"], "format": "decimal", "pattern": r"^-?\d+(?:\.\d{1,2})?$", "minimum": 0.0,
            },
            "status": {"type": ["string", "null"], "enum": ["a", "b", None]},
            "lines": {"type": "array", "items": line, "uniqueItems": True, "minItems": 1},
            "extra": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}},
            "day": {"type": "string", "format": "date", "default": "2026-01-01"},
            "who": {"type": ["string", "null"], "format": "email", **PII},
            "any": {},
        },
        "additionalProperties": False,
        "required": ["sku", "price", "lines", "any"],
    }  # fmt: skip
    assert json_schema(JSON.or_null()) == {}
    assert json_schema(Type("decimal", places=0))["pattern"] == r"^-?\d+$"
