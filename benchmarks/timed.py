"""Runs one command and says what it took: `python -I -S benchmarks/timed.py FOLDER COMMAND...`.

Prints one line of JSON: `code`, the exit code; `seconds`, from start to end of the process;
`cpu_seconds`; `mib`, the most memory that it held (RSS); `stderr`, its last words.

A process of its own, and a small one: Linux counts as a command's peak what the process that
started it held, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

LAST_WORDS = 2000  # characters of stderr
MAXRSS_UNITS = 1024 * 1024 if sys.platform == "darwin" else 1024  # of ru_maxrss in a MiB


def main() -> None:
    """Run the command of the arguments, with nothing to read, and print the line."""
    folder, *command = sys.argv[1:]
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        errors.seek(0)
        words = errors.read().decode(errors="replace")
    told = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "mib": used.ru_maxrss / MAXRSS_UNITS,
        "stderr": words[-LAST_WORDS:],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
