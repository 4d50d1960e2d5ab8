"""Answers queries: parameters checked, statement run, rows put into the form that the query declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tusk_runtime.errors import Forbidden, Invalid, NotFound, TuskError
from tusk_runtime.expressions import explain
from tusk_runtime.model.application import Projection, Query
from tusk_runtime.queries.statement import Condition, Statements
from tusk_runtime.store.protocol import Dialect, ReadModels, Row
from tusk_runtime.types import Validator, from_column

TIME_LIMIT = 5.0
"""Seconds that a statement may take."""
MAX_ROWS = 1000
MAX_WORDS = 20


class Answer(NamedTuple):
    """What a query gives, before the position is added."""

    rows: Any
    next_cursor: str | None
    total: int | None


class QueryHandler:
    """One declared query, ready to be asked."""

    def __init__(self, query: Query, projection: Projection, dialect: Dialect) -> None:
        self.query = query
        self._validator = Validator(query.params, "forbid")
        self._statements = Statements(query, projection, dialect)
        self._decode = [(name, from_column(field.type)) for name, field in projection.columns.fields.items()]

    async def ask(
        self,
        read_models: ReadModels,
        params: Mapping[str, Any],
        *,
        now: datetime,
        meta: Mapping[str, Any],
        identity: bytes,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Answer:
        """The answer. Raises Invalid, Forbidden, NotFound (a query that returns one), or Unavailable."""
        query = self.query
        values = self._validator.python(params)
        arguments = (values, now, meta, identity)
        try:
            if query.allow is not None and not query.allow.function(*arguments):
                raise Forbidden(f"you may not ask `{query.name}`")
            conditions, possible = self._conditions(arguments)
            words = self._words(arguments)
        except TuskError:
            raise
        except Exception as error:
            raise _failed(error) from error
        size = self._size(limit)
        total: int | None = None
        rows: Sequence[Row] = ()
        if possible:
            sql, parameters = self._statements.rows(conditions, words, size, cursor)
            rows = await read_models.select(sql, parameters, timeout=TIME_LIMIT)
            if query.total:
                sql, parameters = self._statements.count(conditions, words)
                total = (await read_models.select(sql, parameters, timeout=TIME_LIMIT))[0][0]
        elif query.total:
            total = 0
        next_cursor = self._statements.cursor(rows[size - 1]) if len(rows) > size else None
        shown = [self._row(row, values, now, meta, identity) for row in rows[:size]]
        if query.returns == "many":
            return Answer(shown, next_cursor, total)
        if not shown:
            raise NotFound(f"`{query.name}` finds nothing")
        return Answer(shown[0] if query.returns == "one" else next(iter(shown[0].values())), None, total)

    def _size(self, limit: int | None) -> int:
        if self.query.returns != "many":
            return 1
        if limit is None:
            return self.query.limit
        if not 1 <= limit <= MAX_ROWS:
            raise Invalid(
                "`limit` is out of its bounds",
                errors=[{"field": "limit", "message": f"a number from 1 to {MAX_ROWS}"}],
            )
        return limit

    def _conditions(self, arguments: tuple[Any, ...]) -> tuple[list[Condition], bool]:
        """The conditions that count for these parameters; False if none of the rows can fit."""
        found: list[Condition] = []
        for condition in self.query.where:
            value = condition.value.function(*arguments)
            if value is None:
                if condition.omit_if_null:
                    continue
                return [], False
            encoded = self._statements.encode(condition.column, condition.operator, value)
            if condition.operator == "in" and not encoded:
                return [], False
            if condition.operator == "between" and len(encoded) != 2:
                return [], False
            found.append((condition.column, condition.operator, encoded))
        return found, True

    def _words(self, arguments: tuple[Any, ...]) -> list[str]:
        if self.query.search is None:
            return []
        text = self.query.search.text.function(*arguments)
        return text.split()[:MAX_WORDS] if text else []

    def _row(
        self, row: Row, params: Mapping[str, Any], now: datetime, meta: Mapping[str, Any], identity: bytes
    ) -> dict[str, Any]:
        decoded = {
            name: value if value is None or decode is None else decode(value)
            for (name, decode), value in zip(self._decode, row, strict=True)
        }
        if self.query.select is None:
            return decoded
        try:
            return {
                name: expression.function(decoded, params, now, meta, identity)
                for name, expression in self.query.select.items()
            }
        except Exception as error:
            raise _failed(error) from error


def _failed(error: Exception) -> Invalid:
    failure = explain(error)
    return Invalid(
        f"an expression of the application failed: {failure.message}",
        place=str(failure.span),
        values=dict(failure.values),
    )
