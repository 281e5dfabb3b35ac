"""The state of one environment, in memory and in its store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from provision.state.document import (
    DELETING,
    RUNS_KEPT,
    StepState,
    now,
    parse,
    refuse_another,
    serialise,
)
from provision.state.group_commit import GroupCommit
from provision.state.store import Store


class State:
    """What is recorded of each step, what is about to be done, and what the last runs did.

    `writes` says whether changes are kept; without, they are forgotten with the object.
    """

    def __init__(self, store: Store, *, environment: str, region: str, writes: bool) -> None:
        self.store = store
        self.environment = environment
        self.account = ""  # until it is known who is calling
        self.region = region
        self.writes = writes
        self.serial = 0
        self.steps: dict[str, StepState] = {}
        self.runs: list[dict[str, Any]] = []
        self.under_way: Callable[[], dict[str, Any] | None] = lambda: None  # the run, so far
        self._version: str | None = None  # of the document that a write replaces
        self._lock = threading.Lock()
        self._commits = GroupCommit(self._write)

    # --- reading ----------------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        store: Store,
        *,
        environment: str,
        region: str,
        account: str | None = None,
        writes: bool = True,
    ) -> State:
        """Return the state that a store keeps; an empty one where it keeps none.

        Raises StateError for a document that is cut off, foreign, of a newer version, or of another
        environment, region or account. It is left as it is. Without `account`, because the caller
        is not known yet, `belong_to` has to follow.
        """
        state = cls(store, environment=environment, region=region, writes=writes)
        state.reload()
        if account is not None:
            state.belong_to(account)
        return state

    def reload(self) -> None:
        """Read the document again, in place of what is in memory. Raises StateError as `load`."""
        snapshot = self.store.read()
        with self._lock:
            if snapshot is None:
                self.serial, self.steps, self.runs, self._version = 0, {}, [], None
                return
            document = parse(snapshot.text, self.store.where)
            ours = {"environment": self.environment, "region": self.region}
            refuse_another(document, self.store.where, **ours)
            if self.account:
                refuse_another(document, self.store.where, account=self.account)
            else:
                self.account = document["account"]
            self.serial, self._version = document["serial"], snapshot.version
            self.steps = {name: StepState(**step) for name, step in document["steps"].items()}
            self.runs = document.get("runs", [])

    def belong_to(self, account: str) -> None:
        """Set the caller's account. Raises StateError for the state of another one."""
        ours = {"account": self.account, "steps": self.steps}
        refuse_another(ours, self.store.where, account=account)
        self.account = account

    def version(self) -> tuple[object, ...]:
        """Return a value that changes as soon as another run writes the document."""
        with self._lock:
            return self.serial, dict(self.steps), len(self.runs)

    def known(self) -> dict[str, dict[str, str]]:
        """Return each step's outputs of last time, and since when it is being deleted, if it is."""
        with self._lock:
            return {
                name: dict(step.outputs)
                | ({"deleting_since": step.since} if step.phase == DELETING else {})
                for name, step in self.steps.items()
            }

    # --- writing ----------------------------------------------------------------------------------

    def begin(self, step: str, phase: str) -> None:
        """Record the call that is about to be sent to AWS. Returns when that is written."""
        self.begin_all([step], phase)

    def begin_all(self, steps: Iterable[str], phase: str) -> None:
        """The same for several steps at once."""
        with self._lock:
            for step in steps:
                outputs = self.steps[step].outputs if step in self.steps else {}
                self.steps[step] = StepState(phase, dict(outputs), now())
        self._save(wait=True)

    def record(self, step: str, phase: str, outputs: Mapping[str, str]) -> None:
        """Record what AWS answered. Writes only what is new."""
        with self._lock:
            before = self.steps.get(step)
            if before and (before.phase, before.outputs) == (phase, dict(outputs)):
                return
            self.steps[step] = StepState(phase, dict(outputs), now())
        self._save()

    def forget(self, *steps: str) -> None:
        """Record that the resources of these steps no longer exist."""
        with self._lock:
            gone = [self.steps.pop(step) for step in steps if step in self.steps]
        if gone:
            self._save()

    def add_run(self, run: Mapping[str, Any]) -> None:
        """Keep the record of a run that has ended, and of the last ones before it."""
        with self._lock:
            self.under_way = lambda: None
            self.runs = [*self.runs, dict(run)][-RUNS_KEPT:]
        self._save(wait=True)

    def add_check(self, check: Mapping[str, Any]) -> None:
        """Add the result of a check of the logins to the record of the newest run."""
        with self._lock:
            if not self.runs:
                return
            self.runs = [*self.runs[:-1], {**self.runs[-1], "check": dict(check)}]
        self._save(wait=True)

    def check_writable(self) -> None:
        """Write the document once. Raises StateError before any call to AWS."""
        self._save(wait=True)

    def flush(self) -> None:
        """Return when all that was recorded is written. Raises StateError."""
        self._commits.wait()

    def _save(self, *, wait: bool = False) -> None:
        """Have what is in memory written, together with what others change meanwhile.

        What announces a call is waited for. What records an answer is not, where that costs a round
        trip: after a kill before it is written, the next run reads AWS, as after a lost answer.
        """
        if not self.writes:
            return
        number = self._commits.ask()
        if wait or not self.store.distant:
            self._commits.wait(number)

    def _write(self) -> None:
        with self._lock:
            self.serial += 1
            text = serialise(self._document())
        self._version = self.store.write(text, self._version)

    def _document(self) -> dict[str, Any]:
        run = self.under_way()  # so that of a run that is killed there is a record too
        return {
            "serial": self.serial,
            "environment": self.environment,
            "account": self.account,
            "region": self.region,
            "steps": {name: asdict(step) for name, step in sorted(self.steps.items())},
            "runs": [*self.runs, run][-RUNS_KEPT:] if run else self.runs,
        }
