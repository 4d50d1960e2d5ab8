"""`tusk schema`: what the runtime accepts validates, and a slip in a name does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apps import ACCOUNT
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from tusk_runtime.cli import schema, show
from tusk_runtime.model import reference
from tusk_runtime.model.examples.context import CONTEXT
from tusk_runtime.model.examples.places import PLACES
from tusk_runtime.model.schema import file_schema
from tusk_runtime.running.load import load

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tsk"))
VALIDATOR = Draft202012Validator(file_schema())


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(schema.command, [str(argument) for argument in arguments])


def shown(file: Path) -> dict[str, Any]:
    """A file as `tusk show --format json` prints it."""
    tree: dict[str, Any] = json.loads(
        CliRunner().invoke(show.command, [str(file), "--format", "json"]).stdout
    )
    return tree


def problems(tree: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(tree)]


def test_the_schema_is_one() -> None:
    printed = json.loads(run().stdout)
    Draft202012Validator.check_schema(printed)
    assert printed == file_schema()
    assert printed["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_validate(file: Path) -> None:
    assert problems(shown(file)) == []


@pytest.mark.parametrize("path", PLACES)
def test_every_example_of_a_place_validates(path: str, tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(CONTEXT + PLACES[path])
    assert problems(shown(file)) == []


def keys_of(tree: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The places of the keys that the tables know: not the names of declarations, fields and columns."""
    for section, content in tree.items():
        yield (section,)
        inner = content.items() if section in reference.DECLARED else [("", content)]
        if section in reference.DECLARED or section in reference.SET:
            for name, declaration in inner:
                yield from ((section, *filter(None, (name,)), key) for key in declaration)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_a_slip_in_a_key_does_not_validate(file: Path) -> None:
    tree = shown(file)
    for path in keys_of(tree):
        broken = copy.deepcopy(tree)
        *steps, last = path
        target: Any = broken
        for step in steps:
            target = target[step]
        target[last + "x"] = target.pop(last)
        assert problems(broken), path


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("commands", '[commands.A]\naggregate: "Account"\nemit: { event: "Opened", dta: {} }'),
        ("commands", '[commands.A]\naggregate: "Account"\nrequire: [{ message: "no check" }]'),
        ("commands", '[commands.A]\naggregate: "Account"\ncreates: "maybe"'),
        ("commands", '[commands.A]\nemit: "Opened"'),
        ("projections", '[projections.A]\nkey: "id"\ncolumns: { id: "uuid" }'),
        ("projections", '[projections.a]\nkey: "id"\ncolumns: { id: "uuid" }\non: { E: { upsrt: {} } }'),
        ("queries", '[queries.a]\nfrom: "accounts"\nlimit: "ten"'),
        ("queries", '[queries.a]\nfrom: "accounts"\nsearch: { text: "x" }'),
        ("queries", '[queries.a]\nfrom: "accounts"\nallow: "meta.user_id != null"'),
        ("queries", '[queries.a]\nfrom: "accounts"\ncache: "5m"'),
        ("consumers", '[consumers.a]\non: { Opened: { sned: "Close" } }'),
        ("consumers", "[consumers.a]\non: { Opened: { http: { json: 1 } } }"),
        ("consumers", '[consumers.a]\non: { Opened: { log: { level: "info" } } }'),
        ("consumers", '[consumers.a]\non: { Opened: { log: { level: "loud", message: "x" } } }'),
        ("consumers", '[consumers.a]\non: { Opened: { log: "x" } }\ntimeout: 30'),
        ("consumers", '[consumers.a]\non: { Opened: { log: "x" } }\nretry: { delay: "soon" }'),
        ("tests", "[tests.a]\nthen: { rejcted: true }"),
        ("http", '[http]\nbody_limit: "much"'),
        ("http", '[http]\nlisten: "somewhere"'),
        ("event_store", '[event_store]\nbackend: "mysql"'),
        ("store_config", '[store_config]\npostgresql: { table_name: "x" }'),
        ("store_config", "[store_config]\nsqlite: { pth: 'x' }"),
        ("sagas", "[sagas.A]\nsteps: []"),
    ],
)
def test_what_the_runtime_refuses_for_its_form(section: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(text + "\n")
    assert [p for p in problems(shown(file)) if section in p] != []
    assert load(file, {}).diagnostics != []


def test_flags_and_numbers_from_the_environment_validate(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(
        CONTEXT + "[queries.q]\nfrom: 'accounts'\nlimit: @env('LIMIT')\ntotal: @env('TOTAL')\n"
        "[http]\nlisten: @env('PORT')\nbody_limit: @env('BODY')\n"
    )
    env = {"LIMIT": "20", "TOTAL": "true", "PORT": "8080", "BODY": "64KB"}
    found = CliRunner().invoke(show.command, [str(file), "--format", "json"], env=env)
    assert problems(json.loads(found.stdout)) == []


def test_the_schemas_of_an_application(tmp_path: Path) -> None:
    """Commands as they are sent, events as they are stored, queries as they are asked and answered."""
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT)
    found = json.loads(run("--for", file).stdout)
    deposit = Draft202012Validator(found["commands"]["Deposit"])
    assert deposit.is_valid({"aggregate_id": "a", "amount": "5.00"})
    assert not deposit.is_valid({"amount": "5.00"})
    assert not deposit.is_valid({"aggregate_id": "a", "amount": "5.00", "nte": "x"})
    assert Draft202012Validator(found["events"]["Opened"]).is_valid({"owner": "ann"})
    assert not Draft202012Validator(found["events"]["Opened"]).is_valid({})
    assert set(next(iter(found["queries"].values()))) == {"params", "row"}
    for kind in ("commands", "events"):
        for one in found[kind].values():
            Draft202012Validator.check_schema(one)


def test_a_wrong_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text("[comands]\n")
    found = run("--for", file)
    assert (found.exit_code, "TSK200" in found.stderr) == (78, True)
    assert run("--for", tmp_path / "nothing.tsk").exit_code == 78
