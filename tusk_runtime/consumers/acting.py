"""What a consumer does upon one event: its actions, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import orjson

from tusk_runtime.clock import to_datetime
from tusk_runtime.errors import IdReused, Invalid, Refused, TuskError
from tusk_runtime.events import Caller, Cause, StoredEvent
from tusk_runtime.expressions import ExpressionFailed, explain
from tusk_runtime.failpoints import hit
from tusk_runtime.model.application import Application, EventType
from tusk_runtime.model.consuming import Action, Consumer, Log, Send
from tusk_runtime.model.envelope import event_value, meta_value
from tusk_runtime.model.upcasting import Chain, chain_of
from tusk_runtime.types import Type, decoder, to_json

log = logging.getLogger("tusk.consumers")


class SendCommand(Protocol):
    """Runs a command: `CommandBus.execute`."""

    def __call__(
        self,
        name: str,
        fields: Mapping[str, Any],
        *,
        aggregate_id: str | None,
        command_id: bytes,
        caller: Caller,
        cause: Cause,
    ) -> Awaitable[object]:
        """Run it. Raises a Refused, Unavailable, or OutcomeUnknown."""
        ...


class ActionFailed(TuskError):
    """An action could not be done, and would fail again: an expression without a value, or a refusal.

    `action` counts from 0, `refused` tells a command that was refused, `told` is what a dead letter keeps.
    """

    def __init__(self, action: int, error: Exception) -> None:
        self.action = action
        self.refused = isinstance(error, Refused)
        self.told = told(error)
        super().__init__(str(error))


class _Moment(NamedTuple):
    """An event as actions see it: the arguments of their expressions, and how often it is sent again."""

    event: StoredEvent
    arguments: tuple[Any, ...]
    again: int


class _Handled(NamedTuple):
    """A type of stored events that a consumer handles: how its data is read, and what is done."""

    event: EventType
    upcast: Chain | None
    decode: Callable[[Any], Any] | None
    actions: tuple[Action, ...]


class Actor:
    """Everything that a consumer does, prepared once.

    A command's id derives from the consumer's group, the event, and which command of its list it is: however
    often an event is handled, the ledger lets each take effect once.
    """

    def __init__(self, consumer: Consumer, application: Application, send: SendCommand) -> None:
        self.consumer = consumer
        self._send = send
        self._aggregates = {command.name: command.aggregate for command in application.commands.values()}
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

        Raises ActionFailed where trying again would not help, Unavailable or OutcomeUnknown where it would.
        """
        moment = self._moment(event, first, again)
        actions = self._handled[event.type].actions
        for index in range(first, len(actions)):
            try:
                for arguments, item in _calls(actions[index], moment):
                    await hit("consumer.before_action")
                    await self._do(actions, index, moment, arguments, item)
                    await hit("consumer.after_action")
            except (Refused, ExpressionFailed) as error:
                raise ActionFailed(index, error) from error

    def _moment(self, event: StoredEvent, first: int, again: int) -> _Moment:
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
        return _Moment(event, (data, *context), again)

    async def _do(
        self, actions: tuple[Action, ...], index: int, moment: _Moment, arguments: tuple[Any, ...], item: int
    ) -> None:
        match actions[index]:
            case Log() as action:
                level = logging.getLevelNamesMapping()[action.level.upper()]
                text = _value(action.message.function, arguments)
                log.log(level, "%s: %s", self.consumer.name, text)
            case Send() as action:
                same = sum(
                    isinstance(each, Send) and each.command == action.command for each in actions[:index]
                )
                await self._command(action, moment, arguments, f"{action.command} {same} {item}")

    async def _command(self, action: Send, moment: _Moment, arguments: tuple[Any, ...], what: str) -> None:
        event = moment.event
        fields = orjson.loads(to_json(_value(action.fields.function, arguments)))
        target = event.aggregate_id if action.same else None
        if action.same and event.aggregate_type != self._aggregates[action.command]:
            # By what is declared now it cannot be; it was stored before.
            raise Invalid(f"the event is of {event.aggregate_type}, and `{action.command}` is not", errors=[])
        if action.target is not None:
            target = _text(_value(action.target.function, arguments))
        caller = Caller(f"consumer {self.consumer.name}", (), arguments[3]["tenant_id"])
        for number in range(moment.again + 1):
            try:
                await self._send(
                    action.command,
                    fields,
                    aggregate_id=target,
                    command_id=command_id_of(self.consumer.group, event.event_id, f"{what} {number}"),
                    caller=caller,
                    cause=Cause(event.correlation_id, event.event_id),
                )
                return
            except IdReused:
                # The file was edited between two tries: the command that was sent first took effect.
                log.warning("%s: `%s` was sent before, with other fields", self.consumer.name, action.command)
                return
            except Refused as refusal:
                # The ledger gives a refusal again for ever: to ask anew takes another id.
                if number < moment.again:
                    continue
                if self.consumer.on_refused == "dead_letter":
                    raise
                log.info("%s: `%s` was refused: %s", self.consumer.name, action.command, refusal.message)


def command_id_of(group: str, event_id: bytes, what: str) -> bytes:
    """The id of a command that a consumer sends upon an event: a UUID version 8 derived from all three."""
    digest = bytearray(blake2b(f"{group}\0{what}\0".encode() + event_id, digest_size=16).digest())
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return bytes(digest)


def told(error: Exception) -> dict[str, Any]:
    """What a dead letter says of an error: the message, its place in the file, and the values there."""
    match error:
        case ExpressionFailed():
            found: dict[str, Any] = {"message": error.message}
            if error.span is not None:
                found["place"] = str(error.span)
            if error.values:
                found["values"] = dict(error.values)
            return found
        case Refused():
            return {"message": error.message, "kind": error.kind, **error.details}
        case _:
            return {"message": str(error) or type(error).__name__}


def _calls(action: Action, moment: _Moment) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The arguments for each element of `for_each` that `when` does not leave out, and its number."""
    identity = moment.event.event_id
    calls = [moment.arguments]
    if action.for_each is not None:
        items = _value(action.for_each.function, (*moment.arguments, identity))
        calls = [(*moment.arguments, item, {"index": number}) for number, item in enumerate(items, 1)]
    for number, values in enumerate(calls):
        arguments = (*values, identity)
        if action.when is None or _value(action.when.function, arguments):
            yield arguments, number


def _value(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise explain(error) from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode().strip('"')
