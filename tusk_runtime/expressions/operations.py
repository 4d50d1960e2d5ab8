"""What operators do at run time where plain Python does not suffice. `b` is the Budget of the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any

from tusk_runtime.expressions.limits import Budget, Failure, Missing
from tusk_runtime.types.kinds import MAX_DIGITS, MAX_INTEGER, MIN_INTEGER, Type
from tusk_runtime.types.personal import personal
from tusk_runtime.types.reading import Reader, plain_json
from tusk_runtime.types.values import EXACT, show

DIGITS = 28
"""The digits of a quotient, and of what is calculated from one."""

ROUNDED = Context(
    prec=DIGITS,
    rounding=ROUND_HALF_EVEN,
    Emax=MAX_DIGITS - 1,
    Emin=DIGITS - MAX_DIGITS - 1,
    traps=[DivisionByZero, InvalidOperation, Overflow],
)
"""Arithmetic with quotients: 28 digits, at most 38 of them behind the point."""

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)

ZERO_DIVISION = "division by zero"


# Numbers


def integer(value: int) -> int:
    """The integer, if it has 64 bits."""
    if MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    raise Failure("the result does not fit into 64 bits")


def finite(value: float) -> float:
    """The number, if it is one."""
    if math.isfinite(value):
        return value
    raise Failure("the result is not a finite number")


def divide(a: Decimal | int, b: Decimal | int) -> Decimal:
    """A quotient of 28 digits."""
    if not b:
        raise Failure(ZERO_DIVISION)
    return ROUNDED.divide(a, b)


def decimal_modulo(a: Decimal | int, b: Decimal | int) -> Decimal:
    """The remainder with the sign of the divisor, as integers have it."""
    if not b:
        raise Failure(ZERO_DIVISION)
    rest = EXACT.remainder(a, b)
    return EXACT.add(rest, b) if rest and (rest < 0) != (b < 0) else rest


def decimal_floor_divide(a: Decimal | int, b: Decimal | int) -> Decimal:
    """The largest whole number that is not above the quotient."""
    if not b:
        raise Failure(ZERO_DIVISION)
    whole = EXACT.divide_int(a, b)
    rest = EXACT.remainder(a, b)
    return EXACT.subtract(whole, 1) if rest and (rest < 0) != (b < 0) else whole


def negative_decimal(value: Decimal) -> Decimal:
    """Minus the value, all digits kept."""
    return value.copy_negate() if value else value


# Time


def whole_days(value: timedelta) -> timedelta:
    """The duration, if it is whole days, as a date needs it."""
    if value % DAY:
        raise Failure("a date moves by whole days only, not by {}", value)
    return value


def add_days(day: date, by: timedelta) -> date:
    """A date some days later."""
    return day + whole_days(by)


def subtract_days(day: date, by: timedelta) -> date:
    """A date some days earlier."""
    return day - whole_days(by)


def scale(value: timedelta, factor: Decimal) -> timedelta:
    """A duration times a decimal, to the microsecond."""
    micros = ROUNDED.multiply(Decimal(value // MICROSECOND), factor)
    return timedelta(microseconds=int(micros.to_integral_value(ROUND_HALF_EVEN)))


def ratio(a: timedelta, b: timedelta) -> Decimal:
    """How many times one duration is another."""
    return divide(Decimal(a // MICROSECOND), Decimal(b // MICROSECOND))


# Texts and lists


def join_texts(b: Budget, left: str, right: str) -> str:
    """One text behind the other."""
    b.text(len(left) + len(right))
    return left + right


def join_lists(b: Budget, left: list[Any], right: list[Any]) -> list[Any]:
    """One list behind the other."""
    b.list(len(left) + len(right))
    return left + right


def mixed(b: Budget, *parts: str) -> str:
    """A text of parts."""
    b.text(sum(map(len, parts)))
    return "".join(parts)


def loop(b: Budget, items: list[Any], weight: int) -> list[Any]:
    """The list to go through, paid for in advance: its length times what one round costs."""
    b.steps -= (len(items) + 1) * weight
    if b.steps < 0:
        b.take(0)
    return items


def made(b: Budget, items: list[Any]) -> list[Any]:
    """A list that was just made."""
    b.list(len(items))
    return items


# Looking


def at(items: list[Any] | str, index: int) -> Any:
    """An entry by its index; negative ones count from the end."""
    try:
        return items[index]
    except IndexError:
        what = "characters" if isinstance(items, str) else "entries"
        raise Missing(f"there is no index {index} in {len(items)} {what}") from None


def key(entries: dict[str, Any], name: str) -> Any:
    """The value under a key."""
    try:
        return entries[name]
    except KeyError:
        known = ", ".join(show(k, 24) for k in list(entries)[:6])
        message = f"there is no key {show(name, 40)}" + (f"; there are {known}" if known else "")
        raise Missing(message, masked="there is no such key") from None


def json_member(value: Any, name: Any) -> Any:
    """A member of a JSON value: a key of an object or an index of a list."""
    if isinstance(value, dict) and isinstance(name, str):
        return key(value, name)
    if isinstance(value, list) and isinstance(name, int) and not isinstance(name, bool):
        return at(value, name)
    if value is None:
        raise Missing("there is no {} in null", name)
    raise Failure("there is no {} in {}", name, value)


def optional_key(entries: dict[str, Any] | None, name: str) -> Any:
    """The value under a key, null where the key or the whole map is missing."""
    return None if entries is None else entries.get(name)


def optional_json_member(value: Any, name: str) -> Any:
    """A member of a JSON value, null where it is missing or the value is null."""
    if value is None:
        return None
    if isinstance(value, dict):
        return value.get(name)
    raise Failure("there is no {} in {}", name, value)


def optional_member(record: dict[str, Any] | None, name: str) -> Any:
    """A field of a record, null where the record is."""
    return None if record is None else record[name]


def part(b: Budget, items: list[Any] | str, first: int | None, last: int | None) -> Any:
    """A slice."""
    result = items[first:last]
    if isinstance(result, str):
        b.text(len(result))
    else:
        b.list(len(result))
    return result


def coalesce(*values: Callable[[], Any]) -> Any:
    """The first value that is there and not null, or the last whatever it is."""
    for value in values[:-1]:
        try:
            result = value()
        except Missing:
            continue
        if result is not None:
            return result
    return values[-1]()


# Comparing


def equal_texts(b: Budget, left: str | None, right: str | None) -> bool:
    """Whether two texts are the same; only long ones of the same length cost."""
    if left is not None and right is not None and len(left) == len(right) > 64:
        b.scan(len(left))
    return left == right


def equal(b: Budget, left: Any, right: Any) -> bool:
    """Whether two values of any shape are the same. True is not 1 and false is not 0."""
    b.value(left)
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def text_before(b: Budget, left: str, right: str) -> bool:
    """Whether a text stands before another, by code points."""
    b.scan(min(len(left), len(right)))
    return left < right


def text_before_or_equal(b: Budget, left: str, right: str) -> bool:
    """Whether a text stands before another or equals it."""
    b.scan(min(len(left), len(right)))
    return left <= right


def in_text(b: Budget, inner: str, outer: str) -> bool:
    """Whether a text stands somewhere in another."""
    b.scan(len(outer))
    # The search of short texts in not too long ones is of the order of both lengths.
    b.take((len(outer) * min(len(inner), 100)) >> 10)
    return inner in outer


def in_list(b: Budget, item: Any, items: list[Any]) -> bool:
    """Whether a list has an entry."""
    b.take(1 + len(items))
    if isinstance(item, str | list | dict):
        b.take((len(items) * len(item)) >> 4)
    if isinstance(item, list | dict):
        for _ in items:
            b.value(item)
    return item in items and (not isinstance(item, bool | int) or _same(item, items))


def _same(item: Any, items: list[Any]) -> bool:
    return any(item == other and isinstance(item, bool) == isinstance(other, bool) for other in items)


def in_map(entries: dict[str, Any], name: str) -> bool:
    """Whether a map has a key."""
    return name in entries


def in_json(b: Budget, item: Any, value: Any) -> bool:
    """Whether a JSON list has an entry, an object a key, a text a part."""
    if isinstance(value, list):
        return in_list(b, item, value)
    if isinstance(value, dict) and isinstance(item, str):
        return item in value
    if isinstance(value, str) and isinstance(item, str):
        return in_text(b, item, value)
    raise Failure("nothing can be in {}", value)


# Types


def json_reader(type_: Type) -> Callable[[Any], Any]:
    """A function that takes a JSON value for a value of a type, and fails where it is none."""

    def from_json(value: Any) -> Any:
        reader = Reader(extra="ignore")
        result = reader.read(type_, value)
        if reader.issues:
            hidden = Reader(extra="ignore")
            hidden.read(personal(type_), value)
            raise Failure(_told(reader), masked=_told(hidden))
        return result

    return from_json


def _told(reader: Reader) -> str:
    return "; ".join(issue.text for issue in reader.issues[:3])


def to_plain(value: Any) -> Any:
    """A run-time value as JSON has it: decimals as text with their places."""
    if isinstance(value, list):
        return [to_plain(member) for member in value]
    if isinstance(value, dict):
        return {name: to_plain(member) for name, member in value.items()}
    if isinstance(value, Decimal):
        return format(value, "f")
    return plain_json(value)


def checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A check that raises ValueError as one that fails the expression."""

    def conform(value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise Failure(str(error)) from None

    return conform
