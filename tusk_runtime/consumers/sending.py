"""The actions inside of the application: commands that are sent, lines in the log of the process."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from tusk_runtime.consumers.performing import Arguments, Moment, fields_of, id_of, text_of, value_of
from tusk_runtime.errors import IdReused, Invalid, Refused
from tusk_runtime.events import Caller, Cause
from tusk_runtime.model.application import Application
from tusk_runtime.model.consuming import Consumer, Log, Send

T = TypeVar("T")
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


class Writer:
    """Writes lines to the log."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def name(self, action: Log) -> str:
        """All are alike."""
        return "log"

    async def perform(self, action: Log, moment: Moment, arguments: Arguments, what: str) -> None:
        """Write it."""
        level = logging.getLevelNamesMapping()[action.level.upper()]
        text = value_of(action.message.function, arguments)
        log.log(level, "%s: %s", self._consumer.name, text)


class Sender:
    """Sends commands.

    A command's id derives from the consumer's group, the event, and which command of its list it is: however
    often an event is handled, the ledger lets each take effect once.
    """

    def __init__(self, consumer: Consumer, application: Application, send: SendCommand) -> None:
        self._consumer = consumer
        self._send = send
        self._aggregates = {command.name: command.aggregate for command in application.commands.values()}

    def name(self, action: Send) -> str:
        """The command."""
        return action.command

    async def perform(self, action: Send, moment: Moment, arguments: Arguments, what: str) -> None:
        """Send it, and once more for each time that it was refused and is asked for again."""
        event = moment.event
        fields = fields_of(action.fields.function, arguments)
        target = event.aggregate_id if action.same else None
        if action.same and event.aggregate_type != self._aggregates[action.command]:
            # By what is declared now it cannot be; it was stored before.
            raise Invalid(f"the event is of {event.aggregate_type}, and `{action.command}` is not", errors=[])
        if action.target is not None:
            target = text_of(value_of(action.target.function, arguments))
        name, group = self._consumer.name, self._consumer.group
        caller = Caller(f"consumer {name}", (), arguments[3]["tenant_id"])

        def once(number: int) -> Awaitable[object]:
            return self._send(
                action.command,
                fields,
                aggregate_id=target,
                command_id=id_of(group, event.event_id, f"{what} {number}"),
                caller=caller,
                cause=Cause(event.correlation_id, event.event_id),
            )

        try:
            await anew(once, moment.again)
        except Refused as refusal:
            if isinstance(refusal, IdReused) and not refusal.refused:
                # The file was edited between two tries: the command that was sent first took effect.
                log.warning("%s: `%s` was sent before, with other fields", name, action.command)
            elif self._consumer.on_refused == "dead_letter":
                raise
            else:
                log.info("%s: `%s` was refused: %s", name, action.command, refusal.message)


async def anew(send: Callable[[int], Awaitable[T]], again: int) -> T:
    """Send a command, and once more for each time that it was refused and is asked for again.

    The ledger gives a refusal again for ever, so that to ask anew takes another id: `send` gets the number of
    the time, from 0. What took effect is never sent anew, also not with other fields. Raises a Refused,
    Unavailable, or OutcomeUnknown.
    """
    for number in range(again):
        try:
            return await send(number)
        except Refused as refusal:
            if isinstance(refusal, IdReused) and not refusal.refused:
                raise
    return await send(again)
