"""A run and its environment as one HTML file: no script, and no request leaves it.

The Content-Security-Policy in it forbids the browser to load anything. Light and dark as the reader
has it, black on white on paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from provision.resources.template import Template
from provision.views.timeline.chart import legend, timeline_svg
from provision.views.timeline.model import Timeline
from provision.views.timeline.svg import Markup, element, joined
from provision.views.timeline.terminal import chain_words, heading, idle_words
from provision.views.timeline.things import Level, Passage, Things, passages
from provision.views.timeline.topology import topology_svg

MARKS = {
    Level.READY: "ready",
    Level.BUSY: "under way",
    Level.DIFFERS: "not as config.toml wants it",
    Level.FAILED: "failed",
    Level.ABSENT: "not there",
}
NOT_OPEN = "not open: not all that it takes is there"
PASSAGES = dict.fromkeys(Level, NOT_OPEN) | {
    Level.READY: "open",
    Level.DIFFERS: "not as config.toml wants it: `provision plan` says how",
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --dim: #57606a; --edge: #b6bec8;
  --card: #fff; --vpc: #eef4fb; --zone: #f7fafd; --subnet: #e2ecf7; --good: #1a7f37;
  --busy: #9a6700; --bad: #cf222e; --group: #6639ba; --flow: #0550ae; --s1: #2f6fbb; --s2: #e8a33d;
  --s3: #6ea8dc; --s4: #b98adf; --s5: #68b58a; --s6: #d98880; --s7: #a7b0ba; --hatch: #1b1f24; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6e9ed; --dim: #9aa5b1;
  --edge: #4a5460; --card: #1d232a; --vpc: #18222d; --zone: #1b2733; --subnet: #20303f;
  --good: #4cc36b; --busy: #e0a82e; --bad: #ff7b72; --group: #b797f2; --flow: #79b8ff;
  --s1: #4c8fdd; --s2: #c98a2b; --s3: #2f608f; --s4: #8a63b3; --s5: #3f8a60; --s6: #a8605a;
  --s7: #5d6873; --hatch: #e6e9ed; } }
body { margin: 0 auto; max-width: 1240px; padding: 24px; background: var(--paper);
  color: var(--ink); font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0; } .dim { color: var(--dim); } .marks { white-space: pre-wrap; }
.error { color: var(--bad); }
svg { font: 10.5px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
svg.topology, svg.timeline { display: block; width: 100%; height: auto;
  min-width: 760px; }
svg text { fill: var(--ink); white-space: pre; } svg .strong { font-weight: 700; }
svg .small, svg .axis { fill: var(--dim); }
.card rect, rect.card { fill: var(--card); stroke: var(--edge); }
.inner { fill: var(--zone); stroke: var(--edge); }
.ready > rect { stroke: var(--good); } .busy > rect { stroke: var(--busy); stroke-width: 2; }
.differs > rect { stroke: var(--busy); stroke-width: 2; stroke-dasharray: 8 3; }
.failed > rect { stroke: var(--bad); stroke-width: 3; }
.absent > rect { stroke-dasharray: 3 3; stroke: var(--dim); }
.area > rect { stroke: var(--edge); } .vpc > rect { fill: var(--vpc); }
.subnet > rect { fill: var(--subnet); }
.zone { fill: var(--zone); stroke: var(--edge); stroke-dasharray: 6 4; }
.group > rect { fill: none; stroke: var(--group); stroke-width: 1.5; stroke-dasharray: 7 3; }
.group text { fill: var(--group); }
.arrow { fill: none; stroke: var(--flow); stroke-width: 2; } .head { fill: var(--flow); }
.closed { stroke-dasharray: 4 4; opacity: .6; } svg .port { fill: var(--flow); font-weight: 700;
  paint-order: stroke; stroke: var(--card); stroke-width: 4; }
.label { text-anchor: end; } svg .chain { font-weight: 700; }
.grid { stroke: var(--edge); stroke-width: .5; }
.handover { stroke: var(--flow); stroke-dasharray: 2 3; stroke-width: .8; }
.asked { fill: none; stroke: var(--dim); stroke-width: .8; }
.s1 { fill: var(--s1); } .s2 { fill: var(--s2); } .s3 { fill: var(--s3); } .s4 { fill: var(--s4); }
.s5 { fill: var(--s5); } .s6 { fill: var(--s6); } .s7 { fill: var(--s7); }
.over { pointer-events: none; } .hatch { stroke: var(--hatch); stroke-width: .7; opacity: .55;
  fill: none; }
.outline { fill: none; stroke: var(--ink); stroke-width: 1.4; pointer-events: none; }
svg text.bad { fill: var(--bad); } .outline.bad { stroke: var(--bad); }
.link { fill: var(--ink); } .idle { stroke: var(--ink); stroke-dasharray: 1 4; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; }
.legend svg { vertical-align: -1px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid var(--edge);
  vertical-align: top; overflow-wrap: anywhere; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --dim: #333; --edge: #777;
    --card: #fff; --vpc: #fff; --zone: #fff; --subnet: #f2f2f2; --good: #000; --busy: #000;
    --bad: #000; --group: #333; --flow: #000; --s1: #777; --s2: #ddd; --s3: #bbb; --s4: #eee;
    --s5: #ccc; --s6: #e5e5e5; --s7: #f5f5f5; --hatch: #000; }
  @page { size: A4 landscape; margin: 10mm; }
  body { max-width: none; padding: 0; font-size: 12px; -webkit-print-color-adjust: exact;
    print-color-adjust: exact; }
  svg, tr { break-inside: avoid; } h2 { break-after: avoid; }
  svg.topology, svg.timeline { max-height: 142mm; min-width: 0; } #run { break-before: page; }
  h2 { margin: 12px 0 4px; } #run { margin-top: 0; }
  .timeline rect, .legend rect { stroke: #000; stroke-width: .4; }
  table { font-size: 11px; line-height: 1.3; } th, td { padding-top: 1px; padding-bottom: 1px; } }
"""


