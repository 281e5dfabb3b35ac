"""The environment's resources by name, as environment.py declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeVar, overload

from provision.resources.apigateway import Api, Integration, Route, Stage
from provision.resources.base import Resource
from provision.resources.ec2 import (
    AvailabilityZones,
    FunctionInterfaces,
    SecurityGroup,
    SecurityGroupRules,
    Subnet,
    Vpc,
)
from provision.resources.iam import Role, ServiceLinkedRole
from provision.resources.lambda_ import Function, LayerVersion
from provision.resources.logs import LogGroup
from provision.resources.rds.db_instance import DBInstance
from provision.resources.rds.db_proxy import DBProxy
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.resources.rds.db_subnet_group import DBSubnetGroup
from provision.resources.secretsmanager import Secret

R = TypeVar("R", bound=Resource)

Login = Literal["password", "iam"]
Tier = Literal["function", "proxy", "database"]
RouteName = Literal["root", "func1", "func2"]

LOGINS: tuple[Login, Login] = ("password", "iam")


PARTS = {
    "network": (
        "vpc", "availability_zones", "function_subnet", "database_subnets", "security_groups",
        "rules",
    ),
    "database": ("service_linked_role", "secret", "db_subnet_group", "db_instance"),
    "proxies": ("proxy_role", "proxy_logs", "proxies", "targets"),
    "functions": ("layer", "function_roles", "function_logs", "interfaces", "functions"),
    "API": ("api", "api_role", "stage", "integrations", "routes"),
}  # fmt: skip
"""What belongs together, for people: fields of Template."""


@dataclass(frozen=True)
class Template(Sequence[Resource]):
    """Every resource of an environment; as a sequence, each after those that it refers to."""

    vpc: Vpc
    availability_zones: AvailabilityZones
    function_subnet: Subnet
    database_subnets: tuple[Subnet, Subnet]
    security_groups: Mapping[Tier, SecurityGroup]
    rules: Mapping[Tier, SecurityGroupRules]
    service_linked_role: ServiceLinkedRole
    secret: Secret
    db_subnet_group: DBSubnetGroup
    db_instance: DBInstance
    proxy_role: Role
    proxy_logs: Mapping[Login, LogGroup]
    proxies: Mapping[Login, DBProxy]
    targets: Mapping[Login, DBProxyTarget]
    layer: LayerVersion
    function_roles: Mapping[Login, Role]
    function_logs: Mapping[Login, LogGroup]
    interfaces: FunctionInterfaces
    functions: Mapping[Login, Function]
    api: Api
    api_role: Role
    stage: Stage
    integrations: Mapping[Login, Integration]
    routes: Mapping[RouteName, Route]

    def __iter__(self) -> Iterator[Resource]:
        for each in fields(self):
            yield from self._within(each.name)

    def _within(self, name: str) -> Iterator[Resource]:
        value = getattr(self, name)
        if isinstance(value, Resource):
            yield value
        else:
            yield from value.values() if isinstance(value, Mapping) else value

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Resource: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Resource]: ...
    def __getitem__(self, index: int | slice) -> Resource | Sequence[Resource]:
        return tuple(self)[index]

    def all(self, kind: type[R]) -> list[R]:
        """Return the resources of one class."""
        return [each for each in self if isinstance(each, kind)]

    def parts(self) -> dict[str, str]:
        """Return the part of the environment (see PARTS) to which each step belongs."""
        return {
            each.step: part
            for part, names in PARTS.items()
            for name in names
            for each in self._within(name)
        }
