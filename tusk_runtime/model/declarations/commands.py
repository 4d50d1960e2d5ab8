"""`[commands.*]`: what may be asked, when it is refused, and which events it gives."""

from __future__ import annotations

from typing import cast

from tusk_runtime.expressions import Expression, Place, Scope, compile_value
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, MapNode, ScalarNode
from tusk_runtime.model.application import Aggregate, Command, Creates, Rule
from tusk_runtime.model.codes import BAD_MACHINE, NO_TARGET, NOT_A_CHOICE
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.declarations.emits import EMIT_KEYS, read_emits
from tusk_runtime.model.declarations.events import RESERVED
from tusk_runtime.model.declarations.ids import check_id
from tusk_runtime.model.loops import read_condition
from tusk_runtime.model.named_types import BROKEN, is_open, read_fields
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, wrong_type
from tusk_runtime.model.scopes import command_id_scope, command_scope, record_type
from tusk_runtime.types import STRING, UUID, Record

RULE_KEYS = (
    DESCRIPTION,
    Key("check", "condition", "What must hold.", required=True),
    Key("message", "text", "What to say where it does not; it may hold `{{ }}`."),
)
KEYS = (
    DESCRIPTION,
    Key("aggregate", "name", "The aggregate that decides.", required=True),
    Key("fields", "map of types", "What the caller gives."),
    Key("id", "field or expression", "The field, or the `{{ }}` over `command`, that says which aggregate."),
    Key("from", "machine states", "The states of the machine in which the command is allowed."),
    Key(
        "creates",
        "`true`, `false` or `either`",
        "Whether the aggregate must not, must, or may exist. Where nothing is said: `true` where `from` is "
        "only the initial state, `either` where it is among others, else `false`.",
    ),
    Key("roles", "names", "Who may, besides operator and admin.", later=True),
    Key("allow", "condition", "Who may, as a condition; 403 where it does not hold."),
    Key("require", "rule, or list of rules", "The first that fails refuses with 409.", keys=RULE_KEYS),
    Key(
        "emit",
        "events",
        "The events that the command gives: a name, `{ event: … }`, or a list of these.",
        keys=EMIT_KEYS,
    ),
    Key("internal", "`true` or `false`", "`true`: no endpoint."),
)
RULES = '`{ check: "{{ … }}", message: "…" }`, or a list of these'
MESSAGE = Place("the message of a rule is shown to whoever asks")
HINT = "the fields of a command stand in `fields: { … }`"


def read(b: Building) -> None:
    """Read all commands into `b.commands`."""
    for entry, node in b.declarations("commands"):
        command = _command(b, entry, node)
        if command is not None:
            b.commands[entry.key] = command
        else:
            b.broken.add(("commands", entry.key))


def _command(b: Building, entry: Entry, node: MapNode) -> Command | None:
    what = f"the command `{entry.key}`"
    reader = Reader(node, KEYS, what, b.problems, entry.key_span, HINT)
    fields = read_fields(reader, "fields", entry.key, b.types, reserved=RESERVED)
    name = reader.text("aggregate")
    aggregate: Aggregate | None = b.find("aggregates", name, reader.value_span("aggregate")) if name else None
    # Without its aggregate a command cannot be built, but the rest of it is checked all the same.
    state = record_type(aggregate.state) if aggregate is not None else BROKEN
    scope = command_scope(fields, state, aggregate.id if aggregate is not None else UUID)
    allow = read_condition(reader, "allow", scope)
    rules = tuple(rule for item in reader.maps("require", RULES) if (rule := _rule(b, item, scope, what)))
    emits = tuple(read_emits(b, reader, scope, fields))
    internal = reader.flag("internal")
    if aggregate is None:
        return None
    from_states = _from(b, reader, aggregate)
    id_ = _id(b, reader, fields, aggregate)
    if id_ is None and "id" in reader:
        b.broken.add(("ids", entry.key))
    return Command(
        entry.key,
        aggregate.name,
        fields,
        id_,
        from_states,
        _creates(reader, aggregate, from_states),
        allow,
        rules,
        emits,
        internal,
        reader.text("description"),
        entry.key_span,
    )


