"""Conversions between types; what does not fit exactly fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from tusk_runtime.expressions.limits import Budget, Failure
from tusk_runtime.types import BOOLEAN, DATE, DATETIME, DECIMAL, DURATION, INTEGER, NUMBER, Type, personal
from tusk_runtime.types.reading import Reader
from tusk_runtime.types.values import check_decimal, format_datetime, format_decimal, format_duration


def _reading(type_: Type) -> Callable[[Any], Any]:
    def read(x: Any) -> Any:
        reader = Reader()
        result = reader.read(type_, x)
        if reader.issues:
            hidden = Reader()
            hidden.read(personal(type_), x)
            raise Failure(reader.issues[0].message, masked=hidden.issues[0].message)
        return result

    return read


integer = _reading(INTEGER)
number = _reading(NUMBER)
boolean = _reading(BOOLEAN)
duration = _reading(DURATION)
_decimal = _reading(DECIMAL)
_date = _reading(DATE)
_datetime = _reading(DATETIME)


def decimal(x: Any) -> Decimal:
    """A decimal; a number gives the shortest decimal that stands for it."""
    if isinstance(x, float):
        try:
            return check_decimal(Decimal(repr(x)))
        except ValueError as error:
            raise Failure(str(error)) from None
    result: Decimal = _decimal(x)
    return result


def date_of(x: Any, zone: tzinfo) -> date:
    """The date, of a datetime the one it has in a time zone."""
    if isinstance(x, datetime):
        return x.astimezone(zone).date()
    result: date = _date(x)
    return result


def datetime_of(x: Any, zone: tzinfo) -> datetime:
    """The moment; of a date the one it begins at in a time zone."""
    if isinstance(x, date) and not isinstance(x, datetime):
        return datetime.combine(x, time(), zone).astimezone(UTC)
    result: datetime = _datetime(x)
    return result


def string(x: Any) -> str:
    """The text of a single value: decimals with their places, times in ISO 8601."""
    if isinstance(x, str):
        return x
    if x is True or x is False:
        return "true" if x else "false"
    if isinstance(x, Decimal):
        return format_decimal(x)
    if isinstance(x, datetime):
        return format_datetime(x)
    if isinstance(x, date):
        return x.isoformat()
    if isinstance(x, timedelta):
        return format_duration(x)
    if isinstance(x, int):
        return str(x)
    if isinstance(x, float):
        return repr(x)
    raise Failure("{} has no text; use `to_json` or `join`", x)


def date_text(x: date) -> str:
    """The text of a date."""
    return x.isoformat()


def boolean_text(x: bool) -> str:
    """The text of true and false."""
    return "true" if x else "false"


def string_of_json(b: Budget, x: Any) -> str:
    """The text of a JSON value that is a text, number or boolean."""
    result = string(x)
    b.text(len(result))
    return result
