"""The HTTP API before the functions: its stage, integrations and routes.

Follows the Amazon API Gateway V2 API reference. APIs of one name may be many, so ours is found by
its tags; what is within it has no tags and is ours because the API is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.aws.account import Aws, absent, pages
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.ownership import marked
from provision.resources.permissions import (
    CREATES_OURS,
    IF_OURS,
    IS_OURS,
    TAGS_OURS,
    Statement,
    tags_back,
)
from provision.resources.references import Output, arn

NOT_FOUND = "NotFoundException"


class Tagged(ManagedResource):
    """What carries tags in API Gateway, which are set by ARN."""

    def path(self, seen: Seen) -> str:
        """Return its path, which is the last part of its ARN."""
        raise NotImplementedError

    def arn_at_aws(self, aws: Aws, seen: Seen) -> str:
        """Return its ARN, which names no account."""
        return aws.arn("apigateway", self.path(seen), account="")

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        tags = {**self.tags(aws), **tags}  # see TAGS_OURS
        aws.apigateway.tag_resource(ResourceArn=self.arn_at_aws(aws, seen), Tags=tags)

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        arn = self.arn_at_aws(aws, seen)
        aws.apigateway.untag_resource(ResourceArn=arn, TagKeys=list(keys))


@dataclass(frozen=True)
class Api(Tagged):
    """The HTTP API (CreateApi)."""

    api_name: str
    description: str

    kind = "AWS::ApiGatewayV2::Api"
    title = "HTTP API"
    named_by = "api_name"
    requires_replacement = frozenset({"ProtocolType"})
    lasting_id = "id"

    id = Output()
    endpoint = Output()

    def permissions(self) -> Iterator[Statement]:
        """Yield what the API and everything within it need.

        IAM knows API Gateway's control plane by HTTP method and path. What is within an API has no
        tags of its own: the API's count. Tags are authorized on a path that ends in the tagged
        ARN, whose form AWS's errors show in several ways; and as TagResource, an action that is
        not in AWS's reference, on the collection in which something is created.
        """
        apis, within = arn("apigateway", "/apis"), arn("apigateway", "/apis/*")
        anywhere = "arn:${aws.partition}:apigateway:*::/apis"  # `list --all-regions`
        yield Statement(("apigateway:GET",), (anywhere, within))
        yield Statement(("apigateway:POST",), (apis,), CREATES_OURS)
        changes = ("apigateway:DELETE", "apigateway:PATCH", "apigateway:TagResource")
        yield Statement(changes, (within,), IS_OURS)
        integrations, routes, stages = (
            arn("apigateway", f"/apis/*/{kind}") for kind in ("integrations", "routes", "stages")
        )
        yield Statement(("apigateway:POST",), (integrations, routes, stages), IS_OURS)
        yield Statement(("apigateway:TagResource",), (apis, stages))
        tags = tuple(
            f"arn:${{aws.partition}}:apigateway:*::*/tags/*{path}"
            for path in ("/apis/*", "%2Fapis%2F*")
        )
        yield Statement(("apigateway:POST", "apigateway:PUT"), tags, TAGS_OURS)
        yield Statement(("apigateway:DELETE",), tags, IF_OURS)
        yield Statement(("apigateway:UntagResource",), (within,), IF_OURS)

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        marks = json.dumps(
            {"provision:environment": aws.environment, "provision:step": self.step},
            separators=(",", ":"),
        )
        return tags_back(
            aws.environment,
            seen.tags,
            f"aws apigatewayv2 tag-resource --region {aws.region} --resource-arn "
            f"{self.arn_at_aws(aws, seen)} --tags '{marks}'",
        )

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        apis = pages(aws.apigateway, "get_apis", "Items")
        tagged = [
            each for each in apis if marked(each.get("Tags") or {}, aws.environment, self.step)
        ]
        recorded = [each for each in apis if each["ApiId"] == known.get("id")]
        named = [each for each in tagged if each["Name"] == self.api_name]
        candidates = recorded or named or tagged
        if not candidates:
            return None
        api = candidates[0]
        beside = tagged if recorded else named
        return Seen(
            {"id": api["ApiId"], "endpoint": api["ApiEndpoint"]},
            {
                "Name": api["Name"],
                "ProtocolType": api["ProtocolType"],
                "Description": api.get("Description", ""),
                "DisableExecuteApiEndpoint": api.get("DisableExecuteApiEndpoint", False),
            },
            tags=api.get("Tags") or {},
            created=api["CreatedDate"].isoformat() if api.get("CreatedDate") else "",
            name="" if api["Name"] == self.api_name else api["Name"],
            rivals=tuple(each["ApiId"] for each in beside if each is not api),
        )

    def properties(self) -> dict[str, Any]:
        return {
            "Name": self.api_name,
            "ProtocolType": "HTTP",
            "Description": self.description,
            "DisableExecuteApiEndpoint": False,
        }

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.apigateway.create_api(
            Name=self.api_name,
            ProtocolType="HTTP",
            Description=self.description,
            Tags=self.tags(aws),
        )
        return {"id": answer["ApiId"], "endpoint": answer["ApiEndpoint"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.apigateway.update_api(
            ApiId=seen.outputs["id"],
            Name=self.api_name,
            Description=self.description,
            DisableExecuteApiEndpoint=False,
        )

    def path(self, seen: Seen) -> str:
        return f"/apis/{seen.outputs['id']}"

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent(NOT_FOUND):
            aws.apigateway.delete_api(ApiId=seen.outputs["id"])


@dataclass(frozen=True)
class Stage(Tagged):
    """The API's `$default` stage: deployed by itself, throttled (CreateStage)."""

    api_id: str
    throttle_rate: float  # requests per second
    throttle_burst: int  # requests

    kind = "AWS::ApiGatewayV2::Stage"
    title = "stage $default"
    within = "api_id"
    find_by = ("api_id",)

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent(NOT_FOUND):
            stage = aws.apigateway.get_stage(ApiId=self.api_id, StageName="$default")
            settings = stage.get("DefaultRouteSettings", {})
            return Seen(
                {"stage": "$default"},
                {
                    "AutoDeploy": stage.get("AutoDeploy", False),
                    "ThrottlingRateLimit": settings.get("ThrottlingRateLimit"),
                    "ThrottlingBurstLimit": settings.get("ThrottlingBurstLimit"),
                    "RouteSettings": stage.get("RouteSettings") or {},  # not ours: for `check`
                },
                tags=stage.get("Tags") or {},
            )
        return None

    def owned(self, aws: Aws, seen: Seen, known: Mapping[str, str]) -> bool:
        """Return True: it is within our API, whoever made it."""
        return True

    def properties(self) -> dict[str, Any]:
        return {
            "AutoDeploy": True,
            "ThrottlingRateLimit": self.throttle_rate,
            "ThrottlingBurstLimit": self.throttle_burst,
        }

    def settings(self) -> Any:
        """Return the parameters that CreateStage and UpdateStage share."""
        return {
            "ApiId": self.api_id,
            "StageName": "$default",
            "AutoDeploy": True,
            "DefaultRouteSettings": {
                "ThrottlingRateLimit": self.throttle_rate,
                "ThrottlingBurstLimit": self.throttle_burst,
            },
        }

    def create(self, aws: Aws) -> dict[str, str]:
        aws.apigateway.create_stage(**self.settings(), Tags=self.tags(aws))
        return {"stage": "$default"}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.apigateway.update_stage(**self.settings())

    def path(self, seen: Seen) -> str:
        return f"/apis/{self.api_id}/stages/$default"

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent(NOT_FOUND):
            aws.apigateway.delete_stage(ApiId=self.api_id, StageName="$default")


