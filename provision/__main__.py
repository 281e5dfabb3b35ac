# PYTHON_ARGCOMPLETE_OK
"""`python -m provision`: builds the environment, and shows that it works."""

from __future__ import annotations

from typing import NoReturn

from provision.cli.process import be_a_process, execute
from provision.commands.command_line import prepare


def main() -> int:
    """Run the command that the arguments name. Returns the exit code."""
    return execute(prepare, "provision")


def script() -> NoReturn:
    """Be the `provision` command."""
    be_a_process(main)


if __name__ == "__main__":
    script()
