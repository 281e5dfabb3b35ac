"""One AWS call as the rehearsal sees it, and whether it changes anything."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Any

from provision.rehearsal.aws.access_keys import CALLER

ACCOUNT = "123456789012"
"""The account that every rehearsal plays in (moto's own)."""

_READS = re.compile(
    r"(Describe|Filter|Get|List|Head|Lookup|Search|Simulate|Assume|Decode|BatchGet|Invoke)"
)


@dataclass(frozen=True)
class Call:
    """A call on its way to AWS, read from the HTTP request by botocore's own model.

    `service` is boto3's name of the service; `params` are the call's parameters as a boto3 user
    would write them. `principal` is who signed it, one of the rehearsal's own or, for a key that
    the rehearsed AWS gave out, CALLER.
    """

    service: str
    operation: str
    params: dict[str, Any]
    region: str
    access_key: str
    method: str = "POST"
    path: str = "/"
    principal: str = CALLER

    @property
    def mutating(self) -> bool:
        """Whether the call may change something at AWS."""
        return is_mutating(self.operation) and not self.params.get("DryRun")

    def is_named(self, pattern: str) -> bool:
        """Whether a shell pattern fits the operation's name, or `service:Operation`."""
        names = (self.operation, f"{self.service}:{self.operation}")
        return any(fnmatch.fnmatchcase(name, pattern) for name in names)

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter `name`, or `default`."""
        return self.params.get(name, default)


def is_mutating(operation: str) -> bool:
    """Whether `operation` may change a resource: all but those named as reads, and Invoke.

    An unnamed operation (one that no model knows) counts as mutating.
    """
    return _READS.match(operation) is None
