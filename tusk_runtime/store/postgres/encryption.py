"""What is wrong when an encrypted connection to PostgreSQL does not come about."""

from __future__ import annotations

import ssl

import asyncpg

from tusk_runtime.encryption import Encryption, reason_of

KEY = "`tls` of `postgresql`"


def told(error: BaseException, encryption: Encryption) -> tuple[str, str] | None:
    """What an error of encryption says, and what to do about it; None for another one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = error.verify_message.rstrip(".")
        return f"the server's certificate is not accepted: {message}", _ADVICE.get(error.verify_code, _OTHER)
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection comes about: {reason_of(error)}", _LOG
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
