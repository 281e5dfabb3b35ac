"""The live table, compared as whole text at fixed widths, and what it leaves on the terminal."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from provision.engine.events import Pace, Summary
from provision.errors import AwsAnswer, AwsCallError
from provision.resources.base import CreatableResource
from provision.views.live import Live, drawing
from provision.views.progress import Progress
from tests.support.outputs import (
    ABOUT,
    LONG_ARN,
    REASON,
    RESOURCES,
    STEP,
    ViewClock,
    everything,
    plan_of,
)

SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"
CLEAR_LINE = "\x1b[2K"
CAPACITY = (
    "PENDING_PROXY_CAPACITY: DBProxy Target is waiting for proxy to scale to desired capacity"
)


class Terminal(io.StringIO):
    """What a terminal gets, in UTF-8 unless told otherwise."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def console(width: int = 80, height: int = 24, encoding: str = "utf-8", **more: bool) -> Console:
    """Return a console without colour on a terminal of this size."""
    settings = {"force_terminal": True, "no_color": True} | more
    return Console(
        file=Terminal(encoding),
        width=width,
        height=height,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={"TERM": "xterm"},
        **settings,  # type: ignore[arg-type]
    )


class Watched(Live):
    """The live output with a clock to set; it draws only when `refresh` is called."""

    def __init__(self, on: Console) -> None:
        self.time = ViewClock()
        self.stdout = io.StringIO()
        super().__init__(on, self.stdout, clock=self.time, beats=False)

    @property
    def terminal(self) -> str:
        """All that the terminal got so far."""
        file = self._console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()

    def drawn(self) -> list[str]:
        """The table as it would be drawn now."""
        width, height = self._console.width - 1, self._console.height - 1
        return [line.plain for line in drawing(self._progress.view(), width, height, self._console)]


def in_the_middle(on: Console) -> Watched:
    """Return the output of a first run after 5 minutes."""
    output = Watched(on)
    output.start("up", RESOURCES, ABOUT, Pace())
    output.planned(everything())
    slow = ("db-instance", "proxy-iam", "target-iam", "function-iam")
    for resource in RESOURCES:
        if isinstance(resource, CreatableResource) and not resource.step.startswith("route-"):
            output.began(resource, "creating")
            if resource.step not in slow:
                output.finished(resource, "created", "id", 1)
    output.status(STEP["db-instance"], "configuring-enhanced-monitoring")
    output.time += 200
    output.finished(STEP["proxy-iam"], "created", "id", 200)
    output.time += 100
    output.status(STEP["target-iam"], "UNAVAILABLE", CAPACITY)
    output.status(STEP["function-iam"], "Pending", REASON)
    return output


TABLE_80 = """\
  step          state                                 time
  function-iam  creating                             5m00s  ████████ over 50 s
      The function is being created [1/2].
  target-iam    creating (UNAVAILABLE)               5m00s
      PENDING_PROXY_CAPACITY: DBProxy Target is waiting for proxy to scale to
      desired capacity
  db-instance   updating                             5m00s  ████████ of 4m40s
      configuring-enhanced-monitoring
30 of 36 done, 3 under way, 3 to come; 5m00s so far, taking longer than usual
waiting on function-iam, creating
"""
TABLE_120 = """\
  step         state                                           time
  target-iam   creating (UNAVAILABLE)                         5m00s
      PENDING_PROXY_CAPACITY: DBProxy Target is waiting for proxy to scale to desired capacity
  db-instance  updating (configuring-enhanced-monitoring)     5m00s  ████████ of 4m40s
31 of 36 done, 2 under way, 3 to come; 5m00s so far, about 1 to 11 min left
waiting on db-instance, updating (configuring-enhanced-monitoring); then target-iam
"""


def test_the_table_at_80_columns() -> None:
    assert in_the_middle(console(80)).drawn() == TABLE_80.splitlines()


def test_the_table_at_120_columns() -> None:
    output = in_the_middle(console(120))
    output.finished(STEP["function-iam"], "created", "id", 60)
    assert output.drawn() == TABLE_120.splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [6, 12, 24])
