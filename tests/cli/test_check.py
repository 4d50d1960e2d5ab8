"""`tusk check` over files, folders, Markdown and standard input."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from apps import ACCOUNT as UNREAD
from click.testing import CliRunner
from command_line import tusk

from tusk_runtime.cli.check import command

ROOT = Path(__file__).resolve().parents[2]

ACCOUNT = UNREAD + '\n[queries.owners]\nfrom: "owners"\n'
"""An application of which nothing is unused."""

BROKEN = "[events]\nOpened: { fields: { owner: strng } }\n"

GUIDE = f"""# Guide

```tsk
{ACCOUNT}```

- In a list:

  ```tsk
  [events]
  Opened: {{ fields: {{ owner: "strng" }} }}
  ```

## A piece

```tsk fragment
[commands.Open]
key: @env('NOBODY_SETS_THIS')
```

```tsk fragment
[commands.Open]
key: yes
```

```rust
[commands]
limit: @query("select 1")

[implementation]
use std::fmt;
```

```sh
make run
```
"""


def places(*arguments: str | Path, **more: str) -> list[str]:
    """The code and the place of everything that is found, and nothing else."""
    found = tusk("check", "--format", "json", *arguments, **more)  # type: ignore[arg-type]
    assert found.stderr == ""
    return [
        f"{d['code']} {Path(d['file']).name}:{d['line']}:{d['column']}"
        for d in json.loads(found.stdout)["diagnostics"]
    ]


def test_every_block_of_a_guide_is_checked(tmp_path: Path) -> None:
    """A whole application each; a piece only as far as it can be read; places are those of the guide."""
    guide = tmp_path / "guide.md"
    guide.write_text(GUIDE)
    at = {
        word: next(n for n, line in enumerate(GUIDE.splitlines(), 1) if word in line)
        for word in ("strng", "key: yes", "@query")
    }
    found = [place for place in places(guide) if not place.startswith("TSK3")]
    assert found == [
        f"TSK251 guide.md:{at['strng']}:31",
        f"TSK012 guide.md:{at['key: yes']}:6",
        f"TSK113 guide.md:{at['@query']}:8",
    ]
    told = tusk("check", guide)
    assert told.returncode == 78
    assert f'{at["strng"]} |   Opened: {{ fields: {{ owner: "strng" }} }}\n' in told.stderr


def test_a_guide_that_is_good(tmp_path: Path) -> None:
    """The summary says how many of its blocks are configuration."""
    guide = tmp_path / "guide.md"
    guide.write_text(f"```tsk\n{ACCOUNT}```\n\n```sh\nmake\n```\n")
    found = tusk("check", "guide.md", cwd=tmp_path)
    assert (found.returncode, found.stdout, found.stderr) == (0, "guide.md (1 of 2 fences): good\n", "")


def test_a_folder_stands_for_the_files_in_it(tmp_path: Path) -> None:
    """All of them, sorted, once; hidden folders and those of others are left out; none hides another."""
    for name in (
        "b/bad.tsk",
        "a.tsk",
        "z.tsk",
        ".git/x.tsk",
        "node_modules/y.tsk",
        ".venv/v.tsk",
        "b/.#bad.tsk",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(BROKEN if name != "z.tsk" else ACCOUNT)
    (tmp_path / "b" / "guide.md").write_text(f"```tsk\n{BROKEN}```\n")
    (tmp_path / "c.tsk").write_bytes(b"\xff")
    told = [place for place in places(tmp_path, tmp_path / "a.tsk") if not place.startswith("TSK3")]
    assert told == ["TSK251 a.tsk:2:28", "TSK251 bad.tsk:2:28", "TSK103 c.tsk:1:1"]
    found = tusk("check", tmp_path)
    assert found.returncode == 78
    assert found.stdout == "4 files: 3 errors\n"
    found = tusk("check", "--markdown", tmp_path)
    assert found.stdout == "5 files (1 of 1 fences): 4 errors\n"
    assert "guide.md:3:28" in found.stderr


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and does not hide what can be read."""
    (tmp_path / "shut").mkdir()
    (tmp_path / "a.tsk").write_text(ACCOUNT)
    scan = os.scandir

    def refusing(path: str) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = CliRunner().invoke(command, [str(tmp_path), "--format", "json"])
    assert found.exit_code == 78
    (told,) = json.loads(found.stdout)["diagnostics"]
    assert (told["code"], Path(told["file"]).name) == ("TSK101", "shut")
    assert "Permission denied" in told["message"]


def test_a_folder_with_nothing_to_check(tmp_path: Path) -> None:
    """Nothing was checked, so nothing is called good: exit code 2."""
    (tmp_path / "guide.md").write_text("```tsk\n```\n")
    found = tusk("check", tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "no .tsk file in" in found.stderr
    assert "--markdown" in found.stderr
    assert tusk("check", "--markdown", tmp_path).returncode == 78


@pytest.mark.parametrize("markdown", [False, True])
def test_standard_input(markdown: bool) -> None:
    """`-` is a .tsk file, or Markdown if so said."""
    options = ["--markdown"] if markdown else []
    text = "```tsk\n{}```\n" if markdown else "{}"
    good = tusk("check", *options, "-", stdin=text.format(ACCOUNT))
    assert good.returncode == 0, good.stderr
    assert good.stdout.startswith("<stdin>")
    line = 3 if markdown else 2
    assert f"TSK251 <stdin>:{line}:28" in places(*options, "-", stdin=text.format(BROKEN))


@pytest.mark.parametrize(
    ("text", "code"), [("a: 1\udcff\n", "TSK103"), ("a: \0\n", "TSK024"), ("# x\n" * 2_100_000, "TSK104")]
)
def test_standard_input_that_cannot_be_read(text: str, code: str) -> None:
    """Bytes that are no text, characters that cannot be seen, more than 8 MiB: a diagnostic each."""
    found = tusk("check", "-", stdin=text)
    assert found.returncode == 78
    assert f"error[{code}]" in found.stderr
    assert "<stdin>:1:" in found.stderr


def test_the_documentation_passes() -> None:
    """Every block of the README and of the pages is right; the pieces of the pages are no whole applications,
    of which something may be unused."""
    assert tusk("check", "--strict", "README.md", "examples", cwd=ROOT).returncode == 0
    found = tusk("check", "--markdown", "README.md", "docs", "--format", "json", cwd=ROOT)
    assert found.returncode == 0
    codes = {d["code"] for d in json.loads(found.stdout)["diagnostics"]}
    assert all("TSK350" <= code <= "TSK399" for code in codes)


def test_what_a_file_imports_is_checked_as_a_part_of_it(tmp_path: Path) -> None:
    """By itself a part would lack what the others declare."""
    events, _, rest = ACCOUNT.partition("[aggregates")
    (tmp_path / "app.tsk").write_text(f'@import "part.tsk"\n{events}')
    (tmp_path / "part.tsk").write_text(f"[aggregates{rest}")
    assert tusk("check", tmp_path / "part.tsk").returncode == 78
    found = tusk("check", "--strict", tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    (tmp_path / "part.tsk").write_text(f"[aggregates{rest}[http]\nlisten: 70000000\n")
    told = json.loads(tusk("check", tmp_path, "--format", "json").stdout)["diagnostics"]
    assert [(d["code"], Path(d["file"]).name) for d in told] == [("TSK206", "part.tsk")]
