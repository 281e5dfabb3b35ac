"""Whatever AWS, or somebody in its place, answers: nothing that identifies is in a report."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from typing import Any

import pytest

from provision.aws.observation.document import MOST_ITEMS, check, document
from provision.aws.observation.masking import masked, masked_name
from provision.aws.observation.observer import Observer
from provision.aws.observation.things import PLACES
from provision.errors import UsageError
from provision.verify.field.files import MOST_BYTES, parse, written
from provision.verify.field.public import public

FILES = 1000
HEX, ALNUM = string.hexdigits.lower()[:16], string.ascii_letters + string.digits
KINDS_TOLD = ("Vpc", "DBInstance", "DBProxy", "DBProxyTarget", "Function")
CALLS = (*PLACES, "secretsmanager:GetSecretValue", "iam:GetRole", "ec2:DeleteVpc")
STRUCTURE = {*CALLS, *KINDS_TOLD}


def text(chance: random.Random, letters: str, length: int) -> str:
    return "".join(chance.choice(letters) for _ in range(length))


def account(chance: random.Random) -> str:
    return text(chance, string.digits, 12)


def name(chance: random.Random) -> str:
    return text(chance, string.ascii_lowercase, chance.randint(8, 12))


def camel(chance: random.Random) -> str:
    return name(chance).capitalize() + name(chance).capitalize()


SECRETS: tuple[Callable[[random.Random], str], ...] = (
    account,
    name,
    camel,
    lambda c: name(c).upper(),
    lambda c: f"{name(c)}-database",
    lambda c: f"vpc-{text(c, HEX, 17)}",
    lambda c: f"arn:aws:rds:eu-west-1:{account(c)}:db-proxy:prx-{text(c, HEX, 17)}",
    lambda c: f"arn:aws:iam::{account(c)}:user/{name(c)}",
    lambda c: f"{name(c)}.{name(c)}@{name(c)}.example",
    lambda c: text(c, ALNUM + "!#$%&()*+-.:;<=>?[]^_{|}~", 32),
    lambda c: f"AKIA{text(c, string.ascii_uppercase + string.digits, 16)}",
    lambda c: "IQoJb3JpZ2luX2Vj" + text(c, ALNUM + "+/", 120) + "==",
    lambda c: ".".join(str(c.randint(1, 254)) for _ in range(4)),
    lambda c: f"ip-10-0-1-{c.randint(1, 254)}.{name(c)}.compute.internal",
    lambda c: f"{name(c)}.proxy-{name(c)}.eu-west-1.rds.amazonaws.com",
    lambda c: f"{name(c)}.{name(c)}.corp",
)
FRAMES = (
    "{}",
    "The DB instance {} does not exist.",
    "User: {} is not authorized to perform: rds:CreateDBProxy on resource: {}",
    "role '{}' cannot be assumed by Lambda",
    'The vpc "{}" has dependencies ({}), and cannot be deleted.',
    "{}:{}",
    "password={}",
)


class Secrets:
    """Secrets of every form, and which of them were used."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.used: set[str] = set()

    def __call__(self) -> str:
        secret = self.chance.choice(SECRETS)(self.chance)
        self.used.add(secret)
        return secret

    def within(self) -> str:
        """A text with secrets in it."""
        frame = self.chance.choice(FRAMES)
        return frame.format(*(self() for _ in range(frame.count("{}"))))


def answers(secret: Secrets, chance: random.Random) -> Observer:
    """What a run would have heard from an AWS whose every word is a secret."""
    observer = Observer()
    for _ in range(chance.randint(3, 12)):
        call = chance.choice(CALLS)
        error = {"Error": {"Code": secret.within(), "Message": secret.within()}}
        thing = {
            **dict.fromkeys(("DbiResourceId", "DBProxyArn", "VpcId", "FunctionName"), secret()),
            **dict.fromkeys(("RdsResourceId", "SubnetId", "DBSnapshotIdentifier"), secret()),
            **dict.fromkeys(("DBInstanceStatus", "Status", "State"), secret.within()),
            "TargetHealth": {"State": secret.within(), "Reason": secret.within()},
            "LastUpdateStatus": secret.within(),
            secret(): secret(),
        }
        member, _ = PLACES.get(call, ("", ()))
        answer = {member: thing, secret(): secret()} if member else thing
        observer.heard(chance.choice((call, secret())), error if chance.random() < 0.5 else answer,
                       {"DBProxyName": secret(), "x": secret()})  # fmt: skip
    return observer


