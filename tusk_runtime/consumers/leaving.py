"""What actions send out of the application, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from tusk_runtime.model.configuration import Mail
from tusk_runtime.model.consuming import Method

OVERHEAD = 100
"""Bytes of a message in a topic beside its key, its value and its headers, at most."""


class Call(NamedTuple):
    """A call by HTTP. `hosts` are those that it may go to, `timeout` is in seconds, `secrets` are hidden
    wherever something is told of it."""

    method: Method
    url: str
    hosts: frozenset[str]
    headers: Mapping[str, str]
    body: bytes
    timeout: float
    secrets: tuple[str, ...] = ()


End = Literal["whole", "long", "broken"]


class Answer(NamedTuple):
    """What came back: the status, and the body, or as much of it as is read. The names of the headers are in
    small letters. `end` tells a body that is too long to be read, and one that broke off."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    end: End = "whole"


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
    """An e-mail by a server; `text` or `html` may be empty. `id` and `sent_at` are the same however often it
    is sent."""

    server: Mail
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    id: str
    sent_at: datetime


class Run(NamedTuple):
    """A function of Python, `module:function`, with its arguments."""

    function: str
    arguments: Mapping[str, Any]


Leaving = Call | Message | Publication | Run
"""Whatever leaves the application."""
