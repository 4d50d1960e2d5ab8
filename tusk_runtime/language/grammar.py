"""Finds the folder of the grammars, and builds the parser for documents from its grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tusk_runtime.language.tree_builder import TreeBuilder

if TYPE_CHECKING:
    from lark import Lark

_PACKAGE = Path(__file__).resolve().parent.parent


def grammar_folder() -> Path:
    """Where the grammars are: in the package if it was installed, else beside it in the checkout."""
    installed = _PACKAGE / "grammar"
    return installed if installed.is_dir() else _PACKAGE.parent / "grammar"


def read_grammar(name: str) -> str:
    """The text of a grammar, such as `tsk.lark`."""
    return (grammar_folder() / name).read_text(encoding="utf-8")


@cache
def document_parser() -> Lark:
    """The LALR parser for documents, built once."""
    # Lark takes longer to import than a small file takes to read: only who parses pays for it.
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Tokens are fed by `parse`, so that it can recover; Lark need not build a lexer of its own."""

        def __init__(self, conf: Any) -> None:
            pass

        def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
            return iter(())

    return Lark(
        read_grammar("tsk.lark"),
        parser="lalr",
        lexer=NoLexer,
        transformer=TreeBuilder(),
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


@cache
def terminals() -> dict[str, str]:
    """The regular expression of each terminal by its name."""
    return {terminal.name: terminal.pattern.to_regexp() for terminal in document_parser().terminals}


def alternatives(*names: str) -> str:
    """The alternatives of these terminals as named groups of a regular expression."""
    known = terminals()
    return "|".join(f"(?P<{name}>{known[name]})" for name in names)


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern in which `<<NAME>>` stands for a terminal."""
    known = terminals()
    return re.compile(re.sub(r"<<(\w+)>>", lambda match: known[match[1]], pattern))
