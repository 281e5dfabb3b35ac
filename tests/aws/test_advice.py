"""What to do about an error: by its code, its message, the region, the clock, and who calls."""

from __future__ import annotations

import re

import botocore.session
import pytest

from provision.aws import advice
from provision.aws.advice import CallContext, Trouble, advise
from provision.aws.regions import ALWAYS_ENABLED, off_by_default, partition_of
from provision.errors import AwsAnswer
from provision.rehearsal import Override, Remote
from provision.waiting.transient_errors import TABLE
from tests.support.commands import Commands

POLICY = "`python -m provision policy`"
AGAIN = "run the same command again"
HOME = CallContext("EC2", "eu-west-1", "env")


def told(commands: Commands, rehearsal: Remote, operation: str, code: str, **more: str) -> str:
    """What `plan` says to do when AWS answers so."""
    message = more.pop("message", "No.")
    rehearsal.set_overrides(Override(operation, code=code, message=message, status=403))
    flags = [word for name, text in more.items() for word in (f"--{name}", text)]
    result = commands.run("provision", "plan", "--output", "json", *flags)
    assert result.code == 1, result
    assert code in result.error["message"]
    assert message in result.error["message"]
    next_step: str = result.error["next"]
    return next_step


# --- regions --------------------------------------------------------------------------------------

NOT_ENABLED = [
    ("sts:*", "InvalidClientTokenId", "The security token included in the request is invalid."),
    ("sts:*", "RegionDisabledException", "STS is not activated in this region"),
    ("ec2:*", "AuthFailure", "AWS was not able to validate the provided access credentials"),
    ("ec2:*", "OptInRequired", "You are not subscribed to this service."),
    ("lambda:*", "UnrecognizedClientException", "The security token included ... is invalid."),
    ("secretsmanager:*", "UnrecognizedClientException", "The security token ... is invalid."),
    ("rds:*", "InvalidClientTokenId", "The security token included in the request is invalid"),
]


@pytest.mark.parametrize(("operation", "code", "message"), NOT_ENABLED)
def test_a_region_that_is_off_by_default_is_named_and_nobody_is_told_to_log_in_again(
    commands: Commands, rehearsal: Remote, operation: str, code: str, message: str
) -> None:
    next_step = told(commands, rehearsal, operation, code, message=message, region="ap-east-1")
    assert "ap-east-1" in next_step
    assert "enable" in next_step
    assert "Log in again" not in next_step
    assert POLICY not in next_step


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "cn-north-1"])
def test_a_region_that_every_account_has_is_not_blamed(
    commands: Commands, rehearsal: Remote, region: str
) -> None:
    words = "The security token included in the request is invalid."
    next_step = told(
        commands, rehearsal, "sts:*", "InvalidClientTokenId", message=words, region=region
    )
    assert "enable" not in next_step
    assert "AWS does not know the keys in the environment" in next_step


def test_a_new_region_counts_as_off_by_default() -> None:
    assert off_by_default("ap-southeast-9")
    assert not any(map(off_by_default, ALWAYS_ENABLED))


def test_partitions_are_botocores() -> None:
    session = botocore.session.Session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("ec2", partition):
            assert partition_of(region) == partition


# --- the clock ------------------------------------------------------------------------------------

LATE = "Signature expired: 20261126T100000Z is now earlier than 20261126T130000Z (20261126T130500Z"


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ("sts:*", "SignatureDoesNotMatch", f"{LATE} - 5 min.)"),
        ("lambda:*", "InvalidSignatureException", f"{LATE} - 5 min.)"),
        ("ec2:*", "RequestExpired", "Request has expired."),
        ("ec2:*", "AuthFailure", "AWS was not able to validate the provided access credentials"),
        ("sts:*", "RequestTimeTooSkewed", "The difference between the request time and ..."),
    ],
)
def test_a_clock_that_is_behind_is_said_with_by_how_much(
    commands: Commands, rehearsal: Remote, operation: str, code: str, message: str
) -> None:
    rehearsal.advance(3 * 3600)  # AWS's date, and not ours
    next_step = told(commands, rehearsal, operation, code, message=message)
    assert re.search(r"clock is 3 h \d+ min behind AWS's, where it is \d{4}-\d\d-\d\d", next_step)
    assert "timedatectl" in next_step
    assert "og in again" not in next_step


