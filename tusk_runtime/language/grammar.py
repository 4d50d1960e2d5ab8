"""The grammars in `grammar/`, as LALR tables that are made once and kept."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PACKAGE = Path(__file__).resolve().parent.parent
_FORM = 1
"""The form of the tables that are kept. A change of `Tables`, or of what makes them, raises it."""


class Rule(NamedTuple):
    """One alternative of a rule of a grammar."""

    origin: str
    """The rule."""
    name: str
    """What is called with the values: the alias (`-> name`), else the rule."""
    size: int
    """How many values it takes."""
    inlined: list[int]
    """Which of them are lists whose elements take their place: those of rules such as `_arguments`."""
    single: bool
    """Whether one value stands for itself: the rule begins with `?`."""


class Tables(NamedTuple):
    """A grammar, ready to run."""

    rows: list[dict[str, int]]
    """For each state, by token or rule: the next state, or `~number` of the rule to reduce first."""
    rules: list[Rule]
    start: int
    end: int
    """The state in which the text may end."""
    terminals: dict[str, str]
    """The regular expression of each terminal; what is tried first stands first."""
    ignored: list[str]
    """The terminals that stand for nothing, such as white space."""
    words: dict[str, str]
    """The terminals that are one word, by that word."""


@cache
def tables(name: str) -> Tables:
    """The tables of a grammar, such as `types.lark`.

    They are kept in the user's cache folder: to make them takes a short command's time three times over.
    """
    grammar = read_grammar(name)
    folder = _cache_folder()
    kept = None if folder is None else folder / f"{name}.json"
    if kept is not None:
        # Whatever stands there that is not what was written is made anew.
        with suppress(OSError, ValueError, TypeError, RecursionError):
            form, text, *parts = json.loads(kept.read_bytes())
            if form == _FORM and text == grammar:
                found = Tables(*parts)
                return found._replace(rules=[Rule(*rule) for rule in found.rules])
    from tusk_runtime.language.lalr import make_tables

    made = make_tables(grammar)
    if kept is not None:
        with suppress(OSError):
            _write(kept, json.dumps([_FORM, grammar, *made], separators=(",", ":")))
    return made


def _write(path: Path, text: str) -> None:
    """Write a file as a whole: others may be reading it, or writing it too."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


@cache
def _cache_folder() -> Path | None:
    """A folder that only this user can write, since other tables would read files otherwise; None without."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tusk-runtime"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        return folder if owned and not found.st_mode & 0o022 else None
    except (OSError, RuntimeError):
        return None


def grammar_folder() -> Path:
    """Where the grammars are: in the package if it was installed, else beside it in the checkout."""
    installed = _PACKAGE / "grammar"
    return installed if installed.is_dir() else _PACKAGE.parent / "grammar"


def read_grammar(name: str) -> str:
    """The text of a grammar, such as `tsk.lark`."""
    return (grammar_folder() / name).read_text(encoding="utf-8")


def alternatives(*names: str) -> str:
    """Terminals of `tsk.lark` as the named groups of a regular expression."""
    known = tables("tsk.lark").terminals
    return "|".join(f"(?P<{name}>{known[name]})" for name in names)


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern in which `<<NAME>>` stands for a terminal of `tsk.lark`."""
    known = tables("tsk.lark").terminals
    return re.compile(re.sub(r"<<(\w+)>>", lambda match: known[match[1]], pattern))
