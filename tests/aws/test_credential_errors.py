"""Credentials that cannot be loaded: what each of botocore's errors means, and what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore import exceptions as boto_errors
from botocore.exceptions import ClientError

from provision.aws import credentials
from provision.aws.advice import CallContext
from provision.aws.credentials import Credentials, NoTerminal, Provider, ask_for_code, explained
from provision.errors import (
    CredentialsError,
    ProvisionError,
    StateError,
    UnreachableError,
    UsageError,
)

MINE = CallContext(profile="mine", method="assume-role")


def answered(operation: str, code: str, message: str = "as AWS says") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    return ClientError(answer, operation)


CASES: list[tuple[Exception, type[ProvisionError], str]] = [
    (NoTerminal("arn:mfa"), CredentialsError, "get-session-token"),
    (EOFError(), CredentialsError, ""),
    (boto_errors.MissingDependencyException(msg="crt"), UsageError, "rds-proxy-auth[login]"),
    (boto_errors.EndpointConnectionError(endpoint_url="sts"), UnreachableError, ""),
    (
        boto_errors.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        UsageError,
        "Set AWS_SECRET_ACCESS_KEY too",
    ),
    (
        boto_errors.PartialCredentialsError(provider="shared-file", cred_var="aws_secret"),
        UsageError,
        "Add aws_secret to the settings",
    ),
    (
        boto_errors.InvalidIMDSEndpointError(endpoint="x"),
        UsageError,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ),
    (boto_errors.InvalidConfigError(error_msg="loop"), UsageError, "~/.aws/config"),
    (
        boto_errors.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
        CredentialsError,
        "Run the credential_process",
    ),
    (
        boto_errors.CredentialRetrievalError(provider="container-role", error_msg="403"),
        CredentialsError,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    (
        boto_errors.CredentialRetrievalError(
            provider="assume-role-with-web-identity", error_msg="no file"
        ),
        CredentialsError,
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    (boto_errors.SSOTokenLoadError(error_msg="none"), CredentialsError, "aws sso login"),
    (boto_errors.RefreshWithMFAUnsupportedError(), CredentialsError, "a new code"),
    (
        answered("AssumeRole", "AccessDenied", "MultiFactorAuthentication failed"),
        CredentialsError,
        "next MFA code",
    ),
    (answered("AssumeRole", "AccessDenied"), CredentialsError, "sts:AssumeRole"),
    (answered("GetRoleCredentials", "ForbiddenException"), CredentialsError, "sso_role_name"),
    (answered("GetRoleCredentials", "UnauthorizedException"), CredentialsError, "aws sso login"),
    (answered("AssumeRoleWithWebIdentity", "InvalidIdentityToken"), CredentialsError, ""),
    (ValueError(), CredentialsError, ""),
]


@pytest.mark.parametrize(("error", "kind", "words"), CASES, ids=lambda each: str(each)[:40])
def test_each_error_names_the_profile_and_what_to_do(
    error: Exception, kind: type[ProvisionError], words: str
) -> None:
    found = explained(error, MINE)
    assert type(found) is kind
    assert found.message.startswith(credentials.NO_CREDENTIALS)
    assert "mine" in found.message
    assert words in found.next_step
    without = explained(error, CallContext(method="assume-role"))
    assert without.message.startswith(f"{credentials.NO_CREDENTIALS}: ")


def test_an_error_of_ours_stays_as_it_is() -> None:
    ours = StateError("x")
    assert explained(ours, MINE) is ours


class Source:
    """One way to find credentials."""

    METHOD = "assume-role"
    method = METHOD

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def load(self) -> Any:
        return self.get_frozen_credentials()

    def get_frozen_credentials(self) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_the_first_that_are_found_count_and_an_error_ends_the_search() -> None:
    keys = SimpleNamespace(method="env", access_key="AKIA")
    inner = SimpleNamespace(providers=[Source(None), Source(keys)], other=7)
    found = Provider(inner, "mine").load_credentials()
    assert found.access_key == "AKIA"
    assert Provider(inner, "mine").other == 7
    assert Provider(SimpleNamespace(providers=[Source(None)]), "").load_credentials() is None
    broken = SimpleNamespace(providers=[Source(EOFError()), Source(keys)])
    with pytest.raises(CredentialsError, match="mine"):
        Provider(broken, "mine").load_credentials()


def test_credentials_that_cannot_be_renewed_are_an_error_of_ours() -> None:
    assert Credentials(Source("frozen"), "mine").get_frozen_credentials() == "frozen"
    expired = Credentials(Source(boto_errors.SSOTokenLoadError(error_msg="none")), "mine")
    with pytest.raises(CredentialsError) as caught:
        expired.get_frozen_credentials()
    assert "aws sso login" in caught.value.next_step


@pytest.mark.parametrize(
    ("on_stdin", "of_its_own", "asks"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_a_code_is_asked_for_only_where_somebody_can_type_it(
    on_stdin: bool, of_its_own: bool, asks: bool
) -> None:
    with (
        mock.patch("sys.stdin", SimpleNamespace(isatty=lambda: on_stdin)),
        mock.patch.object(credentials, "has_terminal", return_value=of_its_own),
        mock.patch("getpass.getpass", return_value="123456") as prompt,
    ):
        if asks:
            assert ask_for_code("Enter MFA code for arn:mfa: ") == "123456"
            prompt.assert_called_once_with("Enter MFA code for arn:mfa: ")
        else:
            with pytest.raises(NoTerminal, match=r"^arn:mfa$"):
                ask_for_code("Enter MFA code for arn:mfa: ")


@pytest.mark.parametrize("there", [True, False])
def test_whether_a_process_has_a_terminal_of_its_own(there: bool) -> None:
    opened = mock.patch("os.open", **({"return_value": 99} if there else {"side_effect": OSError}))
    with opened, mock.patch("os.close") as closed:
        assert credentials.has_terminal() is there
    assert closed.call_count == there
