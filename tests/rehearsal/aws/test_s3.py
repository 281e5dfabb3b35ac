"""S3: which call a request makes, conditional writes, and AWS's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from provision.rehearsal import Fault, Override
from tests.support.names import REGION

from .control_plane import PlayedAccount, account, frozen, policy, refused


def bucket(aws: PlayedAccount, name: str = "states") -> str:
    """A bucket; its name."""
    where = {"LocationConstraint": REGION}
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return name


def test_each_call_is_known_by_its_name_and_its_parameters() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        aws.s3.put_object(Bucket=name, Key="a/b c.json", Body=b"{}", IfNoneMatch="*")
        aws.s3.get_object(Bucket=name, Key="a/b c.json")
        aws.s3.head_object(Bucket=name, Key="a/b c.json")
        aws.s3.list_objects_v2(Bucket=name, Prefix="a/")
        aws.s3.get_bucket_versioning(Bucket=name)
        aws.s3.head_bucket(Bucket=name)
        aws.s3.list_buckets()
        tags = {"TagSet": [{"Key": "team", "Value": "blue"}]}
        aws.s3.copy_object(Bucket=name, Key="copy", CopySource=f"{name}/a/b c.json")
        aws.s3.put_object_tagging(Bucket=name, Key="copy", Tagging=tags)
        aws.s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "copy"}]})
        aws.s3.delete_object(Bucket=name, Key="a/b c.json", IfMatch="*")
        aws.s3.delete_bucket(Bucket=name)
        seen = [(entry.operation, entry.mutating) for entry in aws.rehearsal.journal]
        assert seen == [
            ("CreateBucket", True),
            ("PutObject", True),
            ("GetObject", False),
            ("HeadObject", False),
            ("ListObjectsV2", False),
            ("GetBucketVersioning", False),
            ("HeadBucket", False),
            ("ListBuckets", False),
            ("CopyObject", True),
            ("PutObjectTagging", True),
            ("DeleteObjects", True),
            ("DeleteObject", True),
            ("DeleteBucket", True),
        ]
        put = aws.rehearsal.journal[1].params
        assert (put["Bucket"], put["Key"], put["IfNoneMatch"]) == (name, "a/b c.json", "*")


def test_a_write_that_wants_no_object_is_refused_when_there_is_one() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        aws.s3.put_object(Bucket=name, Key="k", Body=b"1", IfNoneMatch="*")
        with refused("PreconditionFailed") as caught:
            aws.s3.put_object(Bucket=name, Key="k", Body=b"2", IfNoneMatch="*")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert aws.s3.get_object(Bucket=name, Key="k")["Body"].read() == b"1"


def test_a_write_or_delete_for_one_version_leaves_another_alone() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        old = aws.s3.put_object(Bucket=name, Key="k", Body=b"1")["ETag"]
        new = aws.s3.put_object(Bucket=name, Key="k", Body=b"2", IfMatch=old)["ETag"]
        for act in (aws.s3.delete_object, aws.s3.put_object):
            with refused("PreconditionFailed"):
                act(Bucket=name, Key="k", IfMatch=old)
        aws.s3.delete_object(Bucket=name, Key="k", IfMatch=new)
        with refused("NoSuchKey") as caught:
            aws.s3.put_object(Bucket=name, Key="k", Body=b"3", IfMatch=new)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def codes(call: Any, times: int = 40) -> set[str]:
    """How these calls end: AWS's codes, "" for an answer."""
    found = set()
    for n in range(times):
        try:
            call(n)
            found.add("")
        except ClientError as error:
            found.add(error.response["Error"]["Code"])
    return found


def test_a_conditional_delete_of_nothing_meets_both_of_the_documented_answers() -> None:
    with account(frozen(seed=1, s3_conflicts=0)) as aws:
        name = bucket(aws)
        delete = aws.s3.delete_object
        assert codes(lambda n: delete(Bucket=name, Key="none", IfMatch='"x"')) == {
            "NoSuchKey",
            "PreconditionFailed",
        }
        with refused("PreconditionFailed"):
            delete(Bucket=name, Key="none", IfMatch="*")
        delete(Bucket=name, Key="none")  # unconditional: content with nothing


