"""What the tests share: rehearsed accounts, the two commands, and an environment that is up.

No test needs credentials, and none of the machine's own are seen by any. Starting a server takes a
second, so each worker has few, and tests get an empty account, or one that is up, out of them:

    rehearsal, commands, account   an empty account; the commands at work on it; boto3's view of it
    built                          an environment that is up, shared: leave it as you found it
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import settings

from provision.rehearsal import Remote, environ
from tests.support.account import Account
from tests.support.built import Built, commands_at
from tests.support.commands import ROOT, Commands, measured
from tests.support.names import REGION
from tests.support.servers import Silence, rehearsal_server

pytest_plugins = (
    "pytester",
    "tests.support.cpu",
    "tests.support.order",
    "tests.support.sampling",
    "tests.sweeps.figures",
)

# A machine that others use too is slow at times; what must be quick is measured by `make bench`.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def no_credentials() -> Iterator[None]:
    """Hide the AWS settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def models_read_once() -> Iterator[None]:
    """Let boto3's own sessions in this process share what they read of the models of services."""
    read = functools.cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", staticmethod(read))
        yield


@pytest.fixture(scope="session", autouse=True)
def threads_can_begin() -> Iterator[None]:
    """Where the coverage is measured, install no audit hooks.

    Each thread asks to be traced when it begins, which is an audit event. While a hook in Python
    handles that of one thread, Python 3.11 refuses it to all others: these would die.
    """
    with pytest.MonkeyPatch.context() as patch:
        if measured():
            patch.setattr(sys, "addaudithook", lambda hook: None)
        yield


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from going through thousands of tests again and again."""
    gc.collect()
    gc.freeze()


# --- an empty account -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _server() -> Iterator[Remote]:
    with rehearsal_server() as remote:
        yield remote


@pytest.fixture
def rehearsal(_server: Remote) -> Remote:
    """A rehearsed AWS with nothing in it: its journal, faults, policy, behaviours and time."""
    _server.reset()
    return _server


@pytest.fixture
def commands(rehearsal: Remote, tmp_path: Path) -> Commands:
    """The commands, at work on the empty account."""
    return commands_at(rehearsal, tmp_path)


@pytest.fixture
def account(rehearsal: Remote) -> Account:
    """The empty account as boto3 shows it."""
    return Account.of(rehearsal)


@pytest.fixture
def silence() -> Iterator[Silence]:
    """An endpoint that counts who calls it, and answers nobody."""
    with Silence() as silent:
        yield silent


@pytest.fixture
def unheard(tmp_path: Path, silence: Silence) -> Iterator[Commands]:
    """The commands in a folder with the project's own config.toml. Nothing may be called."""
    (tmp_path / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    yield Commands(tmp_path, environ(silence.endpoint_url, REGION))
    assert silence.calls == 0


# --- an environment that is up --------------------------------------------------------------------


class _Builder:
    """Builds the shared environment when it is first needed, and again when a test spoiled it."""

    def __init__(self, remote: Remote, folders: pytest.TempPathFactory) -> None:
        self._remote = remote
        self._folders = folders
        self._built: Built | None = None

    def get(self) -> Built:
        """Return the environment, built if need be."""
        if self._built is None:
            self._remote.reset()
            commands = commands_at(self._remote, self._folders.mktemp("built"))
            result = commands.up()
            assert result.code == 0, result.stdout[-2000:] + result.stderr[-2000:]
            self._built = Built(commands, Account.of(self._remote), self._remote)
        return self._built

    def spoiled(self) -> None:
        """Let nobody else have what is there."""
        self._built = None


@pytest.fixture(scope="session")
def _builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Builder]:
    with rehearsal_server() as remote:
        yield _Builder(remote, tmp_path_factory)


@pytest.fixture
def built(_builder: _Builder, request: pytest.FixtureRequest) -> Iterator[Built]:
    """An environment that is up, shared by tests that repair what they break.

    After a test that failed, or that is marked `spoils`, it is built anew.
    """
    environment = _builder.get()
    yield environment
    if getattr(request.node, "failed", True) or request.node.get_closest_marker("spoils"):
        _builder.spoiled()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Any:
    """Let fixtures know whether their test failed."""
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report
