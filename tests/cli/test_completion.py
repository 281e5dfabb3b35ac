"""Completion in the shell, `--version`, and what `--help` says of the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision.cli import version as versions
from tests.support.commands import ROOT, measured

BASE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


def completed(line: str, folder: Path, **environ: str) -> list[str]:
    """Return what a shell would offer at the end of a line, as argcomplete's own script asks."""
    program = line.split()[2]
    answer = folder / "answer"
    asked = {
        "_ARGCOMPLETE": "3",  # python -m MODULE: the words before the arguments
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    subprocess.run(
        [sys.executable, "-m", program],
        cwd=folder,
        env=BASE | measured() | asked | environ,
        check=False,
        timeout=60,
        capture_output=True,
    )
    return answer.read_text().split("\n") if answer.exists() else []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("python -m provision do", {"doctor"}),
        ("python -m provision plan --ex", {"--exit-code", "--explain"}),
        ("python -m provision up --output pl", {"plain"}),
        ("python -m provision up --replace db-i", {"db-instance"}),
        ("python -m provision up --set database.na", {"database.name="}),
        ("python -m provision logs --fol", {"--follow"}),
        ("python -m teardown --fin", {"--final-snapshot"}),
    ],
)
def test_what_is_offered(line: str, offered: set[str], tmp_path: Path) -> None:
    assert {word.strip() for word in completed(line, tmp_path)} == offered


@pytest.mark.parametrize("program", ["provision", "teardown"])
def test_argcomplete_finds_its_mark(program: str) -> None:
    asked = [sys.executable, "-m", "argcomplete._check_module", program]
    done = subprocess.run(
        asked, cwd=ROOT, env=BASE | measured(), check=False, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_nobody_else_imports_argcomplete() -> None:
    code = (
        "import sys; sys.argv = ['provision', '--help']\n"
        "from provision.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'argcomplete', 'boto3', 'importlib.metadata'} & set(sys.modules)\n"
        "sys.exit(', '.join(slow) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=BASE | measured(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_without_argcomplete_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "argcomplete.py").write_text("raise ImportError('not installed')\n")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    assert completed("python -m provision do", tmp_path, PYTHONPATH=path) == []


# --- the version ----------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["provision", "teardown"])
def test_version(program: str, tmp_path: Path) -> None:
    asked = [sys.executable, "-m", program, "--version"]
    done = subprocess.run(
        asked, cwd=tmp_path, env=BASE | measured(), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith(f"rds-proxy-auth {versions.version()} (boto3 ")
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}." in done.stdout


@pytest.mark.parametrize(
    "source", [None, "not TOML [", '[project]\nname = "another"\nversion = "9"\n']
)
def test_without_its_source_the_installed_version_counts(
    source: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "installed", lambda package: f"{package} as installed")
    path = tmp_path / "pyproject.toml"
    if source is not None:
        path.write_text(source)
    assert versions.version(path) == "rds-proxy-auth as installed"


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert versions.installed("no-such-package-anywhere") == "unknown"


@pytest.mark.parametrize("program", ["provision", "teardown"])
def test_help_tells_of_the_environment(program: str) -> None:
    asked = [sys.executable, "-m", program, "--help"]
    done = subprocess.run(asked, env=BASE | measured(), check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert {"NO_COLOR=1", "GITHUB_STEP_SUMMARY=FILE", "--version"} <= set(done.stdout.split())
