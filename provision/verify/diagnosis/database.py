"""Causes behind the function: the proxy, its target, its role, the secret, the DB instance.

Follows the Amazon RDS User Guide, "Troubleshooting for RDS Proxy", and TargetHealth of the Amazon
RDS API reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.verify.diagnosis.cause import CHECK, RESET_PASSWORD, UP, Cause, differing, is_should
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import missing_role, not_allowed, not_assumed

RDS_SERVICE = "rds.amazonaws.com"
READ_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an action
WARMING = "the proxy is still warming up: that takes minutes, rarely a quarter of an hour"
UNREAD = "the proxy has not read its secret yet, though secret and role are right"
UNREACHED = "the proxy does not reach the database, although every rule allows it"
NOT_READ = "does not have any registered credentials"
SERVING = ("available", "backing-up", "modifying", "storage-optimization")


def proxy_missing(evidence: Evidence) -> Iterator[Cause]:
    """The proxy does not exist."""
    if evidence.missing(evidence.proxy):
        name = evidence.name(evidence.proxy)
        yield Cause("the proxy is missing", f"DescribeDBProxies: no {name}")


def proxy_not_available(evidence: Evidence) -> Iterator[Cause]:
    """The proxy is being made or changed, or cannot be."""
    declared = evidence.proxy
    proxy = evidence.seen(declared)
    if proxy is None or proxy.status == "available":
        return
    broken = proxy.status in evidence.should(declared).failed
    yield Cause(
        "AWS cannot run the proxy" if broken else "the proxy is not available yet",
        f"DescribeDBProxies: {evidence.name(declared)} is {proxy.status}",
        UP if broken else CHECK,
        certain=broken,
    )


def proxy_takes_another_login(evidence: Evidence) -> Iterator[Cause]:
    """The proxy's IAMAuth is that of the other login."""
    if change := evidence.change(evidence.proxy, "IAMAuth"):
        yield Cause("the proxy expects another kind of login", differing("IAMAuth", change))


def tls_not_required(evidence: Evidence) -> Iterator[Cause]:
    """The IAM proxy does not insist on TLS."""
    change = evidence.change(evidence.proxy, "RequireTLS")
    if change and change.should:
        sentence = "the IAM proxy does not require TLS, so a client may send its token in clear"
        yield Cause(sentence, differing("RequireTLS", change))


def database_not_available(evidence: Evidence) -> Iterator[Cause]:
    """The DB instance is deleted, stopped, or broken."""
    declared = evidence.template.db_instance
    name, instance = evidence.name(declared), evidence.seen(declared)
    if evidence.missing(declared):
        yield Cause("the DB instance is missing", f"DescribeDBInstances: no {name}")
    if instance is None or instance.status in SERVING:
        return
    reason = f" ({instance.reason})" if instance.reason else ""
    proof = f"DescribeDBInstances: {name} is {instance.status}{reason}"
    if instance.status == "stopped":
        start = f"aws rds start-db-instance --db-instance-identifier {name}; then {CHECK}"
        yield Cause("the DB instance is stopped", proof, start)
    broken = instance.status in evidence.should(declared).failed
    sentence = "the DB instance is broken" if broken else "the DB instance is not available now"
    yield Cause(sentence, proof, UP if broken else CHECK, certain=broken)


def target_not_registered(evidence: Evidence) -> Iterator[Cause]:
    """The proxy has no target, and so no database."""
    if evidence.missing(evidence.target):
        proxy, instance = evidence.proxy, evidence.template.db_instance
        yield Cause(
            "the DB instance is not registered as the proxy's target",
            f"DescribeDBProxyTargets of {evidence.name(proxy)}: no {evidence.name(instance)}",
        )


def secret_unusable(evidence: Evidence) -> Iterator[Cause]:
    """The secret is missing, waits for its deletion, or is not a user and a password."""
    secret, name = evidence.template.secret, evidence.name(evidence.template.secret)
    if evidence.missing(secret):
        yield Cause("the secret is missing", f"DescribeSecret: no {name}", RESET_PASSWORD)
    if change := evidence.change(secret, "DeletedDate"):
        yield Cause("the secret is scheduled for deletion", differing("DeletedDate", change))
    if change := evidence.change(secret, "SecretString"):
        user = "username" in str(change.is_) and not str(change.is_).startswith("not JSON")
        yield Cause(
            "the secret is for another user than the database's"
            if user
            else 'the secret is not JSON of the form {"username": ..., "password": ...}',
            is_should(f"the content of {name}", change.is_, change.should),
            RESET_PASSWORD,
        )
    if change := evidence.change(evidence.proxy, "SecretArn"):
        yield Cause("the proxy uses another secret", differing("SecretArn", change))


def proxy_cannot_read_secret(evidence: Evidence) -> Iterator[Cause]:
    """RDS cannot assume the proxy's role, or the role may not read the secret."""
    role = evidence.template.proxy_role
    yield from missing_role(evidence, role, "the proxies' role")
    if change := evidence.change(evidence.proxy, "RoleArn"):
        yield Cause("the proxy has another role", differing("RoleArn", change))
    yield from not_assumed(evidence, role, RDS_SERVICE, "RDS may not assume the proxies' role")
    sentence = "the proxies' role may not read the secret"
    yield from not_allowed(evidence, role, READ_SECRET, evidence.template.secret, sentence)


def database_refuses_secret(evidence: Evidence) -> Iterator[Cause]:
    """The proxy can read the secret, and the database refuses what is in it."""
    target = evidence.seen(evidence.target)
    if target is None or target.reason_code != "AUTH_FAILURE" or NOT_READ in target.reason:
        return
    secret = evidence.name(evidence.template.secret)
    yield Cause(
        "the password in the secret is not the database's",
        f"DescribeDBProxyTargets: {target.status}, {target.reason}; {secret} has the right "
        f"form and user{evidence.proxy_said}",
        RESET_PASSWORD,
        certain=other_password(evidence),
    )


def function_has_another_password(evidence: Evidence) -> Iterator[Cause]:
    """The password function's DB_PASSWORD is not the secret's."""
    if evidence.login == "password" and other_password(evidence):
        name, secret = evidence.name(evidence.function), evidence.name(evidence.template.secret)
        yield Cause(
            "the function's DB_PASSWORD is not the secret's password",
            f"DB_PASSWORD of {name} and the password in {secret} differ; {evidence.said()}",
            RESET_PASSWORD,
        )


def other_password(evidence: Evidence) -> bool:
    """Return whether the secret's password is another one than the password function's."""
    function = evidence.template.functions["password"]
    return evidence.change(function, "Environment.DB_PASSWORD") is not None


def target_not_available(evidence: Evidence) -> Iterator[Cause]:
    """The target is still on its way, or cannot be reached although every rule exists."""
    target = evidence.seen(evidence.target)
    if target is None or target.status == "AVAILABLE":
        return
    words = {"": WARMING, "PENDING_PROXY_CAPACITY": WARMING, "AUTH_FAILURE": UNREAD}
    reason = f", {target.reason}" if target.reason else ""
    yield Cause(
        words.get(target.reason_code, UNREACHED),
        f"DescribeDBProxyTargets: {target.status}{reason}{evidence.proxy_said}",
        CHECK,
        certain=False,
    )
