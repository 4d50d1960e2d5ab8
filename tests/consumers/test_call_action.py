"""Functions of Python: what they are given, where they are found, and what becomes of their exceptions."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from apps import ACCOUNT

from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import StartFailed
from tusk_runtime.events import Caller
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.model.application import Application
from tusk_runtime.model.build import build
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime

ANN = Caller("ann", (), None)
MODULE = """
import threading

calls, threads = [], []
answers = []

def note(**arguments):
    calls.append(arguments)
    threads.append(threading.current_thread())
    if answers:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        answer.wait()

class Tools:
    note = staticmethod(note)

async def later(event): ...

number = 5
"""


class Stage:
    """A runtime with a file in a folder, and a module beside it, whose calls are seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(1_000_000)
        self.store = memory_store()
        self.runtime: Runtime | None = None
        (folder / "bank_tools.py").write_text(MODULE)

    def application(self, on: str, more: str = "") -> Application:
        text = (
            f"{ACCOUNT}\n[runtime]\nallow_python: true\n[consumers.Noter]\n{more}\n"
            f'retry: {{ attempts: 2, delay: "10s", jitter: false }}\non: {on}\n'
        )
        problems = Problems()
        file = str(self.folder / "app.tsk")
        return build(load_text(text, file, {}, problems), file, problems)

    async def start(self, on: str, more: str = "", *, publishing: bool = True) -> None:
        self.runtime = Runtime(self.application(on, more), self.store, self.clock, publishing=publishing)
        await self.runtime.start()

    async def open(self, account: str = "a") -> None:
        assert self.runtime is not None
        await self.runtime.execute("Open", {"owner": "ann"}, aggregate_id=account, caller=ANN)
        await self.runtime.settle()

    async def passes(self, seconds: float) -> None:
        assert self.runtime is not None
        self.clock.advance(timedelta(seconds=seconds))
        await self.runtime.settle()

    @property
    def module(self) -> Any:
        return importlib.import_module("bank_tools")

    async def told(self) -> tuple[str, str]:
        (letter,) = await self.store.deliveries.letters("Noter")
        return letter.standing, orjson.loads(letter.error)["message"]


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    stage = Stage(tmp_path)
    yield stage
    if stage.runtime is not None:
        await stage.runtime.stop()
    sys.modules.pop("bank_tools", None)


async def test_a_function_beside_the_file_is_called(stage: Stage) -> None:
    """With what the file gives and the event, in a thread; once for each element."""
    await stage.start(
        '{ Opened: { call: "bank_tools:note", with: { who: "{{ data.owner }}", n: "{{ item }}", plain: 5 }, '
        'for_each: "{{ [1, 2] }}" } }'
    )
    await stage.open()
    first, second = stage.module.calls
    assert (first["who"], first["n"], second["n"], first["plain"]) == ("ann", 1, 2, 5)
    assert (first["event"]["event_type"], first["event"]["aggregate_id"]) == ("Opened", "a")
    assert threading.main_thread() not in stage.module.threads


async def test_a_name_may_have_points(stage: Stage) -> None:
    """A function of a class; without `with` it gets the event alone."""
    await stage.start('{ Opened: { call: "bank_tools:Tools.note" } }')
    await stage.open()
    assert [set(call) for call in stage.module.calls] == [{"event"}]


@pytest.mark.parametrize("error", [ValueError("no ink"), SystemExit("no ink"), StopIteration("no ink")])
async def test_an_exception_is_tried_again(
    stage: Stage, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is; the log shows where it was raised. Then it is parked."""
    await stage.start('{ Opened: { call: "bank_tools:note" } }')
    stage.module.answers[:] = [error, error]
    with caplog.at_level(logging.WARNING, "tusk.consumers"):
        await stage.open()
    name = type(error).__name__
    assert await stage.told() == ("retry", f"`bank_tools:note` failed: {name}: no ink")
    assert "raise answer" in caplog.text
    await stage.passes(10)
    assert (await stage.told())[0] == "parked"
    assert len(stage.module.calls) == 2


async def test_what_personal_data_became_is_not_told(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """A function that gets some may have it in its exceptions."""
    await stage.start('{ Opened: { call: "bank_tools:note", pii: true } }')
    stage.module.answers[:] = [ValueError("ann@example.org")]
    await stage.open()
    assert await stage.told() == ("retry", "`bank_tools:note` failed: ValueError")
    assert "ann@example.org" not in caplog.text


async def test_a_slow_function_holds_only_its_aggregate_up(stage: Stage) -> None:
    """Its event is given up in time, and tried again; the loop goes on meanwhile."""
    await stage.start('{ Opened: { call: "bank_tools:note" } }', 'timeout: "50ms"')
    slow = threading.Event()
    stage.module.answers[:] = [slow]
    await asyncio.wait_for(stage.open(), 3)
    assert await stage.told() == ("retry", "it took longer than 0.05 s")
    slow.set()
    await stage.open("b")
    await stage.passes(10)
    assert len(stage.module.calls) == 3
    assert list(await stage.store.deliveries.letters("Noter")) == []


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("bank_tool:note", "there is no module `bank_tool`"),
        ("bank_tools:nota", "has no attribute 'nota'"),
        ("bank_tools:Tools.nota", "has no attribute 'nota'"),
        ("bank_tools:number", "is no plain function"),
        ("bank_tools:later", "is no plain function"),
        ("broken_tools:note", "cannot be imported: ZeroDivisionError"),
    ],
)
async def test_what_is_not_there_fails_the_start(stage: Stage, function: str, says: str) -> None:
    """Before anything happens. In tests it is not looked for."""
    (stage.folder / "broken_tools.py").write_text("1 / 0")
    application = stage.application(f'{{ Opened: {{ call: "{function}" }} }}')
    with pytest.raises(StartFailed, match=says):
        Runtime(application, stage.store)
    Runtime(application, stage.store, publishing=False)


async def test_in_tests_no_function_is_called(stage: Stage) -> None:
    """It is only kept."""
    await stage.start('{ Opened: { call: "bank_tools:note", with: { a: 1 } } }', publishing=False)
    await stage.open()
    outside: Any = stage.runtime._outside  # type: ignore[union-attr]
    assert [(run.function, run.arguments["a"]) for run in outside.left] == [("bank_tools:note", 1)]
    assert "bank_tools" not in sys.modules
