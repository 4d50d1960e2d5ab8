"""The values of `event` and `meta` in expressions, for a stored event."""

from __future__ import annotations

from typing import Any

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.events import StoredEvent, id_text
from tusk_runtime.model.application import EventType


def event_value(event: StoredEvent, declared: EventType) -> dict[str, Any]:
    """The value of `event`: the envelope, whatever the name and the version that it was stored under."""
    return {
        "event_id": id_text(event.event_id),
        "event_type": declared.name,
        "aggregate_id": event.aggregate_id,
        "aggregate_type": event.aggregate_type,
        "version": event.version,
        "timestamp": to_datetime(event.timestamp),
        "position": event.position,
        "category": declared.category,
    }


def meta_value(event: StoredEvent) -> dict[str, Any]:
    """The value of `meta`: what the event keeps of its command, null where that is nothing."""
    return {
        "user_id": None,
        "roles": [],
        "tenant_id": None,
        "causation_id": None,
        "saga_id": None,
        "source": None,
        "version": None,
        **orjson.loads(event.metadata),
        "command_id": id_text(event.command_id),
        "correlation_id": id_text(event.correlation_id),
    }
