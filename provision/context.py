"""What a command works with: AWS, state and output, opened together and closed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from provision.aws.account import Aws, make_session
from provision.cli.memory import resume_collecting
from provision.cli.options import Options, state_location
from provision.cli.parser import nearest
from provision.config import Config
from provision.engine.discovery import Discovery
from provision.engine.events import Display, Pace, Summary, Watcher
from provision.engine.executor import Counts, Engine
from provision.engine.history import RunRecorder, usual_seconds
from provision.engine.lifetime import Lifetime
from provision.engine.plan import Plan, compare
from provision.environment import environment
from provision.errors import Interrupted, ProvisionError, UsageError
from provision.pricing.table import estimate, note_of
from provision.resources.base import Change, ManagedResource, Resource, Seen
from provision.resources.template import Template
from provision.state.location import Location, tag_of
from provision.state.observed import MODELS, ObservedRuns, folder_of, keep_models
from provision.state.open import store_at
from provision.state.state import State
from provision.waiting.poll import PollPolicy, interrupted

RECENT_SECONDS = 10.0  # for which a discovery counts as recent
KEPT_EVERY = 30.0  # seconds


class Keeper(Watcher):
    """Writes what AWS did so far when a step has ended, now and then: a run may be killed."""

    def __init__(self, keep: Callable[[], None]) -> None:
        self._keep = keep
        self._kept = time.monotonic()
        self._lock = threading.Lock()

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        del resource, action, identity, seconds
        with self._lock:
            if time.monotonic() - self._kept >= KEPT_EVERY:
                self._keep()
                self._kept = time.monotonic()


@dataclass(frozen=True)
class Look:
    """What a discovery found, when it began, and with which version of the state."""

    seen: dict[str, Seen | None]
    version: object
    began: float

    def holds(self, state: State) -> bool:
        """Return whether no other run can have changed anything since."""
        return self.version == state.version() and time.monotonic() - self.began < RECENT_SECONDS


@dataclass
class Run:
    """One command at work on one environment."""

    command: str
    config: Config
    aws: Aws
    state: State
    poll_policy: PollPolicy
    output: Display
    template: Template
    engine: Engine
    recorder: RunRecorder
    observed: ObservedRuns
    changes: bool = False  # whether it ever held the lock
    began: float = field(default_factory=time.monotonic)
    url: str | None = None
    begun: Discovery | None = None  # a discovery that was begun when the run was opened
    lifetime: Lifetime = field(default_factory=Lifetime)
    _last_look: Look | None = None

    def start(self) -> None:
        """Report that the command begins."""
        pace = Pace(self.poll_policy.speed, usual_seconds(self.state.runs))
        self.output.start(self.command, self.template, self.about(), pace)

    def look(self, *, recent: bool = False) -> dict[str, Seen | None]:
        """Return every resource as AWS has it now.

        `recent`: the last look will do, if it was a moment ago and no run of this state has been at
        work since. That is known only with the lock held.
        """
        if recent and self._last_look and self._last_look.holds(self.state):
            return self._last_look.seen
        began, version = time.monotonic(), self.state.version()
        looker, self.begun = self.begun, None
        seen = (looker or Discovery(self.aws, self.template, self.state, self.poll_policy)).look()
        if self.poll_policy.stop.is_set():
            raise interrupted()
        self.lifetime.settle(self.aws, self.template, seen, self.state)
        self.recorder.expires = self.lifetime.expires
        self._last_look = Look(seen, version, began)
        return seen

    def plan(
        self,
        *,
        replace: Collection[str] = (),
        forced: Mapping[str, Change] | None = None,
        recent: bool = False,
    ) -> Plan:
        """Return what has to be done. Changes nothing. Raises UsageError for an unknown step.

        `recent` as `look` has it.
        """
        steps = [each.step for each in self.template if isinstance(each, ManagedResource)]
        if unknown := [step for step in replace if step not in steps]:
            raise UsageError(
                f"--replace {unknown[0]}: no step of this name can be replaced"
                + nearest(unknown[0], steps),
                next_step=f"Steps are {', '.join(steps)}.",
            )
        seen = self.look(recent=recent)
        plan = compare(self.aws, self.template, seen, self.state, replace=replace, forced=forced)
        return self.lifetime.refuse_new(plan)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of the state for the block, and keep a record of the run in it.

        The state is read again: whoever looked before has to look again. Nothing can be changed at
        AWS outside of such a block. Raises Locked, StateError; LeaseLost when the lock was lost.
        """
        self.changes = True
        with self.state.store.lock(self.command, self.poll_policy.stop.set) as hold:
            if hold.taken_from:
                self.output.note(f"took over the lock of {hold.taken_from}: its lease had expired")
            self.aws.fence = hold.check
            self.state.reload()
            self.state.writes = True
            try:
                with self._recorded():
                    yield
            except Interrupted:
                hold.check()  # it may have been the loss of the lock that interrupted it
                raise
            finally:
                self.state.writes = False
                self.aws.fence = nothing_may_be_changed

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        """Keep a record of the block, if anything happened in it; all of it is written at the end.

        An error of the block stays the one that is raised.
        """
        ok = False
        self.state.under_way = lambda: self.recorder.run(self.command, ok=None)
        watchers = self.engine.watchers
        self.engine.watchers = (*watchers, Keeper(lambda: self.keep_observed(ok=None)))
        try:
            yield
            ok = True
        finally:
            self.engine.watchers = watchers
            with contextlib.suppress(*(() if ok else (ProvisionError,))):
                if record := self.recorder.run(self.command, ok=ok):
                    self.state.add_run(record)
                    self.keep_observed(ok=ok)
                    if self.poll_policy.speed == 1:  # nothing of a rehearsal is kept
                        keep_models(self.aws.models.kept_at, self.aws.models.to_keep())
                self.state.flush()

    def keep_observed(self, *, ok: bool | None) -> None:
        """Write what AWS did so far, beside the state; without a place to write, do nothing."""
        from provision.aws.observation.document import (
            document,  # here: a run that changes nothing has no use for it
        )

        environment, database = self.config.environment, self.config.database
        names = (environment.name, *environment.tags.values(), database.name, database.table)
        private = set(" ".join([*names, database.username]).lower().split())
        self.observed.keep(
            document(
                self.aws.observer, self.command, ok=ok, region=self.aws.region, private=private
            )
        )

    def remember_check(self, check: dict[str, Any]) -> None:
        """Keep how the logins were found in this run's record, or else in the newest one's.

        That is a help for the timeline's page and nothing more: a state that is in S3, held by
        another run or not to be written stays as it is.
        """
        self.recorder.checked(check)
        if self.state.writes or self.state.store.distant or not self.state.runs:
            return
        with (
            contextlib.suppress(ProvisionError),
            self.state.store.lock(self.command, self.poll_policy.stop.set),
        ):
            self.state.reload()
            self.state.writes = True
            try:
                self.state.add_check(check)
            finally:
                self.state.writes = False

    def then(self, command: str) -> Run:
        """Return the same environment at work on a further command, with counts of its own."""
        engine = replace(self.engine, counts=Counts())
        return replace(self, command=command, engine=engine, began=time.monotonic(), url=None)

    def about(self) -> str:
        """Return in words on what the command works."""
        who = self.aws.identity
        where = f"environment {self.config.environment.name}, account {who.account}"
        return f"{where}, {self.aws.region}"

    def still_costing(self) -> list[str]:
        """Return in a line what of the environment is billed by the hour now, or nothing."""
        steps = [
            each.step for each in self.template if each.costs and each.step in self.state.steps
        ]
        if not steps:
            return []
        return [f"still at AWS: {', '.join(steps)}: {note_of(estimate(self.config).of(steps))}"]

    def summary(self, **more: object) -> Summary:
        """Return the summary of the run so far."""
        counts = vars(self.engine.counts)
        seconds = time.monotonic() - self.began
        values = {"ok": True, "url": self.url, "seconds": seconds, **counts, **more}
        return Summary(self.command, **values)


