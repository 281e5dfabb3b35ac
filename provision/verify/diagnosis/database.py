"""Causes behind the function: the proxy, its target, its role, the secret, the DB instance.

Follows the Amazon RDS User Guide, "Troubleshooting for RDS Proxy", and TargetHealth of the Amazon
RDS API reference.
"""

from __future__ import annotations

from provision.verify.diagnosis.cause import CHECK, RESET_PASSWORD, UP, Cause, differing, is_should
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import allowed_on, allows, trusted, trusts

RDS_SERVICE = "rds.amazonaws.com"
READ_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an action
WARMING = "the proxy is still warming up: that takes minutes, rarely a quarter of an hour"
UNREAD = "the proxy has not read its secret yet, though secret and role are right"
UNREACHED = "the proxy does not reach the database, although every rule allows it"
NOT_READ = "does not have any registered credentials"
SERVING = ("available", "backing-up", "modifying", "storage-optimization")


def proxy_missing(evidence: Evidence) -> Cause | None:
    """The proxy does not exist."""
    declared = evidence.proxy
    if not evidence.missing(declared):
        return None
    return Cause("the proxy is missing", f"DescribeDBProxies: no {evidence.name(declared)}")


def proxy_not_available(evidence: Evidence) -> Cause | None:
    """The proxy is being made or changed, or cannot be."""
    declared = evidence.proxy
    proxy = evidence.seen(declared)
    if proxy is None or proxy.status == "available":
        return None
    broken = proxy.status in evidence.should(declared).failed
    return Cause(
        "AWS cannot run the proxy" if broken else "the proxy is not available yet",
        f"DescribeDBProxies: {evidence.name(declared)} is {proxy.status}",
        UP if broken else CHECK,
        certain=broken,
    )


def proxy_takes_another_login(evidence: Evidence) -> Cause | None:
    """The proxy's IAMAuth is that of the other login."""
    change = evidence.change(evidence.proxy, "IAMAuth")
    if not change:
        return None
    return Cause("the proxy expects another kind of login", differing("IAMAuth", change))


def tls_not_required(evidence: Evidence) -> Cause | None:
    """The IAM proxy does not insist on TLS."""
    change = evidence.change(evidence.proxy, "RequireTLS")
    if not change or not change.should:
        return None
    return Cause(
        "the IAM proxy does not require TLS, so a client may send its token in clear",
        differing("RequireTLS", change),
    )


def database_not_available(evidence: Evidence) -> Cause | None:
    """The DB instance is deleted, stopped, or broken."""
    declared = evidence.template.db_instance
    name, instance = evidence.name(declared), evidence.seen(declared)
    if evidence.missing(declared):
        return Cause("the DB instance is missing", f"DescribeDBInstances: no {name}")
    if instance is None or instance.status in SERVING:
        return None
    reason = f" ({instance.reason})" if instance.reason else ""
    proof = f"DescribeDBInstances: {name} is {instance.status}{reason}"
    if instance.status == "stopped":
        start = f"aws rds start-db-instance --db-instance-identifier {name}; then {CHECK}"
        return Cause("the DB instance is stopped", proof, start)
    broken = instance.status in evidence.should(declared).failed
    sentence = "the DB instance is broken" if broken else "the DB instance is not available now"
    return Cause(sentence, proof, UP if broken else CHECK, certain=broken)


def target_not_registered(evidence: Evidence) -> Cause | None:
    """The proxy has no target, and so no database."""
    if not evidence.missing(evidence.target):
        return None
    proxy, instance = evidence.name(evidence.proxy), evidence.name(evidence.template.db_instance)
    return Cause(
        "the DB instance is not registered as the proxy's target",
        f"DescribeDBProxyTargets of {proxy}: no {instance}",
    )


