"""config.toml, read into typed and checked values."""

from __future__ import annotations

from provision.config.schema import (
    ARCHITECTURES,
    KEYS,
    LOG_RETENTION_DAYS,
    RUNTIMES,
    SECTIONS,
    ApiSettings,
    Config,
    DatabaseSettings,
    EnvironmentSettings,
    checked,
    load,
)

__all__ = [
    "ARCHITECTURES",
    "KEYS",
    "LOG_RETENTION_DAYS",
    "RUNTIMES",
    "SECTIONS",
    "ApiSettings",
    "Config",
    "DatabaseSettings",
    "EnvironmentSettings",
    "checked",
    "load",
]
