"""A group of processes that never comes to rest: each message has one effect, in order; and what counts would notice."""

from __future__ import annotations

from pathlib import Path

import pytest
import rebalances
from rebalances import Report


async def test_processes_come_and_go_and_stand_still(
    tmp_path: Path, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is stopped, one is killed, and one stands still until others have what it had in its hands."""
    monkeypatch.setattr(rebalances, "EVERY_SECONDS", 4.0)
    monkeypatch.setattr(rebalances, "FROZEN_SECONDS", 8.0)
    report = await rebalances.attack(tmp_path, kafka, seconds=20, rate=100, seed=3)
    print(report)
    assert report.holds
    assert min(report.events, report.messages) > 400
    assert report.frozen > 0
    assert report.third["started"] >= 2
    assert report.third["stopped"] >= 1
    assert report.compared > 100
    assert report.redelivered > 0, "there was something to do twice"
    assert max(report.pauses.values()) < 15


def test_what_is_wrong_is_counted() -> None:
    wanted = [("a", 1), ("a", 2), ("b", 1), ("a", 3)]
    right = Report()
    right.count(wanted, [("b", 1), *wanted[:2], ("a", 3)])
    assert right.holds
    for effects in (
        wanted[1:],
        [*wanted, ("a", 2)],
        [*wanted, ("c", 1)],
        [wanted[1], wanted[0], *wanted[2:]],
    ):
        report = Report()
        report.count(wanted, effects)
        assert not report.holds
        assert "0" in str(report)
