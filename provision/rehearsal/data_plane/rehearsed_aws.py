"""Reads from the rehearsed AWS what the data plane needs to know, at the moment it needs it.

Through the API, as any user could, but for what AWS keeps to itself: what it finds when it
evaluates a role's policies, the bytes of an uploaded zip, and a DB instance's master password.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError

from provision.rehearsal.aws import network
from provision.rehearsal.aws.behaviours import iam_roles
from provision.rehearsal.aws.calls import ACCOUNT
from provision.rehearsal.aws.iam_policy import Decision
from provision.rehearsal.aws.world import World
from provision.rehearsal.data_plane.proxy.databases import (
    DatabaseDownError,
    ProxiedDatabase,
    ProxyCredentials,
)
from provision.rehearsal.data_plane.proxy.stand_in import PLUGINS, ServedProxy
from provision.rehearsal.data_plane.proxy.token import SessionKey, TokenRefusedError
from provision.rehearsal.data_plane.shared_reads import SharedReads

MYSQL_PORT = 3306
REFRESH = timedelta(minutes=5)
"""How long before they expire a role's credentials are replaced, as Lambda does."""


class Clients(Protocol):
    """Whatever gives out boto3 clients that reach the rehearsed AWS by its back door."""

    @property
    def world(self) -> World:
        """What the rehearsed AWS knows."""

    def client(self, service: str) -> Any:
        """Return a boto3 client."""


