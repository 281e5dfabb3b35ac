"""Takes one resource away, and waits until AWS no longer finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provision.aws.account import Aws, calling
from provision.engine.plan import not_ours
from provision.errors import AwsCallError, UnsureError
from provision.resources.base import AwsMadeResource, DeletableResource, Seen
from provision.state import document as phases
from provision.state.state import State
from provision.waiting.poll import PollPolicy, PollResult, Tell, Verdict, until
from provision.waiting.transient_errors import passing


@dataclass
class Remover:
    """Removes one resource. `tell` hears AWS's status, and what keeps it from going.

    `begin` is called once, when AWS first shows the resource; nothing is told before.
    """

    aws: Aws
    state: State
    poll_policy: PollPolicy
    resource: DeletableResource  # bound: each reference that is known replaced
    tell: Tell
    begin: Callable[[], None]
    _asked: bool = field(default=False, init=False)
    _existed: bool = field(default=False, init=False)

    def remove(self, known: Mapping[str, str]) -> bool:
        """Delete the resource. `known` has its outputs, so that nothing else is taken for it.

        Returns, when AWS finds it no more, whether it existed. Raises ForeignResource,
        ProvisionError for one that is protected, WaitTimeout, Interrupted, or what AWS refuses.
        """

        def look() -> PollResult:
            with calling(self.resource.step):
                return self._look(known)

        what, usual = f"{self.resource.step} (deleting)", self.resource.typical_gone_seconds
        until(look, what=what, poll_policy=self.poll_policy, tell=self._tell, usual=usual)
        self.state.forget(self.resource.step)
        return self._existed

    def _tell(self, status: str, reason: str = "") -> None:
        if self._existed:
            self.tell(status, reason)

    def _look(self, known: Mapping[str, str]) -> PollResult:
        seen = self._find(known)
        if seen is not None and not self._existed:
            self._existed = True
            self.begin()
        if seen is not None and self.resource.deletable(seen):
            refused = self._delete(seen, known)
            if refused is not None:
                return refused
            seen = self._find(known)  # most are gone at once
        if seen is None:
            return PollResult(Verdict.READY, "gone")
        return PollResult(Verdict.WAIT, seen.status or "deleting", seen.reason)

    def _find(self, known: Mapping[str, str]) -> Seen | None:
        """Return the very thing that is to be deleted; another that is found in its place stays."""
        seen = self.resource.find(self.aws, known)
        if seen is not None and self.resource.same_id(seen, known) is False:
            return None
        return seen

    def _delete(self, seen: Seen, known: Mapping[str, str]) -> PollResult | None:
        """Ask for the deletion. Returns what stands in its way for now, if anything does."""
        whose = self.resource.ownership(self.aws, seen, known)
        if not whose.ours:
            recorded = self.state.known().get(self.resource.step, {})
            raise not_ours(self.aws, self.resource, seen, whose, recorded)
        if not self._asked and not isinstance(self.resource, AwsMadeResource):
            self.state.begin(self.resource.step, phases.DELETING)
        try:
            with calling(self.resource.step):
                self.resource.delete(self.aws, seen)
        except UnsureError as error:
            return PollResult(Verdict.WAIT, "unsure", str(error))
        except AwsCallError as error:
            row = passing(error)
            if row is None:
                raise
            blockers = self.resource.blocked_by(self.aws, seen)
            return PollResult(Verdict.SUSPECT, "in use", blockers or row.because, row.seconds)
        self._asked = True
        return None
