"""What the sections of settings say, once they are read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from tusk_runtime.language.secrets import MASK

Backend = Literal["sqlite", "postgresql", "in_memory"]
"""Where events are kept."""

TlsMode = Literal["verify-full", "verify-ca", "require"]


class Tls(NamedTuple):
    """An encrypted connection. The others are paths: who may sign, None for those that the system trusts; and
    what shows who we are."""

    mode: TlsMode = "verify-full"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Postgres(NamedTuple):
    """A PostgreSQL database. `table` is what the table of events is called, None for the usual name;
    `partitions` is over how many it is spread, 0 for none; without `tls` the address says whether it is
    encrypted."""

    dsn: str
    table: str | None = None
    partitions: int = 0
    pool_size: int = 10
    tls: Tls | None = None


SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
"""How a password is shown to a broker."""


class Sasl(NamedTuple):
    """Who the application is for the brokers of Kafka."""

    mechanism: SaslMechanism
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Sasl(mechanism={self.mechanism!r}, username={self.username!r}, password={MASK!r})"


class Kafka(NamedTuple):
    """A Kafka cluster.

    `brokers` are addresses, `host:port`; `topics` is category → topic, of those that are published.
    `retention` is in seconds; None there and as `replication_factor` is what the brokers say.
    `max_record_size` is in bytes. Without `tls` the connections are not encrypted, without `sasl` the brokers
    are not told who the application is. With `standalone` every process reads all topics, with `tail` only
    what comes while it runs. Without `pipelined` each batch that is published is confirmed before the next is
    sent, without `batching` it is one record. With `halting` nothing is published behind an event that cannot
    be, until somebody settles that.
    """

    brokers: tuple[str, ...]
    topics: Mapping[str, str] = MappingProxyType({})
    retention: float | None = None
    partitions: int = 12
    replication_factor: int | None = None
    max_record_size: int = 1024 * 1024
    tls: Tls | None = None
    sasl: Sasl | None = None
    standalone: bool = False
    tail: bool = False
    pipelined: bool = True
    batching: bool = True
    halting: bool = False


MailTls = Literal["starttls", "ssl", "none"]
"""How a connection to a server of e-mails is encrypted: after a greeting, from its beginning, or not."""


class Mail(NamedTuple):
    """A server that e-mails are given to. `sender` is whom they come from; without `user` nobody signs in."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls: MailTls = "starttls"

    def __repr__(self) -> str:
        return f"Mail(host={self.host!r}, port={self.port!r}, user={self.user!r}, password={MASK!r})"


class Settings(NamedTuple):
    """What the sections of settings say. `path` is that of the SQLite file, `body_limit` is in bytes; without
    `kafka` nothing is published. `allow_hosts` are the hosts, in small letters, that an expression may choose
    for a call; without `mail` there are no e-mails. `allow_python` lets actions run Python.
    `dead_letter` is that of consumers which say nothing themselves."""

    name: str
    version: str
    source: str
    backend: Backend = "sqlite"
    path: str | None = None
    postgres: Postgres | None = None
    kafka: Kafka | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    body_limit: int = 1024 * 1024
    allow_hosts: frozenset[str] = frozenset()
    mail: Mail | None = None
    allow_python: bool = False
    dead_letter: bool = True
