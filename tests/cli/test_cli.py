"""Flags, help, exit codes and the form of what is told: both commands from the outside."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from provision.rehearsal import Remote, environ
from tests.support.account import Account
from tests.support.built import Built
from tests.support.commands import ROOT, Commands, Result
from tests.support.servers import Silence

COMMON = ("--config", "--state", "--set", "--output", "--profile", "--region", "-v", "--help")
REHEARSAL = ("--dry-run", "--speed", "--seed", "--rehearse-db")
FLAGS = {
    "provision up": (*COMMON, *REHEARSAL, "--no-check", "--replace", "--reset-password", "--serve"),
    "provision plan": (*COMMON, "--exit-code", "--replace"),
    "provision status": COMMON,
    "provision check": COMMON,
    "teardown": (*COMMON, *REHEARSAL, "--yes", "--plan", "--final-snapshot"),
}
COUNTS = ("created", "adopted", "updated", "unchanged", "deleted")


@pytest.fixture
def nowhere(tmp_path: Path, silence: Silence) -> Commands:
    """The commands with an endpoint at which nobody may be called."""
    (tmp_path / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    return Commands(tmp_path, environ(silence.endpoint_url, "ap-northeast-1"))


# --- help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", FLAGS)
def test_help_names_every_flag_and_gives_examples(nowhere: Commands, command: str) -> None:
    result = nowhere.run(*command.split(), "--help")
    assert result.code == 0
    for flag in FLAGS[command]:
        assert re.search(rf"(?<![\w-]){flag}\b", result.stdout), flag
    assert f"python -m {command}" in result.stdout
    assert "json" in result.stdout
    assert "config.toml" in result.stdout


def test_the_top_help_names_the_commands_and_the_exit_codes(nowhere: Commands) -> None:
    result = nowhere.run("provision", "--help")
    assert result.code == 0
    for word in ("up", "plan", "status", "check", "exit codes", "130", "python -m teardown"):
        assert word in result.stdout


@pytest.mark.parametrize("words", [("provision", "up"), ("teardown",)])
def test_help_calls_nobody_and_needs_no_configuration(
    nowhere: Commands, silence: Silence, words: tuple[str, ...]
) -> None:
    (nowhere.folder / "config.toml").unlink()
    assert nowhere.run(*words, "--help").code == 0
    assert silence.calls == 0


# --- bad usage ------------------------------------------------------------------------------------

BAD_USAGE = [
    # arguments, what the message has to say
    (("provision", "down"), "down"),
    (("provision", "up", "--force"), "--force"),
    (("provision", "up", "--dry"), "--dry"),  # no abbreviations: they would bind us for ever
    (("provision", "up", "now"), "now"),
    (("provision", "up", "--output", "xml"), "xml"),
    (("provision", "up", "--set"), "--set"),
    (("provision", "up", "--serve"), "--serve requires --dry-run"),
    (("provision", "up", "--speed", "10"), "--speed requires --dry-run"),
    (("provision", "up", "--rehearse-db", "localhost:3306"), "--rehearse-db requires --dry-run"),
    (("provision", "up", "--dry-run", "--speed", "0"), "not a number above 0"),
    (("provision", "up", "--dry-run", "--speed", "-1"), "not a number above 0"),
    (("provision", "up", "--dry-run", "--speed", "fast"), "'fast'"),
    (("provision", "up", "--dry-run", "--speed", "nan"), "not a number above 0"),
    (("provision", "up", "--dry-run", "--seed", "-1"), "not a whole number, 0 or more"),
    (("provision", "up", "--dry-run", "--seed", "x"), "'x'"),
    (("provision", "up", "--seed", "0"), "--seed requires --dry-run"),
    (("provision", "plan", "--dry-run"), "--dry-run"),
    (("provision", "plan", "--yes"), "--yes"),
    (("provision", "status", "--exit-code"), "--exit-code"),
    (("teardown", "--replace", "vpc"), "--replace"),
    (("teardown", "--plan", "--dry-run"), "--plan"),
    (("teardown", "--plan", "--final-snapshot", "x"), "--plan"),
    (("teardown", "--yes", "--final-snapshot", "9lives"), "beginning with a letter"),
    (("teardown", "--yes", "--final-snapshot", "ends-"), "'ends-'"),
    (("teardown", "--yes", "--final-snapshot", ""), "1 to 255 letters"),  # a variable not set
    (("teardown", "--speed", "10", "--yes"), "--speed requires --dry-run"),
    *(
        (("provision", "up", "--dry-run", "--rehearse-db", database), f"--rehearse-db {database}")
        for database in ("nonsense", "host:", ":3306", "host:0", "host:70000")
    ),
]


@pytest.mark.parametrize(("words", "expected"), BAD_USAGE, ids=lambda each: str(each)[:60])
def test_bad_usage_is_told_and_nothing_is_done(
    nowhere: Commands, silence: Silence, words: tuple[str, ...], expected: str
) -> None:
    result = nowhere.run(*words)
    assert result.code == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert silence.calls == 0
    assert [path.name for path in nowhere.folder.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("flags", [("--output", "json"), ("--output=json",)])
def test_bad_usage_is_told_in_json_where_json_was_asked_for(
    nowhere: Commands, flags: tuple[str, ...]
) -> None:
    result = nowhere.run("provision", "up", "--force", *flags)
    assert result.code == 2
    assert result.error["type"] == "UsageError"
    assert "--force" in result.error["message"]


def test_a_json_elsewhere_among_the_arguments_is_no_request_for_json(nowhere: Commands) -> None:
    result = nowhere.run("provision", "up", "--force", "--set", "json")
    assert result.code == 2
    assert "--force" in result.stderr


@pytest.mark.parametrize("command", ["up", "plan"])
def test_an_unknown_step_to_replace_is_told_with_the_known_ones(built: Built, command: str) -> None:
    before = len(built.remote.journal())
    result = built.commands.run("provision", command, "--output", "json", "--replace", "database")
    assert result.code == 2
    assert "--replace database" in result.error["message"]
    assert "db-instance" in result.error["next"]
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


@pytest.mark.parametrize("step", ["availability-zones", "service-linked-role"])
def test_what_is_not_ours_to_make_cannot_be_replaced(built: Built, step: str) -> None:
    before = len(built.remote.journal())
    result = built.commands.up("--replace", step)
    assert result.code in (0, 2)  # refused, or seen to be nothing to do
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


# --- the form of --output json --------------------------------------------------------------------


def check_summary(summary: dict[str, object]) -> None:
    assert list(summary) == ["event", "ok", *COUNTS, "seconds", "url", "error"]
    assert isinstance(summary["ok"], bool)
    assert all(type(summary[word]) is int for word in COUNTS)
    assert isinstance(summary["seconds"], float)
    assert (summary["error"] is None) is summary["ok"]


def test_every_line_is_an_object_and_the_last_is_the_summary(commands: Commands) -> None:
    up, down = commands.up(), commands.teardown()
    for result, action in ((up, "created"), (down, "deleted")):
        assert result.code == 0
        check_summary(result.summary)
        assert "Type" not in result.stderr
        assert [each["event"] for each in result.events].count("summary") == 1
        steps = result.of("step")
        assert {each["action"] for each in steps} == {action}
        assert len(steps) == result.summary[action] == len({each["step"] for each in steps})
        for each in steps:
            assert {"event", "step", "action", "id", "seconds"} <= each.keys()
            assert isinstance(each["id"], str)
            assert each["seconds"] >= 0
    url = up.summary["url"]
    assert re.fullmatch(r"https://[a-z0-9]+\.execute-api\.ap-northeast-1\.amazonaws\.com", url)
    assert down.summary["url"] is None


def test_ids_are_what_one_would_look_for_at_aws(built: Built) -> None:
    ids = {each["step"]: each["id"] for each in built.commands.up().of("step")}
    vpc = built.account.tagged("vpcs", "vpc", "rds-proxy-auth")["VpcId"]
    assert ids["vpc"] == vpc
    assert ids["db-instance"] == "rds-proxy-auth-database"
    assert ids["proxy-iam"] == "rds-proxy-auth-iam"
    assert ids["api"] == built.account.api("rds-proxy-auth")["ApiId"]
    assert ids["function-iam"] == "rds-proxy-auth-iam"


@pytest.mark.parametrize(
    "words",
    [
        ("provision", "up", "--no-check"),
        ("provision", "plan"),
        ("provision", "status"),
        ("teardown", "--plan"),
    ],
)
def test_stdout_has_json_alone_also_with_v(built: Built, words: tuple[str, ...]) -> None:
    result = built.commands.run(*words, "--output", "json", "-v")
    assert result.code == 0
    check_summary(result.summary)
    assert "aws ec2 DescribeVpcs: ok" in result.stderr


def test_a_failed_step_is_told_and_the_summary_says_how_far_it_came(
    commands: Commands, rehearsal: Remote
) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "rds:CreateDBInstance", "Resource": "*"},
        ],
    }
    rehearsal.set_policy(document)
    result = commands.up()
    assert result.code == 1
    check_summary(result.summary)
    assert result.steps["db-instance"] == "failed"
    assert result.summary["created"] == sum(a == "created" for a in result.steps.values()) > 0
    (failed,) = (each for each in result.of("step") if each["action"] == "failed")
    for error in (failed["error"], result.error):
        assert error["step"] == "db-instance"
        assert error["operation"] == "CreateDBInstance"
        assert "AccessDenied" in error["code"]
        assert "denies it explicitly" in error["next"]


# --- what people get ------------------------------------------------------------------------------


def test_plain_output_ends_with_urls_and_next_commands(built: Built) -> None:
    result = built.commands.run("provision", "up", "--no-check", "--output", "plain")
    assert result.code == 0
    url = built.account.api("rds-proxy-auth")["ApiEndpoint"]
    for words in (f"{url}/func1", f"{url}/func2", "python -m teardown", "nothing changed"):
        assert words in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


def test_auto_is_plain_where_there_is_no_terminal(built: Built) -> None:
    result = built.commands.spawn("provision", "plan")
    assert result.code == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    assert "Plan: + 0 to create, ~ 0 to change, - 0 to replace, · 36 unchanged" in result.stdout


def test_a_reader_that_goes_away_is_no_traceback(built: Built) -> None:
    with built.commands.running("provision", "plan", "--output", "json") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode in (0, 1)
    assert "Traceback" not in err
    assert "Exception" not in err


# --- teardown asks --------------------------------------------------------------------------------


def test_teardown_refuses_where_it_cannot_ask(built: Built) -> None:
    before = len(built.remote.journal())
    result = built.commands.run("teardown", "--output", "json", stdin="rds-proxy-auth\n")
    assert result.code == 2
    assert "no terminal" in result.error["message"]
    assert "--yes" in result.error["next"]
    assert not [call for call in built.remote.journal()[before:] if call.mutating]
    assert built.commands.plan().code == 0


def answered(commands: Commands, answer: str, *arguments: str) -> Result:
    """A command on a terminal at which somebody types `answer`; stderr is what it shows."""
    ours, theirs = pty.openpty()
    shown = bytearray()
    process = subprocess.Popen(
        commands.command(*arguments),
        cwd=commands.folder,
        env=commands.process_environ(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 1 << 16):
            shown += data
    os.close(ours)
    stdout, _ = process.communicate(timeout=120)
    return Result(process.returncode, stdout, shown.decode())


@pytest.mark.parametrize("answer", ["yes\n", "\n", "rds-proxy\n", "\x04"])
def test_any_other_answer_deletes_nothing(built: Built, answer: str) -> None:
    before = len(built.remote.journal())
    result = answered(built.commands, answer, "teardown", "--output", "plain")
    assert result.code == 1
    assert "cancelled: nothing was deleted" in result.stderr
    assert not [call for call in built.remote.journal()[before:] if call.mutating]


@pytest.mark.parametrize("answer", ["no\n", "y\n", "\n", "\x04"])
def test_up_asks_before_it_makes_what_costs(
    rehearsal: Remote, commands: Commands, answer: str
) -> None:
    result = answered(commands, answer, "provision", "up", "--output", "plain")
    assert result.code == 1, result.stderr
    assert "Type yes to continue" in result.stderr
    assert "nothing was changed" in result.stderr
    assert not [call for call in rehearsal.journal() if call.mutating]
    assert not commands.state_path().parent.exists()  # no lock either


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "flags"), [("yes\n", ()), ("", ("--yes",))])
def test_yes_makes_it(commands: Commands, answer: str, flags: tuple[str, ...]) -> None:
    up = ("provision", "up", "--no-check", "--output", "plain", *flags)
    result = answered(commands, answer, *up)
    assert result.code == 0, result.stderr
    assert commands.plan().code == 0


def test_up_does_not_ask_about_what_costs_nothing(built: Built) -> None:
    up = ("provision", "up", "--no-check", "--output", "plain")
    result = answered(built.commands, "", *up)
    assert result.code == 0, result.stderr
    assert "Type yes" not in result.stderr


@pytest.mark.slow
def test_the_environments_name_deletes_it(commands: Commands, account: Account) -> None:
    assert commands.up().code == 0
    result = answered(commands, "rds-proxy-auth\n", "teardown", "--output", "plain")
    assert result.code == 0, result.stderr
    assert "vpc-" in result.stdout  # what would go was shown first
    assert not account.all("rds", "describe_db_instances", "DBInstances")


def test_json_is_never_asked_about(built: Built) -> None:
    result = answered(built.commands, "rds-proxy-auth\n", "teardown", "--output", "json")
    assert result.code == 2
    assert "--yes" in result.error["next"]
    assert "Type" not in result.stderr
