"""Plans, changes, tables, errors, summaries and durations in words: plain and live say the same."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from provision.engine.events import Summary
from provision.engine.plan import Action
from provision.errors import AwsCallError, CheckFailed, ProvisionError
from provision.resources.base import HIDDEN, Change, ManagedResource
from provision.views.parts import folded_lines
from provision.views.spelling import spelled
from provision.views.style import Meaning, Piece, Styled, link, signed, styled

if TYPE_CHECKING:
    from provision.engine.plan import Plan, Planned


class Wording(NamedTuple):
    """An action of a plan in words: at a step, and in the figures."""

    verb: str
    result: str
    meaning: Meaning


ACTIONS = {
    Action.CREATE: Wording("create", "to create", Meaning.CREATED),
    Action.ADOPT: Wording("adopt", "to adopt", Meaning.CHANGED),
    Action.UPDATE: Wording("update", "to change", Meaning.CHANGED),
    Action.REPLACE: Wording("REPLACE", "to replace", Meaning.DELETED),
    Action.NONE: Wording("leave", "unchanged", Meaning.UNCHANGED),
}
MINUTE = 60  # seconds
HOUR = 60  # minutes
IN_TENTHS = 9.95  # seconds: below, a duration shows tenths (9.95 rounds to 10)
IN_SECONDS = 59.5  # seconds: below, a duration shows no minutes
LEFT_IN_MINUTES = 90  # seconds: from here on the time left is in minutes
LEFT_EXACT = 10  # seconds: below, the time left is not rounded to 5
LONG_VALUES = 60  # characters of both values together, above which a change is shown as a diff


# --- durations ------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """Return a time span as a person says it: 0.4 s, 12 s, 3m05s, 1h02m."""
    if seconds < IN_TENTHS:
        return f"{seconds:.1f} s"
    if seconds < IN_SECONDS:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    if minutes < HOUR:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, HOUR)
    return f"{hours}h{minutes:02d}m"


def time_left(low: float, high: float) -> str:
    """Return a range of seconds as words: `about 3 to 8 min left`, `up to 20 s left`.

    An infinite `high` means that what is waited for has taken longer than it ever should.
    """
    if math.isinf(high):
        return "taking longer than usual"
    if high >= LEFT_IN_MINUTES:
        size, unit = MINUTE, "min"
    else:
        size, unit = (1, "s") if high < LEFT_EXACT else (5, "s")
    scale = MINUTE if unit == "min" else 1
    least = math.floor(low / size) * size // scale
    most = max(1, math.ceil(high / size) * size // scale)
    if least <= 0:
        return f"up to {most} {unit} left"
    return f"about {least} to {most} {unit} left" if least < most else f"about {most} {unit} left"


# --- plans ----------------------------------------------------------------------------------------


def plan_lines(plan: Plan, folded: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a line for each step at which there is something to do, its changes below.

    With `folded`, the part of each step, what is created is shown by parts.
    """
    if folded:
        yield from folded_lines(plan, folded)
    shown = [each for each in plan.to_do if not (folded and each.action is Action.CREATE)]
    width = max((len(each.step) for each in shown), default=0)
    for each in shown:
        yield step_line(each, width)
        for change in each.changes:
            yield from ("      " + line for line in change_lines(change))
    yield from (Styled(signed(Meaning.UNCHANGED, "keep   "), f"  {text}") for text in plan.kept)


def plan_result(plan: Plan) -> str:
    """Return what a plan comes to, in figures."""
    counts = Counter(each.action for each in plan.counted)
    shown: list[Piece | str] = []
    for action, words in ACTIONS.items():
        if counts[action] or action is not Action.ADOPT:
            meaning = words.meaning if counts[action] else Meaning.UNCHANGED
            text = f"{words.meaning.sign} {counts[action]} {words.result}"
            shown += [", " if shown else "Plan: ", Piece(text, meaning)]
    return Styled(*shown)


def step_line(planned: Planned, width: int = 0) -> str:
    """Return one step of a plan; what a replacement loses is said with it."""
    resource = planned.resource
    words = ACTIONS[planned.action]
    does = signed(words.meaning, f"{words.verb:<7}")
    line = f"  {planned.step:<{width}}  {resource.title}"
    if resource.name:
        line += f" {resource.name}"
    if planned.action is Action.REPLACE and isinstance(resource, ManagedResource):
        loses = ", ITS DATA IS LOST" if resource.holds_data else ""
        return Styled(does, line, Piece(f": deleted and created again{loses}", Meaning.BAD))
    return Styled(does, line)


# --- changes --------------------------------------------------------------------------------------


def change_lines(change: Change) -> Iterator[str]:
    """Yield one change as `property: is -> should`, or as a diff where the values are long."""
    if change.sensitive:
        yield f"{change.property}: {HIDDEN}"
        return
    ends = "  (AWS cannot change this in place)" if change.replaces else ""
    yield from difference(change.property, change.is_, change.should, ends)


def difference(name: str, is_: Any, should: Any, ends: str = "") -> Iterator[str]:
    """Yield how a property differs; of two mappings only the entries that do."""
    before, after = value(is_), value(should)
    if len(before) + len(after) <= LONG_VALUES:
        is_part, should_part = Piece(before, Meaning.DELETED), Piece(after, Meaning.CREATED)
        yield Styled(f"{name}: ", is_part, " -> ", should_part, ends)
        return
    existing, wanted = structured(is_), structured(should)
    if isinstance(existing, dict) and isinstance(wanted, dict):
        for key in sorted(existing.keys() | wanted.keys()):
            if existing.get(key) != wanted.get(key):
                yield from difference(f"{name}.{key}", existing.get(key), wanted.get(key), ends)
    elif existing is None and wanted is None:
        yield f"{name}:{ends}"
        yield "  " + signed(Meaning.DELETED, before)
        yield "  " + signed(Meaning.CREATED, after)
    else:
        yield f"{name}:{ends}"
        yield from ("  " + line for line in diff_lines(existing, wanted))


