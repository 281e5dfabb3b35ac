"""`--output rich`: a live table on a terminal, of what is under way and what AWS says of it.

The same words as plain output, but for progress: that is drawn in place, at the foot of what was
printed. What a person may have to copy is printed above the table, where nothing folds or cuts it.
Only here is rich imported.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live as Region
from rich.text import Text

from provision.engine.events import Pace, Summary
from provision.resources.base import Resource
from provision.views.condition import status_in_words
from provision.views.plain import Plain, holding_up, state_and_reason
from provision.views.progress import View, Wait
from provision.views.style import rendered
from provision.views.words import duration, time_left

FRAME_SECONDS = 1 / 8  # the least time between two frames
TICK_SECONDS = 1.0  # the most: clocks go on while nothing happens
BAR_CELLS, TIME_CELLS, LABEL_CELLS = 8, 6, 10  # "████░░░░", "12m05s", "over 7m00s"
STATUS_CELLS = 44  # the longest: failed (inaccessible-encryption-credentials)
LONG_SECONDS = 10  # from here on a step gets a bar
REASON_LINES = 5  # of one step in the table; the whole of a longer reason is printed above it
IN_FULL = " … (in full above)"
MARGIN = 6  # cells before a reason


class Live(Plain):
    """Lines for a person, with a live table below them."""

    folds = True

    def __init__(
        self,
        console: Console | None = None,
        out: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        beats: bool = True,
        verbose: bool = False,
        brief: bool = False,
    ) -> None:
        super().__init__(out, clock=clock, beats=beats, verbose=verbose, brief=brief)
        self._console = console or Console(
            file=sys.stderr, markup=False, emoji=False, highlight=False
        )
        self._animated = self._console.is_interactive  # else lines, as plain output writes them
        if self._console.is_terminal:
            self._error_width = self._console.width
        if self._out.isatty():
            self._table_width = self._console.width
            self.links = self._console.color_system is not None
            self.colours = self.links and not self._console.no_color
        self._region: Region | None = None
        self._changed = threading.Event()
        self._printed: set[tuple[str, str]] = set()

    # --- a run ------------------------------------------------------------------------------------

    def start(self, command: str, resources: Sequence[Resource], about: str, pace: Pace) -> None:
        self._printed.clear()
        super().start(command, resources, about, pace)
        self._changed.set()

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        reason = reason.removeprefix(f"{resource.step}: ")
        if not self._animated:
            super().status(resource, status, reason)
        elif self._progress.status(resource, status, reason):
            self._print_whole(resource.step, status, reason)
            self._changed.set()

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        if not self._animated:
            return super().finished(resource, action, identity, seconds)
        if self._brief or seconds >= LONG_SECONDS:  # what took long leaves a line
            super().finished(resource, action, identity, seconds)
        else:
            self._progress.finished(resource, action)
        return self._changed.set()

    def _went_on(self, text: str) -> None:
        if self._animated:  # the table has it
            self._changed.set()
        else:
            super()._went_on(text)

    def _print_whole(self, step: str, status: str, reason: str) -> None:
        """Print a reason above the table, once, when the table would fold a word or cut lines."""
        with self._lock:
            if reason and (step, reason) not in self._printed and not self._fits(reason):
                self._printed.add((step, reason))
                self._stamped(f"{step}: {state_and_reason(status, reason)}")

    def _fits(self, reason: str) -> bool:
        width = self._console.width - 1 - MARGIN
        longest = max(map(cell_len, reason.split()), default=0)
        return longest <= width and len(wrapped(reason, width, self._console)) <= REASON_LINES

    # --- results ----------------------------------------------------------------------------------

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._progress.active("")
        super().table(title, columns, rows)

    def summary(self, summary: Summary) -> None:
        super().summary(summary)
        self.refresh()

    def close(self) -> None:
        super().close()
        self._changed.set()
        self._hide()

    # --- drawing ----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Draw the table as it is now; nothing when nothing is under way."""
        with self._lock:
            view = self._progress.view()
            shown = self._animated and (view.waits or view.activity)
            if self._ended.is_set() or not shown:
                self._hide()
                return
            width, height = self._console.width - 1, self._console.height - 1
            frame = Group(*drawing(view, width, height, self._console))
            if self._region is None:
                self._region = Region(
                    frame,
                    console=self._console,
                    auto_refresh=False,
                    transient=True,
                    redirect_stdout=False,
                )
                self._region.start()
                # The cursor stays visible: a process that is killed cannot bring it back.
                self._console.show_cursor(True)
            self._region.update(frame, refresh=True)

    def _hide(self) -> None:
        """Take the table off the terminal."""
        with self._lock:
            if self._region is not None:
                self._region.stop()
                self._region = None

    def _run(self) -> None:
        if not self._animated:
            return super()._run()
        while not self._ended.is_set():
            self._changed.wait(TICK_SECONDS)
            self._changed.clear()
            self.refresh()
            self._ended.wait(FRAME_SECONDS)
        return None

    def _write(self, lines: Sequence[str]) -> None:
        coloured = self._console.color_system is not None and not self._console.no_color
        shown = (Text.from_ansi(rendered(line, colours=coloured)) for line in lines)
        self._console.print(Text("\n").join(shown), soft_wrap=True)

    def _print(self, lines: Iterable[str]) -> None:
        with self._lock:
            self._hide()
            super()._print(lines)


