"""EC2's and API Gateway's resources: what they ask of AWS, and what they make of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.errors import ProvisionError
from provision.resources.apigateway import Api, Integration
from provision.resources.base import Seen
from provision.resources.ec2 import (
    AvailabilityZones,
    FunctionInterfaces,
    SecurityGroupRules,
)
from tests.support.answers import Answers, refusal
from tests.support.names import NAME, REGION
from tests.support.resources import answering, changes_of, ours, resource, seen_of

GROUP = "sg-proxy"


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# --- what EC2's resources share -------------------------------------------------------------------

DESCRIBED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vpc": (
        "describe_vpcs", "Vpcs",
        {"VpcId": "id-1", "CidrBlock": "10.0.0.0/16", "State": "available"},
    ),
    "subnet-function": (
        "describe_subnets", "Subnets",
        {"SubnetId": "id-1", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", "State": "available",
         "AvailabilityZone": f"{REGION}a"},
    ),
    "security-group-proxy": (
        "describe_security_groups", "SecurityGroups",
        {"GroupId": "id-1", "VpcId": "vpc-1", "GroupName": f"{NAME}-proxy", "Description": "x"},
    ),
}  # fmt: skip
STEPS = sorted(DESCRIBED)


@pytest.mark.parametrize("step", STEPS)
def test_a_recorded_id_is_found_without_its_tags_and_an_administrator_puts_them_back(
    step: str,
) -> None:
    operation, key, item = DESCRIBED[step]

    def listed(**given: Any) -> Any:
        return {key: []} if "Filters" in given else {key: [item]}

    each = resource(step)
    with answering({f"ec2.{operation}": listed}) as aws:
        seen = seen_of(each, aws, id="id-1")
        by_hand = each.for_administrator(aws, seen)
        each.tag(aws, seen, {"team": "blue"})
        each.untag(aws, seen, ["team"])
        assert aws.changes() == [
            ("ec2.create_tags", {"Resources": ["id-1"], "Tags": tag_list({"team": "blue"})}),
            ("ec2.delete_tags", {"Resources": ["id-1"], "Tags": [{"Key": "team"}]}),
        ]
        assert each.find(aws, {}) is None
    assert f"--resources id-1 --tags Key=provision:environment,Value={NAME}" in by_hand
    assert f"Key=provision:step,Value={step}" in by_hand


@pytest.mark.parametrize("step", STEPS)
def test_an_id_that_does_not_exist_is_nothing_and_tags_count_then(step: str) -> None:
    operation, key, item = DESCRIBED[step]
    each = resource(step)
    tagged = [item | {"Tags": tag_list(ours(step))}]

    def listed(**given: Any) -> Any:
        return {key: tagged} if "Filters" in given else refusal(each.missing[0])

    with answering({f"ec2.{operation}": listed}) as aws:
        seen = seen_of(each, aws, id="id-9")
        assert each.for_administrator(aws, seen) == ""
        tagged.clear()
    with answering({f"ec2.{operation}": listed}) as aws:
        assert each.find(aws, {"id": "id-9"}) is None


@pytest.mark.parametrize("step", STEPS)
def test_a_copy_with_our_tags_is_a_rival(step: str) -> None:
    operation, key, item = DESCRIBED[step]
    each = resource(step)
    id_key = each.id_key
    two = [item | {"Tags": tag_list(ours(step)), id_key: number} for number in ("id-1", "id-2")]
    with answering({f"ec2.{operation}": {key: two}}) as aws:
        seen = seen_of(each, aws, id="id-2")
    assert (seen.outputs["id"], seen.rivals) == ("id-2", ("id-1",))


@pytest.mark.parametrize("step", STEPS)
def test_what_does_not_exist_counts_as_deleted(step: str) -> None:
    each = resource(step)
    for code in each.missing:
        answers = dict.fromkeys(
            ("ec2.delete_vpc", "ec2.delete_subnet", "ec2.delete_security_group"), refusal(code)
        )
        with answering(answers) as aws:
            each.delete(aws, Seen({"id": "id-1"}))
            ((call, given),) = aws.changes()
        assert (call in answers, list(given.values())) == (True, ["id-1"])


# --- zones ----------------------------------------------------------------------------------------


def zones(**fields: Any) -> AvailabilityZones:
    found: AvailabilityZones = resource("availability-zones", **fields)
    return found


def offers(open_: list[str], offering: list[str] | None, classes: tuple[str, ...] = ()) -> Answers:
    """EC2's open zones, and those in which RDS offers the class; `None`: it does not."""

    def orderable(**given: Any) -> Any:
        if "DBInstanceClass" not in given:
            return {"OrderableDBInstanceOptions": [{"DBInstanceClass": each} for each in classes]}
        listed = [{"AvailabilityZones": [{"Name": each} for each in offering or ()]}]
        return {"OrderableDBInstanceOptions": [] if offering is None else listed}

    kinds = {"z": "local-zone"}
    return {
        "ec2.describe_availability_zones": {
            "AvailabilityZones": [
                {
                    "ZoneName": each,
                    "ZoneId": "use1-az3" if each == "no-proxy" else each,
                    "ZoneType": kinds.get(each[:1], "availability-zone"),
                }
                for each in open_
            ]
        },
        "rds.describe_orderable_db_instance_options": orderable,
    }


