"""What the diagnosis finds in its evidence: purely, without AWS.

The evidence is that of an environment in which all is as it should be, but for what a test changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from provision.config import Config, EnvironmentSettings
from provision.environment import environment
from provision.resources.base import Change, ManagedResource, Seen
from provision.resources.iam import allow
from provision.resources.lambda_ import RESERVED
from provision.resources.references import Output, bind
from provision.verify.diagnosis.cause import Cause, differing, shown
from provision.verify.diagnosis.causes import CAUSES, cause_of
from provision.verify.diagnosis.evidence import Evidence, Step, error_of, last_refusal, logged_error
from provision.verify.diagnosis.network import lets
from provision.verify.diagnosis.policies import allowed_on, allows, denies, trusts
from provision.verify.http_client import LOGIN_ROUTES, Answer, FunctionError
from provision.verify.http_client import answer as parsed_answer
from tests.support.names import ACCOUNT, REGION

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rds-proxy-auth-iam"
NEEDED = f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:prx-of-proxy-iam/testdb"
TEMPLATE = environment(Config(EnvironmentSettings(region=REGION)), packed=False)
PASSWORD = "what-nobody-may-see"
DENIED = "1045 (28000): Access denied for user 'testdb'@'10.0.1.9' (using password: YES)"


def steps() -> dict[str, Step]:
    """Every step, with AWS exactly as it should be."""
    known: dict[str, dict[str, str]] = {
        "aws": {"account": ACCOUNT, "region": REGION, "partition": "aws"}
    }
    found = {}
    for resource in TEMPLATE:
        bound = bind(resource, known)
        outputs = {
            name: f"{name}-of-{resource.step}"
            for kind in type(resource).__mro__
            for name, value in vars(kind).items()
            if isinstance(value, Output)
        }
        if "resource_id" in outputs:
            outputs |= {"resource_id": f"prx-of-{resource.step}", "proxy": bound.name}
        if resource.step.startswith("function-") and "arn" in outputs:
            outputs["arn"] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{bound.name}"
        if resource.step == "secret":
            outputs["password"] = PASSWORD
        known[resource.step] = outputs
        status = min(resource.ready) if resource.ready else ""
        bound = bind(resource, known)
        properties = bound.properties() if isinstance(bound, ManagedResource) else {}
        found[resource.step] = Step(bound, Seen(outputs, properties, status=status))
    return found


WHOLE = steps()
Break = Callable[[dict[str, Step]], object]


def missing(step: str) -> Break:
    """Take a resource away."""
    return lambda steps: steps.update({step: replace(steps[step], seen=None)})


def differs(step: str, name: str, value: Any) -> Break:
    """Let AWS have another value of a property."""

    def change(steps: dict[str, Step]) -> None:
        before = steps[step]
        assert before.seen is not None
        seen = replace(before.seen, properties={**before.seen.properties, name: value})
        assert isinstance(before.resource, ManagedResource)
        should = before.seen.properties.get(name)
        found = Change(name, value, should, sensitive=name in before.resource.sensitive)
        steps[step] = replace(before, seen=seen, changes=(*before.changes, found))

    return change


def has(step: str, name: str, value: Any) -> Break:
    """Let AWS show a property that the environment leaves alone."""

    def change(steps: dict[str, Step]) -> None:
        before = steps[step]
        assert before.seen is not None
        properties = {**before.seen.properties, name: value}
        steps[step] = replace(before, seen=replace(before.seen, properties=properties))

    return change


def reserves(number: int) -> Break:
    """Let the IAM function have a reserved concurrency."""
    return has("function-iam", RESERVED, number)


def route_limits(route: str = "GET /func2", **settings: Any) -> Break:
    """Let a route have settings of its own."""
    return has("stage", "RouteSettings", {route: settings})


def status(step: str, word: str, reason_code: str = "", reason: str = "") -> Break:
    """Let AWS say another status."""

    def change(steps: dict[str, Step]) -> None:
        before = steps[step]
        assert before.seen is not None
        seen = replace(before.seen, status=word, reason_code=reason_code, reason=reason)
        steps[step] = replace(before, seen=seen)

    return change


def all_of(*breaks: Break) -> Break:
    """Break several things."""
    return lambda steps: [each(steps) for each in breaks]


def old_api(steps: dict[str, Step]) -> None:
    """Let the API be years old."""
    api = steps["api"]
    assert api.seen is not None
    steps["api"] = replace(api, seen=replace(api.seen, created="2020-01-01T00:00:00+00:00"))


def nothing(steps: dict[str, Step]) -> None:
    """Break nothing."""


def failed(message: str, kind: str = "ProgrammingError", code: str = "", http: int = 500) -> Answer:
    """A function's answer that it failed."""
    return Answer(status=http, error=FunctionError(kind, code, message))


SILENT = Answer(status=500, text='{"message":"Internal Server Error"}')
UNAVAILABLE = Answer(status=503, text='{"message":"Service Unavailable"}')
NOT_FOUND = Answer(status=404, text='{"message":"Not Found"}')


