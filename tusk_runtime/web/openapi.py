"""The OpenAPI 3.1 description of an application: every command and query with its schemas."""

from __future__ import annotations

from typing import Any

from tusk_runtime.model.application import Aggregate, Application, Command, Query
from tusk_runtime.model.contracts import command_schema
from tusk_runtime.store.deliveries import STANDINGS
from tusk_runtime.types import Record, Type, json_schema, record_schema
from tusk_runtime.web.routes.commands import BULK_TYPE

Schema = dict[str, Any]

_ID: Schema = {"type": "string", "format": "uuid"}
_POSITION: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}

_PROBLEMS = {
    "400": "The request is not well-formed.",
    "401": "The token is missing or wrong.",
    "403": "The caller may not do this.",
    "404": "There is no such name, aggregate or row.",
    "409": "A state or a rule says no.",
    "413": "The body is too large.",
    "415": "The body is of another media type.",
    "422": "Fields are missing, unknown or of the wrong type; or the Idempotency-Key was used before.",
    "429": "Too many requests wait.",
    "500": "An error on the server's side; the log has the details.",
    "503": "Not now, or the outcome is unknown: repeat with the same Idempotency-Key.",
}


def describe(application: Application) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for command in application.commands.values():
        if not command.internal:
            paths[f"/api/commands/{command.name}"] = {"post": _command(command)}
    for query in application.queries.values():
        paths[f"/api/queries/{query.name}"] = {"get": _query(query)}
    for aggregate in application.aggregates.values():
        paths[f"/api/aggregates/{aggregate.name}/{{id}}"] = {"get": _aggregate(aggregate)}
    paths["/api/events"] = {"get": _events(application)}
    paths["/api/events/live"] = {"get": _live(application)}
    topics = {topic for each in application.consumers.values() for topic in each.accepted_topics}
    if topics:
        paths["/api/topics/{topic}"] = {"post": _message(sorted(topics))}
    paths |= _dead_letters()
    paths["/api/republish"] = {"post": _republish()}
    status = _get("status", "runtime", "What runs, and how far it is.", {"type": "object"})
    paths["/api/status"] = {"get": status}
    paths["/health/ready"] = {"get": _ready()}
    live = _get("live", "runtime", "Whether the process answers.", {"type": "object"}, problems=())
    paths["/health/live"] = {"get": live | {"security": []}}
    return {
        "openapi": "3.1.0",
        "info": {"title": application.name, "version": application.version or "0"},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": _PROBLEM,
                "CommandAnswer": _COMMAND_ANSWER,
                "Event": _EVENT,
                "DeadLetter": _DEAD_LETTER,
            },
            "responses": {f"Problem{status}": _problem(text) for status, text in _PROBLEMS.items()},
        },
    }


def schema_of(record: Record) -> Schema:
    """The JSON Schema of a record."""
    return json_schema(Type("record", record=record))


def _command(command: Command) -> Schema:
    fields = command_schema(command)
    line = {
        "type": "object",
        "properties": {"command_id": _TEXT, "fields": fields},
        "required": ["fields"],
        "additionalProperties": False,
    }
    return {
        "operationId": f"command_{command.name}",
        "tags": [command.aggregate],
        "summary": command.description or f"Send {command.name} to {command.aggregate}.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The command's id: a UUID, or any text that names the command.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": fields}, BULK_TYPE: {"schema": line}},
        },
        "responses": {
            "200": {
                "description": "The command was accepted, and its events are durable.",
                "content": {
                    "application/json": {"schema": _ref("CommandAnswer")},
                    BULK_TYPE: {"schema": _VERDICT},
                },
            },
            **_problems("400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503"),
        },
    }


def _message(topics: list[str]) -> Schema:
    path = {"name": "topic", "in": "path", "required": True, "schema": {"enum": topics}}
    answer = _object(consumers={"type": "object", "additionalProperties": _TAKEN})
    parameters = [path, _parameter("key", _TEXT)] + [
        _parameter(name, {"type": "string", "minLength": 1, "maxLength": 255}, place="header")
        for name in ("message-id", "ce-id", "Idempotency-Key")
    ]
    problems = ("400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503")
    summary = "A message from outside, which the consumers that accept it take at once."
    return {
        **_get("message", "messages", summary, answer, parameters, problems),
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
    }


