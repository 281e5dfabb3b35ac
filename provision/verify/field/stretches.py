"""How long AWS took for what the rehearsal has a duration for, to within one poll."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provision.aws.observation.document import Run
from provision.aws.observation.durations import (
    REFUSED_FOR,
    STRETCHES,
    Durations,
    Spread,
    Stretch,
)

ROUNDED = 0.02  # of the seconds of a record
CALL_SECONDS = 2.0  # what AWS began a call may be so much older than its answer


@dataclass(frozen=True)
class Measured:
    """One of `Durations` as a run shows it: at least so many seconds, at most so many (or None)."""

    duration: str
    what: str
    at_least: float
    at_most: float | None
    instead: str = ""

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most that the rehearsal plays."""
        names = [each for each in (self.duration, self.instead) if each]
        played = [getattr(Durations(), each) for each in names]
        bounds = [each if isinstance(each, Spread) else Spread(0, each, each) for each in played]
        return min(each.least for each in bounds), max(each.most for each in bounds)

    @property
    def outside(self) -> str:
        """Whether it is certainly "above" or "below" what the rehearsal plays; else ""."""
        least, most = self.spread
        if self.at_least > most * (1 + ROUNDED) + CALL_SECONDS:
            return "above"
        if self.at_most is not None and self.at_most + CALL_SECONDS < least * (1 - ROUNDED):
            return "below"
        return ""


def measured(run: Run) -> Iterator[Measured]:
    """Yield each duration that a run shows."""
    for thing in run["things"]:
        episodes = thing["episodes"]
        for number, episode in enumerate(episodes):
            last = number == len(episodes) - 1
            for stretch in STRETCHES:
                if stretch.kind == thing["kind"]:
                    yield from _in_episode(run, stretch, episode, last=last)
    for row in REFUSED_FOR:
        for refusal in run["refusals"]:
            if (
                refusal["call"].startswith(row.call)
                and row.code in refusal["code"]
                and row.words in refusal["words"]
            ):
                lasted = refusal["last"] - refusal["first"]
                yield Measured(row.duration, f"{refusal['call']} refused", lasted, None)


def _in_episode(
    run: Run, stretch: Stretch, episode: dict[str, Any], *, last: bool
) -> Iterator[Measured]:
    """Yield how long the stretch lasted in an episode, if the episode has it."""
    if stretch.trigger and episode["trigger"] != stretch.trigger:
        return
    statuses = episode["statuses"]
    within = [each[0] in stretch.statuses for each in statuses]
    if True not in within:
        return
    first = within.index(True)
    if stretch.trigger and first and stretch.duration != "instance_first_backup":
        return
    after = next((i for i in range(first, len(within)) if not within[i]), None)
    began = _began(episode, first)
    if after is None:
        ended_from, ended_to = statuses[-1][3], None
    else:
        ended_from, ended_to = statuses[after][1], statuses[after][2]
    if stretch.duration == "instance_modify_lag" and after is None:
        return  # nothing had to be applied
    at_most = None if ended_to is None or began[0] is None or not last else ended_to - began[0]
    held_up = max([began[1], *_created(run, stretch.parallel)])
    yield Measured(
        stretch.duration,
        f"{stretch.kind} {statuses[first][0]}",
        max(0.0, ended_from - held_up),
        at_most,
        stretch.instead,
    )


def _began(episode: dict[str, Any], first: int) -> tuple[float | None, float]:
    """Return from when and until when the status began; from when is None where nobody looked."""
    _, before, seen, _ = episode["statuses"][first]
    if first == 0 and episode["trigger"]:
        return episode["at"], episode["at"]
    return (before if first else None), seen


def _created(run: Run, kind: str) -> Iterator[float]:
    """Yield when things of a kind were seen to be no longer `creating`."""
    for thing in run["things"]:
        if kind and thing["kind"] == kind:
            for episode in thing["episodes"]:
                for status, _, seen, _ in episode["statuses"]:
                    if status != "creating" and "Create" in episode["trigger"]:
                        yield seen
                        break