@dataclass(frozen=True)
class Integration(ManagedResource):
    """The API's way to call one function, with the API's role (CreateIntegration)."""

    api_id: str
    function_arn: str
    credentials_arn: str
    timeout: int  # milliseconds, 50 to 30000

    kind = "AWS::ApiGatewayV2::Integration"
    title = "integration"
    within = "api_id"
    find_by = ("api_id",)

    id = Output()

    def mark(self, aws: Aws) -> str:
        """Return the description by which the integration is found: it has no name and no tags."""
        return f"provision:environment={aws.environment} provision:step={self.step}"

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent(NOT_FOUND):
            found = aws.listed("apigatewayv2", "get_integrations", "Items", ApiId=self.api_id)
            ours = [
                each
                for each in found
                if each.get("Description") == self.mark(aws)
                or each["IntegrationId"] == known.get("id")
            ]
            ours.sort(key=lambda each: each["IntegrationId"] != known.get("id"))
            if ours:
                compared = {name: ours[0].get(name) for name in self.properties()}
                return Seen({"id": ours[0]["IntegrationId"]}, compared)
        return None

    def properties(self) -> dict[str, Any]:
        return {
            "IntegrationType": "AWS_PROXY",
            "IntegrationMethod": "POST",
            "IntegrationUri": self.function_arn,
            "CredentialsArn": self.credentials_arn,
            "PayloadFormatVersion": "2.0",
            "TimeoutInMillis": self.timeout,
        }

    def settings(self, aws: Aws) -> Any:
        """Return the parameters that CreateIntegration and UpdateIntegration share."""
        return self.properties() | {"ApiId": self.api_id, "Description": self.mark(aws)}

    def create(self, aws: Aws) -> dict[str, str]:
        return {"id": aws.apigateway.create_integration(**self.settings(aws))["IntegrationId"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.apigateway.update_integration(IntegrationId=seen.outputs["id"], **self.settings(aws))

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent(NOT_FOUND):
            aws.apigateway.delete_integration(ApiId=self.api_id, IntegrationId=seen.outputs["id"])


@dataclass(frozen=True)
class Route(ManagedResource):
    """One route of the API to one integration (CreateRoute)."""

    api_id: str
    route_key: str
    integration_id: str

    kind = "AWS::ApiGatewayV2::Route"
    title = "route"
    named_by = "route_key"
    replace_with = frozenset({"Target"})  # API Gateway keeps an integration that a route points to
    within = "api_id"
    find_by = ("api_id",)

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        with absent(NOT_FOUND):
            for route in aws.listed("apigatewayv2", "get_routes", "Items", ApiId=self.api_id):
                if route["RouteKey"] == self.route_key:
                    target, kind = route.get("Target"), route.get("AuthorizationType", "NONE")
                    compared = {"Target": target, "AuthorizationType": kind}
                    return Seen({"id": route["RouteId"]}, compared)
        return None

    def properties(self) -> dict[str, Any]:
        return {"Target": f"integrations/{self.integration_id}", "AuthorizationType": "NONE"}

    def settings(self) -> Any:
        """Return the parameters that CreateRoute and UpdateRoute share."""
        return self.properties() | {"ApiId": self.api_id, "RouteKey": self.route_key}

    def create(self, aws: Aws) -> dict[str, str]:
        return {"id": aws.apigateway.create_route(**self.settings())["RouteId"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.apigateway.update_route(RouteId=seen.outputs["id"], **self.settings())

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent(NOT_FOUND):
            aws.apigateway.delete_route(ApiId=self.api_id, RouteId=seen.outputs["id"])
