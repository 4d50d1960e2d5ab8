"""A small SMTP server on loopback that keeps what it was given, and answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import NamedTuple


class Given(NamedTuple):
    """An e-mail as it came: by whom it was sent, to whom, and whether the connection was encrypted."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage
    user: str
    encrypted: bool


class SmtpServer:
    """Takes everything, but for what `answers` says: command (`MAIL`, `RCPT ann@…`, `DATA`, `.`) → answer.

    An empty answer is none: nothing comes. With a `context` it offers STARTTLS, with `password` AUTH.
    """

    def __init__(self) -> None:
        self.given: list[Given] = []
        self.answers: dict[str, str] = {}
        self.context: ssl.SSLContext | None = None
        self.password = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, *, encrypted: bool = False) -> None:
        context = self.context if encrypted else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, user, to = "", "", []
        await self._say(writer, "CONNECT", "220 hello")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    offers = ["localhost"]
                    if self.context is not None and not writer.get_extra_info("sslcontext"):
                        offers.append("STARTTLS")
                    if self.password:
                        offers.append("AUTH PLAIN")
                    lines = [f"250-{offer}" for offer in offers] + ["250 SMTPUTF8"]
                    await self._say(writer, "EHLO", "\r\n".join(lines))
                case "HELO":
                    await self._say(writer, "EHLO", "250 localhost")
                case "STARTTLS":
                    assert self.context is not None
                    await self._say(writer, "STARTTLS", "220 go ahead")
                    await writer.start_tls(self.context)
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split(" ")[1]).decode().split("\0")
                    said = "235 welcome" if password == self.password else f"535 {password} is wrong"
                    await self._say(writer, "AUTH", said)
                case "MAIL":
                    sender = rest.partition("<")[2].partition(">")[0]
                    await self._say(writer, "MAIL", "250 ok")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    said = self.answers.get(f"RCPT {address}", "250 ok")
                    if said.startswith("250"):
                        to.append(address)
                    await self._say(writer, "RCPT", said)
                case "DATA":
                    await self._say(writer, "DATA", "354 go on")
                    if "DATA" in self.answers:
                        continue
                    content = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                    message = message_from_bytes(content, policy=default)
                    encrypted = writer.get_extra_info("sslcontext") is not None
                    assert isinstance(message, EmailMessage)
                    if self.answers.get(".", "250").startswith("250"):
                        self.given.append(Given(sender, tuple(to), message, user, encrypted))
                    await self._say(writer, ".", "250 taken")
                case "RSET":
                    await self._say(writer, "RSET", "250 ok")
                case "QUIT":
                    await self._say(writer, "QUIT", "221 bye")
                    return
                case _:
                    await self._say(writer, verb, "502 what?")

    async def _say(self, writer: asyncio.StreamWriter, verb: str, answer: str) -> None:
        answer = self.answers.get(verb, answer)
        if answer:
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()
