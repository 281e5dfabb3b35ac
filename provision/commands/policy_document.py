"""The caller's least-privilege IAM policies, built from each resource's own list of actions.

As many documents as it takes: IAM limits the characters of one, white space not counted (IAM User
Guide, "IAM and AWS STS quotas").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from provision.aws.regions import partition_of
from provision.config import Config
from provision.environment import environment
from provision.resources.permissions import Statement
from provision.resources.references import bind
from provision.state.location import S3Location
from provision.verify.inventory import PERMISSIONS as INVENTORY

MOST_CHARACTERS = 6144  # of a managed policy
# What is looked at before anything that costs is made, and by `doctor`.
PREFLIGHT = (
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBEngineVersions",
    "rds:DescribeDBMajorEngineVersions",
)
# What `--prices live` asks.
PRICES = ("pricing:GetProducts",)
# What a teardown's proof reads beside what the resources themselves need.
PROOF = (
    "rds:DescribeDBInstanceAutomatedBackups",
    "rds:DescribeDBSnapshots",
    "secretsmanager:ListSecrets",
)

Document = dict[str, Any]


def policies(config: Config, *, state: S3Location | None = None) -> list[Document]:
    """Return the policy documents that the caller of every command needs, all of them together.

    `state` is where the state is kept, when that is S3. Calls nothing: without an account's number
    the ARNs are of any account.
    """
    region = config.environment.region
    known: dict[str, Mapping[str, str]] = {
        "aws": {
            "account": "*",
            "region": region,
            "partition": partition_of(region),
            "environment": config.environment.name,
        }
    }
    resources = environment(config, packed=False)
    # What a resource answers as its id or group is its name, where it has one.
    known |= {each.step: {"id": each.name, "group": each.name} for each in resources if each.name}
    statements = [
        Statement(PREFLIGHT + PRICES + PROOF + INVENTORY),
        *(each for resource in resources for each in resource.permissions()),
        *(state_statements(state) if state else ()),
    ]
    return packed(merged(bind(each, known) for each in statements))


def state_statements(at: S3Location) -> Iterator[Statement]:
    """Yield what a state in S3 needs: the state, its lock, and what `doctor` reads of the bucket.

    Without s3:ListBucket S3 answers a missing object with AccessDenied. A key of KMS, where the
    bucket encrypts with one, is its owner's to allow.
    """
    bucket = f"arn:${{aws.partition}}:s3:::{at.bucket}"
    objects = (f"{bucket}/{at.key}", f"{bucket}/{at.lock_key}")
    yield Statement(("s3:GetObject", "s3:PutObject"), objects)
    yield Statement(("s3:DeleteObject",), objects[1:])
    yield Statement(
        (
            "s3:GetBucketAcl",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketVersioning",
            "s3:ListBucket",
        ),
        (bucket,),
    )


def merged(statements: Iterable[Statement]) -> list[dict[str, Any]]:
    """Return equivalent statements in IAM's own form, as few as possible."""
    by_place: dict[tuple[str, str], set[str]] = {}
    for each in statements:
        condition = json.dumps(each.condition, sort_keys=True)
        for place in each.resources:
            by_place.setdefault((place, condition), set()).update(each.actions)
    by_actions: dict[tuple[frozenset[str], str], set[str]] = {}
    for (place, condition), actions in by_place.items():
        by_actions.setdefault((frozenset(actions), condition), set()).add(place)
    return [
        {
            "Effect": "Allow",
            "Action": sorted(actions),
            "Resource": sorted(places),
            **({"Condition": json.loads(condition)} if condition != "{}" else {}),
        }
        for (actions, condition), places in by_actions.items()
    ]


def packed(statements: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Return as few documents as can hold the statements, by service where possible.

    The largest groups come first; each goes into the first document that has room.
    """
    by_service: dict[str, list[Mapping[str, Any]]] = {}
    for each in statements:
        services = {action.partition(":")[0] for action in each["Action"]}
        by_service.setdefault("" if len(services) > 1 else min(services), []).append(each)
    whole = document(each for group in by_service.values() for each in group)
    if size(whole) <= MOST_CHARACTERS:
        return [whole]
    documents: list[list[Mapping[str, Any]]] = []
    for group in sorted(by_service.values(), key=lambda group: -size(document(group))):
        fits = size(document(group)) <= MOST_CHARACTERS
        for part in [group] if fits else [[each] for each in group]:
            room = (each for each in documents if size(document([*each, *part])) <= MOST_CHARACTERS)
            chosen = next(room, None)
            if chosen is None:
                documents.append(chosen := [])
            chosen += part
    return [document(each) for each in documents]


def document(statements: Iterable[Mapping[str, Any]]) -> Document:
    """Return a policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": [dict(each) for each in statements]}


def size(policy: Document) -> int:
    """Return a document's characters as IAM counts them, without white space."""
    return len(json.dumps(policy, separators=(",", ":")))
