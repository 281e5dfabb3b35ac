"""Takes one resource away, and waits until AWS no longer finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provision.aws.account import Aws, calling
from provision.aws.advice import DENIED, THROTTLED
from provision.engine.application import changing
from provision.engine.plan import not_ours
from provision.errors import AwsCallError, UnsureError
from provision.resources.base import AwsMadeResource, DeletableResource, Seen
from provision.state import document as phases
from provision.state.state import State
from provision.waiting.poll import PollPolicy, PollResult, StatusReport, Verdict, until
from provision.waiting.transient_errors import passing

LASTING_SECONDS = 60.0  # how long what does not go by itself is given, since AWS's lists lag
NO_USE_ASKING = DENIED | THROTTLED
LATER = "Run the same command again: it continues with what is left. Or raise wait.timeout_minutes."


@dataclass
class Remover:
    """Removes one resource. `report` gets AWS's status, and what keeps it from being deleted.

    `begin` is called once, when AWS first shows the resource; nothing is reported before.
    """

    aws: Aws
    state: State
    poll_policy: PollPolicy
    resource: DeletableResource  # bound: each reference that is known replaced
    report: StatusReport
    begin: Callable[[], None]
    _asked: bool = field(default=False, init=False)
    _existed: bool = field(default=False, init=False)

    def remove(self, known: Mapping[str, str]) -> bool:
        """Delete the resource. `known` has its outputs, so that no other is mistaken for it.

        Returns, when AWS finds it no more, whether it existed. Raises ForeignResource,
        ProvisionError for one that is protected, WaitTimeout, Interrupted, or what AWS refuses.
        """

        def look() -> PollResult:
            with calling(self.resource.step):
                return self._look(known)

        what, usual = f"{self.resource.step} (deleting)", self.resource.deletion.typical
        until(
            look,
            what=what,
            poll_policy=self.poll_policy,
            report=self._report,
            usual=usual,
            late=LATER,
        )
        self.state.forget(self.resource.step)
        return self._existed

    def _report(self, status: str, reason: str = "") -> None:
        if self._existed:
            self.report(status, reason)

    def _look(self, known: Mapping[str, str]) -> PollResult:
        seen = self._find(known)
        if seen is not None and not self._existed:
            self._existed = True
            self.begin()
        if seen is not None and self.resource.deletable(seen):
            refused = self._delete(seen, known)
            if refused is not None:
                return refused
            seen = self._find(known)  # most are deleted at once
        if seen is None:
            return PollResult(Verdict.READY, "gone")
        return PollResult(Verdict.WAIT, seen.status or "deleting", seen.reason)

    def _find(self, known: Mapping[str, str]) -> Seen | None:
        """Return the resource that is to be deleted; another one in its place stays."""
        seen = self.resource.find(self.aws, known)
        if seen is not None and self.resource.same_id(seen, known) is False:
            return None
        return seen

    def _delete(self, seen: Seen, known: Mapping[str, str]) -> PollResult | None:
        """Send the delete call. Returns what prevents the deletion for now, if anything does."""
        whose = self.resource.ownership(self.aws, seen, known)
        if not whose.ours:
            recorded = self.state.known().get(self.resource.step, {})
            raise not_ours(self.aws, self.resource, seen, whose, recorded)
        if not self._asked and not isinstance(self.resource, AwsMadeResource):
            self.state.begin(self.resource.step, phases.DELETING)
        try:
            with changing(self.aws, self.resource, seen):
                self.resource.delete(self.aws, seen)
        except UnsureError as error:
            return PollResult(Verdict.WAIT, "unsure", str(error))
        except AwsCallError as error:
            return self._refused(seen, error)
        self._asked = True
        return None

    def _refused(self, seen: Seen, error: AwsCallError) -> PollResult:
        """Return what AWS's refusal means: its message, then what prevents the deletion, by name.

        What waiting does not remove ends the wait soon. Raises the refusal when it does not pass.
        """
        row = passing(error)
        if row is None and error.answer.code in NO_USE_ASKING:
            raise error
        with calling(self.resource.step):
            blockers = self.resource.blocked_by(self.aws, seen)
        lasting = [each for each in blockers if each.lasts]
        if row is None and not lasting:
            raise error
        named = "; ".join(map(str, blockers)) or (row.because if row else "")
        reason = f"{error.answer.code}: {error.answer.message} - {named}"
        commands = "; ".join(dict.fromkeys(each.command for each in lasting if each.command))
        advice = f"Waiting does not remove it: {commands}. Then run the same command again."
        if lasting or row is None:
            return PollResult(Verdict.SUSPECT, "in use", reason, LASTING_SECONDS, advice)
        return PollResult(Verdict.SUSPECT, "in use", reason, row.seconds, LATER)
