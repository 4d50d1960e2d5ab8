"""Chains of upcasts: each kind of change, their order, and any mixture against a second way to do it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_golden import built

from tusk_runtime.events import StoredEvent, split_type, stored_type
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.model.application import Application, EventType
from tusk_runtime.model.upcasting import Chain, chain_of

AGGREGATE = """
[aggregates.Order]
id: "string"
on: { Placed: {} }
"""
AT = 1_700_000_000_000_000


def application(version: int, fields: str, upcast: str, more: str = "") -> Application:
    text = f"[events.Placed]\nversion: {version}\nfields: {{ {fields} }}\nupcast: {{ {upcast} }}\n{more}"
    return built(text + AGGREGATE)


def event(version: int, fields: str, upcast: str) -> EventType:
    return application(version, fields, upcast).events["Placed"]


def stored(data: Any, type_: str = "Placed") -> StoredEvent:
    meta = b'{"user_id":"ann"}'
    return StoredEvent(
        7, b"e" * 16, type_, "Order", "o1", 3, AT, b"c" * 16, b"c" * 16, orjson.dumps(data), meta
    )


@pytest.mark.parametrize(
    ("upcast", "before", "after"),
    [
        ("1: {}", {"a": 1, "x": [2]}, {"a": 1, "x": [2]}),
        ('1: { add: { a: "new", d: 1.50, t: "90s" } }', {}, {"a": "new", "d": "1.50", "t": "PT1M30S"}),
        ('1: { add: { a: "new" } }', {"a": "old"}, {"a": "old"}),
        ('1: { add: { a: "new" } }', {"a": None}, {"a": "new"}),
        ("1: { add: { a: null } }", {}, {"a": None}),
        ('1: { rename: { x: "a" } }', {"x": "v"}, {"a": "v"}),
        ('1: { rename: { x: "a" } }', {"y": "v"}, {"y": "v"}),
        ('1: { rename: { x: "a" } }', {"x": "v", "a": "gone"}, {"a": "v"}),
        ('1: { rename: { a: "b", b: "a" } }', {"a": "1", "b": "2"}, {"a": "2", "b": "1"}),
        ('1: { rename: { x: "a" }, add: { a: "new" } }', {"x": "v"}, {"a": "v"}),
        ('1: { remove: ["x", "y"] }', {"x": 1, "a": "v"}, {"a": "v"}),
        ('1: { remove: "a", add: { a: "new" } }', {"a": "old"}, {"a": "new"}),
        ('1: { set: { a: "{{ string(data.x) + data.y }}" }, remove: ["x"] }', {"x": "1", "y": "2"}, {"a": "12", "y": "2"}),
        ('1: { set: { a: "{{ data.b }}", b: "{{ data.a }}" } }', {"a": "1", "b": "2"}, {"a": "2", "b": "1"}),
        ('1: { set: { a: "{{ data.x ?? null }}" } }', {"a": "old"}, {}),
        ('1: { set: { d: "{{ decimal(data.x) / 4 }}" } }', {"x": "10"}, {"x": "10", "d": "2.50"}),
        ('1: { set: { t: "{{ duration(data.x) * 2 }}" } }', {"x": "1h"}, {"x": "1h", "t": "PT2H"}),
        ('1: { set: { a: "{{ event.event_type }} {{ event.aggregate_id }}" } }', {}, {"a": "Placed o1"}),
        ('1: { set: { a: "{{ string(now) }}" } }', {}, {"a": "2023-11-14T22:13:20Z"}),
        ('1: { set: { a: "{{ meta.user_id }}" } }', {}, {"a": "ann"}),
        ('1: { set: { a: "plain" }, rename: { x: "a" } }', {"x": "v"}, {"a": "plain"}),
    ],
)  # fmt: skip
def test_a_step(upcast: str, before: Any, after: Any) -> None:
    fields = 'a: "string?", b: "string?", d: "decimal(places=2)?", t: "duration?"'
    assert Chain(event(2, fields, upcast), 1).of(stored(before)) == after


def test_steps_follow_each_other() -> None:
    """Each sees what the one before it left; a later version enters the chain where it stands."""
    placed = event(
        3,
        'customer: "string", total: "decimal(places=2)", currency: "enum(EUR, USD)"',
        '1: { rename: { client: "customer" }, add: { currency: "EUR" } }, '
        '2: { set: { total: "{{ decimal(data.cents) / 100 }}" }, remove: "cents" }',
    )
    assert Chain(placed, 1).of(stored({"client": "ann", "cents": 1999})) == {
        "customer": "ann",
        "currency": "EUR",
        "total": "19.99",
    }
    second = {"customer": "ann", "cents": 5, "currency": "USD"}
    assert Chain(placed, 2).of(stored(second)) == {"customer": "ann", "currency": "USD", "total": "0.05"}
    assert chain_of(placed, 3) is None


def test_an_id_of_an_older_event_is_always_the_same() -> None:
    placed = event(2, 'a: "uuid"', '1: { set: { a: "{{ uuid() }}" } }')
    first, again = Chain(placed, 1).of(stored({})), Chain(placed, 1).of(stored({}))
    assert first == again
    assert len(first["a"]) == 36


def failure_of(chain: Chain, data: Any) -> ExpressionFailed:
    with pytest.raises(Exception) as raised:
        chain.of(stored(data))
    return chain.explain(raised.value)


def test_what_fails_says_where_and_with_what() -> None:
    placed = event(2, 'total: "decimal"', '1: { set: { total: "{{ decimal(data.cents) / data.by }}" } }')
    chain = Chain(placed, 1)
    failure = failure_of(chain, {"cents": "12", "by": 0})
    assert failure.span is not None
    assert (failure.span.line, failure.message) == (4, "division by zero")
    assert ("data.by", "0") in failure.values


def test_what_fails_of_a_person_is_masked() -> None:
    placed = event(
        2, 'name: "string pii", size: "integer"', '1: { set: { size: "{{ integer(data.first) }}" } }'
    )
    failure = failure_of(Chain(placed, 1), {"first": "Ann Smith"})
    assert "Ann" not in str(failure) + str(failure.values)


def test_stored_types() -> None:
    """The names and versions that can be read; behind a gap none can."""
    app = application(4, 'a: "string?"', "2: {}, 3: {}", 'was: "Created"\n')
    assert dict(app.stored.of("Placed")) == {
        "Created@4": 4, "Created@3": 3, "Created@2": 2, "Placed@4": 4, "Placed@3": 3, "Placed@2": 2,
    }  # fmt: skip
    assert app.stored.shown("Created@3") == ("Placed", 3)
    assert app.stored.shown("Created") == ("Placed", 1)
    assert app.stored.shown("Elsewhere@3") == ("Elsewhere", 3)
    for name in ("Placed", "Created", "Placed@5", "Created@1000"):
        assert app.stored.without_path(name) is app.events["Placed"]
    for name in ("Placed@2", "Placed@4", "Elsewhere", "Elsewhere@9"):
        assert app.stored.without_path(name) is None


@pytest.mark.parametrize(("name", "version"), [("Placed", 1), ("Placed", 2), ("P", 1000)])
def test_a_stored_type_comes_back(name: str, version: int) -> None:
    assert split_type(stored_type(name, version)) == (name, version)


def test_a_projection_is_another_one_when_its_events_are_read_otherwise() -> None:
    def definition(head: str) -> str:
        text = f'[events.Placed]\nfields: {{ a: "string?" }}\n{head}\n{AGGREGATE}' + (
            '[projections.p]\nkey: "id"\ncolumns: { id: "string", a: "string?" }\n'
            'on: { Placed: { upsert: { a: "{{ data.a }}" } } }\n'
        )
        return built(text).projections["p"].definition

    heads = (
        "", "version: 2", "version: 2\nupcast: { 1: {} }", 'was: "Created"',
        'version: 2\nupcast: { 1: { rename: { b: "a" } } }', 'version: 2\nupcast: { 1: { rename: { c: "a" } } }',
    )  # fmt: skip
    assert len({definition(head) for head in heads}) == len(heads)
    assert definition("") == definition("version: 1")


# ---- any chain, against a second way to do it -------------------------------------------------------

NAMES = "abcdef"
VALUES: dict[str, Any] = {'"t"': "t", "1": 1, "[1, true]": [1, True], '{ n: "x" }': {"n": "x"}}
EXPRESSIONS: dict[str, Any] = {
    "data.{0} ?? null": lambda data, name: data.get(name),
    "[data.{0} ?? null, 'x']": lambda data, name: [data.get(name), "x"],
    "to_json(data.{0} ?? null)": lambda data, name: json.dumps(data.get(name), separators=(",", ":")),
    "event.version": lambda data, name: 3,
    "null": lambda data, name: None,
}
names = st.sampled_from(NAMES)


@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    olds = draw(st.lists(names, unique=True, max_size=3))
    news = draw(st.permutations(NAMES))[: len(olds)]
    rename = dict(zip(olds, news, strict=True))
    return {
        "set": draw(
            st.dictionaries(names, st.tuples(st.sampled_from(sorted(EXPRESSIONS)), names), max_size=2)
        ),
        "rename": rename,
        "remove": [n for n in draw(st.lists(names, unique=True, max_size=2)) if n not in {*olds, *news}],
        "add": draw(st.dictionaries(names, st.sampled_from(sorted(VALUES)), max_size=2)),
    }


def written(step: dict[str, Any]) -> str:
    parts = []
    if step["set"]:
        inner = (f'{name}: "{{{{ {text.format(of)} }}}}"' for name, (text, of) in step["set"].items())
        parts.append(f"set: {{ {', '.join(inner)} }}")
    if step["rename"]:
        parts.append(
            f"rename: {{ {', '.join(f'{old}: {json.dumps(new)}' for old, new in step['rename'].items())} }}"
        )
    if step["remove"]:
        parts.append(f"remove: {json.dumps(step['remove'])}")
    if step["add"]:
        parts.append(f"add: {{ {', '.join(f'{name}: {text}' for name, text in step['add'].items())} }}")
    return f"{{ {', '.join(parts)} }}"


def naive(data: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """One step, one field after the other: where does each come from?"""
    result: dict[str, Any] = {}
    for name in {*NAMES, *data}:
        from_old = [old for old, new in step["rename"].items() if new == name and old in data]
        if name in step["set"]:
            text, of = step["set"][name]
            value = EXPRESSIONS[text](data, of)
            if value is not None:
                result[name] = value
            continue
        if from_old:
            result[name] = data[from_old[0]]
        elif name in data and name not in step["rename"] and name not in step["remove"]:
            result[name] = data[name]
        if result.get(name) is None and name in step["add"]:
            result[name] = VALUES[step["add"][name]]
    return result


json_values = st.one_of(
    st.none(), st.integers(-9, 9), st.text("xyz", max_size=3), st.lists(st.integers(0, 3), max_size=2)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=4), st.dictionaries(names, json_values), st.data())
def test_any_chain(chain: list[dict[str, Any]], data: dict[str, Any], more: st.DataObject) -> None:
    fields = ", ".join(f'{name}: "json?"' for name in NAMES)
    upcast = ", ".join(f"{number}: {written(step)}" for number, step in enumerate(chain, 1))
    placed = event(len(chain) + 1, fields, upcast)
    begin = more.draw(st.integers(1, len(chain)))
    expected = data
    for step in chain[begin - 1 :]:
        expected = naive(expected, step)
    before = orjson.dumps(data)
    assert Chain(placed, begin).of(stored(data)) == expected
    assert orjson.dumps(data) == before


def test_a_decimal_of_an_older_event_is_one_in_the_end() -> None:
    """The declared version's decoder reads what a chain gives."""
    from tusk_runtime.aggregates.fold import EventCodec

    placed = event(2, 'total: "decimal(places=2)", n: "integer = 7"', "1: { add: { total: 3 } }")
    assert EventCodec(placed).take(Chain(placed, 1).of(stored({}))) == {"total": Decimal("3.00"), "n": 7}
