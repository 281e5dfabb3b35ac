"""Secrets Manager: a name stays taken while its secret waits to be deleted, and a while after.

Follows https://docs.aws.amazon.com/secretsmanager/latest/apireference/.
"""

from __future__ import annotations

from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World, refusing


class Leaving(dict[str, float]):
    """Names of secrets deleted by force, and until when each is taken (AWS seconds)."""


@refusing
def create_secret(world: World, call: Call) -> None:
    """Refused while the name's old secret is scheduled for deletion, or not quite gone."""
    name = call.get("Name", "")
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


@refusing
def put_secret_value(world: World, call: Call) -> None:
    """Refused while scheduled for deletion."""
    secret = _find(world, call.region, call.get("SecretId", ""))
    if secret is not None and secret.deleted_date is not None:
        message = (
            "You can't perform this operation on the secret because it was marked for deletion."
        )
        raise AwsError("InvalidRequestException", message, 400)


update_secret = put_secret_value
get_secret_value = put_secret_value
tag_resource = put_secret_value
untag_resource = put_secret_value


def _find(world: World, region: str, name: str) -> Any:
    """moto's secret of that name or ARN, or None."""
    return world.backend("secretsmanager", region).secrets.get(name)
