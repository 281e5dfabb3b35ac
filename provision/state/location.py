"""Where a state is kept: `state.location` and `--state` as a value."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

S3 = "s3://"
FILE = "file://"
MOST_CHARACTERS = 256  # of a tag's value
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


def tag_of(at: Location) -> str:
    """Return a location as a tag has it: `s3://BUCKET/KEY`, or `file://HOST/PATH`; "" if too long.

    What a tag's value may not have in it is written as `=` and its code in hexadecimal.
    """
    if isinstance(at, S3Location):
        text = S3 + quoted(f"{at.bucket}/{at.key}")
    else:
        text = FILE + quoted(platform.node()) + quoted(str(at.absolute()))
    return text if len(text) <= MOST_CHARACTERS else ""


def quoted(text: str) -> str:
    """Return a text with nothing in it but letters, digits and `/_.:+-@=`."""
    return quote(text, safe="/_.:+-@").replace("%", "=").replace("~", "=7E")


def location_of(tag: str) -> Location | None:
    """Return the location that a tag names, or None if this machine cannot reach it."""
    text = unquote(tag.replace("=", "%"))
    if text.startswith(S3):
        bucket, _, key = text.removeprefix(S3).partition("/")
        return S3Location(bucket, key) if bucket and key else None
    host, slash, path = text.removeprefix(FILE).partition("/")
    if not text.startswith(FILE) or host != platform.node() or not slash:
        return None
    found = Path(slash + path)
    return found if found.is_file() else None


def location(text: str, environment: str) -> Location:
    """Return what `text` names, a value that config/checks.py found good; "" is the default."""
    named = text.replace("{name}", environment)
    if not named:
        return Path(DEFAULT_FOLDER) / f"{environment}.json"
    if named.startswith(S3):
        bucket, _, key = named.removeprefix(S3).partition("/")
        return S3Location(bucket, key)
    return Path(named).expanduser()
