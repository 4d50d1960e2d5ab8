"""Text between `{{` and `}}` to a syntax tree."""

from __future__ import annotations

import re
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

from tusk_runtime.expressions import codes
from tusk_runtime.expressions import syntax as s
from tusk_runtime.expressions.hints import wrong_syntax
from tusk_runtime.expressions.limits import MAX_SOURCE
from tusk_runtime.expressions.templates import Wrong
from tusk_runtime.expressions.tree_builder import Token, TreeBuilder
from tusk_runtime.language.grammar import lalr_parser


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
        return _run(_tokens(source), source, start)


def _tokens(source: str) -> list[Token]:
    """The tokens; one that is none of the language ends the list and fits nowhere."""
    tables = _tables()
    tokens: list[Token] = []
    at, end = 0, len(source)
    while at < end:
        match = tables.token.match(source, at)
        if match is None:
            tokens.append(Token("", source[at], at, at + 1))
            return tokens
        kind = match.lastgroup
        if kind is not None:
            word = match[0]
            if kind == "NAME":
                kind = tables.keywords.get(word, kind)
            tokens.append(Token(kind, word, at, match.end()))
        at = match.end()
    tokens.append(Token("$END", "", end, end))
    return tokens


def _run(tokens: list[Token], source: str, base: int) -> s.Syntax:
    """Run the LALR tables of the grammar over tokens."""
    rows, start, last, *_ = _tables()
    states, values = [start], list[Any]()
    row = rows[start]
    for token in tokens:
        while True:
            action = row.get(token.type)
            if action.__class__ is int:
                states.append(action)
                values.append(token)
                row = rows[action]
                break
            if action is None:
                if states[-1] == last and token.type == "$END":
                    break
                raise wrong_syntax(source, base, token.start_pos, token.end_pos, token.type == "$END")
            size, build, rule = action
            children = values[-size:] if size else []
            if size:
                del states[-size:]
                del values[-size:]
            values.append(build(children))
            states.append(rows[states[-1]][rule])
            row = rows[states[-1]]
    tree: s.Syntax = values[0]
    return tree


class _Tables(NamedTuple):
    """The grammar, ready to run.

    A row tells for each token or rule the next state, or what to reduce first: how many values, what builds
    their node, the rule. `token` matches one token, or white space, which has no group.
    """

    rows: dict[int, dict[str, Any]]
    start: int
    end: int
    token: re.Pattern[str]
    keywords: dict[str, str]


_LOCK = Lock()
_BUILDER = TreeBuilder()


@cache
def _tables() -> _Tables:
    """The tables that Lark makes of the grammar, read once per process with the first expression.

    Lark's own driver and lexer would cost twice the time: they keep what other grammars need.
    """
    from tusk_runtime.language.no_lexer import NoLexer

    parser = lalr_parser(
        "expressions.lark",
        lexer=NoLexer,
        transformer=_BUILDER,  # any object with a method per rule
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
    state = parser.parse_interactive().parser_state
    conf = state.parse_conf
    rows: dict[int, dict[str, Any]] = {}
    for number, actions in conf.states.items():
        row = rows[number] = {}
        for name, (action, argument) in actions.items():
            if action.name == "Shift":
                row[str(name)] = argument
            else:
                row[str(name)] = len(argument.expansion), conf.callbacks[argument], str(argument.origin.name)
    # Keywords are read as names first, so that `orders` is never `or` and `ders`.
    keywords = {t.pattern.value: t.name for t in parser.terminals if t.pattern.value.isalpha()}
    signs = [t for t in parser.terminals if t.name not in keywords.values()]
    # Longer tokens stand before what they begin with: `?.` before `.`, decimals before integers.
    signs.sort(key=lambda t: (t.pattern.type == "str", t.name != "DECIMAL", -t.pattern.max_width))
    ignored = set(parser.lexer_conf.ignore)  # also known of tables that were kept
    groups = "|".join(
        f"(?:{t.pattern.to_regexp()})" if t.name in ignored else f"(?P<{t.name}>{t.pattern.to_regexp()})"
        for t in signs
    )
    return _Tables(rows, conf.start_state, conf.end_state, re.compile(groups), keywords)
