"""The two functions and the layer with the MySQL connector.

Follows the AWS Lambda API reference. A layer version has no tags; its description carries the
environment's name. Code and layer go up only when their SHA-256 differs from AWS's CodeSha256.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from provision.aws.account import REFUSALS, Aws, absent, code_of, pages
from provision.aws.advice import BAD_CREDENTIALS, THROTTLED
from provision.packaging.zips import Package
from provision.resources import durations
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.ownership import Ownership, Tags, read_tags
from provision.resources.permissions import Statement
from provision.resources.references import Output, arn

NOT_FOUND = "ResourceNotFoundException"
OTHERS = "VersionsOfOthers"  # what is seen beside ours; not compared
RESERVED = "ReservedConcurrentExecutions"  # seen, not set and so not compared


@dataclass(frozen=True)
class LayerVersion(ManagedResource):
    """The newest version of a layer (PublishLayerVersion); older ones of ours are deleted."""

    layer_name: str
    package: Package = field(repr=False)
    runtimes: tuple[str, ...]
    architectures: tuple[str, ...]

    kind = "AWS::Lambda::LayerVersion"
    title = "layer version"
    named_by = "layer_name"
    # It takes no resource, as AWS's reference says, or the layer, as AWS's errors say: `*` is both.
    reads = ("lambda:ListLayerVersions",)
    writes = ("lambda:DeleteLayerVersion", "lambda:GetLayerVersion")
    arn_pattern = ("lambda", "layer:{name}:*")  # its versions
    recomputes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "CodeSha256": ("arn", "version", "code_sha256"),
        "CompatibleRuntimes": ("arn", "version", "code_sha256"),
    }

    lasting_id = "arn"  # of the version: its number is never given twice

    arn = Output()
    version = Output()

    def permissions(self) -> Iterator[Statement]:
        yield from super().permissions()
        layer = arn("lambda", f"layer:{self.layer_name}")
        yield Statement(("lambda:PublishLayerVersion",), (layer,))

    def mark(self, aws: Aws) -> str:
        """Return how the description of each of our versions begins."""
        return f"provision:environment={aws.environment} "

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        versions = self.versions(aws)
        if not versions:
            return None
        ours = [each for each in versions if self.is_ours(aws, each)]
        others = [each for each in versions if each not in ours]
        newest = (ours or versions)[0]
        number, version_arn = str(newest["Version"]), newest["LayerVersionArn"]
        recorded = known.get("code_sha256") if known.get("arn") == version_arn else None
        code_sha256 = recorded or self.code_sha256(aws, number)  # a version never changes
        return Seen(
            {"arn": version_arn, "version": number, "code_sha256": code_sha256},
            {
                "CodeSha256": code_sha256,
                "CompatibleRuntimes": sorted(newest.get("CompatibleRuntimes", ())),
                "OlderVersions": [each["Version"] for each in ours[1:]],
                OTHERS: others,
            },
            ours=bool(ours),
        )

    def is_ours(self, aws: Aws, version: Mapping[str, Any]) -> bool:
        """Return whether a version is this environment's, by its description: it has no tags."""
        return str(version.get("Description", "")).startswith(self.mark(aws))

    def ownership(self, aws: Aws, seen: Seen, known: Mapping[str, str]) -> Ownership:
        whose = super().ownership(aws, seen, known)
        if whose.ours:
            return whose
        others = "; ".join(self.others(seen))
        return Ownership(whose.owner, f"has no version of this environment, but {others}")

    def kept(self, seen: Seen) -> list[str]:
        """Return the versions that somebody else published under the layer's name."""
        return [f"somebody published {text}: kept" for text in self.others(seen)]

    def others(self, seen: Seen) -> list[str]:
        """Return in words the versions that are not ours, with what deletes each."""
        return [
            f"version {each['Version']} ({each.get('Description') or 'without a description'}, "
            f"{each.get('CreatedDate', '')}; to delete it: aws lambda delete-layer-version "
            f"--layer-name {self.layer_name} --version-number {each['Version']})"
            for each in seen.properties[OTHERS]
        ]

    def versions(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the layer's versions, newest first."""
        with absent(NOT_FOUND):
            found = pages(
                aws.lambda_, "list_layer_versions", "LayerVersions", LayerName=self.layer_name
            )
            return sorted(found, key=lambda each: -int(each["Version"]))
        return []

    def code_sha256(self, aws: Aws, version: str) -> str:
        """Return the hash of a version's zip, or "" where there is no such version."""
        with absent(NOT_FOUND):
            answer = aws.lambda_.get_layer_version(
                LayerName=self.layer_name, VersionNumber=int(version)
            )
            return answer["Content"]["CodeSha256"]
        return ""

    def properties(self) -> dict[str, Any]:
        return {
            "CodeSha256": self.package.sha256,
            "CompatibleRuntimes": sorted(self.runtimes),
            "OlderVersions": [],
        }

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.lambda_.publish_layer_version(
            LayerName=self.layer_name,
            Description=f"{self.mark(aws)}sha256={self.package.sha256}",
            Content={"ZipFile": self.package.content},
            CompatibleRuntimes=list(self.runtimes),  # type: ignore[arg-type]
            CompatibleArchitectures=list(self.architectures),  # type: ignore[arg-type]
        )
        return {
            "arn": answer["LayerVersionArn"],
            "version": str(answer["Version"]),
            "code_sha256": answer["Content"]["CodeSha256"],
        }

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        if "CodeSha256" in changes or "CompatibleRuntimes" in changes:
            self.create(aws)
            return
        for version in changes["OlderVersions"].is_:
            self.delete_version(aws, version)

    def delete(self, aws: Aws, seen: Seen) -> None:
        for version in self.versions(aws):
            if self.is_ours(aws, version):
                self.delete_version(aws, version["Version"])

    def delete_version(self, aws: Aws, version: int) -> None:
        """Delete one version; functions that use it keep their copy."""
        with absent(NOT_FOUND):
            aws.lambda_.delete_layer_version(LayerName=self.layer_name, VersionNumber=version)


@dataclass(frozen=True)
class Function(ManagedResource):
    """A function in the VPC (CreateFunction)."""

    function_name: str
    description: str
    package: Package = field(repr=False)
    handler: str
    runtime: str
    architecture: str
    memory: int  # MiB
    timeout: int  # seconds
    role_arn: str
    layer_arn: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log_group: str
    interfaces: str = ""  # Lambda's network interfaces, which go after the function

    kind = "AWS::Lambda::Function"
    title = "function"
    named_by = "function_name"
    ready = frozenset({"Successful", "Active"})
    failed = frozenset({"Failed"})
    requires_replacement = frozenset({"PackageType"})
    urgent = frozenset({"CodeSha256", "Architectures"})  # Lambda takes one change at a time
    replace_with = frozenset({"VpcConfig.SubnetIds", "VpcConfig.SecurityGroupIds"})
    non_blocking = frozenset({"environment", "layer_arn"})
    sensitive = frozenset({"Environment.DB_PASSWORD"})
    creation = durations.FUNCTION_CREATION
    deletion = durations.FUNCTION_DELETION
    # What Lambda looks up in the network with the caller's own permissions.
    reads = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")
    writes = (
        "lambda:CreateFunction",
        "lambda:DeleteFunction",
        "lambda:GetFunction",
        "lambda:ListAliases",  # what else goes with it
        "lambda:ListTags",  # without it GetFunction leaves the tags out
        "lambda:TagResource",
        "lambda:UntagResource",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
    )
    arn_pattern = ("lambda", "function:{name}")

    arn = Output()
    function = Output()

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent(NOT_FOUND):
            answer = aws.lambda_.get_function(FunctionName=self.function_name)
            function = answer["Configuration"]
            concurrency = answer.get("Concurrency", {})
            tags = self.tags_at_aws(aws, answer)
            settled = function.get("State") in (None, "Active", "Inactive")
            status = function.get("LastUpdateStatus") if settled else function.get("State")
            why = "LastUpdateStatusReason" if settled else "StateReason"
            return Seen(
                {"arn": function["FunctionArn"], "function": function["FunctionName"]},
                # Not set here, so not compared: how many requests at once somebody reserved.
                self.described(function)
                | {RESERVED: concurrency.get("ReservedConcurrentExecutions")},
                tags=tags.tags,
                unreadable=tags.unreadable,
                status=status or "Active",
                reason_code=str(function.get(f"{why}Code", "")),
                reason=str(function.get(why, "")),
            )
        return None

    def tags_at_aws(self, aws: Aws, answer: Mapping[str, Any]) -> Tags:
        """Return the function's tags. GetFunction leaves out what the caller may not list."""
        if answer.get("Tags"):
            return Tags(answer["Tags"])
        if error := answer.get("TagsError"):
            return Tags(None, f"ListTags answered {error['ErrorCode']}: {error['Message']}")
        function_arn = answer["Configuration"]["FunctionArn"]
        return read_tags(lambda: aws.lambda_.list_tags(Resource=function_arn).get("Tags") or {})

    def described(self, function: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared; each environment variable by itself."""
        vpc = function.get("VpcConfig", {})
        variables = function.get("Environment", {}).get("Variables", {})
        names = ("CodeSha256", "Handler", "Runtime", "MemorySize", "Timeout", "Role")
        described = {name: function[name] for name in names} | {
            "Architectures": function.get("Architectures", ["x86_64"]),
            "Description": function.get("Description", ""),
            "Layers": [layer["Arn"] for layer in function.get("Layers", ())],
            "VpcConfig.SubnetIds": sorted(vpc.get("SubnetIds", ())),
            "VpcConfig.SecurityGroupIds": sorted(vpc.get("SecurityGroupIds", ())),
            "Environment.*": sorted(variables),
        }
        return described | {f"Environment.{name}": variables.get(name) for name in self.environment}

    def settings(self) -> dict[str, Any]:
        """Return the properties that calls take as they are compared."""
        return {
            "Handler": self.handler,
            "Runtime": self.runtime,
            "MemorySize": self.memory,
            "Timeout": self.timeout,
            "Role": self.role_arn,
            "Description": self.description,
            "Layers": [self.layer_arn],
        }

    def properties(self) -> dict[str, Any]:
        wanted = {
            "CodeSha256": self.package.sha256,
            "Architectures": [self.architecture],
            **self.settings(),
            "VpcConfig.SubnetIds": sorted(self.subnet_ids),
            "VpcConfig.SecurityGroupIds": sorted(self.security_group_ids),
            "Environment.*": sorted(self.environment),
        }
        return wanted | {f"Environment.{name}": text for name, text in self.environment.items()}

    def configuration(self) -> Any:
        """Return the parameters that CreateFunction and UpdateFunctionConfiguration share."""
        return {
            "FunctionName": self.function_name,
            **self.settings(),
            "Environment": {"Variables": dict(self.environment)},
            "VpcConfig": {
                "SubnetIds": list(self.subnet_ids),
                "SecurityGroupIds": list(self.security_group_ids),
            },
        }

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.lambda_.create_function(
            **self.configuration(),
            PackageType="Zip",
            Code={"ZipFile": self.package.content},
            Architectures=[self.architecture],  # type: ignore[list-item]
            Tags=self.tags(aws),
        )
        return {"arn": answer["FunctionArn"], "function": answer["FunctionName"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        """Change the code or the configuration: Lambda takes one change at a time."""
        if self.urgent & set(changes):
            aws.lambda_.update_function_code(
                FunctionName=self.function_name,
                ZipFile=self.package.content,
                Architectures=[self.architecture],  # type: ignore[list-item]
            )
        else:
            aws.lambda_.update_function_configuration(**self.configuration())

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.lambda_.tag_resource(Resource=seen.outputs["arn"], Tags=dict(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        aws.lambda_.untag_resource(Resource=seen.outputs["arn"], TagKeys=list(keys))

    def deletable(self, seen: Seen) -> bool:
        return seen.status not in ("InProgress", "Pending", "Deleting")

    def delete(self, aws: Aws, seen: Seen) -> None:
        """Detach it from the VPC first, and delete it when that is done.

        Lambda takes its interfaces back much sooner that way. Where it refuses to detach (the role
        is gone, a layer is, a key is), the function is deleted all the same.
        """
        with absent(NOT_FOUND):
            if seen.properties["VpcConfig.SubnetIds"] and seen.status != "Failed":
                nowhere: Any = {"SubnetIds": [], "SecurityGroupIds": []}
                try:
                    aws.lambda_.update_function_configuration(
                        FunctionName=self.function_name, VpcConfig=nowhere
                    )
                    return
                except ClientError as error:
                    if not refuses_to_detach(error):
                        raise
            aws.lambda_.delete_function(FunctionName=self.function_name)


def refuses_to_detach(error: ClientError) -> bool:
    """Return whether Lambda will not detach a function, now or later: then it goes as it is.

    Not so for a function that is gone, a change that is under way, throttling, the caller's
    credentials, or an answer that says nothing (5xx).
    """
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return (
        status in REFUSALS
        and code_of(error) not in {NOT_FOUND, "ResourceConflictException"}
        and code_of(error) not in THROTTLED | BAD_CREDENTIALS
        and "throttled" not in str(error)
    )
