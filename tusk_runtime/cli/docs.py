"""`tusk docs`: the reference of the language, or the documentation of an application, as pages."""

from __future__ import annotations

from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, environment, show_diagnostics, stop_failed, stop_invalid
from tusk_runtime.cli.pages.blocks import WRITTEN_BY, Book
from tusk_runtime.errors import InvalidConfiguration


@click.command("docs")
@click.argument("file", type=click.Path(path_type=Path), required=False)
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
@ENV_FILE
def command(file: Path | None, folder: Path, format_: str, env_file: Path | None) -> None:
    """Write the reference of this version: sections, types, functions, operators and codes.

    With FILE, write the documentation of the application that it declares: its events, aggregates with
    their state machines, commands with their rules, projections, queries, consumers and types.

    Pages are written into the folder --to (./tusk-docs), which is made. HTML pages carry their style in them
    and ask for nothing from elsewhere. A page of an earlier run is renewed; a file that something else wrote
    is never overwritten.
    """
    book = _book(file, env_file)
    if format_ == "html":
        from tusk_runtime.cli.pages.html import html as write

        suffix = ".html"
    else:
        from tusk_runtime.cli.pages.markdown import markdown as write

        suffix = ".md"
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


def _book(file: Path | None, env_file: Path | None) -> Book:
    if file is None:
        from tusk_runtime.cli.pages.language import language_book

        return language_book()
    from tusk_runtime.cli.pages.application import application_book
    from tusk_runtime.running.load import load_or_raise

    try:
        application = load_or_raise(file, environment(env_file))
    except InvalidConfiguration as error:
        stop_invalid(error)
    show_diagnostics(application.warnings, "text")
    return application_book(application)
