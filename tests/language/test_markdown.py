"""Fenced blocks of a guide, with exact places, and which of them are configuration."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.extract import Config, NoConfig, config_of, extract
from tusk_runtime.language.load import load_text, source_of
from tusk_runtime.language.markdown import Fence, fences
from tusk_runtime.language.parse import parse
from tusk_runtime.language.report import render

HERE = Path(__file__).parent


def read(text: str) -> list[Fence]:
    return fences(source_of(text, "guide.md"))


def texts(text: str) -> list[str]:
    return [fence.source.text for fence in read(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```\na\n```\n", ["a"]),
        ("~~~\na\n```\n~~~\n", ["a\n```"]),
        ("````\n```\na\n```\n````\n", ["```\na\n```"]),
        ("```\na\n`````  \nb\n", ["a"]),  # the closing fence may be longer
        ("```\na\n``` x\n```\n", ["a\n``` x"]),  # nothing stands behind a closing fence
        ("   ```\n   a\n     b\n c\n  ```\nd\n", ["a\n  b\nc"]),
        ("text\n\n    ```\n    a\n    ```\n", []),  # an indented block of code
        ("``` a`b\ntext\n", []),  # a span of code
        ("```\na", ["a"]),  # never closed
        ("```\n```\n", [""]),
        ("- item\n\n  ```\n  a\n    b\n  ```\n", ["a\n  b"]),
        ("1. ```\n   a\n   ```\n", ["a"]),
        ("- ```\n  a\nb\n```\nc\n", ["a", "c\n"]),  # the item ends, and the block with it
        ("1. two\n lines that go on\n\n    ```\n    a\n    ```\n", ["a"]),
        ("> ```\n> a\n>   b\n> ```\n", ["a\n  b"]),
        ("> ```\n> a\n\n```\nb\n```\n", ["a", "b"]),
        ("> - ```\n>   a\n>   ```\n", ["a"]),
        ("<!--\n```\na\n```\n-->\n```\nb\n```\n", ["b"]),
        ("<!-- short -->\n```\na\n```\n", ["a"]),
        ("```\r\na\r\n```\r\n", ["a"]),
    ],
)
def test_blocks(text: str, expected: list[str]) -> None:
    """The blocks of CommonMark: both fences, of any length, indented, in lists and quotes, never closed."""
    assert texts(text) == expected


def test_what_stands_behind_a_fence() -> None:
    """The language and the words, in small letters, however they are written; the heading above."""
    found = read(
        "# One #\n```tsk fragment\n```\nTwo\n---\n~~~ {.Rust .numberLines}\n~~~\n```rust,ignore\n```\n```\n```\n"
    )
    assert [(f.number, f.line, f.language, f.words, f.heading) for f in found] == [
        (1, 2, "tsk", ("fragment",), "One"),
        (2, 6, "rust", ("numberlines",), "Two"),
        (3, 8, "rust", ("ignore",), "Two"),
        (4, 10, "", (), "Two"),
    ]
    assert [(f.is_own, f.is_fragment) for f in found[:2]] == [(True, True), (False, True)]
    assert [f.closed for f in read("```\n```\n```\n")] == [True, False]


def test_problems_stand_where_the_guide_has_them() -> None:
    """Line, column and the line that is shown are those of the guide, also in an indented block."""
    text = (
        "# Guide\n\n- how:\n\n  ```tsk\n  [a]\n  b: yes\n  c:\n    d: 007\n  ```\n\n> ~~~tsk\n> [a\n> ~~~\n"
    )
    problems = Problems()
    for fence in read(text):
        parse(fence.source, problems)
    assert [str(d.span) for d in problems] == ["guide.md:7:6", "guide.md:9:8", "guide.md:13:3"]
    assert [d.span.text for d in problems] == ["yes", "007", "[a"]
    shown = render(problems.sorted())
    assert "\n 9 |     d: 007\n" in shown or "\n9 |     d: 007\n" in shown, shown
    assert "13 | > [a\n   |   ^^\n" in shown, shown


_BITS = [
    "```",
    "~~~",
    "````",
    "```tsk",
    "- ",
    "1. ",
    "> ",
    "  ",
    "    ",
    "\t",
    "a",
    "key: 1",
    "# h",
    "\n",
    "\r\n",
    "é",
]


@given(st.lists(st.sampled_from(_BITS), max_size=40).map("".join))
def test_every_character_of_a_block_is_found_in_the_guide(text: str) -> None:
    """For every offset of every block: the place in the guide holds that very character."""
    guide = source_of(text, "guide.md")
    for fence in fences(guide):
        for offset, character in enumerate(fence.source.text):
            line, column = fence.source.position(offset)
            assert character == "\n" or guide.line(line)[column - 1] == character
        assert fence.source.position(len(fence.source.text))[0] <= text.count("\n") + 1


@pytest.mark.parametrize(
    "bit", ["> ", "- ", "1. ", "# " + " " * 50 + "x", "```\n", "`", "<!--", "- a\n", " "]
)
def test_reading_takes_time_in_proportion(bit: str) -> None:
    """No guide of half a megabyte takes longer than a few seconds on a busy machine."""
    begin = time.perf_counter()
    read(bit * (500_000 // len(bit)) + "a")
    assert time.perf_counter() - begin < 10


# ---- which blocks are configuration -------------------------------------------------------------------


def config(block: str, language: str = "rust") -> str:
    """The configuration of a block, or why it is none."""
    (fence,) = read(f"```{language}\n{block}```\n")
    found = config_of(fence)
    return found.source.text if isinstance(found, Config) else f"none: {found.reason}"


@pytest.mark.parametrize(
    ("language", "block", "expected"),
    [
        ("rust", "[a]\nb: 1\n", "[a]\nb: 1"),
        ("rust", "# first\n\n[a]\nb: 1\n\n[code]\nuse std::fmt;\n\n[c]\nd: 1\n", "# first\n\n[a]\nb: 1"),
        ("rust", "[a]\nb: 1\n\n#[derive(Debug)]\npub struct A {\n}\n", "[a]\nb: 1"),
        ("rust", "[code]\nuse std::fmt;\n", "none: program code from line 3 on, all that [code] holds"),
        ("rust", "use std::fmt;\n", "none: begins with neither a section nor a key"),
        ("rust", "[a]\nb: yes\n", "none: line 3: `yes` is neither a boolean nor"),
        ("python", "x = 5\nprint(x)\n", "none: program code from line 3 on"),
        ("python", 'name: "x"\n', 'name: "x"'),
        ("sh", "URL=http://here/\n", "none: begins with neither a section nor a key"),
        ("toml", '[a]\nb = "x"\n', '[a]\nb = "x"'),
        ("", "[a]\nb = 1", "[a]\nb = 1"),
        ("yaml", "a: 1\nb:\n  - c\n", "none: YAML, without a section"),
        ("yaml", "[a]\nb: 1\n", "[a]\nb: 1"),
        ("json", '{"a": 1}\n', "none: begins with neither a section nor a key"),
        ("sh", "# a comment\n", "none: begins with neither a section nor a key"),
        # In the language's own name a block is configuration, right or wrong.
        ("tsk", "[a]\nb: yes\n", "[a]\nb: yes"),
        ("tusklang", "x = 5\nimport os\n", "x = 5"),
    ],
)
def test_what_is_configuration(language: str, block: str, expected: str) -> None:
    """A block begins with a section or a key, and is right up to its first line of program code."""
    assert config(block if block.endswith("\n") else block + "\n", language).startswith(expected)


def test_a_block_with_nothing_in_it() -> None:
    """Its place is its fence."""
    (own, other) = read("text\n```tsk\n```\n```\n```\n")
    assert own.source.position(0) == (2, 1)
    assert isinstance(config_of(other), NoConfig)


RUST = """
[{name}_implementation]
use serde::{{Deserialize, Serialize}};