def test_two_zones_are_chosen_that_are_open_and_offer_the_class() -> None:
    answers = offers(["d", "no-proxy", "c", "z-local", "b", "a"], ["no-proxy", "z-local", "b", "d"])
    with answering(answers) as aws:
        assert zones().look_up(aws) == {"first": "b", "second": "d"}
        assert zones().find(aws, {}) is None
        assert zones().find(aws, {"first": "b"}) is not None
    with answering(offers(["a", "b", "c"], None)) as aws:  # RDS lists no offers at all
        assert zones().look_up(aws) == {"first": "a", "second": "b"}


@pytest.mark.parametrize(
    ("wanted", "offering", "words"),
    [
        ((), ["a"], "are available in the zones a of"),
        ((), [], "are available in the zones none of"),
        (("a", "c"), ["a", "b"], "network.availability_zones names c"),
    ],
)
def test_too_few_zones_are_refused_before_anything_is_made(
    wanted: tuple[str, ...], offering: list[str], words: str
) -> None:
    with answering(offers(["a", "b", "c"], offering)) as aws:
        with pytest.raises(ProvisionError, match=words) as caught:
            zones(wanted=wanted).look_up(aws)
        assert aws.changes() == []
    assert "Nothing was created." in caught.value.next_step


def test_a_class_that_the_region_does_not_offer_is_refused_with_those_that_it_does() -> None:
    with (
        answering(offers(["a", "b"], None, ("db.r6g.large", "db.m6g.large"))) as aws,
        pytest.raises(ProvisionError, match=r"'db\.t4g\.micro': not offered in") as caught,
    ):
        zones().look_up(aws)
    assert "RDS offers db.m6g.large, db.r6g.large." in caught.value.next_step


# --- rules ----------------------------------------------------------------------------------------


def rules() -> SecurityGroupRules:
    found: SecurityGroupRules = resource("rules-proxy")
    return found


def rule(number: str, peer: str, *, egress: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "SecurityGroupRuleId": number,
        "GroupId": GROUP,
        "IsEgress": egress,
        "IpProtocol": "tcp",
        "FromPort": 3306,
        "ToPort": 3306,
        "ReferencedGroupInfo": {"GroupId": peer},
        "Tags": tag_list(ours("rules-proxy")),
        **more,
    }


IN, OUT = rule("in", "sg-function"), rule("out", "sg-database", egress=True)
WIDE: dict[str, Any] = {
    "ReferencedGroupInfo": {},
    "IpProtocol": "-1",
    "FromPort": -1,
    "ToPort": -1,
    "Tags": [],
}
ALL_V4 = rule("v4", "", egress=True, **WIDE, CidrIpv4="0.0.0.0/0")
ALL_V6 = rule("v6", "", **WIDE, CidrIpv6="::/0")
LIST = rule("list", "", **{**WIDE, "FromPort": 1, "ToPort": 9}, PrefixListId="pl-1")


