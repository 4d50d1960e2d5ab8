"""Checks access to parts of values: `a.b`, `a?.b`, `a[i]`, `a[1:3]`."""

from __future__ import annotations

import ast
from itertools import takewhile

from tusk_runtime.expressions import codes, operations
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.calls import other_spelling
from tusk_runtime.expressions.checker import Checker, visitor
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.narrowing import path_of
from tusk_runtime.expressions.registry import FUNCTIONS
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.types import INTEGER, JSON, STRING, TEXTS, Record, Type, marked_as


@visitor(s.Member)
def _member(c: Checker, syntax: s.Member, expected: Type | None) -> Code:
    before = set(c.shared.reads)
    return _member_of(c, syntax, c.visit(syntax.target), before)


def _member_of(c: Checker, syntax: s.Member, target: Code, before: set[tuple[str, ...]]) -> Code:
    """A member of a checked target. `before` is what was read before the target was looked at."""
    if not target.known:
        return c.unknown(syntax)
    path = path_of(syntax)
    if path is not None and path[0] not in c.loops:
        # Only the whole path is read, not what stands on its way.
        names = tuple(takewhile(lambda part: isinstance(part, str), path))
        c.shared.reads = before | {names}  # type: ignore[arg-type]
    if target.type.optional and target.type.kind != "json" and not syntax.optional:
        text = c.text_of(syntax.target)
        return c.error(
            codes.NULLABLE,
            syntax.target,
            f"`{text}` may be null and has no fields then",
            f"write `{text}?.{syntax.key}`, or ask `{text} != null` first",
        )
    code = _field(c, syntax, target)
    if path is not None and path in c.facts and code.known:
        code.type = code.type.required()
    return code


def _field(c: Checker, syntax: s.Member, target: Code) -> Code:
    type_, key = target.type, syntax.key
    place = (syntax.key_start, syntax.key_start + len(key))
    if type_.record is not None:
        field = type_.record.fields.get(key)
        if field is None:
            return _no_field(c, syntax, type_.record, place)
        if syntax.optional and type_.optional:
            node = c.operation(operations.optional_member, target.node, ast.Constant(key))
            return Code(node, field.type.or_null(), syntax, missing=target.missing)
        node_ = ast.Subscript(target.node, ast.Constant(key), ast.Load())
        return Code(node_, field.type, syntax, missing=target.missing)
    if type_.kind == "map":
        if syntax.optional:
            node = c.operation(operations.optional_key, target.node, ast.Constant(key))
            return Code(node, type_.entry.or_null(), syntax, missing=target.missing)
        return Code(
            c.operation(operations.key, target.node, ast.Constant(key)), type_.entry, syntax, missing=True
        )
    if type_.kind == "json":
        json = marked_as(JSON, type_)
        if syntax.optional:
            node = c.operation(operations.optional_json_member, target.node, ast.Constant(key))
            return Code(node, json.or_null(), syntax, missing=target.missing)
        node = c.operation(operations.json_member, target.node, ast.Constant(key))
        return Code(node, json, syntax, missing=True)
    text = c.text_of(syntax.target)
    if type_.kind == "list":
        hint = f"take one, `first({text})?.{key}`, or all, `[x.{key} for x in {text}]`"
        if key in ("length", "size", "count"):
            hint = f"write `length({text})`"
        return c.error(codes.UNKNOWN_FIELD, place, f"`{text}` is a list and has no fields", hint)
    return c.error(
        codes.UNKNOWN_FIELD,
        place,
        f"`{text}` is of type {type_.required()} and has no fields",
        _function_hint(text, key),
    )


def _function_hint(text: str, key: str) -> str:
    return f"write `{key}({text})`" if key in FUNCTIONS else f"write just `{text}`, or a function of it"


def _no_field(c: Checker, syntax: s.Member, record: Record, place: tuple[int, int]) -> Code:
    hint = one_of(syntax.key, record.fields, f"the fields of {record.name}")
    if nearest(syntax.key, record.fields) is None:
        if elsewhere := [
            f"{root}.{syntax.key}"
            for root, other in c.scope.names.items()
            if other.record is not None and syntax.key in other.record.fields
        ]:
            hint = f"did you mean `{elsewhere[0]}`?"
        elif not record.fields:
            hint = f"{record.name} has no fields"
    return c.error(codes.UNKNOWN_FIELD, place, f"{record.name} has no field `{syntax.key}`", hint)


