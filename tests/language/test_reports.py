"""Diagnostics are shown to people and to machines."""

import json

from tusk_runtime.language import codes
from tusk_runtime.language.diagnostics import CODES, Problems
from tusk_runtime.language.report import render, render_json, render_one, summary
from tusk_runtime.language.source import Source


def problem(text: str, start: int, end: int, message: str = "wrong", label: str = "here") -> Problems:
    problems = Problems()
    span = Source("app.tsk", text).span(start, end)
    problems.error(codes.YES_NO, span, message, help="write it right", label=label)
    return problems


def test_the_form() -> None:
    shown = render(problem("[a]\nx: yes\n", 7, 10))
    assert shown == (
        "error[TSK012]: wrong\n"
        " --> app.tsk:2:4\n"
        "  |\n"
        "2 | x: yes\n"
        "  |    ^^^ here\n"
        "  = help: write it right\n"
        "\n"
        "1 error\n"
    )


def test_colour_adds_only_escapes() -> None:
    problems = problem("x: yes", 3, 6)
    (one,) = problems
    coloured = render_one(one, colour=True)
    assert "\x1b[1;31m" in coloured
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_one(one)


def test_control_characters_do_not_reach_the_terminal() -> None:
    shown = render(problem("x: \x1b[31m\u202e\x07\t!\n", 3, 5, message="bad \x1b]0;x\x07", label="\x9b"))
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e" for c in shown)


def test_wide_characters_and_tabs_keep_the_caret_in_place() -> None:
    shown = render(problem('x:\t"日本" yes', 8, 11)).split("\n")
    assert shown[3] == '1 | x:    "日本" yes'
    assert shown[4] == "  | " + " " * 13 + "^^^ here"


def test_long_lines_are_cut_around_the_span() -> None:
    lines = render(problem("x" * 5000 + "yes" + "y" * 5000, 5000, 5003)).split("\n")
    assert len(lines[3]) < 140
    start = lines[4].index("^")
    assert lines[3][start : start + 3] == "yes"


def test_spans_at_the_end_and_over_lines() -> None:
    assert "^" in render(problem("x: 1\n", 5, 5))
    assert render(problem("x: [\n1\n]\n", 3, 8)).split("\n")[4] == "  |    ^ here"
    assert "app.tsk:1:1" in render(problem("", 0, 0))


def test_the_summary() -> None:
    problems = problem("x", 0, 1)
    problems.warning(codes.YES_NO, Source("a", "x").span(0, 1), "w")
    problems.extend(problem("x", 0, 1))
    assert summary(problems) == "2 errors, 1 warning"
    assert summary([]) == "no problems"
    assert render([]) == ""


def test_json() -> None:
    (found,) = json.loads(render_json(problem("x: yes", 3, 6).sorted()))["diagnostics"]
    assert found["code"] == "TSK012"
    assert (found["line"], found["column"], found["end_column"]) == (1, 4, 7)


def test_codes_stand_in_their_ranges_and_explain_themselves() -> None:
    own = [code for name, code in vars(codes).items() if name.isupper()]
    for code in own:
        assert CODES[code.id] is code
        assert 1 <= int(code.id[3:]) <= 149
        assert code.title
        assert len(code.explanation) > 20
