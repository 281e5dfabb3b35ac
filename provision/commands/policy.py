"""`provision policy`: the IAM policy that the caller needs. Calls nothing."""

from __future__ import annotations

import json

from provision.cli.options import Options, configuration
from provision.commands.policy_document import policy as make_policy
from provision.engine.events import Display, Summary


def policy(options: Options, output: Display) -> Summary:
    """Print the policy document. Returns the summary, which only programs are shown."""
    document = make_policy(configuration(options))
    output.record("policy", document=document)
    output.document(json.dumps(document, indent=2))
    return Summary("policy", ok=True, silent=True)
