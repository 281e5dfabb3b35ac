"""What a person reads of each command, as whole texts, at 80 and 120 columns and in a pipe.

`GOLDEN=write` writes the texts anew: look at what changed before it is committed.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from provision.commands.check import COLUMNS as ROUTES
from provision.commands.doctor import COLUMNS as DOCTOR
from provision.commands.list import COLUMNS as LIST
from provision.commands.up import after_up
from provision.engine.events import Pace, Summary
from provision.errors import AwsAnswer, AwsCallError, CheckFailed
from provision.resources.base import Change, CreatableResource, DeletableResource
from provision.views.condition import Condition, shown
from provision.views.live import Live
from provision.views.plain import Plain
from provision.views.style import Meaning, Styled, link, signed
from provision.views.words import change_lines, plan_result, some_fail
from teardown.rehearsal import AFTERWARDS
from tests.support.outputs import ABOUT, RESOURCES, STEP, ViewClock, everything, plan_of

LINK = "\x1b]8;(?:id=[0-9]+)?;([^\x1b]*)\x1b\\\\"  # OSC 8; rich numbers its own
GOLDEN = Path(__file__).parent / "golden"
CREATED = [each for each in RESOURCES if isinstance(each, CreatableResource)]
DELETED = [each for each in RESOURCES if isinstance(each, DeletableResource)]
URL = "https://abcdefghij.execute-api.ap-northeast-1.amazonaws.com"
COST = "costs about $0.101 an hour ($73 in 30 days), table of 2026-11-24, unverified"
WORKS, FAILS = signed(Meaning.GOOD, "works"), signed(Meaning.BAD, "DOES NOT WORK")
GOOD = [
    ("GET /func1", "password", "TLSv1.3", "12", "41", "4", WORKS),
    ("GET /", "password", "TLSv1.3", "9", "38", "5", WORKS),
    ("GET /func2", "iam", "TLSv1.3", "14", "44", "6", WORKS),
]
BAD = [*GOOD[:2], ("GET /func2", "iam", "-", "-", "40", "-", FAILS)]


class Tty(io.StringIO):
    """A terminal to write to."""

    def isatty(self) -> bool:
        return True


def created(output: Plain, clock: ViewClock) -> None:
    """A first run: a second for each step, 7 minutes for the DB instance."""
    output.planned(everything())
    for each in CREATED:
        seconds = 420.0 if each.step == "db-instance" else 1.0
        output.began(each, "creating")
        clock += seconds
        output.finished(each, "created", each.name or "id", seconds)


def deleted(output: Plain, clock: ViewClock) -> None:
    """A teardown, last made first."""
    output.removing(DELETED)
    for each in reversed(DELETED):
        output.began(each, "deleting")
        clock += 1
        output.finished(each, "deleted", each.name or "id", 1)


def dry_run(output: Plain, clock: ViewClock) -> None:
    output.note("rehearsal: no AWS, no bill; 1000 times faster than AWS; --seed 1")
    output.start("up --dry-run", RESOURCES, ABOUT, Pace(300))
    created(output, clock)
    output.table("both logins, as the API answers:", ROUTES, GOOD)
    output.note("both logins work, and each sees the rows that the other stores")
    output.summary(Summary("up --dry-run", True, created=36, seconds=8, url=URL, lasting=False))
    output.start("teardown --dry-run", RESOURCES, ABOUT, Pace(300))
    deleted(output, clock)
    output.table(
        signed(Meaning.GOOD, "nothing is left at AWS (15 kinds of resource searched)"), (), ()
    )
    output.summary(
        Summary("teardown --dry-run", True, deleted=35, seconds=2, next_commands=AFTERWARDS)
    )


def up(output: Plain, clock: ViewClock) -> None:
    output.start("up", RESOURCES, ABOUT, Pace())
    created(output, clock)
    output.activity("calling GET /func1, GET /, GET /func2")
    output.activity("")
    output.table("both logins, as the API answers:", ROUTES, GOOD)
    output.summary(
        Summary(
            "up", True, created=36, seconds=460, url=URL, notes=[COST], next_commands=after_up()
        )
    )


def plan(output: Plain, _clock: ViewClock) -> None:
    found = plan_of(
        ["route-func2"],
        [("proxy-iam", Change("RequireTLS", False, True))],
        [("db-instance", Change("DBName", "a", "b", replaces=True))],
    )
    output.start("plan", RESOURCES, ABOUT, Pace())
    output.planned(found)
    output.summary(
        Summary(
            "plan", True, unchanged=33, verdict=plan_result(found), notes=[COST],
            next_commands=[("python -m provision up", "carry this out")],
        )
    )  # fmt: skip


def teardown(output: Plain, clock: ViewClock) -> None:
    output.start("teardown", RESOURCES, ABOUT, Pace())
    deleted(output, clock)
    output.table(
        signed(Meaning.GOOD, "nothing is left at AWS (15 kinds of resource searched)"), (), ()
    )
    output.summary(
        Summary(
            "teardown", True, deleted=35, seconds=36,
            next_commands=[("python -m provision up", "create it again")],
        )
    )  # fmt: skip


def check_good(output: Plain, _clock: ViewClock) -> None:
    output.start("check", RESOURCES, ABOUT, Pace())
    output.table("both logins, as the API answers:", ROUTES, GOOD)
    output.summary(
        Summary("check", True, seconds=1.2, url=URL, happened="all 3 routes work, with both logins")
    )


def check_bad(output: Plain, _clock: ViewClock) -> None:
    output.start("check", RESOURCES, ABOUT, Pace())
    output.table("both logins, as the API answers:", ROUTES, BAD)
    error = CheckFailed(
        "iam login (GET /func2): no policy of the role rds-proxy-auth-iam allows rds-db:connect\n"
        "  proof: iam get-role-policy has no statement for it",
        next_step="python -m provision up",
        verdict=some_fail(1, 3, "routes"),
    )
    output.error(error)
    output.summary(Summary("check", False, seconds=1.2, url=URL, error=error))


def status(output: Plain, _clock: ViewClock) -> None:
    output.start("status", RESOURCES, ABOUT, Pace())
    console = "https://ap-northeast-1.console.aws.amazon.com"
    output.table(
        "",
        ("step", "state", "id or name"),
        [
            ("vpc", shown(Condition.READY, "available"), link("vpc-0a1b", f"{console}/vpc-0a1b")),
            ("db-instance", shown(Condition.CREATING, "backing-up"), link("demo-database", "")),
            ("proxy-iam", shown(Condition.DIFFERS), link("demo-iam", f"{console}/demo-iam")),
            (
                "role-function-password",
                shown(Condition.READY),
                "demo-function-password-ap-northeast-1-" + 20 * "x",
            ),
            ("log-group-iam", shown(Condition.FOREIGN), "/aws/lambda/demo-iam"),
            ("secret", shown(Condition.UNPROVEN, "tags unreadable"), "demo/database"),
            ("target-iam", shown(Condition.MISSING), ""),
        ],
    )
    change = Change("RequireTLS", False, True)
    differs = [Styled("    ", line) for line in change_lines(change)]
    output.document(
        ["differs from config.toml (is -> should):", "  proxy-iam", *differs], folds=True
    )
    notes = ["33 of 35 resources exist; 1 differs", "missing: target-iam", COST]
    output.summary(Summary("status", True, seconds=0.7, url=URL, notes=notes))


def doctor(output: Plain, _clock: ViewClock) -> None:
    output.start("doctor", RESOURCES, ABOUT, Pace())
    warning = (
        "proxy.max_connections_percent = 100 for each of 2 proxies: together they may take 200 % "
        "of the instance's max_connections -> AWS advises at most 100 % in all"
    )
    rows = [
        ("credentials", "-", signed(Meaning.GOOD, "good"), "arn:aws:sts::123456789012:user/me"),
        ("connection pools", "-", signed(Meaning.WARNING, "warning"), warning),
        ("function -> group -> proxy", "both", signed(Meaning.BAD, "BAD"), "lets nothing in"),
    ]
    output.table("the account and the region:", DOCTOR, rows)
    error = CheckFailed(
        "function -> group -> proxy: the security group lets nothing in on port 3306",
        next_step="See https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html, "
        "then run `python -m provision up`.",
        verdict=some_fail(1, 3, "checks"),
        tabled=True,
    )
    output.error(error)
    output.summary(Summary("doctor", False, seconds=0.3, error=error))


def environments(output: Plain, _clock: ViewClock) -> None:
    row = ("ap-northeast-1", "3h20m", "2026-11-27 05:01 UTC, in 4h40m", "$0.101", "35")
    state = "s3://our-states-of-the-whole-team/provision/{}.json"
    names = ("demo", "abcdefghijklmnopqrstuvwxyz12")
    output.table("", LIST, [(name, *row, state.format(name)) for name in names])
    output.summary(Summary("list", True, seconds=0.8))


def failed_up(output: Plain, clock: ViewClock) -> None:
    output.start("up", RESOURCES, ABOUT, Pace())
    output.planned(plan_of(["proxy-iam", "target-iam"]))
    output.began(STEP["proxy-iam"], "creating")
    clock += 30
    error = AwsCallError(
        "proxy-iam",
        AwsAnswer("CreateDBProxy", "DBProxyQuotaExceededFault", "Your request would exceed the "
                  "quota of DB proxies. See https://docs.aws.amazon.com/quotas for the limits."),
        next_step="Delete proxies that nobody needs, or raise the quota: `aws service-quotas "
        "request-service-quota-increase --service-code rds`.",
    )  # fmt: skip
    output.failed(STEP["proxy-iam"], error)
    output.skipped(STEP["target-iam"], "it needs proxy-iam")
    output.error(error)
    output.summary(Summary("up", False, seconds=31, error=error))


STORIES: Sequence[Callable[[Plain, ViewClock], None]] = (
    dry_run, up, plan, teardown, check_good, check_bad, status, doctor, environments, failed_up,
)  # fmt: skip


def told(
    story: Callable[[Plain, ViewClock], None], width: int | None, *, colours: bool = False
) -> str:
    """What a person has read at the end: in a pipe, or in a terminal's scrollback."""
    clock, brief = ViewClock(), story is dry_run
    if width is None:
        stream = io.StringIO()
        story(Plain(stream, stream, clock=clock, beats=False, brief=brief), clock)
        return stream.getvalue()
    stream = Tty()
    console = Console(
        file=stream, force_terminal=True, color_system="standard" if colours else None,
        width=width, height=50, _environ={},
    )  # fmt: skip
    story(Live(console, stream, clock=clock, beats=False, brief=brief), clock)
    return stream.getvalue()


