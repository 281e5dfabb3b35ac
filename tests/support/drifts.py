"""What people change by hand in an environment that is up, each of it to another step."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import ANY

from tests.support.account import Account
from tests.support.names import NAME, REGION

EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        ],
    }
)


@dataclass(frozen=True)
class Drift:
    """One change by hand, the changes that a plan has to show, and what `up` then did."""

    step: str
    make: Callable[[Account], object]
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # property: is, should
    word: str = "updated"


# --- network --------------------------------------------------------------------------------------


def group(account: Account, part: str) -> str:
    found: str = account.tagged("security_groups", f"security-group-{part}", NAME)["GroupId"]
    return found


def open_to_all(account: Account) -> None:
    port = {"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306}
    account.ec2.authorize_security_group_ingress(
        GroupId=group(account, "database"),
        IpPermissions=[port | {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )


def no_way_out(part: str) -> Callable[[Account], None]:
    def make(account: Account) -> None:
        filters = [{"Name": "group-id", "Values": [group(account, part)]}]
        found = account.all(
            "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters
        )
        ids = [each["SecurityGroupRuleId"] for each in found if each["IsEgress"]]
        account.ec2.revoke_security_group_egress(
            GroupId=group(account, part), SecurityGroupRuleIds=ids
        )

    return make


def ec2_tag(kind: str, id_key: str, step: str, **tags: str | None) -> Callable[[Account], None]:
    """Set these tags; None removes one."""

    def make(account: Account) -> None:
        ids = [account.tagged(kind, step, NAME)[id_key]]
        for key, value in tags.items():
            if value is None:
                account.ec2.delete_tags(Resources=ids, Tags=[{"Key": key}])
            else:
                account.ec2.create_tags(Resources=ids, Tags=[{"Key": key, "Value": value}])

    return make


# --- database and proxies -------------------------------------------------------------------------


def instance(**changes: Any) -> Callable[[Account], object]:
    return lambda account: account.rds.modify_db_instance(
        DBInstanceIdentifier=f"{NAME}-database", ApplyImmediately=True, **changes
    )


wider_instance = instance(
    DeletionProtection=True,
    PubliclyAccessible=True,
    MultiAZ=True,
    StorageType="gp2",
    CopyTagsToSnapshot=False,
)


def stopped_instance(account: Account) -> None:
    found = account.rds.describe_db_instances(DBInstanceIdentifier=f"{NAME}-database")
    arn = found["DBInstances"][0]["DBInstanceArn"]
    account.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["team", "Name"])
    account.rds.stop_db_instance(DBInstanceIdentifier=f"{NAME}-database")


def proxy_tags(account: Account) -> None:
    arn = account.proxy(f"{NAME}-password")["DBProxyArn"]
    account.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "team", "Value": "red"}])


def subnet_group_tags(account: Account) -> None:
    found = account.rds.describe_db_subnet_groups(DBSubnetGroupName=f"{NAME}-database")
    arn = found["DBSubnetGroups"][0]["DBSubnetGroupArn"]
    account.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["team"])


def less_tls(account: Account) -> None:
    account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", RequireTLS=False)


def login_by_password(account: Account) -> None:
    auth = dict(account.proxy(f"{NAME}-iam")["Auth"][0]) | {"IAMAuth": "DISABLED"}
    account.rds.modify_db_proxy(DBProxyName=f"{NAME}-iam", Auth=[auth], IdleClientTimeout=600)


def smaller_pool(account: Account) -> None:
    account.rds.modify_db_proxy_target_group(
        DBProxyName=f"{NAME}-iam",
        TargetGroupName="default",
        ConnectionPoolConfig={"MaxConnectionsPercent": 10, "MaxIdleConnectionsPercent": 5},
    )


def other_groups(account: Account) -> None:
    account.rds.modify_db_proxy(
        DBProxyName=f"{NAME}-password", SecurityGroups=[group(account, "function")]
    )
    account.rds.modify_db_instance(
        DBInstanceIdentifier=f"{NAME}-database",
        VpcSecurityGroupIds=[group(account, "function"), group(account, "database")],
        ApplyImmediately=True,
    )


def other_username(account: Account) -> None:
    pair = account.secret(f"{NAME}/database") | {"username": "other"}
    account.secretsmanager.put_secret_value(
        SecretId=f"{NAME}/database", SecretString=json.dumps(pair)
    )


def scheduled_secret(account: Account) -> None:
    account.secretsmanager.delete_secret(SecretId=f"{NAME}/database")


def secret_tags(account: Account) -> None:
    account.secretsmanager.untag_resource(SecretId=f"{NAME}/database", TagKeys=["Name"])


# --- roles ----------------------------------------------------------------------------------------


def role(part: str) -> str:
    return f"{NAME}-{part}-{REGION}"


def extra_policy(account: Account) -> None:
    account.iam.put_role_policy(
        RoleName=role("api"), PolicyName="everything", PolicyDocument=EVERYTHING
    )


def wider_policy(account: Account) -> None:
    account.iam.put_role_policy(
        RoleName=role("function-iam"), PolicyName="connect-to-proxy", PolicyDocument=EVERYTHING
    )


def trusts_anybody(account: Account) -> None:
    account.iam.update_assume_role_policy(RoleName=role("proxy"), PolicyDocument=ANYBODY)


def no_managed_policy(account: Account) -> None:
    name = role("function-password")
    for each in account.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        account.iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])


def role_tags(account: Account) -> None:
    account.iam.untag_role(RoleName=role("api"), TagKeys=["team"])


# --- functions, logs, API -------------------------------------------------------------------------


def shorter_timeout(account: Account) -> None:
    account.lambda_.update_function_configuration(FunctionName=f"{NAME}-iam", Timeout=3)


def other_handler(account: Account) -> None:
    subnet = account.tagged("subnets", "subnet-database-1", NAME)["SubnetId"]
    account.lambda_.update_function_configuration(
        FunctionName=f"{NAME}-iam",
        Handler="other.handler",
        Layers=[],
        VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group(account, "proxy")]},
    )


def other_code(account: Account) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def lambda_handler(event, context): return event")
    account.lambda_.update_function_code(
        FunctionName=f"{NAME}-password", ZipFile=content.getvalue()
    )


def other_variables(account: Account) -> None:
    name = f"{NAME}-password"
    variables = account.lambda_.get_function_configuration(FunctionName=name)["Environment"]
    changed = variables["Variables"] | {"DB_NAME": "other", "DB_PASSWORD": "theirs", "MORE": "1"}
    account.lambda_.update_function_configuration(
        FunctionName=name, Environment={"Variables": changed}
    )


def function_tags(account: Account) -> None:
    function = account.lambda_.get_function(FunctionName=f"{NAME}-iam")["Configuration"]
    account.lambda_.untag_resource(Resource=function["FunctionArn"], TagKeys=["team", "Name"])


def longer_logs(account: Account) -> None:
    account.logs.put_retention_policy(logGroupName=f"/aws/lambda/{NAME}-iam", retentionInDays=365)


def log_group_tags(account: Account) -> None:
    name = f"/aws/rds/proxy/{NAME}-password"
    (found,) = account.all("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    account.logs.untag_resource(resourceArn=found["arn"].removesuffix(":*"), tagKeys=["team"])


def api_id(account: Account) -> str:
    found: str = account.api(NAME)["ApiId"]
    return found


def route(account: Account, key: str) -> dict[str, Any]:
    found = account.all("apigatewayv2", "get_routes", "Items", ApiId=api_id(account))
    (wanted,) = (each for each in found if each["RouteKey"] == key)
    return {"ApiId": api_id(account), "RouteId": wanted["RouteId"], "Target": wanted["Target"]}


def no_route(account: Account) -> None:
    wanted = route(account, "GET /func2")
    account.apigatewayv2.delete_route(ApiId=wanted["ApiId"], RouteId=wanted["RouteId"])


def crossed_route(account: Account) -> None:
    other = route(account, "GET /func2")["Target"]
    account.apigatewayv2.update_route(**route(account, "GET /func1") | {"Target": other})


def crossed_integration(account: Account) -> None:
    function = account.lambda_.get_function(FunctionName=f"{NAME}-iam")["Configuration"]
    target = route(account, "GET /func1")["Target"]
    account.apigatewayv2.update_integration(
        ApiId=api_id(account),
        IntegrationId=target.partition("/")[2],
        IntegrationUri=function["FunctionArn"],
    )


def no_throttle(account: Account) -> None:
    account.apigatewayv2.update_stage(
        ApiId=api_id(account),
        StageName="$default",
        DefaultRouteSettings={"ThrottlingRateLimit": 999.0, "ThrottlingBurstLimit": 999},
    )


def by_hand_deployed(account: Account) -> None:
    account.apigatewayv2.update_stage(ApiId=api_id(account), StageName="$default", AutoDeploy=False)


def closed_api(account: Account) -> None:
    account.apigatewayv2.update_api(ApiId=api_id(account), DisableExecuteApiEndpoint=True)


def api_tags(account: Account) -> None:
    arn = f"arn:aws:apigateway:{REGION}::/apis/{api_id(account)}"
    account.apigatewayv2.untag_resource(ResourceArn=arn, TagKeys=["team"])


# --- the table ------------------------------------------------------------------------------------

NO_TEAM = {"Tags.team": (None, "blue")}
HIDDEN = "(hidden)"

FIRST = (
    Drift("vpc", ec2_tag("vpcs", "VpcId", "vpc", team=None), NO_TEAM),
    Drift("rules-database", open_to_all, {"Ingress": (ANY, ANY)}),
    Drift("rules-proxy", no_way_out("proxy"), {"Egress": ([], [ANY])}),
    Drift("secret", other_username, {
        "SecretString": ("username 'other' and a password", "username 'testdb' and a password"),
    }),
    Drift("proxy-password", other_groups, {"VpcSecurityGroupIds": ([ANY], [ANY])}),
    Drift("db-instance", instance(BackupRetentionPeriod=7), {
        "BackupRetentionPeriod": (7, 0), "VpcSecurityGroupIds": ([ANY, ANY], [ANY]),
    }),
    Drift("proxy-iam", less_tls, {"RequireTLS": (False, True)}),
    Drift("role-api", extra_policy, {"Policies": (ANY, ANY)}),
    Drift("role-proxy", trusts_anybody, {"AssumeRolePolicyDocument": (json.loads(ANYBODY), ANY)}),
    Drift("function-iam", shorter_timeout, {"Timeout": (3, 10)}),
    Drift("log-group-iam", longer_logs, {"RetentionInDays": (365, 7)}),
    Drift("stage", no_throttle, {
        "ThrottlingRateLimit": (999.0, 10.0), "ThrottlingBurstLimit": (999, 20),
    }),
    Drift("route-func2", no_route, word="created"),
)  # fmt: skip

SECOND = (
    Drift("subnet-function", ec2_tag("subnets", "SubnetId", "subnet-function", team="red"),
          {"Tags.team": ("red", "blue")}),
    Drift("security-group-proxy",
          ec2_tag("security_groups", "GroupId", "security-group-proxy", Name=None),
          {"Tags.Name": (None, f"{NAME}-proxy")}),
    Drift("rules-function", no_way_out("function"), word="created"),
    Drift("secret", secret_tags, {"Tags.Name": (None, f"{NAME}/database")}),
    Drift("db-instance", stopped_instance, NO_TEAM | {
        "Tags.Name": (None, f"{NAME}-database"), "DBInstanceStatus": ("stopped", "available"),
    }),
    Drift("db-subnet-group", subnet_group_tags, NO_TEAM),
    Drift("proxy-password", proxy_tags, {"Tags.team": ("red", "blue")}),
    Drift("target-iam", smaller_pool, {
        "MaxConnectionsPercent": (10, 100), "MaxIdleConnectionsPercent": (5, 50),
    }),
    Drift("role-api", role_tags, NO_TEAM),
    Drift("role-function-iam", wider_policy, {"Policies": (ANY, ANY)}),
    Drift("role-function-password", no_managed_policy, {"ManagedPolicyArns": ([], [ANY])}),
    Drift("function-password", other_code, {"CodeSha256": (ANY, ANY)}),
    Drift("function-iam", function_tags, NO_TEAM | {"Tags.Name": (None, f"{NAME}-iam")}),
    Drift("log-group-proxy-password", log_group_tags, NO_TEAM),
    Drift("api", api_tags, NO_TEAM),
    Drift("integration-password", crossed_integration, {"IntegrationUri": (ANY, ANY)}),
)  # fmt: skip

THIRD = (
    Drift("secret", scheduled_secret, {"DeletedDate": (ANY, None)}),
    Drift("db-instance", wider_instance, {
        "DeletionProtection": (True, False), "PubliclyAccessible": (True, False),
        "MultiAZ": (True, False), "StorageType": ("gp2", "gp3"),
        "CopyTagsToSnapshot": (False, True),
    }),
    Drift("proxy-iam", login_by_password, {
        "IAMAuth": ("DISABLED", "REQUIRED"), "IdleClientTimeout": (600, 120),
    }),
    Drift("function-password", other_variables, {
        "Environment.DB_NAME": ("other", "testdb"),
        "Environment.DB_PASSWORD": (HIDDEN, HIDDEN),
        "Environment.*": (ANY, ANY),
    }),
    Drift("function-iam", other_handler, {
        "Handler": ("other.handler", "index.lambda_handler"), "Layers": ([], [ANY]),
        "VpcConfig.SubnetIds": ([ANY], [ANY]), "VpcConfig.SecurityGroupIds": ([ANY], [ANY]),
    }),
    Drift("stage", by_hand_deployed, {"AutoDeploy": (False, True)}),
    Drift("api", closed_api, {"DisableExecuteApiEndpoint": (True, False)}),
    Drift("route-func1", crossed_route, {"Target": (ANY, ANY)}),
)  # fmt: skip
