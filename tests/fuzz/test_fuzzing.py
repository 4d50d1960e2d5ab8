"""A minute of fuzzing in which nothing may break; `tools/fuzz --seconds 3600` goes on for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fuzz_seeds
import fuzz_targets
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

TOOL = fuzz_seeds.ROOT / "tools" / "fuzz"
SECONDS = {"text": 15, "expression": 10, "type": 8, "env": 4, "growth": 10}


def fuzz(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_nothing_breaks(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is there for Linux on x86-64 only")
    done = fuzz("--seconds", str(SECONDS[target]), "--target", target, "--folder", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{target}: " in done.stdout


@pytest.mark.parametrize("target", ["text", "expression", "type", "env"])
def test_every_seed_is_taken(target: str) -> None:
    """The files, expressions and types that people wrote, as they are; most targets have many."""
    seeds = fuzz_seeds.seeds(target)
    assert len(seeds) >= (2 if target == "env" else 100)
    for seed in seeds:
        fuzz_targets.run(target, seed)


WORDS = [word.encode() for word in fuzz_seeds.words()]


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """A seed in which some stretches are replaced by words of the language, other seeds, or any bytes."""
    seeds = fuzz_seeds.seeds(target)
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        put = draw(
            st.sampled_from(WORDS)
            | st.sampled_from(seeds).map(lambda seed: seed[:40])
            | st.binary(max_size=4)
        )
        data = data[:start] + put + data[end:]
    return data[: fuzz_targets.LONGEST]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["text", "expression", "type", "env"]).flatmap(
        lambda t: st.tuples(st.just(t), damaged(t))
    )
)
@example(("text", b"d:!{"))
@example(("text", b'd:@l("")&&['))
@example(("text", b'[projections.s]\nkey: "d"\ncolumns: { d: "" }\ni: { a: 99999999999999999999 }\n'))
@example(("text", b"[a]\n$c: []\n$d: [$a]\n"))
def test_no_damage_breaks_anything(case: tuple[str, bytes]) -> None:
    """The same without atheris, and with the inputs that once broke something."""
    fuzz_targets.run(*case)


def test_what_breaks_is_kept_and_printed(tmp_path: Path) -> None:
    """An input is run again by the command that is printed; whatever the target raises reaches the user."""
    good = tmp_path / "good"
    good.write_bytes(b"[events]\nA: {}\n")
    assert fuzz("--target", "text", "--input", good).returncode == 0
    assert fuzz("--input", good).returncode == 2


@pytest.mark.parametrize(
    ("target", "replaced", "value"),
    [
        ("text", "load_text", lambda *_, **__: 1 / 0),
        ("expression", "compile_value", lambda *_: None),
        ("type", "parse_type", lambda *_: None),
        ("env", "parse_env", lambda *_: {"no name": ""}),
    ],
)
def test_a_broken_promise_is_noticed(
    target: str, replaced: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz_targets, replaced, value)
    with pytest.raises((fuzz_targets.Broken, ZeroDivisionError)):
        fuzz_targets.run(target, b"string")


def test_each_part_of_a_problem_is_looked_at() -> None:
    from tusk_runtime.language.diagnostics import Diagnostic
    from tusk_runtime.language.source import Source

    source = Source("app.tsk", "x: 1")
    right = Diagnostic("TSK001", "error", source.span(0, 1), "wrong", "write it")
    fuzz_targets.check_problems([right], "x: 1")
    for wrong in (
        Diagnostic("TSK000", "error", source.span(0, 1), "wrong", "write it"),
        Diagnostic("TSK001", "error", source.span(0, 1), "wrong", " "),
        Diagnostic("TSK001", "error", source.span(0, 1), "", "write it"),
        Diagnostic("TSK001", "error", source.span(0, 9), "wrong", "write it"),
        Diagnostic("TSK001", "error", Source("b.tsk", "y").span(0, 1), "wrong", "write it"),
    ):
        with pytest.raises(fuzz_targets.Broken):
            fuzz_targets.check_problems([wrong], "x: 1")