def test_the_table_fits_any_terminal(width: int, height: int) -> None:
    output = Watched(console(width, height))
    output.start("up", RESOURCES, ABOUT, Pace())
    output.planned(everything())
    for resource in RESOURCES:
        output.began(resource, "creating")
        output.status(resource, "inaccessible-encryption-credentials", CAPACITY)
    lines = output.drawn()
    assert len(lines) < height
    assert all(cell_len(line) < width for line in lines)


def test_what_finds_no_room_is_named() -> None:
    output = Watched(console(80, 10))
    output.planned(everything())
    for step in ("db-instance", "proxy-iam", "proxy-password", "stage", "secret", "layer"):
        output.finished(STEP[step], "created", "id", 0)
    for step in ("vpc", "api", "secret", "log-group-iam", "log-group-password", "role-api"):
        output.began(STEP[step], "creating")
    steps = {line.split()[0] for line in output.drawn()[1:-3]}
    hidden = output.drawn()[-3].strip()
    assert hidden.startswith("and 1 more: ")
    assert len(steps) == 5
    assert {*steps, hidden.split()[-1]} == {
        "vpc", "api", "secret", "log-group-iam", "log-group-password", "role-api",
    }  # fmt: skip


def test_a_reason_gives_way_to_the_other_steps() -> None:
    output = Watched(console(80, 9))
    output.planned(plan_of(["vpc", "stage"]))
    for step in ("vpc", "stage"):
        output.began(STEP[step], "creating")
        output.status(STEP[step], "pending", CAPACITY)
    assert [line.split()[0] for line in output.drawn()[1:3]] == ["stage", "PENDING_PROXY_CAPACITY:"]
    assert any(line.startswith("  vpc") for line in output.drawn())


def test_a_status_that_is_too_long_for_its_column_is_told_below() -> None:
    output = Watched(console(60))
    output.planned(plan_of(["db-instance"]))
    output.began(STEP["db-instance"], "creating")
    output.status(STEP["db-instance"], "inaccessible-encryption-credentials", "no key")
    assert output.drawn()[2] == "      inaccessible-encryption-credentials: no key"


def test_without_utf_8_the_bar_is_plain() -> None:
    output = Watched(console(encoding="ascii"))
    output.planned(plan_of(["db-instance"]))
    output.began(STEP["db-instance"], "creating")
    output.time += 210
    assert output.drawn()[1].endswith("3m30s  ######.. of 4m40s")


def test_a_wait_for_what_aws_does_not_take_yet_is_told_in_words() -> None:
    output = Watched(console())
    output.planned(plan_of(["target-iam"]))
    output.began(STEP["target-iam"], "creating")
    output.status(STEP["target-iam"], "waiting", "the proxy is busy (target-iam: Register…)")
    assert output.drawn()[-1] == "waiting on target-iam, waiting: the proxy is busy"


def test_a_failed_step_stays_in_sight() -> None:
    output = Watched(console())
    output.planned(plan_of(["vpc", "stage"]))
    output.began(STEP["stage"], "creating")
    output.failed(STEP["vpc"], AwsCallError("vpc", AwsAnswer("CreateVpc", "NoWay", "No.")))
    assert "FAILED: vpc" in output.drawn()[-2]
    assert "vpc: FAILED: CreateVpc answered NoWay: No." in output.terminal


# --- on the terminal ------------------------------------------------------------------------------


def test_no_colour_is_asked_for_where_none_is_wanted() -> None:
    output = in_the_middle(console())
    output.refresh()
    assert not any(f"\x1b[3{colour}m" in output.terminal for colour in range(8))
    assert "waiting on function-iam, creating" in output.terminal


def test_messages_are_printed_whole_above_the_table() -> None:
    output = in_the_middle(console())
    output.refresh()
    output.note(f"[proxy-password] :warning: {LONG_ARN}")
    output.refresh()
    assert f"[proxy-password] :warning:\n    {LONG_ARN}\n" in output.terminal


def test_a_reason_that_the_table_would_fold_is_printed_above_it_once() -> None:
    output = Watched(console())
    output.planned(plan_of(["vpc"]))
    output.began(STEP["vpc"], "creating")
    for _ in range(2):
        output.status(STEP["vpc"], "pending", f"see {LONG_ARN}")
        output.status(STEP["vpc"], "pending", "another")
        output.refresh()
    assert output.terminal.count(f"vpc: creating: see\n         {LONG_ARN}\n") == 1
    assert "vpc: creating: another" not in output.terminal


