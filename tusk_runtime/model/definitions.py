"""Hashes of what a declaration says: what was computed by one definition is not taken for another's."""

from __future__ import annotations

import hashlib
import json

import orjson

from tusk_runtime.model.application import EventType


def definition_hash(*parts: object) -> str:
    """A hash over what a definition says: comments, spacing and the order of keys change nothing."""
    try:
        text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    except TypeError:
        # An integer of more than 64 bits, or half a character out of the environment: no value of a row, but
        # whoever refuses it comes later.
        text = json.dumps(parts, sort_keys=True, default=str).encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def event_definition(event: EventType) -> tuple[object, ...]:
    """What of an event decides what is computed from it, also of its older versions where it has some."""
    return event.name, event.category, repr(event.fields), *filter(None, [event.reading])