def test_the_times_in_the_message_count_where_there_is_no_date() -> None:
    answer = AwsAnswer("X", "SignatureDoesNotMatch", f"{LATE} - 5 min.)", 403)
    found = advise(answer, HOME)
    assert found.cause is Trouble.CLOCK
    assert "3 h 5 min behind AWS's" in found.next_step
    ahead = "Signature not yet current: 20261126T130000Z is still later than 20261124T100500Z "
    ahead += "(20261124T100000Z + 5 min.)"
    answer = AwsAnswer("X", "InvalidSignatureException", ahead, 403)
    assert "2 d 3 h ahead of AWS's" in advise(answer, HOME).next_step


def test_a_clock_that_is_right_is_not_blamed(commands: Commands, rehearsal: Remote) -> None:
    words = "The request signature we calculated does not match the signature you provided."
    next_step = told(commands, rehearsal, "sts:*", "SignatureDoesNotMatch", message=words)
    assert "clock" not in next_step
    assert "AWS_SECRET_ACCESS_KEY does not match AWS_ACCESS_KEY_ID" in next_step


# --- accounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("OptInRequired", "not signed up for the service EC2"),
        ("SubscriptionRequiredException", "not signed up for the service EC2"),
        ("PendingVerification", "wait for its e-mail"),
        ("Blocked", "AWS has blocked the account"),
    ],
)
def test_an_account_that_is_not_signed_up(
    commands: Commands, rehearsal: Remote, code: str, words: str
) -> None:
    next_step = told(commands, rehearsal, "ec2:*", code)
    assert words in next_step
    assert "region" not in next_step
    assert POLICY not in next_step


# --- denials --------------------------------------------------------------------------------------

ACTION = "User: arn:aws:iam::1:user/x is not authorized to perform: ec2:DescribeVpcs"
# What AWS says denied it; what helps; whether the caller's own policy is part of that.
DENIALS = [
    ("with an explicit deny in a service control policy", "organisation", False),
    ("because no service control policy allows the ec2:DescribeVpcs action", "organisation", False),
    ("with an explicit deny in a resource control policy", "organisation", False),
    ("because no resource control policy allows the ... action", "organisation", False),
    ("with an explicit deny in a permissions boundary", "boundary", True),
    ("because no permissions boundary allows the ec2:DescribeVpcs action", "boundary", True),
    ("with an explicit deny in a session policy", "session", True),
    ("because no session policy allows the ec2:DescribeVpcs action", "session", True),
    ("with an explicit deny in a VPC endpoint policy", "VPC endpoint", False),
    ("because no VPC endpoint policy allows the ec2:DescribeVpcs action", "VPC endpoint", False),
    ("with an explicit deny in an identity-based policy", "explicitly", False),
    ("with an explicit deny in a resource-based policy", "resource's own policy", False),
    ("because no resource-based policy allows the action", "resource's own policy", False),
    ("with an explicit deny", "explicitly", False),
    ("because no identity-based policy allows the ec2:DescribeVpcs action", "may not", True),
    ("", "may not", True),
]


@pytest.mark.parametrize("by", [DENIALS[0][0], DENIALS[5][0], DENIALS[-2][0]])
def test_a_denial_says_what_helps(commands: Commands, rehearsal: Remote, by: str) -> None:
    code, message = "UnauthorizedOperation", f"{ACTION} {by}"
    next_step = told(commands, rehearsal, "ec2:DescribeVpcs", code, message=message)
    (words,) = (words for each, words, _ in DENIALS if each == by)
    assert words in next_step


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"])
@pytest.mark.parametrize(("by", "words", "policy"), DENIALS, ids=[by for by, *_ in DENIALS])
def test_who_denied_decides_what_helps(by: str, words: str, policy: bool, code: str) -> None:
    next_step = advise(AwsAnswer("X", code, f"{ACTION} {by}".strip(), 403), HOME).next_step
    assert words in next_step
    assert (POLICY in next_step) is policy
    assert AGAIN not in next_step


