"""The lexer that Lark is given: none, since tokens are fed to its tables one statement after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lark.lexer import Lexer


class NoLexer(Lexer):
    """Gives no tokens. Lark need not build a lexer of its own, and can keep the tables of the grammar."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        """Nothing."""
        return iter(())
