"""The environment as a library: `with Environment("config.toml", dry_run=True) as environment: …`.

For a program or a test run that needs the environment for a while. Other programs should rely only
on the names that `provision` itself exports.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from provision.cli.options import Options, Stop, refuse_without_config
from provision.cli.process import stopping_on_signals
from provision.commands.check import prove_logins
from provision.commands.dry_run import rehearsed
from provision.commands.up import bring_up
from provision.context import opened
from provision.engine.events import Display
from provision.errors import Locked, ProvisionError, UsageError
from provision.verify.http_client import LOGIN_ROUTES


class Environment:
    """The environment of a configuration; it exists for as long as a `with` block lasts.

    `config` is a path (default: config.toml if it exists, else every default); `settings` override
    its keys: `{"database.name": "shop"}`. With `dry_run`, everything is rehearsed on this machine,
    `speed` times faster than AWS (default 1000). Without it, the environment is created in the
    account that boto3 finds (`profile`), and billed. `keep` leaves it in place at the end. With
    `progress`, the commands' own output goes to stderr.

    Entering makes AWS match the configuration and, with `check`, proves both logins. Leaving
    deletes everything and proves that nothing is left, even after an exception or Ctrl-C. If the
    process is killed, the state file records what was created: the next block with the same
    configuration continues with it, and deletes it.

    Raises UsageError before anything is called, and the other subclasses of ProvisionError.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | None = None,
        *,
        dry_run: bool = False,
        settings: Mapping[str, Any] | None = None,
        state: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        speed: float | None = None,
        check: bool = True,
        keep: bool = False,
        progress: bool = False,
    ) -> None:
        self._options = Options(
            config=Path(config) if config is not None else None,
            state=os.fspath(state) if state is not None else None,
            overrides=tuple(f"{key}={as_toml(value)}" for key, value in (settings or {}).items()),
            profile=profile,
            stop=Stop(),
        )
        self._dry_run = dry_run
        self._speed = speed
        self._check = check
        self._keep = keep
        self._output = shown_on_stderr() if progress else Display()
        self._stack = contextlib.ExitStack()
        self.url = ""
        """The API's URL, without a path."""
        self.outputs: Mapping[str, Mapping[str, str]] = {}
        """Ids, ARNs, names and endpoints, by step: `outputs["db-instance"]["endpoint"]`."""

    @property
    def urls(self) -> Mapping[str, str]:
        """The route of each login: `urls["password"]`, `urls["iam"]`."""
        urls: dict[str, str] = {}
        for route in LOGIN_ROUTES:
            urls.setdefault(route.login, self.url + route.path)
        return urls

    def check(self) -> None:
        """Call both routes. Raises CheckFailed, with cause and proof, if a login fails."""
        with opened(self._options, "check", self._output, looks=False) as run:
            run.url = self.url
            prove_logins(run)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            if self._dry_run:
                self._options, _ = stack.enter_context(
                    rehearsed(self._options, self._output, speed=self._speed, database=None)
                )
            elif self._speed is not None:
                raise UsageError("speed requires dry_run")
            else:
                refuse_without_config(self._options)
            try:
                self._bring_up()
            except (UsageError, Locked):
                raise  # nothing was made, or somebody else is at work on it
            except BaseException as error:
                self._take_down(error)
                raise
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            self._take_down(error)

    def _bring_up(self) -> None:
        with self._interruptible(), opened(self._options, "up", self._output) as run:
            bring_up(run, check=self._check, yes=True)
            self.url = run.url or ""
            self.outputs = run.state.known()

    def _take_down(self, error: BaseException | None) -> None:
        """Delete everything. An error of the block stays the one that is raised."""
        from teardown.command import teardown

        if self._keep:
            return
        self._options.stop.clear()
        try:
            with self._interruptible():
                teardown(self._options, self._output, yes=True)
        except ProvisionError as left:
            if error is None:
                raise
            self._output.error(left)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C end the block in good order, where this thread may say so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with stopping_on_signals(self._options.stop, self._output):
            yield


def as_toml(value: object) -> str:
    """Return a setting's value as config.toml would have it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def shown_on_stderr() -> Display:
    """Return the plain output, with its results on stderr too."""
    from provision.views.plain import Plain

    return Plain(out=sys.stderr)
