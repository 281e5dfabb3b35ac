"""`--explain`: the AWS CLI line that does what a step does, and AWS's page about the call.

Nothing is written twice: the resources make their own calls, on clients whose botocore events
record instead of sending. The line comes from the call's name and parameters by botocore's own
rules, which the AWS CLI follows as well. What is not known before the run is a shell variable:
`$VPC_ID` is the output `id` of the step `vpc`. A password is `$PASSWORD` and a zip a file; neither
is shown.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from provision.aws.account import Aws
from provision.engine.application import apply, portions
from provision.engine.events import Reporter
from provision.engine.graph import container_of
from provision.engine.plan import Action, Plan, Planned, pseudo
from provision.errors import ProvisionError
from provision.resources.base import (
    Change,
    CreatableResource,
    ManagedResource,
    Resource,
    Seen,
)
from provision.resources.iam import Role
from provision.resources.lambda_ import Function
from provision.resources.logs import LogGroup
from provision.resources.rds.db_proxy_target import DBProxyTarget
from provision.resources.references import REFERENCE, bind, unresolved
from provision.views.style import Meaning, styled

PASSWORD = "${secret.password}"  # noqa: S105 - what stands for one
READS = ("Describe", "Get", "List")
NOT_SENT = AWSResponse("", 200, HTTPHeaders(), None)
# Where AWS documents an operation. API Gateway V2 has a page for each path, not for each operation.
PAGES = {
    "ec2": "AWSEC2/latest/APIReference/API_{}.html",
    "iam": "IAM/latest/APIReference/API_{}.html",
    "lambda": "lambda/latest/api/API_{}.html",
    "logs": "AmazonCloudWatchLogs/latest/APIReference/API_{}.html",
    "rds": "AmazonRDS/latest/APIReference/API_{}.html",
    "secretsmanager": "secretsmanager/latest/apireference/API_{}.html",
    "apigatewayv2": "apigatewayv2/latest/api-reference/{}.html",
}
# What AWS has right after a create call, where that call does not set everything that is wanted.
AFTER_CREATE: dict[type[Resource], dict[str, Any]] = {
    Role: {"Policies": {}, "ManagedPolicyArns": []},
    LogGroup: {"RetentionInDays": None},
    DBProxyTarget: {
        "MaxConnectionsPercent": 100,
        "MaxIdleConnectionsPercent": 50,
        "ConnectionBorrowTimeout": 120,
    },
}
# What AWS answers about something that is only being made: a new group lets everything out.
OF_NEW = {
    "DescribeSecurityGroupRules": {
        "SecurityGroupRules": [
            {
                "SecurityGroupRuleId": "${default-egress-rule.id}",
                "IsEgress": True,
                "IpProtocol": "-1",
                "CidrIpv4": "0.0.0.0/0",
            }
        ]
    }
}


@dataclass(frozen=True)
class CliCall:
    """One call that a step makes: its line for the AWS CLI, and AWS's page about it."""

    service: str
    operation: str
    command: str
    document: str


@dataclass(frozen=True)
class Explained:
    """One step, what happens to it, and the calls that make it happen."""

    step: str
    action: str
    calls: tuple[CliCall, ...]


# --- for the commands -----------------------------------------------------------------------------


def explain_plan(aws: Aws, plan: Plan, reporter: Reporter) -> None:
    """Show each step of a plan with the calls that carry it out. Changes nothing."""
    with contextlib.closing(RecordingAws(aws)) as recording:
        steps = [explained_step(recording, each, bound) for each, bound in bound_steps(aws, plan)]
    show(reporter, steps)


def explain_removal(
    aws: Aws,
    resources: Iterable[Resource],
    seen: Mapping[str, Seen | None],
    known: Mapping[str, Mapping[str, str]],
    reporter: Reporter,
) -> None:
    """Show the calls that delete these resources, last made first. Changes nothing."""
    known = {"aws": pseudo(aws), **known}
    known |= {step: existing.outputs for step, existing in seen.items() if existing}
    going = [
        each for each in resources if seen.get(each.step) and isinstance(each, ManagedResource)
    ]
    steps = {each.step for each in going}
    explained = []
    with contextlib.closing(RecordingAws(aws)) as recording:
        for resource in reversed(going):
            existing = seen[resource.step]
            assert existing is not None  # noqa: S101 - chosen so above
            if container := container_of(resource) & steps:
                explained.append(Explained(resource.step, f"goes with {min(container)}", ()))
            else:
                calls = removal(recording, bind(resource, known), existing)
                explained.append(Explained(resource.step, "delete", calls))
    show(reporter, explained)


