"""What IAM checks before AWS carries out a call: actions, resources, and the request's context.

Beside the call's own action: passing a role, tagging on creation, what a service looks up or does
elsewhere in the caller's name. Follows AWS's Service Authorization Reference. Where that reference
and the errors that AWS really answers differ, both are checked: a policy has to allow either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from provision.rehearsal.aws.calls import ACCOUNT, Call, is_mutating

if TYPE_CHECKING:
    from provision.rehearsal.aws.iam_policy import Context
    from provision.rehearsal.aws.world import World

Tags = Mapping[str, str]
ANY = "*"
_PREFIXES = {"resourcegroupstaggingapi": "tag", "tagging": "tag"}
"""Services whose actions begin with another word than boto3's name of the service."""
_NEW_SECRET = "AbCdEf"  # noqa: S105 - the six characters of a secret that is being created


@dataclass(frozen=True)
class Check:
    """One question to IAM. Without `required`, AWS answers less instead of refusing the call."""

    action: str
    resource: str
    context: Context
    required: bool = True


def checks(world: World, call: Call) -> list[Check]:
    """What IAM checks for a call, in order. GetCallerIdentity needs no permission."""
    if call.operation == "GetCallerIdentity":
        return []
    request = _Request(world, call)
    return list(_SERVICES.get(call.service, _plain)(request))


class _Request:
    """A call, with what is known of the things that it is about."""

    def __init__(self, world: World, call: Call) -> None:
        from moto.utilities.utils import get_partition

        self.world = world
        self.call = call
        self.operation = call.operation
        self.action = f"{_PREFIXES.get(call.service, call.service)}:{call.operation}"
        self.partition = get_partition(call.region)
        self.tags = request_tags(call)
        self.creates = call.operation.startswith("Create")

    def get(self, name: str) -> Any:
        """A parameter of the call, or None."""
        return self.call.get(name)

    def backend(self, service: str) -> Any:
        """moto's own object for a service."""
        return self.world.backend(service, self.call.region)

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the call's account and region."""
        region = "" if service == "iam" else self.call.region
        account = "" if service == "apigateway" else ACCOUNT
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    def check(
        self,
        action: str,
        resource: str = ANY,
        *,
        tags: Tags | None = None,
        requested: bool = False,
        required: bool = True,
        keys: Mapping[str, str] | None = None,
    ) -> Check:
        """A check; `tags` are those of the resource, `requested` adds those of the request.

        `keys` are further condition keys, with their values.
        """
        context: dict[str, Any] = {"aws:RequestedRegion": self.call.region}
        context |= {f"aws:ResourceTag/{key}": value for key, value in (tags or {}).items()}
        if requested and self.tags:
            context |= {f"aws:RequestTag/{key}": value for key, value in self.tags.items()}
            context["aws:TagKeys"] = sorted(self.tags)
        context |= keys or {}
        return Check(action, resource, context, required)

    def own(self, resource: str = ANY, **rest: Any) -> Check:
        """A check of the action that has the call's own name; see `check`."""
        return self.check(self.action, resource, **rest)

    def passed(self, parameter: str, service: str) -> Iterator[Check]:
        """A role that the call hands to a service."""
        if role := self.get(parameter):
            yield self.check(
                "iam:PassRole", role, keys={"iam:PassedToService": f"{service}.amazonaws.com"}
            )

    def looked_up(self, *names: str) -> Iterator[Check]:
        """What a service looks up in EC2 with the caller's own permissions."""
        return (self.check(f"ec2:Describe{name}") for name in names)


def _plain(request: _Request) -> Iterator[Check]:
    yield request.own(requested=True)


# --- EC2 ------------------------------------------------------------------------------------------

_EC2_TYPES = {
    "eni": "network-interface",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
}
_EC2_CREATED = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateNetworkInterface": "network-interface",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
}
_EC2_IDS = ("VpcId", "SubnetId", "GroupId", "NetworkInterfaceId")


