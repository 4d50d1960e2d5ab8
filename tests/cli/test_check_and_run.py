"""`tusk check` and `tusk-run` never disagree: what one refuses the other refuses, in the same words."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tusk_runtime.cli import check, run
from tusk_runtime.errors import InvalidConfiguration, Refused
from tusk_runtime.events import Caller
from tusk_runtime.language.codes import TOO_MANY
from tusk_runtime.language.diagnostics import Diagnostic
from tusk_runtime.language.source import Source
from tusk_runtime.model.application import Application
from tusk_runtime.running import load
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.web import Security, create_app

TESTS = Path(__file__).parents[1]
CASES = [*sorted(TESTS.glob("language/cases/*.case")), *sorted(TESTS.glob("model/cases/*.case"))]
MUTATIONS = {"hello": 180, "shop": 60, "flights": 60}
"""How many mutations of each example are tried."""

ADMIN = Caller("ann", ("admin",))


async def start(application: Application) -> None:
    """All that a start does which needs no disk and no socket, and a look at everything that is declared."""
    # Without publishing: Kafka is reached over sockets, and certificates are files.
    runtime = Runtime(application, memory_store(), publishing=False)
    await runtime.start()
    try:
        create_app(runtime, Security("t" * 32))
        for name in application.queries:
            with contextlib.suppress(Refused):  # a parameter may be missing
                await runtime.query(name, {}, caller=ADMIN)
    finally:
        await runtime.stop()


class Both:
    """Runs both commands in this process; `tusk-run` up to where it would open the database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self._file = file
        self._cli = CliRunner()
        self.started: list[Application] = []

        async def serve(file: Path, application: Application, env_file: Path | None, **_: Any) -> None:
            self.started.append(application)
            await start(application)

        monkeypatch.setattr(run, "_serve", serve)
        monkeypatch.setenv("NO_COLOR", "1")

    def agree(self, text: str) -> bool:
        """Whether both take a text; fails if they differ, or if either raises."""
        self._file.write_bytes(text.encode())
        self.started.clear()
        checked = self._cli.invoke(check.command, [str(self._file)])
        ran = self._cli.invoke(run.main, [str(self._file)])
        for result in (checked, ran):
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise AssertionError(f"raised for:\n{text}") from result.exception
        assert ran.exit_code == checked.exit_code, text
        assert checked.exit_code in (0, 78)
        assert ran.stderr == checked.stderr
        assert len(self.started) == (checked.exit_code == 0)
        return checked.exit_code == 0


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Both:
    return Both(monkeypatch, tmp_path / "app.tsk")


def test_both_go_through_the_same_function(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shared load refuses, both refuse, whatever it is."""
    told = Diagnostic(TOO_MANY.id, "error", Source("app.tsk", "x").span(0, 1), "not today", "come again")
    calls = []

    def refuse(document: object, file: str, problems: object) -> Application:
        calls.append(file)
        raise InvalidConfiguration([told])

    monkeypatch.setattr(load, "build", refuse)
    assert not both.agree("[events]\nA: {}\n")
    assert calls == ["app.tsk", "app.tsk"]


def test_what_raises_at_the_start_is_noticed(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def wire(*_: object) -> None:
        raise TypeError("no such thing")

    monkeypatch.setattr(Runtime, "__init__", wire)
    with pytest.raises(AssertionError, match="raised for"):
        both.agree("[events]\nA: {}\n")


def test_of_the_golden_cases(both: Both) -> None:
    taken = [both.agree(case.read_bytes().decode().partition("\n-----\n")[0] + "\n") for case in CASES]
    assert taken.count(False) >= 80
    assert taken.count(True) >= 1


def mutations(text: str, chance: random.Random) -> Iterator[str]:
    """Texts that differ from one in a single place: a word or line left out, doubled, swapped, or replaced."""
    lines = text.splitlines(keepends=True)
    words = list(re.finditer(r"\w+|[^\w\s]", text))
    values = [
        '"x"',
        "5",
        "true",
        "null",
        "[]",
        "{}",
        '"{{ 1 }}"',
        '"{{ now }}"',
        '"decimal"',
        '"list<json>"',
        "0.5",
        '""',
    ]

    def line() -> str:
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        changed = chance.choice(([], [lines[at], lines[at]], [lines[other]]))
        return "".join([*lines[:at], *changed, *lines[at + 1 :]])

    def word() -> str:
        one, other = chance.choice(words), chance.choice(words)
        put = chance.choice(
            ("", other[0], one[0] + one[0], one[0][::-1], one[0].swapcase(), chance.choice(values))
        )
        return text[: one.start()] + put + text[one.end() :]

    def value() -> str:
        found = chance.choice(list(re.finditer(r'"[^"\n]*"|\b\d+\b|\btrue\b', text)))
        return text[: found.start()] + chance.choice(values) + text[found.end() :]

    kinds: list[Callable[[], str]] = [line, word, value]
    while True:
        yield chance.choice(kinds)()


@pytest.mark.parametrize("example", MUTATIONS)
def test_of_mutated_examples(both: Both, example: str) -> None:
    text = (TESTS.parent / "examples" / f"{example}.tsk").read_text()
    assert both.agree(text)
    mutated = mutations(text, random.Random(example))
    taken = [both.agree(next(mutated)) for _ in range(MUTATIONS[example])]
    assert taken.count(True) >= len(taken) / 10
    assert taken.count(False) >= len(taken) / 10
