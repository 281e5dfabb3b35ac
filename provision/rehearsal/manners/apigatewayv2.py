"""API Gateway v2 (HTTP APIs): the calls that moto lacks, and AWS's refusals.

Follows https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/ and botocore's model.
"""

from __future__ import annotations

from typing import Any

from botocore import xform_name

from provision.rehearsal.calls import AwsError, Call
from provision.rehearsal.world import Proceed, World

Answer = dict[str, Any]


def create_api(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its endpoint is the data plane's, on loopback."""
    return _reachable(world, call, proceed())


def get_api(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `create_api`."""
    return _reachable(world, call, proceed())


def update_api(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `create_api`."""
    return _reachable(world, call, proceed())


def get_apis(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `create_api`."""
    answer = proceed()
    answer["Items"] = [_reachable(world, call, api) for api in answer.get("Items", [])]
    return answer


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
    return world.ask(
        "apigatewayv2", "GetStage", call.region, ApiId=call.get("ApiId"), StageName=stage.name
    )


def _camel(settings: Answer) -> Answer:
    """Settings as moto keeps them: as in the JSON body."""
    return {name[0].lower() + name[1:]: value for name, value in settings.items()}


def _stage(world: World, call: Call) -> Any:
    """moto's stage that the call names. Raises NotFoundException, as AWS."""
    api = world.backend("apigatewayv2", call.region).apis.get(call.get("ApiId"))
    if api is None:
        raise AwsError(
            "NotFoundException", f"Invalid API identifier specified {call.get('ApiId')}", 404
        )
    stage = api.stages.get(call.get("StageName"))
    if stage is None:
        raise AwsError("NotFoundException", "Invalid stage identifier specified", 404)
    return stage


def _reachable(world: World, call: Call, api: Answer) -> Answer:
    if world.data_plane is not None:
        api["ApiEndpoint"] = world.data_plane.api_endpoint(call.region, api["ApiId"])
    return api
