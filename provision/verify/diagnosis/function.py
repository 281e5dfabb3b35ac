"""Causes in the function: its state, role, handler, layer, code and settings.

Follows the Lambda Developer Guide, "Troubleshoot invocation issues in Lambda".
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from provision.resources.base import Change
from provision.resources.lambda_ import RESERVED
from provision.resources.template import LOGINS
from provision.verify.diagnosis.api import answers
from provision.verify.diagnosis.cause import CHECK, UP, Cause, differing, lower
from provision.verify.diagnosis.evidence import Evidence
from provision.verify.diagnosis.policies import missing_role, not_assumed

LAMBDA_SERVICE = "lambda.amazonaws.com"
ENDPOINT = "Environment.DB_PROXY_ENDPOINT_ADDRESS"
SETTINGS = ("DB_USER", "DB_NAME", "DB_ENDPOINT_PORT", "DB_TABLENAME", "REGION", "SSLCERTIFICATE")
CERTIFICATE = "AmazonRootCA1.pem"


def function_missing(evidence: Evidence) -> Iterator[Cause]:
    """The function does not exist."""
    if evidence.missing(evidence.function):
        name = evidence.name(evidence.function)
        yield Cause("the function is missing", f"GetFunction: no {name}")


def function_role_unusable(evidence: Evidence) -> Iterator[Cause]:
    """The function runs as another role, or Lambda cannot assume its own."""
    role = evidence.function_role
    yield from missing_role(evidence, role, "the function's role")
    if change := evidence.change(evidence.function, "Role"):
        yield Cause("the function runs as another role", differing("its role", change))
    sentence = "Lambda may not assume the function's role"
    yield from not_assumed(evidence, role, LAMBDA_SERVICE, sentence)


def function_not_ready(evidence: Evidence) -> Iterator[Cause]:
    """The function failed to start or to change, or is still at it."""
    function = evidence.seen(evidence.function)
    if function is None or function.status in ("Successful", "Active"):
        return
    reason = f" ({function.reason})" if function.reason else ""
    proof = f"GetFunction: {evidence.name(evidence.function)} is {function.status}{reason}"
    if function.status == "Failed":
        yield Cause("Lambda could not bring the function up", proof)
    yield Cause("the function is not ready yet", proof, CHECK, certain=False)


def function_has_no_concurrency(evidence: Evidence) -> Iterator[Cause]:
    """Lambda runs as many requests at once as somebody reserved: with 0 the function is off.

    Lambda answers TooManyRequestsException, of which API Gateway makes a 503. `up` leaves it: it
    sets no reserved concurrency, and 0 is how a function is switched off on purpose.
    """
    name, reserved = evidence.name(evidence.function), evidence.is_(evidence.function, RESERVED)
    if reserved is None or not answers(evidence, HTTPStatus.SERVICE_UNAVAILABLE):
        return
    if reserved > 0 and evidence.answer is None:
        return
    sentence = (
        f"the function's reserved concurrency is {reserved}, and that many requests run"
        if reserved
        else "the function is switched off: its reserved concurrency is 0"
    )
    yield Cause(
        sentence,
        f"GetFunction: ReservedConcurrentExecutions of {name} is {reserved}; {evidence.answered}",
        f"aws lambda delete-function-concurrency --function-name {name}; then {CHECK}",
        certain=not reserved,
    )


def function_gives_up(evidence: Evidence) -> Iterator[Cause]:
    """Lambda ends the function after fewer seconds than it should have."""
    change = evidence.change(evidence.function, "Timeout")
    if lower(change) and evidence.error and "timed out" in evidence.error.message:
        sentence = "the function has less time than it should have"
        yield Cause(sentence, proof_with_error("Timeout", evidence, change))


def handler_wrong(evidence: Evidence) -> Iterator[Cause]:
    """Lambda is configured to call something that is not in the function's code."""
    if change := evidence.change(evidence.function, "Handler"):
        sentence = "the function's handler has the wrong name"
        yield Cause(sentence, proof_with_error("Handler", evidence, change))


def layer_missing(evidence: Evidence) -> Iterator[Cause]:
    """The function has no layer, and so no MySQL connector."""
    change = evidence.change(evidence.function, "Layers")
    if change and not change.is_:
        sentence = "the function has no layer, and so no MySQL connector"
        yield Cause(sentence, proof_with_error("Layers", evidence, change))


