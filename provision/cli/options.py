"""The flags that every command takes, and the configuration that they name.

Kept apart from run.py so that a bad flag or a bad value is told before boto3 is even imported.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from provision.config import Config, load


@dataclass(frozen=True)
class Options:
    """The flags that every command takes."""

    config: Path = Path("config.toml")
    state: Path | None = None
    overrides: tuple[str, ...] = ()
    profile: str | None = None
    region: str | None = None
    speed: float = 1.0  # of a rehearsal: how many times faster than AWS
    stop: threading.Event = field(default_factory=threading.Event)
    call_log: Callable[[str, str, str, float], None] | None = None


def configuration(options: Options) -> Config:
    """Return the checked configuration. Raises ConfigError or UsageError."""

    def boto_region() -> str | None:
        import botocore.exceptions
        import botocore.session

        if not options.profile and (region := os.environ.get("AWS_REGION")):
            return region
        untold = botocore.exceptions.ProfileNotFound, botocore.exceptions.ConfigParseError
        with contextlib.suppress(*untold):  # they are told when the session is made
            session = botocore.session.Session(profile=options.profile)
            found: str | None = session.get_config_variable("region")
            return found
        return None

    return load(
        options.config, options.overrides, region=options.region, default_region=boto_region
    )
