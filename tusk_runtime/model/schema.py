"""The JSON Schema of a whole file, as `tusk show --format json` prints one."""

from __future__ import annotations

from collections.abc import Sequence

from tusk_runtime.model.contracts import DIALECT
from tusk_runtime.model.names import COLUMN_NAME, NAME
from tusk_runtime.model.reader import DESCRIPTION, Key
from tusk_runtime.model.reference import Section, sections
from tusk_runtime.model.shapes import MAP, TEXT, Schema, either, many, named, shape


def file_schema() -> Schema:
    """Section → keys, all of them closed: a name that no table of keys has is refused.

    It says which keys there are, which are required, and what kind of value each takes; what only the whole
    tells, such as whether a name is declared, `tusk check` tells.
    """
    return {
        "$schema": DIALECT,
        "title": "A .tsk file",
        "description": "The file as `tusk show --format json` prints it: section → keys.",
        "type": "object",
        "properties": {section.name: _section(section) for section in sections().values()},
        "patternProperties": {r"^(\$.*|import)$": {}},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _section(section: Section) -> Schema:
    schema = _content(section)
    return {"description": section.doc, **schema}


def _content(section: Section) -> Schema:
    if section.name == "types":
        return {**named(either(TEXT, named(TEXT))), "propertyNames": _names(section.name)}
    if section.name == "event_categories":
        return named(many(TEXT))
    inner = map_schema(section.keys)
    if not section.named:
        return inner
    nothing = not any(key.required for key in section.keys)
    declaration = either(inner, {"type": "null"}) if nothing else inner
    return {
        "type": "object",
        "properties": {DESCRIPTION.name: either(TEXT, declaration)},
        "additionalProperties": declaration,
        "propertyNames": _names(section.name),
    }


def _names(section: str) -> Schema:
    """The names that declarations of a section may have; those of tests are only ever shown."""
    if section == "tests":
        return {}
    pattern = (COLUMN_NAME if section == "projections" else NAME).pattern
    return {"pattern": f"^{pattern.removesuffix(chr(92) + 'Z')}$"}


def map_schema(keys: Sequence[Key]) -> Schema:
    """The schema of a map with these keys; those that come later are left out."""
    if not keys:
        return MAP
    now = [key for key in keys if not key.later]
    schema: Schema = {
        "type": "object",
        "properties": {key.name: {"description": key.doc, **shape(key, map_schema(key.keys))} for key in now},
        "additionalProperties": False,
    }
    required = [key.name for key in now if key.required]
    return {**schema, "required": required} if required else schema
