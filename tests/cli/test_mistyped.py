"""Without arguments: the help. What is mistyped: the nearest, and whose help has it."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from provision.views import spelling
from tests.support.commands import Commands

WIDTH = 80
COMMANDS = ("", "init", "up", "plan", "status", "check", "doctor", "logs", "compare", "timeline",
            "policy")  # fmt: skip


@pytest.fixture
def nowhere(tmp_path: Path) -> Commands:
    return Commands(tmp_path, {"HOME": str(tmp_path), "COLUMNS": str(WIDTH)})


def test_without_arguments_the_help_is_shown(nowhere: Commands) -> None:
    result = nowhere.run("provision")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == nowhere.run("provision", "--help").stdout


@pytest.mark.parametrize(
    ("line", "said", "program"),
    [
        ("staus", "did you mean status?", "python -m provision"),
        ("up --dryrun", "did you mean --dry-run?", "python -m provision up"),
        ("status --regon=x", "did you mean --region?", "python -m provision status"),
        ("up --output jsn", "did you mean json?", "python -m provision up"),
        ("check func1", "takes no argument 'func1'", "python -m provision check"),
        ("plan --xyzzy", "no flag '--xyzzy'", "python -m provision plan"),
    ],
)
def test_what_is_mistyped(nowhere: Commands, line: str, said: str, program: str) -> None:
    result = nowhere.run("provision", *line.split())
    assert (result.code, result.stdout) == (2, "")
    error, following = result.stderr.splitlines()
    assert error.endswith(said)
    assert following == f"next:  `{program} --help` shows the usage."


def test_a_mistyped_step(commands: Commands) -> None:
    result = commands.plan("--replace", "db-instanse")
    assert result.code == 2
    assert result.error["message"].endswith("did you mean db-instance?")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns(nowhere: Commands, command: str) -> None:
    text = nowhere.run("provision", *command.split(), "--help").stdout
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


def test_the_teardowns_help_fits_80_columns(nowhere: Commands) -> None:
    text = nowhere.run("teardown", "--help").stdout
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


# --- how commands are spelled ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "rehearsal", "text", "spelled"),
    [
        ("/x/provision/__main__.py", False, "python -m provision up", "python -m provision up"),
        ("/x/bin/provision", False, "`python -m teardown`.", "`teardown`."),
        ("provision.exe", False, "python -m provision up", "provision up"),
        ("/x/pytest", False, "python -m provision", "python -m provision"),
        ("/x/bin/teardown", True, "python -m provision up", "provision --rehearsal up"),
        ("-m", True, "`python -m teardown`", "`python -m teardown --rehearsal`"),
        ("-m", True, "python -m provision --rehearsal up", "python -m provision --rehearsal up"),
        ("-m", True, "python -m provision.rehearsal", "python -m provision.rehearsal"),
    ],
)
def test_commands_are_spelled_as_this_one(
    started: str, rehearsal: bool, text: str, spelled: str
) -> None:
    with mock.patch("sys.argv", [started]):
        spelling.lead_to_rehearsal(rehearsal)
        try:
            assert spelling.spelled(text) == spelled
            assert spelling.spelled(spelled) == spelled
        finally:
            spelling.lead_to_rehearsal(False)
