"""The state in S3: what each of its answers means; a lease that is renewed, lost, given back."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as boto_errors
from botocore.exceptions import ClientError

from provision.aws.account import Identity
from provision.config.files import LARGEST
from provision.errors import (
    AwsAnswer,
    AwsCallError,
    LeaseLost,
    ProvisionError,
    StateError,
    UnreachableError,
)
from provision.state import s3
from provision.state.lease import Holder, Lease
from provision.state.location import S3Location
from provision.state.requests import (
    Absent,
    Busy,
    Delete,
    Done,
    Found,
    Get,
    Put,
    Refused,
    Request,
    S3Answer,
    Unknown,
)
from provision.state.s3 import S3Hold, S3Requests, S3Store
from tests.support.answers import refusal
from tests.support.names import ACCOUNT, REGION

AT = S3Location("team", "demo.json")
MODIFIED = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
DATE = "Thu, 01 Jan 2026 12:00:30 GMT"
GET, PUT, DELETE = Get(AT.key), Put(AT.key, b"{}", "v1"), Delete(AT.key, "v1")
DENIED = AwsCallError("", AwsAnswer("PutObject", "AccessDenied", "no"))
REQUESTS: dict[str, Request] = {"get": GET, "put": PUT, "delete": DELETE}


class Body:
    """An object's body, which may be cut off."""

    def __init__(self, body: bytes, *, cut: bool = False) -> None:
        self._body, self._cut = body, cut

    def read(self) -> bytes:
        if self._cut:
            raise boto_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2)
        return self._body


