"""A MariaDB server for the tests that are marked `realdb`; one for each test process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from provision.rehearsal.data_plane.proxy.databases import DatabaseDownError, ProxyCredentials
from provision.rehearsal.data_plane.proxy.mariadbd import MariaDb, find_program


def need_mariadbd() -> None:
    """Skip the test where there is no server program; in CI, fail it."""
    try:
        find_program()
    except DatabaseDownError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def running(schema: str, user: ProxyCredentials) -> Iterator[MariaDb]:
    """A server with this schema and user, until the generator is closed."""
    need_mariadbd()
    server = MariaDb(schema, user)
    try:
        yield server
    finally:
        server.close()
