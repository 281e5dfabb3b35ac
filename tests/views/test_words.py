"""Plans, changes, durations, errors and summaries in words."""

from __future__ import annotations

import json
import math

import pytest

from provision.engine.events import Summary
from provision.errors import AwsAnswer, AwsCallError, ConfigError, Problem, ProvisionError
from provision.resources.base import Change
from provision.views.style import Meaning, Piece, Styled, rendered
from provision.views.tables import table_lines
from provision.views.words import (
    change_lines,
    duration,
    error_lines,
    failure_line,
    plan_lines,
    plan_result,
    summary_lines,
    time_left,
)
from tests.support.outputs import plan_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3599.7, "1h00m"),
        (3720, "1h02m"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (190, 470, "about 3 to 8 min left"),
        (0, 170, "up to 3 min left"),
        (61, 119, "about 1 to 2 min left"),
        (120, 120, "about 2 min left"),
        (12, 38, "about 10 to 40 s left"),
        (0, 3.2, "up to 4 s left"),
        (0, 0, "up to 1 s left"),
        (100, math.inf, "taking longer than usual"),
    ],
)
def test_time_left_is_a_range(low: float, high: float, words: str) -> None:
    assert time_left(low, high) == words


# --- changes --------------------------------------------------------------------------------------


def policy(action: str, resource: str) -> dict[str, object]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


CONNECT = policy("rds-db:connect", "arn:aws:rds-db:eu-west-1:1:dbuser:prx-1/testdb")


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (Change("RequireTLS", False, True), ["RequireTLS: false -> true"]),
        (Change("Tags.team", None, ""), ['Tags.team: nothing -> ""']),
        (Change("Layers", ["a"], []), ["Layers: a -> none"]),
        (
            Change("DBName", "a", "b", replaces=True),
            ["DBName: a -> b  (AWS cannot change this in place)"],
        ),
        (Change("Password", "one", "two", sensitive=True), ["Password: (hidden)"]),
        (
            Change("RoleArn", "arn:aws:iam::1:role/" + "a" * 30, "arn:aws:iam::1:role/b"),
            ["RoleArn:", "  - arn:aws:iam::1:role/" + "a" * 30, "  + arn:aws:iam::1:role/b"],
        ),
    ],
)
def test_a_change_is_what_is_and_what_should_be(change: Change, lines: list[str]) -> None:
    assert list(change_lines(change)) == lines


def test_of_long_policies_only_what_differs_is_shown() -> None:
    is_ = {"same": CONNECT, "connect": policy("*", "*")}
    change = Change("Policies", is_, {"same": CONNECT, "connect": CONNECT})
    assert list(change_lines(change)) == [
        "Policies.connect.Statement:",
        "  ...",
        "      {",
        '  -     "Action": "*",',
        '  +     "Action": "rds-db:connect",',
        '        "Effect": "Allow",',
        '  -     "Resource": "*"',
        '  +     "Resource": "arn:aws:rds-db:eu-west-1:1:dbuser:prx-1/testdb"',
        "      }",
    ]


def test_json_in_a_string_is_read_and_the_order_of_its_keys_does_not_matter() -> None:
    is_ = json.dumps(dict(reversed(CONNECT.items())))
    should = CONNECT | {"Version": "2008-10-17"}
    assert list(change_lines(Change("Document", is_, should))) == [
        "Document.Version: 2012-10-17 -> 2008-10-17"
    ]


def test_a_policy_that_should_not_be_there_is_shown_whole() -> None:
    lines = list(change_lines(Change("Policies", {"extra": CONNECT}, {})))
    assert lines[:3] == ["Policies.extra:", "  - {", '  -   "Statement": [']
    assert all(line.startswith("  - ") for line in lines[1:])


def test_what_is_the_same_between_two_differences_is_left_out() -> None:
    is_ = [f"subnet-{number:020}" for number in range(9)]
    should = ["first", *is_[1:8], "last"]
    assert list(change_lines(Change("SubnetIds", is_, should))) == [
        "SubnetIds:",
        "    [",
        '  -   "subnet-00000000000000000000",',
        '  +   "first",',
        '      "subnet-00000000000000000001",',
        "  ...",
        '      "subnet-00000000000000000007",',
        '  -   "subnet-00000000000000000008"',
        '  +   "last"',
        "    ]",
    ]


def test_text_that_only_looks_like_json_is_text() -> None:
    before, after = "{not json " + "x" * 60, "[nor this"
    lines = list(change_lines(Change("Description", before, after)))
    assert lines == ["Description:", f"  - {before}", f"  + {after}"]


# --- plans ----------------------------------------------------------------------------------------


def test_a_plan_has_a_line_for_each_step_and_its_changes_below() -> None:
    plan = plan_of(
        create=["vpc", "route-func1"],
        update=[("proxy-iam", Change("RequireTLS", False, True))],
        replace=[("db-instance", Change("DBName", "a", "b", replaces=True))],
    )
    assert list(plan_lines(plan)) == [
        "+ create   vpc          VPC",
        "- REPLACE  db-instance  DB instance rds-proxy-auth-database: deleted and created again, "
        "ITS DATA IS LOST",
        "      DBName: a -> b  (AWS cannot change this in place)",
        "~ update   proxy-iam    RDS Proxy rds-proxy-auth-iam",
        "      RequireTLS: false -> true",
        "+ create   route-func1  route GET /func1",
    ]
    assert plan_result(plan) == "Plan: + 2 to create, ~ 1 to change, - 1 to replace, · 32 unchanged"


