"""Plain output, compared as whole text: progress on stderr, results on stdout."""

from __future__ import annotations

import io

import pytest

from provision.engine.events import Pace, Summary
from provision.errors import AwsAnswer, AwsCallError, Interrupted
from provision.resources.base import Change
from provision.views import plain
from provision.views.plain import Plain
from tests.support.outputs import ABOUT, LONG_ARN, REASON, RESOURCES, STEP, ViewClock, plan_of


class Watched(Plain):
    """Plain output with a clock to set, and what it has written."""

    def __init__(self) -> None:
        self.time = ViewClock()
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        super().__init__(self.stdout, self.stderr, clock=self.time, beats=False)

    def written(self) -> tuple[list[str], list[str]]:
        """The lines of stdout and of stderr so far."""
        return self.stdout.getvalue().splitlines(), self.stderr.getvalue().splitlines()


@pytest.fixture
def output() -> Watched:
    output = Watched()
    output.start("up", RESOURCES, ABOUT, Pace())
    return output


def test_a_run_is_told_line_by_line(output: Watched) -> None:
    instance, route = STEP["db-instance"], STEP["route-func1"]
    output.planned(plan_of(["db-instance"], [("proxy-iam", Change("RequireTLS", False, True))]))
    output.began(instance, "creating")
    output.time += 5
    output.status(instance, "creating")
    output.status(instance, "creating")
    output.time += 300
    output.status(instance, "backing-up", REASON)
    output.time += 100
    output.finished(instance, "created", "demo-database", 405.2)
    output.finished(route, "unchanged", "abc", 0)
    output.finished(STEP["proxy-iam"], "updated", "demo-iam", 0.4)
    output.summary(Summary("up", True, created=1, updated=1, unchanged=34, seconds=405.6))
    stdout, stderr = output.written()
    assert stderr == [
        f"up: {ABOUT}",
        "+ create   db-instance  DB instance rds-proxy-auth-database",
        "~ update   proxy-iam    RDS Proxy rds-proxy-auth-iam",
        "      RequireTLS: false -> true",
        "Plan: + 1 to create, ~ 1 to change, - 0 to replace, · 34 unchanged",
        "  0.0 s  db-instance: creating",
        f"  5m05s  db-instance: creating (backing-up): {REASON}",
        "  6m45s  db-instance: created in 6m45s  demo-database",
        "  6m45s  proxy-iam: updated  demo-iam",
    ]
    assert stdout == ["", "✓ up: done in 6m46s: 1 created, 1 updated, 34 unchanged"]


def test_what_plan_finds_is_its_result(output: Watched) -> None:
    output.start("plan", RESOURCES, ABOUT, Pace())
    output.planned(plan_of(["vpc"]))
    assert output.written()[0] == ["+ create   vpc  VPC"]


def test_the_heartbeat_says_how_far_and_what_is_waited_for_and_why(output: Watched) -> None:
    output.planned(plan_of(["db-instance", "target-iam", "proxy-iam"]))
    output.began(STEP["db-instance"], "creating")
    output.began(STEP["proxy-iam"], "creating")
    output.time += 60
    output.status(STEP["db-instance"], "creating", REASON)
    output.beat()
    assert output.written()[1][-1] == (
        "  1m00s  0 of 3 done; about 3 to 15 min left; waiting on db-instance, "
        f"creating: {REASON} (for 1m00s, usually 4m40s); "
        "also under way: proxy-iam (creating, 1m00s)"
    )


def test_a_heart_without_anything_to_wait_for_is_silent(output: Watched) -> None:
    before = output.written()
    output.beat()
    assert output.written() == before


def test_a_thread_beats_until_the_output_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT_SECONDS", 0.01)
    beats = iter(range(3))

    class Beating(Plain):
        def beat(self) -> None:
            if next(beats, None) is None:
                self.close()

    output = Beating(io.StringIO(), io.StringIO())
    output.start("up", RESOURCES, ABOUT, Pace())
    output.start("teardown", RESOURCES, ABOUT, Pace())  # of the same process: no second heart
    assert output._heart is not None
    output._heart.join(10)
    assert not output._heart.is_alive()


def test_a_failure_names_the_call_and_what_was_not_done(output: Watched) -> None:
    error = AwsCallError(
        "vpc", AwsAnswer("CreateVpc", "VpcLimitExceeded", "The maximum is reached."),
        next_step="Delete a VPC, or ask for more.",
    )  # fmt: skip
    output.planned(plan_of(["vpc", "subnet-function", "secret"]))
    output.began(STEP["vpc"], "creating")
    output.began(STEP["secret"], "creating")
    output.failed(STEP["vpc"], error)
    output.skipped(STEP["subnet-function"], "vpc failed")
    output.error(error)
    output.summary(Summary("up", False, seconds=1, error=error))
    stdout, stderr = output.written()
    assert stderr[-5:] == [
        "  0.0 s  vpc: FAILED: CreateVpc answered VpcLimitExceeded: The maximum is reached.",
        "  0.0 s  subnet-function: not done: vpc failed",
        "error: vpc: CreateVpc answered VpcLimitExceeded: The maximum is reached.",
        "next:  Delete a VPC, or ask for more.",
        "not waited for to the end: secret (creating, 0.0 s)",
    ]
    assert stdout == ["", "✗ up: failed after 1.0 s"]


def test_an_interruption_says_what_is_still_under_way(output: Watched) -> None:
    output.planned(plan_of(["db-instance"]))
    output.began(STEP["db-instance"], "creating")
    output.time += 30
    output.status(STEP["db-instance"], "creating")
    output.summary(Summary("up", False, error=Interrupted("interrupted")))
    assert "not waited for to the end: db-instance (creating, 30 s)" in output.written()[1]


def test_nothing_is_folded_or_eaten(output: Watched) -> None:
    output.planned(plan_of(["vpc"]))
    output.status(STEP["vpc"], "pending", f"[bold]{LONG_ARN}[/bold] :warning:")
    output.finished(STEP["vpc"], "created", LONG_ARN, 0)
    output.table("[proxy-password]", ("[a]", "b"), [(LONG_ARN, ":bell:")])
    output.document([LONG_ARN])
    stdout, stderr = output.written()
    assert stderr[-2:] == [
        f"  0.0 s  vpc: creating: [bold]{LONG_ARN}[/bold] :warning:",
        f"  0.0 s  vpc: created  {LONG_ARN}",
    ]
    width = len(LONG_ARN)
    assert stdout == [
        "",
        "[proxy-password]",
        f"{'[a]':<{width}}  b",
        f"{LONG_ARN}  :bell:",
        LONG_ARN,
    ]


def test_a_command_whose_result_is_all_has_no_summary(output: Watched) -> None:
    output.document(["{}"])
    output.summary(Summary("policy", True, silent=True))
    assert output.written()[0] == ["{}"]


def test_a_lookup_is_not_told_as_a_step(output: Watched) -> None:
    before = output.written()
    output.began(STEP["availability-zones"], "creating")
    assert output.written() == before
