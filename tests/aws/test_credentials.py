"""Every way in which botocore finds credentials: good, missing, expired, broken.

Each is tried through `provision plan`, with loopback stand-ins for what hands them out. Good ones
get as far as AWS; the others end in one error that names the way, and says what to do for that way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.tokens
import pytest

from provision.rehearsal import Override, Remote
from tests.support.built import commands_at
from tests.support.commands import Commands, Result
from tests.support.credential_sources import (
    CALLER,
    ROLE,
    Keys,
    Source,
    credential_source,
    in_hours,
    sts_error,
)
from tests.support.servers import Silence

PARTS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
NONE = Keys("ASIA", "x", "t")  # that nobody takes
EXPIRED = "The security token included in the request is expired"


@pytest.fixture
def source() -> Iterator[Source]:
    """What hands out credentials; it has none yet."""
    with credential_source({}) as served:
        yield served


@pytest.fixture
def nobody(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands at work on a rehearsed AWS, with no credentials and a home of their own."""
    home = tmp_path / "home"
    cache = str(home / ".aws" / "sso" / "cache")  # botocore has read HOME long ago
    monkeypatch.setattr(botocore.credentials.SSOProvider, "_SSO_TOKEN_CACHE_DIR", cache)
    monkeypatch.setattr(botocore.tokens.SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", cache)
    unset = (*PARTS, "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    kept = {key: text for key, text in commands.environ.items() if key not in unset}
    more = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}
    return dataclasses.replace(commands, environ=kept | more)


@pytest.fixture
def keys(commands: Commands) -> Keys:
    """Credentials that the rehearsed AWS takes."""
    return Keys.of(commands.environ)


@pytest.fixture
def base(commands: Commands) -> str:
    """Long-lived keys that it takes, as lines of a profile."""
    return "".join(f"{part.lower()} = {commands.environ[part]}\n" for part in PARTS)


def with_config(commands: Commands, text: str, **environ: str) -> Commands:
    """The commands with this AWS configuration file, and these variables beside it."""
    folder = Path(commands.environ["HOME"]) / ".aws"
    folder.mkdir(exist_ok=True)
    (folder / "config").write_text(text)
    return dataclasses.replace(commands, environ={**commands.environ, **environ})


def with_variables(commands: Commands, **environ: str) -> Commands:
    return dataclasses.replace(commands, environ={**commands.environ, **environ})


def plan(commands: Commands, *flags: str) -> Result:
    return commands.run("provision", "plan", "--output", "json", *flags)


def works(result: Result, remote: Remote, key: str = "") -> None:
    """Assert that AWS was asked with good credentials: with this access key."""
    assert result.code == 0, result
    used = {call.access_key for call in remote.journal() if call.operation == "DescribeVpcs"}
    assert used
    assert not key or used == {key}


def fails(result: Result, cause: str, next_step: str, code: int = 1) -> None:
    """Assert that the command ended with one error of credentials or settings."""
    assert result.code == code, result
    assert "Traceback" not in result.stderr
    assert cause in result.error["message"], result.error
    assert next_step in result.error["next"], result.error
    assert result.error["type"] == {1: "CredentialsError", 2: "UsageError"}[code]


def again(result: Result) -> bool:
    """Whether the advice says that one has been logged in before."""
    return "again" in result.error["next"].lower()


# --- none at all ----------------------------------------------------------------------------------


def test_who_never_had_any_is_told_how_to_log_in_and_not_to_log_in_again(nobody: Commands) -> None:
    result = plan(nobody)
    fails(result, "Unable to locate credentials", "Log in: `aws configure sso`")
    assert not again(result)


def test_a_configuration_file_that_is_not_there_is_named(nobody: Commands) -> None:
    result = plan(with_variables(nobody, AWS_CONFIG_FILE="/nowhere/config"))
    fails(result, "AWS_CONFIG_FILE=/nowhere/config is not a file", "Log in:")


# --- the environment ------------------------------------------------------------------------------


def in_environment(commands: Commands, keys: Keys) -> Commands:
    given = dict(zip(PARTS, (keys.id, keys.secret), strict=True))
    return with_variables(commands, **given, AWS_SESSION_TOKEN=keys.token)


def test_keys_of_the_environment(nobody: Commands, rehearsal: Remote, keys: Keys) -> None:
    works(plan(in_environment(nobody, keys)), rehearsal, keys.id)


@pytest.mark.parametrize("part", PARTS)
def test_one_key_alone_is_a_setting_to_correct(nobody: Commands, part: str) -> None:
    (other,) = set(PARTS) - {part}
    result = plan(with_variables(nobody, **{part: "AKIA"}))
    if part == "AWS_ACCESS_KEY_ID":
        fails(result, f"missing: {other}", f"Set {other} too", code=2)
    else:  # botocore looks for the access key alone
        fails(result, "Unable to locate credentials", "Log in:")


@pytest.mark.parametrize(
    ("code", "words", "next_step"),
    [
        ("ExpiredToken", EXPIRED, "Set new AWS_ACCESS_KEY_ID"),
        ("InvalidClientTokenId", "The security token included in the request is invalid.",
         "AWS does not know the keys in the environment"),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match ...",
         "AWS_SECRET_ACCESS_KEY does not match AWS_ACCESS_KEY_ID"),
    ],
)  # fmt: skip
def test_keys_of_the_environment_that_aws_refuses(
    nobody: Commands, rehearsal: Remote, keys: Keys, code: str, words: str, next_step: str
) -> None:
    rehearsal.set_overrides(Override("sts:*", code=code, message=words, status=403))
    fails(plan(in_environment(nobody, keys)), words, next_step)