def test_a_plan_with_nothing_to_do_says_so() -> None:
    assert list(plan_lines(plan_of())) == []
    assert (
        plan_result(plan_of())
        == "Plan: + 0 to create, ~ 0 to change, - 0 to replace, · 36 unchanged"
    )


# --- errors ---------------------------------------------------------------------------------------

DENIED = AwsCallError(
    "vpc",
    AwsAnswer("CreateVpc", "UnauthorizedOperation", "You are not [authorized]."),
    next_step="Allow ec2:CreateVpc.",
)


def test_an_error_says_what_to_do_next() -> None:
    assert list(error_lines(DENIED)) == [
        "error: vpc: CreateVpc answered UnauthorizedOperation: You are not [authorized].",
        "next:  Allow ec2:CreateVpc.",
    ]


def test_an_error_of_many_lines_stays_under_its_head() -> None:
    problems = [Problem("api.x", 1, "no such key"), Problem("wait.y", 2, "no such key")]
    assert list(error_lines(ConfigError(problems, source="config.toml"))) == [
        "error: config.toml has 2 bad values:",
        "         api.x = 1: no such key",
        "         wait.y = 2: no such key",
        "next:  Correct the values above; nothing was done.",
    ]


def test_an_error_without_words_still_has_a_name() -> None:
    assert list(error_lines(ProvisionError(""))) == ["error: ProvisionError"]


def test_a_failed_step_names_step_call_code_and_message_once() -> None:
    assert failure_line("vpc", DENIED) == (
        "vpc: FAILED: CreateVpc answered UnauthorizedOperation: You are not [authorized]."
    )
    assert failure_line("vpc", ProvisionError("vpc: still pending")) == "vpc: FAILED: still pending"


# --- tables and summaries -------------------------------------------------------------------------


def test_a_table_cuts_and_folds_nothing() -> None:
    long = "x" * 300
    lines = list(table_lines("title", ("a", "b"), [("1", long), ("22", "")]))
    assert lines == ["title", f"a   {'b'}", f"1   {long}", "22"]
    assert list(table_lines("none", ("a",), [])) == ["none"]


def test_on_a_terminal_the_last_column_goes_on_below_itself() -> None:
    rows = [("function", "one-long-name Successful, another-name"), ("x", "y" * 40)]
    assert list(table_lines("", ("link", "why"), rows, width=36)) == [
        "link      why",
        "function  one-long-name Successful,",
        "          another-name",
        "x",
        "    " + "y" * 40,  # nothing that one may have to copy is cut: it has a line of its own
    ]


def test_columns_give_way_in_order_and_no_word_is_broken() -> None:
    rows = [("GET /func1", "the password login", "word " * 12), ("GET /", "iam", "short")]
    columns = ("route", "login", "why")
    wide = list(table_lines("", columns, rows, width=200))
    assert len(wide) == 3
    for width in (80, 60, 44, 34):
        lines = list(table_lines("", columns, rows, width=width))
        assert max(map(len, lines)) <= width
        assert " ".join(lines).split().count("word") == 12
    assert len(list(table_lines("", columns, rows, width=70))) == 4  # the last one first
    assert any(line.startswith("GET ") and "the  " in line for line in lines)  # then the others


def test_what_a_cell_means_stays_when_it_goes_on_below() -> None:
    rows = [("a", Styled(Piece("bad " * 20, Meaning.BAD)))]
    lines = [line for line in table_lines("", ("x", "y"), rows, width=40) if "bad" in line]
    assert len(lines) > 1
    assert all("\x1b[31mbad" in rendered(line) for line in lines)


def test_a_summary_has_urls_notes_and_what_to_type_next() -> None:
    summary = Summary(
        "up",
        ok=True,
        created=30,
        updated=2,
        unchanged=4,
        seconds=431,
        url="https://x",
        notes=["costs about $0.10 an hour"],
        next_commands=[("python -m provision check", "call both"), ("python -m teardown", "end")],
    )
    assert list(summary_lines(summary)) == [
        "✓ up: done in 7m11s: 30 created, 2 updated, 4 unchanged",
        "  password login  https://x/func1",
        "  IAM login       https://x/func2",
        "  costs about $0.10 an hour",
        "next:",
        "  python -m provision check  call both",
        "  python -m teardown         end",
    ]


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        (
            Summary("up", True, unchanged=36),
            "✓ up: done in 0.0 s: nothing changed, 36 up to date",
        ),
        (Summary("status", True), "✓ status: done in 0.0 s"),
        (Summary("up", False, created=1), "✗ up: failed after 0.0 s: 1 created"),
    ],
)
def test_a_summary_says_what_happened(summary: Summary, line: str) -> None:
    assert list(summary_lines(summary)) == [line]
