"""What is made of personal data: what stays personal, part by part, and where it may go."""

from __future__ import annotations

from typing import Any

import pytest
from expression_support import compiled, node_of, try_compile

from tusk_runtime.expressions import COMPARED, FUNCTIONS, Place, Scope, compile_value
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.types import (
    BOOLEAN,
    DATE,
    DATETIME,
    INTEGER,
    JSON,
    STRING,
    Type,
    holds_pii,
    personal,
    record_of,
)

PERSON = record_of("Person", name=personal(STRING), age=INTEGER)
DATA = record_of(
    "data",
    name=personal(STRING),
    nick=personal(STRING.or_null()),
    age=personal(INTEGER),
    sick=personal(BOOLEAN),
    born=personal(DATE),
    seen=personal(DATETIME),
    notes=personal(JSON),
    words=personal(Type("list", item=STRING)),
    texts=personal(Type("map", item=STRING)),
    person=PERSON,
    maybe=PERSON.or_null(),
    people=Type("list", item=PERSON),
    by_id=Type("map", item=PERSON),
    free=STRING,
    n=INTEGER,
    j=JSON,
    numbers=Type("list", item=INTEGER),
)
SCOPE = Scope({"data": DATA})


def type_of(value: Any) -> Type:
    return compiled(value, scope=SCOPE).type


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        # Parts
        ("data.name", "string pii"),
        ("data.person.name", "string pii"),
        ("data.person.age", "integer"),
        ("data.person", "Person"),
        ("data.maybe?.name", "string? pii"),
        ("data.notes.a", "json pii"),
        ("data.notes?.a", "json? pii"),
        ("data.notes['a']", "json pii"),
        ("data.notes[0:1]", "list<json> pii"),
        ("data.words[0]", "string pii"),
        ("data.words[0:2]", "list<string> pii"),
        ("data.name[0]", "string pii"),
        ("data.name[0:2]", "string pii"),
        ("data.texts.a", "string pii"),
        ("data.by_id[data.name].age", "integer"),
        ("data.people[0].name", "string pii"),
        ("data.people[data.age].age", "integer"),
        # Put together
        ("data.name + '!'", "string pii"),
        ("'!' + data.name", "string pii"),
        ("data.age + 1", "integer pii"),
        ("1 - data.age", "integer pii"),
        ("-data.age", "integer pii"),
        ("data.seen + '1d'", "datetime pii"),
        ("data.seen - data.seen", "duration pii"),
        ("data.words + ['x']", "list<string pii>"),
        ("['x'] + data.words", "list<string pii>"),
        ("data.people + data.people", "list<Person>"),
        ("[data.free, data.name]", "list<string pii>"),
        ("[data.j, data.notes]", "list<json pii>"),
        ("{'a': data.name, 'b': 1}.b", "integer"),
        ("{'a': data.name, 'b': 1}.a", "string pii"),
        ("[p.name for p in data.people]", "list<string pii>"),
        ("[p.age for p in data.people if p.name != '']", "list<integer>"),
        ("[w for w in data.words]", "list<string pii>"),
        ("[x for x in data.notes]", "list<json pii>"),
        # Chosen
        ("data.nick ?? data.free", "string pii"),
        ("data.j ?? data.notes", "json pii"),
        ("default(data.nick, 'x')", "string pii"),
        ("data.name if data.n > 1 else data.free", "string pii"),
        ("data.free if data.n > 1 else data.name", "string pii"),
        ("'a' if data.name == 'x' else 'b'", "string"),
        ("'a' if data.sick else 'b'", "string"),
        ("data.person if data.n > 1 else data.people[0]", "Person"),
        # Told about it
        ("data.name == 'x'", "boolean"),
        ("data.age > 3 and data.age < 5", "boolean"),
        ("not data.sick", "boolean"),
        ("data.sick", "boolean pii"),
        ("data.nick != null", "boolean"),
        ("'x' in data.words", "boolean"),
        ("'a' in data.texts", "boolean"),
        # Functions
        ("length(data.name)", "integer"),
        ("length(data.words)", "integer"),
        ("mask(data.name)", "string"),
        ("data.name | upper | mask", "string"),
        ("upper(mask(data.name))", "string"),
        ("uuid(data.name)", "uuid"),
        ("any(p.name == 'x' for p in data.people)", "boolean"),
        ("all(p.age > 1 for p in data.people)", "boolean"),
        ("startswith(data.name, 'x')", "boolean"),
        ("matches(data.name, 'x*')", "boolean"),
        ("boolean(data.sick)", "boolean pii"),
        ("boolean(data.name)", "boolean pii"),
        ("string(data.age)", "string pii"),
        ("integer(data.name)", "integer pii"),
        ("to_json(data.person)", "string pii"),
        ("to_json({'n': data.n})", "string"),
        ("sum(p.age for p in data.people)", "integer"),
        ("sum([data.age, 1])", "integer pii"),
        ("avg([data.age])", "decimal? pii"),
        ("min(data.age, 1)", "integer pii"),
        ("max(data.numbers)", "integer?"),
        ("first(data.words)", "string? pii"),
        ("first(data.people)?.age", "integer?"),
        ("last(data.people)?.name", "string? pii"),
        ("sort(data.people, 'name')", "list<Person>"),
        ("unique(data.words)", "list<string pii>"),
        ("join(data.words, ',')", "string pii"),
        ("join(['a'], data.name)", "string pii"),
        ("keys(data.texts)", "list<string pii>"),
        ("keys(data.notes)", "list<string pii>"),
        ("keys(data.by_id)", "list<string>"),
        ("keys(data.person)", "list<string>"),
        ("values(data.texts)", "list<string pii>"),
        ("values(data.person)", "list<json pii>"),
        ("values(data.notes)", "list<json pii>"),
        ("first(items(data.texts))?.key", "string? pii"),
        ("first(items(data.by_id))?.key", "string?"),
        ("omit(data.person, 'name')", "Person"),
        ("combine(data.person, {'age': 2}).age", "integer"),
        ("combine(data.person, {'age': data.age}).age", "integer pii"),
        ("combine(data.j, data.notes)", "json pii"),
        ("combine(data.notes, {'a': 1})", "json pii"),
        ("split(data.name, ' ')", "list<string> pii"),
        ("replace(data.free, 'x', data.name)", "string pii"),
        ("truncate(data.name, 3)", "string pii"),
        ("year(data.born)", "date pii"),
        ("part(data.born, 'year')", "integer pii"),
        ("format(data.born, '%Y')", "string pii"),
        ("days(data.born - data.born)", "integer pii"),
        ("range(1, data.age)", "list<integer> pii"),
        ("round(data.age / 2, 1)", "decimal pii"),
        ("abs(data.age)", "integer pii"),
    ],
)  # fmt: skip
def test_what_it_is(source: str, type_: str) -> None:
    assert str(type_of("{{ " + source + " }}")) == type_


