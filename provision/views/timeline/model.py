"""A run as bars: each step's waits by AWS's status, the longest chain, and where it stood idle.

Made of the record that history.py keeps in the state file; calls nothing. All times are seconds
since the run began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provision.engine.graph import created_before, deleted_before
from provision.engine.history import ended_at
from provision.resources.base import DataSource, Resource
from provision.views.condition import Condition, condition_of, status_in_words
from provision.views.visible import one_line, visible

CALLING = "asked"  # a call is under way, or AWS has said nothing of the resource yet
THERE = "there"  # AWS shows the resource; its kind has no status
WORDS = {CALLING: "calling", THERE: "ready"}  # for people; JSON events keep their values
LEAST_GAP = 0.001  # seconds: the resolution of the record


@dataclass(frozen=True)
class Span:
    """A stretch of a run."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


@dataclass(frozen=True)
class Phase(Span):
    """A stretch of a step in which AWS said the same of it."""

    status: str
    reason: str = ""


@dataclass(frozen=True)
class Bar(Span):
    """One step of a run."""

    step: str
    doing: str  # creating, updating, deleting, or checking: exists, not ready yet
    action: str  # created, adopted, updated, unchanged, deleted, failed; "" when no end was seen
    phases: tuple[Phase, ...]
    error: str = ""
    on_chain: bool = False


@dataclass(frozen=True)
class ChainStep(Span):
    """A step of the longest chain, and what it added once the step before it had ended."""

    step: str


@dataclass(frozen=True)
class Gap(Span):
    """A stretch in which no step of the longest chain was under way."""

    after: str  # the step of the chain before it, "" at the beginning of the run
    before: str  # the step of the chain after it, "" at the end of the run


@dataclass(frozen=True)
class Timeline:
    """A run."""

    command: str
    began_at: str  # ISO 8601
    seconds: float
    ok: bool | None  # None when no end was recorded: it was killed, or is still under way
    bars: tuple[Bar, ...]  # in the order in which they began
    chain: tuple[ChainStep, ...]
    gaps: tuple[Gap, ...]

    @property
    def unfinished(self) -> list[str]:
        """The steps that were under way when the run ended without them."""
        return [bar.step for bar in self.bars if not bar.action and bar.ended >= self.seconds]


def timeline(run: Mapping[str, Any], resources: Sequence[Resource]) -> Timeline:
    """Return a run's record as a timeline; `resources` say which step needs which."""
    seconds = float(run["seconds"])
    sources = {each.step for each in resources if isinstance(each, DataSource)}
    bars = [
        bar_of(step, entry, seconds) for step, entry in run["steps"].items() if step not in sources
    ]
    bars.sort(key=lambda bar: (bar.began, bar.ended, bar.step))
    chain = longest_chain(bars, needs_of(bars, resources))
    steps = {link.step for link in chain}
    return Timeline(
        command=run["command"],
        began_at=run["began"],
        seconds=seconds,
        ok=run["ok"],
        bars=tuple(replace(bar, on_chain=bar.step in steps) for bar in bars),
        chain=tuple(chain),
        gaps=tuple(gaps_of(chain, seconds)),
    )


def bar_of(step: str, entry: Mapping[str, Any], run_seconds: float) -> Bar:
    """Return one step's bar; a step without an end was under way until the run ended."""
    end = ended_at(entry)
    began, ended = float(entry["began"]), run_seconds if end is None else float(end)
    return Bar(
        began,
        ended,
        step,
        one_line(entry["doing"]),
        one_line(entry.get("action", "")),
        tuple(phases_of(entry["statuses"], began, ended)),
        visible(entry.get("error", "")),
    )


def phases_of(statuses: Sequence[Sequence[Any]], began: float, ended: float) -> Iterator[Phase]:
    """Yield what AWS said of a step, each with when it began and ended."""
    starts = [
        (began, CALLING, ""),
        *((at, status or THERE, reason) for at, status, reason in statuses),
    ]
    ends = [*(at for at, _, _ in starts[1:]), ended]
    for (at, status, reason), until in zip(starts, ends, strict=True):
        yield Phase(at, max(at, until), one_line(status), one_line(reason))


def needs_of(bars: Sequence[Bar], resources: Sequence[Resource]) -> dict[str, set[str]]:
    """Return for each step the steps that had to come before it."""
    declared = {each.step: each for each in resources}
    existing = [declared[bar.step] for bar in bars if bar.step in declared]
    needs: dict[str, set[str]] = {}
    for bar in bars:
        resource = declared.get(bar.step)
        if resource is None:  # no longer in the environment
            needs[bar.step] = set()
        elif bar.doing == "deleting":
            needs[bar.step] = deleted_before(resource, existing)
        else:
            needs[bar.step] = created_before(resource)
    return needs


def longest_chain(bars: Sequence[Bar], needs: Mapping[str, set[str]]) -> list[ChainStep]:
    """Return the steps that the end of the run waited for, each needing the one before it.

    From the step that ended last, back to whichever of its needs ended last, and so on: shortening
    any other step would not have shortened the run.
    """
    by_step = {bar.step: bar for bar in bars}
    chain: list[Bar] = []
    last = max(bars, key=lambda bar: bar.ended, default=None)
    while last is not None:
        chain.insert(0, last)
        earlier = [by_step[step] for step in needs[last.step] if step in by_step]
        earlier = [bar for bar in earlier if bar.ended <= chain[0].ended and bar not in chain]
        last = max(earlier, key=lambda bar: (bar.ended, bar.step), default=None)
    links: list[ChainStep] = []
    for bar in chain:
        before = links[-1].ended if links else bar.began
        links.append(ChainStep(max(bar.began, before), bar.ended, bar.step))
    return links


def gaps_of(chain: Sequence[ChainStep], seconds: float) -> Iterator[Gap]:
    """Yield where no step of the chain was under way."""
    at, after = 0.0, ""
    for link in chain:
        if link.began - at >= LEAST_GAP:
            yield Gap(at, link.began, after, link.step)
        at, after = link.ended, link.step
    if chain and seconds - at >= LEAST_GAP:
        yield Gap(at, seconds, after, "")


def meanings(bars: Sequence[Bar]) -> dict[str, list[str]]:
    """Return the run's statuses by what they mean, in words: `creating (backing-up)`.

    The order is the same in every run: a call that is under way, the states, what is not known.
    """
    seen = {phase.status for bar in bars for phase in bar.phases}
    order: list[Condition | None] = [*Condition, None]
    found: dict[str, list[str]] = {}
    for status in sorted(
        seen, key=lambda each: (each != CALLING, order.index(condition_of(each)), each)
    ):
        found.setdefault(meaning(status), []).append(status)
    named = {}
    for word, statuses in found.items():
        more = ", ".join(each for each in map(worded, statuses) if says_more(each, word))
        named[f"{word} ({more})" if more else word] = statuses
    return named


def says_more(status: str, word: str) -> bool:
    """Return whether a status says more than the word for what it means."""
    return status != word and status_in_words(status) != word


def worded(status: str) -> str:
    """Return a status as people read it."""
    return WORDS.get(status, status)


def meaning(status: str) -> str:
    """Return the word for what a status means."""
    state = condition_of(status)
    return WORDS[CALLING] if status == CALLING else state.word if state else "another status"


def ticks(seconds: float, most: int) -> list[float]:
    """Return round times to mark on an axis: 0, and at most `most` after it."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
    step = next((step for step in steps if seconds / step <= most), steps[-1])
    while seconds / step > most:
        step *= 2
    return [number * step for number in range(int(seconds / step + 1e-9) + 1)]
