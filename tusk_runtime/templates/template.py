"""A template: read and checked when the file is loaded, written for each event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tusk_runtime.expressions import Scope
from tusk_runtime.expressions.expression import Path
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode

Write = Callable[[Mapping[str, Any]], str]


class Template(NamedTuple):
    """A text, or a page, that is written for each event.

    `names` are those that it sees, in the order in which it takes their values; `reads` are those that it
    reads. Without `write` it is the same each time.
    """

    text: str
    names: tuple[str, ...]
    reads: frozenset[Path]
    write: Write | None

    def render(self, arguments: Sequence[Any]) -> str:
        """What it says for these values. Raises ExpressionFailed. It may take a while, at most seconds."""
        if self.write is None:
            return self.text
        read = {path[0] for path in self.reads}
        return self.write({name: value for name, value in zip(self.names, arguments) if name in read})  # noqa: B905 - the id of the event comes last


def compile_template(
    node: ScalarNode, scope: Scope, problems: Problems, what: str, *, html: bool
) -> Template | None:
    """The template of a text of the file, or None with problems noted. `what` names the place in words.

    With `html` what stands between braces is escaped.
    """
    text, names = str(node.value), tuple(scope.names)
    if "{" not in text:
        return Template(text, names, frozenset(), None)
    from tusk_runtime.templates.reading import read_template  # only who writes templates loads Jinja2

    return read_template(node, scope, problems, what, html=html)
