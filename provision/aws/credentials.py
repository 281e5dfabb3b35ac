"""Where the caller's credentials come from, and what to do if they cannot be loaded.

botocore looks in a dozen places, and fails in as many ways: with its own exceptions, with those of
`open` and `json`, with AWS's answers to a call that it made for the credentials. Here all of that
becomes one of our errors, which names the profile or the variable.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from typing import Any

import botocore.exceptions as boto_errors
from botocore.session import Session

from provision.aws.advice import (
    AGAIN,
    LOG_IN,
    REACH,
    CallContext,
    Trouble,
    advise,
    aws_answer,
    of_profile,
    renew,
)
from provision.errors import (
    AwsAnswer,
    CredentialsError,
    ProvisionError,
    UnreachableError,
    UsageError,
)

NO_CREDENTIALS = "no usable AWS credentials"
LOGIN_EXTRA = (
    "Install what `aws login` needs: pip install 'rds-proxy-auth[login]' (in a checkout: pip "
    "install -e '.[login]')."
)
UNREACHED = (
    boto_errors.EndpointConnectionError,
    boto_errors.HTTPClientError,
    boto_errors.ConnectTimeoutError,
    boto_errors.ProxyConnectionError,
)
SETTINGS = (
    boto_errors.InvalidConfigError,
    boto_errors.UnknownCredentialError,
    boto_errors.PartialCredentialsError,
    boto_errors.InvalidIMDSEndpointError,
    boto_errors.InvalidIMDSEndpointModeError,
    boto_errors.ConfigNotFound,
)


class NoTerminal(Exception):
    """An MFA code is required, and there is no terminal to enter it on."""


def explain_credentials(session: Session) -> None:
    """Let the session's credentials fail with our errors, and ask for codes on terminals only."""
    resolver = session.get_component("credential_provider")
    session.register_component("credential_provider", Provider(resolver, session.profile or ""))
    # botocore gives no other way to its prompt; without a terminal it would wait on stdin.
    resolver.get_provider("assume-role")._prompter = ask_for_code


def ask_for_code(prompt: str) -> str:
    """Ask for an MFA code. Raises NoTerminal without a terminal."""
    if not (sys.stdin and sys.stdin.isatty()) and not has_terminal():
        raise NoTerminal(prompt.removeprefix("Enter MFA code for ").rstrip(": "))
    return getpass.getpass(prompt)


def has_terminal() -> bool:
    """Return whether the process has a terminal of its own, whatever its streams are."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Provider:
    """botocore's chain of credential providers, with our errors."""

    def __init__(self, inner: Any, profile: str) -> None:
        self._inner = inner
        self._profile = profile

    def load_credentials(self) -> Any:
        """Return the first credentials that are found, or None. Raises ProvisionError."""
        for each in self._inner.providers:
            try:
                found = each.load()
            except Exception as error:
                caller = CallContext(profile=self._profile, method=each.METHOD)
                raise explained(error, caller) from error
            if found is not None:
                return Credentials(found, self._profile)
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Credentials:
    """Credentials of botocore, with our errors where they have to be fetched or renewed."""

    def __init__(self, inner: Any, profile: str) -> None:
        self._inner = inner
        self._caller = CallContext(profile=profile, method=inner.method or "")

    def get_frozen_credentials(self) -> Any:
        """Return access key, secret key and token. Raises ProvisionError."""
        try:
            return self._inner.get_frozen_credentials()
        except Exception as error:
            raise explained(error, self._caller) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def explained(error: Exception, caller: CallContext) -> ProvisionError:  # noqa: PLR0911 - one for each
    """Return our error for one that was raised while credentials were loaded."""
    if isinstance(error, ProvisionError):
        return error
    if isinstance(error, NoTerminal):
        return CredentialsError(
            f"{none_of(caller)}: its role requires an MFA code ({error}), and there is no "
            "terminal to enter it on",
            next_step="Run it on a terminal, or with MFA session credentials (`aws sts "
            "get-session-token --serial-number ... --token-code ...`).",
        )
    if isinstance(error, EOFError):
        return CredentialsError(f"{none_of(caller)}: no MFA code was entered")
    if isinstance(error, boto_errors.MissingDependencyException):
        return UsageError(f"{none_of(caller)}: {error}", next_step=LOGIN_EXTRA)
    if isinstance(error, boto_errors.ClientError):
        return refused(error, caller)
    if isinstance(error, UNREACHED):
        return UnreachableError(f"{none_of(caller)}: {error}", next_step=REACH)
    if isinstance(error, SETTINGS):
        return UsageError(f"{none_of(caller)}: {error}", next_step=correct(error, caller))
    return CredentialsError(
        f"{none_of(caller)}: {str(error) or type(error).__name__}", next_step=again(error, caller)
    )


def none_of(caller: CallContext) -> str:
    """Return the beginning of the message: that there are none, and for which profile."""
    return f"{NO_CREDENTIALS} {of_profile(caller)}" if caller.profile else NO_CREDENTIALS