def show(reporter: Reporter, explained: Iterable[Explained]) -> None:
    """Show lines to a person, a record for each step to a program."""
    lines: list[str] = []
    for each in explained:
        reporter.record(
            "explain", step=each.step, action=each.action, calls=[vars(call) for call in each.calls]
        )
        lines += ["", styled(f"# {each.step}: {each.action}", Meaning.READ)]
        for call in each.calls:
            lines += [call.command, styled(f"# {call.document}", Meaning.ROUTINE)]
    if lines:
        reporter.document(lines)


# --- the calls of a step --------------------------------------------------------------------------


def bound_steps(aws: Aws, plan: Plan) -> Iterator[tuple[Planned, Resource]]:
    """Yield each step at which there is something to do, with every value that is known."""
    known: dict[str, Any] = {"aws": pseudo(aws)}
    for each in plan.steps:
        bound = bind(each.resource, known)
        if each.action in (Action.CREATE, Action.UPDATE, Action.REPLACE):
            yield each, bound
        if each.seen and each.action not in (Action.CREATE, Action.REPLACE):
            lasting = bound.lasting(each.seen, each.changes)
            known[each.step] = {k: v for k, v in lasting.items() if k not in each.seen.secrets}


def explained_step(aws: RecordingAws, planned: Planned, bound: Resource) -> Explained:
    """Return one step of a plan with its calls."""
    calls: tuple[CliCall, ...] = ()
    if isinstance(bound, ManagedResource) and planned.seen:
        if planned.action is Action.REPLACE and not bound.within:
            calls += removal(aws, bound, planned.seen)
        if planned.action is Action.UPDATE:
            calls += change(aws, bound, planned.seen, planned.changes)
    if isinstance(bound, CreatableResource) and planned.action is not Action.UPDATE:
        calls += creation(aws, bound)
    return Explained(planned.step, planned.action.value, calls)


def creation(aws: RecordingAws, resource: CreatableResource) -> tuple[CliCall, ...]:
    """Return the calls that make a resource as it should be."""
    with aws.recording() as recorded:
        resource.create(aws)
        before = AFTER_CREATE.get(type(resource))
        if before and isinstance(resource, ManagedResource):
            seen = Seen({}, before)
            for portion in portions(resource, resource.differences(seen, aws)):
                apply(aws, resource, seen, portion)
    return cli_calls(recorded, aws.region, resource.step)


def change(
    aws: RecordingAws, resource: ManagedResource, seen: Seen, changes: Iterable[Change]
) -> tuple[CliCall, ...]:
    """Return the calls that put these properties right."""
    with aws.recording() as recorded:
        for portion in portions(resource, changes):
            apply(aws, resource, seen, portion)
    return cli_calls(recorded, aws.region, resource.step)


def removal(aws: RecordingAws, resource: ManagedResource, seen: Seen) -> tuple[CliCall, ...]:
    """Return the calls that delete a resource; a function is detached from the VPC before."""
    stages = [seen]
    if isinstance(resource, Function) and seen.properties["VpcConfig.SubnetIds"]:
        stages.append(replace(seen, properties={**seen.properties, "VpcConfig.SubnetIds": []}))
    with aws.recording() as recorded:
        for stage in stages:
            resource.delete(aws, stage)
    return cli_calls(recorded, aws.region, resource.step)


# --- recording ------------------------------------------------------------------------------------


class UnsentAnswer(str):
    """What AWS would answer to a call that was not sent: has every key, and each is unknown."""

    def __getitem__(self, key: Any) -> Any:
        return UnsentAnswer("unknown") if isinstance(key, str) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return `default`: what AWS may leave out is left out."""
        return default


@dataclass(frozen=True)
class Recorded:
    """A call that was not sent: botocore's model of it, and its parameters."""

    model: Any
    parameters: Mapping[str, Any]