# --- what is drawn --------------------------------------------------------------------------------


def drawing(view: View, width: int, height: int, console: Console) -> list[Text]:
    """Return the table, at most `height` lines of at most `width` cells."""
    if not view.waits:
        return [cut(f"{view.activity}: {duration(view.active_seconds)}", width)]
    foot = footer(view, width, console)
    steps = max(4, *(cell_len(wait.step) for wait in view.waits))
    head = cut(columns("step", "state", "time", "", steps, width), width, "bold")
    lines = [head]
    hidden: list[str] = []
    room = height - len(foot) - 1  # a line for what finds no room
    for place, wait in enumerate(view.waits):
        block = row(wait, steps, width, console)
        spare = room - len(lines) - (len(view.waits) - place - 1)  # a line for each of the others
        if hidden or len(lines) >= room:
            hidden.append(wait.step)
        else:
            lines += block if len(block) <= spare else block[:1]
    if hidden:
        lines.append(cut(f"  and {len(hidden)} more: {', '.join(hidden)}", width, "dim"))
    return [*lines, *foot][-height:]


def row(wait: Wait, steps: int, width: int, console: Console) -> list[Text]:
    """Return one step under way, its state, and AWS's reason below it."""
    room = status_width(steps, width)
    state, reason = status_in_words(wait.status), wait.reason
    if cell_len(state) > room:  # the word alone, AWS's status below
        state = state.split(" (")[0] if " (" in state else ""
        reason = f"{wait.status}: {reason}" if reason else wait.status
    far = columns(wait.step, state, duration(wait.seconds), how_far(wait, console), steps, width)
    lines = [cut(far, width, "yellow" if wait.overdue else "")]
    if reason:
        below = wrapped(reason, width - MARGIN, console)
        lines += [Text(" " * MARGIN) + line for line in below[:REASON_LINES]]
        if len(below) > REASON_LINES:
            lines[-1] = cut(lines[-1].plain, width - len(IN_FULL)) + Text(IN_FULL)
    return lines


def status_width(steps: int, width: int) -> int:
    """Return how many cells AWS's status has: what the other columns leave of the line."""
    others = 2 + steps + 2 + 2 + TIME_CELLS + 2 + BAR_CELLS + 1 + LABEL_CELLS
    return min(STATUS_CELLS, max(8, width - others))


def columns(step: str, status: str, time: str, far: str, steps: int, width: int) -> str:
    """Return one line of the table."""
    room = status_width(steps, width)
    return f"  {step:<{steps}}  {status:<{room}}  {time:>{TIME_CELLS}}  {far}".rstrip()


def how_far(wait: Wait, console: Console) -> str:
    """Return a bar of how far a step is against what AWS usually takes, where that is long."""
    if wait.usual < LONG_SECONDS:
        return ""
    full, empty = ("█", "░") if (console.encoding or "").startswith("utf") else ("#", ".")
    cells = min(BAR_CELLS, round(BAR_CELLS * wait.counted / wait.usual))
    return f"{full * cells}{empty * (BAR_CELLS - cells)} {'over' if wait.overdue else 'of'} " + (
        duration(wait.usual)
    )


def footer(view: View, width: int, console: Console) -> list[Text]:
    """Return how far the whole run is, what it waits on, and how long it may still take."""
    under_way = len(view.waits)
    ended = view.done + len(view.failed) + len(view.skipped)
    parts = [f"{view.done} of {view.total} done", f"{under_way} under way"]
    if (to_come := view.total - ended - under_way) > 0:
        parts.append(f"{to_come} to come")
    if view.failed:
        parts.append(f"FAILED: {', '.join(view.failed)}")
    total = f"{', '.join(parts)}; {duration(view.seconds)} so far, {time_left(*view.left)}"
    lines = wrapped(total, width, console)
    for line in lines:
        line.stylize("bold")
    return [*lines, *wrapped(waiting_line(view), width, console)]


def waiting_line(view: View) -> str:
    """Return what holds up the end of the run, its state, and what comes after it."""
    wait = holding_up(view)
    dependents = [step for step in view.chain if step != wait.step]
    then = f"; then {', '.join(dependents)}" if dependents else ""
    held_up = wait.status in ("waiting", "in use") and wait.reason
    why = wait.reason.split(" (")[0] if held_up else ""
    return f"waiting on {wait.step}, {state_and_reason(wait.status, why)}{then}"


def wrapped(text: str, width: int, console: Console) -> list[Text]:
    """Return text in lines of at most `width` cells, broken between words if possible."""
    lines = Text(" ".join(text.split())).wrap(console, max(8, width))
    for line in lines:
        line.rstrip()
    return list(lines)


def cut(text: str, width: int, style: str = "") -> Text:
    """Return text in one line of at most `width` cells."""
    line = Text(text, style=style, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line
