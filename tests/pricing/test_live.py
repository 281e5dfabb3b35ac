"""`--prices live`: AWS's own list is asked, and nothing is guessed."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest

from provision.errors import AwsCallError
from provision.pricing.live import live_prices, queries
from provision.rehearsal import Remote
from tests.support.answers import refusal
from tests.support.built import Built
from tests.support.commands import Commands
from tests.support.names import REGION
from tests.support.resources import answering

LIVE = ("--prices", "live")

# As the rehearsed list has them: $0.026 an hour, 20 GiB at $0.138 a month, two proxies of 2 vCPUs
# at $0.019, a secret at $0.40 a month.
AN_HOUR = 0.026 + 20 * 0.138 / 730 + 2 * 2 * 0.019 + 0.40 / 730


@pytest.mark.slow
def test_plan_asks_aws_and_shows_each_part(commands: Commands) -> None:
    result = commands.plan(*LIVE)
    (cost,) = result.of("cost")
    assert cost["per_hour"] == pytest.approx(AN_HOUR, abs=1e-4)
    assert cost["per_30_days"] == pytest.approx(720 * AN_HOUR, abs=1e-2)
    assert (cost["dated"], cost["verified"], cost["missing"]) == ("2026-11-20", True, [])
    shown = commands.run("provision", "plan", "--output", "plain", *LIVE).stdout
    for words in (
        "DB instance db.t4g.micro",
        "20 GiB of gp3 storage",
        "RDS Proxy proxy-password",
        "RDS Proxy proxy-iam",
        "Extended Support: opted out of",
        "total",
        "AWS price list of 2026-11-20",
    ):
        assert words in shown


@pytest.mark.slow
def test_by_default_the_table_is_asked_and_nobody_else(
    commands: Commands, rehearsal: Remote
) -> None:
    result = commands.plan()
    assert result.of("cost")[0]["dated"] == "2026-11-24"
    assert "pricing" not in {call.service for call in rehearsal.journal()}


@pytest.mark.slow
def test_status_prices_what_aws_really_has(built: Built) -> None:
    result = built.commands.run("provision", "status", "--output", "json", *LIVE)
    (cost,) = result.of("cost")
    assert result.code == 0
    assert cost["per_hour"] == pytest.approx(AN_HOUR, abs=1e-4)
    assert cost["so_far"] is not None
    assert cost["since"]


@pytest.mark.slow
def test_a_class_that_is_not_in_the_list_has_no_price(commands: Commands) -> None:
    (cost,) = commands.plan(*LIVE, "--set", "database.instance_class=db.t4g.small").of("cost")
    assert cost["per_hour"] is None
    assert cost["missing"] == [
        "DB instance db.t4g.small",
        "RDS Proxy proxy-password",
        "RDS Proxy proxy-iam",
    ]


@pytest.mark.slow
def test_a_region_that_is_not_in_the_list_has_no_price(commands: Commands) -> None:
    result = commands.run("provision", "plan", "--region", "sa-east-1", "--output", "plain", *LIVE)
    assert result.code == 0
    assert "cost unknown: the AWS price list of 2" in result.stdout


@pytest.mark.slow
def test_without_the_permission_the_error_names_it(commands: Commands, rehearsal: Remote) -> None:
    rehearsal.set_policy(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "pricing:GetProducts", "Resource": "*"},
            ],
        }
    )
    result = commands.plan(*LIVE)
    assert result.code == 1
    assert "GetProducts" in result.error["message"]
    assert result.error["next"]


# --- what is taken from an answer -----------------------------------------------------------------


def product(
    price: str, unit: str = "Hrs", term: str = "OnDemand", currency: str = "USD"
) -> dict[str, Any]:
    dimensions = {"y": {"unit": unit, "pricePerUnit": {currency: price}}}
    return {"terms": {term: {"x": {"priceDimensions": dimensions}}}}


@pytest.mark.parametrize(
    ("products", "price"),
    [
        ([product("0.025")], "0.025"),
        ([product("0.0250"), product("0.025")], "0.025"),  # the same, told twice
        ([product("0.025"), product("0.050")], None),  # which of them?
        ([], None),
        ([product("0.025", unit="Quantity")], None),
        ([product("0.025", term="Reserved")], None),
        ([product("0.16", currency="CNY")], None),
    ],
)
def test_one_price_or_none(products: list[dict[str, Any]], price: str | None) -> None:
    rate = queries("db.t4g.micro")[0].rate(products)
    assert (rate and rate["price"]) == (price and Decimal(price))


def listed(usage: str, price: str, unit: str = "Hrs", **attributes: str) -> str:
    """A product as GetProducts has it: JSON in a string."""
    about = {"attributes": {"usagetype": usage, **attributes}}
    return json.dumps(
        {**product(price, unit), "product": about, "publicationDate": "2026-11-20T00:00:00Z"}
    )


def price_list(*products: str) -> dict[str, Any]:
    """The answers of a list with these products alone, whatever is asked for."""
    return {"pricing.get_products": {"PriceList": list(products)}}


def test_each_price_is_that_of_its_own_usage_type() -> None:
    products = price_list(
        listed("APN1-InstanceUsage:db.t4g.micro", "0.026", vcpu="2"),
        listed("APN1-ExtendedSupport-InstanceUsage:db.t4g.micro", "0.126", vcpu="2"),
        listed("RDS:GP3-Storage", "0.138", "GB-Mo"),
        listed("APN1-RDS:ProxyUsage", "0.018"),
        listed("APN1-AWSSecretsManager-Secrets", "0.40", "Secrets"),
    )
    with answering(products) as aws:
        prices = live_prices(aws, "db.t4g.micro")
    assert prices["dated"] == datetime.date(2026, 11, 20)
    assert prices["vcpus"] == {"db.t4g.micro": 2}
    here = prices[REGION]
    assert here["instance"]["db.t4g.micro"]["price"] == Decimal("0.026")
    found = {name: here[name]["price"] for name in ("storage", "proxy", "secret")}
    assert found == {
        "storage": Decimal("0.138"), "proxy": Decimal("0.018"), "secret": Decimal("0.40"),
    }  # fmt: skip
    filters = {each["Field"]: each["Value"] for each in aws.asked[0][1]["Filters"]}
    assert filters["regionCode"] == REGION


def test_an_empty_list_has_no_price_and_is_of_today() -> None:
    with answering(price_list()) as aws:
        prices = live_prices(aws, "db.t4g.micro")
    assert prices[REGION] == {"instance": {}, "storage": None, "proxy": None, "secret": None}
    assert prices["vcpus"] == {}
    assert abs(prices["dated"] - datetime.datetime.now(datetime.UTC).date()).days <= 1


def test_a_list_that_is_denied_is_an_error() -> None:
    denied = {"pricing.get_products": refusal("AccessDeniedException", "GetProducts")}
    with (
        answering(denied) as aws,
        pytest.raises(AwsCallError, match="prices: GetProducts answered AccessDeniedException"),
    ):
        live_prices(aws, "db.t4g.micro")
