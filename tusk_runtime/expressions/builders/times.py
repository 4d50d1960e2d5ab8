"""Calls over dates and moments, whose units, formats and time zones are written out."""

from __future__ import annotations

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.builders.common import (
    Expected,
    function_of,
    parameter_of,
    zone_argument,
)
from tusk_runtime.expressions.calls import (
    argument,
    literal_argument,
    plain_call,
)
from tusk_runtime.expressions.checker import Checker
from tusk_runtime.expressions.code import Code
from tusk_runtime.expressions.library import numbers, times
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.types import (
    DATETIME,
    INTEGER,
    STRING,
)


def zoned(c: Checker, call: s.Call, expected: Expected) -> Code:
    """A function whose last parameter is the time zone."""
    function = function_of(call)
    last = len(function.signatures[0].parameters) - 1
    zone = zone_argument(c, call, last)
    if zone is None:
        return c.unknown(call)
    plain = s.Call(
        call.start,
        call.end,
        call.depth,
        call.size,
        call.name,
        call.name_start,
        call.arguments[:last],
        call.is_filter,
    )
    return plain_call(c, plain, function.signatures, function.call, budget=function.budget, extra=(zone,))


def part(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`part(t, 'hour')`."""
    unit = literal_argument(c, call.arguments[1], "a unit", call)
    zone = zone_argument(c, call, 2)
    code = argument(c, call.arguments[0], parameter_of(call, 0), call, {})
    if unit is None or zone is None or not code.known:
        return c.unknown(call)
    if unit not in times.PARTS:
        return c.error(
            codes.PATTERN,
            call.arguments[1],
            f"there is no unit `{unit}`",
            did_you_mean(str(unit), times.PARTS),
        )
    node = c.operation(times.part_of(unit), code.node, zone, title=f"part {unit}")
    return Code(node, INTEGER, call, missing=code.missing)


def format_time(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`format(t, '%d.%m.%Y')`."""
    pattern = literal_argument(c, call.arguments[1], "a pattern", call)
    zone = zone_argument(c, call, 2)
    code = argument(c, call.arguments[0], parameter_of(call, 0), call, {})
    if pattern is None or zone is None or not code.known:
        return c.unknown(call)
    try:
        write = times.formatter(str(pattern))
    except ValueError as error:
        return c.error(
            codes.PATTERN, call.arguments[1], str(error), "write a pattern such as `%d.%m.%Y %H:%M:%S`"
        )
    node = c.operation(write, code.node, zone, title=f"format {pattern}")
    return Code(node, STRING, call, missing=code.missing)


def floor(c: Checker, call: s.Call, expected: Expected) -> Code:
    """`floor(n)`, or `floor(t, '15m')`."""
    if len(call.arguments) == 1:
        signatures = function_of(call).signatures[:1]
        return plain_call(c, call, signatures, numbers.floor, budget=False)
    zone = zone_argument(c, call, 2)
    moment = argument(c, call.arguments[0], parameter_of(call, 0, 1), call, {})
    step = argument(c, call.arguments[1], parameter_of(call, 1, 1), call, {})
    if zone is None or not moment.known or not step.known:
        return c.unknown(call)
    node = c.operation(times.floor, moment.node, step.node, zone)
    return Code(node, DATETIME, call, missing=moment.missing or step.missing)
