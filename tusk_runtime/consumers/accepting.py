"""Messages from outside become commands.

The command's id derives from the consumer's group, the topic, and the id of the message: the ledger is the
inbox, in which each message takes effect once, however often it arrives.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from tusk_runtime.consumers.failures import ActionFailed, FinalFailure
from tusk_runtime.consumers.reading import Call, MessageReader
from tusk_runtime.consumers.sending import SendCommand, anew
from tusk_runtime.errors import IdReused, Refused
from tusk_runtime.events import Caller, id_from
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.failpoints import hit
from tusk_runtime.following.messages import Message
from tusk_runtime.model.consuming import Consumer
from tusk_runtime.types.strict_json import MOST

log = logging.getLogger("tusk.consumers")


class Accepted(NamedTuple):
    """A message that became a command: which, under which id, and what sending it gave."""

    command: str
    command_id: bytes
    answer: Any


class Acceptor:
    """Takes the messages of the topics of one consumer."""

    def __init__(self, consumer: Consumer, send: SendCommand, most: int = MOST) -> None:
        """No message may be of more than `most` bytes."""
        self.consumer = consumer
        self._reader = MessageReader(consumer, most)
        self._send = send
        self._caller = Caller(f"consumer {consumer.name}", (), None)

    async def accept(self, message: Message, again: int = 0) -> Accepted | None:
        """Send the command that a message means; one that was refused is sent `again` so many times.

        Gives None for one that is ignored, or whose refusal is. Raises ActionFailed if it cannot become a
        command, or if that is refused; Unavailable or OutcomeUnknown if nothing can be said.
        """
        try:
            call = self._reader.call(message)
            return None if call is None else await self._sent(call, again)
        except (Refused, ExpressionFailed, FinalFailure) as error:
            raise ActionFailed(0, error) from error

    async def _sent(self, call: Call, again: int) -> Accepted | None:
        async def once(number: int) -> Accepted:
            command_id = id_from(call.origin + b"\0%d" % number)
            answer = await self._send(
                call.command,
                call.fields,
                aggregate_id=call.target,
                command_id=command_id,
                caller=self._caller,
                cause=call.cause,
            )
            return Accepted(call.command, command_id, answer)

        await hit("consumer.before_action")
        try:
            accepted = await anew(once, again)
        except IdReused as reused:
            raise IdReused(
                f"a message of the same id came before, and gave another command or other fields than this "
                f"`{call.command}`",
                refused=reused.refused,
            ) from reused
        except Refused as refusal:
            if self.consumer.on_refused == "dead_letter":
                raise
            log.info("%s: `%s` was refused: %s", self.consumer.name, call.command, refusal.message)
            return None
        await hit("consumer.after_action")
        return accepted
