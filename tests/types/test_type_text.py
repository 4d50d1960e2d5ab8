"""Type texts: what they stand for, and what is wrong with the others, at the exact place."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tusk_runtime.language.diagnostics import CODES, Diagnostic, Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.types import ABSENT, DECIMAL, INTEGER, STRING, Record, Type, TypeText, parse_type, record_of
from tusk_runtime.types.text import BUILT_IN, CONSTRAINTS

LINE = record_of("OrderLine", sku=STRING, quantity=INTEGER)
MONEY = Type("decimal", places=2)
NAMED = {"OrderLine": LINE, "Money": MONEY}


def read(text: Any, named: dict[str, Type] | None = None) -> TypeText | list[Diagnostic]:
    source = Source("app.tsk", f'f: "{text}"')
    node = ScalarNode(text, source.span(3, 5 + len(str(text))), True, 4)
    problems = Problems()
    result = parse_type(node, NAMED if named is None else named, problems)
    found = problems.sorted()
    assert (result is None) == bool(found)
    return result if result is not None else found


RIGHT: list[tuple[str, Type, Any]] = [
    ("string", STRING, ABSENT),
    (" date? ", Type("date", optional=True), ABSENT),
    ("email pii", Type("email", pii=True), ABSENT),
    ("email? pii", Type("email", optional=True, pii=True), ABSENT),
    ("string(max=5)? pii = x", Type("string", optional=True, max=5, pii=True), "x"),
    ("list<email pii>(min=1)", Type("list", item=Type("email", pii=True), min=1), ABSENT),
    ("list<string>? pii", Type("list", item=Type("string", pii=True), optional=True, pii=True), ABSENT),
    ("string(min=1, pattern='^[A-Z]+$')", Type("string", min=1, pattern="^[A-Z]+$"), ABSENT),
    (r'string(pattern="\d+\"")', Type("string", pattern=r"\d+" + '"'), ABSENT),
    ("integer(min=1) = 1", Type("integer", min=1), 1),
    ("integer(min=-5,max=5,)", Type("integer", min=-5, max=5), ABSENT),
    ("number(min=0.5) = 1.5", Type("number", min=0.5), 1.5),
    ("decimal(min=0)", Type("decimal", min=Decimal(0)), ABSENT),
    ("decimal(places=2) = 1", Type("decimal", places=2), Decimal("1.00")),
    ("boolean = false", Type("boolean"), False),
    ('enum(new, placed, "b c") = new', Type("enum", values=("new", "placed", "b c")), "new"),
    ("enum(new, placed)? = 'placed'", Type("enum", optional=True, values=("new", "placed")), "placed"),
    ("enum(in-progress, 1, 2)", Type("enum", values=("in-progress", "1", "2")), ABSENT),
    ("list<OrderLine>(min=1)", Type("list", item=LINE, min=1), ABSENT),
    ("list<string>(unique) = []", Type("list", item=STRING, unique=True), []),
    (
        "list<string?>(max=3, unique=true)?",
        Type("list", True, None, 3, unique=True, item=STRING.or_null()),
        ABSENT,
    ),
    ("list<integer> = [1, 2]", Type("list", item=INTEGER), [1, 2]),
    ("map<decimal>", Type("map", item=DECIMAL), ABSENT),
    ("map<list<Money>> = {}", Type("map", item=Type("list", item=MONEY)), {}),
    ("Money", MONEY, ABSENT),
    ("Money?", MONEY.or_null(), ABSENT),
    ("Money(min=0) = 5", Type("decimal", places=2, min=Decimal(0)), Decimal("5.00")),
    ("OrderLine?", LINE.or_null(), ABSENT),
    ("datetime(min=2026-01-01T00:00:00Z)", Type("datetime", min=datetime(2026, 1, 1, tzinfo=UTC)), ABSENT),
    ("date(min=2026-01-01) = 2026-02-01", Type("date", min=date(2026, 1, 1)), date(2026, 2, 1)),
    ("duration(max=7d) = 90s", Type("duration", max=timedelta(days=7)), timedelta(seconds=90)),
    ("bytes(max=10)", Type("bytes", max=10), ABSENT),
    ("json = 5", Type("json"), 5),
    ("json? = null", Type("json", optional=True), None),
    ("string? = null", STRING.or_null(), None),
    ("string = a-b", STRING, "a-b"),
]


@pytest.mark.parametrize(("text", "type_", "default"), RIGHT, ids=lambda v: str(v)[:40])
def test_right(text: str, type_: Type, default: Any) -> None:
    assert read(text) == TypeText(type_, default)
    # Once more out of the cache.
    assert read(text) == TypeText(type_, default)


WRONG: list[tuple[Any, str, str, str]] = [
    ("strng", "TSK251", "strng", "did you mean `string`?"),
    ("OrderLin", "TSK251", "OrderLin", "did you mean `OrderLine`?"),
    ("list<OrderLin>", "TSK251", "OrderLin", "did you mean `OrderLine`?"),
    ("int", "TSK251", "int", "`integer`"),
    ("varchar(20)", "TSK251", "varchar", "`string`"),
    ("timestamp", "TSK251", "timestamp", "`datetime`"),
    ("Zzz", "TSK251", "Zzz", "[types]"),
    (5, "TSK250", '"5"', "integer"),
    ("", "TSK250", "", "string"),
    ("list", "TSK250", "list", "list<string>"),
    ("list<>", "TSK250", ">", ""),
    ("string<integer>", "TSK250", "string<integer>", "list<T>"),
    ("string?(min=1)", "TSK250", "(", "string(min=1)?"),
    ("string(min=1", "TSK250", "", "close"),
    ("string(min=)", "TSK250", ")", ""),
    ("list<string", "TSK250", "", "`>`"),
    ("string foo", "TSK250", "foo", "default"),
    ("string pi", "TSK250", "pi", "pii"),
    ("string pii?", "TSK250", "?", "`string(min=1)? pii`"),
    ("string pii(min=1)", "TSK250", "(", "`string(min=1)? pii`"),
    ("string = a pii", "TSK250", "pii", "`string pii = 'x'`"),
    ("pii string", "TSK251", "pii", "behind a type: `string pii`"),
    ("string(pii)", "TSK252", "pii", "`string pii`"),
    ("list<string pi>", "TSK250", "pi", "pii"),
    ("email pii = nobody", "TSK254", "nobody", ""),
    ("string optional", "TSK250", "optional", "string?"),
    ("string = a b", "TSK250", "b", "quote"),
    ("'abc", "TSK250", "'abc", "close"),
    ("string!", "TSK251", "string!", "did you mean `string`?"),
    ("integer(mn=4)", "TSK252", "mn", "did you mean `min`?"),
    ("integer(4)", "TSK252", "4", "min"),
    ("integer(min)", "TSK252", "min", "min=…"),
    ("integer(places=2)", "TSK252", "places", "`max`"),
    ("boolean(min=1)", "TSK252", "min", "no constraints"),
    ("OrderLine(min=1)", "TSK252", "min", ""),
    ("integer(min=4, max=1)", "TSK253", "min=4, max=1", "swap"),
    ("integer(min=x)", "TSK253", "x", ""),
    ("string(min=-1)", "TSK253", "-1", ""),
    ("string(min=1.5)", "TSK253", "1.5", ""),
    ("decimal(places=39)", "TSK253", "39", ""),
    ("string(pattern='(')", "TSK253", "'('", "unclosed"),
    ("string(pattern='(?=a)')", "TSK253", "'(?=a)'", "look-ahead"),
    ("list<string>(unique=maybe)", "TSK253", "maybe", "unique"),
    ("date(min=soon)", "TSK253", "soon", "2026-01-31"),
    ("integer = x", "TSK254", "x", "integer"),
    ("integer(min=1) = 0", "TSK254", "0", "at least 1"),
    ("enum(new, placed) = plased", "TSK254", "plased", "did you mean `placed`?"),
    ("integer = null", "TSK254", "null", "optional"),
    ("decimal(places=2) = 1.234", "TSK254", "1.234", "places"),
    ("list<integer> = [1, x]", "TSK254", "[1, x]", "`[1]`"),
    ("boolean = yes", "TSK254", "yes", ""),
    ("enum", "TSK256", "enum", "enum(new, placed)"),
    ("enum()", "TSK256", "enum", "enum(new, placed)"),
    ("enum(a, a)", "TSK256", "a", "remove"),
    ("enum(a=b)", "TSK256", "a=b", ""),
    ("list<" * 40 + "string" + ">" * 40, "TSK255", "list<" * 40 + "string" + ">" * 40, ""),
    ("string" + " " * 5000, "TSK250", "", "") if False else ("x" * 5000, "TSK255", "x" * 5000, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place", "hint"), WRONG, ids=lambda v: str(v)[:40])
def test_wrong(text: Any, code: str, place: str, hint: str) -> None:
    found = read(text)
    assert isinstance(found, list)
    assert len(found) == 1
    assert (found[0].code, found[0].span.text) == (code, place), found
    assert hint in found[0].help + found[0].message


def test_named_types_do_not_stay_in_the_cache() -> None:
    assert read("list<Money>") == TypeText(Type("list", item=MONEY))
    other = Type("integer")
    assert read("list<Money>", {"Money": other}) == TypeText(Type("list", item=other))
    assert isinstance(read("list<Money>", {}), list)


def test_types_that_double_at_each_level_are_refused() -> None:
    """Each level uses the one before twice: 2 to the power of 25 fields if nobody counts."""
    named: dict[str, Type] = {"T0": record_of("T0", a=STRING)}
    problems = 0
    for n in range(1, 25):
        found = read(f"T{n - 1}", named)
        if isinstance(found, list):
            assert found[0].code == "TSK255"
            problems += 1
            break
        named[f"T{n}"] = record_of(f"T{n}", a=found.type, b=found.type)
    assert problems == 1


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="abint<>()?=,'\" .-\\decimalstgpr[]{}15", max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    read(text)


def test_every_kind_is_known() -> None:
    assert set(CONSTRAINTS) <= {*BUILT_IN, "list", "map"}
    assert {"enum", "list", "map", "record", "null"} | set(BUILT_IN) == set(_kinds())
    for code in ("TSK250", "TSK251", "TSK252", "TSK253", "TSK254", "TSK255", "TSK256"):
        assert CODES[code].explanation


def _kinds() -> tuple[str, ...]:
    from typing import get_args

    from tusk_runtime.types import Name

    return get_args(Name)


def test_record_shows_its_name() -> None:
    assert str(Type("list", item=Type("record", record=Record("Line", {})))) == "list<Line>"