def test_conditional_writes_meet_others_now_and_then_and_by_the_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        with account(frozen(seed=seed, s3_conflicts=0.5)) as aws:
            name = bucket(aws)
            put = aws.s3.put_object
            return [
                "".join(codes(lambda n, k=key: put(Bucket=name, Key=k, IfNoneMatch="*"), 1))
                for key in "abcdefgh"
            ]

    first = outcomes(3)
    assert set(first) == {"", "ConditionalRequestConflict"}
    assert outcomes(3) == first
    assert outcomes(4) != first


def test_an_unconditional_write_meets_no_conflict() -> None:
    with account(frozen(seed=3, s3_conflicts=1)) as aws:
        name = bucket(aws)
        aws.s3.put_object(Bucket=name, Key="k", Body=b"1")
        with refused("ConditionalRequestConflict") as caught:
            aws.s3.put_object(Bucket=name, Key="k", Body=b"2", IfMatch="*")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
        assert aws.s3.get_object(Bucket=name, Key="k")["Body"].read() == b"1"


def test_a_lost_answer_of_a_conditional_write_means_that_it_took_effect() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        aws.rehearsal.faults.add(Fault("lost", "s3:PutObject"))
        put = aws.s3.put_object
        with pytest.raises(ConnectionClosedError):
            put(Bucket=name, Key="k", Body=b"1", IfNoneMatch="*")
        with refused("PreconditionFailed"):
            put(Bucket=name, Key="k", Body=b"1", IfNoneMatch="*")


def test_who_may_not_list_a_bucket_is_denied_what_is_missing() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        aws.s3.put_object(Bucket=name, Key="k", Body=b"1")
        read = policy("s3:GetObject", resource=f"arn:aws:s3:::{name}/*")
        aws.rehearsal.policy = read
        assert aws.s3.get_object(Bucket=name, Key="k")["Body"].read() == b"1"
        with refused("AccessDenied"):
            aws.s3.get_object(Bucket=name, Key="none")
        with refused("403"):
            aws.s3.head_object(Bucket=name, Key="none")
        with refused("AccessDenied"):
            aws.s3.put_object(Bucket=name, Key="k", Body=b"2")
        aws.rehearsal.policy = policy("s3:*")
        with refused("NoSuchKey"):
            aws.s3.get_object(Bucket=name, Key="none")


def test_comparing_an_etag_needs_leave_to_read_the_object() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        tag = aws.s3.put_object(Bucket=name, Key="k", Body=b"1")["ETag"]
        aws.rehearsal.policy = policy("s3:PutObject", "s3:DeleteObject")
        for act in (aws.s3.put_object, aws.s3.delete_object):
            with refused("AccessDenied", match="GetObject"):
                act(Bucket=name, Key="k", IfMatch=tag)
        aws.s3.put_object(Bucket=name, Key="other", IfNoneMatch="*")


def test_objects_and_answers_have_the_date_of_awss_clock() -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        aws.pass_time(3600)
        answer = aws.s3.put_object(Bucket=name, Key="k", Body=b"1")
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        ahead = date - datetime.now(UTC)
        assert timedelta(minutes=58) < ahead < timedelta(minutes=62)
        written = aws.s3.head_object(Bucket=name, Key="k")["LastModified"]
        assert abs(written - date) < timedelta(seconds=5)


@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_answers_of_s3_can_be_changed_like_any(code: str) -> None:
    with account(frozen()) as aws:
        name = bucket(aws)
        aws.s3.put_object(Bucket=name, Key="k", Body=b"1")
        aws.rehearsal.overrides.set(
            [
                Override("s3:PutObject", code=code, status=503),
                Override("s3:GetObject", set={"ETag": '"other"'}),
            ]
        )
        with refused(code):
            aws.s3.put_object(Bucket=name, Key="k", Body=b"2")
        answer = aws.s3.get_object(Bucket=name, Key="k")
        assert (answer["ETag"], answer["Body"].read()) == ('"other"', b"1")
