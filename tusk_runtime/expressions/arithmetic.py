"""Checks `+ - * / // %` and signs: which types go together, and what comes out."""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tusk_runtime.expressions import codes, literals, operations
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.checker import Checker, visitor
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.operations import ROUNDED
from tusk_runtime.types import (
    DATE,
    DATETIME,
    DECIMAL,
    DURATION,
    INTEGER,
    NUMBER,
    NUMERIC,
    STRING,
    TEXTS,
    Type,
    holds_pii,
    marked_as,
    personal,
)
from tusk_runtime.types.values import EXACT, parse_duration

_OPERATORS: dict[str, Callable[[], ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "//": ast.FloorDiv,
    "%": ast.Mod,
}

_EXACT: dict[str, Callable[..., Any]] = {"+": EXACT.add, "-": EXACT.subtract, "*": EXACT.multiply}
_ROUNDED: dict[str, Callable[..., Any]] = {"+": ROUNDED.add, "-": ROUNDED.subtract, "*": ROUNDED.multiply}
_DECIMAL_ONLY: dict[str, Callable[..., Any]] = {
    "/": operations.divide,
    "//": operations.decimal_floor_divide,
    "%": operations.decimal_modulo,
}

_DOING = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "//": "divided", "%": "divided"}


@visitor(s.Chain)
def _chain(c: Checker, syntax: s.Chain, expected: Type | None) -> Code:
    """`a + b - c` from left to right; each step is a part of its own with its own place."""
    hint = expected if expected is not None and expected.kind in NUMERIC else None
    left_syntax: s.Syntax = syntax.first
    left: Code | None = None
    for op, right_syntax in syntax.rest:
        step = s.Chain(
            left_syntax.start, right_syntax.end, syntax.depth, syntax.size, left_syntax, [(op, right_syntax)]
        )
        if left is None and literals.is_literal(left_syntax):
            right = c.visit(right_syntax, hint)
            left = c.visit(left_syntax, _beside(right.type, op, expected))
        else:
            left = left or c.visit(left_syntax, hint)
            right = c.visit(
                right_syntax, _beside(left.type, op, expected, right_syntax) if left.known else hint
            )
        left = binary(c, op, left, right, step)
        left.node.site = c.site_of(step, left.type)  # type: ignore[attr-defined]
        left_syntax = step
        if not left.known:
            return c.unknown(syntax)
    if left is None:
        return c.visit(syntax.first, expected)
    left.syntax = syntax
    return left


def _beside(other: Type, op: str, expected: Type | None, node: s.Syntax | None = None) -> Type | None:
    """The type that a literal beside a value takes."""
    if other.kind in ("date", "datetime"):
        bare = s.ungroup(node) if node is not None else None
        if (
            op == "-"
            and isinstance(bare, s.Literal)
            and isinstance(bare.value, str)
            and not _is_duration(bare.value)
        ):
            return other
        return DURATION
    if other.kind == "integer" and expected is not None and expected.kind in ("number", "decimal"):
        return expected
    return None if other.kind in ("enum", "json") else other


def binary(c: Checker, op: str, left: Code, right: Code, syntax: s.Syntax) -> Code:
    """One operator over two values."""
    if not (left.known and right.known):
        return c.unknown(syntax)
    left, right = c.settled(left, _DOING[op]), c.settled(right, _DOING[op])
    if not (left.known and right.known):
        return c.unknown(syntax)
    if "json" in (left.type.kind, right.type.kind):
        left, right = _from_json(c, op, left, right, syntax)
        if not (left.known and right.known):
            return c.unknown(syntax)
    missing = left.missing or right.missing
    kinds = left.type.kind, right.type.kind
    if kinds[0] in NUMERIC and kinds[1] in NUMERIC:
        result = _numeric(c, op, left, right, syntax)
    elif op == "+" and kinds[0] in TEXTS and kinds[1] in TEXTS:
        result = Code(c.budgeted(operations.join_texts, left.node, right.node), STRING, syntax)
    elif op == "+" and kinds == ("list", "list"):
        result = _lists(c, left, right, syntax)
    elif (code := _time(c, op, left, right, syntax)) is not None:
        result = code
    else:
        return _mismatch(c, op, left, right, syntax)
    if result.type.kind != "list" and (holds_pii(left.type) or holds_pii(right.type)):
        result.type = personal(result.type)
    result.missing = missing
    return result


