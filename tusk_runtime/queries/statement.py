"""A declared query → SQL, in as many forms as its parameters leave conditions out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tusk_runtime.errors import Invalid
from tusk_runtime.model.application import Projection, Query
from tusk_runtime.store.protocol import Dialect
from tusk_runtime.types import to_column

# Written out: what is bound has a name of ours.
ZERO: sa.ColumnElement[int] = sa.literal_column("0")
ONE: sa.ColumnElement[int] = sa.literal_column("1")

Encode = Callable[[Any], Any] | None
Condition = tuple[str, str, Any]
"""A column, an operator, and the encoded value or values."""


class _SqliteWords:
    """How texts are searched for words, without the difference between small and capital letters."""

    dialect: sa.Dialect = sqlite.dialect(paramstyle="qmark")

    def fold(self, text: str) -> str:
        """A word as `contains` compares it."""
        return text.casefold()

    def contains(self, column: sa.ColumnElement[Any], word: sa.BindParameter[str]) -> sa.ColumnElement[bool]:
        """Whether a column holds a folded word."""
        return sa.func.instr(sa.func.tusk_fold(column), word) > ZERO

    def begins(self, column: sa.ColumnElement[Any], text: sa.BindParameter[str]) -> sa.ColumnElement[bool]:
        """Whether a column begins with a text, letter by letter."""
        return sa.func.substr(column, ONE, sa.func.length(text)) == text


class _PostgresWords(_SqliteWords):
    """The same in PostgreSQL, whose letters are those of the database's locale."""

    dialect = postgresql.dialect(paramstyle="qmark")  # type: ignore[no-untyped-call]

    def fold(self, text: str) -> str:
        """The server folds both sides in its own way."""
        return text

    def contains(self, column: sa.ColumnElement[Any], word: sa.BindParameter[str]) -> sa.ColumnElement[bool]:
        """Whether a column holds a word."""
        return sa.func.strpos(_lower(column), _lower(sa.cast(word, sa.Text))) > ZERO

    def begins(self, column: sa.ColumnElement[Any], text: sa.BindParameter[str]) -> sa.ColumnElement[bool]:
        """Whether a column begins with a text, letter by letter."""
        return sa.func.starts_with(column, sa.cast(text, sa.Text))


