"""Part: the life that everything that runs shares."""

from __future__ import annotations

from typing import Protocol

from tusk_runtime.running.service import PartStatus


class Part(Protocol):
    """A named thing that starts, stops, and says how it is."""

    @property
    def name(self) -> str:
        """Its name, unique among the parts."""
        ...

    async def start(self) -> None:
        """Begin. Raises StartFailed."""
        ...

    async def stop(self) -> None:
        """Finish what was begun, and end. Never raises."""
        ...

    def status(self, head: int) -> PartStatus:
        """How it is, where the log's head stands at `head`."""
        ...