def nothing_may_be_changed() -> None:
    """Raise ProvisionError: the lock is not held, and what wants to change something is a bug."""
    raise ProvisionError("a call would have changed something at AWS without the lock: not sent")


def begin_to_look(
    aws: Aws, config: Config, state: State, poll_policy: PollPolicy
) -> Discovery | None:
    """Begin to look at everything, if anything is known of last time. Returns at once."""
    if not state.steps:
        return None
    looker = Discovery(
        aws, environment(config, packed=False), state, poll_policy
    )  # zips are made meanwhile
    aws.begin()
    looker.begin()
    return looker


def account_of(options: Options, config: Config, at: Location) -> Aws:
    """Return the account that the flags and the configuration name. Nothing is called yet.

    `at` is where the state is kept: beside it are the models that an earlier run kept.
    """
    settings = config.environment
    models_at = folder_of(at, settings.name, MODELS)
    aws = Aws(
        make_session(options.profile, settings.region, models_at=models_at),
        environment=settings.name,
        tags=settings.tags,
        speed=options.speed,
        call_log=options.call_log,
    )
    aws.fence = nothing_may_be_changed
    return aws


def poll_policy_of(options: Options, config: Config) -> PollPolicy:
    """Return how often and how long to wait, in the configuration's words."""
    return PollPolicy(
        poll_seconds=config.wait.poll_seconds,
        timeout_seconds=config.wait.timeout_minutes * 60,
        speed=options.speed,
        stop=options.stop,
    )


@contextlib.contextmanager
def opened(
    options: Options,
    command: str,
    output: Display,
    *,
    packed: bool = True,
    looks: bool = True,
    final_snapshot: str = "",
) -> Iterator[Run]:
    """Open everything that a command needs to look; `Run.changing` is what lets it change things.

    With `looks`, what is known of last time is looked at while AWS is being asked who is calling:
    that costs no time of its own then.

    Raises ConfigError or UsageError before anything is called; CredentialsError, UnreachableError
    when AWS does not say who is calling; StateError or Locked.
    """
    config = options.configuration
    settings = config.environment
    at = state_location(options, config)
    aws = account_of(options, config, at)
    aws.state_place = tag_of(at)
    store = store_at(at, aws, config.state.lock_lease_seconds)
    poll_policy = poll_policy_of(options, config)
    with contextlib.closing(aws), contextlib.ExitStack() as stack:
        if store.distant:
            aws.begin()
        elif not store.known():  # no time to win: a stranger is refused before anything is done
            aws.identity  # noqa: B018 - asks
        state = State.load(store, environment=settings.name, region=settings.region, writes=False)
        begun = begin_to_look(aws, config, state, poll_policy) if looks else None
        if begun is not None:
            stack.callback(begun.close)
        template = environment(config, packed=packed, final_snapshot=final_snapshot)
        state.belong_to(aws.identity.account)
        recorder = RunRecorder()
        watchers = (output, recorder)
        engine = Engine(aws, template, state, poll_policy, watchers, before_work=resume_collecting)
        run = Run(
            command, config, aws, state, poll_policy, output, template, engine, recorder,
            ObservedRuns(folder_of(at, settings.name)),
            begun=begun, lifetime=Lifetime(settings.expires_after),
        )  # fmt: skip
        if not looks:
            resume_collecting()
        try:
            yield run
        except ProvisionError as error:
            notes = run.still_costing() if run.changes else []
            error.summary = run.summary(ok=False, error=error, notes=notes)
            raise
