"""Every value knows where it stands, also its single characters."""

from decimal import Decimal

import pytest

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Document, ListNode, MapNode, ScalarNode
from tusk_runtime.language.load import load_text


def load(text: str, **environment: str) -> Document:
    problems = Problems()
    document = load_text(text, "app.tsk", environment, problems)
    problems.raise_if_errors()
    return document


def scalar(document: Document, *path: str | int) -> ScalarNode:
    node = document.root
    for part in path:
        if isinstance(node, MapNode):
            assert isinstance(part, str)
            node = node.entries[part].node
        else:
            assert isinstance(node, ListNode)
            assert isinstance(part, int)
            node = node.items[part]
    assert isinstance(node, ScalarNode)
    return node


def test_spans_cover_the_text_as_written() -> None:
    text = '[a]\nx: "one"  # c\ny:\n  - 2.50\n  - { z: true, w: [word] }\nn:\n'
    document = load(text)
    assert scalar(document, "a", "x").span.text == '"one"'
    assert scalar(document, "a", "y", 0).span.text == "2.50"
    assert scalar(document, "a", "y", 0).value == Decimal("2.50")
    assert scalar(document, "a", "y", 1, "z").span.text == "true"
    assert scalar(document, "a", "y", 1, "w", 0).span.text == "word"
    assert str(scalar(document, "a", "y", 1, "w", 0).span) == "app.tsk:5:20"
    nothing = scalar(document, "a", "n")
    assert (nothing.value, str(nothing.span)) == (None, "app.tsk:6:3")


def test_maps_have_the_span_of_their_head() -> None:
    document = load("[a.b]\nx: 1\nmap:\n  y: 1\nobject: { z: 1 }\nlist: [1]\nitems:\n  - k: 1\n    l: 2\n")
    a = document.root.get("a")
    assert isinstance(a, MapNode)
    b = a.get("b")
    assert isinstance(b, MapNode)
    assert (a.span.text, b.span.text) == ("[a.b]", "[a.b]")
    spans = {entry.key: entry.node.span.text for entry in b}
    assert spans["map"] == "map"
    assert spans["object"] == "{ z: 1 }"
    assert spans["list"] == "[1]"
    items = b.get("items")
    assert isinstance(items, ListNode)
    assert items.items[0].span.text == "k: 1\n    l: 2"
    assert [entry.key_span.text for entry in b] == ["x", "map", "object", "list", "items"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"plain {{ x }}"', "plain {{ x }}"),
        ("'raw \\n'", "raw \\n"),
        ("word", "word"),
        (r'"a\"b\u00e9c\ud83d\ude00d\n"', 'a"béc😀d\n'),
        ('"""\n    one\n      t\\"wo\n\n    three\n  """', 'one\n  t"wo\n\nthree'),
        ('"""text {{ a }}\n  more"""', "text {{ a }}\nmore"),
    ],
)
def test_characters_map_back_to_the_source(written: str, value: str) -> None:
    node = scalar(load(f"x: {written}\n"), "x")
    assert node.value == value
    simple = {'\\"': '"', "\\n": "\n", r"\u00e9": "é", r"\ud83d\ude00": "😀"}
    for index, character in enumerate(value):
        text = node.at(index, index + 1).text
        # Behind a line end that was kept, the span reaches over the indentation that was not.
        if character == "\n" and "\n" in text:
            assert text.strip() == ""
        else:
            assert simple.get(text, text) == character
    assert node.at(0, len(value)).text in written


def test_the_environment_gives_text_that_may_be_converted() -> None:
    document = load(
        "a: @env('P')\nb: \"@env('P')\"\nc: \"x@env('P')\"\nd: @env('Q', 5)\ne: @env.secure('P')\n"
        "f: \"Bearer @env.secure('P')\"\ng: @env.secure('Q', 'd')\n",
        P="30",
    )
    nodes = {entry.key: entry.node for entry in document.root}
    seen = {
        key: (node.value, node.quoted, node.secret)
        for key, node in nodes.items()
        if isinstance(node, ScalarNode)
    }
    assert seen == {
        "a": ("30", False, False),
        "b": ("30", False, False),
        "c": ("x30", True, False),
        "d": (5, False, False),
        "e": ("30", False, True),
        "f": ("Bearer 30", True, True),
        "g": ("d", True, True),
    }
    assert nodes["a"].span.text == "@env('P')"
    uses = [(use.name, use.default, use.secret, use.is_set) for use in document.environment]
    assert uses == [
        ("P", None, False, True),
        ("P", None, False, True),
        ("P", None, False, True),
        ("Q", "5", False, False),
        ("P", None, True, True),
        ("P", None, True, True),
        ("Q", "'d'", True, False),
    ]


def test_merged_sections_keep_the_first_place_and_all_keys() -> None:
    document = load("[a]\nx: 1\n[b]\n[a]\ny: 2\n[a.c]\nz: 3\n")
    assert document.plain() == {"a": {"x": 1, "y": 2, "c": {"z": 3}}, "b": {}}
    assert document.locate(["a", "c", "z"])[0].line == 7
    assert document.locate(["a"])[0].line == 1
