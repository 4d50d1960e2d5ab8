"""Expressions that stop half-way, or use what other languages have."""

from __future__ import annotations

import re

from tusk_runtime.language import codes, refusals
from tusk_runtime.language.mistakes.mistake import LITERALS, Mistake, Skip, quoted
from tusk_runtime.language.source import Span
from tusk_runtime.language.tokens import OPENERS, OPERATORS, Token

EXPRESSION = re.compile(
    r"\?.*:|[=!]==?|<=|>=|&&|\|\||(?:^|[\s)\]\"'])(?:[<>+*/!%-](?=[\s\w(\"'$@]|$)|(?:AND|OR|NOT)\b)|^!"
)
_WORDS = {"AND": "&&", "OR": "||", "NOT": "!", "and": "&&", "or": "||", "not": "!", "===": "==", "!==": "!="}
_WORD = re.compile(r"(?<![\w=])(?:AND|OR|NOT|and|or|not|===|!==)(?![\w=])")
_ARITHMETIC = re.compile(r"(?:^|[\s)\]\"'])([*/%-])(?=[\s\w(\"'$@]|$)")


def tell_expression(mistake: Mistake, span: Span) -> Skip:
    """An expression with something in it that there is not at load."""
    text = mistake.text(span)
    word = _WORD.search(text)
    sign = _ARITHMETIC.search(text)
    if word:
        place = mistake.source.span(span.start + word.start(), span.start + word.end())
        return mistake.tell(
            codes.EXPRESSION,
            f"`{word[0]}` is no operator",
            f"write `{_WORDS[word[0]]}`",
            f"expected `{_WORDS[word[0]]}`",
            place,
        )
    if sign:
        place = mistake.source.span(span.start + sign.start(1), span.start + sign.end(1))
        return mistake.tell(
            codes.EXPRESSION,
            f"there is no `{sign[1]}` at load",
            f'write the result; over events write `"{{{{ … }}}}"`; if it is a text, `{quoted(text)}`',
            span=place,
        )
    return mistake.tell(
        codes.EXPRESSION,
        "this expression cannot be read",
        f"texts in it stand in quotes, variables are `$name`; if all of it is a text, write `{quoted(text)}`",
        span=span,
    )


def _open_question(mistake: Mistake) -> Token | None:
    """The `?` in front that has no `:` yet."""
    closed = 0
    for token in mistake.backwards():
        if token.type == "COLON":
            closed += 1
        elif token.type == "QUESTION":
            if not closed:
                return token
            closed -= 1
        elif token.type in ("ASSIGN", "DASH", "COMMA", "LINE", *OPENERS):
            return None
    return None


def refused_reference(mistake: Mistake) -> bool:
    """Whether the value begins with `@name` without brackets, which explains what follows; tells of it."""
    if mistake.token.type in ("UNCLOSED", "INDENT", "TOO_LONG", "TOO_DEEP"):
        return False
    for token in mistake.backwards():
        if token.type == "REFERENCE":
            span = mistake.source.span(token.start, token.end)
            name = span.text[1:]
            variable = name.removeprefix("env.")
            rest = mistake.text(mistake.source.span(token.end, mistake.value().end))
            if variable != name and rest.startswith("|"):
                advice = f"write `@env('{variable}', {rest[1:].strip() or 'default'})`"
                mistake.tell(codes.BAD_CALL, f"`@{name}` is not how a variable is read", advice, span=span)
            elif not refusals.refuse_reference(name, span, mistake.problems):
                advice = refusals.unknown_help(name)
                mistake.tell(codes.UNKNOWN_OPERATOR, f"`@{name}` is no operator", advice, span=span)
            return True
        if token.type not in LITERALS and token.type != "ODD":
            return False
    return False


def explain_half(mistake: Mistake) -> Skip | None:
    """A token that stops an expression half-way; None if it does not."""
    kind, before = mistake.token.type, mistake.before
    if kind == "LSQB" and before.type == "VARIABLE":
        return mistake.tell(
            codes.EXPRESSION,
            "lists have no entries by number at load",
            "give the entry a name of its own: `$first: …`; an entry of a map is `$name.key`",
        )
    if before.type in OPERATORS and kind in ("NEWLINE", "LINE", "COMMA", "RSQB", "RBRACE", "RPAR"):
        sign = mistake.source.span(before.start, before.end)
        return mistake.tell(
            codes.EXPRESSION,
            f"nothing stands behind `{sign.text}`",
            "write the value, or remove the operator",
            "expected a value behind this",
            sign,
        )
    question = _open_question(mistake)
    if question is not None and kind not in OPERATORS:
        return mistake.tell(
            codes.EXPRESSION,
            "this `?` has no `:`",
            "write `condition ? yes : no`, with a space on both sides of `:`",
            "expected ` : ` and the other value",
            mistake.source.span(question.start, question.end),
        )
    if before.type in ("RSQB", "RBRACE") and kind in OPERATORS:
        return mistake.tell(
            codes.EXPRESSION,
            "a list or a map cannot be calculated with",
            "use a single value; a list is written as a whole: `[a, b]`",
        )
    if kind == "COMPARISON" and "AND" in mistake.expected:
        return mistake.tell(
            codes.EXPRESSION,
            "a comparison cannot go on with another one",
            "join the two: `a < b && b < c`",
            "expected `&&` or `||`",
        )
    if kind == "COLON" and "AND" in mistake.expected:
        return mistake.tell(codes.EXPRESSION, "this `:` has no `?` in front", "write `condition ? yes : no`")
    return None
