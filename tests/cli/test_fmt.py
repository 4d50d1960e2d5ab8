"""`tusk fmt` as a user types it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import tusk

from tusk_runtime.cli import fmt
from tusk_runtime.language import formatter

ROUGH = "[s]\n    a=1   # note\n"
GOOD = "[s]\na: 1  # note\n"


def test_files_and_folders_are_formatted_in_place(tmp_path: Path) -> None:
    """What is good is not written; a link stays a link, and the mode is kept."""
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    rough, good, hidden = tmp_path / "sub" / "a.tsk", tmp_path / "b.tsk", tmp_path / ".hidden" / "c.tsk"
    for path, text in ((rough, ROUGH), (good, GOOD), (hidden, ROUGH)):
        path.write_text(text)
    rough.chmod(0o640)
    (tmp_path / "link.tsk").symlink_to(rough)
    before = good.stat().st_mtime_ns
    done = tusk("fmt", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (rough.read_text(), hidden.read_text()) == (GOOD, ROUGH)
    assert (rough.stat().st_mode & 0o777, (tmp_path / "link.tsk").is_symlink()) == (0o640, True)
    assert good.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.tsk"]
    assert tusk("fmt", tmp_path, good, rough).stdout == "2 files: good\n"  # each once


def test_check_and_diff_write_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.tsk"
    file.write_text(ROUGH)
    checked = tusk("fmt", "--check", file)
    assert (checked.returncode, "would change" in checked.stdout) == (1, True)
    shown = tusk("fmt", "--diff", file)
    assert shown.returncode == 1
    assert "-    a=1   # note\n+a: 1  # note\n" in shown.stdout
    told = json.loads(tusk("fmt", "--check", file, "--format", "json").stdout)
    assert told["files"] == [{"file": str(file), "result": "would change"}]
    assert file.read_text() == ROUGH
    file.write_text(GOOD)
    assert tusk("fmt", "--check", file).returncode == 0


def test_a_file_with_mistakes_is_left_and_the_others_are_formatted(tmp_path: Path) -> None:
    broken, rough = tmp_path / "a.tsk", tmp_path / "b.tsk"
    broken.write_text("[s]\n  a=yes\n")
    rough.write_text(ROUGH)
    done = tusk("fmt", tmp_path)
    assert (done.returncode, "TSK012" in done.stderr) == (78, True)
    assert (broken.read_text(), rough.read_text()) == ("[s]\n  a=yes\n", GOOD)


def test_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, a file that is read-only: exit code 1, the file is whole, and nothing lies beside it."""
    file, other = tmp_path / "a.tsk", tmp_path / "b.tsk"
    file.write_text(ROUGH)
    other.write_text(GOOD)
    for name, failing in (("access", lambda path, mode: mode != os.W_OK), ("fsync", _no_space)):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            done = CliRunner().invoke(fmt.command, [str(tmp_path)])
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"error: `{file}` cannot be written: " in done.stderr
        assert file.read_text() == ROUGH
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tsk", "b.tsk"]


def _no_space(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_fault_of_the_formatter_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays as it is, the others are formatted, and the message says whose fault it is."""
    first, second = tmp_path / "a.tsk", tmp_path / "b.tsk"
    first.write_text("a=1\n")
    second.write_text("b=2\n")
    laid_out = formatter.laid_out
    monkeypatch.setattr(
        formatter, "laid_out", lambda source, tokens: laid_out(source, tokens).replace("a: 1", "a: 2")
    )
    done = CliRunner().invoke(fmt.command, [str(tmp_path)])
    assert (done.exit_code, first.read_text(), second.read_text()) == (1, "a=1\n", "b: 2\n")
    assert f"`{first}` was left as it is" in done.stderr
    first.write_text("a=1\n")
    done = CliRunner().invoke(fmt.command, [str(tmp_path), "--format", "json"])
    assert [file["result"] for file in json.loads(done.stdout)["files"]] == ["failed", "unchanged"]


def test_the_answer_as_json(tmp_path: Path) -> None:
    """What became of each file, with the differences if they are asked for, and the diagnostics."""
    for name, text in {"a.tsk": "a=1", "b.tsk": "b: yes\n", "c.tsk": GOOD}.items():
        (tmp_path / name).write_text(text)
    done = tusk("fmt", "--diff", "--format", "json", tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (78, "")
    assert [file["result"] for file in told["files"]] == ["would change", "invalid", "unchanged"]
    assert told["files"][0]["diff"].endswith("@@ -1 +1 @@\n-a=1\n\\ No newline at end of file\n+a: 1\n")
    assert [diagnostic["code"] for diagnostic in told["diagnostics"]] == ["TSK012"]
    assert json.loads(tusk("fmt", "--format", "json", tmp_path).stdout)["files"][0]["result"] == "formatted"
    assert tusk("fmt", "-", "--format", "json", stdin=ROUGH).returncode == 2
    assert json.loads(tusk("fmt", "-", "--check", "--format", "json", stdin=ROUGH).stdout)["files"] == [
        {"file": "<stdin>", "result": "would change"}
    ]


def test_line_ends_and_marks_of_other_systems(tmp_path: Path) -> None:
    """CRLF becomes LF, a byte order mark goes; both count as changes."""
    file = tmp_path / "a.tsk"
    file.write_bytes(b"\xef\xbb\xbf[s]\r\na: 1  # note\r\n")
    assert tusk("fmt", "--check", file).returncode == 1
    assert tusk("fmt", file).returncode == 0
    assert file.read_bytes() == GOOD.encode()


def test_standard_input_is_printed(tmp_path: Path) -> None:
    assert tusk("fmt", "-", stdin=ROUGH).stdout == GOOD
    assert tusk("fmt", "-", stdin="junk line\n").returncode == 78
    assert tusk("fmt", "-", tmp_path).returncode == 2


def test_neither_variables_nor_imports_are_needed(tmp_path: Path) -> None:
    file = tmp_path / "a.tsk"
    file.write_text('@import   "none.tsk"\na:@env( "NOBODY_SETS_THIS" )\nb: $nothing\n')
    assert tusk("fmt", file).returncode == 0
    assert file.read_text() == '@import "none.tsk"\na: @env("NOBODY_SETS_THIS")\nb: $nothing\n'


def test_paths_that_are_not_there_are_told(tmp_path: Path) -> None:
    assert tusk("fmt", tmp_path / "none.tsk").returncode == 78
    assert tusk("fmt", tmp_path).returncode == 78
