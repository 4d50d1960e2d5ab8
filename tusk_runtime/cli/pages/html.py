"""Pages as HTML: each one file with its style, without a script, and without anything from elsewhere."""

from __future__ import annotations

import re
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tusk_runtime.cli.pages.blocks import WRITTEN_BY, Block, Book, Code, Heading, Page, Table, Text

_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"\b[A-Z]\w*")
_STYLE = Markup((resources.files("tusk_runtime.cli.pages") / "templates" / "style.css").read_text())  # noqa: S704 - ours

_templates = Environment(
    loader=PackageLoader("tusk_runtime.cli.pages", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.tests |= {
    "heading": lambda block: isinstance(block, Heading),
    "text": lambda block: isinstance(block, Text),
    "table": lambda block: isinstance(block, Table),
    "code": lambda block: isinstance(block, Code),
}


def html(book: Book, page: Page) -> str:
    """A page as one HTML document."""
    words = _Words(book, page)
    headings: list[Block] = [block for block in page.blocks if isinstance(block, Heading)]
    return _templates.get_template("page.html").render(
        book=book,
        page=page,
        style=_STYLE,
        inline=words.inline,
        headings=headings,
        written_by=WRITTEN_BY,
    )


class _Words:
    """Texts of a page as HTML: escaped, code as code, and known words as links but in headings."""

    def __init__(self, book: Book, page: Page) -> None:
        self.book, self.page = book, page

    def inline(self, text: str, *, linked: bool = True) -> Markup:
        """A text; what stands between backticks is code."""
        found, at = Markup(), 0
        for match in _CODE.finditer(text):
            code = self._code(match[1]) if linked else match[1]
            found += Markup("{}<code>{}</code>").format(text[at : match.start()], code)
            at = match.end()
        return found + text[at:]

    def _code(self, text: str) -> Markup | str:
        if text in self.book.links:
            return self._link(text)
        # Names of types, events and the like are also found inside of code: `list<OrderLine>`.
        found, at = Markup(), 0
        for match in _NAME.finditer(text):
            if match[0] in self.book.links:
                found += Markup("{}{}").format(text[at : match.start()], self._link(match[0]))
                at = match.end()
        return found + text[at:]

    def _link(self, word: str) -> Markup:
        name, anchor = self.book.links[word]
        address = f"#{anchor}" if name == self.page.name else f"{name}.html#{anchor}"
        return Markup('<a href="{}">{}</a>').format(address, word)
