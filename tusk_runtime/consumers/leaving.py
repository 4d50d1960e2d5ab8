"""What actions send out of the application, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from tusk_runtime.model.configuration import Mail
from tusk_runtime.model.consuming import Method


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


class Message(NamedTuple):
    """An e-mail by a server. `id` and `sent_at` are the same however often it is sent."""

    server: Mail
    to: tuple[str, ...]
    subject: str
    text: str
    id: str
    sent_at: datetime
