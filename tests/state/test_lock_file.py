"""The state file, its lock file and their folder, as they are on disk.

What somebody else put there is neither used nor harmed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest import mock

import pytest

from provision.errors import Locked, StateError
from provision.state.local import LocalStore, locked, replace_file
from provision.state.store import Snapshot


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
    with pytest.raises(StateError, match="is not a lock file") as told, locked(path, "up"):
        pytest.fail("it is locked")
    assert told.value.next_step
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
    with pytest.raises(StateError, match="another user's"), locked(path, "up"):
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


def test_a_folder_that_is_the_users_alone_is_not_changed(path: Path) -> None:
    """Some file systems know no modes, and refuse to change them."""
    path.parent.chmod(0o700)
    with mock.patch("pathlib.Path.chmod", side_effect=OSError(1, "Operation not permitted")):
        replace_file(path, "{}")
    path.parent.chmod(0o710)
    replace_file(path, "{}")
    assert mode(path.parent) == 0o700


def test_a_folder_behind_a_link_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / ".provision").symlink_to(tmp_path / "elsewhere")
    replace_file(tmp_path / ".provision" / "demo.json", "{}")
    assert mode(tmp_path / "elsewhere") == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
def test_a_folder_of_somebody_else_keeps_its_mode(path: Path) -> None:
    path.parent.chmod(0o755)
    os.chown(path.parent, 65534, 65534)
    replace_file(path, "{}")
    assert mode(path.parent) == 0o755


def test_folders_are_made_as_deep_as_need_be(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "demo.json"
    with locked(deep, "up"):
        replace_file(deep, "{}")
    assert deep.read_text() == "{}"


# --- the file -------------------------------------------------------------------------------------


def test_what_is_written_is_read(path: Path) -> None:
    store = LocalStore(path)
    assert not store.known()
    assert store.read() is None
    version = store.write("text\n", None)
    assert store.known()
    assert store.read() == Snapshot("text\n", version)


def test_the_new_file_is_whole_and_beside_the_old_one_before_it_takes_its_place(path: Path) -> None:
    """A rename is one step only within a file system; and what is fsynced has to be all of it."""
    seen: list[tuple[str, ...]] = []

    def looked(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            assert os.fstat(handle).st_size == 4
            seen.append(tuple(sorted(each.name for each in path.parent.iterdir())))

    path.write_text("old")
    with mock.patch("os.fsync", looked):
        replace_file(path, "text")
    ((temporary, name),) = seen
    assert name == "demo.json"
    assert temporary.startswith(".demo.json-"), "a person sees what it was to be"


def test_a_write_that_fails_says_why_whatever_became_of_its_file(path: Path) -> None:
    def full(temporary: Path, _: Path) -> None:
        temporary.unlink()
        raise OSError(28, "No space left on device")

    with (
        mock.patch("pathlib.Path.replace", full),
        pytest.raises(StateError, match="No space left") as told,
    ):
        LocalStore(path).write("{}", None)
    assert "--state" in told.value.next_step


def test_a_folder_in_the_files_place_is_told_with_what_to_do(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StateError, match="is a folder") as told:
        LocalStore(path).read()
    assert told.value.next_step == "Name another file with --state."
    path.rmdir()
    path.write_bytes(b"\xff")
    with pytest.raises(StateError, match="not UTF-8") as told:
        LocalStore(path).read()
    assert told.value.next_step == "Save it as UTF-8."


# --- the lock -------------------------------------------------------------------------------------


def test_the_lock_says_who_has_it_and_nothing_of_who_had_it_before(path: Path) -> None:
    lock = path.with_name("demo.json.lock")
    lock.write_text("x" * 500)  # left by a run that was killed
    with LocalStore(path).lock("up", lambda: None) as hold:
        hold.check()
        assert hold.taken_from == ""
        assert lock.read_text().startswith(f"up, process {os.getpid()} on ")
        assert lock.read_text().count("\n") == 1
        assert lock.read_text().endswith("Z\n")


@pytest.mark.parametrize(
    ("content", "holder"),
    [(b"", "another run"), (b"up \xff\n", "up \ufffd"), (b"x" * 5000, "x" * 1000)],
)
def test_a_lock_that_is_held_is_told_whatever_stands_in_it(
    path: Path, content: bytes, holder: str
) -> None:
    with locked(path, "up"):
        path.with_name("demo.json.lock").write_bytes(content)
        with pytest.raises(Locked) as told, locked(path, "teardown"):
            pytest.fail("two hold the lock")
    assert told.value.message == f"{path}: in use by {holder}"


def test_a_lock_that_somebody_deleted_meanwhile_is_no_error_at_the_end(path: Path) -> None:
    with locked(path, "up"):
        path.with_name("demo.json.lock").unlink()


@pytest.mark.parametrize("call", ["os.open", "os.ftruncate", "os.pwrite"])
def test_a_lock_that_cannot_be_made_is_told(path: Path, call: str) -> None:
    read_only = OSError(30, "Read-only file system")
    with (
        mock.patch(call, side_effect=read_only),
        pytest.raises(StateError, match=r"demo\.json\.lock: cannot be written: Read-only"),
        locked(path, "up"),
    ):
        pytest.fail("it is locked")


def lowest_free_descriptor() -> int:
    handle = os.open(os.devnull, os.O_RDONLY)
    os.close(handle)
    return handle


def test_no_file_stays_open(path: Path) -> None:
    before = lowest_free_descriptor()
    for _ in range(20):
        replace_file(path, "{}")
    for _ in range(20):
        with locked(path, "up"):
            pass
    assert lowest_free_descriptor() < before + 10  # other threads open and close files too
