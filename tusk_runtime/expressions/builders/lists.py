"""Calls over lists, where the type of the entries decides."""

from __future__ import annotations

import ast
from typing import Any

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.builders.common import (
    ORDERED,
    Expected,
    bare,
    list_argument,
    parameter_of,
)
from tusk_runtime.expressions.calls import (
    argument,
    literal_argument,
    visit_argument,
    wrong_argument,
)
from tusk_runtime.expressions.checker import Checker
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.library import conversions, lists
from tusk_runtime.types import (
    BOOLEAN,
    DECIMAL,
    JSON,
    NUMBER,
    NUMERIC,
    STRING,
    TEXTS,
    UNKNOWN,
    Type,
)
from tusk_runtime.types.generate import name


def _numbers(c: Checker, call: s.Call) -> Code:
    code = list_argument(c, call)
    if not code.known:
        return code
    item = code.type.item
    if item is None or item.optional or item.kind not in NUMERIC:
        if isinstance(call.arguments[0], s.ListOf) and not call.arguments[0].items:
            return c.error(
                codes.TYPE, call, "an empty list has no type to calculate with", "write the result itself"
            )
        return wrong_argument(c, code, "list<N>", call)
    return code


def total(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`sum(list)`."""
    code = _numbers(c, call)
    if not code.known:
        return c.unknown(call)
    kind = code.type.entry.kind
    if kind == "decimal":
        function: Any = lists.sum_rounded if code.rounded else lists.sum_decimals
    else:
        function = lists.sum_integers if kind == "integer" else lists.sum_numbers
    return Code(c.budgeted(function, code.node), Type(kind), call, rounded=code.rounded, missing=code.missing)


def average(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`avg(list)`."""
    code = _numbers(c, call)
    if not code.known:
        return c.unknown(call)
    if code.type.entry.kind == "number":
        return Code(
            c.budgeted(lists.average_numbers, code.node), NUMBER.or_null(), call, missing=code.missing
        )
    node = c.budgeted(lists.average, code.node)
    return Code(node, DECIMAL.or_null(), call, rounded=True, missing=code.missing)


def extreme(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`min` and `max`, of a list or of several arguments."""
    smallest = call.name == "min"
    if len(call.arguments) == 1:
        code = list_argument(c, call)
        if not code.known:
            return c.unknown(call)
        item = code.type.item
        if item is None or item.optional or item.kind not in ORDERED:
            return wrong_argument(c, code, "list<N>", call)
        node = c.budgeted(lists.smallest if smallest else lists.largest, code.node)
        return Code(node, bare(item).or_null(), call, rounded=code.rounded, missing=code.missing)
    values: list[Code] = []
    hint = expected if expected is not None and expected.kind in ORDERED else None
    for node_ in call.arguments:
        code = c.settled(c.visit(node_, hint), f"given to `{call.name}`")
        if not code.known:
            return c.unknown(call)
        values.append(c.close(code))
        hint = hint or code.type
    type_, values = c.common(values, call, f"the arguments of `{call.name}`")
    if type_ is UNKNOWN:
        return c.unknown(call)
    if type_.kind not in ORDERED:
        return c.error(
            codes.TYPE,
            call,
            f"values of type {type_} have no order",
            "give it numbers, texts, dates or durations",
        )
    node = c.operation(lists.smallest_of if smallest else lists.largest_of, *(code.node for code in values))
    rounded, missing = any(v.rounded for v in values), any(v.missing for v in values)
    return Code(node, bare(type_), call, rounded=rounded, missing=missing)


def quantifier(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`any` and `all`, which stop at the first that decides."""
    code = visit_argument(c, call.arguments[0], None, lazy=True)
    if not code.known:
        return c.unknown(call)
    code = c.settled(code, f"given to `{call.name}`")
    if not code.known:
        return c.unknown(call)
    if code.type.kind == "json" or (code.type.item is not None and code.type.item.kind == "json"):
        code = c.convert(code, Type("list", item=BOOLEAN))
    item = code.type.item
    if code.type.kind != "list" or item is None or item.kind != "boolean" or item.optional:
        return wrong_argument(c, code, "list<boolean>", call)
    function = lists.any_true if call.name == "any" else lists.all_true
    if not isinstance(code.node, ast.GeneratorExp):
        return Code(c.budgeted(_paid, code.node, c_name(c, function)), BOOLEAN, call, missing=code.missing)
    # Python's own functions cost less than one of ours around them.
    plain = any if call.name == "any" else all
    return Code(
        c.operation(plain, code.node, title=f"python {call.name}"), BOOLEAN, call, missing=code.missing
    )


def c_name(c: Checker, function: Any) -> ast.expr:
    """A run-time function as a value."""
    title = f"{function.__module__}.{function.__qualname__}"
    c.globals[title] = function
    return name(title)


def _paid(b: Any, xs: list[Any], function: Any) -> Any:
    b.take(1 + len(xs))
    return function(xs)


def first(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`first(list)`, which stops a comprehension at its first entry."""
    hint = Type("list", item=expected) if expected is not None else None
    code = visit_argument(c, call.arguments[0], hint, lazy=True)
    if not code.known:
        return c.unknown(call)
    code = c.settled(code, "given to `first`")
    if code.known and code.type.kind == "json":
        code = c.convert(code, Type("list", item=JSON))
    if not code.known:
        return c.unknown(call)
    if code.type.kind != "list" or code.type.item is None:
        return wrong_argument(c, code, "list<T>", call)
    return Code(c.operation(lists.first, code.node), code.type.item.or_null(), call, missing=code.missing)


def sort(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`sort(list, 'field', descending)`."""
    code = list_argument(c, call, hint=expected)
    if not code.known:
        return c.unknown(call)
    item = code.type.item
    if code.type.kind != "list" or item is None:
        return wrong_argument(c, code, "list<T>", call)
    arguments, field = call.arguments[1:], None
    text = c.text_of(call.arguments[0])
    if arguments and isinstance(s.ungroup(arguments[0]), s.Literal):
        field = literal_argument(c, arguments[0], "the name of a field", call)
        if isinstance(field, bool):
            field = None  # `sort(list, true)`: by the entries, descending
        elif isinstance(field, str):
            arguments = arguments[1:]
        else:
            hint = f"quote it: `sort({text}, 'field')`"
            return c.error(codes.ARGUMENTS, arguments[0], "the name of a field is a text", hint)
    by = item
    if isinstance(field, str):
        if item.record is None or field not in item.record.fields:
            what = (
                f"{item.record.name} has no field `{field}`"
                if item.record
                else f"entries of type {item} have no fields"
            )
            hint = (
                one_of(field, item.record.fields, f"the fields of {item.record.name}")
                if item.record
                else f"write `sort({text})`"
            )
            return c.error(codes.UNKNOWN_FIELD, call.arguments[1], what, hint)
        by = item.record.fields[field].type
    elif item.record is not None:
        fields = ", ".join(f"`{f}`" for f in list(item.record.fields)[:8])
        return c.error(codes.ARGUMENTS, call, "records are sorted by a field", f"name one: {fields}")
    if by.optional or by.kind not in (ORDERED | {"boolean", "enum"}):
        message = "what it is sorted by may be null" if by.optional else f"values of type {by} have no order"
        key = f"x.{field}" if isinstance(field, str) else "x"
        hint = (
            f"leave the nulls out: `[x for x in {text} if {key} != null]`"
            if by.optional
            else "sort by a number, a text, a date or a duration"
        )
        return c.error(codes.NULLABLE if by.optional else codes.TYPE, call, message, hint)
    nodes = [code.node]
    if arguments:
        descending = argument(c, arguments[0], parameter_of(call, 2), call, {})
        if not descending.known:
            return c.unknown(call)
        nodes.append(descending.node)
    title = "sort" + (f" by {field}" if field is not None else "")
    c.shared.budgeted = True
    node = c.operation(lists.sort_by(field), name("tusk budget"), *nodes, title=title)
    return Code(node, Type("list", item=item), call, missing=code.missing)


def join(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`join(list, sep)`, of texts or of other single values."""
    code = list_argument(c, call)
    if not code.known:
        return c.unknown(call)
    item = code.type.item
    if code.type.kind != "list" or item is None or item.optional or item.kind in ("list", "map", "record"):
        return wrong_argument(c, code, "list<text>", call)
    node = code.node
    if item.kind not in TEXTS:
        node = c.budgeted(_texts, node)
    nodes = [node]
    if len(call.arguments) > 1:
        separator = argument(c, call.arguments[1], parameter_of(call, 1), call, {})
        if not separator.known:
            return c.unknown(call)
        nodes.append(separator.node)
    return Code(c.budgeted(lists.join, *nodes), STRING, call, missing=code.missing)


def _texts(b: Any, xs: list[Any]) -> list[str]:
    b.list(len(xs))
    return [conversions.string(x) for x in xs]
