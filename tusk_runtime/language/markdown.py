"""The fences of a Markdown guide, and the configuration in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.parse import parse
from tusk_runtime.language.source import Source
from tusk_runtime.language.syntax_tree import Pair, SyntaxTree
from tusk_runtime.language.tokens import patterns

TUSK = frozenset({"tsk", "tusk", "tusklang"})
"""The languages of fences that are configuration whatever stands in them."""

NEVER = frozenset({
    "toml", "ini", "yaml", "yml", "json", "xml", "html", "css", "sql", "sh", "bash", "zsh", "shell",
    "console", "dockerfile", "diff", "mermaid", "properties", "env", "dotenv", "csv", "graphql",
})  # fmt: skip
"""Those that are taken only where their number is named: they look like configuration, and are none."""

_OPEN = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^\n`]*)$")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$")
_ATTRIBUTES = re.compile(r"\n(?:#\[[^\n]*\n)+\Z")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its number from 1, its language and the words behind, the heading above, its text."""

    number: int
    language: str
    words: tuple[str, ...]
    heading: str
    source: Source

    @property
    def is_fragment(self) -> bool:
        """Whether it is a piece that is checked for its syntax only."""
        return "fragment" in self.words


@dataclass(frozen=True, slots=True)
class Taken:
    """What a fence gives: the pieces of configuration in it, or why there are none.

    `problems` are those of its syntax; program code behind the configuration is none.
    """

    fence: Fence
    pieces: tuple[Source, ...]
    why: str
    problems: tuple[Diagnostic, ...] = ()


def fences(text: str, name: str) -> list[Fence]:
    """All fenced blocks of a guide, also indented ones and one that is not closed."""
    found: list[Fence] = []
    heading = ""
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        opened = _OPEN.match(lines[number])
        if opened is None:
            title = _HEADING.match(lines[number])
            heading = title[1] if title is not None else heading
            number += 1
            continue
        closing = re.compile(rf"[ \t]*{re.escape(opened[2][0])}{{{len(opened[2])},}}[ \t]*$")
        first = number = number + 1
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        words = opened[3].lower().split()
        margin, content = _unindented(lines[first:number], len(opened[1]))
        source = Source(name, content, first + 1, margin)
        found.append(Fence(len(found) + 1, words[0] if words else "", tuple(words[1:]), heading, source))
        number += 1
    return found


def _unindented(lines: Sequence[str], margin: int) -> tuple[int, str]:
    """The text of a fence without the indentation of its opening line."""
    if margin and all(not line[:margin].strip() for line in lines):
        return margin, "".join(f"{line[margin:]}\n" for line in lines)
    return 0, "".join(f"{line}\n" for line in lines)


def take(fence: Fence, *, asked: bool = False) -> Taken:
    """The configuration in a fence: up to its first line of program code, and from the next section on.

    Fences of other languages are configuration if they begin with a section head and can be read; `asked`
    takes any that can be read.
    """
    if not asked and fence.language in NEVER:
        return Taken(fence, (), f"{fence.language}, which is taken only where its number is named")
    problems = Problems()
    tree = parse(fence.source, problems)
    errors = [d for d in problems.sorted() if d.severity == "error"]
    code = [d for d in errors if d.code == codes.PROGRAM_CODE.id]
    others = [d for d in errors if d.code != codes.PROGRAM_CODE.id]
    plain = fence.language in TUSK or asked
    if not plain and not _begins_with_a_head(fence.source):
        return Taken(fence, (), "it does not begin with a section")
    if others and not plain:
        return Taken(fence, (), f"line {others[0].span.line} cannot be read ({others[0].code})")
    pieces = tuple(_pieces(fence.source, tree, code))
    if not pieces:
        return Taken(fence, (), "program code only" if code else "nothing stands in it", tuple(others))
    return Taken(fence, pieces, "", tuple(others))


def _begins_with_a_head(source: Source) -> bool:
    start = patterns().blank.match(source.text)
    return start is not None and patterns().head.match(source.text, start.end()) is not None


def _pieces(source: Source, tree: SyntaxTree, code: Sequence[Diagnostic]) -> Iterator[Source]:
    """What is left of a text without program code, and without the sections that hold nothing else."""
    if not tree.pairs and not tree.sections and not tree.imports:
        return
    text = source.text
    heads = sorted(section.span.start for section in tree.sections)
    cuts: list[tuple[int, int]] = []
    for diagnostic in code:
        start = text.rfind("\n", 0, diagnostic.span.start) + 1
        attributes = _ATTRIBUTES.search(text, 0, start)
        start = attributes.start() + 1 if attributes is not None else start
        behind = next((head for head in heads if head > start), len(text))
        holder = max((section for section in tree.sections if section.span.start < start),
                     key=lambda section: section.span.start, default=None)  # fmt: skip
        if holder is not None and not holder.pairs:
            start = holder.span.start
        cuts.append((start, behind))
    position = 0
    for start, end in [*cuts, (len(text), len(text))]:
        piece = text[position:start]
        if piece.strip():
            blank = len(piece) - len(piece.lstrip("\n"))
            line = source.first_line + text.count("\n", 0, position + blank)
            yield Source(source.name, piece.strip("\n") + "\n", line, source.margin)
        position = max(position, end)


def joined(taken: Sequence[Taken], problems: Problems) -> str:
    """One text of all pieces, each under a comment that says where it stood.

    A section may come up again; so may a key with the same value, which is then left out. A key with another
    value, and anything that cannot be read, is noted in `problems`.
    """
    parts: list[str] = []
    seen: dict[tuple[str, ...], Pair] = {}
    for one in taken:
        problems.extend(one.problems)
        for piece in one.pieces:
            text = _without_repeats(piece, seen, problems)
            if text.strip():
                heading = f"{one.fence.heading} " if one.fence.heading else ""
                parts.append(f"# {heading}({PurePath(piece.name).name}:{piece.first_line})\n{text}")
    return "\n".join(parts)


def _without_repeats(piece: Source, seen: dict[tuple[str, ...], Pair], problems: Problems) -> str:
    """The text of a piece without the keys that were given before with the same value."""
    tree = parse(piece, Problems())
    text = piece.text
    pairs: list[tuple[tuple[str, ...], Pair]] = [((), pair) for pair in tree.pairs]
    for section in tree.sections:
        path = tuple(name.text for name in section.path)
        pairs += [(path, pair) for pair in section.pairs]
    for path, pair in reversed(pairs):
        key = (*path, pair.key.text)
        first = seen.setdefault(key, pair)
        if first is pair or first.key.span.source is piece:
            continue
        if first.value.span.text != pair.value.span.text or not isinstance(pair.value, ScalarNode):
            problems.error(
                codes.DUPLICATE_KEY,
                pair.key.span,
                f"`{'.'.join(key)}` is given in two places of the guide",
                help="take only one of the two fences: `--fence N`",
                related=[(first.key.span, "first given here")],
            )
        elif "\n" not in pair.value.span.text:
            start = text.rfind("\n", 0, pair.key.span.start) + 1
            text = text[:start] + text[text.index("\n", pair.value.span.end) + 1 :]
    return text
