"""Encrypted connections to PostgreSQL: whom they trust, and what is told when they do not come about."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support import missing

from tests.cli.command_line import tusk
from tests.conformance.test_event_store import decision
from tests.postgres_server import DEBIAN, PostgresServer, binaries_of, url_of
from tusk_runtime.encryption import Encryption, context_of
from tusk_runtime.errors import StartFailed
from tusk_runtime.model.configuration import Postgres, Settings, Tls
from tusk_runtime.running.backends import store_of
from tusk_runtime.store.postgres import PostgresStore
from tusk_runtime.store.postgres.connecting import Address, make_pool
from tusk_runtime.store.postgres.encryption import KEY

HBA = """\
hostssl all certified 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 trust
"""


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)


def authority(folder: Path, name: str) -> None:
    """A key that signs: `NAME.pem`."""
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-subj", f"/CN={name}")  # fmt: skip


def signed(folder: Path, name: str, subject: str, extra: str, by: str = "ca") -> None:
    """A certificate for somebody, with its key: `NAME.pem`, `NAME.key`."""
    (folder / f"{name}.ext").write_text(extra)
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", subject)  # fmt: skip
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key",
            "-CAcreateserial", "-days", "2", "-out", f"{name}.pem", "-extfile", f"{name}.ext")  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server whose certificate is for localhost, signed by `ca.pem`; who is `certified` needs one, too."""
    if binaries_of("15") is None or shutil.which("openssl") is None:
        url_of("15")  # says so
        missing("NO OPENSSL: encryption is NOT tested here")
    folder = Path(tempfile.mkdtemp(prefix="tusk-tls-"))
    made = PostgresServer(
        DEBIAN, folder, settings=["ssl=on", f"ssl_cert_file={folder}/server.pem",
                                  f"ssl_key_file={folder}/data/server.key", f"ssl_ca_file={folder}/ca.pem"]
    )  # fmt: skip
    made.make()
    authority(folder, "ca")
    authority(folder, "other")
    signed(folder, "server", "/CN=localhost", "subjectAltName=DNS:localhost\n")
    signed(folder, "client", "/CN=certified", "extendedKeyUsage=clientAuth\n")
    signed(folder, "stranger", "/CN=certified", "extendedKeyUsage=clientAuth\n", by="other")
    openssl(folder, "rsa", "-aes256", "-passout", "pass:hunter2", "-in", "client.key", "-out", "locked.key")
    shutil.copy(folder / "server.key", folder / "data" / "server.key")
    (folder / "data" / "server.key").chmod(0o600)
    shutil.chown(folder / "data" / "server.key", (folder / "data").owner(), (folder / "data").group())
    (folder / "data" / "pg_hba.conf").write_text(HBA)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


def url(server: PostgresServer, host: str = "localhost", user: str = "postgres") -> str:
    return f"postgresql://{user}:hunter2@{host}:{server.port}/postgres"


async def opened(dsn: str, encryption: Encryption | None) -> Any:
    """Whether a store that is opened so reads and writes over encrypted connections."""
    store = PostgresStore(dsn, encryption=encryption)
    await store.open()
    try:
        await store.events.append([decision()])
        assert await store.events.head() == 0
        used = await store.read_models.select(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'tusk'", (), timeout=5,
        )  # fmt: skip
    finally:
        await store.close()
    return used[0][0]


async def refused(dsn: str, encryption: Encryption, *parts: str) -> None:
    store = PostgresStore(dsn, encryption=encryption)
    with pytest.raises(StartFailed) as caught:
        await store.open()
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    assert "hunter2" not in str(caught.value)
    await store.close()


@pytest.mark.parametrize(
    ("mode", "host"), [("verify-full", "localhost"), ("verify-ca", "127.0.0.1"), ("require", "127.0.0.1")]
)
async def test_it_is_encrypted(server: PostgresServer, mode: Any, host: str) -> None:
    ca = None if mode == "require" else server.folder / "ca.pem"
    assert await opened(url(server, host), Encryption(mode, ca)) == 1


