"""Calls over maps and records, whose types follow the keys that are written out."""

from __future__ import annotations

import ast

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.builders.common import (
    Expected,
    parameter_of,
)
from tusk_runtime.expressions.calls import (
    argument,
    literal_argument,
    wrong_argument,
)
from tusk_runtime.expressions.checker import Checker
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.library import lists
from tusk_runtime.types import (
    JSON,
    STRING,
    UNKNOWN,
    Field,
    Record,
    Type,
    assignable,
    marked_as,
    personal,
)


def entries(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`keys`, `values`, `items`."""
    code = c.settled(c.visit(call.arguments[0]), f"given to `{call.name}`")
    if not code.known:
        return c.unknown(call)
    type_ = code.type
    key = STRING if type_.record is not None else _text_of(type_)
    if type_.kind == "map":
        value = type_.entry
    elif type_.kind == "json":
        value = marked_as(JSON, type_)
    elif type_.record is not None:
        kinds = {field.type for field in type_.record.fields.values()}
        value = kinds.pop() if len(kinds) == 1 else marked_as(JSON, type_)
        if value.kind == "json" and call.name != "keys":
            code = c.convert(code, JSON)
    else:
        return wrong_argument(c, code, "map", call)
    function = {"keys": lists.keys, "values": lists.values, "items": lists.items}[call.name]
    item = {
        "keys": key,
        "values": value,
        "items": Type(
            "record", record=Record("entry", {"key": Field("key", key), "value": Field("value", value)})
        ),
    }[call.name]
    return Code(c.budgeted(function, code.node), Type("list", item=item), call, missing=code.missing)


def _text_of(type_: Type) -> Type:
    """The type of the keys of a map or of json: personal where all of it is."""
    return personal(STRING) if type_.pii else STRING


def combine(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`combine(a, b)`: records keep the types of their fields, b may add others."""
    one = c.settled(c.visit(call.arguments[0]), "combined")
    if not one.known:
        return c.unknown(call)
    record = one.type.record
    if one.type.kind not in ("record", "map", "json"):
        return wrong_argument(c, one, "map", call)
    other_node = s.ungroup(call.arguments[1])
    if record is not None and isinstance(other_node, s.MapOf):
        known = {pair.key: record.fields[pair.key] for pair in other_node.pairs if pair.key in record.fields}
        unknown = [pair for pair in other_node.pairs if pair.key not in record.fields]
        partial = Record(record.name, known) if not unknown else None
        two = c.visit(other_node, Type("record", record=partial) if partial else None)
    else:
        two = c.visit(call.arguments[1], one.type if one.type.kind == "map" else None)
    two = c.settled(two, "combined")
    if not two.known:
        return c.unknown(call)
    if two.type.kind not in ("record", "map", "json"):
        return wrong_argument(c, two, "map", call)
    type_: Type
    if record is not None and two.type.record is not None:
        fields = {**record.fields}
        changed = False
        for key, field in two.type.record.fields.items():
            before = fields.get(key)
            if before is not None and assignable(field.type, before.type):
                marked = marked_as(before.type, field.type)
                changed = changed or marked is not before.type
                fields[key] = Field(key, marked, before.default)
                continue
            fields[key] = Field(key, field.type)
            changed = True
        two = _widened(c, two, fields)
        type_ = Type("record", record=Record(record.name, fields)) if changed else one.type
    elif one.type.kind == "map" and two.type.kind == "map":
        type_, (one, two) = c.common([one, two], call, "both maps")
    elif "json" in (one.type.kind, two.type.kind):
        one, two = c.convert(one, JSON), c.convert(two, JSON)
        type_ = marked_as(marked_as(JSON, one.type), two.type)
    else:
        return wrong_argument(c, two, str(one.type), call)
    if type_ is UNKNOWN:
        return c.unknown(call)
    return Code(
        c.budgeted(lists.combine, one.node, two.node), type_, call, missing=one.missing or two.missing
    )


def _widened(c: Checker, code: Code, fields: dict[str, Field]) -> Code:
    """A record with its fields as the types that they have in another."""
    if code.type.record is None:
        return code
    names = code.type.record.fields
    return c.convert(
        code, Type("record", record=Record(code.type.record.name, {n: fields[n] for n in names}))
    )


def omit(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`omit(a, 'key', …)`."""
    code = c.settled(c.visit(call.arguments[0]), "given to `omit`")
    if not code.known:
        return c.unknown(call)
    type_ = code.type
    if type_.kind not in ("record", "map", "json"):
        return wrong_argument(c, code, "map", call)
    nodes, names = [], []
    for node in call.arguments[1:]:
        if type_.record is not None:
            value = literal_argument(c, node, "the name of a field", call)
            if value is None:
                return c.unknown(call)
            if value not in type_.record.fields:
                hint = one_of(str(value), type_.record.fields, f"the fields of {type_.record.name}")
                return c.error(codes.UNKNOWN_FIELD, node, f"{type_.record.name} has no field `{value}`", hint)
            names.append(value)
            nodes.append(ast.Constant(value))
        else:
            key = argument(c, node, parameter_of(call, 1), call, {})
            if not key.known:
                return c.unknown(call)
            nodes.append(key.node)  # type: ignore[arg-type]
    if type_.record is not None:
        rest = {n: f for n, f in type_.record.fields.items() if n not in names}
        type_ = Type("record", record=Record(type_.record.name, rest))
    return Code(c.budgeted(lists.omit, code.node, *nodes), type_, call, missing=code.missing)
