"""botocore's own models of AWS's services, read in half the time that botocore takes.

They are what making a client costs. The files are botocore's, and so is what is made of them. EC2
has eight hundred operations and botocore makes a method of each, so those are left out that this
program never calls.
"""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

# Every operation that is called anywhere in this program, of whichever service.
OPERATIONS = frozenset(
    """
    AddTagsToResource AttachRolePolicy AuthorizeSecurityGroupEgress
    AuthorizeSecurityGroupIngress CreateApi CreateDBInstance CreateDBProxy CreateDBSubnetGroup
    CreateFunction CreateIntegration CreateLogGroup CreateRole CreateRoute CreateSecurityGroup
    CreateServiceLinkedRole CreateStage CreateSubnet CreateTags CreateVpc DeleteApi
    DeleteDBInstance DeleteDBProxy DeleteDBSubnetGroup DeleteFunction DeleteIntegration
    DeleteLayerVersion DeleteLogGroup DeleteNetworkInterface DeleteObject DeleteRole
    DeleteRolePermissionsBoundary DeleteRolePolicy DeleteRoute DeleteSecurityGroup DeleteStage
    DeleteSubnet DeleteTags DeleteVpc DeregisterDBProxyTargets DescribeAccountAttributes
    DescribeAvailabilityZones DescribeCarrierGateways DescribeDBEngineVersions
    DescribeDBInstanceAutomatedBackups DescribeDBInstances DescribeDBMajorEngineVersions
    DescribeDBProxies DescribeDBProxyEndpoints DescribeDBProxyTargetGroups
    DescribeDBProxyTargets DescribeDBSnapshots DescribeDBSubnetGroups
    DescribeEgressOnlyInternetGateways DescribeInternetGateways DescribeLogGroups
    DescribeNatGateways DescribeNetworkAcls DescribeNetworkInterfaces
    DescribeOrderableDBInstanceOptions DescribeRegions DescribeRouteTables
    DescribeSecurityGroupRules DescribeSecurityGroups DescribeSubnets
    DescribeTransitGatewayVpcAttachments DescribeVpcEndpoints DescribeVpcPeeringConnections
    DescribeVpcs DescribeVpnGateways DetachRolePolicy FilterLogEvents GetApis GetBucketAcl
    GetBucketPolicyStatus GetBucketVersioning GetFunction GetIntegrations GetLayerVersion
    GetObject GetPublicAccessBlock GetRole GetRolePolicy GetRoutes GetStage GetStages
    HeadBucket ListAliases ListAttachedRolePolicies ListFunctions ListInstanceProfilesForRole
    ListLayerVersions ListLayers ListRolePolicies ListRoles ListTags ListTagsForResource
    ModifyDBInstance ModifyDBProxy ModifyDBProxyTargetGroup ModifyDBSubnetGroup
    PublishLayerVersion PutObject PutRetentionPolicy PutRolePermissionsBoundary PutRolePolicy
    RegisterDBProxyTargets RemoveTagsFromResource RevokeSecurityGroupEgress
    RevokeSecurityGroupIngress StartDBInstance TagResource TagRole UntagResource UntagRole
    UpdateApi UpdateAssumeRolePolicy UpdateFunctionCode UpdateFunctionConfiguration
    UpdateIntegration UpdateRoute UpdateStage
    """.split()  # noqa: SIM905 - a hundred lines of list, else
)
REDUCED = {
    "apigatewayv2",
    "ec2",
    "iam",
    "lambda",
    "logs",
    "rds",
    "s3",
}  # the services with the most


class Files(JSONFileLoader):
    """Reads a model into plain dicts: they keep their order, as botocore's OrderedDicts do."""

    def load_file(self, file_path: str) -> Any:
        """Return what the file of this path without its suffix holds, or None without a file."""
        with contextlib.suppress(FileNotFoundError):
            return _read(Path(f"{file_path}.json"))
        with contextlib.suppress(FileNotFoundError):
            return _read(Path(f"{file_path}.json.gz"))
        return None


@cache
def _read(path: Path) -> Any:
    """Return what a file holds: read once, for every session of this process."""
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


class Models(Loader):
    """Finds models in these folders, without a look at each file of all of AWS's services."""

    FILE_LOADER_CLASS = Files

    def __init__(self, folders: Iterable[str]) -> None:
        super().__init__(list(folders), include_default_search_paths=False)

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """Return a service's model; of those in REDUCED with the operations that we call."""
        model = super().load_service_model(service_name, type_name, api_version)
        if service_name not in REDUCED or type_name != "service-2":
            return model
        operations = model["operations"].items()
        called = {name: each for name, each in operations if name in OPERATIONS}
        return {**model, "operations": called}

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return every service that has a folder, whether or not with a file of this type."""
        return self._services

    @cached_property
    def _services(self) -> list[str]:
        folders = [Path(path) for path in self.search_paths]
        return sorted({each.name for path in folders if path.is_dir() for each in path.iterdir()})
