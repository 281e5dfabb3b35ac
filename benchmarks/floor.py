"""The floors under a second `up`: `python -m benchmarks.floor CALLS.json THREADS [--tuned]`.

Straight-line boto3 that makes the reads of CALLS.json, `[[SERVICE, OPERATION, PARAMETERS], ...]`,
and forgets the answers. It knows every parameter beforehand, compares nothing and writes nothing:
one session, each client made once by one thread, a service's reads on their way while the next
client is made. With `--tuned` no garbage is collected and the interpreter is left without clean-up,
as in the product. With one thread the reads go one after the other.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any


def main() -> None:
    """Make the reads. A refused one ends in a traceback, and exit code 1."""
    import boto3  # here, where no garbage is collected meanwhile
    from botocore.config import Config

    path, threads, *_ = sys.argv[1:]
    calls: list[tuple[str, str, dict[str, Any]]] = json.loads(Path(path).read_text())
    session = boto3.Session()
    config = Config(max_pool_connections=50, retries={"total_max_attempts": 1})
    reads = []
    with ThreadPoolExecutor(int(threads)) as pool:
        for service, group in groupby(calls, lambda call: call[0]):
            client = session.client(service, config=config)
            reads += [pool.submit(getattr(client, name), **params) for _, name, params in group]
    for read in reads:
        read.result()


if __name__ == "__main__":
    tuned = "--tuned" in sys.argv
    if tuned:
        gc.disable()
    main()
    if tuned:
        os._exit(0)
