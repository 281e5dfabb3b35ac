"""Takes the README's pictures anew: `make screenshots`, or `python -m docs.take_screenshots`.

The real commands work on a rehearsed AWS on this machine, with the real live output, whose console
is a picture (SVG) here; the timeline's page is shown to a headless Chromium (PNG). All names, ids
and times in the pictures are the rehearsal's.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.text import Text

from provision.cli.process import Job, execute
from provision.commands import command_line
from provision.rehearsal import Behaviours, Rehearsal
from provision.views.live import Live, drawing
from provision.views.progress import View
from provision.views.style import rendered
from teardown import command_line as teardown_line
from tests.support.browser import Browser, find_browser

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "screenshots"
WIDTH, HEIGHT = 108, 26  # cells
SPEED = 60  # so fast that it takes seconds, so slow that waits are seen
SLOWLY = 15  # so slow that the live table has what AWS usually takes, too
PROGRAMS = {"provision": command_line.prepare, "teardown": teardown_line.prepare}
PAGES = {  # of the page: what is hidden, dark or light, height of the window (pixels)
    "page-light": ("", False, 1040),
    "page-dark": ("", True, 1040),
    "page-timeline": ("header, #glance, #environment { display: none }", False, 900),
}
# Rich's own window, but for its fonts, which would be fetched from elsewhere.
WINDOW = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px "DejaVu Sans Mono", Menlo, Consolas, monospace;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font: bold 18px system-ui, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">
{matrix}</g></g>
</svg>
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and forgets what it is told."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


class Filmed(Live):
    """The live output; what a terminal would show is kept line by line, each frame of the table
    with what stands above it.
    """

    def __init__(self) -> None:
        console = Console(
            file=Terminal(), width=WIDTH, height=HEIGHT, force_terminal=True, _environ={}
        )
        super().__init__(console, Terminal())
        self.lines: list[Text] = []
        self.frames: list[tuple[View, list[Text]]] = []

    def _write(self, lines: Sequence[str]) -> None:
        self.lines += [Text.from_ansi(rendered(line)) for line in lines]

    def _print(self, lines: Iterable[str]) -> None:
        self._write(list(lines))

    def refresh(self) -> None:
        with self._lock:
            view = self._progress.view()
            if view.waits:
                frame = drawing(view, WIDTH - 1, HEIGHT - 1, self._console)
                self.frames.append((view, [*self.lines, *frame]))


def main() -> int:
    """Take all pictures. Returns 1 when there is no browser for the page."""
    browser = find_browser()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, working_in(Path(folder)):
        save("help", ("--help",), help_lines())
        slowly = ("up", "--dry-run", "--speed", f"{SLOWLY}")
        rehearsed = film(*slowly)
        save("up-midway", slowly, midway(rehearsed.frames)[-HEIGHT:])
        with Rehearsal(Behaviours(speed=SPEED)) as rehearsal, rehearsal.applied():
            save("up", ("up",), film("up").lines[-HEIGHT:])
            for command in (
                "status", "list", "check", "doctor", "logs", "compare", "timeline", "report",
            ):  # fmt: skip
                save(command, (command,), film(command).lines)
            save("policy", ("policy",), film("policy").lines[:HEIGHT])
            save("init", ("init",), film("init", "--config", "new.toml").lines)
            film("timeline", "--html", "page.html", "--live")
            drift(rehearsal.client)
            save("plan", ("plan",), film("plan").lines)
            explained = film("plan", "--explain").lines
            begin = next(at for at, line in enumerate(explained) if line.plain.startswith("# "))
            save("explain", ("plan", "--explain"), explained[begin : begin + HEIGHT])
            forbid_iam(rehearsal.client)
            save("check-failed", ("check",), film("check", ends_with=1).lines)
            going = ("--plan",)
            save("teardown-plan", going, film(*going, program="teardown").lines, "teardown")
            going = ("--yes",)
            save("teardown", going, film(*going, program="teardown").lines[-HEIGHT:], "teardown")
        if browser is None:
            print("no Chromium here: the page's pictures are as they were", file=sys.stderr)
            return 1
        page = Path("page.html").read_text(encoding="utf-8")
        for name, (style, dark, height) in PAGES.items():
            part, png = Path(folder, f"{name}.html"), FOLDER / f"{name}.png"
            part.write_text(page.replace("</style>", f"{style}</style>"), encoding="utf-8")
            Browser(browser, Path(folder)).picture(part, png, dark=dark, size=(1280, height))
            announce(png)
    return 0


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder with the project's configuration, in a terminal of our width."""
    shutil.copy(ROOT / "config.toml", folder)
    with contextlib.chdir(folder), mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH)}):
        yield


