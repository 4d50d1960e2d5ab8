"""`/api/dead-letters`: what consumers could not handle; a POST has letters handled again, or dropped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tusk_runtime.errors import Invalid
from tusk_runtime.running.service import LetterPlace, Settlement
from tusk_runtime.store.deliveries import STANDINGS, Place, Standing, place_of_text
from tusk_runtime.web.context import Context, json_response
from tusk_runtime.web.encoding import dead_letter_json, dumps
from tusk_runtime.web.problems import Problem, broken_json
from tusk_runtime.web.requests import (
    QueryString,
    check_content,
    check_depth,
    integer_of,
    read_body,
)

PARAMETERS = ("consumer", "standing", "after", "limit")


class _Choice(NamedTuple):
    """Which letters of a consumer are meant: those at places, those with a message, or all."""

    places: Collection[Place] | None
    message: str | None
    dry_run: bool


async def dead_letters(request: Request) -> Response:
    """A page of letters, in the order of consumers and positions, and how many there are."""
    context = Context.of(request)
    parameters = QueryString(request.scope, context.limits, PARAMETERS, repeated="standing")
    after = parameters.text("after")
    page = await context.service.dead_letters(
        consumer=parameters.text("consumer"),
        standing=[_standing(text) for text in parameters.texts("standing")] or None,
        after=None if after is None else _place(after),
        limit=parameters.integer("limit", minimum=1, maximum=context.limits.page) or 100,
    )
    return json_response(
        dumps(
            {
                "letters": [dead_letter_json(found) for found in page.letters],
                "counts": page.counts,
                "next_after": None if page.next_after is None else place_text(page.next_after),
            }
        )
    )


async def dead_letter(request: Request) -> Response:
    """One letter, with its event or its message."""
    context = Context.of(request)
    given = request.path_params
    text = f"{given['topic']}/{given['place']}" if "topic" in given else given["place"]
    try:
        place = place_of_text(text)
    except ValueError as error:
        detail = f"{text[:300]!r} is no place: write {error}."
        raise Problem(400, "bad-parameter", detail, details={"parameter": "place"}) from None
    found = await context.service.dead_letter(given["consumer"], place)
    return json_response(dumps(dead_letter_json(found, context.masks)))


async def retry(request: Request) -> Response:
    """Have letters handled again."""
    return await _mark(request, "retry")


async def drop(request: Request) -> Response:
    """Have letters dropped."""
    return await _mark(request, "drop")


async def _mark(request: Request, action: Settlement) -> Response:
    """Ask for it; of the letters that are concerned the first are shown."""
    context = Context.of(request)
    check_content(context.headers)
    body = await read_body(request.receive, context.headers, context.limits)
    check_depth(body, context.limits.depth)
    choice = _choice(body, context.limits.page)
    found = await context.service.mark_dead_letters(
        request.path_params["consumer"],
        action,
        places=choice.places,
        message=choice.message,
        dry_run=choice.dry_run,
        caller=context.security.caller,
    )
    return json_response(
        dumps(
            {
                "dry_run": choice.dry_run,
                "count": len(found),
                "letters": [dead_letter_json(each) for each in found[: context.limits.page]],
            }
        )
    )


def place_text(place: LetterPlace) -> str:
    """A place among all letters, as a page gives it and takes it back."""
    return "/".join((place.consumer, place.source, str(place.position)))


def _place(text: str) -> LetterPlace:
    consumer, _, rest = text.partition("/")
    source, slash, position = rest.rpartition("/")
    if not slash:
        detail = "after must be the next_after of the page before."
        raise Problem(400, "bad-parameter", detail, details={"parameter": "after"})
    return LetterPlace(consumer, source, integer_of("after", position))


def _standing(text: str) -> Standing:
    for standing in STANDINGS:
        if text == standing:
            return standing
    raise Problem(
        400,
        "bad-parameter",
        f"standing must be one of {', '.join(STANDINGS)}, not {text[:40]!r}.",
        details={"parameter": "standing"},
    )


def _choice(body: bytes, most: int) -> _Choice:
    """What a body asks for. Raises a Problem, or Invalid."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise broken_json(error) from None
    if not isinstance(found, dict):
        raise _invalid("", 'write { "positions": […] }, { "message": "…" } or { "all": true }')
    for name in found:
        if name not in ("positions", "message", "all", "dry_run"):
            raise _invalid(name, "is not known here: positions, message, all, dry_run are")
    if len({"positions", "message", "all"} & found.keys()) != 1:
        raise _invalid("", "give one of positions, message and all")
    _check(found)
    places = None if "positions" not in found else _places(found["positions"], most)
    return _Choice(places, found.get("message"), found.get("dry_run", False))


def _places(positions: object, most: int) -> list[Place]:
    """Where letters are that a body names: numbers are positions of the log."""
    if not isinstance(positions, list) or not 0 < len(positions) <= most:
        raise _invalid("positions", f"must be a list of 1 to {most} positions")
    places = []
    for each in positions:
        text = str(each) if type(each) is int else each
        if not isinstance(text, str):
            raise _invalid("positions", "must be whole numbers from 1, or texts as orders/0:12")
        try:
            places.append(place_of_text(text))
        except ValueError as error:
            raise _invalid("positions", f"must each be {error}") from None
    return places


def _check(found: dict[str, Any]) -> None:
    if not isinstance(found.get("message", ""), str):
        raise _invalid("message", "must be a text: the whole message of the error")
    if found.get("all", True) is not True:
        raise _invalid("all", "can only be true")
    if not isinstance(found.get("dry_run", False), bool):
        raise _invalid("dry_run", "must be true or false")


def _invalid(field: str, message: str) -> Invalid:
    what = f"`{field}` {message}" if field else message
    return Invalid(what, errors=[{"field": field, "message": message}])
