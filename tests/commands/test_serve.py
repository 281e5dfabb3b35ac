"""`up --dry-run --serve` and `teardown --dry-run` in this process: what they show, and leave."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from unittest import mock

from provision.cli.options import Stop
from provision.cli.playground import Playground, running
from provision.rehearsal import environ
from tests.support.commands import Commands, Result
from tests.support.names import REGION
from tests.support.servers import Silence

QUICK = ("--no-check", "--speed", "3000", "--set", "wait.timeout_minutes=60")


def served(folder: Path, *flags: str) -> tuple[Result, list[Playground]]:
    """`--serve` from a folder without a configuration, until Ctrl-C; and what is reached then.

    The caller's own settings lead to somebody who has to be left alone.
    """
    reached: list[Playground] = []

    def wait(stop: Stop, timeout: float | None = None) -> bool:
        if not stop.expected:
            return threading.Event.wait(stop, timeout)
        reached.append(running())
        return True  # Ctrl-C

    with Silence() as silence, mock.patch.object(Stop, "wait", wait):
        commands = Commands(
            folder, environ(silence.endpoint_url, REGION) | {"HOME": str(folder / "home")}
        )
        result = commands.run("provision", "up", "--dry-run", "--serve", *QUICK, *flags)
    assert silence.calls == 0
    return result, reached


def test_one_is_kept_up_and_says_how_to_reach_it(tmp_path: Path) -> None:
    before = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    result, (here,) = served(tmp_path, "--output", "plain", "--set", "environment.name=shown")
    assert result.code == 0, result.stderr
    assert result.stderr.rstrip().endswith("the rehearsal has ended; nothing was kept")
    assert here.overrides == ["wait.timeout_minutes=60", "environment.name=shown"]
    assert (here.region, here.speed) == (REGION, 3000.0)
    assert not Path(here.state).exists()
    assert not Path(here.config).exists()  # made for it, where the folder has none
    printed = result.stdout
    assert "python -m provision --rehearsal status" in printed
    exports = dict(
        line.strip().removeprefix("export ").split("=", 1)
        for line in printed.splitlines()
        if line.strip().startswith("export ")
    )
    assert exports["AWS_ENDPOINT_URL"] == here.environ["AWS_ENDPOINT_URL"]
    assert exports["AWS_ACCESS_KEY_ID"] == here.environ["AWS_ACCESS_KEY_ID"]
    assert "/func2    # logs in with IAM" in printed
    assert "--db-proxy-name shown-iam --no-require-tls" in printed
    assert "next:" not in printed
    assert not (tmp_path / ".provision").exists()
    after = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    assert after == before


def test_a_rehearsed_teardown_shows_up_and_then_its_calls(tmp_path: Path) -> None:
    with Silence() as silence:
        reach = environ(silence.endpoint_url, REGION) | {"HOME": str(tmp_path / "home")}
        flags = ("--dry-run", "--yes", "--explain", "--output", "json", "--speed", "3000")
        result = Commands(tmp_path, reach).run(
            "teardown", *flags, "--set", "wait.timeout_minutes=60"
        )
    assert result.code == 0, result.stdout[-900:] + result.stderr[-900:]
    assert silence.calls == 0
    made, deleted = result.of("summary")
    assert made["created"] == deleted["deleted"] + 1  # the account's own role stays
    calls = {each["step"]: str(each["calls"]) for each in result.of("explain")}
    assert "DeleteDBInstance" in calls["db-instance"]
    assert "DeleteVpc" in calls["vpc"]
    assert not (tmp_path / ".provision").exists()
