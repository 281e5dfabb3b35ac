"""Causes in the HTTP API: the address, stage, route, integration, and the right to invoke.

API Gateway answers a client only 404 or 500, so these are read from its settings. See the API
Gateway Developer Guide, "Troubleshooting issues with HTTP API Lambda integrations".
"""

from __future__ import annotations

import datetime
from http import HTTPStatus

from provision.resources.ownership import ENVIRONMENT
from provision.verify.diagnosis.cause import CHECK, UP, Cause, differing, is_should, lower
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import allowed_on, allows, trusted, trusts

API_SERVICE = "apigateway.amazonaws.com"
INVOKE = "lambda:InvokeFunction"
NEW_API_SECONDS = 15 * 60.0  # after which "it is new" explains nothing any more
THROTTLES = ("ThrottlingRateLimit", "ThrottlingBurstLimit")
DOCTOR = "python -m provision doctor; then AWS's own health page for the region"


def api_missing(evidence: Evidence) -> Cause | None:
    """The API that was called does not exist any more."""
    if not evidence.missing(evidence.template.api):
        return None
    return Cause(
        "the HTTP API is missing", f"no HTTP API has the environment's tags; {evidence.answered}"
    )


def endpoint_disabled(evidence: Evidence) -> Cause | None:
    """The API's own address is switched off."""
    change = evidence.change(evidence.template.api, "DisableExecuteApiEndpoint")
    if not change:
        return None
    return Cause(
        "the API's own address is switched off", differing("DisableExecuteApiEndpoint", change)
    )


def api_unreachable(evidence: Evidence) -> Cause | None:
    """Nothing came back at all: between this machine and AWS, not at AWS."""
    if evidence.answer is None or evidence.answer.status:
        return None
    return Cause(
        "this machine does not reach the API",
        evidence.answered,
        f"Is the network up, and a proxy between set right (HTTPS_PROXY)? Then: {CHECK}",
        certain=False,
    )


def stage_missing(evidence: Evidence) -> Cause | None:
    """Without a `$default` stage every path is answered with 404."""
    if not evidence.missing(evidence.template.stage):
        return None
    return Cause("the API has no stage $default", f"GetStage: no $default; {evidence.answered}")


def route_missing(evidence: Evidence) -> Cause | None:
    """A path without a route is answered with 404."""
    route = evidence.route
    if not evidence.missing(evidence.api_route):
        return None
    return Cause(
        f"the API has no route GET {route.path}",
        f"GetRoutes: no GET {route.path}; {evidence.answered}",
    )


def stage_not_deployed(evidence: Evidence) -> Cause | None:
    """A stage that was made without AutoDeploy has no routes until somebody deploys it."""
    change = evidence.change(evidence.template.stage, "AutoDeploy")
    if not change or not answers(evidence, HTTPStatus.NOT_FOUND):
        return None
    proof = f"{differing('AutoDeploy', change)}; {evidence.answered}"
    sentence = "the stage $default does not deploy what the API has"
    stage, of = evidence.seen(evidence.template.stage), evidence.seen(evidence.template.api)
    if stage and of and stage.tags is not None and ENVIRONMENT not in stage.tags:
        delete = f"delete-stage --api-id {of.outputs['id']} --stage-name '$default'"
        return Cause(
            f"{sentence}: somebody else made it", proof, f"aws apigatewayv2 {delete}; {UP}"
        )
    return Cause(sentence, proof)