def find(
    login: str = "iam",
    broken: Break = nothing,
    answer: Answer | None = SILENT,
    logged: FunctionError | None = None,
) -> Cause:
    """Return the cause that is found."""
    changed = dict(WHOLE)
    broken(changed)
    route = next(each for each in LOGIN_ROUTES if each.login == login)
    return cause_of(Evidence(route, answer, changed, logged, template=TEMPLATE))


def policy(resource: str | Iterable[str], effect: str = "Allow") -> dict[str, Any]:
    """Inline policies of a role that are about `rds-db:connect`."""
    resources = [resource] if isinstance(resource, str) else list(resource)
    document = allow("rds-db:connect", on=resources)
    document["Statement"][0]["Effect"] = effect
    return {"connect-to-proxy": document}


def connect(part: str, user: str = "testdb", region: str = REGION) -> str:
    return f"arn:aws:rds-db:{region}:{ACCOUNT}:dbuser:{part}/{user}"


TRUSTS_EC2 = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]
}
IMPORT_ERROR = FunctionError(
    "Runtime.ImportModuleError", "", "Unable to import module 'index': No module named 'mysql'"
)
CERTIFICATE_ERROR = (
    "2055: Lost connection: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
)
NO_FILE = failed("SSLCERTIFICATE names x.pem, which is missing", "SettingError", "SSLCERTIFICATE")
LATE = failed("no answer after 9.0 s, during login", "TimeoutError", http=503)
BORROW = failed("9501 (HY000): Timed-out waiting to acquire database connection", http=503)
ENDPOINT = "Environment.DB_PROXY_ENDPOINT_ADDRESS"
CODE = differs("function-iam", "CodeSha256", "another")
UP, RESET, CHECK = "provision up", "up --reset-password", "provision check"

