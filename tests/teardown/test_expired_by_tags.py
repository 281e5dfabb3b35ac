"""`list` and `teardown --expired` where an environment is little more than its VPC's tags."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from provision.cli.options import Options
from provision.commands import environments
from provision.commands.environments import Existing, everywhere, regions
from provision.context import Run
from provision.engine.events import Display
from provision.errors import (
    AwsAnswer,
    AwsCallError,
    Declined,
    Interrupted,
    ProvisionError,
    RegionNotEnabled,
    UnreachableError,
)
from provision.rehearsal import Override, Remote
from teardown import expired
from tests.support.account import Account, lone_vpc
from tests.support.answers import AnsweringAws, Answers, refusal
from tests.support.commands import Commands, Result
from tests.support.lifetime import existing
from tests.support.names import REGION

PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
STATE = "s3://no-such-bucket/state.json"


def sweep(commands: Commands, *flags: str) -> Result:
    """`teardown --expired --yes`."""
    return commands.run("teardown", "--expired", "--yes", "--output", "json", *flags)


@contextlib.contextmanager
def refusing(remote: Remote, *overrides: Override) -> Any:
    remote.set_overrides(*overrides)
    try:
        yield
    finally:
        remote.set_overrides()


@pytest.fixture(autouse=True)
def at_once(rehearsal: Remote) -> None:
    """What was made is seen at once."""
    rehearsal.set_manners(consistency=False)


# --- list -----------------------------------------------------------------------------------------


def test_what_is_left_of_an_environment_is_listed_by_its_tags(
    commands: Commands, account: Account
) -> None:
    lone_vpc(account, "old", PAST, **{"provision:state": STATE})
    lone_vpc(account, "endless")
    found = existing(commands)
    assert set(found) == {"old", "endless"}
    old = found["old"]
    assert (old["resources"], old["whole"], old["state"]) == (1, False, STATE)
    assert (old["expires"], found["endless"]["expires"]) == (PAST, None)
    person = commands.run("provision", "list", "--output", "plain").stdout
    assert "1 of 35: " in person
    assert "2020-01-01 00:00 UTC, EXPIRED" in person
    assert "never" in person


def test_an_empty_account_has_none(commands: Commands) -> None:
    person = commands.run("provision", "list", "--output", "plain")
    assert (person.code, "no environments" in person.stdout) == (0, True)


def test_an_environment_that_may_not_be_read_is_named_and_the_others_are_listed(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    lone_vpc(account, "theirs")
    lone_vpc(account, "mine")
    role = "theirs-proxy-*"
    denied = Override(
        "iam:GetRole", when={"RoleName": role}, code="AccessDenied", message="no", status=403
    )
    with refusing(rehearsal, denied):
        result = commands.run("provision", "list", "--output", "json")
    assert result.code == 0
    assert [each["name"] for each in result.of("environment")] == ["mine"]
    (unreadable,) = result.of("unreadable")
    assert unreadable["name"] == "theirs"
    assert "GetRole" in unreadable["message"]


def found(name: str, region: str) -> Existing:
    return Existing(name, region, "", "", 1, 35, None, "")


@pytest.mark.parametrize(
    ("error", "passed"),
    [
        (RegionNotEnabled("not enabled"), True),
        (UnreachableError("no network"), True),
        (AwsCallError("list", AwsAnswer("X", "AccessDenied", "no")), True),
        (AwsCallError("list", AwsAnswer("X", "InternalError", "no")), False),
        (ProvisionError("a bug"), False),
    ],
)
def test_of_all_regions_one_that_cannot_be_looked_at_is_named_and_passed(
    error: ProvisionError, passed: bool
) -> None:
    def look(options: Options, region: str, _output: object) -> list[Existing]:
        assert options.region == region
        if region == "b":
            raise error
        return [found("demo", region)]

    output = mock.Mock(spec=Display)
    options = Options(overrides=("environment.region='eu-west-1'",))
    with (
        mock.patch.object(environments, "existing", look),
        mock.patch.object(environments, "regions", return_value=["a", "b", "c"]),
    ):
        listed = everywhere(options, output, all_regions=True)
        if passed:
            assert [each.region for each in listed] == ["a", "c"]
            output.record.assert_called_once_with("region", region="b", error=error.as_dict())
        else:
            with pytest.raises(type(error)):
                list(listed)


def listed_regions(answers: Answers) -> list[str]:
    aws = AnsweringAws("", answers)
    with mock.patch.object(environments, "account_of", return_value=aws):
        return regions(Options(), REGION)


def test_regions_are_those_that_the_account_has_enabled() -> None:
    answer = {"Regions": [{"RegionName": "us-east-1"}, {"RegionName": "eu-west-1"}]}
    assert listed_regions({"ec2.describe_regions": answer}) == ["eu-west-1", "us-east-1"]


def test_where_that_is_denied_they_are_those_of_the_partition() -> None:
    denied = refusal("UnauthorizedOperation", "DescribeRegions")
    names = listed_regions({"ec2.describe_regions": denied})
    assert {"us-east-1", REGION} <= set(names)
    assert not any(each.startswith("cn-") for each in names)
    with pytest.raises(AwsCallError, match="RequestLimitExceeded"):
        listed_regions({"ec2.describe_regions": refusal("RequestLimitExceeded")})


# --- teardown --expired ---------------------------------------------------------------------------


def test_only_what_has_expired_is_deleted(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    lone_vpc(account, "old", PAST)
    lone_vpc(account, "young", FUTURE)
    lone_vpc(account, "endless")
    before = len(rehearsal.journal())
    planned = commands.run("teardown", "--expired", "--plan", "--output", "plain")
    assert planned.code == 0
    assert "1 expired:" in planned.stdout
    assert not [each for each in rehearsal.journal()[before:] if each.mutating]
    done = sweep(commands)
    assert (done.code, done.summary["deleted"]) == (0, 1)
    assert set(existing(commands)) == {"young", "endless"}
    nothing = commands.run("teardown", "--expired", "--yes", "--output", "plain")
    assert (nothing.code, "nothing has expired" in nothing.stdout) == (0, True)


def test_one_that_aws_refuses_keeps_none_of_the_others(
    commands: Commands, account: Account, rehearsal: Remote
) -> None:
    first = lone_vpc(account, "first", PAST)
    lone_vpc(account, "second", PAST)
    denied = Override(
        "ec2:DeleteVpc", when={"VpcId": first}, code="UnauthorizedOperation", message="no",
        status=403,
    )  # fmt: skip
    with refusing(rehearsal, denied):
        result = sweep(commands)
    assert result.code == 1
    assert result.error["type"] == "LeftBehind"
    assert "1 of 2 expired environments were not deleted: first: " in result.error["message"]
    assert result.error["next"]
    (failed,) = result.of("environment-failed")
    assert (failed["name"], failed["error"]["code"]) == ("first", "UnauthorizedOperation")
    assert result.summary["deleted"] == 1
    assert set(existing(commands)) == {"first"}


def test_a_state_that_cannot_be_read_is_said_and_the_tags_are_enough(
    commands: Commands, account: Account
) -> None:
    lone_vpc(account, "old", PAST, **{"provision:state": STATE})
    done = commands.run("teardown", "--expired", "--yes", "--output", "plain")
    assert done.code == 0, done.stderr
    assert "old: its state is not used: " in done.stderr
    assert "no-such-bucket" in done.stderr
    assert existing(commands) == {}


def test_whoever_extended_it_meanwhile_keeps_it(commands: Commands, account: Account) -> None:
    identity = lone_vpc(account, "old", PAST)
    open_run: Callable[..., Run] = expired.open_run

    def extended(*given: Any) -> Run:
        tags = [{"Key": "provision:expires", "Value": FUTURE}]
        account.ec2.create_tags(Resources=[identity], Tags=tags)
        return open_run(*given)

    with mock.patch.object(expired, "open_run", extended):
        result = commands.run("teardown", "--expired", "--yes", "--output", "plain")
    assert result.code == 0
    assert "old: its expiry was moved: left as it is" in result.stderr
    assert set(existing(commands)) == {"old"}


@pytest.mark.parametrize(
    ("error", "code"),
    [(Declined("cancelled: nothing was deleted"), 1), (Interrupted("stop"), 130)],
)
def test_a_person_is_asked_and_no_deletes_nothing(
    commands: Commands, account: Account, error: ProvisionError, code: int
) -> None:
    lone_vpc(account, "old", PAST)
    with (
        mock.patch.object(expired, "refuse_without_terminal"),
        mock.patch.object(expired, "ask", side_effect=error) as asked,
    ):
        result = commands.run("teardown", "--expired", "--output", "plain")
    assert result.code == code
    assert asked.call_args.args[1] == "expired"
    assert set(existing(commands)) == {"old"}


def test_ctrl_c_ends_it_and_begins_no_other(commands: Commands, account: Account) -> None:
    lone_vpc(account, "first", PAST)
    lone_vpc(account, "second", PAST)
    with mock.patch.object(expired, "take_down", side_effect=Interrupted("stop")) as begun:
        result = sweep(commands)
    assert (result.code, result.error["type"], begun.call_count) == (130, "Interrupted", 1)
    assert result.summary["deleted"] == 0
