"""What AWS has of the environment: every resource is looked up at once; nothing is changed.

What was known last time saves a lookup from waiting for that of its container.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from provision.aws.account import Aws, calling
from provision.engine.outputs import StepOutputs
from provision.errors import ProvisionError
from provision.resources.base import Resource, Seen
from provision.resources.references import bind, references, substitute, unresolved
from provision.state.document import CREATING, moment
from provision.state.state import State
from provision.waiting.poll import PollPolicy, PollResult, Verdict, until

LAG_SECONDS = 15.0  # how long a new resource may stay hidden from a lookup (EC2: usually under 5)


@dataclass
class Discovery:
    """Reads every resource of an environment once; finds them by state, tags and names."""

    aws: Aws
    resources: Sequence[Resource]
    state: State
    poll_policy: PollPolicy

    def __post_init__(self) -> None:
        self._outputs = StepOutputs(threading.Event())
        self._threads = ThreadPoolExecutor(len(self.resources), thread_name_prefix="look")
        self._found: dict[str, Future[Seen | None]] = {}
        self._known: dict[str, dict[str, str]] = {}  # of last time
        self._trusted: dict[str, Resource] = {}  # with references as they were last time

    def begin(self) -> None:
        """Begin to read everything, on threads of its own. Returns at once."""
        self._known = self.state.known()
        self._trusted = {each.step: bind(each, self._known) for each in self.resources}
        listed = (each.listed_with for each in self._trusted.values())
        self.aws.shared.begin_look(each for each in listed if each)
        for each in self.resources:
            self._found[each.step] = self._threads.submit(self._look_at, each)

    def look(self) -> dict[str, Seen | None]:
        """Return each step's resource as AWS has it. Raises what AWS refuses."""
        if not self._found:
            self.begin()
        self._threads.shutdown()
        self.aws.shared.end_look()
        errors = [error for future in self._found.values() if (error := future.exception())]
        if errors:
            raise next((e for e in errors if not isinstance(e, ProvisionError)), errors[0])
        return {step: future.result() for step, future in self._found.items()}

    def close(self) -> None:
        """Abandon what was begun, if nobody has waited for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.aws.shared.end_look()

    def _look_at(self, resource: Resource) -> Seen | None:
        seen = None
        try:
            with calling(resource.step):
                seen = self._find(resource)
            return seen
        finally:
            outputs = {**seen.outputs, **seen.secrets} if seen else {}
            self._outputs.publish(resource.step, outputs, done=True)

    def _find(self, resource: Resource) -> Seen | None:
        last, trusted = self._known.get(resource.step, {}), self._trusted[resource.step]
        containers = references(resource, resource.find_by)
        if not containers:
            return self._patiently(trusted, last)
        seen = None
        guessed = not unresolved([getattr(trusted, name) for name in resource.find_by])
        if guessed:  # the container's identity of last time: ask at once, check it afterwards
            seen = self._patiently(trusted, last)
        self._outputs.wait_for_outputs(containers)
        known = self._outputs.known()
        fields = [substitute(getattr(resource, name), known) for name in resource.find_by]
        if unresolved(fields):
            return None  # its container does not exist
        if guessed and fields == [getattr(trusted, name) for name in resource.find_by]:
            return seen
        return self._patiently(bind(resource, known), last)

    def _patiently(self, bound: Resource, last: Mapping[str, str]) -> Seen | None:
        """Find it; poll for a while if its create was just sent and AWS does not show it."""
        return find_patiently(
            bound, self.aws, last, poll_policy=self.poll_policy, fresh=self._fresh(bound.step)
        )

    def _fresh(self, step: str) -> bool:
        """Return whether a create of this step was sent lately, with an unknown outcome."""
        entry = self.state.steps.get(step)
        if entry is None or entry.phase != CREATING:
            return False
        since = moment(entry.since)
        if since is None:
            return False
        age = datetime.datetime.now(datetime.UTC) - since
        return age.total_seconds() < 10 * LAG_SECONDS


def find_patiently(
    bound: Resource, aws: Aws, known: Mapping[str, str], *, poll_policy: PollPolicy, fresh: bool
) -> Seen | None:
    """Return the resource, or None: at once or, if `fresh`, after polling for LAG_SECONDS."""
    found: list[Seen] = []

    def look() -> PollResult:
        aws.shared.look_again()
        if seen := bound.find(aws, known):
            found.append(seen)
        return PollResult(Verdict.READY if found else Verdict.SUSPECT, "", "", LAG_SECONDS)

    if not fresh:
        return bound.find(aws, known)
    try:
        until(look, what=bound.step, poll_policy=poll_policy, report=lambda *_: None)
    except ProvisionError:
        if poll_policy.stop.is_set():
            raise
    return found[0] if found else None
