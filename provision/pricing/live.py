"""Prices as AWS's own list has them today, for `--prices live`: in the shape of prices.toml.

Asked is the Price List Query API (GetProducts: AWS Billing User Guide, "Using the AWS Price List
Query API"), which needs the permission `pricing:GetProducts` and costs nothing. A price that is not
there, or not there just once, is left out: none is guessed.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from provision.aws.account import Aws, calling, pages

SOURCE = "AWS Price List Query API"


@dataclass(frozen=True)
class Query:
    """What to look for: one product of a service, with its unit and what that is in our words."""

    service: str
    equal: Mapping[str, str]  # attributes of the product
    usage: str  # its usage type, without the region's code that AWS mostly puts before it
    unit: str
    per: str

    def ask(self, aws: Aws) -> list[dict[str, Any]]:
        """Return the products that AWS has for it. Raises what botocore raises."""
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in {"regionCode": aws.region, **self.equal}.items()
        ]
        filters.append({"Type": "CONTAINS", "Field": "usagetype", "Value": self.usage})
        listed = pages(
            aws.pricing, "get_products", "PriceList", ServiceCode=self.service, Filters=filters
        )
        products = [json.loads(str(each)) for each in listed]
        return [each for each in products if self.is_meant(each)]

    def is_meant(self, product: Mapping[str, Any]) -> bool:
        """Return whether a product is not one that costs more, as `ExtendedSupport-…` does."""
        usage = product["product"]["attributes"].get("usagetype", "")
        return re.fullmatch(f"([A-Z0-9]+-)?{re.escape(self.usage)}", usage) is not None

    def rate(self, products: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the one on-demand price of the products, or None when there is not just one."""
        found = {
            Decimal(dimension["pricePerUnit"]["USD"])
            for product in products
            for term in product["terms"].get("OnDemand", {}).values()
            for dimension in term["priceDimensions"].values()
            if dimension["unit"] == self.unit and "USD" in dimension["pricePerUnit"]
        }
        if len(found) != 1:
            return None
        return {"price": found.pop(), "per": self.per, "verified": True, "source": SOURCE}


def queries(name: str) -> tuple[Query, ...]:
    """Return what to look for: an instance of this class, its storage, a proxy, a secret."""
    rds, mysql = "AmazonRDS", {"databaseEngine": "MySQL"}
    single = {**mysql, "deploymentOption": "Single-AZ"}
    return (
        Query(rds, {**single, "instanceType": name}, f"InstanceUsage:{name}", "Hrs", "hour"),
        Query(
            rds, {**single, "volumeType": "General Purpose-GP3"}, "RDS:GP3-Storage", "GB-Mo",
            "GiB-month",
        ),
        Query(rds, mysql, "RDS:ProxyUsage", "Hrs", "vCPU-hour"),
        Query("AWSSecretsManager", {}, "AWSSecretsManager-Secrets", "Secrets", "month"),
    )  # fmt: skip


def live_prices(aws: Aws, instance_class: str) -> dict[str, Any]:
    """Return today's prices in the session's region, for an instance class, as `price_table` does.

    Raises AwsCallError when AWS does not answer (pricing:GetProducts is not allowed, say).
    """
    asked = queries(instance_class)

    def ask(query: Query) -> list[dict[str, Any]]:
        with calling("prices"):
            return query.ask(aws)

    answers = aws.together(*(lambda query=query: ask(query) for query in asked))
    instance, storage, proxy, secret = (
        query.rate(products) for query, products in zip(asked, answers, strict=True)
    )
    published = [each["publicationDate"][:10] for products in answers for each in products]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    vcpus = {each["product"]["attributes"].get("vcpu") for each in answers[0]}
    return {
        "dated": datetime.date.fromisoformat(max(published, default=today)),
        "source": SOURCE,
        "vcpus": {instance_class: int(vcpus.pop())} if len(vcpus) == 1 else {},
        aws.region: {
            "instance": {instance_class: instance} if instance else {},
            "storage": storage,
            "proxy": proxy,
            "secret": secret,
        },
    }