def _ec2(request: _Request) -> Iterator[Check]:
    """Existing resources with their tags; what is created, with the tags of the request."""
    if not is_mutating(request.operation):
        yield request.own()
        return
    tagging = request.operation in ("CreateTags", "DeleteTags")
    ids = [request.get(name) for name in _EC2_IDS]
    named = [*filter(None, ids), *(request.get("Resources") or [])]
    for each in named:
        kind = _EC2_TYPES.get(each.partition("-")[0], "*")
        tags = request.backend("ec2").tags.get(each, {})
        arn = request.arn("ec2", f"{kind}/{each}")
        yield request.own(arn, tags=tags, requested=tagging)
    kind = _EC2_CREATED.get(request.operation, "")
    new = request.arn("ec2", f"{kind}/*")
    if kind and (request.tags or request.creates):
        yield request.own(new, requested=True)
    if kind and request.tags:
        keys = {"ec2:CreateAction": request.operation}
        yield request.check("ec2:CreateTags", new, requested=True, keys=keys)
    if not named and not kind:
        yield request.own()


# --- RDS ------------------------------------------------------------------------------------------

_LOOKED_UP_BY_RDS = (
    "AccountAttributes",
    "AvailabilityZones",
    "InternetGateways",
    "SecurityGroups",
    "Subnets",
    "VpcAttribute",
    "Vpcs",
)


def _rds(request: _Request) -> Iterator[Check]:
    special = _RDS.get(request.operation)
    if special is not None:
        yield from special(request)
        return
    arns = [
        request.arn("rds", f"{kind}:{request.get(parameter)}")
        for parameter, kind in (("DBInstanceIdentifier", "db"), ("DBSubnetGroupName", "subgrp"))
        if request.get(parameter)
    ]
    if request.get("DBProxyName"):
        arns = [_proxy_arn(request)]
    if not is_mutating(request.operation):
        arns = []
    for arn in arns or [ANY]:
        yield _on(request, arn, requested=request.creates)
    yield from request.passed("RoleArn", "rds")
    if request.creates and request.tags:
        yield _rds_tagging(request, arns[0])


def _on(request: _Request, arn: str, **rest: Any) -> Check:
    """A check of the call's own action on a resource of RDS, with its tags."""
    return request.own(arn, tags=_rds_tags(request, arn), **rest)


def _rds_tagging(request: _Request, arn: str, given: bool = True) -> Check:
    """Tagging: `given` by the request, or else taken over from what is copied."""
    keys = {"rds:TagsFromRequest": str(given).lower()}
    return request.check("rds:AddTagsToResource", arn, requested=given, keys=keys)


def _create_db_subnet_group(request: _Request) -> Iterator[Check]:
    group = request.arn("rds", f"subgrp:{request.get('DBSubnetGroupName')}")
    yield request.own(group, requested=True)
    if request.tags:
        yield _rds_tagging(request, group)
    yield from request.looked_up(*_LOOKED_UP_BY_RDS)


def _default_groups(request: _Request) -> list[str]:
    """The option group and the parameter group that an engine's version has by default."""
    major = ".".join(str(request.get("EngineVersion") or "8.4").split(".")[:2])
    names = (f"og:default:mysql-{major.replace('.', '-')}", f"pg:default.mysql{major}")
    return [request.arn("rds", name) for name in names]


def _create_db_instance(request: _Request) -> Iterator[Check]:
    instance = request.arn("rds", f"db:{request.get('DBInstanceIdentifier')}")
    group = request.arn("rds", f"subgrp:{request.get('DBSubnetGroupName')}")
    for arn in (instance, *_default_groups(request), group):
        yield request.own(arn, requested=True)
    if request.tags:
        yield _rds_tagging(request, instance)
    yield from request.looked_up(*_LOOKED_UP_BY_RDS)
    if request.get("StorageEncrypted"):
        key = request.arn("kms", "key/00000000-1111-2222-3333-444444444444")
        for suffix in _dns_suffixes(request):
            through = {"kms:ViaService": f"rds.{request.call.region}.{suffix}"}
            yield request.check("kms:DescribeKey", key, keys=through)
            for_rds = through | {"kms:GrantIsForAWSResource": "true"}
            yield request.check("kms:CreateGrant", key, keys=for_rds)