# What is broken, what came back, what is found, words of sentence or proof, the next command's end.
ROWS: dict[str, tuple[Break, Answer, str, str, str]] = {
    # --- the API
    "no API": (missing("api"), NOT_FOUND, "api-missing", "HTTP 404", UP),
    "address off": (
        differs("api", "DisableExecuteApiEndpoint", True),
        Answer(status=404, text="x"),
        "endpoint-disabled",
        "DisableExecuteApiEndpoint is True; should be False",
        UP,
    ),
    "no network": (
        nothing, Answer(text="gaierror: Name or service not known"), "api-unreachable",
        "Name or service not known", CHECK,
    ),
    "no stage": (missing("stage"), NOT_FOUND, "stage-missing", "no stage $default", UP),
    "no route": (missing("route-func2"), NOT_FOUND, "route-missing", "no route GET /func2", UP),
    "no integration": (
        missing("integration-iam"), SILENT, "integration-missing", "integration-iam", UP,
    ),
    "route to the other": (
        differs("route-func2", "Target", "integrations/id-of-integration-password"),
        Answer(status=200, rows=("2026-01-01 00:00:00",), login="password", tls="TLSv1.3"),
        "route-wrong",
        "should be integrations/id-of-integration-iam",
        UP,
    ),
    "route with authorization": (
        differs("route-func2", "AuthorizationType", "AWS_IAM"),
        Answer(status=403, text='{"message":"Forbidden"}'),
        "route-wrong",
        "requires authorization",
        UP,
    ),
    "integration of another function": (
        differs("integration-iam", "IntegrationUri", "arn:other"), SILENT, "integration-wrong",
        f"IntegrationUri is arn:other; should be {FUNCTION}", UP,
    ),
    "integration without a role": (
        differs("integration-iam", "CredentialsArn", None), SILENT, "integration-wrong",
        "CredentialsArn is nothing; should be arn-of-role-api", UP,
    ),
    "no API role": (missing("role-api"), SILENT, "api-may-not-invoke", "role is missing", UP),
    "API role trusts another": (
        differs("role-api", "AssumeRolePolicyDocument", TRUSTS_EC2), SILENT, "api-may-not-invoke",
        "should be apigateway.amazonaws.com", UP,
    ),
    "API role without a policy": (
        differs("role-api", "Policies", {}), SILENT, "api-may-not-invoke",
        "lambda:InvokeFunction of rds-proxy-auth-api-ap-northeast-1 is nothing; should be "
        f"{FUNCTION}", UP,
    ),
    "API role for the other function": (
        differs("role-api", "Policies", {"x": allow("lambda:InvokeFunction", on="arn:other")}),
        SILENT, "api-may-not-invoke", f"is arn:other; should be {FUNCTION}", UP,
    ),
    "stage throttles": (
        differs("stage", "ThrottlingRateLimit", 0.0), Answer(status=429, text="Too Many"),
        "stage-throttles", "ThrottlingRateLimit is 0.0; should be", UP,
    ),
    "stage without burst": (
        differs("stage", "ThrottlingBurstLimit", 0), Answer(status=429, text="Too Many"),
        "stage-throttles", "ThrottlingBurstLimit is 0; should be", UP,
    ),
    "stage throttles less": (
        differs("stage", "ThrottlingRateLimit", 9e9), Answer(status=429, text="Too Many"),
        "throttled", "throttles", CHECK,
    ),
    "route throttles": (
        route_limits(ThrottlingRateLimit=0.5), Answer(status=429, text="Too Many"),
        "route-throttles", "ThrottlingRateLimit of its RouteSettings is 0.5; that of other routes",
        "delete-route-settings --api-id id-of-api --stage-name '$default' --route-key 'GET /func2'",
    ),
    "route without burst": (
        route_limits(ThrottlingBurstLimit=0), Answer(status=429, text="Too Many"),
        "route-throttles", "ThrottlingBurstLimit of its RouteSettings is 0; that of", "GET /func2'",
    ),
    "route throttles less": (
        route_limits(ThrottlingRateLimit=9e9), Answer(status=429, text="Too Many"),
        "throttled", "throttles", CHECK,
    ),
    "another route throttles": (
        route_limits("GET /func1", ThrottlingRateLimit=0), Answer(status=429, text="Too Many"),
        "throttled", "throttles", CHECK,
    ),
    "route logs its metrics": (
        route_limits(DetailedMetricsEnabled=True), Answer(status=429, text="Too Many"),
        "throttled", "throttles", CHECK,
    ),
    "stage without AutoDeploy": (
        differs("stage", "AutoDeploy", False), NOT_FOUND, "stage-not-deployed",
        "AutoDeploy is False; should be True", UP,
    ),
    "integration's timeout": (
        differs("integration-iam", "TimeoutInMillis", 50), UNAVAILABLE, "integration-gives-up",
        "TimeoutInMillis is 50; should be 11000", UP,
    ),
    "integration's timeout, 504": (
        differs("integration-iam", "TimeoutInMillis", 50), Answer(status=504, text="Gateway"),
        "integration-gives-up", "TimeoutInMillis is 50", UP,
    ),
    "no concurrency": (
        reserves(0), UNAVAILABLE, "function-has-no-concurrency", "is switched off", CHECK,
    ),
    "little concurrency": (
        reserves(2), UNAVAILABLE, "function-has-no-concurrency", "that many requests run", CHECK,
    ),
    "function's timeout": (
        differs("function-iam", "Timeout", 1),
        failed("Task timed out after 1.00 seconds", "Sandbox.Timedout"),
        "function-gives-up", "Timeout is 1; should be 10", UP,
    ),
    "throttled": (nothing, Answer(status=429, text="Too Many"), "throttled", "throttles", CHECK),
    # --- the function
    "no function": (missing("function-iam"), SILENT, "function-missing", "rds-proxy-auth-iam", UP),
    "no function role": (
        missing("role-function-iam"), SILENT, "function-role-unusable", "role is missing", UP,
    ),
    "another function role": (
        differs("function-iam", "Role", "arn:other"), SILENT, "function-role-unusable",
        "its role is arn:other; should be arn-of-role-function-iam", UP,
    ),
    "function role trusts another": (
        differs("role-function-iam", "AssumeRolePolicyDocument", TRUSTS_EC2), SILENT,
        "function-role-unusable", "is ec2.amazonaws.com; should be lambda.amazonaws.com", UP,
    ),
    "function failed": (
        status("function-iam", "Failed", "EniLimitExceeded", "no more interfaces"), SILENT,
        "function-not-ready", "is Failed (no more interfaces)", UP,
    ),
    "function updating": (
        status("function-iam", "InProgress"), SILENT, "function-not-ready", "InProgress", CHECK,
    ),
    "handler": (
        differs("function-iam", "Handler", "index.main"), SILENT, "handler-wrong",
        "Handler is index.main; should be index.lambda_handler", UP,
    ),
    "no layer": (
        differs("function-iam", "Layers", []), SILENT, "layer-missing",
        "Layers is nothing; should be arn-of-layer", UP,
    ),
    "no certificate": (
        CODE, NO_FILE,
        "certificate-missing", "CodeSha256 is another", UP,
    ),
    "certificate by another name": (
        differs("function-iam", "Environment.SSLCERTIFICATE", "x.pem"),
        NO_FILE,
        "certificate-missing", "SSLCERTIFICATE is x.pem; should be AmazonRootCA1.pem", UP,
    ),
    "wrong certificate": (CODE, failed(CERTIFICATE_ERROR), "certificate-wrong", "CodeSha256", UP),
    "another root at the proxy": (
        nothing, failed(CERTIFICATE_ERROR), "certificate-wrong", "code is as it should be", CHECK,
    ),
    "points at the other proxy": (
        differs("function-iam", ENDPOINT, "endpoint-of-proxy-password"),
        failed(DENIED), "points-at-another-proxy",
        "the iam function points at the password proxy", UP,
    ),
    "points elsewhere": (
        differs("function-iam", ENDPOINT, "db.example.com"),
        LATE, "points-at-another-proxy",
        "is db.example.com; should be endpoint-of-proxy-iam", UP,
    ),
    "user": (
        differs("function-iam", "Environment.DB_USER", "admin"), failed(DENIED), "setting-wrong",
        "DB_USER is admin; should be testdb", UP,
    ),
    "region": (
        differs("function-iam", "Environment.REGION", None), failed("REGION is not set"),
        "setting-wrong", "REGION is nothing; should be ap-northeast-1", UP,
    ),
    "code": (CODE, SILENT, "code-differs", "CodeSha256 is another", UP),
    # --- the network
    "function outside": (
        differs("function-iam", "VpcConfig.SubnetIds", []), LATE,
        "function-outside-its-network", "VpcConfig.SubnetIds is nothing", UP,
    ),
    "function egress": (
        differs("rules-function", "Egress", []), LATE,
        "function-cannot-reach-proxy",
        "rds-proxy-auth-function is nothing; should be tcp 3306 id-of-security-group-proxy",
        UP,
    ),
    "proxy ingress": (
        differs("rules-proxy", "Ingress", ["tcp 3307 id-of-security-group-function"]),
        LATE, "function-cannot-reach-proxy",
        "lets nothing in from the function on port 3306", UP,
    ),
    "proxy egress": (
        differs("rules-proxy", "Egress", ["udp 3306 id-of-security-group-database"]),
        BORROW, "proxy-cannot-reach-database", "nothing out to the database", UP,
    ),
    "database ingress": (
        differs("rules-database", "Ingress", ["tcp 3306 10.0.1.0/24"]), BORROW,
        "proxy-cannot-reach-database", "is tcp 3306 10.0.1.0/24; should be tcp 3306 id-of", UP,
    ),
    "database in another group": (
        differs("db-instance", "VpcSecurityGroupIds", ["sg-other"]), BORROW,
        "proxy-cannot-reach-database", "the database is not in its security group", UP,
    ),
    # --- proxy, target, secret, database
    "no proxy": (missing("proxy-iam"), SILENT, "proxy-missing", "no rds-proxy-auth-iam", UP),
    "proxy modifying": (
        status("proxy-iam", "modifying"), SILENT, "proxy-not-available", "is modifying", CHECK,
    ),
    "proxy impossible": (
        status("proxy-iam", "insufficient-resource-limits"), SILENT, "proxy-not-available",
        "AWS cannot run the proxy", UP,
    ),
    "proxy takes passwords": (
        differs("proxy-iam", "IAMAuth", "DISABLED"), failed(DENIED), "proxy-takes-another-login",
        "IAMAuth is DISABLED; should be REQUIRED", UP,
    ),
    "no instance": (
        missing("db-instance"), BORROW, "database-not-available", "missing", UP,
    ),
    "instance stopped": (
        status("db-instance", "stopped"), BORROW, "database-not-available",
        "is stopped", CHECK,
    ),
    "instance full": (
        status("db-instance", "storage-full"), BORROW, "database-not-available",
        "is broken", UP,
    ),
    "instance rebooting": (
        status("db-instance", "rebooting"), BORROW, "database-not-available",
        "is not available now", CHECK,
    ),
    "no target": (
        missing("target-iam"), BORROW, "target-not-registered",
        "DescribeDBProxyTargets of rds-proxy-auth-iam: no rds-proxy-auth-database", UP,
    ),
    "no secret": (missing("secret"), SILENT, "secret-unusable", "secret is missing", RESET),
    "secret going": (
        differs("secret", "DeletedDate", "2026-01-01"), SILENT, "secret-unusable",
        "scheduled for deletion", UP,
    ),
    "secret not JSON": (
        differs("secret", "SecretString", 'not JSON with "username" and "password"'), SILENT,
        "secret-unusable", "is not JSON of the form", RESET,
    ),
    "secret without a password": (
        differs("secret", "SecretString", "JSON without a password"), SILENT,
        "secret-unusable", "is JSON without a password; should be username 'testdb'", RESET,
    ),
    "secret of another user": (
        differs("secret", "SecretString", "username 'admin' and a password"), SILENT,
        "secret-unusable", "for another user", RESET,
    ),
    "another secret": (
        differs("proxy-iam", "SecretArn", "arn:other"), SILENT, "secret-unusable",
        "SecretArn is arn:other; should be arn-of-secret", UP,
    ),
    "no proxy role": (
        missing("role-proxy"), SILENT, "proxy-cannot-read-secret", "role is missing", UP,
    ),
    "another proxy role": (
        differs("proxy-iam", "RoleArn", "arn:other"), SILENT, "proxy-cannot-read-secret",
        "RoleArn is arn:other", UP,
    ),
    "proxy role trusts another": (
        differs("role-proxy", "AssumeRolePolicyDocument", TRUSTS_EC2), SILENT,
        "proxy-cannot-read-secret", "should be rds.amazonaws.com", UP,
    ),
    "proxy role without a policy": (
        differs("role-proxy", "Policies", {}), SILENT, "proxy-cannot-read-secret",
        "secretsmanager:GetSecretValue of rds-proxy-auth-proxy-ap-northeast-1 is nothing", UP,
    ),
    "secret refused": (
        status("target-iam", "UNAVAILABLE", "AUTH_FAILURE", "AUTH_FAILURE: refused"),
        BORROW, "database-refuses-secret", "not the database's", RESET,
    ),
    "secret not read yet": (
        status("target-iam", "UNAVAILABLE", "AUTH_FAILURE",
               "Proxy does not have any registered credentials"),
        BORROW, "target-not-available", "has not read its secret yet", CHECK,
    ),
    "warming up": (
        status("target-iam", "UNAVAILABLE", "PENDING_PROXY_CAPACITY", "scaling"),
        BORROW, "target-not-available", "warming up", CHECK,
    ),
    "registering": (
        status("target-iam", "REGISTERING"), BORROW, "target-not-available",
        "DescribeDBProxyTargets: REGISTERING", CHECK,
    ),
    "unreachable though open": (
        status("target-iam", "UNAVAILABLE", "UNREACHABLE", "internal error"),
        BORROW, "target-not-available", "though every rule", CHECK,
    ),
    # --- the login
    "no policy": (
        differs("role-function-iam", "Policies", {}), failed(DENIED), "may-not-connect",
        f"rds-proxy-auth-function-iam-ap-northeast-1 is nothing; should be {NEEDED}",
        UP,
    ),
    "policy denies": (
        differs("role-function-iam", "Policies", policy("*", "Deny") | {"b": allow("*", on="*")}),
        failed(DENIED), "may-not-connect", "denies rds-db:connect", UP,
    ),
    "policy on the name": (
        differs("role-function-iam", "Policies", policy(connect("rds-proxy-auth-iam"))),
        failed(DENIED), "may-not-connect", "the proxy's name instead of the proxy's id", UP,
    ),
    "policy on the resource id": (
        differs("role-function-iam", "Policies", policy(connect("db-ABC"))), failed(DENIED),
        "may-not-connect", "the DB instance instead", UP,
    ),
    "policy on the instance": (
        differs("role-function-iam", "Policies", policy(connect("rds-proxy-auth-database"))),
        failed(DENIED), "may-not-connect", "the DB instance instead", UP,
    ),
    "policy on the other proxy": (
        differs("role-function-iam", "Policies", policy(connect("prx-of-proxy-password"))),
        failed(DENIED), "may-not-connect", "the password proxy instead", UP,
    ),
    "policy on an unknown proxy": (
        differs("role-function-iam", "Policies", policy(connect("prx-0"))), failed(DENIED),
        "may-not-connect", "another proxy instead", UP,
    ),
    "policy for another user": (
        differs("role-function-iam", "Policies", policy(connect("prx-of-proxy-iam", "admin"))),
        failed(DENIED), "may-not-connect", "as the user admin, not as testdb", UP,
    ),
    "policy in another region": (
        differs("role-function-iam", "Policies",
                policy(connect("prx-of-proxy-iam", region="eu-west-1"))),
        failed(DENIED), "may-not-connect", "in another region", UP,
    ),
    "policy on another kind of ARN": (
        differs("role-function-iam", "Policies", policy("arn:aws:rds:eu-west-1:1:db-proxy:prx-1")),
        failed(DENIED), "may-not-connect", "not the ARN of a database user", UP,
    ),
    "token refused": (nothing, failed(DENIED), "proxy-refuses", "older than 15 minutes", "-iam"),
    "no TLS": (
        nothing, failed("3159 (HY000): This RDS Proxy requires TLS connections."), "proxy-refuses",
        "connects without TLS", UP,
    ),
    "no TLS, as PostgreSQL says it": (
        nothing, failed("IAM authentication is allowed only with SSL connections"), "proxy-refuses",
        "connects without TLS", UP,
    ),
    "token in clear": (
        nothing, failed("mysql_clear_password requires SSL", "InterfaceError"), "proxy-refuses",
        "connects without TLS", UP,
    ),
    "sha2 without TLS": (
        nothing, failed("2061 (HY000): Authentication requires secure connection"), "proxy-refuses",
        "connects without TLS", UP,
    ),
    "plugin not enabled": (
        nothing, failed("2059 (HY000): plugin 'mysql_clear_password' cannot be loaded: plugin not "
                        "enabled"), "proxy-refuses", "login plugin", UP,
    ),
    "old connector": (
        nothing, failed("ubyte format requires 0 <= number <= 255", "error"), "proxy-refuses",
        "too old", UP,
    ),
    "handshake": (
        nothing, failed("2026 (HY000): SSL connection error: wrong version number"),
        "proxy-refuses", "TLS handshake", UP,
    ),
    "user unknown to the proxy": (
        nothing, failed("This RDS proxy has no credentials for the role testdb"), "proxy-refuses",
        "another user", RESET,
    ),
    "empty token": (
        nothing, failed(DENIED.replace("YES", "NO")), "proxy-refuses", "empty token", UP,
    ),
    "no connection free": (
        nothing, BORROW,
        "proxy-refuses", "no connection to the database becomes free", CHECK,
    ),
    "rate limit": (
        nothing, failed("1040: IAM authentication rate limit exceeded", http=503), "proxy-refuses",
        "too many new connections", CHECK,
    ),
    "no such database": (
        nothing, failed("1049 (42000): Unknown database 'x'"), "proxy-refuses", "DB_NAME", UP,
    ),
    "AWS's error": (
        nothing, failed("1105 (HY000): Unknown error"), "proxy-refuses", "AWS's side", "-iam",
    ),
    "no answer": (
        nothing, LATE,
        "proxy-refuses", "gets no answer", CHECK,
    ),
    "TLS not required": (
        differs("proxy-iam", "RequireTLS", False), SILENT, "tls-not-required",
        "RequireTLS is False; should be True", UP,
    ),
    "new API": (nothing, NOT_FOUND, "api-not-spread-yet", "takes a minute or two", CHECK),
    "old API": (
        old_api, NOT_FOUND, "api-not-spread-yet", "the API was created at 2020", "for the region",
    ),
    "new role": (nothing, SILENT, "api-not-spread-yet", "Internal Server Error", CHECK),
    "nothing known": (
        nothing, Answer(status=403, text="Forbidden"), "unexplained", "HTTP 403 Forbidden", CHECK,
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_each_cause_is_found(row: tuple[Break, Answer, str, str, str]) -> None:
    broken, answer, kind, words, next_step = row
    cause = find("iam", broken, answer)
    assert cause.kind == kind
    assert words in f"{cause.sentence}: {cause.proof}"
    assert cause.next_step.endswith(next_step)
    assert cause.proof


def test_every_cause_can_be_found() -> None:
    kinds = {kind for _, _, kind, _, _ in ROWS.values()}
    by_password = {"function-has-another-password"}
    by_log = {"layer-wrong", "runtime-wrong", "function-fails"}
    assert {f.__name__.replace("_", "-") for f in CAUSES} == (
        kinds - {"unexplained"} | by_password | by_log
    )


# --- what the function's log adds -----------------------------------------------------------------


def test_layer_without_the_connector() -> None:
    broken = all_of(
        differs("layer", "CodeSha256", "another"), differs("function-iam", "Layers", ["arn:2"])
    )
    cause = find("iam", broken, logged=IMPORT_ERROR)
    assert cause.kind == "layer-wrong"
    assert "CodeSha256 of arn:2 is another" in cause.proof
    assert "No module named 'mysql'" in cause.proof
    assert cause.next_step.endswith(UP)


def test_layer_version_that_somebody_else_published_has_to_go_first() -> None:
    def foreign(steps: dict[str, Step]) -> None:
        differs("layer", "CodeSha256", "another")(steps)
        seen = steps["layer"].seen
        assert seen is not None
        outputs = {**seen.outputs, "version": "7"}
        steps["layer"] = replace(steps["layer"], seen=replace(seen, ours=False, outputs=outputs))

    step = find("iam", foreign, logged=IMPORT_ERROR).next_step
    assert "aws lambda delete-layer-version" in step
    assert "--layer-name rds-proxy-auth-mysql-connector --version-number 7; then" in step


def test_another_layer_that_serves_as_well_is_not_blamed() -> None:
    broken = differs("function-iam", "Layers", ["arn:2"])
    assert find("iam", broken, failed(DENIED)).kind == "proxy-refuses"


def test_another_runtime_is_blamed_only_when_the_function_does_not_load() -> None:
    broken = differs("function-iam", "Runtime", "python3.10")
    error = FunctionError("Runtime.UserCodeSyntaxError", "", "invalid syntax")
    assert find("iam", broken, logged=error).kind == "runtime-wrong"
    assert find("iam", broken, failed(DENIED)).kind == "proxy-refuses"


def test_what_only_the_log_tells() -> None:
    error = FunctionError("Runtime.ExitError", "", "exited")
    cause = find("iam", logged=error)
    assert cause.kind == "function-fails"
    assert "Runtime.ExitError: exited" in cause.proof


def test_the_answer_counts_more_than_an_older_line_of_the_log() -> None:
    cause = find("iam", answer=failed(DENIED), logged=IMPORT_ERROR)
    assert cause.kind == "proxy-refuses"
    assert "mysql" not in cause.proof


def test_what_the_proxys_log_tells() -> None:
    lines = ["started", "IAM authentication failed for user testdb. Reason: token is empty", "x"]
    refusal = last_refusal(lines)
    cause = cause_of(
        Evidence(LOGIN_ROUTES[-1], failed(DENIED), WHOLE, proxy_logged=refusal, template=TEMPLATE)
    )
    assert cause.kind == "proxy-refuses"
    assert "the proxy's log: IAM authentication failed for user testdb. Reason" in cause.proof
    assert last_refusal(["SELECT 1", ""]) == ""


# --- the password login ---------------------------------------------------------------------------

OTHER_PASSWORD = differs("function-password", "Environment.DB_PASSWORD", PASSWORD)


def test_password_of_the_function_that_is_not_the_secrets() -> None:
    cause = find("password", OTHER_PASSWORD, failed(DENIED))
    assert cause.kind == "function-has-another-password"
    assert cause.next_step.endswith(RESET)


def test_password_that_is_right_and_refused() -> None:
    cause = find("password", answer=failed(DENIED))
    assert cause.kind == "proxy-refuses"
    assert "may still hold an older one" in cause.sentence
    assert not cause.certain


def test_secret_is_the_root_when_the_database_refuses_it() -> None:
    refused = status("target-password", "UNAVAILABLE", "AUTH_FAILURE", "AUTH_FAILURE: refused")
    cause = find("password", all_of(OTHER_PASSWORD, refused), failed(DENIED))
    assert cause.kind == "database-refuses-secret"
    assert cause.certain


@pytest.mark.parametrize("login", ["password", "iam"])
def test_no_proof_holds_a_secret(login: str) -> None:
    for broken, answer, *_ in ROWS.values():
        cause = find(login, all_of(OTHER_PASSWORD, broken), answer)
        assert PASSWORD not in cause.sentence + cause.proof + cause.next_step


def test_the_password_login_needs_no_connect_policy() -> None:
    broken = differs("role-function-iam", "Policies", {})
    assert find("password", broken, failed(DENIED)).kind == "proxy-refuses"


# --- which is the root ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("no stage", "no route"),
        ("no route", "no function"),
        ("no integration", "handler"),
        ("API role without a policy", "no layer"),
        ("no function", "no proxy"),
        ("handler", "no policy"),
        ("points at the other proxy", "no target"),
        ("function egress", "secret not JSON"),
        ("no policy", "no target"),
        ("no instance", "no target"),
        ("no target", "warming up"),
        ("database ingress", "unreachable though open"),
        ("secret not JSON", "secret refused"),
        ("proxy role without a policy", "secret refused"),
        ("no policy", "token refused"),
    ],
)
def test_the_root_is_named_first(outer: str, inner: str) -> None:
    def both(steps: dict[str, Step]) -> None:
        for name in (inner, outer):
            if not (name == "warming up" and outer == "no target"):
                ROWS[name][0](steps)

    assert find("iam", both, ROWS[inner][1]).kind == ROWS[outer][2]


