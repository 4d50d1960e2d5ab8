"""Messages from outside: each is a command once, or has a reason why it is none."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from apps import ACCOUNT, application

from tusk_runtime.clock import VirtualClock
from tusk_runtime.consumers.accepting import Accepted, Acceptor
from tusk_runtime.consumers.failures import ActionFailed
from tusk_runtime.consumers.reading import cause_of, headers_of
from tusk_runtime.errors import IdReused, Unavailable
from tusk_runtime.events import Caller, StoredEvent, id_text
from tusk_runtime.expressions import META, NOW, Expression, Scope, compile_condition, compile_value
from tusk_runtime.following.messages import Message
from tusk_runtime.language.diagnostics import Problems
from tusk_runtime.language.document import Entry, MapNode, Node, ScalarNode
from tusk_runtime.language.source import Source
from tusk_runtime.model.consuming import Accept, Consumer, Retry
from tusk_runtime.running.backends import memory_store
from tusk_runtime.running.runtime import Runtime
from tusk_runtime.types import JSON, STRING, Field, Record, Type, parse_type

ANN = Caller("ann", (), None)
SPAN = Source("test.tsk", "accept").span(0, 6)
HEADERS = Type("map", item=STRING)
DEPOSIT = {"amount": "{{ message.amount }}"}
AMOUNT = {"account": "string", "amount": "decimal(min=1)", "note": "string?"}


def node(value: Any) -> Node:
    """A value of a file."""
    if isinstance(value, dict):
        return MapNode({key: Entry(key, SPAN, node(each)) for key, each in value.items()}, SPAN)
    text = str(value)
    source = Source("test.tsk", text)
    return ScalarNode(value, source.span(0, len(text)))


def types(fields: dict[str, str]) -> Record:
    """The declared fields of a message."""
    problems = Problems()
    found = {}
    for name, text in fields.items():
        written = parse_type(node(text), {}, problems)  # type: ignore[arg-type]
        assert written is not None, text
        found[name] = Field(name, written.type)
    return Record("message", found)


def rule(
    *,
    topic: str | None = "payments",
    when: str | None = None,
    message: dict[str, str] | None = None,
    send: str | None = "Deposit",
    with_: dict[str, str] | None = None,
    account: str | None = "{{ message.account }}",
    id_: str | None = None,
) -> Accept:
    """A rule of `accept`."""
    record = None if message is None else types(message)
    front = JSON if record is None else Type("record", record=record)
    others = {"headers": HEADERS, "key": STRING.or_null(), "topic": STRING, "timestamp": NOW, "now": NOW}
    problems = Problems()

    def compiled(value: Any) -> Expression | None:
        scope = Scope({"message": front, **others, "meta": META})
        return None if value is None else compile_value(node(value), scope, problems)

    condition = None
    if when is not None:
        condition = compile_condition(node(when), Scope({"message": JSON, **others, "meta": META}), problems)
    fields = compiled(DEPOSIT if with_ is None else with_) if send is not None else None
    target = compiled(account) if send is not None else None
    found = Accept(topic, condition, record, send, fields, target, compiled(id_), SPAN)
    assert not list(problems), [str(problem) for problem in problems]
    return found


def consumer(*rules: Accept, on_refused: Any = "dead_letter") -> Consumer:
    """A consumer that takes messages."""
    return Consumer(
        "Payments", "payments", {}, 1, 100, 30.0, Retry(), True, on_refused, False, ("payments",), rules, "", "",
        SPAN,
    )  # fmt: skip


def message(value: Any, offset: int = 0, **changes: Any) -> Message:
    """A message of the topic `payments`; `headers` are texts."""
    headers = tuple((name, text.encode()) for name, text in changes.pop("headers", {}).items())
    content = value if isinstance(value, bytes | None) else orjson.dumps(value)
    return Message("payments", 0, offset, b"k", content, 1_000, headers)._replace(**changes)


class Stage:
    """A runtime with an open account `a`."""

    def __init__(self) -> None:
        self.application = application(ACCOUNT)
        self.runtime = Runtime(self.application, memory_store(), VirtualClock(1_000_000))

    def acceptor(self, *rules: Accept, most: int = 1_000_000, on_refused: Any = "dead_letter") -> Acceptor:
        bus = self.runtime._bus
        return Acceptor(consumer(*rules, on_refused=on_refused), bus.execute, most)

    async def events(self) -> list[StoredEvent]:
        """All but the first."""
        return list(await self.runtime._store.events.read(1, 1000))

    async def amounts(self) -> list[str]:
        return [orjson.loads(event.data)["amount"] for event in await self.events()]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.runtime.start()
    await stage.runtime.execute("Open", {"owner": "ann"}, aggregate_id="a", caller=ANN)
    yield stage
    await stage.runtime.stop()


async def failure(acceptor: Acceptor, of: Message, again: int = 0) -> ActionFailed:
    """How a message fails."""
    with pytest.raises(ActionFailed) as caught:
        await acceptor.accept(of, again)
    return caught.value


async def test_a_message_is_a_command(stage: Stage) -> None:
    """In the name of the consumer, with what it belongs to; unknown fields are passed over."""
    acceptor = stage.acceptor(rule(message=AMOUNT))
    correlation = "0b9d1f6e-0000-4000-8000-000000000001"
    content = {"account": "a", "amount": "12.5", "more": [1]}
    accepted = await acceptor.accept(message(content, headers={"correlation_id": correlation}))
    assert isinstance(accepted, Accepted)
    (event,) = await stage.events()
    assert (accepted.command, accepted.command_id) == ("Deposit", event.command_id)
    assert accepted.answer[0].position == event.position
    assert (event.type, event.aggregate_id, orjson.loads(event.data)["amount"]) == ("Deposited", "a", "12.50")
    assert id_text(event.correlation_id) == correlation
    assert orjson.loads(event.metadata)["user_id"] == "consumer Payments"


async def test_everything_of_a_message_is_seen(stage: Stage) -> None:
    """Headers, key, topic, its time twice, and who asks; ids that are made repeat with the message."""
    note = "{{ headers['h'] }} {{ key ?? '' }} {{ topic }} {{ timestamp }} {{ now }} {{ meta.user_id ?? '' }} {{ uuid() }}"
    acceptor = stage.acceptor(rule(with_={"amount": "1", "note": note}))
    first = message({"account": "a"}, headers={"h": "x"}, timestamp=86_400_000)
    await acceptor.accept(first)
    await acceptor.accept(first)
    await acceptor.accept(first._replace(offset=1, headers=(("h", b"y"), ("h", b"\xffz")), key=b"\xfe"))
    one, two = [orjson.loads(event.data)["note"].rpartition(" ") for event in await stage.events()]
    assert one[0] == "x k payments 1970-01-02T00:00:00Z 1970-01-02T00:00:00Z consumer Payments"
    assert two[0].startswith(r"\xffz \xfe payments")
    assert one[2] != two[2]


# ---- which rule ------------------------------------------------------------------------------------


async def test_the_first_rule_that_fits_takes_it(stage: Stage) -> None:
    """By topic and `when` over the message as it came; a key that is not there does not fit."""
    acceptor = stage.acceptor(
        rule(topic="orders", with_={"amount": "1"}),
        rule(when="{{ message.kind == 'two' }}", with_={"amount": "2"}),
        rule(when="{{ message.kind == 'noise' }}", send=None),
        rule(when="{{ message.deep.kind == 'three' }}", message=AMOUNT, with_={"amount": "3"}),
        rule(topic=None, with_={"amount": "4"}),
        rule(with_={"amount": "5"}),
    )
    for number, (kind, topic) in enumerate(
        [("two", "payments"), ("two", "orders"), ("noise", "payments"), ("x", "payments"), ("x", "others")]
    ):
        accepted = await acceptor.accept(message({"account": "a", "kind": kind}, number, topic=topic))
        assert (accepted is None) == (kind == "noise")
    await acceptor.accept(message({"account": "a", "amount": 9, "deep": {"kind": "three"}}, 10))
    assert await stage.amounts() == ["2.00", "1.00", "4.00", "4.00", "3.00"]


async def test_nothing_is_a_message_too(stage: Stage) -> None:
    """A tombstone is null, in which no key is."""
    acceptor = stage.acceptor(
        rule(when="{{ message.kind == 'x' }}"), rule(when="{{ message == null }}", send=None)
    )
    assert await acceptor.accept(message(None)) is None


UNFIT: dict[str, tuple[Any, str]] = {
    "bad bytes": (b'{"account": "\xff"}', "the value of a message of topic `payments` is no UTF-8: the byte 0xff"),
    "bad JSON": (b"{", "the value of a message of topic `payments` is no JSON"),
    "empty": (b"", "is empty: write `null` where there is nothing"),
    "depth": (b"[" * 10_000 + b"]" * 10_000, "nests deeper than 64 levels"),
    "5 MB": (b'"' + b"x" * 5_000_000 + b'"', "is 5000002 bytes long; 1000000 are taken"),
    "NaN": (b'{"account": "a", "amount": NaN}', "holds NaN, which JSON has not"),
    "huge integer": (b'{"amount": 99999999999999999999}', "holds an integer of more than 64 bits"),
    "doubled key": (b'{"account": "a", "account": "b"}', "holds the key 'account' twice in one object"),
    "half a character": (rb'{"account": "\ud800"}', "holds half of a surrogate pair"),
    "null": (None, "a message of topic `payments` does not fit: must be an object with the fields of message, not null"),
    "a text": ("hello", "a message of topic `payments` does not fit: must be an object"),
    "missing key": ({"account": "a"}, "a message of topic `payments` does not fit: `amount` is required"),
    "wrong type": ({"account": "a", "amount": "x"}, "`amount` must be a decimal number, not 'x'"),
    "constraint": ({"account": "a", "amount": 0}, "`amount`"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNFIT)
async def test_poison_has_a_reason(stage: Stage, what: str) -> None:
    """Of its own, for good, and no refusal: trying again would not help."""
    value, reason = UNFIT[what]
    found = await failure(stage.acceptor(rule(message=AMOUNT)), message(value))
    assert reason in found.told["message"]
    assert len(found.told["message"]) < 250
    assert (found.action, found.refused, found.technical) == (0, False, False)
    assert await stage.events() == []


async def test_every_field_that_does_not_fit_is_told(stage: Stage) -> None:
    """With its name."""
    found = await failure(stage.acceptor(rule(message=AMOUNT)), message({"note": 1}))
    assert [error["field"] for error in found.told["errors"]] == ["account", "amount", "note"]


async def test_personal_data_is_not_told(stage: Stage) -> None:
    """Neither what is marked, nor anything of a message whose fields nobody declared."""
    declared = rule(message={"account": "email pii", "amount": "decimal"})
    found = await failure(stage.acceptor(declared), message({"account": "ann@x", "amount": 1}))
    assert "`account` must" in found.told["message"]
    assert "ann" not in str(found.told)
    bare = rule(with_={"amount": "{{ decimal(message.amount) }}"})
    found = await failure(stage.acceptor(bare), message({"account": "a", "amount": "ann@x.example"}))
    assert "test.tsk:1" in found.told["place"]
    assert "ann" not in str(found.told)
    when = rule(when="{{ message.amount > 5 }}")
    found = await failure(stage.acceptor(when), message({"account": "a", "amount": "ann@x.example"}))
    assert "ann" not in str(found.told)
    assert not found.refused


async def test_values_of_declared_fields_are_told(stage: Stage) -> None:
    """Where an expression fails over them."""
    divided = rule(message={"account": "string", "n": "integer"}, with_={"amount": "{{ 1 / message.n }}"})
    found = await failure(stage.acceptor(divided), message({"account": "a", "n": 0}))
    assert found.told["message"] == "division by zero"
    assert found.told["values"] == {"message.n": "0"}


async def test_what_no_rule_is_for_is_told(stage: Stage) -> None:
    """With what to write."""
    acceptor = stage.acceptor(rule(when="{{ message.kind == 'x' }}"))
    found = await failure(acceptor, message({}, topic="orders"))
    assert found.told["message"] == (
        'no rule of `accept` is for topic `orders`: write one with `topic: "orders"`'
    )
    found = await failure(acceptor, message({}))
    assert "`when` of no rule for topic `payments` fits the message" in found.told["message"]


async def test_a_time_that_is_none(stage: Stage) -> None:
    """Microseconds where milliseconds belong lie beyond the year 9999; Kafka's own -1 is no harm."""
    acceptor = stage.acceptor(rule())
    found = await failure(acceptor, message({"account": "a", "amount": 1}, timestamp=1_700_000_000_000_000))
    assert "has the time 1700000000000000, which is none" in found.told["message"]
    await acceptor.accept(message({"account": "a", "amount": 1}, timestamp=-1))
    assert await stage.amounts() == ["1.00"]


