"""What to say about an expression that is not in the grammar: the likely mistakes, and Jinja2's other
spellings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tusk_runtime.expressions import codes
from tusk_runtime.expressions.templates import Wrong
from tusk_runtime.language.diagnostics import did_you_mean

_OPERATORS: tuple[tuple[str, str, str], ...] = (
    (r"\*\*", "`**` is not in the language", "multiply: `x * x`"),
    (r"~", "`~` is not in the language", "join texts with `+`, or write `{{ a }}{{ b }}`"),
    (r"&&", "`&&` is not in the language", "write `and`"),
    (r"\|\|", "`||` is not in the language", "write `or`"),
    (r"!(?!=)", "`!` is not in the language", "write `not`"),
    (r"===|!==", "`===` is not in the language", "write `==` or `!=`"),
    (r"<>", "`<>` is not in the language", "write `!=`"),
    (r"->|=>", "there are no functions to define", "write a comprehension: `[f(x) for x in list]`"),
    (r"=(?![=])", "`=` compares nothing and sets nothing", "write `==` to compare"),
    (r"\?(?![?.])", "`a ? b : c` belongs to load time", "write `b if a else c`"),
    (r"&|\^|<<|>>", "there are no bit operators", "calculate with `+ - * // %`, or use `and`, `or`"),
    (
        r"@",
        "`@` happens when the file is loaded, `{{ }}` when an event arrives",
        "put `@env(…)` outside the braces",
    ),
    (
        r"\$",
        "`$name` happens when the file is loaded, `{{ }}` when an event arrives",
        "write the name without `$`",
    ),
    (r"%\}|\{%", "template statements have no meaning here", "write `x if condition else y`"),
    (r"#", "comments have no meaning here", "put the comment into a line of its own"),
    (r";", "an expression is one value", "remove the `;`"),
)

_TESTS = {
    "defined": "write `x != null`",
    "undefined": "write `x == null`",
    "none": "write `x == null`",
    "null": "write `x == null`",
    "divisibleby": "write `x % 3 == 0`",
    "even": "write `x % 2 == 0`",
    "odd": "write `x % 2 == 1`",
    "in": "write `x in list`",
    "true": "write just `x`",
    "false": "write `not x`",
    "sameas": "write `x == y`",
    "equalto": "write `x == y`",
}

_OPPOSITES = {
    "write `x != null`": "write `x == null`",
    "write `x == null`": "write `x != null`",
    "write `x in list`": "write `x not in list`",
    "write `x == y`": "write `x != y`",
    "write `x % 2 == 0`": "write `x % 2 == 1`",
    "write `x % 2 == 1`": "write `x % 2 == 0`",
    "write `x % 3 == 0`": "write `x % 3 != 0`",
    "write just `x`": "write `not x`",
    "write `not x`": "write just `x`",
}

_NUMBER_WORD = re.compile(r"\d+\w+")


def wrong_syntax(source: str, base: int, at: int, end: int, ended: bool) -> Wrong:
    """What the token between two offsets means, which fits nowhere. `base` is where the expression begins."""
    if ended:
        at = len(source.rstrip())
        return Wrong(codes.SYNTAX, base + at, base + at, "the expression ends too early", _unfinished(source))
    before = source[:at].rstrip()
    rest = source[at:]
    if re.search(r"\bis(\s+not)?$", before) or re.match(r"is\b", rest):
        return _is_test(source, base, at)
    for start in (at - 2, at - 1, at):
        for pattern, message, hint in _OPERATORS:
            if start >= 0 and (match := re.compile(pattern).match(source, start)) and match.end() > at:
                code = codes.JINJA if match[0] in ("**", "~") else codes.SYNTAX
                return Wrong(code, base + start, base + match.end(), message, hint)
    if match := _NUMBER_WORD.match(rest):
        hint = f"quote it: `'{match[0]}'`"
        if not re.fullmatch(r"(\d+(ms|[wdhms]))+", match[0]):
            hint = f"a name begins with a letter, and a text stands in quotes: `'{match[0]}'`"
        return Wrong(
            codes.SYNTAX, base + at, base + at + len(match[0]), f"`{match[0]}` is no number and no name", hint
        )
    word = rest[: end - at] or "the end"
    return Wrong(
        codes.SYNTAX,
        base + at,
        base + max(end, at + 1),
        f"`{word}` does not belong here",
        _advice(before, word),
    )


def _is_test(source: str, base: int, at: int) -> Wrong:
    matches = [m for m in re.finditer(r"\bis\s+(not\s+)?(\w+)", source) if m.start() <= at <= m.end()]
    if not matches:
        return Wrong(codes.JINJA, base + at, base + at + 2, "there are no `is` tests", "compare: `x == null`")
    match = matches[0]
    hint = _TESTS.get(match[2].lower(), "compare with `==`, `!=` or `in`")
    if match[1]:
        hint = _OPPOSITES.get(hint, hint)
    return Wrong(codes.JINJA, base + match.start(), base + match.end(), "there are no `is` tests", hint)


def _unfinished(source: str) -> str:
    bare = re.sub(r"""'(\\.|[^'\\])*'|"(\\.|[^"\\])*\"""", "", source)
    for opening, closing in ("()", "[]", "{}"):
        if bare.count(opening) > bare.count(closing):
            return f"close `{opening}` with `{closing}`"
    if re.search(r"\bif\b", bare) and not re.search(r"\belse\b", bare):
        return "write what holds otherwise: `x if condition else y`"
    return "write a value behind the last operator"


def _advice(before: str, word: str) -> str:
    if word in ("if",) and not before:
        return "the value comes first: `x if condition else y`"
    if word == "}" or word == ")" or word == "]":
        return f"nothing is open that `{word}` could close, or a value is missing in front of it"
    if word in "'\"":
        return "close the quote"
    if re.search(r"\blambda$", before):
        return "there are no functions to define: write a comprehension, `[f(x) for x in list]`"
    if re.search(r"\b[fbru]$", before) and word[:1] in "'\"":
        return "write the text around the braces: `total: {{ data.total }}`"
    if re.search(r"[\w)\]'\"]$", before) and re.match(r"[\w'\"(\[{]", word):
        return "an operator or a comma is missing in front of it"
    if before.endswith("|"):
        return "a filter's name comes behind `|`"
    if word in ("else",):
        return "write `x if condition else y`"
    if not before or re.search(r"[-+*/%<>=(,\[{]$|\b(and|or|not|in|if|else)$", before):
        return "a value is missing in front of it"
    if word in (".", ":") and re.search(r"[{,]\s*\w+$", before):
        return "the keys of a map stand in quotes: `{'key': value}`"
    if word == ",":
        return "a comma stands between the members of `[…]`, `{…}` and the arguments of a function only"
    if word == ":":
        return "a colon stands in `{'key': value}` and `list[1:3]` only"
    if word == ".":
        return "a point stands before the name of a field: `data.total`"
    if word.isprintable() and not word.isspace():
        return f"remove it; a text stands in quotes: `'{word}'`" if word not in "\\`" else "remove it"
    return "remove it: it is a character that cannot be seen"


def one_of(word: str, known: Iterable[str], what: str) -> str:
    """What to write instead of a name that is not known: the nearest one, or which there are."""
    names = list(known)
    if not names:
        return f"there are no {what} here: remove it"
    return did_you_mean(word, names) or f"{what} here are " + ", ".join(f"`{n}`" for n in names[:12]) + ", …"
