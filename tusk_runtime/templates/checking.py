"""What a template may hold, and whether all that it names is there: told when the file is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Environment, nodes

from tusk_runtime.expressions import codes
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.library.times import formatter
from tusk_runtime.language.diagnostics import Code, Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.templates.sandbox import LOOP
from tusk_runtime.types import STRING, UNKNOWN, Type

Names = dict[str, Type | None]
"""What is visible, with its type where that is known."""
STATEMENTS: Mapping[type[nodes.Node], str] = {
    nodes.Extends: "extends", nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "from",
    nodes.Macro: "macro", nodes.CallBlock: "call", nodes.FilterBlock: "filter", nodes.Block: "block",
    nodes.With: "with", nodes.AssignBlock: "set … endset", nodes.Scope: "autoescape",
}  # fmt: skip
SETTLING = ("default", "d")
_NEWLINE = re.compile(r"\r\n|\r|\n")


class Checker:
    """Checks one template. `reads` are the names of the scope that it reads."""

    def __init__(self, node: ScalarNode, environment: Environment, problems: Problems, what: str) -> None:
        self.node, self.environment, self.problems, self.what = node, environment, problems, what
        self.text = str(node.value)
        self.lines = [0, *(match.end() for match in _NEWLINE.finditer(self.text))]
        self.reads: set[str] = set()

    # ---- places -----------------------------------------------------------------------------------

    def span(self, line: int, word: str = "") -> Span:
        """The place of a word in a line, or of the line. Jinja2 tells no more than that."""
        begin = self.lines[min(max(line, 1), len(self.lines)) - 1]
        end = next((at for at in self.lines if at > begin), len(self.text))
        if word:
            match = re.search(rf"(?<![\w'\"]){re.escape(word)}(?!\w)", self.text[begin:])
            if match is not None:
                return self.node.at(begin + match.start(), begin + match.end())
        bare = self.text[begin:end]
        stripped = bare.strip()
        start = begin + len(bare) - len(bare.lstrip())
        return self.node.at(start, start + len(stripped)) if stripped else self.node.span

    def note(self, code: Code, line: int, word: str, message: str, advice: str) -> None:
        """Note a problem."""
        self.problems.error(code, self.span(line, word), message, help=advice)

    # ---- statements -------------------------------------------------------------------------------

    def body(self, body: Iterable[nodes.Node], names: Names, settled: bool) -> None:
        """Check statements. `settled`: a condition stands around them, which may have asked for null."""
        for each in body:
            self.statement(each, names, settled)

    def statement(self, node: nodes.Node, names: Names, settled: bool) -> None:
        """Check one."""
        match node:
            case nodes.Output():
                for part in node.nodes:
                    self.written(part, names, settled)
            case nodes.If():
                self.value(node.test, names, settled)
                self.body([*node.body, *node.elif_, *node.else_], names, True)
            case nodes.For():
                self.loop(node, names, settled)
            case nodes.Assign() if isinstance(node.target, nodes.Name):
                names[node.target.name] = self.value(node.node, names, settled)
            case nodes.Assign() if isinstance(node.target, nodes.Tuple):
                self.value(node.node, names, settled)
                names.update({each.name: None for each in node.target.find_all(nodes.Name)})
            case _:
                word = STATEMENTS.get(type(node), "this")
                message = f"`{word}` is not available in {self.what}" if word != "this" else (
                    f"{self.what} holds a statement that is not available"
                )  # fmt: skip
                # That of `autoescape` has no line; what stands in it has.
                line = node.lineno or next(each.lineno for each in node.iter_child_nodes())
                self.note(codes.BAD_TEMPLATE, line, word, message, "there are `if`, `for` and `set`")

    def loop(self, node: nodes.For, names: Names, settled: bool) -> None:
        """A `for`: what is set in it is not seen behind it."""
        if node.recursive:
            message = f"a loop of {self.what} is `recursive`"
            self.note(
                codes.BAD_TEMPLATE, node.lineno, "recursive", message, "write a loop inside of the loop"
            )
        type_ = self.value(node.iter, names, settled)
        self.no_null(node.iter, type_, settled)
        inner = {**names, "loop": None}
        item = None
        if type_ is not None and type_.kind == "list":
            item = type_.item
        elif type_ is not None and type_.kind in ("map", "record"):
            item = STRING
        elif type_ is not None and type_.kind != "json":
            message = f"`{text_of(node.iter)}` is of type {type_}, and no list"
            self.note(codes.TYPE, node.lineno, word_of(node.iter), message, "go over a list")
        if isinstance(node.target, nodes.Name):
            inner[node.target.name] = item
        else:
            inner.update({each.name: None for each in node.target.find_all(nodes.Name)})
        if node.test is not None:
            self.value(node.test, inner, settled)
        self.body(node.body, inner, settled or node.test is not None)
        self.body(node.else_, dict(names), settled)

    def written(self, node: nodes.Node, names: Names, settled: bool) -> None:
        """What stands between `{{` and `}}`."""
        if isinstance(node, nodes.TemplateData):
            return
        type_ = self.value(node, names, settled)
        self.no_null(node, type_, settled)
        if type_ is not None and type_.kind in ("list", "map", "record"):
            text = text_of(node)
            advice = f"go over it: `{{% for x in {text} %}}{{{{ x }}}}{{% endfor %}}`"
            if type_.kind == "record":
                advice = "write one of its fields, or `| tojson`"
            message = f"`{text}` is of type {type_}, and no text"
            self.note(codes.RESULT, node.lineno, word_of(node), message, advice)

    def no_null(self, node: nodes.Node, type_: Type | None, settled: bool) -> None:
        """Note what may be null, where nothing asks for that."""
        if type_ is None or type_ is UNKNOWN or not type_.optional or settled:
            return
        text = text_of(node)
        advice = f"write `{text} | default('…')`, or ask before: `{{% if {text} is not none %}}`"
        self.note(codes.NULLABLE, node.lineno, word_of(node), f"`{text}` may be null", advice)

    # ---- expressions ------------------------------------------------------------------------------

    def value(self, node: nodes.Node, names: Names, settled: bool) -> Type | None:
        """Check an expression; gives its type where that is known."""
        match node:
            case nodes.Name():
                return self.name(node, names)
            case nodes.Getattr():
                return self.field(node, node.attr, names, settled)
            case nodes.Getitem(arg=nodes.Const(value=str() as name)):
                return self.field(node, name, names, settled)
            case nodes.Getitem():
                type_ = self.value(node.node, names, settled)
                self.value(node.arg, names, settled)
                self.no_null(node.node, type_, settled)
                one = isinstance(node.arg, nodes.Const)
                return type_.item if type_ is not None and type_.kind == "list" and one else None
            case nodes.CondExpr():
                self.value(node.test, names, settled)
                for each in (node.expr1, node.expr2):
                    if each is not None:
                        self.value(each, names, True)
            case nodes.And() | nodes.Or():
                self.value(node.left, names, settled)
                self.value(node.right, names, True)
            case nodes.Filter():
                self.filter(node, names, settled)
            case nodes.Test():
                self.known(node.name, self.environment.tests, "test", node.lineno)
                self.children(node, names, settled or node.name in ("defined", "undefined"))
            case nodes.Call():
                self.call(node, names, settled)
            case nodes.Pow():
                advice = "multiply: `x * x`"
                self.note(
                    codes.BAD_TEMPLATE, node.lineno, "**", f"`**` is not available in {self.what}", advice
                )
            case _:
                self.children(node, names, settled)
        return None

    def children(self, node: nodes.Node, names: Names, settled: bool) -> None:
        """Check what an expression is made of."""
        for each in node.iter_child_nodes():
            if isinstance(each, nodes.Expr):
                self.value(each, names, settled)
            else:
                self.children(each, names, settled)

    def name(self, node: nodes.Name, names: Names) -> Type | None:
        """A name that stands alone, or in front of a field."""
        if node.name in names:
            self.reads.add(node.name)
            return names[node.name]
        advice = one_of(node.name, sorted(names), "names")
        if node.name == "null":
            advice = "write `none`"
        self.note(codes.UNKNOWN_NAME, node.lineno, node.name, f"there is no `{node.name}` here", advice)
        return None

    def field(
        self, node: nodes.Getattr | nodes.Getitem, name: str, names: Names, settled: bool
    ) -> Type | None:
        """A field of a record, an entry of a map."""
        if isinstance(node.node, nodes.Name) and node.node.name == "loop" and names.get("loop", node) is None:
            if name not in LOOP:
                advice = one_of(name, sorted(LOOP), "fields of `loop`")
                self.note(codes.UNKNOWN_FIELD, node.lineno, name, f"`loop` has no field `{name}`", advice)
            return None
        type_ = self.value(node.node, names, settled)
        if type_ is None or type_ is UNKNOWN:
            return None
        self.no_null(node.node, type_, settled)
        if type_.record is not None:
            if name in type_.fields:
                return type_.fields[name].type
            owner = type_.record.name
            advice = one_of(name, type_.fields, f"fields of {owner}")
            self.note(codes.UNKNOWN_FIELD, node.lineno, name, f"{owner} has no field `{name}`", advice)
        elif type_.kind == "map":
            return type_.item
        elif type_.kind != "json":
            text = text_of(node.node)
            advice = (
                f"go over it: `{{% for x in {text} %}}`" if type_.kind == "list" else f"write `{text}` alone"
            )
            message = f"`{text}` is of type {type_}, and has no field `{name}`"
            self.note(codes.UNKNOWN_FIELD, node.lineno, name, message, advice)
        return None

    def filter(self, node: nodes.Filter, names: Names, settled: bool) -> None:
        """A filter with its arguments."""
        self.known(node.name, self.environment.filters, "filter", node.lineno)
        settling = node.name in SETTLING
        if node.node is not None:
            type_ = self.value(node.node, names, settled or settling)
            self.no_null(node.node, type_, settled or settling or node.name == "tojson")
        for each in given(node):
            self.value(each, names, settled)
        if node.name == "format" and node.args and isinstance(node.args[0], nodes.Const):
            try:
                formatter(str(node.args[0].value))
            except ValueError as error:
                advice = "write one as in `now | format('%d.%m.%Y')`"
                self.note(codes.PATTERN, node.lineno, "format", str(error), advice)

    def known(self, name: str, known: Mapping[str, Any], what: str, line: int) -> None:
        """Note a filter or a test that is not there."""
        if name not in known:
            named = sorted(each for each in known if each.isidentifier())
            message = f"there is no {what} `{name}` in {self.what}"
            self.note(codes.UNKNOWN_FUNCTION, line, name, message, one_of(name, named, f"{what}s"))

    def call(self, node: nodes.Call, names: Names, settled: bool) -> None:
        """A call: only `range` can be called."""
        if not (isinstance(node.node, nodes.Name) and node.node.name == "range"):
            text = text_of(node.node)
            word = text.rpartition(".")[2]
            advice = f"write it as a filter: `x | {word}`" if word in self.environment.filters else (
                "there are filters, as in `x | upper`, and `range(…)`"
            )  # fmt: skip
            message = f"`{text}` cannot be called in {self.what}"
            self.note(codes.BAD_TEMPLATE, node.lineno, word, message, advice)
        for each in given(node):
            self.value(each, names, settled)


def given(node: nodes.Filter | nodes.Call) -> Iterator[nodes.Node]:
    """The arguments of a filter or a call."""
    yield from node.args
    for pair in node.kwargs:
        yield from pair.iter_child_nodes()
    yield from (each for each in (node.dyn_args, node.dyn_kwargs) if each is not None)


def text_of(node: nodes.Node) -> str:
    """What an expression reads as, for messages."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{text_of(node.node)}.{node.attr}"
        case nodes.Getitem(arg=nodes.Const(value=value)):
            return f"{text_of(node.node)}[{value!r}]"
        case nodes.Filter() if node.node is not None:
            return f"{text_of(node.node)} | {node.name}"
    return "…"


def word_of(node: nodes.Node) -> str:
    """The text of an expression if it stands so in the file, else nothing."""
    text = text_of(node)
    return text if re.fullmatch(r"[\w.]+", text) else ""
