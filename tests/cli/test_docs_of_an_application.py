"""`tusk docs FILE`: what an application declares is on its pages, and nothing in it acts on them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from apps import ACCOUNT
from command_line import tusk

from tusk_runtime.model.application import Application
from tusk_runtime.running.load import load_or_raise

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tsk"))
KINDS = ("events", "aggregates", "commands", "projections", "queries", "consumers", "types")


class Seen(HTMLParser):
    """The text, the elements, the anchors and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.anchors, self.links, self.tags = "", set[str](), set[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value or "")
            if name == "href":
                self.links.add(value or "")

    def handle_data(self, data: str) -> None:
        """A text."""
        self.text += data


def pages(file: Path, folder: Path, *arguments: str) -> dict[str, str]:
    done = tusk("docs", file, "--to", folder, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return {path.stem: path.read_text() for path in folder.iterdir()}


def declared(application: Application) -> dict[str, list[str]]:
    return {kind: list(getattr(application, kind)) for kind in KINDS if getattr(application, kind)}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_everything_that_is_declared_has_its_place(file: Path, tmp_path: Path) -> None:
    """Every declaration has an anchor on the page of its kind, its fields stand there, and all links lead somewhere."""
    application = load_or_raise(file, {})
    found = {name: Seen(text) for name, text in pages(file, tmp_path / "docs").items()}
    assert set(found) == {"index", *declared(application)}
    for kind, names in declared(application).items():
        assert set(names) <= found[kind].anchors
        assert [name for name in names if name not in found["index"].text] == []
    for kind, records in (
        ("events", [event.fields for event in application.events.values()]),
        ("aggregates", [aggregate.state for aggregate in application.aggregates.values()]),
        ("commands", [command.fields for command in application.commands.values()]),
        ("projections", [projection.columns for projection in application.projections.values()]),
        ("queries", [query.params for query in application.queries.values()]),
    ):
        assert [n for record in records for n in record.fields if n not in found[kind].text] == []
    for name, page in found.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            assert not anchor or anchor in found[target.removesuffix(".html") or name].anchors, link


def test_what_is_told_of_each_kind(tmp_path: Path) -> None:
    """Rules in the order in which they are asked, the machine's ways, what events do: as the file says it."""
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT)
    found = pages(file, tmp_path / "docs", "--format", "markdown")
    assert (
        "| `open` | [`Close`](commands.md#Close) | [`Closed`](events.md#Closed) | `closed` |"
        in found["aggregates"]
    )
    assert (
        "| `new` | [`Open`](commands.md#Open) | [`Opened`](events.md#Opened) | `open` |"
        in found["aggregates"]
    )
    assert (
        "| `open` | [`Deposit`](commands.md#Deposit) | [`Deposited`](events.md#Deposited) | as it was |"
        in found["aggregates"]
    )
    withdraw = found["commands"].partition("## `Withdraw`")[2]
    rules = [
        "{{ meta.user_id != 'mallory' }}",
        "state (409)",
        "{{ command.amount <= state.balance }}",
        "not enough money",
    ]
    places = [withdraw.index(rule.replace("|", "\\|")) for rule in rules]
    assert places == sorted(places)
    assert "`{{ command.amount < 1000 }}`" in withdraw
    assert "| `amount` | `decimal(min=0.01, places=2)` | required |" in withdraw
    assert "| `note` | `string?` | optional |" in found["events"]
    assert "| [`Closed`](events.md#Closed) | delete |" in found["projections"]
    assert (
        "`balance: {{ row.balance + data.amount }}`<br>`moves: {{ row.moves + 1 }}`" in found["projections"]
    )


CONSUMER = """
[consumers.welcome]
description: "Greets."
group: "greeting"
retry: { attempts: 3 }
dead_letter: false
on:
  Opened:
    - { send: "Deposit", with: { amount: 5 }, when: "{{ data.owner != 'mallory' }}" }
    - { log: "opened" }
    - { http: { url: "https://example.com/{{ data.owner }}", form: { owner: "{{ data.owner }}" }, sign_with: "s3cret" } }
  Closed: { log: { level: "error", message: "{{ event.aggregate_id }} is closed" } }
"""


PUBLISHING = """
[event_store]
streaming: "kafka"
[store_config.kafka]
brokers: "kafka-1:9092"
[consumers.shipping]
on: { Opened: { publish: { topic: "shipments", value: { owner: "{{ data.owner }}" } }, when: "{{ data.owner != 'x' }}" } }
"""


def test_what_a_consumer_publishes_is_told(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT + PUBLISHING)
    page = pages(file, tmp_path / "docs", "--format", "markdown")["consumers"]
    row = "| [`Opened`](events.md#Opened) | publish to `shipments` | `owner: {{ data.owner }}` | `when:"
    assert row in page


