"""What consumers are, once they are read and checked.

The expressions and templates of an action take their values in one order: `data`, `event`, `now`, `meta`,
the answers of the calls before it that have a name, beside a `for_each` also the element and `loop`, and at
last `identity`, the 16 bytes out of which `uuid()` makes ids.
`data` is that of the declared version of the event; where the event is not declared, the JSON that is stored.
`for_each` itself takes them without the element and `loop`, all others with them, `when` and `target` too.

The expressions of a rule of `accept` take `message`, `headers`, `key`, `topic`, `timestamp`, `now`, `meta`,
and at last `identity`. `message` is a record where the rule declares its fields, else JSON; for `when` it is
always the JSON as it came: what it does not find there raises a Missing (`Expression.function`), or an
ExpressionFailed that is `missing`. `headers` is a map of texts, `key` a text or null, `timestamp` and `now`
are the message's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tusk_runtime.expressions import Expression
from tusk_runtime.language.source import Span
from tusk_runtime.model.configuration import Mail
from tusk_runtime.templates import Template
from tusk_runtime.types import Record

Backoff = Literal["fixed", "linear", "exponential"]
Level = Literal["debug", "info", "warning", "error"]


class Retry(NamedTuple):
    """How often a technical failure is tried again, and after how many seconds.

    `attempts` counts the first one, too. `jitter` spreads each delay over its second half, so that those who
    failed together do not come back together.
    """

    attempts: int = 5
    delay: float = 1.0
    backoff: Backoff = "exponential"
    max_delay: float = 60.0
    jitter: bool = True


class Send(NamedTuple):
    """The action that sends a command.

    `fields` gives the command's fields as a dict of run-time values; what `with` does not name is filled in
    from the event's data, and fields that are not in it take the command's defaults. The aggregate is the one
    whose id `target` gives, as a value of the id's type, else, with `same`, that of the event, else the
    command finds or makes its own.

    `same` follows from the commands that are declared: they alone emit the event, and all are of the type of
    `command`. An event that is stored already may be of another type: see to it before sending.
    """

    command: str
    fields: Expression
    target: Expression | None
    same: bool
    when: Expression | None
    for_each: Expression | None
    span: Span


class Log(NamedTuple):
    """The action that writes a line to the log of the process."""

    level: Level
    message: Expression
    when: Expression | None
    for_each: Expression | None
    span: Span


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
BodyKind = Literal["json", "form", "body"]


class Body(NamedTuple):
    """What a call carries: any JSON, a map of texts as of a form, or a text as it is."""

    kind: BodyKind
    value: Expression


class Http(NamedTuple):
    """The action that calls an address.

    `url` gives a text, whose host must be one of `hosts`, in small letters. `headers` gives a map of texts.
    `address` is the URL as it is written, which tells the actions of a list apart. `timeout` is in seconds.
    With `sign_with` the body is signed by it. `secrets` are hidden wherever something is told of the call;
    `personal` says that it carries personal data. `answer` is the name under which later actions of the list
    see what it was answered: `{ status, json, headers }`, or null if `when` left it out.
    """

    method: Method
    url: Expression
    address: str
    hosts: frozenset[str]
    headers: Expression | None
    body: Body | None
    timeout: float
    sign_with: str | None
    secrets: tuple[str, ...]
    personal: bool
    answer: str
    when: Expression | None
    for_each: Expression | None
    span: Span

    def __repr__(self) -> str:
        return f"Http(method={self.method!r}, hosts={sorted(self.hosts)!r}, span={self.span!r})"


class Email(NamedTuple):
    """The action that sends an e-mail by a server. `to` gives a list of addresses. It has a `text`, an `html`
    or both."""

    server: Mail
    to: Expression
    subject: Expression
    text: Template | None
    html: Template | None
    when: Expression | None
    for_each: Expression | None
    span: Span


class Python(NamedTuple):
    """The action that calls a function of Python, `module:function`. `arguments` gives a map.

    `personal` says that there is personal data among them.
    """

    function: str
    arguments: Expression
    personal: bool
    when: Expression | None
    for_each: Expression | None
    span: Span


class Publish(NamedTuple):
    """The action that writes a message to a topic of Kafka, as the topic is called there.

    `key` gives a text, `value` any JSON, `headers` a map of texts. A message may arrive more than once: each
    time with the same header `message-id`. `personal` says that it carries personal data.
    """

    topic: str
    key: Expression | None
    value: Expression
    headers: Expression | None
    personal: bool
    when: Expression | None
    for_each: Expression | None
    span: Span


Action = Send | Log | Http | Email | Python | Publish


class Accept(NamedTuple):
    """A rule for messages from outside: the first whose `topic` and `when` fit takes a message.

    `topic` is as it is called in Kafka; None: any that the consumer reads. A message in which `when` does not
    find a key does not fit. `message` are the fields that are read out of it, None: it is JSON as it is.
    `command` is the one that is sent, None: the message is ignored. `fields` and `target` are as in `Send`.
    `id` gives what tells messages apart, as a text, an integer or a uuid; without it the header `message-id`
    or `ce_id` does, else where the message stands.
    """

    topic: str | None
    when: Expression | None
    message: Record | None
    command: str | None
    fields: Expression | None
    target: Expression | None
    id: Expression | None
    span: Span


class Consumer(NamedTuple):
    """A declared consumer: what it does upon each event, one action after the other.

    `group` is the name under which its progress is kept. `on` holds the actions by event; these come from the
    store's log, or with `on_topics` from the topics of Kafka that they are published to. `topics` are all
    that are read, as they are called in Kafka, or without Kafka those whose messages `accept` takes; `accept`
    says what is done with what others write there. Events of `concurrency` aggregates are handled at a time,
    those of one in their order. `timeout` is in seconds, for all actions of one event. Without `dead_letter`
    the consumer stops at an event that fails for good; otherwise that event's aggregate is parked.
    `definition` is the hash of all that decides what it does.
    """

    name: str
    group: str
    on: Mapping[str, tuple[Action, ...]]
    concurrency: int
    batch_size: int
    timeout: float
    retry: Retry
    dead_letter: bool
    on_refused: Literal["dead_letter", "ignore"]
    on_topics: bool
    topics: tuple[str, ...]
    accept: tuple[Accept, ...]
    definition: str
    description: str
    span: Span

    @property
    def accepted_topics(self) -> tuple[str, ...]:
        """The topics that a rule of `accept` is for."""
        return tuple(
            topic for topic in self.topics if any(rule.topic in (None, topic) for rule in self.accept)
        )