class RecordingAws(Aws):
    """An account whose clients send reads about what exists, and record everything else."""

    validates = False  # a variable may be shorter than any ARN

    def __init__(self, aws: Aws) -> None:
        super().__init__(aws.session, environment=aws.environment, tags=aws.extra_tags)
        self.identity = aws.identity
        self.expires, self.state_place = aws.expires, aws.state_place
        self._recorded: list[Recorded] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[Recorded]]:
        """Yield the list of the calls that are not sent in the block.

        An error of ours ends the block: it cannot be done so, and the run will say why.
        """
        self._recorded = []
        with contextlib.suppress(ProvisionError):
            yield self._recorded

    def _make_client(self, service: str) -> Any:
        client = super()._make_client(service)
        client.meta.events.register("provide-client-params", self._keep_parameters)
        client.meta.events.register("before-call", self._answer)
        return client

    def _keep_parameters(self, params: Any, context: dict[str, Any], **_: Any) -> None:
        context["provision_parameters"] = params

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        """Answer in AWS's place (botocore sends nothing then), or return None to have it sent."""
        parameters = context["provision_parameters"]
        if not model.name.startswith(READS):
            self._recorded.append(Recorded(model, parameters))
            return NOT_SENT, UnsentAnswer("unknown")
        return (NOT_SENT, OF_NEW.get(model.name, {})) if unresolved(parameters) else None


# --- a call in words ------------------------------------------------------------------------------


def cli_calls(recorded: Iterable[Recorded], region: str, step: str) -> tuple[CliCall, ...]:
    """Return recorded calls as lines for a shell."""
    return tuple(explained(each.model, each.parameters, region, step) for each in recorded)


def explained(model: Any, parameters: Mapping[str, Any], region: str, step: str) -> CliCall:
    """Return a call's line for the AWS CLI, and its page. `step` names the file of a zip.

    `model` is botocore's of the operation.
    """
    service = model.service_model.service_name
    words = ["aws", service, xform_name(model.name, "-")]
    for name, value in parameters.items():
        member = model.input_shape.members[name]
        if not member.metadata.get("idempotencyToken"):
            words += argument(name, member, value, step)
    if service != "iam":  # which knows no regions
        words += ["--region", region]
    return CliCall(service, model.name, " ".join(words), page(model))


def argument(name: str, member: Any, value: Any, step: str) -> list[str]:
    """Return one parameter as the AWS CLI takes it."""
    flag = f"--{xform_name(name, '-')}"
    if isinstance(value, bytes) or (isinstance(value, Mapping) and "ZipFile" in value):
        return ["--zip-file", f"fileb://{step}.zip"]
    if member.type_name == "boolean":
        return [flag if value else f"--no-{xform_name(name, '-')}"]
    shown = without_secrets(value, name)
    if member.type_name == "list" and member.member.type_name not in ("structure", "map", "list"):
        return [flag, *(quoted(str(each)) for each in shown)]
    if isinstance(shown, str | int | float):
        return [flag, quoted(str(shown))]
    return [flag, quoted(json.dumps(shown, separators=(",", ":")))]


def without_secrets(value: Any, name: str) -> Any:
    """Return a parameter with PASSWORD in the place of every password."""
    if isinstance(value, Mapping):
        return {key: without_secrets(item, key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item, name) for item in value]
    if isinstance(value, str) and name.lower().endswith("password"):
        return PASSWORD
    if isinstance(value, str) and name == "SecretString":
        return json.dumps(without_secrets(json.loads(value), ""), separators=(",", ":"))
    return value


def quoted(text: str) -> str:
    """Return a text as a shell takes it, each reference as a variable: `${vpc.id}` as "$VPC_ID"."""
    words, end = [], 0
    for match in REFERENCE.finditer(text):
        literal = text[end : match.start()]
        words += [shlex.quote(literal)] if literal else []
        words.append(f'"{variable(match[1], match[2])}"')
        end = match.end()
    rest = text[end:]
    return "".join(words) + (shlex.quote(rest) if rest or not words else "")


def variable(step: str, output: str) -> str:
    """Return the shell variable that stands for a step's output."""
    if f"${{{step}.{output}}}" == PASSWORD:
        return "$PASSWORD"
    return f"${step}_{output}".upper().replace("-", "_")


def page(model: Any) -> str:
    """Return the URL of AWS's page about an operation."""
    service, name = model.service_model.service_name, model.name
    if service == "apigatewayv2":  # /v2/apis/{ApiId}/routes: apis-apiid-routes
        path = model.http["requestUri"].removeprefix("/v2/")
        name = re.sub(r"[{}]", "", path).replace("/", "-").lower()
    return f"https://docs.aws.amazon.com/{PAGES[service].format(name)}"
