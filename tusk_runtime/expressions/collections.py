"""Checks lists, maps and comprehensions."""

from __future__ import annotations

import ast

from tusk_runtime.expressions import codes, operations
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.checker import Checker, visitor
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.failures import BUDGET
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.limits import MAX_LOOPS
from tusk_runtime.expressions.narrowing import facts
from tusk_runtime.expressions.scope import RESERVED
from tusk_runtime.types import JSON, UNKNOWN, Field, Record, Type, assignable, marked_as
from tusk_runtime.types.generate import name


@visitor(s.ListOf)
def _list(c: Checker, syntax: s.ListOf, expected: Type | None) -> Code:
    hint = expected.item if expected is not None and expected.kind == "list" else None
    if expected is not None and expected.kind == "json":
        hint = JSON
    items = []
    for item in syntax.items:
        items.append(c.visit(item, hint))
        if hint is None and items[-1].known and items[-1].type.kind not in ("null", "string"):
            hint = items[-1].type
    if not all(item.known for item in items):
        return c.unknown(syntax)
    type_, items = element_type(c, items, hint, syntax)
    if type_ is UNKNOWN:
        return c.unknown(syntax)
    missing = any(item.missing for item in items)
    node = ast.List([item.node for item in items], ast.Load())
    return Code(node, Type("list", item=type_), syntax, missing=missing)


def element_type(
    c: Checker, items: list[Code], hint: Type | None, syntax: s.Syntax
) -> tuple[Type, list[Code]]:
    """The type of entries that are written one by one: what is expected if all fit, else what they have in
    common.
    """
    if hint is not None and (hint.kind == "json" or all(assignable(item.type, hint) for item in items)):
        return _as_plain(c, items, hint)
    if not items:
        return hint or JSON, items
    return c.common(items, syntax, "the entries of a list")


def _as_plain(c: Checker, items: list[Code], wanted: Type) -> tuple[Type, list[Code]]:
    """The values as a type that all of them fit, without its constraints, as personal as the values are."""
    type_ = JSON if wanted.kind == "json" else _plain(wanted)
    for item in items:
        type_ = marked_as(type_, item.type)
    return type_, [c.convert(item, type_) for item in items]


def _plain(type_: Type) -> Type:
    """The type without its constraints, which nobody has checked yet."""
    return Type(type_.kind, type_.optional, values=type_.values, item=type_.item, record=type_.record)


@visitor(s.MapOf)
def _map(c: Checker, syntax: s.MapOf, expected: Type | None) -> Code:
    """A map of texts to values. Where a record is expected its fields, otherwise a record of its own."""
    seen: set[str] = set()
    for pair in syntax.pairs:
        if pair.key in seen:
            return c.error(
                codes.FIELDS, (pair.start, pair.end), f"`{pair.key}` stands there twice", "remove one"
            )
        seen.add(pair.key)
    wanted = expected.record if expected is not None else None
    values: dict[str, Code] = {}
    for pair in syntax.pairs:
        if wanted is not None:
            field = wanted.fields.get(pair.key)
            if field is None:
                return c.error(
                    codes.UNKNOWN_FIELD,
                    (pair.start, pair.end),
                    f"{wanted.name} has no field `{pair.key}`",
                    one_of(pair.key, wanted.fields, f"the fields of {wanted.name}"),
                )
            hint: Type | None = field.type
        else:
            hint = expected.item if expected is not None and expected.kind == "map" else None
        values[pair.key] = c.close(c.visit(pair.value, hint))
    if not all(value.known for value in values.values()):
        return c.unknown(syntax)
    missing = any(value.missing for value in values.values())
    if expected is not None and expected.kind in ("map", "json"):
        item = expected.item or JSON
        if all(assignable(value.type, item) for value in values.values()):
            entry, converted = _as_plain(c, list(values.values()), item)
            type_ = Type("map", item=entry) if expected.kind == "map" else marked_as(JSON, entry)
            return Code(_dict(dict(zip(values, converted, strict=True))), type_, syntax, missing=missing)
    fields = {key: Field(key, value.type) for key, value in values.items()}
    record = Record(wanted.name if wanted else "this map", fields)
    return Code(_dict(values), Type("record", record=record), syntax, missing=missing)


