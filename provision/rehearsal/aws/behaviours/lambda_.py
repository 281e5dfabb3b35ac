"""Lambda: states over time, roles that cannot be assumed yet, and AWS's refusals.

Follows https://docs.aws.amazon.com/lambda/latest/api/ and the guide's "Lambda function states";
messages as Lambda words them, since callers tell its refusals apart by them.
"""

from __future__ import annotations

import io
import uuid
import zipfile
from dataclasses import dataclass, field
from typing import Any

from provision.rehearsal.aws.behaviours import iam_roles, interfaces
from provision.rehearsal.aws.calls import ACCOUNT, Call
from provision.rehearsal.aws.moto_app import NotPlayed, service_model
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing

CREATE_BLOCKED = {
    "python2.7": "2021-07-15",
    "python3.6": "2022-07-18",
    "python3.7": "2024-01-09",
    "python3.8": "2027-02-01",
    "python3.9": "2027-02-01",
    "python3.10": "2027-02-01",
    "python3.11": "2027-07-31",
    "python3.12": "2028-11-30",
    "python3.13": "2029-07-31",
    "python3.14": "2029-07-31",
}
"""From when on no function can be made with a Python runtime (Lambda's guide, "Runtimes")."""
_RESERVED = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_IN_A_VPC = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")
_ENVIRONMENT_BYTES = 4096
_PENDING = "The function is currently in the following state: Pending"


@dataclass
class _State:
    """What moto does not keep of a function."""

    update: str = "Successful"
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))
    detaching: bool = False


class Functions(dict[str, _State]):
    """The states of functions, by name."""


# Functions


def create_function(world: World, call: Call, proceed: Proceed) -> Answer:
    """`Pending` at first: longer in a VPC."""
    name = call.get("FunctionName", "")
    if world.behaviours.refusals:
        if name in _names(world, call.region):
            message = f"Function already exist: {name}"
            raise AwsError("ResourceConflictException", message, 409)
        _check_settings(world, call)
        _check_zip(call.get("Code", {}).get("ZipFile"))
        _check_role(world, call.get("Role", ""))
        _check_network(world, call, call.get("Role", ""))
    answer = proceed()
    vpc = call.get("VpcConfig") or {}
    world.memory(Functions, call.region)[name] = _State()
    _attach(world, call.region, _find(world, call), vpc)
    if world.behaviours.states:
        function = _find(world, call)
        function.state = "Pending"
        kind = "function_pending" if vpc.get("SubnetIds") else "function_pending_plain"
        wait = world.takes(kind, name)
        world.later(wait, lambda: setattr(function, "state", "Active"), _key(call.region, name))
    answer["State"] = _find(world, call).state
    return _completed(world, call.region, answer)


def update_function_configuration(world: World, call: Call, proceed: Proceed) -> Answer:
    """`InProgress` for a while; an empty VpcConfig detaches the function from its VPC."""
    function = _find(world, call)
    name, known = function.function_name, _state(world, call.region, function.function_name)
    if world.behaviours.refusals:
        _check_free(function, known)
        _check_revision(call, known)
        _check_settings(world, call)
        if "Role" in call.params:
            _check_role(world, call.params["Role"])
        elif "VpcConfig" in call.params and world.possible("refuses_detach_without_role"):
            _check_role(world, function.role)
        _check_network(world, call, call.get("Role", function.role))
    answer = proceed()
    _updating(world, call.region, name, known)
    if "VpcConfig" in call.params:
        vpc = call.params["VpcConfig"]
        if vpc.get("SubnetIds"):
            _attach(world, call.region, function, vpc)
        else:
            _detach(world, call.region, function, known)
    return _completed(world, call.region, answer)


def update_function_code(world: World, call: Call, proceed: Proceed) -> Answer:
    """`InProgress` for a while, with a dry run not."""
    function = _find(world, call)
    known = _state(world, call.region, function.function_name)
    if world.behaviours.refusals:
        _check_free(function, known)
        _check_revision(call, known)
        _check_zip(call.get("ZipFile"))
    if "Architectures" in call.params:
        function.architectures = call.params["Architectures"]
    answer = proceed()
    if not call.get("DryRun"):
        _updating(world, call.region, function.function_name, known)
    return _completed(world, call.region, answer)


