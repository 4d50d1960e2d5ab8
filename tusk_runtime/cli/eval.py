"""`tusk eval`: the value of an expression for an event, as the runtime computes it."""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from tusk_runtime.cli.inputs import conform, meta_of, read_event, read_json
from tusk_runtime.cli.output import (
    ENV_FILE,
    FAILED,
    FORMAT,
    INVALID,
    environment,
    show_diagnostics,
    stop_failed,
    stop_invalid,
)
from tusk_runtime.errors import InvalidConfiguration
from tusk_runtime.expressions import META, NOW, ExpressionFailed, Scope, compile_value, event_type
from tusk_runtime.expressions.codes import NO_VALUE
from tusk_runtime.language.diagnostics import Problems, did_you_mean
from tusk_runtime.language.document import ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.model.application import Aggregate, Application, EventType
from tusk_runtime.model.scopes import event_data, record_type
from tusk_runtime.model.upcasting import Chain
from tusk_runtime.running.load import load_or_raise
from tusk_runtime.types import JSON, STRING, Type, encode_default


@click.command("eval")
@click.argument("expression")
@click.option("--event", "event_file", help="A JSON file: an event as GET /api/events gives it, or its data.")
@click.option(
    "--state", "state_file", help="A JSON file: the state, as GET /api/aggregates gives it, or alone."
)
@click.option("--row", "row_file", help="A JSON file: a row of a projection.")
@click.option("--command", "command_file", help="A JSON file: the fields of a command.")
@click.option("--param", "params", multiple=True, help="NAME=VALUE, a parameter of a query; JSON or a text.")
@click.option("--app", type=click.Path(path_type=Path), help="Check against what this .tsk file declares.")
@click.option("--type", "event_name", help="With --app: the event's type, where its file holds only data.")
@ENV_FILE
@FORMAT
def command(
    expression: str,
    event_file: str | None,
    state_file: str | None,
    row_file: str | None,
    command_file: str | None,
    params: tuple[str, ...],
    app: Path | None,
    event_name: str | None,
    env_file: Path | None,
    format_: str,
) -> None:
    """Print the value of EXPRESSION as JSON; with or without `{{ }}`, and `-` as a file for what comes in.

    It sees `now` and `meta`, and what is given: `event` and `data`, `state`, `row`, `command`, `params`.
    Without --app whatever is in them is taken as json; with it, data and state have their declared types.

    Exit codes: 0 good, 1 it has no value for this input, 78 it cannot be compiled.
    """
    for text in (expression, *params):
        if not _is_text(text):
            raise click.BadParameter("what is given is not UTF-8")
    try:
        application = load_or_raise(app, environment(env_file)) if app is not None else None
    except InvalidConfiguration as error:
        stop_invalid(error, format_)
    inputs = _Inputs(application)
    inputs.event(event_file, event_name)
    if state_file is not None:
        inputs.state(read_json(state_file, "the state"))
    for name, file in (("row", row_file), ("command", command_file)):
        if file is not None:
            inputs.add(name, JSON, read_json(file, f"the {name}"))
    if params:
        inputs.add("params", JSON, dict(_param(text) for text in params))
    _evaluate(expression, inputs, format_)


