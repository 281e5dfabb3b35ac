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
from provision.resources.rds import DBInstance, DBProxy, DBProxyTarget, DBSubnetGroup
from provision.resources.secretsmanager import Secret

R = TypeVar("R", bound=Resource)

Login = Literal["password", "iam"]
Tier = Literal["function", "proxy", "database"]
RouteName = Literal["root", "func1", "func2"]

LOGINS: tuple[Login, Login] = ("password", "iam")


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
            part = getattr(self, each.name)
            if isinstance(part, Resource):
                yield part
            else:
                yield from part.values() if isinstance(part, Mapping) else part

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
