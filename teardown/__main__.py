# PYTHON_ARGCOMPLETE_OK
"""`python -m teardown`: deletes the environment, and checks that nothing of it is left."""

from __future__ import annotations

from typing import NoReturn

from provision.cli.process import be_a_process, execute
from teardown.command_line import prepare


def main() -> int:
    """Run the command that the arguments name. Returns the exit code."""
    return execute(prepare, "teardown")


def script() -> NoReturn:
    """Be the `teardown` command."""
    be_a_process(main)


if __name__ == "__main__":
    script()
