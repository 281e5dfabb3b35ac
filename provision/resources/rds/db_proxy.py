"""The two proxies before the database.

A proxy is looked up among all proxies of the region: there are few, and for a missing one the
answer is then an empty list, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from provision.aws.account import Aws, absent, tag_list
from provision.aws.advice import BAD_CREDENTIALS, aws_answer
from provision.errors import AwsCallError
from provision.resources import durations
from provision.resources.base import Change, Seen
from provision.resources.iam import is_new
from provision.resources.ownership import Tags
from provision.resources.permissions import CREATES_OURS, IS_OURS, TAGS_OURS, Statement, tags_back
from provision.resources.rds import RdsResource, tags_of
from provision.resources.references import Output, arn, unresolved

# What RDS says of a proxy's role that it cannot use, or cannot use yet (RDS User Guide, "RDS Proxy
# troubleshooting"; the first is what its other calls say).
ROLE_REFUSALS = ("IAM role ARN value", "security token included in the request is invalid")


@dataclass(frozen=True)
class DBProxy(RdsResource):
    """An RDS Proxy (CreateDBProxy). The two differ in `iam_auth` and `require_tls` alone."""

    proxy_name: str
    iam_auth: str  # DISABLED or REQUIRED
    require_tls: bool
    secret_arn: str
    role_arn: str
    role_granted: str  # known when the role has its policies: RDS may look at them at once
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    idle_client_timeout: int  # seconds
    debug_logging: bool
    log_group: str
    service_linked_role: str

    kind = "AWS::RDS::DBProxy"
    title = "RDS Proxy"
    named_by = "proxy_name"
    ready = frozenset({"available"})
    failed = frozenset({"incompatible-network", "insufficient-resource-limits"})
    requires_replacement = frozenset({"VpcSubnetIds", "EngineFamily"})
    replace_with = frozenset({"VpcSecurityGroupIds"})
    non_blocking = frozenset({"service_linked_role"})
    costs = True
    creation = durations.PROXY_CREATION
    deletion = durations.PROXY_DELETION
    reads = ("rds:DescribeDBProxies", "rds:DescribeDBProxyEndpoints")
    arn_pattern = ("rds", "db-proxy:prx-*")  # the id is AWS's to choose

    lasting_id = "resource_id"

    arn = Output()
    proxy = Output()
    endpoint = Output()
    resource_id = Output()

    def permissions(self) -> Iterator[Statement]:
        yield from super().permissions()
        yield Statement(("rds:CreateDBProxy",), condition=CREATES_OURS)  # it takes no resource
        yield Statement(("rds:AddTagsToResource",), (arn("rds", "db-proxy:*"),), TAGS_OURS)
        yield Statement(("rds:ListTagsForResource",), self.arns())  # whose is it?
        changes = ("rds:DeleteDBProxy", "rds:ModifyDBProxy", "rds:RemoveTagsFromResource")
        yield Statement(changes, self.arns(), IS_OURS)

    def find(self, aws: Aws, known: Mapping[str, str]) -> Seen | None:
        reads: list[Any] = [lambda: aws.listed("rds", "describe_db_proxies", "DBProxies")]
        if arn := known.get("arn"):  # most likely it is this one's tags that are wanted next
            reads.append(lambda: tags_of(aws, arn, lasting=True))
        proxies, *_ = aws.together(*reads)
        proxy, tags = self.ours_of(aws, proxies, known)
        if proxy is None:
            return None
        name = proxy["DBProxyName"]
        created = proxy.get("CreatedDate")
        outputs = proxy_outputs(proxy)
        if self.debug_logging and (proxy.get("DebugLogging") or known.get("debug_logging")):
            outputs["debug_logging"] = "on"  # it was: RDS switches it off by itself
        return Seen(
            outputs,
            self.described(proxy),
            tags=tags.tags,
            unreadable=tags.unreadable,
            name="" if name.lower() == self.name.lower() else name,
            status=proxy["Status"],
            created=created.isoformat() if created else "",
        )

    def for_administrator(self, aws: Aws, seen: Seen) -> str:
        return tags_back(
            aws.environment,
            seen.tags,
            f"aws rds add-tags-to-resource --region {aws.region} --resource-name "
            f"{seen.outputs['arn']} --tags Key=provision:environment,Value={aws.environment} "
            f"Key=provision:step,Value={self.step}",
        )

    def tag(self, aws: Aws, seen: Seen, tags: Mapping[str, str]) -> None:
        super().tag(aws, seen, {**self.tags(aws), **tags})  # see TAGS_OURS

    def ours_of(
        self, aws: Aws, proxies: list[dict[str, Any]], known: Mapping[str, str]
    ) -> tuple[dict[str, Any] | None, Tags]:
        """Return the proxy that is ours by its name, its lasting id or its tags, with its tags."""

        def tags(proxy: Mapping[str, Any]) -> Tags:
            busy = proxy["Status"] not in self.ready  # nobody changes it meanwhile
            return tags_of(aws, proxy["DBProxyArn"], lasting=busy)

        named = [each for each in proxies if each["DBProxyName"].lower() == self.name.lower()]
        recorded = [each for each in proxies if each["DBProxyArn"] == known.get("arn")]
        for proxy in named if named != recorded and recorded else ():
            if (its := tags(proxy)).carry(aws.environment, self.step):
                return proxy, its
        for proxy in recorded or named:
            return proxy, tags(proxy)
        for proxy in proxies:
            if (its := tags(proxy)).carry(aws.environment, self.step):
                return proxy, its
        return None, Tags({})

    def identity(self, outputs: Mapping[str, str]) -> str:
        return outputs.get("proxy") or self.name

    def described(self, proxy: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is compared; of the secrets that the proxy logs in with, our own."""
        auths = proxy.get("Auth") or [{}]
        auth = next((each for each in auths if each.get("SecretArn") == self.secret_arn), auths[0])
        return {
            "Auth.others": [each for each in auths if each is not auth],
            "EngineFamily": proxy["EngineFamily"],
            "IAMAuth": auth.get("IAMAuth"),
            "AuthScheme": auth.get("AuthScheme"),
            "SecretArn": auth.get("SecretArn"),
            "RequireTLS": proxy.get("RequireTLS"),
            "RoleArn": proxy["RoleArn"],
            "IdleClientTimeout": proxy.get("IdleClientTimeout"),
            "DebugLogging": proxy.get("DebugLogging"),
            "VpcSubnetIds": sorted(proxy["VpcSubnetIds"]),
            "VpcSecurityGroupIds": sorted(proxy["VpcSecurityGroupIds"]),
        }

    def properties(self) -> dict[str, Any]:
        return {
            "EngineFamily": "MYSQL",
            "IAMAuth": self.iam_auth,
            "AuthScheme": "SECRETS",
            "SecretArn": self.secret_arn,
            "RequireTLS": self.require_tls,
            "RoleArn": self.role_arn,
            "IdleClientTimeout": self.idle_client_timeout,
            "DebugLogging": self.debug_logging,
            "VpcSubnetIds": sorted(self.subnet_ids),
            "VpcSecurityGroupIds": sorted(self.security_group_ids),
        }

    def differs(self, name: str, is_: Any, should: Any) -> bool:
        """RDS leaves out subnets whose zone has no RDS Proxy, without saying so."""
        if name == "VpcSubnetIds":
            return not is_ or not set(is_) <= set(should)
        return super().differs(name, is_, should)

    def differences(self, seen: Seen, aws: Aws) -> list[Change]:
        """Debug logging that RDS switched off after its 24 hours is nobody's change."""
        return [
            each
            for each in super().differences(seen, aws)
            if each.property != "DebugLogging" or not self.switched_off(seen)
        ]

    def switched_off(self, seen: Seen) -> bool:
        """Return whether debug logging was on, as it should be, and is off now."""
        return bool(seen.outputs.get("debug_logging")) and not seen.properties["DebugLogging"]

    def kept(self, seen: Seen) -> list[str]:
        """Return what RDS did by itself, and what somebody added."""
        kept = []
        if seen.name:
            kept.append(
                f"the proxy {self.name} was renamed to {seen.name}: used under that name. To "
                f"rename it back: aws rds modify-db-proxy --db-proxy-name {seen.name} "
                f"--new-db-proxy-name {self.name}"
            )
        if self.switched_off(seen):
            kept.append(
                "debug logging is off: RDS switches it off after 24 hours. To turn it on again: "
                "`up --set proxy.debug_logging=false`, then `up`"
            )
        wanted = {each for each in self.subnet_ids if not unresolved(each)}
        if left_out := wanted - set(seen.properties["VpcSubnetIds"]):
            kept.append(f"RDS Proxy does not use {', '.join(sorted(left_out))}: kept")
        for each in seen.properties["Auth.others"]:
            kept.append(f"somebody added the login by {each.get('SecretArn')} to the proxy: kept")
        return kept

    def auth(self) -> Any:
        """Return the Auth parameter: how clients log in, and with which secret the proxy does."""
        return [{"AuthScheme": "SECRETS", "SecretArn": self.secret_arn, "IAMAuth": self.iam_auth}]

    def create(self, aws: Aws) -> dict[str, str]:
        with self.judged_by_role(aws):
            answer = aws.rds.create_db_proxy(
                DBProxyName=self.name,
                EngineFamily="MYSQL",
                Auth=self.auth(),
                RoleArn=self.role_arn,
                VpcSubnetIds=list(self.subnet_ids),
                VpcSecurityGroupIds=list(self.security_group_ids),
                RequireTLS=self.require_tls,
                IdleClientTimeout=self.idle_client_timeout,
                DebugLogging=self.debug_logging,
                Tags=tag_list(self.tags(aws)),
            )
        return proxy_outputs(answer["DBProxy"])

    @contextmanager
    def judged_by_role(self, aws: Aws) -> Iterator[None]:
        """Tell what RDS says of a role that is too new from what it says of one that is bad.

        Raises AwsCallError for what may be the role; `final` where the role is not new.
        """
        try:
            yield
        except ClientError as error:
            answer = aws_answer(error)
            if not any(words in answer.message for words in ROLE_REFUSALS):
                raise
            new = is_new(aws, self.role_arn)
            if not new and answer.code in BAD_CREDENTIALS:
                raise  # the caller's own credentials, then
            raise AwsCallError(
                self.step,
                answer,
                next_step=f"RDS has to be able to assume {self.role_arn}: check its trust policy "
                "and its policies (`python -m provision plan` shows what differs).",
                final=not new,
            ) from error

    def update(self, aws: Aws, seen: Seen, changes: Mapping[str, Change]) -> None:
        with self.judged_by_role(aws):
            aws.rds.modify_db_proxy(
                DBProxyName=seen.outputs["proxy"],
                Auth=[*self.auth(), *seen.properties["Auth.others"]],
                RequireTLS=self.require_tls,
                IdleClientTimeout=self.idle_client_timeout,
                DebugLogging=self.debug_logging,
                RoleArn=self.role_arn,
                SecurityGroups=list(self.security_group_ids),
            )

    def delete(self, aws: Aws, seen: Seen) -> None:
        with absent("DBProxyNotFoundFault"):
            aws.rds.delete_db_proxy(DBProxyName=seen.outputs["proxy"])


def proxy_outputs(proxy: Mapping[str, Any]) -> dict[str, str]:
    """Return what other resources use of a proxy. Its `prx-…` id is the last part of its ARN."""
    outputs = {
        "proxy": proxy["DBProxyName"],
        "arn": proxy["DBProxyArn"],
        "resource_id": proxy["DBProxyArn"].rpartition(":")[2],
    }
    return outputs | ({"endpoint": proxy["Endpoint"]} if proxy.get("Endpoint") else {})
