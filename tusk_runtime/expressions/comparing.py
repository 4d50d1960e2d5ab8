"""Checks `== != < <= > >= in` and `not in`."""

from __future__ import annotations

import ast

from tusk_runtime.expressions import codes, literals, operations
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.checker import Checker, visitor
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.narrowing import path_of
from tusk_runtime.types import BOOLEAN, NUMERIC, STRING, TEXTS, Type

_EQUALITY = {"==": ast.Eq, "!=": ast.NotEq}
_ORDER = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}
_ORDERED = NUMERIC | {"datetime", "date", "duration", "string"}
_CHEAP = NUMERIC | {"datetime", "date", "duration", "boolean", "uuid", "enum"}
"""The kinds whose values are small, so that looking at one costs one step."""


@visitor(s.Compare)
def _compare(c: Checker, syntax: s.Compare, expected: Type | None) -> Code:
    results: list[Code] = []
    left = syntax.first
    for _, middle in syntax.rest[:-1]:
        if path_of(middle) is None and not literals.is_literal(middle):
            return c.error(
                codes.SYNTAX,
                middle,
                "what stands in the middle of a chain of comparisons must be a field or a literal",
                f"ask twice: `… {syntax.rest[0][0]} {c.text_of(middle)} and {c.text_of(middle)} …`",
            )
    for op, right in syntax.rest:
        step = s.Compare(left.start, right.end, syntax.depth, syntax.size, left, [(op, right)])
        result = _one(c, op, left, right, step)
        result.node.site = c.site_of(step, BOOLEAN)  # type: ignore[attr-defined]
        results.append(result)
        left = right
    if not all(code.known for code in results):
        return c.unknown(syntax)
    if len(results) == 1:
        results[0].syntax = syntax
        return results[0]
    missing = any(code.missing for code in results)
    return Code(ast.BoolOp(ast.And(), [code.node for code in results]), BOOLEAN, syntax, missing=missing)


def _one(c: Checker, op: str, left: s.Syntax, right: s.Syntax, step: s.Syntax) -> Code:
    if "in" in op:
        return _in(c, op, left, right, step)
    if literals.is_literal(left):
        two = c.visit(right)
        one = c.visit(left, two.type if two.known else None)
    else:
        one = c.visit(left)
        two = c.visit(right, one.type if one.known else None)
    if not (one.known and two.known):
        return c.unknown(step)
    if op in _EQUALITY:
        code = _equality(c, op, one, two, step)
    else:
        code = _order(c, op, one, two, step)
    code.missing = one.missing or two.missing
    return code


def _equality(c: Checker, op: str, one: Code, two: Code, step: s.Syntax) -> Code:
    nulls = [code for code in (one, two) if code.type.kind == "null"]
    if nulls:
        other = c.close(two if nulls[0] is one else one)
        if isinstance(other.node, ast.Constant):
            return Code(ast.Constant((other.node.value is None) == (op == "==")), BOOLEAN, step)
        test: ast.cmpop = ast.Is() if op == "==" else ast.IsNot()
        return Code(ast.Compare(other.node, [test], [ast.Constant(None)]), BOOLEAN, step)
    if "json" in (one.type.kind, two.type.kind):
        one, two = _json_beside(c, one), _json_beside(c, two)
        if one.type.kind != two.type.kind:
            one, two = _as(c, one, two), _as(c, two, one)
    elif not _comparable(c, one, two, step):
        return c.unknown(step)
    one, two = c.close(one), c.close(two)
    if not (one.known and two.known):
        return c.unknown(step)
    if one.type.kind in TEXTS and two.type.kind in TEXTS:
        if not c.loops or _is_short(one) or _is_short(two):
            return Code(ast.Compare(one.node, [_EQUALITY[op]()], [two.node]), BOOLEAN, step)
        return _negated(op == "!=", c.budgeted(operations.equal_texts, one.node, two.node), step)
    if one.type.kind in _CHEAP and two.type.kind in _CHEAP:
        return Code(ast.Compare(one.node, [_EQUALITY[op]()], [two.node]), BOOLEAN, step)
    return _negated(op == "!=", c.budgeted(operations.equal, one.node, two.node), step)


