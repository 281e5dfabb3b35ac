"""What the look at account and region makes of AWS's answers; without AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from provision.aws.account import Identity
from provision.config import Config
from provision.context import Run
from provision.engine.plan import Action, Plan, Planned
from provision.environment import environment
from provision.errors import CredentialsError, ForeignResource, ProvisionError
from provision.verify.doctor import preflight as module
from provision.verify.doctor.finding import Finding, Grade
from provision.verify.doctor.preflight import (
    account_findings,
    against_default,
    costly,
    credentials,
    preflight,
    rds_quotas,
    standard_support,
    storage,
)

CONFIG = Config()
RESOURCES = environment(CONFIG, packed=False)
ROOT = Identity("123456789012", "aws", "arn:aws:iam::123456789012:root")


class FakeRds:
    """RDS that answers each operation with what it was made with; an error code is raised."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def answer(self, operation: str) -> Any:
        answer = self._answers[operation]
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer, "Message": "no"}}, operation)
        return answer

    def describe_account_attributes(self) -> Any:
        return self.answer("describe_account_attributes")

    def can_paginate(self, _operation: str) -> bool:
        return True

    def get_paginator(self, operation: str) -> Any:
        result = SimpleNamespace(build_full_result=lambda: self.answer(operation))
        return SimpleNamespace(paginate=lambda **_: result)


def run(rds: FakeRds | None = None, identity: Identity = ROOT, config: Config = CONFIG) -> Run:
    """A run on an account of which only this is known."""
    aws = SimpleNamespace(
        rds=rds,
        identity=identity,
        region="ap-northeast-1",
        together=lambda *reads: [read() for read in reads],
        listed=lambda _service, operation, _key, **_: rds and rds.answer(operation)[_key],
    )
    return cast(Run, SimpleNamespace(aws=aws, config=config, resource=lambda step: None))


def plan(**actions: Action) -> Plan:
    """A plan in which everything is there, but for `step=action` (`_` for `-`)."""
    by_step = {step.replace("_", "-"): action for step, action in actions.items()}
    steps = [Planned(each, by_step.get(each.step, Action.NONE)) for each in RESOURCES]
    return Plan(tuple(steps))


NEW = plan(db_instance=Action.CREATE, db_subnet_group=Action.CREATE, proxy_iam=Action.CREATE)


def majors(ends: datetime) -> FakeRds:
    """RDS that ends the standard support of 8.4 then."""
    lifecycles = [
        {
            "LifecycleSupportName": "open-source-rds-extended-support",
            "LifecycleSupportEndDate": ends + timedelta(days=1000),
        },
        {
            "LifecycleSupportName": "open-source-rds-standard-support",
            "LifecycleSupportEndDate": ends,
        },
    ]
    major = {"MajorEngineVersion": "8.4", "SupportedEngineLifecycles": lifecycles}
    answer = {"DBMajorEngineVersions": [major]}
    return FakeRds(describe_db_major_engine_versions=answer)


@pytest.mark.parametrize(
    ("days", "verdict", "word"),
    [
        (-1, Grade.BAD, "left it on"),
        (30, Grade.WARNING, "leaves it on"),
        (900, Grade.GOOD, "leaves it on"),
    ],
)
def test_standard_support(days: int, verdict: Grade, word: str) -> None:
    ends = datetime.now(UTC) + timedelta(days=days)
    (found,) = standard_support(run(majors(ends)), NEW)
    assert found.verdict is verdict
    assert word in found.reason
    assert f"{ends:%Y-%m-%d} (AWS)" in found.reason
    assert bool(found.next_step) is (verdict is not Grade.GOOD)


@pytest.mark.parametrize("answer", ["AccessDenied", {"DBMajorEngineVersions": []}])
def test_standard_support_of_an_old_major_by_the_calendar(answer: Any) -> None:
    config = replace(CONFIG, database=replace(CONFIG.database, engine_version="8.0.45"))
    rds = FakeRds(describe_db_major_engine_versions=answer)
    (found,) = standard_support(run(rds, config=config), NEW)
    assert found.verdict is Grade.BAD
    assert "MySQL 8.0 left it on 2026-07-31" in found.reason


def test_standard_support_of_a_major_that_nobody_knows() -> None:
    config = replace(CONFIG, database=replace(CONFIG.database, engine_version="9.7"))
    rds = FakeRds(describe_db_major_engine_versions="InvalidParameterValue")
    (found,) = standard_support(run(rds, config=config), NEW)
    assert found.verdict is Grade.WARNING


def quotas(**used: int) -> FakeRds:
    """RDS with quotas of 40 each, so many of them used."""
    listed = [{"AccountQuotaName": n, "Used": used, "Max": 40} for n, used in used.items()]
    return FakeRds(describe_account_attributes={"AccountQuotas": listed})


def test_quotas_with_room() -> None:
    found = list(rds_quotas(run(quotas(DBInstances=39, AllocatedStorage=20, Other=40)), NEW))
    assert [each.verdict for each in found] == [Grade.GOOD, Grade.GOOD]


