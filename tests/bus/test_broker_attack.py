"""A broker that is down at start, and frozen, under load: all arrives, in order; and what counts that would notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker_kills import Attack, Report
from kafka_server import KafkaServer


async def test_down_at_start_and_frozen(
    tmp_path: Path, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited leaves when the broker comes, and commands were taken all the time."""
    monkeypatch.setattr("broker_kills.FREEZE_SECONDS", (2.0, 2.0))
    report = await Attack(kafka_server, tmp_path, rate=100, seed=1).run(kills=1, freezes=1, down=3)
    print(report)
    assert report.holds
    assert report.waited > 50
    assert report.slowest < 3.0
    assert report.drained < 15
    assert max(report.recoveries["kill"]) < 15
    assert max(report.handled["kill"]) < 15
    assert max(report.handled["freeze"]) < 15


def test_what_is_wrong_is_counted() -> None:
    stored = [("a", version, f"id-{version}") for version in range(1, 6)]
    right, report = [*stored[:3], *stored[1:]], Report()
    report.count(stored, right)
    assert report.holds
    assert report.duplicates == 2
    for found in (stored[1:], [*stored, ("a", 6, "id-6")], [stored[1], stored[0], *stored[2:]]):
        report.count(stored, found)
        assert not report.holds


def test_what_was_done_wrongly_is_counted() -> None:
    stored = [("a", version, f"id-{version}") for version in range(1, 4)]
    right = [place[:2] for place in stored]
    report = Report()
    report.count_effects(stored, right)
    assert report.holds
    for effects in (right[1:], [*right, right[1]], [right[1], right[0], right[2]]):
        report.count_effects(stored, effects)
        assert not report.holds
