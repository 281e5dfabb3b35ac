"""What the design says of an environment, to the last property and tag, and what AWS has of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from tests.support.account import Account
from tests.support.names import ACCOUNT, NAME, REGION

LOGINS = ("password", "iam")


@dataclasses.dataclass(frozen=True)
class Like:
    """Equal to every text that the pattern matches whole."""

    pattern: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.pattern, other) is not None

    __hash__ = None  # type: ignore[assignment]


def service(name: str) -> dict[str, Any]:
    """The trust policy of a role that one service alone may assume, for this account alone."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": name},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(action: str, resource: str | list[str], **more: Any) -> dict[str, Any]:
    """A policy with one statement that allows one action."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def variables(login: str, **more: str) -> dict[str, str]:
    """A function's environment variables."""
    return {
        "DB_ENDPOINT_PORT": "3306",
        "DB_NAME": "testdb",
        "DB_PROXY_ENDPOINT_ADDRESS": f"<proxy-{login}.endpoint>",
        "DB_TABLENAME": "testtable",
        "DB_USER": "testdb",
        "REGION": REGION,
        **more,
    }


VPC_ACCESS = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
SECRETS_MANAGER = f"secretsmanager.{REGION}.amazonaws.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}-{{}}-{REGION}"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}-{{}}"