@pytest.mark.parametrize("used", [{"DBInstances": 40}, {"AllocatedStorage": 21}])
def test_quotas_that_are_used_up(used: dict[str, int]) -> None:
    (found,) = rds_quotas(run(quotas(**used)), NEW)
    assert found.verdict is Grade.BAD
    assert next(iter(used)) in found.reason
    assert "Service Quotas" in found.next_step


def test_a_full_quota_of_what_is_there_already_is_in_nobodys_way() -> None:
    (found,) = rds_quotas(run(quotas(DBInstances=40)), plan(proxy_iam=Action.CREATE))
    assert found.verdict is Grade.GOOD


def test_default_quotas_only_warn() -> None:
    assert next(against_default("VPCs", 4, 1, 5)).verdict is Grade.GOOD
    assert next(against_default("VPCs", 5, 1, 5)).verdict is Grade.WARNING
    assert next(against_default("VPCs", 9, 0, 5)).verdict is Grade.GOOD


def options(**option: Any) -> FakeRds:
    """RDS that offers one option."""
    offered = {"StorageType": "gp3", "SupportsStorageEncryption": True, "MinStorageSize": 20}
    offered |= {"MaxStorageSize": 100} | option
    answer = {"OrderableDBInstanceOptions": [offered]}
    return FakeRds(describe_orderable_db_instance_options=answer)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"StorageType": "gp2"}, "gp3 storage"),
        ({"SupportsStorageEncryption": False}, "encrypted storage"),
        ({"MaxStorageSize": 10}, "20 GiB"),
        ({"MinStorageSize": 21}, "20 GiB"),
    ],
)
def test_storage_that_the_class_does_not_take(option: dict[str, Any], told: str) -> None:
    (found,) = storage(run(options(**option)), NEW)
    assert found.verdict is Grade.BAD
    assert f"does not support {told}" in found.reason


def test_storage_that_it_takes() -> None:
    (found,) = storage(run(options()), NEW)
    assert found.verdict is Grade.GOOD
    nothing = FakeRds(describe_orderable_db_instance_options={"OrderableDBInstanceOptions": []})
    assert list(storage(run(nothing), NEW)) == []


def test_the_root_user_is_warned() -> None:
    (found,) = credentials(run(), NEW)
    assert found.verdict is Grade.WARNING
    assert "root user" in found.reason


# --- up's own look --------------------------------------------------------------------------------


@contextmanager
def checks(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> Iterator[list[str]]:
    """Let a single check find this. Yields what it was asked."""
    asked: list[str] = []

    def check(_run: Run, _plan: Plan) -> Iterator[Finding]:
        asked.append("asked")
        yield from found

    monkeypatch.setattr(module, "CHECKS", {"it": check})
    yield asked


GOOD = Finding("it", Grade.GOOD, "as it should be")
WARNING = Finding("it", Grade.WARNING, "who knows")
FULL = Finding("quota", Grade.BAD, "40 of 40 used", "Ask for more.")
GONE = Finding("version", Grade.BAD, "not offered", "Take another.")


def test_up_goes_on_when_nothing_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    with checks(monkeypatch, GOOD, WARNING) as asked:
        assert preflight(run(), NEW) == [GOOD, WARNING]
    assert asked


def test_up_is_stopped_by_all_that_is_bad_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with checks(monkeypatch, GOOD, FULL, GONE), pytest.raises(ProvisionError) as caught:
        preflight(run(), NEW)
    assert "nothing was created" in caught.value.message
    assert "quota: 40 of 40 used\nversion: not offered" in caught.value.message
    assert caught.value.next_step == "Ask for more.; Take another."


def test_nothing_is_asked_when_nothing_that_costs_is_to_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with checks(monkeypatch, FULL) as asked:
        assert preflight(run(), plan(vpc=Action.CREATE, stage=Action.UPDATE)) == []
    assert not asked
    assert costly(NEW)
    assert not costly(plan())


def test_what_is_not_ours_stops_it_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    foreign = replace(NEW, refused=(ForeignResource("theirs"),))
    with checks(monkeypatch, GOOD) as asked, pytest.raises(ForeignResource):
        preflight(run(), foreign)
    assert not asked


@pytest.mark.parametrize("error", ["AccessDenied", "InternalFailure"])
def test_what_aws_does_not_tell_is_a_warning(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    monkeypatch.setattr(module, "CHECKS", {"RDS quota": rds_quotas})
    (found,) = account_findings(run(FakeRds(describe_account_attributes=error)), NEW)
    assert found.verdict is Grade.WARNING
    assert found.what == "RDS quota"
    assert error in found.reason


def test_credentials_that_run_out_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKS", {"RDS quota": rds_quotas})
    with pytest.raises(CredentialsError):
        account_findings(run(FakeRds(describe_account_attributes="ExpiredToken")), NEW)
