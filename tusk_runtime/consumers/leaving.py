"""What actions send out of the application, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tusk_runtime.model.configuration import Mail
from tusk_runtime.model.consuming import Method

OVERHEAD = 100
"""Bytes of a message in a topic beside its key, its value and its headers, at most."""


class Call(NamedTuple):
    """A call by HTTP. `hosts` are those that it may go to, `timeout` is in seconds."""

    method: Method
    url: str
    hosts: frozenset[str]
    headers: Mapping[str, str]
    body: bytes
    timeout: float


class Answer(NamedTuple):
    """What came back: the status, and the body, or as much of it as is read."""

    status: int
    body: bytes


class Publication(NamedTuple):
    """A message to a topic of Kafka. `timestamp` is in milliseconds since 1970 UTC, as Kafka has it."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp: int
    headers: Sequence[tuple[str, bytes]]

    @property
    def size(self) -> int:
        """Bytes, at most."""
        headers = sum(len(name.encode()) + len(value) + 10 for name, value in self.headers)
        return len(self.key or b"") + len(self.value) + headers + OVERHEAD


class Message(NamedTuple):
    """An e-mail by a server. `id` and `sent_at` are the same however often it is sent."""

    server: Mail
    to: tuple[str, ...]
    subject: str
    text: str
    id: str
    sent_at: datetime
