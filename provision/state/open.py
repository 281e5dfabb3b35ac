"""Opens the store that a location names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.state.local import LocalStore
from provision.state.location import Location, S3Location
from provision.state.store import Store

if TYPE_CHECKING:
    from provision.aws.account import Aws


def store_at(at: Location, aws: Aws, lease_seconds: float) -> Store:
    """Return the store. Makes no call: S3's client is created with its first request."""
    if isinstance(at, S3Location):
        from provision.state.s3 import S3Store  # whoever keeps a file has no use for it

        return S3Store(aws, at, lease_seconds)
    return LocalStore(at)
