"""What every kind of resource has in common.

A resource is a frozen dataclass of wanted values in AWS's own words. It knows AWS, and nothing of
state files, terminals or threads. A value may refer to what another resource gets from AWS
(references.py); the reference is the need.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from provision.errors import ProvisionError
from provision.resources.durations import QUICK, Duration
from provision.resources.expiry import EXPIRES
from provision.resources.ownership import Owner, Ownership, Witnesses, judge
from provision.resources.permissions import Statement
from provision.resources.references import arn, unresolved
from provision.waiting.poll import PollResult, Verdict

if TYPE_CHECKING:
    from provision.aws.account import Aws
    from provision.resources.blockers import Blocker

HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Change:
    """One property that differs: its value at AWS, and the wanted value."""

    property: str
    is_: Any
    should: Any
    replaces: bool = False
    sensitive: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON events and plans show it; a sensitive value stays hidden."""
        shown = (HIDDEN, HIDDEN) if self.sensitive else (self.is_, self.should)
        return {
            "property": self.property,
            "is": shown[0],
            "should": shown[1],
            "replaces": self.replaces,
        }


@dataclass(frozen=True)
class Seen:
    """A resource as AWS has it now.

    `outputs` go into the state file, `secrets` never do. `tags` is None where AWS has no tags for
    the kind; then `ours` says whether it hangs on something of ours. It is None too where the
    caller may not read them, which `unreadable` says then. `name` is its own where it is not the
    one that we give; `rivals` are further things that carry our tags.
    """

    outputs: Mapping[str, str]
    properties: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    unreadable: str = ""
    ours: bool = True
    name: str = ""
    rivals: tuple[str, ...] = ()
    status: str = ""
    reason_code: str = ""
    reason: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    created: str = ""  # ISO 8601, where AWS says it
    pending: Mapping[str, Any] = field(default_factory=dict)  # accepted, and not yet applied


