"""How the AWS of a run differs from the rehearsal: pure functions over the record of the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from provision.aws.advice import DENIED, THROTTLED
from provision.aws.observation.document import Run
from provision.aws.observation.masking import masked
from provision.verify.field.rehearsed import BEFORE, episodes, profile, rehearsed, steps
from provision.verify.field.stretches import measured
from provision.waiting.transient_errors import TABLE

STATUS, DURATION, ERROR, MEMBER, ORDER = "status", "duration", "error", "member", "order"
AT_AWS_SPEED = 1.0
NEVER, ALWAYS = "never", "always"
ANY = ".*"  # the code of a row that goes by words alone


@dataclass(frozen=True)
class Difference:
    """One thing that AWS did otherwise.

    `sort` is status, duration, error, member or order; `where` is a call or a kind of thing, `what`
    is about what of it; then what AWS did, and what the rehearsal does.
    """

    sort: str
    where: str
    what: str
    aws: str
    rehearsal: str

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON shows it."""
        return asdict(self)


def differences(run: Run) -> list[Difference]:
    """Return how the AWS of a run differed from the rehearsal, each difference once."""
    found = [*statuses(run), *durations(run), *errors(run), *members(run), *orders(run)]
    return list(dict.fromkeys(found))


# --- statuses and their order ---------------------------------------------------------------------


def statuses(run: Run) -> Iterator[Difference]:
    """Yield statuses that are never played, and those that AWS left out."""
    seen: dict[tuple[str, str], list[list[str]]] = {}
    for kind, trigger, names in episodes(run):
        seen.setdefault((kind, trigger), []).append(names)
    for (kind, trigger), each in seen.items():
        known = rehearsed()["statuses"].get(kind, {})
        here = known.get(trigger)
        after = f" after {trigger}" if trigger else ""
        played = _names(known.values() if here is None else [here], "statuses")
        anywhere = _names(known.values(), "statuses")
        shown = {name for names in each for name in names}
        for name in sorted(shown - (played if trigger else anywhere)):
            does = f"shown, but not{after}" if name in anywhere else NEVER
            yield Difference(STATUS, kind, f"{name}{after}", "shown", does)
        if here is None or not run["ok"] or not trigger:
            continue
        for name in here["statuses"][ALWAYS]:
            if name not in shown:
                yield Difference(STATUS, kind, f"{name}{after}", "never shown", ALWAYS)
    kinds = {kind for kind, _ in seen}
    for kind in rehearsed()["kinds"].get(profile(run), {}).get(ALWAYS, ()):
        if kind not in kinds:
            yield Difference(STATUS, kind, "any", "never shown", ALWAYS)


def _names(rows: Iterable[Mapping[str, Any]], what: str) -> set[str]:
    return {name for row in rows for names in row[what].values() for name in names}


def orders(run: Run) -> Iterator[Difference]:
    """Yield statuses that followed one another otherwise, and calls accepted at another time."""
    for kind, trigger, names in episodes(run):
        here = rehearsed()["statuses"].get(kind, {}).get(trigger)
        if here is None or not trigger:
            continue
        played = {*here["steps"][ALWAYS], *here["steps"]["sometimes"]}
        known = _names([here], "statuses")
        for step in steps(names):
            if step not in played and set(step.split(BEFORE)) <= known:
                yield Difference(ORDER, kind, f"{step} after {trigger}", "seen", NEVER)
    for call, kind, status, _ in run["orders"]:
        known = set(rehearsed()["orders"].get(call, {}).get(kind, ()))
        if known and status and status not in known:
            yield Difference(ORDER, call, f"accepted while {kind} is {status}", "seen", NEVER)


# --- durations ------------------------------------------------------------------------------------


def durations(run: Run) -> Iterator[Difference]:
    """Yield durations outside of what the rehearsal draws. Only at AWS's own speed."""
    if run["speed"] != AT_AWS_SPEED:
        return
    worst: dict[tuple[str, str], Difference] = {}
    for each in measured(run):
        if outside := each.outside:
            least, most = each.spread
            took = each.at_least if outside == "above" else each.at_most or 0.0
            bound = "at least" if outside == "above" else "at most"
            worst[each.duration, outside] = Difference(
                DURATION,
                each.what,
                each.duration,
                f"{bound} {took:.0f} s",
                f"{least:g} to {most:g} s",
            )
    yield from worst.values()


# --- errors ---------------------------------------------------------------------------------------


def errors(run: Run) -> Iterator[Difference]:
    """Yield errors that no row knows, words that are other ones, and refusals that stayed away."""
    for refusal in run["refusals"]:
        call, code, words = refusal["call"], refusal["code"], refusal["words"]
        if does := unknown(call, code, words):
            yield Difference(ERROR, call, f"{code}: {words}", "answered", does)
    name = profile(run)
    for call, by_code in rehearsed()["refusals"].items():
        counts = run["calls"].get(call, {})
        for code, row in by_code.items():
            if name in row[ALWAYS] and counts and code not in counts:
                yield Difference(ERROR, call, code, "never answered", ALWAYS)


def unknown(call: str, code: str, words: str) -> str:
    """Return in which way neither the rehearsal nor transient_errors.py knows a refusal; else "".

    Where a row of the table goes by words, a message with other words is another refusal.
    """
    if code in DENIED | THROTTLED:
        return ""
    service, _, operation = call.partition(":")
    rows = [
        row for row in TABLE
        if re.fullmatch(row.operation, operation) and re.fullmatch(row.code, code)
    ]  # fmt: skip
    if any(masked(row.words).lower() in words.lower() for row in rows):
        return ""
    played = rehearsed()["refusals"].get(call, {}).get(code)
    by_words = any(row.code != ANY for row in rows)
    if by_words:
        return "" if played and words in played["words"] else "in other words"
    return "" if played or code in rehearsed()["codes"].get(service, ()) else NEVER


# --- members --------------------------------------------------------------------------------------


def members(run: Run) -> Iterator[Difference]:
    """Yield members that AWS left out of an answer, and the rehearsal never does."""
    missing: dict[tuple[str, str], str] = {}
    for call, by_status in run["members"].items():
        for status, paths in by_status.items():
            known = rehearsed()["members"].get(call, {}).get(status)
            for path in _topmost(set(known[ALWAYS]) - set(paths)) if known else ():
                missing.setdefault((call, path), status)
    for (call, path), status in missing.items():
        relied = path in rehearsed()["relied_on"].get(call, ())
        at = f" while {status}" if status and not status.startswith("(") else ""
        does = "always present, and needed" if relied else "always present"
        yield Difference(MEMBER, call, f"{path}{at}", "left out", does)


def _topmost(paths: set[str]) -> Iterator[str]:
    """Yield the paths that are not within another of them."""
    for path in sorted(paths):
        parts = path.split(".")
        if not any(".".join(parts[:end]) in paths for end in range(1, len(parts))):
            yield path


def left_out(run: Run) -> dict[str, list[str]]:
    """Return the members that AWS has in an answer and the rehearsal never, by call."""
    found: dict[str, list[str]] = {}
    for call, by_status in run["members"].items():
        known = rehearsed()["members"].get(call)
        if known is not None:
            played = {path for row in known.values() for names in row.values() for path in names}
            more = {path for paths in by_status.values() for path in paths} - played
            if more:
                found[call] = list(_topmost(more))
    return found