def _dns_suffixes(request: _Request) -> tuple[str, ...]:
    """How services may be named in `kms:ViaService`: in China both are found."""
    return ("amazonaws.com",) + (("amazonaws.com.cn",) if request.partition == "aws-cn" else ())


def _modify_db_instance(request: _Request) -> Iterator[Check]:
    instance = request.arn("rds", f"db:{request.get('DBInstanceIdentifier')}")
    other = _default_groups(request) if request.get("EngineVersion") else []
    for arn in (instance, *other):
        yield _on(request, arn)


def _delete_db_instance(request: _Request) -> Iterator[Check]:
    instance = request.arn("rds", f"db:{request.get('DBInstanceIdentifier')}")
    yield _on(request, instance)
    if name := request.get("FinalDBSnapshotIdentifier"):
        snapshot = request.arn("rds", f"snapshot:{name}")
        tags = _rds_tags(request, instance)
        yield request.check("rds:CreateDBSnapshot", instance, tags=tags)
        yield request.check("rds:CreateDBSnapshot", snapshot)
        yield _rds_tagging(request, snapshot, given=False)


def _create_db_proxy(request: _Request) -> Iterator[Check]:
    yield request.own(requested=True)
    yield from request.passed("RoleArn", "rds")
    if request.tags:  # the id is not chosen yet, or has just been
        for new in ("*", "prx-0123456789abcdef0"):
            yield _rds_tagging(request, request.arn("rds", f"db-proxy:{new}"))


def _targets(request: _Request) -> Iterator[Check]:
    proxy = request.backend("rds").db_proxies.get(request.get("DBProxyName"))
    group = proxy.proxy_target_groups["default"].arn if proxy else ANY
    yield request.own(group)
    if request.operation == "DeregisterDBProxyTargets":
        yield _on(request, _proxy_arn(request))
        for name in request.get("DBInstanceIdentifiers") or []:
            yield _on(request, request.arn("rds", f"db:{name}"))


def _rds_tags_call(request: _Request) -> Iterator[Check]:
    arn = request.get("ResourceName") or ANY
    changes = is_mutating(request.operation)
    keys = {"rds:TagsFromRequest": "true"} if changes else {}
    yield _on(request, arn, requested=changes, keys=keys)


def _proxy_arn(request: _Request) -> str:
    name = request.get("DBProxyName")
    proxy = request.backend("rds").db_proxies.get(name)
    return proxy.arn if proxy else request.arn("rds", "db-proxy:prx-00000000000000000")


def _rds_tags(request: _Request, arn: str) -> Tags:
    parts = arn.split(":", 6)
    found = request.backend("rds")._find_resource(*parts[5:7]) if len(parts) == 7 else None
    return _tag_map(found.tags) if found is not None else {}


_RDS: dict[str, Callable[[_Request], Iterator[Check]]] = {
    "AddTagsToResource": _rds_tags_call,
    "CreateDBInstance": _create_db_instance,
    "CreateDBProxy": _create_db_proxy,
    "CreateDBSubnetGroup": _create_db_subnet_group,
    "DeleteDBInstance": _delete_db_instance,
    "DeregisterDBProxyTargets": _targets,
    "ListTagsForResource": _rds_tags_call,
    "ModifyDBInstance": _modify_db_instance,
    "ModifyDBProxyTargetGroup": _targets,
    "RegisterDBProxyTargets": _targets,
    "RemoveTagsFromResource": _rds_tags_call,
}


# --- IAM ------------------------------------------------------------------------------------------


