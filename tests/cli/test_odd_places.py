"""Streams that are closed, full or no terminal, homes and folders of no use: one line, no hang."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.rehearsal import Remote
from tests.support.built import Built
from tests.support.commands import Commands

PLAN = ("provision", "plan", "--output", "plain")


def ran(commands: Commands, *words: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with these streams."""
    defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run(
        commands.command(*words),
        cwd=commands.folder,
        env=commands.process_environ(),
        text=True,
        timeout=60,
        check=False,
        **defaults | streams,
    )
    for text in (done.stdout, done.stderr):
        assert "Traceback" not in (text or "")
        assert "Exception ignored" not in (text or "")
    return done


def closing(*numbers: int) -> Callable[[], None]:
    """Close these streams before the command begins."""

    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams(built: Built, numbers: tuple[int, ...]) -> None:
    done = ran(built.commands, *PLAN, preexec_fn=closing(*numbers))
    assert done.returncode == 0, done
    state = built.commands.state_path().read_text()  # nothing was written into it
    assert state.startswith("{")


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize("flags", [(), ("--final-snapshot", "kept")])
def test_teardown_with_a_closed_stdin_refuses_as_without_a_terminal(
    built: Built, flags: tuple[str, ...]
) -> None:
    done = ran(built.commands, "teardown", *flags, preexec_fn=closing(0))
    assert done.returncode == 2
    assert "there is no terminal" in done.stderr


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize(
    "words", [PLAN, ("provision", "plan", "--output", "json"), ("provision", "--help"),
              ("provision", "--version"), ("provision", "policy")],
    ids=" ".join,
)  # fmt: skip
def test_a_full_stdout_is_an_error_in_one_line(built: Built, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = ran(built.commands, *words, stdout=full)
    assert done.returncode == 1
    assert "error: standard output: No space left on device" in done.stderr


@pytest.mark.sweep(of="module", part=10)
def test_a_full_stderr_changes_nothing(built: Built) -> None:
    with Path("/dev/full").open("w") as full:
        done = ran(built.commands, *PLAN, stderr=full)
    assert done.returncode == 0
    assert "Plan" in done.stdout or "nothing" in done.stdout.lower()


@pytest.mark.sweep(of="module", part=10)
def test_a_full_stdout_does_not_stop_an_up_in_its_middle(commands: Commands) -> None:
    with Path("/dev/full").open("w") as full:
        done = ran(commands, "provision", "up", "--no-check", "--output", "json", stdout=full)
    assert done.returncode == 1
    assert "standard output" in done.stderr
    steps = commands.state()["steps"]
    assert len(steps) > 30
    assert {step["phase"] for step in steps.values()} <= {"made", "ready"}  # none is under way


@pytest.mark.sweep(of="module", part=10)
def test_a_reader_who_goes_away_is_no_traceback(built: Built) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = ran(built.commands, "provision", "policy", stdout=writes)
    os.close(writes)
    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_that_lacks_characters(unheard: Commands, encoding: str) -> None:
    narrow = dataclasses.replace(
        unheard, environ={**unheard.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    )
    name = "database.name=→データ"
    done = ran(narrow, *PLAN, "--set", name)
    assert done.returncode == 2
    assert "database.name" in done.stderr


@pytest.mark.sweep(of="module", part=10)
@pytest.mark.parametrize("home", ["/nowhere/at/all", "/proc/1/fd/none", "/dev/null", ""])
def test_a_home_that_may_not_be_entered(commands: Commands, home: str) -> None:
    done = ran(dataclasses.replace(commands, environ={**commands.environ, "HOME": home}), *PLAN)
    assert done.returncode == 0, done


@pytest.mark.sweep(of="module", part=10)
def test_umask_000_leaves_nothing_open_to_others(commands: Commands) -> None:
    words = ("provision", "up", "--no-check", "--output", "json")
    assert ran(commands, *words, preexec_fn=lambda: os.umask(0) and None).returncode == 0
    state = commands.state_path()
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) & 0o022 == 0


def test_a_state_in_a_place_that_cannot_be_written(commands: Commands, rehearsal: Remote) -> None:
    (commands.folder / "file").write_text("")
    for path in ("/proc/state.json", str(commands.folder / "file" / "state.json"), "/dev/full/x"):
        result = commands.up("--state", path)
        assert result.code == 1, result
        assert path.rpartition("/")[0] in result.error["message"]
        assert result.error["next"]
    assert not [each for each in rehearsal.journal() if each.mutating]


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [put_pipe, put_device, Path.mkdir])
@pytest.mark.parametrize("words", [("provision", "plan"), ("provision", "timeline")])
def test_a_state_that_is_no_file(
    commands: Commands, put: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    put(commands.folder / "odd")
    result = commands.run(*words, "--output", "json", "--state", "odd")
    assert result.code == 1, result
    assert "odd: cannot be read: is a" in result.error["message"]


def test_what_nobody_foresaw_is_one_line_and_a_traceback_in_a_file(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("on\ntwo lines")

    monkeypatch.setattr("provision.context.Run.plan", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = commands.run("provision", "plan", "--output", "plain")
    assert result.code == 1
    assert "Traceback" not in result.stderr
    assert "error: ZeroDivisionError: on\\ntwo lines" in result.stderr
    found = re.search(r"Its traceback is in (\S+): ", result.stderr)
    assert found
    path = Path(found[1])
    assert "in fails" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result.stdout.count("failed after") + result.stderr.count("failed after") == 1


def test_with_v_the_traceback_is_shown(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("provision.context.Run.plan", fails)
    result = commands.run("provision", "plan", "--output", "json", "-v")
    assert result.code == 1
    assert "Traceback" in result.stderr
    assert result.error["type"] == "UnforeseenError"
    assert result.error["message"] == "RecursionError"


def test_a_traceback_that_can_be_written_nowhere(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("provision.context.Run.plan", fails)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    result = commands.run("provision", "plan", "--output", "json")
    assert result.code == 1
    assert "is shown with -v" in result.error["next"]


@pytest.mark.parametrize("value", ["٣", "1_000", "nan", "inf", "1e3", "-1", " 1", "", "9" * 5000])
@pytest.mark.parametrize(
    "flag",
    [("compare", "--requests"), ("logs", "--since"), ("up", "--dry-run", "--speed"),
     ("up", "--dry-run", "--seed")],
)  # fmt: skip
def test_a_number_of_a_flag_is_written_in_plain_digits(
    unheard: Commands, flag: tuple[str, ...], value: str
) -> None:
    *words, name = flag
    result = unheard.run("provision", *words, f"{name}={value}", "--output", "json")
    assert result.code == 2, result
    assert name in result.error["message"]
