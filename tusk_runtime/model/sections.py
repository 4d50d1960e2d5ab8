"""The sections of a file: which exist, which come later, and which one a misspelled head means."""

from __future__ import annotations

from typing import NamedTuple

from tusk_runtime.language.diagnostics import Problems, nearest
from tusk_runtime.language.document import Entry, MapNode
from tusk_runtime.language.source import Span
from tusk_runtime.model.codes import NOT_YET, UNKNOWN_SECTION
from tusk_runtime.model.reader import LATER_HELP, wrong_type

SECTIONS: dict[str, str] = {
    "types": "Named types.",
    "events": "What can happen.",
    "event_categories": "Categories of events: category → event names.",
    "event_structure": "The parts of every event, and their types.",
    "aggregates": "State, and how events change it.",
    "commands": "What may be asked.",
    "projections": "Tables that follow the log.",
    "queries": "What may be asked of the read models.",
    "consumers": "What is done upon events, behind the log.",
    "tests": "Examples that `tusk test` runs.",
    "runtime": "The application's name and version.",
    "http": "Where the API and the page are served.",
    "email": "The server that e-mails are sent by.",
    "event_types": "Which events the runtime gives of its own accord.",
    "event_store": "Where events are kept.",
    "store_config": "The settings of the store, and of Kafka.",
    "kafka_config": "Which categories are published to Kafka.",
    "kafka_integration": "How events are sent to Kafka, and who reads what.",
    "event_producer": "How events are published, and what becomes of those that cannot be.",
    "event_consumer": "How consumers read topics, and what becomes of what they cannot handle.",
}
"""The sections that this version builds."""

LATER = frozenset({
    "views", "streams", "metrics", "schedules", "sagas", "auth", "features",
    "event_architecture", "architecture_principles", "aggregate_design",
    "event_store_operations", "command_side", "query_side",
    "read_model_projections", "materialized_views", "saga_implementation",
    "event_metrics", "metrics_config", "event_tracing", "tracing_config", "event_processing",
    "processing_config", "caching_strategy", "cache_config", "event_testing", "testing_config",
    "event_debugging", "debug_config",
})  # fmt: skip
"""The sections of the language that later versions build."""

ELSEWHERE = {
    "app": "runtime", "application": "runtime", "service": "runtime", "project": "runtime",
    "server": "http", "web": "http", "api": "http",
    "database": "store_config", "db": "store_config", "storage": "event_store", "store": "event_store",
    "kafka": "kafka_config",
    "models": "aggregates", "entities": "aggregates", "tables": "projections", "read_models": "projections",
    "records": "types", "schemas": "types", "categories": "event_categories",
}  # fmt: skip
"""What the sections are called elsewhere."""


class Section(NamedTuple):
    """The keys of a section, and the place of its name."""

    node: MapNode
    head: Span


def find_sections(root: MapNode, problems: Problems) -> dict[str, Section]:
    """The sections of a document by name; notes those that do not exist.

    A section whose name is misspelled is told once and then read as the one that was meant.
    """
    found: dict[str, Section] = {}
    for entry in root:
        name = entry.key
        if name.startswith("["):
            # A head that is not closed is told already, and what stands under it is still read.
            section, _, rest = name[1:].partition(".")
            if section in SECTIONS and isinstance(entry.node, MapNode):
                inner = {rest: Entry(rest, entry.key_span, entry.node)} if rest else entry.node.entries
                _add(found, section, MapNode(inner, entry.key_span), entry.key_span)
        elif name in LATER:
            problems.error(
                NOT_YET, entry.key_span, f"the section [{name}] is not available yet", help=LATER_HELP
            )
        elif isinstance(entry.node, MapNode):
            meant: str | None = name
            if name not in SECTIONS:
                meant = nearest(name, SECTIONS) or ELSEWHERE.get(name)
                _unknown(entry, meant, problems)
            if meant is not None:
                _add(found, meant, entry.node, entry.key_span)
        elif name in SECTIONS:
            advice = f"write `[{name}]` on a line of its own, and its keys below"
            wrong_type(problems, entry.node, f"`{name}`", f"the section `[{name}]`", advice)
        else:
            problems.error(
                UNKNOWN_SECTION,
                entry.key_span,
                f"`{name}` stands outside of every section",
                help="put it below the head of its section, such as `[runtime]`",
            )
    return found


def _unknown(entry: Entry, meant: str | None, problems: Problems) -> None:
    guess = meant or nearest(entry.key, LATER)
    names = ", ".join(f"[{name}]" for name in SECTIONS)
    problems.error(
        UNKNOWN_SECTION,
        entry.key_span,
        f"unknown section [{entry.key}]",
        help=f"did you mean `[{guess}]`?" if guess else f"the sections are {names}",
    )


def _add(found: dict[str, Section], name: str, node: MapNode, head: Span) -> None:
    before = found.get(name)
    if before is not None:
        node, head = MapNode({**node.entries, **before.node.entries}, before.node.span), before.head
    found[name] = Section(node, head)
