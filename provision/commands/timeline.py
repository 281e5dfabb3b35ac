"""`provision timeline`: what a run did and when. Reads the state file; calls AWS if asked to."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provision.cli.options import Options, state_location
from provision.cli.output_file import write_text
from provision.commands.timeline_page import from_aws, glance
from provision.config import Config
from provision.context import account_of
from provision.engine.events import Display, Summary
from provision.environment import environment
from provision.errors import StateError, UsageError
from provision.state.local import LocalStore
from provision.state.open import store_at
from provision.state.state import State
from provision.state.store import Store
from provision.views.timeline import terminal
from provision.views.timeline.model import Span, Timeline
from provision.views.timeline.model import timeline as made_of
from provision.views.timeline.page import page
from provision.views.timeline.things import things_in_state


def timeline(
    options: Options,
    output: Display,
    *,
    run_number: int | None,
    html: Path | None,
    live: bool,
) -> Summary:
    """Show a run, the newest unless `run_number` (1 = newest) says another; needs no AWS.

    `html` writes it to a page instead, with the environment as a drawing; `live` reads from AWS the
    drawing's ids and states. Returns the summary. Raises UsageError for a run that is not kept or a
    page that cannot be written, StateError when there is no run or the file cannot be read.
    """
    if live and html is None:
        raise UsageError("--live requires --html", next_step="Add --html FILE.")
    config = options.configuration
    settings = config.environment
    state = kept(options, config)
    template = environment(config, packed=False)
    run = made_of(chosen(state.runs, state.store.where, run_number), template)
    if html is None:
        show(run, output)
        return Summary("timeline", ok=True, silent=True)
    if live:
        things, expires = from_aws(options, output)
        source = "as AWS has them now"
    else:
        steps = {name: vars(step) for name, step in state.steps.items()}
        things = things_in_state(template, steps, settings.region)
        source = f"as of the last run, from the state file {Path(state.store.where).name}"
        expires = state.runs[-1].get("expires", "") if state.steps else ""
    about = f"{settings.name}: account {state.account}, {state.region}"
    source_words = f"Ids and states {source}. Names, addresses and rules as config.toml has them."
    facts = glance(config, state, template, expires)
    write_text("--html", html, page(about, source_words, run, template, things, facts))
    output.record("page", path=str(html))
    return Summary("timeline", ok=True, notes=(f"written: {html}",))


def kept(options: Options, config: Config) -> State:
    """Return the state, of whichever account. Raises StateError, or what S3 refuses."""
    at = state_location(options, config)
    with contextlib.ExitStack() as stack:
        store: Store
        if isinstance(at, Path):
            store = LocalStore(at)
        else:
            aws = stack.enter_context(contextlib.closing(account_of(options, config, at)))
            store = store_at(at, aws, config.state.lock_lease_seconds)
        settings = config.environment
        return State.load(store, environment=settings.name, region=settings.region, writes=False)


def chosen(
    runs: Sequence[Mapping[str, Any]], where: str, run_number: int | None
) -> Mapping[str, Any]:
    """Return the chosen run. Raises UsageError or StateError."""
    if not runs:
        raise StateError(
            f"{where}: no run is recorded",
            next_step="`python -m provision up` and `python -m teardown` record what they did.",
        )
    newest_first: list[Mapping[str, Any]] = list(reversed(runs))
    number = 1 if run_number is None else run_number
    if not 1 <= number <= len(runs):
        kept = [
            f"{number:>4}  {terminal.moment(run['began'])}  {run['command']}"
            for number, run in enumerate(newest_first, 1)
        ]
        raise UsageError(
            "\n".join([f"--run {number}: no such run; these are kept:", *kept]),
            next_step="1 is the newest; the last 20 runs that did anything are kept.",
        )
    return newest_first[number - 1]


# --- to a person and to a program -----------------------------------------------------------------


def show(run: Timeline, output: Display) -> None:
    """Show a run to a person, and to a program."""
    output.record(
        "timeline",
        command=run.command,
        began=run.began_at,
        seconds=run.seconds,
        ok=run.ok,
        chain=[facts(link) for link in run.chain],
        idle=[facts(gap) for gap in run.gaps],
        unfinished=run.unfinished,
    )
    for bar in run.bars:
        waits = [facts(phase) for phase in bar.phases]
        output.record("timeline-step", **facts(bar) | {"waits": waits})
    width = shutil.get_terminal_size().columns
    output.document(list(terminal.timeline_lines(run, width, charset=charset())))


def facts(span: Span) -> dict[str, Any]:
    """Return a stretch of the run as a program gets it, but for a bar's phases."""
    values = {name: value for name, value in vars(span).items() if name != "phases"}
    return values | {"seconds": round(span.seconds, 3)}


def charset() -> str:
    """Return unicode where standard output can write the bars' characters, else ascii."""
    with contextlib.suppress(UnicodeError, LookupError):
        "█▒░▚─━·".encode(sys.stdout.encoding or "ascii")
        return "unicode"
    return "ascii"