# --- profiles -------------------------------------------------------------------------------------


def test_keys_of_a_profile(nobody: Commands, rehearsal: Remote, base: str) -> None:
    works(plan(with_config(nobody, f"[profile me]\n{base}"), "--profile", "me"), rehearsal)


def test_a_profile_that_is_not_there_names_the_nearest(nobody: Commands) -> None:
    commands = with_config(nobody, "[profile staging]\n[profile other]\n")
    result = plan(commands, "--profile", "stagin")
    fails(result, "--profile stagin: ", "Profiles are: other, staging", code=2)
    assert "did you mean staging?" in result.error["message"]
    named = plan(with_variables(commands, AWS_PROFILE="othr"))
    fails(named, "AWS_PROFILE=othr: ", "Profiles are: ", code=2)


def test_a_profile_with_half_of_its_keys(nobody: Commands) -> None:
    commands = with_config(nobody, "[profile me]\naws_access_key_id = AKIA\n")
    result = plan(commands, "--profile", "me")
    fails(result, "aws_secret_access_key", "to the settings of the profile me", code=2)


def test_keys_of_a_profile_that_have_expired(
    nobody: Commands, rehearsal: Remote, base: str
) -> None:
    rehearsal.set_overrides(Override("sts:*", code="ExpiredToken", message=EXPIRED, status=403))
    result = plan(with_config(nobody, f"[profile me]\n{base}"), "--profile", "me")
    fails(result, EXPIRED, "Put new keys of the profile me into ~/.aws/config")


# --- a role, with and without MFA -----------------------------------------------------------------

ROLE_PROFILE = f"[profile adm]\nrole_arn = {ROLE}\nsource_profile = base\n"


@pytest.fixture
def assuming(base: str) -> str:
    """A profile that assumes a role with another profile's keys."""
    return f"[profile base]\n{base}{ROLE_PROFILE}"


@pytest.fixture
def mfa(assuming: str) -> str:
    """The same, with MFA."""
    return assuming + "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"


def test_a_role(nobody: Commands, rehearsal: Remote, assuming: str) -> None:
    result = plan(with_config(nobody, assuming), "--profile", "adm")
    works(result, rehearsal)
    assert "AssumeRole" in {call.operation for call in rehearsal.journal()}


def test_a_role_that_does_not_trust_the_caller(
    nobody: Commands, rehearsal: Remote, assuming: str
) -> None:
    words = f"User: x is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    rehearsal.set_overrides(
        Override("sts:AssumeRole", code="AccessDenied", message=words, status=403)
    )
    result = plan(with_config(nobody, assuming), "--profile", "adm")
    fails(result, words, "Check role_arn of the profile adm.")


def test_a_roles_source_that_has_expired(
    nobody: Commands, rehearsal: Remote, assuming: str
) -> None:
    expired = Override("sts:AssumeRole", code="ExpiredToken", message=EXPIRED, status=403)
    rehearsal.set_overrides(expired)
    result = plan(with_config(nobody, assuming), "--profile", "adm")
    fails(result, EXPIRED, "Renew the credentials that the profile adm assumes its role with")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[profile adm]\nrole_arn = {ROLE}\nsource_profile = gone\n", '"gone"'),
        (f"[profile adm]\nrole_arn = {ROLE}\ncredential_source = Sky\n", "Sky"),
        (f"[profile adm]\nrole_arn = {ROLE}\nsource_profile = b\n"
         f"[profile b]\nrole_arn = {ROLE}\nsource_profile = adm\n", "Infinite loop"),
    ],
)  # fmt: skip
def test_a_role_whose_settings_are_broken(nobody: Commands, text: str, words: str) -> None:
    result = plan(with_config(nobody, text), "--profile", "adm")
    fails(result, words, "Correct the settings of the profile adm", code=2)


