"""Personal data: which values are, what carries the mark on, and how they are masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from tusk_runtime.types.kinds import UNKNOWN, Field, Record, Type
from tusk_runtime.types.values import show

MASK = "***"
"""What stands in place of personal data wherever it is shown."""

ERASABLE: frozenset[str] = frozenset({"string", "email", "url"})
"""The kinds whose values become a text when they are erased. Everything else becomes null: `[erased]` is no
uuid and in no enum.
"""


def holds_pii(type_: Type) -> bool:
    """Whether values of the type hold personal data, themselves or inside."""
    if type_.pii:
        return True
    if type_.item is not None:
        return holds_pii(type_.item)
    return type_.record is not None and _record_holds_pii(type_.record)


@lru_cache(maxsize=1024)
def _record_holds_pii(record: Record) -> bool:
    return any(holds_pii(field.type) for field in record.fields.values())


def personal(type_: Type) -> Type:
    """The type marked as personal data, and with it everything inside."""
    if type_.pii or type_ is UNKNOWN:
        return type_
    item = personal(type_.item) if type_.item is not None else None
    record = _personal_record(type_.record) if type_.record is not None else None
    return replace(type_, pii=True, item=item, record=record)


@lru_cache(maxsize=1024)
def _personal_record(record: Record) -> Record:
    return _with_types(record, {name: personal(field.type) for name, field in record.fields.items()})


def _with_types(record: Record, types: dict[str, Type]) -> Record:
    fields = {name: Field(name, types[name], field.default) for name, field in record.fields.items()}
    return type(record)(record.name, fields)


def marked_as(type_: Type, source: Type) -> Type:
    """The type with the marks of the one whose values it takes, part by part."""
    if type_.pii or not holds_pii(source):
        return type_
    if source.pii:
        return personal(type_)
    if type_.item is not None and source.item is not None:
        return replace(type_, item=marked_as(type_.item, source.item))
    if type_.record is not None and source.record is not None:
        given = source.record.fields
        types = {
            name: marked_as(field.type, given[name].type) if name in given else field.type
            for name, field in type_.record.fields.items()
        }
        return replace(type_, record=_with_types(type_.record, types))
    return personal(type_)


class Exposed(NamedTuple):
    """A part of a value that is personal where the type that it goes to is not marked: the path of its field
    (empty: the value itself), and the record that has the field.
    """

    path: str
    record: str = ""


def exposed(source: Type, target: Type) -> Exposed | None:
    """The first part of a value that would be exposed by a type that it goes to; None if there is none."""
    if target.pii or target is UNKNOWN or not holds_pii(source):
        return None
    if source.pii or source.kind != target.kind:
        return Exposed("")
    if source.item is not None and target.item is not None:
        return exposed(source.item, target.item)
    if source.record is not None and target.record is not None:
        wanted = target.record.fields
        for name, field in source.record.fields.items():
            if name in wanted and (inner := exposed(field.type, wanted[name].type)) is not None:
                return (
                    Exposed(f"{name}.{inner.path}", inner.record)
                    if inner.path
                    else Exposed(name, target.record.name)
                )
        return None
    return Exposed("")


class Lasting(NamedTuple):
    """A part of a type that no erasure could reach: the path of its field (empty: the type itself), and its
    type.
    """

    path: str
    type: Type


def lasting(type_: Type) -> Lasting | None:
    """The first part of a type that is personal, neither text nor optional; None if there is none."""
    if type_.pii:
        return None if type_.optional or type_.kind in ERASABLE else Lasting("", type_)
    if type_.item is not None:
        inner = lasting(type_.item)
        return inner if inner is None or inner.path else Lasting("", type_)
    if type_.record is not None and holds_pii(type_):
        for name, field in type_.record.fields.items():
            if (inner := lasting(field.type)) is not None:
                return Lasting(f"{name}.{inner.path}" if inner.path else name, inner.type)
    return None


def erasable(type_: Type) -> Type:
    """The type with null where something personal in it could not be erased otherwise."""
    if type_.pii:
        return type_ if type_.kind in ERASABLE else type_.or_null()
    return type_ if type_.item is None else replace(type_, item=erasable(type_.item))


def shown(type_: Type, value: Any, limit: int = 80) -> str:
    """A value of a type as people read it in a message: personal data is masked."""
    return MASK if holds_pii(type_) else show(value, limit)


Mask = Callable[[Any], Any]


def masker(type_: Type) -> Mask | None:
    """A function from a value, run-time or JSON, to one that may be shown; None where all of it may be.

    Null stays null: that nothing is there is no personal data.
    """
    if type_.pii:
        return _hide
    if not holds_pii(type_):
        return None
    if type_.item is not None:
        return _entries_masker(type_.item)
    record = type_.record
    fields = record.fields if record is not None else {}
    # Older data may have fields that are declared no more: nobody knows whether they were personal.
    masks = {name: masker(field.type) or _show for name, field in fields.items()}

    def mask_record(value: Any) -> Any:
        if not isinstance(value, dict):
            return _hide(value)
        return {name: masks.get(name, _hide)(member) for name, member in value.items()}

    return mask_record


def _show(value: Any) -> Any:
    return value


def _entries_masker(item: Type) -> Mask:
    mask = masker(item) or _hide

    def mask_entries(value: Any) -> Any:
        if isinstance(value, list):
            return [mask(member) for member in value]
        if isinstance(value, dict):
            return {name: mask(member) for name, member in value.items()}
        return _hide(value)

    return mask_entries


def _hide(value: Any) -> Any:
    return None if value is None else MASK
