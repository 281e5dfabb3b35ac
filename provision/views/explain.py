"""`--explain`: the AWS CLI line that does what a step does, and AWS's page about the call.

Nothing is written twice: the resources make their own calls, on clients that record instead of
sending. The line comes from the call's name and parameters by botocore's own rules, which the AWS
CLI follows as well. What is not known before the run stands there as a shell variable: `$VPC_ID` is
the output `id` of the step `vpc`. A password is `$PASSWORD` and a zip a file; neither is shown.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore import xform_name

from provision.aws.account import Aws
from provision.context import Run
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
    tags_apart,
)
from provision.resources.iam import Role
from provision.resources.lambda_ import Function
from provision.resources.logs import LogGroup
from provision.resources.rds import DBProxyTarget
from provision.resources.references import REFERENCE, bind, unresolved

PASSWORD = "${secret.password}"  # noqa: S105 - what stands for one
READS = ("Describe", "Get", "List")
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
class Call:
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
    calls: tuple[Call, ...]


# --- for the commands -----------------------------------------------------------------------------


def explain_plan(run: Run, plan: Plan) -> None:
    """Show each step of a plan with the calls that carry it out. Changes nothing."""
    show(
        run.output, [explained_step(run.aws, each, bound) for each, bound in bound_steps(run, plan)]
    )


def explain_removal(
    run: Run, resources: Iterable[Resource], seen: Mapping[str, Seen | None]
) -> None:
    """Show the calls that delete these resources, last made first. Changes nothing."""
    known: dict[str, Any] = {"aws": pseudo(run.aws), **run.state.known()}
    known |= {step: there.outputs for step, there in seen.items() if there}
    going = [
        each for each in resources if seen.get(each.step) and isinstance(each, ManagedResource)
    ]
    steps = {each.step for each in going}
    explained = []
    for resource in reversed(going):
        there = seen[resource.step]
        assert there is not None  # noqa: S101 - chosen so above
        if container := container_of(resource) & steps:
            explained.append(Explained(resource.step, f"goes with {min(container)}", ()))
        else:
            calls = removal(run.aws, bind(resource, known), there)
            explained.append(Explained(resource.step, "delete", calls))
    show(run.output, explained)


def show(output: Reporter, explained: Iterable[Explained]) -> None:
    """Show lines to a person, a record for each step to a program."""
    lines = []
    for each in explained:
        output.record(
            "explain", step=each.step, action=each.action, calls=[vars(call) for call in each.calls]
        )
        lines += ["", f"# {each.step}: {each.action}"]
        for call in each.calls:
            lines += [call.command, f"# {call.document}"]
    if lines:
        output.document("\n".join(lines))


# --- the calls of a step --------------------------------------------------------------------------


def bound_steps(run: Run, plan: Plan) -> Iterator[tuple[Planned, Resource]]:
    """Yield each step at which there is something to do, with every value that is known."""
    known: dict[str, Any] = {"aws": pseudo(run.aws)}
    for each in plan.steps:
        bound = bind(each.resource, known)
        if each.action in (Action.CREATE, Action.UPDATE, Action.REPLACE):
            yield each, bound
        if each.seen and each.action not in (Action.CREATE, Action.REPLACE):
            lasting = bound.lasting(each.seen, each.changes)
            known[each.step] = {k: v for k, v in lasting.items() if k not in each.seen.secrets}


def explained_step(aws: Aws, planned: Planned, bound: Resource) -> Explained:
    """Return one step of a plan with its calls."""
    calls: tuple[Call, ...] = ()
    if isinstance(bound, ManagedResource) and planned.seen:
        if planned.action is Action.REPLACE and not bound.within:
            calls += removal(aws, bound, planned.seen)
        if planned.action is Action.UPDATE:
            calls += change(aws, bound, planned.seen, planned.changes)
    if isinstance(bound, CreatableResource) and planned.action is not Action.UPDATE:
        calls += creation(aws, bound)
    return Explained(planned.step, planned.action.value, calls)


def creation(aws: Aws, resource: CreatableResource) -> tuple[Call, ...]:
    """Return the calls that make a resource as it should be."""
    recorder = Recorder(aws)
    resource.create(recorder)
    before = AFTER_CREATE.get(type(resource))
    if before and isinstance(resource, ManagedResource):
        seen = Seen({}, before)
        if changes := resource.differences(seen, aws):
            resource.update(recorder, seen, {each.property: each for each in changes})
    return recorder.explained(resource)


def change(
    aws: Aws, resource: ManagedResource, seen: Seen, changes: Iterable[Change]
) -> tuple[Call, ...]:
    """Return the calls that put these properties right."""
    recorder = Recorder(aws)
    tags, others = tags_apart(changes)
    if tags:
        resource.tag(recorder, seen, tags)
    for part in one_at_a_time(resource, others):
        try:
            resource.update(recorder, seen, part)
        except ProvisionError:
            break  # it cannot be put right so, and the run will say why
    return recorder.explained(resource)


def one_at_a_time(
    resource: ManagedResource, changes: Mapping[str, Change]
) -> Iterator[Mapping[str, Change]]:
    """Yield the changes in the portions in which AWS takes them: a function's code by itself."""
    for portion in (
        {name: each for name, each in changes.items() if name in resource.urgent},
        {name: each for name, each in changes.items() if name not in resource.urgent},
    ):
        if portion:
            yield portion


