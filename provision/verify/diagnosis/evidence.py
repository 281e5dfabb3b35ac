"""What is known when a login does not work: every resource as AWS has it, and the function's log.

All by reading. What differs from what should be is found in the way in which `plan` finds it, so a
value that must not be shown (a password) is reported only as differing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from provision.aws.account import Aws, absent, calling, pages
from provision.context import Run
from provision.engine.plan import Plan, pseudo
from provision.errors import CredentialsError, Interrupted, ProvisionError
from provision.resources.apigateway import Integration, Route
from provision.resources.base import Change, Resource, Seen
from provision.resources.ec2 import SecurityGroupRules, described_rules
from provision.resources.iam import Role
from provision.resources.lambda_ import Function
from provision.resources.rds.db_proxy import DBProxy
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.resources.references import bind
from provision.resources.template import Login, Template
from provision.verify.http_client import Answer, FunctionError, LoginRoute, function_error

R = TypeVar("R", bound=Resource)

LOG_LINE = 300  # characters of a log's line that are kept
LAMBDA_ERROR = re.compile(r"\[ERROR\] (?P<kind>[\w.]+): (?P<message>[^\r\n]*)")
REFUSAL = re.compile(r"authentication failed|[Cc]redentials couldn't be retrieved|not authorized")
TIMED_OUT = re.compile(r"Task timed out after [0-9.]+ seconds")


@dataclass(frozen=True)
class Step:
    """One step: its resource as it should be and as AWS has it, and what of that differs."""

    resource: Resource  # with the values of the resources before it, as far as they are known
    seen: Seen | None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What is known of one login that does not work."""

    route: LoginRoute
    answer: Answer | None = None  # None: not called, its target was not AVAILABLE
    steps: Mapping[str, Step] = field(default_factory=dict)
    logged: FunctionError | None = None  # the last failure in the function's log
    proxy_logged: str = ""  # the last refusal in the proxy's log, which debug logging writes
    problem: str = ""  # why AWS could not be read, if so; then there are no steps
    template: Template = field(kw_only=True)

    @property
    def login(self) -> Login:
        """The login's name."""
        return self.route.login

    # --- the resources of this login alone --------------------------------------------------------

    @property
    def api_route(self) -> Route:
        """The API's route."""
        return self.template.routes[self.route.name]

    @property
    def integration(self) -> Integration:
        """The API's integration with the function."""
        return self.template.integrations[self.login]

    @property
    def function(self) -> Function:
        """The function."""
        return self.template.functions[self.login]

    @property
    def function_role(self) -> Role:
        """The function's role."""
        return self.template.function_roles[self.login]

    @property
    def proxy(self) -> DBProxy:
        """The proxy."""
        return self.template.proxies[self.login]

    @property
    def target(self) -> DBProxyTarget:
        """The proxy's target."""
        return self.template.targets[self.login]

    # --- what is known of a resource --------------------------------------------------------------

    def missing(self, resource: Resource) -> bool:
        """Return whether AWS was read, and has no such thing."""
        return resource.step in self.steps and self.steps[resource.step].seen is None

    def seen(self, resource: Resource) -> Seen | None:
        """Return a resource as AWS has it."""
        return self.steps[resource.step].seen if resource.step in self.steps else None

    def is_(self, resource: Resource, name: str) -> Any:
        """Return a property as AWS has it, or None."""
        seen = self.seen(resource)
        return seen.properties.get(name) if seen else None

    def should(self, resource: R) -> R:
        """Return a resource with the values of those before it, as far as they are known."""
        bound = self.steps[resource.step].resource
        assert isinstance(bound, type(resource))  # noqa: S101 - a step keeps its class
        return bound

    def name(self, resource: Resource) -> str:
        """Return a resource's name at AWS, or its step's where AWS could not be read."""
        step = resource.step
        return self.steps[step].resource.name if step in self.steps else step

    def change(self, resource: Resource, name: str) -> Change | None:
        """Return how a property differs from what it should be, if it does."""
        changes = self.steps[resource.step].changes if resource.step in self.steps else ()
        return next((change for change in changes if change.property == name), None)

    @property
    def error(self) -> FunctionError | None:
        """What the function says of its failure: its log with words, or its answer without."""
        told = self.answer.error if self.answer else None
        if told is None or (self.logged and self.logged.same(told)):
            return self.logged
        return told

    @property
    def answered(self) -> str:
        """What came back, in one line."""
        return str(self.answer) if self.answer else "not called"

    @property
    def proxy_said(self) -> str:
        """What the proxy's log adds to a proof."""
        return f"; the proxy's log: {self.proxy_logged}" if self.proxy_logged else ""

    def said(self) -> str:
        """Return in one line what came back, and what the function's log adds to it."""
        told = self.answered
        if self.logged and self.error is self.logged:
            told += f"; the function's log: {self.logged}"
        return told


