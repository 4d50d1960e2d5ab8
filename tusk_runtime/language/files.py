"""The files that a load may read: those of the project folder."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import Code, Problems
from tusk_runtime.language.source import Source, Span

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes that a `.tsk` file may have."""

LARGEST_TEXT = 1024 * 1024
"""Bytes that the file of `@file` may have."""

CASCADE = ("peanu.tsk", "peanut.tsk")
"""What the files are called that hold for every `.tsk` file in and below their folder; the first wins."""

# Also `\r\r\n`, which a line end becomes that is converted twice.
_LINE_END = re.compile(r"(?<!\r)\r++\n")


class ProjectFiles:
    """Reads files inside of one project folder, and remembers which, so that they can be watched.

    The folder is that of the nearest `.git` above the main file, else of the topmost `peanu.tsk`, else the
    file's own. Files are shown by the name of the main file's folder, as it was given.
    """

    def __init__(self, main: Path, shown: str, problems: Problems) -> None:
        self.main = _absolute(main)
        self.read: dict[str, bytes] = {}
        self._shown_folder = Path(shown).parent
        self._problems = problems
        self.cascade = self._find_cascade()
        self.root = self._project()

    def shown(self, path: Path) -> str:
        """The name of a file in messages."""
        relative = os.path.relpath(path, self.main.parent)
        return os.path.normpath(self._shown_folder / relative)

    def inside(self, folder: Path, written: str, span: Span) -> Path | None:
        """The file that a path names from a folder. None, with an error, if it leaves the project folder."""
        path = _absolute(folder / written)
        relative = "\0" not in written and not Path(written).is_absolute()
        if relative and path.resolve().is_relative_to(self.root):
            return path
        self._problems.error(
            codes.IMPORT,
            span,
            f"`{written}` is not inside of the project folder",
            help=f"name a file in `{self.shown(self.root)}` or below, by a path that begins at this file",
        )
        return None

    def source(self, path: Path, span: Span | None = None) -> Source | None:
        """The text of a `.tsk` file. None, with an error at `span` or at the file, if it cannot be read."""
        text = self._read(path, LARGEST_FILE, span)
        return None if text is None else source_of(text, self.shown(path))

    def text(self, path: Path, span: Span) -> str | None:
        """The text of any file, of at most 1 MiB."""
        return self._read(path, LARGEST_TEXT, span)

    def _read(self, path: Path, largest: int, span: Span | None) -> str | None:
        text = read_text(path, self.shown(path), largest, self._problems, span)
        self.read[str(path)] = b"" if text is None else digest(text.encode())
        return text

    def _find_cascade(self) -> list[Path]:
        """The `peanu.tsk` of this folder and of those above, the farthest first."""
        found: list[Path] = []
        for folder in self.main.parents:
            here = [folder / name for name in CASCADE if (folder / name).is_file()]
            if here and here[0] != self.main:
                if _open_to_all(folder) and folder != self.main.parent:
                    span = Source(self.shown(here[0]), "").span(0, 0)
                    self._problems.warning(
                        codes.OPEN_FOLDER,
                        span,
                        f"`{self.shown(here[0])}` was not read: everyone can write its folder",
                        help="remove it, or take the right to write the folder from others",
                    )
                else:
                    found.append(here[0])
            if (folder / ".git").exists():
                break
        return found[::-1]

    def _project(self) -> Path:
        folder = next((f for f in self.main.parents if (f / ".git").exists()), None)
        if folder is None:
            folder = self.cascade[0].parent if self.cascade else self.main.parent
        return folder.resolve()


def digest(content: bytes) -> bytes:
    """What tells one content of a file from another."""
    return hashlib.blake2b(content, digest_size=16).digest()


def _absolute(path: Path) -> Path:
    """The path from the root on, its symbolic links left as they are: what is edited is the link's place."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve follows links


def _open_to_all(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & 0o002)
    except OSError:
        return True


def source_of(text: str, name: str) -> Source:
    """A source without a byte order mark and with plain line ends."""
    return Source(name, _LINE_END.sub("\n", text.removeprefix("\ufeff")))


def read_text(path: Path, shown: str, largest: int, problems: Problems, span: Span | None) -> str | None:
    """The text of a UTF-8 file. None, with an error at `span` or at the file, if that is not possible."""

    def fail(code: Code, message: str, advice: str) -> None:
        problems.error(code, span or Source(shown, "").span(0, 0), message, help=advice)

    try:
        if path.is_dir():
            fail(codes.NOT_A_FILE, f"`{shown}` is a folder", "name a file in it")
            return None
        with path.open("rb") as file:
            return text_of(file, shown, largest, problems, span)
    except FileNotFoundError:
        fail(codes.NO_FILE, f"there is no file `{shown}`", _similar(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "check the path and its permissions"
        fail(codes.UNREADABLE_FILE, f"`{shown}` cannot be read: {reason}", advice)
    return None


def text_of(
    file: BinaryIO, shown: str, largest: int, problems: Problems, span: Span | None = None
) -> str | None:
    """The text of an open UTF-8 file. None, with an error, if it is too large, or no text."""

    def fail(code: Code, message: str, advice: str) -> None:
        problems.error(code, span or Source(shown, "").span(0, 0), message, help=advice)

    # One byte more than allowed tells that there is more, also for pipes and growing files.
    content = file.read(largest + 1)
    if len(content) > largest:
        size = f"{largest // 1024 // 1024} MiB"
        fail(codes.FILE_TOO_LARGE, f"`{shown}` has more than {size}", "keep data out of declarations")
        return None
    if b"\0" in content:
        advice = "save it as UTF-8" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "name a text file"
        fail(codes.BINARY_FILE, f"`{shown}` holds NUL bytes, and is not UTF-8 text", advice)
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        fail(codes.NOT_UTF8, f"`{shown}` is not UTF-8: byte 0x{byte:02x} in line {line}", "save it as UTF-8")
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
