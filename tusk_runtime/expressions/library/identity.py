"""Ids that derive from the command or event, so that a replay makes the same ones."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from tusk_runtime.types import to_json
from tusk_runtime.types.values import parse_uuid


def derived_uuid(identity: bytes, *parts: Any) -> str:
    """A UUID (version 8) out of the id of the command or event and the parts; equal only where all are."""
    digest = bytearray(blake2b(identity + to_json(parts), digest_size=16, person=b"tusk uuid").digest())
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return parse_uuid(digest.hex())
