"""`kafka` of `[store_config]` and `[kafka_config]`: where events are published, and as which topics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast, get_args

from tusk_runtime.language.diagnostics import known_here
from tusk_runtime.language.document import MapNode, Node, ScalarNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE, MISSING_KEY, UNDECLARED_CATEGORY
from tusk_runtime.model.configuration import Kafka, Sasl, SaslMechanism
from tusk_runtime.model.context import Building
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader
from tusk_runtime.model.tls import TLS_KEYS, read_tls
from tusk_runtime.types.values import show

BROKERS = "host:port, or a list of them"
SASL_KEYS = (
    DESCRIPTION,
    Key(
        "mechanism",
        "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`",
        "How the password is shown to the brokers. `PLAIN` sends it as it is, so use that with `tls` only.",
        required=True,
    ),
    Key("username", "text", "The user's name.", required=True),
    Key("password", "text", "The user's password; best from `@env`.", required=True),
)
KAFKA_KEYS = (
    DESCRIPTION,
    Key(
        "brokers",
        BROKERS,
        'The brokers that are asked first, such as `"kafka-1:9092, kafka-2:9092"`. With `streaming: kafka` '
        "they stand here or in `[kafka_config]`.",
    ),
    Key("topic_prefix", "name", "What topics begin with: `prefix.category`; the category alone without it."),
    Key("retention", "duration", "How long topics keep events; what the brokers say where nothing is said."),
    Key("partitions", "number", "The partitions of a topic that is made, from 1 to 10000; 12."),
    Key(
        "replication_factor",
        "number",
        "On how many brokers a topic that is made is kept; what the brokers say where nothing is said.",
    ),
    Key("max_record_size", "size", "The largest record that is published; `1MiB`, at most 64MiB."),
    Key(
        "tls",
        "flag or map",
        "How the connections are encrypted: `true` asks for certificates that are for these hosts, from "
        "somebody whom the system trusts; `false`, or nothing, leaves them open.",
        keys=TLS_KEYS,
    ),
    Key("sasl", "map", "Who the application is, where the brokers ask for it.", keys=SASL_KEYS),
)
KAFKA_CONFIG_KEYS = (
    DESCRIPTION,
    Key("brokers", BROKERS, "The brokers, where `kafka` of `[store_config]` does not name them."),
    Key("topics", "names", "The categories that are published; all where nothing is said."),
    Key(
        "consumer_groups", "names", "The groups of consumers that are expected: one that is missing is told."
    ),
)

LARGEST_RECORD = 64 * 1024 * 1024
LONGEST_TOPIC = 249
"""Characters in the name of a topic, at most."""
TOPIC_ADVICE = f"use letters, digits, `.`, `_` and `-`, at most {LONGEST_TOPIC}"
_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}\Z")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})\Z", re.ASCII)


def is_topic(name: str) -> bool:
    """Whether Kafka accepts the name for a topic."""
    return _NAME.match(name) is not None


def read(b: Building, store: Reader, config: Reader, own: Reader) -> Kafka | None:
    """The cluster by `[event_store]`, `[store_config]` and `[kafka_config]`; None if nothing is published."""
    streaming = store.choice("streaming", "in_memory", ["in_memory", "kafka"]) == "kafka"
    given = config.map("kafka")
    unread = given is None and "kafka" in config
    node = given if given is not None else MapNode({}, config.head)
    where = Reader(node, KAFKA_KEYS, "`kafka` of [store_config]", b.problems, config.span_of("kafka"))
    brokers = _brokers(where, own)
    if streaming and "brokers" not in where and "brokers" not in own and not unread:
        b.problems.error(
            MISSING_KEY,
            store.value_span("streaming"),
            "`streaming: kafka` does not say where the brokers are",
            help="write under [store_config]: `kafka: { brokers: \"@env('KAFKA_BROKERS')\" }`",
        )
    own.texts("consumer_groups")
    published, prefix = _published(b, own), _prefix(where)
    kafka = Kafka(
        brokers,
        retention=where.duration("retention", 0, "1s", "36500d") or None,
        partitions=where.integer("partitions", 12, 1, 10_000),
        replication_factor=where.integer("replication_factor", 0, 1, 32_767) or None,
        max_record_size=where.size("max_record_size", 1024 * 1024, LARGEST_RECORD),
        tls=read_tls(where),
        sasl=_sasl(where),
    )
    return kafka._replace(topics=_topics(where, prefix, published)) if streaming else None


def _brokers(where: Reader, own: Reader) -> tuple[str, ...]:
    """The brokers that the two places name: a client begins with any of them."""
    return tuple(dict.fromkeys(_addresses(where) + _addresses(own)))


def _addresses(reader: Reader) -> tuple[str, ...]:
    """The addresses in `brokers`, each once; none where they are absent or wrong."""
    node, before = reader.node_of("brokers"), len(reader.problems)
    if node is None:
        return ()
    items = reader.texts("brokers", 'a host and a port, `"kafka-1:9092"`, or a list of these')
    found = [address.strip() for item in items for address in _parts(reader, item)]
    if not found and len(reader.problems) == before:
        _no_broker(reader, node, "is empty")
    return tuple(dict.fromkeys(found)) if len(reader.problems) == before else ()


def _parts(reader: Reader, item: ScalarNode) -> list[str]:
    """The addresses of one text, which commas part."""
    parts = str(item.value).split(",")
    for part in parts:
        match = _ADDRESS.match(part.strip())
        if match is None or not 1 <= int(match["port"]) <= 65_535:
            # In front of an `@` there may be a password.
            named = "a text" if item.secret or "@" in part else show(part.strip(), 60)
            _no_broker(reader, item, f"names {named}, which is no address")
            break
    return parts


def _no_broker(reader: Reader, node: Node, problem: str) -> None:
    reader.problems.error(
        BAD_VALUE,
        node.span,
        f"`brokers` of {reader.what} {problem}",
        help='write a host and a port: `"kafka-1:9092"`; several with commas between, or as a list',
    )


def _sasl(where: Reader) -> Sasl | None:
    given = where.map("sasl")
    if given is None:
        return None
    inner = Reader(given, SASL_KEYS, f"`sasl` of {where.what}", where.problems, where.span_of("sasl"))
    mechanism = inner.choice("mechanism", "SCRAM-SHA-512", get_args(SaslMechanism))
    return Sasl(cast(SaslMechanism, mechanism), inner.text("username"), inner.text("password"))


def _prefix(where: Reader) -> str:
    prefix = where.text("topic_prefix")
    if not prefix or is_topic(prefix):
        return prefix
    where.problems.error(
        BAD_NAME,
        where.value_span("topic_prefix"),
        f"{show(prefix, 60)} cannot begin the name of a topic",
        help=TOPIC_ADVICE,
    )
    return ""


def _published(b: Building, own: Reader) -> dict[str, Span]:
    """The categories that are published, and where each is declared."""
    declared = categories(b)
    if "topics" not in own:
        return declared
    found = {}
    for item in own.texts("topics", "a category, or a list of categories"):
        name: str | None = str(item.value)
        if name not in declared:
            name = _unknown_category(b, str(item.value), declared, item.span)
        if name is not None:
            found[name] = declared[name]
    return found


def categories(b: Building) -> dict[str, Span]:
    """All categories, and where each is declared."""
    found: dict[str, Span] = {}
    section = b.sections.get("event_categories")
    for entry in section.node if section is not None else ():
        if entry.key != DESCRIPTION.name:
            found[entry.key] = entry.key_span
    events = b.sections.get("events")
    for event in b.events.values():
        if event.category is not None and event.category not in found:
            node = events.node.get(event.name) if events is not None else None
            said = node.get("category") if isinstance(node, MapNode) else None
            found[event.category] = said.span if said is not None else event.span
    return found


def _unknown_category(b: Building, name: str, declared: Mapping[str, Span], span: Span) -> str | None:
    """Note a category that is not declared; gives the one that was meant."""
    guess = b.guess(name, declared)
    advice = f"declare it in [event_categories]: `{name}: [EVENT]`"
    if guess is not None:
        advice = f"did you mean `{guess}`?"
    elif listed := known_here(list(declared)):
        advice = f"{listed}; or {advice}"
    b.problems.error(UNDECLARED_CATEGORY, span, f"no category `{name}` is declared", help=advice)
    return guess


def _topics(where: Reader, prefix: str, published: Mapping[str, Span]) -> dict[str, str]:
    """Category → topic. Notes the names that Kafka does not accept, alone or beside each other."""
    found: dict[str, str] = {}
    alike: dict[str, str] = {}
    for category, span in published.items():
        other = alike.setdefault(category.replace(".", "_"), category)
        if not is_topic(category):
            where.problems.error(
                BAD_NAME,
                span,
                f"the category {show(category, 60)} is published, and cannot be the name of a topic",
                help=f"{TOPIC_ADVICE}; or name those that are published: `topics` in [kafka_config]",
            )
        elif other != category:
            where.problems.error(
                BAD_NAME,
                span,
                f"the categories `{other}` and `{category}` cannot both be topics: Kafka takes `.` and `_` "
                "for the same",
                help="give one of them another name",
                related=[(published[other], "the other one")],
            )
        else:
            found[category] = f"{prefix}.{category}" if prefix else category
    longest = max(found, key=len, default="")
    if prefix and longest and len(found[longest]) > LONGEST_TOPIC:
        where.problems.error(
            BAD_NAME,
            where.value_span("topic_prefix"),
            f"with `topic_prefix` the topic of the category {show(longest, 60)} has {len(found[longest])} "
            "characters",
            help=f"a topic has at most {LONGEST_TOPIC}: shorten the prefix, or the category",
        )
    return found
