"""The table of load-time operators: what is there, what is not yet, and what a declaration uses instead."""

from __future__ import annotations

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems, nearest
from tusk_runtime.language.source import Span

AVAILABLE = ("env", "env.secure")
"""Operators that `resolve` carries out."""

NOT_YET = {
    "if": "write the value itself, or take it from the environment: `@env('X', default)`",
    "date": 'write the date in quotes: `"2026-01-31"`; the current time is `{{ now }}` at run time',
    "file": 'write the text itself, between `"""` if it has several lines',
    "feature": "write `true` or `false`, or `@env('FEATURE_X', false)`",
    "int": "write `@env('X', 1)`: a key that expects an integer converts the text itself",
    "float": "write `@env('X', 0.5)`: a key that expects a number converts the text itself",
    "bool": "write `@env('X', false)`: a key that expects a boolean converts the text itself",
    "import": "put everything into one file for now",
    "include": "put everything into one file for now",
    "tsk": "put the value into this file, or take it from the environment: `@env('X')`",
}
"""Operators of the language that this version lacks, and what to write for now."""

_QUERY = "read data at run time: `query('name', {…})` or `lookup('projection', key)` in a `{{ }}`"
_DATABASE = (
    "a database belongs into `[event_store]` and `[store_config]`; read with a query, `[queries.name]`"
)
_HTTP = "a call belongs into a consumer or a saga: the `http` action"
_CODE = "code is not run; the `call` action of a consumer names a Python function"
_LITERAL = "a value that drifts would make a replay mean something else: write the number or text itself"
_REQUEST = "who asks is known at run time: `meta.user_id`, `meta.roles`, `command` and `params` in a `{{ }}`"
_METRICS = "declare a metric: `[metrics.name]`"
_BUS = "a broker belongs into `[kafka_config]`; messages are sent by the `publish` action"
_MATH = "write the result, or calculate at run time in a `{{ }}`"

REJECTED = {
    "query": _QUERY,
    "cache": "answers are cached by the `cache` key of a query, states by `[event_store] caching`",
    "metrics": _METRICS,
    "metric": _METRICS,
    "shell": _CODE,
    "exec": _CODE,
    "php": _CODE,
    "python": _CODE,
    "javascript": _CODE,
    "lambda": _CODE,
    "function": _CODE,
    "http": _HTTP,
    "https": _HTTP,
    "fetch": _HTTP,
    "graphql": _HTTP,
    "grpc": _HTTP,
    "webhook": _HTTP,
    "sql": _DATABASE,
    "sqlite": _DATABASE,
    "postgresql": _DATABASE,
    "mysql": _DATABASE,
    "mongodb": _DATABASE,
    "redis": "Redis belongs into `[store_config]` under `redis:`",
    "kafka": _BUS,
    "nats": _BUS,
    "amqp": _BUS,
    "email": "a mail is sent by the `email` action of a consumer; its server belongs into `[email]`",
    "learn": _LITERAL,
    "optimize": _LITERAL,
    "predict": _LITERAL,
    "ml": _LITERAL,
    "random": _LITERAL,
    "uuid": "identifiers are made at run time: `uuid()` in a `{{ }}`",
    "request": _REQUEST,
    "session": _REQUEST,
    "cookie": _REQUEST,
    "user": _REQUEST,
    "math": _MATH,
    "string": _MATH,
    "array": "write the list itself: `[a, b]`",
    "object": "write the object itself: `{ a: 1 }`",
    "json": "write the value itself; JSON is valid here",
    "encrypt": "a secret belongs into the environment: `@env.secure('X')`",
    "decrypt": "a secret belongs into the environment: `@env.secure('X')`",
    "validate": 'a field is checked by its type: `"integer(min=1)"`, a command by its `require` rules',
    "var": "write the value itself; variables are not available yet",
}
"""Operators of other TuskLang runtimes, and what a declaration says instead."""


def is_known(name: str) -> bool:
    """Whether a call of this name, without the `@`, is an operator at all."""
    head = name.partition(".")[0].lower()
    return (
        name in AVAILABLE or name.startswith("env.") or head in NOT_YET or head in REJECTED or ".tsk." in name
    )


def refuse(name: str, span: Span, problems: Problems) -> bool:
    """Tell why the operator `name` cannot be used. False, and nothing told, if it is available."""
    if name in AVAILABLE:
        return False
    head = name.partition(".")[0].lower()
    if ".tsk." in name:
        head = "tsk"
    if head == "file" and name.rpartition(".")[2] in ("write", "set", "append", "delete", "save"):
        problems.error(
            codes.OPERATOR_REJECTED, span, f"`@{name}` writes, and loading a file changes nothing",
            help="remove it",
        )  # fmt: skip
    elif head in NOT_YET:
        problems.error(
            codes.OPERATOR_NOT_YET, span, f"`@{name}` is not available yet", help=NOT_YET[head]
        )  # fmt: skip
    elif head in REJECTED:
        problems.error(
            codes.OPERATOR_REJECTED, span, f"`@{name}` has no place in a declaration", help=REJECTED[head]
        )
    elif name.startswith("env."):
        problems.error(
            codes.UNKNOWN_OPERATOR, span, f"there is no operator `@{name}`",
            help=f"write `@env('{name[4:].upper().replace('.', '_')}')`, or `@env.secure('X')` for a secret",
        )  # fmt: skip
    else:
        guess = nearest(name, (*AVAILABLE, *NOT_YET))
        if guess is not None and guess[0] != head[0]:
            guess = None  # of so few letters, another first one makes another word
        problems.error(
            codes.UNKNOWN_OPERATOR,
            span,
            f"there is no operator `@{name}`",
            help=f"did you mean `@{guess}`?" if guess else "if it is a text, write it in quotes",
        )
    return True
