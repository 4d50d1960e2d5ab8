"""`tusk explain`: every word of the language has a meaning, and a misspelt one is told the right one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from tusk_runtime.cli.explain import command
from tusk_runtime.model.words import key_paths, known_words, meanings


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("TSK203", ["TSK203 (code)", "wrong kind of value", "Wrong:", 'limit: "ten"', "Right:", "limit: 10"]),
        ("tsk203", ["TSK203 (code)"]),
        ("commands.from", ["commands.*.from (key)", "from: machine states", "Example:"]),
        ("commands.PlaceOrder.from", ["commands.*.from (key)"]),
        ("projections.sold.on.OrderPlaced.where", ["projections.*.on.*.where (key)"]),
        ("http.listen", ["http.listen (key)", "host:port", "[http]"]),
        ("from", ["commands.*.from (key)", "queries.*.from (key)"]),
        ("description", ["Every declaration and section takes it"]),
        ("[commands]", ["commands (section)", "aggregate", "(required)", "Not available yet: "]),
        ("[consumers]", ["consumers (section)", "[consumers.Name]", "on", "accept"]),
        ("consumers.mailer.on.Opened.send", ["consumers.*.on.*.send (key)"]),
        ("consumers.bank.accept.when", ["consumers.*.accept.when (key)"]),
        ("store_config.redis", ["does not build it yet"]),
        ("decimal", ["decimal (type)", "decimal(min=…, max=…, places=…)", "decimal (function)"]),
        ("places", ["places (constraint)", "A constraint of `decimal`"]),
        ("round", ["round (function)", "round(n: N, places: integer = none"]),
        ("gte", ["gte (condition)", "is at least"]),
        ("@env", ["@env (operator)", "@env('NAME', default)"]),
        ("@query", ["What to do instead"]),
        ("event_metrics", ["does not build it yet"]),
    ],
)
def test_what_a_word_means(word: str, parts: list[str]) -> None:
    found = explain(word)
    assert found.exit_code == 0
    assert [part for part in parts if part not in found.output] == []


def test_every_word_has_a_meaning() -> None:
    assert [word for word in known_words() if not meanings(word)] == []
    assert [path for path in key_paths() if [m.name for m in meanings(path)] != [path]] == []
    for word in known_words():
        assert all(meaning.title for meaning in meanings(word)), word


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("comands", "commands"),
        ("commands.fron", "commands.from"),
        ("comands.from", "commands.from"),
        ("comands.fron", "commands.from"),
        ("TSK20", "TSK020"),
        ("decimel", "decimal"),
        ("@evn", "@env"),
        ("beetween", "between"),
        ("patern", "pattern"),
    ],
)
def test_a_misspelt_word_is_told_the_right_one(word: str, right: str) -> None:
    found = explain(word)
    assert found.exit_code == 2
    assert f"did you mean `{right}" in found.stderr


@pytest.mark.parametrize("word", ["", ".", "xyzzyq", "a.b.c.d", "@", "\x00", "[", "commands..from"])
def test_what_is_no_word_is_told_so(word: str) -> None:
    found = explain(word)
    assert found.exit_code == 2
    assert "nothing is called" in found.stderr


def test_the_machine_form() -> None:
    (meaning,) = json.loads(explain("commands.emit", "--format", "json").output)["meanings"]
    assert (meaning["kind"], meaning["name"]) == ("key", "commands.*.emit")
    event = next(key for key in meaning["keys"] if key["name"] == "event")
    assert event == {
        "name": "event",
        "takes": "name",
        "doc": "The event.",
        "required": True,
        "available": True,
    }
    (code,) = json.loads(explain("TSK203", "--format", "json").output)["meanings"]
    assert code["wrong"]
    assert code["example"]