def film(*argv: str, program: str = "provision", ends_with: int = 0) -> Filmed:
    """Return what `python -m PROGRAM ARGV` shows.

    Raises RuntimeError when its exit code is another than `ends_with`.
    """
    output = Filmed()

    def prepare() -> Job:
        job = PROGRAMS[program]()
        return replace(
            job, work=lambda options, *rest: job.work(replace(options, speed=SPEED), *rest)
        )

    with (
        mock.patch.object(sys, "argv", [f"{program}/__main__.py", *argv]),
        mock.patch("provision.cli.process.make_output", return_value=output),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        code = execute(prepare, argv[0])
    if code != ends_with:
        shown = "\n".join(line.plain for line in output.lines)
        raise RuntimeError(f"{' '.join(argv)} ended with {code}:\n{shown}")
    return output


def midway(frames: Sequence[tuple[View, list[Text]]]) -> list[Text]:
    """Return the frame with the most to see: steps of which AWS gives the reason, and others."""

    def worth(frame: tuple[View, list[Text]]) -> tuple[int, float]:
        view, _ = frame
        reasons = sum(bool(wait.reason) for wait in view.waits)
        return min(2, reasons) + min(5, len(view.waits)), view.seconds

    return max(frames, key=worth)[1]


def drift(client: Callable[[str], Any]) -> None:
    """Change things at the rehearsed AWS behind the program's back."""
    name = "rds-proxy-auth"
    client("lambda").update_function_configuration(FunctionName=f"{name}-iam", Timeout=3)
    client("logs").put_retention_policy(logGroupName=f"/aws/lambda/{name}-iam", retentionInDays=365)
    group = client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [f"{name}-database"]}]
    )["SecurityGroups"][0]["GroupId"]
    client("ec2").authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=3306, ToPort=3306, CidrIp="0.0.0.0/0"
    )
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    client("iam").put_role_policy(
        RoleName=f"{name}-api-ap-northeast-1",
        PolicyName="everything",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )


def forbid_iam(client: Callable[[str], Any]) -> None:
    """Take the IAM function's permission to connect to its proxy away."""
    role = "rds-proxy-auth-function-iam-ap-northeast-1"
    client("iam").delete_role_policy(RoleName=role, PolicyName="connect-to-proxy")


def help_lines() -> list[Text]:
    """Return what `python -m provision --help` shows."""
    shown = subprocess.run(
        [sys.executable, "-m", "provision", "--help"], capture_output=True, text=True, check=True
    )
    return list(map(Text, shown.stdout.splitlines()))


def save(name: str, argv: Sequence[str], lines: Sequence[Text], program: str = "provision") -> None:
    """Write lines as a picture of a terminal, folded where a terminal folds them."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in map(anywhere, lines):
        for part in line.divide(range(WIDTH, len(line), WIDTH)):
            console.print(part, soft_wrap=True, highlight=False)
    title = " ".join((f"python -m {program}", *argv))
    svg = console.export_svg(title=title, code_format=WINDOW, unique_id=name)
    file = FOLDER / f"{name}.svg"
    file.write_text(svg, encoding="utf-8")
    announce(file)


def anywhere(line: Text) -> Text:
    """Return a line without this machine's name and the folder of the pictures."""
    here = f"{platform.node()}{Path.cwd()}"
    return Text(line.plain.replace(here, "laptop/work")) if here in line.plain else line


def announce(file: Path) -> None:
    """Print which picture there is now, and its size."""
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
