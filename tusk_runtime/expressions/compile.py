"""Values of the file to compiled expressions: literals, `{{ }}`, mixed texts, and lists and maps of these."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from tusk_runtime.expressions import (  # noqa: F401 - the families of nodes register themselves
    access,
    arithmetic,
    calls,
    codes,
    collections,
    comparing,
    functions,
    logic,
    operations,
)
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.builders.conversions import instead_of_text, text_node
from tusk_runtime.expressions.checker import Checker, Shared, unique
from tusk_runtime.expressions.code import Code, Site, Value, constant
from tusk_runtime.expressions.expression import Expression
from tusk_runtime.expressions.failures import BUDGET
from tusk_runtime.expressions.fitting import NO_PLACE, Place, fit, may_go
from tusk_runtime.expressions.hints import one_of
from tusk_runtime.expressions.limits import MAX_DEPTH, Budget
from tusk_runtime.expressions.parse import parse
from tusk_runtime.expressions.parts import constrained, default_node, display_of, place_of
from tusk_runtime.expressions.scope import Scope
from tusk_runtime.expressions.templates import Braces, Wrong, split
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ListNode, MapNode, Node, ScalarNode
from tusk_runtime.types import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    JSON,
    NULL,
    STRING,
    Field,
    Record,
    Type,
    assignable,
    how_to_write,
    marked_as,
)
from tusk_runtime.types.kinds import TEXTS
from tusk_runtime.types.reading import Reader


def compile_value(
    node: Node,
    scope: Scope,
    problems: Problems,
    expected: Type | None = None,
    place: Place = NO_PLACE,
) -> Expression | None:
    """The expression of a value of the file, or None with problems noted.

    A text that is one `{{ }}` gives the native value, mixed text gives text, the rest are literals; lists
    and maps are made of their parts. With `expected` the result is checked against that type, widened to it,
    and at run time taken through its constraints. `place` says in words where the value goes.
    """
    before = len(problems)
    compiler = _Compiler(scope, problems)
    return compiler.finish(compiler.value(node, expected, place, 0), node, before)


def compile_condition(node: Node, scope: Scope, problems: Problems) -> Expression | None:
    """The expression of a condition: exactly one `{{ }}` that is true or false. None with problems noted."""
    before = len(problems)
    compiler = _Compiler(scope, problems)
    return compiler.finish(compiler.condition(node), node, before)


class _Compiler:
    """Compiles one value with everything inside."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self.scope = scope
        self.problems = problems
        self.shared = Shared()

    def finish(self, value: Value | None, node: Node, before: int) -> Expression | None:
        """The expression of a value, or None if there are problems behind the first `before`."""
        found = list(self.problems)[before:] if len(self.problems) > before else []
        if any(problem.severity == "error" for problem in found):
            return None
        if value is None:
            # Whoever gave no value should have said why.
            self.problems.error(
                codes.SYNTAX, node.span, "this value cannot be understood", help="write it another way"
            )
            return None
        body = value.node
        if self.shared.budgeted:
            # A budget is always true, so `and` gives what follows.
            self.shared.globals["tusk Budget"] = Budget
            new = ast.Call(ast.Name("tusk Budget", ast.Load()), [], [])
            body = ast.BoolOp(ast.And(), [ast.NamedExpr(ast.Name(BUDGET, ast.Store()), new), body])
        return Expression(
            type=value.type,
            span=node.span,
            parameters=tuple(self.scope.names),
            body=body,
            globals=self.shared.globals,
            reads=frozenset(self.shared.reads),
            constant=self.shared.constant,
        )

    def condition(self, node: Node) -> Value | None:
        """A condition."""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            written = "true" if getattr(node, "value", None) is True else "…"
            self.problems.error(
                codes.CONDITION,
                node.span,
                "a condition is one `{{ }}`",
                help=f'write `"{{{{ {written} }}}}"`',
            )
            return None
        parts = self._split(node)
        if parts is None:
            return None
        if len(parts) != 1 or not isinstance(parts[0], Braces):
            text = node.value.strip()
            expressions = [part for part in parts if isinstance(part, Braces)]
            bare = (
                text
                if not expressions
                else "".join(
                    part if isinstance(part, str) else node.value[part.start : part.end].strip()
                    for part in parts
                )
            )
            self.problems.error(
                codes.CONDITION,
                node.span,
                "a condition is exactly one `{{ }}`"
                if expressions
                else "a condition without `{{ }}` is just a text",
                help=f'write `"{{{{ {bare if len(bare) < 60 else "…"} }}}}"`',
            )
            return None
        checker = Checker(node, self.scope, self.problems, self.shared)
        syntax = self._parse(node, parts[0])
        if syntax is None:
            return None
        code = checker.condition(syntax)
        return Value(code.node, BOOLEAN) if code.known else None

    def value(self, node: Node, expected: Type | None, place: Place, depth: int) -> Value | None:
        """A value of any shape."""
        if depth > MAX_DEPTH:
            self.problems.error(
                codes.TOO_DEEP,
                node.span,
                f"lists and maps nest at most {MAX_DEPTH} deep",
                help="take a level out",
            )
            return None
        if isinstance(node, ListNode):
            return self._list(node, expected, place, depth)
        if isinstance(node, MapNode):
            return self._map(node, expected, place, depth)
        return self._scalar(node, expected, place)

    # Scalars

    def _scalar(self, node: ScalarNode, expected: Type | None, place: Place) -> Value | None:
        if isinstance(node.value, str) and "{" in node.value:
            parts = self._split(node)
            if parts is None:
                return None
            if any(isinstance(part, Braces) for part in parts):
                return self._template(node, parts, expected, place)
        return self._literal(node, expected)

    def _literal(self, node: ScalarNode, expected: Type | None) -> Value | None:
        value: Any = node.value
        type_: Type
        if expected is None:
            if value is None:
                type_ = NULL
            elif isinstance(value, bool):
                type_ = BOOLEAN
            else:
                type_ = STRING if isinstance(value, str) else INTEGER if isinstance(value, int) else DECIMAL
        else:
            type_ = expected
        reader = Reader()
        # A literal is nobody's data: what is wrong with it is told as it is.
        value = reader.read(replace(type_, pii=False) if type_.pii else type_, value)
        if reader.issues:
            issue = reader.issues[0]
            hint = issue.help or how_to_write(type_)
            if node.value is None:
                hint = "make the field optional with `?`"
            elif isinstance(node.value, str) and self._looks_like_expression(node.value):
                hint = f'for an expression write `"{{{{ {node.value} }}}}"`'
            elif type_.kind == "string" and not isinstance(node.value, str):
                hint = f'write it in quotes: `"{node.span.text}"`'
            elif type_.kind == "json":
                hint = "quote it: a text keeps every digit"
            self.problems.error(codes.RESULT, node.span, f"this {issue.message}", help=hint)
            return None
        found = constant(value, self.shared.globals)
        found.site = Site(node, 0, len(str(node.value)))  # type: ignore[attr-defined]
        return Value(found, NULL if value is None else type_)

    def _looks_like_expression(self, text: str) -> bool:
        root = text.strip().partition(".")[0]
        return root in self.scope.names and root.isidentifier()

    def _template(
        self, node: ScalarNode, parts: list[str | Braces], expected: Type | None, place: Place
    ) -> Value | None:
        if len(parts) > 1:
            return self._mixed(node, parts, expected, place)
        part = parts[0]
        syntax = self._parse(node, part) if isinstance(part, Braces) else None
        if syntax is None:
            return None
        checker = Checker(node, self.scope, self.problems, self.shared)
        code = checker.close(checker.visit(syntax, expected))
        if not code.known:
            return None
        return Value(code.node, code.type) if expected is None else fit(checker, code, expected, place)

    def _mixed(
        self, node: ScalarNode, parts: list[str | Braces], expected: Type | None, place: Place
    ) -> Value | None:
        checker = Checker(node, self.scope, self.problems, self.shared)
        texts: list[ast.expr] = []
        type_ = STRING
        right = True
        for part in parts:
            if isinstance(part, str):
                texts.append(ast.Constant(part))
                continue
            syntax = self._parse(node, part)
            if syntax is None:
                right = False
                continue
            code = checker.settled(checker.close(checker.visit(syntax)), "put into a text")
            if not code.known:
                right = False
                continue
            text = text_node(checker, code)
            if text is None:
                shown = checker.text_of(syntax)
                checker.error(
                    codes.TYPE,
                    syntax,
                    f"`{shown}` is of type {code.type} and has no text",
                    instead_of_text(code.type, shown),
                )
                right = False
                continue
            if expected is not None and not may_go(checker, code, expected, place):
                right = False
            text.site = checker.site_of(syntax, code.type)  # type: ignore[attr-defined]
            texts.append(text)
            type_ = marked_as(type_, code.type)
        if not right:
            return None
        whole = s.Literal(0, len(str(node.value)), 1, 1, None)
        joined = checker.budgeted(operations.mixed, *texts)
        joined.site = checker.site_of(whole, type_)  # type: ignore[attr-defined]
        if expected is not None and expected.kind in TEXTS and expected.kind != "string":
            # Text that is put together may well be an address or an id: that is seen when it is there.
            result = Code(joined, type_, whole)
            reader = operations.json_reader(expected.required())
            read = checker.operation(reader, joined, title=unique(f"read {expected}"))
            return Value(checker.wrap(result, read, expected.required()).node, expected.required())
        return (
            fit(checker, Code(joined, type_, whole), expected, place)
            if expected is not None
            else Value(joined, type_)
        )

    # Lists and maps

    def _list(self, node: ListNode, expected: Type | None, place: Place, depth: int) -> Value | None:
        item_type = self._inside(node, expected, "list")
        if item_type is False:
            return None
        hint = item_type if isinstance(item_type, Type) else None
        items = [self.value(item, hint, place, depth + 1) for item in node.items]
        found = [item for item in items if item is not None]
        if len(found) < len(items):
            return None
        display = ast.List([item.node for item in found], ast.Load())
        if expected is not None and expected.kind == "list":
            return constrained(display, expected, self.shared.globals)
        type_ = hint or self._common(found)
        return Value(display, expected or Type("list", item=type_))

    def _common(self, items: list[Value]) -> Type:
        types = [item.type for item in items]
        common = JSON
        for candidate in types:
            plain = candidate.or_null() if any(t.optional for t in types) else candidate
            if all(t.kind == plain.kind and assignable(t, plain) for t in types):
                common = plain
                break
        for type_ in types:
            common = marked_as(common, type_)
        return common

    def _inside(self, node: Node, expected: Type | None, kind: str) -> Type | bool | None:
        """The type of what is inside a list or map, None for any, False with a problem noted."""
        if expected is None:
            return None
        if expected.kind == "json":
            return marked_as(JSON, expected)
        if expected.kind == kind:
            return expected.item
        what = "a list" if kind == "list" else "a map"
        hint = f"write one value of type {expected}"
        if (kind == "list" and expected.kind == "map") or (kind == "map" and expected.kind == "list"):
            hint = "lists are written `[a, b]`, maps `{ key: value }`"
        self.problems.error(codes.RESULT, node.span, f"{what} where {expected} is needed", help=hint)
        return False

    def _map(self, node: MapNode, expected: Type | None, place: Place, depth: int) -> Value | None:
        if expected is not None and expected.record is not None:
            return self._record(node, expected, expected.record, place, depth)
        item_type = self._inside(node, expected, "map")
        if item_type is False:
            return None
        hint = item_type if isinstance(item_type, Type) else None
        values = {entry.key: self.value(entry.node, hint, place, depth + 1) for entry in node}
        found = {key: value for key, value in values.items() if value is not None}
        if len(found) < len(values):
            return None
        display = display_of({key: value.node for key, value in found.items()})
        if expected is not None and expected.kind == "map":
            return constrained(display, expected, self.shared.globals)
        if expected is not None:
            return Value(display, expected)
        fields = {key: Field(key, value.type) for key, value in found.items()}
        return Value(display, Type("record", record=Record("this map", fields)))

    def _record(
        self, node: MapNode, expected: Type, record: Record, place: Place, depth: int
    ) -> Value | None:
        nodes: dict[str, ast.expr] = {}
        right = True
        for entry in node:
            field = record.fields.get(entry.key)
            if field is None:
                hint = one_of(entry.key, record.fields, f"the fields of {record.name}")
                message = f"{record.name} has no field `{entry.key}`"
                self.problems.error(codes.UNKNOWN_FIELD, entry.key_span, message, help=hint)
                right = False
                continue
            inside = place if place.open else place_of(record, field)
            value = self.value(entry.node, field.type, inside, depth + 1)
            if value is None:
                right = False
            else:
                nodes[entry.key] = value.node
        lacking = [name for name, field in record.fields.items() if field.required and name not in node]
        if lacking:
            names = ", ".join(f"`{name}`" for name in lacking)
            self.problems.error(
                codes.FIELDS,
                node.span,
                f"{names} of {record.name} {'is' if len(lacking) == 1 else 'are'} not set",
                help="name every field that is neither optional nor has a default",
            )
            right = False
        if not right:
            return None
        # In the order of the type, every field set.
        whole = {
            name: nodes.get(name) or default_node(field.default, self.shared.globals)
            for name, field in record.fields.items()
        }
        return Value(display_of(whole), expected.required())

    # Syntax

    def _split(self, node: ScalarNode) -> list[str | Braces] | None:
        try:
            return split(str(node.value))
        except Wrong as wrong:
            self._note(node, wrong)
            return None

    def _parse(self, node: ScalarNode, braces: Braces) -> s.Syntax | None:
        try:
            return parse(str(node.value), braces.start, braces.end)
        except Wrong as wrong:
            self._note(node, wrong)
            return None

    def _note(self, node: ScalarNode, wrong: Wrong) -> None:
        self.problems.error(wrong.code, node.at(wrong.start, wrong.end), wrong.message, help=wrong.help)
