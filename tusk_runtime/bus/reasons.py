"""Why no broker can be used, for people: the client itself says only that none can."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from tusk_runtime.encryption import reason_of

if TYPE_CHECKING:
    from tusk_runtime.bus.kafka import Address

PROBE_SECONDS = 3.0
"""How long a broker that is asked what is wrong may take."""
UNREACHABLE = (OSError, KafkaConnectionError, NodeNotReadyError, RequestTimedOutError)
"""Errors of the client that do not say what is wrong."""
LARGEST_ANSWER = 100 * 1024 * 1024
HELLO = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""The first question to a broker: which versions it speaks."""
ALERT = b"\x15\x03"
"""What a port that encrypts answers with to somebody who does not."""

_CERT = "`cert` and `key` in `tls` of `kafka`"


class _Wrong(NamedTuple):
    """What is wrong with one broker."""

    text: str


class _Place(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def explained(error: BaseException, address: Address) -> str:
    """What an error of the client means, for people; the password is not in it.

    Where the error does not say, the brokers are asked once more, for a few seconds.
    """
    if isinstance(error, TopicAuthorizationFailedError):
        who = f"the user `{address.kafka.sasl.username}`" if address.kafka.sasl else "the application"
        return _at(address, f"{who} may not write to {_names(error)}: it needs the rights Write and Describe")
    if isinstance(error, UNREACHABLE):
        told = await _asked(address)
        if told:
            return told
    text = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return _at(address, text)


def _at(address: Address, text: str) -> str:
    return f"Kafka at {', '.join(address.kafka.brokers)}: {text}"


def _names(error: BaseException) -> str:
    return ", ".join(f"`{each}`" for each in error.args) or "a topic"


async def _asked(address: Address) -> str:
    """What is wrong with the brokers; nothing if all that are known answer."""
    places = [_place(each) for each in address.kafka.brokers]
    found = await asyncio.gather(*(_probed(each, address) for each in places))
    wrong = {place: each.text for place, each in zip(places, found, strict=True) if isinstance(each, _Wrong)}
    if len(wrong) == len(places):
        if len(set(wrong.values())) == 1:
            return _at(address, wrong[places[0]])
        return "; ".join(f"Kafka at {place}: {text}" for place, text in wrong.items())
    named = {place for each in found if not isinstance(each, _Wrong) for place in each}
    further = sorted(named.difference(places))
    answers = await asyncio.gather(*(_probed(each, address) for each in further))
    for place, answer in zip(further, answers, strict=True):
        if isinstance(answer, _Wrong):
            return _at(address, f"a broker says that it is at {place}, and there: {answer.text}")
    return ""


def _place(address: str) -> _Place:
    host, _, port = address.rpartition(":")
    return _Place(host.strip("[]"), int(port))


async def _probed(place: _Place, address: Address) -> list[_Place] | _Wrong:
    """Where a broker says that the brokers are, or what is wrong with it."""
    options = {**address.options(), "request_timeout_ms": int(PROBE_SECONDS * 1000)}
    del options["bootstrap_servers"]
    connection: AIOKafkaConnection | None = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            connection = await create_conn(place.host, place.port, **options)
            answer = await connection.send(MetadataRequest([]))
        return [_Place(host, port) for _, host, port, *_ in answer.brokers]
    except (KafkaError, OSError) as error:
        if connection is None and address.context is None and (strange := await _strange(place)):
            return _Wrong(strange)
        return _Wrong(_told(error, address, greeted=connection is not None))
    finally:
        if connection is not None:
            connection.close()


def _told(error: BaseException, address: Address, *, greeted: bool) -> str:
    """What an error says of one broker; `greeted`: the connection itself came about."""
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    sasl = address.kafka.sasl
    if isinstance(cause, ssl.SSLError):
        return _of_encryption(cause, address)
    if isinstance(error, socket.gaierror):
        return f"the name of the host is not found ({error.strerror})"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, SaslAuthenticationFailed) and sasl is not None:
        return f"it does not accept `username` and `password` of `sasl` (`{sasl.username}`, {sasl.mechanism})"
    if isinstance(error, UnsupportedSaslMechanismError) and sasl is not None:
        return f"it does not take passwords by `mechanism` of `sasl`, which is {sasl.mechanism}"
    if isinstance(error, IllegalSaslStateError):
        return "it asks nobody on this port who they are: remove `sasl`, or name the port that does"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ConnectionResetError) and address.context is not None:
        return "it ends the connection: perhaps it does not encrypt on this port, as `tls` asks for"
    if isinstance(error, KafkaConnectionError) and sasl is None and greeted:
        return "it ends the connection: perhaps it asks who the application is, which `sasl` says"
    return str(error) or type(error).__name__


def _of_encryption(error: ssl.SSLError, address: Address) -> str:
    tls = address.kafka.tls
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message
        advice = 'name those who signed it: `ca: "ca.pem"` in `tls` of `kafka`'
        if "not valid for" in said:
            advice = 'name it as its certificate does, or write `mode: "verify-ca"` in `tls` of `kafka`'
        return f"its certificate is not accepted ({said}): {advice}"
    if error.reason == "WRONG_VERSION_NUMBER":
        return "it does not encrypt on this port, as `tls` asks for"
    if "ALERT" in (error.reason or "") and tls is not None:
        advice = "name the one that it knows" if tls.cert else "it may ask for one: name it"
        return f"it refuses the certificate of the application ({reason_of(error)}): {advice}, {_CERT}"
    return f"no encrypted connection comes about ({reason_of(error)})"


async def _strange(place: _Place) -> str:
    """What is wrong with a port that was to be a Kafka without encryption and answers otherwise."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(place.host, place.port)
            writer.write(HELLO)
            begin = await reader.readexactly(4)
    except (OSError, EOFError):
        return ""
    finally:
        if writer is not None:
            writer.transport.abort()
    if begin.startswith(ALERT):
        return "it encrypts on this port: write `tls` into `kafka` of [store_config]"
    if not 0 <= struct.unpack(">i", begin)[0] <= LARGEST_ANSWER:
        return f"what answers there is no Kafka (it says {begin!r})"
    return ""
