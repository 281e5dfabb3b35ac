"""Commands that refuse to begin: how they are run, and what has to be true of each refusal."""

from __future__ import annotations

import dataclasses

from tests.support.commands import Commands, Result


def plan(commands: Commands, *settings: str) -> Result:
    """`provision plan` with each of `settings` as `--set`."""
    flags = [flag for each in settings for flag in ("--set", each)]
    return commands.run("provision", "plan", "--output", "json", *flags)


def refused(commands: Commands, result: Result) -> str:
    """The message of bad usage; nothing was written, and there is no traceback."""
    assert result.code == 2, result
    assert "Traceback" not in result.stderr
    left = {path.name for path in commands.folder.iterdir()}
    assert left <= {"config.toml", "home", "other.toml"}, left
    message: str = result.error["message"]
    return message


def with_environ(commands: Commands, **changes: str | None) -> Commands:
    """The commands with these environment variables set, or (None) unset."""
    merged = {**commands.environ, **changes}
    kept = {key: text for key, text in merged.items() if text is not None}
    return dataclasses.replace(commands, environ=kept)
