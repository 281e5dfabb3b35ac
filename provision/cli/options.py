"""The flags that every command takes, and the configuration that they name.

Apart from context.py, so that a bad flag or value is refused before boto3 is imported.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from provision.config import Config, load
from provision.errors import UsageError
from provision.state.location import Location, location

CONFIG = Path("config.toml")


class Stop(threading.Event):
    """Set when the command is to end. `expected`: that is how it ends, and needs no explanation."""

    expected = False


@dataclass(frozen=True)
class Options:
    """The flags that every command takes."""

    config: Path | None = None  # None: CONFIG where there is one, else every key's default
    state: str | None = None  # a path or s3://BUCKET/KEY; None: as state.location says
    overrides: tuple[str, ...] = ()
    profile: str | None = None
    region: str | None = None
    speed: float = 1.0  # of a rehearsal: how many times faster than AWS
    stop: Stop = field(default_factory=Stop)
    call_log: Callable[[str, str, str, float], None] | None = None

    @cached_property
    def configuration(self) -> Config:
        """The checked configuration, read once. Raises ConfigError or UsageError."""
        path, region = config_path(self), self.region
        return load(path, self.overrides, region=region, default_region=self._boto_region)

    def _boto_region(self) -> tuple[str, str] | None:
        """Return where else a region is set (a variable, a profile), and the region; or None."""
        import botocore.exceptions
        import botocore.session

        if not self.profile and (region := os.environ.get("AWS_REGION")):
            return "AWS_REGION", region
        reported_later = botocore.exceptions.ProfileNotFound, botocore.exceptions.ConfigParseError
        with contextlib.suppress(*reported_later):  # when the session is made
            session = botocore.session.Session(profile=self.profile)
            variable = "AWS_DEFAULT_REGION"
            by = variable if os.environ.get(variable) else "the profile's region"
            if found := session.get_config_variable("region"):
                return by, found
        return None


def config_path(options: Options) -> Path | None:
    """Return the configuration file, or None if there is none and every default applies."""
    if options.config is not None:
        return options.config
    try:
        CONFIG.lstat()
    except FileNotFoundError:
        return None
    except OSError:
        pass  # it is reported when it is read
    return CONFIG


def state_location(options: Options, config: Config) -> Location:
    """Return where the state is kept: `--state`, or else state.location."""
    text = config.state.location if options.state is None else options.state
    return location(text, config.environment.name)


def refuse_without_config(options: Options) -> None:
    """Raise UsageError if a command would change an environment that the user has not named.

    The defaults have a name too, and a command in the wrong folder must not change that one.
    """
    named = any(each.partition("=")[0].strip() == "environment.name" for each in options.overrides)
    if config_path(options) is None and not named:
        raise UsageError(
            f"there is no {CONFIG} in this folder",
            next_step="Run in the folder that has it, name it with --config PATH, or write one "
            "with the defaults: python -m provision init",
        )