def secret_unusable(evidence: Evidence) -> Cause | None:
    """The secret is missing, waits for its deletion, or is not a user and a password."""
    name = evidence.name(evidence.template.secret)
    if evidence.missing(evidence.template.secret):
        return Cause("the secret is missing", f"DescribeSecret: no {name}", RESET_PASSWORD)
    if change := evidence.change(evidence.template.secret, "DeletedDate"):
        return Cause("the secret is scheduled for deletion", differing("DeletedDate", change))
    if change := evidence.change(evidence.template.secret, "SecretString"):
        user = "username" in str(change.is_) and not str(change.is_).startswith("not JSON")
        return Cause(
            "the secret is for another user than the database's"
            if user
            else 'the secret is not JSON of the form {"username": ..., "password": ...}',
            is_should(f"the content of {name}", change.is_, change.should),
            RESET_PASSWORD,
        )
    if change := evidence.change(evidence.proxy, "SecretArn"):
        return Cause("the proxy uses another secret", differing("SecretArn", change))
    return None


def proxy_cannot_read_secret(evidence: Evidence) -> Cause | None:
    """RDS cannot assume the proxy's role, or the role may not read the secret."""
    role = evidence.template.proxy_role
    if evidence.missing(role):
        return Cause("the proxies' role is missing", f"GetRole: no {evidence.name(role)}")
    if change := evidence.change(evidence.proxy, "RoleArn"):
        return Cause("the proxy has another role", differing("RoleArn", change))
    trust, policies = evidence.is_(role, "AssumeRolePolicyDocument"), evidence.is_(role, "Policies")
    if trust is not None and not trusts(trust, RDS_SERVICE):
        return Cause(
            "RDS may not assume the proxies' role",
            is_should(f"who may assume {evidence.name(role)}", trusted(trust), RDS_SERVICE),
        )
    secret = evidence.seen(evidence.template.secret)
    if policies is None or secret is None:
        return None
    arn = secret.outputs["arn"]
    if allows(policies.values(), READ_SECRET, arn):
        return None
    allowed = allowed_on(policies.values(), READ_SECRET)
    return Cause(
        "the proxies' role may not read the secret",
        is_should(f"{READ_SECRET} of {evidence.name(role)}", allowed, arn),
    )


def database_refuses_secret(evidence: Evidence) -> Cause | None:
    """The proxy can read the secret, and the database refuses what is in it."""
    target = evidence.seen(evidence.target)
    if target is None or target.reason_code != "AUTH_FAILURE" or NOT_READ in target.reason:
        return None
    secret = evidence.name(evidence.template.secret)
    return Cause(
        "the password in the secret is not the database's",
        f"DescribeDBProxyTargets: {target.status}, {target.reason}; {secret} has the right "
        f"form and user{evidence.proxy_said}",
        RESET_PASSWORD,
        certain=other_password(evidence),
    )


def function_has_another_password(evidence: Evidence) -> Cause | None:
    """The password function's DB_PASSWORD is not the secret's."""
    if evidence.login != "password" or not other_password(evidence):
        return None
    name, secret = evidence.name(evidence.function), evidence.name(evidence.template.secret)
    return Cause(
        "the function's DB_PASSWORD is not the secret's password",
        f"DB_PASSWORD of {name} and the password in {secret} differ; {evidence.said()}",
        RESET_PASSWORD,
    )


def other_password(evidence: Evidence) -> bool:
    """Return whether the secret's password is another one than the password function's."""
    return (
        evidence.change(evidence.template.functions["password"], "Environment.DB_PASSWORD")
        is not None
    )


def target_not_available(evidence: Evidence) -> Cause | None:
    """The target is still on its way, or cannot be reached although every rule exists."""
    declared = evidence.target
    target = evidence.seen(declared)
    if target is None or target.status == "AVAILABLE":
        return None
    words = {"": WARMING, "PENDING_PROXY_CAPACITY": WARMING, "AUTH_FAILURE": UNREAD}
    reason = f", {target.reason}" if target.reason else ""
    return Cause(
        words.get(target.reason_code, UNREACHED),
        f"DescribeDBProxyTargets: {target.status}{reason}{evidence.proxy_said}",
        CHECK,
        certain=False,
    )
