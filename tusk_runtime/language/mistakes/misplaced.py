"""Tokens that are right, in the wrong place: brackets, commas, and what follows a value."""

from __future__ import annotations

from tusk_runtime.language import codes
from tusk_runtime.language.mistakes.expressions import EXPRESSION, explain_half, tell_expression
from tusk_runtime.language.mistakes.mistake import Mistake, Skip
from tusk_runtime.language.tokens import CLOSERS

_CLOSING = {"LSQB": "]", "LBRACE": "}", "LPAR": ")"}


def explain_misplaced(mistake: Mistake) -> Skip:
    """A token that may stand elsewhere."""
    skip = explain_half(mistake)
    if skip is not None:
        return skip
    kind, before, opener = mistake.token.type, mistake.before, mistake.opener
    if opener is None:
        return _behind_the_value(mistake)
    if before.type == "ASSIGN" and (kind in CLOSERS or kind in ("COMMA", "LINE")):
        return mistake.tell(
            codes.MISSING_VALUE,
            f"`{mistake.key_before()}` has no value",
            "write a value; for nothing write `null`",
            "expected a value",
            mistake.source.span(before.start, before.end),
        )
    if opener.type == "LBRACE" and (
        before.type in ("LBRACE", "COMMA", "LINE") or "ASSIGN" in mistake.expected
    ):
        if kind == "COMMA":
            return _empty_member(mistake)
        return mistake.tell(
            codes.MEMBER_WITHOUT_KEY,
            "a member of an object needs a key",
            "write `key: value`; a list of values stands in `[ … ]`",
            "expected `key: value`" if "ASSIGN" not in mistake.expected else "expected `:` in front of this",
        )
    if kind == "RPAR" and before is opener:
        return mistake.tell(
            codes.MISSING_VALUE,
            "nothing stands in these brackets",
            "write a value, or `[]` for an empty list",
        )
    if kind == "COMMA" and opener.type == "LPAR":
        return mistake.tell(
            codes.WRONG_BRACKET,
            "a list does not stand in `( … )`",
            "write `[a, b]`",
            "expected `[`",
            mistake.source.span(opener.start, opener.end),
        )
    if kind == "COMMA" or (kind in CLOSERS and before.type == "COMMA"):
        return _empty_member(mistake)
    if kind in CLOSERS:
        return _closing(mistake)
    return mistake.tell(
        codes.MISSING_SEPARATOR,
        "a comma is missing in front of this",
        "separate members by commas or lines",
        "expected `,`",
    )


def _empty_member(mistake: Mistake) -> Skip:
    return mistake.tell(
        codes.MISSING_VALUE,
        "there is no member in front of this comma",
        "write the member, or remove the comma",
        "expected a member",
    )


def _behind_the_value(mistake: Mistake) -> Skip:
    end = mistake.tokens[-1].start
    span = mistake.source.span(mistake.token.start, max(mistake.trimmed(end), mistake.token.end))
    rest = mistake.text(span)
    if mistake.token.type == "COMMA":
        only = mistake.tokens[mistake.index + 1].type == "NEWLINE"
        advice = "remove the comma" if only else "for several values write a list: `[a, b]`"
    elif rest.startswith("#"):
        advice = "put a space in front of `#`, if it is a comment"
    elif EXPRESSION.match(rest):
        return tell_expression(mistake, span)
    elif mistake.token.type in CLOSERS:
        return mistake.tell(codes.WRONG_BRACKET, f"`{mistake.span.text}` closes nothing", "remove it")
    else:
        advice = "put the whole text in quotes, or remove what follows the value"
    return mistake.tell(
        codes.TEXT_AFTER_VALUE,
        "the value has ended before this",
        advice,
        "expected the end of the line",
        span,
    )


def _closing(mistake: Mistake) -> Skip:
    opener = mistake.opener
    if opener is None:
        return mistake.tell(codes.WRONG_BRACKET, f"`{mistake.span.text}` closes nothing", "remove it")
    right = _CLOSING[opener.type]
    mistake.problems.error(
        codes.WRONG_BRACKET,
        mistake.span,
        f"`{mistake.span.text}` cannot close `{mistake.source.text[opener.start]}`",
        help=f"write `{right}`",
        label=f"expected `{right}`",
        related=[(mistake.source.span(opener.start, opener.end), "opened here")],
    )
    return Skip.STATEMENT
