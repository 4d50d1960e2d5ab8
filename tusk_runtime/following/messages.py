"""Messages that stand in topics, as they came."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """A message of a topic. `timestamp` is in milliseconds since 1970 UTC, as Kafka has it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes], ...]

    @property
    def source(self) -> str:
        """The partition that it stands in, as dead letters name it."""
        return f"{self.topic}/{self.partition}"
