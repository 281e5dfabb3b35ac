"""What the tests of the rehearsal's control plane share: an account, and quick ways to fill it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from provision.rehearsal import Behaviours, Rehearsal
from tests.support.names import REGION

ONCE = Config(retries={"total_max_attempts": 1}, proxies={})
VPC_POLICY = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
FROZEN = 1e-6
"""A speed at which AWS's time passes only when a test says so."""


def frozen(**behaviours: Any) -> Behaviours:
    """All behaviours but consistency, throttling and pages, unless told otherwise; time stands."""
    chosen = {"consistency": False, "throttling": False, "paging": False, "speed": FROZEN}
    return Behaviours(**{**chosen, **behaviours})


def zipped(text: str = "def lambda_handler(event, context): return event") -> bytes:
    """A zip with one module, index.py."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", text)
    return content.getvalue()


def policy(*actions: str, resource: str = "*") -> dict[str, Any]:
    """A policy document that allows the actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def trust(service: str) -> str:
    """A trust policy for one AWS service."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def refused(code: str, match: str | None = None) -> Iterator[pytest.ExceptionInfo[ClientError]]:
    """Expects a ClientError with exactly this code."""
    with pytest.raises(ClientError, match=match) as caught:
        yield caught
    assert caught.value.response["Error"]["Code"] == code


@dataclass
class Network:
    """A VPC with two subnets in two zones and three groups that lead from one to the next."""

    vpc: str
    subnets: list[str]
    function: str
    proxy: str
    database: str


class PlayedAccount:
    """A rehearsed account and its clients, which try once."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        name = {"lambda_": "lambda"}.get(service, service)
        if name not in self._clients:
            session = self.rehearsal.session()
            self._clients[name] = session.client(
                name, endpoint_url=self.rehearsal.endpoint_url, config=ONCE
            )
        return self._clients[name]

    def calls(self, **wanted: Any) -> list[Any]:
        """The journal's entries with these attributes."""
        return [
            entry
            for entry in self.rehearsal.journal
            if all(getattr(entry, k) == v for k, v in wanted.items())
        ]

    def pass_time(self, aws_seconds: float) -> None:
        """Lets AWS's time pass."""
        self.rehearsal.advance(aws_seconds)

    def network(self) -> Network:
        """See `Network`."""
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ac")
        ]
        function, proxy, database = (self.group(vpc, n) for n in ("function", "proxy", "database"))
        self.let_in(proxy, function)
        self.let_in(database, proxy)
        return Network(vpc, subnets, function, proxy, database)

    def group(self, vpc: str, name: str) -> str:
        """A security group; its id."""
        answer = self.ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)
        return str(answer["GroupId"])

    def let_in(self, group: str, source: str, port: int = 3306) -> None:
        """Lets `source` into `group`."""
        self.ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[permission(source, port)]
        )

    def role(self, name: str, service: str, document: dict[str, Any] | None = None) -> str:
        """A role for a service, with an inline policy; its ARN."""
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
        if document:
            self.iam.put_role_policy(
                RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(document)
            )
        return str(role["Role"]["Arn"])

    def secret(self, password: str = "correct-horse", name: str = "login") -> str:
        """A secret with a database login; its ARN."""
        text = json.dumps({"username": "testdb", "password": password})
        return str(self.secretsmanager.create_secret(Name=name, SecretString=text)["ARN"])

    def rds_ready(self) -> None:
        """RDS's service-linked role, which a new account lacks."""
        self.iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")

    def instance(self, network: Network, **changes: Any) -> Any:
        """A database in a subnet group of its own; CreateDBInstance's answer."""
        self.rds.create_db_subnet_group(
            DBSubnetGroupName="group",
            DBSubnetGroupDescription="group",
            SubnetIds=network.subnets,
        )
        return self.rds.create_db_instance(**instance_parameters(network, **changes))

    def proxy(self, network: Network, secret: str, role: str, name: str = "proxy") -> Any:
        """A proxy with IAM login; CreateDBProxy's answer."""
        return self.rds.create_db_proxy(
            DBProxyName=name,
            EngineFamily="MYSQL",
            Auth=[{"AuthScheme": "SECRETS", "SecretArn": secret, "IAMAuth": "REQUIRED"}],
            RoleArn=role,
            VpcSubnetIds=network.subnets,
            VpcSecurityGroupIds=[network.proxy],
            RequireTLS=True,
        )["DBProxy"]

    def function_role(self, name: str = "function") -> str:
        """A role with which a function can live in a VPC; its ARN."""
        role = self.role(name, "lambda.amazonaws.com")
        self.iam.attach_role_policy(RoleName=name, PolicyArn=VPC_POLICY)
        return role

    def function(self, role: str, name: str = "function", **changes: Any) -> Any:
        """A function; CreateFunction's answer."""
        parameters = {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": role,
            "Handler": "index.lambda_handler",
            "Code": {"ZipFile": zipped()},
        }
        return self.lambda_.create_function(**{**parameters, **changes})


def instance_parameters(network: Network, **changes: Any) -> dict[str, Any]:
    """CreateDBInstance's parameters for a database in the subnet group `group`."""
    parameters = {
        "DBInstanceIdentifier": "database",
        "Engine": "mysql",
        "EngineVersion": "8.4",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "StorageType": "gp3",
        "MasterUsername": "testdb",
        "MasterUserPassword": "correct-horse",
        "DBSubnetGroupName": "group",
        "VpcSecurityGroupIds": [network.database],
        "BackupRetentionPeriod": 1,
    }
    return {k: v for k, v in {**parameters, **changes}.items() if v is not None}


def permission(source: str, port: int = 3306) -> dict[str, Any]:
    """A rule about TCP and one other group."""
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "UserIdGroupPairs": [{"GroupId": source}],
    }


@contextmanager
def account(behaviours: Behaviours | None = None, **options: Any) -> Iterator[PlayedAccount]:
    """An empty account for one test."""
    with Rehearsal(behaviours or frozen(), data_plane=False, **options) as rehearsal:
        yield PlayedAccount(rehearsal)


def looks(
    call: Callable[[], Any], tries: int = 5, passing: PlayedAccount | None = None
) -> list[str]:
    """The codes of the refusals before `call` is answered.

    In the account `passing`, a minute passes after each.
    """
    codes: list[str] = []
    for _ in range(tries):
        try:
            call()
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
            if passing:
                passing.pass_time(60)
        else:
            return codes
    raise AssertionError(f"never answered: {codes}")
