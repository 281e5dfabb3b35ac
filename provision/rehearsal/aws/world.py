"""What the rehearsed AWS knows beside moto: its clock, its behaviours, what is still to happen."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from provision.aws.observation.durations import Duration, Durations, Spread
from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.clock import Clock
from provision.rehearsal.aws.draws import Draws
from provision.rehearsal.aws.moto_app import Moto

if TYPE_CHECKING:
    from collections.abc import Mapping

INSIDE_KEY = "AKIAREHEARSALINSIDE0"
"""The access key in the rehearsal's own calls within this process; over HTTP nobody has it."""

T = TypeVar("T")


class Principal(Protocol):
    """Whoever makes calls under policies; permissions.py has one."""

    policy: Any
    used: set[Any]

    def check(self, world: World, call: Call) -> frozenset[str]: ...
    def may(self, wanted: Any) -> Any: ...


@dataclass(frozen=True)
class Behaviours:
    """Which behaviours of AWS the rehearsal plays. Calls that moto lacks always exist.

    states       resources take time and pass through AWS's statuses on the way
    consistency  a new id, role or policy is not visible everywhere at once
    refusals     what is in use, in a wrong status, missing or malformed is refused, in AWS's words
    leftovers     what AWS creates by itself: log groups, backups, network interfaces that linger
    throttling   a token bucket per service
    paging       lists come in pages of `page_size` items
    speed        AWS seconds that pass in one real second
    latency_seconds  real seconds that are added to every answer
    s3_conflicts  share of S3's conditional writes that meet another write of the same object
    seed         the seed of random choices; None: no random choices

    In these it is not known what AWS does. None: drawn by the seed; without a seed, it does not.

    registers_while_creating       a target may be registered while its instance is `creating`
    checks_proxy_role              CreateDBProxy refuses a role that RDS cannot assume yet
    refuses_delete_while_creating  an instance can be deleted only after it is created
    refuses_detach_without_role    Lambda detaches no function whose role was deleted
    renames_proxy_endpoint         a proxy's endpoint has the proxy's new name in it
    upgrades_minor_version         RDS moves a new instance to a newer minor version within hours
    """

    states: bool = True
    consistency: bool = True
    refusals: bool = True
    leftovers: bool = True
    throttling: bool = True
    paging: bool = True
    page_size: int = 2
    registers_while_creating: bool | None = None
    checks_proxy_role: bool | None = None
    refuses_delete_while_creating: bool | None = None
    refuses_detach_without_role: bool | None = None
    renames_proxy_endpoint: bool | None = None
    upgrades_minor_version: bool | None = None
    s3_conflicts: float = 0.05
    seed: int | None = None
    speed: float = 600.0
    latency_seconds: float = 0.0

    @classmethod
    def plain(cls) -> Behaviours:
        """moto as it is, only with the calls that it lacks."""
        return cls(
            states=False,
            consistency=False,
            refusals=False,
            leftovers=False,
            throttling=False,
            paging=False,
        )


@dataclass(order=True)
class _Event:
    due: float
    n: int
    action: Callable[[], None] = field(compare=False)
    key: Hashable = field(default=None, compare=False)


class World:
    """One rehearsed AWS: what the behaviours read and write. Used under its `lock` only."""

    def __init__(
        self, moto: Moto, behaviours: Behaviours, region: str, durations: Durations | None = None
    ) -> None:
        self.moto = moto
        self.behaviours = behaviours
        self.region = region
        self.durations = durations or Durations()
        self.clock = Clock(behaviours.speed)
        self.draws = Draws(behaviours.seed)
        self.caller: Principal | None = None
        """Whose IAM policies have to allow each call. None: everything is allowed."""
        self.data_plane: Any = None
        self.lock = threading.RLock()
        self._memories: dict[tuple[type, str], Any] = {}
        self._events: list[_Event] = []
        self._numbers = itertools.count()
        self.decided: dict[str, bool] = {}  # what `possible` has drawn
        self._settling: float | None = None  # when the action that is happening was due

    def memory(self, kind: type[T], region: str = "") -> T:
        """What a group of behaviours remembers about `region`: one `kind()`, made at first use."""
        if (kind, region) not in self._memories:
            self._memories[kind, region] = kind()
        memory: T = self._memories[kind, region]
        return memory

    def takes(self, what: str, *of: str) -> float:
        """AWS seconds that `what` (of `Durations`) takes this time, for what `of` names.

        Drawn by the rehearsal's seed; without one, the typical value. Ask once for each time.
        """
        duration: Duration = getattr(self.durations, what)
        number = self.draws.number(what, *of)
        return duration.at(number) if isinstance(duration, Spread) else duration

    def possible(self, what: str) -> bool:
        """Whether the real AWS does `what` (of `Behaviours`), where nobody knows: see there."""
        chosen: bool | None = getattr(self.behaviours, what)
        if chosen is not None or self.draws.seed is None:
            return bool(chosen)
        if what not in self.decided:
            self.decided[what] = self.draws.happens(0.5, what)
        return self.decided[what]

    def later(self, aws_seconds: float, action: Callable[[], None], key: Hashable = None) -> None:
        """Lets `action` happen once `aws_seconds` have passed; see `settle`.

        From within another action: since that was due, however late the call that let it happen.
        """
        due = (self.clock.now() if self._settling is None else self._settling) + aws_seconds
        self._events.append(_Event(due, next(self._numbers), action, key))

    def forget(self, key: Hashable) -> None:
        """Takes back everything that was still to happen under `key`."""
        self._events = [event for event in self._events if event.key != key]

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """Lets other calls in meanwhile: for a behaviour that waits for something outside."""
        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()

    def settle(self) -> None:
        """Does what has become due, in order. Called before each call: no thread needed."""
        while due := sorted(e for e in self._events if e.due <= self.clock.now()):
            self._events.remove(due[0])
            self._settling = due[0].due
            try:
                due[0].action()
            finally:
                self._settling = None

    def ask(
        self, service: str, operation: str, region: str | None = None, **params: Any
    ) -> dict[str, Any]:
        """moto's own answer to a call that no client made. Raises AwsError."""
        return self.moto.ask(Call(service, operation, params, region or self.region, INSIDE_KEY))

    def ask_as(self, call: Call, **changes: Any) -> dict[str, Any]:
        """moto's answer to `call` with some parameters changed; None leaves one out."""
        params = {k: v for k, v in {**call.params, **changes}.items() if v is not None}
        return self.moto.ask(replace(call, params=params))

    def backend(self, service: str, region: str | None = None) -> Any:
        """moto's own object for `service`, for what no call can tell or change."""
        return self.moto.backend(service, region or self.region)


Answer = dict[str, Any]
"""An answer as a boto3 user sees it."""

Proceed = Callable[[], Answer]
"""Lets the next one answer. Raises AwsError."""

Behaviour = Callable[[World, Call, Proceed], "Mapping[str, Any] | None"]
"""Answers a call. None: moto's own answer, as it is."""


def refusing(check: Callable[[World, Call], object]) -> Behaviour:
    """A behaviour that only refuses: what `check` raises, where the rehearsal has refusals."""

    @wraps(check)
    def behaviour(world: World, call: Call, proceed: Proceed) -> None:
        if world.behaviours.refusals:
            check(world, call)

    return behaviour
