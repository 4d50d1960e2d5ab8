"""How an action fails: for now, or for good; and what a dead letter keeps of that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tusk_runtime.errors import Refused, TuskError
from tusk_runtime.expressions import ExpressionFailed
from tusk_runtime.language.secrets import MASK

SHOWN = 200
"""How many characters of an answer a dead letter keeps."""
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class TechnicalFailure(TuskError):
    """What an action needs outside of the application does not work now: trying again may help."""


class FinalFailure(TuskError):
    """What is outside of the application turned an action down: trying again would not help."""


class NotTaken(FinalFailure):
    """A message from outside that cannot become a command: `errors` tells what is wrong with which field."""

    def __init__(self, message: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        self.errors = errors
        super().__init__(message)


class ActionFailed(TuskError):
    """An action could not be done: an expression without a value, a refusal, or a failure outside.

    `action` counts from 0, `refused` tells a command that was refused, `technical` what may work later; all
    else would fail again. `error` is what happened, and `told` what a dead letter keeps of it.
    """

    def __init__(self, action: int, error: Exception) -> None:
        self.action = action
        self.error = error
        self.refused = isinstance(error, Refused)
        self.technical = isinstance(error, TechnicalFailure)
        self.told = told(error)
        super().__init__(str(error))


def told(error: Exception) -> dict[str, Any]:
    """What a dead letter says of an error: the message, its place in the file, and the values there."""
    match error:
        case ExpressionFailed():
            found: dict[str, Any] = {"message": error.message}
            if error.span is not None:
                found["place"] = str(error.span)
            if error.values:
                found["values"] = dict(error.values)
            return found
        case Refused():
            return {"message": error.message, "kind": error.kind, **error.details}
        case NotTaken(errors=[_, *_]):
            return {"message": str(error), "errors": error.errors}
        case _:
            return {"message": str(error) or type(error).__name__}


def masked(text: str, hidden: Iterable[str]) -> str:
    """A text without what nobody may see in it."""
    for each in hidden:
        text = text.replace(each, MASK)
    return text


def line_of(answer: str) -> str:
    """The beginning of an answer, on one line."""
    return _UNSEEN.sub(" ", answer).strip()[:SHOWN]