def diff_lines(before: Any, after: Any) -> Iterator[str]:
    """Yield what differs between two values, in JSON: `-` as it is, `+` as it should be.

    A line before and after each difference is kept; `...` stands for what is the same.
    """
    import difflib

    is_, should = pretty(before).splitlines(), pretty(after).splitlines()
    for line in difflib.unified_diff(is_, should, n=1, lineterm=""):
        if line.startswith(("---", "+++", "@@ -0,", "@@ -1,")):
            continue  # the names of the two, and a difference right at the beginning
        meaning = {"-": Meaning.DELETED, "+": Meaning.CREATED}.get(line[0], Meaning.PLAIN)
        text = "..." if line.startswith("@@") else f"{line[0]} {line[1:]}"
        yield styled(text, meaning)


def pretty(thing: Any) -> str:
    """Return a value over several lines, its keys in order; nothing for None."""
    if thing is None:
        return ""
    return json.dumps(thing, indent=2, sort_keys=True, default=str, ensure_ascii=False)


def structured(thing: Any) -> Any:
    """Return a mapping or list, also one that comes as JSON text; None for anything else."""
    if isinstance(thing, str) and thing.lstrip().startswith(("{", "[")):
        try:
            thing = json.loads(thing)
        except ValueError:
            return None
    if isinstance(thing, Mapping):
        return dict(thing)
    return list(thing) if isinstance(thing, list | tuple) else None


def value(thing: Any) -> str:
    """Return a property's value as a person reads it, on one line."""
    if thing is None:
        return "nothing"
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, Mapping):
        return json.dumps(dict(thing), sort_keys=True, default=str, ensure_ascii=False)
    if isinstance(thing, list | tuple):
        return ", ".join(value(each) for each in thing) or "none"
    return str(thing) or '""'


# --- errors ---------------------------------------------------------------------------------------


def error_lines(error: ProvisionError) -> Iterator[str]:
    """Yield an error, and under it what to do next."""
    if not (isinstance(error, CheckFailed) and error.tabled):
        first, *rest = error.message.split("\n") if error.message else [type(error).__name__]
        yield Styled(Piece("error:", Meaning.BAD), " ", Piece(first, Meaning.READ))
        yield from (f"       {line}" for line in rest)
    if error.next_step:
        yield Styled(Piece("next:", Meaning.READ), f"  {error.next_step}")


def failure_line(step: str, error: ProvisionError) -> str:
    """Return why a step failed: the call, AWS's code and AWS's message, where AWS said no."""
    if isinstance(error, AwsCallError):
        answer = error.answer
        why = f"{answer.operation} answered {answer.code}: {answer.message}"
    else:
        why = error.message.removeprefix(f"{step}: ")
    return Styled(f"{step}: ", Piece("FAILED", Meaning.BAD), f": {why}")


# --- results --------------------------------------------------------------------------------------


def summary_lines(summary: Summary) -> Iterator[str]:
    """Yield how a command ended: what happened, the URLs, what it costs, what to type next."""
    verdict = summary.verdict or f"{summary.command}: {ending(summary)}"
    if isinstance(verdict, Styled):  # it has signs of its own
        yield verdict
    else:
        yield signed(Meaning.GOOD if summary.ok else Meaning.BAD, verdict)
    if summary.url and summary.lasting:
        for login, path in (("password login", "func1"), ("IAM login", "func2")):
            url = f"{summary.url}/{path}"
            yield f"  {login:<14}  " + link(url, url, Meaning.COPY)
    yield from (Styled("  ", note) for note in summary.notes)
    if summary.next_commands:
        yield "next:"
        commands = [(spelled(command), does) for command, does in summary.next_commands]
        width = max(len(command) for command, _ in commands)
        for command, does in commands:
            yield Styled("  ", Piece(f"{command:<{width}}", Meaning.COPY), f"  {does}")


def ending(summary: Summary) -> str:
    """Return how a command ended, in words: `done in 12 s: 36 created`."""
    took = duration(summary.seconds)
    found = summary.happened
    if isinstance(summary.error, CheckFailed):
        found = summary.error.verdict
    counts = counts_in_words(summary)
    if found:
        return f"{found} ({', '.join(filter(None, (took, counts)))})"
    how = "done in" if summary.ok else "failed after"
    return f"{how} {took}" + (f": {counts}" if counts else "")


def some_fail(number: int, of: int, what: str) -> str:
    """Return how many of some things fail: `1 of 3 routes fails`."""
    return f"{number} of {of} {what} {'fails' if number == 1 else 'fail'}"


def counts_in_words(summary: Summary) -> str:
    """Return what happened to how many resources, or ""."""
    counted = [
        f"{number} {word}"
        for word in ("created", "adopted", "updated", "deleted")
        if (number := getattr(summary, word))
    ]
    if summary.unchanged:
        counted += [f"{summary.unchanged} unchanged"] if counted else []
        return ", ".join(counted) or f"nothing changed, {summary.unchanged} up to date"
    return ", ".join(counted)