def test_what_a_consumer_does_is_told(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT + CONSUMER)
    found = pages(file, tmp_path / "docs", "--format", "markdown")
    page = found["consumers"]
    assert "Greets." in page
    assert "kept under `greeting`" in page
    assert "tried 3 times; then it stops." in page
    row = "| [`Opened`](events.md#Opened) | send [`Deposit`](commands.md#Deposit) | `amount: 5` | `when:"
    assert row in page
    assert "| [`Opened`](events.md#Opened) | log | `opened` |" in page
    call = "| http `POST https://example.com/{{ data.owner }}` | `owner: {{ data.owner }}` |"
    assert f"| [`Opened`](events.md#Opened) {call}" in page
    assert "s3cret" not in "".join(found.values())
    assert "`level: error`<br>`message: {{ event.aggregate_id }} is closed`" in page
    assert "Handled by: [`welcome`](consumers.md#welcome)." in found["events"]


ACCEPTING = """
[consumers.desk]
accept:
  - { topic: "desk", when: "{{ message.sum > 0 }}", message: { account: "uuid", amount: "decimal(places=2)" }, send: "Deposit", with: { aggregate_id: "{{ message.account }}" } }
  - { topic: "desk", send: "Close", with: { aggregate_id: "{{ message.account }}" } }
  - { topic: "desk.more", ignore: true }
"""


def test_what_a_consumer_accepts_is_told(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(ACCOUNT + ACCEPTING)
    page = pages(file, tmp_path / "docs", "--format", "markdown")["consumers"]
    assert "What it does" not in page
    row = "| `desk` | `when: {{ message.sum > 0 }}` | send [`Deposit`](commands.md#Deposit) |"
    assert (
        f"{row} `aggregate_id: {{{{ message.account }}}}` | `account: uuid`<br>`amount: decimal(places=2)` |"
        in page
    )
    assert "| send [`Close`](commands.md#Close) | `aggregate_id: {{ message.account }}` | `json` |" in page
    assert "| `desk.more` |  | nothing |  |  |" in page


HOSTILE = """
[runtime]
name: "evil"
description: "<script>alert('r')</script> | **bold** [x](y)"

[events.Happened]
description: "<img src=x onerror=alert(1)> `<b>` ``` \\n\\n# heading"
fields: { text: "enum('<i>', b)" }

[aggregates.Thing]
description: "</p><h1>"
on: { Happened: {} }

[commands.Do]
aggregate: "Thing"
creates: "either"
fields: { text: "enum('<i>', b)", note: "string" }
require: { check: "{{ '<u>|`' != command.note }}", message: "<s>no</s>|" }
emit: "Happened"
"""


def test_nothing_in_a_file_acts_on_a_page(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(HOSTILE)
    ours = {"a", "code", "div", "h2", "h3", "li", "main", "nav", "p", "table", "td", "th", "tr", "ul"}
    for text in pages(file, tmp_path / "html").values():
        assert (
            Seen(text).tags - {"html", "head", "meta", "title", "style", "body", "h1", "thead", "tbody", "br"}
            <= ours
        )
    for text in pages(file, tmp_path / "markdown", "--format", "markdown").values():
        prose = re.sub(r"`[^`\n]+`", "", text)
        assert set(re.findall(r"(?<!\\)<(/?\w+)", prose)) <= {"a", "/a", "br"}
        assert "\n# heading" not in prose
        assert not re.search(r"(?<!\\)\*\*", prose)


def test_secrets_and_variables_are_on_no_page(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    text = HOSTILE.replace("[runtime]", "$hidden: 'v4riable'\n[runtime]")
    text = text.replace('description: "</p><h1>"', "description: @env.secure('KEY')")
    text = text.replace("on: { Happened: {} }", "on:\n  Happened:\n    $inner: 'v4riable'")
    file.write_text(text + "[commands.Other]\naggregate: 'Thing'\nallow: \"@env.secure('RULE')\"\n")
    done = tusk(
        "docs", file, "--to", tmp_path / "docs", KEY="s3cret-key", RULE="{{ meta.user_id == 's3cret-user' }}"
    )
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "docs").iterdir():
        assert "s3cret" not in path.read_text()
        assert "v4riable" not in path.read_text()


def test_a_wrong_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text("[comands]\n")
    done = tusk("docs", file, "--to", tmp_path / "docs")
    assert (done.returncode, "TSK200" in done.stderr) == (78, True)
    assert not (tmp_path / "docs").exists()
    assert tusk("docs", tmp_path / "nothing.tsk", "--to", tmp_path / "docs").returncode == 78


def test_the_version_of_an_event_and_its_older_name(tmp_path: Path) -> None:
    file = tmp_path / "bank.tsk"
    more = 'Opened: { was: "Begun", version: 2, upcast: { 1: {} },'
    file.write_text(ACCOUNT.replace("Opened: {", more, 1))
    told = pages(file, tmp_path / "pages", "--format", "markdown")["events"]
    assert "Version: `2`. Once called: `Begun`." in told
    assert told.count("Version: ") == 1
