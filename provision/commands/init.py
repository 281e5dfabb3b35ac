"""`provision init`: writes config.toml with every default and a comment on each."""

from __future__ import annotations

import os
import time

from provision.cli.options import CONFIG, Options
from provision.engine.events import Display, Summary
from provision.errors import UsageError
from provision.packaging.sources import RESTORE, ROOT


def init(options: Options, output: Display) -> Summary:
    """Write the commented defaults to `--config`, or to config.toml. Returns the summary.

    Raises UsageError when the file exists, or cannot be written.
    """
    began, path = time.monotonic(), options.config or CONFIG
    try:
        content = (ROOT / CONFIG).read_bytes()
    except OSError as error:
        raise UsageError(f"{ROOT / CONFIG}: {error.strerror}", next_step=RESTORE) from None
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(
            f"{path} already exists; it was not changed",
            next_step="Edit it, or write another one with --config PATH.",
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", next_step="Choose another folder.") from None
    output.note(f"wrote {path}: every key with its default and a comment")
    return Summary(
        "init",
        ok=True,
        seconds=time.monotonic() - began,
        next_commands=[
            ("python -m provision up --dry-run", "rehearse it on this machine: no AWS, no bill"),
            ("python -m provision plan", "what `up` would do in your account (read-only)"),
        ],
    )
