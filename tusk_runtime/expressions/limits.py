"""What an expression may cost, at load and at run time."""

from __future__ import annotations

from typing import Any

from tusk_runtime.types import MASK
from tusk_runtime.types.values import show

MAX_SOURCE = 4096
"""Characters of one expression."""

MAX_DEPTH = 32
"""Levels of nesting, in an expression and in the lists and maps of the file around it."""

MAX_NODES = 500
"""Operators, names, literals and calls of one expression."""

MAX_LOOPS = 8
"""Loops inside one another, as Python itself nests at most 20 blocks."""

MAX_STEPS = 100_000
"""Steps of one evaluation. What grows with its operands takes steps by their length."""

MAX_BYTES = 1_000_000
"""Bytes that one evaluation may make, results in between included."""

MAX_TEXT = 65_536
"""Characters of a text that an expression makes."""

MAX_LIST = 10_000
"""Entries of a list or map that an expression makes."""


class Failure(Exception):
    """An operation that has no result, with a message for people: each `{}` in it is one of the values.

    `masked` is the message where one of them is personal data.
    """

    def __init__(self, message: str, *values: Any, masked: str | None = None) -> None:
        if values:
            masked = message.format(*(MASK for _ in values))
            message = message.format(*(show(value, 40) for value in values))
        super().__init__(message)
        self.masked = message if masked is None else masked


class Missing(Failure):
    """A key or an index that is not there. `??` and `?.` settle it."""


class OverBudget(Failure):
    """The evaluation would cost too much."""


class Budget:
    """What is left for one evaluation."""

    __slots__ = ("bytes", "steps")

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps
        self.bytes = MAX_BYTES

    def take(self, steps: int) -> None:
        """Pay for steps."""
        self.steps -= steps
        if self.steps < 0:
            raise OverBudget(f"takes more than {MAX_STEPS:,} steps")

    def text(self, length: int) -> None:
        """Pay for a text of this many characters that is about to be made."""
        if length > MAX_TEXT:
            raise OverBudget(f"makes a text of {length:,} characters; {MAX_TEXT:,} are allowed")
        self.steps -= 1 + (length >> 5)
        self.bytes -= length
        if self.bytes < 0 or self.steps < 0:
            self._over()

    def list(self, length: int) -> None:
        """Pay for a list or map of this many entries that is about to be made."""
        if length > MAX_LIST:
            raise OverBudget(f"makes a list of {length:,} entries; {MAX_LIST:,} are allowed")
        self.steps -= 1 + length
        self.bytes -= 8 * length
        if self.bytes < 0 or self.steps < 0:
            self._over()

    def scan(self, length: int) -> None:
        """Pay for looking through this many characters."""
        self.steps -= 1 + (length >> 4)
        if self.steps < 0:
            self._over()

    def value(self, value: Any) -> None:
        """Pay for looking through a value of any shape: its texts, lists and maps, however deep."""
        stack = [value]
        while stack:
            current = stack.pop()
            if isinstance(current, str | bytes):
                self.scan(len(current))
            elif isinstance(current, dict):
                self.take(1 + len(current))
                stack.extend(current.values())
            elif isinstance(current, list):
                self.take(1 + len(current))
                stack.extend(current)
            else:
                self.take(1)

    def _over(self) -> None:
        if self.steps < 0:
            raise OverBudget(f"takes more than {MAX_STEPS:,} steps")
        raise OverBudget(f"makes more than {MAX_BYTES:,} bytes")
