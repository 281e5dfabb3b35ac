"""The whole environment, put into the rehearsed AWS by its back door, for tests of the data plane.

Made with plain boto3 calls, so that each test can break one thing of it. The zips are the
product's own, or small ones that a test brings.
"""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from provision.packaging.zips import function_package, layer_package
from provision.rehearsal.data_plane.data_plane import DataPlane
from tests.support.names import ACCOUNT

USER, PASSWORD = "testdb", "correct-horse-battery"
SCHEMA, TABLE = "testdb", "testtable"
LOGINS: tuple[Literal["password", "iam"], ...] = ("password", "iam")


@dataclass
class Answer:
    """What a client of the HTTP API got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Environment:
    """Network, database, two proxies, two functions and the API, under fixed names."""

    def __init__(self, client: Any, data_plane: DataPlane) -> None:
        self.client, self.data_plane = cache(client), data_plane
        self._undo = ExitStack()
        self._allowed: dict[tuple[str, str], tuple[str, ...]] = {}
        self._trusted: dict[str, str] = {}
        self.region: str = client("rds").meta.region_name
        self._network()
        self._database()
        self._proxies()
        self._functions()
        self._api()

    @property
    def report(self) -> Any:
        return self.data_plane.report

    # --- what it is made of ---

    def _network(self) -> None:
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{self.region}{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in ((1, "a"), (2, "a"), (3, "c"))
        ]
        self.groups = {
            name: ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
            for name in ("function", "proxy", "database")
        }
        for group in self.groups.values():
            everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
        for source, target in (("function", "proxy"), ("proxy", "database")):
            ec2.authorize_security_group_egress(
                GroupId=self.groups[source], IpPermissions=[self.rule(target)]
            )
            ec2.authorize_security_group_ingress(
                GroupId=self.groups[target], IpPermissions=[self.rule(source)]
            )

    def rule(self, group: str, port: int = 3306) -> dict[str, Any]:
        pair = {"GroupId": self.groups[group]}
        return {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "UserIdGroupPairs": [pair],
        }

    def _database(self) -> None:
        rds = self.client("rds")
        self.secret_arn = self.client("secretsmanager").create_secret(
            Name="database", SecretString=json.dumps({"username": USER, "password": PASSWORD})
        )["ARN"]
        rds.create_db_subnet_group(
            DBSubnetGroupName="database",
            DBSubnetGroupDescription="database",
            SubnetIds=self.subnets[1:],
        )
        rds.create_db_instance(
            DBInstanceIdentifier="database",
            DBInstanceClass="db.t4g.micro",
            Engine="mysql",
            EngineVersion="8.4.6",
            AllocatedStorage=20,
            DBName=SCHEMA,
            MasterUsername=USER,
            MasterUserPassword=PASSWORD,
            DBSubnetGroupName="database",
            VpcSecurityGroupIds=[self.groups["database"]],
        )

    def _proxies(self) -> None:
        rds = self.client("rds")
        role = self.role("proxy", "rds.amazonaws.com")
        self.allow("proxy", "secretsmanager:GetSecretValue", self.secret_arn)
        self.endpoints: dict[str, str] = {}
        self.proxy_ids: dict[str, str] = {}
        for login in LOGINS:
            proxy = rds.create_db_proxy(
                DBProxyName=login,
                EngineFamily="MYSQL",
                Auth=[
                    {
                        "AuthScheme": "SECRETS",
                        "SecretArn": self.secret_arn,
                        "IAMAuth": "REQUIRED" if login == "iam" else "DISABLED",
                    }
                ],
                RoleArn=role,
                VpcSubnetIds=self.subnets[1:],
                VpcSecurityGroupIds=[self.groups["proxy"]],
                RequireTLS=login == "iam",
                IdleClientTimeout=120,
            )["DBProxy"]
            self.endpoints[login] = proxy["Endpoint"]
            self.proxy_ids[login] = proxy["DBProxyArn"].rsplit(":", 1)[1]
            rds.register_db_proxy_targets(DBProxyName=login, DBInstanceIdentifiers=["database"])
            rds.describe_db_proxy_targets(DBProxyName=login)  # REGISTERING is told once

    def _functions(self) -> None:
        layer = layer_package()
        arn = self.client("lambda").publish_layer_version(
            LayerName="connector", Content={"ZipFile": layer.content}
        )["LayerVersionArn"]
        logging = self.client("iam").create_policy(
            PolicyName="logging",
            PolicyDocument=document(
                {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}
            ),
        )["Policy"]["Arn"]
        for login in LOGINS:
            role = self.role(login, "lambda.amazonaws.com")
            self.client("iam").attach_role_policy(RoleName=login, PolicyArn=logging)
            self.client("lambda").create_function(
                FunctionName=login,
                Runtime="python3.13",
                Role=role,
                Handler="index.lambda_handler",
                Code={"ZipFile": function_package(login).content},
                Timeout=10,
                Layers=[arn],
                VpcConfig={
                    "SubnetIds": self.subnets[:1],
                    "SecurityGroupIds": [self.groups["function"]],
                },
                Environment={"Variables": self.variables(login)},
            )
        self.allow("iam", "rds-db:connect", self.connect_arn())

    def variables(self, login: str, **changes: str) -> dict[str, str]:
        own = {"DB_PASSWORD": PASSWORD} if login == "password" else {}
        return {
            "DB_ENDPOINT_PORT": "3306",
            "DB_NAME": SCHEMA,
            "DB_PROXY_ENDPOINT_ADDRESS": self.endpoints[login],
            "DB_TABLENAME": TABLE,
            "DB_USER": USER,
            "REGION": self.region,
            "SSLCERTIFICATE": "AmazonRootCA1.pem",
            **own,
            **changes,
        }

    def connect_arn(self, proxy_id: str = "", user: str = USER) -> str:
        proxy_id = proxy_id or self.proxy_ids["iam"]
        return f"arn:aws:rds-db:{self.region}:{ACCOUNT}:dbuser:{proxy_id}/{user}"

    def function_arn(self, login: str) -> str:
        return f"arn:aws:lambda:{self.region}:{ACCOUNT}:function:{login}"

    def _api(self) -> None:
        gateway = self.client("apigatewayv2")
        self.api_id = gateway.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
        role = self.role("api", "apigateway.amazonaws.com")
        arns = [self.function_arn(login) for login in LOGINS]
        self.allow("api", "lambda:InvokeFunction", *arns)
        self.integrations: dict[str, str] = {
            login: gateway.create_integration(
                ApiId=self.api_id,
                IntegrationType="AWS_PROXY",
                IntegrationMethod="POST",
                IntegrationUri=self.function_arn(login),
                CredentialsArn=role,
                PayloadFormatVersion="2.0",
            )["IntegrationId"]
            for login in LOGINS
        }
        for key, login in (("/", "password"), ("/func1", "password"), ("/func2", "iam")):
            gateway.create_route(
                ApiId=self.api_id,
                RouteKey=f"GET {key}",
                Target=f"integrations/{self.integrations[login]}",
            )
        gateway.create_stage(ApiId=self.api_id, StageName="$default", AutoDeploy=True)
        self.url = self.data_plane.api_endpoint(self.region, self.api_id)

    # --- what tests do with it ---

    @contextmanager
    def mended(self) -> Iterator[None]:
        """Undo at the end whatever was changed through the methods below, last things first."""
        with ExitStack() as self._undo:
            yield

    def role(self, name: str, service: str) -> str:
        answer = self.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=trust(service)
        )
        arn: str = answer["Role"]["Arn"]
        self._trusted[name] = service
        return arn

    def trust(self, role: str, service: str) -> None:
        change = self.client("iam").update_assume_role_policy
        change(RoleName=role, PolicyDocument=trust(service))
        before = trust(self._trusted[role])
        self._undo.callback(change, RoleName=role, PolicyDocument=before)

    def allow(self, role: str, action: str, *resources: str) -> None:
        """Let a role do something, on these resources instead of those before."""
        before = self._allowed.get((role, action))
        if before is not None:
            self._undo.callback(self._allow, role, action, before)
        self._allow(role, action, resources)

    def forbid(self, role: str, action: str) -> None:
        """Take back what `allow` gave."""
        name = action.replace(":", "-")
        self.client("iam").delete_role_policy(RoleName=role, PolicyName=name)
        self._undo.callback(self._allow, role, action, self._allowed[role, action])

    def _allow(self, role: str, action: str, resources: tuple[str, ...]) -> None:
        statement = {"Effect": "Allow", "Action": action, "Resource": list(resources)}
        self.client("iam").put_role_policy(
            RoleName=role,
            PolicyName=action.replace(":", "-"),
            PolicyDocument=document(statement),
        )
        self._allowed[role, action] = resources

    def configure(self, function: str, **changes: Any) -> None:
        change = self.client("lambda").update_function_configuration
        before = self.client("lambda").get_function_configuration(FunctionName=function)
        before["Layers"] = [layer["Arn"] for layer in before.get("Layers", [])]
        before.setdefault("Description", "")
        change(FunctionName=function, **changes)
        self._undo.callback(
            change, FunctionName=function, **{name: before[name] for name in changes}
        )

    def set_variables(self, function: str, **changes: str) -> None:
        self.configure(function, Environment={"Variables": self.variables(function, **changes)})

    def upload(self, function: Literal["password", "iam"], content: bytes) -> None:
        change = self.client("lambda").update_function_code
        change(FunctionName=function, ZipFile=content)
        before = function_package(function).content
        self._undo.callback(change, FunctionName=function, ZipFile=before)

    def publish(self, content: bytes) -> str:
        answer = self.client("lambda").publish_layer_version(
            LayerName="another", Content={"ZipFile": content}
        )
        arn: str = answer["LayerVersionArn"]
        return arn

    def set_secret(self, value: str) -> None:
        change = self.client("secretsmanager").put_secret_value
        before = self.client("secretsmanager").get_secret_value(SecretId=self.secret_arn)
        change(SecretId=self.secret_arn, SecretString=value)
        self._undo.callback(change, SecretId=self.secret_arn, SecretString=before["SecretString"])

    def deregister(self, proxy: str) -> None:
        rds = self.client("rds")
        names = {"DBProxyName": proxy, "DBInstanceIdentifiers": ["database"]}
        rds.deregister_db_proxy_targets(**names)
        self._undo.callback(rds.describe_db_proxy_targets, DBProxyName=proxy)
        self._undo.callback(rds.register_db_proxy_targets, **names)

    def close(self, group: str, direction: str, other: str) -> None:
        """Take the rule between two groups away."""
        ec2 = self.client("ec2")
        rule = {"GroupId": self.groups[group], "IpPermissions": [self.rule(other)]}
        getattr(ec2, f"revoke_security_group_{direction}")(**rule)
        self._undo.callback(getattr(ec2, f"authorize_security_group_{direction}"), **rule)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return fetch(self.url + path, method, headers)

    def invoke(self, function: str, event: Any = None) -> dict[str, Any]:
        answer = self.data_plane.invoke(function, json.dumps(event).encode())
        return {**answer, "Payload": json.loads(answer["Payload"])}

    def reason(self, where: str) -> str:
        """The newest refusal's reason at `proxy NAME`, `function NAME` or `api ...`."""
        found = [r.reason for r in self.report if r.where.startswith(where)]
        assert found, f"nothing was refused at {where}"
        reason: str = found[-1]
        return reason


def trust(service: str) -> str:
    """A role's trust policy."""
    return document(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    )


def document(statement: Mapping[str, Any]) -> str:
    """A policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    request = urllib.request.Request(url, method=method, headers=dict(headers or {}))  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return Answer(answer.status, lowered(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, lowered(error.headers), error.read())


def lowered(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A zip of these files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    """A zip's files."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
