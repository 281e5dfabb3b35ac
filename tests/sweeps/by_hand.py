"""What somebody does in the console: a resource of the environment is deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from provision.rehearsal import SOMEBODY_ELSE
from tests.support.names import REGION
from tests.sweeps.world import Place

Client = Callable[[str], Any]


def client(place: Place) -> Client:
    """Return what makes a client of somebody with the console open."""
    given = place.account.remote.environ(SOMEBODY_ELSE)
    session = boto3.Session(
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    patient = Config(retries={"total_max_attempts": 10, "mode": "standard"}, proxies={})
    make: Any = session.client
    return lambda service: make(service, endpoint_url=given["AWS_ENDPOINT_URL"], config=patient)


def instance(of: Client) -> None:
    of("rds").delete_db_instance(DBInstanceIdentifier="demo-database", SkipFinalSnapshot=True)


def proxy(of: Client) -> None:
    of("rds").delete_db_proxy(DBProxyName="demo-iam")


def target(of: Client) -> None:
    of("rds").deregister_db_proxy_targets(
        DBProxyName="demo-iam", DBInstanceIdentifiers=["demo-database"]
    )


def function(of: Client) -> None:
    of("lambda").delete_function(FunctionName="demo-iam")


def layer(of: Client) -> None:
    of("lambda").delete_layer_version(LayerName="demo-mysql-connector", VersionNumber=1)


def secret(of: Client) -> None:
    of("secretsmanager").delete_secret(SecretId="demo/database", RecoveryWindowInDays=7)


def api(of: Client) -> None:
    found = of("apigatewayv2").get_paginator("get_apis").paginate().build_full_result()
    for each in found["Items"]:
        if each.get("Tags"):  # somebody else's API of the same name carries none
            of("apigatewayv2").delete_api(ApiId=each["ApiId"])


def log_group(of: Client) -> None:
    of("logs").delete_log_group(logGroupName="/aws/lambda/demo-iam")


def role_policy(of: Client) -> None:
    of("iam").delete_role_policy(
        RoleName=f"demo-function-iam-{REGION}", PolicyName="connect-to-proxy"
    )


DELETED = (instance, proxy, target, function, layer, secret, api, log_group, role_policy)
