"""Secrets Manager: a name stays taken while its secret waits to be deleted, and a while after.

Follows https://docs.aws.amazon.com/secretsmanager/latest/apireference/.
"""

from __future__ import annotations

from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World


class Leaving(dict[str, float]):
    """Names of secrets deleted by force, and until when each is taken (AWS seconds)."""


def create_secret(world: World, call: Call, proceed: Proceed) -> None:
    """Refused while the name's old secret is scheduled for deletion, or not quite gone."""
    name = call.get("Name", "")
    if not world.behaviours.refusals:
        return
    secret = _find(world, call.region, name)
    leaving = world.memory(Leaving, call.region).get(name, 0.0) > world.clock.now()
    if leaving or (secret is not None and secret.deleted_date is not None):
        message = (
            "You can't create this secret because a secret with this name is already scheduled "
            "for deletion."
        )
        raise AwsError("InvalidRequestException", message, 400)


def delete_secret(world: World, call: Call, proceed: Proceed) -> Answer:
    """By force: gone at once for all but the next secret of that name."""
    secret = _find(world, call.region, call.get("SecretId", ""))
    answer = proceed()
    if (
        world.behaviours.consistency
        and call.get("ForceDeleteWithoutRecovery")
        and secret is not None
    ):
        until = world.clock.now() + world.takes("secret_name_freed", secret.name)
        world.memory(Leaving, call.region)[secret.name] = until
    return answer


def put_secret_value(world: World, call: Call, proceed: Proceed) -> None:
    """Refused while scheduled for deletion."""
    _check_there(world, call)


update_secret = put_secret_value
get_secret_value = put_secret_value
tag_resource = put_secret_value
untag_resource = put_secret_value


def _check_there(world: World, call: Call) -> None:
    secret = _find(world, call.region, call.get("SecretId", ""))
    if world.behaviours.refusals and secret is not None and secret.deleted_date is not None:
        message = (
            "You can't perform this operation on the secret because it was marked for deletion."
        )
        raise AwsError("InvalidRequestException", message, 400)


def _find(world: World, region: str, name: str) -> Any:
    """moto's secret of that name or ARN, or None."""
    backend = world.backend("secretsmanager", region)
    return backend.secrets.get(name)