def test_what_does_no_harm_is_not_blamed() -> None:
    harmless = all_of(
        differs("function-iam", "MemorySize", 1024),
        differs("role-function-iam", "Policies", policy(connect("*", "*"))),
        differs("rules-database", "Ingress", ["-1 all 0.0.0.0/0"]),
        differs("rules-proxy", "Ingress", ["tcp 3000-4000 10.0.0.0/16"]),
        differs("role-api", "Policies", {"all": allow("lambda:*", on="*")}),
        differs("stage", "ThrottlingRateLimit", 1.0),
        CODE,
    )
    cause = find("iam", harmless, failed(DENIED))
    assert cause.kind == "proxy-refuses"
    assert "CodeSha256" in cause.proof


def test_without_steps_only_the_symptoms_speak() -> None:
    route = LOGIN_ROUTES[-1]
    cause = cause_of(
        Evidence(
            route, SILENT, problem="DescribeVpcs answered UnauthorizedOperation", template=TEMPLATE
        )
    )
    assert cause.kind == "unexplained"
    assert "AWS could not be read: DescribeVpcs answered UnauthorizedOperation" in cause.proof
    assert cause_of(Evidence(route, failed(DENIED), template=TEMPLATE)).kind == "proxy-refuses"


def test_what_may_pass_is_not_certain() -> None:
    for name in (
        "warming up",
        "proxy modifying",
        "token refused",
        "no connection free",
        "no network",
    ):
        broken, answer, *_ = ROWS[name]
        assert not find("iam", broken, answer).certain, name
    for name in ("no policy", "no stage", "handler", "no TLS", "secret not JSON"):
        broken, answer, *_ = ROWS[name]
        assert find("iam", broken, answer).certain, name


