"""What a declared consumer becomes: its defaults, its actions, where a command goes, and its definition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import model_golden
import pytest

from tusk_runtime.model.consuming import Consumer, Email, Http, Log, Retry, Send

BANK = """
[events]
Opened: { fields: { owner: "string", note: "string?" } }
Deposited: { fields: { amount: "decimal(places=2)" } }
Closed: {}
Written: { fields: { to: "uuid" } }

[event_categories]
loose: ["Strange"]

[aggregates.Account]
on: { Opened: {}, Deposited: {}, Closed: {} }

[aggregates.Letter]
on: { Written: {}, Closed: {} }

[commands]
Open: { aggregate: "Account", creates: true, fields: { owner: "string", note: "string?" }, emit: "Opened" }
Deposit: { aggregate: "Account", fields: { amount: "decimal(places=2)" }, emit: "Deposited" }
Close: { aggregate: "Account", emit: "Closed", internal: true }
Write: { aggregate: "Letter", creates: "either", fields: { to: "uuid", owner: "string = 'x'" }, emit: "Written" }
Post: { aggregate: "Letter", id: "to", creates: "either", fields: { to: "uuid" }, emit: "Written" }
Tear: { aggregate: "Letter", emit: "Closed" }
"""
SOMEBODY = "11111111-1111-4111-8111-111111111111"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = {"event_id": SOMEBODY, "aggregate_id": SOMEBODY}
META: Mapping[str, Any] = {"user_id": None, "roles": ["clerk", "boss"]}


def consumer(text: str, more: str = "") -> Consumer:
    """The one consumer `c` of the bank, with these lines."""
    return model_golden.built(f"{BANK}{more}\n[consumers.c]\n{text}\n").consumers["c"]


def action(text: str, event: str = "Opened", more: str = "") -> Send | Log:
    """The only action upon an event."""
    (found,) = consumer(f"on: {{ {event}: {text} }}", more).on[event]
    return found


def send(text: str, event: str = "Opened", more: str = "") -> Send:
    """The same, and it is a command that is sent."""
    found = action(text, event, more)
    assert isinstance(found, Send)
    return found


def test_what_is_not_said_has_its_default() -> None:
    found = consumer('on: { Closed: { log: "x" } }')
    assert found[:2] == ("c", "c")
    assert found[3:9] == (8, 500, 30.0, Retry(5, 1.0, "exponential", 60.0, True), True, "dead_letter")
    assert found.description == ""


def test_what_is_said_is_taken() -> None:
    found = consumer(
        'on: { Closed: { log: "x" } }\ngroup: "g"\nconcurrency: 1\nbatch_size: 2\ntimeout: 1m30s\n'
        'retry: { attempts: 1, delay: "250ms", backoff: fixed, max_delay: "2s", jitter: false }\n'
        'dead_letter: false\non_refused: "ignore"\ndescription: "What for."'
    )
    assert found[:2] == ("c", "g")
    assert found[3:9] == (1, 2, 90.0, Retry(1, 0.25, "fixed", 2.0, False), False, "ignore")
    assert found.description == "What for."


def test_the_longest_wait_is_never_shorter_than_the_first() -> None:
    found = consumer('on: { Closed: { log: "x" } }\nretry: { delay: "5m" }')
    assert found.retry == Retry(delay=300.0, max_delay=300.0)


def test_a_command_gets_what_with_names_and_what_the_event_has() -> None:
    found = send('{ send: "Open", with: { note: "{{ event.aggregate_id }}" } }')
    assert found.fields({"owner": "ann", "note": "no"}, EVENT, NOW, META) == {
        "owner": "ann",
        "note": SOMEBODY,
    }
    found = send('{ send: "Write", with: { to: "{{ uuid() }}" } }', "Closed")
    given = [found.fields({}, EVENT, NOW, META, identity=bytes([n]) * 16)["to"] for n in (1, 1, 2)]
    assert given[0] == given[1] != given[2]
    assert set(found.fields({}, EVENT, NOW, META, identity=bytes(16))) == {"to"}


def test_an_action_is_repeated_for_each_element() -> None:
    found = send(
        '{ send: "Deposit", for_each: "{{ meta.roles }}", as: "role", when: "{{ loop.index > 1 }}", '
        'with: { amount: "{{ length(role) }}", aggregate_id: "{{ event.aggregate_id }}" } }'
    )
    outer = ({"owner": "ann", "note": None}, EVENT, NOW, META)
    assert found.for_each is not None
    assert found.when is not None
    assert found.target is not None
    assert found.for_each(*outer) == ["clerk", "boss"]
    inner = (*outer, "boss", {"index": 2})
    assert found.when(*inner) is True
    assert found.when(*outer, "clerk", {"index": 1}) is False
    assert found.fields(*inner) == {"amount": Decimal(4)}
    assert found.target(*inner) == SOMEBODY


def test_a_line_has_a_level() -> None:
    short, long = action('{ log: "x {{ data.owner }}" }'), action('{ log: { level: "error", message: "x" } }')
    assert isinstance(short, Log)
    assert isinstance(long, Log)
    assert (short.level, long.level) == ("info", "error")
    assert short.message({"owner": "ann", "note": None}, EVENT, NOW, META) == "x ann"


@pytest.mark.parametrize(
    ("event", "text", "same"),
    [
        ("Opened", '{ send: "Close" }', True),
        ("Opened", '{ send: "Close", with: { aggregate_id: "{{ event.aggregate_id }}" } }', False),
        ("Written", '{ send: "Tear" }', True),
        ("Written", '{ send: "Post" }', False),
        ("Opened", '{ send: "Write", with: { to: "{{ uuid() }}" } }', False),
        ("Closed", '{ send: "Write", with: { to: "{{ uuid() }}" } }', False),
        ("Written", '{ send: "Write" }', True),
        ("Strange", '{ send: "Write", with: { to: "{{ uuid() }}" } }', False),
    ],
    ids=[
        "of the type",
        "given",
        "another type",
        "by its id",
        "new",
        "of two types",
        "also creates",
        "unknown",
    ],
)
def test_a_command_goes_to_the_aggregate_of_the_event_only_where_it_is_of_that_type(
    event: str, text: str, same: bool
) -> None:
    found = send(text, event)
    assert found.same is same
    assert (found.target is not None) is ("aggregate_id" in text)


def test_an_event_that_nothing_emits_is_of_the_aggregate_that_applies_it() -> None:
    more = "[events.Seen]\n[aggregates.Account.on]\nSeen: {}\n"
    assert send('{ send: "Close" }', "Seen", more).same


def test_the_actions_of_an_event_stand_in_their_order() -> None:
    found = consumer('on: { Opened: [{ log: "a" }, { send: "Close" }, { log: "b" }] }').on["Opened"]
    assert [type(one).__name__ for one in found] == ["Log", "Send", "Log"]


ON = 'on: { Opened: { send: "Deposit", with: { amount: 5 } } }'


@pytest.mark.parametrize("text", [f'description: "other"\n{ON}', f"# {ON}\n{ON}", ON.replace(": 5", ":   5")])
def test_the_definition_stays_where_nothing_changes(text: str) -> None:
    assert consumer(text).definition == consumer(ON).definition


@pytest.mark.parametrize(
    ("text", "before", "behind"),
    [
        (ON.replace("5", "6"), "", ""),
        (f'{ON}\ngroup: "g"', "", ""),
        (f"{ON}\nretry: {{ attempts: 2 }}", "", ""),
        (ON, 'owner: "string", note: "string?" } }', 'owner: "string(max=9)", note: "string?" } }'),
        (ON, 'fields: { amount: "decimal(places=2)" }, emit', 'fields: { amount: "decimal" }, emit'),
        (ON, "[aggregates.Account]", '[aggregates.Account]\nid: "string"'),
    ],
    ids=["action", "group", "retry", "event", "command", "id"],
)
def test_the_definition_changes_with_all_that_decides(text: str, before: str, behind: str) -> None:
    assert before in BANK
    changed = model_golden.built(f"{BANK.replace(before, behind, 1)}[consumers.c]\n{text}\n").consumers["c"]
    assert changed.definition != consumer(ON).definition


def test_the_definition_changes_with_the_target() -> None:
    """As soon as another type emits the event, too, the command no longer goes to the event's aggregate."""
    text = 'on: { Written: { send: "Write" } }'
    more = "[events.Seen]\n[aggregates.Account.on]\nSeen: {}\nWritten: {}\n"
    more += '[commands.See]\naggregate: "Account"\nfields: { to: "uuid" }\nemit: "Seen"\n'
    one, other = (
        consumer(text, more),
        consumer(text, more.replace('emit: "Seen"', 'emit: ["Seen", "Written"]')),
    )
    assert one.definition != other.definition