class FakeBucket:
    """S3's conditional writes and deletes. The errors in `trouble` come first."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.trouble: list[Exception] = []
        self.asked: list[dict[str, Any]] = []
        self.date = DATE
        self.cut = False
        self.length: int | None = None
        self._versions = 0

    def put(self, key: str, body: bytes) -> str:
        """Write an object; its version."""
        self._versions += 1
        self.objects[key] = body, f"v{self._versions}"
        return self.objects[key][1]

    def _begin(self, given: dict[str, Any]) -> tuple[bytes, str] | None:
        self.asked.append(given)
        if self.trouble:
            raise self.trouble.pop(0)
        found = self.objects.get(given["Key"])
        if given.get("IfMatch", found and found[1]) != (found and found[1]):
            raise refusal("PreconditionFailed" if found else "NoSuchKey")
        return found

    def get_object(self, **given: Any) -> Any:
        found = self._begin(given)
        if found is None:
            raise refusal("NoSuchKey")
        return {
            "Body": Body(found[0], cut=self.cut),
            "ContentLength": len(found[0]) if self.length is None else self.length,
            "ETag": found[1],
            "LastModified": MODIFIED,
            "ResponseMetadata": {"HTTPHeaders": {"date": self.date}},
        }

    def put_object(self, **given: Any) -> Any:
        if self._begin(given) is not None and "IfNoneMatch" in given:
            raise refusal("PreconditionFailed")
        return {"ETag": self.put(given["Key"], given["Body"])}

    def delete_object(self, **given: Any) -> None:
        self._begin(given)
        del self.objects[given["Key"]]


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


def aws_with(bucket: FakeBucket) -> Any:
    """An account whose S3 is this bucket."""
    bucket.meta = SimpleNamespace(  # type: ignore[attr-defined]
        events=SimpleNamespace(register=lambda *_: None)
    )
    return SimpleNamespace(
        identity=Identity(ACCOUNT, "aws", "arn"),
        region=REGION,
        environment="demo",
        make_client=lambda service, **_: bucket,
    )


@pytest.fixture
def requests(bucket: FakeBucket) -> S3Requests:
    return S3Requests(aws_with(bucket), AT, 60)


@pytest.fixture
def store(bucket: FakeBucket) -> S3Store:
    return S3Store(aws_with(bucket), AT, 60)


# --- one request ----------------------------------------------------------------------------------


def test_an_object_comes_with_its_version_and_s3s_own_clock(
    requests: S3Requests, bucket: FakeBucket
) -> None:
    bucket.put(AT.key, b"{}")
    found = requests(GET)
    assert isinstance(found, Found)
    assert (found.body, found.version) == (b"{}", "v1")
    assert found.now - found.modified == 30
    bucket.date = "no date"
    undated = requests(GET)
    assert isinstance(undated, Found)
    assert undated.now == undated.modified  # nobody's lease runs out by a guess


def test_writes_name_what_they_replace_and_deletes_what_they_delete(
    requests: S3Requests, bucket: FakeBucket
) -> None:
    assert isinstance(requests(Put(AT.key, b"{}", None)), Done)
    assert bucket.asked[-1]["IfNoneMatch"] == "*"
    written = requests(Put(AT.key, b"[]", "v1"))
    assert isinstance(written, Done)
    assert (bucket.asked[-1]["IfMatch"], written.version) == ("v1", "v2")
    assert "ExpectedBucketOwner" not in bucket.asked[-1]
    requests.owned = True
    assert isinstance(requests(Delete(AT.key, "v2")), Done)
    assert bucket.asked[-1]["ExpectedBucketOwner"] == ACCOUNT
    assert bucket.objects == {}


def answered(code: str, status: int = 400) -> ClientError:
    error: Any = {
        "Error": {"Code": code, "Message": "as S3 says"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(error, "PutObject")


MEANING: list[tuple[str, Exception, type[S3Answer]]] = [
    ("put", answered("PreconditionFailed", 412), Refused),
    ("delete", answered("412", 412), Refused),
    ("get", answered("NoSuchKey", 404), Absent),
    ("get", answered("404", 404), Absent),
    ("put", answered("NoSuchKey", 404), Refused),
    ("delete", answered("NoSuchVersion", 404), Refused),
    ("put", answered("ConditionalRequestConflict", 409), Busy),
    ("put", answered("OperationAborted", 409), Busy),
    ("get", answered("SlowDown", 503), Unknown),
    ("put", answered("InternalError", 500), Unknown),
    ("put", answered("RequestTimeout", 400), Unknown),
    ("put", boto_errors.ReadTimeoutError(endpoint_url="s3"), Unknown),
    ("get", boto_errors.EndpointConnectionError(endpoint_url="s3"), Unknown),
]


@pytest.mark.parametrize(("name", "error", "meaning"), MEANING)
def test_what_each_answer_means(
    requests: S3Requests, bucket: FakeBucket, name: str, error: Exception, meaning: type[S3Answer]
) -> None:
    bucket.trouble = [error]
    answer = requests(REQUESTS[name])
    assert type(answer) is meaning
    if isinstance(answer, Unknown):
        assert str(AT) in str(answer.error)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (answered("AccessDenied", 403), AwsCallError, "the bucket belongs to another account"),
        (answered("NoSuchBucket", 404), StateError, "aws s3api create-bucket"),
        (answered("KMS.DisabledException"), AwsCallError, "kms:GenerateDataKey"),
        (answered("PermanentRedirect", 301), AwsCallError, "is in another region"),
        (answered("InvalidObjectState", 403), AwsCallError, "restore it"),
    ],
)
def test_what_is_final_is_raised_with_what_to_do(
    requests: S3Requests,
    bucket: FakeBucket,
    error: Exception,
    kind: type[ProvisionError],
    words: str,
) -> None:
    bucket.trouble = [error]
    with pytest.raises(kind) as caught:
        requests(GET)
    assert words in caught.value.next_step


def test_what_a_bucket_cannot_do_is_known_when_it_has_been_asked_often_enough(
    requests: S3Requests, bucket: FakeBucket
) -> None:
    bucket.trouble = [answered("NotImplemented", 501)]  # like each 5xx, it may have taken effect
    answer = requests(PUT)
    assert isinstance(answer, Unknown)
    assert "general purpose bucket" in answer.error.next_step


def test_an_object_that_is_cut_off_or_far_too_large_is_not_taken(
    requests: S3Requests, bucket: FakeBucket
) -> None:
    bucket.put(AT.key, b"{}")
    bucket.cut = True
    assert isinstance(requests(GET), Unknown)
    bucket.cut, bucket.length = False, LARGEST + 1
    with pytest.raises(StateError, match="is larger than"):
        requests(GET)


# --- the document ---------------------------------------------------------------------------------


def test_a_document_is_read_and_written_over_the_version_that_was_read(
    store: S3Store, bucket: FakeBucket
) -> None:
    assert store.read() is None
    version = store.write("one", None)
    snapshot = store.read()
    assert snapshot is not None
    assert (snapshot.text, snapshot.version, store.where) == ("one", version, "s3://team/demo.json")
    assert store.known()
    bucket.put(AT.key, b"theirs")
    with pytest.raises(StateError, match="it was left as it is") as caught:
        store.write("two", version)
    assert "Run the same command again" in caught.value.next_step
    assert bucket.objects[AT.key][0] == b"theirs"


def test_a_document_in_other_letters_is_left_as_it_is(store: S3Store, bucket: FakeBucket) -> None:
    bucket.put(AT.key, b"\xff\xfe")
    with pytest.raises(StateError, match="not UTF-8"):
        store.read()


def test_a_write_over_anothers_by_one_who_lost_the_lock_says_so(
    store: S3Store, bucket: FakeBucket
) -> None:
    version, lost = store.write("one", None), threading.Event()
    with store.lock("up", lost.set) as hold:
        bucket.put(AT.key, b"theirs")
        with pytest.raises(StateError, match="left as it is"):
            store.write("two", version)  # the lock is ours all the same
        del bucket.objects[AT.lock_key]
        with pytest.raises(LeaseLost, match="the lock was deleted"):
            store.write("two", version)
        assert lost.is_set()
        with pytest.raises(LeaseLost):
            hold.check()
    assert bucket.objects[AT.key][0] == b"theirs"


# --- the lease ------------------------------------------------------------------------------------


class Clock:
    """This machine's elapsed clock, which a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(s3, "elapsed", moved)
    monkeypatch.setattr(s3, "RETRY_SECONDS", 0.01)
    return moved


