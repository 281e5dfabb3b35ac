"""Colours, signs and links: what they mean, where they are written, what cannot get in."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from provision.engine.events import Pace, Summary
from provision.errors import ProvisionError
from provision.resources.base import Change
from provision.views.live import Live
from provision.views.style import Meaning, Piece, Styled, encodable, link, rendered
from tests.support.outputs import ABOUT, RESOURCES, plan_of

CODES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
LINKS = {f"\x1b]8;;https://a1.execute-api.ap-northeast-1.amazonaws.com/{path}\x1b\\"
         for path in ("func1", "func2")} | {"\x1b]8;;\x1b\\"}  # fmt: skip
URL = "https://a1.execute-api.ap-northeast-1.amazonaws.com"


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(width: int, environ: dict[str, str], out: type[io.StringIO] = Tty) -> str:
    """What a plan, an error and a summary look like: progress, then results."""
    progress, results = out(), out()
    console = Console(file=progress, width=width, _environ=environ, force_terminal=out is Tty)
    display = Live(console, results, beats=False)
    display.start("up", RESOURCES, ABOUT, Pace())
    change = Change("RequireTLS", False, True)
    display.planned(plan_of(["vpc"], [("proxy-iam", change)], [("db-instance", change)]))
    display.error(ProvisionError("it broke", next_step="mend it"))
    display.table("", ("link", "why"), [("a", Styled(Piece("bad", Meaning.BAD)))])
    display.summary(Summary("up", ok=True, seconds=3, created=1, url=URL,
                            next_commands=[("python -m teardown", "delete all")]))  # fmt: skip
    display.close()
    return progress.getvalue() + results.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_what_a_person_sees_in_colour(width: int) -> None:
    text = shown(width, {"TERM": "xterm-256color", "COLUMNS": str(width)})
    for piece in (
        "\x1b[32m+ create \x1b[0m  network",
        "\x1b[33m~ update \x1b[0m  proxy-iam",
        "\x1b[31m- REPLACE\x1b[0m  db-instance",
        "RequireTLS: \x1b[31mfalse\x1b[0m -> \x1b[32mtrue\x1b[0m",
        "\x1b[31merror:\x1b[0m \x1b[1mit broke\x1b[0m",
        "\x1b[1mnext:\x1b[0m  mend it",
        "a     \x1b[31mbad\x1b[0m",
        "\x1b[32m✓ up: done in 3.0 s: 1 created\x1b[0m",
        f"\x1b]8;;{URL}/func1\x1b\\\x1b[1m{URL}/func1\x1b[0m\x1b]8;;\x1b\\",
        "\x1b[1mpython -m teardown\x1b[0m",
    ):
        assert piece in text


@pytest.mark.parametrize(
    ("environ", "out", "codes"),
    [({"TERM": "xterm", "NO_COLOR": "1"}, Tty, LINKS), ({"TERM": "dumb"}, Tty, set()),
     ({"TERM": "xterm"}, io.StringIO, set())],
)  # fmt: skip
def test_without_colours_the_text_is_the_same_and_links_stay(
    environ: dict[str, str], out: type[io.StringIO], codes: set[str]
) -> None:
    plain = shown(80, environ, out)
    assert {re.sub("id=[0-9]+", "", code) for code in CODES.findall(plain)} == codes
    plain = CODES.sub("", plain)
    assert CODES.sub("", shown(80, {"TERM": "xterm"})).split() == plain.split()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_an_error_is_broken_between_words_alone(width: int) -> None:
    progress = Tty()
    console = Console(file=progress, width=width, _environ={"TERM": "xterm"}, force_terminal=True)
    arn = "arn:aws:iam::123456789012:role/" + "x" * 60
    words = "the role cannot be read by the caller"
    display = Live(console, Tty(), beats=False)
    display.error(ProvisionError(f"{words} {arn} {words}", next_step=f"{words}: {words}"))
    display.close()
    lines = CODES.sub("", progress.getvalue()).splitlines()
    assert " ".join(" ".join(lines).split()) == (
        f"error: {words} {arn} {words} next: {words}: {words}"
    )
    assert all(len(line) <= width for line in lines if arn not in line)
    assert any(arn in line for line in lines)


def test_each_meaning_has_a_colour_and_what_can_be_confused_a_sign() -> None:
    assert all(meaning.colour for meaning in Meaning if meaning is not Meaning.PLAIN)
    signs = [meaning.sign for meaning in Meaning if meaning.sign]
    assert len(set(signs)) == len(signs) == 7
    assert all(encodable(sign, "ascii").isascii() for sign in signs)
    assert encodable("✓", "utf-8") == "✓"
    assert encodable("✗", "no-such-encoding").isascii()


@pytest.mark.parametrize("text", ["\x1b[2J", "a\x1b]8;;http://evil/\x1b\\b", "\u202eabc", "a\rb"])
def test_what_comes_from_outside_stays_visible_within_a_style(text: str) -> None:
    line = rendered(Styled(Piece(text, Meaning.BAD), link(text, "https://good.test/")))
    codes = CODES.findall(line)
    assert codes == ["\x1b[31m", "\x1b[0m", "\x1b]8;;https://good.test/\x1b\\", "\x1b]8;;\x1b\\"]
    assert not re.search("[\x00-\x1f\u202e]", CODES.sub("", line))


@pytest.mark.parametrize(
    "url", ["", "javascript:x", "file:///etc/passwd", "https://a\x1b\\b", "https://a b",
            "https://a\u202e", "https://a\nb"],
)  # fmt: skip
def test_what_is_no_url_of_the_web_is_no_link(url: str) -> None:
    assert rendered(link("text", url)) == "text"
