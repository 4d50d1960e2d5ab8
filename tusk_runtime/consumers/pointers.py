"""Records of the relay are pointers: each says which event of the store's log it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tusk_runtime.events import StoredEvent
from tusk_runtime.following.messages import Message
from tusk_runtime.store.protocol import EventStore


class Pointer(NamedTuple):
    """What a record of the relay says: which event of the store's log it stands for."""

    position: int
    event_id: bytes
    event_type: bytes


def pointer_of(message: Message) -> Pointer | None:
    """The event that a record of the relay stands for; None if it is no such record."""
    headers = dict(message.headers)
    try:
        event_id = bytes.fromhex(headers["event_id"].decode().replace("-", ""))
        return Pointer(int(headers["position"]), event_id, headers["event_type"])
    except (KeyError, ValueError):
        return None


async def pointed_at(pointers: Iterable[Pointer], events: EventStore) -> Mapping[Pointer, StoredEvent]:
    """The events of the store that pointers stand for; those that it does not hold are left out."""
    wanted = list(pointers)
    if not wanted:
        return {}
    found = {event.position: event for event in await events.at([each.position for each in wanted])}
    return {
        each: event
        for each in wanted
        if (event := found.get(each.position)) is not None and event.event_id == each.event_id
    }