def page(
    about: str,
    source: str,
    run: Timeline,
    template: Template,
    things: Things,
) -> str:
    """Return the page. `about` names the environment; `source` says where ids and states are from,
    and `things` are what they say.
    """
    allowed = list(passages(template, things))
    marks = "   ".join(f"{level.value} {words}" for level, words in MARKS.items())
    body = [
        element("h1", about),
        element("p", source, class_="dim"),
        element("h2", "What is there"),
        element("p", marks, class_="dim marks"),
        topology_svg(template, things, allowed),
        element("h2", "What may talk to what"),
        passage_table(allowed, things),
        element("h2", heading(run), id="run"),
        *run_parts(run),
        element("h2", "Every resource"),
        resource_table(things),
    ]
    return "<!DOCTYPE html>\n" + element(
        "html",
        element(
            "head",
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", about),
            element("style", Markup(STYLE)),
        ),
        "\n",
        element("body", joined(f for part in body for f in (part, "\n"))),
        lang="en",
    )


def run_parts(run: Timeline) -> Iterator[Markup]:
    """Yield the timeline, with what its longest chain was, and what failed."""
    yield legend(run)
    yield timeline_svg(run)
    yield element("p", element("b", "Longest chain: "), ", ".join(chain_words(run)))
    yield element("p", element("b", "Idle on it: "), ", ".join(idle_words(run)) or "nowhere")
    for bar in run.bars:
        if bar.error:
            yield element("p", element("b", f"{bar.step} failed: "), bar.error, class_="error")
    if run.unfinished:
        yield element("p", element("b", "Under way at the end: "), ", ".join(run.unfinished))


def passage_table(allowed: Iterable[Passage], things: Things) -> Markup:
    """Return what may talk to what as a table."""

    def named(what: str) -> str:
        return f"{what} {things[what].identity}" if what in things else what

    rows = [
        (
            named(each.source),
            named(each.target),
            each.how,
            PASSAGES[each.level],
        )
        for each in allowed
    ]
    return table(("from", "to", "how", ""), rows)


def resource_table(things: Things) -> Markup:
    """Return every resource as a table."""
    rows = [
        (each.step, each.resource.title, each.identity or "-", f"{each.level.value} {each.state}")
        for each in things.values()
    ]
    return table(("step", "what", "id or name", "state"), rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return an HTML table."""
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return element("table", element("thead", head), element("tbody", *body))
