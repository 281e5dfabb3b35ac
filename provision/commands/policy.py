"""`provision policy`: the IAM policies that the caller needs. Calls nothing."""

from __future__ import annotations

import json
import shlex
import sys

from provision.cli.options import Options, state_location
from provision.commands.policy_document import MOST_CHARACTERS, Document, policies, size
from provision.engine.events import Display, Summary
from provision.errors import UsageError
from provision.state.location import S3Location


def policy(options: Options, output: Display, *, number: int | None) -> Summary:
    """Print the policy document, as a JSON array where it takes several.

    `number` chooses one, counted from 1. How to attach them goes to stderr. Returns the summary,
    which only programs are shown. Raises UsageError where there is no document of that number.
    """
    config = options.configuration
    at = state_location(options, config)
    documents = policies(config, state=at if isinstance(at, S3Location) else None)
    if number is not None and not 1 <= number <= len(documents):
        raise UsageError(
            f"--document {number}: no such document",
            next_step=f"Documents are numbered from 1 to {len(documents)}.",
        )
    if number is not None:
        shown: Document | list[Document] = documents[number - 1]
    else:
        shown = documents[0] if len(documents) == 1 else documents
    output.record("policy", document=shown)
    output.document(json.dumps(shown, indent=2).split("\n"))
    if sys.stderr is not None:
        name = config.environment.name
        lines = attaching(name, documents, number, given(options))
        print("\n".join(lines), file=sys.stderr)
    return Summary("policy", ok=True, silent=True)


def attaching(name: str, documents: list[Document], number: int | None, flags: str) -> list[str]:
    """Return the lines that say how an administrator attaches the documents.

    `flags` are those that the documents were made with.
    """
    one = len(documents) == 1
    lines = [
        f"# {'One document' if one else f'{len(documents)} documents'}, each within IAM's "
        f"{MOST_CHARACTERS} characters; the caller needs {'it' if one else 'all of them'}. "
        "An administrator runs:"
    ]
    for each, found in enumerate(documents, 1):
        if number not in (None, each):
            continue
        policy = f"{name}-provision" + ("" if one else f"-{each}")
        choose = "" if one else f" --document {each}"
        lines += [
            f"# {size(found)} characters",
            f"python -m provision policy{choose}{flags} > {policy}.json",
            'aws iam attach-user-policy --user-name USER --policy-arn "$('
            f"aws iam create-policy --policy-name {policy} --policy-document file://{policy}.json "
            '--query Policy.Arn --output text)"',
        ]
    return [*lines, "# For a role: aws iam attach-role-policy --role-name ROLE --policy-arn ..."]


def given(options: Options) -> str:
    """Return the flags that change what a policy says, as they were given."""
    flags = [f"--set={each}" for each in options.overrides]
    for name in ("config", "state", "region"):
        if (value := getattr(options, name)) is not None:
            flags.append(f"--{name}={value}")
    return "".join(f" {shlex.quote(flag)}" for flag in flags)
