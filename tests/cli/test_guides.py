"""`tusk check` over folders and guides, `tusk extract`, and `tusk env`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from support import BIN

GOOD = '[events]\nE: {}\n[aggregates]\nA: { on: { E: {} } }\n[commands]\nC: { aggregate: "A", creates: true, emit: "E" }\n'


def tusk(*arguments: object, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [BIN / "tusk", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def test_a_folder_is_checked_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Hidden folders are left out, one broken file hides no other, parts are checked where they are imported."""
    (tmp_path / "a").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / "good.tsk").write_text('@import "part.tsk"\n' + GOOD.partition("[aggregates]")[0])
    (tmp_path / "a" / "part.tsk").write_text("[aggregates]" + GOOD.partition("[aggregates]")[2])
    (tmp_path / ".hidden" / "bad.tsk").write_text("junk line\n")
    assert tusk("check", tmp_path).returncode == 0
    (tmp_path / "a" / "bad.tsk").write_text("[events]\nE: yes\n")
    (tmp_path / "z.tsk").write_text("junk\n")
    found = tusk("check", tmp_path, "--format", "json")
    assert found.returncode == 78
    places = [(d["code"], Path(d["file"]).name, d["line"]) for d in json.loads(found.stdout)["diagnostics"]]
    assert ("TSK012", "bad.tsk", 2) in places
    assert ("TSK001", "z.tsk", 1) in places
    assert not [place for place in places if place[1] in ("good.tsk", "part.tsk")]


def test_a_folder_without_files_is_a_mistake_of_usage(tmp_path: Path) -> None:
    found = tusk("check", tmp_path)
    assert (found.returncode, "there is no *.tsk in the folder" in found.stderr) == (2, True)


def test_the_configuration_in_a_guide_is_checked_where_it_stands(tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text(f"# G\n\n```tsk\n{GOOD}```\n\n```tsk fragment\nname: x\n```\n")
    assert tusk("check", guide).returncode == 0
    guide.write_text(
        f"# G\n\n```tsk\n{GOOD}[http]\nlisten: 70000000\n```\n\n```tsk fragment\nname: yes\n```\n"
    )
    found = tusk("check", tmp_path, "--markdown", "--format", "json")
    places = [(d["code"], d["line"], d["column"]) for d in json.loads(found.stdout)["diagnostics"]]
    assert (found.returncode, places) == (78, [("TSK206", 11, 9), ("TSK012", 15, 7)])


def test_standard_input_is_checked(tmp_path: Path) -> None:
    assert tusk("check", "-", text=GOOD).returncode == 0
    found = tusk("check", "-", text="[events\n")
    assert (found.returncode, "standard input:1:1" in found.stderr) == (78, True)


def test_extract_writes_the_configuration_and_says_what_it_left_out(tmp_path: Path) -> None:
    guide, target = tmp_path / "guide.md", tmp_path / "app.tsk"
    guide.write_text(f"# Shop\n\n```rust\n{GOOD}\n[code]\nfn main() {{}}\n```\n\n```yaml\na: 1\n```\n")
    found = tusk("extract", guide, "--to", target)
    assert found.returncode == 0
    assert (
        "fence 2, line 15, yaml: left out: yaml, which is taken only where its number is named"
        in found.stderr
    )
    assert target.read_text().startswith("# Shop (guide.md:4)\n[events]\n")
    assert "fn main" not in target.read_text()
    assert "[code]" not in target.read_text()
    assert tusk("check", target).returncode == 0
    again = tusk("extract", guide, "--to", target)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    assert tusk("extract", guide, "--to", target, "--force", "--fence", 2).returncode == 0
    assert target.read_text().endswith("a: 1\n")
    assert tusk("extract", guide, "--fence", 9).returncode == 2


def test_extract_of_a_guide_without_configuration_fails(tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text("# Nothing\n\n```rust\nfn main() {}\n```\n")
    found = tusk("extract", guide)
    assert (found.returncode, "holds no configuration" in found.stderr) == (1, True)
    assert tusk("extract", guide, "--list").returncode == 0
    assert tusk("extract", tmp_path / "none.md").returncode == 78


def test_env_lists_what_a_file_and_its_imports_ask_for(tmp_path: Path) -> None:
    (tmp_path / "base.tsk").write_text("[b]\nkey: @env.secure('API_KEY')\nhost: @env('HOST', \"h\")\n")
    file = tmp_path / "app.tsk"
    file.write_text("@import \"base.tsk\"\n[a]\nx: @env('HOST', 'other')\ny: \"@env('NEEDED')\"\n")
    found = tusk("env", file, NEEDED="secret-value", API_KEY="k")
    assert found.returncode == 0
    assert "secret-value" not in found.stdout + found.stderr
    lines = [line.replace(f"{tmp_path}/", "") for line in found.stdout.splitlines()]
    assert lines == [
        "API_KEY  set, secret  base.tsk:2",
        "HOST     not set, default \"h\" or 'other'  base.tsk:3, app.tsk:3",
        "NEEDED   set  app.tsk:4",
    ]
    missing = tusk("env", file, "--format", "json")
    assert missing.returncode == 78
    rows = json.loads(missing.stdout)["variables"]
    assert [(row["name"], row["set"], row["required"], row["secret"]) for row in rows] == [
        ("API_KEY", False, True, True),
        ("HOST", False, False, False),
        ("NEEDED", False, True, False),
    ]
    file.write_text("[a]\nx: 1\n")
    assert "asks for no variable" in tusk("env", file).stdout
