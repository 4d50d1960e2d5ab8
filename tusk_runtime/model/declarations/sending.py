"""`send` and `with`: which command is sent, where its fields come from, and which aggregate is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tusk_runtime.expressions import Expression, Scope, compile_value
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import Aggregate, Command
from tusk_runtime.model.codes import BAD_VALUE, NO_TARGET
from tusk_runtime.model.context import Building
from tusk_runtime.model.declarations.filling import Filled, Front, fill
from tusk_runtime.model.declarations.ids import check_id
from tusk_runtime.model.reader import Reader
from tusk_runtime.types import read_value

ID = "aggregate_id"
"""What stands in `with` beside the fields and says which aggregate is meant."""


class Sending(NamedTuple):
    """What sends a command: the place in words, and what stands in front of the command.

    `owners` are the types of aggregates that the front is of; None: it is of none.
    """

    b: Building
    what: str
    front: Front
    owners: Sequence[str] | None


class Sent(NamedTuple):
    """A command with the expressions of its fields and its target, as in `Send`."""

    command: Command
    fields: Expression
    target: Expression | None
    same: bool


def read_send(sending: Sending, reader: Reader, scope: Scope) -> Sent | None:
    """The command of `send` and `with`, or None with problems noted; a wrong target is noted, too."""
    b, span = sending.b, reader.value_span("send")
    name = reader.text("send")
    command: Command | None = b.find("commands", name, span) if name else None
    with_ = reader.map("with", "a map of the command's fields")
    if command is None or ("with" in reader and with_ is None):
        return None
    before = len(b.problems)
    named = MapNode({}, span)
    id_: Entry | None = None
    if with_ is not None:
        id_ = with_.entries.get(ID)
        named = MapNode({key: entry for key, entry in with_.entries.items() if key != ID}, with_.span)
    filled = Filled(command.fields, "command", command.name, command.span, "with", (ID,))
    fields = fill(filled, named, sending.front, scope, b.problems, span)
    if id_ is not None:
        target = _target(sending, command, id_, scope)
        same = False
    else:
        target = None
        same = command.takes_aggregate_id and sending.owners == [command.aggregate]
        # Where a field is wrong, `aggregate_id` may be what was meant.
        lost = command.needs_aggregate_id and not same and ("ids", command.name) not in b.broken
        if lost and len(b.problems) == before:
            _no_target(sending, command, span)
    return Sent(command, fields, target, same) if fields is not None else None


def _target(sending: Sending, command: Command, id_: Entry, scope: Scope) -> Expression | None:
    """The id that `with` gives; None with a problem noted."""
    b = sending.b
    if not command.takes_aggregate_id:
        b.problems.error(
            NO_TARGET,
            id_.key_span,
            f"the command `{command.name}` finds its aggregate by its own `id`, and takes no `{ID}`",
            help=f"leave `{ID}` out, and give the fields that its `id` names",
            related=[(command.span, "the command")],
        )
        return None
    aggregate = b.aggregates[command.aggregate]
    expression = compile_value(id_.node, scope, b.problems)
    if expression is None or not _can_be_id(sending, id_.node, aggregate):
        return None
    what = f"`{ID}` of {sending.what}"
    return check_id(b.problems, expression, id_.node.span, aggregate, what, sending.front.name)


def _can_be_id(sending: Sending, node: Node, aggregate: Aggregate) -> bool:
    """Whether a text that is written out can be an id of the aggregate; anything else is told as it comes."""
    text = node.value if isinstance(node, ScalarNode) and not node.secret else None
    if not isinstance(text, str) or "{{" in text or aggregate.id.kind == "integer":
        return True
    try:
        read_value(aggregate.id, text)
    except ValueError as error:
        sending.b.problems.error(
            BAD_VALUE,
            node.span,
            f"`{ID}` of {sending.what} cannot be the id of a `{aggregate.name}`: {error}",
            help=f'write the id of one, or where it stands: `"{{{{ {sending.front.name}.field }}}}"`',
            related=[(aggregate.span, f"the aggregate, with an id of type {aggregate.id}")],
        )
        return False
    return True


def _no_target(sending: Sending, command: Command, span: Span) -> None:
    front, owners = sending.front, sending.owners
    if owners is None:
        why = f"{front.what} is of no aggregate"
    elif not owners:
        why = f"which aggregates {front.what} is of is not known"
    elif command.aggregate in owners:
        others = " and ".join(f"`{owner}`" for owner in owners)
        why = f"{front.what} can be of {others}"
    else:
        why = f"{front.what} is of `{owners[0]}`"
    id_ = sending.b.aggregates[command.aggregate].id
    fits = [name for name, field in front.fields.fields.items() if field.type.kind == id_.kind]
    source = f"{front.name}.{fits[0]}" if fits else "…"
    sending.b.problems.error(
        NO_TARGET,
        span,
        f"the command `{command.name}` needs an existing `{command.aggregate}`, and {why}",
        help=f'say which one is meant: `with: {{ {ID}: "{{{{ {source} }}}}" }}`',
        related=[(command.span, "the command")],
    )