def test_a_role_without_a_source(nobody: Commands) -> None:
    result = plan(with_config(nobody, f"[profile adm]\nrole_arn = {ROLE}\n"), "--profile", "adm")
    fails(result, "adm", "Add source_profile or credential_source to the settings", code=2)


@pytest.mark.slow
@pytest.mark.parametrize("stdin", ["closed", "an open pipe", "empty"])
def test_a_role_with_mfa_where_nobody_can_type(nobody: Commands, mfa: str, stdin: str) -> None:
    commands = with_config(nobody, mfa)
    reads, writes = os.pipe()  # open for as long as the command runs: who reads from it waits
    how: dict[str, dict[str, Any]] = {
        "closed": {"preexec_fn": lambda: os.close(0)},
        "an open pipe": {"stdin": reads},
        "empty": {},
    }
    flags = ("provision", "plan", "--output", "json", "--profile", "adm")
    with commands.running(*flags, start_new_session=True, **how[stdin]) as process:
        out, err = process.communicate(timeout=60)
    os.close(reads)
    os.close(writes)
    result = Result(process.returncode, out, err)
    fails(result, "requires an MFA code (arn:aws:iam::123456789012:mfa/me)", "Run it on a terminal")


# Gives its standard input to the command as the terminal that it is at work on.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.slow
def test_a_role_with_mfa_on_a_terminal(nobody: Commands, mfa: str) -> None:
    commands = with_config(nobody, mfa)
    ours, theirs = os.openpty()
    command = commands.command("provision", "plan", "--output", "json", "--profile", "adm")
    with subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *command],
        cwd=commands.folder,
        env=commands.process_environ(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        asked = b""
        while b"MFA code" not in asked:
            asked += os.read(ours, 1000)
        os.write(ours, b"123456\n")
        out, err = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, (out, err)


def test_a_wrong_mfa_code(
    nobody: Commands, rehearsal: Remote, mfa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "MultiFactorAuthentication failed with invalid MFA one time pass code. "
    denied = Override("sts:AssumeRole", code="AccessDenied", message=words, status=403)
    rehearsal.set_overrides(denied)
    monkeypatch.setattr("provision.aws.credentials.has_terminal", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "000000")
    result = plan(with_config(nobody, mfa), "--profile", "adm")
    fails(result, "invalid MFA one time pass code", "with the next MFA code")


# --- a process ------------------------------------------------------------------------------------


def process(output: str, status: int = 0) -> str:
    script = f"import sys; sys.stdout.write({output!r}); sys.exit({status})"
    command = " ".join(shlex.quote(each) for each in (sys.executable, "-c", script))
    return f"[profile p]\ncredential_process = {command}\n"


def of_process(keys: Keys | None = None, hours: float = 1.0, **more: Any) -> str:
    keys = keys or NONE
    given = {"Version": 1, "AccessKeyId": keys.id, "SecretAccessKey": keys.secret}
    return json.dumps(given | {"SessionToken": keys.token, "Expiration": in_hours(hours)} | more)


def test_a_process(nobody: Commands, rehearsal: Remote, keys: Keys) -> None:
    given = with_config(nobody, process(of_process(keys)))
    works(plan(given, "--profile", "p"), rehearsal, keys.id)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (process("", status=3), "custom-process"),
        (process("no JSON"), "Expecting value"),
        (process("[]"), ""),
        (process(of_process(Version=2)), "version '2'"),
        (process(json.dumps({"Version": 1})), "AccessKeyId"),
        (process(of_process(hours=-1.0)), "expired"),
        (process(of_process(Expiration="tomorrow")), ""),
        ("[profile p]\ncredential_process = /nowhere/program\n", "/nowhere/program"),
        ('[profile p]\ncredential_process = "unfinished\n', "quotation"),
    ],
)
def test_a_process_that_gives_none(nobody: Commands, text: str, words: str) -> None:
    result = plan(with_config(nobody, text), "--profile", "p")
    fails(result, words, "credential_process of the profile p")


