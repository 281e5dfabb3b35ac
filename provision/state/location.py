"""Where a state is kept: `state.location` and `--state` as a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

S3 = "s3://"
LOCK_SUFFIX = ".lock"
DEFAULT_FOLDER = ".provision"


@dataclass(frozen=True)
class S3Location:
    """An object in S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{S3}{self.bucket}/{self.key}"

    @property
    def lock_key(self) -> str:
        """The key of the lock beside it."""
        return self.key + LOCK_SUFFIX


Location = Path | S3Location


def location(text: str, environment: str) -> Location:
    """Return what `text` names, a value that config/checks.py found good; "" is the default."""
    named = text.replace("{name}", environment)
    if not named:
        return Path(DEFAULT_FOLDER) / f"{environment}.json"
    if named.startswith(S3):
        bucket, _, key = named.removeprefix(S3).partition("/")
        return S3Location(bucket, key)
    return Path(named).expanduser()