def listed(*found: dict[str, Any]) -> Answers:
    return {"ec2.describe_security_group_rules": {"SecurityGroupRules": list(found)}}


def test_missing_rules_are_authorized_and_only_then_others_revoked() -> None:
    with answering(listed(IN, ALL_V4, ALL_V6, LIST)) as aws:
        seen = seen_of(rules(), aws)
        changes = changes_of(rules(), aws, seen)
        assert changes["Egress"].is_ == ["-1 all 0.0.0.0/0"]
        assert changes["Ingress"].is_ == ["-1 1-9 pl-1", "-1 all ::/0", "tcp 3306 sg-function"]
        rules().update(aws, seen, changes)
        calls = aws.changes()
    assert [(call, given.get("SecurityGroupRuleIds")) for call, given in calls] == [
        ("ec2.authorize_security_group_egress", None),
        ("ec2.revoke_security_group_egress", ["v4"]),
        ("ec2.revoke_security_group_ingress", ["v6"]),
        ("ec2.revoke_security_group_ingress", ["list"]),
    ]
    (permission,) = calls[0][1]["IpPermissions"]
    assert permission["UserIdGroupPairs"] == [{"GroupId": "sg-database"}]
    (specification,) = calls[0][1]["TagSpecifications"]
    assert specification["ResourceType"] == "security-group-rule"


def test_what_somebody_else_did_at_the_same_time_counts_as_done() -> None:
    answers = {
        **listed(OUT, ALL_V6),
        "ec2.authorize_security_group_ingress": refusal("InvalidPermission.Duplicate"),
        "ec2.revoke_security_group_ingress": refusal("InvalidSecurityGroupRuleId.NotFound"),
    }
    with answering(answers) as aws:
        assert rules().create(aws) == {"group_id": GROUP}
        assert len(aws.changes()) == 2


def test_all_rules_of_the_group_are_taken_away() -> None:
    with answering(listed(IN, OUT)) as aws:
        rules().delete(aws, Seen({}))
        assert [given["SecurityGroupRuleIds"] for _, given in aws.changes()] == [["in"], ["out"]]
    with answering(listed(ALL_V4)) as aws:  # none is ours: the step is still to be done
        assert rules().find(aws, {}) is None
    with answering({"ec2.describe_security_group_rules": refusal("InvalidGroup.NotFound")}) as aws:
        assert rules().find(aws, {}) is None


def test_only_the_expiry_of_our_rules_is_compared_and_put_right() -> None:
    with answering(listed(IN, OUT, ALL_V4)) as aws:
        aws.expires = "2026-01-01T00:00:00Z"
        seen = seen_of(rules(), aws)
        change = changes_of(rules(), aws, seen)["Tags.provision:expires"]
        assert (change.is_, change.should) == (None, aws.expires)
        rules().tag(aws, seen, {"provision:expires": aws.expires})
        rules().untag(aws, seen, ["provision:expires"])
        assert [given["Resources"] for _, given in aws.changes()] == [["in", "out"]] * 2
        aws.expiry_kept_at = "rules-proxy"
        assert "Tags.provision:expires" not in changes_of(rules(), aws, seen)


@pytest.mark.parametrize(
    ("answer", "helps"),
    [
        ({"SecurityGroups": [{"Tags": []}]}, True),
        ({"SecurityGroups": [{"Tags": tag_list(ours("security-group-proxy"))}]}, False),
        (refusal("UnauthorizedOperation"), False),
    ],
)
def test_the_groups_tags_decide_about_its_rules(answer: Any, helps: bool) -> None:
    with answering({"ec2.describe_security_groups": answer}) as aws:
        by_hand = rules().for_administrator(aws, Seen({}))
    assert (f"--resources {GROUP} --tags" in by_hand) is helps
    assert bool(by_hand) is helps


