"""SIGKILL under load: nothing that was acknowledged is lost, nothing is doubled, read models are exact."""

from __future__ import annotations

import kill_cycles
import pytest


async def test_nothing_is_lost_or_doubled_in_25_kills(tmp_path):
    """Promises 1 to 4, while the process group is killed every few hundred milliseconds."""
    report = await kill_cycles.run(tmp_path, cycles=25, seed=25, between=(0.05, 0.5))
    print(report)
    assert report.violations == []
    assert (report.lost, report.doubled, report.turned_away) == (0, 0, 0)
    assert report.acknowledged > 2000
    assert report.unknown > 25, "each kill leaves commands without an answer"
    assert max(report.starts) < 10


@pytest.mark.parametrize("broken", sorted(kill_cycles.BROKEN))
async def test_a_broken_build_is_caught(tmp_path, broken):
    """The same check fails when a guard is taken out: otherwise it would prove nothing."""
    report = await kill_cycles.run(tmp_path, cycles=3, seed=4, between=(0.1, 0.3), broken=broken)
    print(report)
    assert report.cycles == 3, "it runs"
    assert report.violations
    found = "\n".join(report.violations)
    assert "did not start" not in found
    match broken:
        case "ledger":
            assert report.doubled > 0
        case "checkpoint":
            assert "sold: " in found
            assert report.lost == report.doubled == 0
        case "commit":
            assert report.lost > 0