# --- reading rules, policies and logs -------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ("tcp 3306 sg-1", True),
        ("6 3306 sg-1", True),
        ("-1 all sg-1", True),
        ("tcp 0-65535 sg-1", True),
        ("tcp 3306 0.0.0.0/0", True),
        ("tcp 3306 10.0.0.0/16", True),
        ("tcp 3306 sg-2", False),
        ("udp 3306 sg-1", False),
        ("tcp 3307 sg-1", False),
        ("tcp 3307-4000 sg-1", False),
        ("tcp 3306 10.0.2.0/24", False),
        ("tcp 3306 ::/0", False),
        ("tcp 3306 pl-1", False),
    ],
)
def test_which_rules_let_mysql_through(rule: str, good: bool) -> None:
    assert lets(rule, "sg-1", ["10.0.2.0/24", "10.0.3.0/24"]) is good


def test_a_range_without_known_subnets_proves_nothing() -> None:
    assert not lets("tcp 3306 10.0.0.0/16", "sg-1", [])


def statement(action: Any, resource: Any, effect: str = "Allow") -> dict[str, Any]:
    return {"Statement": {"Effect": effect, "Action": action, "Resource": resource}}


@pytest.mark.parametrize(
    ("documents", "good"),
    [
        ([], False),
        ([statement("rds-db:connect", NEEDED)], True),
        ([statement(["s3:*", "rds-db:*"], ["x", "arn:aws:rds-db:*:*:dbuser:*/*"])], True),
        ([statement("RDS-DB:Connect", NEEDED)], True),
        ([statement("*", "*")], True),
        ([statement("rds-db:connect", NEEDED.upper())], False),
        ([statement("rds:*", "*")], False),
        ([statement("rds-db:connect", NEEDED[:-1] + "?")], True),
        ([statement("rds-db:connect", NEEDED + ".")], False),
        ([statement("*", "*"), statement("rds-db:*", "*", "Deny")], False),
        ([statement("rds-db:*", "*"), statement("rds-db:*", NEEDED + "x", "Deny")], True),
        ([{"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}], True),
        ([{"Statement": {"Effect": "Allow", "Action": "rds-db:*", "NotResource": "x"}}], True),
        ([{"Statement": {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}}], False),
    ],
)
def test_what_policies_allow(documents: list[dict[str, Any]], good: bool) -> None:
    assert allows(documents, "rds-db:connect", NEEDED) is good


def test_what_policies_name_and_deny() -> None:
    documents = [statement("rds-db:connect", ["a", "b"]), statement("*", "c", "Deny")]
    assert allowed_on(documents, "rds-db:connect") == ["a", "b"]
    assert denies(documents, "rds-db:connect", "c")
    assert not denies(documents, "rds-db:connect", "a")


def test_whom_a_trust_policy_trusts() -> None:
    both = {"Service": ["lambda.amazonaws.com", "rds.amazonaws.com"]}
    document = {"Statement": [{"Effect": "Allow", "Principal": both, "Action": "sts:AssumeRole"}]}
    assert trusts(document, "rds.amazonaws.com")
    assert not trusts(document, "apigateway.amazonaws.com")
    assert not trusts({"Statement": []}, "rds.amazonaws.com")
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    assert not trusts({"Statement": [everybody]}, "rds.amazonaws.com")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "[ERROR] Runtime.ImportModuleError: Unable to import module 'index': No module named "
            "'mysql'\rTraceback (most recent call last):",
            IMPORT_ERROR,
        ),
        (
            "2026-11-24T08:00:00.000Z 1b4e Task timed out after 10.00 seconds\n",
            FunctionError("Sandbox.Timedout", "", "Task timed out after 10.00 seconds"),
        ),
        (
            json.dumps({"login": "iam", "error": "SettingError", "code": "REGION",
                        "message": "REGION is not set", "trace": "secret things"}),
            FunctionError("SettingError", "REGION", "REGION is not set"),
        ),
        (
            json.dumps({"error": "TimeoutError", "code": None, "message": "no answer"}),
            FunctionError("TimeoutError", "", "no answer"),
        ),
        ("START RequestId: 1b4e Version: $LATEST\n", None),
        ("[1, 2]", None),
        ('{"error": "no more"}', None),
        ("", None),
    ],
)  # fmt: skip
def test_what_a_line_of_the_log_tells(line: str, error: FunctionError | None) -> None:
    assert logged_error(line) == error


