"""Completion of both commands in the shell, by argcomplete, which knows `python -m MODULE`.

Once: `pip install -e '.[completion]'`, then `activate-global-python-argcomplete`. A shell that
completes sets _ARGCOMPLETE and runs the command; only then is argcomplete imported, so that nobody
else waits for it. The mark that it looks for stands at the top of both `__main__.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any


def completes() -> bool:
    """Return whether a shell asks for completions."""
    return "_ARGCOMPLETE" in os.environ


def offer(parser: argparse.ArgumentParser) -> None:
    """Answer a shell's request for completions and exit; otherwise do nothing."""
    if not completes():
        return
    try:
        import argcomplete
    except ImportError:
        return
    for action in actions(parser):
        if "--set" in action.option_strings:
            action.completer = keys  # type: ignore[attr-defined]
        if "--replace" in action.option_strings:
            action.completer = steps  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    """Yield the flags of a parser and of its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)


def keys(**_: Any) -> list[str]:
    """Return what may stand before the `=` of --set."""
    from provision.config import KEYS

    return [f"{key}=" for key in KEYS]


def steps(**_: Any) -> list[str]:
    """Return the steps that --replace may name."""
    from provision.config import Config
    from provision.environment import environment
    from provision.resources.base import ManagedResource

    resources = environment(Config(), packed=False)
    return [each.step for each in resources if isinstance(each, ManagedResource)]
