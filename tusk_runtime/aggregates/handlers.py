"""All command handlers and folders of one application, and what its events keep of their context."""

from __future__ import annotations

from typing import Any

from tusk_runtime.aggregates.decide import CommandHandler, meta_of, stored_metadata
from tusk_runtime.aggregates.fold import Folder, codecs_of
from tusk_runtime.aggregates.uniqueness import Uniqueness
from tusk_runtime.errors import UnknownName
from tusk_runtime.events import Caller, Cause
from tusk_runtime.language.diagnostics import did_you_mean
from tusk_runtime.model.application import Application

MAX_CALLERS = 10_000
"""Callers whose metadata is kept encoded."""


class Handlers:
    """Made once for each application that becomes live."""

    def __init__(self, application: Application) -> None:
        self.application = application
        codecs = codecs_of(application)
        self.folders = {
            name: Folder(aggregate, application, codecs) for name, aggregate in application.aggregates.items()
        }
        self.uniqueness = {
            name: Uniqueness(aggregate)
            for name, aggregate in application.aggregates.items()
            if aggregate.unique
        }
        self.commands = {
            name: CommandHandler(command, application, self.folders[command.aggregate], codecs)
            for name, command in application.commands.items()
        }
        self.audited = application.gives("CommandAccepted")
        self._source = application.settings.source
        self._version = application.settings.version
        self._metadata: dict[Caller, bytes] = {}

    def command(self, name: str) -> CommandHandler:
        """The handler of a command. Raises UnknownName."""
        handler = self.commands.get(name)
        if handler is None:
            raise UnknownName(f"there is no command `{name}`", help=did_you_mean(name, self.commands))
        return handler

    def folder(self, aggregate_type: str) -> Folder:
        """The folder of a type of aggregates. Raises UnknownName."""
        folder = self.folders.get(aggregate_type)
        if folder is None:
            raise UnknownName(
                f"there is no aggregate `{aggregate_type}`", help=did_you_mean(aggregate_type, self.folders)
            )
        return folder

    def meta(self, caller: Caller, cause: Cause, command_id: bytes) -> dict[str, Any]:
        """The value of `meta` in a command."""
        return meta_of(caller, cause, command_id, self._source, self._version)

    def metadata(self, caller: Caller, cause: Cause) -> bytes:
        """What events keep of their command's context; the same for all commands of one caller."""
        if cause.causation_id is not None or cause.saga_id is not None:
            return stored_metadata(caller, cause, self._source, self._version)
        found = self._metadata.get(caller)
        if found is None:
            if len(self._metadata) >= MAX_CALLERS:
                self._metadata.clear()
            found = self._metadata[caller] = stored_metadata(caller, cause, self._source, self._version)
        return found
