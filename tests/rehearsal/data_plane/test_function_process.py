"""What a function's code can reach on this machine, tried by functions that try; and their end."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provision.rehearsal.data_plane.function_process import (
    FunctionProcess,
    ProcessExitError,
    ProcessTimeoutError,
    Routes,
    protection,
)
from provision.rehearsal.data_plane.runtime import _rehearsal_confinement as confinement

VERSION = confinement.version()
FILES = pytest.mark.skipif(VERSION < confinement.FILES_SINCE, reason="no Landlock here")
TCP = pytest.mark.skipif(VERSION < confinement.TCP_SINCE, reason="Landlock without TCP")
SIGNALS = pytest.mark.skipif(VERSION < confinement.SIGNALS_SINCE, reason="Landlock without signals")
SECONDS = 20.0
ENVIRON = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "g",
    "AWS_LAMBDA_LOG_STREAM_NAME": "s",
    "PATH": "/usr/bin:/bin",
}
Make = Callable[..., FunctionProcess]


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Make]:
    """Makes a process with this body as its handler."""
    with contextlib.ExitStack() as stack:

        def make(body: str, ports: tuple[int, ...] = ()) -> FunctionProcess:
            (tmp_path / "task").mkdir(exist_ok=True)
            lines = "\n".join(f"    {line}" for line in body.splitlines())
            text = (
                f"import os, socket, subprocess, sys, time\ndef handle(event, context):\n{lines}\n"
            )
            (tmp_path / "task" / "index.py").write_text(text)
            process = FunctionProcess(tmp_path / "task", [], "index.handle", ENVIRON, ports)
            stack.callback(process.close)
            failure, _ = process.wait_ready()
            assert failure is None, failure
            return process

        yield make


def ask(process: FunctionProcess, event: Any = None, ports: tuple[int, ...] = ()) -> Any:
    """What the handler returned. Raises AssertionError with its error."""
    routes = Routes({f"proxy{port}:3306": port for port in ports}, {"proxy": ""})
    reply = process.invoke("id", "arn", json.dumps(event), SECONDS, routes)
    assert not reply.failed, reply.payload
    return json.loads(reply.payload)


TRY = """\
try:
    {what}
except OSError as error:
    return type(error).__name__
return "done"
"""


@FILES
@pytest.mark.parametrize(
    "what",
    [
        "open(event).read()",
        "open(event, 'w')",
        "open(event + 'new', 'w')",
        "os.unlink(event)",
        "os.rename(event, event + 'x')",
        "os.symlink('/etc/shadow', event + 'x')",
        "os.mkdir(event + 'x')",
        "os.listdir(os.path.dirname(event))",
        "os.truncate(event, 0)",
        "os.listdir(os.path.expanduser('~'))",
        "open('/tmp/rehearsal-attack', 'w')",
        "open(os.getcwd() + '/new', 'w')",
        "open('/etc/shadow').read()",
        "os.listdir('/')",
        "subprocess.call(['cat', event]) == 0 or open(event)",
        "os.link(event, os.environ['TMPDIR'] + '/x')",
    ],
)
def test_files_beyond_its_code_and_scratch_are_out_of_reach(
    function: Make, tmp_path: Path, what: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    assert ask(function(TRY.format(what=what)), str(secret)) in (
        "PermissionError",
        "OSError",  # EXDEV: Landlock's word for a link or a rename out of a folder
    )
    assert secret.read_text() == "hush"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secret", "task"]


def test_its_own_code_the_library_and_a_scratch_folder_are_not(function: Make) -> None:
    body = """\
import tempfile, ssl, json, sqlite3, hashlib, boto3
with tempfile.NamedTemporaryFile("w+") as file:
    file.write("x")
open(os.environ["TMPDIR"] + "/kept", "w").close()
os.mkdir(os.environ["TMPDIR"] + "/folder")
os.rename(os.environ["TMPDIR"] + "/kept", os.environ["TMPDIR"] + "/moved")
ssl.create_default_context()
subprocess.run(["/bin/sh", "-c", "true"], check=True)
return open(__file__).read()[:9], os.listdir(os.environ["TMPDIR"]), os.environ["TMPDIR"]
"""
    process = function(body)
    text, listed, scratch = ask(process)
    assert (text, sorted(listed)) == ("import os", ["folder", "moved"])
    assert Path(scratch).is_dir()
    process.close()
    assert not Path(scratch).exists()


LOOK = """\
found = {}
pid = os.getpid()
while pid > 1:
    for name in ("environ", "maps", "cmdline", "fd"):
        path = f"/proc/{pid}/{name}"
        try:
            found[path] = os.listdir(path) if name == "fd" else open(path, "rb").read().decode("latin-1")
        except OSError:
            pass
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]) if pid == os.getpid() else event
    event = 0
