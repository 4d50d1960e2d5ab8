"""From a source to its syntax tree, going on behind every mistake."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Any

from tusk_runtime.language import codes, refusals
from tusk_runtime.language.automaton import Automaton, Grammar, grammar
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.lexer import Lexer
from tusk_runtime.language.source import Source, Span
from tusk_runtime.language.syntax_tree import SyntaxTree
from tusk_runtime.language.tokens import CLOSERS, OPENERS, Token
from tusk_runtime.language.tree_builder import TreeBuilder

MOST_ERRORS = 100
"""How many errors of one file are told."""

# Control characters, invisible ones, and those that turn the direction of text around (CVE-2021-42574).
UNSEEN = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]"
)


def parse(source: Source, problems: Problems, tokens: list[Token] | None = None) -> SyntaxTree:
    """Read a source. The tree holds every statement that could be read; `problems` gets the others.

    `tokens` gets all tokens, for who wants them too. Takes time proportional to the length of the text,
    whatever the text.
    """
    found = _FirstProblems()
    tree = _Parse(source, found).run(tokens)
    problems.extend(found)
    return tree


class _FirstProblems(Problems):
    """Problems up to a number, so that no file fills the memory with them."""

    def _add(self, *problem: Any) -> None:
        if len(self) <= MOST_ERRORS:
            super()._add(*problem)


class _Parse:
    """One run of the LALR automaton, with recovery as in yacc.

    The grammar has the token BROKEN (BROKEN_ITEM in lists) where a statement or a member may stand. At a
    mistake, states are taken from the stack until one accepts it, and tokens are dropped up to the end of
    the member or the statement.
    """

    def __init__(self, source: Source, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._unseen_characters()
        self._lexer = Lexer(source, problems)
        self._automaton = Automaton(_grammar())

    def run(self, seen: list[Token] | None) -> SyntaxTree:
        """Feed all statements."""
        lexer, feed, problems = self._lexer, self._automaton.feed, self._problems
        while not lexer.done:
            tokens = lexer.statement()
            if seen is not None:
                seen += tokens
            accepted = feed(tokens)
            if accepted < len(tokens):
                self._recover(tokens, accepted)
                values = self._automaton.values
                opened = [value for value in values if isinstance(value, Token) and value.type == "OPEN"]
                lexer.forget_blocks(len(opened))
            if len(problems) >= MOST_ERRORS and not lexer.done:
                self._stop()
        end = len(self._source.text)
        self._automaton.finish([Token("$END", end, end, self._source)])
        pairs, sections, imports = self._automaton.values[0]
        self._tabs()
        return SyntaxTree(self._source, pairs, sections, imports)

    # ---- recovery ---------------------------------------------------------------------------------

    def _recover(self, tokens: list[Token], index: int) -> None:
        """Tell what is wrong with `tokens[index]`, and feed what can be kept of the rest of the statement."""
        # Only who makes mistakes waits for the module that knows them all.
        from tusk_runtime.language.mistakes.explain import explain
        from tusk_runtime.language.mistakes.mistake import Skip

        skip = Skip.MEMBER
        told = False
        while len(self._problems) < MOST_ERRORS:
            call = self._refused_call()
            # A bracket that seems open is no news where something was dropped.
            if call is None and not (told and tokens[index].type == "UNCLOSED"):
                expected = self._automaton.expected()
                opener = self._open_brackets()[-1:]
                skip = explain(
                    self._source, tokens, index, expected, opener[0] if opener else None, self._problems
                )
            told = True
            if tokens[index].type == "INDENT":
                self._drop_blocks(tokens, index)
                self._lexer.skip_block(self._lexer.levels[-1])
                return
            behind = self._break_member(tokens, index, call) if skip is Skip.MEMBER else None
            if behind is None:
                break
            index = self._automaton.feed(tokens, behind)
            if index == len(tokens):
                return
            if index == behind:
                break
        self._break_statement(tokens, index)
        if skip is Skip.SECTION:
            self._lexer.skip_section()
        else:
            self._lexer.skip_block(self._lexer.levels[-1])

    def _refused_call(self) -> int | None:
        """Where on the stack the call of an operator begins that is not available, after telling so.

        What stands in its brackets may be anything, and need not be told of.
        """
        for position, value in enumerate(self._automaton.values):
            if isinstance(value, Token) and value.type == "OPERATOR":
                span = Span(self._source, value.start, value.end)
                if refusals.refuse(span.text[1:], span, self._problems):
                    return position
        return None

    def _break_member(self, tokens: list[Token], index: int, call: int | None) -> int | None:
        """Replace the member around `tokens[index]`, or around the call on the stack, by BROKEN.

        The answer is the index of the comma, line end or bracket behind the member; None if the mistake is
        not between brackets, or the brackets do not close.
        """
        opened = len(self._open_brackets())
        if call is not None:
            self._automaton.cut(call)
        if self._just_closed():
            self._drop_brackets(len(self._open_brackets()))
        if not self._open_brackets():
            return None
        self._fall_back(("BROKEN",), tokens[index])
        remaining = len(self._open_brackets())
        if not remaining:
            return None
        target = remaining - opened
        depth = 0
        for position in range(index, len(tokens)):
            kind = tokens[position].type
            if kind in OPENERS:
                depth += 1
            elif kind in CLOSERS:
                if depth == target:
                    return position
                depth -= 1
            elif kind in ("COMMA", "LINE") and depth == target:
                return position
        return None

    def _break_statement(self, tokens: list[Token], index: int) -> None:
        """Replace the statement around `tokens[index]` by BROKEN."""
        self._drop_brackets(0)
        self._drop_blocks(tokens, index)
        kinds = ("BROKEN", "BROKEN_ITEM")
        self._fall_back(kinds[::-1] if self._lexer.levels[-1] % 2 else kinds, tokens[index])
        end = tokens[-1]
        self._automaton.feed([Token("NEWLINE", end.end, end.end, self._source)])

    def _fall_back(self, kinds: tuple[str, ...], token: Token) -> None:
        """Take states from the stack until one accepts a token of one of the kinds, and feed that token."""
        while True:
            for kind in kinds:
                # LALR may find out only after a reduction that a token is unexpected, which does no harm.
                if self._automaton.feed([Token(kind, token.start, token.end, self._source)]):
                    return
            self._automaton.pop()

    def _open_brackets(self) -> list[Token]:
        """The brackets that are open, the innermost last."""
        values = self._automaton.values
        opened = [values[position] for position in self._brackets()]
        return opened[:-1] if self._just_closed() else opened

    def _just_closed(self) -> bool:
        """Whether the stack ends with a pair of brackets that is not yet put together."""
        values = self._automaton.values
        return bool(values) and isinstance(values[-1], Token) and values[-1].type in CLOSERS

    def _drop_brackets(self, count: int) -> None:
        """Forget what was read from the bracket on that stands in `count` others."""
        brackets = self._brackets()
        if len(brackets) > count:
            self._automaton.cut(brackets[count])

    def _brackets(self) -> list[int]:
        """Where on the stack brackets are open, or closed by its last token."""
        values = self._automaton.values
        opened: list[int] = []
        for position, value in enumerate(values):
            if isinstance(value, Token):
                if value.type in OPENERS:
                    opened.append(position)
                elif value.type in CLOSERS and position < len(values) - 1:
                    opened.pop()
        return opened

    def _drop_blocks(self, tokens: list[Token], index: int) -> None:
        """Forget the blocks that tokens that will not be fed have opened."""
        for token in tokens[index:]:
            if token.type == "INDENT":
                self._lexer.levels.pop()

    # ---- of the file as a whole -------------------------------------------------------------------

    def _stop(self) -> None:
        place = min(self._lexer.position, len(self._source.text))
        self._problems.error(
            codes.TOO_MANY,
            Span(self._source, place, place),
            f"more than {MOST_ERRORS} errors; what follows was not checked",
            help="correct these first",
        )
        self._lexer.position = len(self._lexer.text)

    def _unseen_characters(self) -> None:
        for number, match in enumerate(UNSEEN.finditer(self._source.text)):
            if number == 10:
                break
            self._problems.error(
                codes.BAD_CHARACTER,
                Span(self._source, match.start(), match.end()),
                f"the character U+{ord(match[0]):04X} cannot be seen",
                help=f"remove it; within double quotes it can be written as `\\u{ord(match[0]):04x}`",
            )

    def _tabs(self) -> None:
        tabs = self._lexer.tabs
        if not tabs:
            return
        count = len(tabs) - 1
        more = f", and in {count} more line{'s' if count > 1 else ''}" if count else ""
        self._problems.error(
            codes.TAB_INDENT,
            Span(self._source, tabs[0], tabs[0] + 1),
            f"a tab in the indentation{more}",
            help="indent with spaces",
            label="expected spaces",
        )


@cache
def _grammar() -> Grammar:
    return grammar("tsk.lark", partial(getattr, TreeBuilder()))
