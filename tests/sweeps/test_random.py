"""Random lives of an environment: in the end it is as config says, or nothing of it is left."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.rehearsal import Fault
from tests.sweeps.test_by_hand import DELETED, client
from tests.sweeps.world import KILLED, Account, Commands, Place

pytestmark = pytest.mark.slow

FAULTY = st.builds(
    Fault,
    st.sampled_from(("kill-before", "kill-after", "lost", "cut", "error500", "denied")),
    mutating_only=st.just(True),
    nth=st.integers(1, 60),
)
DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("up"), st.lists(FAULTY, max_size=1)),
        st.tuples(st.just("teardown"), st.lists(FAULTY, max_size=1)),
        st.tuples(st.just("configure"), st.sampled_from((128, 256, 512))),
        st.tuples(st.just("delete"), st.sampled_from(DELETED)),
        st.tuples(st.just("lose the state"), st.none()),
    ),
    min_size=1,
    max_size=4,
)


def neighbour(place: Place) -> str:
    """Make a thing of somebody else's under a name that looks like ours. Returns its id."""
    of = client(place)
    of("logs").create_log_group(logGroupName="/aws/lambda/demo-iam-2")
    vpc: str = of("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return vpc


def unharmed(place: Place, vpc: str) -> bool:
    """Return whether the neighbour's things are as they were."""
    of = client(place)
    groups = of("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/demo-iam-2")
    return bool(of("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"]) and len(groups["logGroups"]) == 1


@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(doings=DOINGS, ends_up=st.booleans())
def test_any_life_ends_as_it_should(
    account: Account,
    commands: Commands,
    tmp_path_factory: pytest.TempPathFactory,
    doings: list[tuple[str, object]],
    ends_up: bool,
) -> None:
    account.remote.reset()
    place = Place(account, commands, Path(tmp_path_factory.mktemp("life")))
    vpc = neighbour(place)
    memory = "--set=function.memory_mib=256"
    for doing, what in doings:
        if doing == "up":
            assert place.up(memory, faults=what).code in (0, 1, KILLED)  # type: ignore[arg-type]
        elif doing == "teardown":
            assert place.teardown(faults=what).code in (0, 1, KILLED)  # type: ignore[arg-type]
        elif doing == "configure":
            memory = f"--set=function.memory_mib={what}"
        elif doing == "delete":
            by_hand(place, what)
        else:
            place.state.unlink(missing_ok=True)
    account.remote.set_faults()
    account.remote.advance(24 * 3600)
    last = place.up(memory) if ends_up else place.teardown()
    assert last.code == 0, last
    if ends_up:
        plan = place.plan(memory)
        assert plan.code == 0, plan
    assert unharmed(place, vpc)
    assert place.teardown().code == 0
    assert unharmed(place, vpc)


def by_hand(place: Place, delete: object) -> None:
    """Delete a thing in the console, where it is there."""
    with contextlib.suppress(ClientError):
        delete(client(place))  # type: ignore[operator]
