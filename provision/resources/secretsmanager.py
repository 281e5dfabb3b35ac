"""The database's user and password: the one secret, made here and kept only at AWS.

Follows the AWS Secrets Manager API reference. DeleteSecret normally only schedules a deletion; ours
is forced, so that the next `up` finds the name free and nothing is left that could be read.
"""

from __future__ import annotations

import json
import secrets
import string
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, code_of, pages, tag_list, tag_map
from provision.aws.advice import DENIED
from provision.errors import ProvisionError
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.blockers import Blocker
from provision.resources.references import Output

PASSWORD_LENGTH = 32  # RDS takes 8 to 41 printable characters, without / " @ and space
ALPHABET = string.ascii_letters + string.digits


def new_password() -> str:
    """Return a random password that MySQL, RDS and JSON all take as it is."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))


@dataclass(frozen=True)
class Secret(ManagedResource):
    """A secret `{"username", "password"}` with a password generated here."""

    secret_name: str
    description: str
    username: str

    kind = "AWS::SecretsManager::Secret"
    title = "secret"
    named_by = "secret_name"
    costs = True
    recomputes: ClassVar[Mapping[str, tuple[str, ...]]] = {"Password": ("password",)}

    writes = (
        "secretsmanager:CreateSecret",
        "secretsmanager:DeleteSecret",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:RestoreSecret",
        "secretsmanager:TagResource",
        "secretsmanager:UntagResource",
    )
    # AWS adds a hyphen and six characters. `NAME-*` would match another secret, NAME-prod-….
    arn_pattern = ("secretsmanager", "secret:{name}-??????")

    lasting_id = "arn"  # it ends in six characters that AWS chose

    arn = Output()
    password = Output()

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        """Describe the secret; where that is denied, ask whether there is one to describe.

        IAM knows a secret that does not exist by its bare name alone, which no ARN in a policy
        matches: a caller who may describe this one secret is denied as long as it does not exist.
        """
        try:
            return self.described(aws)
        except ClientError as error:
            if code_of(error) not in DENIED or self.listed(aws):
                raise
        return None

    def listed(self, aws: Aws) -> bool:
        """Return whether there is a secret of this name that is not about to be deleted.

        True also where the list is denied: then nothing is known.
        """
        filters = [{"Key": "name", "Values": [self.secret_name]}]
        with absent(*DENIED):
            found = pages(aws.secretsmanager, "list_secrets", "SecretList", Filters=filters)
            return any(each["Name"] == self.secret_name for each in found)
        return True

    def described(self, aws: Aws) -> Seen | None:
        """Return the secret as AWS describes it, or None where AWS answers that there is none."""
        with absent("ResourceNotFoundException"):
            secret, value = aws.together(
                lambda: aws.secretsmanager.describe_secret(SecretId=self.secret_name),
                lambda: self.value(aws),
            )
            deleted = secret.get("DeletedDate")
            password = parsed(value).get("password")
            return Seen(
                {"arn": secret["ARN"]},
                {
                    "DeletedDate": deleted and deleted.isoformat(),
                    "SecretString": self.shape(value, deleted=bool(deleted)),
                },
                tags=tag_map(secret.get("Tags")),
                secrets={"password": password} if password else {},
            )
        return None

    def value(self, aws: Aws) -> str:
        """Return the secret's text, or "" where it has none or is scheduled for deletion."""
        with absent("ResourceNotFoundException", "InvalidRequestException"):
            answer = aws.secretsmanager.get_secret_value(SecretId=self.secret_name)
            return answer.get("SecretString", "")
        return ""

    def shape(self, value: str, *, deleted: bool) -> str:
        """Return what the secret's text is like, without telling it."""
        pair = parsed(value)
        if deleted or (pair.get("password") and pair.get("username") == self.username):
            return self.good_shape()
        if not pair:
            return 'not JSON with "username" and "password"'
        if not pair.get("password"):
            return "JSON without a password"
        return f"username {pair.get('username')!r} and a password"

    def good_shape(self) -> str:
        """Return what the secret's text should be like."""
        return f"username {self.username!r} and a password"

    def properties(self) -> dict[str, Any]:
        return {"DeletedDate": None, "SecretString": self.good_shape()}

    def create(self, aws: Aws) -> dict[str, str]:
        answer = aws.secretsmanager.create_secret(
            Name=self.secret_name,
            Description=self.description,
            SecretString=json.dumps({"username": self.username, "password": new_password()}),
            ClientRequestToken=str(uuid.uuid4()),
            Tags=tag_list(self.tags(aws)),
        )
        return {"arn": answer["ARN"]}

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        if "DeletedDate" in changes:
            aws.secretsmanager.restore_secret(SecretId=self.secret_name)
            if not {"Password", "SecretString"} & set(changes):
                return
        password = new_password() if "Password" in changes else self.password_at_aws(aws)
        if not password:
            raise ProvisionError(
                f"{self.step}: the secret {self.secret_name} holds "
                f"{changes['SecretString'].is_}; it should hold {changes['SecretString'].should}",
                next_step="`python -m provision up --reset-password` writes a new password to the "
                "secret, the database and the function.",
            )
        aws.secretsmanager.put_secret_value(
            SecretId=self.secret_name,
            SecretString=json.dumps({"username": self.username, "password": password}),
            ClientRequestToken=str(uuid.uuid4()),
        )

    def password_at_aws(self, aws: Aws) -> str:
        """Return the password that the secret holds, or "" where it holds none that can be read."""
        return parsed(self.value(aws)).get("password", "")

    def blocked_by(self, aws: Aws, seen: Seen) -> list[Blocker]:
        """Return the replicas in other regions, which keep their primary (DescribeSecret)."""
        with absent("ResourceNotFoundException"):
            secret = aws.secretsmanager.describe_secret(SecretId=seen.outputs["arn"])
            return [
                Blocker(
                    f"replica in {each['Region']}",
                    "somebody replicated the secret",
                    "aws secretsmanager remove-regions-from-replication --secret-id "
                    f"{self.secret_name} --remove-replica-regions {each['Region']}",
                    lasts=True,
                )
                for each in secret.get("ReplicationStatus", ())
            ]
        return []

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        aws.secretsmanager.tag_resource(SecretId=self.secret_name, Tags=tag_list(tags))

    def untag(self, aws: Aws, seen: Seen, keys: Sequence[str]) -> None:
        aws.secretsmanager.untag_resource(SecretId=self.secret_name, TagKeys=list(keys))

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("ResourceNotFoundException"):
            aws.secretsmanager.delete_secret(
                SecretId=self.secret_name, ForceDeleteWithoutRecovery=True
            )


def parsed(value: str) -> dict[str, str]:
    """Return the pair that the secret's text holds, or {} when it is no JSON object of strings."""
    try:
        pair = json.loads(value)
    except ValueError:
        return {}
    if not isinstance(pair, dict) or "username" not in pair:
        return {}
    return {key: text for key, text in pair.items() if isinstance(text, str)}
