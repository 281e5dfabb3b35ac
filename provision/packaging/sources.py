"""Where the files are that are packed or copied, not imported: functions, layer, config, …

A checkout has them at its top; an installed package carries them in a folder of its own, since
nothing but packages belongs into site-packages.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_data"  # pyproject.toml maps the folders to it

IN_CHECKOUT = not _INSTALLED.is_dir()
"""Whether the program runs from a checkout of its repository."""

ROOT = _PACKAGE.parent if IN_CHECKOUT else _INSTALLED
"""The folder that holds `functions/`, `layer/`, `certs/` and `config.toml`."""

RESTORE = (
    "Run from a complete checkout of the repository."
    if IN_CHECKOUT
    else "Install rds-proxy-auth again: files of it are missing."
)
"""What to do when one of these files is missing."""
