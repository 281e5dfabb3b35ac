"""The IAM statements that a caller needs for a resource, and the conditions that narrow them.

A thing that has a name is named in the statement's ARN. Where AWS chooses the id at random (VPC
parts, proxies, HTTP APIs), the tag `provision:environment` narrows the statement: the tag of the
request when the thing is created, the tag of the thing itself afterwards. Follows AWS's Service
Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENVIRONMENT = "${aws.environment}"
REQUEST_TAG = {"aws:RequestTag/provision:environment": ENVIRONMENT}
RESOURCE_TAG = {"aws:ResourceTag/provision:environment": ENVIRONMENT}

Condition = Mapping[str, Mapping[str, Any]]

CREATES_OURS: Condition = {"StringEquals": REQUEST_TAG}
IS_OURS: Condition = {"StringEquals": RESOURCE_TAG}
# For services in which IAM cannot distinguish tags at creation from tags that are added later: at
# least nothing that carries another environment's tag can be tagged. The request has to carry the
# tag, so tags that are added later are sent whole.
TAGS_OURS: Condition = {"StringEquals": REQUEST_TAG, "StringEqualsIfExists": RESOURCE_TAG}
# The same for the removal of tags: the call carries none.
IF_OURS: Condition = {"StringEqualsIfExists": RESOURCE_TAG}


@dataclass(frozen=True)
class Statement:
    """Actions that are allowed on resources (ARN patterns, with `${aws.…}` in them)."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    condition: Condition = field(default_factory=dict)


def tags_back(environment: str, tags: Mapping[str, str] | None, command: str) -> str:
    """Return what to do about a resource that has lost the tags that a policy goes by.

    "" where its tags still name the environment.
    """
    if (tags or {}).get("provision:environment") == environment:
        return ""
    return (
        "It has lost the tag provision:environment, by which the policies that `python -m "
        f"provision policy` prints identify it. An administrator restores it: {command}"
    )


def via_service(service: str, region: str) -> str | list[str]:
    """Return the value of `kms:ViaService` for calls that come through a service.

    Two values in China, where policies with either suffix are in use.
    """
    name = f"{service}.{region}.amazonaws.com"
    return [name, f"{name}.cn"] if region.startswith("cn-") else name
