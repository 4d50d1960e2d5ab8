"""The constraints of types: what a value of the right kind may still violate."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tusk_runtime.types.kinds import Type
from tusk_runtime.types.patterns import compile_pattern
from tusk_runtime.types.personal import shown
from tusk_runtime.types.values import EMAIL, URL, show, with_places

LENGTHS = {
    "string": ("character", "characters"),
    "email": ("character", "characters"),
    "url": ("character", "characters"),
    "uuid": ("character", "characters"),
    "bytes": ("byte", "bytes"),
    "list": ("entry", "entries"),
    "map": ("entry", "entries"),
}
"""The kinds whose `min` and `max` bound a length, with its unit."""

_SHAPES = {"email": EMAIL, "url": URL}


def violation(type_: Type, value: Any) -> str | None:
    """What a run-time value of the right kind violates, in words, or None. Looks at the outermost value
    only.
    """
    kind = type_.kind
    if kind in _SHAPES and not compile_pattern(_SHAPES[kind]).matches(value):
        what = "an e-mail address" if kind == "email" else "a URL with its scheme, such as `https://…`"
        return f"must be {what}, not {shown(type_, value, 40)}"
    unit = LENGTHS.get(kind)
    if type_.min is not None and (size := len(value) if unit else value) < type_.min:
        if unit:
            return f"must have at least {type_.min} {unit[type_.min != 1]}, not {size}"
        return f"must be at least {show(type_.min)}, not {shown(type_, value)}"
    if type_.max is not None and (size := len(value) if unit else value) > type_.max:
        if unit:
            return f"must have at most {type_.max} {unit[type_.max != 1]}, not {size}"
        return f"must be at most {show(type_.max)}, not {shown(type_, value)}"
    if type_.pattern is not None and not compile_pattern(type_.pattern).matches(value):
        return f"must match the pattern {type_.pattern}, not {shown(type_, value, 40)}"
    if type_.unique and (twice := first_repeated(value.values() if kind == "map" else value)) is not None:
        return f"must not repeat an entry; {shown(type_, twice[0], 40)} stands there twice"
    return None


def first_repeated(members: Any) -> tuple[Any] | None:
    """The first member that stands there twice (in a tuple, since it may be null), or None."""
    seen: set[Any] = set()
    for member in members:
        key = freeze(member)
        if key in seen:
            return (member,)
        seen.add(key)
    return None


def freeze(value: Any) -> Any:
    """A value that can be put into a set, equal where the values are equal as JSON."""
    if isinstance(value, list):
        return ("list", tuple(freeze(member) for member in value))
    if isinstance(value, dict):
        return ("map", frozenset((key, freeze(member)) for key, member in value.items()))
    if isinstance(value, bool):
        return ("boolean", value)
    return value


def is_constrained(type_: Type) -> bool:
    """Whether a run-time value of the right kind may still violate the type, or be kept in another form."""
    if type_.kind in _SHAPES or type_.unique or type_.places is not None:
        return True
    if type_.min is not None or type_.max is not None or type_.pattern is not None:
        return True
    if type_.item is not None:
        return is_constrained(type_.item)
    if type_.record is not None:
        return any(is_constrained(field.type) for field in type_.record.fields.values())
    return False


@lru_cache(maxsize=1024)
def _conformer(type_: Type) -> Callable[[Any], Any]:
    shallow = (
        any(c is not None for c in (type_.min, type_.max, type_.pattern, type_.unique or None))
        or type_.kind in _SHAPES
    )
    item = conformer(type_.item) if type_.item is not None else None
    fields = (
        {name: c for name, f in type_.record.fields.items() if (c := conformer(f.type)) is not None}
        if type_.record is not None
        else None
    )
    places = type_.places

    def conform(value: Any) -> Any:
        if value is None:
            return None
        if places is not None:
            value = with_places(value, places)
        if item is not None:
            if isinstance(value, list):
                value = [item(member) for member in value]
            else:
                value = {key: item(member) for key, member in value.items()}
        if fields:
            value = {**value, **{name: check(value[name]) for name, check in fields.items()}}
        if shallow and (problem := violation(type_, value)):
            raise ValueError(problem)
        return value

    return conform


def conformer(type_: Type) -> Callable[[Any], Any] | None:
    """A function that takes a run-time value of the right kind through the constraints of its type.

    It gives the value in the form that the type keeps (a decimal with its places), and raises ValueError
    with a reason in words. None where any value of the kind is right as it is.
    """
    return _conformer(type_) if is_constrained(type_) else None
