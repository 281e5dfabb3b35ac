"""What can happen to a step in a run; apart from plan.py, since outputs do without boto3."""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What happens to a step in a run."""

    CREATE = "create"
    ADOPT = "adopt"
    UPDATE = "update"
    REPLACE = "replace"
    NONE = "unchanged"
