"""Records of runs and state files to draw."""

from __future__ import annotations

from typing import Any

from provision.resources.template import Template
from provision.views.timeline.model import Timeline
from provision.views.timeline.page import Glance, LoginFacts, page
from provision.views.timeline.things import things_in_state


def step(began: float, ended: float | None, *said: tuple[float, str, str], **more: Any) -> Any:
    """A step's entry of a record."""
    end = {} if ended is None else {"ended": ended, "action": "created"}
    return {"began": began, "doing": "creating", "statuses": [list(s) for s in said]} | end | more


UP: dict[str, Any] = {
    "command": "up",
    "began": "2026-11-24T08:00:00Z",
    "seconds": 100.0,
    "ok": True,
    "steps": {
        "vpc": step(10, 12, (11, "available", "")),
        "availability-zones": step(10, None),
        "secret": step(10, 14),
        "subnet-database-1": step(12, 14),
        "db-subnet-group": step(15, 16),
        "db-instance": step(16, 80, (17, "creating", "")),
        "proxy-iam": step(14, 50, (15, "creating", "")),
        "target-iam": step(
            20,
            95,
            (21, "waiting", "not yet"),
            (80, "UNAVAILABLE", "PENDING_PROXY_CAPACITY"),
            (95, "AVAILABLE", ""),
        ),
    },
}


URL = "https://a1b2c3d4e5.execute-api.ap-northeast-1.amazonaws.com"
GLANCE = Glance(
    (
        LoginFacts("Password login", f"{URL}/func1", True, (("Login takes", "12 ms"),)),
        LoginFacts("IAM login", f"{URL}/func2", False, (("Login takes", "27 ms"),)),
    ),
    (
        ("Cost per hour", "about $0.08"),
        ("Cost so far", "about $0.16"),
        ("Expires", "2026-11-27 08:00 UTC, in 7h59m: about $0.805 until then (as of 00:01 UTC)"),
    ),
)


def whole_page(
    up: Timeline, resources: Template, steps: Any, about: str = "x", glance: Glance = GLANCE
) -> str:
    things = things_in_state(resources, steps, "ap-northeast-1")
    return page(about, "from the state file", up, resources, things, glance)


def all_ready(resources: Template, *lost: str) -> dict[str, Any]:
    """A state file's steps, all ready but for the lost ones."""
    return {
        each.step: {"phase": "ready", "outputs": {"id": f"id-{each.step}"}, "since": ""}
        for each in resources
        if each.step not in lost
    }
