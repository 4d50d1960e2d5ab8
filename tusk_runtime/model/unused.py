"""Warns of what is declared and never used: it is dead, or a line that uses it was forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tusk_runtime.expressions import Expression
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import ListNode, ScalarNode
from tusk_runtime.model import codes, reactions
from tusk_runtime.model.application import Command, Projection, Query
from tusk_runtime.model.reader import items_of
from tusk_runtime.model.survey import Survey
from tusk_runtime.model.topology import Node
from tusk_runtime.types import ABSENT
from tusk_runtime.types.values import show


def check(s: Survey) -> None:
    """Note all that is declared and not used, each where it is declared."""
    _events(s)
    for command in s.b.commands.values():
        _command_fields(s, command)
    asked = _columns_asked_for(s)
    for projection in s.b.projections.values():
        _projection(s, projection, asked[projection.name])
    for query in s.b.queries.values():
        _parameters(s, query)
    _types(s)
    _consumer_groups(s)


def _events(s: Survey) -> None:
    for event in s.b.events.values():
        node = Node("event", event.name)
        if (
            not event.declared
            or event.own
            or s.topology.before(node, "emits")
            or s.unread.mentions(event.name, "commands")
        ):
            continue
        handlers = s.topology.after(node)
        if not handlers and event.category is None and not s.unread.mentions(event.name):
            s.problems.warning(
                codes.UNUSED,
                event.span,
                f"the event `{event.name}` is declared, and nothing emits or handles it",
                help=f'emit it from a command: `emit: "{event.name}"`, or remove it',
            )
            continue
        waits = f", and the {handlers[0].kind} `{handlers[0].name}` waits for it" if handlers else ""
        s.problems.warning(
            codes.NEVER_EMITTED,
            event.span,
            f"nothing emits the event `{event.name}`{waits}",
            help=f'emit it from a command: `emit: "{event.name}"`, or remove it'
            + (" and what handles it" if handlers else ""),
        )


def _command_fields(s: Survey, command: Command) -> None:
    if ("commands", command.name) in s.unread.holding:
        return
    expressions: list[Expression | str | None] = [command.id, command.allow]
    for rule in command.require:
        expressions += [rule.check, rule.message]
    for emit in command.emit:
        expressions += [emit.data, emit.when, emit.for_each]
    for name in _never_read(command.fields.fields, "command", expressions):
        s.problems.warning(
            codes.UNREAD_FIELD,
            s.place("commands", command.name, "fields", name),
            f"nothing reads the field `{name}` of the command `{command.name}`: what is given is lost",
            help=f"give an event that it emits the field `{name}`, read `{{{{ command.{name} }}}}`, or "
            "remove the field",
        )


def _projection(s: Survey, projection: Projection, asked: set[str]) -> None:
    name = projection.name
    if ("projections", name) in s.unread.holding:
        return
    operations = [operation for on in projection.on.values() for operation in on]
    if not any(operation.kind in ("insert", "upsert") for operation in operations):
        s.problems.warning(
            codes.NEVER_FILLED,
            projection.span,
            f"no operation of the projection `{name}` adds a row: it stays empty",
            help="add rows on the event that begins them: `on: { EVENT: { insert: { … } } }`, or `upsert`",
        )
    else:
        written = set(projection.key)
        for operation in operations:
            record = operation.values.type.record if operation.values is not None else None
            written.update(record.fields if record is not None else ())
        for column, field in projection.columns.fields.items():
            if column not in written:
                value = (
                    "null" if field.default in (ABSENT, None) else f"its default {show(field.default, 40)}"
                )
                s.problems.warning(
                    codes.NEVER_SET,
                    s.place("projections", name, "columns", column),
                    f"no operation sets the column `{column}` of `{name}`: it is always {value}",
                    help=f"set it in an operation: `{column}: …`, or remove it",
                )
    if s.unread.mentions(name):
        return
    if not s.topology.after(Node("projection", name)):
        s.problems.warning(
            codes.NEVER_ASKED,
            projection.span,
            f"no query reads the projection `{name}`",
            help=f'ask for its rows: `[queries.{name}]` with `from: "{name}"`, or remove it',
        )
        return
    node = s.value("projections", name, "index")
    for index in items_of(node) if node is not None else ():
        parts = [part.value for part in items_of(index) if isinstance(part, ScalarNode)]
        if parts and parts[0] not in asked:
            first = ", its first column" if isinstance(index, ListNode) and len(parts) > 1 else ""
            s.problems.warning(
                codes.UNUSED_INDEX,
                index.span,
                f"no query of the projection `{name}` asks or orders by `{parts[0]}`{first}: the index only "
                "costs time",
                help=f"name `{parts[0]}` in `where` or `order_by` of a query, or remove the index",
            )


def _columns_asked_for(s: Survey) -> dict[str, set[str]]:
    """Projection → the columns by which its rows are looked for, or put in order."""
    asked: dict[str, set[str]] = defaultdict(set)
    for query in s.b.queries.values():
        asked[query.projection].update(condition.column for condition in query.where)
        asked[query.projection].update(column for column, _ in query.order_by)
        asked[query.projection].update(query.search.columns if query.search is not None else ())
    for projection in s.b.projections.values():
        for operations in projection.on.values():
            for operation in operations:
                asked[projection.name].update(condition.column for condition in operation.where)
    return asked


def _parameters(s: Survey, query: Query) -> None:
    if ("queries", query.name) in s.unread.holding:
        return
    expressions: list[Expression | str | None] = [query.allow]
    expressions += [condition.value for condition in query.where]
    expressions += (query.select or {}).values()
    expressions.append(query.search.text if query.search is not None else None)
    for name in _never_read(query.params.fields, "params", expressions):
        column = s.b.projections[query.projection].columns.fields.get(name)
        place = f"where: {{ {name if column is not None else 'COLUMN'}: "
        s.problems.warning(
            codes.UNUSED_PARAMETER,
            s.place("queries", query.name, "params", name),
            f"nothing uses the parameter `{name}` of the query `{query.name}`: giving it changes nothing",
            help=f'use it: `{place}"{{{{ params.{name} }}}}" }}`, or remove it',
        )


def _never_read(
    names: Iterable[str], owner: str, expressions: Iterable[Expression | str | None]
) -> Iterator[str]:
    """The names that no expression reads of `owner`, which is itself a name in them."""
    paths = {
        path for expression in expressions if isinstance(expression, Expression) for path in expression.reads
    }
    if (owner,) not in paths:
        read = {path[1] for path in paths if path[0] == owner and len(path) > 1}
        yield from (name for name in names if name not in read)


def _types(s: Survey) -> None:
    used = s.b.types.used
    for name in s.b.types:
        if name not in used and not s.unread.mentions(name):
            s.problems.warning(
                codes.UNUSED_TYPE,
                s.place("types", name),
                f"nothing uses the type `{name}`",
                help=f'give a field this type: `FIELD: "{name}"`, or remove it',
            )


def _consumer_groups(s: Survey) -> None:
    node = s.value("kafka_config", "consumer_groups")
    declared = reactions.groups(s.root)
    for item in items_of(node) if node is not None else ():
        if isinstance(item, ScalarNode) and isinstance(item.value, str) and item.value not in declared:
            guess = nearest(item.value, declared)
            s.problems.warning(
                codes.GROUP_UNDECLARED,
                item.span,
                f"no consumer has the group `{item.value}`",
                help=f"did you mean `{guess}`?" if guess else f"declare it: `[consumers.{item.value}]`",
            )