def _dict(values: dict[str, Code]) -> ast.expr:
    return ast.Dict([ast.Constant(key) for key in values], [value.node for value in values.values()])


@visitor(s.Comprehension)
def _comprehension(c: Checker, syntax: s.Comprehension, expected: Type | None) -> Code:
    code = comprehension(c, syntax, expected)
    if not code.known:
        return code
    return c.wrap(code, c.budgeted(operations.made, code.node), code.type)


def comprehension(c: Checker, syntax: s.Comprehension, expected: Type | None, lazy: bool = False) -> Code:
    """A comprehension as a bare Python one: its steps are paid for, the list that it makes is not.

    `lazy` makes a generator, for functions that stop early.
    """
    loops_before, facts_before = dict(c.loops), c.facts
    # One round costs as many steps as the parts that it evaluates.
    weight = syntax.element.size + sum(test.size for loop in syntax.loops for test in loop.tests)
    try:
        generators: list[ast.comprehension] = []
        missing = False
        for loop in syntax.loops:
            items = _items(c, loop)
            if not items.known:
                return c.unknown(syntax)
            if (taken := _taken(c, loop)) is not None:
                return taken
            c.loops[loop.name] = items.type.entry
            missing = missing or items.missing
            tests = []
            for test in loop.tests:
                code = c.condition(test)
                if not code.known:
                    return c.unknown(syntax)
                c.facts |= facts(test)[0]
                missing = missing or code.missing
                tests.append(code.node)
            c.shared.budgeted = True
            source = c.operation(operations.loop, name(BUDGET), items.node, ast.Constant(weight))
            source.site = items.node.site  # type: ignore[attr-defined]
            generators.append(ast.comprehension(ast.Name(loop.name, ast.Store()), source, tests, is_async=0))
        hint = expected.item if expected is not None and expected.kind == "list" else None
        element = c.close(c.visit(syntax.element, hint))
    finally:
        c.loops, c.facts = loops_before, facts_before
    if not element.known:
        return c.unknown(syntax)
    type_ = element.type
    if hint is not None and assignable(element.type, hint):
        element = c.convert(element, _plain(hint))
        type_ = element.type
    node: ast.expr = (
        ast.GeneratorExp(element.node, generators) if lazy else ast.ListComp(element.node, generators)
    )
    result = Code(
        node, Type("list", item=type_), syntax, rounded=element.rounded, missing=missing or element.missing
    )
    node.site = c.site_of(syntax, element.type)  # type: ignore[attr-defined]
    return result


def _items(c: Checker, loop: s.Loop) -> Code:
    items = c.settled(c.visit(loop.items), "gone through")
    if not items.known:
        return items
    if items.type.kind == "json":
        items = c.convert(items, Type("list", item=JSON))
    if items.type.kind != "list":
        text = c.text_of(loop.items)
        hint = f"write `[{text}]` for a list of one"
        if items.type.kind in ("map", "record"):
            hint = f"write `keys({text})`, `values({text})` or `items({text})`"
        elif items.type.kind == "string":
            hint = f"write `split({text}, ',')`"
        elif items.type.kind == "integer":
            hint = f"write `range(0, {text})`"
        return c.error(
            codes.TYPE, loop.items, f"only lists are gone through; `{text}` is of type {items.type}", hint
        )
    return items


def _taken(c: Checker, loop: s.Loop) -> Code | None:
    place = (loop.name_start, loop.name_start + len(loop.name))
    if len(c.loops) >= MAX_LOOPS:
        message = f"more than {MAX_LOOPS} loops inside one another"
        return c.error(codes.TOO_DEEP, place, message, "compute parts in fields of their own")
    if loop.name in c.loops or loop.name in c.scope.names:
        return c.error(
            codes.SHADOWED, place, f"`{loop.name}` is already a name here", "give the loop another name"
        )
    if loop.name in RESERVED:
        return c.error(
            codes.SHADOWED, place, f"`{loop.name}` is a word of the language", "give the loop another name"
        )
    return None