def _is_short(code: Code) -> bool:
    """Whether a text is certainly short: a literal, an id, a value of an enum, a bounded one."""
    return literals.adapts(code) or code.type.kind in ("uuid", "enum") or (code.type.max or 1000) <= 256


def _negated(negate: bool, node: ast.expr, step: s.Syntax) -> Code:
    return Code(ast.UnaryOp(ast.Not(), node) if negate else node, BOOLEAN, step)


def _json_beside(c: Checker, code: Code) -> Code:
    return c.close(code)


def _as(c: Checker, code: Code, other: Code) -> Code:
    """A JSON value beside a decimal, a date and the like is read as one; texts and numbers are compared as
    they are.
    """
    kind = other.type.kind
    if code.type.kind != "json" or kind in TEXTS or kind in ("boolean", "integer", "number"):
        return code
    if kind in ("list", "map", "record"):
        return code
    return c.convert(code, Type(kind, optional=True))


def _comparable(c: Checker, one: Code, two: Code, step: s.Syntax) -> bool:
    kinds = {one.type.kind, two.type.kind}
    if kinds == {"decimal", "number"}:
        code = _floats(c, one, two, step)
        return code.known
    if kinds <= NUMERIC or kinds <= TEXTS or (len(kinds) == 1):
        return True
    _different(c, one, two, step)
    return False


def _floats(c: Checker, one: Code, two: Code, step: s.Syntax) -> Code:
    binary, exact = (one, two) if one.type.kind == "number" else (two, one)
    return c.error(
        codes.FLOATS,
        step,
        f"`{c.text_of(one.syntax)}` is a {one.type.required()}, "
        f"`{c.text_of(two.syntax)}` a {two.type.required()}: one is exact, the other is not",
        f"write `decimal({c.text_of(binary.syntax)})`, or `number({c.text_of(exact.syntax)})`",
    )


def _different(c: Checker, one: Code, two: Code, step: s.Syntax) -> Code:
    hint = "compare values of one type"
    for code, other in ((one, two), (two, one)):
        text = c.text_of(code.syntax)
        if code.type.kind in TEXTS and other.type.kind in (
            *NUMERIC,
            "boolean",
            "date",
            "datetime",
            "duration",
        ):
            hint = f"convert it: `{other.type.kind}({text})`"
            if literals.adapts(code) and other.type.kind in NUMERIC:
                hint = f"write the number without quotes: `{code.literal}`"
        elif code.type.kind == "datetime" and other.type.kind == "date":
            hint = f"take its date: `date({text})`"
        elif code.type.record is not None:
            hint = f"compare a field of it, such as `{text}.{next(iter(code.type.fields), 'id')}`"
        elif code.type.kind == "list" and other.type.kind != "list":
            hint = f"write `{c.text_of(other.syntax)} in {text}`"
    return c.error(
        codes.TYPE,
        step,
        f"`{c.text_of(one.syntax)}` is of type {one.type.required()}, `{c.text_of(two.syntax)}` of type "
        f"{two.type.required()}; they can never be equal or ordered",
        hint,
    )


def _order(c: Checker, op: str, one: Code, two: Code, step: s.Syntax) -> Code:
    one, two = c.settled(one, "compared by size"), c.settled(two, "compared by size")
    if not (one.known and two.known):
        return c.unknown(step)
    kinds = one.type.kind, two.type.kind
    if kinds == ("json", "json"):
        text = c.text_of(one.syntax)
        return c.error(
            codes.TYPE,
            step,
            "both sides are json, which can be anything",
            f"say what they are: `decimal({text})`",
        )
    if kinds[0] == "json":
        one = c.convert(one, _bare(two.type))
    elif kinds[1] == "json":
        two = c.convert(two, _bare(one.type))
    if {one.type.kind, two.type.kind} == {"decimal", "number"}:
        return _floats(c, one, two, step)
    if not _comparable(c, one, two, step):
        return c.unknown(step)
    for code in (one, two):
        if code.type.kind not in _ORDERED:
            hint = (
                f"compare as texts: `string({c.text_of(code.syntax)})`"
                if code.type.kind in TEXTS
                else "compare with `==` or `!=`"
            )
            return c.error(codes.TYPE, code.syntax, f"values of type {code.type} have no order", hint)
    one, two = c.close(one), c.close(two)
    if one.type.kind != "string" or not c.loops or _is_short(one) or _is_short(two):
        return Code(ast.Compare(one.node, [_ORDER[op]()], [two.node]), BOOLEAN, step)
    before = operations.text_before if op in "<>" else operations.text_before_or_equal
    first, second = (one, two) if op[0] == "<" else (two, one)
    return Code(c.budgeted(before, first.node, second.node), BOOLEAN, step)