def everywhere(value: Any, secret: Secrets) -> Any:
    """A record with a secret in place of its texts, keys of objects too.

    What says where in AWS something is stays now and then, so that what stands beside it counts.
    """
    if isinstance(value, str) and value in STRUCTURE and secret.chance.random() < 0.7:
        return value
    if isinstance(value, dict):
        fixed = {"statuses", "trigger", "at", "call", "code", "words", "count", "first", "last"}
        fixed |= {"accepted", "kind", "number", "episodes"}
        return {
            key if key in fixed else everywhere(key, secret): everywhere(each, secret)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [everywhere(each, secret) for each in value]
    return secret.within() if isinstance(value, str) else value


@pytest.mark.slow
def test_no_secret_is_in_any_of_a_thousand_public_files() -> None:
    chance = random.Random(20261126)  # noqa: S311 - no secret
    for number in range(FILES):
        secret = Secrets(chance)
        run = document(
            answers(secret, chance), "up", ok=True, region=secret(), private={secret().lower()}
        )
        if number % 2:  # as if the recorder had kept all that it heard
            run = {
                key: each if key == "command" else everywhere(each, secret)
                for key, each in run.items()
            }
        file = written([run], secret(), secret())
        leaked = [each for each in secret.used if each in file or each.lower() in file.lower()]
        assert leaked == [], f"file {number}"
        assert parse(file, "file")  # and it is one that is read


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("InvalidDBInstanceState", "InvalidDBInstanceState"),
        ("InvalidFrobnicatorState", "Invalid…State"),
        ("InvalidVpcID.NotFound", "InvalidVpcID.NotFound"),
        ("UNAVAILABLE/PENDING_PROXY_CAPACITY", "UNAVAILABLE/PENDING_PROXY_CAPACITY"),
        ("incompatible-network", "incompatible-network"),
        ("404", "404"),
        ("JohnSmith", "…"),
        ("JohnDatabase", "…Database"),
        ("state-4711", "…"),
        ("123456789012", "…"),
        ("", "…"),
        ("A" * 200, "…"),
    ],
)
def test_a_code_or_status_keeps_its_known_parts(told: str, kept: str) -> None:
    assert masked_name(told) == kept
    assert masked_name(kept) == kept


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("The vpc 'vpc-1' has dependencies.", "The vpc … has dependencies."),
        ("role Smith's is in use by 10.0.0.1:3306", "role … is in use by …"),
        ("tHe role", "… role"),
        ("it\x1b[31m is\nnot there", "… is not there"),
        ("", ""),
    ],
)
def test_a_message_keeps_its_known_words(told: str, kept: str) -> None:
    assert masked(told) == kept
    assert masked(kept) == kept


# --- a file of somebody else's --------------------------------------------------------------------

RUN: dict[str, Any] = {
    "command": "up",
    "ok": True,
    "speed": 1.0,
    "region": "eu-west-1",
    "seconds": 1.0,
    "calls": {},
    "accepted": {},
    "refusals": [],
    "things": [],
    "orders": [],
    "members": {},
}
REPORT: dict[str, Any] = {"report": "rds-proxy-auth", "version": 1, "runs": [RUN]}


def changed(**members: Any) -> str:
    return json.dumps(REPORT | {"runs": [RUN | members]})


@pytest.mark.parametrize(
    "told",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        " " * (MOST_BYTES + 1),
        json.dumps(REPORT | {"version": 2}),
        json.dumps(REPORT | {"version": True}),
        json.dumps(REPORT | {"report": "another"}),
        json.dumps(REPORT | {"runs": {}}),
        json.dumps(REPORT | {"runs": [RUN] * 401}),
        json.dumps(REPORT | {"runs": [RUN | {"more": 1}]}),
        changed(command="down"),
        changed(ok="yes"),
        changed(speed=-1),
        changed(seconds=1e300),
        changed(seconds=True),
        changed(region=5),
        changed(region="\x1b[2J"),
        changed(region="x" * 401),
        changed(calls={"a": {"b": -1}}),
        changed(calls={"a\x07": {}}),
        changed(calls={str(number): {} for number in range(MOST_ITEMS + 1)}),
        changed(accepted={"a": [1]}),
        changed(things=[{"kind": "Vpc"}]),
        changed(orders=[["a", "b", "c"]]),
        changed(members={"a": {"b": "c"}}),
        changed(seconds=1).replace("1.0", "NaN", 1),
        changed(seconds=1).replace("1.0", "9" * 5000, 1),
    ],
)
def test_a_bad_file_is_refused_in_a_line(told: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(told, "--compare FILE")
    assert refused.value.message.startswith("--compare FILE: ")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 400


def test_what_a_file_says_is_masked_as_our_own_is() -> None:
    told = changed(
        region="home", calls={"rds:CreateDBProxy": {"JohnSmith": 1}, "rds:Frobnicate": {"": 1}}
    )
    (run,) = parse(told, "file")
    assert run["region"] == "…"
    assert run["calls"] == {"rds:CreateDBProxy": {"…": 1}}
    assert check(run) == public(run)
