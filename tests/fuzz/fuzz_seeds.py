"""What fuzzing begins with: files, expressions and types that people wrote, and the words they consist of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.operators import AVAILABLE
from tusk_runtime.types.text import BUILT_IN, CONSTRAINTS

ROOT = Path(__file__).resolve().parents[2]

_SNIPPET = re.compile(r"^```tsk\n(.*?)^```", re.M | re.S)
_EXPRESSION = re.compile(r"\{\{ ?(.*?) ?\}\}")
_TYPE = re.compile(r'"((?:' + "|".join((*BUILT_IN, "list", "map", "enum")) + r')\b[^"{}]*)"')

_SIGNS = (
    "{{ ", " }}", "{% ", " %}", "${", "$name", '"""', "'''", '"', "'", "\\u0041", "\\", "[", "]", "{", "}", "(", ")", " > ",
    "\n<\n", "- ", "\n  ", "\n", "\r\n", "\t", " # ", ": ", " = ", ", ", " ? ", " : ", " ?? ", "?.", " && ", " || ", "!",
    "==", "!=", "<=", ">=", "//", " | ", " if ", " else ", " for x in ", " and ", " or ", " not in ", "true", "false",
    "null", "0x1f", "1e3", "-1", "0.5", "7d", "100MB", "8000-9000", "yes", "@import \"x.tsk\"", "import: [", "fn main() {",
    "function f(", "_fujsen", "<a>", "# Title", "\u00e9", "\u200b", "\ufeff", "\u202e", "list<", ">", "? pii = ",
)  # fmt: skip


def texts() -> Iterator[str]:
    """Whole files: the examples, the snippets of the documentation, and all golden cases."""
    for path in sorted((ROOT / "examples").glob("*.tsk")):
        yield path.read_text()
    yield (ROOT / "tests/language/seed.tsk").read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        yield from _SNIPPET.findall(path.read_text())
    for path in (
        *sorted(ROOT.glob("tests/language/cases/*.case")),
        *sorted(ROOT.glob("tests/model/cases/*.case")),
    ):
        yield path.read_bytes().decode().partition("\n-----\n")[0] + "\n"


def expressions() -> Iterator[str]:
    """Expressions, of all files and of the tests of the language."""
    for written in texts():
        yield from _EXPRESSION.findall(written)
    for path in sorted((ROOT / "tests/expressions").glob("test_*.py")):
        yield from re.findall(r'^\s+\(?"([^"\n]+)",', path.read_text(), re.M)


def types() -> Iterator[str]:
    """Type texts, of all files and of the tests of the types."""
    for written in texts():
        yield from _TYPE.findall(written)
    for path in sorted((ROOT / "tests/types").glob("test_*.py")):
        yield from _TYPE.findall(path.read_text())


def env_files() -> Iterator[str]:
    """Files of environment variables."""
    yield "NAME=value\nexport OTHER=\"two words\" # why\nTHIRD='as it is'\n\n# a comment\nEMPTY=\n"
    yield 'A="\\n \\" \\\\ \\$"\r\nB = x # y\nC="not closed\nA=again\n1=2\nD="x" y\n=\nexport\n'


def seeds(target: str) -> list[bytes]:
    """The first inputs of a target, each once, none longer than an input may be."""
    front = {"expression": b"\0", "growth": b"\x40\xc0"}.get(target, b"")
    written = {"expression": expressions, "type": types, "env": env_files}.get(target, texts)
    return [front + text.encode()[:4090] for text in dict.fromkeys(written())]


def words() -> list[str]:
    """The words and signs of the language, for the mutator."""
    keys: set[str] = set()
    for written in texts():
        keys.update(re.findall(r"^\s*\[?([a-z_]+)\b", written, re.M))
    operators = [f"@{name}('X')" for name in AVAILABLE]
    names = [*FUNCTIONS, *BUILT_IN, *(f"{name}=" for names in CONSTRAINTS.values() for name in names)]
    return list(dict.fromkeys([*_SIGNS, *operators, *names, *sorted(keys)]))


def dictionary() -> str:
    """The words in the form that libFuzzer reads."""
    return "".join(f'"{_escaped(word)}"\n' for word in words())


def _escaped(word: str) -> str:
    return "".join(
        chr(byte) if 32 < byte < 127 and byte not in (34, 92) else f"\\x{byte:02x}" for byte in word.encode()
    )
