"""One state in S3 for several folders: shared, locked by a lease; what S3 refuses, and why."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from provision.aws.advice import DENIED
from provision.rehearsal import Fault, Override, Remote
from provision.state.lease import MARGIN_SECONDS
from provision.state.s3_errors import BLOCKED
from tests.support.account import Account
from tests.support.built import commands_at
from tests.support.commands import Commands
from tests.support.s3_state import (
    BUCKET,
    FLAGS,
    HOLDER,
    KEY,
    STATE,
    WHERE,
    keys,
    make_bucket,
    put,
    put_lock,
    state,
    text,
)

# A bucket of another account, as S3 answers whoever says whose it should be.
ANOTHERS = Override(
    "s3:*", when={"ExpectedBucketOwner": "*"}, code="AccessDenied", message="-", status=403
)


@pytest.fixture
def bucket(account: Account) -> Account:
    """The account, with the bucket."""
    make_bucket(account)
    return account


@pytest.fixture
def colleague(rehearsal: Remote, tmp_path: Path) -> Commands:
    """The commands in another folder, with nothing but the configuration."""
    return commands_at(rehearsal, tmp_path / "colleague")


def s3_calls(rehearsal: Remote, since: int = 0) -> Counter[str]:
    """The calls of S3, counted."""
    return Counter(call.operation for call in rehearsal.journal()[since:] if call.service == "s3")


def phases(account: Account) -> set[str]:
    """The phases of the steps in the state."""
    return {each["phase"] for each in state(account)["steps"].values()}


def changes(rehearsal: Remote, since: int = 0) -> list[str]:
    """What was changed at AWS, the lock and the state included."""
    return [call.operation for call in rehearsal.journal()[since:] if call.mutating]


# --- shared ---------------------------------------------------------------------------------------


def test_two_folders_share_one_state(
    commands: Commands, colleague: Commands, bucket: Account, rehearsal: Remote
) -> None:
    made = commands.up(*FLAGS)
    assert made.code == 0, made.error
    assert keys(bucket) == [KEY]  # the lock was given back
    assert phases(bucket) <= {"made", "ready"}
    assert not commands.state_path().exists()
    assert colleague.plan(*FLAGS).code == 0

    before = len(rehearsal.journal())
    again = colleague.up(*FLAGS)
    assert again.code == 0
    assert again.counts()
    assert s3_calls(rehearsal, before) == {"GetObject": 1}  # no lock, and nothing written

    timeline = colleague.run("provision", "timeline", "--output", "json", *FLAGS)
    assert timeline.of("timeline")[0]["command"] == "up"

    down = colleague.teardown(*FLAGS)
    assert down.code == 0, down.error
    assert keys(bucket) == [KEY]
    assert state(bucket)["steps"] == {}
    assert commands.plan(*FLAGS).code == 3


def test_the_location_may_be_in_the_configuration(commands: Commands, bucket: Account) -> None:
    config = commands.folder / "config.toml"
    config.write_text(config.read_text() + f'\n[state]\nlocation = "{STATE}"\n')
    assert commands.plan().code == 3
    assert commands.teardown().code == 0  # there is nothing: no lock, nothing written
    assert keys(bucket) == []


def test_a_state_moves_between_a_file_and_s3_by_copying(
    commands: Commands, bucket: Account, rehearsal: Remote
) -> None:
    assert commands.up().code == 0
    put(bucket, KEY, commands.state_path().read_text())
    commands.state_path().unlink()
    moved = commands.plan(*FLAGS)  # nothing but the VPC's tag, which names a place in S3
    assert moved.to_do == {"vpc": "update"}
    assert set(moved.changes("vpc")) == {"Tags.provision:state"}
    commands.state_path().write_text(text(bucket))
    before = len(rehearsal.journal())
    assert commands.up().code == 0
    assert changes(rehearsal, before) == []
    assert not s3_calls(rehearsal, before)


def test_a_dry_run_has_nothing_to_do_with_it(commands: Commands, rehearsal: Remote) -> None:
    patient = ("--set", "wait.timeout_minutes=60")  # at this speed a minute is 20 ms here
    flags = ("--no-check", "--output", "json", "--speed", "3000", *patient, *FLAGS)
    rehearsed = commands.spawn("provision", "up", "--dry-run", *flags)
    assert rehearsed.code == 0, rehearsed.stdout[-500:]
    assert rehearsal.journal() == []


# --- locked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["up", "teardown"])
def test_who_comes_second_is_told_who_has_the_lock(
    commands: Commands, bucket: Account, rehearsal: Remote, command: str
) -> None:
    if command == "teardown":
        assert commands.up(*FLAGS).code == 0
    put_lock(bucket, lease_seconds=600)
    before, began = len(rehearsal.journal()), time.monotonic()
    refused = getattr(commands, command)(*FLAGS)
    waited = time.monotonic() - began
    assert refused.code == 1
    assert refused.error["type"] == "Locked"
    assert refused.error["message"] == f"{WHERE}: in use by {HOLDER}"
    left = re.search(r"its lease expires in (\d+) s", refused.error["next"])
    assert left
    assert 600 - waited <= int(left[1]) <= 600 + MARGIN_SECONDS
    assert set(changes(rehearsal, before)) == {"PutObject"}  # its own attempt, which was refused
    assert f"{KEY}.lock" in keys(bucket)


def test_a_lock_whose_lease_ran_out_is_taken_over(
    commands: Commands, bucket: Account, rehearsal: Remote
) -> None:
    put_lock(bucket, lease_seconds=600)
    rehearsal.advance(540)
    assert commands.up(*FLAGS).error["type"] == "Locked"
    rehearsal.advance(62)
    made = commands.run("provision", "up", "--no-check", "--output", "plain", *FLAGS)
    assert made.code == 0, made.stderr
    assert f"took over the lock of {HOLDER}" in made.stdout + made.stderr
    assert keys(bucket) == [KEY]


def test_the_lock_says_who_holds_it_and_is_new_with_each_write(
    commands: Commands, bucket: Account
) -> None:
    bucket.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert commands.up(*FLAGS, "--set", "state.lock_lease_seconds=5").code == 0
    versions = bucket.s3.list_object_versions(Bucket=BUCKET, Prefix=f"{KEY}.lock")
    locks = [
        json.loads(
            bucket.s3.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])[
                "Body"
            ].read()
        )
        for each in versions["Versions"]
    ]
    assert versions["DeleteMarkers"][0]["IsLatest"]
    assert len({each["nonce"] for each in locks}) == len(locks)
    for each in locks:
        assert each["host"] == socket.gethostname()
        assert each["lease_seconds"] == 5
        assert (each["command"], each["environment"]) == ("up", "rds-proxy-auth")


@pytest.mark.parametrize("body", ["", "mine", '{"version": 1}'])
def test_an_object_that_is_no_lock_is_not_taken_over(
    commands: Commands, bucket: Account, rehearsal: Remote, body: str
) -> None:
    put(bucket, f"{KEY}.lock", body)
    rehearsal.advance(100_000)
    refused = commands.up(*FLAGS)
    assert refused.code == 1
    assert f"{WHERE}: its lock object {KEY}.lock is not a lock" in refused.error["message"]
    assert text(bucket, f"{KEY}.lock") == body


# --- whatever S3 answers --------------------------------------------------------------------------

TROUBLES = {
    "lost": [Fault("lost", "s3:*Object", nth=n, times=1) for n in range(1, 40, 3)],
    "cut": [Fault("cut", "s3:*Object", nth=n, times=1) for n in range(1, 40, 3)],
    "error500": [Fault("error500", "s3:*Object", nth=n, times=2) for n in range(1, 40, 4)],
    "throttle": [Fault("throttle", "s3:*Object", nth=n, times=2) for n in range(1, 40, 4)],
}


@pytest.mark.sweep(part=10)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_answers_that_are_lost_or_say_nothing_are_settled(
    commands: Commands, bucket: Account, rehearsal: Remote, trouble: str
) -> None:
    rehearsal.set_faults(*TROUBLES[trouble])
    made = commands.up(*FLAGS)
    assert made.code == 0, made.error
    rehearsal.set_faults()
    assert phases(bucket) <= {"made", "ready"}
    assert keys(bucket) == [KEY]
    assert commands.plan(*FLAGS).code == 0


def test_conflicts_are_tried_again(commands: Commands, bucket: Account, rehearsal: Remote) -> None:
    code = "ConditionalRequestConflict"
    conflicts = [
        Override("s3:PutObject", nth=nth, times=2, code=code, message="-", status=409)
        for nth in (1, 4, 7, 12, 20)
    ]
    last = Override("s3:DeleteObject", times=1, code=code, message="-", status=409)
    rehearsal.set_overrides(*conflicts, last)
    assert commands.up(*FLAGS).code == 0
    assert sum(call.code == code for call in rehearsal.journal()) == 11
    assert keys(bucket) == [KEY]
    assert commands.plan(*FLAGS).code == 0


REFUSALS = {
    "AccessDenied": (403, "Access Denied", "python -m provision policy"),
    "KMS.DisabledException": (400, "arn:aws:kms:… is disabled.", "kms:GenerateDataKey"),
    "PermanentRedirect": (
        400,
        "must be addressed using another endpoint",
        "get-bucket-location",
    ),
    "InvalidObjectState": (403, "not valid for the object's storage class", "restore it"),
    "NotImplemented": (
        501,
        "A header implies functionality",
        "general purpose bucket",
    ),
}


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("operation", ["s3:GetObject", "s3:PutObject"])
def test_what_s3_refuses_is_told_with_what_to_do(
    commands: Commands, rehearsal: Remote, code: str, operation: str
) -> None:
    status, message, advised = REFUSALS[code]
    rehearsal.set_overrides(Override(operation, code=code, message=message, status=status))
    refused = commands.up(*FLAGS)
    assert refused.code == 1
    assert refused.error["code"] == code
    assert WHERE in refused.error["message"]
    assert message.rstrip(".") in refused.error["message"]
    assert advised in refused.error["next"]
    assert not [call for call in changes(rehearsal) if call not in ("PutObject", "CreateBucket")]


def test_another_accounts_bucket_is_refused_before_anything_is_written(
    commands: Commands, bucket: Account, rehearsal: Remote
) -> None:
    """Whoever writes the state decides what is deleted here."""
    rehearsal.set_overrides(ANOTHERS)
    refused = commands.up(*FLAGS)
    assert refused.code == 1
    assert "another account" in refused.error["next"]
    assert keys(bucket) == []


@pytest.mark.parametrize("command", ["up", "plan", "status", "teardown", "timeline"])
def test_a_missing_bucket_is_told_with_the_commands_that_make_it(
    commands: Commands, rehearsal: Remote, command: str
) -> None:
    arguments = ("teardown", "--yes") if command == "teardown" else ("provision", command)
    refused = commands.run(*arguments, "--output", "json", *FLAGS)
    assert refused.code == 1
    assert f"no bucket {BUCKET}" in refused.error["message"]
    for words in (
        "create-bucket", "put-public-access-block", "put-bucket-versioning",
        "put-bucket-encryption", "put-bucket-lifecycle-configuration", "NoncurrentDays",
    ):  # fmt: skip
        assert words in refused.error["next"]
    assert changes(rehearsal) == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "cut off or not JSON"),
        ('{"version": 1, "seri', "cut off or not JSON"),
        ('{"version": 2}', "version 2"),
        ('{"resources": []}', "not a state file"),
    ],
)
def test_a_bad_document_is_told_and_left_as_it_is(
    commands: Commands, bucket: Account, rehearsal: Remote, document: str, words: str
) -> None:
    put(bucket, KEY, document)
    refused = commands.up(*FLAGS)
    assert refused.code == 1
    assert f"{WHERE}: {words}" in refused.error["message"]
    assert text(bucket) == document
    assert changes(rehearsal) == ["CreateBucket", "PutObject"]


# --- bad places -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "s3://", "s3://team-state", "s3://team-state/", "s3://team-state/folder/", "s3:///key",
        "s3://Team_State/key", "s3://-team/key", "s3://10.0.0.1/key", "s3://te/key",
        "s3://team-state//key", "s3://team-state/a/../b", "s3://team-state/state.lock",
        "s3://team-state/*", "s3://team-state/a b", "s3://team-state/ü",
        "s3:team-state/key", "S3://team-state/key", "https://team-state.s3.amazonaws.com/key",
        "arn:aws:s3:::team-state/key", "s3://team-state/{environment}.json", "folder/", "{name",
        "s3://team-state/" + "k" * 1020, " state.json", "state\n.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", ["flag", "key"])
def test_a_bad_place_is_refused_before_anything_is_called(
    commands: Commands, rehearsal: Remote, place: str, by: str
) -> None:
    flags = ("--state", place) if by == "flag" else ("--set", f"state.location={json.dumps(place)}")
    refused = commands.plan(*flags)
    assert refused.code == 2
    assert ("--state" if by == "flag" else "state.location") in refused.error["message"]
    assert repr(place)[:60] in refused.error["message"]
    assert rehearsal.journal() == []


@pytest.mark.parametrize("seconds", ["4", "3601", "1.5", "long"])
def test_a_bad_lease_is_refused(commands: Commands, seconds: str) -> None:
    refused = commands.plan("--set", f"state.lock_lease_seconds={seconds}")
    assert refused.code == 2
    assert "state.lock_lease_seconds" in refused.error["message"]


# --- permissions, doctor --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("bucket")
def test_the_printed_policy_is_enough_and_no_more(commands: Commands, rehearsal: Remote) -> None:
    printed = commands.run("provision", "policy", "--output", "plain", *FLAGS)
    documents = json.loads(printed.stdout)
    documents = documents if isinstance(documents, list) else [documents]
    assert f"--state={STATE}" in printed.stderr
    rehearsal.set_policy(documents)
    assert commands.up(*FLAGS).code == 0
    assert commands.up(*FLAGS, "--set", "function.memory_mib=512").code == 0
    assert commands.run("provision", "doctor", "--output", "json", *FLAGS).code == 0
    assert commands.teardown(*FLAGS).code == 0
    assert not [
        each for each in rehearsal.journal() if each.service == "s3" and each.code in DENIED
    ]
    used = {(grant.action, grant.resource) for grant in rehearsal.used()}
    granted = {
        (action, resource)
        for document in documents
        for statement in document["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
        if action.startswith("s3:")
    }
    assert granted
    assert granted <= used


def findings(commands: Commands) -> list[tuple[str, str]]:
    """What `doctor` says of the bucket: verdict and reason."""
    looked = commands.run("provision", "doctor", "--output", "json", *FLAGS)
    return [
        (each["verdict"], f"{each['reason']} -> {each['next']}")
        for each in looked.of("finding")
        if each["what"] == "state bucket"
    ]


def test_doctor_warns_of_a_bucket_that_is_neither_versioned_nor_closed(
    commands: Commands, bucket: Account, rehearsal: Remote
) -> None:
    first, second = findings(commands)
    assert first[0] == second[0] == "warning"
    assert "is not versioned" in first[1]
    assert "aws s3api put-bucket-versioning" in first[1]
    assert "nothing keeps it from being made public" in second[1]
    assert "aws s3api put-public-access-block" in second[1]

    bucket.s3.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    assert "is public by its access control list" in findings(commands)[1][1]

    bucket.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    bucket.s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(BLOCKED, True)
    )
    assert [verdict for verdict, _ in findings(commands)] == ["good", "good"]

    denied = Override("s3:GetBucketVersioning", code="AccessDenied", message="-", status=403)
    rehearsal.set_overrides(denied)
    first, second = findings(commands)
    assert first[0] == "warning"
    assert "GetBucketVersioning answered AccessDenied" in first[1]
    assert second[0] == "good"


@pytest.mark.usefixtures("bucket")
def test_doctor_says_that_a_bucket_is_another_accounts(
    commands: Commands, rehearsal: Remote
) -> None:
    rehearsal.set_overrides(ANOTHERS)
    ((verdict, reason),) = findings(commands)
    assert verdict == "bad"
    assert "another account" in reason