# ---- once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["message-id", "ce_id", "ce-id"])
async def test_each_message_takes_effect_once(stage: Stage, header: str) -> None:
    """By its id wherever it stands; without one by where it stands, and when it was written."""
    acceptor = stage.acceptor(rule())
    content = {"account": "a", "amount": 1}
    for offset in range(3):
        await acceptor.accept(message(content, offset, headers={header: "m1"}, timestamp=offset))
    assert len(await stage.events()) == 1
    for _ in range(3):
        await acceptor.accept(message(content, 7))
    assert len(await stage.events()) == 2
    await acceptor.accept(message(content, 8))
    await acceptor.accept(message(content, 8, partition=1))
    await acceptor.accept(message(content, 8, topic="payments", timestamp=5))  # a topic that was made anew
    await acceptor.accept(message(content, 9, headers={header: "m2"}))
    await acceptor.accept(message(content, 9, headers={header: ""}))
    assert len(await stage.events()) == 7


async def test_all_come_three_times(stage: Stage) -> None:
    """At once, and in any order: none takes effect twice."""
    acceptor = stage.acceptor(rule())
    found = [message({"account": "a", "amount": 1}, offset) for offset in range(100)] * 3
    random.Random(7).shuffle(found)
    accepted = await asyncio.gather(*(acceptor.accept(each) for each in found))
    assert len(await stage.events()) == 100
    assert len({each.command_id for each in accepted if each is not None}) == 100


