"""`python -m teardown`: deletes everything, waits for it, and proves that nothing is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from provision.aws.account import absent, calling
from provision.aws.console import console_url
from provision.cli.options import Options
from provision.commands.asking import ask, can_ask
from provision.context import Run, opened
from provision.engine.events import Display, Summary
from provision.engine.graph import with_contents
from provision.engine.plan import not_ours
from provision.errors import AwsCallError, ForeignResource, UsageError
from provision.resources.base import (
    AccountResource,
    DeletableResource,
    ManagedResource,
    Resource,
    Seen,
)
from provision.resources.logs import LogGroup
from provision.resources.ownership import Owner
from provision.views.style import link
from teardown.companions import companions
from teardown.leftovers import check_nothing_left


def teardown(
    options: Options,
    output: Display,
    *,
    yes: bool = False,
    final_snapshot: str = "",
    explain: bool = False,
) -> Summary:
    """Delete the environment. Returns the summary.

    `yes` does not ask first; `final_snapshot` names a snapshot to keep of the database; `explain`
    shows each step's calls. Raises UsageError when it should ask and there is no terminal,
    LeftBehind when something is left.
    """
    if not yes:
        refuse_without_terminal(output, "python -m teardown")
    with opened(options, "teardown", output, packed=False, final_snapshot=final_snapshot) as run:
        run.start()
        seen = run.look()
        if final_snapshot:
            refuse_taken_name(run, seen, final_snapshot)
        if explain:
            show_calls(run, seen)
        return take_down(run, seen, yes=yes, final_snapshot=final_snapshot)


def refuse_without_terminal(output: Display, command: str) -> None:
    """Raise UsageError if nobody can be asked."""
    if not can_ask(output):
        raise UsageError(
            "teardown asks before it deletes, but there is no terminal",
            next_step=f"`{command} --yes` does not ask; `--plan` shows what would be deleted.",
        )


def take_down(
    run: Run, seen: Mapping[str, Seen | None], *, yes: bool = True, final_snapshot: str = ""
) -> Summary:
    """Delete what was seen of the environment, and prove it. Returns the summary.

    Without `yes` it asks first, and only then takes the lock. With the lock held it reads again; if
    that finds something else to delete, it releases the lock and asks again.
    """
    if yes:
        show_companions(run, seen)
        show_passed_over(run, seen)
    while going(run, seen) or run.state.steps:
        if not yes and going(run, seen):
            show(run, seen)
            name = run.config.environment.name
            ask(
                "Delete all of this, the database included?",
                name,
                stop=run.poll_policy.stop,
                otherwise="nothing was deleted",
            )
        with run.changing():
            again = run.look(recent=yes)
            if yes or going(run, again) == going(run, seen):
                delete_all(run, again, final_snapshot=final_snapshot)
                break
        seen = again
    else:
        check_nothing_left(run, seen, kept_snapshot=final_snapshot)
    notes = staying(run, seen) if run.engine.counts.deleted else []
    return run.summary(notes=notes, next_commands=[("python -m provision up", "create it again")])


def staying(run: Run, seen: Mapping[str, Seen | None]) -> list[str]:
    """Return in a line which resources stay, since they belong to the account."""
    steps = [each.step for each in run.template if isinstance(each, AccountResource)]
    return [
        f"{step} stays: it belongs to the account, and costs nothing"
        for step in steps
        if seen.get(step)
    ]


def refuse_taken_name(run: Run, seen: Mapping[str, Seen | None], name: str) -> None:
    """Raise UsageError when a snapshot of this name exists: RDS would refuse, halfway through.

    Once the DB instance is being deleted, the snapshot is the requested one.
    """
    instance = run.template.db_instance
    existing = seen.get(instance.step)
    if existing is None or existing.status == "deleting":
        return
    with contextlib.suppress(AwsCallError), calling(instance.step), absent("DBSnapshotNotFound"):
        found = run.aws.rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
        if found:
            of = found[0].get("DBInstanceIdentifier", "an unknown instance")
            raise UsageError(
                f"--final-snapshot {name}: a DB snapshot of this name exists (of {of}); nothing "
                "was deleted",
                next_step="Choose another name.",
            )


def going(run: Run, seen: Mapping[str, Seen | None]) -> list[tuple[Resource, str]]:
    """Return each resource that exists and is to be deleted, with its identity."""
    return [
        (each, each.identity(existing.outputs))
        for each in deletable(run, seen)
        if (existing := seen.get(each.step)) and isinstance(each, DeletableResource)
    ]


def delete_all(run: Run, seen: Mapping[str, Seen | None], *, final_snapshot: str) -> None:
    """Delete what was seen, prove that nothing is left, and forget all of it."""
    run.state.check_writable()
    run.output.removing([resource for resource, _ in going(run, seen)])
    run.engine.remove(deletable(run, seen), seen)
    delete_late_logs(run)
    check_nothing_left(run, seen, kept_snapshot=final_snapshot)
    run.state.forget(*list(run.state.steps))


def delete_late_logs(run: Run) -> None:
    """Delete log groups that AWS created again for the last log lines of a function or a proxy."""
    for resource in run.template:
        if isinstance(resource, LogGroup) and resource.step in run.engine.removed:
            known = {"deleting_since": run.engine.removed[resource.step]}
            with calling(resource.step):
                seen = resource.find(run.aws, {})
                if seen is not None and resource.owned(run.aws, seen, known):
                    resource.delete(run.aws, seen)


def teardown_plan(options: Options, output: Display, *, explain: bool = False) -> Summary:
    """Show what would be deleted, and with `explain` how. Reads only. Returns the summary."""
    with opened(options, "teardown --plan", output, packed=False) as run:
        run.start()
        seen = run.look()
        show(run, seen)
        if explain:
            show_calls(run, seen)
        return run.summary(
            unchanged=0, next_commands=[("python -m teardown", "delete all of this")]
        )


def deletable(run: Run, seen: Mapping[str, Seen | None]) -> Sequence[Resource]:
    """Return what to delete: what is ours, and what the state records as ours, deleted or not."""
    foreign = {each.step for each in run.template if is_foreign(run, each, seen.get(each.step))}
    apart = with_contents(foreign, run.template)
    return [each for each in run.template if each.step not in apart]


def is_foreign(run: Run, resource: Resource, seen: Seen | None) -> bool:
    """Return whether the resource with our name was never ours; then it is left alone."""
    if seen is None or not isinstance(resource, ManagedResource):
        return False
    recorded = run.state.known().get(resource.step, {})
    if recorded and resource.same_id(seen, recorded) is not False:
        return False  # the state says that it is ours: a disagreement is reported, not passed over
    return resource.ownership(run.aws, seen, recorded).owner is Owner.FOREIGN


def show_passed_over(run: Run, seen: Mapping[str, Seen | None]) -> None:
    """Show what is left alone, and why."""
    for each in passed_over(run, seen):
        run.output.record("passed-over", **each.as_dict())
        run.output.note(f"left alone: {each.message}")


def passed_over(run: Run, seen: Mapping[str, Seen | None]) -> Iterator[ForeignResource]:
    """Yield, in words, the resources with our names that are left alone, as others own them."""
    for resource in run.template:
        existing = seen.get(resource.step)
        if existing is not None and is_foreign(run, resource, existing):
            recorded = run.state.known().get(resource.step, {})
            whose = resource.ownership(run.aws, existing, recorded)
            yield not_ours(run.aws, resource, existing, whose, recorded)


def show(run: Run, seen: Mapping[str, Seen | None]) -> None:
    """Show what is going to be deleted."""
    rows, region = [], run.aws.region
    for resource, identity in reversed(going(run, seen)):
        existing = seen[resource.step]
        known = {**vars(resource), **(existing.outputs if existing else {})}
        run.output.record("to-delete", step=resource.step, kind=resource.kind, id=identity)
        page = console_url(resource.kind, identity, known, region)
        rows.append((resource.step, resource.title, link(identity, page)))
    title = f"{len(rows)} to delete:" if rows else "nothing to delete"
    run.output.table(title, ("step", "what", "id or name"), rows)
    show_companions(run, seen)
    show_passed_over(run, seen)


def show_companions(run: Run, seen: Mapping[str, Seen | None]) -> None:
    """Show what somebody else added to the resources, and what is deleted with them."""
    steps = {resource.step for resource, _ in going(run, seen)}
    for each in companions(run, seen, steps):
        run.output.record("goes-along", step=each.step, what=each.what, keep=each.keep)
        run.output.note(f"goes along: {each}")


def show_calls(run: Run, seen: Mapping[str, Seen | None]) -> None:
    """Show the calls that would delete it."""
    from provision.views.explain import explain_removal  # only who asks for it waits for its import

    explain_removal(run.aws, deletable(run, seen), seen, run.state.known(), run.output)
