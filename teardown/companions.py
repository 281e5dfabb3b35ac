"""What somebody else added to the environment's resources, and a teardown deletes with them.

Read only before a delete. What the caller may not list is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from provision.aws.account import absent, calling, pages
from provision.aws.advice import DENIED
from provision.context import Run
from provision.errors import AwsCallError
from provision.resources.base import Resource, Seen
from provision.resources.template import LOGINS

GONE = (
    "NotFoundException", "ResourceNotFoundException", "DBProxyNotFoundFault",
    "DBProxyTargetGroupNotFoundFault", "InvalidDBProxyStateFault",
)  # fmt: skip


@dataclass(frozen=True)
class Companion:
    """One addition of somebody else to a resource: what it is, and how to keep it."""

    step: str
    what: str
    keep: str

    def __str__(self) -> str:
        return f"{self.step}: {self.what}, which this environment did not create. {self.keep}"


def companions(run: Run, seen: Mapping[str, Seen | None], going: set[str]) -> list[Companion]:
    """Return what is deleted with the steps `going` and not this program's. Reads only."""
    reads: list[Callable[[], list[Companion]]] = []
    for resource, find in finders(run, seen):
        existing = seen.get(resource.step)
        if existing is not None and resource.step in going:
            reads.append(partial(listed, resource, find, existing))
    return [each for found in run.aws.together(*reads) for each in found] if reads else []


Find = Callable[[Seen], Iterator[tuple[str, str]]]


def listed(resource: Resource, find: Find, existing: Seen) -> list[Companion]:
    """Return what `find` yields of one resource, and last that it cannot be listed, if so.

    Nothing of ours depends on the list: a caller may be denied it, and an emulator may not know it.
    """
    found: list[Companion] = []
    try:
        with calling(resource.step), absent(*GONE):
            for what, keep in find(existing):
                found.append(Companion(resource.step, what, keep))
    except AwsCallError as error:
        perhaps = "perhaps a resource of somebody else's"
        if error.answer.code in DENIED:
            what = f"{perhaps}: {error.answer.operation} was denied"
            keep = "`python -m provision policy` prints the permissions to list it."
        else:
            what = f"{perhaps}, which cannot be listed: {error.message}"
            keep = "Check that before you continue."
        found.append(Companion(resource.step, what, keep))
    return found


def finders(run: Run, seen: Mapping[str, Seen | None]) -> Iterator[tuple[Resource, Find]]:
    """Yield each resource that can have additions, with the function that lists them."""
    template = run.template
    yield template.api, partial(in_api, run, seen)
    for login in LOGINS:
        function, proxy = template.functions[login], template.proxies[login]
        yield function, partial(of_function, run)
        yield proxy, partial(of_proxy, run, seen)
    yield template.db_instance, of_instance
    for role in (template.proxy_role, template.api_role, *template.function_roles.values()):
        yield role, partial(of_role, role.policies)


def in_api(run: Run, seen: Mapping[str, Seen | None], existing: Seen) -> Iterator[tuple[str, str]]:
    """Yield the routes, integrations and stages of our API that are not ours."""
    client, api = run.aws.apigateway, existing.outputs["id"]
    parts = [*run.template.routes.values(), *run.template.integrations.values()]
    ours = {its.outputs.get("id") for part in parts if (its := seen.get(part.step))}
    keep = (
        f"To keep a copy: aws apigatewayv2 export-api --region {run.aws.region} --api-id {api} "
        "--specification OAS30 --output-type JSON api.json"
    )
    for each in pages(client, "get_routes", "Items", ApiId=api):
        if each["RouteId"] not in ours:
            yield f"the route {each['RouteKey']} ({each['RouteId']})", keep
    for each in pages(client, "get_integrations", "Items", ApiId=api):
        if each["IntegrationId"] not in ours:
            uri = each.get("IntegrationUri", "")
            yield f"the integration {each['IntegrationId']} ({uri})", keep
    for each in pages(client, "get_stages", "Items", ApiId=api):
        if each["StageName"] != "$default":
            yield f"the stage {each['StageName']}", keep


def of_function(run: Run, existing: Seen) -> Iterator[tuple[str, str]]:
    """Yield a function's aliases: this program creates none."""
    name = existing.outputs["function"]
    for each in pages(run.aws.lambda_, "list_aliases", "Aliases", FunctionName=name):
        yield (
            f"the alias {each['Name']} (of version {each.get('FunctionVersion', '?')})",
            f"To keep the version's code: aws lambda get-function --region {run.aws.region} "
            f"--function-name {name} --qualifier {each['Name']}",
        )


def of_proxy(
    run: Run, seen: Mapping[str, Seen | None], existing: Seen
) -> Iterator[tuple[str, str]]:
    """Yield a proxy's further endpoints and targets."""
    name = existing.outputs["proxy"]
    operation, key = "describe_db_proxy_endpoints", "DBProxyEndpoints"
    for each in pages(run.aws.rds, operation, key, DBProxyName=name):
        if not each.get("IsDefault"):
            yield (
                f"the proxy endpoint {each['DBProxyEndpointName']} ({each.get('Endpoint', '')})",
                "It is deleted with its proxy: move its clients to another endpoint first.",
            )
    instance = seen.get(run.template.db_instance.step)
    ours = {run.template.db_instance.name.lower()}
    ours |= {instance.outputs["id"].lower()} if instance else set()
    for each in pages(run.aws.rds, "describe_db_proxy_targets", "Targets", DBProxyName=name):
        target: Any = each.get("RdsResourceId") or each.get("TrackedClusterId") or ""
        if target.lower() not in ours:
            yield (
                f"the target {target} of the proxy",
                "The database itself stays, but clients can no longer reach it through this proxy.",
            )


def of_instance(existing: Seen) -> Iterator[tuple[str, str]]:
    """Yield the read replicas of the DB instance."""
    for name in existing.properties.get("ReadReplicas", ()):
        yield (
            f"the read replica {name}",
            "It stays, is billed, and becomes an instance of its own. To delete it: aws rds "
            f"delete-db-instance --db-instance-identifier {name} --skip-final-snapshot",
        )


def of_role(policies: Mapping[str, Any], existing: Seen) -> Iterator[tuple[str, str]]:
    """Yield the inline policies that somebody added to a role."""
    name = existing.outputs["role"]
    for each in existing.properties.get("Policies", {}):
        if each not in policies:
            yield (
                f"the inline policy {each} of the role {name}",
                f"To keep a copy: aws iam get-role-policy --role-name {name} --policy-name {each}",
            )
