"""Functions over numbers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
)
from typing import Any

from tusk_runtime.expressions.limits import Failure
from tusk_runtime.expressions.operations import finite, integer

MODES = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}
"""The ways of rounding: half away from zero, half to the even digit, towards zero, away from zero."""

_WIDE = Context(prec=400)


def absolute(n: Any) -> Any:
    """Without its sign."""
    return n.copy_abs() if isinstance(n, Decimal) else abs(n)


def absolute_integer(n: int) -> int:
    """Without its sign, if that has 64 bits."""
    return integer(abs(n))


def _whole(n: Any, rounding: str) -> int:
    if isinstance(n, int):
        return n
    exact = n if isinstance(n, Decimal) else Decimal(n)
    return integer(int(exact.to_integral_value(rounding, _WIDE)))


def floor(n: Any) -> int:
    """The largest integer not above it."""
    return _whole(n, ROUND_FLOOR)


def ceil(n: Any) -> int:
    """The smallest integer not below it."""
    return _whole(n, ROUND_CEILING)


def rounder(mode: str) -> Callable[[Any], int]:
    """A function that rounds to an integer."""
    rounding = MODES[mode]
    return lambda n: _whole(n, rounding)


def places_rounder(mode: str) -> Callable[[Any, int], Any]:
    """A function that rounds to places and keeps the type."""
    rounding = MODES[mode]

    def round_places(n: Any, places: int) -> Any:
        if not -38 <= places <= 38:
            raise Failure("places are from -38 to 38")
        if isinstance(n, float):
            # The shortest decimal is what people see: 2.675 is rounded as it reads.
            return finite(float(Decimal(repr(n)).quantize(Decimal(1).scaleb(-places), rounding, _WIDE)))
        exact = Decimal(n).quantize(Decimal(1).scaleb(-places), rounding, _WIDE)
        if isinstance(n, int):
            return integer(int(exact))
        exponent = int(exact.as_tuple().exponent)
        if exponent > 0:
            exact = exact.quantize(Decimal(1), context=_WIDE)
        if max(len(exact.as_tuple().digits), -exponent) > 38:
            raise Failure("the result does not fit into the 38 digits of a decimal")
        return exact

    return round_places
