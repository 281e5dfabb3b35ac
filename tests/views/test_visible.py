"""What AWS sends cannot steer a terminal, nor order anything of CI, in any view."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from provision.engine.events import Display, Pace, Summary
from provision.errors import ProvisionError
from provision.rehearsal import Override, Remote
from provision.views.live import Live
from provision.views.plain import Plain
from provision.views.timeline.markup import element
from provision.views.visible import one_line, printable, visible
from tests.support.built import Built
from tests.support.commands import Commands

CONTROLS = [*range(0x20), 0x7F, *range(0x80, 0xA0)]
HIDDEN = [0xAD, 0x061C, 0x200B, 0x200E, 0x202A, 0x202E, 0x2066, 0x2069, 0x2028, 0xFEFF, 0xD800]
NASTY = "\x1b]52;c;aGk=\x07\x9b31m\r\u202e\n::stop-commands::x\n  ::error::no\n##[error]"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]|^\\s*::|##\\[", re.MULTILINE)


@pytest.mark.parametrize("number", CONTROLS + HIDDEN)
def test_every_control_character_is_shown(number: int) -> None:
    character = chr(number)
    shown = one_line(f"a{character}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown[1:-1].encode().decode("unicode_escape") == character
    assert visible(character) == (character if character in "\n\t" else shown[1:-1])
    assert element("p", character) == f"<p>{visible(character)}</p>"


@pytest.mark.parametrize("text", ["", "Grüße, 東京, 👍", "a:b ::c", "# a", "1.2.3::4", "C##"])
def test_other_text_stays(text: str) -> None:
    assert visible(text) == one_line(text) == printable(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "::error::x",
        "  ::stop-commands::t",
        "\t::x::",
        "##[error]x",
        "a ##vso[t.x]",
        "##teamcity[x]",
    ],
)
def test_no_line_is_an_order_to_ci(line: str) -> None:
    shown = printable(line)
    assert not re.search(r"^\s*::|##\w*\[", shown)
    assert shown.replace("\\x3a", ":").replace("\\x23", "#").replace("\\t", "\t") == line


def views() -> list[tuple[Display, list[io.StringIO]]]:
    """Every view for people, and what it wrote."""
    out, err, live_out, live_err = (io.StringIO() for _ in range(4))
    console = Console(file=live_err, force_terminal=False, markup=False)
    return [
        (Plain(out, err, beats=False), [out, err]),
        (Live(console, live_out, beats=False), [live_out, live_err]),
    ]


@pytest.mark.parametrize("index", [0, 1])
def test_whatever_a_view_is_given_it_shows_it_harmless(index: int) -> None:
    view, streams = views()[index]
    error = ProvisionError(f"vpc: {NASTY}", next_step=NASTY)
    view.start("up", (), NASTY, Pace())
    view.table(NASTY, ("a", "b"), [(NASTY, NASTY)])
    view.document([NASTY])
    view.note(NASTY)
    view.error(error)
    view.summary(Summary("up", ok=False, error=error, notes=(NASTY,), url=NASTY))
    written = "".join(stream.getvalue() for stream in streams)
    assert written.count("\\x1b]52;c;aGk=\\x07\\x9b31m\\x0d\\u202e") >= 8
    assert not UNSAFE.search(written), UNSAFE.search(written)


@pytest.mark.slow
def test_words_of_aws_reach_a_ci_log_harmless(
    commands: Commands, rehearsal: Remote, tmp_path: Path
) -> None:
    rehearsal.set_overrides(Override("CreateSecret", code="Nasty\x1b[2J", message=NASTY))
    environ = {**commands.environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    result = dataclasses.replace(commands, environ=environ).run(
        "provision", "up", "--no-check", "--output", "plain", "-v"
    )
    assert result.code == 1
    assert "\\x1b]52;c;aGk=" in result.stdout + result.stderr
    assert not UNSAFE.search(result.stdout + result.stderr)
    assert not UNSAFE.search((tmp_path / "summary.md").read_text())


@pytest.mark.slow
def test_a_description_changed_at_aws_is_shown_harmless(built: Built) -> None:
    name = "rds-proxy-auth-iam"
    built.account.lambda_.update_function_configuration(FunctionName=name, Description=NASTY)
    try:
        for command in ("status", "plan"):
            result = built.commands.run("provision", command, "--output", "plain")
            assert not UNSAFE.search(result.stdout + result.stderr), command
    finally:
        assert built.commands.up().code == 0