return found
"""  # noqa: E501


@FILES
def test_other_processes_are_out_of_sight(function: Make) -> None:
    found = ask(function(LOOK), os.getpid())
    assert f"/proc/{os.getpid()}/environ" not in found
    assert len({path.split("/")[2] for path in found}) <= 1


@TCP
def test_tcp_leads_to_the_stand_ins_alone_whatever_opens_the_socket(function: Make) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as open_,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = (open_.getsockname()[1], other.getsockname()[1])
        body = """\
import _socket
def dial(port):
    try:
        with_ = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        with_.connect(("127.0.0.1", port))
        return "connected"
    except OSError as error:
        return type(error).__name__
program = "import socket,sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
child = subprocess.run([sys.executable, "-I", "-c", program, str(event[1])], capture_output=True)
return [dial(port) for port in event], child.returncode
"""
        process = function(body, ports[:1])
        assert ask(process, ports, ports[:1]) == [["connected", "PermissionError"], 1]


@TCP
def test_nothing_listens_for_it(function: Make) -> None:
    body = TRY.format(what="__import__('_socket').socket().bind(('0.0.0.0', 0))")
    assert ask(function(body)) == "PermissionError"


@SIGNALS
def test_it_signals_no_other_process(function: Make) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE
    ) as p:
        for pid in (p.pid, os.getpid()):
            body = TRY.format(what="os.kill(event, 0)")
            assert ask(function(body), pid) == "PermissionError"
        assert p.poll() is None
        p.kill()


def test_what_protects_is_said() -> None:
    assert protection() == confinement.words(VERSION)
    assert "unconfined" in confinement.words(0)
    assert [confinement.words(n).partition("(")[2] for n in (1, 4, 6)] == [
        "files)",
        "files, TCP)",
        "files, TCP, signals)",
    ]


def test_without_landlock_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert confinement.confine([], [], []) == 0
    assert "unconfined" in protection()


# --- the end ---

CHILDREN = """\
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
plain = subprocess.Popen(["/bin/sleep", "1000"], **quiet)
away = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True, **quiet)
orphan = int(subprocess.run(
    ["/bin/sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!"],
    capture_output=True, check=True).stdout)
pids = [os.getpid(), plain.pid, away.pid, orphan]
"""


def gone(pids: list[int]) -> bool:
    """Whether all of these processes have ended, within some seconds."""
    end = time.monotonic() + SECONDS
    while left := [pid for pid in pids if running(pid)]:
        if time.monotonic() > end:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.01)  # a poll
    return True


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("how", ["close", "timeout", "exit", "killed"])
def test_nothing_that_it_started_outlives_it(function: Make, how: str) -> None:
    last = {
        "close": "return pids",
        "timeout": "time.sleep(1000)",
        "exit": "os._exit(7)",
        "killed": "os.kill(os.getpid(), 9)",
    }[how]
    process = function(f"{CHILDREN}print(pids, flush=True)\n{last}")
    routes = Routes({}, {})
    with contextlib.suppress(ProcessTimeoutError, ProcessExitError) as ended:
        process.invoke("id", "arn", "null", 2.0 if how == "timeout" else SECONDS, routes)
    assert ended is None
    pids = json.loads(process.take_log())
    assert len(pids) == 4
    if how in ("close", "timeout"):
        assert all(map(running, pids))
        process.close()
    assert gone(pids)


@pytest.mark.parametrize(
    ("last", "words"), [("os._exit(7)", "status 7"), ("os.abort()", "SIGABRT")]
)
def test_how_it_ended_is_told(function: Make, last: str, words: str) -> None:
    with pytest.raises(ProcessExitError, match=words):
        ask(function(last))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.slow
def test_nothing_outlives_a_rehearsal_that_is_killed(function: Make, tmp_path: Path) -> None:
    function(CHILDREN + "open(os.environ['TMPDIR'] + '/p', 'w').close()\nreturn pids")  # its code
    program = f"""
import json, sys
from pathlib import Path
from provision.rehearsal.data_plane.function_process import FunctionProcess, Routes
process = FunctionProcess(Path({str(tmp_path / "task")!r}), [], "index.handle", {ENVIRON!r})
process.wait_ready()
reply = process.invoke("id", "arn", "null", 20, Routes({{}}, {{}}))
print(reply.payload, flush=True)
process.invoke("id", "arn", "null", 20, Routes({{}}, {{}}))
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as rehearsal:
        assert rehearsal.stdout
        pids = json.loads(rehearsal.stdout.readline())
        assert all(map(running, pids))
        rehearsal.kill()
    assert gone(pids)
