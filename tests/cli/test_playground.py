"""Which rehearsal `--rehearsal` reaches: one that is up, of this user, and nobody else's."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from provision.cli import playground
from provision.cli.options import Options
from provision.cli.playground import FILE, Playground, joined, published, running
from provision.errors import UsageError

UP = Playground(
    environ={"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    unset=("AWS_PROFILE",),
    config="/elsewhere/config.toml",
    overrides=("environment.name=shown",),
    region="eu-west-1",
    state="/elsewhere/state.json",
    speed=1000.0,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own cache folder, which does not exist yet."""
    own = tmp_path / "cache" / "rds-proxy-auth"
    monkeypatch.setattr(playground, "folder", lambda: own)
    return own


def none_is_up() -> bool:
    try:
        running()
    except UsageError as error:
        return "--dry-run --serve" in error.next_step
    return False


def test_one_that_is_up_is_found_by_its_user_and_leaves_nothing_behind(folder: Path) -> None:
    assert none_is_up()
    with published(UP) as reachable:
        assert reachable
        assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
        found = running()
        assert replace(found, unset=tuple(found.unset), overrides=tuple(found.overrides)) == UP
    assert none_is_up()
    assert not folder.exists()


def test_what_else_is_in_the_folder_stays(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "wheel").write_text("x")
    with published(UP) as reachable:
        assert reachable
    assert [each.name for each in folder.iterdir()] == ["wheel"]


def test_the_first_of_two_is_the_one_that_is_reached(folder: Path) -> None:
    with published(UP), published(replace(UP, region="us-east-1")) as reachable:
        assert not reachable
        assert running().region == "eu-west-1"
    assert not (folder / FILE).exists()


def links_elsewhere(folder: Path) -> None:
    (folder.parent / "precious").write_text("precious")
    (folder / FILE).symlink_to(folder.parent / "precious")


def everybody_reads(folder: Path) -> None:
    (folder / FILE).write_text("{}")
    (folder / FILE).chmod(0o644)


@pytest.mark.parametrize("wrong", [links_elsewhere, everybody_reads])
def test_in_a_folder_that_is_not_the_users_alone_none_is_published(
    folder: Path, wrong: object
) -> None:
    folder.mkdir(parents=True)
    assert callable(wrong)
    wrong(folder)
    before = (folder / FILE).read_text()
    with published(UP) as reachable:
        assert not reachable
        assert none_is_up()
    assert (folder / FILE).read_text() == before


def test_where_the_folder_cannot_be_made_none_is_published(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file")
    with published(UP) as reachable:
        assert not reachable


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "x"}'])
def test_what_another_version_or_a_killed_one_left_is_none(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / FILE).write_text(text)
    (folder / FILE).chmod(0o600)
    assert none_is_up()  # nobody holds its lock
    with published(UP) as reachable:
        assert reachable  # what was left is written over
        (folder / FILE).write_text(text)
        assert none_is_up()  # nor while somebody does


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own settings."""
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def settings() -> dict[str, str]:
    """The settings of this process."""
    return {name: text for name, text in os.environ.items() if name.startswith("AWS_")}


@pytest.mark.usefixtures("folder", "mine")
def test_a_command_reaches_it_and_nothing_else_and_all_is_as_before() -> None:
    before = settings()
    with published(UP), joined(Options(overrides=("a=1",))) as options:
        assert "AWS_PROFILE" not in os.environ
        assert os.environ["AWS_REGION"] == "eu-west-1"
        assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
        assert options.config == Path("/elsewhere/config.toml")
        assert options.overrides == ("environment.name=shown", "a=1")
        assert (options.region, options.state) == ("eu-west-1", "/elsewhere/state.json")
        assert options.speed == 1000.0
    assert settings() == before


@pytest.mark.usefixtures("folder", "mine")
def test_flags_of_the_command_win() -> None:
    before = settings()
    own = Options(config=Path("mine.toml"), region="us-east-1", state="mine.json")
    with published(UP), joined(own) as options:
        assert (options.config, options.region, options.state) == (
            Path("mine.toml"), "us-east-1", "mine.json",
        )  # fmt: skip
    with pytest.raises(UsageError, match="--profile"), joined(Options(profile="mine")):
        raise AssertionError
    with pytest.raises(UsageError, match="no rehearsal"), joined(Options()):
        raise AssertionError
    assert settings() == before
