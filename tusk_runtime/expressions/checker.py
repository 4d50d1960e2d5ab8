"""Checks the tree of an expression against its scope, and gives its Python code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from tusk_runtime.expressions import codes, literals, operations
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.code import Code, Site
from tusk_runtime.expressions.failures import BUDGET
from tusk_runtime.expressions.narrowing import Fact
from tusk_runtime.expressions.scope import Scope
from tusk_runtime.language.diagnostics import Code as ProblemCode
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.types import BOOLEAN, TEXTS, UNKNOWN, Type, assignable, holds_pii, marked_as
from tusk_runtime.types.generate import name

_COUNTER = count()


def unique(title: str) -> str:
    """A name for a function that is made for one place, so that fused functions do not mix them up."""
    return f"{title} #{next(_COUNTER)}"


Visitor = Callable[["Checker", Any, Type | None], Code]

VISITORS: dict[type[s.Syntax], Visitor] = {}
"""What checks each kind of node. Filled by the modules of each family of nodes."""


def visitor(kind: type[s.Syntax]) -> Callable[[Visitor], Visitor]:
    """Register a function as the one that checks a kind of node."""

    def register(function: Visitor) -> Visitor:
        VISITORS[kind] = function
        return function

    return register


class Checker:
    """Checks one text of the file. `globals`, `reads` and the flags may be shared by all texts of one
    value. `carried`: a part of the node that is being checked is personal data.
    """

    def __init__(self, node: ScalarNode, scope: Scope, problems: Problems, shared: Shared) -> None:
        self.node = node
        self.scope = scope
        self.shared = shared
        self.globals = shared.globals
        self.loops: dict[str, Type] = {}
        self.facts: frozenset[Fact] = frozenset()
        self.carried = False
        self._problems = problems

    def visit(self, syntax: s.Syntax, expected: Type | None = None) -> Code:
        """Check a node. `expected` is the type that a literal takes; anything else may differ from it."""
        code = self.apart(VISITORS[type(syntax)], syntax, expected)
        code.node.site = self.site_of(syntax, code.type)  # type: ignore[attr-defined]
        return code

    def apart(self, check: Callable[..., Code], *arguments: Any) -> Code:
        """Check a part by itself, so that `carried` tells those around it whether its value is personal, and
        not whether something inside of it is, such as the record that a field is taken from.
        """
        outer, self.carried = self.carried, False
        code = check(self, *arguments)
        self.carried = outer or holds_pii(code.type)
        return code

    def site_of(self, syntax: s.Syntax, type_: Type) -> Site:
        """The place of a node in the file, for the code made from it, whose values are of a type."""
        return Site(self.node, syntax.start, syntax.end, holds_pii(type_))

    # Problems

    def error(
        self,
        code: ProblemCode,
        place: s.Syntax | tuple[int, int],
        message: str,
        help: str,  # noqa: A002
    ) -> Code:
        """Note a problem. The result stands for the part that has it."""
        start, end = (place.start, place.end) if isinstance(place, s.Syntax) else place
        self._problems.error(code, self.node.at(start, end), message, help=help)
        syntax = place if isinstance(place, s.Syntax) else s.Literal(start, end, 1, 1, None)
        return self.unknown(syntax)

    def unknown(self, syntax: s.Syntax) -> Code:
        """The result of a part whose problem is noted."""
        return Code(ast.Constant(None), UNKNOWN, syntax)

    def text_of(self, syntax: s.Syntax) -> str:
        """The source text of a node, for messages; long ones are cut."""
        text = str(self.node.value)[syntax.start : syntax.end].strip()
        return text if len(text) <= 40 else text[:39] + "…"

    def settled(self, code: Code, doing: str = "calculated with") -> Code:
        """The code, or UNKNOWN with a problem noted if it may be null."""
        if not code.type.optional or not code.known:
            return code
        if code.literal is None:
            return self.error(
                codes.NULLABLE, code.syntax, f"null cannot be {doing}", "write a value instead of `null`"
            )
        text = self.text_of(code.syntax)
        return self.error(
            codes.NULLABLE,
            code.syntax,
            f"`{text}` may be null and cannot be {doing} before that is settled",
            f"write `{text} ?? …` with a value for that case, or ask `{text} != null` first",
        )

    # Making code

    def operation(self, function: Callable[..., Any], *arguments: ast.expr, title: str = "") -> ast.Call:
        """A call of a run-time function."""
        title = title or f"{function.__module__}.{function.__qualname__}"
        self.globals[title] = function
        return ast.Call(name(title), list(arguments), [])

    def budgeted(self, function: Callable[..., Any], *arguments: ast.expr) -> ast.Call:
        """A call of a run-time function that pays from the budget."""
        self.shared.budgeted = True
        return self.operation(function, name(BUDGET), *arguments)

    def wrap(self, code: Code, node: ast.expr, type_: Type) -> Code:
        """The code put into further code, at the same place of the text."""
        node.site = getattr(code.node, "site", None)  # type: ignore[attr-defined]
        return Code(node, type_, code.syntax, rounded=code.rounded, missing=code.missing)

    def close(self, code: Code) -> Code:
        """Check the range of a result that leaves arithmetic."""
        if not code.open:
            return code
        check = operations.integer if code.type.kind == "integer" else operations.finite
        return self.wrap(code, self.operation(check, code.node), code.type)

    def convert(self, code: Code, target: Type) -> Code:
        """The code as a value of a type that it is assignable to, constraints of the type aside; what is
        personal stays so.
        """
        code = self.close(code)
        source = code.type
        target = marked_as(target, source)
        if source is UNKNOWN or source.kind == "null" or code.literal is None:
            return code
        kinds = source.kind, target.kind
        type_ = target.or_null() if source.optional else target
        if kinds in (("integer", "decimal"), ("integer", "number"), ("decimal", "number")):
            widened = literals.number(self, code, target.kind)
            if widened is not None:
                return widened
        if kinds[1] == "json":
            return self._to_json(code, type_)
        if kinds[0] == "json":
            reader = operations.json_reader(target)
            title = unique(f"{target} from json")
            return self.wrap(code, self.operation(reader, code.node, title=title), target)
        converter = literals.converter(source, target)
        if converter is None:
            return Code(
                code.node, type_, code.syntax, code.literal, rounded=code.rounded, missing=code.missing
            )
        title = f"{source} as {target}"
        if source.item is not None or source.record is not None:
            title = unique(title)
        return self.wrap(code, self.operation(converter, code.node, title=title), type_)

    def _to_json(self, code: Code, type_: Type) -> Code:
        if code.type.kind in (
            "json",
            "string",
            "email",
            "url",
            "uuid",
            "enum",
            "integer",
            "number",
            "boolean",
        ):
            return Code(code.node, type_, code.syntax, missing=code.missing)
        return self.wrap(code, self.operation(operations.to_plain, code.node), type_)

    def common(self, parts: Sequence[Code], syntax: s.Syntax, what: str) -> tuple[Type, list[Code]]:
        """One type for several values, and the values as that type. UNKNOWN with a problem if there is
        none.
        """
        known = [code for code in parts if code.type.kind != "null"]
        optional = any(code.type.optional for code in parts)
        if not known:
            return (parts[0].type, list(parts)) if parts else (Type("json"), [])
        if any(not code.known for code in known):
            return UNKNOWN, list(parts)
        candidates = [code.type for code in known if not literals.adapts(code)] or [known[0].type]
        candidates += [code.type for code in known]
        if any(t.kind == "enum" for t in candidates):
            candidates.append(Type("string"))
        for candidate in candidates:
            plain = candidate.required()
            if plain.kind == "json" and any(c.type.kind != "json" for c in known):
                continue
            if all(literals.fits(code, plain.or_null()) for code in known):
                target = plain.or_null() if optional else plain
                if plain.kind == "decimal" and len({code.type.places for code in known}) > 1:
                    target = Type("decimal", optional=optional)
                for code in known:
                    target = marked_as(target, code.type)
                return target, [self.convert(code, target) for code in parts]
        first, other = (
            known[0],
            next((c for c in known if not assignable(c.type.required(), known[0].type)), known[-1]),
        )
        self.error(
            codes.TYPE,
            other.syntax,
            f"{what} must be of one type, not {first.type.required()} and {other.type.required()}",
            f"convert one of them, as in `string({self.text_of(first.syntax)})`"
            if other.type.kind in TEXTS
            else "convert one of them",
        )
        return UNKNOWN, list(parts)

    # Conditions and facts

    def condition(self, syntax: s.Syntax) -> Code:
        """Check a node that must be true or false."""
        code = self.visit(syntax, BOOLEAN)
        if not code.known:
            return code
        if code.type.kind == "json":
            return self.convert(code, BOOLEAN)
        if code.type.kind != "boolean":
            return self.error(
                codes.CONDITION, syntax, f"true or false is needed here, not {code.type}", self.question(code)
            )
        if code.type.optional:
            text = self.text_of(syntax)
            return self.error(
                codes.NULLABLE,
                syntax,
                f"`{text}` may be null, and null is neither true nor false",
                f"write `{text} ?? false`",
            )
        return code

    def question(self, code: Code) -> str:
        """What to ask instead of taking a value for true or false."""
        text = self.text_of(code.syntax)
        if code.type.optional:
            return f"write `{text} != null`"
        match code.type.kind:
            case "string":
                return f"write `{text} != ''`"
            case "integer" | "number" | "decimal":
                return f"write `{text} != 0`"
            case "list" | "map":
                return f"write `length({text}) > 0`"
            case "enum":
                return f"compare it: `{text} == '{code.type.values[0]}'`"
            case "duration":
                return f"compare it: `{text} > '0s'`"
        return "compare it with something"

    def assuming(self, known: frozenset[Fact], syntax: s.Syntax, expected: Type | None = None) -> Code:
        """Check a node where some paths are known not to be null."""
        before = self.facts
        self.facts = before | known
        try:
            return self.visit(syntax, expected)
        finally:
            self.facts = before


class Shared:
    """What all texts of one value have in common."""

    def __init__(self) -> None:
        self.globals: dict[str, Any] = {}
        self.reads: set[tuple[str, ...]] = set()
        self.budgeted = False
        self.constant = True
        self.identity = False