def _numeric(c: Checker, op: str, left: Code, right: Code, syntax: s.Syntax) -> Code:
    kinds = {left.type.kind, right.type.kind}
    if kinds == {"decimal", "number"}:
        left, right = _literal_as(c, left, right), _literal_as(c, right, left)
        kinds = {left.type.kind, right.type.kind}
    if kinds == {"decimal", "number"}:
        binary_one, exact_one = (left, right) if left.type.kind == "number" else (right, left)
        return c.error(
            codes.FLOATS,
            syntax,
            f"`{c.text_of(left.syntax)}` is a {left.type}, `{c.text_of(right.syntax)}` a {right.type}: "
            "one is exact, the other is not",
            f"write `decimal({c.text_of(binary_one.syntax)})`, or `number({c.text_of(exact_one.syntax)})`",
        )
    if "number" in kinds:
        return Code(ast.BinOp(left.node, _OPERATORS[op](), right.node), NUMBER, syntax, open=True)
    if kinds == {"integer"} and op != "/":
        return Code(ast.BinOp(left.node, _OPERATORS[op](), right.node), INTEGER, syntax, open=True)
    # Integers are taken through their range check first, so that a decimal never sees more than 64 bits.
    left, right = c.close(left), c.close(right)
    rounded = op == "/" or left.rounded or right.rounded
    function = _DECIMAL_ONLY.get(op) or (_ROUNDED if rounded else _EXACT)[op]
    title = f"decimal {op}{' rounded' if rounded else ''}"
    places = _places(op, left.type, right.type)
    node = c.operation(function, left.node, right.node, title=title)
    return Code(node, DECIMAL if places is None else Type("decimal", places=places), syntax, rounded=rounded)


def _places(op: str, left: Type, right: Type) -> int | None:
    """The places that a sum, difference or product certainly has."""
    one = 0 if left.kind == "integer" else left.places
    two = 0 if right.kind == "integer" else right.places
    if one is None or two is None:
        return None
    if op in ("+", "-"):
        return max(one, two)
    return one + two if op == "*" and one + two <= 38 else None


def _literal_as(c: Checker, code: Code, other: Code) -> Code:
    """A literal decimal beside a number is a number."""
    if code.type.kind == "decimal" and literals.adapts(code):
        return literals.literal(c, code.syntax, code.literal, other.type)
    return code


def _lists(c: Checker, left: Code, right: Code, syntax: s.Syntax) -> Code:
    type_, (left, right) = c.common([left, right], syntax, "the entries of both lists")
    if not (left.known and right.known):
        return c.unknown(syntax)
    plain = Type("list", item=type_.item) if type_.item is not None else left.type
    return Code(c.budgeted(operations.join_lists, left.node, right.node), plain, syntax)


def _time(c: Checker, op: str, left: Code, right: Code, syntax: s.Syntax) -> Code | None:
    """Dates, datetimes and durations; None where the types do not go together."""
    one, two = left.type.kind, right.type.kind

    def plain(type_: Type) -> Code:
        return Code(ast.BinOp(left.node, _OPERATORS[op](), right.node), type_, syntax)

    match one, op, two:
        case ("datetime", "+" | "-", "duration"):
            return plain(DATETIME)
        case ("duration", "+", "datetime"):
            return plain(DATETIME)
        case ("date", "+", "duration"):
            return Code(c.operation(operations.add_days, left.node, right.node), DATE, syntax)
        case ("duration", "+", "date"):
            return Code(c.operation(operations.add_days, right.node, left.node), DATE, syntax)
        case ("date", "-", "duration"):
            return Code(c.operation(operations.subtract_days, left.node, right.node), DATE, syntax)
        case (
            ("datetime", "-", "datetime") | ("date", "-", "date") | ("duration", "+" | "-" | "%", "duration")
        ):
            return plain(DURATION)
        case ("duration", "*", "integer") | ("integer", "*", "duration"):
            left, right = c.close(left), c.close(right)
            return plain(DURATION)
        case ("duration", "*", "decimal"):
            return Code(c.operation(operations.scale, left.node, right.node), DURATION, syntax)
        case ("decimal", "*", "duration"):
            return Code(c.operation(operations.scale, right.node, left.node), DURATION, syntax)
        case ("duration", "/", "duration"):
            return Code(c.operation(operations.ratio, left.node, right.node), DECIMAL, syntax, rounded=True)
        case ("duration", "//", "duration"):
            return plain(INTEGER)
    return None


