"""Causes in the function: its state, role, handler, layer, code and settings.

Follows the Lambda Developer Guide, "Troubleshoot invocation issues in Lambda".
"""

from __future__ import annotations

from http import HTTPStatus

from provision.resources.lambda_ import RESERVED
from provision.resources.template import LOGINS
from provision.verify.diagnosis.api import answers
from provision.verify.diagnosis.cause import CHECK, UP, Cause, differing, is_should, lower
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import trusted, trusts

LAMBDA_SERVICE = "lambda.amazonaws.com"
ENDPOINT = "Environment.DB_PROXY_ENDPOINT_ADDRESS"
SETTINGS = ("DB_USER", "DB_NAME", "DB_ENDPOINT_PORT", "DB_TABLENAME", "REGION", "SSLCERTIFICATE")
CERTIFICATE = "AmazonRootCA1.pem"


def function_missing(evidence: Evidence) -> Cause | None:
    """The function does not exist."""
    declared = evidence.function
    if not evidence.missing(declared):
        return None
    return Cause("the function is missing", f"GetFunction: no {evidence.name(declared)}")


def function_role_unusable(evidence: Evidence) -> Cause | None:
    """The function runs as another role, or Lambda cannot assume its own."""
    role, name = evidence.function_role, evidence.name(evidence.function_role)
    if evidence.missing(role):
        return Cause("the function's role is missing", f"GetRole: no {name}")
    if change := evidence.change(evidence.function, "Role"):
        return Cause("the function runs as another role", differing("its role", change))
    trust = evidence.is_(role, "AssumeRolePolicyDocument")
    if trust is None or trusts(trust, LAMBDA_SERVICE):
        return None
    return Cause(
        "Lambda may not assume the function's role",
        is_should(f"who may assume {name}", trusted(trust), LAMBDA_SERVICE),
    )


def function_not_ready(evidence: Evidence) -> Cause | None:
    """The function failed to start or to change, or is still at it."""
    function = evidence.seen(evidence.function)
    if function is None or function.status in ("Successful", "Active"):
        return None
    reason = f" ({function.reason})" if function.reason else ""
    proof = f"GetFunction: {evidence.name(evidence.function)} is {function.status}{reason}"
    if function.status == "Failed":
        return Cause("Lambda could not bring the function up", proof)
    return Cause("the function is not ready yet", proof, CHECK, certain=False)


def function_has_no_concurrency(evidence: Evidence) -> Cause | None:
    """Lambda runs as many requests at once as somebody reserved: with 0 the function is off.

    Lambda answers TooManyRequestsException, of which API Gateway makes a 503. `up` leaves it: it
    sets no reserved concurrency, and 0 is how a function is switched off on purpose.
    """
    name, reserved = evidence.name(evidence.function), evidence.is_(evidence.function, RESERVED)
    if reserved is None or not answers(evidence, HTTPStatus.SERVICE_UNAVAILABLE):
        return None
    if reserved > 0 and evidence.answer is None:
        return None
    sentence = (
        f"the function's reserved concurrency is {reserved}, and that many requests run"
        if reserved
        else "the function is switched off: its reserved concurrency is 0"
    )
    return Cause(
        sentence,
        f"GetFunction: ReservedConcurrentExecutions of {name} is {reserved}; {evidence.answered}",
        f"aws lambda delete-function-concurrency --function-name {name}; then {CHECK}",
        certain=not reserved,
    )


def function_gives_up(evidence: Evidence) -> Cause | None:
    """Lambda ends the function after fewer seconds than it should have."""
    change = evidence.change(evidence.function, "Timeout")
    if not lower(change) or not evidence.error or "timed out" not in evidence.error.message:
        return None
    return Cause(
        "the function has less time than it should have",
        proof_with_error("Timeout", evidence, change),
    )


def handler_wrong(evidence: Evidence) -> Cause | None:
    """Lambda is configured to call something that is not in the function's code."""
    change = evidence.change(evidence.function, "Handler")
    if not change:
        return None
    return Cause(
        "the function's handler has the wrong name", proof_with_error("Handler", evidence, change)
    )


def layer_missing(evidence: Evidence) -> Cause | None:
    """The function has no layer, and so no MySQL connector."""
    change = evidence.change(evidence.function, "Layers")
    if not change or change.is_:
        return None
    sentence = "the function has no layer, and so no MySQL connector"
    return Cause(sentence, proof_with_error("Layers", evidence, change))


