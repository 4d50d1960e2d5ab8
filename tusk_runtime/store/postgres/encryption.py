"""Encrypted connections: whom they trust, and what is wrong when they do not come about."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, NamedTuple

import asyncpg

from tusk_runtime.errors import StartFailed

KEY = "`tls` of `postgresql`"


class Encryption(NamedTuple):
    """What a connection asks of the server, and shows it.

    `ca` are the certificates of those who may sign that of the server, None for those that the system trusts;
    `cert` and `key` show who we are.
    """

    mode: Literal["verify-full", "verify-ca", "require"] = "verify-full"
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def context_of(encryption: Encryption) -> ssl.SSLContext:
    """What the driver needs of it. Raises StartFailed for a file that cannot be used."""
    for name in ("ca", "cert", "key"):
        _readable(name, getattr(encryption, name))
    try:
        context = ssl.create_default_context(cafile=encryption.ca)
    except ssl.SSLError as error:
        raise StartFailed(
            f"`ca` in {KEY}: `{encryption.ca}` holds no certificates ({_reason(error)})",
            "name a PEM file with the certificates of those who sign: -----BEGIN CERTIFICATE-----",
        ) from None
    context.check_hostname = encryption.mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if encryption.mode == "require" else ssl.CERT_REQUIRED
    if encryption.cert is not None:
        try:
            # With an empty password nobody is asked for one on the terminal.
            context.load_cert_chain(encryption.cert, encryption.key, password="")
        except ssl.SSLError as error:
            files = f"`{encryption.cert}` and `{encryption.key or encryption.cert}`"
            raise StartFailed(
                f"`cert` and `key` in {KEY}: {files} are no certificate with its key ({_reason(error)})",
                "name PEM files that belong together, the key without a password",
            ) from None
    return context


def _readable(name: str, file: Path | None) -> None:
    try:
        if file is not None:
            with file.open("rb"):
                pass
    except OSError as error:
        raise StartFailed(
            f"`{name}` in {KEY}: `{file}` cannot be read: {error.strerror}",
            "name a PEM file that this user may read; the path begins at the folder of the .tsk",
        ) from None


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")


def told(error: BaseException, encryption: Encryption) -> tuple[str, str] | None:
    """What an error of encryption says, and what to do about it; None for another one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = error.verify_message.rstrip(".")
        return f"the server's certificate is not accepted: {message}", _ADVICE.get(error.verify_code, _OTHER)
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection comes about: {_reason(error)}", _LOG
    if isinstance(error, _ENDED) and encryption.cert is not None:
        # By TLS 1.3 a server looks at our certificate when for us the handshake is over.
        return (
            "the server ended the encrypted connection, perhaps for the certificate that it was shown",
            _LOG,
        )
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError) and "certificate" in str(error):
        return str(error), f"name one that is for this user: `cert` and `key` in {KEY}"
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "the server does not encrypt connections", f"set `ssl = on` in the server, or remove {KEY}"
    return None


_ENDED = (asyncpg.ConnectionDoesNotExistError, ConnectionResetError)
_LOG = f"see whether the server knows who signed `cert` in {KEY}, and the log of the server"
_OTHER = "give the server another certificate"
_SIGNER = f'name who signed it: `ca: "ca.pem"` in {KEY}'
_NAME = f'connect by a name that stands in it, or ask only who signed it: `mode: "verify-ca"` in {KEY}'
_ADVICE = {
    10: "renew the certificate of the server, and see to the clocks",
    18: _SIGNER,
    19: _SIGNER,
    20: _SIGNER,
    21: _SIGNER,
    62: _NAME,
    64: _NAME,
}
"""By the numbers that OpenSSL gives to what is wrong with a certificate."""
