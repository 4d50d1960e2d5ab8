"""`tusk docs`: the reference of the language as pages."""

from __future__ import annotations

from pathlib import Path

import click

from tusk_runtime.cli.output import stop_failed
from tusk_runtime.cli.pages.blocks import WRITTEN_BY


@click.command("docs")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=Path("tusk-docs"), help="The folder to write."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["html", "markdown"]),
    default="html",
    help="How the pages are written.",
)
def command(folder: Path, format_: str) -> None:
    """Write the reference of this version: sections, types, functions, operators and codes.

    Pages are written into the folder --to (./tusk-docs), which is made. HTML pages carry their style in them
    and ask for nothing from elsewhere. A page of an earlier run is renewed; a file that something else wrote
    is never overwritten.
    """
    from tusk_runtime.cli.pages.language import language_book

    if format_ == "html":
        from tusk_runtime.cli.pages.html import html as write

        suffix = ".html"
    else:
        from tusk_runtime.cli.pages.markdown import markdown as write

        suffix = ".md"
    book = language_book()
    texts = {folder / f"{page.name}{suffix}": write(book, page) for page in book.pages}
    try:
        for path in texts:
            if path.exists() and WRITTEN_BY not in path.read_text(encoding="utf-8", errors="replace"):
                stop_failed(f"{path} is there already, from elsewhere; give another folder with --to")
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        stop_failed(f"{error.filename or folder} cannot be written: {error.strerror}")
    click.echo(f"wrote {len(texts)} pages; begin with {next(iter(texts))}")
