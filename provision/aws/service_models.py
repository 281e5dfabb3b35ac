"""botocore's own models of AWS's services, read in half the time that botocore takes.

They are what making a client costs. The files are botocore's, and so is what is made of them. EC2's
model has eight hundred operations, and botocore makes a method of each; those are kept that this
program calls.
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

EC2_OPERATIONS = frozenset(
    [
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateSecurityGroup",
        "CreateSubnet",
        "CreateTags",
        "CreateVpc",
        "DeleteNetworkInterface",
        "DeleteSecurityGroup",
        "DeleteSubnet",
        "DeleteTags",
        "DeleteVpc",
        "DescribeAvailabilityZones",
        "DescribeCarrierGateways",
        "DescribeEgressOnlyInternetGateways",
        "DescribeInternetGateways",
        "DescribeNatGateways",
        "DescribeNetworkAcls",
        "DescribeNetworkInterfaces",
        "DescribeRegions",
        "DescribeRouteTables",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTransitGatewayVpcAttachments",
        "DescribeVpcEndpoints",
        "DescribeVpcPeeringConnections",
        "DescribeVpcs",
        "DescribeVpnGateways",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
    ]
)


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
        """Return a service's model; of EC2's operations those that are called here."""
        model = super().load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) != ("ec2", "service-2"):
            return model
        operations = model["operations"].items()
        called = {name: each for name, each in operations if name in EC2_OPERATIONS}
        return {**model, "operations": called}

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return every service that has a folder, whether or not with a file of this type."""
        return self._services

    @cached_property
    def _services(self) -> list[str]:
        folders = [Path(path) for path in self.search_paths]
        return sorted({each.name for path in folders if path.is_dir() for each in path.iterdir()})
