"""Links to the AWS Management Console: of each kind, in each partition."""

from __future__ import annotations

import pytest

from provision.aws.console import console_url


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
        ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_the_host_is_the_partitions(region: str, host: str) -> None:
    url = console_url("AWS::EC2::VPC", "vpc-1", {}, region)
    assert url == f"https://{host}/vpcconsole/home?region={region}#VpcDetails:VpcId=vpc-1"


@pytest.mark.parametrize(
    ("kind", "identity", "fields", "region"),
    [
        ("AWS::EC2::VPC", "vpc-1", {}, "us-iso-east-1"),  # no public console
        ("AWS::EC2::VPC", "", {}, "eu-west-1"),
        ("AWS::EC2::VPC", "${vpc.id}", {}, "eu-west-1"),
        ("AWS::ApiGatewayV2::Stage", "", {"api_id": "${api.id}"}, "eu-west-1"),
        ("AWS::ApiGatewayV2::Stage", "$default", {}, "eu-west-1"),
        ("AWS::EC2::NetworkInterface", "eni-1", {}, "eu-west-1"),
    ],
)
def test_what_has_no_page_has_no_link(
    kind: str, identity: str, fields: dict[str, str], region: str
) -> None:
    assert console_url(kind, identity, fields, region) == ""


def test_a_log_group_is_quoted_as_cloudwatch_wants_it() -> None:
    url = console_url("AWS::Logs::LogGroup", "/aws/lambda/x", {}, "eu-west-1")
    assert url.endswith("#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fx")


def test_nothing_in_a_name_leaves_its_place() -> None:
    url = console_url("AWS::RDS::DBInstance", 'x&y#z/"><', {}, "eu-west-1")
    assert url.endswith("#database:id=x%26y%23z%2F%22%3E%3C;is-cluster=false")
