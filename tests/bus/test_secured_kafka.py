"""Publishing to brokers that encrypt and ask who is there, and what is said when they do not agree with the file."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka_server import KafkaServer, private_kafka, require_kafka
from stage import SECONDS, Stage, read
from support import missing

from tests.store.test_encryption import authority, signed

LISTENERS = {
    "SECURED": "SASL_SSL", "PASSWORD": "SASL_PLAINTEXT", "ENCRYPTED": "SSL", "MUTUAL": "SSL", "WRONG": "SSL",
    "FAR": "PLAINTEXT",
}  # fmt: skip
PASSWORD = "hunter2-of-alice"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def login(mechanism: str = "SCRAM-SHA-512", name: str = "alice", password: str = PASSWORD) -> str:
    return f', sasl: {{ mechanism: "{mechanism}", username: "{name}", password: "{password}" }}'


class Secured(NamedTuple):
    """A broker, and where its certificates are: `ca` and `other` sign, the others are signed."""

    server: KafkaServer
    folder: Path

    def address(self, listener: str, host: str = "localhost") -> str:
        return f"{host}:{self.server.ports[listener]}"

    def tls(self, ca: str = "ca", cert: str = "", mode: str = "verify-full") -> str:
        shown = f', cert: "{self.folder}/{cert}.pem", key: "{self.folder}/{cert}.key"' if cert else ""
        return f', tls: {{ mode: "{mode}", ca: "{self.folder}/{ca}.pem" {shown} }}'

    def shows(self, name: str, *, wrong: bool = False) -> None:
        """From the next start on, the broker shows this certificate: on the listener that is wrong, or on others."""
        both = (self.folder / f"{name}.key").read_text() + (self.folder / f"{name}.pem").read_text()
        (self.folder / ("wrong.pem" if wrong else "shown.pem")).write_text(both)

    def trusts(self, *names: str) -> None:
        """From the next start on, the broker accepts certificates that these signed."""
        text = "".join((self.folder / f"{name}.pem").read_text() for name in names)
        (self.folder / "trusted.pem").write_text(text)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One broker for all, since each takes seconds to start. Its open listener is for what looks on."""
    require_kafka()
    if shutil.which("openssl") is None:
        missing("NO OPENSSL: encryption is NOT tested here")
    folder = tmp_path_factory.mktemp("certificates")
    authority(folder, "ca")
    authority(folder, "other")
    signed(folder, "server", "/CN=localhost", "subjectAltName=DNS:localhost\n")
    signed(folder, "impostor", "/CN=localhost", "subjectAltName=DNS:localhost\n", by="other")
    signed(folder, "client", "/CN=tusk", "extendedKeyUsage=clientAuth\n")
    signed(folder, "stranger", "/CN=tusk", "extendedKeyUsage=clientAuth\n", by="other")
    settings = [
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={folder}/shown.pem",
        "ssl.truststore.type=PEM",
        f"ssl.truststore.location={folder}/trusted.pem",
        "listener.name.mutual.ssl.client.auth=required",
        "listener.name.wrong.ssl.client.auth=required",
        "listener.name.wrong.ssl.keystore.type=PEM",
        f"listener.name.wrong.ssl.keystore.location={folder}/wrong.pem",
        f"sasl.enabled.mechanisms={','.join(MECHANISMS)}",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found=true",
        "super.users=User:ANONYMOUS",
    ]
    kafka = "org.apache.kafka.common.security"
    for name in "secured", "password":
        settings += [
            f"listener.name.{name}.plain.sasl.jaas.config={kafka}.plain.PlainLoginModule required "
            f'user_alice="{PASSWORD}";',
            *(
                f"listener.name.{name}.{mechanism.lower()}.sasl.jaas.config={kafka}.scram.ScramLoginModule required;"
                for mechanism in MECHANISMS[1:]
            ),
        ]
    users = [f"{mechanism}=[name=alice,password={PASSWORD}]" for mechanism in MECHANISMS[1:]]
    made = Secured(None, folder)  # type: ignore[arg-type]
    made.shows("server")
    made.shows("impostor", wrong=True)
    made.trusts("ca")
    with private_kafka(*settings, listeners=LISTENERS, users=users, hosts={"FAR": "far.invalid"}) as server:
        yield made._replace(server=server)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tusk_runtime.bus.kafka.CALL_SECONDS", 3.0)
    monkeypatch.setattr("tusk_runtime.bus.kafka.SEND_SECONDS", 4.0)
    monkeypatch.setattr("tusk_runtime.bus.reasons.PROBE_SECONDS", 1.0)


