"""`tusk fmt` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import tusk

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
    assert "good" in tusk("fmt", tmp_path).stdout


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
