"""Building stays quick, and its time grows with the size of the file only."""

from __future__ import annotations

import subprocess
import sys
import time

import model_golden


def generated(count: int) -> str:
    """A file with so many events, commands and projections, about ten lines for each."""
    lines = [
        "[types]",
        'Money: "decimal(min=0, places=2)"',
        'Line: { sku: "string(min=1)", quantity: "integer(min=1)", price: "Money" }',
    ]
    for index in range(count):
        sum_ = "{{ sum(l.quantity * l.price for l in command.lines) }}"
        lines += [
            "[events]",
            f'Placed{index}: {{ fields: {{ lines: "list<Line>(min=1)", total: "Money", note: "string?" }} }}',
            f"[aggregates.Order{index}]",
            'state: { total: "Money = 0" }',
            f'on: {{ Placed{index}: {{ total: "{{{{ state.total + data.total }}}}" }} }}',
            f"[commands.Place{index}]",
            f'aggregate: "Order{index}"\ncreates: "either"',
            'fields: { lines: "list<Line>(min=1)", note: "string(max=100)?" }',
            f'emit: [{{ event: "Placed{index}", data: {{ total: "{sum_}" }} }}]',
            f'[projections.orders{index}]\nkey: "id"',
            'columns: { id: "uuid", total: "Money = 0", at: "datetime" }',
            f'on: {{ Placed{index}: {{ upsert: {{ total: "{{{{ row.total + data.total }}}}", at: "{{{{ now }}}}" }} }} }}',
            f'[queries.orders{index}]\nfrom: "orders{index}"',
        ]
    return "\n".join(lines).replace("\\\n", "\n") + "\n"


def seconds(text: str) -> float:
    """How long a text takes to load, the best of three."""
    best = 1e9
    for _ in range(3):
        begin = time.perf_counter()
        assert model_golden.diagnose(text) == []
        best = min(best, time.perf_counter() - begin)
    return best


def test_loading_is_quick_and_linear() -> None:
    small, large = generated(40), generated(160)
    seconds(generated(1))
    one, four = seconds(small), seconds(large)
    print(
        f"\n{small.count(chr(10))} lines in {one * 1000:.0f} ms, {large.count(chr(10))} in {four * 1000:.0f} ms"
    )
    assert one < 3
    assert four < one * 10


def test_a_check_imports_no_server_and_no_database() -> None:
    code = (
        "import sys; from pathlib import Path; from tusk_runtime.running.load import load;"
        "load(Path(sys.argv[1]), {}); print(' '.join(sys.modules))"
    )
    shop = str(model_golden.Path(__file__).parents[2] / "examples" / "shop.tsk")
    run = subprocess.run([sys.executable, "-c", code, shop], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "tusk_runtime.model.build" in loaded
    assert loaded.isdisjoint({"pydantic", "sqlalchemy", "apsw", "starlette", "uvicorn", "jinja2", "asyncio"})
