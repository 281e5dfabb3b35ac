"""Denies, as AWS would, the calls that a given IAM policy does not allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provision.rehearsal.aws.calls import Call, iam_actions, iam_context
from provision.rehearsal.aws.iam_policy import PolicyUnknownError, decide
from provision.rehearsal.aws.refusals import AwsError, denied


def check(document: Mapping[str, Any], call: Call) -> None:
    """Raises the service's own refusal (AwsError) unless `document` allows all that `call` needs.

    A document that uses what the evaluator does not know is answered with a 500 that says so.
    """
    try:
        for action, resource in iam_actions(call):
            if not decide([document], action, resource, iam_context(call, action)).allowed:
                raise denied(call, action, resource)
    except PolicyUnknownError as error:
        raise AwsError("InternalFailure", f"the rehearsal's policy: {error}", 500) from None
