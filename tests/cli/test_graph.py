"""`tusk graph` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from apps import ACCOUNT
from test_tusk import EXAMPLES, tusk

SHOP = EXAMPLES / "shop.tsk"
LATER = '\n[sagas."<b>mailer"]\nstarts_on: "Opened"\nsteps: [{ name: "a", send: "Open" }]\n'


@pytest.mark.parametrize(
    ("format_", "begin"),
    [("mermaid", "flowchart LR"), ("dot", 'digraph "shop" {'), ("svg", "<svg "), ("json", "{")],
)
def test_it_draws_in_every_format(format_: str, begin: str) -> None:
    found = tusk("graph", SHOP, "--format", format_)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(begin)
    assert "OrderPlaced" in found.stdout


def test_it_shows_a_part(tmp_path: Path) -> None:
    """--only cuts by kind and joins over what is left out, --focus by distance."""
    found = json.loads(tusk("graph", SHOP, "--format", "json", "--only", "command,query").stdout)
    assert {node["kind"] for node in found["nodes"]} == {"command", "query"}
    ends = {(edge["source"]["name"], edge["target"]["name"]) for edge in found["edges"]}
    assert ("PlaceOrder", "bestsellers") in ends
    assert ("ShipOrder", "bestsellers") not in ends
    found = json.loads(
        tusk("graph", SHOP, "--format", "json", "--focus", "OrderPlaced", "--depth", "1").stdout
    )
    assert {node["name"] for node in found["nodes"]} == {
        "OrderPlaced",
        "PlaceOrder",
        "Order",
        "orders",
        "sold",
    }


def test_it_writes_a_file_and_never_a_declaration(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT)
    target = tmp_path / "app.svg"
    found = tusk("graph", file, "--format", "svg", "--to", target)
    assert (found.returncode, found.stdout) == (0, "")
    assert target.read_text().startswith("<svg ")
    imported = tmp_path / "other.tsk"
    link = tmp_path / "link"
    link.symlink_to(file)
    for wrong in (file, imported, link):
        assert tusk("graph", file, "--to", wrong).returncode == 2
    assert file.read_text() == ACCOUNT
    found = tusk("graph", file, "--to", tmp_path / "no" / "where.svg")
    assert (found.returncode, "cannot be written" in found.stderr) == (1, True)


def test_it_draws_what_is_not_available_yet(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT + LATER)
    found = tusk("graph", file, "--format", "svg")
    assert found.returncode == 0
    assert "&lt;b&gt;mailer" in found.stdout
    assert "<b>" not in found.stdout
    assert found.stderr == f"note: drawn with 1 thing that is not available yet: tusk check {file}\n"


@pytest.mark.parametrize("more", ["[events.Lost]\nfields: 5\n", LATER.replace('"Open"', '"Opem"'), "]"])
def test_it_draws_nothing_of_a_file_with_other_errors(tmp_path: Path, more: str) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT + more)
    found = tusk("graph", file)
    assert (found.returncode, found.stdout) == (78, "")
    assert "error[TSK" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--only", "comand"], "did you mean `command`?"),
        (["--focus", "OrderPlacd"], "did you mean `OrderPlaced`?"),
        (["--focus", "Zzzzzzzzzzz"], "nothing is called `Zzzzzzzzzzz`"),
        (["--depth", "1"], "--focus"),
        (["--format", "png"], "svg"),
    ],
)
def test_what_it_cannot_draw_is_usage(arguments: list[str], advice: str) -> None:
    found = tusk("graph", SHOP, *arguments)
    assert found.returncode == 2
    assert advice in found.stderr
    assert "Traceback" not in found.stderr
