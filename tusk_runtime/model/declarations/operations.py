"""The operations of a projection: what an event does to which rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from tusk_runtime.expressions import COMPARED, Expression, Scope, compile_value
from tusk_runtime.language.diagnostics import nearest
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.application import Operation
from tusk_runtime.model.codes import COLUMN_NOT_SET, NO_KEY, UNDECLARED_COLUMN, UNKNOWN_KEY
from tusk_runtime.model.context import Building, suggest
from tusk_runtime.model.loops import AS, FOR_EACH, WHEN, read_condition, read_loop
from tusk_runtime.model.named_types import is_open
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, items_of, wrong_type
from tusk_runtime.model.scopes import id_type, nullable, partial, projection_scope, record_type, without_row
from tusk_runtime.model.where import read_where
from tusk_runtime.types import Field, Record, Type, assignable

OPERATION_KEYS = (
    DESCRIPTION,
    Key("insert", "map of columns", "Add a row; its key must be new."),
    Key("upsert", "map of columns", "Add a row, or change it if it is there."),
    Key("update", "map of columns", "Change the row, or the rows of `where`; no row is no error."),
    Key("delete", "`true`", "Remove the row, or the rows of `where`."),
    Key("where", "map of columns", "Which rows."),
    WHEN,
    FOR_EACH,
    AS,
)
Kind = Literal["insert", "upsert", "update", "delete"]
KINDS: tuple[Kind, ...] = ("insert", "upsert", "update", "delete")


@dataclass(slots=True)
class Rows:
    """The rows of a projection. `implicit` gathers the events whose operations do not name the row."""

    b: Building
    what: str
    columns: Record
    key: tuple[str, ...]
    implicit: dict[str, Span]


def read_operations(rows: Rows, on: Entry, data: Type, id_: Type, *, raw: bool) -> tuple[Operation, ...]:
    """What an event does to the rows: one operation or a list of them, those that are right."""
    what = f"`{on.key}` in `on` of {rows.what}"
    found = []
    for node in items_of(on.node):
        if not isinstance(node, MapNode):
            wrong_type(rows.b.problems, node, what, "an operation such as `{ upsert: { … } }`")
            continue
        operation = _Reading(rows, on, node, what, data, id_).read(raw)
        if operation is not None:
            found.append(operation)
    return tuple(found)


class _Reading:
    """One operation that is being read."""

    def __init__(self, rows: Rows, on: Entry, node: MapNode, what: str, data: Type, id_: Type) -> None:
        self.rows, self.on, self.what, self.id = rows, on, what, id_
        self.problems = rows.b.problems
        self.data = data
        columns = [entry.key for entry in node if entry.key in rows.columns.fields]
        hint = f"the columns stand in an operation: `upsert: {{ {columns[0]}: … }}`" if columns else ""
        self.reader = Reader(node, OPERATION_KEYS, what, self.problems, on.key_span, hint)

    def read(self, raw: bool) -> Operation | None:
        """The operation, or None with problems noted."""
        before = len(self.problems)
        reader, columns, key = self.reader, self.rows.columns, self.rows.key
        kind = self._kind()
        if kind is None:
            return None
        adds = kind in ("insert", "upsert")
        # A row that is not there yet holds the defaults, its key, and null in all else.
        row = nullable(columns, key) if adds else columns
        scope = projection_scope(self.data, row, self.id)
        scope, for_each = read_loop(reader, scope, without_row(scope))
        outer = without_row(scope)
        named = self._named(kind)
        keys, where = self._split(named if adds else {}, adds)
        if keys is None and (adds or where is None):
            keys = self._implicit_key(adds, named)
        # Where a row is changed, a key among the values is a mistake that `_check_values` tells.
        values = {name: entry for name, entry in named.items() if not (adds and keys and name in keys)}
        self._check_values(values, adds)
        span = reader.value_span(kind)
        key_expression = self._compile_key(keys, outer, adds, span) if keys is not None else None
        operation = Operation(
            kind,
            key_expression,
            None if kind == "delete" else self._compile(values, scope, span),
            read_where(where, columns, outer, self.problems, self.what),
            read_condition(reader, "when", scope),
            for_each,
            raw,
            reader.span_of(kind),
        )
        return operation if len(self.problems) == before else None

    def _kind(self) -> Kind | None:
        kinds = [kind for kind in KINDS if kind in self.reader]
        if len(kinds) == 1:
            kind = kinds[0]
            node = self.reader.node_of("delete")
            if node is not None and not (isinstance(node, ScalarNode) and node.value is True):
                advice = "write `delete: true`; a condition stands beside it, as `when`"
                wrong_type(self.problems, node, f"`delete` of {self.what}", "`true`", advice)
            return kind
        if len(kinds) > 1:
            self.problems.error(
                UNKNOWN_KEY,
                self.reader.span_of(kinds[1]),
                f"{self.what} has several operations in one map: {', '.join(f'`{k}`' for k in kinds)}",
                help=f"write a list: `[{{ {kinds[0]}: … }}, {{ {kinds[1]}: … }}]`",
            )
        elif not any(entry.key not in self._known() for entry in self.reader.node):
            self.problems.error(
                NO_KEY,
                self.on.key_span,
                f"{self.what} has no operation",
                help="write one of `insert: { … }`, `upsert: { … }`, `update: { … }`, `delete: true`",
            )
        return None

    def _known(self) -> set[str]:
        return {key.name for key in OPERATION_KEYS}

    def _named(self, kind: Kind) -> dict[str, Entry]:
        """The columns that the operation names; a misspelled one is told and taken for the one meant."""
        if kind == "delete":
            return {}
        named: dict[str, Entry] = {}
        columns = self.rows.columns.fields
        node = self.reader.map(kind, "a map of columns")
        for column in node or ():
            name: str | None = column.key
            if column.key not in columns and is_open(self.rows.columns):
                continue
            if column.key not in columns:
                self.problems.error(
                    UNDECLARED_COLUMN,
                    column.key_span,
                    f"{self.rows.what} has no column `{column.key}`",
                    help=suggest(column.key, columns, self.rows.what),
                )
                name = nearest(column.key, [c for c in columns if node is not None and c not in node])
            if name is not None:
                named[name] = Entry(name, column.key_span, column.node)
        return named

    def _split(self, named: dict[str, Entry], adds: bool) -> tuple[dict[str, Entry] | None, Node | None]:
        """The entries that give the whole key, from the own map or `where`, and what is left of that."""
        where = self.reader.node_of("where")
        conditions = dict(where.entries) if isinstance(where, MapNode) else {}
        found: dict[str, Entry] = {}
        for name in self.rows.key:
            if name in named:
                found[name] = named[name]
            elif name in conditions and (value := _equals(conditions[name].node)) is not None:
                found[name] = Entry(name, conditions.pop(name).key_span, value)
            else:
                return None, where
        if where is None or not isinstance(where, MapNode):
            return found, where
        return found, MapNode(conditions, where.span)

    def _implicit_key(self, adds: bool, named: dict[str, Entry]) -> dict[str, Entry] | None:
        """The aggregate's id as the key, if the key is a single column."""
        rows, reader = self.rows, self.reader
        kind = next(kind for kind in KINDS if kind in reader)
        span = reader.span_of(kind)
        if len(rows.key) > 1:
            lacking = [f"`{name}`" for name in rows.key if name not in named]
            self.problems.error(
                NO_KEY,
                span,
                f"{self.what} does not say which row: the key has {len(rows.key)} columns, and "
                f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not given",
                help=f"name {' and '.join(lacking)} in the map" if adds else "name all of the key in `where`",
            )
            return None
        name = rows.key[0]
        column = rows.columns.fields[name].type
        given = id_type(self.id)
        rows.implicit.setdefault(self.on.key, span)
        text = "event.aggregate_id"
        if not assignable(given, column):
            advice = f'declare the column as `{name}: "{given}"`, or name it in the map or in `where`'
            if self.id.kind == column.kind == "integer":
                text = "integer(event.aggregate_id)"
            else:
                self.problems.error(
                    NO_KEY,
                    span,
                    f"the key `{name}` of {rows.what} is {column}, and the id of the event's aggregate, "
                    f"which it is where nothing else is said, is {given}",
                    help=advice,
                )
                return None
        return {name: Entry(name, span, ScalarNode(f"{{{{ {text} }}}}", span, quoted=True))}

    def _check_values(self, values: dict[str, Entry], adds: bool) -> None:
        columns, key = self.rows.columns, self.rows.key
        for name in key:
            if name in values and not adds:
                self.problems.error(
                    NO_KEY,
                    values[name].key_span,
                    f"`{name}` is the key of {self.rows.what}, and a key never changes",
                    help="to say which row is meant, name it in `where`",
                )
                del values[name]
        if not adds:
            return
        missing = [n for n, f in columns.fields.items() if f.required and n not in values and n not in key]
        if missing:
            kind = "insert" if "insert" in self.reader else "upsert"
            names = ", ".join(f"`{name}`" for name in missing)
            one = columns.fields[missing[0]]
            self.problems.error(
                COLUMN_NOT_SET,
                self.reader.span_of(kind),
                f"{self.what} adds a row and does not set {names}",
                help=f"name {'it' if len(missing) == 1 else 'them'} here, or declare the column with a "
                f'default or `?`: `{one.name}: "{one.type}?"`',
            )

    def _compile(self, entries: dict[str, Entry], scope: Scope, span: Span) -> Expression | None:
        expected = record_type(partial(self.rows.columns, entries))
        return compile_value(MapNode(entries, span), scope, self.problems, expected)

    def _compile_key(
        self, entries: dict[str, Entry], scope: Scope, adds: bool, span: Span
    ) -> Expression | None:
        if adds:
            return self._compile(entries, scope, span)
        # A row to change may be asked for with null, which no row has.
        fields = self.rows.columns.fields
        record = Record("row", {name: Field(name, fields[name].type.or_null()) for name in self.rows.key})
        return compile_value(MapNode(entries, span), scope, self.problems, record_type(record), COMPARED)


def _equals(node: Node) -> Node | None:
    """The value that a condition asks for, if it asks for just one."""
    if isinstance(node, ScalarNode):
        return node
    if isinstance(node, MapNode) and list(node.entries) == ["eq"]:
        return cast(Node, node.get("eq"))
    return None
