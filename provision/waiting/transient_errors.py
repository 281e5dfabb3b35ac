"""What AWS refuses for a while and then accepts: one table, each row with its source.

AWS answers from many places that learn of a change one after another. A call that uses what was
just made is repeated on exactly these answers, for as long as the row allows, and on no others.
Sources: Amazon EC2 API, "Eventual consistency"; IAM User Guide, "Changes that I make are not always
immediately visible"; the retry lists of AWS's own CloudFormation handlers for RDS and of the
Terraform AWS provider for Lambda and EC2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provision.errors import AwsCallError

MINUTE = 60.0


@dataclass(frozen=True)
class Passing:
    """A temporary refusal: `operation` and `code` match whole, `words` occur in the message.

    AWS may refuse for `seconds`, and usually stops after `usual` (0 = soon).
    """

    operation: str
    code: str
    words: str
    seconds: float
    because: str
    usual: float = 0.0
    neighbour: bool = False  # it passes when something that the call names changes its state

    def knows(self, error: AwsCallError) -> bool:
        """Return whether this row describes `error`."""
        answer = error.answer
        return bool(
            re.fullmatch(self.operation, answer.operation)
            and re.fullmatch(self.code, answer.code)
            and self.words.lower() in answer.message.lower()
        )


TABLE = (
    # --- a new id is not known everywhere at once (EC2: seconds) -------------------------------
    Passing(
        "(Create|Authorize|Revoke|Modify|Register|Describe).*",
        r"Invalid(Vpc|Subnet|Group|SecurityGroup)(ID|Id)?\.NotFound",
        "",
        2 * MINUTE,
        "the new id has not reached all of EC2 yet",
    ),
    Passing(
        "CreateTags",
        r"Invalid.*\.NotFound",
        "",
        2 * MINUTE,
        "the new id has not reached all of EC2 yet",
    ),
    Passing(
        "CreateDB(SubnetGroup|Instance|Proxy)",
        "InvalidSubnet|InvalidVPCNetworkStateFault",
        "",
        2 * MINUTE,
        "RDS does not see the new subnets yet",
    ),
    Passing(
        "CreateDB(Instance|Proxy)",
        "DBSubnetGroupNotFoundFault",
        "",
        2 * MINUTE,
        "RDS does not see the new subnet group yet",
    ),
    Passing(
        "(PutRolePolicy|AttachRolePolicy|GetRole|TagRole|UpdateAssumeRolePolicy)",
        "NoSuchEntity",
        "the role with name",  # a policy that does not exist has "role" in its ARN, and stays away
        2 * MINUTE,
        "the new role has not reached all of IAM yet",
    ),
    # --- a new role is not assumable at once (IAM: seconds, rarely minutes) --------------------
    Passing(
        "(CreateFunction|UpdateFunctionConfiguration)",
        "InvalidParameterValueException",
        "cannot be assumed by Lambda",
        5 * MINUTE,
        "Lambda cannot assume the new role yet",
    ),
    Passing(
        "(CreateFunction|UpdateFunctionConfiguration)",
        "InvalidParameterValueException",
        "does not have permissions to call",
        5 * MINUTE,
        "the new role's policies have not reached Lambda yet",
    ),
    Passing(
        "(CreateFunction|UpdateFunctionConfiguration)",
        "InvalidParameterValueException",
        "KMS key is invalid for CreateGrant",
        5 * MINUTE,
        "the new role has not reached KMS yet",
    ),
    Passing(
        "(CreateFunction|UpdateFunctionConfiguration)",
        "InvalidParameterValueException",
        "throttled by EC2",
        5 * MINUTE,
        "EC2 throttles Lambda's network set-up",
    ),
    Passing(
        "CreateDB(SubnetGroup|Instance|Proxy)",
        "InvalidParameterValue|InvalidParameterCombination",
        "service linked role",
        5 * MINUTE,
        "RDS cannot use its new service-linked role yet",
    ),
    Passing(
        "CreateDB(SubnetGroup|Instance|Proxy)",
        ".*",
        "service-linked role",
        5 * MINUTE,
        "RDS cannot use its new service-linked role yet",
    ),
    Passing(
        "CreateDB(SubnetGroup|Instance|Proxy)",
        "InvalidParameterValue",
        "Missing necessary credentials",
        5 * MINUTE,
        "RDS cannot use its new service-linked role yet",
    ),
    Passing(
        "CreateDBProxy|ModifyDBProxy",
        "InvalidParameterValue",
        "IAM role ARN value",
        5 * MINUTE,
        "RDS cannot assume the new role yet, or does not see its policies yet",
    ),
    Passing(
        "CreateDBProxy|ModifyDBProxy",
        ".*",
        "security token included in the request is invalid",
        5 * MINUTE,
        "RDS cannot assume the new role yet",
    ),
    # --- a neighbour is busy --------------------------------------------------------------------
    Passing(
        "RegisterDBProxyTargets",
        "InvalidDBInstanceState(Fault)?",
        "",
        60 * MINUTE,
        "the DB instance does not take a target registration yet",
        usual=7 * MINUTE,  # what a new instance takes
        neighbour=True,
    ),
    Passing(
        "(RegisterDBProxyTargets|DeregisterDBProxyTargets|ModifyDBProxy|ModifyDBProxyTargetGroup|DeleteDBProxy)",
        "InvalidDBProxyStateFault",
        "",
        30 * MINUTE,
        "the proxy is busy",
        neighbour=True,
    ),
    Passing(
        "(ModifyDBInstance|DeleteDBInstance)",
        "InvalidDBInstanceState(Fault)?",
        "",
        60 * MINUTE,
        "the DB instance is busy",
    ),
    Passing(
        "(UpdateFunctionCode|UpdateFunctionConfiguration|DeleteFunction|CreateFunction)",
        "ResourceConflictException",
        "progress",
        5 * MINUTE,
        "Lambda is still applying the last change",
    ),
    Passing(
        "(UpdateFunctionCode|UpdateFunctionConfiguration|CreateFunction)",
        "ResourceConflictException",
        "in the following state",
        5 * MINUTE,
        "Lambda is still setting the function up",
    ),
    Passing(
        "(Create|Update|Delete).*",
        "ConflictException|OperationAbortedException",
        "concurrent",
        1 * MINUTE,
        "another change is under way",
    ),
    Passing(
        ".*",
        "ConcurrentModification(Exception)?",  # IAM's; its message says "simultaneously"
        "",
        2 * MINUTE,
        "another change of the same resource is under way",
    ),
    Passing(
        ".*LogGroup|PutRetentionPolicy",
        "OperationAbortedException",
        "",
        1 * MINUTE,
        "another change of the log group is under way",
    ),
    Passing(
        "CreateSecret",
        "InvalidRequestException",
        "deletion",
        3 * MINUTE,
        "the old secret's name is not free yet",
    ),
    # --- what uses it still exists --------------------------------------------------------------
    Passing(
        "Delete(SecurityGroup|Subnet|Vpc)",
        r"DependencyViolation|InvalidGroup\.InUse",
        "",
        60 * MINUTE,
        "something still uses it",
    ),
    Passing(
        "DeleteDBSubnetGroup",
        "InvalidDBSubnetGroupState(Fault)?",
        "",
        60 * MINUTE,
        "a DB instance still uses it",
    ),
    Passing(
        "DeleteNetworkInterface",
        r"InvalidNetworkInterface\.InUse|InvalidParameterValue",
        "",
        5 * MINUTE,
        "the interface is still attached",
    ),
    Passing("DeleteRole", "DeleteConflict", "", 1 * MINUTE, "IAM still sees a policy on the role"),
)


def passing(error: BaseException) -> Passing | None:
    """Return the row that says that `error` is temporary, or None if it is not."""
    if not isinstance(error, AwsCallError) or error.final:
        return None
    return next((row for row in TABLE if row.knows(error)), None)
