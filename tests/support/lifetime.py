"""Other times than now, for tests of environments that end by themselves."""

from __future__ import annotations

import datetime
from typing import Any
from unittest import mock

from provision.engine import lifetime
from tests.support.commands import Commands


def later(hours: float) -> Any:
    """Let the commands take it for so many hours later."""
    shifted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    return mock.patch.object(lifetime, "now", return_value=shifted)


def existing(commands: Commands, *flags: str) -> dict[str, dict[str, Any]]:
    """What `list` finds, by name."""
    result = commands.run("provision", "list", "--output", "json", *flags)
    assert result.code == 0, result.stdout
    return {each["name"]: each for each in result.of("environment")}
