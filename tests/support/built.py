"""The commands at work on a rehearsal, and an environment that they have built there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from provision.rehearsal import Rehearsal, Remote, environ
from tests.support.account import Account
from tests.support.commands import Commands
from tests.support.names import REGION

CONFIG = """\
[environment]
name = "{name}"
region = "{region}"
tags = {{ team = "blue" }}

[wait]
poll_seconds = 0.02
timeout_minutes = 1
"""


def commands_at(
    place: Rehearsal | Remote | str,
    folder: Path,
    *,
    name: str = "rds-proxy-auth",
    region: str = REGION,
) -> Commands:
    """Return the commands at work on a rehearsal, or on what listens at a URL, from `folder`.

    The folder gets a config.toml with the environment's name and polls that wait for little.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(CONFIG.format(name=name, region=region))
    (folder / "home").mkdir(exist_ok=True)
    home = {"HOME": str(folder / "home"), "TMPDIR": os.environ.get("TMPDIR", "/tmp")}  # noqa: S108
    reach = environ(place, region) if isinstance(place, str) else place.environ()
    return Commands(folder, home | reach)


@dataclass(frozen=True)
class Built:
    """An environment that is up and as it should be, and who looks at it."""

    commands: Commands
    account: Account
    remote: Remote
