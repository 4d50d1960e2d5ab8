"""The tables of the grammars: made by Lark, kept, and made anew where what was kept is of no use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tusk_runtime.language import grammar, lalr
from tusk_runtime.language.automaton import Automaton
from tusk_runtime.language.automaton import grammar as grammar_of
from tusk_runtime.language.words import words_of

NAMES = ("tsk.lark", "expressions.lark", "types.lark")


def forget() -> None:
    grammar.tables.cache_clear()
    grammar._cache_folder.cache_clear()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which the tables of types are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forget()
    yield tmp_path / "tusk-runtime" / "types.lark.json"
    forget()


def again() -> grammar.Tables:
    forget()
    return grammar.tables("types.lark")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_what_was_made(name: str, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = grammar.tables(name)
    assert kept.with_name(f"{name}.json").stat().st_size < 100_000
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    forget()
    monkeypatch.setattr(lalr, "make_tables", None)  # is not called
    assert grammar.tables(name) == made


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b"null", b"[1,", b'[1, "a", 2]', b"\xff\xfe", b"[" * 10_000, b'{"form": 1}'],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_table_is_made_anew(content: bytes, kept: Path) -> None:
    made = grammar.tables("types.lark")
    kept.write_bytes(content)
    found = again()
    # Lark numbers the states anew each time.
    assert found.rules == made.rules
    assert again() == found
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("part", [0, 1, 2], ids=["form", "grammar", "tables"])
def test_tables_of_another_version_are_made_anew(part: int, kept: Path) -> None:
    made = grammar.tables("types.lark")
    parts = json.loads(kept.read_bytes())
    parts[part] = [parts[0] + 1, parts[1] + "\n", []][part]
    kept.write_text(json.dumps(parts[:-1] if part == 2 else parts))
    found = again()
    assert found.rules == made.rules
    assert json.loads(kept.read_bytes())[:2] == [1, grammar.read_grammar("types.lark")]


def test_a_folder_that_others_can_write_is_left_alone(kept: Path) -> None:
    kept.parent.mkdir()
    kept.parent.chmod(0o777)
    kept.write_text("not ours")
    assert grammar.tables("types.lark").rules
    assert kept.read_text() == "not ours"


def test_without_a_folder_the_tables_are_made(kept: Path) -> None:
    kept.parent.write_text("a file where the folder would be")
    assert grammar.tables("types.lark").rules


def test_lark_is_imported_only_where_no_tables_are_kept(kept: Path, tmp_path: Path) -> None:
    app = tmp_path / "app.tsk"
    app.write_text('[events.Placed]\ntotal: "decimal(min=1)"\n[aggregates.order]\nevents: ["Placed"]\n')
    code = (
        "import sys\nfrom pathlib import Path\nfrom tusk_runtime.running.load import load\n"
        "load(Path(sys.argv[1]), {})\nprint('lark' in sys.modules)"
    )

    def run() -> str:
        command = [sys.executable, "-c", code, str(app)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert [run(), run()] == ["True", "False"]


def test_words_and_what_is_none() -> None:
    cut = words_of("expressions.lark")
    found = [(word.type, word.text, word.start_pos, word.end_pos) for word in cut("or orders  >= 1.5")]
    assert found == [
        ("OR", "or", 0, 2),
        ("NAME", "orders", 3, 9),
        ("ORDER", ">=", 11, 13),
        ("DECIMAL", "1.5", 14, 17),
        ("$END", "", 17, 17),
    ]
    assert [(word.type, word.text) for word in cut("a § b")] == [("NAME", "a"), ("", "§")]


def test_rules_get_what_stands_in_rules_without_a_name() -> None:
    seen = grammar_of("types.lark", lambda name: lambda values: (name, values))
    cut = words_of("types.lark")
    automaton = Automaton(seen)
    assert automaton.finish(cut("string(1, 2)")) is None
    ((name, (type_, *rest)),) = automaton.values[:1]
    assert (name, type_[0], rest) == ("start", "type", [])
    kinds = [value[0] if isinstance(value, tuple) else value.text for value in type_[1]]
    assert kinds == ["string", "(", "argument", ",", "argument", ")"]


def test_the_first_word_that_does_not_fit() -> None:
    cut = words_of("types.lark")
    for text, wrong in (("string(", "$END"), ("string)", "RPAR"), ("", "$END"), ("string]", "RSQB")):
        found = Automaton(grammar_of("types.lark", lambda _: len)).finish(cut(text))
        assert found is not None, text
        assert found.type == wrong, text
