"""Random scenarios of an environment: in the end it is as config says, or nothing of it is left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.rehearsal import Fault
from tests.sweeps.figures import NAME
from tests.sweeps.test_by_hand import DELETED, client
from tests.sweeps.world import KILLED, Account, Commands, Place

pytestmark = pytest.mark.slow

KINDS = (
    "kill-before", "kill-after", "lost", "cut", "error500", "throttle", "denied", "expired",
)  # fmt: skip
FAULTS = st.lists(
    st.builds(
        Fault,
        st.sampled_from(KINDS),
        mutating_only=st.just(True),
        nth=st.integers(1, 60),
        times=st.integers(1, 3),
    ),
    max_size=2,
)
DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("up"), FAULTS),
        st.tuples(st.just("teardown"), FAULTS),
        st.tuples(st.just("configure"), st.sampled_from((128, 256, 512))),
        st.tuples(st.just("delete"), st.sampled_from(DELETED)),
        st.tuples(st.just("lose the state"), st.none()),
        st.tuples(st.just("wait"), st.sampled_from((60, 3600))),
    ),
    min_size=2,
    max_size=6,
)
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


def live(place: Place, doings: list[tuple[str, Any]]) -> str:
    """Do these things to the environment. Returns the flag of its configuration in the end."""
    memory = "--set=function.memory_mib=256"
    for doing, what in doings:
        if doing == "up":
            assert place.up(memory, faults=what).code in (0, 1, KILLED)
        elif doing == "teardown":
            assert place.teardown(faults=what).code in (0, 1, KILLED)
        elif doing == "configure":
            memory = f"--set=function.memory_mib={what}"
        elif doing == "delete":
            by_hand(place, what)
        elif doing == "wait":
            place.account.remote.advance(what)
        else:
            place.state.unlink(missing_ok=True)
    return memory


@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(doings=DOINGS, ends_up=st.booleans())
def test_any_life_ends_as_it_should(
    account: Account,
    commands: Commands,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[..., None],
    doings: list[tuple[str, Any]],
    ends_up: bool,
) -> None:
    account.remote.reset()
    place = Place(account, commands, Path(tmp_path_factory.mktemp("life")))
    neighbour(place)
    memory = live(place, doings)
    account.remote.set_faults()
    if ends_up:
        last = place.up(memory)
        assert last.code == 0, last
        place.holds_one_of_everything(*THEIRS)
        plan = place.plan(memory)
        assert plan.code == 0, plan
    down = place.teardown()
    assert down.code == 0, down
    place.holds_nothing(*THEIRS)
    record_property(NAME, dict(place.found + account.played()))
