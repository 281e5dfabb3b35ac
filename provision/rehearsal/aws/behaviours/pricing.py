"""AWS's price list, which moto lacks: a few products in AWS's shape, at invented prices.

The shape is that of the Price List Query API: each product a JSON text with its attributes and its
terms. Beside what somebody would look for stands what a careless filter takes for it as well: other
engines, Multi-AZ, Extended Support, reserved terms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from provision.rehearsal.aws.calls import Call
from provision.rehearsal.aws.refusals import AwsError
from provision.rehearsal.aws.world import Answer, Proceed, World

PUBLISHED = "2026-11-20T17:11:09Z"
REGIONS = {"ap-northeast-1": "APN1", "eu-west-1": "EU", "us-east-1": "USE1"}  # and their codes
CLASSES = {"db.t4g.micro": (2, "0.0260000000"), "db.m7g.large": (2, "0.2350000000")}


def get_products(world: World, call: Call, proceed: Proceed) -> Answer:
    """Products of a service that match all filters. Raises AwsError for a service not sold here."""
    service = call.get("ServiceCode", "")
    if service not in ("AmazonRDS", "AWSSecretsManager"):
        raise AwsError("NotFoundException", f"{service} is not a valid service code", 400)
    found = [
        each
        for region, prefix in REGIONS.items()
        for each in (_rds(region, prefix) if service == "AmazonRDS" else _secrets(region, prefix))
        if all(_matches(each, wanted) for wanted in call.get("Filters", []))
    ]
    return {"FormatVersion": "aws_v1", "PriceList": [json.dumps(each) for each in found]}


def _matches(product: dict[str, Any], wanted: dict[str, str]) -> bool:
    attributes = product["product"]["attributes"]
    attributes = {**attributes, "productFamily": product["product"]["productFamily"]}
    has, value = attributes.get(wanted["Field"], ""), wanted["Value"]
    if wanted["Type"] == "CONTAINS":
        return value in has
    return bool(has == value)


def _rds(region: str, prefix: str) -> Iterator[dict[str, Any]]:
    for engine, code in (("MySQL", "0002"), ("PostgreSQL", "0014")):
        for zones, factor in (("Single-AZ", ""), ("Multi-AZ", "Multi-AZ")):
            about = {"databaseEngine": engine, "deploymentOption": zones, "regionCode": region}
            for name, (vcpus, price) in CLASSES.items():
                usage = f"{prefix}-{factor}{'Usage' if factor else 'InstanceUsage'}:{name}"
                instance = {"instanceType": name, "vcpu": str(vcpus), "usagetype": usage}
                dollars = f"{2 * float(price):.10f}" if factor else price
                yield _product("Database Instance", about | instance, "Hrs", dollars)
            storage = {"volumeType": "General Purpose-GP3"}
            storage["usagetype"] = f"{prefix}-RDS:{factor and 'Multi-AZ-'}GP3-Storage"
            price = "0.2760000000" if factor else "0.1380000000"
            yield _product("Database Storage", about | storage, "GB-Mo", price)
        proxy = {"databaseEngine": engine, "regionCode": region}
        proxy |= {"usagetype": f"{prefix}-RDS:ProxyUsage", "operation": f"CreateDBProxy:{code}"}
        yield _product("RDSProxy", proxy, "Hrs", "0.0190000000")
        for name in CLASSES:
            support = {"databaseEngine": engine, "regionCode": region, "instanceType": name}
            support["deploymentOption"] = "Single-AZ"
            support["usagetype"] = f"{prefix}-ExtendedSupport-InstanceUsage:{name}"
            yield _product("Database Instance", support, "Hrs", "0.1200000000")


def _secrets(region: str, prefix: str) -> Iterator[dict[str, Any]]:
    for usage, unit, price in (
        ("AWSSecretsManager-Secrets", "Secrets", "0.4000000000"),
        ("AWSSecretsManagerAPIRequest", "API Requests", "0.0000050000"),
    ):
        about = {"regionCode": region, "usagetype": f"{prefix}-{usage}"}
        yield _product("Secret" if unit == "Secrets" else "API Request", about, unit, price)


def _product(family: str, attributes: dict[str, str], unit: str, price: str) -> dict[str, Any]:
    sku = attributes["usagetype"].upper()
    dimension = {
        "rateCode": f"{sku}.JRTCKXETXF.6YS6EN2CT7",
        "beginRange": "0",
        "endRange": "Inf",
        "unit": unit,
        "pricePerUnit": {"USD": price},
    }
    reserved = {**dimension, "pricePerUnit": {"USD": "0.0000000001"}}
    return {
        "product": {"productFamily": family, "sku": sku, "attributes": attributes},
        "terms": {
            "OnDemand": {f"{sku}.JRTCKXETXF": {"priceDimensions": {"a": dimension}}},
            "Reserved": {f"{sku}.38NPMPTW36": {"priceDimensions": {"b": reserved}}},
        },
        "publicationDate": PUBLISHED,
        "version": "20261120171109",
    }