class Scripted:
    """Performs requests as a test says, and lets it wait for the nth."""

    def __init__(self, perform: Callable[[Request, int], S3Answer]) -> None:
        self.asked: list[Request] = []
        self._perform = perform
        self._more = threading.Condition()

    def __call__(self, request: Request) -> S3Answer:
        with self._more:
            self.asked.append(request)
            self._more.notify_all()
        return self._perform(request, len(self.asked))

    def wait_for(self, number: int) -> None:
        """Wait until so many were performed."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.asked) >= number, timeout=30)


@contextlib.contextmanager
def holding(
    clock: Clock, perform: Callable[[Request, int], S3Answer], on_lost: Callable[[], None]
) -> Iterator[tuple[S3Hold, Lease, Scripted]]:
    """A lease of a minute that begins now."""
    holder = Holder("up", "demo", 1, "host", "2026-01-01T00:00:00Z")
    lease, scripted = Lease("lock", holder, 60.0, where=str(AT)), Scripted(perform)
    document = lease.next_document()
    lease.nonces[document.nonce] = clock.now
    lease.confirm("v0", document.nonce)
    clock.now += 20  # the first renewal is due
    hold = S3Hold(lease, str(AT), scripted, on_lost)  # type: ignore[arg-type]
    try:
        yield hold, lease, scripted
    finally:
        hold.close()


def test_a_lease_is_renewed_when_a_third_is_over_and_given_back(clock: Clock) -> None:
    began = clock.now + 20
    with holding(clock, lambda *_: Done(began, "v1"), lambda: None) as (hold, lease, s3_asked):
        s3_asked.wait_for(1)
        hold.check()
        assert hold.taken_from == ""
    assert lease.deadline == began + 58
    assert [type(each) for each in s3_asked.asked] == [Put, Delete]


def test_a_renewal_that_is_refused_or_not_answered_is_tried_again(clock: Clock) -> None:
    def perform(_request: Request, number: int) -> S3Answer:
        if number == 1:
            raise DENIED
        if number < 4:
            return Unknown(clock.now, UnreachableError("no network"))
        return Done(clock.now, "v1")

    with holding(clock, perform, lambda: None) as (hold, lease, s3_asked):
        s3_asked.wait_for(4)
        hold.check()
    assert not lease.lost
    assert [type(each) for each in s3_asked.asked[:4]] == [Put, Put, Get, Put]


def test_a_lease_that_ran_out_is_lost_once_and_left_to_run_out(clock: Clock) -> None:
    lost: list[str] = []

    def perform(request: Request, _number: int) -> S3Answer:
        return Absent(clock.now) if isinstance(request, Get) else Done(clock.now, "v1")

    with holding(clock, perform, lambda: lost.append("x")) as (hold, lease, s3_asked):
        s3_asked.wait_for(1)
        clock.now += 100
        for _ in range(2):
            with pytest.raises(LeaseLost, match="nobody holds it now"):
                hold.check()
        assert lost == ["x"]
    assert lease.lost
    assert not any(isinstance(each, Delete) for each in s3_asked.asked)


def test_who_holds_it_by_then_may_not_be_readable(clock: Clock) -> None:
    def perform(request: Request, _number: int) -> S3Answer:
        if isinstance(request, Get):
            raise DENIED
        return Done(clock.now, "v1")

    with holding(clock, perform, lambda: None) as (hold, _, s3_asked):
        s3_asked.wait_for(1)
        clock.now += 100
        with pytest.raises(LeaseLost, match=r"cannot be read \(.*AccessDenied"):
            hold.check()
