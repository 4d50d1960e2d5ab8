"""`tusk new`: writes a first file to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from tusk_runtime.cli.output import stop_failed

_PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = (_PACKAGE / "examples", _PACKAGE.parent / "examples")
"""Where the examples are: in an installed wheel, and in a checkout."""
TEMPLATES = ("hello", "shop", "flights")


@click.command("new")
@click.argument("template", type=click.Choice(TEMPLATES), default="hello")
@click.option("--to", "target", type=click.Path(path_type=Path), help="The file to write; TEMPLATE.tsk here.")
def command(template: str, target: Path | None) -> None:
    """Write a .tsk file to begin with: hello, shop or flights. Never overwrites."""
    target = target or Path(f"{template}.tsk")
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if folder is None:
        stop_failed("the examples are not where this package was installed")
    text = (folder / f"{template}.tsk").read_bytes()
    try:
        with target.open("xb") as out:
            out.write(text)
    except FileExistsError:
        stop_failed(f"{target} is there already; give another name with --to")
    except OSError as error:
        stop_failed(f"{target} cannot be written: {error.strerror}")
    click.echo(f"wrote {target}; run it: tusk-run {target}")
