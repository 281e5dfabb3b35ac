"""What runs of the rehearsal show, added up: rehearsed.json, with which `report` compares AWS."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from provision.aws.observation.document import Run
from provision.aws.observation.things import is_read
from provision.verify.field.rehearsed import episodes, profile, steps

LEAST_SEEN = 4  # how often a thing has to be seen before "always" is said of it


def summary(
    runs: Collection[Run], relied_on: Mapping[str, Iterable[str]], codes: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Return what these runs of the rehearsal show, in the form of rehearsed.json.

    `relied_on` are the members of each call's answers without which the product fails, `codes` the
    error codes that the rehearsal can play, by service.
    """
    return {
        "runs": len(runs),
        "kinds": _kinds(runs),
        "statuses": _statuses(runs),
        "refusals": _refusals(runs),
        "orders": _orders(runs),
        "members": _members(runs),
        "relied_on": {call: sorted(paths) for call, paths in sorted(relied_on.items())},
        "codes": dict(sorted(codes.items())),
    }


def _kinds(runs: Iterable[Run]) -> dict[str, dict[str, list[str]]]:
    """Return which kinds of things a whole creation and a whole deletion show."""
    counts: dict[str, Counter[str]] = {"create": Counter(), "delete": Counter()}
    seen: Counter[str] = Counter()
    for run in runs:
        if name := profile(run):
            counts[name].update({kind for kind, _, _ in episodes(run)})
            seen[name] += 1
    return {name: _split(each, seen[name]) for name, each in counts.items()}


def _statuses(runs: Iterable[Run]) -> dict[str, Any]:
    found: dict[str, dict[str, dict[str, Counter[str]]]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for kind, trigger, statuses in episodes(run):
            row = found.setdefault(kind, {}).setdefault(
                trigger, {"statuses": Counter(), "steps": Counter()}
            )
            row["statuses"].update(set(statuses))
            row["steps"].update(set(steps(statuses)))
            seen[kind, trigger] += run["ok"] is True
    return {
        kind: {
            trigger: {
                name: _split(counts, seen[kind, trigger]) for name, counts in sorted(row.items())
            }
            for trigger, row in sorted(by_trigger.items())
        }
        for kind, by_trigger in sorted(found.items())
    }


def _split(counts: Mapping[str, int], seen: int) -> dict[str, list[str]]:
    """Return what was there each time, and what was there sometimes."""
    always = {name for name, count in counts.items() if count >= seen >= LEAST_SEEN}
    return {"always": sorted(always), "sometimes": sorted(set(counts) - always)}


def _refusals(runs: Collection[Run]) -> dict[str, Any]:
    words: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    called: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str, str]] = Counter()
    for run in runs:
        for refusal in run["refusals"]:
            words[refusal["call"]][refusal["code"]].add(refusal["words"])
        if name := profile(run):
            for call, counts in run["calls"].items():
                called[name, call] += 1
                refused.update((name, call, code) for code in counts if code)
    return {
        call: {
            code: {
                "words": sorted(texts),
                "always": [
                    name
                    for name in ("create", "delete")
                    if not is_read(call)  # which reads are made is the product's own matter
                    and refused[name, call, code] >= called[name, call] >= LEAST_SEEN
                ],
            }
            for code, texts in sorted(by_code.items())
        }
        for call, by_code in sorted(words.items())
    }


def _orders(runs: Iterable[Run]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for run in runs:
        for call, kind, status, _ in run["orders"]:
            found.setdefault(call, {}).setdefault(kind, set()).add(status)
    return {
        call: {kind: sorted(statuses) for kind, statuses in sorted(kinds.items())}
        for call, kinds in sorted(found.items())
    }


def _members(runs: Iterable[Run]) -> dict[str, Any]:
    counts: dict[str, dict[str, Counter[str]]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for call, by_status in run["members"].items():
            for status, paths in by_status.items():
                counts.setdefault(call, {}).setdefault(status, Counter()).update(paths)
                seen[call, status] += 1
    return {
        call: {
            status: _split(paths, seen[call, status]) for status, paths in sorted(by_status.items())
        }
        for call, by_status in sorted(counts.items())
    }
