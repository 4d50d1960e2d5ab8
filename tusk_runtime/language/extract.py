"""The configuration of a guide: the part of each fenced block that is one, and all of them as one text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.markdown import Excerpt, Fence, Line, fences, stripped
from tusk_runtime.language.parse import parse
from tusk_runtime.language.resolve import resolve
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.surroundings import Surroundings
from tusk_runtime.language.syntax_tree import Pair, Section, SyntaxTree

_NAME = r"(?:\$?[\w-]+|\"[^\"\n]+\"|'[^'\n]+')"
_BLANKS = r"(?:[ \t]*+(?:#[^\n]*+)?\n)*+"
_HEAD = re.compile(rf"{_BLANKS}\[[ \t]*{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*[ \t]*\][ \t]*(?:#[^\n]*)?(?:\n|$)")
_KEY = re.compile(
    rf"{_BLANKS}(?:{_NAME}(?:[ \t]*:(?=\s|$)|[ \t]+=[ \t]|[ \t]*[{{>][ \t]*(?:\n|$))|@import\b)"
)


class Config(NamedTuple):
    """The configuration of a fenced block, and notes on what of the block does not belong to it."""

    source: Excerpt
    notes: tuple[str, ...] = ()


class NoConfig(NamedTuple):
    """A fenced block that is not configuration, and why."""

    reason: str


def config_of(fence: Fence) -> Config | NoConfig:
    """What a fenced block says up to its first line of program code.

    A block in the language's own name is configuration, right or wrong. Any other is if it begins with a
    section or a key, and is right. Guides mark configuration as the language of the code beside it.
    """
    source = fence.source
    if not fence.is_own:
        reason = _unlike_config(fence)
        if reason:
            return NoConfig(reason)
    tree, problems = _read(source)
    code = next((d.span for d in problems if d.code == codes.PROGRAM_CODE.id), None)
    config = Config(source) if code is None else _before(source, code, tree)
    if fence.is_own:
        return config
    tree, problems = _read(config.source)
    if problems:
        first = problems[0]
        return NoConfig(f"line {first.span.line}: {first.message} ({first.code})")
    if code is not None and not tree.sections:
        # `x = 5` in front of code in Python is code too.
        return NoConfig("; ".join(config.notes))
    return config


def _unlike_config(fence: Fence) -> str:
    text = fence.source.text
    if _HEAD.match(text):
        return ""
    if fence.language in ("yaml", "yml"):
        return "YAML, without a section"
    return "" if _KEY.match(text) else "begins with neither a section nor a key"


def _read(source: Source) -> tuple[SyntaxTree, list[Diagnostic]]:
    problems = Problems()
    tree = parse(source, problems)
    return tree, problems.sorted()


def _before(source: Excerpt, code: Span, tree: SyntaxTree) -> Config:
    """The lines above the code, without its own comments and a section that holds nothing else."""
    notes = [f"program code from line {code.line} on"]
    lines = list(source.lines[: source.index(code.start)])
    sections = [section for section in tree.sections if section.span.start < code.start]
    if sections and not sections[-1].pairs:
        notes[0] += f", all that [{_path(sections[-1])}] holds"
        lines = lines[: source.index(sections[-1].span.start)]
    notes += [
        f"[{_path(section)}] in line {section.span.line} stands behind program code, and is left out"
        for section in tree.sections
        if section.span.start > code.start and section.pairs
    ]
    while lines and not _says_something(lines[-1]):
        lines.pop()
    return Config(Excerpt.of(source.origin, lines or [Line("", code.line)]), tuple(notes))


# ---- one text of many blocks ------------------------------------------------------------------------


class Part(NamedTuple):
    """What became of one fenced block: how much of it was taken, and notes on what was not."""

    fence: Fence
    sections: int
    keys: int
    notes: tuple[str, ...]


class Extraction(NamedTuple):
    """The configuration of a guide as one source, whose places are those of the guide."""

    source: Source
    parts: tuple[Part, ...]

    @property
    def taken(self) -> tuple[Part, ...]:
        """The blocks that something was taken of."""
        return tuple(part for part in self.parts if part.sections or part.keys)


def extract(guide: Source, problems: Problems, *, only: Collection[int] = ()) -> Extraction:
    """Put the configuration of a guide together: of all its blocks, or of those with these numbers.

    What stands above any section comes first, as it must. A key that was given before with the same value is
    left out. `problems` gets everything that keeps the text from being loaded, but for missing variables.
    """
    joined = _Joined(guide)
    for fence in fences(guide):
        if not only or fence.number in only:
            joined.add(fence)
    source = joined.source()
    found = Problems()
    resolve(parse(source, found), Surroundings({}), found)
    problems.extend(d for d in found.sorted() if d.code != codes.MISSING_VARIABLE.id)
    return Extraction(source, tuple(joined.parts))


class _Joined:
    """Lines of configuration from several blocks, each group under a comment that says where it stood."""

    def __init__(self, guide: Source) -> None:
        self.parts: list[Part] = []
        self._guide = guide
        self._above: list[Line] = []  # before any section
        self._sections: list[Line] = []
        self._given: dict[tuple[str, ...], tuple[Any, Span]] = {}

    def source(self) -> Source:
        """All of it."""
        lines = stripped([*self._above, *self._sections])
        return Excerpt.of(self._guide, lines) if lines else Source(self._guide.name, "")

    def add(self, fence: Fence) -> None:
        """Take what a block holds."""
        config = config_of(fence)
        if isinstance(config, NoConfig):
            self.parts.append(Part(fence, 0, 0, (config.reason,)))
            return
        notes = [*config.notes] if fence.closed else [*config.notes, "the fence is not closed"]
        lines = list(config.source.lines)
        tree, _ = _read(config.source)
        repeated = self._repeated(tree, config.source, notes)
        kept = [line for index, line in enumerate(lines) if index not in repeated]
        kept_tree, _ = _read(Excerpt.of(self._guide, kept or [Line("", fence.line)]))
        keys = len(kept_tree.pairs) + sum(len(section.pairs) for section in kept_tree.sections)
        self._append(fence, kept, kept_tree)
        self.parts.append(Part(fence, len(kept_tree.sections), keys, tuple(notes)))

    def _append(self, fence: Fence, lines: list[Line], tree: SyntaxTree) -> None:
        split = len(lines)
        if tree.sections:
            split = tree.source.text.count("\n", 0, tree.sections[0].span.start)
            while split and not _says_something(lines[split - 1]):
                split -= 1
        heading = "".join(c for c in fence.heading if c.isprintable()) or "Configuration"
        # Only the name of the guide: the text must not depend on where its writer stood.
        place = f"{PurePath(self._guide.name).name}:{fence.line}"
        comment = Line(f"# {heading} ({place})", fence.line)
        for group, target in ((lines[:split], self._above), (lines[split:], self._sections)):
            group = stripped(group)
            if any(_says_something(line) for line in group):
                target += [comment, *group, Line("", group[-1].number)]

    def _repeated(self, tree: SyntaxTree, source: Excerpt, notes: list[str]) -> set[int]:
        """The lines of the keys that were given before with the same value."""
        dropped: set[int] = set()
        for path, head, pairs in _groups(tree):
            left = len(pairs)
            for pair in pairs:
                place = (*path, pair.key.text)
                value = _without_places(pair.value)
                first = self._given.setdefault(place, (value, pair.key.span))
                if first[1] is pair.key.span or first[0] != value:
                    continue
                left -= 1
                start = source.index(pair.key.span.start)
                while start and _is_comment(source.lines[start - 1]):
                    start -= 1
                dropped.update(range(start, source.index(_end(pair.value)) + 1))
                notes.append(
                    f"{_shown(place)} in line {pair.key.span.line} is left out: "
                    f"line {first[1].line} gives it the same value"
                )
            if head is not None and pairs and not left:
                end = source.index(_end(pairs[-1])) + 1
                while end < len(source.lines) and not source.lines[end].text.strip():
                    end += 1
                dropped.update(range(source.index(head.start), end))
        return dropped


def _groups(tree: SyntaxTree) -> Iterator[tuple[tuple[str, ...], Span | None, Sequence[Pair]]]:
    """The keys above the sections, and those of each section with its path and its head."""
    yield (), None, tree.pairs
    for section in tree.sections:
        yield tuple(name.text for name in section.path), section.span, section.pairs


def _is_comment(line: Line) -> bool:
    return line.text.lstrip().startswith("#")


def _says_something(line: Line) -> bool:
    return bool(line.text.strip()) and not _is_comment(line)


def _path(section: Section) -> str:
    return ".".join(name.text for name in section.path)


def _shown(place: tuple[str, ...]) -> str:
    *path, key = place
    return f"`[{'.'.join(path)}] {key}`" if path else f"`{key}`"


def _without_places(value: Any) -> Any:
    """What a part of the tree says, wherever it stands: equal for values that are written alike."""
    if isinstance(value, ScalarNode):
        return (type(value.value).__name__, value.value)
    if isinstance(value, tuple):
        # The nodes of the tree are named tuples; their spans say where, and not what.
        return (
            type(value).__name__,
            *(_without_places(item) for item in value if not isinstance(item, Span)),
        )
    return (type(value).__name__, value)


def _end(value: Any) -> int:
    """The last offset of anything in a part of the tree: a block's own span is only the key above it."""
    if isinstance(value, Span):
        return value.end
    if isinstance(value, ScalarNode):
        return value.span.end
    return max(map(_end, value), default=0) if isinstance(value, tuple) else 0
