"""Which of AWS's refusals pass by themselves: an answer for each row, and those that do not."""

from __future__ import annotations

import pytest

from provision.errors import AwsAnswer, AwsCallError, ProvisionError
from provision.waiting.transient_errors import MINUTE, TABLE, passing

# Operation, code and message as AWS answers them, in the order of the table.
PASS = [
    ("CreateSubnet", "InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist"),
    ("CreateTags", "InvalidSecurityGroupRuleId.NotFound", "'sgr-1' does not exist"),
    ("CreateDBSubnetGroup", "InvalidSubnet", "Some input subnets in :[subnet-1] are invalid."),
    ("CreateDBInstance", "DBSubnetGroupNotFoundFault", "DB subnet group 'demo' does not exist."),
    ("PutRolePolicy", "NoSuchEntity", "The role with name demo cannot be found."),
    (
        "CreateFunction",
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    (
        "CreateFunction",
        "InvalidParameterValueException",
        "The provided execution role does not have permissions to call CreateNetworkInterface "
        "on EC2",
    ),
    (
        "CreateFunction",
        "InvalidParameterValueException",
        "Lambda was unable to configure access to your environment variables because the KMS key "
        "is invalid for CreateGrant.",
    ),
    (
        "CreateFunction",
        "InvalidParameterValueException",
        "Your request has been throttled by EC2, please make sure you have enough API rate limit.",
    ),
    (
        "CreateDBSubnetGroup",
        "InvalidParameterValue",
        "The AWS service linked role cannot be used yet",
    ),
    (
        "CreateDBProxy",
        "AccessDenied",
        "Unable to create the resource. Verify that you have permission to create service-linked "
        "role.",
    ),
    ("CreateDBProxy", "InvalidParameterValue", "Missing necessary credentials"),
    (
        "CreateDBProxy",
        "InvalidParameterValue",
        "IAM role ARN value is invalid or does not include the required permissions",
    ),
    (
        "CreateDBProxy",
        "InvalidClientTokenId",
        "The security token included in the request is invalid",
    ),
    (
        "RegisterDBProxyTargets",
        "InvalidDBInstanceState",
        "DB instance demo is in an unsupported state - CREATING, needs to be in [AVAILABLE]",
    ),
    (
        "DeregisterDBProxyTargets",
        "InvalidDBProxyStateFault",
        "DB Proxy demo is in an unsupported state - MODIFYING, needs to be in [AVAILABLE]",
    ),
    ("ModifyDBInstance", "InvalidDBInstanceState", "Database instance is not in available state."),
    (
        "UpdateFunctionCode",
        "ResourceConflictException",
        "The operation cannot be performed at this time. An update is in progress for resource: x",
    ),
    (
        "UpdateFunctionConfiguration",
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the "
        "following state: Pending",
    ),
    ("CreateRoute", "ConflictException", "Unable to complete operation due to concurrent change"),
    (
        "AttachRolePolicy",
        "ConcurrentModification",
        "The request was rejected because multiple requests to change this object were submitted "
        "simultaneously. Wait a few minutes and submit your request again.",
    ),
    (
        "PutRetentionPolicy",
        "OperationAbortedException",
        "A conflicting operation is currently under way",
    ),
    (
        "CreateSecret",
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for "
        "deletion.",
    ),
    ("DeleteSecurityGroup", "DependencyViolation", "resource sg-1 has a dependent object"),
    (
        "DeleteDBSubnetGroup",
        "InvalidDBSubnetGroupStateFault",
        "Cannot delete the subnet group 'demo' because at least one database instance uses it.",
    ),
    (
        "DeleteNetworkInterface",
        "InvalidParameterValue",
        "Network interface 'eni-1' is currently in use.",
    ),
    ("DeleteRole", "DeleteConflict", "Cannot delete entity, must delete policies first."),
]

# Further answers of the same rows: other codes, other operations.
ALSO = [
    ("CreateDBInstance", "InvalidVPCNetworkStateFault", "The DB subnet group's VPC is not ready."),
    ("CreateDBInstance", "InvalidParameterCombination", "The service linked role is not usable."),
    ("ModifyDBProxy", "InvalidParameterValue", "IAM role ARN value is invalid"),
    (
        "ModifyDBProxy",
        "InvalidClientTokenId",
        "The security token included in the request is invalid",
    ),
    ("UpdateIntegration", "OperationAbortedException", "Aborted by a concurrent operation"),
    ("DeleteSecurityGroup", "InvalidGroup.InUse", "sg-1 is currently in use"),
]

STAND = [
    # much like the above, but final
    ("CreateSubnet", "InvalidSubnet.Conflict", "The CIDR '10.0.1.0/24' conflicts with another"),
    ("DeleteSubnet", "InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
    ("CreateDBInstance", "DBInstanceAlreadyExists", "DB instance already exists"),
    ("CreateDBInstance", "InvalidParameterValue", "Invalid DB engine version 8.9"),
    ("CreateDBInstance", "DBSubnetGroupDoesNotCoverEnoughAZs", "at least two zones"),
    ("CreateFunction", "InvalidParameterValueException", "Unzipped size must be smaller than 262"),
    ("CreateFunction", "ResourceConflictException", "Function already exist: demo-iam"),
    ("PutRolePolicy", "MalformedPolicyDocument", "The policy failed legacy parsing"),
    (
        "AttachRolePolicy",
        "NoSuchEntity",
        "Policy arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole does not "
        "exist or is not attachable.",
    ),
    ("CreateSecret", "ResourceExistsException", "the secret demo/database already exists"),
    ("PutSecretValue", "InvalidRequestException", "the secret is marked for deletion"),
    ("DeleteIntegration", "ConflictException", "Cannot delete Integration due to Route"),
    ("DeleteDBInstance", "InvalidParameterCombination", "Cannot delete protected DB Instance"),
    ("CreateVpc", "VpcLimitExceeded", "The maximum number of VPCs has been reached."),
    ("CreateDBInstance", "AccessDenied", "User is not authorized to perform: rds:CreateDBInstance"),
]


def answered(operation: str, code: str, message: str) -> AwsCallError:
    return AwsCallError("step", AwsAnswer(operation, code, message))


def test_each_row_knows_its_answer_and_is_needed() -> None:
    rows = [passing(answered(*answer)) for answer in PASS]
    assert rows == list(TABLE)


def test_only_what_a_busy_instance_or_proxy_refuses_waits_for_a_neighbour() -> None:
    neighbours = [operation for operation, code, words in PASS if waits(operation, code, words)]
    assert neighbours == ["RegisterDBProxyTargets", "DeregisterDBProxyTargets"]


def waits(*answer: str) -> bool:
    """Return whether a refused call waits for another resource of the same run."""
    row = passing(answered(*answer))
    return row is not None and row.neighbour


@pytest.mark.parametrize("answer", ALSO, ids=lambda answer: f"{answer[0]}-{answer[1]}")
def test_a_row_knows_its_other_answers(answer: tuple[str, str, str]) -> None:
    assert passing(answered(*answer)) in TABLE


def test_a_longer_name_is_another_one() -> None:
    """Operation and code are compared as a whole: AWS has codes that begin as others do."""
    for operation, code, message in PASS + ALSO:
        row = passing(answered(operation, code, message))
        assert row is not None
        others = []
        if not row.code.endswith(".*"):
            others += [(operation, f"{code}Exceeded"), (operation, f"Not{code}")]
        if not row.operation.endswith(".*"):
            others += [(f"{operation}AsOf", code)]
        if not row.operation.startswith(".*"):
            others += [(f"Batch{operation}", code)]
        for other in others:
            assert not row.knows(answered(*other, message)), (row.because, other)


def test_the_words_are_looked_for_whatever_their_case() -> None:
    for operation, code, message in PASS:
        for text in (message.upper(), message.lower()):
            assert passing(answered(operation, code, text)) is not None


# What these wait for takes AWS many minutes: an instance, a proxy, the interfaces of a function.
LONG = {
    "RegisterDBProxyTargets",
    "DeregisterDBProxyTargets",
    "ModifyDBInstance",
    "DeleteSecurityGroup",
    "DeleteDBSubnetGroup",
}


@pytest.mark.parametrize("answer", PASS, ids=lambda answer: f"{answer[0]}-{answer[1]}")
def test_only_what_takes_aws_long_is_waited_for_long(answer: tuple[str, str, str]) -> None:
    row = passing(answered(*answer))
    assert row is not None
    if answer[0] in LONG:
        assert 1800 <= row.seconds <= 3600
    else:
        assert 60 <= row.seconds <= 300
    # Only an instance that is being created takes its time when all is well.
    assert 300 <= row.usual <= 600 if answer[0] == "RegisterDBProxyTargets" else row.usual == 0


@pytest.mark.parametrize("answer", STAND, ids=lambda answer: f"{answer[0]}-{answer[1]}")
def test_what_does_not_pass_is_told_at_once(answer: tuple[str, str, str]) -> None:
    assert passing(answered(*answer)) is None


def test_what_is_final_by_its_own_words_does_not_pass() -> None:
    error = answered("DeleteSubnet", "DependencyViolation", "has dependencies")
    assert passing(error) is not None
    error.final = True
    assert passing(error) is None


def test_only_what_aws_answered_can_pass() -> None:
    assert passing(ProvisionError("DependencyViolation")) is None
    assert passing(ValueError("DependencyViolation")) is None


def test_every_row_says_why_and_for_how_long() -> None:
    assert all(row.because and MINUTE <= row.seconds <= 60 * MINUTE for row in TABLE)