def test_an_encoded_reason_comes_with_the_command_that_decodes_it() -> None:
    message = f"{ACTION}. Encoded authorization failure message: Abc_123-x"
    found = advise(AwsAnswer("RunIt", "UnauthorizedOperation", message, 403), HOME)
    assert "aws sts decode-authorization-message --encoded-message Abc_123-x" in found.next_step


def test_an_interface_of_another_service_is_not_about_the_caller() -> None:
    words = "You do not have permission to access the specified resource."
    found = advise(AwsAnswer("DeleteNetworkInterface", "AuthFailure", words, 400), HOME)
    assert found.cause is Trouble.DENIED
    assert "belongs to an AWS service or to another account" in found.next_step


# --- every error that the tables know -------------------------------------------------------------


def samples(pattern: str) -> set[str]:
    """Some texts that a pattern of the table matches: each alternative, options left out and in."""
    texts = set()
    for each in pattern.split("|"):
        bare = re.sub(r"\((\w+)\)\?", "", each)
        for text in (bare, re.sub(r"\((\w+)\)\?", r"\1", each)):
            texts.add(text.replace(r"\.", ".").replace(".*", "X").strip("()?"))
    return texts


TRANSIENT = [
    AwsAnswer(operation, code, row.words or "words", 400)
    for row in TABLE
    for operation in samples(row.operation)
    for code in samples(row.code)
]
CALLERS = [
    AwsAnswer("DescribeVpcs", code, "words of AWS, credentials", 403)
    for code in sorted(advice.BAD_CREDENTIALS | advice.NOT_SIGNED_UP)
]
REFUSED = [
    AwsAnswer(operation, code, f"words {by}", 403)
    for operation in ("CreateRole", "PublishLayerVersion", "DeleteVpc", "GetSecretValue")
    for code in sorted(advice.DENIED)
    for by, *_ in DENIALS
]
OTHERS = [
    AwsAnswer("CreateX", code, "words", status)
    for code, status in [
        *((each, 400) for each in sorted(advice.THROTTLED | advice.CAPACITY)),
        *((f"Vpc{each}", 400) for each in advice.QUOTAS),
        ("InternalFailure", 500),
        ("Whatever", 400),
    ]
]
KNOWN = [*TRANSIENT, *CALLERS, *REFUSED, *OTHERS]


@pytest.mark.parametrize("region", ["eu-west-1", "ap-east-1", "us-gov-west-1"])
@pytest.mark.parametrize("method", ["", "unheard-of", *advice.RENEWALS])
def test_advice_is_possible_for_every_error_that_the_tables_know(region: str, method: str) -> None:
    caller = CallContext("EC2", region, method, "work")
    for answer in KNOWN:
        found = advise(answer, caller)
        words = found.next_step
        assert "  " not in words
        assert "{" not in words
        # Nothing but a denial is helped by a policy, and nothing but credentials by logging in.
        assert POLICY not in words or found.cause is Trouble.DENIED, answer
        who = (Trouble.KEYS, Trouble.EXPIRED, Trouble.REGION)
        assert "og in" not in words or found.cause in who, answer
        # A command of ours that this error has nothing to do with; tags are what only some have.
        assert not re.search(r"--replace|--reset-password|\btags?\b", words), answer
        # Doing the same again helps only where something outside of the run changes.
        may_pass = {
            *who,
            Trouble.CLOCK,
            Trouble.ACCOUNT,
            Trouble.THROTTLED,
            Trouble.AWS,
            Trouble.QUOTA,
        }
        assert AGAIN not in words or found.cause in may_pass | {Trouble.CAPACITY}, answer
        # A region that every account has is never to be enabled.
        assert "enable-region" not in words or region == "ap-east-1", answer
        assert found.cause is Trouble.OTHER or words, answer


def test_no_transient_error_is_taken_for_a_fault_of_the_caller() -> None:
    for answer in TRANSIENT:
        assert advise(answer, HOME).cause in (Trouble.OTHER, Trouble.THROTTLED), answer