def test_omitted_fields_are_gone() -> None:
    assert not holds_pii(type_of("{{ omit(data.person, 'name') }}"))
    assert holds_pii(type_of("{{ omit(data.person, 'age') }}"))


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("to {{ data.name }}", True),
        ("to {{ mask(data.name) }} and {{ data.free }}", False),
        (["{{ data.free }}", "{{ data.name }}"], True),
        (["{{ data.n }}", "{{ data.name }}"], True),
        (["{{ data.n }}", "x"], False),
        ({"a": "{{ data.n }}", "b": ["{{ data.person }}"]}, True),
        ({"a": "{{ data.person.age }}"}, False),
    ],
    ids=str,
)
def test_values_of_the_file(value: Any, held: bool) -> None:
    assert compiled(value, scope=SCOPE).personal == held


TARGETS = {
    "plain": STRING,
    "marked": personal(STRING),
    "json": JSON,
    "marked json": personal(JSON),
    "list": Type("list", item=STRING),
    "marked list": Type("list", item=personal(STRING)),
    "email": Type("email"),
    "marked email": personal(Type("email")),
}


@pytest.mark.parametrize(
    ("value", "target", "fits"),
    [
        ("{{ data.name }}", "plain", False),
        ("{{ data.name }}", "marked", True),
        ("{{ data.free }}", "marked", True),
        ("x", "marked", True),
        ("Dear {{ data.name }}", "plain", False),
        ("Dear {{ data.name }}", "marked", True),
        ("{{ data.name }}@x.yz", "email", False),
        ("{{ data.name }}@x.yz", "marked email", True),
        ("{{ data.name }}", "json", False),
        ({"a": ["{{ data.name }}"]}, "json", False),
        ({"a": ["{{ data.name }}"]}, "marked json", True),
        ("{{ {'a': data.name} }}", "json", False),
        ("{{ [data.person] }}", "json", False),
        ("{{ [data.person.age] }}", "json", True),
        (["{{ data.name }}"], "list", False),
        (["{{ data.name }}"], "marked list", True),
        ("{{ [data.name] }}", "list", False),
        ("{{ [p.name for p in data.people] }}", "list", False),
        ("{{ [p.name for p in data.people] }}", "marked list", True),
        ("{{ data.notes }}", "plain", False),
        ("{{ data.notes.x }}", "marked", True),
    ],
    ids=str,
)
def test_where_it_may_go(value: Any, target: str, fits: bool) -> None:
    found = try_compile(value, TARGETS[target], SCOPE)
    if fits:
        assert not isinstance(found, list), found
    else:
        assert isinstance(found, list)
        assert [problem.code for problem in found] == ["TSK418"]


def test_a_place_says_why_not() -> None:
    problems = Problems()
    node = node_of("{{ data.name }} is here")
    assert compile_value(node, SCOPE, problems, STRING, Place("a sign is seen by all", "whisper")) is None
    [found] = problems.sorted()
    assert found.message == "`data.name` is personal data, and a sign is seen by all"
    assert found.help == "whisper, or show only its first character: `mask(data.name)`"


def test_what_is_compared_may_be_personal() -> None:
    for value, type_ in (
        ("{{ data.name }}", STRING),
        ({"name": "{{ data.name }}"}, record_of("row", name=STRING)),
    ):
        problems = Problems()
        assert compile_value(node_of(value), SCOPE, problems, type_, COMPARED) is not None
        assert not problems.sorted()


def test_every_function_says_what_it_carries() -> None:
    """A function whose result is true, false or a length carries nothing unless it converts."""
    for function in FUNCTIONS.values():
        results = {signature.result for signature in function.signatures}
        if results == {"boolean"} and function.name != "boolean":
            assert function.carries == "nothing", function.name
    assert {f.name for f in FUNCTIONS.values() if f.carries == "nothing"} == {
        "length", "any", "all", "startswith", "endswith", "matches", "mask", "uuid",
    }  # fmt: skip
