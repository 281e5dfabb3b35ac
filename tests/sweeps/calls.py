"""The calls that change something, of an `up` and of a `teardown`: where a run can be killed."""

from __future__ import annotations

from provision.rehearsal.aws.faults import Kind

# Each mutating call of an `up`, with how many there are of it. Registering a target is asked for
# again and again while the database is being made: the first and the second are enough.
UP = {
    "AttachRolePolicy": 2,
    "AuthorizeSecurityGroupEgress": 2,
    "AuthorizeSecurityGroupIngress": 2,
    "CreateApi": 1,
    "CreateDBInstance": 1,
    "CreateDBProxy": 2,
    "CreateDBSubnetGroup": 1,
    "CreateFunction": 2,
    "CreateIntegration": 2,
    "CreateLogGroup": 4,
    "CreateRole": 4,
    "CreateRoute": 3,
    "CreateSecret": 1,
    "CreateSecurityGroup": 3,
    "CreateServiceLinkedRole": 1,
    "CreateStage": 1,
    "CreateSubnet": 3,
    "CreateVpc": 1,
    "PublishLayerVersion": 1,
    "PutRetentionPolicy": 4,
    "PutRolePolicy": 4,
    "RegisterDBProxyTargets": 2,
    "RevokeSecurityGroupEgress": 3,
}
DOWN = {
    "DeleteApi": 1,
    "DeleteDBInstance": 1,
    "DeleteDBProxy": 2,
    "DeleteDBSubnetGroup": 1,
    "DeleteFunction": 2,
    "DeleteLayerVersion": 1,
    "DeleteLogGroup": 4,
    "DeleteRole": 4,
    "DeleteRolePolicy": 4,
    "DeleteSecret": 1,
    "DeleteSecurityGroup": 3,
    "DeleteSubnet": 3,
    "DeleteVpc": 1,
    "DetachRolePolicy": 2,
    "RevokeSecurityGroupEgress": 2,
    "RevokeSecurityGroupIngress": 2,
    "UpdateFunctionConfiguration": 2,
}
WHEN: tuple[Kind, ...] = ("kill-before", "kill-after")
