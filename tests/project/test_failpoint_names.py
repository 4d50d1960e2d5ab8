"""Fail points: each stands once in the table, in the code and in the documentation, and does what is set."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tusk_runtime import failpoints
from tusk_runtime.errors import OutcomeUnknown, StartFailed, StoreUnavailable
from tusk_runtime.failpoints import NAMES, hit, hit_in_thread, set_points

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def none_set() -> Iterator[None]:
    """Each test begins and ends with no point set."""
    set_points("")
    yield
    set_points("")


def uses() -> list[str]:
    """The names at all calls in the package."""
    found = []
    for path in (ROOT / "tusk_runtime").rglob("*.py"):
        if path.name == "failpoints.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("hit", "hit_in_thread"):
                (argument,) = node.args
                assert isinstance(argument, ast.Constant), f"{path}: the name of a point is written out"
                found.append(argument.value)
    return found


def test_the_table_and_the_code_name_the_same_points() -> None:
    assert set(uses()) == set(NAMES)


def test_the_documentation_lists_all_points() -> None:
    """With the words of the table, in its order."""
    text = (
        (ROOT / "docs" / "architecture.md").read_text().partition("## Fail points")[2].partition("\n## ")[0]
    )
    listed = re.findall(r"^\| `([a-z_.]+)` \| (.*) \| (.*) \|$", text, re.MULTILINE)
    told = {
        name: "nothing" if each.error is None else f"`{each.error.__name__}`" for name, each in NAMES.items()
    }
    assert listed == [(name, each.where, told[name]) for name, each in NAMES.items()]


async def test_nothing_happens_where_nothing_is_set() -> None:
    for name in NAMES:
        await hit(name)
        hit_in_thread(name)


async def test_an_error_is_the_one_of_the_table_each_time() -> None:
    set_points("append.decided:error, append.committed:error")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"append\.decided"):
            await hit("append.decided")
        with pytest.raises(OutcomeUnknown, match=r"append\.committed"):
            hit_in_thread("append.committed")
    await hit("append.before_answer")


async def test_a_count_means_that_time_alone() -> None:
    set_points("append.decided:error@2,append.decided:error@4")
    failed = []
    for number in range(1, 7):
        try:
            await hit("append.decided")
        except StoreUnavailable:
            failed.append(number)
    assert failed == [2, 4]


async def test_time_passes_without_stopping_the_loop() -> None:
    set_points("append.decided:delay=0.1,append.before_commit:delay=0.1")
    begin = monotonic()
    waiting = asyncio.create_task(hit("append.decided"))
    await asyncio.sleep(0)
    assert monotonic() - begin < 0.09
    await waiting
    assert monotonic() - begin >= 0.09
    hit_in_thread("append.before_commit")
    assert monotonic() - begin >= 0.19


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("append.commited:kill", "there is no fail point `append.commited`.*did you mean `append.committed`"),
        ("append", "there is no fail point `append`.*known here: `append.decided`, .*`snapshot.saved`"),
        ("append.decided", "`append.decided` cannot be read|cannot do ``"),
        ("append.decided:kil", "cannot do `kil`.*did you mean `kill`.*`kill`, `error`, `delay`"),
        ("append.decided:kill=3", "`append.decided:kill=3` cannot be read.*append.decided:delay=0.5"),
        ("append.decided:kill@0", "`append.decided:kill@0` cannot be read"),
        ("append.decided:delay=soon", "`append.decided:delay=soon` cannot be read"),
        ("reload.swapped:error", "nothing can fail at `reload.swapped`.*write `kill` or `delay`"),
    ],
)
def test_what_cannot_be_set_is_told(text: str, told: str) -> None:
    """And what was set before stays."""
    set_points("append.decided:error")
    with pytest.raises(StartFailed, match=f"(?s){told}"):
        set_points(f"append.committed:kill,{text}")
    with pytest.raises(StoreUnavailable):
        hit_in_thread("append.decided")
    assert failpoints.VARIABLE == "TUSK_FAILPOINT"
