"""API Gateway v2 (HTTP APIs): the calls that moto lacks, and AWS's refusals.

Follows https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/ and botocore's model.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from botocore import xform_name

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing

_STAGE_ARN = re.compile(r"arn:[^:]+:apigateway:[^:]+::/apis/(?P<api>[^/]+)/stages/(?P<stage>.+)")


# APIs


def create_api(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its endpoint is the data plane's, on loopback."""
    return _reachable(world, call, proceed())


get_api = create_api
update_api = create_api


def get_apis(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `create_api`."""
    answer = proceed()
    answer["Items"] = [_reachable(world, call, api) for api in answer.get("Items", [])]
    return answer


@refusing
def delete_api(world: World, call: Call) -> None:
    """Refused when it is not there; stages, routes and integrations go with it."""
    _api(world, call)


def _reachable(world: World, call: Call, api: Answer) -> Answer:
    if world.data_plane is not None and call.region == world.region:
        api["ApiEndpoint"] = world.data_plane.api_endpoint(call.region, api["ApiId"])
    return api


# Stages


def create_stage(world: World, call: Call, proceed: Proceed) -> Answer:
    """Refuses a second one of that name. With AutoDeploy it is deployed at once."""
    if world.behaviours.refusals and call.get("StageName") in _api(world, call).stages:
        raise _conflict("Stage already exists")
    answer = proceed()
    stage = _stage(world, call)
    stage.deployment_id = call.get("DeploymentId") or _auto_deployed(stage)
    return _deployed(stage, answer)


def get_stage(world: World, call: Call, proceed: Proceed) -> Answer:
    """With its deployment, which moto leaves out."""
    return _deployed(_stage(world, call), proceed())


def get_stages(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `get_stage`."""
    answer, stages = proceed(), _api(world, call).stages
    for each in answer["Items"]:
        each.update(_deployed(stages[each["StageName"]], {}))
    return answer


def _auto_deployed(stage: Any) -> str:
    """The id of the deployment that AutoDeploy makes; "" without it."""
    return secrets.token_hex(3) if stage.auto_deploy else ""


def _deployed(stage: Any, answer: Answer) -> Answer:
    """`answer` with the deployment that the stage serves, if there has been one."""
    deployment = getattr(stage, "deployment_id", "")
    return {**answer, "DeploymentId": deployment} if deployment else answer


def update_stage(world: World, call: Call, proceed: Proceed) -> Answer:
    """moto has no UpdateStage. Settings that are not named stay as they are."""
    stage = _stage(world, call)
    for name, value in call.params.items():
        if name in ("AutoDeploy", "DeploymentId", "Description", "StageVariables"):
            setattr(stage, xform_name(name), value)
        elif name == "DefaultRouteSettings":
            stage.default_route_settings = {**stage.default_route_settings, **_camel(value)}
        elif name == "AccessLogSettings":
            stage.access_log_settings = {**(stage.access_log_settings or {}), **_camel(value)}
        elif name == "RouteSettings":
            settings = {route: _camel(each) for route, each in value.items()}
            stage.route_settings = {**stage.route_settings, **settings}
    stage.deployment_id = getattr(stage, "deployment_id", "") or _auto_deployed(stage)
    answer = world.ask(
        "apigatewayv2", "GetStage", call.region, ApiId=call.get("ApiId"), StageName=stage.name
    )
    return _deployed(stage, answer)


@refusing
def delete_stage(world: World, call: Call) -> None:
    """Refused when it is not there."""
    _stage(world, call)


def _camel(settings: Answer) -> Answer:
    """Settings as moto keeps them: as in the JSON body."""
    return {name[0].lower() + name[1:]: value for name, value in settings.items()}


# Integrations and routes


@refusing
def create_integration(world: World, call: Call) -> None:
    """Refuses a timeout that no HTTP API takes."""
    if not 50 <= call.get("TimeoutInMillis", 30_000) <= 30_000:
        message = "Timeout should be between 50 ms and 30000 ms"
        raise AwsError("BadRequestException", message, 400)


update_integration = create_integration


@refusing
def delete_integration(world: World, call: Call) -> None:
    """Refused while a route uses it."""
    api, name = _api(world, call), call.get("IntegrationId")
    if name not in api.integrations:
        raise _not_found("Invalid Integration identifier specified")
    for route in api.routes.values():
        if route.target == f"integrations/{name}":
            raise _conflict(
                f"Cannot delete Integration '{name}' due to Route '{route.route_id}' referencing "
                "it."
            )


@refusing
def create_route(world: World, call: Call) -> None:
    """Refuses a second one for the same key, and one that leads nowhere."""
    api, key = _api(world, call), call.get("RouteKey")
    if key in [route.route_key for route in api.routes.values()]:
        raise _conflict(f"Route with key {key} already exists for this API")
    _check_target(api, call)


@refusing
def update_route(world: World, call: Call) -> None:
    """See `create_route`."""
    _check_target(_api(world, call), call)


@refusing
def delete_route(world: World, call: Call) -> None:
    """Refused when it is not there."""
    if call.get("RouteId") not in _api(world, call).routes:
        raise _not_found("Invalid Route identifier specified")


def _check_target(api: Any, call: Call) -> None:
    target = call.get("Target")
    if target is not None and target.removeprefix("integrations/") not in api.integrations:
        message = f"The provided target integration {target} does not exist"
        raise AwsError("BadRequestException", message, 400)


# Tags


def get_tags(world: World, call: Call, proceed: Proceed) -> Answer | None:
    """Also of a stage, which moto does not find."""
    stage = _tagged_stage(world, call)
    return None if stage is None else {"Tags": stage.tags}


def tag_resource(world: World, call: Call, proceed: Proceed) -> Answer | None:
    """See `get_tags`."""
    stage = _tagged_stage(world, call)
    if stage is None:
        return None
    stage.tags = {**stage.tags, **call.get("Tags", {})}
    return {}


def untag_resource(world: World, call: Call, proceed: Proceed) -> Answer | None:
    """See `get_tags`."""
    stage = _tagged_stage(world, call)
    if stage is None:
        return None
    stage.tags = {k: v for k, v in stage.tags.items() if k not in call.get("TagKeys", [])}
    return {}


def _tagged_stage(world: World, call: Call) -> Any:
    """moto's stage, when it is a stage that the call is about. Raises NotFoundException."""
    match = _STAGE_ARN.fullmatch(call.get("ResourceArn", ""))
    if match is None:
        return None
    api = world.backend("apigatewayv2", call.region).apis.get(match["api"])
    stage = api.stages.get(match["stage"]) if api else None
    if stage is None:
        raise _not_found("Invalid stage identifier specified")
    return stage


# What they share


def _api(world: World, call: Call) -> Any:
    """moto's API that the call names. Raises NotFoundException, as AWS."""
    name = call.get("ApiId")
    api = world.backend("apigatewayv2", call.region).apis.get(name)
    if api is None:
        raise _not_found(f"Invalid API identifier specified {name}")
    return api


def _stage(world: World, call: Call) -> Any:
    """moto's stage that the call names. Raises NotFoundException, as AWS."""
    stage = _api(world, call).stages.get(call.get("StageName"))
    if stage is None:
        raise _not_found("Invalid stage identifier specified")
    return stage


def _conflict(message: str) -> AwsError:
    return AwsError("ConflictException", message, 409)


def _not_found(message: str) -> AwsError:
    return AwsError("NotFoundException", message, 404)
