"""`provision timeline`: a run as bars and as a page, from the state file alone."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from provision.config import Config
from provision.engine.history import RunRecorder, last_check
from provision.environment import environment
from provision.rehearsal import Fault, Remote
from provision.resources.template import Template
from provision.state import state as recorded
from provision.state.document import READY
from provision.state.local import LocalStore
from provision.views.condition import Condition
from provision.views.live import Live
from provision.views.style import rendered
from provision.views.timeline.model import Timeline, longest_chain, needs_of, timeline
from provision.views.timeline.page import POLICY, Glance, LoginFacts
from provision.views.timeline.terminal import fills_for, timeline_lines
from provision.views.timeline.things import network_passages, passages, things_in_state
from tests.support.built import Built, commands_at
from tests.support.commands import Commands
from tests.support.names import REGION
from tests.support.outputs import STEP
from tests.support.servers import Silence
from tests.support.timelines import UP, all_ready, step, whole_page

HOSTILE = """<script>alert('&"x"')</script>"""


@pytest.fixture(scope="module")
def resources() -> Template:
    """The whole environment of the default configuration."""
    return environment(Config(), packed=False)


@pytest.fixture
def up(resources: Template) -> Timeline:
    return timeline(UP, resources)


def test_the_longest_chain_goes_back_from_what_ended_last(up: Timeline) -> None:
    chain = [link.step for link in up.chain]
    assert chain == ["vpc", "subnet-database-1", "db-subnet-group", "db-instance", "target-iam"]
    assert {bar.step for bar in up.bars if bar.on_chain} == set(chain)


def test_a_link_counts_only_what_it_added(up: Timeline) -> None:
    added = {link.step: link.seconds for link in up.chain}
    assert added["db-instance"] == 64
    assert added["target-iam"] == 15  # it began at 20, but waited for the instance until 80


def test_idle_is_where_nothing_of_the_chain_is_under_way(up: Timeline) -> None:
    gaps = [(gap.began, gap.ended, gap.after, gap.before) for gap in up.gaps]
    assert gaps == [
        (0, 10, "", "vpc"),
        (14, 15, "subnet-database-1", "db-subnet-group"),
        (95, 100, "target-iam", ""),
    ]


def test_a_teardown_waits_the_other_way_round(resources: Template) -> None:
    gone = {"doing": "deleting", "action": "deleted"}
    steps = {
        "db-instance": step(1, 60, **gone),
        "db-subnet-group": step(60, 62, **gone),
        "subnet-database-1": step(62, 63, **gone),
        "vpc": step(63, 64, **gone),
    }
    run = timeline({**UP, "command": "teardown", "steps": steps}, resources)
    assert [link.step for link in run.chain] == list(steps)


def test_a_run_that_broke_off_ends_its_open_steps(resources: Template) -> None:
    steps = {"vpc": step(1, 2), "db-instance": step(5, None, (6, "creating", ""))}
    run = timeline({**UP, "ok": None, "steps": steps}, resources)
    bar = run.bars[-1]
    assert (bar.ended, bar.action) == (100.0, "")
    assert [phase.status for phase in bar.phases] == ["asked", "creating"]
    assert run.unfinished == ["db-instance"]


def test_what_aws_made_itself_is_over_when_it_is_gone(resources: Template) -> None:
    steps = {"function-interfaces": step(5, None, (6, "in use", ""), (9, "gone", ""))}
    run = timeline({**UP, "steps": steps}, resources)
    assert run.bars[0].ended == 9
    assert run.unfinished == []


def test_a_step_that_is_no_longer_declared_is_shown(resources: Template) -> None:
    run = timeline({**UP, "steps": {"old-step": step(1, 2)}}, resources)
    assert [bar.step for bar in run.bars] == ["old-step"]


def test_needs_that_ended_later_held_nobody_up(resources: Template) -> None:
    steps = {
        "role-api": step(1, 3),
        "function-iam": step(1, 9),
        "integration-iam": step(1, 5),  # it took the function's ARN before the function was done
        "route-func2": step(5, 10),
    }
    bars = timeline({**UP, "steps": steps}, resources).bars
    chain = longest_chain(bars, needs_of(bars, resources))
    assert [link.step for link in chain] == ["role-api", "integration-iam", "route-func2"]


# --- in a terminal --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("charset", ["unicode", "ascii"])
def test_no_line_is_wider_than_the_terminal(up: Timeline, width: int, charset: str) -> None:
    lines = list(timeline_lines(up, width, charset=charset))
    assert max(map(len, lines)) <= width
    if charset == "ascii":
        assert "\n".join(lines).isascii()


def test_each_meaning_has_its_own_fill_and_the_chain_its_mark(up: Timeline) -> None:
    lines = list(timeline_lines(up, 80))
    row = next(line for line in lines if "target-iam " in line and "1m15s" in line)
    assert row.startswith("* target-iam")
    legend = next(line for line in lines if line.startswith("bars: "))
    for part in ("─ calling", "█ creating (UNAVAILABLE)", "= ready,"):
        assert part in legend
    assert row.index("░") < row.index("█")


@pytest.mark.parametrize("charset", ["unicode", "ascii"])
def test_a_fill_means_the_same_in_every_run(resources: Template, charset: str) -> None:
    """However long each was: a short deletion after a long creation, and the other way round."""
    fills = []
    for middle in (20, 80):
        said = (2, "deleting", ""), (middle, "creating", ""), (99, "who-knows", "")
        run = timeline({**UP, "steps": {"db-instance": step(1, 100, *said)}}, resources)
        fills.append(fills_for(run.bars, charset))
    assert fills[0] == fills[1]
    assert len(set(fills[0].values())) == 4


def test_a_bar_shorter_than_a_cell_is_seen(resources: Template) -> None:
    run = timeline({**UP, "steps": {"vpc": step(50, 50.001)}}, resources)
    row = next(line for line in timeline_lines(run, 80) if line.startswith("* vpc"))
    assert row.removeprefix("* vpc").strip().split()[0] in ("─", "█")


def test_a_failure_is_told_with_its_reason(resources: Template) -> None:
    failed = step(1, 2, action="failed", error="db-instance: CreateDBInstance said no")
    run = timeline({**UP, "ok": False, "steps": {"db-instance": failed}}, resources)
    lines = list(timeline_lines(run, 80))
    assert "failed after" in lines[0]
    assert any(line.endswith(" 1.0 s!") for line in lines)
    assert "db-instance FAILED: CreateDBInstance said no" in lines


def test_a_run_without_an_end_says_so(resources: Template) -> None:
    steps = {"vpc": step(5, 6), "db-instance": step(7, None)}
    lines = list(timeline_lines(timeline({**UP, "ok": None, "steps": steps}, resources), 80))
    assert "KILLED, or still under way; recorded up to 1m40s" in lines[0]
    assert "under way at the end: db-instance" in lines


def test_colours_change_no_character(up: Timeline) -> None:
    lines = list(timeline_lines(up, 80))
    text = "\n".join(map(rendered, lines))
    assert "\x1b[36m█" in text  # the longest status
    assert "\x1b[1m* vpc" in text  # on the longest chain
    assert re.sub(r"\x1b\[\d+m", "", text) == "\n".join(lines)


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "out", "colours"),
    [
        ({"TERM": "xterm"}, Tty(), True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, Tty(), False),
        ({"TERM": "dumb"}, Tty(), False),
        ({"TERM": "xterm"}, io.StringIO(), False),  # a pipe
    ],
)
def test_colours_are_for_a_terminal_that_wants_them(
    environ: dict[str, str], out: io.StringIO, colours: bool
) -> None:
    console = Console(file=Tty(), force_terminal=True, _environ=environ)
    assert Live(console, out, beats=False).colours is colours


# --- what is recorded -----------------------------------------------------------------------------


def recording(path: Path) -> tuple[recorded.State, RunRecorder]:
    """A state that is written, and who records the run."""
    state = recorded.State.load(
        LocalStore(path), environment="demo", account="123456789012", region=REGION
    )
    recorder = RunRecorder()
    state.under_way = lambda: recorder.run("up", ok=None)
    return state, recorder


def test_a_run_is_in_the_file_before_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state, recorder = recording(path)
    recorder.began(STEP["vpc"], "creating")
    state.begin("vpc", "creating")
    (run,) = json.loads(path.read_text())["runs"]
    assert run["ok"] is None
    assert "ended" not in run["steps"]["vpc"]
    recorder.finished(STEP["vpc"], "created", "vpc-1", 1)
    ended = recorder.run("up", ok=True)
    assert ended is not None
    state.add_run(ended)
    assert [run["ok"] for run in json.loads(path.read_text())["runs"]] == [True]


def test_the_record_of_a_killed_run_stays(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state, recorder = recording(path)
    recorder.began(STEP["vpc"], "creating")
    state.begin("vpc", "creating")
    after, _ = recording(path)
    after.add_run(UP)
    assert [run["ok"] for run in json.loads(path.read_text())["runs"]] == [None, True]


def test_twenty_runs_are_kept_with_the_one_under_way(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state, recorder = recording(path)
    recorder.began(STEP["vpc"], "creating")
    for number in range(25):
        state.add_run({**UP, "seconds": float(number)})
    state.under_way = lambda: recorder.run("up", ok=None)
    state.record("vpc", READY, {"id": "vpc-1"})
    runs = json.loads(path.read_text())["runs"]
    assert len(runs) == 20
    assert [runs[0]["seconds"], runs[-2]["seconds"], runs[-1]["ok"]] == [6.0, 24.0, None]


def test_a_wait_for_what_is_there_already_is_recorded() -> None:
    recorder = RunRecorder()
    recorder.finished(STEP["vpc"], "unchanged", "vpc-1", 0)
    recorder.status(STEP["db-instance"], "creating")
    recorder.finished(STEP["db-instance"], "unchanged", "db", 1)
    run = recorder.run("up", ok=True)
    assert run is not None
    assert list(run["steps"]) == ["db-instance"]
    entry = run["steps"]["db-instance"]
    assert (entry["doing"], entry["action"]) == ("checking", "unchanged")
    assert "ended" in entry


def test_a_failure_of_what_never_began_is_recorded() -> None:
    from provision.errors import ResourceFailed

    recorder = RunRecorder()
    recorder.failed(STEP["vpc"], ResourceFailed("it broke"))
    run = recorder.run("up", ok=False)
    assert run is not None
    assert run["steps"]["vpc"]["error"] == "it broke"


# --- the page -------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Reads a page: its tags balanced, its attributes and its text."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_no_request_leaves_the_page(up: Timeline, resources: Template) -> None:
    text = whole_page(up, resources, all_ready(resources))
    reader = Reader(text)
    assert not reader.open
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(reader.tags)
    names = {name for name, _ in reader.attributes}
    assert not {"src", "xlink:href", "srcset", "action", "ping"} & names
    assert not [name for name in names if name.startswith("on")]
    assert ("content", POLICY) in reader.attributes
    assert reader.tags.count("a") == [name for name, _ in reader.attributes].count("href")
    assert all(value.startswith("https://") for name, value in reader.attributes if name == "href")
    places = [value for name, value in reader.attributes if name == "style"]
    assert all(re.fullmatch(r"left: [\d.]+%", place) for place in places)
    loaded = [value for _, value in reader.attributes if "url(" in value]
    assert all(value.startswith("url(#") for value in loaded)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_what_is_no_web_url_is_no_link(up: Timeline, resources: Template, url: str) -> None:
    glance = Glance((LoginFacts("Password login", url, None),), ())
    reader = Reader(whole_page(up, resources, {}, glance=glance))
    assert url in reader.text
    assert url not in [value for _, value in reader.attributes]


def test_ids_lead_to_the_console(up: Timeline, resources: Template) -> None:
    steps = all_ready(resources)
    steps["vpc"]["outputs"]["id"] = "vpc-0123456789abcdef0"
    for login in ("password", "iam"):
        steps[f"proxy-{login}"]["outputs"]["proxy"] = f"rds-proxy-auth-{login}"
    role = "arn:aws:iam::1:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
    steps["service-linked-role"]["outputs"]["arn"] = role
    links = dict(re.findall(r'href="([^"]+)" rel="noreferrer">([^<]+)<', whole_page(
        up, resources, steps)))  # fmt: skip
    host = "https://ap-northeast-1.console.aws.amazon.com"
    vpc = f"{host}/vpcconsole/home?region=ap-northeast-1#VpcDetails:VpcId=vpc-0123456789abcdef0"
    assert links[vpc] == "vpc-0123456789abcdef0"
    unlinked = {
        each.step
        for each in things_in_state(resources, steps, "ap-northeast-1").values()
        if not each.console
    }
    assert unlinked == set()
    assert not [each for each in things_in_state(resources, {}, REGION).values() if each.console]


def test_everything_is_escaped(resources: Template) -> None:
    steps = {"vpc": {"phase": "ready", "outputs": {"id": HOSTILE}, "since": ""}}
    said = {"vpc": step(1, 3, (2, HOSTILE, HOSTILE), error=HOSTILE)}
    text = whole_page(timeline({**UP, "steps": said}, resources), resources, steps, HOSTILE)
    assert "<script" not in text
    reader = Reader(text)
    assert not reader.open
    assert HOSTILE in reader.text


def test_each_bar_says_what_it_is_to_who_cannot_see_it(up: Timeline, resources: Template) -> None:
    reader = Reader(whole_page(up, resources, {}))
    labels = [value for name, value in reader.attributes if name == "aria-label"]
    assert "db-instance: calling (1.0 s); creating (1m03s)" in labels
    assert len(labels) == len(up.bars)
    assert "Longest chain: vpc 2.0 s, subnet-database-1 2.0 s" in reader.text


def test_a_failure_is_told_on_the_page(resources: Template) -> None:
    steps = {"vpc": step(1, 2, action="failed", error="AWS said no"), "secret": step(1, None)}
    run = timeline({**UP, "ok": False, "steps": steps}, resources)
    text = Reader(whole_page(run, resources, {})).text
    assert "✗ vpc failed: AWS said no" in text
    assert "Under way at the end: secret" in text


def test_what_is_not_there_is_said_to_be_absent(resources: Template) -> None:
    things = things_in_state(resources, {})
    assert {thing.state for thing in things.values()} == {Condition.MISSING}
    assert {each.state for each in passages(resources, things)} == {Condition.MISSING}


def test_half_made_is_neither_ready_nor_absent(up: Timeline, resources: Template) -> None:
    made = {"phase": "made", "outputs": {"id": "vpc-half"}, "since": ""}
    text = Reader(whole_page(up, resources, {"vpc": made})).text
    assert "vpc-half◐ creating" in text
    assert "○ missing" in text


def test_only_the_path_to_the_database_is_open(resources: Template) -> None:
    found = network_passages(resources, things_in_state(resources, all_ready(resources)))
    group = "security-group-"
    assert {(each.source, each.target, each.how, each.state) for each in found} == {
        (f"{group}function", f"{group}proxy", "tcp 3306", Condition.READY),
        (f"{group}proxy", f"{group}database", "tcp 3306", Condition.READY),
    }


def test_the_roles_allow_what_the_chain_needs_and_no_more(resources: Template) -> None:
    steps = all_ready(resources)
    steps["secret"]["outputs"]["arn"] = "arn:aws:secretsmanager:r:1:secret:s-1"
    steps["proxy-iam"]["outputs"]["resource_id"] = "prx-1"
    found = passages(resources, things_in_state(resources, steps))
    assert {(each.source, each.how, each.target) for each in found if ":" in each.how} == {
        ("role-proxy", "secretsmanager:GetSecretValue", "secret:s-1"),
        ("role-proxy", "kms:Decrypt", "key/*"),
        ("role-function-iam", "rds-db:connect", "dbuser:prx-1/testdb"),
        ("role-api", "lambda:InvokeFunction", "function:rds-proxy-auth-password"),
        ("role-api", "lambda:InvokeFunction", "function:rds-proxy-auth-iam"),
    }


@pytest.mark.parametrize("lost", ["rules-function", "rules-proxy", "security-group-proxy"])
def test_a_passage_with_one_end_missing_is_not_open(resources: Template, lost: str) -> None:
    things = things_in_state(resources, all_ready(resources, lost))
    first = next(network_passages(resources, things))
    assert first.state is Condition.MISSING


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def offline(silence: Silence, tmp_path: Path) -> Commands:
    """The commands where nobody answers."""
    return commands_at(silence.endpoint_url, tmp_path)


def keep(commands: Commands, *runs: Any, steps: Any = None) -> None:
    """Write a state file with these runs, the oldest first."""
    document = {
        "version": 1,
        "serial": 1,
        "environment": "rds-proxy-auth",
        "account": "123456789012",
        "region": REGION,
        "steps": steps or {},
        "runs": list(runs),
    }
    path = commands.state_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))


def test_it_tells_programs_each_step_and_asks_nobody(offline: Commands, silence: Silence) -> None:
    keep(offline, UP)
    result = offline.run("provision", "timeline", "--output", "json")
    assert result.code == 0
    assert result.summary["ok"]
    assert silence.calls == 0
    told = {each["step"]: each for each in result.of("timeline-step")}
    assert told["target-iam"]["on_chain"]
    assert not told["secret"]["on_chain"]
    waits = [(wait["status"], wait["seconds"]) for wait in told["target-iam"]["waits"]]
    assert waits[1:3] == [("waiting", 59.0), ("UNAVAILABLE", 15.0)]


def test_run_counts_from_the_newest(offline: Commands) -> None:
    keep(offline, UP, {**UP, "command": "teardown"})
    for number, command in ((1, "teardown"), (2, "up")):
        result = offline.run("provision", "timeline", "--output", "json", "--run", str(number))
        assert result.of("timeline")[0]["command"] == command


@pytest.mark.parametrize("number", ["0", "-1", "3"])
def test_a_run_that_is_not_kept_is_bad_usage(offline: Commands, number: str) -> None:
    keep(offline, UP, {**UP, "command": "teardown"})
    result = offline.run("provision", "timeline", "--output", "json", f"--run={number}")
    assert result.code == 2
    first, *kept = result.error["message"].splitlines()
    assert f"--run {number}: no such run" in first
    assert [line.split() for line in kept] == [
        ["1", "2026-11-24", "08:00:00", "UTC", "teardown"],
        ["2", "2026-11-24", "08:00:00", "UTC", "up"],
    ]


@pytest.mark.parametrize("kept", [None, ()])
def test_without_any_run_it_says_how_to_get_one(offline: Commands, kept: Any) -> None:
    if kept is not None:
        keep(offline, *kept)
    result = offline.run("provision", "timeline", "--output", "json")
    assert result.code == 1
    assert "no run is recorded" in result.error["message"]


@pytest.mark.parametrize(
    "run",
    [
        {"command": "up"},
        {**UP, "steps": {"vpc": {"began": 1}}},
        {**UP, "steps": {"vpc": step(1, None, action="created")}},
        {**UP, "steps": {"vpc": {**step(1, 2), "statuses": [[1, 2]]}}},
        {**UP, "ok": "yes"},
        "up",
    ],
)
def test_a_malformed_run_is_no_traceback(offline: Commands, run: Any) -> None:
    keep(offline, UP, run)
    result = offline.run("provision", "timeline", "--output", "json")
    assert result.code == 1
    assert "'runs' is malformed" in result.error["message"]


def test_a_state_file_of_another_environment_is_refused(offline: Commands) -> None:
    keep(offline, UP, steps={"vpc": {"phase": "ready", "outputs": {}, "since": ""}})
    flags = ("--state", str(offline.state_path()), "--set", "environment.name=other")
    result = offline.run("provision", "timeline", "--output", "json", *flags)
    assert result.code == 1
    assert "the state of environment 'rds-proxy-auth'" in result.error["message"]


def test_a_person_gets_the_bars_alone(offline: Commands) -> None:
    keep(offline, UP)
    for output in ("plain", "rich"):
        result = offline.run("provision", "timeline", "--output", output)
        assert result.code == 0
        assert result.stderr == ""
        assert result.stdout.startswith("up, 2026-11-24 08:00:00 UTC: done in 1m40s\n\n")
        assert result.stdout.isascii()  # nobody said that it may be anything else


def test_a_page_that_cannot_be_written_is_bad_usage(offline: Commands) -> None:
    keep(offline, UP)
    result = offline.run("provision", "timeline", "--output", "json", "--html", "no/such/x.html")
    assert result.code == 2
    assert "cannot be written: No such file" in result.error["message"]


def test_live_without_a_page_is_bad_usage(offline: Commands) -> None:
    keep(offline, UP)
    assert offline.run("provision", "timeline", "--output", "json", "--live").code == 2


def test_the_page_after_a_teardown_has_nothing_there(offline: Commands, silence: Silence) -> None:
    keep(offline, {**UP, "command": "teardown"})
    result = offline.run("provision", "timeline", "--output", "json", "--html", "page.html")
    assert result.code == 0
    assert silence.calls == 0
    assert result.of("page") == [{"event": "page", "path": "page.html"}]
    text = Reader((offline.folder / "page.html").read_text()).text
    after = text[text.index("HTTP API") :]
    assert set(re.findall("[✓◐◑◒≠✗○]", after)) == {"○"}
    assert "Cost per hournothing now" in text
    assert text.count("no URL yet") == 2


def test_the_page_shows_both_logins_and_the_cost(offline: Commands) -> None:
    logins = {
        "password": {"works": True, "tls": "TLSv1.3", "login_ms": 12.4, "ms": 31.0},
        "iam": {"works": False, "tls": "", "login_ms": None, "ms": 40.2},
    }
    up = {**UP, "check": {"at": "2026-11-24T08:02:00Z", "logins": logins}}
    api = {"phase": "ready", "outputs": {"id": "a1", "endpoint": "https://a1.example.test"}}
    since = {"phase": "ready", "outputs": {}, "since": "2026-11-24T08:01:00Z"}
    keep(offline, up, {**UP, "steps": {}}, steps={"api": api, "db-instance": since})
    result = offline.run("provision", "timeline", "--output", "json", "--html", "page.html")
    assert result.code == 0, result.stdout
    text = Reader((offline.folder / "page.html").read_text()).text
    assert "Password loginhttps://a1.example.test/func1✓ worksLogin takes12 ms" in text
    assert "IAM loginhttps://a1.example.test/func2✗ does not workWhole request40 ms" in text
    assert text.count("Checked2026-11-24 08:02:00 UTC") == 2
    assert re.search(r"Cost per hourabout \$0\.\d+", text)
    assert re.search(r"Cost so farabout \$[\d.]+ by .* UTC, since 2026-11-24 08:01 UTC", text)


@pytest.mark.parametrize(
    "check",
    ["x", {}, {"at": 1, "logins": {}}, {"at": "x", "logins": {"iam": {"works": "yes"}}},
     {"at": "x", "logins": {"iam": {"works": True, "tls": "", "login_ms": "y", "ms": []}}}],
)  # fmt: skip
def test_an_odd_record_of_a_check_is_no_traceback(offline: Commands, check: Any) -> None:
    api = {"phase": "ready", "outputs": {"id": "a1", "endpoint": "https://a1.example.test"}}
    keep(offline, {**UP, "check": check}, steps={"api": api})
    result = offline.run("provision", "timeline", "--output", "json", "--html", "page.html")
    assert result.code == 0, result.stdout
    assert "not checked" in (offline.folder / "page.html").read_text()


def test_what_was_checked_before_a_teardown_is_not_shown() -> None:
    check = {"at": "x", "logins": {"iam": {"works": True, "tls": "", "login_ms": 1, "ms": 2}}}
    assert last_check([{**UP, "check": check}]) is not None
    assert last_check([{**UP, "check": check}, {**UP, "command": "teardown"}, UP]) is None


@pytest.mark.slow
def test_a_failed_run_and_a_half_made_environment(
    commands: Commands, rehearsal: Remote, tmp_path: Path
) -> None:
    rehearsal.set_faults(Fault("denied", "CreateDBInstance", times=99))
    assert commands.up().code == 1
    result = commands.run("provision", "timeline", "--output", "json")
    assert result.code == 0
    assert result.of("timeline")[0]["ok"] is False
    told = {each["step"]: each for each in result.of("timeline-step")}
    assert told["db-instance"]["action"] == "failed"
    assert "CreateDBInstance" in told["db-instance"]["error"]
    file = tmp_path / "page.html"
    flags = ("--html", str(file), "--output", "json")
    assert commands.run("provision", "timeline", *flags).code == 0
    text = Reader(file.read_text()).text
    assert commands.state()["steps"]["vpc"]["outputs"]["id"] in text
    assert re.search("target-iamproxy target.*○ missing", text)
    assert "✗ db-instance failed: CreateDBInstance answered" in text


@pytest.mark.slow
def test_a_killed_run_is_the_last_run(commands: Commands, rehearsal: Remote) -> None:
    with commands.running("provision", "up", "--no-check", "--output", "json") as process:
        rehearsal.register(process.pid)
        rehearsal.set_faults(Fault("kill-before", "CreateDBInstance"), victim=process.pid)
        process.communicate()
    assert process.returncode == -9
    result = commands.run("provision", "timeline", "--output", "json")
    (told,) = result.of("timeline")
    assert told["ok"] is None
    assert "db-instance" in told["unfinished"]
    text = commands.run("provision", "timeline", "--output", "plain").stdout
    assert "KILLED, or still under way" in text


def test_the_page_of_what_is_up_has_its_ids(built: Built, tmp_path: Path) -> None:
    state = built.commands.state()
    file = tmp_path / "page.html"
    for more in ((), ("--live",)):
        result = built.commands.run(
            "provision", "timeline", "--output", "json", "--html", str(file), *more
        )
        assert result.code == 0, result.stdout
        text = file.read_text()
        assert state["steps"]["vpc"]["outputs"]["id"] in text
        assert state["steps"]["security-group-proxy"]["outputs"]["id"] in text
        assert "not open" not in text
        assert text.count("not checked") == 2


@pytest.mark.slow
def test_live_shows_what_drifted_and_what_is_missing(built: Built, tmp_path: Path) -> None:
    group = built.commands.state()["steps"]["security-group-database"]["outputs"]["id"]
    built.account.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    api = built.commands.state()["steps"]["api"]["outputs"]["id"]
    built.account.apigatewayv2.delete_stage(ApiId=api, StageName="$default")
    file = tmp_path / "page.html"
    flags = ("--html", str(file), "--live", "--output", "json")
    try:
        assert built.commands.run("provision", "timeline", *flags).code == 0
    finally:
        assert built.commands.up().changed == {
            "rules-database": "updated",
            "stage": "created",
        }
    text = Reader(file.read_text()).text
    assert "tcp 3306≠ not open: differs" in text
    assert "rules-databasesecurity group rules" in text
    assert re.search(r"rules-databasesecurity group rules.*?≠ differs", text)
    assert "Stage $default: ○ missing" in text
    assert "→ HTTPS ○ missing" in text
