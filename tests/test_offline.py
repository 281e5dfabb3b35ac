"""A rehearsal needs no network, sees no credentials, and leaves no file and no process behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT, Commands, Result
from tests.support.servers import Silence

pytestmark = pytest.mark.slow

# Python imports this by itself at its start. Every address but loopback is out of reach, and who
# tried to reach one is written down.
UNREACHABLE = """
import ipaddress, os, socket

def refuse(address):
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, str) and host.startswith(("/", "\\0")):
        return  # a socket of this machine's
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        with open(TRIED, "a") as file:
            file.write(f"{address}\\n")
        raise OSError(101, f"{address} is unreachable: this test has no network")

class Socket(socket.socket):
    def connect(self, address):
        refuse(address)
        return super().connect(address)

    def connect_ex(self, address):
        refuse(address)
        return super().connect_ex(address)

    def sendto(self, data, *rest):
        refuse(rest[-1])
        return super().sendto(data, *rest)

resolve = socket.getaddrinfo

def getaddrinfo(host, *rest, **more):
    refuse((host or "localhost",))
    return resolve(host, *rest, **more)

socket.socket = Socket
socket.getaddrinfo = getaddrinfo
"""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A process without a network, in folders of its own, with a stranger's AWS settings."""

    commands: Commands
    folders: tuple[Path, ...]
    tried: Path

    def left(self) -> set[Path]:
        """Every file and folder there now."""
        return {path for folder in self.folders for path in folder.rglob("*")}


@pytest.fixture
def cell(tmp_path: Path, silence: Silence) -> Iterator[Cell]:
    """See Cell. Nobody may call the endpoint or the proxy that its variables name."""
    folders = tuple(tmp_path / name for name in ("work", "home", "tmp"))
    for folder in (*folders, tmp_path / "site"):
        folder.mkdir()
    (folders[1] / ".cache").mkdir()
    (folders[0] / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    (tmp_path / "site" / "sitecustomize.py").write_text(
        f"TRIED = {str(tmp_path / 'tried')!r}\n{UNREACHABLE}"
    )
    (tmp_path / "aws").write_text("[profile somebody]\nregion = eu-west-1\n[not ini\n")
    environ = {
        "HOME": str(folders[1]),
        "TMPDIR": str(folders[2]),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_PROFILE": "nobody",
        "AWS_DEFAULT_PROFILE": "nobody",
        "AWS_ACCESS_KEY_ID": "AKIAGARBAGE",
        "AWS_SECRET_ACCESS_KEY": "garbage",
        "AWS_SESSION_TOKEN": "garbage",
        "AWS_REGION": "mars-north-1",
        "AWS_DEFAULT_REGION": "mars-north-1",
        "AWS_ENDPOINT_URL": silence.endpoint_url,
        "AWS_ENDPOINT_URL_RDS": silence.endpoint_url,
        "AWS_ENDPOINT_URL_APIGATEWAYV2": silence.endpoint_url,
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "nowhere"),
        "AWS_CA_BUNDLE": str(tmp_path / "nowhere.pem"),
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "nowhere"),
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/garbage",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "HTTP_PROXY": silence.endpoint_url,
        "HTTPS_PROXY": silence.endpoint_url,
        "ALL_PROXY": silence.endpoint_url,
    }
    prisoner = Cell(Commands(folders[0], environ), folders, tmp_path / "tried")
    yield prisoner
    assert silence.calls == 0
    assert not prisoner.tried.exists(), prisoner.tried.read_text()


def alive(session: int) -> list[str]:
    """The processes of a session, by their command lines."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(command)
    return found


def test_the_cell_has_no_network(cell: Cell) -> None:
    """That the other tests of this file can fail: in the cell, a call to outside is stopped."""
    program = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=cell.commands.process_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "this test has no network" in done.stderr
    assert "192.0.2.1" in cell.tried.read_text()
    cell.tried.unlink()


@pytest.mark.parametrize("words", [("provision", "up"), ("teardown", "--yes")])
def test_a_rehearsal_works_without_network_and_leaves_nothing(
    cell: Cell, words: tuple[str, ...]
) -> None:
    state = cell.commands.state_path()
    state.parent.mkdir()
    state.write_text("somebody's own")
    before = cell.left()
    flags = ("--dry-run", "--speed", "2000", "--output", "json")
    with cell.commands.running(*words, *flags, start_new_session=True) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-2000:]
    result = Result(process.returncode, out, err)
    assert (result.summary["ok"], result.summary["error"]) == (True, None)
    assert result.summary["created"] + result.summary["deleted"] > 30
    routes = {each["route"]: each["login"] for each in result.of("check") if each["ok"]}
    assert routes == {"/": "password", "/func1": "password", "/func2": "iam"}
    assert cell.left() == before
    assert state.read_text() == "somebody's own"
    assert alive(process.pid) == []


def test_an_interrupted_rehearsal_leaves_nothing(cell: Cell) -> None:
    before = cell.left()
    flags = ("--dry-run", "--speed", "1", "--output", "json")
    with cell.commands.running("provision", "up", *flags, start_new_session=True) as process:
        assert process.stdout
        for line in process.stdout:
            if json.loads(line).get("step") == "db-instance":
                break
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert process.returncode == 130, err[-2000:]
    summary = json.loads(rest.splitlines()[-1])
    assert summary["error"]["type"] == "Interrupted"
    assert "Traceback" not in err
    assert cell.left() == before
    assert alive(process.pid) == []


def test_serve_answers_on_loopback_until_ctrl_c(cell: Cell) -> None:
    before = cell.left()
    flags = ("--dry-run", "--serve", "--speed", "2000", "--output", "json")
    with cell.commands.running("provision", "up", *flags, start_new_session=True) as process:
        assert process.stdout
        events = (json.loads(line) for line in process.stdout)
        summary = next(each for each in events if each["event"] == "summary")
        for path in ("/", "/func1", "/func2"):
            address = summary["url"] + path
            assert address.startswith("http://127.0.0.1:")
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(address, timeout=60) as answer:
                assert answer.status == 200
                assert isinstance(json.load(answer), list)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert process.returncode == 0, err[-2000:]
    assert json.loads(rest.splitlines()[-1])["event"] == "summary"
    assert cell.left() == before
    assert alive(process.pid) == []
    port = int(summary["url"].rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
