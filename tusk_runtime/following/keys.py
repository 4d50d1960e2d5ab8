"""The keys that keep messages in order, as a store can hold them."""

from __future__ import annotations

from hashlib import blake2b

MOST = 500
"""Characters of a key that is kept as it is: an index of PostgreSQL holds no rows above 2.7 KB."""
_START = MOST - 32


def kept(key: str) -> str:
    """A key as the store keeps it: of a longer one its start and a digest.

    So it is with one that holds a NUL, which is no text to PostgreSQL. No other key is ever kept as the same:
    a digest makes one character more than a key may have.
    """
    if len(key) <= MOST and "\0" not in key:
        return key
    digest = blake2b(key.encode(), digest_size=16).hexdigest()
    start = key[:_START].replace("\0", "\ufffd").ljust(_START, ".")
    return f"{start}#{digest}"
