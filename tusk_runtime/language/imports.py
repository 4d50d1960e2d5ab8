"""Loads a file with everything that it imports: each file once, the files below it first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.files import ProjectFiles
from tusk_runtime.language.layers import Layer
from tusk_runtime.language.parse import MOST_ERRORS, parse
from tusk_runtime.language.resolve import IMPORT_KEY, resolve
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.surroundings import Surroundings
from tusk_runtime.language.syntax_tree import ListValue, Pair, SyntaxTree
from tusk_runtime.language.tokens import DEEPEST


class Importer:
    """Makes the layers of one load."""

    def __init__(self, files: ProjectFiles, surroundings: Surroundings, problems: Problems) -> None:
        self._files = files
        self._surroundings = surroundings
        self._problems = problems
        self._layers: dict[Path, Layer | None] = {}
        self._loading: list[Path] = []

    def main(self) -> Layer | None:
        """The layer of the main file; None if it cannot be read."""
        return self._layer(self._files.main, None)

    def of_text(self, source: Source) -> Layer:
        """The layer of a text that stands in the place of the main file."""
        self._loading.append(self._files.main)
        return self._resolved(self._files.main, source)

    def _layer(self, path: Path, span: Span | None) -> Layer | None:
        if span is not None and path in self._loading:
            loop = [*self._loading[self._loading.index(path) :], path]
            self._problems.error(
                codes.IMPORT_CYCLE,
                span,
                "these files need each other: " + " → ".join(f"`{self._files.shown(each)}`" for each in loop),
                help="move what both need into a file of its own",
            )
            return None
        if path in self._layers:
            return self._layers[path]
        if span is not None and len(self._loading) >= DEEPEST:
            advice = "import from fewer levels"
            self._problems.error(codes.TOO_DEEP, span, f"more than {DEEPEST} levels of imports", help=advice)
            return None
        source = self._files.source(path, span)
        self._loading.append(path)
        layer = None if source is None else self._resolved(path, source)
        self._loading.pop()
        self._layers[path] = layer
        return layer

    def _resolved(self, path: Path, source: Source) -> Layer:
        tree = parse(source, self._problems)
        surroundings = replace(
            self._surroundings,
            read_text=lambda written, span: self._text(path, written, span),
            read_layer=lambda written, span: self._named(path, written, span),
        )
        below = [*self._cascade(path)]
        below += [self._named(path, written, span) for written, span in _imports(tree, self._problems)]
        return resolve(tree, surroundings, self._problems, [layer for layer in below if layer is not None])

    def _cascade(self, path: Path) -> Iterator[Layer | None]:
        """The nearest `peanu.tsk` below a file; that in its turn stands over the next one."""
        cascade = self._files.cascade
        place = cascade.index(path) if path in cascade else len(cascade)
        if place:
            yield self._layer(cascade[place - 1], Source(self._files.shown(path), "").span(0, 0))

    def _named(self, path: Path, written: str, span: Span) -> Layer | None:
        found = self._files.inside(path.parent, written, span)
        return self._layer(found, span) if found is not None else None

    def _text(self, path: Path, written: str, span: Span) -> str | None:
        found = self._files.inside(path.parent, written, span)
        return self._files.text(found, span) if found is not None else None


def without_files(tree: SyntaxTree, problems: Problems) -> None:
    """Tell that a text that is no file cannot import."""
    for _, span in _imports(tree, problems):
        problems.error(
            codes.IMPORT, span, "there is no folder to import from", help="save the text as a file first"
        )


def _imports(tree: SyntaxTree, problems: Problems) -> Iterator[tuple[str, Span]]:
    """What a file imports, as written, in both spellings."""
    for line in tree.imports:
        if len(problems) > MOST_ERRORS:
            return
        yield str(line.path.value), line.path.span
    first: Pair | None = None
    for pair in tree.pairs:
        if pair.key.text != IMPORT_KEY:
            continue
        if first is not None:
            problems.error(
                codes.DUPLICATE_KEY,
                pair.key.span,
                f"`import` is given twice: in line {first.key.span.line} and in line {pair.key.span.line}",
                help='write one list: `import: ["a.tsk", "b.tsk"]`',
                label="given again",
                related=[(first.key.span, "first given here")],
            )
            return
        first = pair
        for item in pair.value.items if isinstance(pair.value, ListValue) else [pair.value]:
            if len(problems) > MOST_ERRORS:
                return
            if isinstance(item, ScalarNode) and isinstance(item.value, str):
                yield item.value, item.span
            else:
                problems.error(
                    codes.IMPORT, item.span, "an import names a file", help='write `import: ["other.tsk"]`'
                )
