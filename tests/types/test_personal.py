"""Personal data in types: what the mark covers, where it may go, and what is shown of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tusk_runtime.errors import Invalid
from tusk_runtime.types import (
    DATE,
    INTEGER,
    JSON,
    STRING,
    UNKNOWN,
    UUID,
    Field,
    Record,
    Type,
    Validator,
    erasable,
    exposed,
    holds_pii,
    json_schema,
    lasting,
    marked_as,
    masker,
    personal,
    record_of,
)

EMAIL = Type("email", pii=True)
NAME = personal(STRING)
PERSON = record_of("Person", name=NAME, age=INTEGER, born=personal(DATE.or_null()))
PLACE = record_of("Place", city=STRING)


def listed(type_: Type) -> Type:
    return Type("list", item=type_)


def mapped(type_: Type) -> Type:
    return Type("map", item=type_)


def test_the_mark_covers_what_is_inside() -> None:
    whole = personal(listed(record_of("Line", sku=STRING, tags=mapped(STRING))))
    record = whole.entry.record
    assert record is not None
    assert whole.pii
    assert whole.entry.pii
    assert record.fields["sku"].type == NAME
    assert record.fields["tags"].type.entry == NAME
    assert personal(whole) is whole
    assert personal(UNKNOWN) is UNKNOWN


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (EMAIL, "email pii"),
        (EMAIL.or_null(), "email? pii"),
        (listed(EMAIL), "list<email pii>"),
        (personal(listed(listed(STRING))).or_null(), "list<list<string>>? pii"),
        (personal(PERSON), "Person pii"),
    ],
    ids=str,
)
def test_it_is_shown_as_it_is_written(type_: Type, text: str) -> None:
    assert str(type_) == text


@pytest.mark.parametrize(
    ("source", "target", "part"),
    [
        (STRING, STRING, None),
        (STRING, NAME, None),
        (NAME, NAME, None),
        (NAME, STRING, ""),
        (NAME, JSON, ""),
        (NAME, personal(JSON), None),
        (NAME, UNKNOWN, None),
        (EMAIL, STRING, ""),
        (listed(NAME), listed(NAME), None),
        (listed(NAME), listed(STRING), ""),
        (listed(NAME), personal(listed(STRING)), None),
        (personal(listed(STRING)), listed(NAME), ""),
        (mapped(EMAIL), JSON, ""),
        (PERSON, PERSON, None),
        (PERSON, personal(PERSON), None),
        (PERSON, record_of("Other", name=STRING, age=INTEGER, born=DATE.or_null()), "name"),
        (listed(PERSON), listed(record_of("Other", name=NAME, age=INTEGER, born=DATE.or_null())), "born"),
        (record_of("Order", by=PERSON), record_of("Order", by=record_of("X", name=STRING)), "by.name"),
        (PERSON, JSON, ""),
    ],
    ids=lambda v: str(v)[:30],
)
def test_where_it_is_exposed(source: Type, target: Type, part: str | None) -> None:
    found = exposed(source, target)
    assert (None if found is None else found.path) == part


def test_the_record_that_exposes_is_named() -> None:
    found = exposed(record_of("Order", by=PERSON), record_of("Bill", by=record_of("Payer", name=STRING)))
    assert found == ("by.name", "Payer")


def test_what_takes_a_value_is_marked_as_it_is() -> None:
    assert marked_as(STRING, NAME) == NAME
    assert marked_as(STRING, STRING) is STRING
    assert marked_as(JSON, PERSON) == personal(JSON)
    assert marked_as(listed(STRING), listed(EMAIL)) == listed(NAME)
    plain = record_of("Person", name=STRING, age=INTEGER, born=DATE.or_null(), note=STRING)
    marked = marked_as(plain, PERSON).record
    assert marked is not None
    assert [name for name, field in marked.fields.items() if field.type.pii] == ["name", "born"]


def test_the_name_and_the_defaults_of_a_record_stay() -> None:
    record = Record("Tag", {"text": Field("text", STRING, "x")})
    marked = personal(Type("record", record=record)).record
    assert marked is not None
    assert (marked.name, marked.fields["text"].default) == ("Tag", "x")


@pytest.mark.parametrize(
    ("type_", "part"),
    [
        (NAME, None),
        (EMAIL, None),
        (Type("url", pii=True), None),
        (personal(UUID), ""),
        (personal(UUID.or_null()), None),
        (personal(Type("enum", values=("a", "b"))), ""),
        (personal(DATE), ""),
        (personal(listed(STRING)), ""),
        (listed(NAME), None),
        (listed(personal(DATE)), ""),
        (PERSON, None),
        (personal(PERSON), ""),
        (personal(PERSON).or_null(), None),
        (record_of("Order", by=record_of("Person", born=personal(DATE))), "by.born"),
        (listed(listed(personal(DATE))), ""),
        (DATE, None),
    ],
    ids=lambda v: str(v)[:30],
)
def test_what_could_not_be_erased(type_: Type, part: str | None) -> None:
    found = lasting(type_)
    assert (None if found is None else found.path) == part
    assert lasting(erasable(type_)) is None or part


@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        (NAME, "Ada", "***"),
        (NAME.or_null(), None, None),
        (personal(DATE), date(1815, 12, 10), "***"),
        (listed(NAME), ["Ada", None], ["***", None]),
        (mapped(EMAIL), {"home": "ada@example.org"}, {"home": "***"}),
        (personal(listed(STRING)), ["Ada"], "***"),
        (PERSON, {"name": "Ada", "age": 36, "more": 1}, {"name": "***", "age": 36, "more": "***"}),
        (listed(PERSON), [{"name": "Ada"}], [{"name": "***"}]),
        (record_of("Order", by=PERSON.or_null()), {"by": None}, {"by": None}),
        # What was stored under another declaration may have another shape: then none of it is shown.
        (PERSON, "Ada", "***"),
        (listed(NAME), "Ada", "***"),
    ],
    ids=str,
)
def test_it_is_masked(type_: Type, value: Any, shown: Any) -> None:
    mask = masker(type_)
    assert mask is not None
    assert mask(value) == shown


def test_nothing_is_masked_where_nothing_is_personal() -> None:
    assert masker(PLACE) is None
    assert masker(listed(PLACE)) is None
    assert not holds_pii(PLACE)


WRONG = [
    (STRING, 5),
    (Type("string", max=2), "secret"),
    (Type("string", pattern="[0-9]+"), "secret"),
    (Type("email"), "secret"),
    (Type("url"), "secret"),
    (UUID, "secret"),
    (Type("enum", values=("secrets", "b")), "secret"),
    (INTEGER, "secret"),
    (INTEGER, 5.5),
    (Type("integer", min=9), 5),
    (Type("integer", max=2), 5),
    (Type("number"), "secret"),
    (Type("decimal"), "secret"),
    (Type("boolean"), "secret"),
    (Type("datetime"), "secret"),
    (DATE, "secret"),
    (Type("duration"), "secret"),
    (Type("bytes"), "secret!"),
    (Type("list", item=STRING, unique=True), ["secret", "secret"]),
    (Type("list", item=STRING), "secret"),
    (Type("map", item=INTEGER), {"secret": "x"}),
    (Type("map", item=INTEGER), "secret"),
    (record_of("Person", name=STRING), "secret"),
    (INTEGER, True),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "value"), WRONG, ids=lambda v: str(v)[:30])
def test_a_refused_value_is_not_repeated(type_: Type, value: Any) -> None:
    """The answer to a wrong value goes into logs and consoles of others."""

    def errors(type_: Type) -> str:
        with pytest.raises(Invalid) as caught:
            Validator(Record("Ask", {"x": Field("x", type_)})).python({"x": value})
        return repr(caught.value.details)

    told = "secret" if "secret" in str(value) else "5"
    clear, masked = errors(type_), errors(personal(type_))
    assert told in clear or value is True or value == ["secret", "secret"] or "must have at most" in clear
    assert "secret" not in masked.replace("secrets", "")
    assert "5" not in masked
    assert "must" in masked


def test_the_schema_says_so() -> None:
    schema = json_schema(record_of("Ask", to=EMAIL, note=STRING))
    assert schema["properties"]["to"]["x-pii"] is True
    assert "Personal data" in schema["properties"]["to"]["description"]
    assert "x-pii" not in schema["properties"]["note"]


def test_the_mark_changes_no_value() -> None:
    plain = Validator(Record("Ask", {"to": Field("to", Type("email"))})).python({"to": "ada@example.org"})
    marked = Validator(Record("Ask", {"to": Field("to", EMAIL)})).python({"to": "ada@example.org"})
    assert plain == marked
    assert replace(EMAIL, pii=False) == Type("email")
