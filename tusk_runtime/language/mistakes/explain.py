"""Says in words what is wrong with a token that the grammar did not expect, and what to write."""

from __future__ import annotations

from collections.abc import Callable

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.mistakes.expressions import explain_half, refused_reference
from tusk_runtime.language.mistakes.lines import explain_line, opened_by_comment, tell_directive
from tusk_runtime.language.mistakes.misplaced import explain_misplaced
from tusk_runtime.language.mistakes.mistake import Mistake, Skip
from tusk_runtime.language.mistakes.values import (
    explain_raw_block,
    explain_template,
    explain_unterminated,
    explain_value,
)
from tusk_runtime.language.source import Source
from tusk_runtime.language.tokens import DEEPEST, OPERATORS, Token
from tusk_runtime.language.value_lexer import MOST_OPERATORS


def explain(
    source: Source,
    tokens: list[Token],
    index: int,
    expected: set[str],
    opener: Token | None,
    problems: Problems,
) -> Skip:
    """Tell what is wrong with `tokens[index]`, where the grammar accepts only `expected`.

    `opener` is the bracket around it, if any.
    """
    mistake = Mistake(source, tokens, index, expected, opener, problems)
    if expected == {"$END"}:
        mistake.tell(
            codes.JSON_DOCUMENT,
            "a JSON object is the whole file",
            "put this into the object, or write the file as sections and keys",
            "expected the end of the file",
        )
        return Skip.SECTION
    if refused_reference(mistake):
        return Skip.MEMBER
    return _BY_TYPE.get(mistake.token.type, explain_misplaced)(mistake)


def _indent(mistake: Mistake) -> Skip:
    following = mistake.tokens[mistake.index + 1]
    directive = opened_by_comment(mistake)
    if directive is not None and mistake.source.text[directive.end : following.start].isspace():
        return tell_directive(mistake, directive)
    span = mistake.source.span(following.start, max(following.end, following.start + 1))
    if following.type == "DASH":
        return mistake.tell(
            codes.STRAY_ITEM,
            "a list item without a key above it",
            "put `name:` with nothing behind it above the items",
            "expected `key: value`",
            span,
        )
    return mistake.tell(
        codes.UNEXPECTED_INDENT,
        "this line is indented, but the line above it opens no block",
        "indent it like the line above; or leave nothing behind the `:` of the key it belongs to",
        "indented too far",
        span,
    )


def _stray_item(mistake: Mistake) -> Skip:
    return mistake.tell(
        codes.STRAY_ITEM,
        "a list item without a key above it",
        "put `name:` with nothing behind it above the items",
        "expected `key: value`",
    )


def _uneven(mistake: Mistake) -> Skip:
    return mistake.tell(
        codes.UNEVEN_INDENT,
        "this line stands in the column of none of the keys around it",
        "put it under the key whose sibling it is",
        "no key above begins in this column",
    )


def _key_in_list(mistake: Mistake) -> Skip:
    return mistake.tell(
        codes.STRAY_ITEM,
        "a key among list items",
        "put `- ` in front, indent it to belong to the item above, or move it out of the list",
        "expected `- item`",
    )


def _too_deep(mistake: Mistake) -> Skip:
    mistake.tell(codes.TOO_DEEP, f"more than {DEEPEST} levels", "give inner parts a section of their own")
    return Skip.STATEMENT


def _operator(mistake: Mistake) -> Skip:
    return explain_half(mistake) or explain_value(mistake)


def _too_long(mistake: Mistake) -> Skip:
    message = f"more than {MOST_OPERATORS} operators in one expression"
    mistake.tell(codes.TOO_DEEP, message, "give parts of it a name: `$part: …`")
    return Skip.STATEMENT


def _unclosed(mistake: Mistake) -> Skip:
    opener = mistake.span.text
    closing = {"[": "]", "{": "}", "(": ")"}[opener]
    mistake.tell(
        codes.UNCLOSED_BRACKET,
        f"this `{opener}` is not closed",
        f"add `{closing}`; lines between brackets stand deeper than the line that opens them",
        f"no `{closing}` before the next key",
    )
    return Skip.STATEMENT


_BY_TYPE: dict[str, Callable[[Mistake], Skip]] = {
    "INDENT": _indent,
    "DASH": _stray_item,
    "UNEVEN": _uneven,
    "KEY_IN_LIST": _key_in_list,
    "TOO_DEEP": _too_deep,
    "TOO_LONG": _too_long,
    "UNCLOSED": _unclosed,
    "ODD_LINE": explain_line,
    "ODD": explain_value,
    "LPAR": explain_value,
    "TEMPLATE": explain_template,
    "UNTERMINATED": explain_unterminated,
    "RAW_BLOCK": explain_raw_block,
    **dict.fromkeys(OPERATORS, _operator),
}
