"""What a function of the language is, and all of them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from tusk_runtime.expressions.signatures import Signature, read_signature

if TYPE_CHECKING:
    from tusk_runtime.expressions import syntax as s
    from tusk_runtime.expressions.checker import Checker
    from tusk_runtime.expressions.code import Code
    from tusk_runtime.types import Type

    Builder = Callable[[Checker, s.Call, Type | None], Code]


Carries = Literal["all", "parts", "nothing"]


@dataclass(frozen=True)
class Function:
    """A function: its signatures as people read them, what it does in a line, and how its call is made.

    `call` is what runs; where the types of the arguments decide, `build` checks the call and makes its code.
    `budget`: it pays from the budget, which `call` then takes first. `carries` says what makes its result
    personal data: `all`, that an argument holds some; `parts`, that it holds the part itself; or `nothing`.
    """

    text: str
    doc: str
    call: Callable[..., Any] = lambda: None
    budget: bool = False
    build: Builder | None = None
    carries: Carries = "all"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.text.partition("(")[0]

    @cached_property
    def signatures(self) -> tuple[Signature, ...]:
        """Its signatures, taken apart."""
        return tuple(read_signature(text) for text in self.text.split("; "))

    @cached_property
    def arity(self) -> tuple[int, int | None]:
        """How many arguments it takes at least and at most."""
        ranges = [signature.arity for signature in self.signatures]
        highest = [high for _, high in ranges]
        return min(low for low, _ in ranges), None if None in highest else max(
            h for h in highest if h is not None
        )


FUNCTIONS: dict[str, Function] = {}
"""All functions by name. The table in `functions` fills it."""
