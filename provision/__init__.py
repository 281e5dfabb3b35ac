"""Builds the environment; `python -m provision` is the command, `Environment` the library.

    from provision import Environment

    with Environment("config.toml", dry_run=True) as environment:
        print(environment.urls["iam"])

The names below are the whole public interface; they are loaded when they are first used, so that
the command does not wait for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provision.errors import CheckFailed, ConfigError, ProvisionError, UsageError
    from provision.library.environment import Environment

_MODULES = {
    "CheckFailed": "provision.errors",
    "ConfigError": "provision.errors",
    "Environment": "provision.library.environment",
    "ProvisionError": "provision.errors",
    "UsageError": "provision.errors",
}

__all__ = ["CheckFailed", "ConfigError", "Environment", "ProvisionError", "UsageError"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