class RehearsedAws:
    """The rehearsed account, as the data plane sees it. Safe to use from several threads."""

    def __init__(
        self, clients: Clients, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clients, self.now = clients, now
        self._reads = SharedReads()
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._keys: dict[str, SessionKey] = {}  # by their ids
        self._credentials: dict[str, SessionKey] = {}  # the newest, by role

    def client(self, service: str) -> Any:
        """Return the one client of a service."""
        with self._lock:
            if service not in self._made:
                self._made[service] = self._clients.client(service)
            return self._made[service]

    @property
    def region(self) -> str:
        """The region that this account is rehearsed in."""
        region: str = self.client("lambda").meta.region_name
        return region

    # Roles

    def find_key(self, access_key_id: str) -> SessionKey | None:
        """Return the key that STS gave out under this id, if it did.

        A session ends at its time, and with its role, also when there is a new one of that name:
        raises TokenRefusedError.
        """
        key = self._keys.get(access_key_id)
        if key is None:
            return None
        if not key.lasts(self.now()):
            raise TokenRefusedError(f"the session of {key.role_arn} ended at {key.expires}")
        if key.role_id != self._role_id(key.role_arn):
            raise TokenRefusedError(f"the session is of a role {key.role_arn} that was deleted")
        return key

    def _role_id(self, role_arn: str) -> str:
        """The role's lasting id; "" when there is no such role."""
        with self._clients.world.lock:
            role = iam_roles.find(self._clients.world, role_arn)
        return "" if role is None else str(role.id)

    def credentials(self, role_arn: str, session: str) -> SessionKey:
        """Return the role's credentials, good for some minutes more at least."""
        known, role_id = self._credentials.get(role_arn), self._role_id(role_arn)
        if known is not None and known.lasts(self.now() + REFRESH) and known.role_id == role_id:
            return known
        answer = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session)
        given = answer["Credentials"]
        secret, token = given["SecretAccessKey"], given["SessionToken"]
        expires = self.now() + (given["Expiration"] - datetime.now(UTC))
        key = SessionKey(given["AccessKeyId"], secret, token, role_arn, role_id, expires)
        self._keys[key.access_key_id] = self._credentials[role_arn] = key
        return key

    def trusts(self, role_arn: str, service: str) -> Decision:
        """Whether a role exists and lets an AWS service assume it."""
        with self._clients.world.lock:
            return iam_roles.trusts(self._clients.world, role_arn, service)

    def may(self, role_arn: str, action: str, resource: str) -> Decision:
        """Whether a role's policies, within its boundary, allow an action on a resource."""
        with self._clients.world.lock:
            return iam_roles.may(self._clients.world, role_arn, action, resource)

    def may_as(self, service: str, role_arn: str, action: str, resource: str) -> Decision:
        """Whether a service may assume a role, and the role do something then."""
        with self._clients.world.lock:
            return iam_roles.may_as(self._clients.world, service, role_arn, action, resource)

    def may_connect(self, role_arn: str, resource: str) -> Decision:
        """Whether a role may log in at a proxy: `rds-db:connect`."""
        return self.may(role_arn, "rds-db:connect", resource)

    # Proxies

    def proxies(self) -> list[dict[str, Any]]:
        """Return every proxy, as DescribeDBProxies answers it."""
        return self.everything("rds", "describe_db_proxies", "DBProxies")

    def proxy_settings(
        self, name: str, open_database: Callable[[Mapping[str, Any]], ProxiedDatabase]
    ) -> ServedProxy:
        """Return a proxy's settings. Raises LookupError when there is no such proxy."""
        return self._reads.get(("proxy", name), lambda: self._proxy_settings(name, open_database))

    def _proxy_settings(
        self, name: str, open_database: Callable[[Mapping[str, Any]], ProxiedDatabase]
    ) -> ServedProxy:
        try:
            answer = self.client("rds").describe_db_proxies(DBProxyName=name)
        except ClientError as error:
            raise LookupError(_told(error)) from error
        proxy = answer["DBProxies"][0]
        secrets, problems = self._secrets(proxy)
        instance, unavailable = self._target(proxy)
        database = None
        if instance is not None:
            unavailable = self._rejected(instance, secrets) or unavailable
            try:
                database = open_database(instance)
            except DatabaseDownError as error:
                unavailable = str(error)
        auth = proxy.get("Auth") or [{}]
        _, partition, _, region, account, *_ = proxy["DBProxyArn"].split(":")
        proxy_id = proxy["DBProxyArn"].rsplit(":", 1)[1]
        return ServedProxy(
            name=name,
            endpoint=proxy["Endpoint"],
            port=MYSQL_PORT,
            region=region,
            connect_arn=f"arn:{partition}:rds-db:{region}:{account}:dbuser:{proxy_id}",
            iam_required=auth[0].get("IAMAuth") == "REQUIRED",
            require_tls=bool(proxy.get("RequireTLS")),
            idle_seconds=float(proxy.get("IdleClientTimeout") or 1800),
            plugin=PLUGINS[auth[0].get("ClientPasswordAuthType", "MYSQL_CACHING_SHA2_PASSWORD")],
            secrets=secrets,
            problems=tuple(problems),
            unavailable=unavailable,
            database=database,
        )

    def _secrets(self, proxy: Mapping[str, Any]) -> tuple[dict[str, ProxyCredentials], list[str]]:
        secrets, problems = {}, []
        for auth in proxy.get("Auth") or []:
            try:
                secret = self._secret(auth["SecretArn"], proxy["RoleArn"])
                secrets[secret.username] = secret
            except LookupError as error:
                problems.append(f"the proxy cannot use its secret: {error}")
        return secrets, problems

    def _secret(self, secret_arn: str, role_arn: str) -> ProxyCredentials:
        """Read a secret as the proxy's role. Raises LookupError with what is in the way."""
        allowed = self.may_as(
            "rds.amazonaws.com", role_arn, "secretsmanager:GetSecretValue", secret_arn
        )
        if not allowed.allowed:
            raise LookupError(allowed.reason)
        try:
            answer = self.client("secretsmanager").get_secret_value(SecretId=secret_arn)
        except ClientError as error:
            raise LookupError(_told(error)) from error
        return _parsed_secret(answer)

    def _target(self, proxy: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
        """Return the proxy's DB instance, or why no connection to it can be borrowed."""
        rds = self.client("rds")
        targets = rds.describe_db_proxy_targets(DBProxyName=proxy["DBProxyName"])["Targets"]
        if not targets:
            return None, "no target is registered with the proxy"
        health = targets[0].get("TargetHealth", {})
        if health.get("State") != "AVAILABLE":
            words = " ".join(str(v) for v in health.values())
            return None, f"the proxy's target is not AVAILABLE: {words}"
        identifier = targets[0]["RdsResourceId"]
        try:
            answer = rds.describe_db_instances(DBInstanceIdentifier=identifier)
        except ClientError as error:
            return None, f"the proxy's target: {_told(error)}"
        instance: dict[str, Any] = answer["DBInstances"][0]
        if instance["DBInstanceStatus"] not in ("available", "backing-up", "modifying"):
            return None, f"DB instance {identifier} is {instance['DBInstanceStatus']}"
        return instance, self._path_to_database(proxy, instance)

    def _path_to_database(self, proxy: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
        target_groups = [group["VpcSecurityGroupId"] for group in instance["VpcSecurityGroups"]]
        source = network.Party("proxy", tuple(proxy["VpcSecurityGroupIds"]))
        target = network.Party("database", tuple(target_groups))
        port = instance.get("Endpoint", {}).get("Port") or MYSQL_PORT
        return network.blocked(self.security_groups(), source, target, port)

    def _rejected(
        self, instance: Mapping[str, Any], secrets: Mapping[str, ProxyCredentials]
    ) -> str:
        """Return why the database does not take the proxy's secret, if it does not."""
        user, password = instance["MasterUsername"], master_password(instance)
        if user not in secrets:
            return f"AUTH_FAILURE: no secret of the proxy is for the database's user {user!r}"
        if password is not None and secrets[user].password != password:
            return "AUTH_FAILURE: the secret's password is not the database's"
        return ""

    # Network

    def security_groups(self) -> list[dict[str, Any]]:
        """Return every security group, as DescribeSecurityGroups answers it."""
        return self.everything("ec2", "describe_security_groups", "SecurityGroups")

    # Shared reads

    def read(self, service: str, operation: str, **parameters: str) -> dict[str, Any]:
        """Return AWS's answer, shared by all who ask at this moment. Raises ClientError."""
        call = getattr(self.client(service), operation)
        return self._reads.get((operation, *parameters.values()), lambda: call(**parameters))

    def everything(
        self, service: str, operation: str, kind: str, **parameters: str
    ) -> list[dict[str, Any]]:
        """Return what all pages of a list have under `kind`; the same otherwise."""

        def read() -> list[dict[str, Any]]:
            pages = self.client(service).get_paginator(operation).paginate(**parameters)
            return [item for page in pages for item in page[kind]]

        return self._reads.get((operation, *parameters.values()), read)


def _parsed_secret(answer: Mapping[str, Any]) -> ProxyCredentials:
    name = answer["Name"]
    try:
        value = json.loads(answer["SecretString"])
        username, password = value["username"], value["password"]
    except (KeyError, TypeError, ValueError):
        shape = '{"username": ..., "password": ...}'
        raise LookupError(f"secret {name} is not JSON of the form {shape}") from None
    if not isinstance(username, str) or not isinstance(password, str):
        raise LookupError(f"secret {name}: username and password must be texts")
    return ProxyCredentials(username, password)


def _told(error: ClientError) -> str:
    given = error.response["Error"]
    return f"{given.get('Code')}: {given.get('Message')}"


# What only moto itself can tell. Only these functions look inside it.


def code_bytes(function_arn: str, layer_arns: list[str]) -> list[bytes]:
    """Return the zips of a function and of its layers, as they were uploaded.

    `Code.Location` of GetFunction leads nowhere in moto.
    """
    from moto.awslambda.utils import get_backend

    _, _, _, region, account, _, name = function_arn.split(":")[:7]
    zips = [get_backend(account, region).get_function(name).code_bytes]
    for layer_arn in layer_arns:
        _, _, _, region, account, _, layer, version = layer_arn.split(":")
        found = get_backend(account, region).get_layer_version(layer, version)
        zips.append(found.code_bytes)
    return zips


def is_deployed(region: str, api_id: str, stage: Mapping[str, Any]) -> bool:
    """Return whether a stage has anything to serve: moto shows no stage's DeploymentId."""
    from moto.apigatewayv2.models import apigatewayv2_backends

    if stage.get("AutoDeploy"):
        return True
    stages = apigatewayv2_backends[ACCOUNT][region].get_api(api_id).stages
    return bool(getattr(stages[stage["StageName"]], "deployment_id", ""))


def instance_secret(instance: Mapping[str, Any]) -> ProxyCredentials:
    """Return the master user of a DB instance, as the database itself knows it.

    Raises DatabaseDownError when RDS manages the password: then moto has none.
    """
    password = master_password(instance)
    if password is None:
        raise DatabaseDownError("a password that RDS manages is not part of the rehearsal")
    return ProxyCredentials(instance["MasterUsername"], password)


def master_password(instance: Mapping[str, Any]) -> str | None:
    """Return the password that the database itself has; None when RDS manages it."""
    from moto.rds.models import rds_backends

    if instance.get("MasterUserSecret"):
        return None
    _, _, _, region, account, *_ = instance["DBInstanceArn"].split(":")
    database = rds_backends[account][region].databases[instance["DBInstanceIdentifier"]]
    password: str = database._master_user_password
    return password
