"""All causes, in the order in which a request meets them: the first that is found is the root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from provision.verify.diagnosis import api, database, function, login, network
from provision.verify.diagnosis.cause import CHECK, Cause
from provision.verify.diagnosis.evidence import Evidence

Find = Callable[[Evidence], Iterator[Cause]]  # the first that it yields is the cause

CAUSES: tuple[Find, ...] = (
    # --- what AWS has, from the client inwards ---------------------------------------------------
    api.api_missing,
    api.endpoint_disabled,
    api.api_unreachable,
    api.stage_missing,
    api.stage_not_deployed,
    api.route_missing,
    api.integration_missing,
    api.route_wrong,
    api.integration_wrong,
    api.stage_throttles,
    api.route_throttles,
    api.integration_gives_up,
    api.api_may_not_invoke,
    function.function_missing,
    function.function_role_unusable,
    function.function_not_ready,
    function.function_has_no_concurrency,
    function.handler_wrong,
    function.layer_missing,
    function.layer_wrong,
    function.runtime_wrong,
    function.function_gives_up,
    function.certificate_missing,
    function.certificate_wrong,
    database.proxy_missing,
    function.points_at_another_proxy,
    function.setting_wrong,
    network.function_outside_its_network,
    network.function_cannot_reach_proxy,
    database.proxy_not_available,
    database.proxy_takes_another_login,
    login.may_not_connect,
    database.database_not_available,
    database.target_not_registered,
    network.proxy_cannot_reach_database,
    database.secret_unusable,
    database.proxy_cannot_read_secret,
    database.database_refuses_secret,
    database.function_has_another_password,
    database.target_not_available,
    # --- what the answer says, when all of that is as it should be -------------------------------
    login.throttled,
    login.proxy_refuses,
    database.tls_not_required,
    function.code_differs,
    login.function_fails,
    api.api_not_spread_yet,
)


def cause_of(evidence: Evidence) -> Cause:
    """Return why a login does not work, or what is known when nothing explains it."""
    found = (cause for find in CAUSES if (cause := named(find, evidence)))
    return next(found, None) or replace(unexplained(evidence), kind="unexplained")


def named(find: Find, evidence: Evidence) -> Cause | None:
    """Return what a function finds, under its name."""
    cause = next(find(evidence), None)
    return cause and replace(cause, kind=find.__name__.replace("_", "-"))


def unexplained(evidence: Evidence) -> Cause:
    """Return what is known when nothing explains it."""
    proof = evidence.said()
    if evidence.problem:
        proof += f"; AWS could not be read: {evidence.problem}"
    return Cause("nothing that AWS reports explains it", proof, CHECK, certain=False)