@visitor(s.Method)
def _method(c: Checker, syntax: s.Method, expected: Type | None) -> Code:
    target = c.text_of(syntax.target)
    place = (syntax.name_start, syntax.name_start + len(syntax.name))
    if syntax.name in FUNCTIONS:
        hint = f"write `{syntax.name}({target})` or `{target} | {syntax.name}`"
    else:
        hint = other_spelling(syntax.name) or one_of(syntax.name, FUNCTIONS, "the functions")
    return c.error(codes.JINJA, place, "there are no methods", hint)


@visitor(s.Index)
def _index(c: Checker, syntax: s.Index, expected: Type | None) -> Code:
    before = set(c.shared.reads)
    target = c.visit(syntax.target)
    type_ = target.type
    if type_.record is not None and isinstance(syntax.key, s.Literal) and isinstance(syntax.key.value, str):
        # `data['total']` is `data.total`; that also helps with fields that are no words.
        size = syntax.size
        member = s.Member(
            syntax.start,
            syntax.end,
            syntax.depth,
            size,
            syntax.target,
            syntax.key.value,
            syntax.key.start,
            False,
        )
        return _member_of(c, member, target, before)
    key = c.visit(syntax.key)
    if not (target.known and key.known):
        return c.unknown(syntax)
    if type_.kind != "json":
        target = c.settled(target, "looked into")
    key = c.close(c.settled(key, "used as an index"))
    if not (target.known and key.known):
        return c.unknown(syntax)
    path = path_of(syntax)
    text = c.text_of(syntax.target)
    if type_.kind == "json":
        node = c.operation(operations.json_member, target.node, key.node)
        result = Code(node, marked_as(JSON, type_), syntax, missing=True)
    elif type_.kind == "map":
        if key.type.kind == "json":
            key = c.convert(key, STRING)
        if key.type.kind not in TEXTS:
            return c.error(
                codes.TYPE,
                syntax.key,
                f"the keys of a map are texts, not {key.type}",
                f"write `string({c.text_of(syntax.key)})`",
            )
        result = Code(c.operation(operations.key, target.node, key.node), type_.entry, syntax, missing=True)
    elif type_.kind == "list" or type_.kind in TEXTS:
        if key.type.kind == "json":
            key = c.convert(key, INTEGER)
        if key.type.kind != "integer":
            return c.error(
                codes.TYPE,
                syntax.key,
                f"the index of a {_plain(type_)} is an integer, not {key.type}",
                f"write an integer, such as `{text}[0]`",
            )
        item = type_.item or marked_as(STRING, type_)
        result = Code(c.operation(operations.at, target.node, key.node), item, syntax, missing=True)
    elif type_.record is not None:
        return c.error(
            codes.TYPE,
            syntax.key,
            f"`{text}` is a record; its fields are named in the file",
            f"write `{text}.{next(iter(type_.record.fields), 'field')}`",
        )
    else:
        return c.error(
            codes.TYPE,
            syntax.target,
            f"`{text}` is of type {type_} and has no entries",
            f"write just `{text}`",
        )
    if path is not None and path in c.facts:
        result.type = result.type.required()
        result.missing = False
    return result


def _plain(type_: Type) -> str:
    return "list" if type_.kind == "list" else "text"


@visitor(s.Slice)
def _slice(c: Checker, syntax: s.Slice, expected: Type | None) -> Code:
    target = c.settled(c.visit(syntax.target, expected), "cut")
    if not target.known:
        return target
    if target.type.kind == "json":
        target = c.convert(target, Type("list", item=JSON))
    if target.type.kind != "list" and target.type.kind not in TEXTS:
        text = c.text_of(syntax.target)
        return c.error(
            codes.TYPE,
            syntax.target,
            f"only lists and texts are cut, `{text}` is of type {target.type}",
            f"write just `{text}`, or `string({text})` first",
        )
    bounds: list[ast.expr] = []
    for bound in (syntax.first, syntax.last):
        if bound is None:
            bounds.append(ast.Constant(None))
            continue
        code = c.close(c.settled(c.visit(bound, INTEGER), "used as an index"))
        if code.known and code.type.kind == "json":
            code = c.convert(code, INTEGER)
        if not code.known:
            return c.unknown(syntax)
        if code.type.kind != "integer":
            return c.error(
                codes.TYPE, bound, f"an index is an integer, not {code.type}", "write an integer, such as `0`"
            )
        bounds.append(code.node)
    plain = Type("list", item=target.type.item) if target.type.kind == "list" else STRING
    type_ = marked_as(plain, target.type)
    return Code(c.budgeted(operations.part, target.node, *bounds), type_, syntax, missing=target.missing)
