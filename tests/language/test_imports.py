"""Files that import each other, the cascade of `peanu.tsk`, and values out of other files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tusk_runtime.language.diagnostics import Diagnostic, Problems
from tusk_runtime.language.document import Document
from tusk_runtime.language.load import load_file


class Folder:
    """A project folder in which files are written and loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **files: str) -> None:
        """Each as NAME.tsk; `__` in a name is a `/`."""
        for name, text in files.items():
            path = self.path / f"{name.replace('__', '/')}.tsk"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def load(self, name: str = "app.tsk", **environment: str) -> tuple[Document, list[Diagnostic]]:
        problems = Problems()
        document = load_file(self.path / name, environment, problems, name=name)
        assert document is not None
        return document, problems.sorted()

    def tree(self, name: str = "app.tsk", **environment: str) -> dict[str, Any]:
        document, problems = self.load(name, **environment)
        assert problems == []
        return document.plain()

    def errors(self, name: str = "app.tsk") -> list[tuple[str, str, str]]:
        """Code, place and message of everything that is wrong."""
        return [(d.code, str(d.span), d.message) for d in self.load(name)[1]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / ".git").mkdir()
    return Folder(tmp_path)


def test_both_spellings_import_and_the_importing_file_wins(folder: Folder) -> None:
    folder.write(
        base='[server]\nhost: "base"\nport: 80\nlist: [1, 2]\n[only]\nbase: true\n',
        more="[extra]\nx: 1\n",
        app='@import "base.tsk"\nimport: ["more.tsk"]\n[server]\nhost: "own"\nlist: [3]\n',
    )
    assert folder.tree() == {
        "server": {"host": "own", "port": 80, "list": [3]},
        "only": {"base": True},
        "extra": {"x": 1},
    }


def test_an_import_may_stand_anywhere_in_the_first_column(folder: Folder) -> None:
    folder.write(base="[a]\nx: 1\n", app='[a]\ny: 2\n@import "base.tsk"\nz: 3\n')
    assert folder.tree() == {"a": {"x": 1, "y": 2, "z": 3}}


def test_imported_variables_and_keys_can_be_used(folder: Folder) -> None:
    folder.write(
        base='$env: "prod"\n[paths]\nroot: "/srv"\n[features]\ndark: true\n',
        app='@import "base.tsk"\n[a]\nx: $env == "prod" ? 1 : 2\ny: "${paths.root}/a"\nz: @feature("dark")\n',
    )
    assert folder.tree()["a"] == {"x": 1, "y": "/srv/a", "z": True}


def test_an_imported_file_does_not_see_what_imports_it(folder: Folder) -> None:
    folder.write(base="[a]\nx: $name\n", app='$name: "n"\n@import "base.tsk"\n')
    assert [(code, place) for code, place, _ in folder.errors()] == [("TSK031", "base.tsk:2:4")]


def test_a_file_that_is_imported_twice_is_no_conflict(folder: Folder) -> None:
    folder.write(
        common='[c]\nx: "common"\ny: 1\n',
        one='@import "common.tsk"\n[c]\nx: "one"\n',
        two='@import "common.tsk"\n[d]\nfrom: "${c.x}"\n',
        app='@import "one.tsk"\n@import "two.tsk"\n[e]\nseen: "${c.x}"\n',
    )
    assert folder.tree() == {"c": {"x": "one", "y": 1}, "d": {"from": "common"}, "e": {"seen": "one"}}


def test_two_files_that_give_the_same_key_are_told_of(folder: Folder) -> None:
    folder.write(one="[c]\nx: 1\n", two="[c]\nx: 2\n", app='@import "one.tsk"\n@import "two.tsk"\n')
    _, problems = folder.load()
    assert [(d.code, str(d.span), str(d.related[0].span)) for d in problems] == [
        ("TSK007", "two.tsk:2:1", "one.tsk:2:1")
    ]


def test_files_that_need_each_other_are_named_in_their_order(folder: Folder) -> None:
    folder.write(a='@import "b.tsk"\n', b='@import "c.tsk"\n', c='@import "a.tsk"\n', app='@import "a.tsk"\n')
    assert folder.errors() == [
        ("TSK118", "c.tsk:1:9", "these files need each other: `a.tsk` → `b.tsk` → `c.tsk` → `a.tsk`")
    ]
    folder.write(app='@import "app.tsk"\n')
    assert folder.errors()[0][2] == "these files need each other: `app.tsk` → `app.tsk`"