@dataclass(frozen=True)
class Resource:
    """One resource at AWS. Subclasses say how it is found.

    What else can be done with it follows from its kind, one of four: ManagedResource, DataSource,
    AccountResource, AwsMadeResource.
    """

    step: str

    kind: ClassVar[str]  # CloudFormation's name of the type: AWS::EC2::VPC
    title: ClassVar[str]  # in words
    named_by: ClassVar[str] = ""  # the field with its name at AWS, where it has one
    ready: ClassVar[frozenset[str]] = frozenset()  # statuses; none = ready as soon as it exists
    failed: ClassVar[frozenset[str]] = frozenset()  # statuses from which it does not recover
    # Reason codes that may pass, each with its grace in AWS's seconds.
    suspect: ClassVar[Mapping[str, float]] = {}
    within: ClassVar[str] = ""  # the field that refers to its container, with which it dies
    find_by: ClassVar[tuple[str, ...]] = ()  # fields that must be known before it can be looked up
    non_blocking: ClassVar[frozenset[str]] = frozenset()  # fields: their targets may go first
    recomputes: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # changes that give it new outputs
    lasting_id: ClassVar[str] = ""  # the output that no other thing ever has, whatever its name
    costs: ClassVar[bool] = False  # AWS bills it by the hour
    reads: ClassVar[tuple[str, ...]] = ()  # IAM actions that take no resource
    writes: ClassVar[tuple[str, ...]] = ()  # IAM actions on `arns()`
    arn_pattern: ClassVar[tuple[str, str]] = ("", "")  # service, and resource with `{name}` in it
    creation: ClassVar[Duration] = QUICK  # what AWS takes to make it ready
    deletion: ClassVar[Duration] = QUICK  # and to delete it

    @property
    def name(self) -> str:
        """The resource's name at AWS, where it has one."""
        return str(getattr(self, self.named_by)) if self.named_by else ""

    def identity(self, outputs: Mapping[str, str]) -> str:
        """Return the identity that a person would search for: the id, the name, or the ARN."""
        return outputs.get("id") or self.name or outputs.get("arn", "")

    def arns(self) -> tuple[str, ...]:
        """Return the ARN patterns on which the caller needs `writes`, with `${aws.…}` in them."""
        service, resource = self.arn_pattern
        return (arn(service, resource.format(name=self.name)),) if service else ("*",)

    @property
    def listed_with(self) -> tuple[str, str] | None:
        """The list that one call looks up for several of its kind, and its own key in it."""
        return None

    def permissions(self) -> Iterator[Statement]:
        """Yield the statements of the policy that a caller needs for this resource."""
        if self.reads:
            yield Statement(self.reads)
        if self.writes:
            yield Statement(self.writes, self.arns())

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        """Return the resource as AWS has it, or None. `known` are its recorded outputs."""
        raise NotImplementedError

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        """Return what only an administrator can do when the printed policy denies a call.

        In a sentence, with the command; "" where there is no such thing.
        """
        return ""

    def owned(self, aws: Aws, seen: Seen, known: Mapping[str, str]) -> bool:
        """Return whether what was seen is proven to be this environment's."""
        return self.ownership(aws, seen, known).ours

    def ownership(self, aws: Aws, seen: Seen, known: Mapping[str, str]) -> Ownership:
        """Return who owns what was seen. `known` are the recorded outputs."""
        if seen.tags is None and not seen.unreadable:
            because = "is not part of this environment's resources"
            return Ownership(Owner.OURS if seen.ours else Owner.FOREIGN, because)
        evidence = Witnesses(
            seen.tags, seen.unreadable, self.same_id(seen, known), not seen.name, seen.rivals
        )
        return judge(evidence, aws.environment, self.step)

    def same_id(self, seen: Seen, known: Mapping[str, str]) -> bool | None:
        """Return whether its immutable id is the recorded one; None if none is recorded."""
        recorded = known.get(self.lasting_id)
        return None if not recorded else seen.outputs.get(self.lasting_id) == recorded

    def lasting(self, seen: Seen, changes: Iterable[Change]) -> dict[str, str]:
        """Return the outputs, including secrets, that these changes leave as they are."""
        gone = self.recomputed(changes)
        outputs = {**seen.outputs, **seen.secrets}
        return {name: text for name, text in outputs.items() if name not in gone}

    def recomputed(self, changes: Iterable[Change]) -> set[str]:
        """Return the names of the outputs that these changes recompute."""
        return {output for each in changes for output in self.recomputes.get(each.property, ())}

    def look(self, seen: Seen | None) -> PollResult:
        """Return what the resource's status means for a wait until it is ready."""
        if seen is None:
            return PollResult(Verdict.WAIT, "not visible yet")
        if not self.ready or seen.status in self.ready:
            return PollResult(Verdict.READY, seen.status, seen.reason)
        if seen.status in self.failed:
            return PollResult(Verdict.FAILED, seen.status, seen.reason)
        if seen.reason_code in self.suspect:
            grace = self.suspect[seen.reason_code]
            return PollResult(Verdict.SUSPECT, seen.status, seen.reason, grace)
        return PollResult(Verdict.WAIT, seen.status, seen.reason)


@dataclass(frozen=True)
class DataSource(Resource):
    """A data source: read when a new resource refers to it, never created or deleted."""

    def look_up(self, aws: Aws) -> dict[str, str]:
        """Return its outputs, as AWS answers now."""
        raise NotImplementedError


@dataclass(frozen=True)
class CreatableResource(Resource):
    """A resource that `up` creates if it is missing."""

    def create(self, aws: Aws) -> dict[str, str]:
        """Create it in one call, with its tags. Returns the outputs that AWS's answer has."""
        raise NotImplementedError


@dataclass(frozen=True)
class DeletableResource(Resource):
    """A resource that a teardown deletes."""

    def delete(self, aws: Aws, seen: Seen) -> None:
        """Delete what was seen; a resource that no longer exists counts as deleted."""
        raise NotImplementedError

    def deletable(self, seen: Seen) -> bool:
        """Return whether it can be deleted now; False while AWS is still changing it."""
        return seen.status.lower() != "deleting"

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        """Return what still uses it and so prevents its deletion, as far as that is known."""
        return []


