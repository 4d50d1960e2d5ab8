"""`[kafka_integration]`, `[event_producer]`, `[event_consumer]`: how Kafka is written to and read."""

from __future__ import annotations

from tusk_runtime.model.codes import CONTRADICTION
from tusk_runtime.model.configuration import Kafka
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader

FLAG = "`true` or `false`"
KAFKA_INTEGRATION_KEYS = (
    DESCRIPTION,
    Key(
        "producer",
        "`async` or `sync`",
        "Whether batches of events are sent side by side, or each when the one before it is confirmed; "
        "`async`.",
    ),
    Key(
        "consumer",
        "`consumer_groups` or `standalone`",
        "Whether the processes of an application share what a consumer reads from topics, or each reads all "
        "of it, also what is published again; `consumer_groups`.",
    ),
    Key(
        "streaming",
        "`kafka_streams`",
        "Whether streams are spread over the partitions of a consumer group.",
    ),
)
EVENT_PRODUCER_KEYS = (
    DESCRIPTION,
    Key("async_producer", FLAG, "As `producer` of `[kafka_integration]`: `async`, or `sync`; `true`."),
    Key(
        "batch_publishing",
        FLAG,
        "Whether events are sent many at a time; `false`: a request for each, confirmed before the next. "
        "`true`.",
    ),
    Key(
        "error_handling",
        FLAG,
        "Whether an event that cannot be sent holds up its aggregate only; `false`: nothing is published any "
        "more, and the status says why, until `tusk dlq` settles it. `true`.",
    ),
)
EVENT_CONSUMER_KEYS = (
    DESCRIPTION,
    Key(
        "consumer_groups",
        FLAG,
        "As `consumer` of `[kafka_integration]`: `consumer_groups`, or `standalone`; `true`.",
    ),
    Key(
        "offset_management",
        FLAG,
        "Whether a consumer of topics goes on where it was; `false`: it begins with what comes from now on. "
        "`true`.",
    ),
    Key(
        "error_handling",
        FLAG,
        "The `dead_letter` of consumers that do not say it themselves: `false` stops each at an event that "
        "failed for good; `true`.",
    ),
)


def read(kafka: Kafka | None, whole: Reader, producer: Reader, consumer: Reader) -> tuple[Kafka | None, bool]:
    """The cluster with what the sections say, and the `dead_letter` of consumers that say nothing.

    Notes where two of them contradict each other.
    """
    whole.choice("streaming", "kafka_streams", ["kafka_streams"], ["in_process"])
    pipelined = _agreed(whole, "producer", ("async", "sync"), producer, "async_producer")
    shared = _agreed(whole, "consumer", ("consumer_groups", "standalone"), consumer, "consumer_groups")
    tail = not consumer.flag("offset_management", default=True)
    batching = producer.flag("batch_publishing", default=True)
    halting = not producer.flag("error_handling", default=True)
    dead_letter = consumer.flag("error_handling", default=True)
    if kafka is not None:
        kafka = kafka._replace(
            standalone=not shared, tail=tail, pipelined=pipelined, batching=batching, halting=halting
        )
    return kafka, dead_letter


def _agreed(one: Reader, key: str, words: tuple[str, str], other: Reader, flag: str) -> bool:
    """What a choice of two words and a flag say of the same: the first word, which is usual, is `true`."""
    before = len(one.problems)
    said = one.choice(key, words[0], words)
    true = other.flag(flag, default=True)
    both = key in one and flag in other and len(one.problems) == before
    if both and (said == words[0]) != true:
        one.problems.error(
            CONTRADICTION,
            other.value_span(flag),
            f"`{flag}: {str(true).lower()}` in {other.what} contradicts `{key}: {said}` in {one.what}",
            help=f'write `{key}: "{words[not true]}"` under {one.what}, or leave one of them out',
            related=[(one.value_span(key), "the other one")],
        )
    return said == words[0] and true