def removal(aws: Aws, resource: ManagedResource, seen: Seen) -> tuple[Call, ...]:
    """Return the calls that delete a resource; a function is detached from the VPC before."""
    recorder = Recorder(aws)
    stages = [seen]
    if isinstance(resource, Function) and seen.properties["VpcConfig.SubnetIds"]:
        stages.append(replace(seen, properties={**seen.properties, "VpcConfig.SubnetIds": []}))
    for stage in stages:
        try:
            resource.delete(recorder, stage)
        except ProvisionError:
            break  # it may not be deleted, and the run will say why
    return recorder.explained(resource)


# --- recording ------------------------------------------------------------------------------------


class Answer(str):
    """An answer to a call that was not sent: has every key, and each is unknown."""

    def __getitem__(self, key: Any) -> Any:
        return Answer("unknown") if isinstance(key, str) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return `default`: what AWS may leave out is left out."""
        return default


class Recorder(Aws):
    """An account whose clients send reads, and record everything else."""

    def __init__(self, aws: Aws) -> None:
        # Not Aws's own: everything but the clients is the other's.
        self._aws = aws
        self.session, self.region = aws.session, aws.region
        self.environment, self.extra_tags = aws.environment, aws.extra_tags
        self.together = aws.together  # type: ignore[method-assign]
        self.identity = aws.identity
        self.recorded: list[tuple[Any, str, dict[str, Any]]] = []

    def client(self, service: str) -> Any:
        """Return a client that records."""
        return RecordingClient(self._aws.client(service), self.recorded)

    def explained(self, resource: Resource) -> tuple[Call, ...]:
        """Return the calls that were recorded, in words for a person's shell."""
        return tuple(
            explained(client.meta.service_model, operation, parameters, self.region, resource.step)
            for client, operation, parameters in self.recorded
        )


class RecordingClient:
    """A boto3 client that sends only reads, and only those about what is there."""

    def __init__(self, client: Any, recorded: list[tuple[Any, str, dict[str, Any]]]) -> None:
        self._client = client
        self._recorded = recorded

    def __getattr__(self, name: str) -> Any:
        operation = self._client.meta.method_to_api_mapping.get(name)
        real = getattr(self._client, name)
        if operation is None:
            return real

        def call(**parameters: Any) -> Any:
            if operation.startswith(READS):
                return OF_NEW.get(operation, {}) if unresolved(parameters) else real(**parameters)
            self._recorded.append((self._client, operation, parameters))
            return Answer("unknown")

        return call

    def get_paginator(self, name: str) -> Any:
        """Return a paginator that asks nothing about what is not there yet."""
        real = self._client.get_paginator(name)
        operation = self._client.meta.method_to_api_mapping[name]
        return Paginator(real, OF_NEW.get(operation, {}))


@dataclass(frozen=True)
class Paginator:
    """A botocore paginator, as far as it is used here."""

    real: Any
    of_new: Mapping[str, Any]

    def paginate(self, **parameters: Any) -> Any:
        """Return the pages; `of_new` in their place for what is not there yet."""
        return Whole(self.of_new) if unresolved(parameters) else self.real.paginate(**parameters)


@dataclass(frozen=True)
class Whole:
    """Pages that are known as a whole."""

    result: Mapping[str, Any]

    def build_full_result(self) -> Mapping[str, Any]:
        """Return the result."""
        return self.result


# --- a call in words ------------------------------------------------------------------------------


def explained(
    model: Any, operation: str, parameters: Mapping[str, Any], region: str, step: str
) -> Call:
    """Return a call's line for the AWS CLI, and its page. `step` names the file of a zip."""
    shape = model.operation_model(operation).input_shape
    words = ["aws", model.service_name, xform_name(operation, "-")]
    for name, value in parameters.items():
        member = shape.members[name]
        if not member.metadata.get("idempotencyToken"):
            words += argument(name, member, value, step)
    if model.service_name != "iam":  # which knows no regions
        words += ["--region", region]
    return Call(model.service_name, operation, " ".join(words), page(model, operation))


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


def page(model: Any, operation: str) -> str:
    """Return the URL of AWS's page about an operation."""
    name = operation
    if model.service_name == "apigatewayv2":  # /v2/apis/{ApiId}/routes: apis-apiid-routes
        path = model.operation_model(operation).http["requestUri"]
        name = re.sub(r"[{}]", "", path.removeprefix("/v2/")).replace("/", "-").lower()
    return f"https://docs.aws.amazon.com/{PAGES[model.service_name].format(name)}"
