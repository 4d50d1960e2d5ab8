"""Quoted texts: `@env('X')`, `${name}`, and what only looks like one of them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from tusk_runtime.language import codes, operators, refusals
from tusk_runtime.language.calculate import kind_of
from tusk_runtime.language.document import UNRESOLVED, ScalarNode
from tusk_runtime.language.rejected import REJECTED_IN_TEXTS
from tusk_runtime.language.source import Span

if TYPE_CHECKING:
    from tusk_runtime.language.values import Values

_ENVIRONMENT = re.compile(
    r"@env(?P<secure>\.secure)?\(\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\s*"
    r"(?:,(?P<default>[^()'\"]*|\s*'[^']*'\s*|\s*\"[^\"]*\"\s*))?\)"
)
_MARKS = re.compile(
    r"(?<![\w.])@(?P<call>[A-Za-z_]\w*(?:\.\w+)*)\("
    r"|@(?P<env>env(?:\.\w+)*)\("
    r"|(?<![\w.])@(?P<reference>[a-z_]\w*(?:\.\w+)+)"
    r"|\$\{(?P<name>[^{}\n]*+)\}"
    r"|(?P<ruby>\#\{@?\w[^{}\n]*+\})"
    r"|(?P<open>\$\{)"
)
_PATH = re.compile(r"\s*\$?([A-Za-z_][\w-]*(?:\.\w[\w-]*)*)\s*\Z")


def resolve_text(values: Values, node: ScalarNode) -> ScalarNode:
    """A quoted text with everything in it replaced that the language replaces.

    Text that comes from the environment alone is a node that is not `quoted`, so that a key that expects
    another type converts it; text around it makes it `quoted`.
    """
    text = str(node.value)
    if "@" not in text and "{" not in text:
        return node
    return _Text(values, node, text).run()


class _Text:
    def __init__(self, values: Values, node: ScalarNode, text: str) -> None:
        self._values = values
        self._node = node
        self._text = text
        self._raw = node.span.source.text.startswith("'", node.span.start)
        self._secret = node.secret
        self._origins: list[str] = []
        self._passed = 0  # up to where the text stays as it is

    def run(self) -> ScalarNode:
        text, node = self._text, self._node
        parts: list[str] = []
        position = 0
        for mark in _MARKS.finditer(text):
            start = mark.start()
            if start < max(position, self._passed):
                continue
            replaced = self._replace(mark)
            if replaced is not None:
                piece, end = replaced
                parts.append(text[position:start])
                parts.append(piece)
                position = end
        if not parts:
            return node
        whole = position == len(text) and len(parts) == 2 and not parts[0]
        parts.append(text[position:])
        result = "".join(parts)
        if not self._values.may_write(result, node.span):
            result = ""
        environment_only = whole and self._origins == ["environment"]
        origin = "the environment" if "environment" in self._origins else ", ".join(self._origins)
        return ScalarNode(result, node.span, not environment_only, None, self._secret, origin)

    def _replace(self, mark: re.Match[str]) -> tuple[str, int] | None:
        """What stands in place of a mark, and where the text goes on behind it; None: it stays."""
        if mark["name"] is not None:
            return None if self._raw else (self._variable(mark), mark.end())
        if mark["open"] is not None or mark["ruby"] is not None:
            self._left_open(mark)
            return None
        if mark["reference"] is not None:
            self._mention(mark)
            return None
        name = mark["call"] or mark["env"]
        if name not in ("env", "env.secure"):
            self._other_call(name, mark.start())
            return None
        match = _ENVIRONMENT.match(self._text, mark.start())
        if match is None:
            self._values.bad_call(
                self._node.at(mark.start(), mark.start() + 2 + len(name)),
                f"this call of `@{name}` cannot be read",
                f"`@{name}('NAME')` or `@{name}('NAME', 'default')`",
            )
            return None
        return self._environment(match), match.end()

    # ---- what is replaced -------------------------------------------------------------------------

    def _environment(self, match: re.Match[str]) -> str:
        name = match["single"] if match["single"] is not None else match["double"]
        span = self._node.at(*match.span())
        if not operators.VARIABLE_NAME.fullmatch(name):
            self._values.bad_call(
                span, f"`{name}` cannot be the name of an environment variable", "`@env('NAME')`"
            )
            return ""
        default = match["default"]
        secure = match["secure"] is not None
        self._secret = self._secret or secure
        self._origins.append("environment")
        found = self._values.asked(name, span, default.strip() if default is not None else None, secure)
        if found is not None:
            return found
        default = (default or "").strip()
        return default[1:-1] if default[:1] in ("'", '"') else default

    def _variable(self, mark: re.Match[str]) -> str:
        written = mark[0]
        span = self._node.at(*mark.span())
        path = _PATH.match(mark["name"])
        if path is None:
            self._values.error(
                codes.VARIABLE,
                span,
                f"`{written}` is no name",
                "write `${name}` or `${section.key}`; calculate in front: `$x: a + b`, then `${x}`; in "
                "single quotes it is plain text",
            )
            return ""
        parts = path[1].split(".")
        found = self._values.scope.find(parts)
        if found is None:
            self._values.unseen(parts, span, written)
            return ""
        if isinstance(found, ScalarNode) and found.origin == UNRESOLVED:
            return ""
        if not isinstance(found, ScalarNode) or found.value is None:
            self._values.error(
                codes.VARIABLE,
                span,
                f"`{path[1]}` is {kind_of(found)}, which has no text",
                "name a single value; a whole map or list is used without quotes: `$name`",
            )
            return ""
        self._secret = self._secret or found.secret
        self._origins.append(f"${{{path[1]}}}")
        return _shown(found)

    # ---- what stays -------------------------------------------------------------------------------

    def _left_open(self, mark: re.Match[str]) -> None:
        """`${` that is not closed, and Ruby's `#{`."""
        start = mark.start()
        if self._raw:
            return
        if mark["ruby"] is not None:
            end = self._passed = mark.end()
            self._values.warning(
                codes.STAYS_TEXT,
                self._node.at(start, min(end, start + 40)),
                "`#{…}` stays as it is",
                "write `${name}` for a value; put the text in single quotes if it is meant as it stands",
            )
        elif "${" in self._node.span.text:
            self._values.error(
                codes.VARIABLE,
                self._node.at(start, start + 2),
                "this `${` is not closed",
                "write `${name}`; in single quotes it is plain text",
            )

    def _other_call(self, name: str, start: int) -> None:
        """A call of anything but `@env`."""
        if self._raw:
            return  # a text may speak of operators
        span = self._node.at(start, start + 1 + len(name))
        if name in operators.OPERATORS:
            self._values.bad_call(
                span,
                f"`@{name}` is not replaced within a text",
                f"it outside of quotes under a name, `$x: @{name}(…)`, and `${{x}}` here",
            )
        elif name.partition(".")[0] in REJECTED_IN_TEXTS or name.startswith(("env.", "date.", "file.")):
            refusals.refuse(name, span, self._values.problems)
        elif guess := refusals.guess(name):
            self._values.error(
                codes.UNKNOWN_OPERATOR, span, f"there is no operator `@{name}`", f"did you mean `@{guess}`?"
            )
        else:
            self._stays(span, f"@{name}(…)")

    def _mention(self, mark: re.Match[str]) -> None:
        """`@env.NAME` and its like, without brackets."""
        name = mark["reference"]
        if self._raw or not refusals.is_known(name):
            return
        span = self._node.at(*mark.span())
        variable = name.removeprefix("env.")
        if variable != name and variable.isidentifier():
            self._values.bad_call(span, f"`@{name}` is not how a variable is read", f"`@env('{variable}')`")
        else:
            self._stays(span, f"@{name}")

    def _stays(self, span: Span, written: str) -> None:
        self._values.warning(
            codes.STAYS_TEXT,
            span,
            f"`{written}` stays as it is: it is no operator",
            "put the text in single quotes if it is meant so; what depends on events is written as `{{ … }}`",
        )


def _shown(node: ScalarNode) -> str:
    """The text of a single value."""
    value = node.value
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def is_function(node: ScalarNode) -> bool:
    """Whether a text block is a function in JavaScript, as FUJSEN writes them."""
    value = node.value
    return (
        isinstance(value, str)
        and node.quoted
        and value.lstrip()[:8] in ("function", "async fu")
        and node.span.text.startswith('"""')
    )