def layer_wrong(evidence: Evidence) -> Cause | None:
    """The function has a layer in which Python does not find the MySQL connector."""
    error = evidence.error
    if not error or "No module named 'mysql" not in error.message:
        return None
    layers = evidence.is_(evidence.function, "Layers") or []
    proof = f"the layer is {', '.join(layers)}"
    if change := evidence.change(evidence.template.layer, "CodeSha256"):
        proof = differing(f"CodeSha256 of {', '.join(layers)}", change)
    return Cause(
        "the layer is not the one that is built here: it has no MySQL connector below python/",
        f"{proof}; the function's log: {error}",
        forget_foreign_layer(evidence),
    )


def forget_foreign_layer(evidence: Evidence) -> str:
    """Return what to do about a bad layer: `up` touches no version that somebody else published."""
    layer = evidence.seen(evidence.template.layer)
    if layer is None or layer.ours:
        return UP
    return (
        f"aws lambda delete-layer-version --layer-name {evidence.name(evidence.template.layer)} "
        f"--version-number {layer.outputs['version']}; then {UP}"
    )


def certificate_missing(evidence: Evidence) -> Cause | None:
    """The root certificate is not in the function's zip, or SSLCERTIFICATE names another file."""
    error = evidence.error
    if not error or error.code != "SSLCERTIFICATE":
        return None
    setting = evidence.change(evidence.function, "Environment.SSLCERTIFICATE")
    if setting:
        return Cause("SSLCERTIFICATE names a file that is not in the function's zip",
                     proof_with_error("SSLCERTIFICATE", evidence, setting))  # fmt: skip
    return Cause(f"{CERTIFICATE} is missing from the function's zip", code_proof(evidence))


def certificate_wrong(evidence: Evidence) -> Cause | None:
    """The certificate in the function's zip is not the root of the proxy's."""
    error = evidence.error
    if not error or "CERTIFICATE_VERIFY_FAILED" not in error.message:
        return None
    if evidence.change(evidence.function, "CodeSha256"):
        sentence = f"{CERTIFICATE} in the function's zip is not the root of the proxy's certificate"
        return Cause(sentence, code_proof(evidence))
    return Cause(
        "the proxy's certificate does not come from Amazon Root CA 1, or has another name",
        f"the function's code is as it should be; {error}",
        f"Compare certs/{CERTIFICATE} with what the proxy shows; then: {CHECK}",
        certain=False,
    )


def points_at_another_proxy(evidence: Evidence) -> Cause | None:
    """The function calls an endpoint that is not its proxy's."""
    function, proxy = evidence.function, evidence.proxy
    change = evidence.change(function, ENDPOINT)
    if not change or evidence.missing(proxy):
        return None
    other = next(
        (
            login
            for login in LOGINS
            if (seen := evidence.seen(evidence.template.proxies[login]))
            and seen.outputs.get("endpoint") == change.is_
        ),
        "",
    )
    sentence = (
        f"the {evidence.login} function points at the {other} proxy"
        if other
        else f"the {evidence.login} function does not point at its proxy"
    )
    return Cause(sentence, differing("DB_PROXY_ENDPOINT_ADDRESS", change))


def setting_wrong(evidence: Evidence) -> Cause | None:
    """One of the function's environment variables is missing or not as it should be."""
    for name in SETTINGS:
        if change := evidence.change(evidence.function, f"Environment.{name}"):
            sentence = f"the function's environment variable {name} is wrong"
            return Cause(sentence, proof_with_error(name, evidence, change))
    return None


def runtime_wrong(evidence: Evidence) -> Cause | None:
    """Lambda could not load the function, and its runtime is another one."""
    change = evidence.change(evidence.function, "Runtime")
    if not change or not evidence.logged or not evidence.logged.kind.startswith("Runtime."):
        return None
    return Cause("the function has another runtime", proof_with_error("Runtime", evidence, change))


def code_differs(evidence: Evidence) -> Cause | None:
    """The function's code is not what this program uploads: whatever it does, it is not ours."""
    if not evidence.change(evidence.function, "CodeSha256"):
        return None
    return Cause(
        "the function's code is not what this program uploads", code_proof(evidence), certain=False
    )


def proof_with_error(what: str, evidence: Evidence, change: object) -> str:
    """Return how a property differs, and the error that comes of it."""
    error = f"; {evidence.error}" if evidence.error else f"; {evidence.said()}"
    return differing(what, change) + error  # type: ignore[arg-type]


def code_proof(evidence: Evidence) -> str:
    """Return the error, and how the function's code differs from what would be uploaded."""
    change = evidence.change(evidence.function, "CodeSha256")
    return f"{evidence.error or evidence.said()}" + (
        f"; {differing('CodeSha256', change)}" if change else ""
    )
