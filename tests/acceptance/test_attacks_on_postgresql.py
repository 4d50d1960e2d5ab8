"""Attacks on the store: readers that could skip, connections cut while they commit, many clients on one aggregate;
and that these tests would notice."""

from __future__ import annotations

import cut_connections
import one_aggregate
import pytest
import reader_attack
from postgres_server import schema_for


@pytest.mark.parametrize("version", ["18", "15"])
async def test_readers_see_everything_in_order(tmp_path, version):
    """Writers of two processes, rollbacks, transactions that rest, and one that stays open all the time."""
    report = await reader_attack.run(await schema_for(version, tmp_path), events=1600)
    print(report)
    assert report.holds
    assert report.events >= 1600
    assert report.rolled_back > 100
    assert sorted(report.delays)[len(report.delays) * 99 // 100] < 1.0, (
        "the foreign transaction holds nobody up"
    )


async def test_without_the_lock_readers_skip(tmp_path):
    """The same attack on a store that draws positions as everybody does."""
    report = await reader_attack.run(await schema_for("18", tmp_path), events=1600, broken=True, patience=3)
    print(report)
    assert report.skipped > 0


@pytest.mark.parametrize("version", ["18", "15"])
async def test_connections_cut_during_the_commit(tmp_path, version):
    """One effect, one answer, whenever the connection goes."""
    report = await cut_connections.run(await schema_for(version, tmp_path), cuts=60)
    print(report)
    assert report.violations == []
    assert min(report.cuts.values()) >= 5, "at each of the moments"
    assert set(report.cuts) == set(cut_connections.MOMENTS)


async def test_without_the_ledger_a_cut_is_felt(tmp_path):
    """The same attack on a build that does not look commands up."""
    report = await cut_connections.run(await schema_for("18", tmp_path), cuts=5, broken=True)
    print(report)
    assert report.violations


@pytest.mark.parametrize(("version", "processes"), [("18", 2), ("15", 4)])
async def test_64_clients_on_one_aggregate(tmp_path, version, processes):
    """Each command is decided on the state that it says it saw; no process starves."""
    report = await one_aggregate.run(await schema_for(version, tmp_path), processes=processes, commands=100)
    print(report.accepted, report.refused, report.seconds)
    assert report.problems == []
    assert report.accepted + report.refused == 64 * 100
    assert report.refused > 50


async def test_without_the_index_over_versions_updates_are_lost(tmp_path):
    """The same attack on a store that lets two events of an aggregate have one version."""
    report = await one_aggregate.run(
        await schema_for("18", tmp_path), processes=4, commands=60, broken="index"
    )
    assert len(report.problems) > 10
