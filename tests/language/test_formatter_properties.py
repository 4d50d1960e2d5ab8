"""Whatever the white space, the style or the damage: a formatted text says the same, and is final."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_formatter import comments_and_words, form, texts
from test_language_properties import KEYS, PIECES, VALUES, inline

from tusk_runtime.language import formatter
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.files import source_of
from tusk_runtime.language.formatter import NotFaithful, says_the_same
from tusk_runtime.language.layout import laid_out
from tusk_runtime.language.parse import parse
from tusk_runtime.language.syntax_tree import SyntaxTree
from tusk_runtime.language.tokens import Token

THOROUGH = settings(max_examples=100, deadline=None)
TEXTS = [(text, once) for _, text in texts() if (once := form(text))]


def tree(text: str) -> SyntaxTree:
    """The tree of a text without syntax errors."""
    problems = Problems()
    found = parse(source_of(text, "app.tsk"), problems)
    assert not problems.has_errors, text
    return found


def checked(text: str) -> str:
    """The text in its one form, after everything that must hold of it was looked at."""
    once = form(text)
    assert once is not None, text
    assert says_the_same(tree(text), tree(once))
    assert comments_and_words(once) == comments_and_words(text)
    assert form(once) == once
    return once


# ---- the form does not depend on the white space ------------------------------------------------

# Where a comment stands at the end of a line, its column is part of what the author says.
WITHOUT_COMMENTS_AT_ENDS = [
    once for _, once in TEXTS if not re.search(r"^[^#\n]*[^\s#][^#\n]*#", once, re.MULTILINE)
]


@THOROUGH
@given(st.sampled_from(WITHOUT_COMMENTS_AT_ENDS), st.data())
def test_white_space_does_not_matter(text: str, data: st.DataObject) -> None:
    """Other indentation, spaces between tokens and at the ends of lines, blank lines and line ends."""
    wide = data.draw(st.integers(1, 4))
    tokens: list[Token] = []
    parse(source_of(text, "app.tsk"), Problems(), tokens)
    parts: list[str] = []
    end, kind = 0, ""
    for token in tokens:
        if token.end == token.start or token.type in ("NEWLINE", "LINE"):
            continue
        gap = text[end : token.start]
        if "\n" in gap or not end:
            gap = re.sub("^ +", lambda match: match[0] * wide, gap, flags=re.MULTILINE)
            gap = gap.replace("\n", " " * data.draw(st.integers(0, 2)) + "\n", 1)
            gap = gap.replace("\n\n", data.draw(st.sampled_from(["\n\n", "\n \n\n", "\n\n\t\n"])))
        elif gap == " ":  # behind a dash begins the column of the keys below
            gap *= 2 * wide - 1 if kind == "DASH" else data.draw(st.integers(1, 4))
        parts += [gap, text[token.start : token.end]]
        end, kind = token.end, token.type
    other = "".join(parts) + text[end:] + "\n" * data.draw(st.integers(0, 2))
    if data.draw(st.booleans()):
        other = other.replace("\n", "\r\n")
    assert checked(other) == text


# ---- random documents, in every style -----------------------------------------------------------


class Style:
    """Writes a document in styles that are drawn one by one."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []

    def one_of(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def between(self) -> None:
        """Perhaps a blank line, or a comment."""
        if self.draw(st.integers(0, 3)) == 0:
            comment = " " * self.draw(st.integers(0, 7)) + self.one_of("# note", "#note", "#", "#--- x: 1")
            self.lines.append(self.one_of("", "   ", "\t", comment))

    def end(self) -> str:
        return self.one_of("", "", "", " ", " # at the end", "      # far", "  #")

    def value(self, item: object, indent: int) -> str:
        """A value behind its key, perhaps over lines."""
        if not (isinstance(item, list | dict) and item and self.draw(st.booleans())):
            written = inline(item)
            return written if self.draw(st.booleans()) else written.replace(", ", " ,").replace("{ ", "{")
        pad = indent + self.draw(st.integers(1, 5))
        parts = [self.value(each, pad) for each in (item.values() if isinstance(item, dict) else item)]
        if isinstance(item, dict):
            sign = self.one_of(":", " = ", ": ", "=")
            parts = [f"{key}{sign}{part}" for key, part in zip(item, parts, strict=True)]
        comma = self.one_of("", ",", " ,")
        body = "".join(f"{' ' * pad}{part}{comma}{self.end()}\n" for part in parts)
        opening, closing = "{}" if isinstance(item, dict) else "[]"
        return f"{opening}{self.end()}\n{body}{' ' * self.draw(st.integers(0, 3))}{closing}"

    def pair(self, key: str, item: object, indent: int) -> None:
        pad, kind = " " * indent, self.draw(st.integers(0, 4))
        deeper = indent + self.draw(st.integers(1, 4))
        self.between()
        if isinstance(item, dict) and item and kind == 0:
            self.lines.append(f"{pad}{key}:{self.end()}")
            self.pairs(item, deeper)
        elif isinstance(item, dict) and kind == 1:
            self.lines.append(f"{pad}{key} >{self.end()}")
            self.pairs(item, deeper)
            self.lines.append(f"{pad}<{self.end()}")
        elif isinstance(item, list) and item and kind < 2:
            self.lines.append(f"{pad}{key}:{self.end()}")
            dashes = indent if kind else deeper
            for each in item:
                self.between()
                self.lines.append(f"{' ' * dashes}- {self.value(each, dashes + 2)}{self.end()}")
        else:
            sign = " " if isinstance(item, dict) and kind == 2 else self.one_of(": ", "=", " = ", " :  ")
            self.lines.append(f"{pad}{key}{sign}{self.value(item, indent)}{self.end()}")

    def pairs(self, items: dict[str, object], indent: int) -> None:
        for key, item in items.items():
            self.pair(key, item, indent)

    def document(self) -> str:
        sections = self.draw(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))
        for name, items in sections.items():
            self.between()
            self.lines.append(f"[{name}]{self.end()}")
            self.pairs(items, self.draw(st.sampled_from([0, 0, 2])))
            self.between()
        text = "\n".join(self.lines) + self.one_of("", "\n", "\n\n")
        return text.replace("\n", self.one_of("\n", "\r\n"))


