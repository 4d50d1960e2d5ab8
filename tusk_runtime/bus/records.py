"""Events as records of a topic. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.errors import TuskError
from tusk_runtime.events import StoredEvent, id_text, traceparent
from tusk_runtime.model.application import Application, EventType
from tusk_runtime.model.envelope import event_value, meta_value
from tusk_runtime.model.upcasting import Chain, chain_of

OVERHEAD = 100
"""Bytes of a record beside its key, its value and its headers, at most."""


class Record(NamedTuple):
    """What is sent to a topic. `timestamp` is in milliseconds since 1970 UTC, as Kafka has it."""

    topic: str
    key: bytes
    value: bytes
    timestamp: int
    headers: list[tuple[str, bytes]]

    @property
    def size(self) -> int:
        """Bytes, at most."""
        headers = sum(len(name) + len(value) + 10 for name, value in self.headers)
        return len(self.key) + len(self.value) + headers + OVERHEAD


class Unpublishable(TuskError):
    """An event that cannot become a record, now or later."""


class _Published(NamedTuple):
    """A type of stored events that is published."""

    event: EventType
    topic: str
    upcast: Chain | None
    headers: list[tuple[str, bytes]]


class Recorder:
    """Makes records of the events that an application publishes.

    The value is the event's data in the declared version, as JSON; the key is the id of its aggregate, so
    that events of one aggregate keep their order. What else there is to say stands in headers, as text.
    `traceparent` is that of W3C Trace Context: the trace is the correlation id, the parent the first 8 bytes
    of the event's id.
    """

    def __init__(self, application: Application) -> None:
        kafka = application.settings.kafka
        topics: Mapping[str, str] = kafka.topics if kafka is not None else {}
        self._published: dict[str, _Published] = {}
        for event in application.events.values():
            topic = topics.get(event.category) if event.category is not None and event.publish else None
            if topic is None:
                continue
            for stored, version in application.stored.of(event.name).items():
                headers = [
                    ("event_type", event.name.encode()),
                    ("event_version", b"%d" % event.version),
                    ("content-type", b"application/json"),
                ]
                self._published[stored] = _Published(event, topic, chain_of(event, version), headers)

    @property
    def types(self) -> list[str]:
        """The types of stored events that are published."""
        return list(self._published)

    @property
    def definition(self) -> Mapping[str, tuple[str, int, str]]:
        """All that decides what is published: by stored type topic, version, and how older ones are read."""
        return {
            stored: (topic, event.version, event.reading)
            for stored, (event, topic, *_) in self._published.items()
        }

    def record(self, event: StoredEvent) -> Record:
        """The record of an event. Raises Unpublishable if its data cannot become the declared version's."""
        published = self._published[event.type]
        headers = [
            ("event_id", id_text(event.event_id).encode()),
            *published.headers,
            ("aggregate_type", event.aggregate_type.encode()),
            ("aggregate_version", b"%d" % event.version),
            ("position", b"%d" % event.position),
            ("timestamp", to_datetime(event.timestamp).isoformat().encode()),
            ("correlation_id", id_text(event.correlation_id).encode()),
            ("causation_id", _cause(event)),
            ("traceparent", traceparent(event.correlation_id, event.event_id).encode()),
        ]
        key = event.aggregate_id.encode()
        return Record(published.topic, key, _value(event, published), event.timestamp // 1000, headers)


def _value(event: StoredEvent, published: _Published) -> bytes:
    if published.upcast is None:
        return event.data
    context = event_value(event, published.event), to_datetime(event.timestamp), meta_value(event)
    try:
        return orjson.dumps(published.upcast(orjson.loads(event.data), *context, event.event_id))
    except Exception as error:
        raise Unpublishable(str(published.upcast.explain(error))) from error


def _cause(event: StoredEvent) -> bytes:
    """What the event follows from: the event upon which its command was sent, else the command."""
    found = orjson.loads(event.metadata).get("causation_id") if b"causation_id" in event.metadata else None
    return str(found).encode() if found else id_text(event.command_id).encode()