def layer_wrong(evidence: Evidence) -> Iterator[Cause]:
    """The function has a layer in which Python does not find the MySQL connector."""
    error = evidence.error
    if not error or "No module named 'mysql" not in error.message:
        return
    layers = ", ".join(evidence.is_(evidence.function, "Layers") or [])
    proof = f"the layer is {layers}"
    if change := evidence.change(evidence.template.layer, "CodeSha256"):
        proof = differing(f"CodeSha256 of {layers}", change)
    yield Cause(
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


def certificate_missing(evidence: Evidence) -> Iterator[Cause]:
    """The root certificate is not in the function's zip, or SSLCERTIFICATE names another file."""
    if not evidence.error or evidence.error.code != "SSLCERTIFICATE":
        return
    if change := evidence.change(evidence.function, "Environment.SSLCERTIFICATE"):
        sentence = "SSLCERTIFICATE names a file that is not in the function's zip"
        yield Cause(sentence, proof_with_error("SSLCERTIFICATE", evidence, change))
    yield Cause(f"{CERTIFICATE} is missing from the function's zip", code_proof(evidence))


def certificate_wrong(evidence: Evidence) -> Iterator[Cause]:
    """The certificate in the function's zip is not the root of the proxy's."""
    error = evidence.error
    if not error or "CERTIFICATE_VERIFY_FAILED" not in error.message:
        return
    if evidence.change(evidence.function, "CodeSha256"):
        sentence = f"{CERTIFICATE} in the function's zip is not the root of the proxy's certificate"
        yield Cause(sentence, code_proof(evidence))
    yield Cause(
        "the proxy's certificate does not come from Amazon Root CA 1, or has another name",
        f"the function's code is as it should be; {error}",
        f"Compare certs/{CERTIFICATE} with what the proxy shows; then: {CHECK}",
        certain=False,
    )


def points_at_another_proxy(evidence: Evidence) -> Iterator[Cause]:
    """The function calls an endpoint that is not its proxy's."""
    change = evidence.change(evidence.function, ENDPOINT)
    if not change or evidence.missing(evidence.proxy):
        return
    sentence = f"the {evidence.login} function does not point at its proxy"
    for login in LOGINS:
        other = evidence.seen(evidence.template.proxies[login])
        if other and other.outputs.get("endpoint") == change.is_:
            sentence = f"the {evidence.login} function points at the {login} proxy"
    yield Cause(sentence, differing("DB_PROXY_ENDPOINT_ADDRESS", change))


def setting_wrong(evidence: Evidence) -> Iterator[Cause]:
    """One of the function's environment variables is missing or not as it should be."""
    for name in SETTINGS:
        if change := evidence.change(evidence.function, f"Environment.{name}"):
            sentence = f"the function's environment variable {name} is wrong"
            yield Cause(sentence, proof_with_error(name, evidence, change))


def runtime_wrong(evidence: Evidence) -> Iterator[Cause]:
    """Lambda could not load the function, and its runtime is another one."""
    change = evidence.change(evidence.function, "Runtime")
    if change and evidence.logged and evidence.logged.kind.startswith("Runtime."):
        sentence = "the function has another runtime"
        yield Cause(sentence, proof_with_error("Runtime", evidence, change))


def code_differs(evidence: Evidence) -> Iterator[Cause]:
    """The function's code is not what this program uploads: whatever it does, it is not ours."""
    if evidence.change(evidence.function, "CodeSha256"):
        sentence = "the function's code is not what this program uploads"
        yield Cause(sentence, code_proof(evidence), certain=False)


def proof_with_error(what: str, evidence: Evidence, change: Change) -> str:
    """Return how a property differs, and the error that comes of it."""
    return f"{differing(what, change)}; {evidence.error or evidence.said()}"


def code_proof(evidence: Evidence) -> str:
    """Return the error, and how the function's code differs from what would be uploaded."""
    change = evidence.change(evidence.function, "CodeSha256")
    differs = f"; {differing('CodeSha256', change)}" if change else ""
    return f"{evidence.error or evidence.said()}{differs}"
