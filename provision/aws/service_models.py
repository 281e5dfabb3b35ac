"""botocore's own models of AWS's services, read in half the time that botocore takes.

They are what making a client costs. The files are botocore's, and so is what is made of them. EC2
has eight hundred operations and botocore makes a method of each, so those are left out that this
program never calls.
"""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import botocore
from botocore.loaders import JSONFileLoader, Loader

# Every operation that is called anywhere in this program, of whichever service.
OPERATIONS = frozenset(
    """
    AddTagsToResource AttachRolePolicy AuthorizeSecurityGroupEgress
    AuthorizeSecurityGroupIngress CreateApi CreateDBInstance CreateDBProxy CreateDBSubnetGroup
    CreateFunction CreateIntegration CreateLogGroup CreateRole CreateRoute CreateSecurityGroup
    CreateServiceLinkedRole CreateStage CreateSubnet CreateTags CreateVpc DeleteApi
    DeleteDBInstance DeleteDBProxy DeleteDBSubnetGroup DeleteFunction DeleteIntegration
    DeleteLayerVersion DeleteLogGroup DeleteNetworkInterface DeleteRole
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
    DescribeVpcs DescribeVpnGateways DetachRolePolicy FilterLogEvents GetApis GetFunction
    GetIntegrations GetLayerVersion GetRole GetRolePolicy GetRoutes GetStage GetStages
    ListAliases ListAttachedRolePolicies ListFunctions ListInstanceProfilesForRole
    ListLayerVersions ListLayers ListRolePolicies ListRoles ListTags ListTagsForResource
    ModifyDBInstance ModifyDBProxy ModifyDBProxyTargetGroup ModifyDBSubnetGroup
    PublishLayerVersion PutRetentionPolicy PutRolePermissionsBoundary PutRolePolicy
    RegisterDBProxyTargets RemoveTagsFromResource RevokeSecurityGroupEgress
    RevokeSecurityGroupIngress StartDBInstance TagResource TagRole UntagResource UntagRole
    UpdateApi UpdateAssumeRolePolicy UpdateFunctionCode UpdateFunctionConfiguration
    UpdateIntegration UpdateRoute UpdateStage
    """.split()  # noqa: SIM905 - a hundred lines of list, else
)
REDUCED = {"apigatewayv2", "ec2", "iam", "lambda", "logs", "rds"}  # the services with the most


class Files(JSONFileLoader):
    """Reads a model into plain dicts: they keep their order, as botocore's OrderedDicts do."""

    def load_file(self, file_path: str) -> Any:
        """Return what the file of this path without its suffix holds, or None without a file."""
        for suffix in (".json", ".json.gz"):
            with contextlib.suppress(FileNotFoundError):
                return _read(Path(file_path + suffix))
        return None


@cache
def _read(path: Path) -> Any:
    """Return what a file holds: read once, for every session of this process."""
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


class Models(Loader):
    """Finds models in these folders, without listing the files of all of AWS's services.

    `kept_at` is a file for what is left of the models of REDUCED: reading it takes a tenth of the
    time. A run that changes something writes it (`to_keep`); it counts while botocore is the same.
    """

    FILE_LOADER_CLASS = Files

    def __init__(self, folders: Iterable[str], kept_at: Path | None = None) -> None:
        super().__init__(list(folders), include_default_search_paths=False)
        self.kept_at = kept_at
        self._read: dict[str, Any] = {}  # by this process, and reduced

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """Return a service's model; of those in REDUCED what the operations that we call need."""
        if service_name not in REDUCED or type_name != "service-2":
            return super().load_service_model(service_name, type_name, api_version)
        if kept := self._kept.get(service_name):
            return kept
        model = reduced(super().load_service_model(service_name, type_name, api_version))
        self._read[service_name] = model
        return model

    def to_keep(self) -> str:
        """Return the text for the file, or "" where it has all that was needed."""
        if not self._read:
            return ""
        models = without_documentation({**self._kept, **self._read})
        return json.dumps({"made_from": self._made_from, "models": models}) + "\n"

    @cached_property
    def _kept(self) -> dict[str, Any]:
        """What an earlier run kept; nothing where that was made of other files."""
        if self.kept_at is None:
            return {}
        try:
            document = json.loads(self.kept_at.read_bytes())
            if document["made_from"] == self._made_from:
                return {name: each for name, each in document["models"].items() if name in REDUCED}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass  # there is none, or it is cut off or somebody's own: the models are read
        return {}

    @cached_property
    def _made_from(self) -> list[Any]:
        """What changes with botocore's files, with a user's own models, and with OPERATIONS."""
        folders = [Path(path, name) for path in self.search_paths for name in sorted(REDUCED)]
        times = [each.stat().st_mtime_ns for each in folders if each.is_dir()]
        return [botocore.__version__, times, crc32(" ".join(sorted(OPERATIONS)).encode())]

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return every service that has a folder, whether or not with a file of this type."""
        return self._services

    @cached_property
    def _services(self) -> list[str]:
        folders = [Path(path) for path in self.search_paths]
        return sorted({each.name for path in folders if path.is_dir() for each in path.iterdir()})


def reduced(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model with the operations in OPERATIONS, and the shapes that these need."""
    called = {name: each for name, each in model["operations"].items() if name in OPERATIONS}
    shapes: dict[str, Any] = {}
    named = list(shapes_in(called))
    while named:
        if (name := named.pop()) not in shapes:
            shapes[name] = model["shapes"][name]
            named += shapes_in(shapes[name])
    return {**model, "operations": called, "shapes": shapes}


def shapes_in(part: Any) -> Iterator[str]:
    """Yield the names of the shapes that a part of a model refers to."""
    if isinstance(part, Mapping):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        for each in part.values():
            yield from shapes_in(each)
    elif isinstance(part, list):
        for each in part:
            yield from shapes_in(each)


def without_documentation(part: Any) -> Any:
    """Return a part of a model without its texts, which are most of it."""
    if isinstance(part, Mapping):
        return {
            name: without_documentation(each)
            for name, each in part.items()
            if name != "documentation" or not isinstance(each, str)
        }
    return [without_documentation(each) for each in part] if isinstance(part, list) else part
