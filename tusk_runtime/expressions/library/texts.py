"""Functions over texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tusk_runtime.expressions.limits import MAX_LIST, Budget, Failure, OverBudget
from tusk_runtime.types import to_json as encode
from tusk_runtime.types.patterns import Pattern


def lower(b: Budget, s: str) -> str:
    """In lower case."""
    b.text(len(s))
    return s.lower()


def upper(b: Budget, s: str) -> str:
    """In upper case."""
    b.text(len(s))
    return s.upper()


def trim(b: Budget, s: str) -> str:
    """Without white space around."""
    b.text(len(s))
    return s.strip()


def replace(b: Budget, s: str, old: str, new: str) -> str:
    """With every `old` replaced by `new`."""
    if not old:
        return s
    b.scan(len(s))
    b.take((len(s) * min(len(old), 100)) >> 10)
    count = s.count(old)
    b.text(len(s) + count * (len(new) - len(old)))
    return s.replace(old, new)


def split(b: Budget, s: str, sep: str) -> list[str]:
    """The parts between the separators; an empty separator gives the characters."""
    b.scan(len(s))
    if not sep:
        b.list(len(s))
        return list(s)
    b.take((len(s) * min(len(sep), 100)) >> 10)
    count = s.count(sep) + 1
    if count > MAX_LIST:
        raise OverBudget(f"makes a list of {count:,} entries; {MAX_LIST:,} are allowed")
    b.list(count)
    b.text(len(s))
    return s.split(sep)


def startswith(s: str, t: str) -> bool:
    """Whether it begins with a text."""
    return s.startswith(t)


def endswith(s: str, t: str) -> bool:
    """Whether it ends with a text."""
    return s.endswith(t)


def matcher(pattern: Pattern) -> Callable[[Budget, str], bool]:
    """A function that tells whether a text matches, paid by text times pattern."""
    matches, states = pattern.matches, pattern.states

    def match(b: Budget, s: str) -> bool:
        b.take(1 + len(s) * states // 8)
        return matches(s)

    return match


def truncate(b: Budget, s: str, n: int) -> str:
    """At most n characters, the last one an ellipsis if something was cut."""
    b.text(min(len(s), max(n, 0)))
    if len(s) <= n:
        return s
    return s[: n - 1] + "…" if n > 0 else ""


def mask(s: str) -> str:
    """The first character and three stars."""
    return s[:1] + "***" if s else ""


def urlencode(b: Budget, s: str) -> str:
    """As a part of a URL."""
    b.text(3 * len(s))
    encoded = quote(s, safe="", errors="replace")
    b.text(len(encoded))
    return encoded


def to_json(b: Budget, x: Any) -> str:
    """As JSON text."""
    b.value(x)
    try:
        result = encode(x).decode()
    except TypeError:
        raise Failure("nests too deep for JSON") from None
    b.text(len(result))
    return result
