"""Fits the result of an expression to the field that it is written to."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from tusk_runtime.expressions import codes, operations
from tusk_runtime.expressions.checker import Checker, unique
from tusk_runtime.expressions.code import Code, Value, constant
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.literals import fits
from tusk_runtime.types import ABSENT, Record, Type, assignable, conformer, exposed, how_to_write
from tusk_runtime.types.kinds import TEXTS
from tusk_runtime.types.reading import Reader
from tusk_runtime.types.relations import same_form


class Place(NamedTuple):
    """Where a value goes: why personal data may not go there, in words, and what to write so that it may.

    `open`: it may, since the value is only compared, or since the file says that it may.
    """

    why: str = "the place that it goes to is not marked `pii`"
    advice: str = ""
    open: bool = False


NO_PLACE = Place()
COMPARED = Place(open=True)


def fit(c: Checker, code: Code, expected: Type, place: Place = NO_PLACE) -> Value | None:
    """The code as a value of the type that is expected, or None with a problem noted."""
    source = code.type
    if source.kind == "json" and not expected.optional and expected.kind != "json":
        pass
    elif source.optional and not expected.optional and expected.kind != "json":
        text = c.text_of(code.syntax)
        if source.kind == "null":
            message, hint = "null where a value is needed", "make the field optional with `?`"
        else:
            message = f"`{text}` may be null, and {expected} may not"
            hint = f"write `{text} ?? …` with a value for that case, or make the field optional with `?`"
        c.error(codes.NULLABLE, code.syntax, message, hint)
        return None
    if not fits(code, expected):
        message, hint = _mismatch(c, code, expected)
        c.error(codes.RESULT, code.syntax, message, hint)
        return None
    if not may_go(c, code, expected, place):
        return None
    if code.literal is not ABSENT and code.literal is not None and expected.kind != "json":
        return _fit_literal(c, code, expected)
    converted = c.convert(code, expected)
    needs = None if source.kind == "json" or same_form(source, expected) else conformer(expected)
    if needs is not None:
        checked = c.operation(operations.checked(needs), converted.node, title=unique(str(expected)))
        converted = c.wrap(converted, checked, converted.type)
    type_ = expected.required() if not converted.type.optional else expected
    return Value(converted.node, type_)


def may_go(c: Checker, code: Code, expected: Type, place: Place) -> bool:
    """Whether nothing personal in a value goes where it is not marked; notes a problem if something does."""
    part = None if place.open else exposed(code.type, expected)
    if part is None:
        return True
    text = c.text_of(code.syntax)
    what = f"`{part.path}` in `{text}` is" if part.path else f"`{text}` {'is' if code.type.pii else 'holds'}"
    advice = [f"mark `{part.path.rpartition('.')[2]}` of `{part.record}`, too" if part.path else place.advice]
    if code.type.kind in TEXTS and expected.kind == "string" and not text.endswith("…"):
        advice.append(f"show only its first character: `mask({text})`")
    hint = (
        ", or ".join(filter(None, advice))
        or "leave it out here, or show what is made of it: a count, a comparison"
    )
    c.error(codes.PERSONAL, code.syntax, f"{what} personal data, and {place.why}", hint)
    return False


def _fit_literal(c: Checker, code: Code, expected: Type) -> Value | None:
    reader = Reader()
    # A literal is nobody's data: what is wrong with it is told as it is.
    value = reader.read(replace(expected, pii=False) if expected.pii else expected, code.literal)
    if reader.issues:
        issue = reader.issues[0]
        c.error(codes.RESULT, code.syntax, f"this {issue.message}", issue.help or how_to_write(expected))
        return None
    found = constant(value, c.globals)
    found.site = c.site_of(code.syntax, expected)  # type: ignore[attr-defined]
    return Value(found, expected.required())


def _mismatch(c: Checker, code: Code, expected: Type) -> tuple[str, str]:
    text, source = c.text_of(code.syntax), code.type.required()
    kinds = source.kind, expected.kind
    if source.record is not None and expected.record is not None:
        return _record_mismatch(source.record, expected.record)
    message = f"`{text}` is of type {source}, {expected} is needed"
    if kinds[0] in TEXTS and kinds[1] in (
        "integer",
        "number",
        "decimal",
        "boolean",
        "date",
        "datetime",
        "duration",
    ):
        return message, f"convert it: `{kinds[1]}({text})`"
    if kinds[1] == "string" and kinds[0] not in ("list", "map", "record"):
        return message, f"convert it: `string({text})`"
    if kinds[0] in ("decimal", "number") and kinds[1] == "integer":
        return message, f"round it: `round({text})`"
    if set(kinds) == {"decimal", "number"} or set(kinds) == {"date", "datetime"}:
        return message, f"convert it: `{kinds[1]}({text})`"
    if kinds == ("enum", "enum"):
        extra = [v for v in source.values if v not in expected.values]
        return message, f"`{extra[0]}` is no value of the target: add it to those of the target"
    if kinds[0] == "list" and source.item is not None and assignable(source.item, expected):
        return message, f"take one of them: `first({text})`"
    if kinds[1] == "list":
        return message, f"write `[{text}]`"
    return message, f"give it a value of type {expected}"


def _record_mismatch(source: Record, expected: Record) -> tuple[str, str]:
    for name, field in source.fields.items():
        if name not in expected.fields:
            hint = one_of(name, expected.fields, f"the fields of {expected.name}")
            return f"{expected.name} has no field `{name}`", hint
        if not assignable(field.type, expected.fields[name].type):
            wanted = expected.fields[name].type
            message = f"`{name}` is of type {field.type}, {wanted} is needed in {expected.name}"
            return message, f"write a map that sets `{name}` to a value of type {wanted}"
    lacking = [
        name for name, field in expected.fields.items() if field.required and name not in source.fields
    ]
    names = ", ".join(f"`{name}`" for name in lacking)
    verb = "is" if len(lacking) == 1 else "are"
    hint = "name every field that is neither optional nor has a default"
    return f"{names} of {expected.name} {verb} not set", hint
