"""The action `publish`: a message to a topic of Kafka."""

from __future__ import annotations

from tusk_runtime.consumers.failures import FinalFailure
from tusk_runtime.consumers.leaving import Publication
from tusk_runtime.consumers.outside import Outside
from tusk_runtime.consumers.performing import Arguments, Moment, id_of, value_of
from tusk_runtime.events import id_text, traceparent
from tusk_runtime.model.configuration import Kafka
from tusk_runtime.model.consuming import Consumer, Publish
from tusk_runtime.types import to_json


class MessagePublisher:
    """Publishes messages.

    One may be published more than once: each time with the same header `message-id`, which derives from the
    consumer's group, the event, and which message of its list it is.
    """

    def __init__(self, consumer: Consumer, kafka: Kafka | None, outside: Outside) -> None:
        self._group = consumer.group
        self._most = kafka.max_record_size if kafka is not None else 0
        self._outside = outside

    def name(self, action: Publish) -> str:
        """The topic."""
        return f"publish {action.topic}"

    async def perform(self, action: Publish, moment: Moment, arguments: Arguments, what: str) -> None:
        """Publish it. Raises FinalFailure, before anything is sent, if it is too large."""
        event = moment.event
        headers = {
            "content-type": "application/json",
            "traceparent": traceparent(event.correlation_id, event.event_id),
        }
        if action.headers is not None:
            given: dict[str, str] = value_of(action.headers.function, arguments)
            names = {name.lower() for name in given}
            headers = {name: value for name, value in headers.items() if name not in names} | given
        headers["message-id"] = id_text(id_of(self._group, event.event_id, what))
        key: str | None = value_of(action.key.function, arguments) if action.key is not None else None
        message = Publication(
            action.topic,
            key.encode() if key is not None else None,
            to_json(value_of(action.value.function, arguments)),
            event.timestamp // 1000,
            [(name, value.encode()) for name, value in headers.items()],
        )
        if message.size > self._most:
            raise FinalFailure(
                f"the message to `{action.topic}` has {message.size:,} bytes, and `max_record_size` in "
                f"`kafka` of [store_config] allows {self._most:,}"
            )
        await self._outside.publish(message)
