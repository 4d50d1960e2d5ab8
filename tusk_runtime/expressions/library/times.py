"""Functions over dates, moments and durations. Days and hours are those of a time zone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from tusk_runtime.expressions.limits import MAX_LIST, Budget, Failure, OverBudget

Moment = date | datetime
M = TypeVar("M", date, datetime)

DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=64)
def time_zone(name: str) -> tzinfo:
    """A time zone by its name, such as `Europe/Berlin`. Raises ValueError."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone `{name}`") from None


def _local(t: Moment, zone: tzinfo) -> Moment:
    return t.astimezone(zone) if isinstance(t, datetime) else t


def day(t: Moment, zone: tzinfo) -> date:
    """Its date."""
    local = _local(t, zone)
    return local.date() if isinstance(local, datetime) else local


def week(t: Moment, zone: tzinfo) -> date:
    """The Monday of its week."""
    of = day(t, zone)
    return of - timedelta(days=of.weekday())


def month(t: Moment, zone: tzinfo) -> date:
    """The first day of its month."""
    return day(t, zone).replace(day=1)


def quarter(t: Moment, zone: tzinfo) -> date:
    """The first day of its quarter."""
    of = day(t, zone)
    return of.replace(month=of.month - (of.month - 1) % 3, day=1)


def year(t: Moment, zone: tzinfo) -> date:
    """The first day of its year."""
    return day(t, zone).replace(month=1, day=1)


def hour(t: datetime, zone: tzinfo) -> datetime:
    """The moment its hour begins at."""
    return t.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def minute(t: datetime, zone: tzinfo) -> datetime:
    """The moment its minute begins at."""
    return t.astimezone(zone).replace(second=0, microsecond=0).astimezone(UTC)


def floor(t: datetime, step: timedelta, zone: tzinfo) -> datetime:
    """The moment its step begins at: counted from midnight, steps above a day from a Monday."""
    if step <= timedelta(0):
        raise Failure("a step must be longer than nothing")
    local = t.astimezone(zone)
    wall = local.replace(tzinfo=None)
    start = datetime.combine(wall.date(), time()) if step <= DAY else datetime(1970, 1, 5)
    floored = wall - (wall - start) % step
    return floored.replace(tzinfo=zone, fold=local.fold).astimezone(UTC)


PARTS: dict[str, Callable[[Moment], int]] = {
    "year": lambda t: t.year,
    "quarter": lambda t: (t.month - 1) // 3 + 1,
    "month": lambda t: t.month,
    "week": lambda t: t.isocalendar().week,
    "day": lambda t: t.day,
    "weekday": lambda t: t.isoweekday(),
    "day_of_year": lambda t: t.timetuple().tm_yday,
    "hour": lambda t: t.hour if isinstance(t, datetime) else 0,
    "minute": lambda t: t.minute if isinstance(t, datetime) else 0,
    "second": lambda t: t.second if isinstance(t, datetime) else 0,
}
"""The parts of a date or moment. Weekdays count from 1, Monday; weeks are those of ISO 8601."""


def part_of(unit: str) -> Callable[[Moment, tzinfo], int]:
    """A function that gives one part of a date or moment."""
    take = PARTS[unit]
    return lambda t, zone: take(_local(t, zone))


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def _time_of(t: Moment) -> time:
    return t.timetz() if isinstance(t, datetime) else time(tzinfo=UTC)


DIRECTIVES: dict[str, Callable[[Moment], str]] = {
    "Y": lambda t: f"{t.year:04d}",
    "y": lambda t: f"{t.year % 100:02d}",
    "m": lambda t: f"{t.month:02d}",
    "d": lambda t: f"{t.day:02d}",
    "j": lambda t: f"{t.timetuple().tm_yday:03d}",
    "H": lambda t: f"{_time_of(t).hour:02d}",
    "I": lambda t: f"{(_time_of(t).hour - 1) % 12 + 1:02d}",
    "p": lambda t: "AM" if _time_of(t).hour < 12 else "PM",
    "M": lambda t: f"{_time_of(t).minute:02d}",
    "S": lambda t: f"{_time_of(t).second:02d}",
    "f": lambda t: f"{_time_of(t).microsecond:06d}",
    "V": lambda t: f"{t.isocalendar().week:02d}",
    "G": lambda t: f"{t.isocalendar().year:04d}",
    "u": lambda t: str(t.isoweekday()),
    "A": lambda t: _DAYS[t.weekday()],
    "a": lambda t: _DAYS[t.weekday()][:3],
    "B": lambda t: _MONTHS[t.month - 1],
    "b": lambda t: _MONTHS[t.month - 1][:3],
    "z": lambda t: t.strftime("%z") if isinstance(t, datetime) else "+0000",
    "%": lambda t: "%",
}
"""The directives of `format`. Names of days and months are English wherever the program runs."""


def formatter(pattern: str) -> Callable[[Moment, tzinfo], str]:
    """A function that writes a date or moment. Raises ValueError for an unknown directive."""
    pieces: list[str | Callable[[Moment], str]] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "%":
            letter = pattern[at + 1 : at + 2]
            if letter not in DIRECTIVES:
                raise ValueError(
                    f"there is no `%{letter}`; there are {', '.join('%' + d for d in DIRECTIVES)}"
                )
            pieces.append(DIRECTIVES[letter])
            at += 2
        else:
            end = pattern.find("%", at)
            end = len(pattern) if end < 0 else end
            pieces.append(pattern[at:end])
            at = end

    def write(t: Moment, zone: tzinfo) -> str:
        local = _local(t, zone)
        return "".join(piece if isinstance(piece, str) else piece(local) for piece in pieces)

    return write


def _cut(d: timedelta, unit: timedelta) -> int:
    return d // unit if d >= timedelta(0) else -(-d // unit)


def days(d: timedelta) -> int:
    """Whole days, the rest cut."""
    return _cut(d, DAY)


def hours(d: timedelta) -> int:
    """Whole hours, the rest cut."""
    return _cut(d, timedelta(hours=1))


def minutes(d: timedelta) -> int:
    """Whole minutes, the rest cut."""
    return _cut(d, timedelta(minutes=1))


def seconds(d: timedelta) -> Decimal:
    """The seconds, exact to the microsecond."""
    micros = d // _MICROSECOND
    whole, rest = divmod(abs(micros), 1_000_000)
    text = f"{'-' if micros < 0 else ''}{whole}" + (f".{rest:06d}".rstrip("0") if rest else "")
    return Decimal(text)


def add_months(t: M, n: int, zone: tzinfo) -> M:
    """The same day some months later, or the last one of a shorter month."""
    local = _local(t, zone)
    index = local.year * 12 + local.month - 1 + n
    of_year, of_month = index // 12, index % 12 + 1
    if not 1 <= of_year <= 9999:
        raise Failure("the result is out of range: years are from 1 to 9999")
    moved = local.replace(year=of_year, month=of_month, day=min(local.day, monthrange(of_year, of_month)[1]))
    return moved.astimezone(UTC) if isinstance(moved, datetime) else moved  # type: ignore[return-value]


def dates(b: Budget, start: Moment, until: Moment, zone: tzinfo) -> list[date]:
    """Every date from one, the last excluded."""
    first, end = day(start, zone), day(until, zone)
    count = max((end - first).days, 0)
    if count > MAX_LIST:
        raise OverBudget(f"makes a list of {count:,} dates; {MAX_LIST:,} are allowed")
    b.list(count)
    return [first + timedelta(days=n) for n in range(count)]
