"""Whatever the text: no crash, an answer in proportional time, and what is printed is read back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from types import FrameType
from typing import Any

import golden
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.language.report import render

THOROUGH = settings(max_examples=200, deadline=None)

PIECES = [
    *"[]{}(),:=-#'\"\\$@<>|\t ", "\n", "\n  ", "\n    ", "\r\n", '"""', "'''", "{{", "}}", "{%", "${a}",
    "[a]", "\n[b.c]\n", "key: ", "\nkey:\n", "- ", "\n- x", "word", "1", "0.5", "yes", "@env('X')", "@env(",
    "@if(a == b, ", "@query('x')", "fn main() {", "name {", "é", "\u00a0", "# c", '"text"', "true", "[1, ",
    "$a", "$a.b", "\n$a: ", "\n$b: $a", '"${a}"', '"#{a}"', " ? ", " : ", " + ", " && ", " == ", "!", "x=1",
    "\nblock >\n", "\n<\n", "\nblock {\n", '\n@import "x"\n', "@date('Y')", ".add('1d')", "@x.y", "#web {\n",
    "@int(", "@feature('x', ", "@a.tsk.get('b')", "@file('c')",
]  # fmt: skip


def load(text: str) -> tuple[Any, Problems]:
    problems = Problems()
    return load_text(text, "app.tsk", {}, problems), problems


@THOROUGH
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=200))
def test_no_text_crashes(text: str) -> None:
    document, problems = load(text)
    document.plain()
    shown = render(problems.sorted())
    assert "\x1b" not in shown
    for problem in problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text) + 1
        assert problem.help


@THOROUGH
@given(st.sampled_from(sorted(golden.CASES.glob("*.case"))), st.data())
def test_no_damaged_file_crashes(case: Any, data: st.DataObject) -> None:
    text = golden.split(case)[0]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    load(text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:])[0].plain()


KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda key: not key.endswith("fujsen") and key != "import"
)
TEXTS = st.text(max_size=20).filter(lambda t: not set("@$\0#") & set(t))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key}: {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)


def block(value: Any, indent: str) -> str:
    """A value behind its key, in indented form where there is one."""
    if isinstance(value, dict) and value:
        lines = [f"{indent}{key}:{block(item, indent + '  ')}" for key, item in value.items()]
        return "\n" + "\n".join(lines)
    if isinstance(value, list) and value:
        return "\n" + "\n".join(f"{indent}-{item_block(item, indent + '  ')}" for item in value)
    return " " + inline(value)


def item_block(value: Any, indent: str) -> str:
    return " " + block(value, indent).lstrip() if isinstance(value, dict | list) else block(value, indent)


@THOROUGH
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4), st.booleans())
def test_what_is_printed_is_read_back(tree: dict[str, dict[str, Any]], indented: bool) -> None:
    lines = []
    for section, pairs in tree.items():
        lines.append(f"[{section}]")
        for key, value in pairs.items():
            lines.append(f"{key}:{block(value, '  ')}" if indented else f"{key} = {inline(value)}")
    document, problems = load("\n".join(lines))
    assert list(problems) == []
    assert document.plain() == tree


def operations(text: str) -> int:
    """How many functions are called to load a text, Python's and C's."""
    count = 0

    def tick(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    load("x: 1")  # the grammar is built once
    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        load(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "text",
    [
        lambda n: "".join(f'[s{i}]\nkey: "value"\nmap:\n  x: 1\n  y: [1, 2]\n' for i in range(n)),
        lambda n: "x: [\n" + "  { a: 1, b: two },\n" * n + "]\n",
        lambda n: "x:\n" + "  - k: 1\n    l: 2\n" * n,
        lambda n: "junk line here\n" * n,
        lambda n: "x: { a: [1\n" * n,
        lambda n: "x: [1}\n" * n,
        lambda n: "x: [" + "a b, " * n + "]",
        lambda n: 'x: "' + "\\q" * n + '"',
        lambda n: 'x: """\n' * n,
        lambda n: "x: '''\n" * n,
        lambda n: "- " * n,
        lambda n: "x: " + "[" * n,
        lambda n: "x: " + "@env('X', " * n,
        lambda n: "x: " + "@query(" * n,
        lambda n: "name {\n" * n,
        lambda n: "name >\n" * n,
        lambda n: "".join("  " * (i % 60) + "name >\n" for i in range(n)),
        lambda n: "a >\n  b: 1\n<\n" * n,
        lambda n: "x: " + "1 + " * n + "1",
        lambda n: "x: " + "true ? 1 : " * n + "1",
        lambda n: "x: " + "!" * n + "true",
        lambda n: "x: @date('Y')" + ".add('1d')" * n,
        lambda n: "x: [" + "1 + 1, " * n + "]",
        lambda n: "$v: 1\n" + "".join(f"k{i}: $v\n" for i in range(n)),
        lambda n: "$v: 1\n" + "".join(f'k{i}: "${{v}} and ${{k{i - 1}}}"\n' for i in range(1, n)),
        lambda n: "".join(f"$v{i}: $v{i + 1}\n" for i in range(n)),
        lambda n: "$v0: [1]\n" + "".join(f"$v{i + 1}: [$v{i}, $v{i}]\n" for i in range(n)),
        lambda n: '$v0: "x"\n' + "".join(f'$v{i + 1}: "${{v{i}}}${{v{i}}}"\n' for i in range(n)),
        lambda n: 'x: "' + "${" * n + '"',
        lambda n: 'x: "' + "#{a " * n + '"',
        lambda n: 'x: "' + "${v}" * n + '"',
        lambda n: 'x: "' + "@env('A" * n + '"',
        lambda n: 'x: "line\nline\n' * n,
        lambda n: "#web {\n  x: 1\n}\n" * n,
        lambda n: "# web {\n" * n + "}\n" * n,
        lambda n: "x: $a[0]\n" * n,
        lambda n: "x: @a.b|c ? \n" * n,
        lambda n: 'endpoint "x" {\n  a: 1\n}\n' * n,
        lambda n: "x: {" + 'e "x" { a: 1 }\n' * n + "}",
        lambda n: "{\n" + '"k": [1,\n' * n,
    ],
)
def test_time_is_proportional_to_the_size(text: Callable[[int], str]) -> None:
    small, large = operations(text(300)), operations(text(1200))
    assert large < 5 * small + 2000


@pytest.mark.parametrize(
    "text", ["x: " + "[" * 5000, "x:\n" + "- " * 5000, "[" + "a." * 5000 + "b]", "x: " + "{ a: " * 5000]
)
def test_depth_is_bounded(text: str) -> None:
    document, problems = load(text)
    document.plain()
    assert "TSK022" in {problem.code for problem in problems}


def test_blocks_may_stand_deep_but_not_deeper() -> None:
    def nested(depth: int) -> str:
        return "".join(f"{'  ' * level}k:\n" for level in range(depth)) + "  " * depth + "end: 1\n"

    assert not load(nested(62))[1].has_errors
    assert {problem.code for problem in load(nested(70) + "z: yes")[1]} == {"TSK022", "TSK012"}


def test_errors_are_capped() -> None:
    _, problems = load("junk line here\n" * 500)
    codes = [problem.code for problem in problems]
    assert len(codes) == 101
    assert codes[-1] == "TSK099"
