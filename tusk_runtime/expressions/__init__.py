"""Expressions: what stands between `{{` and `}}`, checked at load and compiled to Python."""

from tusk_runtime.expressions.compile import compile_condition, compile_value
from tusk_runtime.expressions.expression import Expression, fuse
from tusk_runtime.expressions.failures import ExpressionFailed, explain
from tusk_runtime.expressions.fitting import COMPARED, Place
from tusk_runtime.expressions.limits import Missing
from tusk_runtime.expressions.registry import FUNCTIONS, Function
from tusk_runtime.expressions.scope import (
    AGGREGATE,
    EVENT,
    IDENTITY,
    LOOP,
    META,
    NOW,
    RESERVED,
    Scope,
    aggregate_type,
    event_type,
)

__all__ = [
    "AGGREGATE",
    "COMPARED",
    "EVENT",
    "FUNCTIONS",
    "IDENTITY",
    "LOOP",
    "META",
    "NOW",
    "RESERVED",
    "Expression",
    "ExpressionFailed",
    "Function",
    "Missing",
    "Place",
    "Scope",
    "aggregate_type",
    "compile_condition",
    "compile_value",
    "event_type",
    "explain",
    "fuse",
]
