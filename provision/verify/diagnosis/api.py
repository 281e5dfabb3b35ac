"""Causes in the HTTP API: the address, stage, route, integration, and the right to invoke.

API Gateway answers a client only 404 or 500, so these are read from its settings. See the API
Gateway Developer Guide, "Troubleshooting issues with HTTP API Lambda integrations".
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from http import HTTPStatus

from provision.resources.ownership import ENVIRONMENT
from provision.verify.diagnosis.cause import CHECK, UP, Cause, differing, lower
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import missing_role, not_allowed, not_assumed

API_SERVICE = "apigateway.amazonaws.com"
INVOKE = "lambda:InvokeFunction"
NEW_API_SECONDS = 15 * 60.0  # after which "it is new" explains nothing any more
THROTTLES = ("ThrottlingRateLimit", "ThrottlingBurstLimit")
DOCTOR = "python -m provision doctor; then AWS's own health page for the region"


def api_missing(evidence: Evidence) -> Iterator[Cause]:
    """The API that was called does not exist any more."""
    if evidence.missing(evidence.template.api):
        proof = f"no HTTP API has the environment's tags; {evidence.answered}"
        yield Cause("the HTTP API is missing", proof)


def endpoint_disabled(evidence: Evidence) -> Iterator[Cause]:
    """The API's own address is switched off."""
    name = "DisableExecuteApiEndpoint"
    if change := evidence.change(evidence.template.api, name):
        yield Cause("the API's own address is switched off", differing(name, change))


def api_unreachable(evidence: Evidence) -> Iterator[Cause]:
    """Nothing came back at all: between this machine and AWS, not at AWS."""
    if evidence.answer and not evidence.answer.status:
        yield Cause(
            "this machine does not reach the API",
            evidence.answered,
            f"Check the network, and the HTTP proxy if there is one (HTTPS_PROXY). Then: {CHECK}",
            certain=False,
        )


def stage_missing(evidence: Evidence) -> Iterator[Cause]:
    """Without a `$default` stage every path is answered with 404."""
    if evidence.missing(evidence.template.stage):
        proof = f"GetStage: no $default; {evidence.answered}"
        yield Cause("the API has no stage $default", proof)


def route_missing(evidence: Evidence) -> Iterator[Cause]:
    """A path without a route is answered with 404."""
    if evidence.missing(evidence.api_route):
        route = f"GET {evidence.route.path}"
        yield Cause(f"the API has no route {route}", f"GetRoutes: no {route}; {evidence.answered}")


def stage_not_deployed(evidence: Evidence) -> Iterator[Cause]:
    """A stage that was made without AutoDeploy has no routes until somebody deploys it."""
    change = evidence.change(evidence.template.stage, "AutoDeploy")
    if not change or not answers(evidence, HTTPStatus.NOT_FOUND):
        return
    proof = f"{differing('AutoDeploy', change)}; {evidence.answered}"
    sentence = "the stage $default does not deploy the API's changes"
    stage, of = evidence.seen(evidence.template.stage), evidence.seen(evidence.template.api)
    if stage and of and stage.tags is not None and ENVIRONMENT not in stage.tags:
        delete = f"delete-stage --api-id {of.outputs['id']} --stage-name '$default'"
        next_step = f"aws apigatewayv2 {delete}; {UP}"
        yield Cause(f"{sentence}: somebody else created it", proof, next_step)
    yield Cause(sentence, proof)


def stage_throttles(evidence: Evidence) -> Iterator[Cause]:
    """The stage lets fewer requests through than config.toml says."""
    for name in THROTTLES:
        change = evidence.change(evidence.template.stage, name)
        if lower(change) and answers(evidence, HTTPStatus.TOO_MANY_REQUESTS):
            sentence = "the stage $default throttles more than it should"
            yield Cause(sentence, differing(name, change))


