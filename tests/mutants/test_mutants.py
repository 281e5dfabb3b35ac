"""The mutants themselves: what is put in, that it can be put in, and who notices."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.operators import mutants
from tests.support.commands import ROOT

HERE = Path(__file__).parent
KNOWN = tomllib.loads((HERE / "known.toml").read_text(encoding="utf-8"))["fault"]
TARGETS = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))["module"]
REASONS = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))

SOURCE = '''
"""A sentence."""
LIMIT: int = 3
NAME = "code"

def check(items: list[int], *, strict: bool = False) -> list[int]:
    """Another sentence."""
    if not items or strict:
        raise ValueError("a sentence of an error")
    found = [item for item in items if item > LIMIT]
    log(found, at="end")
    return found
'''


def texts(source: str) -> set[tuple[str, str]]:
    """Return what is put in: the text before and after."""
    return {(each.before, each.after) for each in mutants(source, "x.py")}


def test_each_kind_of_fault_is_put_in() -> None:
    found = {after for _, after in texts(SOURCE)}
    assert {
        "LIMIT: int = 4",
        "NAME = 'codeX'",
        "if not items and strict:",
        "if strict:",
        "if not items:",
        "if True:",
        "if False:",
        "pass",
        "found = None",
        " for item in items if item >= LIMIT",
        " for item in items if item <= LIMIT",
        " for item in items",
        "log(found)",
        "at='endX'",
        "return None",
    } <= found


def test_what_no_code_reads_is_left_as_it_is() -> None:
    for before, after in texts(SOURCE):
        assert "sentence" not in before + after or after == "pass"
        assert before.count("list[int]") == after.count("list[int]")


def test_the_module_is_whole_again_after_each_fault() -> None:
    whole = compile(ast.parse(SOURCE), "x.py", "exec")
    *_, last = mutants(SOURCE + "\nEND = 1\n", "x.py")
    assert last.after == "END = 2"  # and only that: nothing of the faults before is left
    names: dict[str, Any] = {}
    exec(last.code, names)  # noqa: S102 - our own source
    assert (names["LIMIT"], names["NAME"]) == (3, "code")
    assert whole.co_names


@pytest.mark.parametrize("fault", KNOWN, ids=lambda fault: fault["name"])
def test_a_known_fault_can_still_be_put_in(fault: dict[str, Any]) -> None:
    source = (ROOT / fault["path"]).read_text(encoding="utf-8")
    assert source.count(fault["find"]) == 1, "the code has changed: mend known.toml"
    compile(source.replace(fault["find"], fault["replace"]), fault["path"], "exec")
    assert all((ROOT / test).exists() for test in fault["tests"])


def test_the_targets_are_there_and_every_reason_is_of_one() -> None:
    paths = [each["path"] for each in TARGETS]
    for target in TARGETS:
        assert all((ROOT / path).exists() for path in (target["path"], *target["tests"]))
    assert set(REASONS) <= set(paths)
    assert all(reason.strip() for reasons in REASONS.values() for reason in reasons.values())


def test_a_survivor_with_a_reason_is_a_mutant() -> None:
    for path, reasons in REASONS.items():
        names = {each.name for each in mutants((ROOT / path).read_text(encoding="utf-8"), path)}
        assert set(reasons) <= names, "the code has changed: mend survivors.toml"


@pytest.mark.sweep(part=3)
@pytest.mark.parametrize("name", [fault["name"] for fault in KNOWN])
def test_a_known_fault_makes_a_test_fail(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--known", "--only", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "known faults: 0 survived" in done.stdout
