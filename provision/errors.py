"""The errors that a user sees: what failed, what AWS said, and what to do next.

Each class knows the exit code that the command ends with: 1 for a failure at AWS, 2 for bad usage
or configuration (then nothing was changed), 130 for an interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class ProvisionError(Exception):
    """The base of all errors for the user. `next_step` says what to do; it may be empty."""

    exit_code = 1
    summary: object | None = None  # what the command had done so far, if it had begun

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def as_dict(self) -> dict[str, Any]:
        """Return the error as the JSON summary shows it."""
        return {"type": type(self).__name__, "message": self.message, "next": self.next_step}


class UsageError(ProvisionError):
    """A bad flag, or flags that cannot be combined. Nothing was changed."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One bad value of config.toml or of `--set`."""

    key: str
    value: object
    expected: str
    place: str = ""  # `line 7` of the file, or the flag or variable that gives the value

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.key} = {shown(self.value)}: {self.expected}"


LONGEST_SHOWN = 100  # characters of a bad value


def shown(value: object) -> str:
    """Return a value as Python writes it, cut to LONGEST_SHOWN characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "(too long to show)"
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:LONGEST_SHOWN]}... ({len(text)} characters)"


class ConfigError(UsageError):
    """Every bad value of the configuration at once."""

    def __init__(self, problems: Sequence[Problem], *, source: str) -> None:
        lines = [f"{source} has {len(problems)} bad value{'s' if len(problems) > 1 else ''}:"]
        lines += [f"  {problem}" for problem in problems]
        super().__init__("\n".join(lines), next_step="Correct the values above; nothing was done.")
        self.problems = list(problems)


class StateError(ProvisionError):
    """The state file cannot be read or written; it was left as it is."""


class Locked(ProvisionError):
    """Another run holds the lock of this environment."""


class Declined(ProvisionError):
    """The user was asked, and did not say yes. Nothing was changed."""


class LeaseLost(Locked):
    """This run lost its lock: it changes nothing more."""


class CredentialsError(ProvisionError):
    """No credentials, expired ones, or ones that AWS does not know."""


class RegionNotEnabled(CredentialsError):
    """The account has not enabled the region."""


class ClockWrong(CredentialsError):
    """This machine's clock is so wrong that AWS rejects its signatures."""


class NotSignedUp(CredentialsError):
    """The account may not use the service: its sign-up is not complete, or AWS has blocked it."""


class UnreachableError(ProvisionError):
    """The endpoint of a service cannot be reached: no network, or no such region."""


@dataclass
class AwsAnswer:
    """AWS's error: the operation, and AWS's own code and message."""

    operation: str
    code: str
    message: str
    status: int = 0


class AwsCallError(ProvisionError):
    """AWS refused a call. Carries the step, the operation, AWS's own code and message.

    `final`: it is permanent, although others with the same message are temporary.
    """

    def __init__(
        self, step: str, answer: AwsAnswer, *, next_step: str = "", final: bool = False
    ) -> None:
        self.step = step
        self.answer = answer
        self.final = final
        where = f"{step}: " if step else ""
        super().__init__(
            f"{where}{answer.operation} answered {answer.code}: {answer.message}",
            next_step=next_step,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the error as the JSON summary shows it, with AWS's own code and message."""
        return super().as_dict() | {
            "step": self.step,
            "operation": self.answer.operation,
            "code": self.answer.code,
            "aws_message": self.answer.message,
        }


class UnsureError(AwsCallError):
    """The answer was lost, or a 5xx: the call may or may not have taken effect at AWS."""


class ForeignResource(ProvisionError):
    """The resource that has the wanted name or id is not this environment's."""


class Expired(ProvisionError):
    """The environment has expired: nothing new is created in it."""


class ReplacementRefused(ProvisionError):
    """A resource would have to be replaced, and `--replace` does not name it."""


class ResourceFailed(ProvisionError):
    """A resource reached a status that it does not leave by itself."""


class WaitTimeout(ProvisionError):
    """A resource did not become ready in time; it still may."""


class UnforeseenError(ProvisionError):
    """An unexpected error: a bug of this program, or an unexpected answer of AWS."""


class OddAnswer(UnforeseenError):
    """An answer of AWS that this program does not understand."""

    def __init__(self, step: str, error: Exception) -> None:
        where = f"{step}: " if step else ""
        what = f"{type(error).__name__} {shown(error.args[0]) if error.args else ''}".strip()
        super().__init__(
            f"{where}AWS's answer was not understood ({what})",
            next_step="Run the same command again with -v, which shows the calls. If it "
            "persists, please report it as a bug.",
        )


class CheckFailed(ProvisionError):
    """At least one of the two logins does not work.

    `verdict` says in a few words what was found, for the summary. `tabled`: a table has already
    shown each failure with its reason, so the message is not shown to a person again.
    """

    def __init__(
        self, message: str, *, next_step: str = "", verdict: str = "", tabled: bool = False
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.verdict = verdict
        self.tabled = tabled


class LeftBehind(ProvisionError):
    """The teardown ended, and part of the environment still exists."""


class Interrupted(ProvisionError):
    """The run was ended by Ctrl-C or SIGTERM; the state file is correct."""

    exit_code = 130
