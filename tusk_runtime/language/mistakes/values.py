"""Values that are no literal: templates, expressions, code, and texts without quotes."""

from __future__ import annotations

import re

from tusk_runtime.language import codes, operators, refusals
from tusk_runtime.language.mistakes.expressions import EXPRESSION, tell_expression
from tusk_runtime.language.mistakes.lines import (
    BRACE_LABEL,
    MARKUP,
    tell_fujsen,
    tell_label,
    tell_odd_space,
    tell_program_code,
)
from tusk_runtime.language.mistakes.misplaced import explain_misplaced
from tusk_runtime.language.mistakes.mistake import LITERALS, Mistake, Skip, quoted
from tusk_runtime.language.rejected import REJECTED
from tusk_runtime.language.source import Span

_FUNCTION = re.compile(r"(?:async\s+)?(?:function\b|def\s|fn\s|lambda\b)|\(?[\w, ]*\)?\s*=>")
_TYPED = re.compile(r"[A-Za-z_]\w*(?:<[^<>=]*>|\[\])?\??\s*=(?![=>])")
_TYPE = re.compile(r"[\w<>?]+")
_CRON = re.compile(r"(?:[\d*/,-]+\s+){4,}[\d*/,-]+")
_TWO_MEMBERS = re.compile(r"[^\s:=]+\s+[\w\"'-]+\s*[:=](?!=)|[+-]?[\d.]+\s+[+-]?\d")


def explain_value(mistake: Mistake) -> Skip:
    """A value that is no literal."""
    here = mistake.value()
    value = mistake.text(here)
    if mistake.span.text.isspace():
        return tell_odd_space(mistake, mistake.span)
    if "{{" in value or "{%" in value:
        return mistake.tell(
            codes.UNQUOTED_TEMPLATE,
            "a value with `{{ … }}` must stand in quotes" if "{{" in value else "`{% … %}` is not read",
            f"write `{quoted(value)}`" if "{{" in value else 'write `"{{ x if condition else y }}"`',
            "expected a text in quotes",
            here,
        )
    if _FUNCTION.match(value):
        return tell_fujsen(mistake)
    if MARKUP.match(value):
        mistake.tell(codes.XML, "XML is not read", "write what is in it as keys", span=here)
        return Skip.STATEMENT
    if value.startswith(":") or value.endswith(";"):
        return tell_program_code(mistake)
    if value.startswith("@"):
        return _odd_operator(mistake, value)
    typed = _TYPED.match(value)
    sign = next((token for token in mistake.backwards() if token.type in ("ASSIGN", "DASH")), mistake.token)
    if typed and mistake.source.text[sign.start] == ":":
        rest = value[typed.end() :].strip()
        return mistake.tell(
            codes.TYPED_KEY, "a key has no type", f"write the value alone: `{rest}`", span=here
        )  # fmt: skip
    variable = re.search(r"\$\{\w+(?:\.\w+)*\}", value)
    if variable:
        place = mistake.source.span(here.start + variable.start(), here.start + variable.end())
        return mistake.tell(
            codes.VARIABLE, f"`{variable[0]}` stands in double quotes", f"write `{quoted(value)}`", span=place
        )
    if value in ("|", ">", "|-", ">-", "|+", ">+"):
        return mistake.tell(
            codes.UNQUOTED_TEXT, "this opens no text", 'write the lines between `"""` and `"""`', span=here
        )
    anchor = re.match(r"[&*]([A-Za-z_]\w*)(?:\s|$)", value)
    if anchor:
        return mistake.tell(
            codes.UNQUOTED_TEXT,
            f"`{anchor[0].strip()}` is an anchor of YAML",
            f"define a variable, `${anchor[1]}: …`, and use it: `${anchor[1]}`",
            span=here,
        )
    comment = re.search(r"(?:^|\s)(//|/\*|--\s).*", value)
    if comment and not EXPRESSION.search(value[: comment.start()]):
        place = mistake.source.span(here.start + comment.start(1), here.end)
        note = re.sub(r"^(?://|/\*|--)\s*|\s*\*/$", "", comment[0].strip())
        return mistake.tell(
            codes.TEXT_AFTER_VALUE, "a comment begins with `#`", f"write `# {note}`", span=place
        )
    prefix = re.match(r"([rbfu]{1,2})([\"'].*[\"'])", value)
    if prefix:
        return mistake.tell(
            codes.UNQUOTED_TEXT,
            f"`{prefix[1]}` in front of a text means nothing",
            f"in single quotes nothing is escaped: `'{prefix[2][1:-1]}'`",
            span=here,
        )
    label = BRACE_LABEL.match(value)
    if label and mistake.opener is not None and mistake.opener.type == "LBRACE":
        return tell_label(mistake, here.start, label)
    call = re.match(r"(\w+(?:\.\w+)*)\(", value)
    if call:
        return _bare_call(mistake, call[1], here, value)
    if _TWO_MEMBERS.match(value) and mistake.opener is not None:
        return mistake.tell(
            codes.MISSING_SEPARATOR,
            "a comma is missing between two members",
            "separate members by commas or lines",
            "expected one member",
            here,
        )
    if (
        EXPRESSION.search(value)
        and re.search(r"[A-Za-z$\"']|\d\s*\S*\s*\d", value)
        and not _TYPE.fullmatch(value)
        and not _CRON.fullmatch(value)
    ):
        return tell_expression(mistake, here)
    if here.start < mistake.token.start and mistake.before.type in LITERALS:
        return explain_misplaced(mistake)
    return mistake.tell(
        codes.UNQUOTED_TEXT,
        "this text needs quotes",
        f"write `{quoted(value)}`",
        "expected one word, a number, or a text in quotes",
        here,
    )


