"""From a syntax tree to a document: sections merged, double keys found, operators carried out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tusk_runtime.language import codes, operators
from tusk_runtime.language.diagnostics import Code, Problems
from tusk_runtime.language.document import Document, Entry, ListNode, MapNode, Node, ScalarNode
from tusk_runtime.language.lexer import DEEPEST
from tusk_runtime.language.parse import MOST_ERRORS
from tusk_runtime.language.source import Span
from tusk_runtime.language.syntax_tree import Call, ListValue, MapValue, Pair, Section, SyntaxTree, Value

_ENVIRONMENT = re.compile(
    r"@env(?P<secure>\.secure)?\(\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\s*"
    r"(?:,(?P<default>[^()'\"]*|\s*'[^']*'\s*|\s*\"[^\"]*\"\s*))?\)"
)
_CALL = re.compile(r"(?<![\w.])@(?!env\b)([A-Za-z_]\w*(?:\.\w+)*)\(|@(env(?:\.\w+)*)\(")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def resolve(tree: SyntaxTree, environment: Mapping[str, str], problems: Problems) -> Document:
    """Turn a syntax tree into a document.

    Text that comes from the environment is a ScalarNode that is not `quoted`, so that a key that expects
    another type converts it; text around it makes it `quoted`. What could not be resolved is null, with
    an error in `problems`.
    """
    return _Resolver(tree, environment, problems).run()


class _Resolver:
    def __init__(self, tree: SyntaxTree, environment: Mapping[str, str], problems: Problems) -> None:
        self._tree = tree
        self._source = tree.source
        self._environment = environment
        self._problems = problems
        self._limit = len(problems) + MOST_ERRORS
        self._asked: dict[str, None] = {}

    def run(self) -> Document:
        root = MapNode({}, Span(self._source, 0, 0))
        for pair in self._tree.pairs:
            if pair.key.text == "import":
                self._error(
                    codes.IMPORT_NOT_YET,
                    pair.key.span,
                    "imports are not available yet",
                    "put everything into one file for now",
                )
        self._fill(root, self._tree.pairs)
        for section in self._tree.sections:
            self._section(root, section)
        return Document(root, environment=tuple(self._asked))

    # ---- maps -------------------------------------------------------------------------------------

    def _section(self, root: MapNode, section: Section) -> None:
        target = root
        path = section.path
        if len(path) > DEEPEST:
            self._error(codes.TOO_DEEP, section.span, f"more than {DEEPEST} levels", "shorten the path")
            path = path[:1]
        for depth, name in enumerate(path):
            entry = target.entries.get(name.text)
            if entry is None:
                entry = Entry(name.text, name.span, MapNode({}, section.span))
                target.entries[name.text] = entry
            if not isinstance(entry.node, MapNode):
                place = ".".join(part.text for part in path[: depth + 1])
                self._error(
                    codes.SECTION_CONFLICT,
                    name.span,
                    f"`{place}` is a value already, and cannot be a section",
                    "rename the section or the key",
                    related=[(entry.key_span, "given as a value here")],
                )
                # Its keys are checked all the same, in a map that nobody sees.
                target = MapNode({}, section.span)
                break
            target = entry.node
        self._fill(target, section.pairs)

    def _fill(self, target: MapNode, pairs: Sequence[Pair]) -> None:
        entries = target.entries
        for pair in pairs:
            key, span = pair.key.text, pair.key.span
            value = pair.value
            node = value if type(value) is ScalarNode and not value.quoted else self._node(value)
            if key.endswith("fujsen") or (isinstance(node, ScalarNode) and _is_function(node)):
                self._error(
                    codes.FUJSEN,
                    span,
                    "functions (FUJSEN) are not run",
                    "write what it decides as `{{ }}` expressions; Python code is named by the `call` action",
                )
            first = entries.get(key)
            if first is None:
                entries[key] = Entry(key, span, node)
                continue
            self._error(
                codes.DUPLICATE_KEY,
                span,
                f"`{key}` is given twice: in line {first.key_span.line} and in line {span.line}",
                "remove one of the two",
                label="given again",
                related=[(first.key_span, "first given here")],
            )

    # ---- values -----------------------------------------------------------------------------------

    def _node(self, value: Value) -> Node:
        if isinstance(value, ScalarNode):
            return self._text(value) if value.quoted else value
        if isinstance(value, ListValue):
            return ListNode(tuple([self._node(item) for item in value.items]), value.span)
        if isinstance(value, MapValue):
            node = MapNode({}, value.span)
            self._fill(node, value.pairs)
            return node
        return self._call(value)

    def _call(self, call: Call) -> Node:
        nothing = ScalarNode(None, call.span)
        if operators.refuse(call.name, call.name_span, self._problems):
            return nothing
        arguments = call.arguments
        if not 1 <= len(arguments) <= 2:
            self._bad_call(call.span, f"`@{call.name}` takes a name and perhaps a default")
            return nothing
        name = arguments[0]
        if not (isinstance(name, ScalarNode) and name.quoted and isinstance(name.value, str)):
            written = name.span.text if isinstance(name, ScalarNode) else "NAME"
            self._bad_call(
                name.span, "the name of the variable must stand in quotes", f"`@{call.name}('{written}')`"
            )
            return nothing
        if not self._is_name(name.value, name.span):
            return nothing
        secret = call.name == "env.secure"
        self._asked[name.value] = None
        found = self._environment.get(name.value)
        if found is not None:
            return ScalarNode(found, call.span, secret=secret)
        if len(arguments) == 1:
            self._missing(name.value, call.span)
            return nothing
        default = self._node(arguments[1])
        if isinstance(default, ScalarNode):
            secret = secret or default.secret
            return ScalarNode(default.value, call.span, default.quoted, None, secret)
        return default

    def _text(self, node: ScalarNode) -> ScalarNode:
        """A quoted text, with the operators in it carried out."""
        text = str(node.value)
        raw = self._source.text.startswith("'", node.span.start)
        if "${" in text and not raw and "${" in node.span.text:
            start = text.index("${")
            end = text.find("}", start) + 1 or len(text)
            self._error(
                codes.VARIABLE,
                node.at(start, end),
                f"`{text[start:end]}` in a text is not available yet",
                "write the value itself, or use single quotes if it is meant as it stands",
            )
        if "@" not in text:
            return node
        parts: list[str] = []
        position, secret, resolved = 0, False, False
        for call in _CALL.finditer(text):
            start = call.start()
            if start < position:
                continue
            name = call[1] or call[2]
            if name not in operators.AVAILABLE:
                # In single quotes a text may speak of operators; only @env is carried out there.
                if operators.is_known(name) and not raw:
                    operators.refuse(name, node.at(start, start + 1 + len(name)), self._problems)
                continue
            match = _ENVIRONMENT.match(text, start)
            if match is None:
                self._bad_call(
                    node.at(start, start + 2 + len(name)),
                    f"this call of `@{name}` cannot be read",
                    f"`@{name}('NAME')` or `@{name}('NAME', 'default')`",
                )
                continue
            parts.append(text[position:start])
            parts.append(self._embedded(node, match))
            position = match.end()
            secret = secret or match["secure"] is not None
            resolved = True
        if not resolved:
            return node
        whole = position == len(text) and len(parts) == 2 and not parts[0]
        parts.append(text[position:])
        return ScalarNode("".join(parts), node.span, not whole, None, secret)

    def _embedded(self, node: ScalarNode, match: re.Match[str]) -> str:
        name = match["single"] if match["single"] is not None else match["double"]
        span = node.at(*match.span())
        if not self._is_name(name, span):
            return ""
        self._asked[name] = None
        found = self._environment.get(name)
        if found is not None:
            return found
        default = match["default"]
        if default is None:
            self._missing(name, span)
            return ""
        default = default.strip()
        return default[1:-1] if default[:1] in ("'", '"') else default

    # ---- problems ---------------------------------------------------------------------------------

    def _is_name(self, name: str, span: Span) -> bool:
        if _NAME.fullmatch(name):
            return True
        self._bad_call(span, f"`{name}` cannot be the name of an environment variable", "`@env('NAME')`")
        return False

    def _missing(self, name: str, span: Span) -> None:
        self._error(
            codes.MISSING_VARIABLE,
            span,
            f"the environment variable `{name}` is not set",
            f"`export {name}=…`, or give a default: `@env('{name}', \"…\")`",
            label="no value and no default",
        )

    def _bad_call(self, span: Span, message: str, form: str = "`@env('NAME', default)`") -> None:
        self._error(codes.BAD_CALL, span, message, f"write {form}")

    def _error(
        self,
        code: Code,
        span: Span,
        message: str,
        advice: str,
        label: str = "",
        related: Sequence[tuple[Span, str]] = (),
    ) -> None:
        if len(self._problems) < self._limit:
            self._problems.error(code, span, message, help=advice, label=label, related=related)


def _is_function(node: ScalarNode) -> bool:
    """Whether a text block is a function in JavaScript, as FUJSEN writes them."""
    value = node.value
    return (
        isinstance(value, str)
        and node.quoted
        and value.lstrip()[:8] in ("function", "async fu")
        and node.span.text.startswith('"""')
    )
