"""An evaluation that failed: where in the file, why, and with which values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from decimal import DecimalException
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import Any

from tusk_runtime.errors import TuskError
from tusk_runtime.expressions.code import Site
from tusk_runtime.expressions.limits import Budget, Failure, Missing
from tusk_runtime.expressions.operations import ZERO_DIVISION
from tusk_runtime.language.source import Span
from tusk_runtime.types import MASK
from tusk_runtime.types.generate import build_function
from tusk_runtime.types.values import show

SITES = "tusk sites"
"""The global of compiled functions that maps positions of their code to parts of expressions."""

BUDGET = "tusk budget"
"""The local variable that holds the budget."""

Position = tuple[int, int, int, int]
"""Line, column, end line, end column of a Python node, as the compiler keeps them."""


class ExpressionFailed(TuskError):
    """An expression has no value for these inputs.

    `span` is the part that failed (None if that cannot be told), `values` are the parts of it with what
    they were: pairs of their text and their value as text, both bounded in length. Personal data is masked in
    all of it. `missing`: a key or an index is not there, which `??` would have settled.
    """

    def __init__(
        self,
        message: str,
        span: Span | None = None,
        values: Sequence[tuple[str, str]] = (),
        *,
        missing: bool = False,
    ) -> None:
        self.message = message
        self.span = span
        self.values = tuple(values)
        self.missing = missing
        super().__init__(f"{span}: {message}" if span else message)


def explain(error: BaseException, *, hidden: bool = False) -> ExpressionFailed:
    """What an exception out of a compiled expression means, in the words and at the place of the file.

    With `hidden` no value is shown, as if all were personal data.

    For `except Exception as error: raise explain(error) from error` around compiled or fused functions.
    """
    if isinstance(error, ExpressionFailed):
        return error
    missing = isinstance(error, Missing)
    place = _failing_node(error.__traceback__)
    if place is None:
        # Nobody knows what it was about: perhaps a person.
        return ExpressionFailed(_message(error, masked=True), missing=missing)
    node, frame = place
    message = _message(error, masked=hidden or _is_personal(node))
    site: Site = node.site  # type: ignore[attr-defined]
    span = site.node.at(site.start, site.end)
    values = () if hidden else _values(node, frame)
    return ExpressionFailed(message, span, values, missing=missing)


def _message(error: BaseException, masked: bool) -> str:
    match error:
        case Failure():
            return error.masked if masked else str(error)
        case ZeroDivisionError():
            return ZERO_DIVISION
        case DecimalException():
            return "the result does not fit into the 38 digits of a decimal; `round` a value first"
        case OverflowError():
            return "the result is out of range"
        case RecursionError():
            return "a value nests too deep"
        case MemoryError():
            return "there is not enough memory"
        case KeyError() if masked:
            return "a field is not there"
        case KeyError():
            return f"there is no {show(error.args[0], 40) if error.args else 'such field'}"
        case TypeError() | AttributeError():
            return "a value is null or of another type than declared"
        case TuskError():
            return str(error)
        case ValueError():
            return "a value is out of range" + ("" if masked else f" ({error})")
    return type(error).__name__ if masked else f"{type(error).__name__}: {error}"[:200]


def _is_personal(node: ast.expr) -> bool:
    """Whether the value of a part of an expression, or one that it is made of, is personal data."""
    site: Site = node.site  # type: ignore[attr-defined]
    stack: list[ast.AST] = [node]
    while stack:
        part = stack.pop()
        own: Site | None = getattr(part, "site", None)
        if own is not None and own.personal:
            return True
        # A field is not made of the record that it stands in.
        if (own is None or own.is_at(site)) and not isinstance(part, ast.Subscript):
            stack.extend(ast.iter_child_nodes(part))
    return False


def _failing_node(trace: TracebackType | None) -> tuple[ast.expr, FrameType] | None:
    """The part of an expression in which the innermost compiled frame was when it failed."""
    found: tuple[ast.expr, FrameType] | None = None
    while trace is not None:
        sites: Mapping[Position, ast.expr] | None = trace.tb_frame.f_globals.get(SITES)
        if sites is not None:
            node = _node_at(sites, trace.tb_frame.f_code, trace.tb_lasti, trace.tb_lineno)
            if node is not None:
                found = node, trace.tb_frame
        trace = trace.tb_next
    return found


def _node_at(
    sites: Mapping[Position, ast.expr], code: CodeType, instruction: int, traced_line: int
) -> ast.expr | None:
    position = next(islice(code.co_positions(), instruction // 2, None), None)
    if position is not None:
        line, end_line, column, end_column = position
        if line is not None and end_line is not None and column is not None and end_column is not None:
            return sites.get((line, column, end_line, end_column))
    # Python runs without columns (-X no_debug_ranges): the whole value of that line.
    return next((node for (line, *_), node in sites.items() if line == traced_line), None)


def _values(node: ast.expr, frame: FrameType) -> list[tuple[str, str]]:
    """The values of the operands of the failing part, evaluated again, which is possible as nothing
    changes.
    """
    values: dict[str, str] = {}
    for operand in _operands(node):
        site: Site = operand.site  # type: ignore[attr-defined]
        text = str(site.node.value)[site.start : site.end].strip()
        if text in values or len(values) == 6 or len(text) > 200:
            continue
        value = MASK if site.personal else _again(operand, frame)
        if value is not None:
            values[text] = value
    return list(values.items())


def _operands(node: ast.expr) -> list[ast.expr]:
    """The outermost parts below a node that stand in the text by themselves, literals left out."""
    site = node.site  # type: ignore[attr-defined]
    found: list[ast.expr] = []
    stack = list(ast.iter_child_nodes(node))[::-1]
    while stack and len(found) < 12:
        child = stack.pop()
        own = getattr(child, "site", None)
        if isinstance(child, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.Constant):
            continue
        if own is not None and not own.is_at(site) and isinstance(child, ast.expr):
            if not (isinstance(child, ast.Name) and " " in child.id):
                found.append(child)
        else:
            stack.extend(list(ast.iter_child_nodes(child))[::-1])
    return found


def _again(node: ast.expr, frame: FrameType) -> str | None:
    try:
        local: dict[str, Any] = {**frame.f_locals, BUDGET: Budget(10_000)}
        names = [name for name in local if name != "."]
        run = build_function("value", names, [ast.Return(node)], frame.f_globals)
        return show(run(*(local[name] for name in names)))
    except Exception:
        return None


def locate(roots: Sequence[ast.AST]) -> tuple[str, dict[Position, ast.expr]]:
    """Give the nodes the positions of their parts of the file, for one function that is about to be compiled.

    Returns the name of the file and the nodes by position. Nodes that stand nowhere take the position of the
    part around them. If a function has parts from several files, the lines of the further ones are
    numbered from a million on.
    """
    sites: dict[Position, ast.expr] = {}
    sources: dict[int, int] = {}
    filename = "<expression>"
    stack: list[tuple[ast.AST, Position]] = [(root, (1, 0, 1, 0)) for root in roots]
    while stack:
        node, position = stack.pop()
        site: Site | None = getattr(node, "site", None)
        if site is not None:
            span = site.node.at(site.start, site.end)
            base = sources.setdefault(id(span.source), len(sources) * 1_000_000)
            if not sites:
                filename = span.file
            position = (
                base + span.line,
                _bytes_before(span, span.line, span.column),
                base + span.end_line,
                _bytes_before(span, span.end_line, span.end_column),
            )
            sites.setdefault(position, node)  # type: ignore[arg-type]
        if isinstance(node, ast.expr | ast.stmt):
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = position
        stack.extend((child, position) for child in ast.iter_child_nodes(node))
    return filename, sites


def _bytes_before(span: Span, line: int, column: int) -> int:
    """The column in bytes, as Python counts, so that its own tracebacks underline the right place too."""
    text = span.source.line(line)[: column - 1]
    return len(text.encode("utf-8", "replace"))


Compiled = Callable[..., Any]
