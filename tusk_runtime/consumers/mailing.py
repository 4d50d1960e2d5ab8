"""The action `email`: what is written, and to whom."""

from __future__ import annotations

from functools import partial

from tusk_runtime.consumers.failures import FinalFailure
from tusk_runtime.consumers.leaving import Message
from tusk_runtime.consumers.outside import Outside
from tusk_runtime.consumers.performing import Arguments, Moment, breaks_headers, id_of, value_of
from tusk_runtime.events import id_text
from tusk_runtime.model.consuming import Consumer, Email


class Mailer:
    """Sends e-mails.

    One may be sent more than once: each time with the same `Message-ID`, which derives from the consumer's
    group, the event, and which e-mail of its list it is.
    """

    def __init__(self, consumer: Consumer, outside: Outside) -> None:
        self._group = consumer.group
        self._outside = outside

    def name(self, action: Email) -> str:
        """All are alike."""
        return "email"

    async def perform(self, action: Email, moment: Moment, arguments: Arguments, what: str) -> None:
        """Send it; to nobody it is not sent."""
        to = tuple(dict.fromkeys(value_of(action.to.function, arguments)))
        subject = value_of(action.subject.function, arguments)
        if breaks_headers(subject):
            raise FinalFailure("the subject holds a character that none may hold")
        text, html = await self._outside.work(partial(_written, action, arguments))
        key = id_text(id_of(self._group, moment.event.event_id, what))
        if to:
            await self._outside.mail(Message(action.server, to, subject, text, html, key, arguments[2]))


def _written(action: Email, arguments: Arguments) -> tuple[str, str]:
    """The text and the page; empty where there is none."""
    text, html = (each.render(arguments) if each is not None else "" for each in (action.text, action.html))
    return text, html
