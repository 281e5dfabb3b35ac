"""`from provision import Environment`: the environment for a `with` block, or for a test run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

import provision
from provision import CheckFailed, ConfigError, Environment, ProvisionError, UsageError
from provision.library.environment import as_toml
from provision.rehearsal import Fault, Remote
from tests.support.commands import ROOT, Commands


@pytest.fixture
def at_account(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """This process, at work on the empty account from the commands' folder."""
    monkeypatch.chdir(commands.folder)
    with mock.patch.dict("os.environ", commands.environ, clear=True):
        yield commands


def named(remote: Remote, operation: str) -> int:
    return sum(entry.operation == operation for entry in remote.journal())


@pytest.mark.slow
def test_a_rehearsed_environment_answers_by_both_logins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"database.table": "visits"}
    with Environment(dry_run=True, settings=settings, speed=3000) as environment:
        assert list(environment.urls) == ["password", "iam"]
        for login, url in environment.urls.items():
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
                assert json.loads(answer.read())
                assert answer.headers["X-Login"] == login
        assert environment.outputs["db-instance"]["endpoint"]
        environment.check()
    assert list(tmp_path.iterdir()) == []


def test_leaving_deletes_everything(at_account: Commands, rehearsal: Remote) -> None:
    with Environment(check=False) as environment:
        assert environment.outputs["vpc"]["id"].startswith("vpc-")
        assert set(environment.urls) == {"password", "iam"}
        assert environment.urls["iam"] == f"{environment.url}/func2"
        assert at_account.state()["steps"]
    assert not at_account.state()["steps"]
    assert named(rehearsal, "DeleteDBInstance") == 1


def test_leaving_by_an_exception_deletes_everything_and_keeps_the_exception(
    at_account: Commands,
) -> None:
    with pytest.raises(ZeroDivisionError), Environment(check=False):
        1 / 0  # noqa: B018
    assert not at_account.state()["steps"]


def test_an_up_that_fails_leaves_nothing(at_account: Commands, rehearsal: Remote) -> None:
    rehearsal.set_faults(Fault("denied", operation="CreateDBProxy"))
    with pytest.raises(ProvisionError, match="CreateDBProxy"), Environment(check=False):
        pytest.fail("the block was entered")
    assert not at_account.state()["steps"]


def test_keep_leaves_it_for_the_next(at_account: Commands, rehearsal: Remote) -> None:
    with Environment(check=False, keep=True):
        pass
    assert at_account.state()["steps"]
    with Environment(check=False):
        pass
    assert named(rehearsal, "CreateDBInstance") == 1
    assert not at_account.state()["steps"]


@pytest.fixture
def taken_down(at_account: Commands) -> Iterator[mock.Mock]:
    """Nothing is made, and the teardown is this mock."""
    assert at_account.folder == Path.cwd()
    with (
        mock.patch.object(Environment, "_bring_up"),
        mock.patch("teardown.command.teardown") as teardown,
    ):
        yield teardown


def test_what_is_left_behind_is_raised_unless_the_block_has_an_error_of_its_own(
    taken_down: mock.Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_down.side_effect = ProvisionError("1 left at AWS", next_step="Look at it.")
    with pytest.raises(ProvisionError, match="1 left at AWS"), Environment(check=False):
        pass
    with pytest.raises(ZeroDivisionError), Environment(check=False, progress=True):
        1 / 0  # noqa: B018
    shown = capsys.readouterr()
    assert "error: 1 left at AWS" in shown.err
    assert "Look at it." in shown.err
    assert shown.out == ""
    assert taken_down.call_count == 2


def test_a_thread_that_is_not_the_main_one_may_use_it_and_no_signal_is_touched(
    taken_down: mock.Mock,
) -> None:
    before = signal.getsignal(signal.SIGINT)

    def use() -> None:
        with Environment(check=False):
            assert signal.getsignal(signal.SIGINT) is before

    with ThreadPoolExecutor(1) as threads:
        threads.submit(use).result(timeout=30)
    assert taken_down.call_count == 1


def test_somebody_elses_run_is_left_alone(at_account: Commands, rehearsal: Remote) -> None:
    from provision.state.local import locked

    with locked(at_account.state_path(), "up"), pytest.raises(ProvisionError, match="in use by up"):
        Environment(check=False).__enter__()
    assert named(rehearsal, "DeleteVpc") == 0


def test_bad_settings_are_refused_before_anything_is_called(
    at_account: Commands, rehearsal: Remote
) -> None:
    with (
        pytest.raises(ConfigError, match=r"database\.port"),
        Environment(settings={"database.port": 1}),
    ):
        pass
    with pytest.raises(UsageError, match="speed"), Environment(speed=3):
        pass
    (at_account.folder / "config.toml").unlink()
    with pytest.raises(UsageError, match=r"no config\.toml"), Environment():
        pass
    assert rehearsal.journal() == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("shop", '"shop"'),
        ('say "x"', r'"say \"x\""'),
        (26, "26"),
        (True, "true"),
        (["a", "b"], '["a", "b"]'),
        ({"team": "blue"}, '{"team" = "blue"}'),
    ],
)
def test_settings_are_written_as_toml(value: object, text: str) -> None:
    assert as_toml(value) == text


# --- what is exported -----------------------------------------------------------------------------


def test_the_public_names_are_these_and_no_others() -> None:
    assert {"CheckFailed", "ConfigError", "Environment", "ProvisionError", "UsageError"} == set(
        provision.__all__
    )
    assert provision.CheckFailed is CheckFailed
    with pytest.raises(AttributeError, match="no attribute 'environ'"):
        provision.environ  # noqa: B018


def test_importing_the_package_loads_nothing() -> None:
    slow = "[name for name in sys.modules if name.startswith(('boto', 'provision.'))]"
    code = f"import sys, provision; print({slow})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_pytest_plugin_loads_nothing_else() -> None:
    """pytest loads it in every run of every project that has the package installed."""
    slow = "[name for name in sys.modules if name.startswith(('boto', 'provision.'))]"
    code = f"import sys, provision.library.pytest_plugin; print({slow})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['provision.library', 'provision.library.pytest_plugin']"


# --- the fixture ----------------------------------------------------------------------------------

TEST = """
def test_one(provision_environment):
    provision_environment.check()

def test_two(provision_environment):
    assert set(provision_environment.urls) == {"password", "iam"}
"""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "provision.library.pytest_plugin")


def run_pytest(folder: Path, *flags: str, plugins: str = "1") -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TEST)
    environ = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": plugins}
    return subprocess.run(
        [*PYTEST, "-c", "/dev/null", "--rootdir", ".", *flags, "test_it.py"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_test_run_has_one_rehearsed_environment(tmp_path: Path) -> None:
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_real_environment_is_not_made_by_workers(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--provision-aws", "-p", "xdist", "-n", "1")
    assert done.returncode != 0
    assert "cannot share" in done.stdout
