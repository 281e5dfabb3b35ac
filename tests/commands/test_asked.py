"""A person is asked: what is typed, what is not, and Ctrl-C meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provision.commands import asking
from provision.commands.asking import ask
from provision.errors import Declined, Interrupted


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Lets a test type on stdin."""
    read, write = os.pipe()
    monkeypatch.setattr(asking, "STOP_SECONDS", 0.01)
    with os.fdopen(read) as stdin, os.fdopen(write, "w", buffering=1) as terminal:
        monkeypatch.setattr("sys.stdin", stdin)
        yield terminal.write


def asked(stop: threading.Event | None = None) -> None:
    ask("Delete it?", "demo", stop=stop or threading.Event(), otherwise="nothing was deleted")


def test_only_the_whole_word_goes_on(
    typed: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    typed("  demo \n")
    asked()
    shown = capsys.readouterr()
    assert shown.err.startswith("Delete it? ")
    assert "demo" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("line", ["\n", "yes\n", "DEMO\n", "demo-2\n"])
def test_anything_else_changes_nothing(typed: Callable[[str], Any], line: str) -> None:
    typed(line)
    with pytest.raises(Declined, match="nothing was deleted"):
        asked()


@pytest.mark.usefixtures("typed")
def test_ctrl_c_while_a_person_thinks_ends_it() -> None:
    stop = threading.Event()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    with pytest.raises(Interrupted, match="nothing was deleted"):
        asked(stop)
    timer.join()
