"""`--output plain`: lines, for CI logs, pipes and terminals without a cursor.

Results go to stdout, progress to stderr. A line is written when something changes, and once a
minute, while anything is under way, a heartbeat says what is waited for and why.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from provision.engine.events import Display, Pace, Summary
from provision.errors import ProvisionError
from provision.resources.base import CreatableResource
from provision.views.condition import status_in_words
from provision.views.folding import folded
from provision.views.parts import LONG_SECONDS, PartsUnderWay, counted, parts_of, slowest
from provision.views.progress import Progress, View, Wait
from provision.views.spelling import spelled
from provision.views.style import Meaning, Piece, Styled, each_part, encodable, rendered
from provision.views.tables import table_lines
from provision.views.visible import one_line, printable
from provision.views.words import (
    duration,
    error_lines,
    failure_line,
    plan_lines,
    plan_result,
    summary_lines,
    time_left,
)

if TYPE_CHECKING:
    from provision.engine.plan import Plan
    from provision.resources.base import Resource

HEARTBEAT_SECONDS = 60.0
ACTIONS = {
    "created": Meaning.CREATED,
    "adopted": Meaning.CHANGED,
    "updated": Meaning.CHANGED,
    "deleted": Meaning.DELETED,
}


class Plain(Display):
    """Lines for a person. `clock` counts seconds; `beats`: a thread calls `beat` each minute.

    `brief`: of a run that goes well, a line for each part of the environment is enough, as for a
    rehearsal; `verbose` undoes it.
    """

    colours = False  # whether what is printed has colours (ECMA-48)
    links = False  # whether what is printed may lead somewhere (OSC 8)
    folds = False  # whether a plan that is about to be carried out is shown by parts

    def __init__(
        self,
        out: TextIO | None = None,
        progress: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        beats: bool = True,
        verbose: bool = False,
        brief: bool = False,
    ) -> None:
        self.verbose = verbose
        self._brief = brief and not verbose
        self._under_way = PartsUnderWay((), {})
        self._parts: dict[str, str] = {}
        self._out = out or sys.stdout
        self._err = progress or sys.stderr
        self._lock = threading.RLock()
        self._progress = Progress(clock)
        self._command = ""
        self._table_width: int | None = None  # cells; None: as wide as need be
        self._error_width: int | None = None  # the same for errors, which are progress
        self._ended = threading.Event()
        self._beats = beats
        self._heart: threading.Thread | None = None

    # --- a run ------------------------------------------------------------------------------------

    def start(self, command: str, resources: Sequence[Resource], about: str, pace: Pace) -> None:
        self._command = command
        self._progress.speed, self._progress.earlier = pace.speed, pace.earlier
        self._progress.start(resources, activity="looking up what exists")
        self._parts = parts_of(resources)
        self._progress_lines([f"{command}: {about}"])
        if self._beats and self._heart is None:
            self._heart = threading.Thread(target=self._run, daemon=True)
            self._heart.start()

    def planned(self, plan: Plan) -> None:
        self._progress.planned(plan)
        self._under_way = PartsUnderWay([each.resource for each in plan.to_do], self._parts)
        if self._command == "plan":
            self.document(list(plan_lines(plan)), folds=True)  # the summary has the result
        elif self._brief:
            self._progress_lines([plan_result(plan)])
        else:
            folded = self._parts if self.folds and not self.verbose else {}
            self._progress_lines([*plan_lines(plan, folded), plan_result(plan)])

    def removing(self, resources: Sequence[Resource]) -> None:
        self._progress.removing(resources)
        self._under_way = PartsUnderWay(resources, self._parts)

    def began(self, resource: Resource, doing: str) -> None:
        if self._progress.began(resource, doing):
            self._went_on(f"{resource.step}: {doing}")

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        reason = reason.removeprefix(f"{resource.step}: ")  # the line begins with it
        if self._progress.status(resource, status, reason) and status and not self._brief:
            self._stamped(f"{resource.step}: {state_and_reason(status, reason)}")

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        self._progress.finished(resource, action)
        if self._brief:
            self._part_finished(resource, action)
        elif action != "unchanged":
            took = f" in {duration(seconds)}" if seconds >= 1 else ""
            done = Piece(action, ACTIONS.get(action, Meaning.PLAIN))
            self._stamped(Styled(f"{resource.step}: ", done, f"{took}  {identity}".rstrip()))

    def _part_finished(self, resource: Resource, action: str) -> None:
        """Say that a part of the environment has ended, if it has with this step."""
        if part := self._under_way.ended(resource.step):
            resources = self._under_way.of(part)
            what = counted(resources)
            if action == "deleted":
                what = f"{sum(isinstance(each, CreatableResource) for each in resources)} deleted"
            usual = slowest(resources, action)
            pace = f" ({duration(usual)} at AWS)" if usual >= LONG_SECONDS else ""
            self._stamped(f"{part}: {what}{pace}")

    def activity(self, text: str) -> None:
        self._progress.active(text)
        self._went_on(text)

    def failed(self, resource: Resource, error: ProvisionError) -> None:
        self._progress.failed(resource)
        self._stamped(failure_line(resource.step, error))

    def skipped(self, resource: Resource, reason: str) -> None:
        self._progress.skipped(resource)
        self._stamped(f"{resource.step}: not done: {reason}")

    # --- results ----------------------------------------------------------------------------------

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        cells = [[each_part(cell, shown_cell) for cell in row] for row in rows]
        before = [""] if rows else []  # a title alone is one line more of what was done
        self._print([*before, *table_lines(title, columns, cells, width=self._table_width)])

    def document(self, lines: Sequence[str], *, folds: bool = False) -> None:
        if folds:
            self._print([each for line in lines for each in folded(line, self._table_width)])
        else:
            self._print(lines)

    def note(self, text: str) -> None:
        self._progress_lines(text.split("\n") if "\n" in text else [text])

    def error(self, error: ProvisionError) -> None:
        self._progress_lines(error_lines(error), margin=7)

    def summary(self, summary: Summary) -> None:
        view = self._progress.view()
        begun = [wait for wait in view.waits if wait.status != "waiting"]
        if begun and not summary.ok:
            self._progress_lines(["not waited for to the end: " + ", ".join(map(in_brief, begun))])
        self._progress.start(())
        if not summary.silent:
            lines = (each_part(line, spelled) for line in summary_lines(summary))
            self.document(["", *lines], folds=True)

    def close(self) -> None:
        self._ended.set()

    # --- telling ----------------------------------------------------------------------------------

    def beat(self) -> None:
        """Say what is waited for, if anything is."""
        view = self._progress.view()
        if view.waits:
            self._stamped(heartbeat(view))

    def _run(self) -> None:
        """Work on a thread of its own until the output is closed."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            self.beat()

    def _went_on(self, text: str) -> None:
        """Say what has begun, if anything; in brief, only ends are worth a line."""
        if text and not self._brief:
            self._stamped(text)

    def _stamped(self, text: str) -> None:
        line = Styled(Piece(f"{duration(self._progress.seconds):>7}", Meaning.ROUTINE), "  ", text)
        self._progress_lines([line], margin=9)

    def _progress_lines(self, lines: Iterable[str], *, margin: int | None = None) -> None:
        """Write lines of progress; where they are folded, with a margin."""
        with self._lock:
            whole = (each_part(line, spelled) for line in lines)
            self._write([x for line in whole for x in folded(line, self._error_width, margin)])

    def _write(self, lines: Sequence[str]) -> None:
        """Write lines of progress as they are."""
        for line in lines:
            print(encodable(printable(line), self._err.encoding), file=self._err)
        self._err.flush()

    def _print(self, lines: Iterable[str]) -> None:
        """Write lines of a result."""
        with self._lock:
            for line in lines:
                shown = rendered(line, colours=self.colours) if self.links else printable(line)
                print(encodable(shown, self._out.encoding), file=self._out)
            self._out.flush()


