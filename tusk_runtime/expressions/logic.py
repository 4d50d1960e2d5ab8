"""Checks `and or not`, `x if c else y`, `??`, literals and names."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tusk_runtime.expressions import codes, literals, operations
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.checker import Checker, visitor
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.narrowing import facts, path_of
from tusk_runtime.types import BOOLEAN, UNKNOWN, Type
from tusk_runtime.types.generate import name


@visitor(s.Group)
def _group(c: Checker, syntax: s.Group, expected: Type | None) -> Code:
    code = c.visit(syntax.inner, expected)
    code.syntax = syntax
    return code


@visitor(s.Logic)
def _logic(c: Checker, syntax: s.Logic, expected: Type | None) -> Code:
    before = c.facts
    values = []
    for operand in syntax.operands:
        code = c.condition(operand)
        values.append(code)
        when_true, when_false = facts(operand)
        # The next operand is only looked at where this one was true (and) or false (or).
        c.facts |= when_true if syntax.op == "and" else when_false
    c.facts = before
    if not all(code.known for code in values):
        return c.unknown(syntax)
    op: ast.boolop = ast.And() if syntax.op == "and" else ast.Or()
    missing = any(code.missing for code in values)
    return Code(ast.BoolOp(op, [code.node for code in values]), BOOLEAN, syntax, missing=missing)


@visitor(s.Not)
def _not(c: Checker, syntax: s.Not, expected: Type | None) -> Code:
    code = c.condition(syntax.operand)
    if not code.known:
        return c.unknown(syntax)
    return Code(ast.UnaryOp(ast.Not(), code.node), BOOLEAN, syntax, missing=code.missing)


@visitor(s.Conditional)
def _conditional(c: Checker, syntax: s.Conditional, expected: Type | None) -> Code:
    test = c.condition(syntax.test)
    when_true, when_false = facts(syntax.test)
    if expected is None and literals.is_literal(syntax.then):
        other = c.assuming(when_false, syntax.other)
        then = c.assuming(when_true, syntax.then, other.type if other.known else None)
    else:
        then = c.assuming(when_true, syntax.then, expected)
        other = c.assuming(when_false, syntax.other, expected or (then.type if then.known else None))
    if not (test.known and then.known and other.known):
        return c.unknown(syntax)
    type_, (then, other) = c.common([then, other], syntax, "both values of a condition")
    if type_ is UNKNOWN:
        return c.unknown(syntax)
    return Code(
        ast.IfExp(test.node, then.node, other.node),
        type_,
        syntax,
        rounded=then.rounded or other.rounded,
        missing=test.missing or then.missing or other.missing,
    )


@visitor(s.Coalesce)
def _coalesce(c: Checker, syntax: s.Coalesce, expected: Type | None) -> Code:
    for operand in syntax.operands:
        if isinstance(operand, s.Chain):
            return c.error(
                codes.AMBIGUOUS,
                syntax,
                "`??` beside arithmetic can be read in two ways",
                "put brackets around what belongs together: `(a ?? 0) + b`",
            )
    return coalesce(c, syntax, syntax.operands, expected)


def coalesce(c: Checker, syntax: s.Syntax, operands: Sequence[s.Syntax], expected: Type | None) -> Code:
    """The first operand that is there and not null."""
    values = [c.visit(operands[0], expected)]
    hint = expected or (
        values[0].type if values[0].known and values[0].type.kind not in ("null", "json") else None
    )
    values += [c.visit(operand, hint) for operand in operands[1:]]
    if not all(code.known for code in values):
        return c.unknown(syntax)
    last = values[-1]
    fallback = last.type.optional
    if values[0].type.kind == "json" and last.type.kind not in ("json", "null"):
        values[0] = c.convert(values[0], last.type.or_null())
    type_, parts = c.common(values, syntax, "both sides of `??`")
    if type_ is UNKNOWN:
        return c.unknown(syntax)
    result = parts[-1].node
    if len(parts) <= 4 and all(_is_path(code) for code in parts[:-1]):
        # A plain path costs less twice than a function once.
        for code in reversed(parts[:-1]):
            there = ast.Compare(code.node, [ast.IsNot()], [ast.Constant(None)])
            result = ast.IfExp(there, code.node, result)
    else:
        result = c.operation(operations.coalesce, *(_lambda(code.node) for code in parts))
    type_ = type_.or_null() if fallback else type_.required()
    rounded = any(code.rounded for code in parts)
    return Code(result, type_, syntax, rounded=rounded, missing=parts[-1].missing)


def _is_path(code: Code) -> bool:
    plain = isinstance(code.node, ast.Subscript | ast.Name)
    return plain and not code.missing and path_of(code.syntax) is not None


def _lambda(body: ast.expr) -> ast.Lambda:
    arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(arguments, body)


@visitor(s.Literal)
def _literal(c: Checker, syntax: s.Literal, expected: Type | None) -> Code:
    return literals.literal(c, syntax, syntax.value, expected)


@visitor(s.Name)
def _name(c: Checker, syntax: s.Name, expected: Type | None) -> Code:
    if (type_ := c.loops.get(syntax.id)) is None:
        type_ = c.scope.names.get(syntax.id)
        if type_ is None:
            return _unknown_name(c, syntax)
        c.shared.reads.add((syntax.id,))
        c.shared.constant = False
    if (syntax.id,) in c.facts:
        type_ = type_.required()
    return Code(name(syntax.id), type_, syntax)


_OTHER_NAMES = {
    "True": "write `true`", "False": "write `false`", "None": "write `null`", "none": "write `null`",
    "nil": "write `null`", "undefined": "write `null`",
    "loop": "`loop.index` exists beside `for_each` only; in a comprehension nothing counts",
    "this": "name what it belongs to: `command`, `state`, `data` or `row`",
    "self": "name what it belongs to: `command`, `state`, `data` or `row`",
}  # fmt: skip


def _unknown_name(c: Checker, syntax: s.Name) -> Code:
    known = [*c.loops, *c.scope.names]
    hint = _OTHER_NAMES.get(syntax.id) or one_of(syntax.id, known, "the names")
    for root, type_ in c.scope.names.items():
        if type_.record is not None and syntax.id in type_.record.fields and syntax.id not in _OTHER_NAMES:
            hint = f"did you mean `{root}.{syntax.id}`?"
            break
    return c.error(codes.UNKNOWN_NAME, syntax, f"there is no `{syntax.id}` here", hint)
