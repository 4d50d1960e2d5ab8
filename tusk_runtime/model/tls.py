"""`tls` of a database or a cluster: how the connection is encrypted, and whom it trusts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args
from urllib.parse import parse_qs, urlsplit

from tusk_runtime.language.document import MapNode, ScalarNode
from tusk_runtime.model.codes import BAD_VALUE, MISSING_KEY
from tusk_runtime.model.configuration import Tls, TlsMode
from tusk_runtime.model.reader import Key, Reader, wrong_type

TLS_KEYS = (
    Key(
        "mode",
        "`verify-full`, `verify-ca` or `require`",
        "What is checked: who signed the server's certificate and that it is for this host; only who signed "
        "it; or nothing, so that the connection is encrypted, perhaps to somebody else. `verify-full`.",
    ),
    Key("ca", "path", "The certificates of those who may sign, as PEM; the system's where nothing is said."),
    Key("cert", "path", "The certificate by which the application shows who it is, as PEM."),
    Key("key", "path", "The key of `cert`, without a password; it may stand in that file, too."),
)


def read_tls(inner: Reader, dsn: str = "") -> Tls | None:
    """What the key `tls` says; None where it asks for nothing. `dsn` is an address that may contradict it."""
    node = inner.node_of("tls")
    if node is None:
        return None
    if isinstance(node, MapNode):
        tls = _map(Reader(node, TLS_KEYS, f"`tls` of {inner.what}", inner.problems, inner.span_of("tls")))
    elif isinstance(node, ScalarNode) and node.value in (True, False, "true", "false"):
        if not inner.flag("tls"):
            return None
        tls = Tls()
    else:
        advice = 'write `tls: true`, or a map such as `tls: { mode: "verify-full", ca: "ca.pem" }`'
        wrong_type(inner.problems, node, f"`tls` of {inner.what}", "`true`, `false` or a map", advice)
        return None
    if dsn and (problem := contradicts(dsn)):
        message, advice = problem
        inner.problems.error(BAD_VALUE, inner.span_of("tls"), message, help=advice)
    return tls


def _map(inner: Reader) -> Tls:
    mode = cast(TlsMode, inner.choice("mode", "verify-full", get_args(TlsMode)))
    files = [inner.text(name) or None for name in ("ca", "cert", "key")]
    tls = Tls(mode, *files)
    if tls.ca and mode == "require":
        inner.problems.error(
            BAD_VALUE,
            inner.value_span("ca"),
            "`ca` is not looked at with `mode: require`",
            help='write `mode: "verify-full"` or `mode: "verify-ca"`, or remove `ca`',
        )
    if tls.key and not tls.cert:
        inner.problems.error(
            MISSING_KEY,
            inner.span_of("key"),
            f"`key` of {inner.what} stands without its certificate",
            help='write `cert: "client.pem"` as well, or remove `key`',
        )
    return tls


def contradicts(dsn: str) -> tuple[str, str] | None:
    """Why `tls` cannot hold for an address, and what to write; None if it can."""
    try:
        url = urlsplit(dsn)
        query = parse_qs(url.query, keep_blank_values=True)
        hosts = [*url.netloc.rpartition("@")[2].split(","), *query.get("host", [])]
    except ValueError:
        return None  # told as an address that cannot be read
    if said := sorted(name for name in query if name.startswith("ssl") or name == "direct_tls"):
        return (
            f"`tls` and `{said[0]}` in the connection string both say how the connection is encrypted",
            f"remove {_list(said)} from the connection string, or `tls`",
        )
    if not any(hosts) or any(host.startswith(("/", "%2F", "%2f")) for host in hosts):
        return (
            "`tls` needs a host in the connection string: a socket of this machine is not encrypted",
            "write `postgresql://user:password@host:5432/database`, or remove `tls`",
        )
    return None


def _list(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
