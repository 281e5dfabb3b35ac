"""`python -m provision.rehearsal`: a rehearsed AWS of its own process, until it is told to stop.

Prints one line of JSON, `{"endpoint_url": ..., "pid": ...}`, and serves until SIGTERM, SIGINT, or
until its standard input closes (so that it never outlives the test that started it).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import threading

from provision.rehearsal import Behaviours, Rehearsal


def main(arguments: list[str] | None = None) -> int:
    """Serves a rehearsal. Exit code 0."""
    options = _parser().parse_args(arguments)
    behaviours = Behaviours.plain() if options.plain else Behaviours()
    behaviours = dataclasses.replace(
        behaviours,
        speed=options.speed or behaviours.speed,
        latency_seconds=options.latency_ms / 1000,
    )
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with Rehearsal(
        behaviours, region=options.region, port=options.port, data_plane=options.data_plane
    ) as rehearsal:
        about = {"endpoint_url": rehearsal.endpoint_url, "pid": os.getpid()}
        print(json.dumps(about), flush=True)
        threading.Thread(target=_until_closed, args=(over,), daemon=True).start()
        over.wait()
    return 0


def _until_closed(over: threading.Event) -> None:
    # Not through sys.stdin: at exit the interpreter would wait for a read that is under way.
    while os.read(0, 4096):
        pass
    over.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m provision.rehearsal", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 (default) = any free")
    parser.add_argument("--region", default="ap-northeast-1", help="default: %(default)s")
    parser.add_argument("--speed", type=float, help="AWS seconds that pass in a second")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer")
    parser.add_argument("--plain", action="store_true", help="moto alone, without AWS's behaviours")
    parser.add_argument(
        "--no-data-plane",
        dest="data_plane",
        action="store_false",
        help="no function can be invoked, no HTTP API called",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
