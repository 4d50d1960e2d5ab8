"""Reads the literals that stand on one place: numbers, words, constants and quoted texts."""

from __future__ import annotations

import re
from decimal import Decimal

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Scalar, ScalarNode
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.texts import read_text

_LONGEST_NUMBER = 400  # digits: what Python reads without limits of its own, and far beyond any decimal
_GREATEST_EXPONENT = 6144  # that of the decimal128 standard
_BASES = {"0x": 16, "0b": 2, "0o": 8}
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_MEANT = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def read_literal(kind: str, source: Source, start: int, end: int, problems: Problems) -> ScalarNode:
    """The node of a terminal of the grammar. One that cannot be taken as written is told of, and a word."""
    if kind in ("STRING", "RAW", "TEXT_BLOCK"):
        return read_text(source, start, end, problems)
    span = Span(source, start, end)
    text = source.text[start:end]
    if kind in ("INTEGER", "DECIMAL"):
        return ScalarNode(_number(kind, text, span, problems), span)
    if kind in ("BOOLEAN", "NULL"):
        return ScalarNode(_CONSTANTS[text], span)
    if kind == "YES_NO":
        _refuse_yes_no(text, span, problems)
    elif kind == "ODD_NUMBER":
        _refuse_odd_number(text, span, problems)
    return ScalarNode(text, span, False, start)


def _number(kind: str, text: str, span: Span, problems: Problems) -> int | Decimal:
    digits = text.lstrip("+-")
    mantissa, _, exponent = digits.lower().partition("e") if kind == "DECIMAL" else (digits, "", "")
    too_great = exponent and (len(exponent) > 8 or abs(int(exponent)) > _GREATEST_EXPONENT)
    if len(mantissa) > _LONGEST_NUMBER or too_great:
        problems.error(
            codes.BAD_NUMBER,
            span,
            f"a number has at most {_LONGEST_NUMBER} digits, its exponent at most {_GREATEST_EXPONENT}",
            help="write it in quotes, if it is a text",
        )
        return 0
    if kind == "DECIMAL":
        return Decimal(text)
    base = _BASES.get(digits[:2])
    return int(text, base) if base else int(text)


def _refuse_yes_no(text: str, span: Span, problems: Problems) -> None:
    meant = _MEANT.get(text.lower(), text.lower())
    problems.error(
        codes.YES_NO,
        span,
        f"`{text}` is neither a boolean nor a text here",
        help=f'write `{meant}`, or `"{text}"` if it is a text',
        label=f"expected `{meant}`",
    )


def _refuse_odd_number(text: str, span: Span, problems: Problems) -> None:
    plain = text.replace("_", "")
    sign = "-" if plain.startswith("-") else ""
    whole, point, places = plain.lstrip("+-").partition(".")
    advice = f'write `"{text}"` if it is a text'
    if re.fullmatch("[0-9]*", whole) and re.fullmatch("[0-9]*", places):
        number = sign + (whole.lstrip("0") or "0") + (point + places if places else "")
        octal = f", `{sign}0o{whole.lstrip('0')}` if it is octal" if re.fullmatch("0[0-7]+", whole) else ""
        advice = f'write `{number}`{octal if not point else ""}, or `"{text}"` if it is a text'
    problems.error(codes.BAD_NUMBER, span, f"`{text}` is not a number as written", help=advice)
