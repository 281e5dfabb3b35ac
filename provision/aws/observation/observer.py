"""What AWS did in a run, recorded by a botocore hook for each answer.

Kept are counts, error codes, AWS's words without whatever may be a name, statuses with times, and
which members answers have. No id, no name and no value of a member is kept.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from provision.aws.observation.things import (
    BEGINS,
    GONE,
    PLACES,
    RELATED,
    StatusKind,
    identity_of,
    is_read,
    status_of,
    things_in,
)

NEW = "(new)"  # the status of a thing before a call that creates it
ASKED = "provision_asked"  # the call's parameters and when it began, in botocore's context
PAGING = {"Marker", "MaxRecords", "MaxItems", "MaxResults", "NextToken"}
MOST_THINGS = 500  # of an account that somebody else fills: the rest is not followed
MOST_MESSAGES = 200

Listing = tuple[str, str]  # the call, and what it asked for
ThingKey = tuple[str, tuple[str, ...]]  # the kind, and what tells a thing from others of it


# Plain classes: making dataclasses costs more than all that a second `up` observes.


class Episode:
    """The statuses of a resource since a call; times in seconds since the run began.

    `statuses` are (status, time of the poll before it, first seen, last seen).
    """

    def __init__(self, trigger: str, at: float) -> None:
        self.trigger = trigger
        self.at = at
        self.statuses: list[tuple[str, float, float, float]] = []


class Followed:
    """A resource with a status; `number` counts the resources of its kind."""

    def __init__(self, kind: StatusKind, number: int, *, looked: float) -> None:
        self.kind = kind
        self.number = number
        self.episodes: list[Episode] = []
        self.looked = looked

    @property
    def status(self) -> str:
        """The last status."""
        return next((each.statuses[-1][0] for each in reversed(self.episodes) if each.statuses), "")


class Refusals:
    """AWS's refusals of one call with one code and message."""

    def __init__(self, *, first: float) -> None:
        self.count = 0
        self.first = first
        self.last = first
        self.accepted: float | None = None  # when AWS accepted the call after the first of them


