"""What the actions of consumers publish by: the bus, as consumers know it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tusk_runtime.consumers.failures import FinalFailure, TechnicalFailure
from tusk_runtime.consumers.leaving import Publication
from tusk_runtime.encryption import context_of
from tusk_runtime.errors import StartFailed, Unavailable
from tusk_runtime.model.application import Application
from tusk_runtime.running.backends import encryption_of

if TYPE_CHECKING:
    from tusk_runtime.bus.kafka import Address

TLS = "`tls` of `kafka`"


def address_of(application: Application) -> Address:
    """Where the cluster of an application is. Raises StartFailed if it cannot be reached from here."""
    try:
        from tusk_runtime.bus.kafka import Address
    except ModuleNotFoundError as error:
        raise StartFailed(
            f"`streaming: kafka` needs the package {error.name}", "pip install 'tusk-runtime[kafka]'"
        ) from None
    kafka = application.settings.kafka
    if kafka is None:
        raise StartFailed("there is no Kafka", "write `streaming: kafka` under [event_store]")
    file = Path(application.document.root.span.source.name)
    context = context_of(encryption_of(kafka.tls, file), TLS) if kafka.tls is not None else None
    return Address(kafka, context)


class BusPublisher:
    """Publishes messages to the topics of an application's cluster."""

    def __init__(self, application: Application) -> None:
        """Raises StartFailed."""
        address = address_of(application)
        from tusk_runtime.bus.publishing import Publisher
        from tusk_runtime.bus.records import Unpublishable

        self._publisher = Publisher(address)
        self._unpublishable = Unpublishable

    async def publish(self, message: Publication) -> None:
        """Publish one. Raises TechnicalFailure if it may be taken later, FinalFailure if not."""
        try:
            await self._publisher.publish(*message)
        except self._unpublishable as error:
            raise FinalFailure(str(error)) from error
        except Unavailable as error:
            raise TechnicalFailure(str(error)) from error

    async def stop(self) -> None:
        """Let go of the connections."""
        await self._publisher.stop()
