"""Things that know no AWS, a cloud that has them, and the engine at work on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.aws.account import Identity
from provision.aws.shared_answers import SharedAnswers
from provision.engine.discovery import Discovery
from provision.engine.executor import Engine
from provision.engine.plan import Plan, compare
from provision.errors import ProvisionError
from provision.resources.base import AwsMadeResource, Change, ManagedResource, Resource, Seen
from provision.resources.references import Output
from provision.state.local import LocalStore
from provision.state.state import State
from provision.waiting.poll import PollPolicy


@dataclass
class Cloud:
    """What there is, what was done in which order, and what goes wrong or is waited for."""

    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    trouble: dict[str, Callable[[], object]] = field(default_factory=dict)  # by what is done
    born: str = "ready"  # the status of what was just created
    environment: str = "demo"
    extra_tags: Mapping[str, str] = field(default_factory=dict)
    region: str = "eu-west-1"
    shared: SharedAnswers = field(default_factory=SharedAnswers)
    identity: Identity = field(default_factory=lambda: Identity("123456789012", "aws", "arn"))

    def do(self, what: str) -> None:
        """Note what is done; or have it go wrong."""
        if what in self.trouble:
            self.trouble[what]()
        self.done.append(what)


@dataclass(frozen=True)
class Thing(ManagedResource):
    """Something with a size, that may refer to others; its state never changes by itself."""

    needs: tuple[str, ...] = ()
    size: int = 1
    fixed: int = 1  # a property that cannot be changed in place

    kind = "Demo::Thing"
    title = "thing"
    ready = frozenset({"ready"})
    failed = frozenset({"broken"})
    requires_replacement = frozenset({"Fixed"})

    id = Output()

    def find(self, aws: Any, known: Mapping[str, str]) -> Seen | None:
        thing = aws.there.get(self.step)
        if thing is None:
            return None
        properties = {"Size": thing["size"], "Fixed": thing["fixed"]}
        reason = thing.get("reason", "")
        return Seen({"id": thing["id"]}, properties, status=thing["status"], reason=reason)

    def properties(self) -> dict[str, Any]:
        return {"Size": self.size, "Fixed": self.fixed}

    def create(self, aws: Any) -> dict[str, str]:
        aws.do(f"create {self.step} {' '.join(self.needs)}".strip())
        thing = {"size": self.size, "fixed": self.fixed, "status": aws.born}
        aws.there[self.step] = thing | {"id": f"id-of-{self.step}"}
        return {"id": f"id-of-{self.step}"}

    def update(self, aws: Any, seen: Seen, changes: Mapping[str, Change]) -> None:
        aws.do(f"update {self.step}")
        aws.there[self.step]["size"] = self.size

    def delete(self, aws: Any, seen: Seen) -> None:
        aws.do(f"delete {self.step}")
        del aws.there[self.step]


@dataclass(frozen=True)
class Byproduct(AwsMadeResource):
    """Something that AWS makes for a thing."""

    needs: tuple[str, ...] = ()

    kind = "Demo::Byproduct"
    title = "byproduct"

    def find(self, aws: Any, known: Mapping[str, str]) -> Seen | None:
        return Seen({"id": "by-1"}, status="in use") if self.step in aws.there else None

    def delete(self, aws: Any, seen: Seen) -> None:
        aws.do(f"delete {self.step}")
        del aws.there[self.step]


class KeepingWatcher:
    """Keeps what is told of the steps."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def began(self, resource: Resource, doing: str) -> None:
        self.told.append(("began", resource.step, doing))

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        self.told.append(("status", resource.step, status, reason))

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        self.told.append(("finished", resource.step, action, identity))

    def failed(self, resource: Resource, error: ProvisionError) -> None:
        self.told.append(("failed", resource.step, error.message))

    def skipped(self, resource: Resource, reason: str) -> None:
        self.told.append(("skipped", resource.step, reason))


@dataclass
class EngineWorld:
    """A cloud, and the engine at work on it."""

    path: Path
    cloud: Cloud = field(default_factory=Cloud)
    watcher: KeepingWatcher = field(default_factory=KeepingWatcher)

    def engine(self, *things: Resource) -> Engine:
        """An engine as a new process would have it: with what is in the state file."""
        state = State.load(
            LocalStore(self.path), environment="demo", account="1", region="eu-west-1"
        )
        poll_policy = PollPolicy(timeout_seconds=1000, speed=1000)
        watcher: Any = self.watcher
        aws: Any = self.cloud
        return Engine(aws, things, state, poll_policy, (watcher,))

    def plan(self, engine: Engine, replace: tuple[str, ...] = ()) -> Plan:
        """What is to be done."""
        seen = Discovery(engine.aws, engine.resources, engine.state, engine.poll_policy).look()
        return compare(engine.aws, engine.resources, seen, engine.state, replace=replace)

    def up(self, *things: Thing, replace: tuple[str, ...] = ()) -> Engine:
        """Look, plan, carry out."""
        engine = self.engine(*things)
        engine.carry_out(self.plan(engine, replace))
        return engine

    def down(self, *things: Thing | Byproduct) -> Engine:
        """Remove everything."""
        engine = self.engine(*things)
        seen = Discovery(engine.aws, engine.resources, engine.state, engine.poll_policy).look()
        engine.remove(things, seen)
        return engine

    def phases(self) -> dict[str, str]:
        """What the state file says of each step."""
        steps = json.loads(self.path.read_text())["steps"]
        return {name: step["phase"] for name, step in steps.items()}
