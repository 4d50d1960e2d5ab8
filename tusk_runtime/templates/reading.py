"""Reads a template: parsed and checked, then compiled by Jinja2 to code that counts what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from types import TracebackType
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, UndefinedError, nodes
from jinja2 import Template as Compiled
from jinja2.visitor import NodeTransformer

from tusk_runtime.expressions import ExpressionFailed, Scope, codes, explain
from tusk_runtime.expressions.limits import Failure
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.templates.checking import Checker
from tusk_runtime.templates.sandbox import JOIN, MAX_LENGTH, STEPS, Sandbox, begin, plain
from tusk_runtime.templates.template import Template

MAX_SOURCE = 64 * 1024
"""How many characters a template has."""
TOO_DEEP = (RecursionError, MemoryError, SyntaxError)
"""What Python raises for code that nests too deep."""
_names = count()


def read_template(
    node: ScalarNode, scope: Scope, problems: Problems, what: str, *, html: bool
) -> Template | None:
    """The template of a text that holds a `{`, or None with problems noted."""
    text, before = str(node.value), len(problems)
    environment = Sandbox(html=html, timezone=scope.timezone)
    checker = Checker(node, environment, problems, what)
    if len(text) > MAX_SOURCE:
        message, advice = f"{what} has more than {MAX_SOURCE:,} characters", "make it shorter"
        problems.error(codes.TOO_LONG, node.span, message, help=advice)
        return None
    try:
        tree = environment.parse(text)
        checker.body(tree.body, dict(scope.names), False)
        if len(problems) > before:
            return None
        write = _writer(environment, tree, checker.span)
    except TemplateSyntaxError as error:
        checker.note(codes.BAD_TEMPLATE, error.lineno, "", f"{what}: {error.message}", _advice(text))
        return None
    except TOO_DEEP:
        message, advice = f"{what} nests too deep", "take a level out"
        problems.error(codes.TOO_DEEP, node.span, message, help=advice)
        return None
    except (ValueError, OverflowError):
        message, advice = f"{what} holds a number that is too large", "write a smaller one"
        problems.error(codes.NUMBER_SIZE, node.span, message, help=advice)
        return None
    reads = frozenset((name,) for name in checker.reads if name in scope.names)
    return Template(text, tuple(scope.names), reads, write)


def _advice(text: str) -> str:
    if "??" in text or "?." in text:
        return "it is a template of Jinja2: write `x | default('…')` for `x ?? '…'`"
    return "it is a template of Jinja2: `{{ data.field }}`, `{% if … %} … {% endif %}`, `{% for x in … %}`"


class _Counting(NodeTransformer):
    """Lets each pass of a loop be counted, and each `~` be bounded."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - as Jinja2 calls it
        """A loop."""
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, STEPS, [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        """A `~`."""
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, JOIN, [], [], None, None, lineno=node.lineno)


def _writer(
    environment: Environment, tree: nodes.Template, span: Callable[[int], Span]
) -> Callable[[Mapping[str, Any]], str]:
    """A function that writes the template for the values of its names. Raises ExpressionFailed."""
    filename = f"<template {next(_names)}>"
    code = environment.compile(_Counting().visit(tree), filename=filename)
    compiled = Compiled.from_code(environment, code, environment.globals)

    def write(values: Mapping[str, Any]) -> str:
        begin()
        parts, length = [], 0
        try:
            context = compiled.new_context({name: plain(value) for name, value in values.items()})
            for part in compiled.root_render_func(context):
                length += len(part)
                if length > MAX_LENGTH:
                    raise Failure(f"it writes more than {MAX_LENGTH:,} characters")
                parts.append(part)
        except Exception as error:
            line = _line(error.__traceback__, filename)
            place = span(compiled.get_corresponding_lineno(line)) if line else None
            raise ExpressionFailed(_told(error), place) from error
        return "".join(parts)

    return write


def _line(trace: TracebackType | None, filename: str) -> int:
    """The line of the compiled code in which it failed; 0 if it was not there."""
    found = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def _told(error: Exception) -> str:
    """What failed, without any value: it may be personal."""
    if isinstance(error, Failure):
        return error.masked
    if isinstance(error, UndefinedError):
        return error.message or "something is not there"
    return explain(error).message
