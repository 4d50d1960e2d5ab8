"""The fences of a guide, where they stand, and the configuration in them."""

from __future__ import annotations

import json

from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.load import load_text
from tusk_runtime.language.markdown import fences, joined, take

GUIDE = """\
# A guide

Some words, and `[not a section]`.

## Events ##

```rust
[event_types]
domain_events: true

[event_implementation]
use uuid::Uuid;

#[derive(Debug)]
pub struct Event {
    pub id: Uuid,
}
[event_categories]
user_events:
  - "UserCreated"
```

## Only code

```rust
fn main() {
    println!("[x]");
}
```

~~~tsk fragment
name: "x"
~~~

```toml
[dependencies]
tokio = "1"
```

1. In a list:

   ````tsk
   [a]
   x: yes
   ```
   y: 1
   ````

```bash
[http]
listen: "127.0.0.1:80"
```

```
[kept]
z: 1
"""


def taken() -> list[tuple[int, str, list[str], str]]:
    return [
        (fence.number, fence.language, [piece.text for piece in result.pieces], result.why)
        for fence in fences(GUIDE, "guide.md")
        for result in [take(fence)]
    ]


def test_fences_are_found_with_their_languages_and_headings() -> None:
    found = [(f.language, f.words, f.heading, f.source.first_line) for f in fences(GUIDE, "guide.md")]
    assert found == [
        ("rust", (), "Events", 8),
        ("rust", (), "Only code", 26),
        ("tsk", ("fragment",), "Only code", 32),
        ("toml", (), "Only code", 36),
        ("tsk", (), "Only code", 43),
        ("bash", (), "Only code", 50),
        ("", (), "Only code", 55),
    ]


def test_configuration_ends_where_program_code_begins_and_goes_on_at_the_next_section() -> None:
    assert taken()[:2] == [
        (
            1,
            "rust",
            ["[event_types]\ndomain_events: true\n", '[event_categories]\nuser_events:\n  - "UserCreated"\n'],
            "",
        ),
        (2, "rust", [], "it does not begin with a section"),
    ]


def test_other_languages_are_taken_only_where_they_are_named() -> None:
    assert [(number, pieces, why) for number, _, pieces, why in taken() if number in (4, 6, 7)] == [
        (4, [], "toml, which is taken only where its number is named"),
        (6, [], "bash, which is taken only where its number is named"),
        (7, ["[kept]\nz: 1\n"], ""),
    ]
    asked = take(fences(GUIDE, "guide.md")[5], asked=True)
    assert [piece.text for piece in asked.pieces] == ['[http]\nlisten: "127.0.0.1:80"\n']


def test_problems_are_told_where_they_stand_in_the_guide() -> None:
    fence = fences(GUIDE, "guide.md")[4]
    found = [(d.code, str(d.span), d.span.source.line(d.span.line)) for d in take(fence).problems]
    assert found == [
        ("TSK012", "guide.md:44:7", "   x: yes"),
        ("TSK037", "guide.md:45:4", "   ```"),
    ]


def test_pieces_are_joined_under_comments_that_say_where_they_stood() -> None:
    problems = Problems()
    text = joined([take(fences(GUIDE, "docs/guide.md")[n]) for n in (0, 6)], problems)
    assert list(problems) == []
    assert text == (
        "# Events (guide.md:8)\n[event_types]\ndomain_events: true\n\n"
        '# Events (guide.md:18)\n[event_categories]\nuser_events:\n  - "UserCreated"\n\n'
        "# Only code (guide.md:55)\n[kept]\nz: 1\n"
    )
    document = load_text(text, "app.tsk", {}, problems)
    assert list(problems) == []
    assert json.dumps(document.plain()) == json.dumps(
        {
            "event_types": {"domain_events": True},
            "event_categories": {"user_events": ["UserCreated"]},
            "kept": {"z": 1},
        }
    )


def test_a_key_that_comes_again_is_left_out_or_told_of() -> None:
    guide = "```tsk\n[a]\nx: 1\ny: 2\n```\n```tsk\n[a]\nx: 1\nz: 3\n```\n```tsk\n[a]\ny: 5\n```\n"
    problems = Problems()
    text = joined([take(fence) for fence in fences(guide, "g.md")[:2]], problems)
    assert list(problems) == []
    assert text.count("x: 1") == 1
    assert load_text(text, "app.tsk", {}, problems).plain() == {"a": {"x": 1, "y": 2, "z": 3}}
    joined([take(fence) for fence in fences(guide, "g.md")], problems)
    assert [(d.code, str(d.span), str(d.related[0].span)) for d in problems] == [
        ("TSK007", "g.md:13:1", "g.md:4:1")
    ]


def test_a_guide_without_fences_and_an_empty_fence_give_nothing() -> None:
    assert fences("# nothing\n", "g.md") == []
    assert take(fences("```tsk\n```\n", "g.md")[0]).why == "nothing stands in it"
