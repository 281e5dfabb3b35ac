"""Random scenarios of an environment: in the end it is as config says, or nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from provision.rehearsal import Fault
from provision.rehearsal.aws.faults import Kind
from tests.sweeps.by_hand import DELETED, client
from tests.sweeps.world import KILLED, Place

pytestmark = pytest.mark.sweep

KINDS: tuple[Kind, ...] = (
    "kill-before", "kill-after", "lost", "cut", "error500", "throttle", "denied", "expired",
)  # fmt: skip
LIVES = 25
ACTS = ("up", "up", "teardown", "configure", "delete", "lose the state", "wait")
# What somebody else has in the account, under names that look like ours, as the inventory tells it.
THEIRS = (
    "VPC 10.0.0.0/16",
    "subnet 10.0.1.0/24",
    "security group demo-function",
    "log group /aws/lambda/demo-iam-2",
    "secret demo/database-2",
    "role demo-api: ",
    "HTTP API demo",
)


def neighbour(place: Place) -> None:
    """Make somebody else's things."""
    of = client(place)
    place.account.remote.set_manners(consistency=False)
    vpc = of("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    of("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")
    group = of("ec2").create_security_group(VpcId=vpc, GroupName="demo-function", Description="-")
    everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    of("ec2").revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=[everywhere])
    of("logs").create_log_group(logGroupName="/aws/lambda/demo-iam-2")
    of("secretsmanager").create_secret(Name="demo/database-2", SecretString="theirs")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    of("iam").create_role(RoleName="demo-api", AssumeRolePolicyDocument=trust)
    of("apigatewayv2").create_api(Name="demo", ProtocolType="HTTP")
    place.account.remote.set_manners(consistency=True)


def by_hand(place: Place, delete: Any) -> None:
    """Delete a thing in the console, where it is there."""
    with contextlib.suppress(ClientError):
        delete(client(place))


def faults(chance: random.Random) -> list[Fault]:
    """Return up to two faults on calls that change something."""
    return [
        Fault(
            chance.choice(KINDS),
            mutating_only=True,
            nth=chance.randint(1, 60),
            times=chance.randint(1, 3),
        )
        for _ in range(chance.randint(0, 2))
    ]


def life(chance: random.Random) -> list[tuple[str, Any]]:
    """Return what is done to an environment, one after the other."""
    about: dict[str, Callable[[], Any]] = {
        "up": lambda: faults(chance),
        "teardown": lambda: faults(chance),
        "configure": lambda: chance.choice((128, 256, 512)),
        "delete": lambda: chance.choice(DELETED),
        "lose the state": lambda: None,
        "wait": lambda: chance.choice((60, 3600)),
    }
    acts = [chance.choice(ACTS) for _ in range(chance.randint(2, 6))]
    return [(act, about[act]()) for act in acts]


def live(place: Place, acts: list[tuple[str, Any]]) -> str:
    """Do these things to the environment. Returns the flag of its configuration in the end."""
    memory = "--set=function.memory_mib=256"
    for act, what in acts:
        print(act, what)  # shown when the test fails
        if act == "up":
            assert place.up(memory, faults=what).code in (0, 1, KILLED)
        elif act == "teardown":
            assert place.teardown(faults=what).code in (0, 1, KILLED)
        elif act == "configure":
            memory = f"--set=function.memory_mib={what}"
        elif act == "delete":
            by_hand(place, what)
        elif act == "wait":
            place.account.remote.advance(what)
        else:
            place.state.unlink(missing_ok=True)
    return memory


@pytest.mark.parametrize("number", range(LIVES))
def test_any_life_ends_as_it_should(place: Place, number: int) -> None:
    chance = random.Random(number)  # noqa: S311 - no secret
    neighbour(place)
    memory = live(place, life(chance))
    place.account.remote.set_faults()
    if chance.random() < 1 / 2:
        last = place.up(memory)
        assert last.code == 0, last
        place.holds_one_of_everything(*THEIRS)
        plan = place.plan(memory)
        assert plan.code == 0, plan
    down = place.teardown()
    assert down.code == 0, down
    place.holds_nothing(*THEIRS)
