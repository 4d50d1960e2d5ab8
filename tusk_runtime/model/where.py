"""`where`: a map of columns, each with the condition that must hold."""

from __future__ import annotations

import re

from tusk_runtime.expressions import COMPARED, Scope, compile_value
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.model.application import OPERATORS, Condition, Operator
from tusk_runtime.model.codes import BAD_WHERE, NOT_YET, UNDECLARED_COLUMN
from tusk_runtime.model.context import suggest
from tusk_runtime.model.named_types import BROKEN, is_open
from tusk_runtime.model.reader import wrong_type
from tusk_runtime.types import BOOLEAN, STRING, TEXTS, Record, Type

_ONE_PARAMETER = re.compile(r"\s*\{\{\s*params\.([A-Za-z_]\w*)\s*\}\}\s*\Z")
_ORDERING = ("gt", "gte", "lt", "lte", "between")
UNORDERED = ("json", "list", "map", "record", "boolean", "bytes")


def read_where(
    node: Node | None, columns: Record, scope: Scope, problems: Problems, what: str
) -> tuple[Condition, ...]:
    """The conditions of a `where`; notes problems and leaves out what it cannot read."""
    if node is None:
        return ()
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and "{{" in node.value:
        problems.error(
            NOT_YET,
            node.span,
            f"`where` of {what} as one expression is not available yet",
            help='write a map of columns and their values: `where: { column: "{{ … }}" }`',
        )
        return ()
    if not isinstance(node, MapNode):
        wrong_type(problems, node, f"`where` of {what}", "a map of columns and their values")
        return ()
    conditions: list[Condition] = []
    for entry in node:
        field = columns.fields.get(entry.key)
        if field is None and is_open(columns):
            continue
        if field is None:
            problems.error(
                UNDECLARED_COLUMN,
                entry.key_span,
                f"there is no column `{entry.key}` for `where` of {what}",
                help=suggest(entry.key, columns.fields, "the projection"),
            )
        else:
            conditions.extend(_conditions(entry, field.type, scope, problems))
    return tuple(conditions)


def _conditions(entry: Entry, type_: Type, scope: Scope, problems: Problems) -> list[Condition]:
    node = entry.node
    if not isinstance(node, MapNode):
        operator: Operator = "in" if isinstance(node, ListNode) or _gives_list(node, type_, scope) else "eq"
        condition = _condition(entry.key, operator, node, type_, scope, problems)
        return [condition] if condition is not None else []
    if not node.entries:
        problems.error(
            BAD_WHERE,
            node.span,
            f"the condition on `{entry.key}` is empty",
            help=f'write a value, or an operator: `{entry.key}: {{ gte: "{{{{ … }}}}" }}`',
        )
    found = []
    for part in node:
        if part.key not in OPERATORS:
            problems.error(
                BAD_WHERE,
                part.key_span,
                f"`{part.key}` is no operator of a condition",
                help=suggest(part.key, OPERATORS, "a condition"),
            )
            continue
        condition = _condition(entry.key, part.key, part.node, type_, scope, problems)
        if condition is not None:
            found.append(condition)
    return found


def _condition(
    column: str, operator: Operator, node: Node, type_: Type, scope: Scope, problems: Problems
) -> Condition | None:
    """The condition, its value compiled against the type that the operator takes."""
    if problem := _misfit(column, operator, node, type_):
        problems.error(BAD_WHERE, node.span, problem[0], help=problem[1])
        return None
    plain = type_.required()
    expected = {
        "in": Type("list", item=type_.or_null(), optional=True),
        "not_in": Type("list", item=type_.or_null(), optional=True),
        "between": Type("list", item=plain, optional=True),
        "contains": STRING.or_null(),
        "startswith": STRING.or_null(),
        "is_null": BOOLEAN.or_null(),
    }.get(operator, _compared(plain).or_null())
    value = compile_value(node, scope, problems, expected, COMPARED)
    if value is None:
        return None
    parameter = _parameter(node, scope)
    return Condition(column, operator, value, parameter is not None and parameter.optional)


def _compared(type_: Type) -> Type:
    """The type of what a column is compared with: the column's without its constraints."""
    return Type(type_.kind, values=type_.values, item=type_.item, record=type_.record)


def _misfit(column: str, operator: Operator, node: Node, type_: Type) -> tuple[str, str] | None:
    """What is wrong with an operator on a column, and what to write."""
    if isinstance(node, ScalarNode) and node.value is None:
        asked = "false" if operator == "ne" else "true"
        return f"`{column}` is compared with null, which nothing equals", (
            f"write `{column}: {{ is_null: {asked} }}`"
        )
    if type_ is BROKEN:
        return None
    shown = type_.required()
    if operator in ("contains", "startswith") and type_.kind not in TEXTS:
        return f"`{operator}` looks into a text, and `{column}` is {shown}", (
            "use `eq`, `in`, `between` or another operator"
        )
    if operator in _ORDERING and type_.kind in UNORDERED:
        return (
            f"`{operator}` asks for an order, and `{column}` is {shown}",
            "use `eq`, `ne`, `in` or `is_null`",
        )
    listed = isinstance(node, ListNode) or (isinstance(node, ScalarNode) and "{{" in str(node.value))
    if operator in ("in", "not_in", "between") and not listed:
        return f"`{operator}` takes a list", f"write `{column}: {{ {operator}: [ …, … ] }}`"
    if operator == "between" and isinstance(node, ListNode) and len(node.items) != 2:
        return "`between` takes two values, the lowest and the highest", (
            f"write `{column}: {{ between: [low, high] }}`"
        )
    return None


def _parameter(node: Node, scope: Scope) -> Type | None:
    """The type of the parameter that a value consists of, if it is just one."""
    if not (isinstance(node, ScalarNode) and isinstance(node.value, str)):
        return None
    match = _ONE_PARAMETER.match(node.value)
    params = scope.names.get("params")
    if match is None or params is None or params.record is None:
        return None
    field = params.record.fields.get(match[1])
    return field.type if field else None


def _gives_list(node: Node, column: Type, scope: Scope) -> bool:
    """Whether a value is an expression that gives a list, which the column itself is not."""
    if column.kind in ("list", "json") or not isinstance(node, ScalarNode) or "{{" not in str(node.value):
        return False
    parameter = _parameter(node, scope)
    if parameter is not None:
        return parameter.kind == "list"
    probe = compile_value(node, scope, Problems())
    return probe is not None and probe.type.kind == "list"
