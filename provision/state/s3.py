"""The state in S3, and its lock: performs what the logic beside it requests.

Follows the Amazon S3 User Guide, "How to prevent object overwrites with conditional writes" and
"Conditional deletes". Requests have short time-outs and are sent once: what to make of a lost
answer is decided by lease.py and conditional_write.py, never by botocore, which would send a
conditional write again and report its own first write as another run's.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import botocore.exceptions as boto_errors

from provision.aws import fence
from provision.aws.account import Aws, calling
from provision.aws.advice import THROTTLED
from provision.config.files import LARGEST
from provision.errors import (
    AwsAnswer,
    AwsCallError,
    LeaseLost,
    ProvisionError,
    StateError,
    UnreachableError,
    UnsureError,
)
from provision.state import conditional_write, lease
from provision.state.document import now
from provision.state.lease import Holder, Lease, lease_lost
from provision.state.location import LOCK_SUFFIX, S3Location
from provision.state.requests import (
    Absent,
    Busy,
    Delete,
    Done,
    Found,
    Get,
    Pause,
    Put,
    Refused,
    Request,
    S3Answer,
    Unknown,
    carry_out,
)
from provision.state.s3_errors import explained
from provision.state.store import Snapshot

# Elapsed time that runs on while the machine sleeps; on macOS CLOCK_MONOTONIC does.
ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
RETRY_SECONDS = 0.5  # after a renewal that did not get through
LEAST_TIMEOUT, MOST_TIMEOUT = 1.0, 5.0  # seconds, of one request
OTHER_VERSION = {"PreconditionFailed", "412"}
MISSING = {"NoSuchKey", "NoSuchVersion"}
NOT_NOW = {"ConditionalRequestConflict", "OperationAborted"}


def elapsed() -> float:
    """Return seconds of this machine's own elapsed clock; only differences mean anything."""
    return time.clock_gettime(ELAPSED)