#[derive(Debug, Clone)]
pub struct Handler {{
    db: PgPool,
}}

impl Handler {{
    pub async fn handle(&self) -> Result<(), Error> {{
        match self.kind.as_str() {{
            "Created" => {{
                let found = sqlx::query!(
                    "SELECT * FROM events WHERE id = $1",
                    self.id
                )
                .fetch_all(&self.db)
                .await?;
            }}
            _ => {{}}
        }}
        Ok(())
    }}
}}
"""


def test_a_guide_like_the_seed_gives_exactly_its_configuration() -> None:
    """Configuration in blocks of Rust, many of which go on into code: every section, every value, in order."""
    sections = (HERE / "seed.tsk").read_text().split("\n\n[")
    blocks = [text if number == 0 else f"[{text}" for number, text in enumerate(sections)]
    code = [RUST.format(name=f"part_{number}") if number % 3 else "" for number in range(len(blocks))]
    guide = "# A guide\n" + "".join(
        f"\n### Part {number}\n\n```rust\n{block}\n{rust}```\n"
        for number, (block, rust) in enumerate(zip(blocks, code, strict=True))
    )
    problems = Problems()
    extraction = extract(source_of(guide, "guide.md"), problems)
    assert list(problems) == []
    assert len(extraction.taken) == len(blocks) == 30
    environment = {name: f"{name} here" for name in ("EVENT_STORE_DB_URL", "REDIS_URL", "JAEGER_ENDPOINT")}
    tree = load_text(extraction.source.text, "app.tsk", environment, problems).plain()
    expected = load_text((HERE / "seed.tsk").read_text(), "seed.tsk", environment, problems).plain()
    assert list(problems) == []
    assert tree == expected
    assert list(tree) == list(expected)