async def test_the_id_of_a_rule_wins(stage: Stage) -> None:
    """Over headers; a text or a number; other topics have ids of their own."""
    acceptor = stage.acceptor(rule(topic=None, id_="{{ message.number }}"))
    for number, header in [(1, "a"), (1, "b"), (2, "a"), ("1", "c")]:
        await acceptor.accept(
            message({"account": "a", "amount": 1, "number": number}, headers={"message-id": header})
        )
    assert len(await stage.events()) == 2
    await acceptor.accept(message({"account": "a", "amount": 1, "number": 1}, topic="orders"))
    assert len(await stage.events()) == 3


async def test_an_id_that_comes_with_something_else(stage: Stage) -> None:
    """Is never silence, also where refusals are ignored, and also when asked for again."""
    acceptor = stage.acceptor(rule(), on_refused="ignore")
    await acceptor.accept(message({"account": "a", "amount": 1}, headers={"message-id": "m"}))
    for again in range(3):
        other = message({"account": "a", "amount": 2}, headers={"message-id": "m"})
        found = await failure(acceptor, other, again)
        assert isinstance(found.error, IdReused)
        assert "a message of the same id came before" in found.told["message"]
    assert await stage.amounts() == ["1.00"]


# ---- refusals and failures -------------------------------------------------------------------------