def delete_function(world: World, call: Call, proceed: Proceed) -> Answer:
    """Its interfaces stay for a while; longer when a detachment was cut short by this."""
    function = _find(world, call)
    name, role = function.function_name, function.role
    known = _state(world, call.region, name)
    answer = proceed()
    if call.get("Qualifier") is None:
        world.forget(_key(call.region, name))
        world.memory(Functions, call.region).pop(name, None)
        if (function._vpc_config or {}).get("SubnetIds") or known.detaching:
            interfaces.release_function(world, call.region, name, role, detached=False)
    return answer


def get_function(world: World, call: Call, proceed: Proceed) -> Answer:
    """With what moto leaves out."""
    answer = proceed()
    _completed(world, call.region, answer["Configuration"])
    reserved = _find(world, call).reserved_concurrency
    if reserved is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": int(reserved)}
    return answer


def get_function_configuration(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `get_function`."""
    return _completed(world, call.region, proceed())


def list_functions(world: World, call: Call, proceed: Proceed) -> Answer:
    """See `get_function`; a list does not tell states."""
    answer = proceed()
    for each in answer.get("Functions", []):
        _completed(world, call.region, each)
        for name in ("State", "LastUpdateStatus", "StateReason", "StateReasonCode"):
            each.pop(name, None)
    return answer


def invoke(world: World, call: Call, proceed: Proceed) -> Answer:
    """Runs the real function, in the data plane, which also writes its log."""
    function = _find(world, call)
    name = function.function_name
    if function.state == "Pending":
        raise _busy(_PENDING)
    if call.get("InvocationType") == "DryRun":
        return {"StatusCode": 204}
    if world.data_plane is None:
        raise NotPlayed("lambda Invoke without a data plane")
    with world.unlocked():
        answer: Answer = world.data_plane.invoke(name, call.get("Payload") or b"{}")
    return answer


# Layers


@refusing
def publish_layer_version(world: World, call: Call) -> None:
    """Refuses what is no zip."""
    _check_zip(call.get("Content", {}).get("ZipFile"))


# Refusals


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400, {"Type": "User"})


def _check_settings(world: World, call: Call) -> None:
    runtime = call.get("Runtime")
    known = service_model("lambda").shape_for("Runtime").enum
    if runtime is not None and runtime not in known:
        raise _invalid(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
            f"value set: [{', '.join(known)}] or be a valid ARN"
        )
    if f"{world.clock.date():%Y-%m-%d}" >= CREATE_BLOCKED.get(runtime or "", "9999"):
        raise _invalid(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating "
            "AWS Lambda functions. We recommend you use a supported runtime while creating or "
            "updating functions."
        )
    variables = (call.get("Environment") or {}).get("Variables", {})
    reserved = [name for name in variables if name in _RESERVED]
    if reserved:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    size = sum(len(k.encode()) + len(v.encode()) for k, v in variables.items())
    if size > _ENVIRONMENT_BYTES:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment "
            f"variables you have provided exceeded the {_ENVIRONMENT_BYTES} bytes limit."
        )


def _check_zip(content: bytes | None) -> None:
    if content is not None and not zipfile.is_zipfile(io.BytesIO(content)):
        raise _invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        )


def _check_role(world: World, role: str) -> None:
    if not iam_roles.assumable(world, role, "lambda.amazonaws.com"):
        raise _invalid("The role defined for the function cannot be assumed by Lambda.")


def _check_network(world: World, call: Call, role: str) -> None:
    """The subnets and groups must be there, and the role must be able to make interfaces."""
    vpc = call.get("VpcConfig") or {}
    if not vpc.get("SubnetIds"):
        return
    for name in _IN_A_VPC:
        if not iam_roles.may(world, role, f"ec2:{name}").allowed:
            raise _invalid(
                f"The provided execution role does not have permissions to call {name} on EC2"
            )
    ec2 = world.backend("ec2", call.region)
    known = {name for each in ec2.subnets.values() for name in each}
    for name in vpc["SubnetIds"]:
        if name not in known:
            raise _invalid(
                "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. "
                f"EC2 Error Message: The subnet ID '{name}' does not exist"
            )
    for name in vpc.get("SecurityGroupIds", []):
        if ec2.get_security_group_from_id(name) is None:
            raise _invalid(
                "Error occurred while DescribeSecurityGroups. EC2 Error Code: "
                f"InvalidGroup.NotFound. EC2 Error Message: The security group '{name}' does not "
                "exist"
            )


def _check_free(function: Any, known: _State) -> None:
    """One change at a time."""
    if function.state == "Pending":
        raise _busy(_PENDING)
    if known.update == "InProgress":
        raise _busy(f"An update is in progress for resource: {function.function_arn}")


def _busy(why: str) -> AwsError:
    message = f"The operation cannot be performed at this time. {why}"
    return AwsError("ResourceConflictException", message, 409, {"Type": "User"})


def _check_revision(call: Call, known: _State) -> None:
    if call.get("RevisionId", known.revision) != known.revision:
        message = (
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id"
        )
        raise AwsError("PreconditionFailedException", message, 412, {"Type": "User"})


# What they share


def _names(world: World, region: str) -> list[str]:
    return [each.function_name for each in world.backend("lambda", region).list_functions()]


def _find(world: World, call: Call) -> Any:
    """moto's function that the call names, by name or ARN. Raises ResourceNotFoundException."""
    given = call.get("FunctionName", "")
    parts = given.split(":")
    name = parts[6] if given.startswith("arn:") and len(parts) > 6 else parts[0]
    if name not in _names(world, call.region):
        message = f"Function not found: arn:aws:lambda:{call.region}:{ACCOUNT}:function:{name}"
        raise AwsError("ResourceNotFoundException", message, 404, {"Type": "User"})
    return world.backend("lambda", call.region).get_function(name)


def _state(world: World, region: str, name: str) -> _State:
    return world.memory(Functions, region).setdefault(name, _State())


def _updating(world: World, region: str, name: str, known: _State) -> None:
    known.revision = str(uuid.uuid4())
    if not world.behaviours.states:
        return
    known.update = "InProgress"

    def done() -> None:
        known.update = "Successful"
        known.detaching = False

    world.later(world.takes("function_update", name), done, _key(region, name))


def _attach(world: World, region: str, function: Any, vpc: Answer) -> None:
    if subnets := vpc.get("SubnetIds"):
        name, role, groups = function.function_name, function.role, vpc.get("SecurityGroupIds", [])
        interfaces.for_function(world, region, name, role, subnets, groups)


def _detach(world: World, region: str, function: Any, known: _State) -> None:
    known.detaching = world.behaviours.states
    name, role = function.function_name, function.role
    interfaces.release_function(world, region, name, role, detached=True)


def _completed(world: World, region: str, config: Answer) -> Answer:
    """A function's configuration with what moto leaves out or has made up."""
    known = _state(world, region, config["FunctionName"])
    config["LastUpdateStatus"] = known.update
    config["RevisionId"] = known.revision
    log_group = f"/aws/lambda/{config['FunctionName']}"
    config["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": log_group}
    if config.get("State") == "Pending":
        config["StateReason"] = "The function is being created."
        config["StateReasonCode"] = "Creating"
    if known.update == "InProgress":
        config["LastUpdateStatusReason"] = "The function is being updated."
        config["LastUpdateStatusReasonCode"] = "Creating"
    vpc = config.get("VpcConfig") or {}
    if vpc.get("SubnetIds"):
        subnet = world.backend("ec2", region).get_subnet(vpc["SubnetIds"][0])
        vpc["VpcId"] = subnet.vpc_id
    elif vpc:
        vpc["VpcId"] = ""
    return config


def _key(region: str, name: str) -> tuple[str, str, str]:
    return ("function", region, name)
