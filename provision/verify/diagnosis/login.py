"""Causes in the login itself: the connect policy, TLS, the token, and what the proxy answers.

The proxy gives a client little detail (1045 for most), so what AWS has is compared first, and the
answer is read last. Follows the Amazon RDS User Guide, "Connecting to a database using IAM
authentication" and "Troubleshooting for RDS Proxy".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from provision.resources.template import LOGINS
from provision.verify.diagnosis.cause import CHECK, RESET_PASSWORD, UP, Cause, differing, is_should
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import allowed_on, allows, denies

CONNECT = "rds-db:connect"
PROXY_LOG = f"{UP} --set proxy.debug_logging=true, then {CHECK}, and read the log group {{group}}"


def may_not_connect(evidence: Evidence) -> Iterator[Cause]:
    """The IAM function's role has no `rds-db:connect` on its proxy's id and user."""
    declared = evidence.function_role
    policies, proxy = evidence.is_(declared, "Policies"), evidence.seen(evidence.proxy)
    if evidence.login != "iam" or policies is None or proxy is None:
        return
    documents, needed = list(policies.values()), connect_arn(evidence)
    if allows(documents, CONNECT, needed):
        return
    name = evidence.name(declared)
    given = allowed_on(documents, CONNECT)
    if denies(documents, CONNECT, needed):
        yield Cause(f"a policy denies {CONNECT} to the function's role", f"{name} on {needed}")
    if given:
        sentence = f"the function's role may connect, but {mistake(evidence, given[0], needed)}"
    else:
        sentence = f"the function's role has no policy that allows {CONNECT}"
    yield Cause(sentence, is_should(f"{CONNECT} of {name}", given, needed))


def connect_arn(evidence: Evidence) -> str:
    """Return the resource on which the function's role has to be allowed to connect."""
    role = evidence.should(evidence.function_role)
    return allowed_on(role.policies.values(), CONNECT)[0]


def mistake(evidence: Evidence, given: str, needed: str) -> str:
    """Return in words what is wrong with the resource of a connect policy."""
    is_, should = parts(given), parts(needed)
    if is_ is None or should is None:
        return "the policy's resource is not the ARN of a database user"
    if is_["id"] != should["id"]:
        return f"the policy names {what_is(evidence, is_['id'])} instead of the proxy's id"
    if is_["user"] != should["user"]:
        return f"as the user {is_['user']}, not as {should['user']}"
    return "in another region, account or partition"


def parts(arn: str) -> dict[str, str] | None:
    """Return id and user of `arn:PARTITION:rds-db:REGION:ACCOUNT:dbuser:ID/USER`."""
    match = re.fullmatch(r"arn:[^:]*:rds-db:[^:]*:[^:]*:dbuser:(?P<id>[^/]+)/(?P<user>.+)", arn)
    return match.groupdict() if match else None


def what_is(evidence: Evidence, given: str) -> str:
    """Return in words what a policy has in the place of the proxy's id."""
    if given == evidence.name(evidence.proxy):
        return "the proxy's name"
    if given.startswith("db-") or given == evidence.name(evidence.template.db_instance):
        return "the DB instance"
    for login in LOGINS:
        proxy = evidence.seen(evidence.template.proxies[login])
        if proxy and proxy.outputs.get("resource_id") == given:
            return f"the {login} proxy"
    return "another proxy" if given.startswith("prx-") else given


@dataclass(frozen=True)
class Symptom:
    """What an answer means, when nothing that AWS has explains it."""

    words: str  # a pattern of the function's error
    sentence: str
    next_step: str = CHECK
    login: str = ""  # of this login alone
    certain: bool = False


OLD_OR_UNKNOWN = (
    "the proxy refuses the token, though policy, user and endpoint are right: the token is older "
    "than 15 minutes or signed with expired credentials (is a clock wrong?), or the policy has not "
    "reached the proxy yet"
)
REFUSALS = (
    Symptom(
        r"\b3159\b|requires TLS|only with SSL|mysql_clear_password requires SSL|\b2061\b",
        "the function connects without TLS, and the proxy requires it",
        UP,
        certain=True,
    ),
    Symptom(
        r"\b2059\b|mysql_clear_password.*cannot be loaded|plugin not enabled",
        "the function's MySQL connector lacks a login plugin, or may not use it",
        UP,
    ),
    Symptom(
        r"ubyte format requires", "the layer's MySQL connector is too old for a token's length", UP
    ),
    Symptom(r"\b2026\b|SSL connection error|\[SSL", "the TLS handshake with the proxy fails", UP),
    Symptom(
        r"has no credentials for the role", "the proxy's secret is for another user", RESET_PASSWORD
    ),
    Symptom(r"using password: NO", "the function sends an empty token or password", UP),
    Symptom(r"\b1045\b", OLD_OR_UNKNOWN, PROXY_LOG, "iam"),
    Symptom(
        r"\b1045\b",
        "the proxy refuses the password, though it is the secret's: it may still hold an older one",
        RESET_PASSWORD,
        "password",
    ),
    Symptom(
        r"\b9501\b",
        "no connection to the database becomes free in time: the proxy is warming up, the pool "
        "is used up, or the database is overloaded",
    ),
    Symptom(r"\b1040\b|rate limit exceeded", "too many new connections at once"),
    Symptom(r"\b1049\b|Unknown database", "the database that DB_NAME names does not exist", UP),
    Symptom(r"\b1105\b|Unknown error", "an error on AWS's side", PROXY_LOG),
    Symptom(
        r"no answer after|Task timed out|\b2003\b",
        "the function gets no answer from the proxy in time, although every rule allows it",
    ),
)


def proxy_refuses(evidence: Evidence) -> Iterator[Cause]:
    """What the answer alone says, when all that AWS has is as it should be."""
    for refusal in REFUSALS if evidence.error else ():
        wanted = refusal.login in ("", evidence.login)
        if wanted and re.search(refusal.words, str(evidence.error), re.IGNORECASE):
            code = evidence.change(evidence.function, "CodeSha256")
            drift = f"; {differing('CodeSha256 of its code', code)}" if code else ""
            proof = f"{evidence.error}{drift}{evidence.proxy_said}"
            group = evidence.template.proxy_logs[evidence.login].name
            next_step = UP if code else refusal.next_step.format(group=group)
            yield Cause(refusal.sentence, proof, next_step, refusal.certain)


def throttled(evidence: Evidence) -> Iterator[Cause]:
    """The API's stage lets fewer requests through than came."""
    if evidence.answer and evidence.answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        sentence = "the API throttles: others call it, or api.throttle_rate_per_second is very low"
        yield Cause(sentence, evidence.said(), CHECK, certain=False)


def function_fails(evidence: Evidence) -> Iterator[Cause]:
    """What Lambda's log reports, when the function did not even answer."""
    if evidence.logged:
        yield Cause("the function fails before it can answer", evidence.said(), UP, certain=False)
