"""A scope with values of every type, and short ways to compile, run and refuse an expression."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tusk_runtime.expressions import (
    META,
    Expression,
    ExpressionFailed,
    Scope,
    compile_condition,
    compile_value,
)
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.document import Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.types import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    DURATION,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    UUID,
    Type,
    record_of,
)

IDENTITY = b"0123456789abcdef"

STATUS = Type("enum", values=("new", "placed", "on hold"))
LINE = record_of("OrderLine", sku=STRING, quantity=INTEGER, price=DECIMAL)
LINES = Type("list", item=LINE)
NUMBERS = Type("list", item=INTEGER)

DATA = record_of(
    "data",
    # Names that are methods of a Python dict, and words of the language.
    items=NUMBERS,
    keys=STRING,
    get=STRING,
    pop=INTEGER,
    total=DECIMAL,
    price=Type("decimal", places=2),
    n=INTEGER,
    zero=INTEGER,
    big=INTEGER,
    f=NUMBER,
    name=STRING,
    text=STRING,
    lines=LINES,
    empty=LINES,
    tags=Type("list", item=STRING),
    status=STATUS,
    at=DATETIME,
    day=DATE,
    span=DURATION,
    j=JSON,
    m=Type("map", item=INTEGER),
    ok=BOOLEAN,
    id=UUID,
    email=Type("email", pii=True),
    opt=INTEGER.or_null(),
    word=STRING.or_null(),
    line=LINE.or_null(),
    maybe=BOOLEAN.or_null(),
    due=DATETIME.or_null(),
    holes=Type("list", item=INTEGER.or_null()),
)

NOW = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)

VALUES: dict[str, Any] = {
    "items": [3, 1, 2],
    "keys": "K",
    "get": "G",
    "pop": 9,
    "total": Decimal("150.00"),
    "price": Decimal("19.90"),
    "n": 7,
    "zero": 0,
    "big": 2**62,
    "f": 2.5,
    "name": "Anna",
    "text": " a,b ,c ",
    "lines": [
        {"sku": "a", "quantity": 2, "price": Decimal("1.50")},
        {"sku": "b", "quantity": 1, "price": Decimal("3")},
    ],
    "empty": [],
    "tags": ["y", "x", "y"],
    "status": "placed",
    "at": datetime(2026, 1, 1, tzinfo=UTC),
    "day": date(2026, 1, 31),
    "span": timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=500),
    "j": {"a": {"b": [1, 2.5, "x", None, True]}, "n": 3, "s": "7d", "none": None, "when": "2026-01-01"},
    "m": {"x": 1, "y": 2},
    "ok": True,
    "id": "0b9d1f6e-0000-4000-8000-000000000001",
    "email": "anna@example.org",
    "opt": None,
    "word": None,
    "line": None,
    "maybe": None,
    "due": None,
    "holes": [1, None],
}

META_VALUES = dict.fromkeys(META.fields) | {"roles": ["clerk"], "user_id": "u1"}

SCOPE = Scope({"now": DATETIME, "meta": META, "data": DATA})


def text_node(text: str, line: int = 1) -> ScalarNode:
    """A quoted value as the parser gives it, on some line of a file."""
    source = Source("app.tsk", "\n" * (line - 1) + f'key: "{text}"\n')
    start = line - 1 + 6
    return ScalarNode(text, source.span(start - 1, start + len(text) + 1), True, start)


def node_of(value: Any) -> Node:
    """Lists, maps and scalars as nodes; texts know their places."""
    source = Source("app.tsk", "")
    if isinstance(value, list):
        return ListNode(tuple(node_of(member) for member in value), source.span(0, 0))
    if isinstance(value, dict):
        entries = {key: Entry(key, source.span(0, 0), node_of(member)) for key, member in value.items()}
        return MapNode(entries, source.span(0, 0))
    return text_node(value) if isinstance(value, str) else ScalarNode(value, source.span(0, 0))


def try_compile(
    value: Any, expected: Type | None = None, scope: Scope = SCOPE
) -> Expression | list[Diagnostic]:
    """The expression, or its problems."""
    problems = Problems()
    node = value if isinstance(value, ScalarNode | ListNode | MapNode) else node_of(value)
    expression = compile_value(node, scope, problems, expected)
    found = problems.sorted()
    assert (expression is None) == any(problem.severity == "error" for problem in found)
    return expression if expression is not None else found


def compiled(value: Any, expected: Type | None = None, scope: Scope = SCOPE) -> Expression:
    """The expression of a value that must be right."""
    result = try_compile(value, expected, scope)
    assert isinstance(result, Expression), result
    return result


def run(value: Any, expected: Type | None = None, **changes: Any) -> Any:
    """The value, with some of `data` changed."""
    expression = compiled(value, expected)
    return expression(NOW, META_VALUES, {**VALUES, **changes}, identity=IDENTITY)


def evaluate(source: str, **changes: Any) -> Any:
    """The value of the expression between braces."""
    return run("{{ " + source + " }}", **changes)


def problem(value: Any, expected: Type | None = None) -> Diagnostic:
    """The only problem of a value that must be refused at load."""
    result = try_compile(value, expected)
    assert isinstance(result, list), f"accepted: {value!r}"
    assert len(result) == 1, result
    return result[0]


def refused(source: str, expected: Type | None = None) -> Diagnostic:
    """The only problem of the expression between braces."""
    return problem("{{ " + source + " }}", expected)


def failure(source: str, **changes: Any) -> ExpressionFailed:
    """How the expression between braces fails at run time."""
    expression = compiled("{{ " + source + " }}")
    try:
        value = expression(NOW, META_VALUES, {**VALUES, **changes}, identity=IDENTITY)
    except ExpressionFailed as error:
        return error
    raise AssertionError(f"{source} gave {value!r}")


def condition(text: Any) -> Expression | list[Diagnostic]:
    """A condition, or its problems."""
    problems = Problems()
    expression = compile_condition(node_of(text), SCOPE, problems)
    return expression if expression is not None else problems.sorted()


KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "email": (str,), "url": (str,), "uuid": (str,), "enum": (str,), "integer": (int,), "number": (float,),
    "decimal": (Decimal,), "boolean": (bool,), "list": (list,), "map": (dict,), "record": (dict,), "duration": (timedelta,),
    "datetime": (datetime,), "date": (date,), "bytes": (bytes,), "null": (),
}  # fmt: skip


def is_of(value: Any, type_: Type) -> bool:
    """Whether a value is one of a type, all the way down."""
    if value is None:
        return type_.optional or type_.kind == "json"
    if type_.kind == "json":
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        return isinstance(value, str | int | float | list | dict) and all(
            is_of(member, type_) for member in inner
        )
    if type_.kind in ("list", "map"):
        members = value if type_.kind == "list" else value.values()
        return isinstance(value, KINDS[type_.kind]) and all(is_of(member, type_.entry) for member in members)
    if type_.kind == "record":
        return value.keys() == type_.fields.keys() and all(
            is_of(value[name], field.type) for name, field in type_.fields.items()
        )
    allowed = KINDS[type_.kind]
    return isinstance(value, allowed) and (type_.kind == "boolean" or not isinstance(value, bool))
