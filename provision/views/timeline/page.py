"""A run and its environment as one HTML file: no script, and no request leaves it.

The Content-Security-Policy in it forbids the browser to load anything; a link is followed only when
a person clicks it. Light and dark as the reader has it, black on white on paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.resources.template import Template
from provision.views.condition import Condition
from provision.views.timeline.chart import chart, legend
from provision.views.timeline.markup import Markup, element, joined, link
from provision.views.timeline.model import Timeline
from provision.views.timeline.terminal import chain_words, heading, idle_words
from provision.views.timeline.things import Passage, Things, passages
from provision.views.timeline.topology import look, named, topology

MEANS = {
    Condition.DIFFERS: "differs from config.toml",
    Condition.MISSING: "missing: AWS does not have it",
    Condition.UNPROVEN: "unproven: perhaps not ours",
    Condition.WAITING: "waiting for another resource",
}
STYLE = Path(__file__).with_name("page.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class LoginFacts:
    """One login: where it is called, and how the last check found it."""

    title: str
    url: str  # "" when there is no API
    works: bool | None  # None: no check is recorded
    facts: Sequence[tuple[str, str]] = ()  # (what, how much)


@dataclass(frozen=True)
class Glance:
    """What a person opens the page for."""

    logins: Sequence[LoginFacts]
    facts: Sequence[tuple[str, str]]  # (what, how much): cost, expiry


def page(
    about: str,
    source: str,
    run: Timeline,
    template: Template,
    things: Things,
    glance: Glance,
) -> str:
    """Return the page. `about` names the environment; `source` says where ids and states are from,
    and `things` are what they say.
    """
    allowed = list(passages(template, things))
    sections = [
        section(
            "glance",
            "Logins, cost and expiry",
            element("div", *map(login_box, glance.logins), class_="logins"),
            facts_list(glance.facts),
        ),
        section("environment", "Environment", state_legend(), topology(template, things, allowed)),
        section("run", f"Run: {heading(run)}", *run_parts(run)),
        section("passages", "Allowed connections", passage_table(allowed, things)),
        section("resources", "Resources", resource_table(things)),
    ]
    return "<!DOCTYPE html>\n" + element(
        "html",
        element(
            "head",
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Markup('<meta name="referrer" content="no-referrer">'),
            element("title", about),
            element("style", Markup(STYLE.read_text(encoding="utf-8"))),
        ),
        "\n",
        element(
            "body",
            element("header", element("h1", about), element("p", source, class_="dim")),
            "\n",
            element("main", joined(part for each in sections for part in (each, "\n"))),
        ),
        lang="en",
    )


def section(name: str, title: str, *parts: Markup) -> Markup:
    """Return a part of the page, with a heading that names it."""
    head = element("h2", title, id=f"{name}-title")
    return element("section", head, *parts, id=name, aria_labelledby=f"{name}-title")


# --- what a person opens it for -------------------------------------------------------------------


def login_box(login: LoginFacts) -> Markup:
    """Return one login as a box."""
    state = {True: Condition.READY, False: Condition.FAILED, None: Condition.WAITING}[login.works]
    verdict = {True: "works", False: "does not work", None: "not checked"}[login.works]
    return element(
        "div",
        element("h3", login.title),
        element("p", link(login.url, login.url) if login.url else "no URL yet", class_="id"),
        element("p", f"{state.sign} {verdict}", class_=f"state {look(state)}"),
        facts_list(login.facts),
        class_=f"box {look(state)}",
    )


def facts_list(facts: Sequence[tuple[str, str]]) -> Markup:
    """Return facts with their names; nothing for none."""
    pairs = [element("div", element("dt", name), element("dd", fact)) for name, fact in facts]
    return element("dl", *pairs) if pairs else Markup("")


def state_legend() -> Markup:
    """Return what the signs mean."""
    items = [
        element("li", f"{state.sign} {MEANS.get(state, state.word)}", class_=f"state {look(state)}")
        for state in Condition
    ]
    return element("ul", *items, class_="legend")


# --- the run --------------------------------------------------------------------------------------


def run_parts(run: Timeline) -> Iterator[Markup]:
    """Yield the timeline, with what its longest chain was, and what failed."""
    for bar in run.bars:
        if bar.error:
            why = bar.error.removeprefix(f"{bar.step}: ")
            yield element("p", element("b", f"✗ {bar.step} failed: "), why, class_="error")
    if run.unfinished:
        yield element("p", element("b", "Under way at the end: "), ", ".join(run.unfinished))
    yield legend(run)
    yield chart(run)
    yield element("p", element("b", "Longest chain: "), ", ".join(chain_words(run)))
    yield element("p", element("b", "Idle on it: "), ", ".join(idle_words(run)) or "nowhere")


# --- tables ---------------------------------------------------------------------------------------


def passage_table(allowed: Iterable[Passage], things: Things) -> Markup:
    """Return what may talk to what as a table."""

    def end(what: str) -> Markup:
        if what not in things:
            return element("span", what)
        thing = things[what]
        return joined([what, " ", named(thing)]) if thing.identity else element("span", what)

    rows = [
        (end(each.source), end(each.target), each.how, stands(each.state, opened(each.state)))
        for each in allowed
    ]
    return table(("From", "To", "How", "State"), rows)


def opened(state: Condition) -> str:
    """Return in words whether what may talk to something can do so now."""
    return "✓ open" if state is Condition.READY else f"{state.sign} not open: {state.word}"


def resource_table(things: Things) -> Markup:
    """Return every resource as a table."""
    rows = []
    for each in things.values():
        identity = named(each) if each.identity or each.console else "-"
        state = stands(each.state, each.stands)
        rows.append((each.step, each.resource.title, identity, state))
    return table(("Resource", "Kind", "Id or name", "State"), rows)


def stands(state: Condition, words: str) -> Markup:
    """Return how something stands, in its colour."""
    return element("span", words, class_=f"state {look(state)}")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return an HTML table. The roles keep it one where the style sheet stacks its cells."""
    head = element(
        "tr",
        *(element("th", each, scope="col", role="columnheader") for each in columns),
        role="row",
    )
    body = [
        element(
            "tr",
            *(
                element("td", cell, role="cell", data_label=column)
                for column, cell in zip(columns, row, strict=True)
            ),
            role="row",
        )
        for row in rows
    ]
    return element(
        "table",
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        role="table",
    )
