"""Environments that end by themselves: when, who says so, and what moves it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision.rehearsal import Fault, Remote
from tests.support.account import Account
from tests.support.commands import Commands
from tests.support.lifetime import later
from tests.support.names import NAME

AFTER = ("--set", "environment.expires_after=8h")
EXPIRES = "provision:expires"


def tags_in(value: Any) -> Iterator[dict[str, str]]:
    """Every set of tags within what AWS answered, whatever its shape."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key.lower() in ("tags", "taglist") and part:
                plain = isinstance(part, dict)
                yield part if plain else {each["Key"]: each["Value"] for each in part}
            else:
                yield from tags_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tags_in(part)


def log_and_function_tags(account: Account) -> Iterator[dict[str, str]]:
    """The tags that AWS answers bare."""
    for each in account.all("logs", "describe_log_groups", "logGroups"):
        arn = each["arn"].removesuffix(":*")
        yield account.logs.list_tags_for_resource(resourceArn=arn)["tags"]
    for each in account.all("lambda", "list_functions", "Functions"):
        yield account.lambda_.list_tags(Resource=each["FunctionArn"])["Tags"]


def moments(account: Account) -> list[str | None]:
    """When each thing with the environment's tags says that it expires."""
    found = [*tags_in(account.everything()), *log_and_function_tags(account)]
    ours = [tags for tags in found if tags.get("provision:environment") == NAME]
    assert len(ours) >= 25
    return [tags.get(EXPIRES) for tags in ours]


def the_moment(account: Account) -> str | None:
    """The one moment that all things agree on."""
    (moment,) = set(moments(account))
    return moment


def in_hours(text: str | None) -> float:
    """How many hours from now a moment is."""
    assert text
    assert text.endswith("Z")
    left = datetime.datetime.fromisoformat(text) - datetime.datetime.now(datetime.UTC)
    return left.total_seconds() / 3600


@pytest.fixture
def dated(commands: Commands) -> Commands:
    """An environment with an expiry of eight hours."""
    assert commands.up(*AFTER).code == 0
    return commands


@pytest.mark.sweep(of="module", part=10)
def test_the_first_up_fixes_it_in_the_create_calls(
    dated: Commands, account: Account, rehearsal: Remote
) -> None:
    tagging = ("CreateTags", "AddTagsToResource", "TagResource", "TagRole")
    assert not [each for each in rehearsal.journal() if each.operation in tagging]
    moment = the_moment(account)
    assert 7.9 < in_hours(moment) <= 8
    with later(1):
        again = dated.up(*AFTER)
    assert again.counts(), again.changed
    for flags in ((), ("--set", "environment.expires_after=2d")):  # removed, or another
        assert dated.up(*flags).counts()
        assert dated.plan(*flags).code == 0
    assert the_moment(account) == moment


@pytest.mark.sweep(of="module", part=10)
def test_extending_moves_it_and_never_takes_it_away(dated: Commands, account: Account) -> None:
    moved = dated.up("--extend", "2d")
    assert moved.code == 0, moved.stdout[-900:]
    assert 47.9 < in_hours(the_moment(account)) <= 48
    (life,) = moved.of("lifetime")
    assert life["expires"] == the_moment(account)
    assert life["usd_left"] > 4
    assert dated.up(*AFTER).counts()
    sooner = dated.up("--extend", "90m")
    assert sooner.code == 0
    assert 1.4 < in_hours(the_moment(account)) <= 1.5
    assert dated.up("--extend", "never").code == 0
    assert the_moment(account) is None
    again = dated.up(*AFTER)  # it stays so
    assert again.counts()
    assert the_moment(account) is None
    assert not again.of("lifetime")


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize("operation", ["DeleteTags", "UntagRole", "rds:RemoveTagsFromResource"])
def test_a_never_that_was_cut_off_is_carried_to_its_end(
    dated: Commands, account: Account, rehearsal: Remote, operation: str
) -> None:
    rehearsal.set_faults(Fault("denied", operation, nth=2, times=99))
    assert dated.up("--extend", "never").code == 1
    rehearsal.set_faults()
    assert "never" in moments(account)
    assert dated.up(*AFTER).code == 0
    assert the_moment(account) is None