def _bare_call(mistake: Mistake, name: str, here: Span, value: str) -> Skip:
    """`name(…)` without an `@`."""
    head = name.partition(".")[0]
    if name in operators.OPERATORS or head in operators.OPERATORS:
        first = re.match(r"\w+\(\s*(\"[^\"\n]*\"|'[^'\n]*')\s*[,)]", value)
        form = f"@{value}" if "\n" not in value else f"@{name}(…)"
        if name == "file":
            form = f"@file({first[1] if first else '…'})"
        return mistake.tell(
            codes.BAD_CALL, f"`{name}(…)` is no operator without `@`", f"write `{form}`", span=here
        )
    words = [head, *reversed(head.split("_"))]
    advice = next((REJECTED[word] for word in words if word in REJECTED), refusals.unknown_help(name))
    family, _, rest = head.partition("_")
    if family in ("date", "env", "file"):
        advice = refusals.method_help(family, rest)
    return mistake.tell(
        codes.UNKNOWN_OPERATOR,
        f"`{name}(…)` calls nothing",
        f"{advice}; a text stands in quotes",
        span=mistake.source.span(here.start, here.start + len(name)),
    )


def _odd_operator(mistake: Mistake, value: str) -> Skip:
    """`@` without what belongs to it."""
    match = re.match(r"@([A-Za-z_][\w.]*)(\|?)", value)
    if match is None:
        return mistake.tell(codes.UNQUOTED_TEXT, "this text needs quotes", f"write `{quoted(value)}`")
    name = match[1].rstrip(".")
    span = mistake.source.span(mistake.span.start, mistake.span.start + 1 + len(name))
    variable = re.fullmatch(r"env\.([A-Za-z_]\w*)", name)
    if variable and variable[1] != "secure":
        fallback = ", default" if match[2] else ""
        return mistake.tell(
            codes.BAD_CALL,
            f"`@{name}` is not how a variable is read",
            f"write `@env('{variable[1]}'{fallback})`",
            span=span,
        )
    if refusals.refuse_reference(name, span, mistake.problems):
        return Skip.MEMBER
    return mistake.tell(
        codes.UNKNOWN_OPERATOR,
        f"`@{name}` is no operator",
        f"write `{quoted(value)}`, if it is a text",
        span=span,
    )


def explain_template(mistake: Mistake) -> Skip:
    """`{{` or `{%` at the start of a value."""
    if mistake.text(mistake.span).startswith("{%"):
        advice = 'write `"{{ x if condition else y }}"`, and `for_each` beside what is repeated'
        return mistake.tell(codes.UNQUOTED_TEMPLATE, "`{% … %}` is not part of the language", advice)
    here = mistake.source.span(mistake.token.start, mistake.value().end)
    return mistake.tell(
        codes.UNQUOTED_TEMPLATE,
        "`{{ … }}` must stand in quotes",
        f"write `{quoted(mistake.text(here))}`",
        "expected a text in quotes",
        here,
    )


def explain_unterminated(mistake: Mistake) -> Skip:
    """A quote that is not closed."""
    quote = mistake.source.text[mistake.token.start]
    if mistake.source.text.startswith('"""', mistake.token.start):
        mistake.tell(codes.UNTERMINATED_TEXT, 'this `"""` is never closed', 'close the text with `"""`')
        return Skip.SECTION
    first_line = mistake.text(mistake.span).partition("\n")[0]
    return mistake.tell(
        codes.UNTERMINATED_TEXT,
        "the text is not closed on its line",
        f'end it with `{quote}`; a text over several lines stands between `"""` and `"""`',
        f"no closing {quote}",
        mistake.source.span(mistake.token.start, mistake.token.start + len(first_line)),
    )


def explain_raw_block(mistake: Mistake) -> Skip:
    """A text between three single quotes, in which other runtimes keep functions."""
    key = next((token for token in mistake.backwards() if token.type == "KEY"), None)
    code = mistake.text(mistake.span)[3:].lstrip()
    if (key is not None and key.value.text.endswith("fujsen")) or _FUNCTION.match(code):
        return tell_fujsen(mistake)
    return mistake.tell(
        codes.UNTERMINATED_TEXT,
        "`'''` does not open a text",
        'a text over several lines stands between `"""` and `"""`',
        span=mistake.source.span(mistake.token.start, mistake.token.start + 3),
    )
