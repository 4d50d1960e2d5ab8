"""Formatting: golden cases, and that it changes nothing, keeps every comment and is done after one time."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import golden
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_language_properties import KEYS, PIECES, VALUES, block, inline

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.files import source_of
from tusk_runtime.language.formatter import NotFaithful, formatted, says_the_same
from tusk_runtime.language.load import load_text
from tusk_runtime.language.parse import parse
from tusk_runtime.language.tokens import Token

ROOT = Path(__file__).parents[2]
CASES = sorted((Path(__file__).parent / "format_cases").glob("*.case"))
THOROUGH = settings(max_examples=300, deadline=None)


def form(text: str) -> str | None:
    """The formatted text; None if it has errors."""
    return formatted(source_of(text, "app.tsk"), Problems())


def split(case: Path) -> tuple[str, str]:
    text, _, expected = case.read_bytes().decode().partition("-----\n")
    return text, expected


def texts() -> list[tuple[str, str]]:
    """Every file, golden case and snippet of the project."""
    found = [(path.name, path.read_text()) for path in sorted((ROOT / "examples").glob("*.tsk"))]
    for folder in ("language", "model"):
        for case in sorted((ROOT / "tests" / folder / "cases").glob("*.case")):
            found.append((f"{folder}/{case.stem}", golden.split(case)[0]))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, match in enumerate(
            re.findall(r"^```tsk[^\n]*\n(.*?)^```$", page.read_text(), re.S | re.M)
        ):
            found.append((f"{page.name} {number}", match))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_case(case: Path) -> None:
    text, expected = split(case)
    assert form(text) == expected
    assert form(expected) == expected


def test_there_are_enough() -> None:
    assert len(CASES) >= 25


def test_the_examples_are_in_their_one_form() -> None:
    for path in sorted((ROOT / "examples").glob("*.tsk")):
        assert form(path.read_text()) == path.read_text(), path.name


def comments_and_words(text: str) -> tuple[list[str], list[str]]:
    """The comments of a text, and its tokens as they are written, signs and commas left out."""
    source = source_of(text, "app.tsk")
    tokens: list[Token] = []
    parse(source, Problems(), tokens)
    kinds = ("ASSIGN", "COMMA", "NEWLINE", "LINE", "INDENT", "DEDENT", "TEXT_BLOCK", "$END")
    words = [source.text[t.start : t.end] for t in tokens if t.type not in kinds]
    gaps, position = [], 0
    for token in [*tokens, Token("$END", len(source.text), len(source.text), source)]:
        if token.type in ("NEWLINE", "LINE", "INDENT", "DEDENT"):
            continue
        gaps += re.findall(r"#.*", source.text[position : token.start])
        position = max(position, token.end)
    return [gap.rstrip() for gap in gaps], words


@pytest.mark.parametrize(("name", "text"), texts(), ids=[name for name, _ in texts()])
def test_nothing_is_lost_and_nothing_is_added(name: str, text: str) -> None:
    once = form(text)
    if once is None:
        return  # it has syntax errors, and is left as it is
    assert form(once) == once
    assert comments_and_words(once) == comments_and_words(text)
    trees = [parse(source_of(t, "a"), Problems()) for t in (text, once)]
    assert says_the_same(*trees)
    before, after = (
        load_text(t, "app.tsk", golden.ENVIRONMENT, Problems(), now=golden.NOW) for t in (text, once)
    )
    assert before.plain() == after.plain()


def roughened(text: str, chance: random.Random) -> str:
    """The same text with other blanks, comments and signs, as people write them."""
    lines: list[str] = []
    for line in text.split("\n"):
        while chance.random() < 0.15:
            lines.append(chance.choice(["", "   ", "# note", "    # deep"]))
        if chance.random() < 0.3 and '"' not in line:
            line = line.replace(": ", chance.choice([":  ", ":   "])).replace(
                ", ", chance.choice([",", " ,  "])
            )
        if chance.random() < 0.2 and line.strip():
            line += chance.choice(["   ", "  # said", " # x"])
        lines.append(line)
    return "\n".join(lines) + chance.choice(["", "\n", "\n\n\n"])


@THOROUGH
@given(
    st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_whatever_the_style_the_document_stays(
    tree: dict[str, dict[str, Any]], indented: bool, seed: int
) -> None:
    lines = []
    for section, pairs in tree.items():
        lines.append(f"[{section}]")
        for key, value in pairs.items():
            lines.append(f"{key}:{block(value, '  ')}" if indented else f"{key} = {inline(value)}")
    text = roughened("\n".join(lines), random.Random(seed))
    once = form(text)
    assert once is not None
    assert form(once) == once
    assert (
        load_text(once, "a", {}, Problems()).plain() == load_text(text, "a", {}, Problems()).plain() == tree
    )


@THOROUGH
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_no_text_is_changed_in_what_it_says(text: str) -> None:
    once = form(text)
    if once is not None:
        assert form(once) == once


def test_a_file_with_errors_is_left_as_it_is() -> None:
    problems = Problems()
    assert formatted(source_of("a: yes\nb: [1\n", "app.tsk"), problems) is None
    assert [d.code for d in problems] == ["TSK012", "TSK016"]


def test_a_formatter_that_would_change_a_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import tusk_runtime.language.formatter as formatter

    monkeypatch.setattr(formatter, "laid_out", lambda source, tokens: source.text.replace("1", "2"))
    with pytest.raises(NotFaithful):
        form("a: 1\n")


if __name__ == "__main__":  # rewrites what is expected; read the difference before you keep it
    for one in CASES:
        before = split(one)[0]
        one.write_bytes(f"{before}-----\n{form(before)}".encode())
