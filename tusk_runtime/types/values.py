"""Run-time values and their texts: how dates, durations, decimals and ids are read and written."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from itertools import islice
from typing import Any

from tusk_runtime.types.kinds import MAX_DIGITS

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_SHORT = re.compile(r"(-)?((?:\s*\d{1,15}(?:\.\d{1,6})?\s*(?:ms|[wdhms]))+)", re.ASCII)
_SHORT_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms])", re.ASCII)
_ISO = re.compile(
    r"(-)?P(?:(?P<w>\d{1,9})W)?(?:(?P<d>\d{1,12})D)?"
    r"(?:T(?=\d)(?:(?P<h>\d{1,12})H)?(?:(?P<m>\d{1,12})M)?(?:(?P<s>\d{1,15}(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)
_CALENDAR = re.compile(
    r"-?P(?=[^T]*\d[YM])[\d.YMWD]*(?:T[\d.HMS]*)?|-?\d+\s*(?:mo|months?|y|years?)", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATETIME = re.compile(
    # Systems that count nanoseconds give nine digits; what is below a microsecond is cut.
    r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s?([Zz]|[+-]\d{2}(?::?\d{2})?)",
    re.ASCII,
)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)

EXACT = Context(
    prec=MAX_DIGITS, Emax=MAX_DIGITS - 1, Emin=-1, traps=[Inexact, InvalidOperation, DivisionByZero]
)
"""Decimal arithmetic of 38 digits, in front of the point and behind it, that raises instead of losing any."""

EMAIL = r"[^@\s\x00-\x1f\"(),:;<>\[\\\]]{1,64}@[^@\s.\x00-\x1f]{1,63}(?:\.[^@\s.\x00-\x1f]{1,63})+"
"""What an e-mail address looks like. Whether it exists only a message to it can tell."""

URL = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s\x00-\x1f/?#]+[^\s\x00-\x1f]*"
"""What a URL looks like: scheme, host, and the rest without spaces."""


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `7d`, `1h30m`, `100ms` or ISO 8601 (`P7D`, `PT1H30M`). Raises ValueError."""
    text = text.strip()
    if match := _SHORT.fullmatch(text):
        total = timedelta()
        for amount, unit in _SHORT_PART.findall(match[2]):
            total += _times(_UNITS[unit], amount)
    elif (match := _ISO.fullmatch(text)) and any(match.groupdict().values()):
        total = timedelta()
        for unit, amount in match.groupdict().items():
            if amount:
                total += _times(_UNITS[unit], amount)
    elif _CALENDAR.fullmatch(text):
        raise ValueError("months and years have no fixed length: count days, as in `30d` or `P30D`")
    else:
        raise ValueError("not a duration such as `90s`, `7d` or `PT1H30M`")
    return -total if match[1] else total