@pytest.fixture(autouse=True)
def reading(stage: Stage) -> None:
    """A consumer reads over the same connections that events leave by."""
    stage.consumers = f"""
[consumers.Fee]
group: "{stage.prefix}-fee"
on: {{ Deposited: {{ send: "Withdraw", with: {{ amount: "0.10" }} }} }}
"""


async def arrived(stage: Stage, server: KafkaServer, count: int) -> None:
    """All that is stored is on the topic, and came back to the consumer."""
    await stage.published()
    await asyncio.to_thread(read, server.address, f"{stage.prefix}.money", count, quiet=0.0)
    async with asyncio.timeout(SECONDS):
        while len(await stage.events("Withdrawn")) < count:
            await asyncio.sleep(0.05)


async def told(stage: Stage, caplog: pytest.LogCaptureFixture, *parts: str) -> None:
    """What is wrong is in the status and in the log, without any password; commands go on meanwhile."""
    await stage.open("a")
    await stage.deposit("a")
    part = await stage.until(lambda part: all(each in part.error for each in parts))
    for each in parts:
        assert each in part.error
    assert part.lag == 2
    logged = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert any(part.error in each for each in logged), logged
    assert not any(each.exc_info for each in caplog.records)
    assert "hunter2" not in part.error + "".join(logged)


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_password_over_an_encrypted_connection(
    stage: Stage, secured: Secured, mechanism: str
) -> None:
    await stage.start(secured.address("SECURED"), login(mechanism) + secured.tls())
    await stage.open("a")
    await stage.deposit("a", 2)
    await arrived(stage, secured.server, 2)


async def test_a_password_alone(stage: Stage, secured: Secured) -> None:
    await stage.start(secured.address("PASSWORD"), login())
    await stage.open("a")
    await stage.deposit("a", 2)
    await arrived(stage, secured.server, 2)


@pytest.mark.parametrize(("listener", "cert"), [("ENCRYPTED", ""), ("MUTUAL", "client")])
async def test_encrypted_connections(stage: Stage, secured: Secured, listener: str, cert: str) -> None:
    await stage.start(secured.address(listener), secured.tls(cert=cert))
    await stage.open("a")
    await stage.deposit("a", 2)
    await arrived(stage, secured.server, 2)


@pytest.mark.parametrize(("mode", "host"), [("verify-ca", "127.0.0.1"), ("verify-full", "localhost")])
async def test_who_is_checked(stage: Stage, secured: Secured, mode: str, host: str) -> None:
    await stage.start(secured.address("ENCRYPTED", host), secured.tls(mode=mode))
    await stage.open("a")
    await stage.deposit("a")
    await arrived(stage, secured.server, 1)


@pytest.mark.parametrize(
    ("mechanism", "name", "password"),
    [*((each, "alice", "hunter2-wrong") for each in MECHANISMS), ("SCRAM-SHA-256", "bob", PASSWORD)],
)
async def test_a_user_whom_the_broker_does_not_accept(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture, mechanism: str, name: str, password: str
) -> None:
    """Until the file is corrected: then all that waited leaves."""
    at = secured.address("SECURED")
    await stage.start(at, login(mechanism, name, password) + secured.tls())
    await told(stage, caplog, f"Kafka at {at}: it does not accept `username`", f"`{name}`", mechanism)
    await stage.again(at, login(mechanism) + secured.tls())
    await arrived(stage, secured.server, 1)


