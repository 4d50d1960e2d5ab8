"""Text between `{{` and `}}` to a syntax tree."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from threading import Lock

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.hints import wrong_syntax
from tusk_runtime.expressions.limits import MAX_SOURCE
from tusk_runtime.expressions.templates import Wrong
from tusk_runtime.expressions.tree_builder import TreeBuilder
from tusk_runtime.language.automaton import Automaton, Grammar, grammar
from tusk_runtime.language.words import Word, words_of


def parse(text: str, start: int, end: int) -> s.Syntax:
    """The tree of the expression between two offsets of a text. Raises Wrong."""
    source = text[start:end]
    if len(source) > MAX_SOURCE:
        raise Wrong(
            codes.TOO_LONG,
            start,
            end,
            f"an expression of {len(source):,} characters; {MAX_SOURCE:,} are allowed",
            "compute parts of it in fields of their own",
        )
    if not source.strip():
        raise Wrong(
            codes.SYNTAX,
            start - 2,
            end + 2,
            "an empty expression",
            "write a value, such as `{{ data.total }}`",
        )
    with _LOCK:
        _BUILDER.begin(start)
        return _run(source, start)


def _run(source: str, base: int) -> s.Syntax:
    cut, grammar_ = _grammar()
    automaton = Automaton(grammar_)
    wrong = automaton.finish(cut(source))
    if wrong is not None:
        raise wrong_syntax(source, base, wrong.start_pos, wrong.end_pos, wrong.type == "$END")
    tree: s.Syntax = automaton.values[0]
    return tree


_LOCK = Lock()
_BUILDER = TreeBuilder()


@cache
def _grammar() -> tuple[Callable[[str], list[Word]], Grammar]:
    """The grammar, ready to run: read once per process, with the first expression."""
    return words_of("expressions.lark"), grammar("expressions.lark", partial(getattr, _BUILDER))
