"""`provision init`, and commands in a folder that has no config.toml."""

from __future__ import annotations

import os

import pytest

from provision.config import Config, load
from provision.rehearsal import Remote
from tests.support.commands import ROOT, Commands


@pytest.fixture
def bare(commands: Commands) -> Commands:
    """The commands, in a folder without a configuration."""
    (commands.folder / "config.toml").unlink()
    return commands


def test_init_writes_the_commented_defaults(bare: Commands) -> None:
    done = bare.run("provision", "init")
    assert done.code == 0
    written = bare.folder / "config.toml"
    assert written.read_bytes() == (ROOT / "config.toml").read_bytes()
    assert load(written) == Config()
    assert "config.toml" in done.stderr


def test_init_never_overwrites(bare: Commands) -> None:
    written = bare.folder / "config.toml"
    written.write_text("# mine")
    done = bare.run("provision", "init")
    assert done.code == 2
    assert "config.toml already exists" in done.stderr
    assert written.read_text() == "# mine"


def test_init_follows_no_link_to_a_file_that_is_not_there(bare: Commands) -> None:
    (bare.folder / "config.toml").symlink_to(bare.folder / "elsewhere")
    assert bare.run("provision", "init").code == 2
    assert not (bare.folder / "elsewhere").exists()


def test_init_writes_to_the_named_file(bare: Commands) -> None:
    assert bare.run("provision", "init", "--config", "other.toml").code == 0
    assert (bare.folder / "other.toml").exists()
    assert not (bare.folder / "config.toml").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_init_in_a_read_only_folder(bare: Commands) -> None:
    bare.folder.chmod(0o555)
    done = bare.run("provision", "init")
    assert done.code == 2
    assert "Permission denied" in done.stderr


def test_init_in_a_folder_that_is_not_there(bare: Commands) -> None:
    done = bare.run("provision", "init", "--config", "no/such/config.toml")
    assert done.code == 2
    assert "no/such/config.toml: No such file or directory" in done.stderr


def test_without_config_what_only_reads_goes_by_the_defaults(bare: Commands) -> None:
    done = bare.run("provision", "plan", "--output=json")
    assert done.code == 0, done.stderr
    assert done.summary["ok"] is True
    assert not (bare.folder / "config.toml").exists()


@pytest.mark.parametrize("command", ["up", "teardown"])
def test_without_config_nothing_is_changed(bare: Commands, command: str, rehearsal: Remote) -> None:
    """Who stands in the wrong folder must not change the environment with the default's name."""
    done = bare.run("teardown", "--yes") if command == "teardown" else bare.run("provision", "up")
    assert done.code == 2
    assert "there is no config.toml" in done.stderr
    assert "init" in done.stderr
    assert not rehearsal.journal()


def test_a_named_config_that_is_missing_is_an_error(bare: Commands) -> None:
    done = bare.run("provision", "plan", "--config", "config.toml")
    assert done.code == 2
    assert "--config config.toml: no such file" in done.stderr