# --- the functions' interfaces --------------------------------------------------------------------


def interfaces() -> FunctionInterfaces:
    found: FunctionInterfaces = resource("function-interfaces")
    return found


def held(*statuses: str) -> Answers:
    found = [
        {
            "NetworkInterfaceId": f"eni-{number}",
            "Status": status,
            "Description": "AWS Lambda VPC ENI-x",
        }
        for number, status in enumerate(statuses)
    ]
    others = {"NetworkInterfaceId": "eni-9", "Status": "in-use", "Description": "theirs"}
    return {"ec2.describe_network_interfaces": {"NetworkInterfaces": [*found, others]}}


def test_only_interfaces_that_lambda_has_left_are_deleted() -> None:
    with answering(held("in-use", "available")) as aws:
        seen = seen_of(interfaces(), aws)
        assert (seen.status, seen.outputs["ids"]) == ("in-use", "eni-0 eni-1")
        assert interfaces().deletable(seen)
        interfaces().delete(aws, seen)
        assert aws.changes() == [("ec2.delete_network_interface", {"NetworkInterfaceId": "eni-1"})]
    with answering(held("available")) as aws:
        assert seen_of(interfaces(), aws).status == "available"
    with answering(held()) as aws:
        assert interfaces().find(aws, {}) is None


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("InvalidNetworkInterfaceID.NotFound", True),
        ("InvalidNetworkInterface.InUse", True),
        ("InvalidParameterValue", True),
        ("OperationNotPermitted", True),
        ("AuthFailure", True),
        ("UnauthorizedOperation", False),
    ],
)
def test_an_interface_that_is_held_after_all_is_left_to_the_next_look(
    code: str, passes: bool
) -> None:
    answers = {**held("available"), "ec2.delete_network_interface": refusal(code)}
    with answering(answers) as aws:
        if passes:
            interfaces().delete(aws, Seen({}))
        else:
            with pytest.raises(ClientError, match=code):
                interfaces().delete(aws, Seen({}))


# --- API Gateway ----------------------------------------------------------------------------------


def api() -> Api:
    found: Api = resource("api")
    return found


def found_api(number: str = "api-1", name: str = NAME, **more: Any) -> dict[str, Any]:
    return {
        "ApiId": number,
        "ApiEndpoint": f"https://{number}.example",
        "Name": name,
        "ProtocolType": "HTTP",
        "Description": api().description,
        "Tags": {"Name": NAME, **ours("api")},
        **more,
    }


def apis(*found: dict[str, Any]) -> Answers:
    return {"apigatewayv2.get_apis": {"Items": list(found)}}


def test_an_api_that_was_renamed_or_closed_is_put_right() -> None:
    changed = found_api(name="renamed", DisableExecuteApiEndpoint=True)
    with answering(apis(found_api("api-2", "theirs", Tags={}), changed)) as aws:
        seen = seen_of(api(), aws)
        changes = changes_of(api(), aws, seen)
        assert set(changes) == {"Name", "DisableExecuteApiEndpoint"}
        api().update(aws, seen, changes)
        ((call, given),) = aws.changes()
    assert call == "apigatewayv2.update_api"
    assert given == {
        "ApiId": "api-1",
        "Name": NAME,
        "Description": api().description,
        "DisableExecuteApiEndpoint": False,
    }
    with answering(apis()) as aws:
        assert api().find(aws, {}) is None


def test_another_api_with_our_tags_is_a_rival() -> None:
    with answering(apis(found_api(), found_api("api-2"))) as aws:
        assert seen_of(api(), aws, id="api-2").rivals == ("api-1",)