# What stands in <> is what AWS chose: an id, an endpoint, the password.
# fmt: off
PROPERTIES: list[tuple[str, str, Any]] = [
    # step, property in AWS's words, what it has to be
    ("vpc", "CidrBlock", "10.0.0.0/16"),
    ("vpc", "InternetGateways", []),
    ("vpc", "NatGateways", []),
    ("vpc", "Routes", ["10.0.0.0/16 local"]),
    ("subnet-function", "VpcId", "<vpc>"),
    ("subnet-function", "CidrBlock", "10.0.1.0/24"),
    ("subnet-function", "MapPublicIpOnLaunch", False),
    ("subnet-database-1", "VpcId", "<vpc>"),
    ("subnet-database-1", "CidrBlock", "10.0.2.0/24"),
    ("subnet-database-1", "MapPublicIpOnLaunch", False),
    ("subnet-database-2", "VpcId", "<vpc>"),
    ("subnet-database-2", "CidrBlock", "10.0.3.0/24"),
    ("subnet-database-2", "MapPublicIpOnLaunch", False),

    # function -> proxy -> database, on 3306 and nothing else
    ("security-group-function", "VpcId", "<vpc>"),
    ("security-group-function", "GroupName", f"{NAME}-function"),
    ("security-group-function", "Rules", ["egress tcp 3306-3306 <security-group-proxy>"]),
    ("security-group-proxy", "VpcId", "<vpc>"),
    ("security-group-proxy", "GroupName", f"{NAME}-proxy"),
    ("security-group-proxy", "Rules", ["egress tcp 3306-3306 <security-group-database>",
                                       "ingress tcp 3306-3306 <security-group-function>"]),
    ("security-group-database", "VpcId", "<vpc>"),
    ("security-group-database", "GroupName", f"{NAME}-database"),
    ("security-group-database", "Rules", ["ingress tcp 3306-3306 <security-group-proxy>"]),

    ("secret", "Name", f"{NAME}/database"),
    ("secret", "SecretString", {"username": "testdb", "password": "<password>"}),
    ("secret", "KmsKeyId", None),
    ("secret", "DeletedDate", None),

    ("db-subnet-group", "DBSubnetGroupName", f"{NAME}-database"),
    ("db-subnet-group", "SubnetIds", ["<subnet-database-1>", "<subnet-database-2>"]),

    ("db-instance", "Engine", "mysql"),
    ("db-instance", "EngineVersion", Like(r"8\.4(\.\d+)?")),
    ("db-instance", "EngineLifecycleSupport", "open-source-rds-extended-support-disabled"),
    ("db-instance", "DBInstanceClass", "db.t4g.micro"),
    ("db-instance", "AllocatedStorage", 20),
    ("db-instance", "StorageType", "gp3"),
    ("db-instance", "StorageEncrypted", True),
    ("db-instance", "DBName", "testdb"),
    ("db-instance", "MasterUsername", "testdb"),
    ("db-instance", "PubliclyAccessible", False),
    ("db-instance", "MultiAZ", False),
    ("db-instance", "DBSubnetGroup.DBSubnetGroupName", f"{NAME}-database"),
    ("db-instance", "VpcSecurityGroupIds", ["<security-group-database>"]),
    ("db-instance", "BackupRetentionPeriod", 0),
    ("db-instance", "DeletionProtection", False),
    ("db-instance", "CopyTagsToSnapshot", True),
    ("db-instance", "IAMDatabaseAuthenticationEnabled", False),  # the proxy logs in by password

    ("role-proxy", "AssumeRolePolicyDocument", service("rds.amazonaws.com")),
    ("role-proxy", "ManagedPolicies", []),
    ("role-proxy", "Policies", {
        "read-secret": policy("secretsmanager:GetSecretValue", "<secret>"),
        "decrypt-secret": policy(
            "kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*",
            Condition={"StringEquals": {"kms:ViaService": SECRETS_MANAGER}},
        ),
    }),
    ("role-function-password", "AssumeRolePolicyDocument", service("lambda.amazonaws.com")),
    ("role-function-password", "ManagedPolicies", [VPC_ACCESS]),
    ("role-function-password", "Policies", {}),
    ("role-function-iam", "AssumeRolePolicyDocument", service("lambda.amazonaws.com")),
    ("role-function-iam", "ManagedPolicies", [VPC_ACCESS]),
    ("role-function-iam", "Policies", {"connect-to-proxy": policy(
        "rds-db:connect", f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:<proxy-iam.prx>/testdb")}),
    ("role-api", "AssumeRolePolicyDocument", service("apigateway.amazonaws.com")),
    ("role-api", "ManagedPolicies", []),
    ("role-api", "Policies", {"invoke-functions": policy(
        "lambda:InvokeFunction", [FUNCTION.format(login) for login in LOGINS])}),

    # the two proxies: they differ in these two properties and in no other
    ("proxy-password", "Auth.0.IAMAuth", "DISABLED"),
    ("proxy-password", "RequireTLS", False),
    ("proxy-iam", "Auth.0.IAMAuth", "REQUIRED"),
    ("proxy-iam", "RequireTLS", True),
    *((f"proxy-{login}", name, value) for login in LOGINS for name, value in (
        ("DBProxyName", f"{NAME}-{login}"),
        ("EngineFamily", "MYSQL"),
        ("Auth.0.AuthScheme", "SECRETS"),
        ("Auth.0.SecretArn", "<secret>"),
        ("Auth.1", None),
        ("RoleArn", ROLE.format("proxy")),
        ("VpcId", "<vpc>"),
        ("VpcSubnetIds", ["<subnet-database-1>", "<subnet-database-2>"]),
        ("VpcSecurityGroupIds", ["<security-group-proxy>"]),
        ("IdleClientTimeout", 120),
        ("DebugLogging", False),
    )),
    *((f"target-{login}", name, value) for login in LOGINS for name, value in (
        ("Targets", [f"RDS_INSTANCE {NAME}-database"]),
        ("TargetGroupName", "default"),
        ("ConnectionPoolConfig.MaxConnectionsPercent", 100),
        ("ConnectionPoolConfig.MaxIdleConnectionsPercent", 50),
        ("ConnectionPoolConfig.ConnectionBorrowTimeout", 120),
    )),

    ("layer", "Description", Like(f"provision:environment={NAME} sha256=.+")),
    ("layer", "CompatibleRuntimes", ["python3.12", "python3.13", "python3.14"]),
    ("layer", "CompatibleArchitectures", ["arm64", "x86_64"]),

    ("function-password", "Environment.Variables", variables("password", DB_PASSWORD="<password>")),
    ("function-iam", "Environment.Variables", variables("iam", SSLCERTIFICATE="AmazonRootCA1.pem")),
    *((f"function-{login}", name, value) for login in LOGINS for name, value in (
        ("Handler", "index.lambda_handler"),
        ("Runtime", "python3.13"),
        ("Architectures", ["arm64"]),
        ("MemorySize", 256),
        ("Timeout", 10),
        ("PackageType", "Zip"),
        ("Role", ROLE.format(f"function-{login}")),
        ("Layers.0.Arn", "<layer>"),
        ("Layers.1", None),
        ("VpcConfig.SubnetIds", ["<subnet-function>"]),
        ("VpcConfig.SecurityGroupIds", ["<security-group-function>"]),
        ("Policy", None),  # nobody else may invoke it
    )),
    *((f"log-group-{part}{login}", "retentionInDays", 7)
      for part in ("", "proxy-") for login in LOGINS),

    ("api", "Name", NAME),
    ("api", "ProtocolType", "HTTP"),
    ("api", "DisableExecuteApiEndpoint", False),
    ("api", "CorsConfiguration", None),
    ("stage", "StageName", "$default"),
    ("stage", "AutoDeploy", True),
    ("stage", "DefaultRouteSettings.ThrottlingRateLimit", 10.0),
    ("stage", "DefaultRouteSettings.ThrottlingBurstLimit", 20),
    *((f"integration-{login}", name, value) for login in LOGINS for name, value in (
        ("IntegrationType", "AWS_PROXY"),
        ("IntegrationMethod", "POST"),
        ("IntegrationUri", FUNCTION.format(login)),
        ("CredentialsArn", ROLE.format("api")),
        ("PayloadFormatVersion", "2.0"),
        ("TimeoutInMillis", 11000),
    )),
    ("route-root", "RouteKey", "GET /"),
    ("route-root", "Target", "integrations/<integration-password>"),
    ("route-func1", "RouteKey", "GET /func1"),
    ("route-func1", "Target", "integrations/<integration-password>"),
    ("route-func2", "RouteKey", "GET /func2"),
    ("route-func2", "Target", "integrations/<integration-iam>"),
    *((f"route-{path}", "AuthorizationType", "NONE") for path in ("root", "func1", "func2")),
]

# The tag Name of everything that can carry tags.
TAGGED = {
    **{step: f"{NAME}-{step}" for step in (
        "vpc", "subnet-function", "subnet-database-1", "subnet-database-2", "stage",
        "rules-function", "rules-proxy", "rules-database",
    )},
    **{f"security-group-{part}": f"{NAME}-{part}" for part in ("function", "proxy", "database")},
    "secret": f"{NAME}/database",
    "db-subnet-group": f"{NAME}-database",
    "db-instance": f"{NAME}-database",
    "api": NAME,
    **{f"{kind}-{login}": f"{NAME}-{login}" for kind in ("proxy", "function") for login in LOGINS},
    **{f"role-{part}": f"{NAME}-{part}-{REGION}"
       for part in ("proxy", "api", "function-password", "function-iam")},
    **{f"log-group-{login}": f"/aws/lambda/{NAME}-{login}" for login in LOGINS},
    **{f"log-group-proxy-{login}": f"/aws/rds/proxy/{NAME}-{login}" for login in LOGINS},
}
# fmt: on

# --- reading --------------------------------------------------------------------------------------


@dataclasses.dataclass
class Described:
    """Everything of the environment as AWS describes it, by step, with its tags as a dict."""

    account: Account

    def __post_init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.names: dict[str, str] = {}  # what AWS chose -> how the table calls it
        for read in (self.network, self.rules, self.secret, self.database, self.proxies):
            read()
        for read in (self.roles, self.layer, self.functions, self.logs, self.api):
            read()

    def add(self, step: str, thing: Mapping[str, Any], tags: Any = None) -> None:
        """Note one thing; `tags` in any of AWS's shapes."""
        if isinstance(tags, list):
            tags = {tag["Key"]: tag["Value"] for tag in tags}
        self.things[step] = {**thing, "Tags": tags}

    def property(self, step: str, path: str) -> Any:
        """A property by its dotted path, None where there is none, and ids by their names."""
        value: Any = self.things[step]
        for part in path.split("."):
            if isinstance(value, list):
                value = value[int(part)] if int(part) < len(value) else None
            else:
                value = (value or {}).get(part)
        return self.named(value)

    def named(self, value: Any) -> Any:
        """`value` with everything that AWS chose replaced by how the table calls it."""
        if isinstance(value, dict):
            return {key: self.named(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.named(item) for item in value]
        if isinstance(value, str):
            for chosen, name in self.names.items():
                value = value.replace(chosen, f"<{name}>")
        return value

    def network(self) -> None:
        """VPC, subnets, security groups."""
        ec2, tagged = self.account.ec2, self.account.tagged
        vpc = tagged("vpcs", "vpc", NAME)
        within = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
        tables = ec2.describe_route_tables(Filters=within)["RouteTables"]
        more = {
            "InternetGateways": ec2.describe_internet_gateways(Filters=attached)[
                "InternetGateways"
            ],
            "NatGateways": ec2.describe_nat_gateways(Filter=within)["NatGateways"],
            "Routes": [
                f"{route.get('DestinationCidrBlock')} {route.get('GatewayId')}"
                for table in tables
                for route in table["Routes"]
            ],
        }
        self.add("vpc", vpc | more, vpc["Tags"])
        self.names[vpc["VpcId"]] = "vpc"
        for kind, key, steps in (
            ("subnets", "SubnetId", ("subnet-function", "subnet-database-1", "subnet-database-2")),
            ("security_groups", "GroupId", [f"security-group-{each}" for each in GROUPS]),
        ):
            for step in steps:
                thing = tagged(kind, step, NAME)
                self.add(step, thing, thing["Tags"])
                self.names[thing[key]] = step

    def rules(self) -> None:
        """The rules of the three groups, each with its tags."""
        for part in GROUPS:
            group = self.things[f"security-group-{part}"]
            filters = [{"Name": "group-id", "Values": [group["GroupId"]]}]
            rules = self.account.all(
                "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters
            )
            group["Rules"] = sorted(self.named(text(rule)) for rule in rules)
            tags = [each["Tags"] for each in rules]
            assert all(each == tags[0] for each in tags)
            self.add(f"rules-{part}", {}, tags[0])

    def secret(self) -> None:
        """The secret, with what is in it."""
        manager, name = self.account.secretsmanager, f"{NAME}/database"
        secret = manager.describe_secret(SecretId=name)
        pair = self.account.secret(name)
        self.names |= {secret["ARN"]: "secret", pair["password"]: "password"}
        self.add("secret", secret | {"SecretString": pair}, secret["Tags"])

    def database(self) -> None:
        """DB subnet group and DB instance."""
        rds, name = self.account.rds, f"{NAME}-database"
        group = rds.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"][0]
        subnets = [self.named(each["SubnetIdentifier"]) for each in group["Subnets"]]
        arn = group["DBSubnetGroupArn"]
        tags = rds.list_tags_for_resource(ResourceName=arn)["TagList"]
        self.add("db-subnet-group", group | {"SubnetIds": sorted(subnets)}, tags)
        instance = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        groups = [each["VpcSecurityGroupId"] for each in instance["VpcSecurityGroups"]]
        more = {"VpcSecurityGroupIds": groups}
        self.add("db-instance", instance | more, instance["TagList"])

    def proxies(self) -> None:
        """Both proxies with their targets and pools."""
        rds = self.account.rds
        for login in LOGINS:
            name = f"{NAME}-{login}"
            proxy = self.account.proxy(name)
            self.names[proxy["Endpoint"]] = f"proxy-{login}.endpoint"
            self.names[proxy["DBProxyArn"].rpartition(":")[2]] = f"proxy-{login}.prx"
            proxy["VpcSubnetIds"] = sorted(map(self.named, proxy["VpcSubnetIds"]))
            tags = rds.list_tags_for_resource(ResourceName=proxy["DBProxyArn"])["TagList"]
            self.add(f"proxy-{login}", proxy, tags)
            (group,) = rds.describe_db_proxy_target_groups(DBProxyName=name)["TargetGroups"]
            targets = rds.describe_db_proxy_targets(DBProxyName=name)["Targets"]
            more = {"Targets": [f"{each['Type']} {each['RdsResourceId']}" for each in targets]}
            self.add(f"target-{login}", group | more)

    def roles(self) -> None:
        """The four roles, with all their policies."""
        iam = self.account.iam
        for part in ("proxy", "api", "function-password", "function-iam"):
            name = f"{NAME}-{part}-{REGION}"
            role = iam.get_role(RoleName=name)["Role"]
            inline = {
                each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
                for each in self.account.all(
                    "iam", "list_role_policies", "PolicyNames", RoleName=name
                )
            }
            attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            managed = [each["PolicyArn"] for each in attached]
            more = {"Policies": inline, "ManagedPolicies": managed}
            self.add(f"role-{part}", role | more, role["Tags"])

    def layer(self) -> None:
        """The one version of the layer."""
        name = f"{NAME}-mysql-connector"
        (version,) = self.account.all(
            "lambda", "list_layer_versions", "LayerVersions", LayerName=name
        )
        self.names[version["LayerVersionArn"]] = "layer"
        self.add("layer", version)

    def functions(self) -> None:
        """Both functions."""
        lambda_ = self.account.lambda_
        for login in LOGINS:
            answer = lambda_.get_function(FunctionName=f"{NAME}-{login}")
            try:
                policy = lambda_.get_policy(FunctionName=f"{NAME}-{login}")["Policy"]
            except lambda_.exceptions.ResourceNotFoundException:
                policy = None
            function = answer["Configuration"] | {"Policy": policy}
            self.add(f"function-{login}", function, answer["Tags"])

    def logs(self) -> None:
        """The four log groups."""
        for step, name in TAGGED.items():
            if step.startswith("log-group-"):
                groups = self.account.all(
                    "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name
                )
                (group,) = (each for each in groups if each["logGroupName"] == name)
                arn = group["arn"].removesuffix(":*")
                tags = self.account.logs.list_tags_for_resource(resourceArn=arn)["tags"]
                self.add(step, group, tags)

    def api(self) -> None:
        """The HTTP API and what is within it."""
        api = self.account.api(NAME)
        within = {"service": "apigatewayv2", "key": "Items", "ApiId": api["ApiId"]}
        self.add("api", api, api["Tags"])
        (stage,) = self.account.all(operation="get_stages", **within)
        self.add("stage", stage, stage["Tags"])
        for each in self.account.all(operation="get_integrations", **within):
            step = each["Description"].rpartition("provision:step=")[2]
            self.add(step, each)
            self.names[each["IntegrationId"]] = step
        for each in self.account.all(operation="get_routes", **within):
            self.add(f"route-{each['RouteKey'].removeprefix('GET /') or 'root'}", each)


GROUPS = ("function", "proxy", "database")


def text(rule: Mapping[str, Any]) -> str:
    """A security group rule in words."""
    way = "egress" if rule["IsEgress"] else "ingress"
    peer = rule.get("ReferencedGroupInfo", {}).get("GroupId") or rule.get("CidrIpv4", "anybody")
    return f"{way} {rule['IpProtocol']} {rule.get('FromPort')}-{rule.get('ToPort')} {peer}"


# --- comparing ------------------------------------------------------------------------------------


def differing(described: Described) -> list[tuple[str, str, Any, Any]]:
    """The rows of the table that AWS shows otherwise: step, property, what it is and should be."""
    return [
        (step, name, found, expected)
        for step, name, expected in PROPERTIES
        if (found := described.property(step, name)) != expected
    ]


def tags_of_all(described: Described) -> dict[str, dict[str, str]]:
    """The tags of everything that has any."""
    return {step: thing["Tags"] for step, thing in described.things.items() if thing["Tags"]}


def expected_tags() -> dict[str, dict[str, str]]:
    """The tags of the contract, and the configuration's own."""
    return {
        step: {
            "Name": name,
            "provision:environment": NAME,
            "provision:step": step,
            "team": "blue",
        }
        for step, name in TAGGED.items()
    }
