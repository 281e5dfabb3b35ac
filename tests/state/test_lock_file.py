"""The lock file and its folder: what somebody else put there is neither used nor harmed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from provision.errors import StateError
from provision.state.local import locked, replace_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / ".provision"
    folder.mkdir()
    return folder / "demo.json"


def link(lock: Path, target: Path) -> None:
    lock.symlink_to(target)


def hard_link(lock: Path, target: Path) -> None:
    lock.hardlink_to(target)


def pipe(lock: Path, _target: Path) -> None:
    os.mkfifo(lock)


@pytest.mark.parametrize("put", [link, hard_link, pipe])
def test_what_is_no_lock_file_of_ours_is_refused_and_left(path: Path, put: object) -> None:
    target = path.with_name("precious")
    target.write_text("precious")
    lock = path.with_name("demo.json.lock")
    put(lock, target)  # type: ignore[operator]
    with pytest.raises(StateError, match="is not a lock file"), locked(path, "up"):
        pytest.fail("it is locked")
    assert target.read_text() == "precious"
    assert os.path.lexists(lock)


def test_a_link_to_nowhere_makes_nothing(path: Path, tmp_path: Path) -> None:
    path.with_name("demo.json.lock").symlink_to(tmp_path / "new")
    with pytest.raises(StateError, match="is not a lock file"), locked(path, "up"):
        pytest.fail("it is locked")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_somebody_elses_file_is_refused(path: Path) -> None:
    lock = path.with_name("demo.json.lock")
    lock.write_text("theirs")
    os.chown(lock, 65534, 65534)
    with pytest.raises(StateError, match="somebody else's"), locked(path, "up"):
        pytest.fail("it is locked")
    assert lock.read_text() == "theirs"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        for name in ("a/.provision", "b/state"):
            with locked(tmp_path / name / "demo.json", "up"):
                assert mode(tmp_path / name) == 0o700
        replace_file(tmp_path / "c" / "demo.json", "{}")
        assert (mode(tmp_path / "c"), mode(tmp_path / "c" / "demo.json")) == (0o700, 0o600)
        for name, kept in ((".provision", 0o700), ("theirs", 0o755)):
            (tmp_path / name).mkdir(mode=0o755)
            replace_file(tmp_path / name / "demo.json", "{}")
            assert mode(tmp_path / name) == kept
    finally:
        os.umask(before)
