"""`tusk extract`: the configuration of a guide, and an account of what was taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import tusk

GUIDE = """# Parcels 📦

Set it up:

```sh
export PARCELS_DB=parcels.db
```

## Store

```rust
[store]
backend: "sqlite"

[store.options]
path: "@env('PARCELS_DB')"
sizes:
  - "small"
  - "large"
 \x20
retention: 7d

[store_implementation]
use std::fs;

#[derive(Debug)]
pub struct Store {
    path: String,
}

[never]
read: true
```

## Code only

```rust
[handler]
pub fn handle() -> bool { true }
```

## Names

- The name stands above all sections:

  ```tsk
  name: "parcels"
  ```

## Store again

```toml
# What was said before may be said again.
[store]
# The same.
backend = 'sqlite'
cache = 0.10

[store.options]
sizes: ["small", "large"]

[bus]
topics: [
  "parcels",
]
```
"""

EXTRACTED = """# Names (guide.md:46)
name: "parcels"

# Store (guide.md:11)
[store]
backend: "sqlite"

[store.options]
path: "@env('PARCELS_DB')"
sizes:
  - "small"
  - "large"
 \x20
retention: 7d

# Store again (guide.md:52)
# What was said before may be said again.
[store]
cache = 0.10

[bus]
topics: [
  "parcels",
]
"""

TABLE = """\
FENCE  LINE  LANGUAGE  SECTIONS  KEYS  HEADING      NOTES
1      5     sh        -         -     Parcels 📦   begins with neither a section nor a key
2      11    rust      2         4     Store        program code from line 24 on, all that [store_implementation] holds
                                                    [never] in line 31 stands behind program code, and is left out
3      37    rust      -         -     Code only    program code from line 39 on, all that [handler] holds
4      46    tsk       0         1     Names
5      52    toml      2         2     Store again  `[store] backend` in line 56 is left out: line 13 gives it the same value
                                                    `[store.options] sizes` in line 60 is left out: line 17 gives it the same value