def _times(unit: timedelta, amount: str) -> timedelta:
    try:
        # Through integers of microseconds: a float would be off by one of them now and then.
        micros = Decimal(amount) * (unit // _MICROSECOND)
        return timedelta(microseconds=int(micros))
    except OverflowError:
        raise ValueError("longer than a duration can be") from None


def format_duration(value: timedelta) -> str:
    """The ISO 8601 text of a duration: `P7D`, `PT1H30M`, `PT0S`, `-PT5S`."""
    micros = value // _MICROSECOND
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, micros = divmod(micros, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if micros:
        clock += f"{seconds}.{micros:06d}".rstrip("0") + "S"
    elif seconds or not (clock or days):
        clock += f"{seconds}S"
    return f"{sign}P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


def parse_datetime(text: str) -> datetime:
    """Read an ISO 8601 date and time with an offset, as UTC. Raises ValueError."""
    text = text.strip()
    match = _DATETIME.fullmatch(text)
    if match is None:
        if _DATE.fullmatch(text) or re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ][\d:.]+", text):
            raise ValueError("a datetime needs a time and an offset, such as `2026-01-31T09:30:00Z`")
        raise ValueError("not a datetime such as `2026-01-31T09:30:00Z`")
    moment, offset = match[1].replace("t", "T"), match[2].upper()
    try:
        value = datetime.fromisoformat(moment + ("+00:00" if offset == "Z" else offset))
        return value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such date or time") from None


def parse_date(text: str) -> date:
    """Read `2026-01-31`. Raises ValueError."""
    text = text.strip()
    if not _DATE.fullmatch(text):
        raise ValueError("not a date such as `2026-01-31`")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("no such date") from None


def format_datetime(value: datetime) -> str:
    """ISO 8601 in UTC with `Z`, microseconds only if there are any, as JSON shows it."""
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text + "Z"


def looks_decimal(text: str) -> bool:
    """Whether a text is spelt as a number: digits, a point, an exponent; no `NaN`, no `1_000`."""
    return _DECIMAL.fullmatch(text.strip()) is not None


def parse_decimal(text: str) -> Decimal:
    """Read a decimal of at most 38 digits, before and behind the point together. Raises ValueError."""
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number such as `12.50`")
    return check_decimal(Decimal(text))


def check_decimal(value: Decimal) -> Decimal:
    """The same decimal without an exponent, if it is finite and has at most 38 digits. Raises ValueError."""
    if not value.is_finite():
        raise ValueError("not a finite number")
    _, digits, exponent = value.as_tuple()
    exponent = int(exponent)
    width = len(digits) + exponent if exponent > 0 else max(len(digits), -exponent)
    if width > MAX_DIGITS:
        if value == 0:
            return Decimal(0)
        raise ValueError(f"a decimal holds {MAX_DIGITS} digits, this has {width}")
    return value.quantize(_ONE, context=EXACT) if exponent > 0 else value


_ONE = Decimal(1)


def decimal_of_float(value: float) -> Decimal:
    """The decimal that a JSON number was written as. Raises ValueError where that cannot be known."""
    text = repr(value)
    if text[-3:] in ("nan", "inf"):
        raise ValueError("not a finite number")
    number = Decimal(text)
    if len(number.as_tuple().digits) > 15 and value != 0:
        # A JSON number of more digits has been rounded on the way, and nothing tells by how much.
        raise ValueError("has more digits than a JSON number keeps; give it as text")
    return check_decimal(number)


_QUANTA = tuple(Decimal(1).scaleb(-places) for places in range(MAX_DIGITS + 1))


def with_places(value: Decimal, places: int) -> Decimal:
    """The decimal with exactly these places: 90 becomes 90.00. Raises ValueError if digits would be lost."""
    try:
        return value.quantize(_QUANTA[places], context=EXACT)
    except Inexact:
        raise ValueError(f"has more than {places} decimal places" if places else "is not whole") from None
    except InvalidOperation:
        raise ValueError(f"a decimal holds {MAX_DIGITS} digits") from None


def format_decimal(value: Decimal) -> str:
    """A decimal without exponent, its places kept."""
    return format(value, "f")


def parse_uuid(text: str) -> str:
    """A UUID in any usual spelling as lower-case text with hyphens. Raises ValueError."""
    if _UUID.fullmatch(text):
        return text
    bare = text.strip().lower().removeprefix("urn:uuid:")
    if bare[:1] == "{" and bare[-1:] == "}":
        bare = bare[1:-1]
    if len(bare) == 36 and all(bare[i] == "-" for i in (8, 13, 18, 23)):
        bare = bare.replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{32}", bare, re.ASCII):
        raise ValueError("not a UUID")
    return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"


def parse_bytes(text: str) -> bytes:
    """Read base64. Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


def format_bytes(value: bytes) -> str:
    """The base64 text of bytes."""
    return base64.b64encode(value).decode("ascii")


def show(value: Any, limit: int = 80) -> str:
    """A value as people read it in a message, bounded in length."""
    if value is None:
        text = "null"
    elif value is True or value is False:
        text = "true" if value else "false"
    elif isinstance(value, str):
        head = value[: limit + 1]
        text = "'" + head.encode("unicode_escape").decode("ascii").replace("'", "\\'") + "'"
        if head.isprintable():
            text = f"'{head}'"
    elif isinstance(value, Decimal):
        text = format_decimal(value) if -60 < (value.adjusted() if value else 0) < 60 else str(value)
    elif isinstance(value, datetime):
        text = format_datetime(value)
    elif isinstance(value, date):
        text = value.isoformat()
    elif isinstance(value, timedelta):
        text = format_duration(value)
    elif isinstance(value, bytes):
        text = f"{len(value)} bytes"
    elif isinstance(value, list):
        inner = ", ".join(show(item, limit // 3) for item in value[:4]) if limit > 8 else "…"
        text = f"[{inner}{', …' if len(value) > 4 else ''}]"
    elif isinstance(value, dict):
        pairs = list(islice(value.items(), 4)) if limit > 8 else []
        inner = ", ".join(f"{key!s:.24}: {show(item, limit // 3)}" for key, item in pairs)
        text = "{" + inner + (", …}" if len(value) > len(pairs) else "}")
    elif isinstance(value, int):
        text = str(value) if -(10**40) < value < 10**40 else "a very large number"
    else:
        text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
