"""What the tests of a state in S3 share: a bucket, and somebody else's lock in it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.account import Account
from tests.support.names import REGION

BUCKET = "team-state"
KEY = "demo/rds-proxy-auth.json"
STATE = f"s3://{BUCKET}/demo/{{name}}.json"
FLAGS = ("--state", STATE)
WHERE = f"s3://{BUCKET}/{KEY}"
HOLDER = "teardown, process 4711 on laptop, since 2026-11-26T08:00:00Z"


def make_bucket(account: Account, **settings: str) -> None:
    """Make the bucket."""
    where: Any = {"LocationConstraint": REGION}
    account.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where, **settings)


def put_lock(account: Account, *, lease_seconds: float = 60) -> None:
    """Let somebody else hold the lock from now on."""
    document = {
        "version": 1,
        "command": "teardown",
        "environment": "rds-proxy-auth",
        "process": 4711,
        "host": "laptop",
        "since": "2026-11-26T08:00:00Z",
        "lease_seconds": lease_seconds,
        "nonce": "5e0c",
    }
    put(account, f"{KEY}.lock", json.dumps(document))


def put(account: Account, key: str, text: str) -> None:
    """Write an object."""
    account.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())


def text(account: Account, key: str = KEY) -> str:
    """An object's text."""
    body: bytes = account.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body.decode()


def state(account: Account) -> dict[str, Any]:
    """The state."""
    document: dict[str, Any] = json.loads(text(account))
    return document


def keys(account: Account) -> list[str]:
    """The keys in the bucket."""
    listed = account.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [each["Key"] for each in listed]
