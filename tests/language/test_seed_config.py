"""The configuration of the seed document loads exactly as written."""

import json
from pathlib import Path
from typing import Any

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text

HERE = Path(__file__).parent
ENVIRONMENT = {
    "EVENT_STORE_DB_URL": "postgresql://db.example/events",
    "REDIS_URL": "redis://cache.example:6379",
    "JAEGER_ENDPOINT": "http://jaeger.example:4317",
}


def leaves(node: Any) -> int:
    return sum(map(leaves, node.values())) if isinstance(node, dict) else 1


def test_the_seed_loads() -> None:
    text = (HERE / "seed.tsk").read_text()
    problems = Problems()
    document = load_text(text, "seed.tsk", ENVIRONMENT, problems)
    assert list(problems) == []
    tree = document.plain()
    expected = json.loads((HERE / "seed.json").read_text())
    assert json.loads(json.dumps(tree, default=float)) == expected
    assert list(tree) == list(expected)
    assert len(tree) == 30
    assert leaves(tree) == 106
    assert [use.name for use in document.environment] == list(ENVIRONMENT)
    assert all(use.is_set and use.default is None for use in document.environment)


def test_the_seed_names_all_variables_that_are_missing() -> None:
    problems = Problems()
    load_text((HERE / "seed.tsk").read_text(), "seed.tsk", {}, problems)
    assert [(d.code, d.span.text) for d in problems.sorted()] == [
        ("TSK110", f"@env('{name}')") for name in ENVIRONMENT
    ]