# --- web identity ---------------------------------------------------------------------------------


def web_identity(commands: Commands, token: str | None = "a.b.c") -> Commands:
    path = commands.folder / "token"
    if token is not None:
        path.write_text(token)
    return with_variables(commands, AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=str(path))


def test_a_web_identity(nobody: Commands, source: Source, rehearsal: Remote, keys: Keys) -> None:
    source.answers["GetCallerIdentity"] = 200, CALLER
    operation = "AssumeRoleWithWebIdentity"
    source.answers[operation] = 200, keys.sts(operation)
    commands = with_variables(web_identity(nobody), AWS_ENDPOINT_URL_STS=source.url)
    works(plan(commands), rehearsal, keys.id)


def test_a_web_identity_without_its_token(nobody: Commands) -> None:
    fails(
        plan(web_identity(nobody, None)), "No such file", "Check that AWS_WEB_IDENTITY_TOKEN_FILE"
    )


def test_a_web_identity_without_its_role(nobody: Commands) -> None:
    commands = with_variables(nobody, AWS_WEB_IDENTITY_TOKEN_FILE="/nowhere")
    result = plan(commands)
    assert result.code in (1, 2)
    assert "AWS_ROLE_ARN" in result.error["message"] or "Log in" in result.error["next"]


@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        ("ExpiredTokenException", "Have a new token written"),
        ("InvalidIdentityToken", "Have a new token written"),
        ("AccessDenied", "The role has to trust the token's issuer"),
    ],
)
def test_a_web_identity_that_aws_refuses(
    nobody: Commands, source: Source, code: str, next_step: str
) -> None:
    source.answers["AssumeRoleWithWebIdentity"] = 400, sts_error(code, "No.")
    commands = with_variables(web_identity(nobody), AWS_ENDPOINT_URL_STS=source.url)
    fails(plan(commands), code, next_step)


# --- containers and instances ---------------------------------------------------------------------


