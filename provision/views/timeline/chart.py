"""A timeline as an SVG drawing: one bar a step, its waits by AWS's status, the longest chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provision.views.timeline.model import ASKED, Bar, Gap, Timeline, ticks, time_by_status
from provision.views.timeline.svg import Markup, cut, drawing, element
from provision.views.timeline.terminal import chain_words, gap_words, heading, idle_words, tick
from provision.views.words import duration

WIDTH = 1180
LABELS, TIMES = 210, 96  # at the left and the right of the bars
ROW, BAR = 17, 11
TOP = 22
LABEL_CHARACTERS = 30
LOOKS = ("s1", "s2", "s3", "s4", "s5", "s6", "s7")  # of statuses, the longest first, as classes
HATCHES = {  # so that they differ without colour too
    "s2": "M0 6 L6 0",
    "s3": "M0 3 H6",
    "s4": "M3 0 V6",
    "s5": "M0 0 L6 6",
    "s6": "M0 0 L6 6 M0 6 L6 0",
}


def timeline_svg(timeline: Timeline) -> Markup:
    """Return the drawing. Its looks are classes, which page.py's style sheet knows."""
    rows = len(timeline.bars) + 1
    height = TOP + rows * ROW + 8
    looks = looks_of(timeline.bars)
    chain, idle = ", ".join(chain_words(timeline)), ", ".join(idle_words(timeline))
    return drawing(
        "timeline",
        f"Timeline of the run: {heading(timeline)}",
        f"A bar for each step, in the order in which they began. Longest chain: {chain}. "
        f"Idle on it: {idle or 'nowhere'}.",
        hatches(),
        *grid(timeline, height),
        *handovers(timeline, height),
        *(
            part
            for row, bar in enumerate(timeline.bars)
            for part in bar_parts(bar, TOP + row * ROW, timeline.seconds, looks)
        ),
        *chain_row(timeline, TOP + (rows - 1) * ROW),
        width=WIDTH,
        height=height,
    )


def looks_of(bars: Sequence[Bar]) -> dict[str, str]:
    """Return the class of each status; what took least shares the last one."""
    statuses = list(time_by_status(bars))
    own = dict(zip(statuses, LOOKS, strict=False))
    return {ASKED: "asked", **own, **dict.fromkeys(statuses[len(LOOKS) :], LOOKS[-1])}


def legend(timeline: Timeline) -> Markup:
    """Return what the looks of the bars mean, as HTML."""
    looks = looks_of(timeline.bars)
    items = [
        element(
            "li",
            element(
                "svg",
                *filled(look, x=0, y=0, width=22, height=BAR),
                viewBox=f"0 0 22 {BAR}",
                width=22,
                height=BAR,
                aria_hidden="true",
            ),
            " " + " or ".join(status for status, own in looks.items() if own == look),
        )
        for look in dict.fromkeys(looks.values())
    ]
    chain = element("li", element("b", "▸ bold"), " longest chain")
    return element("ul", *items, chain, class_="legend")


def hatches() -> Markup:
    """Return the patterns that lie over the colours."""
    return element(
        "defs",
        *(
            element(
                "pattern",
                element("path", d=path, class_="hatch"),
                id=f"hatch-{look}",
                width=6,
                height=6,
                patternUnits="userSpaceOnUse",
            )
            for look, path in HATCHES.items()
        ),
    )


def filled(look: str, *words: Markup, **box: float) -> Iterator[Markup]:
    """Yield a box in the colour of a status, and its pattern over it."""
    yield element("rect", *words, class_=look, **box)
    if look in HATCHES:
        yield element("rect", class_="over", fill=f"url(#hatch-{look})", **box)


def place(seconds: float, total: float) -> float:
    """Return where on the axis a time is."""
    return LABELS + (WIDTH - LABELS - TIMES) * seconds / (total or 1.0)


def grid(timeline: Timeline, height: int) -> Iterator[Markup]:
    """Yield the axis: round times, and a line at each."""
    for at in ticks(timeline.seconds, 10):
        x = place(at, timeline.seconds)
        yield element("line", x1=x, x2=x, y1=TOP - 6, y2=height - 4, class_="grid")
        yield element("text", tick(at), x=x, y=TOP - 9, class_="axis", text_anchor="middle")


def handovers(timeline: Timeline, height: int) -> Iterator[Markup]:
    """Yield a line down from where each link of the chain ends and the next goes on."""
    for link in timeline.chain:
        x = place(link.ended, timeline.seconds)
        yield element("line", x1=x, x2=x, y1=TOP, y2=height - 8, class_="handover")


def bar_parts(bar: Bar, y: int, total: float, looks: Mapping[str, str]) -> Iterator[Markup]:
    """Yield one row: the step's name, its bar, how long it took."""
    chain = " chain" if bar.on_chain else ""
    failed = " bad" if bar.action == "failed" else ""
    name = ("▸ " if bar.on_chain else "") + cut(bar.step, LABEL_CHARACTERS)
    yield element("text", name, x=LABELS - 8, y=y + BAR - 1, class_=f"label{chain}{failed}")
    for phase in bar.phases:
        x, end = place(phase.began, total), place(phase.ended, total)
        said = f"{phase.status}: {phase.reason}" if phase.reason else phase.status
        words = element("title", f"{bar.step}: {said} ({duration(phase.seconds)})")
        look = looks.get(phase.status, "asked")
        yield from filled(look, words, x=x, y=y, width=max(0.5, end - x), height=BAR)
    x, end = place(bar.began, total), place(bar.ended, total)
    if bar.on_chain or failed:
        box = {"x": x, "y": y, "width": max(1.5, end - x), "height": BAR}
        yield element("rect", class_=f"outline{failed}", **box)
    took = duration(bar.seconds) + (" failed" if failed else "")
    yield element("text", took, x=end + 6, y=y + BAR - 1, class_=f"took{chain}{failed}")


def chain_row(timeline: Timeline, y: int) -> Iterator[Markup]:
    """Yield the longest chain as one row, its idle gaps open."""
    total = timeline.seconds
    yield element("text", "longest chain", x=LABELS - 8, y=y + BAR - 1, class_="label chain")
    for link in timeline.chain:
        x, end = place(link.began, total), place(link.ended, total)
        words = element("title", f"{link.step} added {duration(link.seconds)}")
        yield element(
            "rect", words, x=x, y=y + 3, width=max(1.0, end - x - 1), height=5, class_="link"
        )
    for gap in timeline.gaps:
        yield idle(gap, y, total)


def idle(gap: Gap, y: int, total: float) -> Markup:
    """Return a stretch in which nothing of the chain was under way."""
    x, end = place(gap.began, total), place(gap.ended, total)
    words = element("title", f"idle: {gap_words(gap)}")
    return element("line", words, x1=x, x2=end, y1=y + 5.5, y2=y + 5.5, class_="idle")
