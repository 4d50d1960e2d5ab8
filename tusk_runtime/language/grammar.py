"""Finds the folder of the grammars, and builds the parser for documents from its grammar."""

from __future__ import annotations

import os
import re
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


def lalr_parser(name: str, **options: Any) -> Lark:
    """The LALR parser of a grammar, such as `types.lark`, with Lark's options.

    Its tables are kept in the user's cache folder: to build them takes a short command's time three times
    over. Lark itself notices a grammar, an option or a version that has changed.
    """
    # Lark takes longer to import than a small file takes to read: only who parses pays for it.
    from lark import Lark

    folder = _cache_folder()
    if folder is not None:
        options["cache"] = str(folder / f"{name}.tables")
    return Lark(read_grammar(name), parser="lalr", **options)


@cache
def _cache_folder() -> Path | None:
    """A folder that only this user can write, since Lark unpickles what it finds there; None without one."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tusk-runtime"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        return folder if owned and not found.st_mode & 0o022 else None
    except (OSError, RuntimeError):
        return None


@cache
def document_parser() -> Lark:
    """The LALR parser for documents, built once."""
    from tusk_runtime.language.no_lexer import NoLexer

    return lalr_parser(
        "tsk.lark",
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
