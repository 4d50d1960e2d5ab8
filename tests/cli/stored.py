"""Applications with events in a store of each kind, for the verbs that look into one."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps import ACCOUNT
from click.testing import CliRunner
from command_line import tusk
from postgres_server import schema_for

from tusk_runtime.cli.main import main
from tusk_runtime.clock import VirtualClock
from tusk_runtime.errors import Refused
from tusk_runtime.events import Caller, command_id_from
from tusk_runtime.running.backends import store_of
from tusk_runtime.running.load import load_or_raise
from tusk_runtime.running.runtime import Runtime

KINDS = ["sqlite", "postgresql-18", "postgresql-15"]
BEGIN = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
ANN = Caller("ann", ("admin",))

ON_POSTGRESQL = """
[event_store]
backend: "postgresql"
[store_config]
postgresql: {{ connection_string: "@env('DATABASE_URL')"{more} }}
"""


class Stored:
    """An application on a store: `tusk` runs a verb on it, `run` sends it commands."""

    def __init__(self, file: Path, environment: dict[str, str]) -> None:
        self.file = file
        self.environment = environment
        self._settings = load_or_raise(file, environment).settings

    def tusk(self, *arguments: str | Path, **more: Any) -> Any:
        """Run `tusk VERB… FILE …`: what is `FILE` among the arguments is the file."""
        given = [self.file if argument == "FILE" else argument for argument in arguments]
        return tusk(*given, **self.environment, **more)

    def invoke(self, *arguments: str | Path, **more: Any) -> Any:
        """The same within this process, and much quicker; not in a coroutine."""
        given = [str(self.file if argument == "FILE" else argument) for argument in arguments]
        return CliRunner().invoke(main, given, env=self.environment, **more)

    def opened(self) -> Any:
        """Its store, not yet open."""
        return store_of(self._settings, self.file)

    async def run(self, *commands: tuple[str, dict[str, Any]]) -> None:
        """Send commands, a second between any two; their ids are `c1`, `c2`, … as keys. Refusals are fine."""
        clock = VirtualClock(BEGIN)
        runtime = Runtime(load_or_raise(self.file, self.environment), self.opened(), clock)
        await runtime.start()
        for number, (name, fields) in enumerate(commands, 1):
            clock.advance(timedelta(seconds=1))
            with contextlib.suppress(Refused):
                await runtime.execute(name, fields, command_id=command_id_from(f"c{number}"), caller=ANN)
        await runtime.stop()


async def application_on(kind: str, folder: Path, text: str = ACCOUNT) -> Stored:
    """A file of a folder on a store of a kind that is there for this folder alone."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bank.tsk"
    environment = dict(os.environ)
    if kind != "sqlite":
        version = kind.partition("-")[2]
        # The older server keeps partitions, under a name of their own.
        more = ', table_name: "log", partitioning: "by_aggregate"' if version == "15" else ""
        text += ON_POSTGRESQL.format(more=more)
        environment["DATABASE_URL"] = await schema_for(version, folder)
    file.write_text(text)
    return Stored(file, environment)


COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Open", {"aggregate_id": "a", "owner": "ann"}),
    ("Open", {"aggregate_id": "b", "owner": "bob"}),
    ("Deposit", {"aggregate_id": "a", "amount": "10"}),
    ("Withdraw", {"aggregate_id": "a", "amount": "99"}),  # refused: not enough money
    ("Deposit", {"aggregate_id": "b", "amount": "2000.50", "note": "Grüße"}),
    ("Withdraw", {"aggregate_id": "b", "amount": "1500"}),  # accepted, nothing to do
    ("Withdraw", {"aggregate_id": "a", "amount": "2.5"}),
)
"""Five events of two accounts, at positions 1 to 5; commands 4 and 6 have none."""
