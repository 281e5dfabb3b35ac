"""Which version this is, for `--version`: nothing slow is imported before it is wanted."""

from __future__ import annotations

import argparse
import platform
import tomllib
from pathlib import Path
from typing import Any

NAME = "rds-proxy-auth"
SOURCE = Path(__file__).parents[2] / "pyproject.toml"


def version(source: Path = SOURCE) -> str:
    """Return the version: that of the source it runs from, or of the package that is installed."""
    try:
        project = tomllib.loads(source.read_text(encoding="utf-8"))["project"]
        if project["name"] == NAME:
            return str(project["version"])
    except (OSError, ValueError, KeyError):
        pass
    return installed(NAME)


def installed(package: str) -> str:
    """Return the version of an installed package, or `unknown`."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


class ShowVersion(argparse.Action):
    """`--version`: prints what a bug report needs, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        python = f"Python {platform.python_version()}"
        print(f"{NAME} {version()} (boto3 {installed('boto3')}, {python})")
        parser.exit()