def in_container(commands: Commands, source: Source) -> Commands:
    return with_variables(commands, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{source.url}/creds")


def test_a_containers_role(nobody: Commands, source: Source, rehearsal: Remote, keys: Keys) -> None:
    source.answers["GET /creds"] = 200, keys.metadata()
    works(plan(in_container(nobody, source)), rehearsal, keys.id)


@pytest.mark.parametrize(
    "answer",
    [(404, "no"), (500, "oh"), (200, "no JSON"), (200, {}), (200, NONE.metadata(-1.0)),
     (200, NONE.metadata() | {"Expiration": "soon"}), (200, [])],
)  # fmt: skip
def test_a_containers_role_that_gives_none(
    nobody: Commands, source: Source, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    source.answers["GET /creds"] = answer
    fails(plan(in_container(nobody, source)), "no usable AWS credentials", "AWS_CONTAINER_CRED")


def test_a_containers_role_elsewhere(nobody: Commands) -> None:
    commands = with_variables(nobody, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://example.com/x")
    fails(plan(commands), "example.com", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def on_instance(commands: Commands, source: Source) -> Commands:
    return with_variables(
        commands,
        AWS_EC2_METADATA_DISABLED="false",
        AWS_EC2_METADATA_SERVICE_ENDPOINT=source.url,
    )


ROLES = "GET /latest/meta-data/iam/security-credentials/"


def test_an_instances_role(nobody: Commands, source: Source, rehearsal: Remote, keys: Keys) -> None:
    source.answers |= {
        "PUT /latest/api/token": (200, "t"),
        ROLES: (200, "admin"),
        f"{ROLES}admin": (200, keys.metadata()),
    }
    works(plan(on_instance(nobody, source)), rehearsal, keys.id)


@pytest.mark.parametrize("answer", [(404, ""), (200, "no JSON"), (200, {"Code": "Failed"})])
def test_an_instance_without_a_role(nobody: Commands, source: Source, answer: Any) -> None:
    source.answers |= {"PUT /latest/api/token": (200, "t"), ROLES: (200, "admin")}
    source.answers[f"{ROLES}admin"] = answer
    fails(plan(on_instance(nobody, source)), "Unable to locate credentials", "Log in:")


# --- SSO ------------------------------------------------------------------------------------------

SSO = """\
[profile work]
sso_session = me
sso_account_id = 123456789012
sso_role_name = admin
[sso-session me]
sso_start_url = https://example.invalid/start
sso_region = eu-west-1
"""
PORTAL = "GET /federation/credentials"


def on_sso(commands: Commands, source: Source, hours: float | None = 1.0) -> Commands:
    """The commands with an SSO profile, logged in for so many hours."""
    made = with_config(commands, SSO, AWS_ENDPOINT_URL_SSO=source.url)
    folder = Path(commands.environ["HOME"]) / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True)
    if hours is not None:
        name = hashlib.sha1(b"me").hexdigest()  # noqa: S324 - botocore's name of the file
        token = {"accessToken": "t", "expiresAt": in_hours(hours), "region": "eu-west-1"}
        (folder / f"{name}.json").write_text(json.dumps(token))
    return made


def test_sso(nobody: Commands, source: Source, rehearsal: Remote, keys: Keys) -> None:
    source.answers[PORTAL] = 200, keys.sso()
    works(plan(on_sso(nobody, source), "--profile", "work"), rehearsal, keys.id)


@pytest.mark.parametrize("hours", [None, -1.0])
def test_sso_without_a_login_or_with_one_that_has_ended(
    nobody: Commands, source: Source, hours: float | None
) -> None:
    result = plan(on_sso(nobody, source, hours), "--profile", "work")
    fails(result, "no usable AWS credentials", "`aws sso login --profile work`")


@pytest.mark.parametrize(
    ("kind", "next_step"),
    [
        ("UnauthorizedException", "`aws sso login --profile work`"),
        ("ForbiddenException", "sso_role_name) of the profile work are right"),
    ],
)
def test_sso_that_gives_no_role(
    nobody: Commands, source: Source, kind: str, next_step: str
) -> None:
    status = 401 if kind == "UnauthorizedException" else 403
    source.answers[PORTAL] = status, {"__type": kind, "message": "No access"}
    fails(plan(on_sso(nobody, source), "--profile", "work"), "", next_step)


@pytest.mark.parametrize("line", ["sso_region = eu-west-1\n", "[sso-session me]\n"])
def test_sso_settings_that_are_broken(nobody: Commands, line: str) -> None:
    commands = with_config(nobody, SSO.replace(line, ""))
    fails(plan(commands, "--profile", "work"), "work", "Correct the settings", code=2)


# --- aws login ------------------------------------------------------------------------------------

LOGIN = "[profile l]\nlogin_session = arn:aws:iam::123456789012:user/someone\n"
WITHOUT_CRT = {"BOTO_DISABLE_CRT": "true"}


@pytest.mark.slow
def test_aws_login_names_the_extra_that_it_needs(nobody: Commands) -> None:
    commands = with_config(nobody, LOGIN, **WITHOUT_CRT)
    result = commands.spawn("provision", "plan", "--output", "json", "--profile", "l")
    fails(result, "additional dependency", "pip install 'rds-proxy-auth[login]'", code=2)


has_crt = pytest.mark.skipif(
    importlib.util.find_spec("awscrt") is None, reason="needs the extra `login`"
)


@has_crt
@pytest.mark.parametrize("hours", [1.0, None, -1.0])
def test_aws_login(
    nobody: Commands, source: Source, rehearsal: Remote, keys: Keys, hours: float | None
) -> None:
    folder = nobody.folder / "login"
    folder.mkdir()
    commands = with_config(
        nobody,
        LOGIN,
        AWS_LOGIN_CACHE_DIRECTORY=str(folder),
        AWS_ENDPOINT_URL_SIGNIN=source.url,
    )
    session = LOGIN.split(" = ")[1].strip()
    if hours is not None:
        name = hashlib.sha256(session.encode()).hexdigest()
        token = {
            "accessToken": {
                "accessKeyId": keys.id, "secretAccessKey": keys.secret, "sessionToken": keys.token,
                "accountId": "123456789012", "expiresAt": in_hours(hours),
            },
            "refreshToken": "r", "dpopKey": "broken", "clientId": "c",
        }  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(token))
    result = plan(commands, "--profile", "l")
    if hours == 1.0:
        works(result, rehearsal, keys.id)
    else:
        fails(result, "no usable AWS credentials", "`aws login --profile l`")


def test_a_home_that_is_nobodys(tmp_path: Path, silence: Silence) -> None:
    """A service account: HOME names a folder that is not there."""
    commands = commands_at(silence.endpoint_url, tmp_path)
    environ = {"HOME": "/nowhere/home", "AWS_EC2_METADATA_DISABLED": "true"}
    result = plan(dataclasses.replace(commands, environ=environ))
    fails(result, "Unable to locate credentials", "Log in:")