def shown_cell(text: str) -> str:
    """Return the text of a cell of a table on one line, fit to be shown."""
    return one_line(spelled(text))


def state_and_reason(status: str, reason: str) -> str:
    """Return what AWS's status means, with AWS's reason."""
    state = status_in_words(status)
    return f"{state}: {reason}" if reason else state


def in_brief(wait: Wait) -> str:
    """Return a step under way, its state, and since when."""
    return f"{wait.step} ({status_in_words(wait.status)}, {duration(wait.seconds)})"


def holding_up(view: View) -> Wait:
    """Return the step under way that holds up the end of the run."""
    by_step = {wait.step: wait for wait in view.waits}
    return next((by_step[step] for step in view.chain if step in by_step), view.waits[0])


def waited_on(wait: Wait) -> str:
    """Return what is waited for, its state and AWS's reason, and for how long."""
    usual = f", usually {duration(wait.usual)}" if wait.usual and not wait.overdue else ""
    return (
        f"waiting on {wait.step}, {state_and_reason(wait.status, wait.reason)} "
        f"(for {duration(wait.seconds)}{usual})"
    )


def heartbeat(view: View) -> str:
    """Return in one line how far the run is."""
    last = holding_up(view)
    also = ", ".join(in_brief(wait) for wait in view.waits if wait is not last)
    parts = [f"{view.done} of {view.total} done", time_left(*view.left), waited_on(last)]
    return "; ".join([*parts, f"also under way: {also}"] if also else parts)