def _is_text(argument: str) -> bool:
    """Whether an argument was a text: bytes that are none arrive as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _param(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter("write NAME=VALUE", param_hint="--param")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


class _Inputs:
    """The names that the expression sees, their types and their values."""

    def __init__(self, application: Application | None) -> None:
        self.application = application
        self.types: dict[str, Type] = {}
        self.values: dict[str, Any] = {}
        self.identity = bytes(16)
        self._event_type = self._aggregate_type = ""

    def add(self, name: str, type_: Type, value: Any) -> None:
        """A name with a value of a type."""
        self.types[name] = type_
        self.values[name] = value

    def event(self, file: str | None, name: str | None) -> None:
        """`now` and `meta`, and of an event `event` and `data`."""
        found = read_event(file) if file is not None else None
        envelope = found.envelope if found is not None else None
        at = envelope["timestamp"] if envelope is not None else None
        self.add("now", NOW, at or datetime.now(UTC))
        self.add("meta", META, meta_of(found.metadata if found is not None else {}))
        if name is not None and (self.application is None or found is None):
            raise click.UsageError("--type says of which declared type the event is: give --app and --event")
        if found is None:
            return
        if envelope is not None:
            envelope["timestamp"] = self.values["now"]
            self.identity = uuid.UUID(envelope["event_id"]).bytes
            self._aggregate_type = envelope["aggregate_type"]
            self.add("event", event_type(STRING), envelope)
        name = name or (envelope["event_type"] if envelope is not None else None)
        self._data(found.data, name, found.version)

    def _data(self, data: Any, name: str | None, version: int | None) -> None:
        if self.application is None:
            self.add("data", JSON, data)
            return
        if name is None:
            raise click.UsageError("the file holds only data: say of which event, with --type NAME")
        declared = self.application.events.get(name)
        if declared is None:
            stop_failed(f"no event {name!r} is declared; {did_you_mean(name, self.application.events)}")
        self._event_type = name
        if version is not None and version != declared.version:
            data = self._as_declared(data, declared, version)
        if declared.declared:
            data = conform(declared.fields, data, f"the data of {name}")
        if "event" in self.values:
            self.values["event"]["category"] = declared.category
        self.add("data", event_data(declared.fields, declared.declared), data)

    def _as_declared(self, data: Any, declared: EventType, version: int) -> Any:
        """The data of an older version as the declared one has it; ends the process where that cannot be."""
        if not declared.oldest <= version <= declared.version:
            stop_failed(f"nothing leads from version {version} of {declared.name} to {declared.version}")
        chain, values = Chain(declared, version), self.values
        try:
            return chain(data, values.get("event"), values["now"], values["meta"], self.identity)
        except Exception as error:
            stop_failed(str(chain.explain(error)))

    def state(self, value: Any) -> None:
        """`state`: of the event's aggregate where that is known."""
        if isinstance(value, dict) and "aggregate_type" in value and isinstance(value.get("state"), dict):
            self._aggregate_type = str(value["aggregate_type"])
            value = value["state"]
        aggregate = self._aggregate()
        if aggregate is None:
            self.add("state", JSON, value)
        else:
            what = f"the state of {aggregate.name}"
            self.add("state", record_type(aggregate.state), conform(aggregate.state, value, what))

    def _aggregate(self) -> Aggregate | None:
        if self.application is None:
            return None
        aggregates = self.application.aggregates
        appliers = [aggregate for aggregate in aggregates.values() if self._event_type in aggregate.on]
        return aggregates.get(self._aggregate_type) or (appliers[0] if len(appliers) == 1 else None)


def _evaluate(expression: str, inputs: _Inputs, format_: str) -> None:
    source = Source("expression", expression)
    span = source.span(0, len(expression))
    if "{{" in expression:
        node = ScalarNode(expression, span, quoted=True, offsets=0)
    else:
        text = f"{{{{ {expression} }}}}"
        places = [min(max(at - 3, 0), len(expression)) for at in range(len(text) + 1)]
        node = ScalarNode(text, span, quoted=True, offsets=places)
    problems = Problems()
    compiled = compile_value(node, Scope(inputs.types), problems)
    if compiled is None:
        show_diagnostics(problems.sorted(), format_)
        sys.exit(INVALID)
    try:
        value = compiled(*inputs.values.values(), identity=inputs.identity)
    except ExpressionFailed as failed:
        where = ", ".join(f"`{text}` is {value}" for text, value in failed.values)
        problems.error(NO_VALUE, failed.span or span, failed.message, help=f"here {where}" if where else "")
        show_diagnostics(problems.sorted(), format_)
        sys.exit(FAILED)
    option = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    click.echo(orjson.dumps(value, default=encode_default, option=option).decode())