def _bare(type_: Type) -> Type:
    return STRING if type_.kind in TEXTS else Type(type_.kind, item=type_.item, record=type_.record)


def _in(c: Checker, op: str, left: s.Syntax, right: s.Syntax, step: s.Syntax) -> Code:
    if literals.is_literal(left):
        two = c.settled(c.visit(right), "looked into")
        one = c.visit(left, two.type.item if two.known else None)
    else:
        one = c.visit(left)
        hint = Type("list", item=one.type.required()) if one.known else None
        two = c.settled(c.visit(right, hint), "looked into")
    if not (one.known and two.known):
        return c.unknown(step)
    one, two = c.close(one), c.close(two)
    kind = two.type.kind
    negate = op.startswith("not")
    missing = one.missing or two.missing
    code: Code
    if kind == "list":
        code = _in_list(c, negate, one, two, right, step)
    elif kind == "json":
        code = _negated(negate, c.budgeted(operations.in_json, one.node, two.node), step)
    elif kind == "map" or kind in TEXTS:
        one = c.settled(one, "looked for")
        if one.known and one.type.kind == "json":
            one = c.convert(one, STRING)
        if not one.known:
            return c.unknown(step)
        if one.type.kind not in TEXTS:
            what = "the keys of a map are texts" if kind == "map" else "a text holds texts"
            return c.error(
                codes.TYPE, one.syntax, f"{what}, not {one.type}", f"write `string({c.text_of(one.syntax)})`"
            )
        if kind == "map":
            code = _negated(negate, c.operation(operations.in_map, two.node, one.node), step)
        else:
            code = _negated(negate, c.budgeted(operations.in_text, one.node, two.node), step)
    else:
        text = c.text_of(two.syntax)
        return c.error(
            codes.TYPE,
            two.syntax,
            f"`in` looks into lists, maps and texts; `{text}` is of type {two.type}",
            f"compare: `{c.text_of(left)} == {text}`"
            if two.type.record is None
            else f"ask for a field by its name: `{text}.field != null`",
        )
    code.missing = missing
    return code


def _in_list(c: Checker, negate: bool, one: Code, two: Code, right: s.Syntax, step: s.Syntax) -> Code:
    item = two.type.entry
    if one.type.kind != "null" and "json" not in (one.type.kind, item.kind):
        kinds = {one.type.kind, item.kind}
        if kinds == {"decimal", "number"} or not (kinds <= NUMERIC or kinds <= TEXTS or len(kinds) == 1):
            return c.error(
                codes.TYPE,
                step,
                f"`{c.text_of(one.syntax)}` is of type {one.type.required()}, the entries of "
                f"`{c.text_of(two.syntax)}` are of type {item}; none can be equal",
                f"look for one of their type: `{item.kind}({c.text_of(one.syntax)})`"
                if item.kind not in ("list", "map", "record")
                else f"look for one of their type, {item}",
            )
    elif one.type.kind == "json" and item.kind not in (
        *TEXTS,
        "json",
        "boolean",
        "integer",
        "number",
        "null",
    ):
        one = c.convert(one, item.or_null())
    bare = s.ungroup(right)
    if (
        isinstance(bare, s.ListOf)
        and literals.is_literal(bare)
        and one.type.kind in (_CHEAP | {"string", "email", "url"})
    ):
        op = ast.NotIn() if negate else ast.In()
        return Code(ast.Compare(one.node, [op], [two.node]), BOOLEAN, step)
    return _negated(negate, c.budgeted(operations.in_list, one.node, two.node), step)
