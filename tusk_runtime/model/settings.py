"""The sections of settings: `[runtime]`, `[http]`, `[event_store]`, `[store_config]`, and those of Kafka."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import cast, get_args

from tusk_runtime.language.document import MapNode, ScalarNode
from tusk_runtime.model import kafka, mail, travelling
from tusk_runtime.model.codes import BAD_NAME, BAD_VALUE, MISSING_KEY
from tusk_runtime.model.configuration import Backend, Postgres, Settings
from tusk_runtime.model.context import Building
from tusk_runtime.model.reader import DESCRIPTION, Key, Reader, shape
from tusk_runtime.model.tls import TLS_KEYS, read_tls
from tusk_runtime.types.values import show

RUNTIME_KEYS = (
    DESCRIPTION,
    Key("name", "text", "The application's name; the file's where nothing is said."),
    Key(
        "version",
        "text",
        "The application's version, `meta.version` of its events; `1` where nothing is said.",
    ),
    Key("source", "text", "Where events come from, `meta.source`; the name where nothing is said."),
    Key("timezone", "zone", "The zone of days and hours.", later=True),
    Key("allow_python", "`true` or `false`", "Whether the action `call` may run Python; `false`."),
)
HTTP_KEYS = (
    DESCRIPTION,
    Key("listen", "host:port", "Where the API and the page are served; `127.0.0.1:8080`."),
    Key("body_limit", "size", "The largest body that is read; `1MiB`, at most 64MiB."),
    Key(
        "allow_hosts",
        "names",
        "The hosts that an `http` action may call where an expression decides which; one that is written out "
        "needs no entry.",
    ),
)
EVENT_STORE_KEYS = (
    DESCRIPTION,
    Key(
        "backend",
        "`sqlite`, `postgresql` or `in_memory`",
        "Where events are kept; in memory they end with the process.",
    ),
    Key(
        "streaming",
        "`in_memory` or `kafka`",
        "How events travel: within the application, or to Kafka, too, where each category is a topic; "
        "`in_memory`.",
    ),
    Key("caching", "`none`", "Whether states and recent events are cached."),
)
SQLITE_KEYS = (
    DESCRIPTION,
    Key("path", "path", "The file; `.tusk/NAME.db` beside the `.tsk` where nothing is said."),
)
POSTGRES_KEYS = (
    DESCRIPTION,
    Key(
        "connection_string",
        "text",
        "The address, `postgresql://user:password@host:5432/database`; best from `@env`.",
        required=True,
    ),
    Key(
        "table_name",
        "name",
        "The table of events, after which the store's other tables are called; `tusk_events`.",
    ),
    Key(
        "partitioning",
        "`none` or `by_aggregate`",
        "Whether the table is made of 16 partitions, over which aggregates are spread; `none`. It is decided "
        "where the table is made.",
    ),
    Key("pool_size", "number", "Connections for reading, at most; 10."),
    Key(
        "tls",
        "flag or map",
        "How the connection is encrypted: `true` asks for a certificate that is for this host, from somebody "
        "whom the system trusts; `false` leaves it to the address.",
        keys=TLS_KEYS,
    ),
)
STORE_CONFIG_KEYS = (
    DESCRIPTION,
    Key("sqlite", "map", "The SQLite file.", keys=SQLITE_KEYS),
    Key("postgresql", "map", "The PostgreSQL database.", keys=POSTGRES_KEYS),
    Key("kafka", "map", "The Kafka cluster.", keys=kafka.KAFKA_KEYS),
    Key("redis", "map", "The Redis server.", later=True),
)
LARGEST_BODY = 64 * 1024 * 1024
_LISTEN = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):)?(?P<port>\d{1,5})\Z", re.ASCII)
HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
"""The name of a host, or an address of four numbers."""
PARTITIONS = 16
"""Partitions of a table of events that is partitioned by aggregate."""
_TABLE = re.compile(r"(?!pg_|tusk_)[a-z][a-z0-9_]{0,39}\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,99}\Z")


def _section(b: Building, name: str, keys: tuple[Key, ...]) -> Reader:
    section = b.sections.get(name)
    if section is None:
        return Reader(MapNode({}, b.head), (), f"[{name}]", b.problems, b.head)
    return Reader(section.node, keys, f"[{name}]", b.problems, section.head)


def read(b: Building, file: str) -> Settings:
    """The settings of a file of this name."""
    runtime = _section(b, "runtime", RUNTIME_KEYS)
    name = _name(runtime) or PurePath(file).stem or "app"
    store = _section(b, "event_store", EVENT_STORE_KEYS)
    backend = store.choice("backend", "sqlite", get_args(Backend))
    store.choice("caching", "none", ["none"], ["in_memory", "redis"])
    config = _section(b, "store_config", STORE_CONFIG_KEYS)
    http = _section(b, "http", HTTP_KEYS)
    host, port = _listen(http)
    cluster, dead_letter = travelling.read(
        kafka.read(b, store, config, _section(b, "kafka_config", kafka.KAFKA_CONFIG_KEYS)),
        _section(b, "kafka_integration", travelling.KAFKA_INTEGRATION_KEYS),
        _section(b, "event_producer", travelling.EVENT_PRODUCER_KEYS),
        _section(b, "event_consumer", travelling.EVENT_CONSUMER_KEYS),
    )
    return Settings(
        name=name,
        version=runtime.text("version", "1"),
        source=runtime.text("source") or name,
        backend=cast(Backend, backend),
        path=_path(config),
        postgres=_postgres(config, store, backend),
        kafka=cluster,
        host=host,
        port=port,
        body_limit=http.size("body_limit", 1024 * 1024, LARGEST_BODY),
        allow_hosts=_hosts(http),
        mail=mail.read(b),
        allow_python=runtime.flag("allow_python"),
        dead_letter=dead_letter,
    )


def _path(config: Reader) -> str | None:
    sqlite = config.map("sqlite")
    if sqlite is None:
        return None
    inner = Reader(
        sqlite, SQLITE_KEYS, "`sqlite` of [store_config]", config.problems, config.span_of("sqlite")
    )
    return inner.text("path") or None


def _postgres(config: Reader, store: Reader, backend: str) -> Postgres | None:
    given = config.map("postgresql")
    if given is None:
        if backend == "postgresql" and config.node_of("postgresql") is None:
            store.problems.error(
                MISSING_KEY,
                store.value_span("backend"),
                "`backend: postgresql` does not say where the database is",
                help="write under [store_config]: "
                "`postgresql: { connection_string: \"@env('DATABASE_URL')\" }`",
            )
        return None
    what = "`postgresql` of [store_config]"
    inner = Reader(given, POSTGRES_KEYS, what, config.problems, config.span_of("postgresql"))
    dsn = inner.text("connection_string")
    if dsn and not dsn.startswith(("postgresql://", "postgres://")):
        inner.problems.error(
            BAD_VALUE,
            inner.value_span("connection_string"),
            # The value is not shown: it may hold a password.
            f"`connection_string` of {what} is no address of a PostgreSQL database",
            help="write `postgresql://user:password@host:5432/database`",
        )
    partitioned = inner.choice("partitioning", "none", ["none", "by_aggregate"]) == "by_aggregate"
    return Postgres(
        dsn,
        _table(inner),
        PARTITIONS if partitioned else 0,
        inner.integer("pool_size", 10, 1, 1000),
        read_tls(inner, dsn),
    )


def _table(inner: Reader) -> str | None:
    table = inner.text("table_name")
    if table and not _TABLE.match(table):
        inner.problems.error(
            BAD_NAME,
            inner.value_span("table_name"),
            f"{show(table, 60)} cannot name a table",
            help="use `a` to `z`, digits and `_`, at most 40, with a letter first and not `pg_`",
        )
    return table or None


def _name(runtime: Reader) -> str:
    name = runtime.text("name")
    if name and not _NAME.match(name):
        runtime.problems.error(
            BAD_NAME,
            runtime.value_span("name"),
            f"{show(name, 40)} cannot be the name of an application: files are named after it",
            help="use letters, digits, `_`, `-`, `.` and spaces, at most 100",
        )
        return ""
    return name


def _hosts(http: Reader) -> frozenset[str]:
    found = set()
    for node in http.texts("allow_hosts", "the name of a host, or a list of them"):
        name = str(node.value)
        if HOST.fullmatch(name):
            found.add(name.lower())
            continue
        http.problems.error(
            BAD_VALUE,
            node.span,
            f"`allow_hosts` of [http] is {shape(node)}, which is no name of a host",
            help="write the name alone, without a scheme, a port, a path or `*`: `api.example.com`",
        )
    return frozenset(found)


def _listen(http: Reader) -> tuple[str, int]:
    default = "127.0.0.1", 8080
    node = http.node_of("listen")
    if node is None:
        return default
    value = node.value if isinstance(node, ScalarNode) and not isinstance(node.value, bool) else None
    match = _LISTEN.match(str(value)) if isinstance(value, str | int) else None
    if match is None or int(match["port"]) > 65535:
        http.problems.error(
            BAD_VALUE,
            node.span,
            f"`listen` of [http] is {shape(node)}, which is no address",
            help='write a host and a port: `"127.0.0.1:8080"`',
        )
        return default
    return (match["host"] or default[0]).strip("[]"), int(match["port"])
