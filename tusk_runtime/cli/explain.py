"""`tusk explain`: what a code, a section, a key, a type, a function or an operator means."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from textwrap import indent, wrap
from typing import Any

import click

from tusk_runtime.cli.output import FORMAT, USAGE, print_json
from tusk_runtime.model.reader import Key
from tusk_runtime.model.words import Meaning, meanings, similar

WIDTH = 100


@click.command("explain")
@click.argument("word")
@FORMAT
def command(word: str, format_: str) -> None:
    """Say what WORD means: a code, a section, a key, a type, a function, a condition or an operator.

    Such as: TSK203, commands, commands.from, decimal, places, round, gte, @env.
    """
    found = meanings(word)
    if not found:
        guess = similar(word)
        advice = f"did you mean `{guess}`?" if guess else "`tusk docs` writes the whole reference"
        click.echo(f"error: nothing is called {word!r}; {advice}", err=True)
        sys.exit(USAGE)
    if format_ == "json":
        print_json({"meanings": [_as_json(meaning) for meaning in found]})
    else:
        click.echo("\n\n".join("\n".join(_lines(meaning)) for meaning in found))


def _as_json(meaning: Meaning) -> dict[str, Any]:
    return {
        "kind": meaning.kind,
        "name": meaning.name,
        "title": meaning.title,
        "text": meaning.text,
        "forms": list(meaning.forms),
        "keys": [
            {
                "name": key.name,
                "takes": key.takes,
                "doc": key.doc,
                "required": key.required,
                "available": not key.later,
            }
            for key in meaning.keys
        ],
        "wrong": meaning.wrong,
        "example": meaning.example,
    }


def _lines(meaning: Meaning) -> Iterator[str]:
    yield f"{meaning.name} ({meaning.kind})"
    for text in (meaning.title, meaning.text):
        if text:
            yield ""
            yield from wrap(text, WIDTH)
    if meaning.forms:
        yield ""
        yield from (f"  {form}" for form in meaning.forms)
    if meaning.keys:
        yield ""
        yield from _table(meaning.keys)
    if meaning.wrong:
        yield from ("", "Wrong:", "", indent(meaning.wrong.strip("\n"), "  "))
    if meaning.example:
        yield from (
            "",
            "Right:" if meaning.wrong else "Example:",
            "",
            indent(meaning.example.strip("\n"), "  "),
        )


def _table(keys: Sequence[Key]) -> Iterator[str]:
    now = [key for key in keys if not key.later]
    widest = max(len(key.name) for key in now)
    for key in now:
        needed = " (required)" if key.required else ""
        lines = wrap(f"{key.doc} Takes: {key.takes}{needed}.", WIDTH - widest - 4)
        yield f"  {key.name:<{widest}}  {lines[0]}"
        yield from (" " * (widest + 4) + line for line in lines[1:])
    later = [key.name for key in keys if key.later]
    if later:
        yield ""
        yield from wrap(f"Not available yet: {', '.join(later)}.", WIDTH, initial_indent="  ")
