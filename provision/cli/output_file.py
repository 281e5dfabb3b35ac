"""Files that a flag names, and a command writes."""

from __future__ import annotations

from pathlib import Path

from provision.errors import UsageError


def write_text(flag: str, path: Path, text: str) -> None:
    """Write the file that `flag` names. Raises UsageError."""
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"{flag} {path}: cannot be written: {why}",
            next_step="Name a file in an existing, writable folder.",
        ) from error