@dataclass(frozen=True)
class AccountResource(CreatableResource):
    """A resource of the account: created if missing, then shared; never changed or deleted."""


@dataclass(frozen=True)
class AwsMadeResource(DeletableResource):
    """A resource that AWS creates for others; a teardown waits until it is deleted."""


@dataclass(frozen=True)
class ManagedResource(CreatableResource, DeletableResource):
    """A resource of this environment alone: created, changed, replaced and deleted."""

    requires_replacement: ClassVar[frozenset[str]] = frozenset()  # properties fixed at creation
    replace_with: ClassVar[frozenset[str]] = frozenset()  # replaced with what these refer to
    urgent: ClassVar[frozenset[str]] = frozenset()  # properties to put right before all others
    holds_data: ClassVar[bool] = False  # replaced only when a person names it
    sensitive: ClassVar[frozenset[str]] = frozenset()  # properties whose values are never shown
    write_only: ClassVar[Mapping[str, str]] = {}  # properties that AWS never shows: their fields
    settles: ClassVar[int] = 1  # looks in a row at which it must be ready after a change
    settles_unseen: ClassVar[int] = 1  # the same, where nothing shows that AWS began with it

    # --- what a type of resource says of itself ---------------------------------------------------

    def properties(self) -> dict[str, Any]:
        """Return the wanted values, under the names that `Seen.properties` uses."""
        return {}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        """Change these properties in place."""
        raise NotImplementedError

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        """Set these tags on what was seen."""
        raise NotImplementedError

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        """Remove the tags with these keys from what was seen."""
        raise NotImplementedError

    def protected(self, seen: Seen) -> ProvisionError | None:
        """Return the error that ends a deletion, if AWS protects the resource from it."""
        return None

    def going(self, seen: Seen) -> bool:
        """Return whether AWS is deleting what was seen: then it has to be created again."""
        return seen.status.lower() == "deleting"

    # --- what follows from that -------------------------------------------------------------------

    def tags(self, aws: Aws) -> dict[str, str]:
        """Return the wanted tags: this program's, and those of the configuration."""
        tags = aws.extra_tags | {
            "Name": self.name or f"{aws.environment}-{self.step}",
            "provision:environment": aws.environment,
            "provision:step": self.step,
        }
        return tags | {EXPIRES: aws.expires} if aws.expires else tags

    def differences(self, seen: Seen, aws: Aws) -> list[Change]:
        """Return the changes that make `seen` what is wanted."""
        changes = [
            Change(
                name,
                seen.properties[name],
                should,
                replaces=self.replaced_by(name, should),
                sensitive=name in self.sensitive,
            )
            for name, should in self.properties().items()
            if name in seen.properties and self.differs(name, seen.properties[name], should)
        ]
        if seen.tags is not None:
            changes += [
                Change(f"Tags.{key}", seen.tags.get(key), value)
                for key, value in self.tags(aws).items()
                if seen.tags.get(key) != value
            ]
            if not aws.expires and EXPIRES in seen.tags and self.step != aws.expiry_kept_at:
                changes.append(Change(f"Tags.{EXPIRES}", seen.tags[EXPIRES], None))
        return changes

    def differs(self, name: str, is_: Any, should: Any) -> bool:
        """Return whether one property is not as wanted."""
        return bool(canonical(is_) != canonical(should))

    def kept(self, seen: Seen) -> list[str]:
        """Return in words what differs from config.toml, and is kept."""
        return []

    def applying(self, seen: Seen, changes: Iterable[Change]) -> str:
        """Return what AWS has accepted of these changes and is still applying, in words, or ""."""
        return ""

    def replaced_by(self, name: str, should: Any) -> bool:
        """Return whether this change needs a new resource in place of the old one."""
        return name in self.requires_replacement or (
            name in self.replace_with and bool(unresolved(should))
        )


def canonical(value: Any) -> Any:
    """Return `value` in a form that is equal whenever AWS treats values as equal (key order)."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, default=str)
    return value