"""


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    path = tmp_path / "guide.md"
    path.write_text(GUIDE)
    return path


def test_the_configuration_of_a_guide(guide: Path) -> None:
    """Keys above all sections come first; code, and what was said before, is left out; all of it is told."""
    found = tusk("extract", "guide.md", cwd=guide.parent)
    assert found.stdout == EXTRACTED
    assert found.stderr == TABLE
    assert found.returncode == 0


def test_what_was_extracted_loads(guide: Path) -> None:
    """It is written once, and holds what the guide says."""
    target = guide.with_name("app.tsk")
    found = tusk("extract", "guide.md", "--to", "app.tsk", cwd=guide.parent)
    assert found.stdout == "wrote app.tsk: 4 sections, 7 keys, from 3 of 5 blocks\n"
    assert target.read_text() == EXTRACTED
    shown = tusk("show", target, "--format", "json", PARCELS_DB="here")
    assert json.loads(shown.stdout) == {
        "name": "parcels",
        "store": {
            "backend": "sqlite",
            "options": {"path": "here", "sizes": ["small", "large"], "retention": "7d"},
            "cache": 0.1,
        },
        "bus": {"topics": ["parcels"]},
    }


def test_nothing_is_overwritten(guide: Path) -> None:
    """Only --force does; a folder that is not there is told."""
    target = guide.with_name("app.tsk")
    target.write_text("mine")
    found = tusk("extract", guide, "--to", target)
    assert (found.returncode, target.read_text()) == (1, "mine")
    assert "--force" in found.stderr
    assert tusk("extract", guide, "--to", target, "--force").returncode == 0
    assert target.read_text() == EXTRACTED
    found = tusk("extract", guide, "--to", guide.parent / "no" / "app.tsk")
    assert (found.returncode, "cannot be written" in found.stderr) == (1, True)


def test_another_value_is_an_error_with_both_places(tmp_path: Path) -> None:
    """Two blocks that contradict each other make no file."""
    guide = tmp_path / "guide.md"
    guide.write_text("```rust\n[a]\nb: 1\n```\n\n> ```rust\n> [a]\n> b: 2\n> ```\n")
    target = tmp_path / "app.tsk"
    found = tusk("extract", guide, "--to", target)
    assert found.returncode == 78
    assert "error[TSK007]: `b` is given twice: in line 3 and in line 8" in found.stderr
    assert "guide.md:8:3" in found.stderr
    assert "guide.md:3:1" in found.stderr
    assert not target.exists()
    assert tusk("extract", guide, "--fence", "2").stdout == "# Configuration (guide.md:6)\n[a]\nb: 2\n"


def test_a_mistake_in_a_block_of_its_own_language_is_an_error(tmp_path: Path) -> None:
    """What is written loads; a block of another language with a mistake is left out, with the reason."""
    guide = tmp_path / "guide.md"
    guide.write_text("```tsk\n[a]\nb: yes\n```\n")
    found = tusk("extract", guide)
    assert (found.returncode, found.stdout) == (78, "")
    assert "guide.md:3:4" in found.stderr
    guide.write_text("```rust\n[a]\nb: yes\n```\n```ini\n[c]\nd = 1\n```\n")
    found = tusk("extract", guide)
    assert found.stdout == "# Configuration (guide.md:5)\n[c]\nd = 1\n"
    assert "(TSK012)" in found.stderr


def test_single_blocks(guide: Path) -> None:
    """By number, several if wanted; a number that is not there, or holds no configuration, is told."""
    found = tusk("extract", guide, "--fence", "4", "--fence", "2")
    assert [line for line in found.stdout.splitlines() if line.startswith("# ")] == [
        "# Names (guide.md:46)",
        "# Store (guide.md:11)",
    ]
    found = tusk("extract", guide, "--fence", "9")
    assert (found.returncode, "no block has the number 9" in found.stderr) == (2, True)
    found = tusk("extract", guide, "--fence", "1")
    assert (found.returncode, found.stdout) == (1, "")
    assert "block 1 is not configuration: begins with" in found.stderr


def test_the_list(guide: Path) -> None:
    """What would be taken, as a table or for machines."""
    found = tusk("extract", guide, "--list")
    assert (found.returncode, found.stdout, found.stderr) == (0, TABLE, "")
    listed = json.loads(tusk("extract", guide, "--list", "--format", "json").stdout)
    assert [(fence["number"], fence["taken"]) for fence in listed["fences"]] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
        (5, True),
    ]
    assert tusk("extract", guide, "--list", "--to", "x.tsk").returncode == 2


def test_json(guide: Path) -> None:
    """The account and the text in one answer."""
    found = tusk("extract", guide, "--format", "json")
    answer = json.loads(found.stdout)
    assert (found.stderr, answer["text"], answer["written"]) == ("", EXTRACTED, None)
    assert answer["fences"][1] == {
        "number": 2,
        "line": 11,
        "language": "rust",
        "heading": "Store",
        "taken": True,
        "sections": 2,
        "keys": 4,
        "notes": [
            "program code from line 24 on, all that [store_implementation] holds",
            "[never] in line 31 stands behind program code, and is left out",
        ],
    }


def test_a_guide_without_configuration(tmp_path: Path) -> None:
    """Told, with exit code 1; so is a guide that cannot be read, with a diagnostic."""
    guide = tmp_path / "guide.md"
    guide.write_text("# Nothing\n")
    found = tusk("extract", guide)
    assert (found.returncode, found.stdout) == (1, "")
    assert "holds configuration" in found.stderr
    found = tusk("extract", tmp_path / "nothing.md")
    assert (found.returncode, "error[TSK100]" in found.stderr) == (78, True)


def test_headings_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    """What cannot be printed is left out of the comment, and shown as � in the table."""
    guide = tmp_path / "guide.md"
    guide.write_text("# A\x1b[31m\u202eB\n```tsk\na: 1\n```\n")
    found = tusk("extract", guide)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "# A[31mB (guide.md:2)\na: 1\n"
    assert "\x1b" not in found.stderr
