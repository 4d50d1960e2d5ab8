"""Fills a record: what a map names, and for the rest the fields of the same name in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tusk_runtime.expressions import Expression, Scope, compile_value
from tusk_runtime.expressions.codes import PERSONAL
from tusk_runtime.language.diagnostics import Problems, nearest
from tusk_runtime.language.document import Entry, MapNode, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import NO_SOURCE, UNDECLARED_FIELD
from tusk_runtime.model.context import suggest
from tusk_runtime.model.named_types import is_open
from tusk_runtime.model.scopes import partial, record_type
from tusk_runtime.types import TEXTS, Field, Record, assignable, exposed, personal


class Filled(NamedTuple):
    """What is filled: its fields, its `kind` and name, where it is declared.

    `key` is what names fields, `beside` what may stand there besides them.
    """

    fields: Record
    kind: str
    name: str
    declared: Span
    key: str
    beside: Sequence[str] = ()

    def __str__(self) -> str:
        return f"the {self.kind} `{self.name}`"


class Front(NamedTuple):
    """What stands in front: its fields, what it is, its `kind` and its name in expressions.

    `extendable`: another field can be declared for it. `json`: it has no declared fields, and may hold any.
    `key` declares them, if that stands beside what is filled.
    """

    fields: Record
    what: str
    kind: str
    name: str
    extendable: bool = True
    json: bool = False
    key: str = ""


def fill(
    filled: Filled, node: MapNode | None, front: Front, scope: Scope, problems: Problems, span: Span
) -> Expression | None:
    """The expression of a dict of fields, or None with problems noted.

    Fields that are neither named nor in front, and need no value, are not in it. `span` is the place of who
    is filled.
    """
    before = len(problems)
    entries = _named(filled, node, problems)
    for field in filled.fields.fields.values():
        if field.name in entries:
            continue
        source = front.fields.fields.get(field.name)
        if source is None and field.required and not is_open(front.fields):
            _no_source(filled, field, front, problems, span)
        elif source is not None and exposed(source.type, field.type) is not None:
            _not_marked(filled, field, source, front, problems, span)
        elif source is not None and assignable(source.type, field.type):
            text = f"{{{{ {front.name}.{field.name} }}}}"
            entries[field.name] = Entry(field.name, span, ScalarNode(text, span, quoted=True))
        elif source is not None:
            _no_fit(filled, field, source, front, problems, span)
    expected = record_type(partial(filled.fields, entries))
    map_ = MapNode(entries, node.span if node is not None else span)
    expression = compile_value(map_, scope, problems, expected)
    return expression if len(problems) == before else None


def _named(filled: Filled, node: MapNode | None, problems: Problems) -> dict[str, Entry]:
    """The fields that the map names; a misspelled one is told and taken for the one that was meant."""
    fields = filled.fields.fields
    entries: dict[str, Entry] = {}
    for entry in node or ():
        name: str | None = entry.key
        if entry.key not in fields and is_open(filled.fields):
            continue
        if entry.key not in fields:
            problems.error(
                UNDECLARED_FIELD,
                entry.key_span,
                f"{filled} has no field `{entry.key}`",
                help=suggest(entry.key, [*fields, *filled.beside], str(filled)),
                related=[(filled.declared, "declared here")],
            )
            name = nearest(entry.key, [f for f in fields if node is not None and f not in node])
        if name is not None:
            entries[name] = Entry(name, entry.key_span, entry.node)
    return entries


def _no_source(filled: Filled, field: Field, front: Front, problems: Problems, span: Span) -> None:
    name, key = field.name, filled.key
    guess = nearest(name, front.fields.fields)
    lack = f"{front.what} has no field of that name"
    if front.json:
        lack = f"the fields of {front.what} are not declared"
        advice = f'write `{key}: {{ {name}: "{{{{ {front.name}.{name} }}}}" }}`, or declare '
        advice += (
            f'its fields: `{front.key}: {{ {name}: "{field.type}" }}`' if front.key else f"the {front.kind}"
        )
    elif guess is not None:
        advice = f'write `{key}: {{ {name}: "{{{{ {front.name}.{guess} }}}}" }}`, or give both the same name'
    else:
        advice = f"write `{key}: {{ {name}: … }}`"
        if front.extendable:
            advice += f', or give the {front.kind} the field `{name}: "{field.type}"`'
    problems.error(
        NO_SOURCE,
        span,
        f"`{name}` of {filled} has no source: `{key}` does not name it, and {lack}",
        help=advice,
        related=[(filled.declared, "declared here")],
    )


def _not_marked(
    filled: Filled, field: Field, source: Field, front: Front, problems: Problems, span: Span
) -> None:
    name = field.name
    part = exposed(source.type, field.type)
    if part is not None and part.path:
        problem = f"whose `{part.path}` is personal data, and in the {filled.kind}'s it is not marked `pii`"
        advice = f"mark `{part.path.rpartition('.')[2]}` of `{part.record}`, too"
    else:
        problem = f"which is personal data, and the {filled.kind}'s is not marked `pii`"
        advice = f'mark it: `{name}: "{personal(field.type)}"`'
        if source.type.kind in TEXTS and field.type.kind == "string":
            masked = f'{filled.key}: {{ {name}: "{{{{ mask({front.name}.{name}) }}}}" }}'
            advice += f", or give a part of it: `{masked}`"
    problems.error(
        PERSONAL,
        span,
        f"`{name}` of {filled} is filled from the field of {front.what}, {problem}",
        help=advice,
        related=[(filled.declared, "declared here")],
    )


def _no_fit(
    filled: Filled, field: Field, source: Field, front: Front, problems: Problems, span: Span
) -> None:
    name, key = field.name, filled.key
    if assignable(source.type.required(), field.type):
        problem = f"may be null, and the {filled.kind}'s may not"
        value = f"{{{{ {front.name}.{name} ?? … }}}}"
        advice = f'write `{key}: {{ {name}: "{value}" }}` with a value for that case'
    else:
        problem = f"is {source.type}, and the {filled.kind}'s is {field.type}"
        advice = f'give both the same type, or write `{key}: {{ {name}: "{{{{ … }}}}" }}`'
    problems.error(
        NO_SOURCE,
        span,
        f"`{name}` of {filled} is filled from the field of {front.what}, which {problem}",
        help=advice,
        related=[(filled.declared, "declared here")],
    )
