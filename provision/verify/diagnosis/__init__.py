"""Why a login does not work: evidence is read from AWS, causes are found in it, purely."""

from __future__ import annotations

from collections.abc import Mapping

from provision.aws.account import calling
from provision.context import Run
from provision.verify.diagnosis.cause import Cause
from provision.verify.diagnosis.causes import cause_of, named
from provision.verify.diagnosis.database import tls_not_required
from provision.verify.diagnosis.evidence import Evidence, Step, gather
from provision.verify.http_client import LOGIN_ROUTES, Answer, LoginRoute

__all__ = ["Cause", "Diagnosis", "weak_settings"]


class Diagnosis:
    """Finds why logins do not work. A cause is certain when it was found twice in a row.

    Once is not enough: AWS's reads lag behind what was just changed.
    """

    def __init__(self, run: Run, *, since: float) -> None:
        """`since` is Unix time: older lines of the functions' logs are left alone."""
        self._run, self._since = run, since
        self._before: dict[LoginRoute, Cause] = {}
        self.causes: dict[LoginRoute, Cause] = {}

    def examine(self, failing: Mapping[LoginRoute, Answer | None]) -> None:
        """Read the evidence again and find the causes. Raises Interrupted or CredentialsError."""
        evidence = gather(self._run, failing, since=self._since)
        self._before = self.causes
        self.causes = self.causes | {route: cause_of(found) for route, found in evidence.items()}

    def certain(self, route: LoginRoute) -> bool:
        """Return whether it is known why a route fails, and that waiting does not help."""
        cause, before = self.causes.get(route), self._before.get(route)
        return bool(cause and before and cause.certain and cause.kind == before.kind)


def weak_settings(run: Run) -> Cause | None:
    """Return what of the IAM proxy is not as it should be although the login works."""
    proxy = run.template.proxies["iam"]
    with calling(proxy.step):
        seen = proxy.find(run.aws, {})
    changes = tuple(proxy.differences(seen, run.aws)) if seen else ()
    (route,) = (each for each in LOGIN_ROUTES if each.login == "iam")
    steps = {proxy.step: Step(proxy, seen, changes)}
    evidence = Evidence(route, steps=steps, template=run.template)
    return named(tls_not_required, evidence)