def _from(b: Building, reader: Reader, aggregate: Aggregate) -> tuple[str, ...]:
    nodes = reader.texts("from", "a state of the machine, or a list of states")
    if not nodes:
        return ()
    if aggregate.machine is None:
        if ("machines", aggregate.name) not in b.broken:
            b.problems.error(
                BAD_MACHINE,
                reader.span_of("from"),
                f"the aggregate `{aggregate.name}` has no machine, so `from` means nothing",
                help=f'name the state field in `{aggregate.name}`: `machine: "status"`; or use `require`',
                related=[(aggregate.span, "the aggregate")],
            )
        return ()
    states = aggregate.state.fields[aggregate.machine].type.values
    found = []
    for node in nodes:
        state: str | None = cast(str, node.value)
        if state is not None and state not in states:
            b.problems.error(
                BAD_MACHINE,
                node.span,
                f"`{state}` is no state of `{aggregate.name}`",
                help=suggest(state, states, f"the field `{aggregate.machine}`"),
            )
            state = nearest(state, states)
        if state is not None:
            found.append(state)
    return tuple(dict.fromkeys(found))


def _creates(reader: Reader, aggregate: Aggregate, from_states: tuple[str, ...]) -> Creates:
    """Whether the aggregate must not, must, or may exist."""
    node = reader.node_of("creates")
    if node is None:
        if aggregate.initial_state not in from_states:
            return "never"
        return "always" if len(from_states) == 1 else "either"
    value = node.value if isinstance(node, ScalarNode) else None
    if value is False:
        return "never"
    if value is True:
        if from_states and aggregate.initial_state not in from_states:
            reader.problems.error(
                BAD_MACHINE,
                node.span,
                f"{reader.what} can never run: it creates, and a new `{aggregate.name}` is "
                f"`{aggregate.initial_state}`, which `from` does not name",
                help=f'write `from: "{aggregate.initial_state}"`, or `creates: false`',
            )
        return "always"
    if value != "either":
        reader.problems.error(
            NOT_A_CHOICE,
            node.span,
            f"`creates` of {reader.what} is one of three",
            help="write `true` (must not exist yet), `false` (must exist) or `either`",
        )
    return "either"


def _id(b: Building, reader: Reader, fields: Record, aggregate: Aggregate) -> Expression | None:
    node = reader.node_of("id")
    if node is None:
        return None
    if not (isinstance(node, ScalarNode) and isinstance(node.value, str)):
        wrong_type(
            b.problems, node, f"`id` of {reader.what}", "the name of a field, or a `{{ }}` over `command`"
        )
        return None
    text = node.value
    if "{{" not in text:
        if text not in fields.fields and is_open(fields):
            return None
        if text not in fields.fields:
            b.problems.error(
                NO_TARGET,
                node.span,
                f"{reader.what} has no field `{text}` that could be the id",
                help=suggest(text, fields.fields, reader.what),
            )
            return None
        node = ScalarNode(f"{{{{ command.{text} }}}}", node.span, quoted=True)
    expression = compile_value(node, command_id_scope(fields), b.problems)
    if expression is None:
        return None
    return check_id(b.problems, expression, node.span, aggregate, f"`id` of {reader.what}", "command")


def _rule(b: Building, node: MapNode, scope: Scope, what: str) -> Rule | None:
    reader = Reader(node, RULE_KEYS, f"`require` of {what}", b.problems, node.span)
    check = read_condition(reader, "check", scope)
    message_node = reader.node_of("message")
    message: Expression | str | None = "a rule of this command does not hold"
    if message_node is not None:
        message = compile_value(message_node, scope, b.problems, STRING, MESSAGE)
    return Rule(check, message) if check is not None and message is not None else None
