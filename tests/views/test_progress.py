"""How far a run is, and how long it may still take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from provision.resources.base import Change, CreatableResource, DeletableResource
from provision.views.progress import Progress, View
from tests.support.outputs import RESOURCES, STEP, ViewClock, everything, plan_of

MINUTE = 60.0


@dataclass
class Story:
    """A run that is told step by step."""

    clock: ViewClock = field(default_factory=ViewClock)
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(self.clock)
        self.progress.start(RESOURCES, activity="looking up what exists")

    def began(self, *steps: str, doing: str = "creating") -> None:
        for step in steps:
            self.progress.began(STEP[step], doing)

    def finished(self, *steps: str, action: str = "created") -> None:
        for step in steps:
            self.progress.finished(STEP[step], action)

    def but_for(self, *steps: str) -> None:
        """Finish every step of a first run but these."""
        made = [each.step for each in RESOURCES if isinstance(each, CreatableResource)]
        self.finished(*(step for step in made if step not in steps))

    @property
    def view(self) -> View:
        return self.progress.view()


@pytest.fixture
def story() -> Story:
    return Story()


def test_before_the_plan_aws_is_asked_and_nothing_is_counted(story: Story) -> None:
    view = story.view
    assert view.activity == "looking up what exists"
    assert (view.done, view.total, view.waits) == (0, 0, ())


def test_only_what_has_something_to_do_is_counted(story: Story) -> None:
    change = Change("RequireTLS", False, True)
    story.progress.planned(plan_of(["route-func1"], [("proxy-iam", change)]))
    story.finished("vpc", action="unchanged")
    assert (story.view.done, story.view.total, story.view.activity) == (0, 2, "")
    story.finished("proxy-iam", action="updated")
    assert (story.view.done, story.view.total) == (1, 2)


def test_the_run_ends_with_its_longest_chain(story: Story) -> None:
    story.progress.planned(everything())
    story.but_for("db-instance", "target-iam", "proxy-iam", "function-iam")
    story.began("db-instance", "proxy-iam")
    view = story.view
    assert view.chain == ("db-instance", "target-iam")
    # The instance takes 190 to 540 seconds, then the target 60 to 400.
    assert view.left == pytest.approx((250, 940))
    assert [wait.step for wait in view.waits] == ["db-instance", "proxy-iam"]


def test_time_that_has_passed_is_taken_off_the_time_left(story: Story) -> None:
    story.progress.planned(everything())
    story.but_for("db-instance")
    story.began("db-instance")
    story.clock += 4 * MINUTE
    assert story.view.left == pytest.approx((0, 300))
    assert story.view.waits[0].seconds == 4 * MINUTE


def test_what_takes_longer_than_a_slow_one_has_no_end_in_sight(story: Story) -> None:
    story.progress.planned(everything())
    story.but_for("db-instance")
    story.began("db-instance")
    story.clock += 538
    assert not story.view.waits[0].overdue
    story.clock += 4
    assert story.view.waits[0].overdue
    assert math.isinf(story.view.left[1])


def test_a_quick_step_that_is_slow_for_once_is_not_called_overdue(story: Story) -> None:
    story.progress.planned(everything())
    story.but_for("vpc")
    story.began("vpc")
    story.clock += 20
    assert not story.view.waits[0].overdue
    assert not math.isinf(story.view.left[1])


def test_a_wait_for_another_step_does_not_count_as_ones_own(story: Story) -> None:
    story.progress.planned(everything())
    story.but_for("db-instance", "target-iam")
    story.began("db-instance", "target-iam")
    story.clock += 7 * MINUTE
    target = next(wait for wait in story.view.waits if wait.step == "target-iam")
    assert target.usual == 0
    assert not target.overdue
    story.finished("db-instance")
    story.clock += MINUTE
    (target,) = story.view.waits
    assert (target.seconds, target.counted, target.usual) == (8 * MINUTE, MINUTE, 160)
    assert story.view.left == pytest.approx((0, 340))


def test_what_was_measured_here_wins_over_what_is_usual(story: Story) -> None:
    story.progress.earlier = {"db-instance": 4 * MINUTE, "target-iam": 6 * MINUTE}
    story.progress.planned(everything())
    story.but_for("db-instance", "target-iam")
    story.began("db-instance", "target-iam")
    story.clock += MINUTE
    # Both began at once, and the target's 6 minutes were measured with its wait in them.
    assert story.view.left == pytest.approx((3.2 * MINUTE, 8 * MINUTE))
    assert {wait.step: wait.usual for wait in story.view.waits} == {
        "db-instance": 4 * MINUTE,
        "target-iam": 6 * MINUTE,
    }


def test_a_rehearsal_takes_as_much_less_as_it_is_faster(story: Story) -> None:
    story.progress.speed = 60
    story.progress.planned(everything())
    story.but_for("db-instance")
    story.began("db-instance")
    assert story.view.left == pytest.approx((190 / 60, 540 / 60))


def test_a_replaced_step_is_done_when_it_is_there_again(story: Story) -> None:
    story.progress.planned(plan_of(replace=[("vpc", Change("CidrBlock", "a", "b", replaces=True))]))
    story.began("vpc", doing="deleting")
    story.finished("vpc", action="deleted")
    assert (story.view.done, story.view.waits) == (0, ())
    story.began("vpc")
    story.finished("vpc")
    assert (story.view.done, story.view.total) == (1, 1)


def test_a_teardown_goes_from_what_refers_to_what_is_referred_to(story: Story) -> None:
    going = [each for each in RESOURCES if isinstance(each, DeletableResource)]
    story.progress.removing(going)
    view = story.view
    assert (view.done, view.total) == (0, len(going))
    assert view.chain[0].startswith("proxy-")  # what may take longest
    story.finished("proxy-iam", "proxy-password", action="deleted")
    view = story.view
    order = [view.chain.index(step) for step in ("function-interfaces", "subnet-function", "vpc")]
    assert order == sorted(order)
    assert view.chain[-1] == "vpc"
    # API, its integrations, function (a minute), its interfaces (14 minutes), subnet, VPC.
    assert view.left[1] == pytest.approx(8 + 8 + 60 + 840 + 8 + 8)


def test_what_goes_with_its_container_waits_for_it(story: Story) -> None:
    story.progress.removing([STEP["api"], STEP["route-func1"], STEP["stage"]])
    assert story.view.chain[0] == "api"


def test_what_aws_made_itself_is_done_when_the_engine_says_so(story: Story) -> None:
    interfaces = STEP["function-interfaces"]
    story.progress.removing([interfaces])
    story.progress.began(interfaces, "deleting")
    story.progress.status(interfaces, "gone")
    assert (story.view.done, len(story.view.waits)) == (0, 1)
    story.progress.finished(interfaces, "deleted")
    assert (story.view.done, story.view.waits) == (1, ())


def test_a_status_is_news_once(story: Story) -> None:
    story.progress.planned(everything())
    story.began("db-instance")
    tell = story.progress.status
    assert not tell(STEP["db-instance"], "creating")  # as the step began
    assert tell(STEP["db-instance"], "backing-up")
    assert not tell(STEP["db-instance"], "backing-up")
    assert tell(STEP["db-instance"], "backing-up", "because")
    assert tell(STEP["db-instance"], "available")
    assert not tell(STEP["db-instance"], "ready")  # the same word for a person


def test_a_lookup_is_no_step(story: Story) -> None:
    zones = STEP["availability-zones"]
    assert not story.progress.began(zones, "creating")
    assert not story.progress.status(zones, "there")
    assert story.view.waits == ()


def test_what_is_there_but_not_ready_is_shown_though_nothing_began_it(story: Story) -> None:
    story.progress.planned(plan_of())
    story.progress.status(STEP["db-instance"], "backing-up")
    (wait,) = story.view.waits
    assert (wait.doing, wait.status, wait.usual) == ("checking", "backing-up", 0)
    assert story.view.total == 1


def test_failed_and_skipped_steps_are_no_longer_waited_for(story: Story) -> None:
    story.progress.planned(plan_of(["vpc", "subnet-function", "stage"]))
    story.began("vpc")
    story.progress.failed(STEP["vpc"])
    story.progress.skipped(STEP["subnet-function"])
    view = story.view
    assert (view.failed, view.skipped, view.waits) == (("vpc",), ("subnet-function",), ())
    assert view.chain == ("stage",)


def test_the_next_command_starts_from_nothing(story: Story) -> None:
    story.progress.planned(everything())
    story.began("vpc")
    story.progress.start(RESOURCES)
    assert (story.view.total, story.view.waits, story.view.seconds) == (0, (), 0)
