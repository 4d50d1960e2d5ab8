"""How the commands of a running application are."""

from __future__ import annotations

from tusk_runtime.aggregates.bus import CommandBus
from tusk_runtime.running.service import PartStatus


def status_of(bus: CommandBus, running: bool, head: int) -> list[PartStatus]:
    """The command bus, and its cache of states where aggregates ask for one; `head` is the log's."""
    commands = PartStatus(
        "commands",
        "command bus",
        "failed" if bus.error else "running" if running else "stopped",
        head,
        0,
        bus.error,
        f"{bus.accepted} accepted, {bus.refused} refused",
    )
    snapshots = bus.snapshots
    if not snapshots.used:
        return [commands]
    cache = PartStatus(
        "snapshots",
        "cache of states",
        "failed" if snapshots.error else "running",
        error=snapshots.error,
        detail=f"{snapshots.saved} saved, {snapshots.audited} compared with the log",
    )
    return [commands, cache]
