"""`python -m teardown --expired`: deletes every expired environment, found by tags alone."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from provision.cli.options import Options
from provision.commands.asking import ask
from provision.commands.environments import Existing, existing
from provision.commands.list import COLUMNS, row
from provision.context import Run, opened
from provision.engine import lifetime
from provision.engine.events import Display, Summary
from provision.errors import (
    AwsCallError,
    Interrupted,
    LeftBehind,
    ProvisionError,
    StateError,
    UnreachableError,
)
from provision.state.location import location_of
from teardown.command import delete_all, refuse_without_terminal, show_passed_over


def teardown_expired(
    options: Options, output: Display, *, yes: bool = False, plan: bool = False
) -> Summary:
    """Delete every environment of the account and region that has expired. Returns the summary.

    `plan` only shows them; `yes` does not ask first. Counts are the sums over all of them. One that
    fails keeps none of the others: at the end LeftBehind names those that failed. Raises UsageError
    when it should ask and there is no terminal.
    """
    if not (plan or yes):
        refuse_without_terminal(output, "python -m teardown --expired")
    began, command = time.monotonic(), "teardown --expired"
    region = options.configuration.environment.region
    due = [each for each in existing(options, region, output) if each.over(lifetime.now())]
    for each in due:
        each.record(output)
    title = f"{len(due)} expired:" if due else "nothing has expired"
    output.table(title, COLUMNS if due else (), [row(each) for each in due])
    if due and not (plan or yes):
        question = "Delete all of these, their databases included?"
        ask(question, "expired", stop=options.stop, otherwise="nothing was deleted")
    counts: Counter[str] = Counter()
    failed: dict[str, ProvisionError] = {}
    try:
        for each in () if plan else due:
            try:
                take_down(options, output, each, counts)
            except Interrupted:
                raise
            except ProvisionError as error:
                failed[each.name] = error
                output.record("environment-failed", name=each.name, error=error.as_dict())
                output.note(f"{each.name}: {error.message}")
        if failed:
            raise LeftBehind(
                f"{len(failed)} of {len(due)} expired environments were not deleted: "
                + "; ".join(f"{name}: {error.message}" for name, error in failed.items()),
                next_step=next(iter(failed.values())).next_step
                or "Run `python -m teardown --expired` again.",
            )
    except ProvisionError as error:
        seconds = time.monotonic() - began
        error.summary = Summary(
            command, ok=False, error=error, seconds=seconds, deleted=counts["deleted"]
        )
        raise
    seconds = time.monotonic() - began
    notes = [] if plan else [f"expired environments: {len(due)}"]
    return Summary(
        command, ok=True, seconds=seconds, notes=notes if due else (), deleted=counts["deleted"]
    )


def take_down(options: Options, output: Display, found: Existing, counts: Counter[str]) -> None:
    """Delete one environment, and prove it; add what was deleted to `counts`.

    Its tags are read again with the lock held: whoever extended it meanwhile keeps it. Raises
    LeftBehind when something is left, Locked when somebody is at work on it.
    """
    with contextlib.ExitStack() as stack:
        run = open_run(options, output, found, stack)
        run.start()
        try:
            with run.changing():
                seen = run.look()
                if not run.lifetime.over:
                    output.note(f"{found.name}: its expiry was moved: left as it is")
                    return
                show_passed_over(run, seen)
                delete_all(run, seen, final_snapshot="")
        finally:
            counts["deleted"] += run.engine.counts.deleted


def open_run(
    options: Options, output: Display, found: Existing, stack: contextlib.ExitStack
) -> Run:
    """Return a run on one environment: with its state if that can be read, or else without."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="teardown-"))
    overrides = (
        *options.overrides,
        f"environment.name={found.name}",
        'environment.expires_after=""',
        'environment.permissions_boundary=""',
        "environment.tags={}",
    )
    options = replace(
        options, region=found.region, overrides=overrides, state=str(Path(folder) / "state.json")
    )
    if place := location_of(found.state):
        try:
            at_place = replace(options, state=str(place))
            return stack.enter_context(opened(at_place, "teardown --expired", output, packed=False))
        except (StateError, AwsCallError, UnreachableError) as error:
            output.note(f"{found.name}: its state is not used: {error.message}")
    return stack.enter_context(opened(options, "teardown --expired", output, packed=False))
