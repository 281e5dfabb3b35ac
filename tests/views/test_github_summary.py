"""The summary on a job's page at GitHub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision.engine.events import Display, Reporter, Summary, Watcher
from provision.errors import ProvisionError
from provision.views.github_summary import (
    Both,
    StepSummary,
    markdown,
    text,
    with_step_summary,
)
from tests.support.built import Built
from tests.support.commands import Commands

PASSWORD: dict[str, Any] = {
    "route": "/func1",
    "login": "password",
    "ok": True,
    "tls": "TLSv1.3",
    "login_ms": 12.4,
    "ms": 40.6,
    "rows": 3,
    "cause": None,
}
IAM = PASSWORD | {
    "route": "/func2",
    "login": "iam",
    "ok": False,
    "tls": None,
    "login_ms": None,
    "rows": None,
    "cause": "no policy | allows rds-db:connect",
}
DONE = Summary("up", ok=True, created=37, seconds=551.0)


def test_a_run_that_worked() -> None:
    assert markdown(DONE, [PASSWORD], ["costs about $0.1 an hour"]) == (
        "### up: done in 9m11s: 37 created\n"
        "\n"
        "| route | login | works | TLS | login ms | whole ms | rows |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| GET /func1 | password | yes | TLSv1.3 | 12 | 41 | 3 |\n"
        "\n"
        "- costs about $0.1 an hour\n"
        "\n"
    )


def test_a_run_that_failed() -> None:
    error = ProvisionError("iam login:\nno ~~~~ policy", next_step="python -m provision up")
    summary = Summary("check", ok=False, seconds=2.0, error=error)
    shown = markdown(summary, [PASSWORD, IAM], [])
    assert shown.startswith("### check: failed after 2.0 s\n")
    assert (
        "| GET /func2 | iam | NO: no policy &#124; allows rds-db:connect | - | - | 41 | - |"
        in shown
    )
    assert "iam login:\nno ~ ~ ~ policy\nnext: python -m provision up\n~~~~" in shown
    assert shown.count("~~~~") == 2  # what an error says cannot end the fence


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a | b", "a &#124; b"),
        ("a \\| b", "a &#92;&#124; b"),
        ("a\nb", "a b"),
        ("a\r\nb\x85| b", "a&#92;x0d b&#92;x85&#124; b"),
        ("<b>`x`&", "&#60;b&#62;&#96;x&#96;&#38;"),
        ("![x](https://evil.example/x.png)", "&#33;&#91;x&#93;(https&#58;//evil.example/x.png)"),
        ("see www.evil.example", "see www&#46;evil.example"),
        ("WWW.evil.example", "WWW&#46;evil.example"),
        ("mail@evil.example", "mail&#64;evil.example"),
        ("\x1b[31m*red*", "&#92;x1b&#91;31m&#42;red&#42;"),
        ("\u202egnp.exe", "&#92;u202egnp.exe"),
    ],
)
def test_words_stay_words(words: str, shown: str) -> None:
    assert text(words) == shown


class Told(Display):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ended = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def summary(self, summary: Summary) -> None:
        self.ended += 1


def test_without_the_variable_nothing_changes() -> None:
    output = Told()
    assert with_step_summary(output, {}) is output
    assert with_step_summary(output, {"GITHUB_STEP_SUMMARY": ""}) is output


def test_sections_are_appended_one_for_each_run(tmp_path: Path) -> None:
    path, told = tmp_path / "summary.md", Told()
    path.write_text("# before\n\n")
    output = with_step_summary(told, {"GITHUB_STEP_SUMMARY": str(path)})
    output.record("check", **PASSWORD)
    output.record("step", step="vpc")
    output.summary(DONE)
    output.summary(Summary("teardown", ok=True, deleted=36))
    assert told.ended == 2
    before, first, second = path.read_text().split("#" * 3)
    assert before == "# before\n\n"
    assert "password" in first
    assert "36 deleted" in second
    assert "password" not in second


def test_only_what_changes_or_calls_is_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    StepSummary(path, pytest.fail).summary(Summary("plan", ok=True))
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    told = Told()
    output = with_step_summary(told, {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    output.summary(DONE)
    assert told.ended == 1
    assert "GITHUB_STEP_SUMMARY" in told.notes[0]
    assert "cannot be written" in told.notes[0]


def test_both_are_told_everything() -> None:
    calls: list[tuple[str, str]] = []

    class Everything(Display):
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattribute__(self, name: str) -> Any:
            if name in ("name", "__class__"):
                return object.__getattribute__(self, name)
            return lambda *_, **__: calls.append((self.name, name))

    both = Both(Everything("one"), Everything("two"))
    reported, watched = (
        [name for name, value in vars(interface).items() if callable(value) and name[0] != "_"]
        for interface in (Reporter, Watcher)
    )
    for name in [*reported, *watched]:
        getattr(both, name)()
    assert calls == [
        *((which, name) for name in reported for which in ("one", "two")),
        *(("two", name) for name in watched),
    ]


# --- through the commands -------------------------------------------------------------------------


def at_github(commands: Commands, path: Path) -> Commands:
    """Return the commands, at work in a job of GitHub Actions."""
    environ = {**commands.environ, "GITHUB_STEP_SUMMARY": str(path)}
    return Commands(commands.folder, environ, commands.flags)


def test_up_leaves_a_section(built: Built, tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    result = at_github(built.commands, path).up()
    assert result.code == 0
    assert json.loads(result.stdout.splitlines()[-1])["ok"]
    shown = path.read_text()
    assert shown.startswith("### up: done in ")
    assert "an hour" in shown  # the cost
    assert built.account.secret("rds-proxy-auth/database")["password"] not in shown


def test_a_check_without_an_environment(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    result = at_github(commands, path).run("provision", "check", "--output", "plain")
    assert result.code == 1
    shown = path.read_text()
    assert shown.startswith("### check: failed after")
    assert "no HTTP API to call" in shown


def test_a_bad_configuration_leaves_a_section_too(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    result = at_github(commands, path).up("--set", "database.engine_version=no")
    assert result.code == 2
    assert "engine_version" in path.read_text()
