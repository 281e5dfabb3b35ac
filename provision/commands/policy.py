"""`provision policy`: the IAM policy that the caller needs. Calls nothing."""

from __future__ import annotations

import json

from provision.options import Options, configuration
from provision.output.base import Output, Summary
from provision.policy import policy as make_policy


def policy(options: Options, output: Output) -> Summary:
    """Print the policy document. Returns the summary, which only programs are shown."""
    document = make_policy(configuration(options))
    output.record("policy", document=document)
    output.document(json.dumps(document, indent=2))
    return Summary("policy", ok=True, silent=True)