async def test_a_refusal_is_the_commands_own(stage: Stage) -> None:
    """Asked for again it is decided anew, with the fields of today."""
    refused = message({"account": "a", "amount": 10})
    acceptor = stage.acceptor(rule(send="Withdraw"))
    for again in (0, 0, 1):
        found = await failure(acceptor, refused, again)
        assert (found.told["message"], found.told["kind"]) == ("not enough money", "rule-broken")
        assert found.refused
    await stage.runtime.execute("Deposit", {"amount": "10"}, aggregate_id="a", caller=ANN)
    await failure(acceptor, refused, 1)
    await acceptor.accept(refused, 2)
    await acceptor.accept(refused, 2)
    assert await stage.amounts() == ["10.00", "10.00"]


async def test_an_edit_lets_a_refused_message_through(stage: Stage) -> None:
    """What was refused changed nothing: other fields under its next id are no repetition."""
    refused = message({"account": "a", "amount": 10})
    await failure(stage.acceptor(rule(send="Withdraw")), refused)
    edited = stage.acceptor(rule(with_={"amount": "5"}))
    await edited.accept(refused, 1)
    await edited.accept(refused, 2)
    assert await stage.amounts() == ["5.00"]


async def test_refusals_can_be_ignored(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Then there is a line in the log of the process."""
    acceptor = stage.acceptor(rule(send="Withdraw"), on_refused="ignore")
    with caplog.at_level(logging.INFO, "tusk.consumers"):
        assert await acceptor.accept(message({"account": "a", "amount": 10})) is None
    assert "`Withdraw` was refused: not enough money" in caplog.text


async def test_what_nobody_knows_passes_through(stage: Stage) -> None:
    """No dead letter for a store that is away."""
    acceptor = stage.acceptor(rule())
    await stage.runtime._bus.stop()
    with pytest.raises(Unavailable):
        await acceptor.accept(message({"account": "a", "amount": 1}))


# ---- headers ---------------------------------------------------------------------------------------


def test_the_last_header_of_a_name_wins() -> None:
    """And bytes that are no text are told as what they are."""
    found = headers_of(message({})._replace(headers=(("a", b"1"), ("b", b"\xff"), ("a", "é".encode()))))
    assert found == {"a": "é", "b": r"\xff"}


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"correlation_id": "0B9D1F6E-0000-4000-8000-000000000001"}, "0b9d1f6e000040008000000000000001"),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"correlation_id": "order 12", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"traceparent": f"ff-{TRACE}-b7ad6b7169203331-01"}, None),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, None),
        ({"traceparent": f"00-{TRACE}"}, None),
        ({"correlation_id": ""}, None),
        ({}, None),
    ],
)
def test_what_a_message_belongs_to(headers: dict[str, str], expected: str | None) -> None:
    """A well-formed id, or nothing."""
    found = cause_of(headers).correlation_id
    assert (found.hex() if found else None) == expected
