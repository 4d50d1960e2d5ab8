"""The bodies that commands come in."""

from __future__ import annotations

from typing import Any

import orjson

from tusk_runtime.errors import Invalid


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises Invalid; a reader of HTTP may refuse broken JSON before."""
    try:
        found = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"the body is no JSON: {error.msg} at line {error.lineno}, column {error.colno}", errors=[]
        ) from None
    if not isinstance(found, dict):
        raise Invalid("the body is no JSON object", errors=[{"field": "", "message": "write { … }"}])
    return found