def correct(error: Exception, caller: CallContext) -> str:
    """Return which setting to correct."""
    if isinstance(error, boto_errors.PartialCredentialsError):
        if error.kwargs["provider"] == "env":
            return f"Set {error.kwargs['cred_var']} too, or unset its partner to use a profile."
        return f"Add {error.kwargs['cred_var']} to the settings {of_profile(caller)}."
    if isinstance(error, boto_errors.InvalidIMDSEndpointError):
        return "Correct AWS_EC2_METADATA_SERVICE_ENDPOINT."
    return f"Correct the settings {of_profile(caller)} in ~/.aws/config (or AWS_CONFIG_FILE)."


def again(error: Exception, caller: CallContext) -> str:
    """Return how to get credentials that could not be loaded or renewed."""
    for kind, words in BY_ERROR:
        if isinstance(error, kind):
            return words(caller)
    provider = getattr(error, "kwargs", {}).get("provider", "") or caller.method
    words = BY_PROVIDER.get(
        provider, lambda _: renew(CallContext(method=provider, profile=caller.profile))
    )
    return words(caller)


def log_in_again(method: str) -> Callable[[CallContext], str]:
    """Return the function that says how to log in again."""
    return lambda caller: renew(CallContext(profile=caller.profile, method=method))


BY_ERROR: tuple[tuple[type[Exception], Callable[[CallContext], str]], ...] = (
    (
        boto_errors.LoginInsufficientPermissions,
        lambda _: "An administrator has to allow signin:CreateOAuth2Token.",
    ),
    (boto_errors.LoginError, log_in_again("login")),
    (boto_errors.SSOError, log_in_again("sso")),
    (boto_errors.TokenRetrievalError, log_in_again("sso")),
    (boto_errors.NoAuthTokenError, log_in_again("sso")),
    (
        boto_errors.RefreshWithMFAUnsupportedError,
        lambda _: (
            "The session of the MFA code has ended: run the same command again, with a new code."
        ),
    ),
)
BY_PROVIDER: dict[str, Callable[[CallContext], str]] = {
    "custom-process": lambda caller: (
        f"Run the credential_process {of_profile(caller)} by hand to see why it fails."
    ),
    "container-role": lambda _: (
        "Check AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI, and its token "
        "(AWS_CONTAINER_AUTHORIZATION_TOKEN, _TOKEN_FILE). Outside a container, unset them."
    ),
    "assume-role-with-web-identity": lambda _: (
        "Check that AWS_WEB_IDENTITY_TOKEN_FILE (or the profile's web_identity_token_file) names "
        "an existing file."
    ),
}


def refused(error: boto_errors.ClientError, caller: CallContext) -> ProvisionError:
    """Return the error for credentials that AWS refused to issue."""
    answer = aws_answer(error)
    message = f"{none_of(caller)}: {answer.operation} answered {answer.code}: {answer.message}"
    return CredentialsError(message, next_step=next_step(answer, caller))


def next_step(answer: AwsAnswer, caller: CallContext) -> str:
    """Return what to do about AWS's refusal to issue credentials."""
    if "multifactorauthentication" in answer.message.lower():
        return "Run the same command again, with the next MFA code."
    words = BY_ANSWER.get((answer.operation, answer.code))
    if words:
        return words(caller)
    if answer.operation == "AssumeRoleWithWebIdentity":
        return renew(CallContext(method="assume-role-with-web-identity"))
    advice = advise(answer, caller)
    if advice.cause in (Trouble.OTHER, Trouble.DENIED):
        return f"Check the settings {of_profile(caller)}, {AGAIN}."
    return advice.next_step


BY_ANSWER: dict[tuple[str, str], Callable[[CallContext], str]] = {
    ("GetRoleCredentials", "UnauthorizedException"): log_in_again("sso"),
    ("GetRoleCredentials", "ForbiddenException"): lambda caller: (
        f"Check that the account and the role (sso_account_id, sso_role_name) {of_profile(caller)} "
        "are right and assigned to you."
    ),
    ("AssumeRole", "AccessDenied"): lambda caller: (
        f"Check role_arn {of_profile(caller)}. The role has to trust the caller, and the caller "
        "needs sts:AssumeRole on it."
    ),
    ("AssumeRoleWithWebIdentity", "AccessDenied"): lambda _: (
        "Check AWS_ROLE_ARN. The role has to trust the token's issuer and subject."
    ),
}


def none_found() -> ProvisionError:
    """Return the error for a caller who has no credentials at all."""
    named = [
        f"{name}={path} is not a file"
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        if (path := os.environ.get(name)) and not os.path.exists(path)  # noqa: PTH110
    ]
    more = f" ({'; '.join(named)})" if named else ""
    return CredentialsError(
        f"{NO_CREDENTIALS}: Unable to locate credentials{more}", next_step=LOG_IN
    )
