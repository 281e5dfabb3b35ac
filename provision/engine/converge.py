"""Brings one resource to what it should be: creates it, changes it, waits until it is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provision.aws.account import Aws, calling
from provision.engine.application import apply, changing, portions
from provision.engine.discovery import find_patiently
from provision.engine.plan import not_ours
from provision.errors import AwsCallError, UnsureError
from provision.resources.base import Change, CreatableResource, ManagedResource, Seen, canonical
from provision.state import document as phases
from provision.state.state import State
from provision.waiting.poll import (
    Neighbours,
    PollPolicy,
    PollResult,
    StatusReport,
    Verdict,
    until,
    until_accepted,
)
from provision.waiting.transient_errors import passing

Publish = Callable[[Mapping[str, str]], None]

CREATE_ATTEMPTS = 5
APPLY_ATTEMPTS = 5
PATIENT_LOOKS = 10  # polls after which a change that AWS does not show is sent again
VISIBLE_SECONDS = 120.0  # how long what was made may stay hidden from a lookup (EC2: usually < 5)
EXAMINE = "`python -m provision doctor` checks each link of the chain and says what to do."
# Parts of the codes with which AWS says that a name is taken.
TAKEN = ("AlreadyExists", "Duplicate", "ResourceExists", "ResourceConflict", "Conflict")


def answer_of(
    call: Callable[[], dict[str, str]],
    step: str,
    poll_policy: PollPolicy,
    report: StatusReport,
    neighbours: Neighbours | None = None,
) -> dict[str, str]:
    """Return what a call returns, once AWS accepts it. Raises AwsCallError or Interrupted."""

    def called() -> dict[str, str]:
        with calling(step):
            return call()

    return until_accepted(
        called, passing=passing, poll_policy=poll_policy, report=report, neighbours=neighbours
    )


@dataclass
class Creation:
    """Creates one resource. `report` gets AWS's status, `publish` the outputs once known."""

    aws: Aws
    state: State
    poll_policy: PollPolicy
    resource: CreatableResource  # bound: every reference replaced by its value
    report: StatusReport
    publish: Publish
    neighbours: Neighbours | None = None

    def create(self) -> dict[str, str]:
        """Create the resource. Returns its outputs; they are on disk before another step uses them.

        Raises AwsCallError when AWS refuses it, ForeignResource when another resource has its name.
        """
        step = self.resource.step
        self.state.begin(step, phases.CREATING)
        error: AwsCallError | None = None
        for _ in range(CREATE_ATTEMPTS):
            try:
                outputs = answer_of(
                    lambda: self.resource.create(self.aws),
                    step,
                    self.poll_policy,
                    self.report,
                    self.neighbours,
                )
                break
            except AwsCallError as refusal:
                error = refusal
                found = self._created_after_all(refusal)
                if found is not None:
                    outputs = dict(found.outputs)
                    break
        else:
            assert error is not None  # noqa: S101 - the loop ends here only by refusals
            raise error
        self.state.record(step, phases.MADE, outputs)
        self.publish(outputs)
        return outputs

    def _created_after_all(self, error: AwsCallError) -> Seen | None:
        """Return what a create with this error left; None to send it again. Raises final errors."""
        unsure = isinstance(error, UnsureError)
        if not unsure and not any(part in error.answer.code for part in TAKEN):
            self.state.forget(self.resource.step)
            raise error
        self.report("looking", "the answer was lost" if unsure else "the name is taken")
        with calling(self.resource.step):
            seen = find_patiently(
                self.resource, self.aws, {}, poll_policy=self.poll_policy, fresh=True
            )
        if seen is None and unsure:
            return None
        seen = seen or Seen({}, tags={})
        whose = self.resource.ownership(self.aws, seen, {})
        if not whose.ours:
            self.state.forget(self.resource.step)
            raise not_ours(self.aws, self.resource, seen, whose, {}) from error
        return seen