def test_the_definition_changes_with_what_is_reached() -> None:
    """The hosts that may be called, and the server of e-mails, stand elsewhere in the file."""
    call = 'on: { Opened: { http: { url: "https://{{ data.owner }}/" } } }'
    hosts = ('[http]\nallow_hosts: ["a.example.com"]\n', '[http]\nallow_hosts: ["b.example.com"]\n')
    assert consumer(call, hosts[0]).definition != consumer(call, hosts[1]).definition
    mail = 'on: { Opened: { email: { to: "a@example.com", subject: "x", text: "x" } } }'
    server = '[email]\nsmtp: "smtp.example.com:25"\nfrom: "b@example.com"\nuser: "u"\npassword: "one"\n'
    other = server.replace("one", "two")
    assert consumer(mail, server).definition != consumer(mail, other).definition
    (found,) = consumer(mail, server).on["Opened"]
    assert isinstance(found, Email)
    assert "one" not in repr(found.server)


def test_secrets_of_a_call_are_known() -> None:
    """Longest first, so that none shows a part of another; what the names of keys tell counts, too."""
    (found,) = consumer(
        """on: { Opened: { http: { url: "https://u:pw@example.com/", json: { api_key: "abc", n: 1 }, """
        """sign_with: "k", headers: { Authorization: "Bearer longest", X-A: "@env.secure('NONE', 'hidden')" } } } }"""
    ).on["Opened"]
    assert isinstance(found, Http)
    assert found.secrets == ("Bearer longest", "longest", "Bearer", "hidden", "abc", "pw", "k")
    assert "longest" not in repr(found)