def test_an_api_that_lost_its_tag_is_for_an_administrator() -> None:
    arn = f"arn:aws:apigateway:{REGION}::/apis/api-1"
    with answering(apis(found_api(Tags={"team": "red"}))) as aws:
        seen = seen_of(api(), aws, id="api-1")
        by_hand = api().for_administrator(aws, seen)
        assert f"--resource-arn {arn}" in by_hand
        assert f'"provision:environment":"{NAME}"' in by_hand
        api().tag(aws, seen, {"team": "blue"})
        api().untag(aws, seen, ["team"])
        tagged, untagged = aws.changes()
    assert tagged[1]["ResourceArn"] == untagged[1]["ResourceArn"] == arn
    assert set(tagged[1]["Tags"]) == {"Name", "provision:environment", "provision:step", "team"}
    with answering(apis(found_api())) as aws:
        assert api().for_administrator(aws, seen_of(api(), aws)) == ""


def test_the_stage_is_throttled_again_and_its_tags_are_put_back() -> None:
    stage = resource("stage")
    loose = {"AutoDeploy": False, "Tags": ours("stage")}
    with answering({"apigatewayv2.get_stage": loose}) as aws:
        seen = seen_of(stage, aws)
        changes = changes_of(stage, aws, seen)
        assert {"AutoDeploy", "ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(changes)
        stage.update(aws, seen, changes)
        stage.tag(aws, seen, {"team": "blue"})
        stage.untag(aws, seen, ["team"])
        updated, tagged, untagged = aws.changes()
        assert stage.owned(aws, seen, {})
    assert updated[1]["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": stage.throttle_rate, "ThrottlingBurstLimit": stage.throttle_burst,
    }  # fmt: skip
    assert tagged[1]["ResourceArn"].endswith("/apis/api-1/stages/$default")
    assert untagged[1]["TagKeys"] == ["team"]


def test_an_integration_is_found_by_its_mark_or_its_recorded_id_and_put_right() -> None:
    integration: Integration = resource("integration-iam")
    mark = f"provision:environment={NAME} provision:step=integration-iam"
    items = [
        {"IntegrationId": "theirs", "Description": "x"},
        {"IntegrationId": "marked", "Description": mark},
        {"IntegrationId": "recorded", "Description": ""},
    ]
    with answering({"apigatewayv2.get_integrations": {"Items": items}}) as aws:
        assert seen_of(integration, aws).outputs["id"] == "marked"
        seen = seen_of(integration, aws, id="recorded")
        assert seen.outputs["id"] == "recorded"
        integration.update(aws, seen, changes_of(integration, aws, seen))
        ((call, given),) = aws.changes()
    assert call == "apigatewayv2.update_integration"
    assert given["IntegrationUri"] == integration.function_arn
    assert given["Description"] == mark


def test_a_route_that_points_elsewhere_or_wants_a_login_is_put_right() -> None:
    route = resource("route-func2")
    item = {
        "RouteId": "r-1", "RouteKey": "GET /func2", "Target": "integrations/other",
        "AuthorizationType": "AWS_IAM",
    }  # fmt: skip
    with answering({"apigatewayv2.get_routes": {"Items": [item]}}) as aws:
        seen = seen_of(route, aws)
        changes = changes_of(route, aws, seen)
        assert set(changes) == {"Target", "AuthorizationType"}
        route.update(aws, seen, changes)
        ((call, given),) = aws.changes()
    assert (call, given["RouteId"]) == ("apigatewayv2.update_route", "r-1")
    assert (given["Target"], given["AuthorizationType"]) == ("integrations/int-1", "NONE")


@pytest.mark.parametrize("step", ["api", "stage", "integration-iam", "route-func2"])
def test_what_api_gateway_does_not_find_is_nothing_and_counts_as_deleted(step: str) -> None:
    each = resource(step)
    operations = (
        "delete_api", "delete_stage", "delete_integration", "delete_route",
        "get_stage", "get_integrations", "get_routes",
    )  # fmt: skip
    missing = {f"apigatewayv2.{each}": refusal("NotFoundException") for each in operations}
    with answering(missing) as aws:
        assert each.find(aws, {}) is None
        each.delete(aws, Seen({"id": "x"}))
        assert len(aws.changes()) == 1
