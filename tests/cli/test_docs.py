"""`tusk docs`: pages that hold every word of the language, whose links all lead somewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import tusk

from tusk_runtime.cli.pages.blocks import Book, Code, Heading, Page, Table, Text
from tusk_runtime.cli.pages.html import html
from tusk_runtime.cli.pages.markdown import markdown
from tusk_runtime.expressions import FUNCTIONS
from tusk_runtime.language.operators import OPERATORS
from tusk_runtime.model import reference
from tusk_runtime.model.sections import LATER


class Seen(HTMLParser):
    """The texts, anchors and links of a page, and what it would fetch."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.text, self.anchors, self.links, self.fetched = "", set[str](), set[str](), list[str]()
        self.nested = self.within_link = False
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        found = dict(attrs)
        self.nested |= tag == "a" and self.within_link
        self.within_link |= tag == "a"
        self.anchors |= {found["id"] or ""} if "id" in found else set()
        self.links |= {found["href"] or ""} if tag == "a" else set()
        if tag in ("script", "link", "img", "iframe") or "src" in found or "style" in found:
            self.fetched.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Its end."""
        self.within_link &= tag != "a"

    def handle_data(self, data: str) -> None:
        """A text."""
        self.text += data


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("docs") / "made" / "here"
    done = tusk("docs", "--to", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(folder / "index.html") in done.stdout
    return {path.name: Seen(path) for path in folder.iterdir()}


def test_every_word_of_the_language_is_on_them(pages: dict[str, Seen]) -> None:
    words = {
        "index.html": [f"[{name}]" for name in reference.sections()] + sorted(LATER),
        "sections.html": [f"[{name}]" for name in reference.sections()]
        + [key.name for place in reference.places().values() for key in place.keys],
        "types.html": [*reference.types(), *reference.CONSTRAINTS],
        "functions.html": [*FUNCTIONS, *reference.CONDITIONS],
        "operators.html": [f"@{name}" for name in OPERATORS],
        "codes.html": [
            part for listed in reference.codes().values() for code in listed for part in (code.id, code.title)
        ],
    }
    assert set(words) == set(pages)
    plain = {name: " ".join(page.text.split()) for name, page in pages.items()}
    missing = [
        (name, word)
        for name, wanted in words.items()
        for word in wanted
        if " ".join(word.replace("`", "").split()) not in plain[name]
    ]
    assert not missing


def test_every_link_leads_somewhere_and_nothing_is_fetched(pages: dict[str, Seen]) -> None:
    for name, page in pages.items():
        assert not page.fetched
        assert not page.nested, "no link stands in a link"
        for link in page.links:
            target, _, anchor = link.partition("#")
            other = pages[target or name]
            assert not anchor or anchor in other.anchors, link


def test_markdown_has_the_same_links(tmp_path: Path) -> None:
    assert tusk("docs", "--to", tmp_path, "--format", "markdown").returncode == 0
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(texts) == {
        f"{name}.md" for name in ("index", "sections", "types", "functions", "operators", "codes")
    }
    for text in texts.values():
        for target, anchor in re.findall(r"\]\(([a-z]+\.md)(?:#([^)]+))?\)", text):
            assert not anchor or f'<a id="{anchor}"></a>' in texts[target]


def test_pages_are_renewed_and_nothing_else_is_overwritten(tmp_path: Path) -> None:
    assert tusk("docs", "--to", tmp_path).returncode == 0
    assert tusk("docs", "--to", tmp_path).returncode == 0
    (tmp_path / "codes.html").write_text("mine")
    (tmp_path / "index.html").unlink()
    done = tusk("docs", "--to", tmp_path)
    assert (done.returncode, (tmp_path / "codes.html").read_text()) == (1, "mine")
    assert "codes.html" in done.stderr
    assert not (tmp_path / "index.html").exists(), "nothing was written"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = tusk("docs", "--to", tmp_path / "file" / "docs")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_texts_act_on_neither_page() -> None:
    evil = "<script>alert(1)</script> | `a|b<i>` **x**"
    blocks = [Heading(2, evil, "evil"), Text(evil), Table((evil,), [(evil,)]), Code("```\n" + evil, evil)]
    page = Page("index", evil, evil, blocks)
    book = Book(evil, [page])
    assert "<script" not in html(book, page)
    assert "<i>" not in html(book, page)
    written = markdown(book, page)
    outside = re.sub(r"(`{3,})text\n.*?\n\1|`[^`\n]+`", "", written, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<script|(?<!\\)\*\*", outside)
    assert "````text" in written, "a fence within a fence"
