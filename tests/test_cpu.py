"""The figures of `--cpu`: what a test uses in processes of its own is counted, ended or not."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.commands import ROOT
from tests.support.cpu import used

BURN = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"


def test_a_process_counts_while_it_runs_and_when_it_has_ended() -> None:
    before = used()
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        running = used() - before
        process.communicate(b"\n")
    assert running >= 0.19
    assert used() - before >= running - 0.02


def test_modules_and_tests_are_told_the_costliest_first(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    burn = "import time; end = time.process_time() + {}\n    while time.process_time() < end: pass"
    pytester.makepyfile(
        test_little=f"def test_one():\n    {burn.format(0.01)}",
        test_much=f"def test_two():\n    {burn.format(0.2)}",
    )
    result = pytester.runpytest_inprocess("-p", "tests.support.cpu", "--cpu")
    lines = re.findall(r"^ +([\d.]+)  (test_\S+)$", result.stdout.str(), re.MULTILINE)
    assert [name for _, name in lines if "::" not in name] == ["test_much.py", "test_little.py"]
    assert 0.2 <= float(dict(map(reversed, lines))["test_much.py::test_two"]) < 1
