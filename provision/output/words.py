"""Plans, tables, summaries and durations in words: what plain and live output share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from provision.output.base import Summary
from provision.plan import Action, Plan, Planned
from provision.resources.base import Change

SIGNS = {
    Action.CREATE: "+",
    Action.ADOPT: "=",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.NONE: " ",
}


def duration(seconds: float) -> str:
    """Return a time span as a person says it: 0.4 s, 12 s, 3m05s, 1h02m."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield a plan: a line for each step at which there is something to do, its changes below."""
    for each in plan.to_do:
        yield step_line(each)
        for change in each.changes:
            yield f"        {change_line(change)}"
    counts = {action: sum(each.action is action for each in plan.steps) for action in Action}
    if not plan.to_do:
        yield "nothing to do: everything is as it should be"
        return
    yield "plan: " + ", ".join(
        f"{counts[action]} to {action.value}"
        for action in (Action.CREATE, Action.ADOPT, Action.UPDATE, Action.REPLACE)
        if counts[action]
    ) + f", {len(plan.steps) - len(plan.to_do)} to leave"


def step_line(planned: Planned) -> str:
    """Return one step of a plan."""
    resource = planned.resource
    name = f"  {resource.name}" if resource.name else ""
    return f"  {SIGNS[planned.action]:>3} {planned.step:<24} {resource.title}{name}"


def change_line(change: Change) -> str:
    """Return one change as `property: is -> should`."""
    shown = change.as_dict()
    text = f"{change.property}: {value(shown['is'])} -> {value(shown['should'])}"
    return text + ("  (AWS cannot change this in place)" if change.replaces else "")


def value(thing: Any) -> str:
    """Return a property's value as a person reads it."""
    if thing is None:
        return "nothing"
    if isinstance(thing, list | tuple):
        return ", ".join(str(each) for each in thing) or "none"
    return str(thing)


def table_lines(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table in columns as wide as their widest cell. Nothing is cut or folded."""
    if title:
        yield title
    cells = [columns, *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def summary_lines(summary: Summary) -> Iterator[str]:
    """Yield how a command ended: what happened, the URLs, what it costs, what to type next."""
    counted = [
        f"{number} {word}"
        for word in ("created", "adopted", "updated", "deleted", "unchanged")
        if (number := getattr(summary, word))
    ]
    verdict = "done" if summary.ok else "NOT DONE"
    happened = ", ".join(counted) or "nothing to do"
    yield f"{summary.command}: {verdict} in {duration(summary.seconds)}: {happened}"
    if summary.url:
        yield f"  password login  {summary.url}/func1"
        yield f"  IAM login       {summary.url}/func2"
    yield from (f"  {note}" for note in summary.notes)
    if summary.next_commands:
        yield "next:"
        width = max(len(command) for command, _ in summary.next_commands)
        for command, does in summary.next_commands:
            yield f"  {command:<{width}}  {does}"
