"""What an environment costs: from the table, or plainly unknown."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from provision.config import Config, DatabaseSettings, EnvironmentSettings
from provision.config import load as load_config
from provision.environment import environment
from provision.pricing import table
from provision.pricing.table import cost_note, dollars, estimate, note_of, price_table, spent

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


def config(
    region: str = "us-east-1", instance_class: str = "db.t4g.micro", gib: int = 20
) -> Config:
    return Config(
        environment=EnvironmentSettings(region=region),
        database=DatabaseSettings(instance_class=instance_class, allocated_storage_gib=gib),
    )


@pytest.mark.parametrize(
    ("region", "per_hour", "per_30_days"),
    [("us-east-1", 0.0797, 57.38), ("ap-northeast-1", 0.1013, 72.96)],
)
def test_the_sum_of_the_parts(region: str, per_hour: float, per_30_days: float) -> None:
    found = estimate(config(region))
    assert found.per_hour is not None
    assert found.per_30_days is not None
    assert float(found.per_hour) == pytest.approx(per_hour, abs=5e-5)
    assert float(found.per_30_days) == pytest.approx(per_30_days, abs=5e-3)
    assert found.missing == ()


def test_each_part_is_priced_by_what_it_is_billed_for() -> None:
    found = {part.what: part.per_hour for part in estimate(config(gib=100)).parts}
    assert found == {
        "DB instance db.t4g.micro": Decimal("0.016"),
        "100 GiB of gp3 storage": Decimal("0.115") * 100 / 730,
        "Extended Support: opted out of": Decimal(0),
        "RDS Proxy proxy-password": Decimal("0.030"),  # 2 vCPUs at $0.015
        "RDS Proxy proxy-iam": Decimal("0.030"),
        "secret": Decimal("0.40") / 730,
    }


def test_a_small_instance_does_not_make_the_proxies_cheaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for vcpus, price in ((1, "0.030"), (8, "0.120")):
        monkeypatch.setitem(price_table()["vcpus"], "db.t4g.micro", vcpus)
        parts = {part.step: part.per_hour for part in estimate(config()).parts}
        assert parts["proxy-iam"] == Decimal(price)


def test_what_aws_really_has_counts_and_not_the_configuration() -> None:
    found = estimate(config(), instance_class="db.r6g.large", storage_gib=50)
    assert [part.what for part in found.parts][:2] == [
        "DB instance db.r6g.large",
        "50 GiB of gp3 storage",
    ]


def test_a_region_that_is_not_in_the_table_has_no_price() -> None:
    found = estimate(config("eu-west-1"))
    assert (found.per_hour, found.per_30_days, found.verified) == (None, None, False)
    assert not any(part.per_hour for part in found.parts)
    assert note_of(found) == "cost unknown: the price table of 2026-11-24 has no price in eu-west-1"


def test_a_class_that_is_not_in_the_table_has_no_price_nor_have_its_proxies() -> None:
    found = estimate(config(instance_class="db.r6g.large"))
    assert found.per_hour is None
    assert note_of(found) == (
        "cost unknown: the price table of 2026-11-24 has no price in us-east-1 for "
        "DB instance db.r6g.large, RDS Proxy proxy-password, RDS Proxy proxy-iam"
    )


def test_the_note_says_how_sure_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cost_note(config("us-east-1")) == (
        "costs about $0.08 an hour ($57 in 30 days), table of 2026-11-24, partly unverified"
    )
    assert cost_note(config("ap-northeast-1")) == (
        "costs about $0.101 an hour ($73 in 30 days), table of 2026-11-24, unverified"
    )
    monkeypatch.setitem(price_table()["us-east-1"]["secret"], "verified", True)
    assert cost_note(config("us-east-1")) == (
        "costs about $0.08 an hour ($57 in 30 days), table of 2026-11-24"
    )


def test_the_part_that_is_there_has_its_own_estimate() -> None:
    found = estimate(config()).of({"db-instance"})
    assert [part.step for part in found.parts] == ["db-instance"] * 3
    assert found.per_hour == Decimal("0.016") + Decimal("0.115") * 20 / 730
    nothing = estimate(config()).of(())
    assert nothing.per_hour == 0
    assert not nothing.parts


# --- so far ---------------------------------------------------------------------------------------


def test_what_it_has_cost_counts_from_when_each_part_was_there() -> None:
    found = estimate(config())
    created = {"db-instance": NOON - 10 * HOUR, "proxy-iam": NOON - HOUR}
    cost = spent(found, created, NOON)
    assert cost is not None
    storage = Decimal("0.115") * 20 / 730
    assert cost == pytest.approx(10 * (Decimal("0.016") + storage) + Decimal("0.030"))


def test_an_instance_is_billed_for_ten_minutes_at_least() -> None:
    only = estimate(config()).of({"db-instance"})
    a_minute = spent(only, {"db-instance": NOON - HOUR / 60}, NOON)
    storage = Decimal("0.115") * 20 / 730
    assert a_minute == pytest.approx(Decimal("0.016") / 6 + storage / 60)


def test_time_that_is_still_to_come_costs_nothing() -> None:
    proxies = estimate(config()).of({"proxy-iam"})
    assert spent(proxies, {"proxy-iam": NOON + HOUR}, NOON) == 0
    assert spent(proxies, {}, NOON) == 0


def test_without_a_price_what_it_has_cost_is_unknown() -> None:
    assert spent(estimate(config("eu-west-1")), {"proxy-iam": NOON - HOUR}, NOON) is None


# --- the table ------------------------------------------------------------------------------------


def test_every_figure_of_the_table_has_a_unit_a_source_and_says_whether_it_was_checked() -> None:
    table = price_table()
    assert isinstance(table["dated"], datetime.date)
    assert table["source"]
    regions = {name: rates for name, rates in table.items() if isinstance(rates, dict)}
    regions.pop("vcpus")
    for region, rates in regions.items():
        entries = [*rates["instance"].values(), rates["storage"], rates["proxy"], rates["secret"]]
        for entry in entries:
            assert entry["price"] > 0, (region, entry)
            assert entry["source"], (region, entry)
            assert entry["per"] in ("hour", "vCPU-hour", "GiB-month", "month")
            assert isinstance(entry["verified"], bool)
        assert set(rates["instance"]) <= set(table["vcpus"])


def test_the_default_configuration_has_a_price() -> None:
    assert cost_note(load_config(table.TABLE.parents[2] / "config.toml")).startswith("costs ")


def test_every_step_that_is_billed_is_in_the_estimate() -> None:
    billed = {each.step for each in environment(Config(), packed=False) if each.costs}
    assert {part.step for part in estimate(Config()).parts} == billed


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "$0.00"),
        ("0.0004", "under $0.001"),
        ("0.0255", "$0.026"),
        ("0.08", "$0.08"),
        ("0.1013", "$0.101"),
        ("1.256", "$1.26"),
        ("72.96", "$73"),
        ("12345", "$12,345"),
    ],
)
def test_amounts_in_words(amount: str, words: str) -> None:
    assert dollars(Decimal(amount)) == words