def test_an_import_stays_in_the_project_folder(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside.tsk"
    outside.write_text("[a]\nx: 1\n")
    (tmp_path / "link.tsk").symlink_to(outside)
    for written in ("../outside.tsk", str(outside), "link.tsk", "sub/../../outside.tsk"):
        folder.write(app=f'@import "{written}"\n')
        assert [code for code, _, _ in folder.errors()] == ["TSK115"], written
    folder.write(sub__app='@import "../shared.tsk"\n', shared="[a]\nx: 1\n")
    assert folder.tree("sub/app.tsk") == {"a": {"x": 1}}


def test_files_that_cannot_be_read_are_told_of_at_the_import(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "binary.tsk").write_bytes(b"\0\1")
    (tmp_path / "folder.tsk").mkdir()
    folder.write(
        base="[a]\n",
        app='@import "bsae.tsk"\n@import "binary.tsk"\n@import "folder.tsk"\nimport: [1, "base.tsk"]\n',
    )
    _, problems = folder.load()
    assert [(d.code, d.span.line) for d in problems] == [
        ("TSK100", 1), ("TSK105", 2), ("TSK102", 3), ("TSK115", 4),
    ]  # fmt: skip
    assert problems[0].help == "did you mean `base.tsk`?"


def test_problems_of_an_imported_file_are_told_where_they_are(folder: Folder) -> None:
    folder.write(sub__base="[a]\nx: yes\n", app='@import "sub/base.tsk"\n[b]\ny: no\n')
    assert [(code, place) for code, place, _ in folder.errors()] == [
        ("TSK012", "app.tsk:3:4"),
        ("TSK012", "sub/base.tsk:2:4"),
    ]


def test_more_than_64_levels_of_imports_are_refused(folder: Folder) -> None:
    folder.write(**{f"f{i}": f'@import "f{i + 1}.tsk"\n' for i in range(80)})
    assert [code for code, _, _ in folder.errors("f0.tsk")] == ["TSK022"]


def test_the_cascade_holds_below_its_folder_and_the_nearest_wins(folder: Folder) -> None:
    folder.write(
        peanu='$name: "top"\n[server]\nport: 1\nhost: "top"\ntags: ["a", "b"]\n',
        sub__peanu='[server]\nport: 2\ntags: ["c"]\nfrom: "${server.host} $name"\n',
        sub__deep__app="[server]\nworkers: 4\nname: $name\n",
    )
    assert folder.tree("sub/deep/app.tsk")["server"] == {
        "port": 2, "host": "top", "tags": ["c"], "from": "top $name", "workers": 4, "name": "top",
    }  # fmt: skip
    assert folder.tree("sub/peanu.tsk")["server"]["port"] == 2


def test_the_older_name_of_the_cascade_is_found_too(folder: Folder) -> None:
    folder.write(peanut="[a]\nx: 1\n", app="[b]\ny: 2\n")
    assert folder.tree() == {"a": {"x": 1}, "b": {"y": 2}}
    folder.write(peanu="[a]\nx: 2\n")
    assert folder.tree()["a"] == {"x": 2}


def test_the_cascade_ends_at_the_repository_and_at_folders_that_all_can_write(tmp_path: Path) -> None:
    Folder(tmp_path).write(peanu="[a]\nx: 1\n", repo__app="[b]\ny: 1\n")
    repo = Folder(tmp_path / "repo")
    assert repo.tree() == {"a": {"x": 1}, "b": {"y": 1}}
    tmp_path.chmod(0o777)
    assert [(code, place) for code, place, _ in repo.errors()] == [("TSK119", "../peanu.tsk:1:1")]
    assert repo.load()[0].plain() == {"b": {"y": 1}}
    tmp_path.chmod(0o755)
    (tmp_path / "repo" / ".git").mkdir()
    assert repo.tree() == {"b": {"y": 1}}


def test_a_file_gives_its_text(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text("Dear {{ data.name }},\n")
    folder.write(app='[a]\ntext: @file("mail.txt")\nunused: true ? 1 : @file("none.txt")\n')
    assert folder.tree()["a"] == {"text": "Dear {{ data.name }},\n", "unused": 1}
    (tmp_path / "large.txt").write_bytes(b"x" * (1024 * 1024 + 1))
    folder.write(app='[a]\nx: @file("large.txt")\ny: @file("../x")\nz: @file("mial.txt")\n')
    assert [(code, place) for code, place, _ in folder.errors()] == [
        ("TSK104", "app.tsk:2:10"),
        ("TSK115", "app.tsk:3:10"),
        ("TSK100", "app.tsk:4:10"),
    ]


def test_another_file_gives_a_value(folder: Folder) -> None:
    folder.write(
        base='@import "more.tsk"\n[database]\nhost: @env("H", "db")\npool: { size: 5 }\n',
        more="[extra]\nx: 1\n",
        app='[a]\nhost: @base.tsk.get("database.host")\npool: @base.tsk.get("database.pool")\n'
        'x: @base.tsk.get("extra.x")\n',
    )
    document, problems = folder.load()
    assert problems == []
    assert document.plain() == {"a": {"host": "db", "pool": {"size": 5}, "x": 1}}
    assert [Path(file).name for file in document.files] == ["app.tsk", "base.tsk", "more.tsk"]
    folder.write(app='[a]\nx: @base.tsk.get("databse.host")\ny: @app.tsk.get("a.b")\nz: @no.tsk.get("a")\n')
    assert [(d.code, d.span.line, d.help) for d in folder.load()[1]] == [
        ("TSK117", 2, "did you mean `database`?"),
        ("TSK118", 3, "move what both need into a file of its own"),
        ("TSK100", 4, "check the path, and the folder you stand in"),
    ]


def test_every_file_that_was_looked_for_is_known(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("x")
    folder.write(peanu="", base="", app='@import "base.tsk"\n[a]\nx: @file("t.txt")\ny: @file("gone.txt")\n')
    document, _ = folder.load()
    names = [os.path.relpath(file, tmp_path) for file in document.files]
    assert names == ["app.tsk", "peanu.tsk", "base.tsk", "t.txt", "gone.txt"]


def test_variables_of_the_environment_are_gathered_from_all_files(folder: Folder) -> None:
    folder.write(base="[a]\nx: @env('A')\n", app='@import "base.tsk"\n[b]\ny: "@env(\'B\', 2)"\n')
    document, problems = folder.load(A="1")
    assert problems == []
    assert [(use.name, str(use.span), use.default, use.is_set) for use in document.environment] == [
        ("A", "base.tsk:2:4", None, True),
        ("B", "app.tsk:3:5", "2", False),
    ]
