"""Functions, the layer and log groups: what they ask of AWS, and what they make of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.packaging.zips import Package, code_sha256
from provision.resources.base import Change, Seen
from provision.resources.lambda_ import Function, LayerVersion
from provision.resources.logs import LogGroup
from provision.resources.ownership import Owner
from provision.waiting.poll import Verdict
from tests.support.answers import Answers, refusal
from tests.support.names import ACCOUNT, NAME, REGION
from tests.support.resources import answering, changes_of, ours, resource, seen_of

NOT_FOUND = "ResourceNotFoundException"
PACKAGE = Package(sha256=code_sha256(b"zip"), build=lambda: b"zip")
RIGHT = PACKAGE.sha256
MARK = f"provision:environment={NAME} "


# --- the layer ------------------------------------------------------------------------------------


def layer() -> LayerVersion:
    found: LayerVersion = resource("layer", package=PACKAGE)
    return found


def version(number: int, description: str = f"{MARK}sha256={RIGHT}", **more: Any) -> dict[str, Any]:
    return {
        "Version": number,
        "LayerVersionArn": f"arn:layer:{number}",
        "Description": description,
        "CompatibleRuntimes": sorted(layer().runtimes),
        **more,
    }


def versions(*found: dict[str, Any], sha256: str = RIGHT) -> Answers:
    published = {"LayerVersionArn": "arn:layer:9", "Version": 9, "Content": {"CodeSha256": RIGHT}}
    return {
        "lambda.list_layer_versions": {"LayerVersions": list(found)},
        "lambda.get_layer_version": {"Content": {"CodeSha256": sha256}},
        "lambda.publish_layer_version": published,
    }


def test_of_ours_the_newest_counts_and_older_ones_are_deleted() -> None:
    theirs = version(7, "theirs", CreatedDate="2026-01-01")
    with answering(versions(version(3), version(10), version(2), theirs)) as aws:
        seen = seen_of(layer(), aws)
        assert seen.outputs["version"] == "10"
        changes = changes_of(layer(), aws, seen)
        assert changes["OlderVersions"].is_ == [3, 2]
        layer().update(aws, seen, changes)
        assert [given["VersionNumber"] for _, given in aws.changes()] == [3, 2]
        (kept,) = layer().kept(seen)
    assert "somebody published version 7 (theirs, 2026-01-01" in kept


def test_another_content_is_a_new_version() -> None:
    with answering(versions(version(3), sha256="wrong")) as aws:
        seen = seen_of(layer(), aws)
        layer().update(aws, seen, changes_of(layer(), aws, seen))
        ((call, given),) = aws.changes()
    assert call == "lambda.publish_layer_version"
    assert given["Content"] == {"ZipFile": b"zip"}
    assert given["Description"] == f"{MARK}sha256={RIGHT}"


def test_the_hash_of_a_version_that_is_recorded_is_not_read_again() -> None:
    with answering(versions(version(3), sha256="wrong")) as aws:
        seen = seen_of(layer(), aws, arn="arn:layer:3", code_sha256=RIGHT)
    assert seen.outputs["code_sha256"] == RIGHT
    assert [call for call, _ in aws.asked] == ["lambda.list_layer_versions"]
    gone = {**versions(version(3)), "lambda.get_layer_version": refusal(NOT_FOUND)}
    with answering(gone) as aws:
        assert seen_of(layer(), aws).outputs["code_sha256"] == ""


def test_a_layer_of_others_alone_is_not_ours() -> None:
    with answering(versions(version(4, ""))) as aws:
        seen = seen_of(layer(), aws)
        whose = layer().ownership(aws, seen, {})
        layer().delete(aws, seen)
        assert aws.changes() == []
    assert whose.owner is Owner.FOREIGN
    assert (
        "has no version of this environment, but version 4 (without a description" in whose.because
    )


def test_all_of_our_versions_are_deleted() -> None:
    answers = {**versions(version(1), version(2), version(3, "theirs"))}
    for gone in ({}, {"lambda.delete_layer_version": refusal(NOT_FOUND)}):
        with answering({**answers, **gone}) as aws:
            layer().delete(aws, seen_of(layer(), aws))
            assert [given["VersionNumber"] for _, given in aws.changes()] == [2, 1]
    with answering({"lambda.list_layer_versions": refusal(NOT_FOUND)}) as aws:
        assert layer().find(aws, {}) is None


# --- a function -----------------------------------------------------------------------------------


def function(**fields: Any) -> Function:
    found: Function = resource("function-iam", package=PACKAGE, layer_arn="arn:layer:1", **fields)
    return found


FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}-iam"
TAGS = {"Name": f"{NAME}-iam", **ours("function-iam")}


def configured(**more: Any) -> dict[str, Any]:
    """The function as Lambda describes it when it is as it should be."""
    each = function()
    settings: dict[str, Any] = each.configuration()
    return {
        **settings,
        "FunctionArn": FUNCTION_ARN,
        "CodeSha256": RIGHT,
        "Architectures": [each.architecture],
        "Layers": [{"Arn": "arn:layer:1"}],
        "State": "Active",
        "LastUpdateStatus": "Successful",
        **more,
    }


def got(tags: dict[str, Any] | None = None, **more: Any) -> Answers:
    told = {"Tags": TAGS} if tags is None else tags
    return {"lambda.get_function": {"Configuration": configured(**more), **told}}


def test_a_function_as_it_should_be_needs_nothing() -> None:
    with answering(got()) as aws:
        seen = seen_of(function(), aws)
        assert changes_of(function(), aws, seen) == {}
        assert function().look(seen).verdict is Verdict.READY
        assert function().deletable(seen)


@pytest.mark.parametrize(
    ("differs", "call", "sent"),
    [
        ({"CodeSha256": "wrong"}, "lambda.update_function_code", "ZipFile"),
        ({"Architectures": ["x86_64"]}, "lambda.update_function_code", "Architectures"),
        ({"CodeSha256": "wrong", "Timeout": 3}, "lambda.update_function_code", "ZipFile"),
        ({"Timeout": 3}, "lambda.update_function_configuration", "Timeout"),
        ({"Environment": {}}, "lambda.update_function_configuration", "Environment"),
        ({"VpcConfig": {}}, "lambda.update_function_configuration", "VpcConfig"),
    ],
)
def test_lambda_takes_one_change_at_a_time_and_the_code_goes_first(
    differs: dict[str, Any], call: str, sent: str
) -> None:
    each = function(architecture="arm64")
    with answering(got(**{"Architectures": ["arm64"], **differs})) as aws:
        seen = seen_of(each, aws)
        changes = changes_of(each, aws, seen)
        assert changes
        each.update(aws, seen, changes)
        ((asked, given),) = aws.changes()
    assert asked == call
    assert sent in given
    assert given["FunctionName"] == f"{NAME}-iam"


@pytest.mark.parametrize(
    ("told", "listed", "tags", "unreadable"),
    [
        ({}, {"Tags": TAGS}, TAGS, ""),
        ({}, {}, {}, ""),
        ({}, refusal("AccessDeniedException", "ListTags"), None, "ListTags"),
        (
            {"TagsError": {"ErrorCode": "AccessDenied", "Message": "not you"}},
            AssertionError(),
            None,
            "ListTags answered AccessDenied: not you",
        ),
    ],
)
def test_tags_that_get_function_leaves_out_are_listed(
    told: dict[str, Any], listed: Any, tags: dict[str, str] | None, unreadable: str
) -> None:
    with answering({**got(told), "lambda.list_tags": listed}) as aws:
        seen = seen_of(function(), aws)
    assert seen.tags == tags
    assert unreadable in seen.unreadable
    assert bool(seen.unreadable) == (tags is None)


def test_a_function_is_detached_first_and_then_deleted() -> None:
    with answering(got()) as aws:
        function().delete(aws, seen_of(function(), aws))
        ((call, given),) = aws.changes()
    assert call == "lambda.update_function_configuration"
    assert given["VpcConfig"] == {"SubnetIds": [], "SecurityGroupIds": []}
    for already in (got(VpcConfig={}), got(State="Failed")):
        with answering(already) as aws:
            function().delete(aws, seen_of(function(), aws))
            assert aws.changes() == [("lambda.delete_function", {"FunctionName": f"{NAME}-iam"})]


def answered(code: str, status: int, message: str = "no") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "UpdateFunctionConfiguration")


@pytest.mark.parametrize(
    ("error", "deletes"),
    [
        (answered("InvalidParameterValueException", 400, "the role cannot be assumed"), True),
        (answered("AccessDeniedException", 403), True),
        (answered("ResourceConflictException", 409), False),
        (answered("TooManyRequestsException", 429), False),
        (answered("InvalidParameterValueException", 400, "throttled by EC2"), False),
        (answered("ExpiredTokenException", 403), False),
        (answered("ServiceException", 500), False),
    ],
)
def test_one_that_cannot_be_detached_is_deleted_as_it_is(error: ClientError, deletes: bool) -> None:
    with answering({**got(), "lambda.update_function_configuration": error}) as aws:
        seen = seen_of(function(), aws)
        if deletes:
            function().delete(aws, seen)
            assert aws.changes()[-1] == ("lambda.delete_function", {"FunctionName": f"{NAME}-iam"})
        else:
            with pytest.raises(ClientError) as caught:
                function().delete(aws, seen)
            assert caught.value is error
            assert len(aws.changes()) == 1


@pytest.mark.parametrize("status", ["InProgress", "Pending", "Deleting"])
def test_lambda_is_left_to_finish_before_it_is_asked_to_delete(status: str) -> None:
    assert not function().deletable(Seen({}, status=status))


def test_why_a_function_failed_is_lambdas_own_words() -> None:
    with answering(got(State="Failed", StateReason="the role is gone", StateReasonCode="X")) as aws:
        look = function().look(seen_of(function(), aws))
    assert (look.verdict, look.reason) == (Verdict.FAILED, "the role is gone")
    with answering({"lambda.get_function": refusal(NOT_FOUND)}) as aws:
        assert function().find(aws, {}) is None


def test_tags_of_a_function() -> None:
    seen = Seen({"arn": FUNCTION_ARN})
    with answering() as aws:
        function().tag(aws, seen, {"team": "blue"})
        function().untag(aws, seen, ["team"])
        assert aws.changes() == [
            ("lambda.tag_resource", {"Resource": FUNCTION_ARN, "Tags": {"team": "blue"}}),
            ("lambda.untag_resource", {"Resource": FUNCTION_ARN, "TagKeys": ["team"]}),
        ]


# --- log groups -----------------------------------------------------------------------------------

GROUP = f"/aws/lambda/{NAME}-iam"
PROXY_GROUP = f"/aws/rds/proxy/{NAME}-iam"
GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"


def log_group(step: str = "log-group-iam") -> LogGroup:
    found: LogGroup = resource(step)
    return found


def group(name: str = GROUP, tags: Any = None, **more: Any) -> Answers:
    about = {"logGroupName": name, "creationTime": 1_767_225_600_000, "retentionInDays": 7, **more}
    return {
        "logs.describe_log_groups": {"logGroups": [about, about | {"logGroupName": f"{name}-2"}]},
        "logs.list_tags_for_resource": {} if tags is None else tags,
    }


def test_the_retention_is_put_right() -> None:
    own = {"tags": {"Name": GROUP, **ours("log-group-iam")}}
    with answering(group(tags=own, retentionInDays=None)) as aws:
        seen = seen_of(log_group(), aws)
        changes = changes_of(log_group(), aws, seen)
        assert set(changes) == {"RetentionInDays"}
        log_group().update(aws, seen, changes)
        assert aws.changes() == [
            (
                "logs.put_retention_policy",
                {"logGroupName": GROUP, "retentionInDays": log_group().retention_in_days},
            )
        ]


def test_tags_of_a_log_group_and_its_end() -> None:
    with answering() as aws:
        log_group().tag(aws, Seen({}), {"team": "blue"})
        log_group().untag(aws, Seen({}), ["team"])
        assert aws.changes() == [
            ("logs.tag_resource", {"resourceArn": GROUP_ARN, "tags": {"team": "blue"}}),
            ("logs.untag_resource", {"resourceArn": GROUP_ARN, "tagKeys": ["team"]}),
        ]
    with answering({"logs.delete_log_group": refusal(NOT_FOUND)}) as aws:
        log_group().delete(aws, Seen({}))
        assert aws.changes() == [("logs.delete_log_group", {"logGroupName": GROUP})]
    with answering({"logs.list_tags_for_resource": refusal(NOT_FOUND)}) as aws:
        assert log_group().find(aws, {}) is None
        assert log_group().find(aws, {"log_group": GROUP}) is None


@pytest.mark.parametrize(
    ("writer", "owner"),
    [
        ({"Tags": {"provision:environment": NAME}}, Owner.OURS),
        ({"Tags": {"provision:environment": "other"}}, Owner.FOREIGN),
        ({}, Owner.FOREIGN),
        (refusal("AccessDeniedException"), Owner.FOREIGN),
        (refusal(NOT_FOUND), Owner.FOREIGN),
    ],
)
def test_a_group_without_tags_is_ours_while_our_function_writes_to_it(
    writer: Any, owner: Owner
) -> None:
    answers = {**group(tags={"tags": {}}), "lambda.get_function": writer}
    with answering(answers) as aws:
        whose = log_group().ownership(aws, seen_of(log_group(), aws), {})
    assert whose.owner is owner


def test_the_same_of_a_proxys_group() -> None:
    each = log_group("log-group-proxy-iam")
    proxies = {"DBProxies": [{"DBProxyArn": "arn:proxy"}]}
    tags = {"TagList": [{"Key": "provision:environment", "Value": "other"}]}
    answers = {
        **group(PROXY_GROUP, tags={"tags": {}}),
        "rds.describe_db_proxies": proxies,
        "rds.list_tags_for_resource": tags,
    }
    with answering(answers) as aws:
        seen = seen_of(each, aws)
        whose = each.ownership(aws, seen, {})
        assert each.has_writer(seen)
    assert whose.owner is Owner.FOREIGN
    assert "another function or proxy writes to it" in whose.because
    missing = {**answers, "rds.describe_db_proxies": refusal("DBProxyNotFoundFault")}
    with answering(missing) as aws:
        assert not each.has_writer(seen_of(each, aws))
    broken = {**answers, "rds.describe_db_proxies": refusal("InternalFailure")}
    with answering(broken) as aws, pytest.raises(ClientError, match="InternalFailure"):
        each.find(aws, {})


@pytest.mark.parametrize(
    ("since", "owner"),
    [
        ("2025-12-31T23:51:00Z", Owner.OURS),  # it was made nine minutes later
        ("2025-12-31T23:49:00Z", Owner.FOREIGN),
        ("2026-01-01T00:01:00Z", Owner.FOREIGN),
        ("", Owner.FOREIGN),
    ],
)
def test_a_group_that_aws_made_again_soon_after_our_delete_is_ours(
    since: str, owner: Owner
) -> None:
    answers = {**group(tags={"tags": {}}), "lambda.get_function": refusal(NOT_FOUND)}
    known = {"deleting_since": since} if since else {}
    with answering(answers) as aws:
        whose = log_group().ownership(aws, seen_of(log_group(), aws), known)
    assert whose.owner is owner
    assert f"--log-group-name {GROUP}" in log_group().remedy()


def test_changes_of_a_layer_compare_its_runtimes() -> None:
    with answering(versions(version(3, CompatibleRuntimes=["python3.8"]))) as aws:
        seen = seen_of(layer(), aws)
        changes = [Change("CompatibleRuntimes", ["python3.8"], sorted(layer().runtimes))]
        assert list(changes_of(layer(), aws, seen).values()) == changes
        assert layer().lasting(seen, changes) == {}
