"""What is fuzzed, and what must hold of every input: no exception, problems in good order, bounded time."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

sys.path.append(str(Path(__file__).resolve().parents[1] / "expressions"))

from expression_support import IDENTITY, META_VALUES, NOW, SCOPE, VALUES, is_of, text_node

from tusk_runtime.errors import Invalid, InvalidConfiguration
from tusk_runtime.expressions import ExpressionFailed, compile_condition, compile_value
from tusk_runtime.language.diagnostics import CODES, Diagnostic, Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.env_file import parse_env
from tusk_runtime.language.load import load_text, source_of
from tusk_runtime.language.report import render, render_json
from tusk_runtime.language.source import Source, Span
from tusk_runtime.model.build import build
from tusk_runtime.types import (
    ABSENT,
    BOOLEAN,
    DECIMAL,
    INTEGER,
    STRING,
    Field,
    Record,
    Type,
    Validator,
    decoder,
    encode_default,
    from_column,
    json_schema,
    parse_type,
    record_of,
    to_column,
    to_json,
)
from tusk_runtime.types.values import show

MOST_SECONDS = 1.0
"""Processor time that no input of LONGEST bytes may take."""

LONGEST = 4096
"""Bytes of one input."""

ENVIRONMENT = {
    "HOST": "db.example",
    "PORT": "5432",
    "KEY": "s3cret",
    "EMPTY": "",
    "RATE": "0.5",
    "ON": "true",
}
"""The variables that texts may name."""

NAMED = {
    "OrderLine": record_of("OrderLine", sku=STRING, quantity=INTEGER, price=DECIMAL),
    "Money": Type("decimal", places=2),
}
"""The types that type texts may name."""

JSON_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63 - 1, 2**63, -(2**63), 10**40, 0.5, -0.0, 1e308, 5e-324, "", "a", "0", "1.50",
    "1e999999999", "9" * 60, "true", "7d", "P1D", "999999999d", "2026-01-01", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59", "2026-02-30", "a@b.example", "https://example.org/", "YQ==", "é\u0301\U0001f600",
    "\ud800", "\x00", "0b9d1f6e-0000-4000-8000-000000000001", [], [1, 1], ["a", None], {}, {"a": 1},
    {"sku": "a", "quantity": 1, "price": "1.5"}, [{"sku": 1}], {"x": [{"y": [None]}]},
)  # fmt: skip
"""What the outside may send where a value of any type is expected."""


class Broken(AssertionError):
    """A property does not hold."""


def check(holds: object, what: str) -> None:
    """Raise Broken unless something holds."""
    if not holds:
        raise Broken(what)


def check_problems(found: Iterable[Diagnostic], text: str) -> None:
    """Each problem has a known code, a place in the text and advice, and can be shown."""
    problems = list(found)
    for problem in problems:
        check(problem.code in CODES, f"{problem.code} is no code")
        check(problem.message, f"{problem.code} without a message")
        check(problem.help.strip(), f"{problem.code} `{problem.message}` says nothing of what to write")
        for span in (problem.span, *(related.span for related in problem.related)):
            check_span(span, text, problem)
    check("\x1b" not in render(problems), "a control character reaches the terminal")
    render_json(problems)


def check_span(span: Span, text: str, problem: Diagnostic) -> None:
    """A place lies within the text that was read, or at the line end that its last line may lack."""
    check(span.source.text == text, f"{problem.code} points into another text")
    check(0 <= span.start <= span.end <= len(text) + 1, f"{problem.code} points at {span.start}:{span.end}")


def decoded(data: bytes) -> str:
    """Any bytes as a text: a file that is not UTF-8 is refused before anything else looks at it."""
    return data.decode("utf-8", "replace")


# ---- a whole file ---------------------------------------------------------------------------------


def text(data: bytes) -> None:
    """A file: parsed, resolved, built and checked."""
    load(decoded(data))


def load(written: str) -> None:
    """Load a text as `check` does, and look at everything that comes of it."""
    expected = source_of(written, "app.tsk").text
    problems = Problems()
    document = load_text(written, "app.tsk", ENVIRONMENT, problems, now=NOW)
    document.plain()
    check_problems(problems.sorted(), expected)
    try:
        found = build(document, "app.tsk", problems).warnings
    except InvalidConfiguration as error:
        found = error.diagnostics
        check(any(d.severity == "error" for d in found), "refused without an error")
    check_problems(found, expected)


# ---- an expression --------------------------------------------------------------------------------

EXPECTED = (
    None,
    None,
    None,
    STRING,
    INTEGER,
    DECIMAL,
    BOOLEAN,
    Type("json"),
    Type("datetime"),
    NAMED["OrderLine"],
)


def expression(data: bytes) -> None:
    """The text of an expression: compiled, and evaluated on values that the first byte chooses."""
    chance = random.Random(data[:1])
    source = decoded(data[1:])
    if "{{" not in source:
        source = "{{ " + source + " }}"
    node = text_node(source)
    problems = Problems()
    if chance.random() < 0.1:
        compiled = compile_condition(node, SCOPE, problems)
    else:
        compiled = compile_value(node, SCOPE, problems, chance.choice(EXPECTED))
    check_problems(problems.sorted(), node.span.source.text)
    check((compiled is None) == problems.has_errors, "no expression and no error, or both")
    if compiled is None:
        return
    for fields in (
        VALUES,
        {name: value_of(field.type, chance) for name, field in SCOPE.names["data"].fields.items()},
    ):
        try:
            value = compiled(NOW, META_VALUES, fields, identity=IDENTITY)
        except ExpressionFailed as error:
            check("of another type than declared" not in error.message, f"not checked: {error}")
            check(error.span is not None and error.span.text.strip(), f"fails nowhere: {error}")
        else:
            check(is_of(value, compiled.type), f"{show(value)} is no {compiled.type}")


def value_of(type_: Type, chance: random.Random, depth: int = 0) -> Any:
    """A run-time value of a type, from the edges more often than from the middle."""
    if type_.optional and chance.random() < 0.3:
        return None
    match type_.kind:
        case "list":
            return [value_of(type_.entry, chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 50)))]
        case "map":
            return {chance.choice("abx"): value_of(type_.entry, chance, depth + 1) for _ in range(2)}
        case "record":
            return {name: value_of(field.type, chance, depth + 1) for name, field in type_.fields.items()}
        case "enum":
            return chance.choice(type_.values)
        case "integer":
            return chance.choice((0, 1, -1, 7, 2**63 - 1, -(2**63), chance.randrange(-1000, 1000)))
        case "number":
            return chance.choice((0.0, -0.0, 1.5, 1e308, 5e-324, float(chance.randrange(1000))))
        case "decimal":
            return Decimal(chance.choice(("0", "-0.00", "1.5", "9" * 38, "1e-38", "-" + "9" * 37 + ".9")))
        case "boolean":
            return chance.random() < 0.5
        case "datetime":
            least, most = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
            return chance.choice((NOW, least, most))
        case "date":
            return chance.choice((date(2026, 2, 28), date(1, 1, 1), date(9999, 12, 31)))
        case "duration":
            return chance.choice((timedelta(0), timedelta(1), timedelta(-1, 0, 1), timedelta(999_999_999)))
        case "json":
            return chance.choice(PLAIN_JSON)
        case "uuid":
            return VALUES["id"]
        case _:
            return chance.choice(
                ("", "a", "a,b", "7d", "2026-01-01", "é\u0301\U0001f600", "x" * 70_000, "%d{0}\n")
            )


PLAIN_JSON = tuple(value for value in JSON_VALUES if not (isinstance(value, int) and abs(value) >= 2**63))
"""JSON as it is inside the runtime: integers have 64 bits."""


# ---- the text of a type ---------------------------------------------------------------------------


def type_text(data: bytes) -> None:
    """The text of a type: read, shown, turned into schemas, and given all sorts of JSON."""
    written = decoded(data)
    source = Source("app.tsk", f'f: "{written}"')
    node = ScalarNode(written, source.span(3, len(source.text)), True, 4)
    problems = Problems()
    parsed = parse_type(node, NAMED, problems)
    check_problems(problems.sorted(), source.text)
    check((parsed is None) == problems.has_errors, "no type and no error, or both")
    if parsed is None:
        return
    type_ = parsed.type
    if parsed.default is not ABSENT:
        check(is_of(parsed.default, type_), f"the default {show(parsed.default)} is no {type_}")
        there_and_back(type_, parsed.default)
    orjson.dumps(json_schema(type_))
    validator = Validator(Record("Thing", {"x": Field("x", type_)}))
    for value in JSON_VALUES:
        try:
            there_and_back(type_, validator.python({"x": value})["x"])
        except Invalid as error:
            check(
                all(issue["message"] for issue in error.details["errors"]),
                f"{show(value)}: refused without words",
            )


def there_and_back(type_: Type, value: Any) -> None:
    """A value is stored, as JSON and as a column, and is the same again."""
    check(is_of(value, type_), f"{show(value)} is taken for a {type_}")
    stored = orjson.loads(orjson.dumps(value, default=encode_default))
    check(orjson.loads(to_json(value)) == stored, f"{show(value)} has two JSON forms")
    decode = decoder(type_)
    check((decode(stored) if decode else stored) == value, f"{show(value)} changes in JSON")
    into, out = to_column(type_), from_column(type_)
    column = into(value) if into and value is not None else value
    check(
        (out(column) if out and column is not None else column) == value, f"{show(value)} changes in a column"
    )


# ---- a file of environment variables --------------------------------------------------------------


def env_file(data: bytes) -> None:
    """A file of environment variables."""
    source = source_of(decoded(data), "app.env")
    problems = Problems()
    for name, value in parse_env(source, problems).items():
        check(name.isascii() and name.isidentifier(), f"{name!r} is no name")
        check("\r" not in name and isinstance(value, str), f"{value!r} is no value")
    check_problems(problems.sorted(), source.text)


# ---- growth ---------------------------------------------------------------------------------------

SMALL, LARGE = 4_000, 16_000
"""The lengths in characters that `growth` compares."""


def growth(data: bytes) -> None:
    """The time for a text grows as the text does when its middle is repeated. Byte one and two cut it in three."""
    written = decoded(data[2:])
    if not written:
        return
    start, end = sorted(byte * len(written) // 256 for byte in data[:2])
    before, unit, behind = written[:start], written[start:end] or written, written[end:]

    def seconds(length: int) -> float:
        repeated = before + unit * max(1, length // len(unit)) + behind
        begin = time.thread_time()
        load(repeated)
        return time.thread_time() - begin

    small, large = seconds(SMALL), seconds(LARGE)
    ratio = LARGE / SMALL
    if large > 0.3 and large > 2 * ratio * small:
        # Once more, as the collector or another process may have come between.
        small, large = min(small, seconds(SMALL)), min(large, seconds(LARGE))
        check(
            large <= 2 * ratio * small, f"{small:.3f} s become {large:.3f} s: {before!r} {unit!r} {behind!r}"
        )


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "text": text,
    "expression": expression,
    "type": type_text,
    "env": env_file,
    "growth": growth,
}
"""What can be fuzzed, by name."""


def run(name: str, data: bytes) -> None:
    """One input to one target. Raises for whatever must not be."""
    begin = time.thread_time()
    TARGETS[name](data)
    taken = time.thread_time() - begin
    if name != "growth":
        check(taken < MOST_SECONDS, f"{len(data)} bytes take {taken:.2f} s of processor time")
