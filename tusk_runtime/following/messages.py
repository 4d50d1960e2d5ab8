"""Messages that stand in topics, as they came, and what a dead letter keeps of one."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import NamedTuple

import orjson

KEPT = 2**20
"""Bytes of a message that are kept with its letter, at most."""


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


class Copy(NamedTuple):
    """What was kept of a message. One that was too large is not `whole`: it has no value, nor key and headers
    if these are what was too large. `size` is that of its value in bytes."""

    message: Message
    size: int
    whole: bool


def pack(message: Message) -> bytes:
    """A message as its letter keeps it: a line of JSON about it, and then its value as it is, where all of it
    has at most `KEPT` bytes."""
    head = len(message.key or b"") + sum(len(name.encode()) + len(value) for name, value in message.headers)
    size = len(message.value or b"")
    whole = head + size <= KEPT
    kept = message if head <= KEPT else message._replace(key=None, headers=())
    about = {
        "timestamp": kept.timestamp,
        "key": None if kept.key is None else b64encode(kept.key).decode(),
        "headers": [[name, b64encode(value).decode()] for name, value in kept.headers],
        "size": None if message.value is None else size,
        "whole": whole,
    }
    return orjson.dumps(about) + b"\n" + ((message.value or b"") if whole else b"")


def copied(source: str, offset: int, packed: bytes) -> Copy:
    """What was kept of the message at an offset of a source."""
    line, _, value = packed.partition(b"\n")
    about = orjson.loads(line)
    topic, _, partition = source.rpartition("/")
    key, size, whole = about["key"], about["size"], about["whole"]
    message = Message(
        topic,
        int(partition),
        offset,
        None if key is None else b64decode(key),
        value if whole and size is not None else None,
        about["timestamp"],
        tuple((name, b64decode(text)) for name, text in about["headers"]),
    )
    return Copy(message, size or 0, whole)


def unpack(source: str, offset: int, packed: bytes) -> Message | None:
    """The message at an offset of a source as `pack` kept it; None if it was too large to be kept."""
    found = copied(source, offset, packed)
    return found.message if found.whole else None