def _query(query: Query) -> Schema:
    properties = schema_of(query.params).get("properties", {})
    parameters = [
        _parameter(name, properties.get(name, {}), required=field.required)
        for name, field in query.params.fields.items()
    ]
    parameters.append(_parameter("X-Wait-For-Position", _POSITION, place="header"))
    rows: Schema = schema_of(query.columns)
    answer: Schema = {"rows": rows, "position": _POSITION}
    if query.returns == "many":
        parameters.append(_parameter("limit", {"type": "integer", "minimum": 1}))
        parameters.append(_parameter("cursor", _TEXT))
        answer["rows"] = {"type": "array", "items": rows}
        answer["next_cursor"] = _TEXT
    elif query.returns == "scalar":
        answer["rows"] = next(iter(rows.get("properties", {}).values()), {})
    if query.total:
        answer["total"] = _POSITION
    schema = {"type": "object", "properties": answer, "required": ["rows", "position"]}
    summary = query.description or f"The query {query.name}."
    return _get(
        f"query_{query.name}",
        "queries",
        summary,
        schema,
        parameters,
        problems=("400", "401", "403", "404", "422", "429", "500", "503"),
    )


def _aggregate(aggregate: Aggregate) -> Schema:
    return _get(
        f"aggregate_{aggregate.name}",
        aggregate.name,
        f"The state of a {aggregate.name}, now or in the past.",
        _object(
            aggregate_type=_TEXT,
            aggregate_id=_TEXT,
            version=_POSITION,
            position=_POSITION,
            state=record_schema(aggregate.state, masked=True),
        ),
        [
            {"name": "id", "in": "path", "required": True, "schema": _TEXT},
            _parameter("version", _POSITION),
            _parameter("at", {"type": "string", "format": "date-time"}),
        ],
        problems=("400", "401", "404", "500", "503"),
    )


def _events(application: Application) -> Schema:
    return _get(
        "events",
        "events",
        "A page of the log; personal data in it is masked.",
        _object(events={"type": "array", "items": _ref("Event")}, next_after=_POSITION),
        [
            _parameter("after", _POSITION),
            _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
            _types(application),
            _parameter("aggregate_id", _TEXT),
            _parameter("correlation_id", _ID),
            _parameter("backwards", {"type": "boolean", "default": False}),
        ],
    )


def _live(application: Application) -> Schema:
    operation = _get(
        "live_events",
        "events",
        "Events as they are committed: server-sent events whose id is the position; personal data is masked.",
        _TEXT,
        [
            _parameter("after", _POSITION),
            _types(application),
            _parameter("aggregate_id", _TEXT),
            _parameter("Last-Event-ID", _POSITION, place="header"),
        ],
    )
    operation["responses"]["200"]["content"] = {"text/event-stream": {"schema": _TEXT}}
    return operation


def _dead_letters() -> Schema:
    consumer = {"name": "consumer", "in": "path", "required": True, "schema": _TEXT}
    position, topic, place = (
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in (
            ("position", {"type": "integer", "minimum": 1}),
            ("topic", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,249}$"}),
            ("place", {"type": "string", "pattern": "^[0-9]{1,10}:[0-9]{1,18}$"}),
        )
    )
    standings: Schema = {"type": "array", "items": {"enum": list(STANDINGS)}}
    counts: Schema = {"type": "object", "additionalProperties": _POSITION}
    listed = _get(
        "dead_letters",
        "dead letters",
        "What consumers could not handle, page by page, and how much of it there is.",
        _object(
            letters={"type": "array", "items": _ref("DeadLetter")},
            counts={"type": "object", "additionalProperties": counts},
            next_after={"type": ["string", "null"]},
        ),
        [
            _parameter("consumer", _TEXT),
            _parameter("standing", standings),
            _parameter("after", _TEXT),
            _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        ],
        problems=("400", "401", "404", "500", "503"),
    )
    one, of_topic = (
        _get(
            name,
            "dead letters",
            f"A dead letter with {what}; personal data in that is masked.",
            {"allOf": [_ref("DeadLetter"), _object(event=_EVENT_OR_NULL, message=_MESSAGE_OR_NULL)]},
            [consumer, *parameters],
            problems=("400", "401", "404", "500", "503"),
        )
        for name, what, parameters in (
            ("dead_letter", "its event", [position]),
            ("dead_letter_of_topic", "its message: `TOPIC/PARTITION:OFFSET`", [topic, place]),
        )
    )
    prefix = "/api/dead-letters"
    return {
        prefix: {"get": listed},
        f"{prefix}/{{consumer}}/{{position}}": {"get": one},
        f"{prefix}/{{consumer}}/{{topic}}/{{place}}": {"get": of_topic},
        f"{prefix}/{{consumer}}/retry": {
            "post": _settle("retry", "Have dead letters handled again.", consumer)
        },
        f"{prefix}/{{consumer}}/drop": {"post": _settle("drop", "Drop dead letters for ever.", consumer)},
    }


