"""A timeline as lines of text: one bar a step, readable without colour."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from provision.views.condition import Condition, condition_of
from provision.views.folding import folded
from provision.views.style import Meaning, Piece, Styled, styled
from provision.views.timeline.model import CALLING, Bar, Gap, Phase, Timeline, meanings, ticks
from provision.views.words import duration

MINUTE = 60  # seconds
LEAST_WIDTH = 60
TIME_CELLS = 8
LEAST_SHARE = 0.02  # of a run: a shorter gap is not worth a word
CONDITIONS: tuple[Condition | None, ...] = (*Condition, None)  # None: of a status unknown to us
FILLS = {  # in the order of the conditions
    "unicode": dict(zip(CONDITIONS, "=█▒▚░≠x/?o+", strict=True)),
    "ascii": dict(zip(CONDITIONS, "=#%x:~!/?o+", strict=True)),
}
CALL = {"unicode": "─", "ascii": "-"}
CHAIN = {"unicode": "━", "ascii": "="}
IDLE = {"unicode": "·", "ascii": "."}


def timeline_lines(timeline: Timeline, width: int, *, charset: str = "unicode") -> Iterator[str]:
    """Yield a timeline in lines of at most `width` cells (at least LEAST_WIDTH).

    `charset` is unicode or ascii.
    """
    width = max(LEAST_WIDTH, width)
    labels = max((len(bar.step) for bar in timeline.bars), default=0) + 2
    cells = width - labels - TIME_CELLS - 2
    fills = fills_for(timeline.bars, charset)
    colours = {FILLS[charset][state]: state.colour for state in Condition}
    colours[CALL[charset]] = Meaning.ROUTINE
    yield styled(heading(timeline), Meaning.READ if timeline.ok else Meaning.BAD)
    yield ""
    yield styled(f"{'':{labels}} {axis(timeline.seconds, cells)}".rstrip(), Meaning.ROUTINE)
    for bar in timeline.bars:
        look = Meaning.READ if bar.on_chain else Meaning.PLAIN
        look = Meaning.BAD if bar.action == "failed" else look
        label = f"{('* ' if bar.on_chain else '  ') + bar.step:{labels}}"
        line = painted(cells_of(bar.phases, timeline.seconds, cells, fills), colours)
        time = f"{took(bar):>{TIME_CELLS}}"
        yield Styled(Piece(label, look), " ", line, " ", Piece(time, look))
    yield f"{'* longest chain':{labels}} {chain_line(timeline, cells, charset)}"
    yield ""
    yield from wrapped("bars: ", legend(timeline.bars, fills), width)
    yield from wrapped("longest chain (*): ", chain_words(timeline), width)
    yield from wrapped("idle on it: ", idle_words(timeline) or ["nowhere"], width)
    yield from (styled(line, Meaning.BAD) for line in failures(timeline, width))


def heading(timeline: Timeline) -> str:
    """Return which run it was, and how it ended."""
    took = duration(timeline.seconds)
    ended = {
        True: f"done in {took}",
        False: f"failed after {took}",
        None: f"KILLED, or still under way; recorded up to {took}",
    }[timeline.ok]
    return f"{timeline.command}, {moment(timeline.began_at)}: {ended}"


def moment(text: str) -> str:
    """Return an ISO 8601 time as a person reads it; what is none is returned as it is."""
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


# --- bars -----------------------------------------------------------------------------------------


def fills_for(bars: Sequence[Bar], charset: str) -> dict[str, str]:
    """Return the character of each status: that of its meaning, the same in every run."""
    statuses = {phase.status for bar in bars for phase in bar.phases} - {CALLING}
    fills = {status: FILLS[charset][condition_of(status)] for status in statuses}
    return {CALLING: CALL[charset], **fills}


def legend(bars: Sequence[Bar], fills: Mapping[str, str]) -> Iterator[str]:
    """Yield each character with what it means, and the statuses of the run that mean it."""
    for words, statuses in meanings(bars).items():
        yield f"{fills[statuses[0]]} {words}"


def cells_of(phases: Sequence[Phase], seconds: float, cells: int, fills: Mapping[str, str]) -> str:
    """Return a bar, `cells` wide. However short, it is seen."""
    line = [" "] * cells
    size = seconds / cells or 1.0 / cells
    for cell in range(cells):
        middle = (cell + 0.5) * size
        for phase in phases:
            if phase.began <= middle < phase.ended:
                line[cell] = fills[phase.status]
    if phases and not "".join(line).strip():
        longest = max(phases, key=lambda phase: phase.seconds)
        place = int(min(cells - 1, longest.began / size))
        line[place] = fills.get(longest.status, fills[CALLING])
    return "".join(line)


def painted(line: str, colours: Mapping[str, Meaning]) -> Styled:
    """Return a bar, each character in its colour."""
    runs = ("".join(run) for _, run in itertools.groupby(line))
    return Styled(*(Piece(run, colours.get(run[0], Meaning.PLAIN)) for run in runs))


def took(bar: Bar) -> str:
    """Return how long a step took, marked when it failed."""
    return duration(bar.seconds) + ("!" if bar.action == "failed" else "")


def axis(seconds: float, cells: int) -> str:
    """Return a line of times above the bars."""
    line = ""
    for at in ticks(seconds, max(1, cells // 9)):
        text, place = tick(at), round(at / (seconds or 1.0) * cells)
        if place >= len(line) and place + len(text) <= cells:
            line = f"{line:<{place}}{text}"
    return line


def tick(seconds: float) -> str:
    """Return a round time as briefly as possible: 0, 0.5s, 30s, 2m, 2m30s."""
    if seconds < MINUTE:
        return f"{seconds:.3g}s" if seconds else "0"
    minutes, rest = divmod(round(seconds), MINUTE)
    return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"


def chain_line(timeline: Timeline, cells: int, charset: str) -> str:
    """Return the longest chain as one bar, its idle gaps dotted."""
    phases = [Phase(link.began, link.ended, "chain") for link in timeline.chain]
    phases += [Phase(gap.began, gap.ended, "idle") for gap in timeline.gaps]
    fills = {"chain": CHAIN[charset], "idle": IDLE[charset], CALLING: CHAIN[charset]}
    total = sum(link.seconds for link in timeline.chain)
    line = cells_of(phases, timeline.seconds, cells, fills)
    return f"{line} {duration(total):>{TIME_CELLS}}"


# --- words ----------------------------------------------------------------------------------------


def chain_words(timeline: Timeline) -> list[str]:
    """Return the longest chain, step by step, with what each added."""
    return [f"{link.step} {duration(link.seconds)}" for link in timeline.chain]


def idle_words(timeline: Timeline) -> list[str]:
    """Return where nothing of the longest chain was under way, for long enough to matter."""
    least = LEAST_SHARE * timeline.seconds
    return [gap_words(gap) for gap in timeline.gaps if gap.seconds >= least]


def gap_words(gap: Gap) -> str:
    """Return a gap in words."""
    where = f"before {gap.before}" if gap.before else f"after {gap.after}"
    return f"{duration(gap.seconds)} {where}"


def failures(timeline: Timeline, width: int) -> Iterator[str]:
    """Yield which steps failed, and why, and which were under way when the run ended."""
    for bar in timeline.bars:
        if bar.error:
            yield f"{bar.step} FAILED: {bar.error.removeprefix(f'{bar.step}: ')}"
    if timeline.unfinished:
        yield from wrapped("under way at the end: ", timeline.unfinished, width)


def wrapped(first: str, parts: Iterable[str], width: int) -> Iterator[str]:
    """Yield parts, separated by commas, in lines of at most `width` cells."""
    line, comma = first, ""
    for part in parts:
        if comma and len(line) + len(comma) + len(part) + 1 > width:
            yield from folded(line + ",", width, len(first) + 2)
            line, comma = " " * len(first), ""
        line += comma + part
        comma = ", "
    yield from folded(line, width, len(first) + 2)
