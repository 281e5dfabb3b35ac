"""`python -m provision.rehearsal`: a rehearsed AWS in a process of its own.

Prints one line of JSON, `{"endpoint_url", "pid", "seed", "environ", "unset", "somebody_else",
"control_url", "protection"}`, and serves until SIGTERM or SIGINT. If its standard input is a
pipe, it also ends when that closes, so that it never outlives the program that started it.
docs/rehearsal.md says how to use it from a script.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
import stat
import sys
import threading
from pathlib import Path

from provision.cli.clean_environ import start_clean
from provision.rehearsal import SOMEBODY_ELSE, UNWANTED, Behaviours, Rehearsal, new_seed


def main(arguments: list[str] | None = None) -> int:
    """Serves a rehearsal. Exit code 0; 2 for a file of overrides that cannot be read."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.seed is None and not (options.typical or options.plain):
        options.seed = new_seed()
    behaviours = Behaviours.plain() if options.plain else Behaviours()
    behaviours = dataclasses.replace(
        behaviours,
        speed=options.speed or behaviours.speed,
        seed=options.seed,
        latency_seconds=options.latency_ms / 1000,
    )
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        rehearsal = Rehearsal(
            behaviours,
            region=options.region,
            port=options.port,
            data_plane=options.data_plane,
            overrides=options.overrides,
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with rehearsal:
        if options.control:
            rehearsal.open_control()
        print(_shell(rehearsal) if options.shell else _json(rehearsal), flush=True)
        if _is_pipe(0):
            threading.Thread(target=_until_closed, args=(over,), daemon=True).start()
        over.wait()
    return 0


def _json(rehearsal: Rehearsal) -> str:
    key = rehearsal.key(SOMEBODY_ELSE)
    about = {
        "endpoint_url": rehearsal.endpoint_url,
        "pid": os.getpid(),
        "seed": rehearsal.world.draws.seed,
        "environ": rehearsal.environ(),
        "unset": UNWANTED,
        "somebody_else": {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret},
        "control_url": rehearsal.control_url,
        "protection": rehearsal.protection,
    }
    return json.dumps(about)


def _shell(rehearsal: Rehearsal) -> str:
    """The same as `_json`, as lines for a POSIX shell."""
    key = rehearsal.key(SOMEBODY_ELSE)
    exported = {
        **rehearsal.environ(),
        "REHEARSAL_SEED": str(rehearsal.world.draws.seed),
        "SOMEBODY_ELSE": key.id,
        "SOMEBODY_ELSE_SECRET": key.secret,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    return "\n".join([f"unset {' '.join(UNWANTED)}", *lines])


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _until_closed(over: threading.Event) -> None:
    # Not through sys.stdin: at exit the interpreter would wait for a read that is under way.
    while os.read(0, 4096):
        pass
    over.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m provision.rehearsal", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="on 127.0.0.1; 0 (default) = any free port"
    )
    parser.add_argument("--region", default="ap-northeast-1", help="default: %(default)s")
    parser.add_argument("--speed", type=float, help="AWS seconds that pass in a second")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="the seed of random choices, such as durations (default: a new one)",
    )
    parser.add_argument(
        "--typical", action="store_true", help="no random choices: durations are typical"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer")
    parser.add_argument("--plain", action="store_true", help="only moto, without AWS's behaviours")
    parser.add_argument(
        "--overrides",
        type=Path,
        metavar="FILE",
        help="JSON rules that change AWS's answers; read again whenever the file changes",
    )
    parser.add_argument(
        "--shell", action="store_true", help="instead of JSON, print commands for a shell"
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="accept control requests (faults, policy, time, ...) at the printed control_url",
    )
    parser.add_argument(
        "--no-data-plane",
        dest="data_plane",
        action="store_false",
        help="start faster: no function can be invoked, and no HTTP API called",
    )
    return parser


if __name__ == "__main__":
    start_clean()
    sys.exit(main())
