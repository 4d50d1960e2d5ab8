"""What people see of events and states while they browse: personal data is masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from tusk_runtime.events import StoredEvent
from tusk_runtime.model.application import Application, EventType
from tusk_runtime.running.service import AggregateAnswer
from tusk_runtime.types import MASK, Type, masker
from tusk_runtime.types.personal import Mask


class Live(Protocol):
    """Whatever knows the application that is live: a service, most often."""

    @property
    def application(self) -> Application:
        """The application; another object after a reload."""
        ...


class Masks:
    """The masks of the application that is live; those of another one after a reload."""

    def __init__(self, service: Live) -> None:
        self._service = service
        self._application: Application | None = None
        self._masks: Mapping[str, Mask | None] = {}
        self._states: Mapping[str, Mask | None] = {}
        self._any = False
        self._foreign = False

    def data(self, event: StoredEvent) -> bytes:
        """The data of an event as JSON that may be shown: as it is stored where nothing is personal."""
        self._follow()
        mask = self._masks.get(event.type, _hide_all if self._any else None)
        data = event.data or b"{}"
        return data if mask is None else orjson.dumps(mask(orjson.loads(data)))

    def type_of(self, event: StoredEvent) -> tuple[str, int]:
        """The name that an event is shown under, and the version of its fields."""
        return self._service.application.stored.shown(event.type)

    def state(self, answer: AggregateAnswer) -> Mapping[str, Any]:
        """The state of an aggregate as it may be shown."""
        self._follow()
        mask = self._states.get(answer.aggregate_type)
        shown: Mapping[str, Any] = answer.state if mask is None else mask(dict(answer.state))
        return shown

    @property
    def foreign(self) -> bool:
        """Whether what is in a message from outside may be personal: nobody says what it holds."""
        self._follow()
        return self._foreign

    def _follow(self) -> None:
        application = self._service.application
        if application is self._application:
            return
        events = {
            name: masker(Type("record", record=event.fields)) for name, event in application.events.items()
        }
        self._states = {
            name: masker(Type("record", record=aggregate.state))
            for name, aggregate in application.aggregates.items()
        }
        self._any = any(mask is not None for mask in (*events.values(), *self._states.values()))
        read = [
            *(command.fields for command in application.commands.values()),
            *(
                rule.message
                for consumer in application.consumers.values()
                for rule in consumer.accept
                if rule.message is not None
            ),
        ]
        self._foreign = self._any or any(masker(Type("record", record=record)) for record in read)
        self._masks = {
            stored: _older(events[name], event, version) if self._any else None
            for name, event in application.events.items()
            for stored, version in application.stored.of(name).items()
        }
        self._application = application


def _older(mask: Mask | None, event: EventType, version: int) -> Mask | None:
    """The mask of a version of an event: of fields that a step changes nobody knows what they were."""
    steps = [event.upcast[number] for number in range(version, event.version)]
    changed = {
        name for step in steps for name in (*step.set, *step.rename, *step.rename.values(), *step.remove)
    }
    if not changed:
        return mask

    def hide(data: Any) -> Any:
        shown = data if mask is None else mask(data)
        if not isinstance(shown, dict):
            return _hide_all(shown)
        return {
            name: MASK if name in changed and value is not None else value for name, value in shown.items()
        }

    return hide


def _hide_all(data: Any) -> Any:
    """The data of an event that the file declares no more: nobody knows what of it was personal."""
    return dict.fromkeys(data, MASK) if isinstance(data, dict) else MASK
