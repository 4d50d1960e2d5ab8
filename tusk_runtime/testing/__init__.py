"""Runs the `[tests.*]` of an application: in memory, on a virtual clock."""

from tusk_runtime.testing.runner import Outcome, run_case
from tusk_runtime.testing.values import Difference

__all__ = ["Difference", "Outcome", "run_case"]
