"""Makes the tables of a grammar, with Lark.

Lark takes longer to import than a file takes to read: only who finds no tables kept imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lark import Lark
from lark.grammar import Rule as LarkRule
from lark.lexer import Lexer, TerminalDef

from tusk_runtime.language.grammar import Rule, Tables


class _NoLexer(Lexer):
    """Gives no tokens: Lark need not build a lexer, as the tables are fed token by token."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        return iter(())


def make_tables(grammar: str) -> Tables:
    """The LALR tables of a grammar's text. Takes some tenths of a second."""
    lark = Lark(grammar, parser="lalr", lexer=_NoLexer, keep_all_tokens=True, maybe_placeholders=False)
    table = lark.parse_interactive().parser_state.parse_conf
    number = {rule: number for number, rule in enumerate(lark.rules)}
    terminals = sorted(lark.terminals, key=_precedence)
    return Tables(
        rows=[
            {
                str(name): argument if action.name == "Shift" else ~number[argument]
                for name, (action, argument) in table.states[state].items()
            }
            for state in range(len(table.states))
        ],
        rules=[_rule(rule) for rule in lark.rules],
        start=table.start_state,
        end=table.end_state,
        terminals={terminal.name: terminal.pattern.to_regexp() for terminal in terminals},
        ignored=list(lark.lexer_conf.ignore),
        words={t.pattern.value: t.name for t in terminals if t.pattern.value.isalpha()},
    )


def _rule(rule: LarkRule) -> Rule:
    parts = enumerate(rule.expansion)
    return Rule(
        str(rule.origin.name),
        str(rule.alias or rule.origin.name),
        len(rule.expansion),
        [index for index, part in parts if not part.is_term and part.name.startswith("_")],
        bool(rule.options.expand1 and not rule.alias),
    )


def _precedence(terminal: TerminalDef) -> tuple[int, int, int, str]:
    """Which terminal is tried first where several match: the order of Lark's own lexers."""
    pattern = terminal.pattern
    return -terminal.priority, -pattern.max_width, -len(pattern.value), terminal.name
