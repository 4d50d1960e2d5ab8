"""Stored JSON and columns: every value comes back as it was."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    decoder,
    encode_default,
    from_column,
    record_of,
    to_column,
    to_json,
)
from tusk_runtime.types.values import format_duration, parse_duration, show

finite = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=6)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(fold=0)
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=10),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "decimal": finite,
    "boolean": st.booleans(),
    "datetime": moments,
    "date": st.dates(),
    "duration": st.timedeltas(timedelta(-100_000), timedelta(100_000)),
    "bytes": st.binary(max_size=10),
    "uuid": st.uuids().map(str),
}
SCALARS = [STRING, INTEGER, NUMBER, DECIMAL, BOOLEAN, DATETIME, DATE, DURATION, Type("bytes"), UUID]


def values(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a type."""
    strategy: st.SearchStrategy[Any]
    if type_.kind == "list":
        strategy = st.lists(values(type_.entry), max_size=3)
    elif type_.kind == "map":
        strategy = st.dictionaries(st.text(max_size=5), values(type_.entry), max_size=3)
    elif type_.kind == "record":
        strategy = st.fixed_dictionaries({name: values(field.type) for name, field in type_.fields.items()})
    else:
        strategy = VALUES[type_.kind]
    return strategy | st.none() if type_.optional else strategy


def spelled(value: Any) -> bytes:
    """A text that tells 1 from 1.0 and 1.5 from 1.50, whatever the order of keys."""
    return orjson.dumps(value, default=encode_default, option=orjson.OPT_SORT_KEYS)


types = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        inner.map(lambda t: Type("list", item=t))
        | inner.map(lambda t: Type("map", item=t))
        | inner.map(lambda t: t.or_null())
        | st.dictionaries(st.sampled_from(["a", "b", "get", "value"]), inner, min_size=1, max_size=3).map(
            lambda fields: record_of("R", **fields)
        )
    ),
    max_leaves=5,
)
typed = types.flatmap(lambda t: st.tuples(st.just(t), values(t)))


@settings(max_examples=400, deadline=None)
@given(typed)
def test_json_round_trip(case: tuple[Type, Any]) -> None:
    type_, value = case
    decode = decoder(type_)
    stored = orjson.loads(to_json(value))
    back = decode(stored) if decode else stored
    assert back == value
    assert spelled(back) == spelled(value)


@settings(max_examples=400, deadline=None)
@given(typed)
def test_column_round_trip(case: tuple[Type, Any]) -> None:
    type_, value = case
    encode, decode = to_column(type_), from_column(type_)
    stored = encode(value) if encode else value
    assert stored is None or type(stored) in (str, int, float, bytes)
    back = decode(stored) if decode else stored
    assert back == value
    assert spelled(back) == spelled(value)


@given(st.lists(moments, min_size=2, max_size=5))
def test_the_order_of_texts_is_the_order_of_moments(several: list[datetime]) -> None:
    encode = to_column(DATETIME)
    assert encode is not None
    assert sorted(several) == [datetime.fromisoformat(text) for text in sorted(map(encode, several))]
    assert len({len(encode(moment)) for moment in several}) == 1


def test_columns_as_documented() -> None:
    cases: list[tuple[Type, Any, Any]] = [
        (DATETIME, datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00.000000Z"),
        (DATE, date(2026, 1, 31), "2026-01-31"),
        (DECIMAL, Decimal("90.00"), "90.00"),
        (DECIMAL, Decimal("1E+3"), "1000"),
        (BOOLEAN, True, 1),
        (DURATION, timedelta(seconds=1.5), 1_500_000),
        (JSON, {"a": [1]}, '{"a":[1]}'),
        (Type("list", item=DECIMAL), [Decimal("1.50")], '["1.50"]'),
    ]
    for type_, value, stored in cases:
        encode = to_column(type_)
        assert encode is not None
        assert encode(value) == stored
        assert encode(None) is None
    for identity in (STRING, INTEGER, UUID, NUMBER, Type("bytes"), Type("enum", values=("a",))):
        assert to_column(identity) is None


def test_json_forms() -> None:
    value = {
        "at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "day": date(2026, 1, 31),
        "price": Decimal("90.00"),
        "tiny": Decimal("1E-10"),
        "span": timedelta(days=1, hours=2, seconds=0.5),
        "raw": b"\x00\x01",
        "n": None,
    }
    assert to_json(value) == (
        b'{"at":"2026-01-31T09:30:00Z","day":"2026-01-31","price":"90.00","tiny":"0.0000000001",'
        b'"span":"P1DT2H0.5S","raw":"AAE=","n":null}'
    )
    with pytest.raises(TypeError, match="set"):
        encode_default({1})


def test_older_data_is_read() -> None:
    """Absent fields become null or the default, unknown ones are dropped."""
    line = record_of("Line", sku=STRING, price=DECIMAL)
    record = Record(
        "OrderPlaced",
        {
            "lines": Field("lines", Type("list", item=line)),
            "note": Field("note", STRING.or_null()),
            "stars": Field("stars", INTEGER, 3),
            "tags": Field("tags", Type("list", item=STRING), []),
            "due": Field("due", DATE, date(2026, 1, 1)),
            "total": Field("total", DECIMAL),
        },
    )
    decode = decoder(Type("record", record=record))
    assert decode is not None
    found = decode({"lines": [{"sku": "a", "price": "1.50", "old": 1}], "gone": 1})
    assert found == {
        "lines": [{"sku": "a", "price": Decimal("1.50")}],
        "note": None,
        "stars": 3,
        "tags": [],
        "due": date(2026, 1, 1),
        "total": None,
    }
    found["tags"].append("x")
    assert decode({})["tags"] == []
    assert decode(None) is None


def test_nothing_to_decode() -> None:
    assert decoder(STRING) is None
    assert decoder(Type("list", item=INTEGER)) is None
    assert decoder(JSON) is None


@given(st.timedeltas(timedelta(-100_000), timedelta(100_000)))
def test_durations_are_read_as_written(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90s", timedelta(seconds=90)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("100ms", timedelta(milliseconds=100)),
        ("1h 30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("-5s", timedelta(seconds=-5)),
        ("P1W", timedelta(weeks=1)),
        ("PT0.000001S", timedelta(microseconds=1)),
    ],
)
def test_durations(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "5", "P", "PT", "PT5M5", "5x", "s", "--5s", "P1DT"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P1Y2M3DT4H5M", "-P1M", "1 month", "3 years", "2mo"])
def test_months_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="months and years have no fixed length"):
        parse_duration(text)


def test_shown_values_are_bounded() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep, {"k": deep}] if _ < 5 else [deep]
    for value in (
        "x" * 10_000,
        deep,
        {"k" * 100: ["y" * 100] * 100},
        10**5000,
        Decimal("1e900"),
        b"x" * 999,
        float("inf"),
    ):
        assert len(show(value)) <= 80
    assert show("it's") == "'it's'"
    assert show("a\nb") == "'a\\nb'"
    assert show(None) == "null"
    assert show(True) == "true"
