"""`teardown --final-snapshot`: a name that RDS refuses is refused before anything is deleted."""

from __future__ import annotations

import pytest

from tests.support.built import Built
from tests.support.commands import Commands
from tests.support.refusals import refused

BAD = ["", "1kept", "-kept", "kept-", "ke--pt", "kept_now", "kept now", "rds:kept", "behüt"]
BAD += ["x" * 256]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("more", [("--yes",), ("--dry-run",)])
def test_a_name_that_rds_refuses(unheard: Commands, name: str, more: tuple[str, ...]) -> None:
    flags = (f"--final-snapshot={name}", *more, "--output", "json")
    message = refused(unheard, unheard.run("teardown", *flags))
    assert "--final-snapshot" in message
    assert "1 to 255 letters, digits and single hyphens" in message


def test_a_name_that_is_taken_is_refused_and_nothing_is_deleted(built: Built) -> None:
    rds = built.account.rds
    instance = rds.describe_db_instances()["DBInstances"][0]["DBInstanceIdentifier"]
    rds.create_db_snapshot(DBSnapshotIdentifier="taken", DBInstanceIdentifier=instance)
    try:
        before = len(built.remote.journal())
        result = built.commands.teardown("--final-snapshot", "Taken")
        assert result.code == 2, result
        assert (
            "--final-snapshot taken: a DB snapshot of this name exists" in result.error["message"]
        )
        assert not [each for each in built.remote.journal()[before:] if each.mutating]
    finally:
        rds.delete_db_snapshot(DBSnapshotIdentifier="taken")
