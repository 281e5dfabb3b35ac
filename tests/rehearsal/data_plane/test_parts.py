"""The data plane's pure parts: policies, security groups, certificates, shared reads, buckets."""

from __future__ import annotations

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provision.packaging.zips import certificate
from provision.rehearsal.aws.iam_policy import PolicyUnknownError, decide, decide_for_service
from provision.rehearsal.aws.network import Party, blocked
from provision.rehearsal.data_plane.proxy.certificates import (
    AMAZON_ROOT_CA_1,
    CertificateAuthority,
    trust_in_folder,
)
from provision.rehearsal.data_plane.shared_reads import SharedReads
from provision.rehearsal.token_bucket import TokenBucket

# --- policies ---


def policy(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("rds-db:connect", "arn:a/b", True),
        ("RDS-DB:Connect", "arn:a/b", True),  # actions know no case
        ("rds-db:*", "arn:*", True),
        ("rds-db:connec?", "arn:a/?", True),
        ("*", "*", True),
        ("rds-db:connect", "ARN:a/b", False),  # resources do
        ("rds-db:connect", "arn:a", False),
        ("rds-db:connect", "arn:[a]/b", False),  # brackets are only brackets
        ("rds-db:connects", "*", False),
        ("rds:connect", "*", False),
    ],
)
def test_actions_and_resources(action: str, resource: str, allowed: bool) -> None:
    given = policy(Action=[action, "s3:GetObject"], Resource=resource)
    assert decide([given], "rds-db:connect", "arn:a/b").allowed is allowed


def test_deny_wins_wherever_it_stands() -> None:
    allow = policy(Action="*", Resource="*")
    deny = policy(Effect="Deny", Action="rds-db:connect", Resource="arn:b")
    assert not decide([allow, deny], "rds-db:connect", "arn:b").allowed
    assert not decide([deny, allow], "rds-db:connect", "arn:b").allowed
    assert decide([deny, allow], "rds-db:connect", "arn:c").allowed


def test_the_reason_names_what_is_allowed_instead() -> None:
    decision = decide([policy(Action="a:b", Resource="arn:wrong")], "a:b", "arn:right")
    assert decision.reason == "a:b is allowed on arn:wrong, but not on arn:right"


def test_conditions_hold_or_not() -> None:
    given = policy(Action="a:b", Resource="*", Condition={"StringLike": {"aws:Via": ["x*", "y"]}})
    assert decide([given], "a:b", "r", {"AWS:VIA": "xyz"}).allowed
    assert not decide([given], "a:b", "r", {"aws:via": "z"}).allowed


@pytest.mark.parametrize(
    "statement",
    [
        {"NotAction": "a:b", "Resource": "*"},
        {"Action": "a:b", "NotResource": "*"},
        {"Action": "a:b", "Resource": "*", "Condition": {"Bool": {"x": "true"}}},
        {"Action": "a:b", "Resource": "*", "Condition": {"StringEquals": {"unknown": "x"}}},
        {"Action": "a:b", "Resource": "arn:${aws:username}"},
        {"Action": "a:b", "Resource": "*", "Effect": "Perhaps"},
    ],
)
def test_what_is_not_known_is_not_guessed(statement: dict[str, Any]) -> None:
    with pytest.raises(PolicyUnknownError):
        decide([policy(**statement)], "a:b", "r")


def test_a_condition_on_another_action_does_not_matter() -> None:
    other = policy(Action="kms:Decrypt", Resource="*", Condition={"Bool": {"x": "true"}})
    assert not decide([other], "a:b", "r").allowed


@pytest.mark.parametrize(
    ("principal", "trusted"),
    [
        ({"Service": "rds.amazonaws.com"}, True),
        ({"Service": ["lambda.amazonaws.com", "rds.amazonaws.com"]}, True),
        ({"Service": "lambda.amazonaws.com"}, False),
        ({"AWS": "arn:aws:iam::1:root"}, False),
    ],
)
def test_trust(principal: dict[str, Any], trusted: bool) -> None:
    document = policy(Action="sts:AssumeRole", Principal=principal)
    assert decide_for_service(document, "rds.amazonaws.com", "sts:AssumeRole").allowed is trusted


# --- security groups ---

FUNCTION, PROXY, DATABASE = (
    Party(name, (f"sg-{name}",), (f"10.0.{n}.0/24",))
    for n, name in enumerate(("function", "proxy", "database"), 1)
)
ANYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def rule(party: Party, low: int = 3306, high: int = 3306) -> dict[str, Any]:
    pairs = [{"GroupId": party.group_ids[0]}]
    return {"IpProtocol": "tcp", "FromPort": low, "ToPort": high, "UserIdGroupPairs": pairs}


