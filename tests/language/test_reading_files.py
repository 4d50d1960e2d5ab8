"""Files that cannot be read say so; the environment file is read line by line."""

from pathlib import Path

import pytest

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.env_file import parse_env, read_env_file
from tusk_runtime.language.load import LARGEST_FILE, load_file, read_file
from tusk_runtime.language.source import Source


def told(problems: Problems) -> list[tuple[str, str]]:
    return [(problem.code, problem.help) for problem in problems]


def test_a_file_is_loaded_with_its_absolute_path(tmp_path: Path) -> None:
    path = tmp_path / "app.tsk"
    path.write_bytes(b'\xef\xbb\xbf[a]\r\nx: "\xc3\xa9"\r\n')
    problems = Problems()
    document = load_file(path, {}, problems, name="app.tsk")
    assert document is not None
    assert document.plain() == {"a": {"x": "é"}}
    assert list(document.files) == [str(path)]
    assert document.root.span.file == "app.tsk"
    assert len(problems) == 0


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"x: \xff\xfe", "TSK103", "byte 0xff in line 1"),
        (b"a: 1\nx: \xe9", "TSK103", "line 2"),
        (b"x: 1\0", "TSK105", "NUL"),
        ("x: 1".encode("utf-16"), "TSK105", "NUL"),
        (b"#" * (LARGEST_FILE + 1), "TSK104", "8 MiB"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    path = tmp_path / "app.tsk"
    path.write_bytes(content)
    problems = Problems()
    assert read_file(path, problems) is None
    (problem,) = problems
    assert problem.code == code
    assert words in problem.message
    assert problem.help


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "application.tsk").touch()
    problems = Problems()
    assert load_file(tmp_path / "aplication.tsk", {}, problems) is None
    assert told(problems) == [("TSK100", "did you mean `application.tsk`?")]


def test_a_folder_and_a_file_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problems = Problems()
    assert read_file(tmp_path, problems) is None
    assert read_file(tmp_path / "file" / "app.tsk", problems) is None
    assert read_file(Path("a\0b"), problems) is None
    assert [problem.code for problem in problems] == ["TSK102", "TSK101", "TSK101"]


def test_an_environment_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        '# comment\nA=1\nexport B = two words # comment\nC=\'raw \\n # $x\'\nD="a\\nb \\"c\\" \\\\" # c\n'
        "E=\nF=#none\nG=a#b\nH=postgres://u:p@h/d?x=1\n\n"
    )
    problems = Problems()
    assert read_env_file(path, problems) == {
        "A": "1",
        "B": "two words",
        "C": "raw \\n # $x",
        "D": 'a\nb "c" \\',
        "E": "",
        "F": "",
        "G": "a#b",
        "H": "postgres://u:p@h/d?x=1",
    }
    assert len(problems) == 0


def test_an_environment_file_with_mistakes() -> None:
    problems = Problems()
    text = 'A=1\njunk\n1X=2\nB=\'open\nC="x" y\nA=3\nD=4\n'
    assert parse_env(Source(".env", text), problems) == {"A": "1", "D": "4"}
    assert [(problem.code, problem.span.line, problem.span.text) for problem in problems] == [
        ("TSK120", 2, "junk"),
        ("TSK120", 3, "1X=2"),
        ("TSK120", 4, "'open"),
        ("TSK120", 5, "y"),
        ("TSK121", 6, "A"),
    ]


def test_a_missing_environment_file(tmp_path: Path) -> None:
    problems = Problems()
    assert read_env_file(tmp_path / ".env", problems) == {}
    assert [problem.code for problem in problems] == ["TSK100"]


def test_of_a_file_of_variables_the_first_errors_are_told() -> None:
    """A log given as `--env-file` by mistake is not told of line by line."""
    problems = Problems()
    assert parse_env(Source(".env", "this is a log\n" * 1000 + "A=1\n"), problems) == {}
    assert [d.code for d in problems] == ["TSK120"] * 100 + ["TSK099"]
