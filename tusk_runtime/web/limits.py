"""How much the web layer takes from a client before it says no."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server, all of them per process. The defaults suit one machine and its user."""

    body: int = MIB
    """Bytes in a command's body, and in one line of a bulk request."""
    depth: int = 64
    """How deep arrays and objects nest in a command's body."""
    head: int = 16 * KIB
    """Bytes in a request's line and headers."""
    query_string: int = 8 * KIB
    """Bytes behind the question mark."""
    idempotency_key: int = 255
    """Characters in an Idempotency-Key."""
    page: int = 1000
    """Events in one answer."""
    requests: int = 1024
    """Requests in flight, live streams not counted."""
    connections: int = 1024
    """Open connections."""
    streams: int = 64
    """Live streams."""
    bulk_commands: int = 256
    """Commands in flight in one bulk request."""
    bulk_bytes: int = 8 * MIB
    """Bytes of those commands, so that long lines wait for each other."""
    receive_seconds: float = 10.0
    """How long a request's head, or the next piece of its body, may take to arrive."""
    stall_seconds: float = 15.0
    """How long a reader of a stream may take nothing before it is dropped."""
    heartbeat_seconds: float = 10.0
    """How long a live stream stays silent at most."""
