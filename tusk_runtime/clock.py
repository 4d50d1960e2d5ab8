"""Time: the real clock, and one that tests move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the time in microseconds since 1970-01-01 UTC."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return time_ns() // 1000


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return self._now

    def set(self, now: int) -> None:
        """Move to a time, in microseconds since 1970-01-01 UTC."""
        self._now = now

    def advance(self, by: timedelta) -> None:
        """Move forward by a duration."""
        self._now += by // timedelta(microseconds=1)


def to_datetime(microseconds: int) -> datetime:
    """An aware UTC datetime from microseconds since 1970-01-01."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC from an aware datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)
