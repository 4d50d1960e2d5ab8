"""The envelope that everything passes around: a stored event and the context that it carries."""

from __future__ import annotations

import uuid
from hashlib import blake2b
from typing import NamedTuple

import uuid_utils

NAMESPACE = uuid.UUID("6f1d5c52-3f0e-5d43-9a5c-7475736b0001")
"""The namespace of all ids that this runtime derives from names."""


class StoredEvent(NamedTuple):
    """An event as the store gives it back. `data` and `metadata` are JSON texts in UTF-8.

    `position` counts over the whole store from 1, without holes on a single-writer store; `version` counts
    per aggregate from 1, always without holes; `timestamp` is in microseconds since 1970 UTC.
    """

    position: int
    event_id: bytes
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int
    timestamp: int
    command_id: bytes
    correlation_id: bytes
    data: bytes
    metadata: bytes


class Caller(NamedTuple):
    """Who asks: becomes `meta` in expressions and the metadata of events."""

    user_id: str | None = None
    roles: tuple[str, ...] = ()
    tenant_id: str | None = None


class Cause(NamedTuple):
    """What a command follows from: nothing for one that comes from outside."""

    correlation_id: bytes | None = None
    causation_id: bytes | None = None
    saga_id: str | None = None


OUTSIDE = Cause()
"""The cause of a command that comes from outside."""


class FreshId(bytes):
    """An id that was made just now: no ledger can hold it yet, so none needs to be asked."""

    __slots__ = ()


def new_id() -> FreshId:
    """A fresh id of 16 bytes, ordered by time (UUID version 7), so that index inserts stay cheap."""
    return FreshId(uuid_utils.uuid7().bytes)


def command_id_from(key: str) -> bytes:
    """The command id for an Idempotency-Key: a UUID is taken as it is, any other text names one."""
    try:
        return uuid.UUID(key).bytes
    except ValueError:
        return uuid.uuid5(NAMESPACE, key).bytes


def event_id_of(command_id: bytes, index: int) -> bytes:
    """The id of the n-th event (from 0) of a command: a UUID version 8 derived from both."""
    return id_from(command_id + index.to_bytes(4, "big"))


def id_from(content: bytes) -> bytes:
    """A UUID version 8 of 16 bytes that derives from what it is the id of."""
    digest = bytearray(blake2b(content, digest_size=16).digest())
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return bytes(digest)


def event_id_text(command_id: bytes, index: int) -> str:
    """The text of `event_id_of`, in one go."""
    h = blake2b(command_id + index.to_bytes(4, "big"), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-{VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The hexadecimal digit that holds a UUID's variant, by the digit that stands there before."""


def stored_type(name: str, version: int) -> str:
    """The type under which a version of an event is stored: `OrderPlaced`, the second one `OrderPlaced@2`."""
    return name if version == 1 else f"{name}@{version}"


def split_type(stored: str) -> tuple[str, int]:
    """The name and the version that a stored type stands for. Names of events hold no `@`."""
    name, _, version = stored.rpartition("@")
    return (name, int(version)) if name and version.isdecimal() else (stored, 1)


def id_text(value: bytes) -> str:
    """The canonical text of an id of 16 bytes."""
    h = value.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def traceparent(correlation_id: bytes, event_id: bytes) -> str:
    """An event by W3C Trace Context, version 00: the correlation id is the trace, which is sampled, and the
    first 8 bytes of the event's id are the parent. Neither may be zero throughout."""
    trace = correlation_id if any(correlation_id) else _ONE
    parent = event_id[:8] if any(event_id[:8]) else _ONE[8:]
    return f"00-{trace.hex()}-{parent.hex()}-01"


_ONE = bytes(15) + b"\1"
