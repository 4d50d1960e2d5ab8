"""`tusk graph`: draws what an application consists of, and what leads to what."""

from __future__ import annotations

from pathlib import Path

import click

from tusk_runtime.cli.output import ENV_FILE, FILE, environment, stop_failed, stop_invalid
from tusk_runtime.diagrams import FORMATS
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.language.diagnostics import Problems, did_you_mean
from tusk_runtime.language.load import load_file
from tusk_runtime.model.build import outline
from tusk_runtime.model.topology import KINDS, Topology


def _kinds(_: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of `--only`, which may be repeated or hold several with commas."""
    kinds = tuple(kind.strip() for value in values for kind in value.split(","))
    for kind in kinds:
        if kind not in KINDS:
            advice = did_you_mean(kind, KINDS)
            raise click.BadParameter(f"no kind is called `{kind}`; {advice}", param=option)
    return kinds


@click.command("graph")
@FILE
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    default="mermaid",
    help="How it is drawn: mermaid (the default), dot (Graphviz), svg, or json for machines.",
)
@click.option("--only", "kinds", multiple=True, callback=_kinds, metavar="KIND", help="Only these kinds.")
@click.option("--focus", metavar="NAME", help="Only what is near to what has this name.")
@click.option("--depth", type=click.IntRange(0), help="How many steps from --focus; 2 if not said.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="The file to write.")
@ENV_FILE
def command(
    file: Path,
    format_: str,
    kinds: tuple[str, ...],
    focus: str | None,
    depth: int | None,
    target: Path | None,
    env_file: Path | None,
) -> None:
    """Draw FILE: commands, aggregates, events, what reacts, projections and queries.

    Also what this version does not run yet, such as sagas and streams, is drawn.
    """
    if depth is not None and focus is None:
        raise click.UsageError("--depth counts the steps from --focus, which is not given")
    topology = _topology(file, env_file)
    if focus is not None:
        centre = topology.named(focus)
        if not centre:
            names = list(dict.fromkeys(node.name for node in topology.nodes))
            raise click.UsageError(f"nothing is called `{focus}`; {did_you_mean(focus, names)}".rstrip("; "))
        topology = topology.around(centre, 2 if depth is None else depth)
    if kinds:
        topology = topology.only(kinds)
    text = FORMATS[format_](topology, file.stem)
    if target is None:
        click.echo(text, nl=False)
        return
    if target.suffix == ".tsk" or (target.exists() and target.samefile(file)):
        raise click.UsageError(f"{target} is a declaration, not a diagram; give another name with --to")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        stop_failed(f"{target} cannot be written: {error.strerror}")
    click.echo(f"wrote {target}", err=True)


def _topology(file: Path, env_file: Path | None) -> Topology:
    """The topology of a file; ends with 78 and its diagnostics if it has errors."""
    problems = Problems()
    try:
        document = load_file(file, environment(env_file), problems)
        if document is None:
            raise InvalidConfiguration(problems.sorted())
        topology = outline(document, problems)
    except InvalidConfiguration as error:
        stop_invalid(error)
    refused = sum(problem.severity == "error" for problem in problems)
    if refused:
        what = "1 thing that is" if refused == 1 else f"{refused} things that are"
        click.echo(f"note: drawn with {what} not available yet: tusk check {file}", err=True)
    return topology
