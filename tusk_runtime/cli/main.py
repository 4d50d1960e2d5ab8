"""`tusk VERB`: the toolbox. Each verb is imported when it is called, so that `tusk check` starts at once."""

from __future__ import annotations

from importlib import import_module

import click

VERBS: dict[str, tuple[str, str]] = {
    "check": ("tusk_runtime.cli.check", "Tell every problem of a file, without running it."),
    "dlq": ("tusk_runtime.cli.dlq", "Look at what consumers could not handle, and settle it."),
    "docs": (
        "tusk_runtime.cli.docs",
        "Write pages about the language, or about what a file declares.",
    ),
    "env": ("tusk_runtime.cli.env", "List the environment variables that a file asks for."),
    "eval": ("tusk_runtime.cli.eval", "Print the value of an expression for an event."),
    "events": ("tusk_runtime.cli.events", "Read the events that an application has stored."),
    "explain": ("tusk_runtime.cli.explain", "Say what a code, key, type, function or operator means."),
    "extract": ("tusk_runtime.cli.extract", "Take the configuration out of a Markdown guide."),
    "fmt": ("tusk_runtime.cli.fmt", "Put files into their one form: indentation, spaces, blank lines."),
    "graph": ("tusk_runtime.cli.graph", "Draw what a file consists of, and what leads to what."),
    "migrate": ("tusk_runtime.cli.migrate", "Bring the tables of a store to the present schema."),
    "new": ("tusk_runtime.cli.new", "Write a first .tsk file to begin with."),
    "republish": (
        "tusk_runtime.cli.republish",
        "Publish stored events once more, for a topic that was lost.",
    ),
    "schema": ("tusk_runtime.cli.schema", "Print the JSON Schema of a .tsk file, or of what one declares."),
    "send": ("tusk_runtime.cli.send", "Send the rows of a CSV or JSON-lines file as commands."),
    "show": ("tusk_runtime.cli.show", "Print a file as the runtime reads it."),
    "state": ("tusk_runtime.cli.state", "Print an aggregate as it is, or as it was."),
    "store": ("tusk_runtime.cli.store", "Look after what an application has stored."),
    "test": ("tusk_runtime.cli.test", "Run the tests that a file declares."),
}


class Verbs(click.Group):
    """The verbs by name, from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of this name, imported now."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(VERBS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing any verb."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, help_) for name, (_, help_) in VERBS.items()])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tusk-runtime", prog_name="tusk")
def main() -> None:
    """The toolbox for .tsk files. `tusk-run FILE` runs one."""
