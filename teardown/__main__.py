# PYTHON_ARGCOMPLETE_OK
"""`python -m teardown`: deletes the environment, and checks that nothing of it is left."""

from __future__ import annotations

import sys
from typing import NoReturn

from provision.cli.clean_environ import start_clean
from provision.cli.process import be_a_process, execute
from teardown.command_line import prepare


def main() -> int:
    """Run the command that the arguments name. Returns the exit code."""
    return execute(prepare, "teardown")


def script() -> NoReturn:
    """Be the `teardown` command."""
    if "--dry-run" in sys.argv[1:]:
        start_clean()
    be_a_process(main)


if __name__ == "__main__":
    script()