def _settle(name: str, summary: str, consumer: Schema) -> Schema:
    dry_run: Schema = {"type": "boolean", "default": False}
    place: Schema = {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _PLACE}]}
    positions: Schema = {"type": "array", "items": place, "minItems": 1, "maxItems": 1000}
    choices = [
        {**_object(**{choice: schema}), "additionalProperties": False}
        for choice, schema in (("positions", positions), ("message", _TEXT), ("all", {"const": True}))
    ]
    for choice in choices:
        choice["properties"]["dry_run"] = dry_run
    letters: Schema = {"type": "array", "items": _ref("DeadLetter"), "maxItems": 1000}
    answer = _object(dry_run={"type": "boolean"}, count=_POSITION, letters=letters)
    problems = ("400", "401", "404", "409", "413", "415", "422", "500", "503")
    return {
        **_get(f"{name}_dead_letters", "dead letters", summary, answer, [consumer], problems),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"oneOf": choices}}},
        },
    }


def _republish() -> Schema:
    dry_run: Schema = {"type": "boolean", "default": False}
    body = {**_object(**{"from": {"type": "integer", "minimum": 1}}), "additionalProperties": False}
    body["properties"]["dry_run"] = dry_run
    answer = _object(dry_run={"type": "boolean"}, count=_POSITION, **{"from": _POSITION})
    summary = "Publish stored events once more, from a position of the log on."
    problems = ("400", "401", "404", "413", "415", "422", "500", "503")
    return {
        **_get("republish", "kafka", summary, answer, problems=problems),
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
    }


def _ready() -> Schema:
    parts: Schema = {"type": "object"}
    operation = _get("ready", "runtime", "Whether all parts run.", parts, problems=("401", "500"))
    operation["responses"]["503"] = {
        "description": "Some part does not run.",
        "content": {"application/json": {"schema": parts}},
    }
    return operation


def _types(application: Application) -> Schema:
    names: Schema = {"type": "string"}
    if application.events:
        names["examples"] = list(application.events)
    return _parameter("type", {"type": "array", "items": names})


def _parameter(name: str, schema: Schema, *, place: str = "query", required: bool = False) -> Schema:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _get(
    name: str,
    tag: str,
    summary: str,
    schema: Schema,
    parameters: list[Schema] | None = None,
    problems: tuple[str, ...] = ("400", "401", "500", "503"),
) -> Schema:
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": schema}}},
            **_problems(*problems),
        },
    }


def _problems(*statuses: str) -> Schema:
    return {status: {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}


def _problem(description: str) -> Schema:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


_PROBLEM: Schema = _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT)

_COMMAND_ANSWER: Schema = _object(
    command_id=_ID,
    aggregate_id=_TEXT,
    version=_POSITION,
    position=_POSITION,
    events={"type": "array", "items": _object(event_id=_ID, event_type=_TEXT, version=_POSITION)},
)

_TAKEN: Schema = {
    "oneOf": [
        _object(command=_TEXT, command_id=_ID, aggregate_id=_TEXT, version=_POSITION, position=_POSITION),
        _object(ignored={"const": True}),
    ]
}

_EVENT: Schema = _object(
    position=_POSITION,
    event_id=_ID,
    event_type=_TEXT,
    event_version=_POSITION,
    aggregate_type=_TEXT,
    aggregate_id=_TEXT,
    version=_POSITION,
    timestamp={"type": "string", "format": "date-time"},
    data={"type": "object"},
    metadata={"type": "object"},
)

_EVENT_OR_NULL: Schema = {"oneOf": [_ref("Event"), {"type": "null"}]}

_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}

_MESSAGE_OR_NULL: Schema = {
    **_object(
        topic=_TEXT,
        partition=_POSITION,
        offset=_POSITION,
        timestamp={"type": ["string", "null"], "format": "date-time"},
        key=_TEXT_OR_NULL,
        headers={"type": "array", "items": _object(name=_TEXT, value=_TEXT)},
        value=_TEXT_OR_NULL,
        size=_POSITION,
        whole={"type": "boolean"},
    ),
    "type": ["object", "null"],
}

_PLACE = "^([1-9][0-9]{0,17}|[A-Za-z0-9._-]{1,249}/[0-9]{1,10}:[0-9]{1,18})$"

_DEAD_LETTER: Schema = _object(
    consumer=_TEXT,
    source=_TEXT,
    position=_POSITION,
    place=_TEXT,
    key=_TEXT,
    standing={"enum": list(STANDINGS)},
    action=_POSITION,
    attempts=_POSITION,
    at={"type": "string", "format": "date-time"},
    error={"type": "object"},
)

_VERDICT: Schema = {
    "type": "object",
    "properties": {
        "line": {"type": "integer", "minimum": 1},
        "status": {"type": "integer"},
        "command_id": _ID,
        "repeated": {"type": "boolean"},
        "type": _TEXT,
        "detail": _TEXT,
    },
    "required": ["line", "status"],
}
