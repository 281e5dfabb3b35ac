"""No credentials, bad ones, no permission, nobody there: told with the cause, nothing changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.rehearsal import Fault, Remote
from tests.support.built import commands_at
from tests.support.commands import Commands, Result
from tests.support.names import REGION
from tests.support.servers import Silence

FOR_GOOD = 10_000  # calls: more than any run makes
COMMANDS = {
    "up": ("provision", "up", "--no-check"),
    "plan": ("provision", "plan"),
    "status": ("provision", "status"),
    "check": ("provision", "check"),
    "teardown": ("teardown", "--yes"),
}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIASOMEBODY", "AWS_SECRET_ACCESS_KEY": "nothing"}
CLOSED = "http://127.0.0.1:1"  # a port at which nobody listens

FILES = {
    "broken": "[default]\nregion = eu-west-1\n[not ini\n",
    "failing-process": "[default]\ncredential_process = /bin/false\n",
    "talking-process": "[default]\ncredential_process = /bin/echo nonsense\n",
    "no-source": "[default]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = missing\n",
    "logged-out": "[default]\nsso_session = me\nsso_account_id = 123456789012\nsso_role_name = r\n"
    "[sso-session me]\nsso_start_url = https://example.invalid\nsso_region = eu-west-1\n",
}


@pytest.fixture
def stranger(tmp_path: Path, silence: Silence) -> Iterator[Commands]:
    """The commands with no AWS settings at all but an endpoint where nobody answers."""
    commands = commands_at(silence.endpoint_url, tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    environ = {
        "HOME": commands.environ["HOME"],
        "AWS_ENDPOINT_URL": silence.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "2",
    }
    yield dataclasses.replace(commands, environ=environ)
    assert not (tmp_path / ".provision").exists()  # no state file, no lock


def told(result: Result, kind: str, cause: str, code: int = 1) -> None:
    """Assert that the command failed with this error, its cause and what to do next."""
    assert result.code == code, result
    assert result.error["type"] == kind, result.error
    assert cause in result.error["message"], result.error
    assert result.error["next"]
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_without_any_credentials(stranger: Commands, silence: Silence, command: str) -> None:
    """In a process of its own, as somebody who never set up AWS."""
    result = stranger.spawn(*COMMANDS[command], "--output", "json")
    told(result, "CredentialsError", "Unable to locate credentials")
    assert "aws sso login" in result.error["next"]
    assert silence.calls == 0


# Settings, the error that they end in, and what its message names.
SETTINGS: list[tuple[dict[str, str], str, str, int]] = [
    ({"AWS_ACCESS_KEY_ID": "AKIA"}, "UsageError", "missing: AWS_SECRET_ACCESS_KEY", 2),
    ({"AWS_PROFILE": "nobody"}, "UsageError", "AWS_PROFILE=nobody: The config profile (nobody)", 2),
    ({"AWS_CONFIG_FILE": "broken"}, "UsageError", "Unable to parse config file", 2),
    ({"AWS_CONFIG_FILE": "failing-process"}, "CredentialsError", "custom-process", 1),
    ({"AWS_CONFIG_FILE": "talking-process"}, "CredentialsError", "Expecting value", 1),
    ({"AWS_CONFIG_FILE": "no-source"}, "UsageError", '"missing"', 2),
    ({"AWS_CONFIG_FILE": "logged-out"}, "CredentialsError", "SSO Token", 1),
    (
        {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "no-file"},
        "CredentialsError",
        "no-file",
        1,
    ),
    (
        KEYS | {"AWS_ENDPOINT_URL": "nonsense"},
        "UsageError",
        "AWS_ENDPOINT_URL=nonsense: must be a URL",
        2,
    ),
    (KEYS | {"AWS_MAX_ATTEMPTS": "many"}, "UsageError", "AWS_MAX_ATTEMPTS=many", 2),
    (KEYS | {"AWS_ENDPOINT_URL": CLOSED}, "UnreachableError", CLOSED, 1),
    (
        KEYS | {"AWS_ENDPOINT_URL": "https://example.invalid", "HTTPS_PROXY": CLOSED},
        "UnreachableError",
        CLOSED,
        1,
    ),
    (KEYS, "UnreachableError", "Connection was closed", 1),  # somebody listens, nobody answers
]


@pytest.mark.parametrize(
    ("settings", "kind", "cause", "code"), SETTINGS, ids=[cause for _, _, cause, _ in SETTINGS]
)
def test_settings_that_lead_nowhere(
    stranger: Commands, settings: dict[str, str], kind: str, cause: str, code: int
) -> None:
    commands = dataclasses.replace(stranger, environ={**stranger.environ, **settings})
    told(commands.up(), kind, cause, code)


@pytest.mark.parametrize(
    ("flags", "kind", "cause", "code"),
    [
        (("--profile", "nobody"), "UsageError", "--profile nobody", 2),
        (("--region", "not a region"), "ConfigError", "'not a region'", 2),
        (("--set", "environment.region=EU"), "ConfigError", "'EU'", 2),
    ],
)
def test_flags_that_lead_nowhere(
    stranger: Commands, silence: Silence, flags: tuple[str, ...], kind: str, cause: str, code: int
) -> None:
    commands = dataclasses.replace(stranger, environ={**stranger.environ, **KEYS})
    told(commands.up(*flags), kind, cause, code)
    assert silence.calls == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_credentials_that_have_expired(commands: Commands, rehearsal: Remote, command: str) -> None:
    rehearsal.set_faults(Fault("expired", times=FOR_GOOD))
    result = commands.run(*COMMANDS[command], "--output", "json")
    told(result, "CredentialsError", "ExpiredToken")
    assert len(rehearsal.journal()) <= 1
    assert not commands.state_path().exists()


@pytest.mark.parametrize("command", ["up", "plan", "status", "teardown"])
def test_a_caller_who_may_do_nothing(commands: Commands, rehearsal: Remote, command: str) -> None:
    rehearsal.set_policy({"Version": "2012-10-17", "Statement": []})
    result = commands.run(*COMMANDS[command], "--output", "json")
    told(result, "AwsCallError", "is not authorized to perform")
    assert "python -m provision policy" in result.error["next"]
    assert not any(call.mutating for call in rehearsal.journal())


def test_one_service_that_cannot_be_reached_stops_up_before_anything_is_made(
    commands: Commands, rehearsal: Remote
) -> None:
    elsewhere = {**commands.environ, "AWS_ENDPOINT_URL_RDS": CLOSED}
    result = dataclasses.replace(commands, environ=elsewhere).up("--region", REGION)
    told(result, "UnreachableError", CLOSED)
    assert not any(call.mutating for call in rehearsal.journal())
    assert not commands.state_path().exists()
