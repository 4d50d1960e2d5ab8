"""The operators of expressions at load: comparing, deciding and adding values."""

from __future__ import annotations

import re
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne

from tusk_runtime.language.document import ListNode, MapNode, Node, Scalar, ScalarNode

NUMBER = re.compile(r"[+-]?\d{1,400}(?:\.\d{1,400})?\Z", re.ASCII)
_COMPARISONS = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class Mismatch(Exception):
    """Values that an operator does not fit; what to write instead is the second argument."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


def kind_of(node: Node) -> str:
    """What a value is, as messages say it."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a map"
    value = node.value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | Decimal) else "a text"


def truth(node: Node) -> bool:
    """The boolean that a node is, or that the text of a variable stands for. Raises Mismatch."""
    value = node.value if isinstance(node, ScalarNode) else None
    if isinstance(value, bool):
        return value
    if isinstance(node, ScalarNode) and not node.quoted and value in ("true", "false"):
        return value == "true"
    raise Mismatch(
        f"a condition is true or false, and this is {kind_of(node)}",
        'compare it: `… == "x"`, or convert it: `@bool(…)`',
    )


def compare(operator: str, left: Node, right: Node) -> bool:
    """`left == right` and its like. Raises Mismatch."""
    one, other = _pair(left, right)
    if one is None or other is None:
        if operator in ("==", "!="):
            return (one is other) == (operator == "==")
        raise Mismatch("null is neither smaller nor greater", "compare with `==` or `!=` first")
    same = kind_of(ScalarNode(one, left.span)) == kind_of(ScalarNode(other, right.span))
    if not same:
        raise Mismatch(f"{kind_of(left)} is compared with {kind_of(right)}", _conversion(left, right))
    if isinstance(one, bool) and operator not in ("==", "!="):
        raise Mismatch("true and false are neither smaller nor greater", "compare with `==` or `!=`")
    return bool(_COMPARISONS[operator](one, other))


def add(left: Node, right: Node) -> tuple[Scalar, bool]:
    """The sum of two numbers or the text of two texts, and whether it is a text. Raises Mismatch."""
    one, other = _pair(left, right)
    if isinstance(one, str) and isinstance(other, str):
        return one + other, True
    if _is_number(one) and _is_number(other):
        assert isinstance(one, int | Decimal) and isinstance(other, int | Decimal)  # noqa: S101, PT018
        return one + other, False
    texts = isinstance(one, str) or isinstance(other, str)
    raise Mismatch(
        f"`+` adds numbers or joins texts, and here stand {kind_of(left)} and {kind_of(right)}",
        'write the text as one: `"… ${name} …"`' if texts else "write a number, or a text in quotes",
    )


def _conversion(left: Node, right: Node) -> str:
    """How two values become comparable."""
    kinds = {kind_of(left), kind_of(right)}
    if "a text" not in kinds:
        return "compare a number with a number, and use a condition as it is: `a && !b`"
    text = left if kind_of(left) == "a text" else right
    name = "bool" if "true or false" in kinds else "int"
    return f"convert the text: `@{name}({text.span.text[:40]})`, or compare it with a text in quotes"


def convert_text(text: str, like: Scalar) -> Scalar:
    """The number or boolean that a text stands for, if `like` is one; else the text."""
    if isinstance(like, bool):
        return text == "true" if text in ("true", "false") else text
    if isinstance(like, int | Decimal) and NUMBER.match(text):
        return Decimal(text) if "." in text else int(text)
    return text


def _pair(left: Node, right: Node) -> tuple[Scalar, Scalar]:
    """Both values; the text of a variable becomes a number or a boolean beside one."""
    for node in (left, right):
        if not isinstance(node, ScalarNode):
            raise Mismatch(
                f"{kind_of(node)} cannot be calculated with", "use a single value in it: `$name.key`"
            )
    assert isinstance(left, ScalarNode) and isinstance(right, ScalarNode)  # noqa: S101, PT018
    one, other = left.value, right.value
    if isinstance(one, str) and not left.quoted and not isinstance(other, str):
        one = convert_text(one, other)
    elif isinstance(other, str) and not right.quoted and not isinstance(one, str):
        other = convert_text(other, one)
    return one, other


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