def line(error: str, code: int | None, message: str, request_id: str) -> str:
    """A line of a function's log about a failure."""
    told = {"error": error, "code": code, "message": message, "request_id": request_id}
    return json.dumps({"login": "iam", **told})


def test_an_answer_gets_its_words_from_the_log_by_the_requests_id() -> None:
    lines = [
        line("InterfaceError", 2003, "older", "a"),
        line("InterfaceError", 2003, "its own", "b"),
        line("InterfaceError", 2003, "newer", "c"),
        line("TimeoutError", None, "another's", "d"),
    ]
    body = b'{"error":"InterfaceError","code":2003,"request_id":"%s"}'

    def found(request_id: bytes) -> str:
        told = parsed_answer(500, {}, body % request_id, 1.0)
        error = error_of(told, lines)
        assert error is not None
        evidence = Evidence(LOGIN_ROUTES[-1], told, WHOLE, error, template=TEMPLATE)
        assert evidence.error == error
        assert error.message in evidence.said()
        return error.message

    assert found(b"b") == "its own"
    assert found(b"x") == "newer"  # the log lags behind: the newest of the same kind
    other = parsed_answer(500, {}, b'{"error":"X","code":1,"request_id":"a"}', 1.0)
    assert error_of(other, lines) is None
    assert error_of(None, lines) == FunctionError("TimeoutError", "", "another's", "d")
    assert Evidence(LOGIN_ROUTES[-1], other, WHOLE, None, template=TEMPLATE).error == other.error


def test_a_long_line_of_the_log_is_cut() -> None:
    error = logged_error("[ERROR] ValueError: " + "x" * 5000)
    assert error is not None
    assert len(error.message) == 300


def test_how_values_are_told() -> None:
    assert shown(None) == shown("") == shown([]) == "nothing"
    assert shown(["a", ["b"]]) == "a, b"
    assert shown({"a": 1, "b": None}) == "a: 1, b: nothing"
    assert shown("${secret.password}") == "(hidden)"
    hidden = Change("Environment.DB_PASSWORD", "x", "y", sensitive=True)
    assert differing("DB_PASSWORD", hidden) == "DB_PASSWORD is not the expected one"
