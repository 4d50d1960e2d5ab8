"""The Jinja2 in which templates are written: plain values, no methods, and bounds for all that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

import orjson
from jinja2 import StrictUndefined, Undefined
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from tusk_runtime.expressions.library.times import formatter, time_zone
from tusk_runtime.expressions.limits import Failure
from tusk_runtime.types import to_json
from tusk_runtime.types.values import parse_date, parse_datetime

MAX_LENGTH = 1024 * 1024
"""How many characters a template writes, and a text in it has."""
MAX_STEPS = 100_000
"""How many elements the loops and filters of one writing look at."""
STEPS, JOIN = "@steps", "@join"
"""The filters that count the passes of a loop, and that stand for `~`: no template can name them."""
LOOP = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"}
)
TAKEN = (
    "abs", "capitalize", "dictsort", "e", "escape", "first", "float", "groupby", "int", "items", "last",
    "length", "count", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "safe",
    "select", "selectattr", "sort", "string", "striptags", "sum", "title", "trim", "truncate", "unique",
    "upper", "urlencode", "wordcount",
)  # fmt: skip
"""Jinja2's own filters whose result is about as large as what they are given."""
_left: ContextVar[int] = ContextVar("left", default=MAX_STEPS)


def begin() -> None:
    """Give what is written next all its steps."""
    _left.set(MAX_STEPS)


def _step(count: int) -> None:
    left = _left.get() - count
    if left < 0:
        raise Failure(f"it looks at more than {MAX_STEPS:,} elements")
    _left.set(left)


def _steps(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _step(1)
        yield item


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is charged for what it looks at."""
    at = 1 if hasattr(function, "jinja_pass_arg") else 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        value = args[at]
        if value is None and name not in SETTLING:
            raise Failure(f"null is given to `{name}`: say what stands there instead, `x | default('…')`")
        _step(1 + (len(value) if isinstance(value, list | dict | tuple) else 0))
        result = function(*args, **kwargs)
        # Of what is made one by one, each element counts.
        return _steps(result) if isinstance(result, Iterator) else result

    marks = getattr(function, "__dict__", {})
    vars(counted).update({mark: each for mark, each in marks.items() if mark.startswith("jinja")})
    return counted


# ---- filters --------------------------------------------------------------------------------------


def _bounded(length: int) -> None:
    if length > MAX_LENGTH:
        raise Failure(f"a text is longer than {MAX_LENGTH:,} characters")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else written(value)


def _join(items: Iterable[Any], separator: Any = "", attribute: str | None = None) -> str:
    parts = [_text(item if attribute is None else found(item, attribute)) for item in items]
    glue = _text(separator)
    _bounded(sum(map(len, parts)) + len(glue) * len(parts))
    return glue.join(parts)


def found(value: Any, name: str) -> Any:
    """A field of an element."""
    if isinstance(value, Mapping) and name in value:
        return value[name]
    raise Failure(f"there is no `{name}`")


def _replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    _bounded(len(text) + (text.count(old) if old else len(text) + 1) * len(new))
    return text.replace(old, new)


def _default(value: Any, other: Any = "", boolean: bool = False) -> Any:
    """Null and absent are the same here."""
    gone = value is None or isinstance(value, Undefined)
    return other if gone or (boolean and not value) else value


def _round(value: Any, places: int = 0) -> Any:
    if isinstance(value, Decimal):
        if not -28 <= places <= 28:
            raise Failure("a number is rounded to at most 28 places")
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return round(_number(value), places)


def _format(timezone: str, value: Any, pattern: Any, zone: Any = "") -> str:
    if not isinstance(value, str) or not isinstance(pattern, str):
        raise Failure("`format` writes a date or a datetime, as in `now | format('%d.%m.%Y')`")
    _bounded(len(pattern) * 10)
    try:
        moment = parse_datetime(value) if "T" in value else parse_date(value)
        return formatter(pattern)(moment, time_zone(zone or timezone))
    except ValueError as error:
        raise Failure(f"`format` has no result: {error}", masked="`format` has no result") from None


def _tojson(value: Any) -> str:
    return to_json(value).decode()


OWN: Mapping[str, Callable[..., Any]] = {
    "join": _join, "replace": _replace, "default": _default, "d": _default, "round": _round,
    "tojson": _tojson, JOIN: _join,
}  # fmt: skip
SETTLING = frozenset({"default", "d", "tojson"})
"""The filters that null may be given to."""


# ---- values ---------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value as a template sees it: as JSON, but that decimals stay exact numbers."""
    match value:
        case None | bool() | int() | float() | str() | Decimal():
            return value
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return orjson.loads(to_json(value))


def written(value: Any) -> Any:
    """A value as it is written."""
    match value:
        case str() | Undefined():
            return value
        case None:
            raise Failure("null is written: say what stands there instead, `x | default('…')`")
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case int() | float():
            return str(value)
        case list() | dict() | tuple():
            raise Failure("a list or a map is written: go over it with `for`, or write `x | tojson`")
    raise Failure("this is no value")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Failure("only numbers can be calculated with; texts are joined by `~`")
    return value


def _calculated(operator: str, left: Any, right: Any) -> Any:
    left, right = _number(left), _number(right)
    match operator:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case "//":
            result = left // right
        case "%":
            result = left % right
        case _:
            whole = isinstance(left, int) and isinstance(right, int)
            result = Decimal(left) / right if whole else left / right
    if isinstance(result, int) and abs(result) >= 2**63:
        raise Failure("the result is out of range")
    return result


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment in which nothing is reached but the values themselves."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self, *, html: bool, timezone: str) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=html,
            finalize=written,
            optimized=False,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
        )
        filters = {name: FILTERS[name] for name in TAKEN} | dict(OWN) | {"format": partial(_format, timezone)}
        self.filters = {name: _counted(name, each) for name, each in filters.items()} | {STEPS: _steps}
        self.globals = {"range": safe_range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of a map, or what a loop tells of itself; nothing of Python."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, Undefined):
            return obj
        told = isinstance(obj, LoopContext) and attribute in LOOP
        if told or (isinstance(obj, tuple) and attribute in ("grouper", "list")):
            return getattr(obj, attribute)
        return self.undefined(f"there is no `{attribute}`")

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An entry of a map, or elements of a list or a text."""
        known = isinstance(obj, dict) and isinstance(argument, str) and argument in obj
        if known or (isinstance(obj, list | tuple | str) and isinstance(argument, slice)):
            return obj[argument]
        counted = isinstance(obj, list | tuple | str) and isinstance(argument, int)
        if counted and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined("a key or an element is not there")

    def is_safe_callable(self, obj: Any) -> bool:
        """Only `range`."""
        return obj is safe_range

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Numbers alone are calculated with."""
        return _calculated(operator, left, right)