def _iam(request: _Request) -> Iterator[Check]:
    """Of a role, its boundary counts; of a boundary that is set, the new one."""
    keys: dict[str, str] = {}
    tags: Tags = {}
    arn = ANY
    if name := request.get("RoleName"):
        role = next((r for r in request.backend("iam").roles.values() if r.name == name), None)
        arn = role.arn if role else request.arn("iam", f"role/{name}")
        tags = _tag_map(role.tags) if role else {}
        boundary = request.get("PermissionsBoundary")
        boundary = boundary or (role.permissions_boundary_arn if role else None)
        keys |= {"iam:PermissionsBoundary": boundary} if boundary else {}
    if policy := request.get("PolicyArn"):
        keys["iam:PolicyARN"] = policy
        arn = policy if arn == ANY else arn
    if service := request.get("AWSServiceName"):
        keys["iam:AWSServiceName"] = service
        arn = request.arn("iam", f"role/aws-service-role/{service}/AWSServiceRoleForRDS")
    yield request.own(arn, tags=tags, requested=True, keys=keys)
    if request.creates and request.tags:
        yield request.check("iam:TagRole", arn, requested=True)


# --- Lambda, Secrets Manager, CloudWatch Logs -----------------------------------------------------


def _lambda(request: _Request) -> Iterator[Check]:
    operation = {"Invoke": "InvokeFunction"}.get(request.operation, request.operation)
    action, layer, arn = f"lambda:{operation}", request.get("LayerName"), request.get("Resource")
    function = request.get("FunctionName")
    if layer:
        version = request.get("VersionNumber")
        name = f"layer:{layer}" + (f":{version}" if version else "")
        yield request.check(action, request.arn("lambda", name))
        if operation == "ListLayerVersions":
            yield request.check(action)
        return
    if function and not function.startswith("arn:"):
        arn = request.arn("lambda", f"function:{function}")
    arn = arn or function or ANY
    found = request.backend("lambda").list_functions()
    no_tags: Tags = {}
    tags = next((each.tags for each in found if each.function_arn == arn), no_tags)
    yield request.check(action, arn, tags=tags, requested=True)
    if operation == "GetFunction":
        yield request.check("lambda:ListTags", arn, tags=tags, required=False)
    yield from request.passed("Role", "lambda")
    if request.creates and request.tags:
        yield request.check("lambda:TagResource", arn, requested=True)
    if (request.get("VpcConfig") or {}).get("SubnetIds"):
        yield from request.looked_up("SecurityGroups", "Subnets", "Vpcs")
    for each in request.get("Layers") or []:
        yield request.check("lambda:GetLayerVersion", each)


def _secretsmanager(request: _Request) -> Iterator[Check]:
    """A secret that does not exist is known by the bare name that the call gives."""
    if request.operation == "CreateSecret":
        new = request.arn("secretsmanager", f"secret:{request.get('Name')}-{_NEW_SECRET}")
        yield request.own(new, requested=True)
        if request.tags:
            yield request.check("secretsmanager:TagResource", new, requested=True)
        return
    name = request.get("SecretId")
    secret = request.backend("secretsmanager").secrets.get(name) if name else None
    arn = secret.arn if secret else name or ANY
    tags = _tag_map(secret.tags) if secret else {}
    yield request.own(arn, tags=tags, requested=True)


def _logs(request: _Request) -> Iterator[Check]:
    """A log group is known with and without `:*` behind its name, by the action."""
    arn = request.get("resourceArn")
    if name := request.get("logGroupName"):
        arn = request.arn("logs", f"log-group:{name}")
    actions = [request.action]
    if request.creates and request.tags:
        actions.append("logs:TagResource")
    for action in actions:
        for form in (arn, f"{arn}:*") if arn else (ANY,):
            yield request.check(action, form, requested=True)


# --- S3 -------------------------------------------------------------------------------------------

_S3_ACTIONS = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
}


