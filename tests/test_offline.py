"""A rehearsal calls nobody but itself, and leaves nothing: no AWS, no file, no process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands import ROOT, Commands

pytestmark = pytest.mark.slow

# Python runs this before anything else: every address but this machine's own is unreachable.
ONLY_LOOPBACK = """
import socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"unreachable in this test: {address}")
    return _connect(self, address)
socket.socket.connect = connect
socket.socket.connect_ex = lambda self, address: connect(self, address) or 0
"""


def listing(folder: Path) -> list[str]:
    """Return every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def offline(tmp_path: Path) -> Commands:
    """The commands where nothing but loopback can be reached, and with somebody's AWS settings."""
    for name in ("site", "home", "tmp", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ONLY_LOOPBACK)
    (tmp_path / "work" / "config.toml").write_text((ROOT / "config.toml").read_text())
    environ = {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_PROFILE": "nobody",
        "AWS_ACCESS_KEY_ID": "AKIASOMEBODY",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_ENDPOINT_URL_RDS": "https://rds.example.invalid",
        "AWS_REGION": "eu-west-1",
        "HTTPS_PROXY": "http://proxy.example.invalid:3128",
    }
    return Commands(tmp_path / "work", environ)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("provision", ("up", "--dry-run")), ("teardown", ("--dry-run", "--yes"))],
)
def test_a_rehearsal_reaches_nobody_and_leaves_nothing(
    offline: Commands, program: str, arguments: tuple[str, ...]
) -> None:
    root = offline.folder.parent
    before = listing(root)
    result = offline.spawn(program, *arguments, "--output", "json")
    assert result.code == 0, result.stdout[-2000:] + result.stderr[-2000:]
    routes = {each["route"]: each["login"] for each in result.of("check") if each["ok"]}
    assert routes == {"/": "password", "/func1": "password", "/func2": "iam"}
    assert listing(root) == before


@pytest.mark.parametrize("database", ["nonsense", "host:", ":3306", "host:0", "host:70000"])
def test_a_database_that_is_no_address_is_refused(offline: Commands, database: str) -> None:
    flags = ("up", "--dry-run", "--rehearse-db", database, "--output", "json")
    result = offline.spawn("provision", *flags)
    assert result.code == 2 and result.error["type"] == "UsageError"
    assert f"--rehearse-db {database}" in result.error["message"]


def test_the_loopback_guard_can_fail(offline: Commands) -> None:
    """Against AWS itself the same process gets nowhere: the guard is real."""
    environ = dict(offline.environ)
    del environ["AWS_PROFILE"], environ["HTTPS_PROXY"]
    result = Commands(offline.folder, environ).spawn("provision", "plan", "--output", "json")
    assert result.code == 1
    assert result.error["type"] in ("UnreachableError", "ProvisionError", "UnsureError")
