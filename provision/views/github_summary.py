"""A summary for GitHub Actions: what a job's page shows of `up`, `check` and `teardown`.

GitHub names a file in GITHUB_STEP_SUMMARY and shows the Markdown in it:
https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#adding-a-job-summary
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from provision.engine.events import Display, Reporter, Summary, Watcher
from provision.views.spelling import spelled
from provision.views.visible import one_line, printable
from provision.views.words import ending

VARIABLE = "GITHUB_STEP_SUMMARY"
COMMANDS = ("up", "check", "teardown")  # and their rehearsals
# What GitHub reads as markup, a link, or somebody's name; as entities, backslashes cannot undo it.
MARKUP = re.compile(r"[&<>|\\`*_~\[\]!#@]|:(?=/)|(?<=www)\.", re.IGNORECASE)
COLUMNS = ("route", "login", "works", "TLS", "login ms", "whole ms", "rows")


def markdown(summary: Summary, logins: Sequence[Mapping[str, Any]], cost: Sequence[str]) -> str:
    """Return a section about a run: how it ended, both logins, and what it costs.

    `logins` are the records of `check`, one for each route; `cost` lines for a person.
    """
    lines = [f"### {text(summary.command)}: {text(ending(summary))}", ""]
    if logins:
        lines += [row(COLUMNS), row("---" for _ in COLUMNS)]
        lines += [row(cells(login)) for login in logins]
        lines.append("")
    lines += [f"- {text(line)}" for line in cost]
    if summary.error:
        fence = "~~~~"
        words_of_error = [summary.error.message, *filter(None, [summary.error.next_step])]
        words = "\n".join(map(printable, "\nnext: ".join(words_of_error).split("\n")))
        words = re.sub("~{3,}", "~ ~ ~", words)
        lines += ["", fence, words, fence]
    return "\n".join(lines).rstrip() + "\n\n"


def cells(login: Mapping[str, Any]) -> list[str]:
    """Return a route's line of the table."""
    times = ["-" if login[key] is None else f"{login[key]:.0f}" for key in ("login_ms", "ms")]
    rows = "-" if login["rows"] is None else str(login["rows"])
    works = "yes" if login["ok"] else f"NO: {login['cause']}"
    return [f"GET {login['route']}", login["login"], works, login["tls"] or "-", *times, rows]


def row(cells: Any) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(text(str(cell)) for cell in cells) + " |"


def text(words: str) -> str:
    """Return words that stay within a table's cell, and make neither markup nor links."""
    return MARKUP.sub(
        lambda found: f"&#{ord(found[0])};", one_line(re.sub("[ \t\n]+", " ", words.strip()))
    )


class StepSummary(Reporter):
    """Listens to a command, and appends a section to `path` when it has ended."""

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._logins: list[Mapping[str, Any]] = []

    def record(self, event: str, **values: Any) -> None:
        if event == "check":
            self._logins.append(values)

    def summary(self, summary: Summary) -> None:
        logins, self._logins = self._logins, []
        if summary.command.split()[0] not in COMMANDS:
            return
        section = spelled(markdown(summary, logins, summary.notes))
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(section)
        except OSError as error:  # a summary that is not shown is no reason to fail
            self._complain(f"{VARIABLE}: {self._path} cannot be written: {error.strerror}")


class Both(Display):
    """Passes everything on to a display, and what a command reports to a reporter before it."""

    def __init__(self, reporter: Reporter, display: Display) -> None:
        self.reporter, self.display = reporter, display
        self.verbose, self.interactive = display.verbose, display.interactive


def passed_on(name: str, *, reported: bool) -> Callable[..., None]:
    """Return the method of Both that calls the methods of this name."""

    def call(self: Both, *args: Any, **kwargs: Any) -> None:
        if reported:
            getattr(self.reporter, name)(*args, **kwargs)
        getattr(self.display, name)(*args, **kwargs)

    return call


for _interface in (Reporter, Watcher):
    for _name, _value in vars(_interface).items():
        if callable(_value) and not _name.startswith("_"):
            setattr(Both, _name, passed_on(_name, reported=_interface is Reporter))


def with_step_summary(output: Display, environ: Mapping[str, str] = os.environ) -> Display:
    """Return `output`, with a summary for GitHub beside it where GitHub asks for one."""
    path = environ.get(VARIABLE)
    return Both(StepSummary(Path(path), output.note), output) if path else output
