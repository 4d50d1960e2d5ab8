"""E-mails by SMTP, on the standard library; it blocks, and belongs into a thread."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from tusk_runtime.consumers.failures import FinalFailure, TechnicalFailure, line_of, masked
from tusk_runtime.consumers.leaving import Message
from tusk_runtime.model.configuration import Mail

SILENCE_SECONDS = 10.0
"""How long the server may say nothing."""


def send_mail(message: Message) -> None:
    """Give an e-mail to its server. Raises TechnicalFailure if it may work later, FinalFailure if not."""
    hidden = [each for each in (message.server.password, *message.to) if each]
    try:
        whole = _whole(message)
    except ValueError as error:
        raise FinalFailure(f"the e-mail cannot be written: {masked(str(error), hidden)}") from None
    try:
        connection = _connection(message.server)
        try:
            refused = connection.send_message(whole, to_addrs=list(message.to))
        finally:
            # What the server has it has, whatever becomes of the good-bye.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except smtplib.SMTPNotSupportedError as error:
        raise FinalFailure(f"the server of e-mails cannot do what is needed: {line_of(str(error))}") from None
    except smtplib.SMTPResponseException as error:
        raise _answered(error.smtp_code, error.smtp_error, hidden) from None
    except (smtplib.SMTPException, OSError) as error:
        why = line_of(masked(str(error), hidden)) or type(error).__name__
        raise TechnicalFailure(f"no answer from the server of e-mails: {why}") from None
    if refused:
        # What may be taken later decides: those who have it already get it again, with the same id.
        raise _answered(*min(refused.values(), key=lambda answer: answer[0]), hidden)


def _connection(server: Mail) -> smtplib.SMTP:
    if server.tls == "ssl":
        context = ssl.create_default_context()
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=SILENCE_SECONDS, context=context
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=SILENCE_SECONDS)
    try:
        if server.tls == "starttls":
            connection.starttls(context=ssl.create_default_context())
        if server.user:
            connection.login(server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _whole(message: Message) -> EmailMessage:
    whole = EmailMessage(policy=SMTP)
    whole["From"] = message.server.sender
    whole["To"] = ", ".join(message.to)
    whole["Subject"] = message.subject
    whole["Date"] = format_datetime(message.sent_at)
    domain = parseaddr(message.server.sender)[1].rpartition("@")[2]
    whole["Message-ID"] = f"<{message.id}@{domain}>"
    whole["Auto-Submitted"] = "auto-generated"
    if message.text or not message.html:
        whole.set_content(message.text)
    if message.text and message.html:
        whole.add_alternative(message.html, subtype="html")
    elif message.html:
        whole.set_content(message.html, subtype="html")
    return whole


def _answered(code: int, text: bytes | str, hidden: list[str]) -> TechnicalFailure | FinalFailure:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    failure = FinalFailure if 500 <= code < 600 else TechnicalFailure
    return failure(f"the server of e-mails answered {code}: {line_of(masked(said, hidden))}")