class Observer:
    """Receives every answer of the clients that it watches. Thread-safe.

    `speed` is how many of AWS's seconds pass in one of ours: a rehearsal's.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        # How many answers of each call had which code ("" = accepted).
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self.accepted: dict[str, list[float]] = {}  # call that changes something -> first, last
        self.refusals: dict[tuple[str, str, str], Refusals] = {}
        self.things: dict[ThingKey, Followed] = {}
        self.orders: Counter[tuple[str, str, str]] = Counter()
        self.members: dict[tuple[str, str], set[str]] = {}
        self._open: dict[str, list[Refusals]] = {}  # refusals of a call that is not accepted yet
        self._listed: dict[Listing, set[ThingKey]] = {}
        self._pages: dict[tuple[int, Listing], set[ThingKey]] = {}
        self._zero = time.monotonic()
        self.lock = threading.Lock()

    def watch(self, client: Any, service: str) -> None:
        """Receive every answer of this client from now on."""
        events, model = client.meta.events, client.meta.service_model
        name = model.service_id.hyphenize()

        def answered(
            event_name: str, parsed_response: Any, context: dict[str, Any], **_: Any
        ) -> None:
            if isinstance(parsed_response, dict):
                operation = event_name.rpartition(".")[2]
                asked, began = context.get(ASKED, ({}, None))
                shape = model.operation_model(operation).output_shape
                self.heard(f"{service}:{operation}", parsed_response, asked, shape, began=began)

        def asked(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
            context[ASKED] = params, self.at()

        events.register(f"response-received.{name}", answered)
        for call in PLACES:
            if call.startswith(f"{service}:"):
                operation = call.partition(":")[2]
                events.register(f"provide-client-params.{name}.{operation}", asked)

    def at(self) -> float:
        """Return AWS's seconds since the run began."""
        return (time.monotonic() - self._zero) * self.speed

    def heard(
        self,
        call: str,
        answer: Mapping[str, Any],
        asked: Mapping[str, Any],
        shape: Any = None,
        *,
        began: float | None = None,
    ) -> None:
        """Add an answer up: `call` as "rds:CreateDBProxy", its parameters, the answer's model.

        `began` is when the call began. What it says of a thing that another call changed since
        then may be older than that change, and does not count.
        """
        now = self.at()
        began = now if began is None else began
        error = answer.get("Error")
        code = str(error.get("Code") or "?") if isinstance(error, Mapping) and error else ""
        with self.lock:
            self.calls[call][code] += 1
            if code:
                self._refused(call, code, str(answer["Error"].get("Message") or ""), asked, now)
                return
            changes = not is_read(call)
            if changes or call in self._open:
                self._accepted(call, now, changes=changes)
            status = self._things(call, answer, asked, now, began) if call in PLACES else ""
            if shape is not None:
                self._members(call, status, answer, shape)

    # --- refusals ---------------------------------------------------------------------------------

    def _refused(
        self, call: str, code: str, message: str, asked: Mapping[str, Any], now: float
    ) -> None:
        key = (call, code, message)
        if key not in self.refusals and len(self.refusals) >= MOST_MESSAGES:
            key = (call, code, "")
        refusal = self.refusals.get(key)
        if refusal is None:
            refusal = self.refusals[key] = Refusals(first=now)
            self._open.setdefault(call, []).append(refusal)
        refusal.count, refusal.last = refusal.count + 1, now
        if "NotFound" in code and call in PLACES:  # of what was listed before
            self._complete((call, repr(sorted(asked.items()))), set(), now)

    def _accepted(self, call: str, now: float, *, changes: bool) -> None:
        if changes:
            self.accepted.setdefault(call, [now, now])[1] = now
        for refusal in self._open.pop(call, ()):
            refusal.accepted = now
        if kind := BEGINS.get(call):
            for thing in self.things.values():
                if thing.kind is kind:
                    thing.episodes.append(Episode(call, now))
                    thing.looked = now
        if related := RELATED.get(call):
            for thing in self.things.values():
                if thing.kind.name == related:
                    self.orders[call, related, thing.status] += 1

    # --- things -----------------------------------------------------------------------------------

    def _things(
        self,
        call: str,
        answer: Mapping[str, Any],
        asked: Mapping[str, Any],
        now: float,
        began: float,
    ) -> str:
        """Record the resources in an answer. Returns the status of the first, or ""."""
        changes = not is_read(call)
        wanted = {name: asked[name] for name in asked if name not in PAGING}
        first, found = "", set()
        for kind, thing in things_in(call, answer):
            status, identity = status_of(kind, thing), identity_of(kind, thing, asked)
            first = first or status
            if status and identity is not None:
                found.add((kind.name, identity))
                followed = self.things.get((kind.name, identity))
                ours = changes or bool(wanted)
                if followed is None and ours and len(self.things) < MOST_THINGS:
                    number = 1 + sum(each.kind is kind for each in self.things.values())
                    followed = Followed(kind, number, looked=now)
                    self.things[kind.name, identity] = followed
                if followed is not None:
                    self._see(call, followed, status, now, began)
        if not changes:
            self._page((call, repr(sorted(wanted.items()))), answer, asked, found, now)
        return first

    def _see(self, call: str, thing: Followed, status: str, now: float, began: float) -> None:
        if not is_read(call):
            before = thing.status or (NEW if "Create" in call else "")
            self.orders[call, thing.kind.name, before] += 1
            thing.episodes.append(Episode(call, now))
            thing.looked = now
        elif not thing.episodes:
            thing.episodes.append(Episode("", now))
        elif thing.episodes[-1].trigger and began < thing.episodes[-1].at:
            return
        self._note(thing, status, now)

    @staticmethod
    def _note(thing: Followed, status: str, now: float) -> None:
        statuses = thing.episodes[-1].statuses
        if statuses and statuses[-1][0] == status:
            statuses[-1] = (*statuses[-1][:3], now)
        elif thing.status != GONE or status != GONE:
            statuses.append((status, thing.looked, now, now))
        thing.looked = now

    def _page(
        self,
        listing: Listing,
        answer: Mapping[str, Any],
        asked: Mapping[str, Any],
        found: set[ThingKey],
        now: float,
    ) -> None:
        """Add a page up; after the last one, what is no longer listed counts as deleted."""
        key = (threading.get_ident(), listing)  # a thread reads one list after another
        earlier = self._pages.pop(key, set())
        if asked.get("Marker") or asked.get("NextToken"):
            found |= earlier
        if answer.get("Marker") or answer.get("NextToken"):
            self._pages[key] = found
            return
        self._complete(listing, found, now)

    def _complete(self, listing: Listing, found: set[ThingKey], now: float) -> None:
        for key in self._listed.get(listing, set()) - found:
            if (thing := self.things.get(key)) and thing.status != GONE:
                self._note(thing, GONE, now)
        if found or listing in self._listed:
            self._listed[listing] = found

    # --- members ----------------------------------------------------------------------------------

    def _members(self, call: str, status: str, answer: Mapping[str, Any], shape: Any) -> None:
        """Record which members the first answer of its kind has."""
        if not status and any(each == [] for each in answer.values()):
            status = "(empty)"
        if (call, status) not in self.members:
            found = self.members[call, status] = set()
            walk(answer, shape, "", found.add)


def walk(value: Any, shape: Any, path: str, found: Callable[[str], None]) -> None:
    """Report the path of each member of a structure that the model knows; never a map's keys."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, member in shape.members.items():
            empty: tuple[Any, ...] = (
                (None, "", []) if member.type_name == "map" else (None, "", [], {})
            )
            if value.get(name) not in empty:  # of XML, botocore makes [] of a list that is missing
                at = f"{path}.{name}" if path else name
                found(at)
                walk(value[name], member, at, found)
    elif shape.type_name == "list" and isinstance(value, list):
        for each in value:
            walk(each, shape.member, path, found)