def stage_throttles(evidence: Evidence) -> Cause | None:
    """The stage lets fewer requests through than config.toml says."""
    if not answers(evidence, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    for name in THROTTLES:
        if lower(change := evidence.change(evidence.template.stage, name)):
            return Cause(
                "the stage $default throttles more than it should", differing(name, change)
            )
    return None


def route_throttles(evidence: Evidence) -> Cause | None:
    """Somebody gave the route a throttle of its own, lower than the stage's (RouteSettings)."""
    if not answers(evidence, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    stage, api = evidence.template.stage, evidence.seen(evidence.template.api)
    route = f"GET {evidence.route.path}"
    own = (evidence.is_(stage, "RouteSettings") or {}).get(route, {})
    for name in THROTTLES:
        limit, of_others = own.get(name), evidence.is_(stage, name)
        if api and limit is not None and of_others is not None and limit < of_others:
            key = f"--api-id {api.outputs['id']} --stage-name '$default' --route-key '{route}'"
            return Cause(
                f"the stage $default throttles {route} more than other routes",
                f"{name} of its RouteSettings is {limit:g}; that of other routes {of_others:g}",
                f"aws apigatewayv2 delete-route-settings {key}",
            )
    return None


def integration_missing(evidence: Evidence) -> Cause | None:
    """A route to an integration that does not exist is answered with 500."""
    declared = evidence.integration
    if not evidence.missing(declared):
        return None
    leads = evidence.is_(evidence.api_route, "Target")
    return Cause(
        f"the API has no integration for the {evidence.login} function",
        f"GetIntegrations: no {declared}; GET {evidence.route.path} leads to {leads or 'nothing'}",
    )


def route_wrong(evidence: Evidence) -> Cause | None:
    """The route leads to another integration, or asks for authorization."""
    route = evidence.route
    if change := evidence.change(evidence.api_route, "Target"):
        sentence = f"the route GET {route.path} does not lead to the {evidence.login} function"
        return Cause(sentence, differing("its target", change))
    if change := evidence.change(evidence.api_route, "AuthorizationType"):
        sentence = f"the route GET {route.path} asks for authorization"
        return Cause(sentence, differing("AuthorizationType", change))
    return None


def integration_wrong(evidence: Evidence) -> Cause | None:
    """The integration calls another function, in another way, or with another role."""
    declared = evidence.integration
    names = ("IntegrationUri", "CredentialsArn", "IntegrationType", "PayloadFormatVersion")
    for name in (*names, "IntegrationMethod"):
        if change := evidence.change(declared, name):
            sentence = (
                f"the API's integration does not call the {evidence.login} function as it should"
            )
            return Cause(sentence, differing(name, change))
    return None


def integration_gives_up(evidence: Evidence) -> Cause | None:
    """The integration waits for less time than the function may take."""
    change = evidence.change(evidence.integration, "TimeoutInMillis")
    late = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
    if not lower(change) or not answers(evidence, *late):
        return None
    proof = f"{differing('TimeoutInMillis', change)}; {evidence.answered}"
    return Cause(f"the API does not wait for the {evidence.login} function", proof)


def answers(evidence: Evidence, *statuses: int) -> bool:
    """Return whether the answer had one of these statuses; True when no route was called."""
    return evidence.answer is None or evidence.answer.status in statuses


def api_may_not_invoke(evidence: Evidence) -> Cause | None:
    """API Gateway cannot use its role, or the role may not invoke the function."""
    role = evidence.template.api_role
    if evidence.missing(role):
        return Cause("the API's role is missing", f"GetRole: no {evidence.name(role)}")
    trust = evidence.is_(role, "AssumeRolePolicyDocument")
    if trust is not None and not trusts(trust, API_SERVICE):
        return Cause(
            "API Gateway may not assume its role",
            is_should(f"who may assume {evidence.name(role)}", trusted(trust), API_SERVICE),
        )
    function, policies = evidence.seen(evidence.function), evidence.is_(role, "Policies")
    if function is None or policies is None:
        return None
    arn = function.outputs["arn"]
    if allows(policies.values(), INVOKE, arn):
        return None
    allowed = allowed_on(policies.values(), INVOKE)
    return Cause(
        f"the API's role may not invoke the {evidence.login} function",
        is_should(f"{INVOKE} of {evidence.name(role)}", allowed, arn),
    )


def api_not_spread_yet(evidence: Evidence) -> Cause | None:
    """API Gateway answers by itself, though all its settings are as they should be."""
    answer = evidence.answer
    if not answer or answer.error or evidence.logged or not evidence.steps:
        return None
    if answer.status not in (404, 500, 503):
        return None
    what = (
        "API Gateway does not call the function, though stage, route, integration and role are as "
        "they should be"
    )
    api = evidence.seen(evidence.template.api)
    if api and api.created and age(api.created) > NEW_API_SECONDS:
        proof = f"{evidence.answered}; the API was created at {api.created}"
        return Cause(what, proof, DOCTOR, certain=False)
    return Cause(
        f"{what}: a new API or role takes a minute or two to reach it",
        evidence.answered,
        CHECK,
        certain=False,
    )


def age(created: str) -> float:
    """Return how many seconds ago something was created."""
    then = datetime.datetime.fromisoformat(created)
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