def _from_json(c: Checker, op: str, left: Code, right: Code, syntax: s.Syntax) -> tuple[Code, Code]:
    """A JSON value beside a typed one is taken for one of that type."""
    if left.type.kind == right.type.kind:
        text = c.text_of(left.syntax)
        code = c.error(
            codes.TYPE,
            syntax,
            "both sides are json, which can be anything",
            f"say what they are: `decimal({text})`, `integer({text})`, `string({text})`",
        )
        return code, code
    other = right if left.type.kind == "json" else left
    target = DURATION if other.type.kind in ("date", "datetime") else other.type.required()
    if target.kind in TEXTS:
        target = STRING
    target = Type(target.kind, item=target.item, record=target.record)
    return (c.convert(left, target), right) if left.type.kind == "json" else (left, c.convert(right, target))


def _mismatch(c: Checker, op: str, left: Code, right: Code, syntax: s.Syntax) -> Code:
    hint = "calculate with numbers, or with dates and durations; `+` also joins two texts or two lists"
    one, two = left.type.kind, right.type.kind
    texts = [code for code in (left, right) if code.type.kind in TEXTS]
    if op == "+" and len(texts) == 1:
        other = right if texts[0] is left else left
        text = c.text_of(other.syntax)
        hint = f"write `string({text})`, or mixed text: `…{{{{ {text} }}}}…`"
        if isinstance(texts[0].literal, str) and _is_duration(texts[0].literal):
            hint = "a text beside a datetime or date would be a duration"
        if other.type.kind in NUMERIC:
            hint = f"calculate with `{other.type.kind}({c.text_of(texts[0].syntax)})`, or {hint}"
    elif texts and op != "+":
        text = c.text_of(texts[0].syntax)
        hint = f"convert it: `decimal({text})` or `integer({text})`"
        if isinstance(texts[0].literal, str) and _is_duration(texts[0].literal):
            hint = f"write `duration({text})`"
    elif {one, two} <= {"date", "datetime"}:
        moment = left if one == "datetime" else right
        hint = f"take the date of the datetime: `date({c.text_of(moment.syntax)})`"
    elif "duration" in (one, two) and "number" in (one, two):
        number = left if one == "number" else right
        hint = f"convert the number: `decimal({c.text_of(number.syntax)})`"
    elif one == "duration" and op == "/":
        hint = f"multiply instead, as in `{c.text_of(left.syntax)} * 0.5`"
    elif one in ("date", "datetime") and two in NUMERIC:
        one_text, two_text = c.text_of(left.syntax), c.text_of(right.syntax)
        hint = f"say what it counts: `{one_text} {op} duration('1d') * {two_text}`"
    elif "boolean" in (one, two):
        flag = left if one == "boolean" else right
        hint = f"say what it counts: `(1 if {c.text_of(flag.syntax)} else 0)`"
    verb = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "divide", "%": "divide"}[op]
    return c.error(codes.TYPE, syntax, f"`{op}` cannot {verb} {_a(left.type)} and {_a(right.type)}", hint)


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _a(type_: Type) -> str:
    text = str(type_.required())
    if text == "json":
        return text
    return f"an {text}" if text[0] in "aeiou" else f"a {text}"


@visitor(s.Sign)
def _sign(c: Checker, syntax: s.Sign, expected: Type | None) -> Code:
    operand = s.ungroup(syntax.operand)
    value = operand.value if isinstance(operand, s.Literal) else None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return literals.literal(c, syntax, -value if syntax.op == "-" else value, expected)
    code = c.settled(c.visit(syntax.operand, expected), "negated")
    if not code.known:
        return code
    if code.type.kind not in NUMERIC and code.type.kind != "duration":
        text = c.text_of(syntax.operand)
        hint = "write a number or a duration behind it"
        if code.type.kind in TEXTS or code.type.kind == "json":
            hint = f"convert it: `{syntax.op}decimal({text})` or `{syntax.op}integer({text})`"
        return c.error(codes.TYPE, syntax, f"`{syntax.op}` needs a number, not {_a(code.type)}", hint)
    if syntax.op == "+":
        code.syntax = syntax
        return code
    if code.type.kind == "decimal":
        return Code(
            c.operation(operations.negative_decimal, code.node),
            code.type.required(),
            syntax,
            rounded=code.rounded,
            missing=code.missing,
        )
    open_ = code.type.kind == "integer" or code.open
    plain = marked_as(Type(code.type.kind), code.type)
    return Code(ast.UnaryOp(ast.USub(), code.node), plain, syntax, open=open_, missing=code.missing)