def test_a_reason_of_many_lines_is_printed_above_it_and_shortened_within() -> None:
    output = Watched(console())
    output.planned(plan_of(["vpc"]))
    output.began(STEP["vpc"], "creating")
    reason = "word " * 100
    output.status(STEP["vpc"], "pending", reason.strip())
    assert f"vpc: creating: {reason.strip()}\n" in re.sub("\n {9}", " ", output.terminal)
    assert output.drawn()[6].endswith("… (in full above)")
    assert len(output.drawn()) == 9


def test_a_table_fits_the_terminal_that_it_goes_to() -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    for out, lines in ((Tty(), 4), (io.StringIO(), 3)):
        output = Live(console(40), out, beats=False)
        output.table("", ("link", "why"), [("function", "a-name Successful, another-name")])
        assert len(out.getvalue().splitlines()) == lines


def test_results_go_to_stdout_and_never_into_the_table() -> None:
    output = in_the_middle(console())
    output.refresh()
    output.table("both logins", ("route", "verdict"), [("GET /func1", "[works]")])
    output.summary(Summary("up", True, created=36, seconds=400, url="https://x"))
    assert output.stdout.getvalue().splitlines() == [
        "",
        "both logins",
        "route       verdict",
        "GET /func1  [works]",
        "",
        "✓ up: done in 6m40s: 36 created",
        "  password login  https://x/func1",
        "  IAM login       https://x/func2",
    ]
    assert "works" not in output.terminal


def test_the_terminal_is_given_back() -> None:
    output = in_the_middle(console())
    output.refresh()
    drawn_until = len(output.terminal)
    # The cursor is never left hidden, not even if the process is killed now.
    assert output.terminal.rfind(SHOW_CURSOR) > output.terminal.rfind(HIDE_CURSOR)
    output.close()
    assert output.terminal[drawn_until:].count(CLEAR_LINE) >= len(output.drawn())
    after = output.terminal
    output.refresh()
    output.close()
    assert output.terminal == after
    assert sys.stderr is not None
    assert type(sys.stderr).__name__ != "FileProxy"


def test_nothing_is_drawn_while_somebody_is_asked() -> None:
    output = Watched(console())
    output.start("teardown", RESOURCES, ABOUT, Pace())
    output.refresh()
    assert "looking up what exists" in output.terminal
    output.table("2 to delete:", ("step",), [("vpc",), ("stage",)])
    before = output.terminal
    output.time += 5
    output.refresh()
    assert output.terminal == before


def test_without_a_terminal_progress_is_lines() -> None:
    output = Watched(console(force_terminal=False))
    output.start("up", RESOURCES, ABOUT, Pace())
    output.planned(plan_of(["vpc"]))
    output.began(STEP["vpc"], "creating")
    output.status(STEP["vpc"], "pending", REASON)
    output.refresh()
    output.finished(STEP["vpc"], "created", LONG_ARN, 2)
    output.close()
    assert output.terminal.splitlines() == [
        f"up: {ABOUT}",
        "+ create   network  VPC",
        "Plan: + 1 to create, ~ 0 to change, - 0 to replace, · 35 unchanged",
        "  0.0 s  vpc: creating",
        f"  0.0 s  vpc: creating: {REASON}",
        f"  0.0 s  vpc: created in 2.0 s  {LONG_ARN}",
    ]


def test_a_thread_draws_until_the_output_is_closed() -> None:
    on = console()
    output = Live(on, io.StringIO())
    output.start("up", RESOURCES, ABOUT, Pace())
    thread = output._heart
    assert thread is not None
    assert thread.daemon
    output.planned(plan_of(["vpc"]))
    output.began(STEP["vpc"], "creating")
    output.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_view_without_a_plan_can_be_drawn() -> None:
    progress = Progress(ViewClock())
    progress.began(STEP["vpc"], "deleting")
    lines = drawing(progress.view(), 79, 23, console())
    assert lines[1].plain.startswith("  vpc   deleting")


def test_json_output_does_without_rich() -> None:
    code = "import sys, provision.views.json_lines; sys.exit('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert done.returncode == 0
