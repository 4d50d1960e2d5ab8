"""From a file, or a text, to a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Code, Problems
from tusk_runtime.language.document import Document
from tusk_runtime.language.parse import parse
from tusk_runtime.language.resolve import resolve
from tusk_runtime.language.source import Source

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes that a file may have."""


def load_file(
    path: Path, environment: Mapping[str, str], problems: Problems, *, name: str | None = None
) -> Document | None:
    """The document in a file; None if the file cannot be read. `name` is shown in place of the path."""
    source = read_file(path, problems, name=name)
    if source is None:
        return None
    document = resolve(parse(source, problems), environment, problems)
    return replace(document, files=(str(path.absolute()),))


def load_text(text: str, name: str, environment: Mapping[str, str], problems: Problems) -> Document:
    """The document in a text, under the name that diagnostics show."""
    return resolve(parse(source_of(text, name), problems), environment, problems)


def source_of(text: str, name: str) -> Source:
    """A source without a byte order mark and with plain line ends."""
    return Source(name, text.removeprefix("\ufeff").replace("\r\n", "\n"))


def read_file(path: Path, problems: Problems, *, name: str | None = None) -> Source | None:
    """Read a UTF-8 file of at most 8 MiB. None, with an error in `problems`, if that is not possible."""
    shown = name if name is not None else str(path)

    def fail(code: Code, message: str, advice: str) -> None:
        problems.error(code, Source(shown, "").span(0, 0), message, help=advice)

    try:
        if path.is_dir():
            fail(codes.NOT_A_FILE, f"`{shown}` is a folder", "name a file in it")
            return None
        with path.open("rb") as file:
            # One byte more than allowed tells that there is more, also for pipes and growing files.
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        fail(codes.NO_FILE, f"there is no file `{shown}`", _similar(path))
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fail(
            codes.UNREADABLE_FILE, f"`{shown}` cannot be read: {reason}", "check the path and its permissions"
        )
        return None
    if len(content) > LARGEST_FILE:
        fail(codes.FILE_TOO_LARGE, f"`{shown}` has more than 8 MiB", "keep data out of declarations")
        return None
    if b"\0" in content:
        advice = "save it as UTF-8" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "name a text file"
        fail(codes.BINARY_FILE, f"`{shown}` holds NUL bytes, and is not UTF-8 text", advice)
        return None
    try:
        return source_of(content.decode("utf-8"), shown)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fail(codes.NOT_UTF8, f"`{shown}` is not UTF-8: byte 0x{content[error.start]:02x} in line {line}",
             "save it as UTF-8")  # fmt: skip
        return None


def _similar(path: Path) -> str:
    """The name of a file in the same folder that was probably meant."""
    from tusk_runtime.language.diagnostics import nearest

    try:
        names = [entry.name for entry in path.parent.iterdir()][:1000]
    except OSError:
        return "check the path"
    guess = nearest(path.name, names)
    return f"did you mean `{guess}`?" if guess else "check the path, and the folder you stand in"
