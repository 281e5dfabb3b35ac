"""How often AWS is asked: one question for all of a kind, and none twice."""

from __future__ import annotations

from collections import Counter

import pytest

from provision.rehearsal import Remote
from tests.support.commands import Commands

READS = 48  # of a second `up`, `plan` and `status`, the caller's identity included
pytestmark = pytest.mark.slow


def asked(rehearsal: Remote, since: int = 0) -> Counter[str]:
    """What was asked of AWS since then, by operation."""
    return Counter(each.operation for each in rehearsal.journal()[since:])


def test_what_is_as_it_should_be_takes_few_reads(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_manners(paging=False)  # AWS's pages hold all of ours
    assert commands.up().code == 0
    for command in (("up", "--no-check"), ("plan",), ("status",)):
        before = len(rehearsal.journal())
        assert commands.run("provision", *command, "--output=json").code == 0
        made = asked(rehearsal, before)
        assert made.total() <= READS, (command, made)
        listed = {operation for operation in made if operation.startswith(("DescribeS", "GetA"))}
        assert {made[operation] for operation in listed - {"DescribeSecret"}} == {1}


def test_models_are_kept_by_a_run_that_changes_something(
    commands: Commands, rehearsal: Remote
) -> None:
    del rehearsal
    kept = commands.state_path().with_name("rds-proxy-auth.models")
    assert commands.plan().to_do
    assert not kept.exists()
    assert commands.up().code == 0
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.stat().st_mtime_ns
    assert commands.up().counts()
    assert kept.stat().st_mtime_ns == before
    kept.write_text("cut off {")
    assert commands.up().counts()
    assert commands.teardown().code == 0


def test_a_run_that_nobody_came_between_looks_once(commands: Commands, rehearsal: Remote) -> None:
    """The lock was free, nobody was asked, and the state is as it was a moment ago."""
    assert commands.up("--no-check").code == 0
    before = rehearsal.journal()
    created = [each.operation for each in before].index("CreateVpc")
    looks = Counter(each.operation for each in before[:created])
    assert (looks["GetApis"], looks["ListRoles"], looks["GetRole"]) == (1, 1, 4)