def route_throttles(evidence: Evidence) -> Iterator[Cause]:
    """Somebody gave the route a throttle of its own, lower than the stage's (RouteSettings)."""
    if not answers(evidence, HTTPStatus.TOO_MANY_REQUESTS):
        return
    stage, api = evidence.template.stage, evidence.seen(evidence.template.api)
    route = f"GET {evidence.route.path}"
    own = (evidence.is_(stage, "RouteSettings") or {}).get(route, {})
    for name in THROTTLES:
        limit, of_others = own.get(name), evidence.is_(stage, name)
        if api and limit is not None and of_others is not None and limit < of_others:
            key = f"--api-id {api.outputs['id']} --stage-name '$default' --route-key '{route}'"
            yield Cause(
                f"the stage $default throttles {route} more than other routes",
                f"{name} of its RouteSettings is {limit:g}; that of other routes {of_others:g}",
                f"aws apigatewayv2 delete-route-settings {key}",
            )


def integration_missing(evidence: Evidence) -> Iterator[Cause]:
    """A route to an integration that does not exist is answered with 500."""
    declared = evidence.integration
    if evidence.missing(declared):
        leads = evidence.is_(evidence.api_route, "Target") or "nothing"
        yield Cause(
            f"the API has no integration for the {evidence.login} function",
            f"GetIntegrations: no {declared}; GET {evidence.route.path} leads to {leads}",
        )


def route_wrong(evidence: Evidence) -> Iterator[Cause]:
    """The route leads to another integration, or asks for authorization."""
    route = f"the route GET {evidence.route.path}"
    if change := evidence.change(evidence.api_route, "Target"):
        sentence = f"{route} does not lead to the {evidence.login} function"
        yield Cause(sentence, differing("its target", change))
    if change := evidence.change(evidence.api_route, "AuthorizationType"):
        yield Cause(f"{route} requires authorization", differing("AuthorizationType", change))


def integration_wrong(evidence: Evidence) -> Iterator[Cause]:
    """The integration calls another function, in another way, or with another role."""
    sentence = f"the API's integration does not call the {evidence.login} function as it should"
    names = ("IntegrationUri", "CredentialsArn", "IntegrationType", "PayloadFormatVersion")
    for name in (*names, "IntegrationMethod"):
        if change := evidence.change(evidence.integration, name):
            yield Cause(sentence, differing(name, change))


def integration_gives_up(evidence: Evidence) -> Iterator[Cause]:
    """The integration waits for less time than the function may take."""
    change = evidence.change(evidence.integration, "TimeoutInMillis")
    late = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
    if lower(change) and answers(evidence, *late):
        proof = f"{differing('TimeoutInMillis', change)}; {evidence.answered}"
        yield Cause(f"the API does not wait for the {evidence.login} function", proof)


def answers(evidence: Evidence, *statuses: int) -> bool:
    """Return whether the answer had one of these statuses; True when no route was called."""
    return evidence.answer is None or evidence.answer.status in statuses


def api_may_not_invoke(evidence: Evidence) -> Iterator[Cause]:
    """API Gateway cannot use its role, or the role may not invoke the function."""
    role = evidence.template.api_role
    yield from missing_role(evidence, role, "the API's role")
    yield from not_assumed(evidence, role, API_SERVICE, "API Gateway may not assume its role")
    sentence = f"the API's role may not invoke the {evidence.login} function"
    yield from not_allowed(evidence, role, INVOKE, evidence.function, sentence)


def api_not_spread_yet(evidence: Evidence) -> Iterator[Cause]:
    """API Gateway answers by itself, though all its settings are as they should be."""
    answer = evidence.answer
    if not answer or answer.error or evidence.logged or not evidence.steps:
        return
    if answer.status not in (404, 500, 503):
        return
    what = (
        "API Gateway does not call the function, though stage, route, integration and role are as "
        "they should be"
    )
    proof, next_step = evidence.answered, CHECK
    api = evidence.seen(evidence.template.api)
    if api and api.created and age(api.created) > NEW_API_SECONDS:
        proof, next_step = f"{proof}; the API was created at {api.created}", DOCTOR
    else:
        what += ": a new API or role takes a minute or two to reach it"
    yield Cause(what, proof, next_step, certain=False)


def age(created: str) -> float:
    """Return how many seconds ago something was created."""
    then = datetime.datetime.fromisoformat(created)
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
