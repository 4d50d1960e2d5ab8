"""Functions of Python that actions call: where they are found, and how they are run."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from tusk_runtime.consumers.failures import TechnicalFailure
from tusk_runtime.errors import StartFailed
from tusk_runtime.model.consuming import Python

log = logging.getLogger("tusk.consumers")

Function = Callable[..., object]


def find(action: Python) -> Function:
    """The function that an action names; its module may stand beside the file. Raises StartFailed."""
    module, _, name = action.function.partition(":")
    folder = str(Path(action.span.source.name).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    where = f"`call: {action.function}`"
    try:
        found: Any = reduce(getattr, name.split("."), import_module(module))
    except ModuleNotFoundError as error:
        raise StartFailed(
            f"{where}: there is no module `{error.name}`",
            f"put it beside the file, in {folder}, or install it",
        ) from None
    except AttributeError as error:
        raise StartFailed(f"{where}: {error}", "correct the name of the function") from None
    except Exception as error:
        log.exception("%s", where)
        raise StartFailed(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise StartFailed(
            f"{where} is no plain function", "write `def`, not `async def`: it runs in a thread"
        )
    function: Function = found
    return function


def run(name: str, function: Function, arguments: Mapping[str, Any], *, personal: bool) -> None:
    """Call a function. Raises TechnicalFailure if it raises anything, also what would end the process."""
    try:
        function(**arguments)
    except BaseException as error:
        log.warning("`%s` failed", name, exc_info=None if personal else error)
        said = type(error).__name__ if personal or not str(error) else f"{type(error).__name__}: {error}"
        raise TechnicalFailure(f"`{name}` failed: {said}") from None
