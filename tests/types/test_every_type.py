"""Every type from end to end: its text, what it takes, its schema, its stored JSON, its column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import apsw
import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tusk_runtime.errors import Invalid
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.store.driver import DECIMAL_COLLATION
from tusk_runtime.store.read_tables import SQL_TYPES
from tusk_runtime.types import (
    Field,
    Record,
    Type,
    Validator,
    decoder,
    from_column,
    json_schema,
    parse_type,
    record_of,
    to_column,
    to_json,
)
from tusk_runtime.types.text import BUILT_IN

LINE = record_of("Line", sku=Type("string"), price=Type("decimal", places=2))
MONEY = Type("decimal", places=2, min=Decimal(0))
NAMED = {"Line": LINE, "Money": MONEY}


class Case(NamedTuple):
    """A type's text, foreign values with what they are at run time, and foreign values that are refused
    with a part of the reason.
    """

    text: str
    right: list[tuple[Any, Any]]
    wrong: list[tuple[Any, str]]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


CASES = [
    Case("string", [("", ""), ("ä\n", "ä\n")], [(1, "must be a text"), (None, "must not be null")]),
    Case("string(min=2, max=3)", [("ab", "ab")], [("a", "at least 2"), ("abcd", "at most 3")]),
    Case("string(pattern='a|b')", [("a", "a")], [("ab", "must match"), ("xa", "must match"), ("a\n", "must")]),
    Case("email", [("a@b.cd", "a@b.cd")], [("a@b", "e-mail address"), ("a b@c.de", "e-mail")]),
    Case("email(max=6)", [("a@b.cd", "a@b.cd")], [("aa@b.cd", "at most 6")]),
    Case("url", [("https://a.b/c", "https://a.b/c")], [("a.b", "a URL"), ("https://a b", "a URL")]),
    Case(
        "uuid",
        [("0B9D1F6E-0000-4000-8000-00000000000A", "0b9d1f6e-0000-4000-8000-00000000000a")],
        [("0b9d1f6e", "a UUID")],
    ),
    Case("integer", [(5, 5), (2**63 - 1, 2**63 - 1)], [(2**63, "64 bits"), (1.5, "an integer"), ("x", "an")]),
    Case("integer(min=1, max=3)", [(1, 1), (3, 3)], [(0, "at least 1"), (4, "at most 3")]),
    Case("number", [(1.5, 1.5), (2, 2.0)], [("x", "a number"), (True, "a number")]),
    Case("number(min=0.5)", [(0.5, 0.5)], [(0.4, "at least 0.5")]),
    Case("decimal", [("12.50", Decimal("12.50")), (7, Decimal(7))], [("1" * 39, "38 digits"), ("x", "decimal")]),
    Case("decimal(places=2)", [(90, Decimal("90.00")), ("0.1", Decimal("0.10"))], [("1.234", "2 decimal places")]),
    Case("decimal(min=0.01, max=1)", [("0.01", Decimal("0.01"))], [("0.001", "at least 0.01"), (2, "at most 1")]),
    Case("boolean", [(True, True), (False, False)], [(1, "true or false"), ("ja", "true or false")]),
    Case("enum(a, 'b c')", [("b c", "b c")], [("b", "must be one of"), (1, "must be one of")]),
    Case("json", [({"a": [1, None, "x"]}, {"a": [1, None, "x"]}), (None, None)], [(2**70, "64 bits")]),
    Case(
        "datetime",
        [("2026-01-31T09:30:00+02:00", at(2026, 1, 31, 7, 30)), ("2026-01-31T07:30:00.5Z", at(2026, 1, 31, 7, 30, 0, 500_000))],
        [("2026-01-31T09:30:00", "an offset"), ("2026-01-31", "an offset"), ("2026-02-30T00:00:00Z", "no such")],
    ),
    Case(
        "datetime(min=2026-01-01T00:00:00Z, max='2026-12-31T00:00:00+01:00')",
        [("2026-01-01T01:00:00+01:00", at(2026, 1, 1))],
        [("2026-01-01T00:00:00+01:00", "at least 2026-01-01T00:00:00Z"), ("2027-01-01T00:00:00Z", "at most")],
    ),
    Case("date", [("2026-01-31", date(2026, 1, 31))], [("2026-1-31", "a date"), ("2026-02-30", "no such date")]),
    Case(
        "date(min=2026-01-01, max=2026-12-31)",
        [("2026-01-01", date(2026, 1, 1)), ("2026-12-31", date(2026, 12, 31))],
        [("2025-12-31", "at least 2026-01-01"), ("2027-01-01", "at most 2026-12-31")],
    ),
    Case(
        "duration",
        [
            ("90s", timedelta(seconds=90)),
            ("7d", timedelta(days=7)),
            ("P7D", timedelta(days=7)),
            ("P2W", timedelta(weeks=2)),
            ("PT1H30M", timedelta(minutes=90)),
            ("PT0.5S", timedelta(milliseconds=500)),
        ],
        [("P1M", "months and years"), ("P1Y2M3D", "months and years"), ("3 months", "months and years"),
         ("1mo", "months and years"), ("P", "must be a duration"), ("7", "must be a duration"), (7, "a duration")],
    ),
    Case(
        "duration(min=PT1H, max=7d)",
        [("1h", timedelta(hours=1))],
        [("59m", "at least PT1H"), ("P8D", "at most P7D")],
    ),
    Case("bytes", [("AAEC", b"\x00\x01\x02"), ("", b"")], [("A", "base64"), ("?", "base64")]),
    Case("bytes(min=2, max=3)", [("AAEC", b"\x00\x01\x02")], [("AA==", "at least 2"), ("AAECAw==", "at most 3")]),
    Case("list<integer>", [([1, 2], [1, 2]), ([], [])], [("1", "a list"), ([None], "must not be null")]),
    Case("list<integer>(min=1, max=2)", [([1], [1])], [([], "at least 1 entry"), ([1, 2, 3], "at most 2")]),
    Case("list<Line>(unique)", [([{"sku": "a", "price": 1}], [{"sku": "a", "price": Decimal("1.00")}])],
         [([{"sku": "a", "price": 1}, {"price": "1.00", "sku": "a"}], "must not repeat")]),
    Case("map<Money>", [({"a": 1}, {"a": Decimal("1.00")})], [([1], "an object"), ({"a": -1}, "at least 0")]),
    Case("map<integer>(min=1, max=1, unique)", [({"a": 1}, {"a": 1})], [({}, "at least 1 entry"), ({"a": 1, "b": 1}, "at most 1")]),
    Case("map<integer>(unique)", [({"a": 1, "b": 2}, {"a": 1, "b": 2})], [({"a": 1, "b": 1}, "must not repeat")]),
    Case("Line", [({"sku": "a", "price": "1"}, {"sku": "a", "price": Decimal("1.00")})],
         [({"sku": "a"}, "is required"), ({"sku": "a", "price": 1, "x": 1}, "is not a field")]),
    Case("Money?", [(None, None), ("1.5", Decimal("1.50"))], [("-1", "at least 0")]),
    Case("list<list<date>?>?", [([["2026-01-01"], None], [[date(2026, 1, 1)], None])], [([["x"]], "a date")]),
]  # fmt: skip
RIGHT = [(case.text, foreign, value) for case in CASES for foreign, value in case.right]
WRONG = [(case.text, foreign, reason) for case in CASES for foreign, reason in case.wrong]


def type_of(text: str) -> Type:
    source = Source("app.tsk", f'"{text}"')
    problems = Problems()
    found = parse_type(ScalarNode(text, source.span(0, len(text) + 2), True, 1), NAMED, problems)
    assert found is not None, problems.sorted()
    return found.type


def read(type_: Type, value: Any) -> Any:
    return Validator(Record("Ask", {"x": Field("x", type_)})).python({"x": value})["x"]


def same(one: Any, other: Any) -> bool:
    """Equal, and written alike: 1.50 is not 1.5, and 1 is not true."""
    return repr(one) == repr(other)


def test_every_kind_is_here() -> None:
    kinds = {type_of(case.text).kind for case in CASES}
    assert kinds == {*BUILT_IN, "enum", "list", "map", "record"}
    assert kinds | {"null"} == set(SQL_TYPES)


@pytest.mark.parametrize(("text", "foreign", "value"), RIGHT, ids=str)
def test_taken(text: str, foreign: Any, value: Any) -> None:
    found = read(type_of(text), foreign)
    assert same(found, value)
    assert same(read(type_of(text), found), value)


@pytest.mark.parametrize(("text", "foreign", "reason"), WRONG, ids=str)
def test_refused(text: str, foreign: Any, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(type_of(text), foreign)
    assert reason in str(caught.value.details["errors"])


@pytest.mark.parametrize(("text", "foreign", "value"), RIGHT, ids=str)
def test_it_comes_back_from_the_log(text: str, foreign: Any, value: Any) -> None:
    type_ = type_of(text)
    stored = orjson.loads(to_json(value))
    decode = decoder(type_)
    assert same(decode(stored) if decode is not None else stored, value)
    # What we show is taken again, and the schema says so.
    assert same(read(type_, stored), value)
    schema = Draft202012Validator(json_schema(type_), format_checker=FormatChecker())
    schema.validate(stored)


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("string", 1),
        ("string", None),
        ("string(min=2)", "a"),
        ("string(pattern='a|b')", "ab"),
        ("uuid", "x"),
        ("email", 5),
        ("integer", 1.5),
        ("integer(min=1)", 0),
        ("integer(max=3)", 4),
        ("number(min=0.5)", 0.4),
        ("decimal", "x"),
        ("decimal(places=2)", "1.234"),
        ("decimal(max=1)", 2),
        ("boolean", 1),
        ("enum(a, 'b c')", "b"),
        ("datetime", 5),
        ("date", "2026-02-30"),
        ("duration", 7),
        ("bytes(max=3)", "AAECAw=="),
        ("list<integer>", "1"),
        ("list<integer>", ["1"]),
        ("list<integer>(min=1)", []),
        ("list<integer>(unique)", [1, 1]),
        ("map<integer>", [1]),
        ("map<integer>(max=1)", {"a": 1, "b": 1}),
        ("map<integer>", {"a": "x"}),
        ("Line", {"sku": "a"}),
        ("Line", {"sku": "a", "price": 1, "x": 1}),
        ("list<list<date>?>?", [["x"]]),
    ],
    ids=str,
)
def test_the_schema_refuses(text: str, foreign: Any) -> None:
    schema = Draft202012Validator(json_schema(type_of(text)), format_checker=FormatChecker())
    assert not schema.is_valid(foreign)
    with pytest.raises(Invalid):
        # A text with digits is taken for a number, which the schema keeps to itself.
        read(type_of(text), ["x"] if foreign == ["1"] else foreign)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("date(min=2026-01-01, max=2026-12-31)", "2026-01-01", "2026-12-31"),
        ("datetime(min='2026-01-01T00:00:00+01:00', max=2027-01-01T00:00:00Z)", "2025-12-31T23:00:00Z", "2027-01-01T00:00:00Z"),
        ("duration(min=60m, max=7d)", "PT1H", "P7D"),
    ],
)  # fmt: skip
def test_the_schema_names_the_bounds_of_times(text: str, low: str, high: str) -> None:
    schema = json_schema(type_of(text))
    assert (schema["formatMinimum"], schema["formatMaximum"]) == (low, high)


@pytest.mark.parametrize(("text", "foreign", "value"), RIGHT, ids=str)
def test_it_comes_back_from_a_column(text: str, foreign: Any, value: Any) -> None:
    type_ = type_of(text)
    connection = apsw.Connection(":memory:")
    connection.create_collation(
        DECIMAL_COLLATION, lambda a, b: (Decimal(a) > Decimal(b)) - (Decimal(a) < Decimal(b))
    )
    connection.execute(f"CREATE TABLE t (x {SQL_TYPES[type_.kind]}) STRICT")
    encode, decode = to_column(type_), from_column(type_)
    connection.execute("INSERT INTO t VALUES (?)", (encode(value) if encode is not None else value,))
    [(kept,)] = connection.execute("SELECT x FROM t").fetchall()
    assert same(decode(kept) if decode is not None else kept, value)


def test_a_type_is_written_as_it_is_read() -> None:
    """Messages name types so that they can be copied into a file; constraints are left out."""
    for case in CASES:
        type_ = type_of(case.text)
        assert str(type_of(str(type_)) if type_.kind != "record" else type_) == str(type_)
    assert str(type_of("enum(a, 'b c', \"it's\")? pii")) == "enum(a, 'b c', \"it's\")? pii"