@pytest.mark.parametrize("width", [None, 80, 120], ids=["pipe", "80", "120"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_a_person_reads(story: Callable[[Plain, ViewClock], None], width: int | None) -> None:
    text = told(story, width)
    path = GOLDEN / f"{story.__name__}-{width or 'pipe'}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_a_person_sees_in_colour(
    story: Callable[[Plain, ViewClock], None], width: int
) -> None:
    """The same words; what the terminal is sent for colours and links stands in brackets."""
    text = told(story, width, colours=True)
    named = re.sub(r"\x1b\[([0-9;]*)m", r"[\1]", re.sub(LINK, r"[link \1]", text))
    path = GOLDEN / f"{story.__name__}-{width}-colour.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(named, encoding="utf-8")
    assert named == path.read_text(encoding="utf-8")
    assert re.sub(r"\x1b\[[0-9;]*m", "", re.sub(LINK, "", text)) == told(story, width)


@pytest.mark.parametrize("width", [None, 80, 120])
def test_a_rehearsal_is_no_log(width: int | None) -> None:
    assert len(told(dry_run, width).splitlines()) <= 34


def test_every_resource_is_in_one_part() -> None:
    parts = RESOURCES.parts()
    assert sorted(parts) == sorted(each.step for each in RESOURCES)
    assert parts[STEP["db-instance"].step] == "database"
