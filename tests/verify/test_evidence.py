"""What is read when a login does not work, and when a cause is certain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from provision.config import Config
from provision.engine.plan import Action, Plan, Planned
from provision.environment import environment
from provision.errors import AwsAnswer, AwsCallError, CredentialsError, Interrupted
from provision.resources.base import Change, Seen
from provision.verify import diagnosis
from provision.verify.diagnosis import Cause, Diagnosis, weak_settings
from provision.verify.diagnosis.evidence import Evidence, gather
from provision.verify.http_client import LOGIN_ROUTES, Answer, FunctionError, LoginRoute
from tests.support.answers import AnsweringAws, Answers, refusal
from tests.support.names import NAME
from tests.support.resources import answering

TEMPLATE = environment(Config(), packed=False)
BY_NAME = {route.name: route for route in LOGIN_ROUTES}
IAM, PASSWORD = BY_NAME["func2"], BY_NAME["func1"]
DENIED = AwsCallError("vpc", AwsAnswer("DescribeVpcs", "UnauthorizedOperation", "no"))


def run_of(aws: AnsweringAws, plan: Callable[[], Plan]) -> Any:
    """A run of which evidence needs no more."""
    return SimpleNamespace(aws=aws, template=TEMPLATE, plan=plan)


def nothing() -> Plan:
    """A plan of an environment of which nothing exists."""
    return Plan(tuple(Planned(each, Action.CREATE) for each in TEMPLATE))


def denied() -> Plan:
    raise DENIED


def evidence(answers: Answers, plan: Callable[[], Plan] = nothing) -> dict[LoginRoute, Evidence]:
    failing: dict[LoginRoute, Answer | None] = {
        IAM: Answer(500, error=FunctionError("OperationalError", "")),
        PASSWORD: None,
    }
    with answering(answers) as aws:
        return gather(run_of(aws, plan), failing, since=100.0)


def logs(**by_group: list[str]) -> Answers:
    """Log groups with these lines; each is asked for what is newer than 100 seconds."""
    names = {
        f"/aws/lambda/{NAME}-iam": "function",
        f"/aws/rds/proxy/{NAME}-iam": "proxy",
    }

    def lines(logGroupName: str, startTime: int) -> Any:  # noqa: N803
        assert startTime == 100_000
        said = by_group.get(names.get(logGroupName, ""), [])
        events = [{"timestamp": n, "message": each} for n, each in enumerate(said)]
        return {"events": events[::-1]}

    return {"logs.filter_log_events": lines}


def test_evidence_is_every_step_and_the_logs_of_function_and_proxy() -> None:
    found = evidence(
        logs(
            function=["START", "[ERROR] OperationalError: 1045 (28000): Access denied"],
            proxy=["all is well", "authentication failed for user testdb", "later"],
        )
    )
    assert set(found) == {IAM, PASSWORD}
    iam = found[IAM]
    assert iam.missing(TEMPLATE.vpc)
    assert iam.problem == ""
    assert "authentication failed" in iam.proxy_said
    assert iam.logged is not None
    assert "Access denied" in iam.logged.message
    assert (found[PASSWORD].logged, found[PASSWORD].proxy_said) == (None, "")
    assert found[PASSWORD].answered == "not called"


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_log_that_cannot_be_read_is_no_need(code: str) -> None:
    found = evidence({"logs.filter_log_events": refusal(code, "FilterLogEvents")})
    assert found[IAM].logged is None
    assert found[IAM].proxy_said == ""


def test_why_aws_cannot_be_read_is_evidence_too() -> None:
    found = evidence({}, denied)
    assert found[IAM].problem == DENIED.message
    assert found[IAM].steps == {}
    assert found[IAM].name(TEMPLATE.vpc) == "vpc"


@pytest.mark.parametrize("error", [Interrupted("stop"), CredentialsError("expired")])
def test_what_ends_the_command_is_raised(error: Exception) -> None:
    def ends() -> Plan:
        raise error

    with pytest.raises(type(error)):
        evidence({}, ends)
    expired = {"logs.filter_log_events": refusal("ExpiredToken", "FilterLogEvents")}
    with pytest.raises(CredentialsError):
        evidence(expired)


def test_rules_that_are_not_ours_are_looked_at_for_what_they_let_through() -> None:
    rule = {
        "SecurityGroupRuleId": "sgr-1", "GroupId": "sg-1", "IsEgress": False, "IpProtocol": "-1",
        "FromPort": -1, "ToPort": -1, "CidrIpv4": "0.0.0.0/0",
    }  # fmt: skip
    group, rules = TEMPLATE.security_groups["proxy"], TEMPLATE.rules["proxy"]

    def plan() -> Plan:
        there = Planned(group, Action.NONE, Seen({"id": "sg-1"}))
        return Plan((there, Planned(rules, Action.CREATE)))

    listed = {"ec2.describe_security_group_rules": {"SecurityGroupRules": [rule]}}
    found = evidence(listed, plan)[IAM]
    assert found.is_(rules, "Ingress") == ["-1 all 0.0.0.0/0"]


# --- certainty ------------------------------------------------------------------------------------

CAUSE = Cause("no such thing", "it was deleted", "make it again")


def examined(*causes: Cause) -> Diagnosis:
    """A diagnosis of the IAM login that found these causes, one after another."""
    with answering() as aws:
        found = Diagnosis(run_of(aws, nothing), since=0.0)
        for cause in causes:
            with (
                mock.patch.object(diagnosis, "cause_of", return_value=cause),
                mock.patch.object(diagnosis, "gather", return_value={IAM: None}),
            ):
                found.examine({IAM: None})
        return found


def test_a_cause_is_certain_when_it_was_found_twice_in_a_row() -> None:
    other = replace(CAUSE, kind="another")
    assert not examined().certain(IAM)
    assert not examined(CAUSE).certain(IAM)
    assert examined(CAUSE, CAUSE).certain(IAM)
    assert not examined(CAUSE, other).certain(IAM)
    assert examined(CAUSE, other, other).certain(IAM)
    assert not examined(*[replace(CAUSE, certain=False)] * 2).certain(IAM)
    assert examined(CAUSE).causes == {IAM: CAUSE}
    assert not examined(CAUSE, CAUSE).certain(PASSWORD)


# --- a login that works, and should not like that -------------------------------------------------


def weak(differences: list[Change], there: bool = True) -> Cause | None:
    proxy = TEMPLATE.proxies["iam"]
    seen = Seen({"proxy": proxy.name}, {"RequireTLS": False}) if there else None
    with (
        answering() as aws,
        mock.patch.object(type(proxy), "find", return_value=seen),
        mock.patch.object(type(proxy), "differences", return_value=differences),
    ):
        return weak_settings(run_of(aws, nothing))


def test_a_proxy_that_takes_logins_without_tls_is_named_though_they_work() -> None:
    cause = weak([Change("RequireTLS", False, True)])
    assert cause is not None
    assert "TLS" in str(cause)
    assert weak([]) is None
    assert weak([], there=False) is None