async def test_an_authority_that_is_not_the_server_s(server: PostgresServer) -> None:
    for mode in ("verify-full", "verify-ca"):
        encryption = Encryption(mode, server.folder / "other.pem")  # type: ignore[arg-type]
        await refused(url(server), encryption, "certificate is not accepted", 'ca: "ca.pem"')


async def test_those_of_a_pool_are_no_exception(server: PostgresServer) -> None:
    address = Address(url(server), context_of(Encryption(ca=server.folder / "other.pem"), KEY))
    pool = await make_pool(address, 1, read_only=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        await pool.acquire()
    await pool.close()


async def test_the_system_does_not_trust_it(server: PostgresServer) -> None:
    await refused(url(server), Encryption(), "certificate is not accepted", 'ca: "ca.pem"')


async def test_another_host(server: PostgresServer) -> None:
    await refused(
        url(server, "127.0.0.1"),
        Encryption(ca=server.folder / "ca.pem"),
        "not valid for '127.0.0.1'",
        "verify-ca",
    )


async def test_who_needs_a_certificate(server: PostgresServer) -> None:
    admin = await asyncpg.connect(url(server))
    await admin.execute("CREATE ROLE certified LOGIN SUPERUSER")
    await admin.close()
    folder, dsn = server.folder, url(server, user="certified")
    ca = folder / "ca.pem"
    assert await opened(dsn, Encryption("verify-full", ca, folder / "client.pem", folder / "client.key")) == 1
    await refused(dsn, Encryption("verify-full", ca), "valid client certificate", "`cert`")
    strange = Encryption("verify-full", ca, folder / "stranger.pem", folder / "stranger.key")
    await refused(dsn, strange, "`cert`", "log of the server")


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ({"ca": "none.pem"}, ("`ca`", "none.pem", "No such file")),
        ({"ca": "."}, ("`ca`", "Is a directory")),
        ({"ca": "ca.key"}, ("`ca`", "holds no certificates")),
        ({"cert": "none.pem"}, ("`cert`", "No such file")),
        ({"cert": "client.pem", "key": "none.key"}, ("`key`", "No such file")),
        ({"cert": "client.pem", "key": "server.key"}, ("belong together",)),
        ({"cert": "client.pem", "key": "locked.key"}, ("without a password",)),
        ({"cert": "client.pem"}, ("belong together",)),
    ],
)
async def test_files_that_cannot_be_used(
    server: PostgresServer, files: dict[str, str], parts: tuple[str, ...]
) -> None:
    paths = {name: server.folder / file for name, file in files.items()}
    await refused(url(server), Encryption("verify-full", **paths), "`tls` of `postgresql`", *parts)


async def test_a_server_that_does_not_encrypt() -> None:
    """That of the wheel was built without."""
    await refused(url_of("18"), Encryption("require"), "does not encrypt", "ssl = on")


async def test_paths_begin_at_the_file(server: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    shutil.copy(server.folder / "ca.pem", tmp_path / "tls")
    where = Postgres(url(server), tls=Tls(ca="tls/ca.pem"))
    store = store_of(Settings("a", "1", "a", "postgresql", postgres=where), tmp_path / "app.tsk")
    await store.open()
    await store.close()


def test_as_its_user_sees_it(server: PostgresServer, tmp_path: Path) -> None:
    file = tmp_path / "app.tsk"
    file.write_text(
        '[events]\nA: {}\n[event_store]\nbackend: "postgresql"\n[store_config.postgresql]\n'
        f'connection_string: "{url(server)}"\ntls: true\n'
    )
    done = tusk("store", "verify", file)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"error: the database localhost:{server.port}/postgres: the server's certificate is"
    )
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    other = tusk("migrate", file, "--connection-string", url(server) + "?sslmode=require")
    assert other.returncode == 2
    assert "both say how the connection is encrypted" in other.stderr
