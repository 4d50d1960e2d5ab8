"""The conditions of a `where`, evaluated in Python on one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tusk_runtime.model.application import Condition, Operator
from tusk_runtime.types import Record, to_column

TESTS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "in": lambda column, value: column in value,
    "not_in": lambda column, value: column not in value,
    "between": lambda column, value: value[0] <= column <= value[1],
    "contains": lambda column, value: value.casefold() in column.casefold(),
    "startswith": lambda column, value: column.startswith(value),
}


class Predicate:
    """All conditions of a `where`. Null equals nothing and is in no order; only `is_null` finds it."""

    def __init__(self, conditions: Sequence[Condition], columns: Record) -> None:
        self._conditions = [
            (c.column, c.operator, TESTS.get(c.operator), c.value.function) for c in conditions
        ]
        self._encoders = {c.column: to_column(columns.fields[c.column].type) for c in conditions}

    def narrow(self, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """An SQL condition that every fitting row meets, and its parameters, encoded; `holds` has the last
        word. Empty where no condition is an equality."""
        parts, parameters = [], []
        for (column, operator, _, _), value in zip(self._conditions, values, strict=True):
            if operator == "eq" and value is not None:
                encode = self._encoders[column]
                parts.append(f'"{column}" = ?')
                parameters.append(value if encode is None else encode(value))
        return " AND ".join(parts), parameters

    def values(self, arguments: Sequence[Any], identity: bytes) -> list[Any]:
        """The values that the columns are compared with, for one event."""
        return [value(*arguments, identity) for _, _, _, value in self._conditions]

    def holds(self, row: Mapping[str, Any], values: Sequence[Any]) -> bool:
        """Whether every condition holds for the row."""
        for (column, operator, test, _), value in zip(self._conditions, values, strict=True):
            found = row[column]
            if operator == "is_null":
                if (found is None) != value:
                    return False
            elif found is None or value is None or test is None or not test(found, value):
                return False
        return True
