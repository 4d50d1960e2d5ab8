"""Private Kafka brokers for tests: real ones, of one node each, on fixed ports of the loopback, ended with the run."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from support import ROOT, dying_with_us, missing

LIBRARIES = ROOT / ".cache" / "kafka" / "libs"
"""Kafka's jars, as tools/install-test-parts leaves them."""

START_SECONDS = 60.0
STOP_SECONDS = 30.0

JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
       "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")  # fmt: skip

# One node that is broker and controller. What Kafka keeps for itself has one replica and few partitions, groups
# need not wait for more members, and a member may ask to be missed after a second. Killed and started again, a broker
# waits until its former self is missed, which is nine seconds where nothing else is said.
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{advertised}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}
log.dirs={data}
num.partitions=1
default.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=250
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=4
"""


class KafkaServer:
    """A broker with a folder of its own, which keeps its ports and its data over every restart.

    Tests that ask for more than open connections have further listeners, by name and protocol, each on a port of
    its own: `ports`. These are advertised at localhost, or as `hosts` says. `settings` are read again at each
    start, `users` are what `--add-scram` takes.
    """

    def __init__(
        self,
        libraries: Path,
        folder: Path,
        *,
        settings: Sequence[str] = (),
        listeners: Mapping[str, str] = MappingProxyType({}),
        users: Sequence[str] = (),
        hosts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.libraries = libraries
        self.folder = folder
        self.port = 0
        self.ports: dict[str, int] = {}
        self.settings = settings
        self._listeners = listeners
        self._users = users
        self._hosts = hosts
        self._given = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What clients take as `bootstrap_servers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The broker's process."""
        assert self._process is not None
        return self._process.pid

    def make(self) -> None:
        """Choose its ports, and make the folder of its data. Raises RuntimeError with what Kafka printed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, controller, *further = _free_ports(2 + len(self._listeners))
        self.ports = dict(zip(self._listeners, further, strict=True))
        self._given = SETTINGS.format(
            port=self.port, controller=controller, data=self.folder / "data",
            listeners="".join(f",{name}://localhost:{port}" for name, port in self.ports.items()),
            advertised="".join(
                f",{name}://{self._hosts.get(name, 'localhost')}:{port}" for name, port in self.ports.items()
            ),
            protocols="".join(f",{name}:{protocol}" for name, protocol in self._listeners.items()),
        )  # fmt: skip
        self.format()

    def format(self) -> None:
        """Make the folder of its data, after whatever was there. Raises RuntimeError with what Kafka printed."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self._configure()
        users = [part for user in self._users for part in ("--add-scram", user)]
        with self._log.open("ab") as log:
            made = subprocess.run(
                self._java("kafka.tools.StorageTool", "format", "--standalone", "-t", _cluster_id(),
                           "-c", str(self._properties), *users),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"Kafka's folder cannot be made:\n{self.printed()}")

    def start(self) -> None:
        """Start it, and wait until it takes part. Raises RuntimeError with the end of its log."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Start it without waiting. It ends with the thread that does this, so no worker of an event loop may."""
        self._configure()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*dying_with_us(), *self._java("kafka.Kafka", str(self._properties))],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it takes part, in any thread. Raises RuntimeError with the end of its log."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka does not start:\n{self.printed()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in good order, frozen or not."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """End it at once, with SIGKILL, frozen or not."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Let it stand still, with SIGSTOP: connections stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def answers(self) -> bool:
        """Whether it names at least one broker: an open port is not enough, for a fenced broker refuses topics."""
        with contextlib.suppress(OSError, struct.error):
            return _brokers(self.port) > 0
        return False

    def printed(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def _configure(self) -> None:
        self._properties.write_text(self._given + "\n".join(self.settings) + "\n")

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _java(self, program: str, *arguments: str) -> list[str]:
        return ["java", *JVM, "-cp", f"{self.libraries}/*", program, *arguments]


def _brokers(port: int) -> int:
    """How many brokers an answer of the kind Metadata, version 0, names. Raises OSError and struct.error."""
    request = struct.pack(">hhih5si", 3, 0, 1, 5, b"tests", 0)
    with (
        socket.create_connection(("127.0.0.1", port), 0.5) as connection,
        connection.makefile("rb") as answer,
    ):
        connection.settimeout(1)
        connection.sendall(struct.pack(">i", len(request)) + request)
        _, _, brokers = struct.unpack(">iii", answer.read(12))
        return int(brokers)


def _cluster_id() -> str:
    return "t" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _free_ports(count: int) -> list[int]:
    """Ports below those that the system gives to connections.

    A client that keeps asking for a broker that is down could otherwise get the broker's own port, be connected
    with itself, and keep the broker from coming back.
    """
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 1_000):
        if len(found) == count:
            break
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def require_kafka() -> None:
    """Without Kafka's jars or Java, a test fails in CI, and is skipped elsewhere, loudly."""
    if list(LIBRARIES.glob("kafka_2.13-*.jar")) and shutil.which("java"):
        return
    missing(
        "NO KAFKA: nothing is tested on a broker here (make test installs Java and Kafka; tests that disturb "
        "no broker take one that TUSK_TEST_KAFKA names)"
    )


@contextlib.contextmanager
def private_kafka(*settings: str, **options: Any) -> Iterator[KafkaServer]:
    """A broker that runs, and may be killed and frozen. Further settings are lines of `server.properties`."""
    require_kafka()
    with tempfile.TemporaryDirectory(prefix="tusk-kafka-", ignore_cleanup_errors=True) as folder:
        server = KafkaServer(LIBRARIES, Path(folder), settings=settings, **options)
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def kafka_address() -> Iterator[str]:
    """The address of the broker that tests share: one that is given in TUSK_TEST_KAFKA, or one of our own."""
    given = os.environ.get("TUSK_TEST_KAFKA")
    if given:
        yield given
        return
    with private_kafka() as server:
        yield server.address
