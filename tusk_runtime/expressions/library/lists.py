"""Functions over lists, maps and records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import reduce
from math import fsum
from typing import Any

from tusk_runtime.expressions.limits import MAX_LIST, Budget, Failure, OverBudget
from tusk_runtime.expressions.operations import ROUNDED, divide, finite, integer
from tusk_runtime.types.constraints import freeze
from tusk_runtime.types.values import EXACT

_ZERO = Decimal(0)


def length(x: Any) -> int:
    """How many entries or characters."""
    if isinstance(x, list | dict | str):
        return len(x)
    raise Failure("{} has no length", x)


def sum_integers(b: Budget, xs: list[int]) -> int:
    """The sum, 0 of none."""
    b.take(len(xs))
    return integer(sum(xs))


def sum_numbers(b: Budget, xs: list[float]) -> float:
    """The sum, rounded once, so that every version of Python gives the same."""
    b.take(len(xs))
    return finite(fsum(xs))


def sum_decimals(b: Budget, xs: list[Decimal]) -> Decimal:
    """The exact sum, 0 of none."""
    b.take(len(xs))
    return reduce(EXACT.add, xs, _ZERO)


def sum_rounded(b: Budget, xs: list[Decimal]) -> Decimal:
    """The sum of quotients."""
    b.take(len(xs))
    return reduce(ROUNDED.add, xs, _ZERO)


def average(b: Budget, xs: list[Any]) -> Decimal | None:
    """The mean of 28 digits, null of none."""
    b.take(len(xs))
    return divide(reduce(EXACT.add, xs, _ZERO), len(xs)) if xs else None


def average_numbers(b: Budget, xs: list[float]) -> float | None:
    """The mean, null of none."""
    b.take(len(xs))
    return finite(fsum(xs) / len(xs)) if xs else None


def smallest(b: Budget, xs: list[Any]) -> Any:
    """The smallest, null of none."""
    _pay_for_texts(b, xs)
    return min(xs, default=None)


def largest(b: Budget, xs: list[Any]) -> Any:
    """The largest, null of none."""
    _pay_for_texts(b, xs)
    return max(xs, default=None)


def smallest_of(*xs: Any) -> Any:
    """The smallest of the arguments."""
    return min(xs)


def largest_of(*xs: Any) -> Any:
    """The largest of the arguments."""
    return max(xs)


def _pay_for_texts(b: Budget, xs: list[Any]) -> None:
    b.take(1 + len(xs))
    if xs and isinstance(xs[0], str):
        b.take(sum(map(len, xs)) >> 4)


def any_true(xs: Iterable[bool]) -> bool:
    """Whether one is true; stops at the first."""
    return any(xs)


def all_true(xs: Iterable[bool]) -> bool:
    """Whether none is false; stops at the first."""
    return all(xs)


def first(xs: Iterable[Any]) -> Any:
    """The first, null of none."""
    return next(iter(xs), None)


def last(xs: list[Any]) -> Any:
    """The last, null of none."""
    return xs[-1] if xs else None


def sort_by(key: str | None) -> Callable[..., list[Any]]:
    """A function that sorts by a field, or by the entries themselves. Equal ones keep their order."""
    by = None if key is None else (lambda entry: entry[key])

    def sort(b: Budget, xs: list[Any], descending: bool = False) -> list[Any]:
        b.list(len(xs))
        # Each entry is compared about log n times.
        rounds = max(len(xs).bit_length(), 1)
        b.take(len(xs) * rounds // 4)
        values = xs if by is None else [by(entry) for entry in xs]
        if values and isinstance(values[0], str):
            b.take((sum(map(len, values)) >> 5) * rounds)
        return sorted(xs, key=by, reverse=descending)

    return sort


def unique(b: Budget, xs: list[Any]) -> list[Any]:
    """Each entry once, where it stands first."""
    b.list(len(xs))
    if xs and isinstance(xs[0], str | list | dict):
        b.value(xs)
    seen: dict[Any, Any] = {}
    for x in xs:
        seen.setdefault(freeze(x), x)
    return list(seen.values())


def join(b: Budget, texts: list[str], sep: str = "") -> str:
    """All entries as one text with a separator between."""
    b.take(len(texts))
    b.text(sum(map(len, texts)) + len(sep) * max(len(texts) - 1, 0))
    return sep.join(texts)


def integers(b: Budget, a: int, until: int) -> list[int]:
    """The integers from a, `until` excluded."""
    count = max(until - a, 0)
    if count > MAX_LIST:
        raise OverBudget(f"makes a list of {count:,} entries; {MAX_LIST:,} are allowed")
    b.list(count)
    return list(range(a, until))


def keys(b: Budget, m: dict[str, Any]) -> list[str]:
    """The keys."""
    b.list(len(_map(m)))
    return list(m)


def values(b: Budget, m: dict[str, Any]) -> list[Any]:
    """The values."""
    b.list(len(_map(m)))
    return list(m.values())


def items(b: Budget, m: dict[str, Any]) -> list[dict[str, Any]]:
    """Each entry as `{key, value}`."""
    b.list(3 * len(_map(m)))
    return [{"key": key, "value": value} for key, value in m.items()]


def _map(m: Any) -> dict[str, Any]:
    if isinstance(m, dict):
        return m
    raise Failure("{} is no map", m)


def combine(b: Budget, a: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both together; the second wins."""
    b.list(len(_map(a)) + len(_map(other)))
    return {**a, **other}


def omit(b: Budget, a: dict[str, Any], *names: str) -> dict[str, Any]:
    """Without these keys."""
    b.list(len(_map(a)))
    return {key: value for key, value in a.items() if key not in names}