@dataclass
class Convergence(Creation):
    """Brings one managed resource to what it should be, once it exists."""

    resource: ManagedResource
    updated: bool = field(default=False, init=False)
    _unseen: tuple[Change, ...] = field(default=(), init=False)
    _applied: str = field(default="", init=False)
    _applications: int = field(default=0, init=False)
    _looks: int = field(default=0, init=False)
    _asked: tuple[Change, ...] = field(default=(), init=False)  # changes that AWS has accepted
    _begun: bool = field(default=False, init=False)  # AWS was seen at the last of them
    _restful_looks: int = field(default=0, init=False)

    def see_gone(self, known: Mapping[str, str]) -> None:
        """Wait until AWS has deleted the earlier resource of the same name.

        Raises WaitTimeout, Interrupted, or what AWS refuses.
        """

        def look() -> PollResult:
            with calling(self.resource.step):
                seen = self.resource.find(self.aws, known)
            if seen is None or not self.resource.going(seen):
                return PollResult(Verdict.READY, "gone")
            return PollResult(Verdict.WAIT, seen.status, seen.reason)

        what = f"{self.resource.step} (being deleted)"
        usual = self.resource.deletion.typical
        until(look, what=what, poll_policy=self.poll_policy, report=self.report, usual=usual)

    def settle(self, known: Mapping[str, str], write_only: tuple[Change, ...] = ()) -> Seen:
        """Change what differs, in place, and wait until it is ready. Returns it as AWS then has it.

        `write_only` are changes to make once though they cannot be seen. Raises ResourceFailed,
        WaitTimeout, Interrupted, or what AWS refuses.
        """
        self._unseen = write_only
        last: list[Seen] = []

        def look() -> PollResult:
            with calling(self.resource.step):
                seen = self.resource.find(self.aws, known)
                if seen is None:
                    return PollResult(Verdict.SUSPECT, "not visible yet", "", VISIBLE_SECONDS)
                last[:] = [seen]
                return self._judge(seen)

        until(
            look,
            what=self.resource.step,
            poll_policy=self.poll_policy,
            report=self.report,
            usual=self.resource.creation.typical,
            advice=EXAMINE,
        )
        return last[0]

    def _judge(self, seen: Seen) -> PollResult:
        status = self.resource.look(seen)
        changes = (*self.resource.differences(seen, self.aws), *self._unseen)
        self.publish(self.resource.lasting(seen, changes))
        if status.verdict is Verdict.FAILED and self._applied:
            return status
        if self._asked and (doing := self.resource.applying(seen, self._asked)):
            self._begun, self._restful_looks = True, 0
            return PollResult(Verdict.WAIT, seen.status or "updating", f"AWS applies it: {doing}")
        if not changes:
            return self._at_rest(status)
        return self._apply(seen, next(portions(self.resource, changes)))

    def _at_rest(self, status: PollResult) -> PollResult:
        """Return `status` once the change is done: AWS may report ready before it begins."""
        if not self._asked or status.verdict is not Verdict.READY:
            self._restful_looks = 0
            return status
        hidden = any(each.property in self.resource.write_only for each in self._asked)
        unseen = hidden and not self._begun
        self._restful_looks += 1
        if self._restful_looks < (
            self.resource.settles_unseen if unseen else self.resource.settles
        ):
            return PollResult(Verdict.WAIT, status.status, "confirming the change")
        return status

    def _apply(self, seen: Seen, changes: tuple[Change, ...]) -> PollResult:
        names = ", ".join(change.property for change in changes)
        wanted = canonical([(change.property, str(change.should)) for change in changes])
        if wanted == self._applied and self._looks < PATIENT_LOOKS:
            self._looks += 1
            return PollResult(
                Verdict.WAIT, seen.status or "updating", f"AWS does not show it yet: {names}"
            )
        if self._applications >= APPLY_ATTEMPTS and wanted == self._applied:
            return PollResult(
                Verdict.FAILED, seen.status or "not changed", f"stays as it was: {names}"
            )
        self.state.begin(self.resource.step, phases.UPDATING)
        try:
            with changing(self.aws, self.resource, seen):
                apply(self.aws, self.resource, seen, changes)
            self._unseen = tuple(each for each in self._unseen if each not in changes)
        except AwsCallError as error:
            row = passing(error)
            if row is not None:
                return PollResult(
                    Verdict.SUSPECT, "waiting", f"{error} - {row.because}", row.seconds
                )
            if not isinstance(error, UnsureError):
                raise
        self._applications = self._applications + 1 if wanted == self._applied else 1
        self._applied, self._looks = wanted, 0
        self._asked = (*self._asked, *changes)
        self._begun, self._restful_looks = False, 0
        self.updated = True
        return PollResult(Verdict.WAIT, "updating", names)