@pytest.mark.parametrize(
    ("listener", "host", "wrong", "right", "parts"),
    [
        ("ENCRYPTED", "localhost", {"ca": "other"}, {}, ("certificate is not accepted", '`ca: "ca.pem"`')),
        ("ENCRYPTED", "127.0.0.1", {}, {"mode": "verify-ca"}, ("not valid for '127.0.0.1'", "verify-ca")),
        (
            "MUTUAL",
            "localhost",
            {},
            {"cert": "client"},
            ("refuses the certificate", "may ask for one", "`cert`"),
        ),
        (
            "MUTUAL",
            "localhost",
            {"cert": "stranger"},
            {"cert": "client"},
            ("refuses the certificate", "`cert`"),
        ),
        ("ENCRYPTED", "localhost", None, {}, ("it encrypts on this port", "`tls`")),
        ("PASSWORD", "localhost", {}, None, ("does not encrypt on this port",)),
    ],
    ids=["authority", "host", "no certificate", "strange certificate", "not encrypted", "encrypted"],
)
async def test_certificates_that_are_not_accepted(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture,
    listener: str, host: str, wrong: dict[str, str] | None, right: dict[str, str] | None, parts: tuple[str, ...],
) -> None:  # fmt: skip
    """By the application or by the broker, until the file is corrected."""
    at, sasl = secured.address(listener, host), login() if listener == "PASSWORD" else ""
    await stage.start(at, sasl + (secured.tls(**wrong) if wrong is not None else ""))
    await told(stage, caplog, at, *parts)
    await stage.again(at, sasl + (secured.tls(**right) if right is not None else ""))
    await arrived(stage, secured.server, 1)


@pytest.mark.parametrize(
    ("listener", "wrong", "right", "parts"),
    [
        ("PASSWORD", "", login(), ("asks who the application is", "`sasl`")),
        ("", login(), "", ("asks nobody", "remove `sasl`")),
    ],
    ids=["asked", "not asked"],
)
async def test_a_port_that_asks_or_does_not(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture,
    listener: str, wrong: str, right: str, parts: tuple[str, ...],
) -> None:  # fmt: skip
    at = secured.address(listener) if listener else secured.server.address
    await stage.start(at, wrong)
    await told(stage, caplog, at, *parts)
    await stage.again(at, right)
    await arrived(stage, secured.server, 1)


async def test_a_password_that_the_broker_learns(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    """The user is made at the broker, and nothing else is done: what waited leaves."""
    await stage.start(secured.address("SECURED"), login(name="carol") + secured.tls())
    await told(stage, caplog, "does not accept", "`carol`")
    admin = AdminClient({"bootstrap.servers": secured.server.address})
    credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    made = UserScramCredentialUpsertion("carol", credentials, PASSWORD.encode())
    await asyncio.to_thread(admin.alter_user_scram_credentials([made])["carol"].result, 10)
    await arrived(stage, secured.server, 1)


@pytest.mark.parametrize("denied", [AclOperation.WRITE, AclOperation.ALL], ids=["write", "anything"])
async def test_a_topic_that_the_user_may_not_write_to(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture, denied: AclOperation
) -> None:
    """Nothing is parked for it: no event is at fault. What waited leaves when the right is there."""
    admin = AdminClient({"bootstrap.servers": secured.server.address})
    where = ResourceType.TOPIC, stage.prefix, ResourcePatternType.PREFIXED, "User:alice", "*"
    allowed = AclBinding(*where, AclOperation.ALL, AclPermissionType.ALLOW)
    refused = AclBinding(*where, denied, AclPermissionType.DENY)
    made = await asyncio.to_thread(admin.create_acls, [allowed, refused])
    for each in made.values():
        await asyncio.to_thread(each.result, 10)
    await stage.start(secured.address("SECURED"), login() + secured.tls())
    await told(stage, caplog, "the user `alice` may not write to `" + stage.prefix, "the rights Write and")
    assert not (await stage.relay()).detail
    those = AclBindingFilter(*where, denied, AclPermissionType.DENY)
    await asyncio.to_thread(admin.delete_acls([those])[those].result, 10)
    await arrived(stage, secured.server, 1)


async def test_a_broker_that_says_a_wrong_address(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    """It answers, and sends its clients to where nobody is: so are most first steps with Kafka."""
    await stage.start(secured.address("FAR"))
    await told(stage, caplog, "a broker says that it is at far.invalid:", "the host is not found")
    await stage.again(secured.server.address)
    await arrived(stage, secured.server, 1)


async def test_a_broker_that_gets_the_right_certificate(
    stage: Stage, secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    """It showed one of somebody else, and did not know who signed that of the application."""
    at = secured.address("WRONG")
    await stage.start(at, secured.tls(cert="stranger"))
    await told(stage, caplog, "certificate is not accepted")
    secured.shows("server", wrong=True)
    secured.trusts("ca", "other")
    secured.server.kill()
    secured.server.start()
    await arrived(stage, secured.server, 1)