@THOROUGH
@given(st.composite(lambda draw: Style(draw).document())())
def test_documents_in_every_style(text: str) -> None:
    checked(text)


# ---- damage -------------------------------------------------------------------------------------


@THOROUGH
@given(st.sampled_from([text for text, _ in TEXTS]), st.data())
def test_a_damaged_text_is_formatted_or_refused(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    piece = data.draw(st.sampled_from([*PIECES, "\n\n", " #x\n", "\n#x\n", "\n  #x\n"]))
    damaged = text[:start] + piece + text[end:]
    if form(damaged) is not None:
        checked(damaged)


FAULTS = {
    "a key is lost": "x: 1\n",
    "a value is changed": "x: 1\ny: 3\n",
    "the order is changed": "y: 2\nx: 1\n",
    "the text is broken": "x: [\n",
    "a character cannot be read": "x: 1\ny: 2\n# \u200b\n",
    "the form is not final": "x:  1\ny:  2\n",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_formatter_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        formatter,
        "laid_out",
        lambda source, tokens: fault if "=" in source.text else laid_out(source, tokens),
    )
    with pytest.raises(NotFaithful):
        form("x = 1\ny = 2\n")


def test_what_says_the_same() -> None:
    assert says_the_same(tree("a: [1, 2]"), tree("a =\n  - 1\n  - 2"))
    for text in ("a: [1, 3]", "a: [1]", "a: [1, 2.0]", 'a: [1, "2"]', "b: [1, 2]", "[a]", "a: [1, 2]\nb: 1"):
        assert not says_the_same(tree("a: [1, 2]"), tree(text)), text
    assert not says_the_same(tree("a: x"), tree('a: "x"'))
    assert not says_the_same(tree("a: $x + $y"), tree("a: $x == $y"))


def test_a_long_line_is_formatted_at_once() -> None:
    assert form("x: [" + "1," * 20_000 + "]\n") == "x: [" + "1, " * 19_999 + "1]\n"
