"""The validator: what it takes, what it gives, and how it tells all problems in our words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tusk_runtime.errors import Invalid
from tusk_runtime.types import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    DURATION,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    UUID,
    Field,
    Record,
    Type,
    Validator,
    record_of,
)

LINE = record_of("OrderLine", sku=STRING, quantity=Type("integer", min=1), price=Type("decimal", places=2))
UUID_TEXT = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def take(type_: Type, value: Any) -> Any:
    """The value of a field `x` of a type, given as Python and as JSON where that is possible."""
    validator = Validator(Record("Thing", {"x": Field("x", type_)}))
    result = validator.python({"x": value})["x"]
    try:
        data = orjson.dumps({"x": value})
    except TypeError:
        return result
    again = validator.json(data)["x"]
    assert again == result
    assert type(again) is type(result)
    return result


def complaint(type_: Type, value: Any) -> str:
    with pytest.raises(Invalid) as caught:
        take(type_, value)
    (error,) = caught.value.details["errors"]
    assert error["field"].startswith("x")
    return str(error["message"]) + (f" [{error['help']}]" if "help" in error else "")


TAKEN: list[tuple[Type, Any, Any]] = [
    (STRING, "a", "a"),
    (STRING, "", ""),
    (Type("string", min=2, max=3), "äöü", "äöü"),
    (Type("string", pattern="[A-Z]+"), "ABC", "ABC"),
    (Type("email"), "anna@example.org", "anna@example.org"),
    (Type("email"), " anna@example.org ", "anna@example.org"),
    (Type("url"), "https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
    (UUID, UUID_TEXT, UUID_TEXT),
    (UUID, UUID_TEXT.upper(), UUID_TEXT),
    (UUID, UUID_TEXT.replace("-", ""), UUID_TEXT),
    (UUID, "{" + UUID_TEXT + "}", UUID_TEXT),
    (INTEGER, 12, 12),
    (INTEGER, "12", 12),
    (INTEGER, " -12 ", -12),
    (INTEGER, 12.0, 12),
    (INTEGER, Decimal("12.00"), 12),
    (INTEGER, 2**63 - 1, 2**63 - 1),
    (INTEGER, -(2**63), -(2**63)),
    (NUMBER, 1.5, 1.5),
    (NUMBER, 1, 1.0),
    (NUMBER, "1e300", 1e300),
    (DECIMAL, "12.50", Decimal("12.50")),
    (DECIMAL, 12.5, Decimal("12.5")),
    (DECIMAL, 0.1, Decimal("0.1")),
    (DECIMAL, 90, Decimal("90")),
    (DECIMAL, "1e3", Decimal("1000")),
    (DECIMAL, "9" * 38, Decimal("9" * 38)),
    (
        DECIMAL,
        "-0.00000000000000000000000000000000000001",
        Decimal("-0.00000000000000000000000000000000000001"),
    ),
    (Type("decimal", places=2), 90, Decimal("90.00")),
    (Type("decimal", places=2), "90.5", Decimal("90.50")),
    (Type("decimal", places=0), "90.0", Decimal("90")),
    (BOOLEAN, True, True),
    (BOOLEAN, "false", False),
    (Type("enum", values=("new", "1")), "new", "new"),
    (Type("enum", values=("new", "1")), 1, "1"),
    (JSON, {"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
    (JSON, None, None),
    (DATETIME, "2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
    (DATETIME, "2026-01-31T09:30:00.123456+02:00", datetime(2026, 1, 31, 7, 30, 0, 123456, tzinfo=UTC)),
    (DATETIME, "2026-01-31 09:30+0200", datetime(2026, 1, 31, 7, 30, tzinfo=UTC)),
    (DATETIME, "2026-01-31T09:30:00.123456789Z", datetime(2026, 1, 31, 9, 30, 0, 123456, tzinfo=UTC)),
    (DATE, "2026-01-31", date(2026, 1, 31)),
    (DURATION, "90s", timedelta(seconds=90)),
    (DURATION, "1h30m", timedelta(hours=1, minutes=30)),
    (DURATION, "P1DT2H", timedelta(days=1, hours=2)),
    (DURATION, "-PT0.5S", timedelta(seconds=-0.5)),
    (Type("bytes"), "AAEC", b"\x00\x01\x02"),
    (Type("list", item=INTEGER), [1, "2"], [1, 2]),
    (Type("list", item=STRING, unique=True), ["a", "b"], ["a", "b"]),
    (Type("map", item=DECIMAL), {"a": "1.0"}, {"a": Decimal("1.0")}),
    (STRING.or_null(), None, None),
    (LINE, {"sku": "a", "quantity": 1, "price": 9}, {"sku": "a", "quantity": 1, "price": Decimal("9.00")}),
]


@pytest.mark.parametrize(("type_", "value", "result"), TAKEN, ids=lambda v: str(v)[:30])
def test_taken(type_: Type, value: Any, result: Any) -> None:
    found = take(type_, value)
    assert found == result
    assert str(found) == str(result)
    assert type(found) is type(result)


REFUSED: list[tuple[Type, Any, str]] = [
    (STRING, 5, "must be a text, not the number 5"),
    (STRING, None, "must not be null"),
    (STRING, True, "must be a text, not a boolean"),
    (Type("string", min=2), "a", "must have at least 2 characters, not 1"),
    (Type("string", max=1), "ab", "must have at most 1 character, not 2"),
    (Type("string", pattern="[A-Z]+"), "AbC", "must match the pattern [A-Z]+, not 'AbC'"),
    (Type("string", pattern="[A-Z]+"), "ABC\n", "must match the pattern"),
    (Type("email"), "anna", "must be an e-mail address, not 'anna'"),
    (Type("url"), "example.org", "must be a URL"),
    (UUID, "a0eebc99", "must be a UUID, not 'a0eebc99'"),
    (INTEGER, 1.5, "must be an integer, not 1.5"),
    (INTEGER, "1.5", "must be an integer, not '1.5'"),
    (INTEGER, "１２", "must be an integer"),
    (INTEGER, True, "must be an integer, not a boolean"),
    (INTEGER, 2**63, "must fit into 64 bits"),
    (INTEGER, 1e300, "must be an integer"),
    (INTEGER, float("nan"), "must be an integer"),
    (Type("integer", min=1), 0, "must be at least 1, not 0"),
    (NUMBER, float("inf"), "must be a finite number"),
    (NUMBER, "NaN", "must be a number, not 'NaN'"),
    (NUMBER, "1_000", "must be a number"),
    (DECIMAL, "12,50", "must be a decimal number, not '12,50'"),
    (DECIMAL, Decimal("NaN"), "not a finite number"),
    (DECIMAL, "1" * 39, "a decimal holds 38 digits, this has 39"),
    (DECIMAL, 1e22, "a decimal holds" if False else ""),
    (DECIMAL, 0.1234567890123456789, "more digits than a JSON number keeps; give it as text"),
    (DECIMAL, True, "must be a decimal number, not a boolean"),
    (Type("decimal", places=2), "1.234", "has more than 2 decimal places"),
    (Type("decimal", max=Decimal(5)), "5.01", "must be at most 5, not 5.01"),
    (BOOLEAN, 1, "must be true or false, not 1"),
    (BOOLEAN, "yes", "must be true or false, not 'yes'"),
    (Type("enum", values=("new", "placed")), "plased", "must be one of new, placed, not 'plased' [did you mean `placed`?]"),
    (JSON, float("nan"), "holds a number that is not finite"),
    (JSON, [2**64], "more than 64 bits"),
    (DATETIME, "2026-01-31T09:30:00", "a datetime needs a time and an offset"),
    (DATETIME, "2026-02-30T09:30:00Z", "no such date or time"),
    (DATETIME, 1700000000, "must be a datetime, not the number"),
    (DATETIME, datetime(2026, 1, 1), "must have an offset"),
    (DATE, "31.01.2026", "must be a date such as `2026-01-31`, not '31.01.2026'"),
    (DATE, "2026-02-30", "no such date"),
    (DURATION, "3 months", "must be a duration such as `90s`"),
    (DURATION, 90, "must be a duration such as `90s`, not the number 90"),
    (Type("bytes"), "?", "must be base64, not '?'"),
    (Type("list", item=STRING), "a", "must be a list, not the text 'a'"),
    (Type("list", item=STRING, min=1), [], "must have at least 1 entry, not 0"),
    (Type("list", item=STRING, unique=True), ["a", "a"], "'a' stands there twice"),
    (Type("map", item=INTEGER), [1], "must be an object, not a list"),
    (Type("map", item=INTEGER), {1: 1}, "texts as keys"),
    (LINE, "a", "must be an object with the fields of OrderLine"),
    (STRING, "\ud800", "surrogate"),
    (STRING, "a\0", "holds the character U+0000"),
    (Type("string", pattern=r"[^\n]*"), "\0a", "holds the character U+0000"),
    (Type("list", item=STRING), ["a", "\0"], "holds the character U+0000"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "value", "message"), REFUSED, ids=lambda v: str(v)[:30])
def test_refused(type_: Type, value: Any, message: str) -> None:
    if not message:
        assert take(type_, value) == Decimal(10) ** 22
        return
    assert message in complaint(type_, value)


def test_all_problems_at_once_with_their_fields() -> None:
    record = record_of(
        "PlaceOrder", lines=Type("list", item=LINE), email=Type("email"), note=STRING.or_null()
    )
    assert record.record is not None
    with pytest.raises(Invalid) as caught:
        Validator(record.record).json(
            b'{"lines": [{"sku": 1, "quantity": 0, "prise": 3}, 5], "emial": "x", "email": "x"}'
        )
    assert str(caught.value) == "`lines[0].sku` must be a text, not the number 1 (and 6 more)"
    assert [(e["field"], e["message"], e.get("help", "")) for e in caught.value.details["errors"]] == [
        ("lines[0].sku", "must be a text, not the number 1", ""),
        ("lines[0].quantity", "must be at least 1, not 0", ""),
        ("lines[0].price", "is required", ""),
        ("lines[0].prise", "is not a field of OrderLine", "did you mean `price`?"),
        ("lines[1]", "must be an object with the fields of OrderLine, not the number 5", ""),
        ("email", "must be an e-mail address, not 'x'", ""),
        ("emial", "is not a field of PlaceOrder", "did you mean `email`?"),
    ]


def test_absent_null_and_default() -> None:
    record = Record(
        "Thing",
        {
            "a": Field("a", STRING.or_null()),
            "b": Field("b", INTEGER, 5),
            "c": Field("c", INTEGER.or_null(), 6),
            "d": Field("d", Type("list", item=STRING), []),
        },
    )
    validator = Validator(record)
    assert validator.python({}) == {"a": None, "b": 5, "c": 6, "d": []}
    assert validator.python({"a": None, "c": None}) == {"a": None, "b": 5, "c": 6, "d": []}
    assert validator.json(b"") == {"a": None, "b": 5, "c": 6, "d": []}
    validator.python({})["d"].append("x")
    assert validator.python({})["d"] == []
    with pytest.raises(Invalid, match="`b` must not be null"):
        validator.python({"b": None})


def test_unknown_fields_of_foreign_messages_are_ignored() -> None:
    record = record_of("Message", a=INTEGER, line=LINE).record
    assert record is not None
    data = {"a": 1, "zz": 2, "line": {"sku": "a", "quantity": 1, "price": 1, "more": 1}}
    found = Validator(record, "ignore").python(data)
    assert found == {"a": 1, "line": {"sku": "a", "quantity": 1, "price": Decimal("1.00")}}
    assert Validator(record, "ignore").python({**data, "a": "1"})["a"] == 1


@pytest.mark.parametrize("body", [b"{", b"[1", b"\xff", b"nul", b'{"a": NaN}', b"[]", b"5", b'"x"', b"null"])
def test_bodies_that_are_no_object(body: bytes) -> None:
    record = record_of("Thing", a=INTEGER).record
    assert record is not None
    with pytest.raises(Invalid) as caught:
        Validator(record).json(body)
    assert caught.value.details["errors"]


def test_no_words_of_pydantic_reach_the_caller() -> None:
    for type_, value, _ in REFUSED:
        try:
            take(type_, value)
        except Invalid as error:
            text = str(error) + str(error.details)
            assert "pydantic" not in text
            assert "http" not in text or "https://…" in text
            assert len(text) < 1000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["1", "1.50", "2026-01-31", "2026-01-31T00:00:00Z", "90s", "AAEC", "new", UUID_TEXT, "a@b.de", "https://x.y"])
    | st.decimals(allow_nan=True, allow_infinity=True, places=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "sku", "quantity", "price"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip

scalars = [
    STRING, Type("string", max=3), Type("email"), Type("url"), UUID, INTEGER, Type("integer", min=0), NUMBER, DECIMAL,
    Type("decimal", places=2, min=Decimal(0)), BOOLEAN, Type("enum", values=("new", "1")), JSON, DATETIME, DATE, DURATION,
    Type("bytes", max=3), Type("date", min=date(2026, 1, 1)), Type("string", pattern="[a-z0-9]*"),
]  # fmt: skip
types = st.recursive(
    st.sampled_from(scalars),
    lambda inner: st.builds(lambda t, n, u: Type("list", item=t, max=n, unique=u), inner, st.sampled_from([None, 2]), st.booleans())
    | st.builds(lambda t: Type("map", item=t), inner)
    | st.builds(lambda t: t.or_null(), inner)
    | st.just(LINE),
    max_leaves=3,
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(types, json_values)
def test_the_fast_way_and_the_slow_way_agree(type_: Type, value: Any) -> None:
    """What pydantic's core lets through is exactly what our own reader would give."""
    from tusk_runtime.types.reading import Reader

    record = Record("Thing", {"x": Field("x", type_)})
    validator = Validator(record)
    reader = Reader()
    slow = reader.record(record, {"x": value})
    decide = validator._build()
    try:
        fast = decide({"x": value})
    except ValueError:
        return
    assert not reader.issues
    assert fast == slow
    assert repr(fast) == repr(slow)


@settings(max_examples=400, deadline=None)
@given(types, json_values)
def test_nothing_but_invalid_comes_out(type_: Type, value: Any) -> None:
    validator = Validator(Record("Thing", {"x": Field("x", type_)}))
    try:
        found = validator.python({"x": value})
    except Invalid as error:
        problems = error.details["errors"]
    else:
        # What was accepted is accepted again, unchanged.
        again = validator.python(found)
        assert again == found
        return
    assert all(problem["message"] for problem in problems)
