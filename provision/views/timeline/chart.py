"""A timeline as HTML: one bar a step, its waits by what AWS's status means, the longest chain.

Each bar is a small SVG whose places are shares of its width, so that it fills the window it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provision.views.condition import Condition
from provision.views.timeline.markup import Markup, element
from provision.views.timeline.model import (
    Bar,
    Phase,
    Span,
    Timeline,
    meaning,
    meanings,
    ticks,
    worded,
)
from provision.views.timeline.terminal import gap_words, tick
from provision.views.words import duration

ROW, BAR = 18, 12  # pixels
TOP = (ROW - BAR) / 2
LEAST_SHARE = 0.15  # per cent of a bar's place: however short, it is seen
WHOLE = {"x": "0.000%", "width": "100.000%"}
MOST_SHARE = 96  # per cent: a time further right would stand half outside
TICKS = 5  # so few that a narrow window has room for them
HATCHES = {  # so that they differ without colour too
    "waiting": "M0 6 L6 0",
    "updating": "M0 3 H6",
    "deleting": "M0 0 L6 6 M0 6 L6 0",
    "ready": "M3 0 V6",
    "another": "M0 0 L6 6",
}


def chart(timeline: Timeline) -> Markup:
    """Return the chart. Its looks are classes, which page.py's style sheet has."""
    rows = [bar_row(timeline, bar) for bar in timeline.bars]
    return element(
        "div", hatches(), axis(timeline), element("ol", *rows, chain_row(timeline), class_="bars"),
        class_="chart",
    )  # fmt: skip


def look_of(status: str) -> str:
    """Return the class of a status."""
    return meaning(status).split()[0]


def legend(timeline: Timeline) -> Markup:
    """Return what the looks of the bars mean, with the statuses of this run."""
    items = [
        element(
            "li",
            strip(*filled(look_of(statuses[0]), WHOLE), width=22, aria_hidden="true"),
            element("span", f" {words}"),
        )
        for words, statuses in meanings(timeline.bars).items()
    ]
    chain = element("li", element("b", "▸ bold"), element("span", " longest chain"))
    return element("ul", *items, chain, class_="legend")


def hatches() -> Markup:
    """Return the patterns that lie over the colours."""
    patterns = [
        element(
            "pattern", element("path", d=path, class_="hatch"),
            id=f"hatch-{look}", width=6, height=6, patternUnits="userSpaceOnUse",
        )
        for look, path in HATCHES.items()
    ]  # fmt: skip
    return strip(element("defs", *patterns), width=0, aria_hidden="true")


def strip(*parts: Markup, **attributes: object) -> Markup:
    """Return a drawing of one row, as wide as its place unless `width` says it."""
    return element("svg", *parts, **{"width": "100%", "height": ROW, **attributes})


def filled(look: str, place: Mapping[str, str], *words: Markup) -> Iterator[Markup]:
    """Yield a box in the colour of a status, and its pattern over it."""
    yield element("rect", *words, class_=f"fill-{look}", **place, y=TOP, height=BAR)
    if look in HATCHES:
        over = {"class_": "over", "fill": f"url(#hatch-{look})"}
        yield element("rect", **over, **place, y=TOP, height=BAR)


def share(seconds: float, timeline: Timeline) -> float:
    """Return where a time is, in per cent of the run."""
    return 100 * seconds / (timeline.seconds or 1.0)


def percent(seconds: float, timeline: Timeline) -> str:
    """Return the same as an attribute's value."""
    return f"{share(seconds, timeline):.3f}%"


def placed(span: Span, timeline: Timeline) -> dict[str, str]:
    """Return where a stretch is, as attributes; however short it is, it is seen."""
    width = max(LEAST_SHARE, share(span.seconds, timeline))
    return {"x": percent(span.began, timeline), "width": f"{width:.3f}%"}


def axis(timeline: Timeline) -> Markup:
    """Return the round times above the bars."""
    times = [
        element("span", tick(at) if at else "0 s", style=f"left: {percent(at, timeline)}")
        for at in ticks(timeline.seconds, TICKS)
        if share(at, timeline) <= MOST_SHARE
    ]
    return element("div", element("div", *times), class_="row times")


def grid(timeline: Timeline) -> Iterator[Markup]:
    """Yield the lines at the round times, and where the longest chain goes on with another step."""
    marks = [("grid", at) for at in ticks(timeline.seconds, TICKS)]
    marks += [("handover", each.ended) for each in timeline.chain]
    for class_, at in marks:
        x = percent(at, timeline)
        yield element("line", x1=x, x2=x, y1=0, y2=ROW, class_=class_)


def bar_row(timeline: Timeline, bar: Bar) -> Markup:
    """Return one row: the step's name, its bar, how long it took."""
    chain = " chain" if bar.on_chain else ""
    failed = bar.action == "failed"
    parts = [*grid(timeline)]
    for phase in bar.phases:
        words = element("title", f"{bar.step}: {phase_words(phase)}")
        parts += filled(look_of(phase.status), placed(phase, timeline), words)
    if bar.on_chain or failed:
        outline = f"outline{' bad' if failed else ''}"
        place = placed(bar, timeline)
        parts.append(element("rect", class_=outline, y=TOP, height=BAR, **place))
    ended = f" {Condition.FAILED.sign} failed" if failed else ""
    said = "; ".join(map(phase_words, bar.phases))
    return element(
        "li",
        element("span", ("▸ " if bar.on_chain else "") + bar.step, class_="label"),
        strip(*parts, role="img", aria_label=f"{bar.step}: {said or 'no time'}"),
        element("span", duration(bar.seconds) + ended, class_="took"),
        class_=f"row{chain}{' bad' if failed else ''}",
    )


def phase_words(phase: Phase) -> str:
    """Return what AWS said of a step, and for how long."""
    status = worded(phase.status)
    said = f"{status}: {phase.reason}" if phase.reason else status
    return f"{said} ({duration(phase.seconds)})"


def chain_row(timeline: Timeline) -> Markup:
    """Return the longest chain as one row, its idle gaps dotted."""
    parts = [*grid(timeline)]
    for each in timeline.chain:
        words = element("title", f"{each.step} added {duration(each.seconds)}")
        place = placed(each, timeline)
        parts.append(element("rect", words, **place, y=ROW / 2 - 3, height=6, class_="link"))
    for gap in timeline.gaps:
        ends = {"x1": percent(gap.began, timeline), "x2": percent(gap.ended, timeline)}
        words = element("title", f"idle: {gap_words(gap)}")
        parts.append(element("line", words, class_="idle", y1=ROW / 2, y2=ROW / 2, **ends))
    total = duration(sum(each.seconds for each in timeline.chain))
    return element(
        "li",
        element("span", "longest chain", class_="label"),
        strip(*parts, aria_hidden="true"),
        element("span", total, class_="took"),
        class_="row chain",
    )