def cidr(given: str) -> dict[str, Any]:
    ranges = [{"CidrIp": given}]
    return {"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "IpRanges": ranges}


def group(party: Party, into: list[Any], out: list[Any]) -> dict[str, Any]:
    return {"GroupId": party.group_ids[0], "IpPermissions": into, "IpPermissionsEgress": out}


def three(**changes: list[Any]) -> list[dict[str, Any]]:
    """The groups as they should be, with changes."""
    rules: dict[str, list[Any]] = {
        "function_in": [],
        "function_out": [rule(PROXY)],
        "proxy_in": [rule(FUNCTION)],
        "proxy_out": [rule(DATABASE)],
        "database_in": [rule(PROXY)],
        "database_out": [],
        **changes,
    }
    return [
        group(party, rules[f"{party.name}_in"], rules[f"{party.name}_out"])
        for party in (FUNCTION, PROXY, DATABASE)
    ]


def closed(groups: list[dict[str, Any]]) -> list[str]:
    """What is in the way from the function to the proxy, and from there to the database."""
    return [
        blocked(groups, source, target, 3306)
        for source, target in ((FUNCTION, PROXY), (PROXY, DATABASE))
    ]


def test_the_groups_as_they_should_be() -> None:
    assert closed(three()) == ["", ""]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"function_out": []}, "no outbound rule of sg-function (function)"),
        ({"function_out": [rule(DATABASE)]}, "no outbound rule of sg-function (function)"),
        ({"proxy_in": []}, "no inbound rule of sg-proxy (proxy)"),
        ({"proxy_in": [rule(FUNCTION, 3307, 3310)]}, "no inbound rule of sg-proxy (proxy)"),
        ({"proxy_out": []}, "no outbound rule of sg-proxy (proxy)"),
        ({"database_in": [cidr("10.0.9.0/24")]}, "no inbound rule of sg-database (database)"),
    ],
)
def test_closed_groups(changes: dict[str, list[Any]], words: str) -> None:
    found = closed(three(**changes))
    assert any(words in finding for finding in found), found


@pytest.mark.parametrize("given", [[ANYWHERE], [cidr("10.0.0.0/16")], [rule(PROXY, 1, 65535)]])
def test_wide_rules_let_through_all_the_same(given: list[Any]) -> None:
    assert blocked(three(function_out=given), FUNCTION, PROXY, 3306) == ""


def test_parties_without_groups_are_out_of_reach() -> None:
    assert "has no security group" in blocked(three(), Party("function", ()), PROXY, 3306)
    gone = Party("proxy", ("sg-gone",))
    assert "has no security group sg-gone" in blocked(three(), FUNCTION, gone, 3306)


# --- certificates ---


def test_only_the_genuine_root_is_replaced(tmp_path: Path) -> None:
    authority, other = CertificateAuthority(), CertificateAuthority()
    genuine = certificate()
    files = {
        "AmazonRootCA1.pem": (genuine, authority.pem),
        "bundle.pem": (other.pem + genuine, other.pem + authority.pem),
        "wrong.pem": (other.pem, other.pem),
        "damaged.pem": (genuine.replace(b"M", b"N", 9), genuine.replace(b"M", b"N", 9)),
        "index.py": (genuine, genuine),
        "rubbish.pem": (b"\xff" * 20, b"\xff" * 20),
    }
    for file, (before, _) in files.items():
        (tmp_path / file).write_bytes(before)
    trust_in_folder(tmp_path, authority)
    assert {file: (tmp_path / file).read_bytes() for file in files} == {
        file: after for file, (_, after) in files.items()
    }


def test_the_genuine_root_is_ours() -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate().decode())
    assert sha256(der).hexdigest() == AMAZON_ROOT_CA_1


# --- shared reads, buckets ---


def test_a_shared_answer_is_never_older_than_its_question() -> None:
    reads, turn, entered = SharedReads(), threading.Semaphore(0), threading.Semaphore(0)
    state, calls = ["old"], []

    def read() -> str:
        seen = state[0]
        calls.append(seen)
        entered.release()
        turn.acquire()
        return seen

    with ThreadPoolExecutor(8) as pool:
        early = pool.submit(reads.get, "key", read)
        entered.acquire()  # the first read is under way, and has seen the old state
        state[0] = "new"
        late = [pool.submit(reads.get, "key", read) for _ in range(5)]
        turn.release(10)
        assert early.result(10) == "old"
        assert [future.result(10) for future in late] == ["new"] * 5
    assert calls[0] == "old"
    assert set(calls[1:]) == {"new"}


def test_a_failed_read_fails_for_all_and_is_not_kept() -> None:
    reads = SharedReads()

    def fails() -> str:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        reads.get("key", fails)
    assert reads.get("key", lambda: "back") == "back"


def test_a_bucket_is_full_at_first_and_empty_then() -> None:
    bucket = TokenBucket(rate_per_second=1e-9, burst=3)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]


def test_a_bucket_fills_up_again() -> None:
    bucket = TokenBucket(rate_per_second=1e9, burst=1)
    assert all(bucket.take() for _ in range(5))
