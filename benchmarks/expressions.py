"""Expressions beside hand-written Python: the time of one evaluation, and of reading one from the file.

Run it with `python benchmarks/expressions.py`. The goal is a factor of at most 5 for conditions over nested data.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tusk_runtime.expressions import META, Scope, compile_value
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.types import DATETIME, DECIMAL, INTEGER, STRING, Type, record_of

LINE = record_of("OrderLine", sku=STRING, quantity=INTEGER, price=DECIMAL)
CUSTOMER = record_of("Customer", name=STRING, address=record_of("Address", city=STRING, country=STRING))
DATA = record_of(
    "data",
    status=Type("enum", values=("new", "placed", "paid")),
    total=DECIMAL,
    customer=CUSTOMER,
    lines=Type("list", item=LINE),
    note=STRING.or_null(),
)
SCOPE = Scope({"now": DATETIME, "meta": META, "data": DATA})

NOW = datetime(2026, 1, 31, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "status": "placed",
    "total": Decimal("299.90"),
    "customer": {"name": "Anna", "address": {"city": "Berlin", "country": "DE"}},
    "lines": [{"sku": f"sku-{n}", "quantity": n, "price": Decimal("9.99")} for n in range(10)],
    "note": None,
}
HUNDRED = Decimal(100)

Case = tuple[str, str, Callable[[Any, Any, Any], Any]]
CASES: list[Case] = [
    (
        "condition",
        "data.total > 100 and data.status == 'placed'",
        lambda now, meta, data: data["total"] > HUNDRED and data["status"] == "placed",
    ),
    (
        "condition, nested",
        "data.customer.address.country in ['DE', 'AT'] and data.customer.name != '' and data.lines[0].quantity < 5",
        lambda now, meta, data: (
            data["customer"]["address"]["country"] in ("DE", "AT")
            and data["customer"]["name"] != ""
            and data["lines"][0]["quantity"] < 5
        ),
    ),
    (
        "condition over 10 lines",
        "any(l.quantity > 8 and l.price > 5 for l in data.lines)",
        lambda now, meta, data: any(line["quantity"] > 8 and line["price"] > 5 for line in data["lines"]),
    ),
    (
        "sum over 10 lines",
        "sum(l.quantity * l.price for l in data.lines)",
        lambda now, meta, data: sum((line["quantity"] * line["price"] for line in data["lines"]), Decimal(0)),
    ),
    (
        "one line changed",
        "[l | combine({'quantity': l.quantity + 1}) if l.sku == 'sku-3' else l for l in data.lines]",
        lambda now, meta, data: [
            {**line, "quantity": line["quantity"] + 1} if line["sku"] == "sku-3" else line
            for line in data["lines"]
        ],
    ),
    (
        "five fields",
        "{'total': data.total * 1.19, 'city': data.customer.address.city, 'note': data.note ?? '-', "
        "'big': data.total > 100, 'first': data.lines[0].sku}",
        lambda now, meta, data: {
            "total": data["total"] * Decimal("1.19"),
            "city": data["customer"]["address"]["city"],
            "note": data["note"] if data["note"] is not None else "-",
            "big": data["total"] > 100,
            "first": data["lines"][0]["sku"],
        },
    ),
]


def node(source: str) -> ScalarNode:
    """An expression as a value of a file."""
    text = "{{ " + source + " }}"
    return ScalarNode(text, Source("bench.tsk", f'x: "{text}"').span(3, 5 + len(text)), True, 4)


def once(run: Callable[[], Any], seconds: float = 0.02) -> float:
    """Microseconds per call, from as many calls as fit into a time."""
    calls, started = 1, time.perf_counter()
    while True:
        for _ in range(calls):
            run()
        passed = time.perf_counter() - started
        if passed >= seconds:
            return passed / calls * 1e6
        calls, started = calls * 4, time.perf_counter()


def measure(rounds: int = 15) -> list[tuple[str, float, float, float]]:
    """Per case: the name, and the medians in µs by hand, compiled, and of parsing and checking, measured in turn."""
    results = []
    for title, source, by_hand in CASES:
        problems = Problems()
        value = node(source)
        expression = compile_value(value, SCOPE, problems)
        if expression is None:
            raise SystemExit(f"{title}: {[problem.message for problem in problems]}")
        function = expression.function
        if function(NOW, {}, EVENT, b"") != by_hand(NOW, {}, EVENT):
            raise SystemExit(f"{title}: the values differ")
        hand: list[float] = []
        ours: list[float] = []
        reading: list[float] = []
        for _ in range(rounds):
            hand.append(once(lambda call=by_hand: call(NOW, {}, EVENT)))  # type: ignore[misc]
            ours.append(once(lambda call=function: call(NOW, {}, EVENT, b"")))  # type: ignore[misc]
            reading.append(once(lambda value=value: compile_value(value, SCOPE, Problems())))  # type: ignore[misc]
        results.append((title, statistics.median(hand), statistics.median(ours), statistics.median(reading)))
    return results


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'':26} {'by hand':>9} {'compiled':>9} {'factor':>7} {'read+check':>11}   (µs, medians)")
    for title, hand, ours, reading in measure(rounds):
        print(f"{title:26} {hand:9.3f} {ours:9.3f} {ours / hand:7.2f} {reading:11.0f}")


if __name__ == "__main__":
    main()