def gather(
    run: Run, failing: Mapping[LoginRoute, Answer | None], *, since: float
) -> dict[LoginRoute, Evidence]:
    """Return the evidence for each route, all of it read again.

    `since` is Unix time: older lines of the functions' logs are left alone. Raises Interrupted and
    CredentialsError; what else AWS refuses is evidence too, in `problem`.
    """
    logins = sorted({route.login for route in failing})
    functions = [run.template.function_logs[login].name for login in logins]
    proxies = [run.template.proxy_logs[login].name for login in logins]
    (steps, problem), *logs = run.aws.together(
        lambda: all_steps(run),
        *(lambda group=group: log_lines(run.aws, group, since) for group in functions + proxies),
    )
    of_functions = dict(zip(logins, logs, strict=False))
    refusals = {
        login: last_refusal(lines) for login, lines in zip(logins, logs[len(logins) :], strict=True)
    }
    return {
        route: Evidence(
            route,
            answer,
            steps,
            error_of(answer, of_functions[route.login]),
            refusals[route.login],
            problem,
            template=run.template,
        )
        for route, answer in failing.items()
    }


def all_steps(run: Run) -> tuple[dict[str, Step], str]:
    """Return every step as AWS has it, or why AWS cannot be read."""
    try:
        return steps_of(run.aws, run.plan()), ""
    except (Interrupted, CredentialsError):
        raise
    except ProvisionError as error:
        return {}, error.message


def steps_of(aws: Aws, plan: Plan) -> dict[str, Step]:
    """Return every step of a plan as AWS has it. Raises what AWS refuses."""
    known: dict[str, Any] = {"aws": pseudo(aws)}
    known |= {each.step: each.seen.outputs for each in plan.steps if each.seen}
    steps = {}
    for each in plan.steps:
        bound = bind(each.resource, known)
        seen = each.seen or actual_rules(aws, bound)
        steps[each.step] = Step(bound, seen, each.changes)
    return steps


def actual_rules(aws: Aws, resource: Resource) -> Seen | None:
    """Return the rules of a group that has none of ours: another rule may allow the traffic."""
    if not isinstance(resource, SecurityGroupRules) or "${" in resource.group_id:
        return None
    with calling(resource.step):
        return Seen({"group_id": resource.group_id}, described_rules(resource.rules(aws)))


def log_lines(aws: Aws, group: str, since: float) -> list[str]:
    """Return a log group's lines, oldest first; none where it cannot be read (FilterLogEvents)."""
    try:
        with calling(group), absent("ResourceNotFoundException"):
            events = pages(
                aws.logs,
                "filter_log_events",
                "events",
                logGroupName=group,
                startTime=int(since * 1000),
            )
            events.sort(key=lambda event: int(event["timestamp"]))
            return [event["message"] for event in events]
    except CredentialsError:
        raise
    except ProvisionError:
        pass  # the log is a help, not a need
    return []


def error_of(answer: Answer | None, lines: Iterable[str]) -> FunctionError | None:
    """Return the failure of an answer with the words that the function's log has for it.

    By the request's id; where the log does not have that yet, the newest of the same kind. For an
    answer that names none, the newest in the log; None where the log has none.
    """
    found = [error for line in lines if (error := logged_error(line))]
    told = answer.error if answer else None
    if told is None:
        return found[-1] if found else None
    alike = [error for error in found if error.same(told)]
    own = [error for error in alike if error.request_id == told.request_id]
    return next(reversed(own or alike), None)


def last_refusal(lines: Iterable[str]) -> str:
    """Return the newest line in which a proxy's log says why it refused, or ""."""
    found = [line for line in lines if REFUSAL.search(line)]
    return " ".join(found[-1].split())[:LOG_LINE] if found else ""


def logged_error(line: str) -> FunctionError | None:
    """Return the failure in a line of the log: ours in JSON, Lambda's in its own words."""
    if match := LAMBDA_ERROR.search(line):
        return FunctionError(match["kind"], "", match["message"][:LOG_LINE])
    if match := TIMED_OUT.search(line):
        return FunctionError("Sandbox.Timedout", "", match[0])
    try:
        error = function_error(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return replace(error, message=error.message[:LOG_LINE])
