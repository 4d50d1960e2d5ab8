"""Encrypted connections: whom they trust, and what they show of us."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, NamedTuple

from tusk_runtime.errors import StartFailed


class Encryption(NamedTuple):
    """What a connection asks of the server, and shows it.

    `ca` are the certificates of those who may sign that of the server, None for those that the system trusts;
    `cert` and `key` show who we are.
    """

    mode: Literal["verify-full", "verify-ca", "require"] = "verify-full"
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def context_of(encryption: Encryption, key: str) -> ssl.SSLContext:
    """What a driver needs of it; `key` names its place in the file. Raises StartFailed for a bad file."""
    for name in ("ca", "cert", "key"):
        _readable(name, getattr(encryption, name), key)
    try:
        context = ssl.create_default_context(cafile=encryption.ca)
    except ssl.SSLError as error:
        raise StartFailed(
            f"`ca` in {key}: `{encryption.ca}` holds no certificates ({reason_of(error)})",
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
                f"`cert` and `key` in {key}: {files} are no certificate with its key ({reason_of(error)})",
                "name PEM files that belong together, the key without a password",
            ) from None
    return context


def _readable(name: str, file: Path | None, key: str) -> None:
    try:
        if file is not None:
            with file.open("rb"):
                pass
    except OSError as error:
        raise StartFailed(
            f"`{name}` in {key}: `{file}` cannot be read: {error.strerror}",
            "name a PEM file that this user may read; the path begins at the folder of the .tsk",
        ) from None


def reason_of(error: ssl.SSLError) -> str:
    """What OpenSSL says, for people."""
    return (error.reason or str(error)).lower().replace("_", " ")
