"""What the benchmark of `up` computes: chains, limits, calls, the table. Nothing is measured."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from benchmarks.up import (
    Call,
    Row,
    Usage,
    by_service,
    cells,
    chain_row,
    document,
    in_turn,
    same,
    teardown_chains,
    up_chains,
)
from provision.rehearsal import Durations, Entry

DURATIONS = Durations(
    instance_create=420,
    instance_first_backup=60,
    instance_delete=300,
    proxy_create=180,
    proxy_delete=120,
    target_registering=10,
    target_capacity=120,
    function_update=10,
    interface_in_use_detached=120,
)


def used(seconds: float) -> Usage:
    """A process that took so long."""
    return Usage(code=0, seconds=seconds, cpu_seconds=0.0, mib=1.0, stderr="")


def entry(service: str, operation: str, **params: Any) -> Entry:
    """A call in a rehearsal's journal."""
    return Entry(1, service, operation, False, "", params)


def longest(chains: dict[str, float]) -> float:
    """How long the longest chain takes."""
    return max(chains.values())


@pytest.mark.parametrize(
    ("changes", "backups", "seconds"),
    [
        ({}, False, 540),
        ({}, True, 480),  # a target is registered during the first backup
        ({"proxy_create": 500.0}, False, 620),  # the proxy is there after the instance
        ({"target_registering": 200.0}, False, 620),
        ({"function_pending": 900.0}, False, 910),
    ],
)
def test_the_longest_chain_of_up(changes: dict[str, float], backups: bool, seconds: float) -> None:
    durations = dataclasses.replace(DURATIONS, **changes)
    assert longest(up_chains(durations, backups=backups)) == seconds


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [({}, 300), ({"proxy_delete": 400.0}, 400), ({"interface_in_use_detached": 600.0}, 610)],
)
def test_the_longest_chain_of_teardown(changes: dict[str, float], seconds: float) -> None:
    assert longest(teardown_chains(dataclasses.replace(DURATIONS, **changes))) == seconds


def test_a_chain_is_scaled_and_named() -> None:
    row = chain_row("up", [used(9.0), used(10.0), used(30.0)], {"a": 60.0, "b": 540.0}, 60.0)
    assert row.limit == pytest.approx(1.05 * 9 + 2)
    assert "(b)" in row.against
    assert row.measured == 10.0
    assert row.ok


@pytest.mark.parametrize(
    ("samples", "limit", "ok"),
    [([1.0], 1.0, True), ([1.01], 1.0, False), ([0.1, 9.0, 0.2], 1.0, True), ([5.0], None, True)],
)
def test_a_limit_is_held_by_the_median(samples: list[float], limit: float | None, ok: bool) -> None:
    assert Row("it", "s", samples, limit).ok is ok


def test_calls_come_service_by_service_in_the_order_of_their_first() -> None:
    journal = [
        entry("rds", "DescribeDBInstances", DBInstanceIdentifier="a"),
        entry("ec2", "DescribeVpcs"),
        entry("rds", "DescribeDBProxies"),
    ]
    assert by_service(journal) == [
        ("rds", "describe_db_instances", {"DBInstanceIdentifier": "a"}),
        ("rds", "describe_db_proxies", {}),
        ("ec2", "describe_vpcs", {}),
    ]


def test_the_same_calls_are_the_same_in_any_order_and_number() -> None:
    one: Call = ("ec2", "describe_vpcs", {"a": 1, "b": 2})
    other: Call = ("sts", "get_caller_identity", {})
    assert same([one, other], [other, ("ec2", "describe_vpcs", {"b": 2, "a": 1})])
    assert not same([one, other], [one, one])
    assert not same([one], [one, one])


def test_ways_take_turns_backwards_too() -> None:
    order: list[str] = []

    def way(name: str) -> Usage:
        order.append(name)
        return used(1.0)

    found = in_turn((lambda: way("up"), lambda: way("bare")), 3)
    assert order == ["up", "bare", "bare", "up", "up", "bare"]
    assert [len(each) for each in found] == [3, 3]


def test_the_table_and_the_file_say_what_was_missed() -> None:
    row = Row("teardown", "s", [2.0], 1.0, "made from that")
    assert cells(row) == ("teardown", "1", "2.00 s", "1.00 s", "200%", "MISSED", "made from that")
    assert cells(Row("bare", "MiB", [80.4])) == ("bare", "1", "80 MiB", "", "", "", "")
    (written,) = json.loads(json.dumps(document([row], 0.5, 60.0)))["rows"]
    assert written["ok"] is False
    assert written["ratio"] == 2.0
    assert written["samples"] == [2.0]
