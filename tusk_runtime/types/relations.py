"""Which types take values of which other types by themselves."""

from __future__ import annotations

from tusk_runtime.types.kinds import Record, Type

_WIDENS: dict[str, frozenset[str]] = {
    "integer": frozenset({"decimal", "number"}),
    "uuid": frozenset({"string"}),
    "email": frozenset({"string"}),
    "url": frozenset({"string"}),
    "enum": frozenset({"string"}),
}


def assignable(source: Type, target: Type) -> bool:
    """Whether every value of one type is, perhaps widened, a value of the other, constraints aside.

    Integers widen to decimals and numbers; uuid, email, url and enum to string; `T` to `T?`; anything to json
    and json, which is checked when a value arrives, to anything. Lists and maps follow their members; a
    record fits where every field that the target requires is there and fits.
    """
    if source is target:
        return True
    if source.optional and not target.optional and source.kind != "json" and target.kind != "json":
        return False
    if target.kind == "json" or source.kind == "json":
        return True
    if source.kind == "null":
        return target.optional
    if source.kind == "enum" and target.kind == "enum":
        return set(source.values) <= set(target.values)
    if source.kind in ("list", "map") and source.kind == target.kind:
        return assignable(source.entry, target.entry)
    if source.record is not None and target.record is not None:
        return _fits(source.record, target.record)
    return source.kind == target.kind or target.kind in _WIDENS.get(source.kind, ())


def _fits(source: Record, target: Record) -> bool:
    if source is target:
        return True
    given, wanted = source.fields, target.fields
    return given.keys() <= wanted.keys() and all(
        assignable(given[name].type, field.type) if name in given else not field.required
        for name, field in wanted.items()
    )


def same_form(source: Type, target: Type) -> bool:
    """Whether values of one type are values of the other as they are: no conversion, no check, nothing to do.

    The types are assignable. Constraints count: a decimal without places is not yet one with two, but an
    integer from 1 is one from 0.
    """
    if source is target:
        return True
    if source.kind != target.kind and not (source.kind in _WIDENS and target.kind == "string"):
        return False
    if not _within(source, target):
        return False
    if source.item is not None and target.item is not None:
        return same_form(source.item, target.item)
    if source.record is not None and target.record is not None:
        if source.record is target.record:
            return True
        given, wanted = source.record.fields, target.record.fields
        return given.keys() == wanted.keys() and all(
            same_form(given[name].type, wanted[name].type) for name in wanted
        )
    return True


def _within(source: Type, target: Type) -> bool:
    """Whether what the constraints of one type let through is as those of the other want it."""
    return (
        (target.min is None or (source.min is not None and source.min >= target.min))
        and (target.max is None or (source.max is not None and source.max <= target.max))
        and target.pattern in (None, source.pattern)
        and target.places in (None, source.places)
        and (source.unique or not target.unique)
    )