def _s3(request: _Request) -> Iterator[Check]:
    """An ETag is compared only for callers that may read the object."""
    bucket, key = request.get("Bucket") or "*", request.get("Key")
    arn = f"arn:{request.partition}:s3:::{bucket}" + (f"/{key}" if key else "")
    action = _S3_ACTIONS.get(request.operation, request.operation)
    yield request.check(f"s3:{action}", arn)
    if is_mutating(request.operation) and request.get("IfMatch"):
        yield request.check("s3:GetObject", arn)


# --- API Gateway ----------------------------------------------------------------------------------


def _apigateway(request: _Request) -> Iterator[Check]:
    """Verbs on paths. What is within an API has the API's tags."""
    method, path = request.call.method, request.call.path.removeprefix("/v2")
    if path.startswith("/tags/"):
        yield from _apigateway_tags(request, unquote(path.removeprefix("/tags/")))
        return
    arn = request.arn("apigateway", path)
    tags = _api_tags(request, path)
    yield request.check(f"apigateway:{method}", arn, tags=tags, requested=request.creates)
    yield from request.passed("CredentialsArn", "apigateway")
    if request.creates and request.tags:
        yield request.check("apigateway:TagResource", arn, tags=tags, requested=True)
        yield from _tag_paths(request, request.arn("apigateway", f"{path}/*"), {})


def _apigateway_tags(request: _Request, arn: str) -> Iterator[Check]:
    tags = _api_tags(request, arn.rpartition("::")[2])
    if request.operation == "GetTags":
        tagged = request.arn("apigateway", f"/tags/{quote(arn, safe='')}")
        yield request.check("apigateway:GET", tagged, tags=tags)
        return
    yield from _tag_paths(request, arn, tags)
    for action in ("apigateway:PATCH", f"apigateway:{request.operation}"):
        yield request.check(action, arn, tags=tags, requested=True)


def _tag_paths(request: _Request, arn: str, tags: Tags) -> Iterator[Check]:
    """The forms in which AWS's errors name the path of a resource's tags."""
    prefix = f"arn:{request.partition}:apigateway"
    plain = arn.replace("::/apis/", "::/v2/apis/")
    resource = f"{prefix}:{request.call.region}::/tags/{quote(arn, safe='*')}"
    removes = request.operation == "UntagResource"
    put, post = ("DELETE", "DELETE") if removes else ("PUT", "POST")
    yield request.check(f"apigateway:{put}", resource, tags=tags, requested=True)
    for form in (f"{prefix}:*::/tags/{plain}", f"{prefix}:{request.call.region}::/tags/{arn}"):
        yield request.check(f"apigateway:{post}", form, tags=tags, requested=True)


def _api_tags(request: _Request, path: str) -> Tags:
    parts = path.split("/")
    if len(parts) < 3 or parts[1] != "apis":
        return {}
    backend = request.backend("apigatewayv2")
    api = backend.apis.get(parts[2])
    tags: Tags = backend.get_tags(api.arn) if api is not None else {}
    return tags


# --- tags -----------------------------------------------------------------------------------------


def request_tags(call: Call) -> dict[str, str]:
    """The tags that a call sets, whatever its service calls them."""
    given = call.get("Tags") or call.get("tags") or []
    for specification in call.get("TagSpecifications") or []:
        given = specification.get("Tags", [])
    return _tag_map(given)


def _tag_map(given: Any) -> dict[str, str]:
    """Tags in any of AWS's and moto's shapes, as a dict."""
    if isinstance(given, Mapping):
        return {
            str(key): str(value["Value"] if isinstance(value, Mapping) else value)
            for key, value in given.items()
        }
    return {tag["Key"]: tag.get("Value", "") for tag in given or []}


_SERVICES: dict[str, Callable[[_Request], Iterator[Check]]] = {
    "apigatewayv2": _apigateway,
    "ec2": _ec2,
    "iam": _iam,
    "lambda": _lambda,
    "logs": _logs,
    "rds": _rds,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
}
