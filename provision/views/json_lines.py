"""`--output json`: one JSON object a line on stdout, as things happen, and nothing else."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO

from provision.engine.events import Display, Summary
from provision.errors import ProvisionError
from provision.resources.base import CreatableResource
from provision.views.spelling import spelled

if TYPE_CHECKING:
    from provision.engine.plan import Plan
    from provision.resources.base import Resource

COUNTS = ("created", "adopted", "updated", "unchanged", "deleted")


class JsonLines(Display):
    """Events for programs. The last line is the summary."""

    interactive = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    def record(self, event: str, **values: Any) -> None:
        line = spelled(json.dumps({"event": event} | values, default=str))
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()

    def planned(self, plan: Plan) -> None:
        for each in plan.steps:
            if not isinstance(each.resource, CreatableResource):
                continue
            self.record(
                "planned",
                step=each.step,
                kind=each.resource.kind,
                action=each.action.value,
                changes=[change.as_dict() for change in each.changes],
                kept=list(each.kept),
            )

    def began(self, resource: Resource, doing: str) -> None:
        self.record("begin", step=resource.step, doing=doing)

    def status(self, resource: Resource, status: str, reason: str = "") -> None:
        self.record("status", step=resource.step, status=status, reason=reason)

    def finished(self, resource: Resource, action: str, identity: str, seconds: float) -> None:
        if not isinstance(resource, CreatableResource):
            return  # no program counts what AWS makes, and deletes, by itself
        self.record(
            "step", step=resource.step, action=action, id=identity, seconds=round(seconds, 3)
        )

    def failed(self, resource: Resource, error: ProvisionError) -> None:
        self.record(
            "step",
            step=resource.step,
            action="failed",
            id=resource.name,
            seconds=None,
            error=error.as_dict(),
        )

    def skipped(self, resource: Resource, reason: str) -> None:
        self.record("skipped", step=resource.step, reason=reason)

    def summary(self, summary: Summary) -> None:
        self.record(
            "summary",
            ok=summary.ok,
            **{name: getattr(summary, name) for name in COUNTS},
            seconds=round(summary.seconds, 3),
            url=summary.url,
            error=summary.error.as_dict() if summary.error else None,
        )
