"""What a region's name implies: its partition, and whether an account has to enable it."""

from __future__ import annotations

# What a region's name begins with, in every partition but `aws`.
PARTITIONS = {
    "cn-": "aws-cn",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
}
# Regions that every account has; all others of the partition `aws` are enabled by the account
# (AWS Account Management, "Enable or disable AWS Regions in your account").
ALWAYS_ENABLED = {
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
    *("ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
}


def partition_of(region: str) -> str:
    """Return the partition of a region, also of one that botocore does not know yet."""
    return next((name for start, name in PARTITIONS.items() if region.startswith(start)), "aws")


def off_by_default(region: str) -> bool:
    """Return whether an account has to enable the region first."""
    return bool(region) and region not in ALWAYS_ENABLED and partition_of(region) == "aws"
