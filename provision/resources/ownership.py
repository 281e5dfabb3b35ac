"""Whose a thing at AWS is. Names locate a thing, they never prove anything.

A thing is this environment's when it carries both of our tags, or when its lasting id is the one
that the state file recorded. Tags alone can have been copied with the thing: they count under the
name that we give, or within our VPC or API, and only where one thing alone carries them. A tag that
names another environment outweighs the recorded id: somebody has said since whose it is. A witness
that cannot be read proves nothing, in either direction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from provision.aws.advice import DENIED

ENVIRONMENT, STEP = "provision:environment", "provision:step"


class Owner(Enum):
    """Who owns a resource, as far as that is known."""

    OURS = "ours"
    FOREIGN = "foreign"  # nothing says that it is ours, or its tags say that it is another's
    COPY = "copy"  # our tags, at a thing that they do not prove: it may be ours
    UNREADABLE = "unreadable"  # AWS did not let us read what would tell


@dataclass(frozen=True)
class Ownership:
    """Who owns a resource, and why, in words that follow "it"."""

    owner: Owner
    because: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is proven to be this environment's."""
        return self.owner is Owner.OURS


@dataclass(frozen=True)
class Witnesses:
    """The evidence of who owns a resource.

    `tags` are None, and `unreadable` says why, where AWS did not let us read them. `same_id`:
    whether its lasting id is the recorded one; None where none is recorded, or it has none.
    `own_name`: whether it has the name that we give, or its kind has no names. `rivals` are
    further things of the kind with both of our tags.
    """

    tags: Mapping[str, str] | None
    unreadable: str = ""
    same_id: bool | None = None
    own_name: bool = True
    rivals: tuple[str, ...] = ()


def judge(evidence: Witnesses, environment: str, step: str) -> Ownership:
    """Return who owns the resource. `environment` and `step` are the values of our tags."""
    tags = evidence.tags or {}
    marks = tags.get(ENVIRONMENT), tags.get(STEP)
    because = f"has {ENVIRONMENT} = {marks[0]!r}, {STEP} = {marks[1]!r}"
    if marks[0] not in (None, environment):
        return Ownership(Owner.FOREIGN, because)
    if evidence.same_id:
        return Ownership(Owner.OURS)
    if evidence.tags is None:
        return Ownership(Owner.UNREADABLE, f"has tags that cannot be read: {evidence.unreadable}")
    if marks == (environment, step):
        return by_tags(evidence)
    if marks[0] == environment:
        return Ownership(Owner.COPY, because)
    return Ownership(Owner.FOREIGN, "has no tag of this program")


def by_tags(evidence: Witnesses) -> Ownership:
    """Return who owns a resource with both of our tags, where no recorded id decides it."""
    if not evidence.own_name:
        because = "has both of this environment's tags, but another name"
        return Ownership(Owner.COPY, because)
    if evidence.rivals:
        because = (
            "is one of several with both of this environment's tags "
            f"(besides {', '.join(evidence.rivals)}), and the state file knows none of them"
        )
        return Ownership(Owner.COPY, because)
    return Ownership(Owner.OURS)


@dataclass(frozen=True)
class Tags:
    """The tags of a resource, or why they cannot be read."""

    tags: Mapping[str, str] | None
    unreadable: str = ""

    def carry(self, environment: str, step: str) -> bool:
        """Return whether both of our tags are among them."""
        return marked(self.tags or {}, environment, step)


def marked(tags: Mapping[str, str], environment: str, step: str) -> bool:
    """Return whether both of our tags are among these."""
    return (tags.get(ENVIRONMENT), tags.get(STEP)) == (environment, step)


def read_tags(read: Callable[[], Mapping[str, str]]) -> Tags:
    """Return what `read` returns, or why the caller may not read it. Raises other ClientErrors."""
    from botocore.exceptions import ClientError  # here: views import this module, and need no AWS

    from provision.aws.account import code_of

    try:
        return Tags(read())
    except ClientError as error:
        if code_of(error) not in DENIED:
            raise
        message = error.response.get("Error", {}).get("Message", "")
        return Tags(None, f"{error.operation_name} answered {code_of(error)}: {message}")