class S3Requests:
    """Performs requests on one bucket, each once. The client is made with the first of them."""

    def __init__(self, aws: Aws, at: S3Location, lease_seconds: float) -> None:
        self._aws = aws
        self._at = at
        self._timeout = min(MOST_TIMEOUT, max(LEAST_TIMEOUT, lease_seconds / 6))
        self.fence: Callable[[], None] = no_fence
        self.owned = False  # whether the bucket has to be the caller's own account's

    @functools.cached_property
    def _client(self) -> Any:
        client = self._aws.make_client(
            "s3",
            connect_timeout=self._timeout,
            read_timeout=self._timeout,
            max_pool_connections=4,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        client.meta.events.register("before-sign.s3", send_at_once)
        client.meta.events.register("before-send.s3", self._check)
        return client

    def _check(self, request: Any, **_: Any) -> None:
        """Check the lease right before anything but the lock itself is changed."""
        path = unquote(urlsplit(request.url).path)
        free = request.method in ("GET", "HEAD") or path.endswith(LOCK_SUFFIX)
        fence.pass_through(None if free else self.fence)

    def __call__(self, request: Request) -> S3Answer:
        """Perform a request. Raises ProvisionError for what is final: denied, no such bucket."""
        if isinstance(request, Pause):
            time.sleep(request.seconds)
            return S3Answer(elapsed())
        owner = {"ExpectedBucketOwner": self._aws.identity.account} if self.owned else {}
        began = elapsed()
        try:
            with calling(""):
                return self._perform(request, began, owner)
        except AwsCallError as error:
            return self._refused(request, error, began)
        except UnreachableError as error:
            return Unknown(began, explained(error, self._at, self._aws.region))

    def _perform(
        self, request: Get | Put | Delete, began: float, owner: dict[str, str]
    ) -> S3Answer:
        where = {"Bucket": self._at.bucket, "Key": request.key, **owner}
        if isinstance(request, Get):
            return self._get(where, began)
        if isinstance(request, Delete):
            self._client.delete_object(**where, IfMatch=request.version)
            return Done(began)
        condition = {"IfMatch": request.replaces} if request.replaces else {"IfNoneMatch": "*"}
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        answer = self._client.put_object(
            **where,
            **condition,
            Body=request.body,
            ChecksumSHA256=digest,
            ContentType="application/json",
        )
        return Done(began, answer["ETag"])

    def _get(self, where: dict[str, str], began: float) -> Found:
        answer = self._client.get_object(**where)
        if answer["ContentLength"] > LARGEST:
            raise StateError(f"{self._at}: is larger than {LARGEST // 1024**2} MiB")
        try:
            body = answer["Body"].read()
        except boto_errors.IncompleteReadError as error:
            lost = AwsAnswer("GetObject", type(error).__name__, str(error))
            raise UnsureError("", lost) from error
        modified = answer["LastModified"].timestamp()
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            s3_now = parsedate_to_datetime(date).timestamp()
        except ValueError:
            s3_now = modified  # as if no time had passed: nothing is taken over by a guess
        return Found(began, body, answer["ETag"], modified, s3_now)

    def _refused(self, request: Request, error: AwsCallError, began: float) -> S3Answer:
        """Return what AWS's error means for the logic. Raises it, explained, when it is final."""
        code = error.answer.code
        if code in OTHER_VERSION:
            return Refused(began)
        if code in MISSING or (code == "404" and isinstance(request, Get)):
            return Absent(began) if isinstance(request, Get) else Refused(began)
        if code in NOT_NOW:
            return Busy(began)
        final = explained(error, self._at, self._aws.region, owned=self.owned)
        if isinstance(error, UnsureError) or code in THROTTLED or code == "RequestTimeout":
            return Unknown(began, final)
        raise final


def send_at_once(request: Any, **_: Any) -> None:
    """Leave out `Expect: 100-continue`, which would make each write wait for a round trip more."""
    del request.headers["Expect"]


def no_fence() -> None:
    """Check nothing: no lock is held yet."""


class S3Store:
    """A state in S3."""

    distant = True

    def __init__(self, aws: Aws, at: S3Location, lease_seconds: float) -> None:
        self._aws = aws
        self._at = at
        self._lease_seconds = lease_seconds
        self._requests = S3Requests(aws, at, lease_seconds)
        self._hold: S3Hold | None = None

    @property
    def where(self) -> str:
        """The object, as s3://BUCKET/KEY."""
        return str(self._at)

    def known(self) -> bool:
        """Return True: there may be one, and it is read while AWS is asked who is calling."""
        return True

    def read(self) -> Snapshot | None:
        """Return the document, or None. Raises StateError, or what AWS refuses."""
        found = carry_out(conditional_write.read(self._at.key), self._requests)
        if found is None:
            return None
        try:
            return Snapshot(found.body.decode("utf-8-sig"), found.version)
        except UnicodeDecodeError:
            raise StateError(f"{self._at}: not UTF-8; it was left as it is") from None

    def write(self, text: str, replaces: str | None) -> str:
        """Write the document. Raises StateError when another version exists, or LeaseLost."""
        logic = conditional_write.write(self._at.key, text.encode(), replaces)
        try:
            return carry_out(logic, self._requests)
        except conditional_write.Overtaken:
            if self._hold is not None:
                self._hold.confirm()  # whoever has taken the lock over may have written it
            raise StateError(
                f"{self._at}: another run has written it since this run read it; it was left as it "
                "is",
                next_step="Run the same command again: it reads the state and AWS again.",
            ) from None

    @contextlib.contextmanager
    def lock(self, command: str, on_lost: Callable[[], None]) -> Iterator[S3Hold]:
        """Hold the lock object. Raises Locked, StateError, or what AWS refuses.

        From here on the bucket has to be the caller's own account's: a state that somebody else can
        write would decide what is changed and deleted here.
        """
        self._requests.owned = True
        fence.watch_sending()
        holder = Holder(command, self._aws.environment, os.getpid(), socket.gethostname(), now())
        held = Lease(self._at.lock_key, holder, self._lease_seconds, where=self.where)
        carry_out(lease.acquire(held), self._requests)
        hold = self._hold = S3Hold(held, self.where, self._requests, on_lost)
        self._requests.fence = hold.check
        try:
            yield hold
        finally:
            self._requests.fence, self._hold = no_fence, None
            hold.close()


class S3Hold:
    """A lease that is renewed on a thread of its own until `close`."""

    def __init__(
        self, held: Lease, where: str, perform: S3Requests, on_lost: Callable[[], None]
    ) -> None:
        self._lease = held
        self._where = where
        self._perform = perform
        self._on_lost = on_lost
        self._problem = ""  # why the last renewal did not get through
        self._error: LeaseLost | None = None
        self._making = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    @property
    def taken_from(self) -> str:
        """Whose lease had expired, in words."""
        return str(self._lease.taken_from or "")

    def check(self) -> None:
        """Raise LeaseLost, with who holds the lock now, when the lease is over or lost."""
        if self._lease.holds(elapsed()):
            return
        with self._making:
            if self._error is None:
                self._error = self._lost()
                self._on_lost()
        raise self._error

    def confirm(self) -> None:
        """Renew the lease now. Raises LeaseLost when the lock turns out to be another run's."""
        carry_out(lease.renew(self._lease), self._perform)
        self.check()

    def _lost(self) -> LeaseLost:
        why = self._lease.lost + (f" ({self._problem})" if self._problem else "")
        try:
            who = carry_out(lease.who_holds(self._lease), self._perform)
        except ProvisionError as error:
            who = f"its current holder cannot be read ({error})"
        return lease_lost(self._where, why, who)

    def _renew(self) -> None:
        wait = self._lease.next_renewal - elapsed()
        while not self._over.wait(max(0.0, wait)):
            try:
                self.check()
                done = carry_out(lease.renew(self._lease), self._perform)
                self._problem = "" if done else "S3 did not answer"
            except LeaseLost:
                return
            except ProvisionError as error:
                done, self._problem = False, error.message
            wait = self._lease.next_renewal - elapsed() if done else RETRY_SECONDS
            if self._lease.lost:
                wait = 0.0

    def close(self) -> None:
        """End the renewals and release the lock. A lost one is left to expire."""
        self._over.set()
        self._thread.join()
        if self._lease.holds(elapsed()):
            with contextlib.suppress(ProvisionError):
                carry_out(lease.release(self._lease), self._perform)