def tag_vpc(account: Account, moment: str) -> None:
    """Let the VPC's tag name another moment than the rest."""
    tags = [{"Key": EXPIRES, "Value": moment}]
    account.ec2.create_tags(Resources=[account.tagged("vpcs", "vpc", NAME)["VpcId"]], Tags=tags)


@pytest.mark.sweep(of="module", part=10)
def test_where_tags_disagree_the_latest_counts(dated: Commands, account: Account) -> None:
    first = the_moment(account)
    for wrong in ("2020-01-01T00:00:00Z", "tomorrow", ""):
        tag_vpc(account, wrong)
        assert dated.up().changed == {"vpc": "updated"}
        assert the_moment(account) == first
    tag_vpc(account, "2099-01-01T09:00:00+09:00")
    assert len(dated.up().changed) >= 25
    assert the_moment(account) == "2099-01-01T00:00:00Z"


@pytest.mark.sweep(of="module", part=10)
def test_after_its_time_nothing_new_is_made(dated: Commands, account: Account) -> None:
    account.logs.delete_log_group(logGroupName=f"/aws/lambda/{NAME}-iam")
    before = account.everything()
    with later(9):
        refused = dated.up()
        planned = dated.plan()
        status = dated.run("provision", "status", "--output", "plain")
    assert refused.code == planned.code == 1
    assert refused.error["type"] == "Expired"
    assert "log-group-iam" in refused.error["message"]
    assert "--extend" in refused.error["next"]
    assert account.everything() == before
    assert "expired at" in status.stdout + status.stderr
    with later(9):
        assert dated.up("--extend", "8h").code == 0
    assert 16.9 < in_hours(the_moment(account)) <= 17


@pytest.mark.sweep(of="module", part=10)
def test_an_environment_without_expiry_gets_none_by_itself(
    commands: Commands, account: Account
) -> None:
    assert commands.up().code == 0
    late = commands.run("provision", "up", "--no-check", *AFTER, "--output", "plain")
    assert late.code == 0
    assert "--extend 8h" in late.stderr + late.stdout
    assert the_moment(account) is None
    assert commands.up("--extend", "8h").code == 0
    assert 7.9 < in_hours(the_moment(account)) <= 8


@pytest.mark.sweep(of="module", part=10)
def test_status_plan_and_page_say_how_long_it_has_to_live(dated: Commands, tmp_path: Path) -> None:
    for words in (("status",), ("plan",), ("up", "--no-check")):
        result = dated.run("provision", *words, "--output", "plain")
        said = result.stdout + result.stderr
        assert "expires at" in said
        assert "about $0." in said
    for flags in ((), ("--live",)):
        page = tmp_path / "page.html"
        result = dated.run("provision", "timeline", "--html", str(page), *flags)
        assert result.code == 0
        assert re.search(
            r"<dt>Expires</dt><dd>20\d\d-\d\d-\d\d \d\d:\d\d UTC, in \w+: "
            r"about \$\d+\.\d+ until then \(as of \d\d:\d\d UTC\)</dd>",
            page.read_text(),
        )


@pytest.mark.parametrize(
    "wrong", ["8", "0h", "-1h", "8 h", "8H", "1w", "366d", "never", "1.5h", "٣h"]
)
def test_a_bad_length_is_refused(unheard: Commands, wrong: str) -> None:
    result = unheard.up("--set", f'environment.expires_after="{wrong}"')
    assert result.code == 2
    assert "environment.expires_after" in result.error["message"]
    assert "8h" in result.error["message"]


@pytest.mark.parametrize("wrong", ["8", "0h", "366d", "", "for ever"])
def test_a_bad_extension_is_refused(unheard: Commands, wrong: str) -> None:
    result = unheard.up("--extend", wrong)
    assert result.code == 2
    assert "--extend" in result.error["message"]


def test_tags_of_these_keys_cannot_be_configured(unheard: Commands) -> None:
    for key in (EXPIRES, "provision:state"):
        assert unheard.up("--set", f'environment.tags={{"{key}" = "x"}}').code == 2
