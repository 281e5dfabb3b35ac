"""The chain from the client to the database, link by link, as AWS has it. Calls no route.

Each link is looked at by itself, with the causes of the diagnosis, so that a broken one does not
hide the next. Every login has its own chain; what they share is shown once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from provision.aws.console import console_url
from provision.context import Run
from provision.engine.plan import Plan
from provision.resources.base import Resource
from provision.resources.template import LOGINS, Login, Template, Tier
from provision.verify.diagnosis import api, database, function, login, network
from provision.verify.diagnosis.cause import CHECK, UP
from provision.verify.diagnosis.causes import Find
from provision.verify.diagnosis.evidence import Evidence, Step, steps_of
from provision.verify.doctor.finding import Finding, Grade
from provision.verify.http_client import LOGIN_ROUTES
from provision.views.condition import status_in_words
from provision.views.style import Styled
from provision.views.style import link as linked
from provision.waiting.poll import Verdict

Parts = Callable[[Template, Login], Iterable[Resource]]
BOTH = "both"


def routes(of: Template, login: Login) -> list[Resource]:
    """Return the API's routes of a login."""
    return [of.routes[route.name] for route in LOGIN_ROUTES if route.login == login]


def doors(of: Template, *tiers: Tier) -> Iterator[Resource]:
    """Yield the security groups of these tiers, each with its rules."""
    for tier in tiers:
        yield of.security_groups[tier]
        yield of.rules[tier]


@dataclass(frozen=True)
class Link:
    """One link: the steps that it is made of, and the causes that can break it."""

    name: str
    parts: Parts
    causes: tuple[Find, ...] = ()


LINKS = (
    Link(
        "client -> API",
        lambda of, login: (of.api, of.stage, *routes(of, login)),
        (
            api.api_missing,
            api.endpoint_disabled,
            api.stage_missing,
            api.stage_not_deployed,
            api.stage_throttles,
            api.route_throttles,
            api.route_missing,
        ),
    ),
    Link(
        "API -> function",
        lambda of, login: (of.integrations[login], of.api_role),
        (
            api.integration_missing,
            api.route_wrong,
            api.integration_wrong,
            api.integration_gives_up,
            api.api_may_not_invoke,
        ),
    ),
    Link(
        "function",
        lambda of, login: (of.functions[login], of.layer, of.function_logs[login]),
        (
            function.function_missing,
            function.function_role_unusable,
            function.function_not_ready,
            function.function_has_no_concurrency,
            function.handler_wrong,
            function.layer_missing,
            function.setting_wrong,
            function.code_differs,
        ),
    ),
    Link(
        "function -> group -> proxy",
        lambda of, _: (of.function_subnet, *doors(of, "function", "proxy")),
        (
            network.function_outside_its_network,
            function.points_at_another_proxy,
            network.function_cannot_reach_proxy,
        ),
    ),
    Link(
        "login to the proxy",
        lambda of, login: (of.function_roles[login],),
        (login.may_not_connect, database.function_has_another_password),
    ),
    Link(
        "proxy",
        lambda of, login: (of.proxies[login], of.proxy_logs[login]),
        (
            database.proxy_missing,
            database.proxy_not_available,
            database.proxy_takes_another_login,
            database.tls_not_required,
        ),
    ),
    Link(
        "proxy -> secret",
        lambda of, _: (of.secret, of.proxy_role),
        (database.secret_unusable, database.proxy_cannot_read_secret),
    ),
    Link(
        "proxy -> group -> database",
        lambda of, _: (*of.database_subnets, *doors(of, "database"), of.db_subnet_group),
        (network.proxy_cannot_reach_database,),
    ),
    Link(
        "proxy -> target",
        lambda of, login: (of.targets[login],),
        (
            database.target_not_registered,
            database.database_refuses_secret,
            database.target_not_available,
        ),
    ),
    Link("database", lambda of, _: (of.db_instance,), (database.database_not_available,)),
)


def chain_findings(run: Run, plan: Plan) -> list[Finding]:
    """Return a finding for each link, those of both logins joined where they are the same."""
    steps = steps_of(run.aws, plan)
    findings = []
    for link in LINKS:
        password, iam = (
            look_at(run.template, link, each, steps, run.aws.region) for each in LOGINS
        )
        if replace(password, login=BOTH) == replace(iam, login=BOTH):
            findings.append(replace(password, login=BOTH))
        else:
            findings += [password, iam]
    return findings


def look_at(
    template: Template, link: Link, login: Login, steps: Mapping[str, Step], region: str
) -> Finding:
    """Return what is found of a link of one login's chain."""
    for find in link.causes:
        for route in (each for each in LOGIN_ROUTES if each.login == login):
            evidence = Evidence(route, steps=steps, template=template)
            if cause := next(find(evidence), None):
                proof = cause.proof.removesuffix(f"; {evidence.answered}")
                reason = f"{cause.sentence} ({proof})"
                return Finding(link.name, Grade.BAD, reason, cause.next_step, login)
    parts = [steps[part.step] for part in link.parts(template, login)]
    return look_at_parts(link, parts, login, region)


def look_at_parts(link: Link, parts: list[Step], login: str, region: str = "") -> Finding:
    """Return what is found of a link that no cause breaks: missing, on its way, different, good."""
    if missing := [part for part in parts if part.seen is None]:
        reason = "missing: " + ", ".join(part.resource.step for part in missing)
        return Finding(link.name, Grade.BAD, reason, UP, login)
    for part in parts:
        look = part.resource.look(part.seen)
        if look.verdict is not Verdict.READY:
            state = status_in_words(look.status)
            reason = f"{part.resource.step} is {state}" + (look.reason and f": {look.reason}")
            return Finding(link.name, Grade.BAD, reason, CHECK, login)
    if differing := [part for part in parts if part.changes]:
        reason = "differs from config.toml: " + "; ".join(
            f"{part.resource.step}: {', '.join(change.property for change in part.changes)}"
            for part in differing
        )
        shows = "python -m provision plan"
        return Finding(link.name, Grade.WARNING, reason, shows, login)
    reason = Styled()
    for name in dict.fromkeys(named(part, region) for part in parts):
        reason = Styled(reason, ", " if reason else "", name)
    return Finding(link.name, Grade.GOOD, reason, login=login)


def named(part: Step, region: str) -> Styled:
    """Return the name or id of an existing part, which leads to its page in the AWS console."""
    assert part.seen is not None  # noqa: S101 - the caller has looked
    name = part.resource.name or part.seen.outputs.get("id") or part.resource.step
    identity = part.resource.identity(part.seen.outputs)
    return linked(name, console_url(part.resource.kind, identity, vars(part.resource), region))
