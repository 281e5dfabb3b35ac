"""What plan, up, status and teardown do with a thing, by what the witnesses say of it.

Kind by kind: its step is in the state file or not, its tags are ours, another environment's, gone,
or not to be read. tests/resources/test_ownership_rule.py has the whole product; here each kind
meets each answer in the commands, on one environment that is put back each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.built import Built
from tests.support.commands import Result
from tests.support.names import NAME
from tests.support.owners import identity_of, tag, unreadable, untag

pytestmark = pytest.mark.sweep

# How a kind is located decides what is seen of it without the state file and without our tags.
BY_TAGS = ("vpc", "subnet-function", "security-group-proxy", "api")
BY_NAME = ("role-api", "secret", "db-instance", "proxy-iam", "log-group-iam")
NO_LASTING_ID = ("function-iam", "db-subnet-group")
TAGS_APART = ("db-instance", "proxy-iam", "log-group-iam", *NO_LASTING_ID)  # read by another call
ALL = (*BY_TAGS, *BY_NAME, *NO_LASTING_ID)

RULE = {
    # tags                   in the state file:          not in the state file:
    #                        by id       by name         found by name   found by tags
    "ours":                  ("ours",     "ours",         "ours",         "ours"),
    "another step's":        ("ours",     "perhaps ours", "perhaps ours", "absent"),
    "another environment's": ("disputed", "disputed",     "foreign",      "absent"),
    "none":                  ("ours",     "disputed",     "foreign",      "absent"),
    "unreadable":            ("ours",     "unreadable",   "unreadable",   ""),
}  # fmt: skip


def expected(step: str, state: str, tags: str) -> str:
    by_id, by_name, without, without_tags = RULE[tags]
    if state == "in the state":
        return by_name if step in NO_LASTING_ID else by_id
    if step == "log-group-iam" and tags in ("none", "another step's"):
        return "ours" if tags == "none" else without  # our own function still writes to it
    return without_tags if step in BY_TAGS else without


CELLS = [
    (step, state, tags)
    for step in ALL
    for state in ("in the state", "not in the state")
    for tags in RULE
    if tags != "unreadable" or step in TAGS_APART
]


@contextmanager
def bent(built: Built, step: str, state: str, tags: str) -> Iterator[None]:
    """Let the witnesses say this of a step's resource, and put all back."""
    account, path = built.account, built.commands.state_path()
    identity, before = identity_of(account, step), path.read_text()
    ours = {"provision:environment": NAME, "provision:step": step}
    if state == "not in the state":
        document = json.loads(before)
        del document["steps"][step]
        path.write_text(json.dumps(document))
    if tags == "unreadable":
        built.remote.set_overrides(*unreadable(step))
    elif tags == "none":
        untag(account, step, identity)
    elif tags == "another environment's":
        tag(account, step, identity, ours | {"provision:environment": "theirs"})
    elif tags == "another step's":
        tag(account, step, identity, ours | {"provision:step": "another"})
    built.remote.advance(3600)
    try:
        yield
    finally:
        built.remote.set_overrides()
        tag(account, step, identity, ours)
        built.remote.advance(3600)
        path.write_text(before)


def about(result: Result, event: str, step: str) -> list[str]:
    """The messages of an event that are about a step."""
    return [each["message"] for each in result.of(event) if each["message"].startswith(f"{step}: ")]


@pytest.mark.parametrize(("step", "state", "tags"), CELLS)
def test_what_the_commands_do_with_it(built: Built, step: str, state: str, tags: str) -> None:
    whose = expected(step, state, tags)
    before = len(built.remote.journal())
    with bent(built, step, state, tags):
        before = len(built.remote.journal())
        plan = built.commands.plan()
        status = built.commands.run("provision", "status", "--output", "plain")
        down = built.commands.run("teardown", "--plan", "--output", "json")
        up = built.commands.up() if whose not in ("ours", "absent") else plan
        changed = [each for each in built.remote.journal()[before:] if each.mutating]
    assert changed == [], "something was changed"
    going = {each["step"] for each in down.of("to-delete")}
    if whose in ("ours", "absent"):
        if (
            whose == "absent" and step == "vpc"
        ):  # a new VPC takes a new DB instance, which holds data
            assert plan.error["type"] == "ReplacementRefused"
        else:
            assert plan.code in (0, 3), plan.stdout[-800:]
        assert (plan.to_do.get(step) == "create") is (whose == "absent")
        assert (step in going) is (whose == "ours")
        assert about(down, "passed-over", step) == []
        return
    words = {
        "disputed": ("is not this environment's", "the state file says", "⊘ not ours"),
        "foreign": ("is not this environment's", "", "⊘ not ours"),
        "perhaps ours": ("it may be this environment's", "", "? unproven (perhaps ours)"),
        "unreadable": ("cannot be read", "", "? unproven (tags unreadable)"),
    }[whose]
    for refused in (plan, up):
        assert refused.code == 1
        assert refused.error["type"] == "ForeignResource"
        # A denied list hides the tags of every thing of the kind: the first of them is named.
        named = refused.error["message"].partition(": ")[0]
        assert named == step or (whose == "unreadable" and named[:8] == step[:8]), named
        assert words[0] in refused.error["message"]
        assert words[1] in refused.error["message"]
        assert refused.error["next"]
    line = next(each for each in status.stdout.splitlines() if each.split()[:1] == [step])
    assert words[2] in line
    assert bool(about(down, "passed-over", step)) is (whose == "foreign")
    assert (step in going) is (whose != "foreign")
