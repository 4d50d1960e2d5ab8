"""What a consumer does upon one event: its actions, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.consumers.calling import HttpCaller
from tusk_runtime.consumers.failures import ActionFailed, FinalFailure, TechnicalFailure
from tusk_runtime.consumers.mailing import Mailer
from tusk_runtime.consumers.outside import Outside
from tusk_runtime.consumers.performing import Moment, Performer, calls
from tusk_runtime.consumers.publishing import MessagePublisher
from tusk_runtime.consumers.python import PythonCaller
from tusk_runtime.consumers.sending import SendCommand, Sender, Writer
from tusk_runtime.errors import Refused
from tusk_runtime.events import StoredEvent
from tusk_runtime.expressions import Expression, ExpressionFailed, explain
from tusk_runtime.failpoints import hit
from tusk_runtime.model.application import Application, EventType
from tusk_runtime.model.consuming import Action, Body, Consumer, Email, Http, Log, Publish, Python, Send
from tusk_runtime.model.envelope import event_value, meta_value
from tusk_runtime.model.upcasting import Chain, chain_of
from tusk_runtime.templates import Template
from tusk_runtime.types import Type, decoder


class _Handled(NamedTuple):
    """A type of stored events that a consumer handles: how its data is read, and what is done."""

    event: EventType
    upcast: Chain | None
    decode: Callable[[Any], Any] | None
    actions: tuple[Action, ...]


class Actor:
    """Everything that a consumer does, prepared once."""

    def __init__(
        self, consumer: Consumer, application: Application, send: SendCommand, outside: Outside
    ) -> None:
        self.consumer = consumer
        self._performers: Mapping[type[Action], Performer[Any]] = {
            Send: Sender(consumer, application, send),
            Log: Writer(consumer),
            Http: HttpCaller(consumer, outside),
            Email: Mailer(consumer, outside),
            Publish: MessagePublisher(consumer, application.settings.kafka, outside),
            Python: PythonCaller(outside),
        }
        self._handled: dict[str, _Handled] = {}
        for name, actions in consumer.on.items():
            event = application.events[name]
            decode = decoder(Type("record", record=event.fields)) if event.declared else None
            for stored, version in application.stored.of(name).items():
                self._handled[stored] = _Handled(event, chain_of(event, version), decode, actions)

    @property
    def types(self) -> list[str]:
        """The types of stored events that are handled."""
        return list(self._handled)

    async def act(self, event: StoredEvent, first: int = 0, again: int = 0) -> None:
        """Do all actions from the one counted `first`; what was refused before is sent `again` so many times.

        A call in front of it whose answer is still needed is made again, with the same key: what it was
        answered is kept nowhere.
        Raises ActionFailed if one could not be done; Unavailable or OutcomeUnknown if nothing can be said.
        """
        moment = self._moment(event, first, again)
        actions = self._handled[event.type].actions
        for index, action in enumerate(actions):
            found = None
            try:
                if index >= first or is_read(action, actions[first:]):
                    found = await self._do(actions, index, moment)
            except (Refused, ExpressionFailed, FinalFailure, TechnicalFailure) as error:
                raise ActionFailed(max(first, index), error) from error
            if isinstance(action, Http) and action.answer:
                moment = moment._replace(arguments=(*moment.arguments, found))

    def _moment(self, event: StoredEvent, first: int, again: int) -> Moment:
        handled = self._handled[event.type]
        context = (event_value(event, handled.event), to_datetime(event.timestamp), meta_value(event))
        try:
            data = orjson.loads(event.data)
            if handled.upcast is not None:
                data = handled.upcast(data, *context, event.event_id)
            if handled.decode is not None:
                data = handled.decode(data)
        except Exception as error:
            failure = explain(error) if handled.upcast is None else handled.upcast.explain(error)
            raise ActionFailed(first, failure) from error
        return Moment(event, (data, *context), again)

    async def _do(self, actions: tuple[Action, ...], index: int, moment: Moment) -> object:
        action = actions[index]
        kind = type(action)
        performer = self._performers[kind]
        name = performer.name(action)
        same = sum(type(each) is kind and performer.name(each) == name for each in actions[:index])
        found: object = None
        for arguments, item in calls(action, moment):
            await hit("consumer.before_action")
            found = await performer.perform(action, moment, arguments, f"{name} {same} {item}")
            await hit("consumer.after_action")
        return found


def is_read(action: Action, later: Iterable[Action]) -> bool:
    """Whether an action is a call whose answer one of the later actions reads."""
    if not isinstance(action, Http) or not action.answer:
        return False
    parts = [part.value if isinstance(part, Body) else part for each in later for part in each]
    read = [path[0] for part in parts if isinstance(part, Expression | Template) for path in part.reads]
    return action.answer in read
