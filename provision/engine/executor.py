"""Carries out a plan, or a removal, over a whole environment; knows no AWS service.

Every step has a thread that waits for what it refers to (outputs.py), so that as many run at once
as need allows. Making one resource is the job of converge.py, removing one that of delete.py; here
are order, threads, what is published to whom, and the events.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from provision.aws.account import Aws
from provision.engine import graph
from provision.engine.events import Watcher
from provision.engine.outputs import Blocked, StepNeighbours, StepOutputs
from provision.engine.plan import Action, Plan, Planned, not_ours, pseudo
from provision.errors import CredentialsError, Interrupted, LeaseLost, ProvisionError
from provision.resources.base import (
    AccountResource,
    CreatableResource,
    DataSource,
    DeletableResource,
    ManagedResource,
    Resource,
    Seen,
)
from provision.resources.references import bind, references
from provision.state import document as phases
from provision.state.document import now
from provision.state.state import State
from provision.waiting.poll import PollPolicy, Verdict, interrupted

if TYPE_CHECKING:
    from provision.engine.converge import Convergence, Publish

R = TypeVar("R", bound=Resource)


@dataclass
class Counts:
    """The number of steps, by how they ended."""

    created: int = 0
    adopted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0


@dataclass
class Engine:
    """One run over an environment."""

    aws: Aws
    resources: Sequence[Resource]
    state: State
    poll_policy: PollPolicy
    watchers: Sequence[Watcher]
    counts: Counts = field(default_factory=Counts)
    before_work: Callable[[], None] = lambda: None  # called before threads begin

    def __post_init__(self) -> None:
        self.removed: dict[str, str] = {}  # steps whose resources were deleted, and when
        self._lock = threading.Lock()
        self._errors: list[ProvisionError] = []

    # --- up ---------------------------------------------------------------------------------------

    def carry_out(self, plan: Plan) -> None:
        """Make AWS match the plan. Raises the first error of any step, or Interrupted."""
        plan.refuse()
        if all(as_it_should_be(each) for each in plan.steps):
            for each in plan.steps:
                self._leave(each)
            return
        # Nobody can see later whether a write-only value was written: this says that it was not.
        if unseen := [each.step for each in plan.steps if each.write_only]:
            self.state.begin_all(unseen, phases.UPDATING)
        self._remove_replaced(plan)
        step_outputs = StepOutputs(self.poll_policy.stop, pseudo(self.aws))
        by_step = {each.step: each for each in plan.steps}
        needed = looked_up_for(plan)

        def work(resource: Resource) -> None:
            self._make(by_step[resource.step], step_outputs, needed)

        self._on_threads(self.resources, work, step_outputs, stop_all=True)

    def has_nothing_to_do(self, plan: Plan) -> bool:
        """Return whether AWS and the state are as they should be: then no lock is needed."""
        return not plan.refused and all(
            as_it_should_be(each) and self._recorded(each) for each in plan.steps
        )

    def _recorded(self, planned: Planned) -> bool:
        """Return whether the state of a step agrees with AWS."""
        if planned.seen is None or not isinstance(planned.resource, ManagedResource):
            return True
        entry = self.state.steps.get(planned.step)
        return entry is not None and (entry.phase, entry.outputs) == (
            phases.READY,
            dict(planned.seen.outputs),
        )

    def _leave(self, planned: Planned) -> None:
        """Record a step that needs no change."""
        resource, seen = planned.resource, planned.seen
        if seen is None or not isinstance(resource, CreatableResource):
            return
        if isinstance(resource, ManagedResource):
            self.state.record(resource.step, phases.READY, seen.outputs)
        self._finished(resource, "unchanged", seen.outputs, 0.0)

    def _make(self, planned: Planned, step_outputs: StepOutputs, needed: Collection[str]) -> None:
        """Carry out one step of the plan, and publish the outputs that others need."""
        resource, step = planned.resource, planned.step
        if isinstance(resource, CreatableResource) or step in needed:
            step_outputs.wait_for_outputs(references(resource))
        bound = bind(resource, step_outputs.known())
        publish = functools.partial(step_outputs.publish, step)
        match bound:
            case ManagedResource():
                self._converge(planned, bound, step_outputs)
            case AccountResource():
                self._create_for_account(planned, bound, publish)
            case DataSource() if step in needed:
                self._look_up(bound, publish)
            case _ if planned.seen:
                publish(planned.seen.outputs)
        step_outputs.publish(step, {}, done=True)

    def _look_up(self, source: DataSource, publish: Publish) -> None:
        """Read a data source that a new resource refers to."""
        from provision.engine.converge import answer_of

        report = self._reports(source)
        outputs = answer_of(lambda: source.look_up(self.aws), source.step, self.poll_policy, report)
        self.state.record(source.step, phases.READY, outputs)
        publish(outputs)

    def _create_for_account(
        self, planned: Planned, resource: AccountResource, publish: Publish
    ) -> None:
        """Create an account resource if it is missing; otherwise leave it."""
        from provision.engine.converge import Creation

        if planned.seen:
            publish(planned.seen.outputs)
            self._finished(planned.resource, "unchanged", planned.seen.outputs, 0.0)
            return
        began = time.monotonic()
        self._began(planned.resource, "creating")
        report = self._reports(planned.resource)
        creation = Creation(self.aws, self.state, self.poll_policy, resource, report, publish)
        self._finished(planned.resource, "created", creation.create(), time.monotonic() - began)

    def _converge(
        self, planned: Planned, resource: ManagedResource, step_outputs: StepOutputs
    ) -> None:
        """Create or change a managed resource, and wait until it is ready."""
        # Here: a run that finds nothing to do has no use for it.
        from provision.engine.converge import Convergence

        began = time.monotonic()
        tell = self._reports(planned.resource)

        def report(status: str, reason: str = "") -> None:
            step_outputs.saw(resource.step, status)
            tell(status, reason)

        convergence = Convergence(
            self.aws,
            self.state,
            self.poll_policy,
            resource,
            report,
            functools.partial(step_outputs.publish, resource.step),
            StepNeighbours(step_outputs, graph.created_before(planned.resource)),
        )
        if planned.action in (Action.CREATE, Action.REPLACE):
            self._began(planned.resource, "creating")
            if planned.action is Action.CREATE and planned.seen is not None:
                convergence.see_gone(planned.seen.outputs)
            outputs, word = convergence.create(), "created"
        else:
            outputs, word = dict(planned.seen.outputs) if planned.seen else {}, "unchanged"
        outputs = self._settle(convergence, planned, outputs)
        if word == "unchanged" and convergence.updated:
            word = "updated"
        if planned.action is Action.ADOPT:
            word = "adopted"
        self._finished(planned.resource, word, outputs, time.monotonic() - began)

    def _settle(
        self, convergence: Convergence, planned: Planned, outputs: dict[str, str]
    ) -> dict[str, str]:
        """Wait until a step is ready, with as few calls as possible. Returns its outputs."""
        resource, seen = convergence.resource, planned.seen
        resting = (
            planned.action in (Action.NONE, Action.ADOPT)
            and seen is not None
            and not resource.differences(seen, self.aws)
            and resource.look(seen).verdict is Verdict.READY
        )
        if resting and seen is not None:
            convergence.publish(resource.lasting(seen, ()))
        else:
            if planned.action is Action.UPDATE:
                self._began(planned.resource, "updating")
            outputs = dict(convergence.settle(outputs, planned.write_only).outputs)
        self.state.record(resource.step, phases.READY, outputs)
        return outputs

    def _remove_replaced(self, plan: Plan) -> None:
        """Delete the resources that have to be replaced, with their dependents."""
        replaced = graph.with_contents(
            (each.step for each in plan.steps if each.action is Action.REPLACE), self.resources
        )
        if replaced:
            seen = {each.step: each.seen for each in plan.steps}
            self.remove([each for each in self.resources if each.step in replaced], seen)

    # --- teardown ---------------------------------------------------------------------------------

    def remove(self, resources: Sequence[Resource], seen: Mapping[str, Seen | None]) -> None:
        """Delete these resources, each once nothing refers to it.

        What cannot be deleted holds up only what it refers to. Raises the first error, or
        Interrupted.
        """
        known = {"aws": pseudo(self.aws), **self.state.known()}
        for step, there in seen.items():
            if there:
                known[step] = {**known.get(step, {}), **there.outputs}
        going = [each for each in resources if isinstance(each, DeletableResource)]
        step_outputs = StepOutputs(self.poll_policy.stop)
        doubtful = self._doubtful(resources, seen)

        def work(resource: DeletableResource) -> None:
            self._check_owner(resource, seen.get(resource.step), doubtful)
            self._remove(resource, going, known, seen, step_outputs)

        self._on_threads(going, work, step_outputs, stop_all=False)

    def _doubtful(self, resources: Sequence[Resource], seen: Mapping[str, Seen | None]) -> set[str]:
        """Return the steps whose resource is not proven to be ours, by itself or by its container.

        Tags, and the lack of them, count within what is ours; a recorded id counts anywhere.
        """
        recorded = self.state.known()
        doubtful: set[str] = set()
        for each in resources:
            there, known = seen.get(each.step), recorded.get(each.step, {})
            if there is not None and (
                not each.owned(self.aws, there, known)
                or (graph.found_within(each) & doubtful and not each.same_id(there, known))
            ):
                doubtful.add(each.step)
        return doubtful

    def _check_owner(
        self, resource: Resource, there: Seen | None, doubtful: Collection[str]
    ) -> None:
        """Raise ForeignResource, or Blocked by its container, for what is not proven to be ours.

        What the state file says of it counts, not what was just seen.
        """
        if there is None or resource.step not in doubtful:
            return
        recorded = self.state.known().get(resource.step, {})
        whose = resource.ownership(self.aws, there, recorded)
        if not whose.ours:
            raise not_ours(self.aws, resource, there, whose, recorded)
        raise Blocked(graph.found_within(resource) & set(doubtful))

    def _remove(
        self,
        resource: DeletableResource,
        going: Sequence[DeletableResource],
        known: Mapping[str, Mapping[str, str]],
        seen: Mapping[str, Seen | None],
        step_outputs: StepOutputs,
    ) -> None:
        """Delete one step's resource, or wait until it is deleted with its container."""
        from provision.engine.delete import Remover

        step, there = resource.step, seen.get(resource.step)
        step_outputs.wait_for_steps(graph.deleted_before(resource, going))
        began = time.monotonic()
        if graph.container_of(resource) & {each.step for each in going}:
            self.state.forget(step)
            existed = there is not None
        else:
            bound, report = bind(resource, known), self._reports(resource)
            begin = functools.partial(self._began, resource, "deleting")
            remover = Remover(self.aws, self.state, self.poll_policy, bound, report, begin)
            existed = remover.remove(known.get(step, {}))
        step_outputs.publish(step, {}, done=True)
        if existed:
            self.removed[step] = now()
            self._finished(resource, "deleted", known.get(step, {}), time.monotonic() - began)

    # --- threads ----------------------------------------------------------------------------------

    def _on_threads(
        self,
        resources: Sequence[R],
        work: Callable[[R], None],
        step_outputs: StepOutputs,
        *,
        stop_all: bool,
    ) -> None:
        """Run `work` for each resource on a thread of its own. Raises the first error.

        `stop_all`: an error ends the waits of all others; else only of those that need it.
        """

        def guarded(resource: R) -> None:
            try:
                work(resource)
            except Blocked as blocked:
                step_outputs.fail(resource.step)
                for watcher in self.watchers:
                    watcher.skipped(resource, f"{blocked} failed")
            except Interrupted:
                step_outputs.fail(resource.step)
            except ProvisionError as error:
                self._failed(resource, error)
                step_outputs.fail(resource.step)
                if stop_all or isinstance(error, CredentialsError | LeaseLost):
                    self.poll_policy.stop.set()
            except BaseException:  # a bug, or nobody reads our output: the others must not wait
                step_outputs.fail(resource.step)
                self.poll_policy.stop.set()
                raise

        self.before_work()
        with ThreadPoolExecutor(max_workers=max(1, len(resources))) as threads:
            list(threads.map(guarded, resources))
        if self._errors:
            raise self._errors[0]
        if self.poll_policy.stop.is_set():
            raise interrupted()

    # --- events -----------------------------------------------------------------------------------

    def _began(self, resource: Resource, doing: str) -> None:
        for watcher in self.watchers:
            watcher.began(resource, doing)

    def _reports(self, resource: Resource) -> Callable[..., None]:
        def report(status: str, reason: str = "") -> None:
            for watcher in self.watchers:
                watcher.status(resource, status, reason)

        return report

    def _finished(
        self, resource: Resource, word: str, outputs: Mapping[str, str], seconds: float
    ) -> None:
        if isinstance(resource, CreatableResource):  # what AWS makes by itself is not counted
            with self._lock:
                setattr(self.counts, word, getattr(self.counts, word) + 1)
        for watcher in self.watchers:
            watcher.finished(resource, word, resource.identity(outputs), seconds)

    def _failed(self, resource: Resource, error: ProvisionError) -> None:
        with self._lock:
            self._errors.append(error)
        for watcher in self.watchers:
            watcher.failed(resource, error)


def as_it_should_be(planned: Planned) -> bool:
    """Return whether a step has nothing to do, not even to wait."""
    if planned.action is not Action.NONE:
        return False
    if not isinstance(planned.resource, ManagedResource):
        return True
    return planned.resource.look(planned.seen).verdict is Verdict.READY


def looked_up_for(plan: Plan) -> set[str]:
    """Return the data sources that a new resource refers to."""
    sources = {
        each.step
        for each in plan.steps
        if isinstance(each.resource, DataSource) and each.seen is None
    }
    return sources & {
        step
        for each in plan.steps
        if each.action in (Action.CREATE, Action.REPLACE)
        for step in graph.created_before(each.resource)
    }
