"""A problem in a file: its code, its place, what was expected, and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.source import Span

Severity = Literal["error", "warning"]


class Code(NamedTuple):
    """A kind of problem: its stable id, a title, and the explanation that the documentation prints."""

    id: str
    title: str
    explanation: str


CODES: dict[str, Code] = {}
"""All codes by id. Each layer defines its own with `define`."""


def define(id: str, title: str, explanation: str) -> Code:  # noqa: A002 - the field's name
    """Add a code to the table. Ids are never reused.

    TSK0xx syntax, TSK1xx loading (variables, environment, operators), TSK2xx sections, keys, values and
    types, TSK3xx rules between declarations, TSK4xx expressions, TSK5xx starting, TSK6xx tests,
    TSK9xx not available yet.
    """
    if id in CODES:
        raise ValueError(f"the code {id} is defined twice")
    code = CODES[id] = Code(id, title, explanation)
    return code


class Related(NamedTuple):
    """A second place that explains a problem, such as the first of two definitions."""

    span: Span
    label: str


class Diagnostic(NamedTuple):
    """One problem.

    `message` says what is wrong, `label` is the short text beside the caret (often what was expected),
    `help` says what to write.
    """

    code: str
    severity: Severity
    span: Span
    message: str
    help: str = ""
    label: str = ""
    related: tuple[Related, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The machine form that `tusk check --format json` prints."""
        span = self.span
        document: dict[str, Any] = {
            "code": self.code,
            "severity": self.severity,
            "file": span.file,
            "line": span.line,
            "column": span.column,
            "end_line": span.end_line,
            "end_column": span.end_column,
            "message": self.message,
            "help": self.help,
        }
        if self.related:
            document["related"] = [
                {"file": r.span.file, "line": r.span.line, "column": r.span.column, "label": r.label}
                for r in self.related
            ]
        return document


class Problems:
    """Gathers all problems of a stage, so that they are told in one go."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def error(
        self,
        code: Code,
        span: Span,
        message: str,
        *,
        help: str = "",  # noqa: A002 - the field's name
        label: str = "",
        related: Iterable[tuple[Span, str]] = (),
    ) -> None:
        """Note a problem that stops the load."""
        self._add(code, "error", span, message, help, label, related)

    def warning(
        self,
        code: Code,
        span: Span,
        message: str,
        *,
        help: str = "",  # noqa: A002 - the field's name
        label: str = "",
        related: Iterable[tuple[Span, str]] = (),
    ) -> None:
        """Note a problem that is told, and stops only under `--strict`."""
        self._add(code, "warning", span, message, help, label, related)

    def _add(
        self,
        code: Code,
        severity: Severity,
        span: Span,
        message: str,
        help: str,  # noqa: A002 - the field's name
        label: str,
        related: Iterable[tuple[Span, str]],
    ) -> None:
        pairs = tuple(Related(place, text) for place, text in related)
        self._found.append(Diagnostic(code.id, severity, span, message, help, label, pairs))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over what another stage found."""
        self._found.extend(diagnostics)

    @property
    def has_errors(self) -> bool:
        """Whether anything found so far stops the load."""
        return any(d.severity == "error" for d in self._found)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def sorted(self) -> list[Diagnostic]:
        """All problems in the order of the text, each once."""
        unique = dict.fromkeys(self._found)
        return sorted(unique, key=lambda d: (d.span.file, d.span.start, d.code))

    def raise_if_errors(self) -> None:
        """Raise InvalidConfiguration with everything found, if anything found is an error."""
        if self.has_errors:
            raise InvalidConfiguration(self.sorted())


MOST_COMPARED = 100
"""How many names an unknown one is compared with letter by letter."""


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that the writer most likely meant, or None.

    A candidate counts if it differs by case or separators only, or by an edit distance (adjacent letters
    swapped count once) of at most 2, at most a third of the longer word, rounded up. Of equally near ones the
    first with the same first letter is taken. Of very many candidates those that begin or end alike are
    looked at first, and no more than MOST_COMPARED.
    """
    lower, folded, length = word.lower(), _fold(word), len(word)
    alike: list[str] = []
    others: list[str] = []
    for candidate in candidates:
        small = candidate.lower()
        if small[:1] == lower[:1] and candidate != word and _fold(candidate) == folded:
            return candidate
        if -2 <= len(candidate) - length <= 2 and candidate != word:
            (alike if small[:2] == lower[:2] or small[-2:] == lower[-2:] else others).append(candidate)
    best: tuple[int, bool, str] | None = None
    for candidate in [*alike, *others][:MOST_COMPARED]:
        limit = min(2, -(-max(length, len(candidate)) // 3))
        distance = _distance(lower, candidate.lower(), limit)
        found = distance, candidate[:1].lower() != lower[:1], candidate
        # Of one letter nothing is left when it is another.
        near = distance <= limit and distance < max(length, len(candidate))
        if near and (best is None or found[:2] < best[:2]):
            best = found
    return best[2] if best else None


def did_you_mean(word: str, candidates: Sequence[str] | Iterable[str]) -> str:
    """The help text that names the nearest candidate, or the known ones if they are few, or nothing."""
    known = list(candidates)
    guess = nearest(word, known)
    return f"did you mean `{guess}`?" if guess is not None else known_here(known)


def known_here(names: Sequence[str]) -> str:
    """The help text that names all that are known, if they are few, or nothing."""
    if 0 < len(names) <= 12:
        return "known here: " + ", ".join(f"`{name}`" for name in sorted(names))
    return ""


def _fold(word: str) -> str:
    return word.replace("_", "").replace("-", "").replace(".", "").lower()


@lru_cache(maxsize=4096)  # a slip is often repeated
def _distance(a: str, b: str, limit: int) -> int:
    """The edit distance of two words with swaps of neighbours, or limit + 1 if it is more."""
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        current = [i]
        for j, other in enumerate(b, 1):
            cost = 0 if char == other else 1
            value = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
            if i > 1 and j > 1 and char == b[j - 2] and a[i - 2] == other:
                value = min(value, before[j - 2] + 1)
            current.append(value)
        if min(current) > limit:
            return limit + 1
        before, previous = previous, current
    return previous[-1]