def _lower(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    # The columns are ordered by code points, and that collation knows the letters of English only.
    return sa.func.lower(sa.collate(text, "default"))


_WORDS: Mapping[Dialect, type[_SqliteWords]] = {"sqlite": _SqliteWords, "postgresql": _PostgresWords}


class Statements:
    """The statements of one query, each compiled once."""

    def __init__(self, query: Query, projection: Projection, dialect: Dialect) -> None:
        self._words = _WORDS[dialect]()
        self._columns = list(projection.columns.fields)
        self._table = sa.table(projection.table, *(sa.column(name) for name in self._columns))
        self._encode: dict[str, Encode] = {
            name: to_column(field.type) for name, field in projection.columns.fields.items()
        }
        # The key makes the order total, so that pages neither repeat nor skip rows.
        order = [*query.order_by, *((k, False) for k in projection.key if k not in dict(query.order_by))]
        self._order: list[tuple[str, bool, bool]] = [
            (name, descending, projection.columns.fields[name].type.optional) for name, descending in order
        ]
        self._search = query.search
        self._stamp = projection.definition[:8] + str(len(order))
        self._compiled: dict[tuple[Any, ...], _Compiled] = {}

    def encode(self, column: str, operator: str, value: Any) -> Any:
        """The value of a condition as the table keeps it."""
        encode = self._encode[column]
        if encode is None or operator in ("contains", "startswith", "is_null"):
            return value
        if operator in ("in", "not_in", "between"):
            return [encode(item) for item in value if item is not None]
        return encode(value)

    def rows(
        self, conditions: Sequence[Condition], words: Sequence[str], limit: int, cursor: str | None
    ) -> tuple[str, list[Any]]:
        """The statement for a page of one row more than `limit`, and its parameters."""
        after = self._read_cursor(cursor) if cursor is not None else None
        shape = ("rows", *_shape(conditions), len(words), after is not None and _nulls(after))
        found = self._compiled.get(shape)
        if found is None:
            statement = sa.select(*(self._table.c[name] for name in self._columns))
            statement = self._filtered(statement, conditions, words)
            if after is not None:
                statement = statement.where(self._behind(after))
            for name, descending, optional in self._order:
                column = self._table.c[name]
                if optional:
                    statement = statement.order_by(column.is_(None))
                statement = statement.order_by(column.desc() if descending else column.asc())
            statement = statement.limit(sa.bindparam("limit_"))
            found = self._compiled[shape] = _compile(statement, self._words.dialect)
        values = self._values(conditions, words)
        values["limit_"] = limit + 1
        if after is not None:
            values.update({f"after_{index}": value for index, value in enumerate(after)})
        return found.bound(values)

    def count(self, conditions: Sequence[Condition], words: Sequence[str]) -> tuple[str, list[Any]]:
        """The statement that counts all rows that fit."""
        shape = ("count", *_shape(conditions), len(words))
        found = self._compiled.get(shape)
        if found is None:
            statement = self._filtered(sa.select(sa.func.count()).select_from(self._table), conditions, words)
            found = self._compiled[shape] = _compile(statement, self._words.dialect)
        values = self._values(conditions, words)
        return found.bound(values)

    def cursor(self, row: Sequence[Any]) -> str:
        """Where the next page begins: behind this row."""
        values = [row[self._columns.index(name)] for name, _, _ in self._order]
        text = orjson.dumps([self._stamp, *values])
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    def _read_cursor(self, cursor: str) -> list[Any]:
        try:
            read: list[Any] = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            stamp, *values = read
        except (ValueError, TypeError, binascii.Error):
            stamp, values = None, []
        if stamp != self._stamp or len(values) != len(self._order):
            raise Invalid(
                "the cursor does not belong to this query",
                errors=[
                    {"field": "cursor", "message": "take `next_cursor` of an answer, or begin without one"}
                ],
            )
        return values

    def _filtered(
        self, statement: sa.Select[Any], conditions: Sequence[Condition], words: Sequence[str]
    ) -> sa.Select[Any]:
        for index, condition in enumerate(conditions):
            statement = statement.where(self._condition(index, condition))
        for index in range(len(words)):
            assert self._search is not None  # noqa: S101 - words come from it
            word: sa.BindParameter[str] = sa.bindparam(f"word_{index}")
            columns = [self._table.c[column] for column in self._search.columns]
            statement = statement.where(sa.or_(*(self._words.contains(column, word) for column in columns)))
        return statement

    def _condition(self, index: int, condition: Condition) -> sa.ColumnElement[bool]:
        name, operator, value = condition
        column: sa.ColumnElement[Any] = self._table.c[name]
        parameter: sa.BindParameter[Any] = sa.bindparam(f"p{index}")
        match operator:
            case "eq":
                return column == parameter
            case "ne":
                return column != parameter
            case "gt":
                return column > parameter
            case "gte":
                return column >= parameter
            case "lt":
                return column < parameter
            case "lte":
                return column <= parameter
            case "in":
                return column.in_([sa.bindparam(f"p{index}_{i}") for i in range(len(value))])
            case "not_in":
                return sa.and_(
                    column.is_not(None),
                    column.not_in([sa.bindparam(f"p{index}_{i}") for i in range(len(value))]),
                )
            case "between":
                return column.between(sa.bindparam(f"p{index}_0"), sa.bindparam(f"p{index}_1"))
            case "contains":
                return self._words.contains(column, parameter)
            case "startswith":
                return self._words.begins(column, parameter)
            case _:
                return column.is_(None) if value else column.is_not(None)

    def _values(self, conditions: Sequence[Condition], words: Sequence[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for index, (_, operator, value) in enumerate(conditions):
            if isinstance(value, list):
                values.update({f"p{index}_{i}": item for i, item in enumerate(value)})
            elif operator == "contains":
                values[f"p{index}"] = self._words.fold(value)
            else:
                values[f"p{index}"] = value
        values.update({f"word_{index}": self._words.fold(word) for index, word in enumerate(words)})
        return values

    def _behind(self, after: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Rows behind these values in the order: greater in a term, and equal in all terms before it."""
        alternatives = []
        equal: list[sa.ColumnElement[bool]] = []
        for index, (name, descending, _) in enumerate(self._order):
            column: sa.ColumnElement[Any] = self._table.c[name]
            parameter: sa.BindParameter[Any] = sa.bindparam(f"after_{index}")
            if after[index] is None:
                # Nulls stand last: nothing but their equals is left in this term.
                equal.append(column.is_(None))
                continue
            greater = column < parameter if descending else column > parameter
            alternatives.append(sa.and_(*equal, sa.or_(greater, column.is_(None))))
            equal.append(column == parameter)
        return sa.or_(*alternatives) if alternatives else sa.false()


def _shape(conditions: Sequence[Condition]) -> tuple[Any, ...]:
    return tuple(
        (
            name,
            operator,
            len(value) if isinstance(value, list) else (value if operator == "is_null" else None),
        )
        for name, operator, value in conditions
    )


def _nulls(values: Sequence[Any]) -> tuple[bool, ...]:
    return tuple(value is None for value in values)


class _Compiled(NamedTuple):
    """A statement as SQL text with positional parameters: their names in order, and those that are given."""

    sql: str
    names: list[str]
    given: dict[str, Any]

    def bound(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        """The text, and the parameters in order."""
        return self.sql, [values[name] if name in values else self.given[name] for name in self.names]


def _compile(statement: sa.Select[Any], dialect: sa.Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    return _Compiled(str(compiled), list(compiled.positiontup or ()), dict(compiled.params))
