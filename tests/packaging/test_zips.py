"""The zips of functions and layer: reproducible, complete, and refused when something is off."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from provision.packaging import wheel, zips
from provision.packaging.wheel import PackageError
from provision.packaging.zips import Package, function_package, layer_package

Name = Literal["password", "iam"]
NAMES: tuple[Name, ...] = ("password", "iam")
SHARED = {"AmazonRootCA1.pem", "database.py", "deadline.py", "http_api.py", "timestamps.py"}
BUILDS: dict[str, Callable[[], Package]] = {
    "password": lambda: function_package("password"),
    "iam": lambda: function_package("iam"),
    "layer": layer_package,
}
ROOT = Path(__file__).resolve().parents[2]


def layer() -> bytes:
    """The layer's zip, built now."""
    return layer_package().content


def entries(content: bytes) -> list[zipfile.ZipInfo]:
    return zipfile.ZipFile(io.BytesIO(content)).infolist()


def names(content: bytes) -> list[str]:
    return [entry.filename for entry in entries(content)]


@pytest.fixture(scope="session")
def good_wheel() -> bytes:
    """The pinned wheel, from the cache of this checkout or from the package index."""
    return wheel.content(wheel.pinned())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the packed folders, from which the packages are then built."""
    root = tmp_path / "checkout"
    for folder in ("functions", "layer", "certs"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns(".cache", "__pycache__")
        )
    monkeypatch.setattr(zips, "FUNCTIONS", root / "functions")
    monkeypatch.setattr(zips, "CERTIFICATE", root / "certs" / "AmazonRootCA1.pem")
    monkeypatch.setattr(zips, "FINGERPRINT", root / "certs" / "AmazonRootCA1.sha256")
    monkeypatch.setattr(zips, "LAYER_HASH", root / "layer" / "layer.sha256")
    monkeypatch.setattr(wheel, "REQUIREMENTS", root / "layer" / "requirements.txt")
    monkeypatch.setattr(wheel, "CACHE", root / "layer" / ".cache")
    monkeypatch.setattr(wheel, "SPARE_CACHE", tmp_path / "spare")
    return root


@pytest.fixture
def index(good_wheel: bytes, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """In the package index's place: gives out what is in this list, the right wheel at first."""
    stock = [good_wheel]

    def fetch(_wanted: wheel.Wheel) -> bytes:
        return stock.pop()

    monkeypatch.setattr(wheel, "_fetch", fetch)
    return stock


# What is in them


@pytest.mark.parametrize("name", NAMES)
def test_a_function_has_its_code_the_shared_code_and_the_certificate(name: Name) -> None:
    content = function_package(name).content
    assert set(names(content)) == SHARED | {"index.py"}
    source = zipfile.ZipFile(io.BytesIO(content)).read("index.py")
    assert source == (ROOT / "functions" / name / "index.py").read_bytes()


def test_the_two_functions_differ_in_their_index_alone() -> None:
    password, iam = (
        {entry.filename: entry.CRC for entry in entries(function_package(name).content)}
        for name in NAMES
    )
    assert {name for name in password if password[name] != iam[name]} == {"index.py"}


def test_the_layer_is_the_whole_wheel_under_python() -> None:
    packed = layer_package().content
    source = zipfile.ZipFile(io.BytesIO(wheel.content(wheel.pinned())))
    assert sorted(names(packed)) == sorted(f"python/{name}" for name in source.namelist())
    assert "python/mysql/connector/__init__.py" in names(packed)
    assert not [name for name in names(packed) if name.endswith((".pyc", ".so"))]


def test_the_layer_holds_the_connectors_licence() -> None:
    assert [name for name in names(layer_package().content) if "LICENSE" in name]


def test_a_function_runs_with_nothing_but_its_zip_and_the_layer(tmp_path: Path) -> None:
    for name, build in BUILDS.items():
        zipfile.ZipFile(io.BytesIO(build().content)).extractall(tmp_path / name)
    code = (
        "import index, mysql.connector as c\n"
        "class Context:\n"
        "    aws_request_id = 'a-request'\n"
        "    get_remaining_time_in_millis = lambda self: 1000\n"
        "print(c.__file__, index.lambda_handler({}, Context())['body'])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path / 'password'}{os.pathsep}{tmp_path / 'layer' / 'python'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path / "layer" / "python" / "mysql"))
    assert '"code":"DB_PROXY_ENDPOINT_ADDRESS"' in done.stdout


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_the_hash_is_lambdas(build: Callable[[], Package]) -> None:
    built = build()
    assert base64.b64decode(built.sha256) == hashlib.sha256(built.content).digest()


# The same bytes, always


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_entries_are_sorted_and_carry_nothing_of_the_machine(build: Callable[[], Package]) -> None:
    packed = entries(build().content)
    assert [entry.filename for entry in packed] == sorted(entry.filename for entry in packed)
    assert {entry.date_time for entry in packed} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.create_system for entry in packed} == {3}
    assert {entry.external_attr >> 16 for entry in packed} == {0o100644}
    assert {entry.compress_type for entry in packed} == {zipfile.ZIP_STORED}
    assert {entry.extra for entry in packed} == {b""}


@pytest.mark.usefixtures("index")
def test_the_bytes_depend_on_no_property_of_the_checkout(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = {name: build().sha256 for name, build in BUILDS.items()}
    for file in checkout.rglob("*"):
        if file.suffix in {".py", ".pem", ".sha256", ".txt"}:
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
            file.chmod(0o600)
            os.utime(file, (1e9, 1e9))
    (checkout / "functions" / "iam" / "__pycache__").mkdir()
    (checkout / "functions" / "iam" / "__pycache__" / "index.pyc").write_bytes(b"x")
    (checkout / "functions" / "shared" / "notes.txt").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    try:
        assert {name: build().sha256 for name, build in BUILDS.items()} == expected
    finally:
        os.umask(before)


def test_other_code_gives_another_hash(checkout: Path) -> None:
    before = [function_package(name).sha256 for name in NAMES]
    with (checkout / "functions" / "iam" / "index.py").open("a") as file:
        file.write("# changed\n")
    after = [function_package(name).sha256 for name in NAMES]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False]


# The wheel


def test_the_wheel_is_fetched_once(checkout: Path, index: list[bytes]) -> None:
    first = layer_package().content
    assert index == []
    assert layer_package().content == first
    (kept,) = (checkout / "layer" / ".cache").iterdir()
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == wheel.pinned().sha256


def test_a_wheel_with_another_hash_is_refused_and_not_kept(
    checkout: Path, index: list[bytes]
) -> None:
    index.append(b"not the wheel")
    with pytest.raises(PackageError, match=r"not the pinned 85643c8a") as caught:
        layer()
    assert caught.value.next_step
    assert not (checkout / "layer" / ".cache").exists()


@pytest.mark.parametrize("damage", [b"", b"cut off", None])
def test_a_damaged_wheel_in_the_cache_is_fetched_again(
    checkout: Path, index: list[bytes], damage: bytes | None
) -> None:
    layer()
    (kept,) = (checkout / "layer" / ".cache").iterdir()
    good = kept.read_bytes()
    kept.write_bytes(good[:-1] if damage is None else damage)
    index.append(good)
    layer()
    assert kept.read_bytes() == good


@pytest.mark.usefixtures("index")
def test_a_checkout_that_cannot_be_written_to_uses_another_folder(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "layer" / ".cache").write_text("a file where the folder should be")
    first = layer_package().content
    assert layer_package().content == first
    assert [file.suffix for file in (tmp_path / "spare").iterdir()] == [".whl"]


def test_a_build_goes_on_when_the_wheel_can_be_kept_nowhere(
    checkout: Path, index: list[bytes], tmp_path: Path
) -> None:
    for folder in (checkout / "layer" / ".cache", tmp_path / "spare"):
        folder.write_text("a file where the folder should be")
    index *= 2
    assert layer_package().content == layer_package().content


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mysql-connector-python==26.10.0",
        "mysql-connector-python>=26.10.0 --hash=sha256:" + "0" * 64,
        "mysql-connector-python==26.10.0 --hash=md5:" + "0" * 32,
        ("one==1 --hash=sha256:" + "0" * 64 + "\n") * 2,
    ],
)
def test_requirements_that_pin_nothing_or_too_much_are_refused(checkout: Path, text: str) -> None:
    (checkout / "layer" / "requirements.txt").write_text(text)
    with pytest.raises(PackageError, match="must pin one package"):
        layer()


def fake_pip(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let `sys.executable -m pip` run a script of ours."""
    (folder / "pip.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.usefixtures("checkout")
def test_what_pip_says_is_passed_on_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = "ERROR: No matching distribution found"
    fake_pip(tmp_path, monkeypatch, f"import sys; sys.exit('noise\\n{error}\\n[notice] a hint')")
    with pytest.raises(PackageError, match=error) as caught:
        layer()
    assert "py2.py3-none-any.whl" in caught.value.next_step


@pytest.mark.usefixtures("checkout")
def test_pip_is_asked_for_the_pure_wheel_by_hash(
    good_wheel: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    good.write_bytes(good_wheel)
    fake_pip(
        tmp_path,
        monkeypatch,
        "import shutil, sys\n"
        "args = sys.argv[1:]\n"
        "wanted = {'download', 'any', '--only-binary=:all:', '--no-deps', '--require-hashes'}\n"
        "assert wanted <= set(args), args\n"
        f"shutil.copy({str(good)!r}, args[args.index('--dest') + 1] + '/a.whl')\n",
    )
    assert wheel.content(wheel.pinned()) == good.read_bytes()


@pytest.mark.usefixtures("checkout")
def test_pip_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_pip(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(wheel, "PIP_SECONDS", 0.2)
    with pytest.raises(PackageError, match="pip did not finish within"):
        layer()


# The layer's pinned hash


def test_the_layers_pinned_hash_is_the_one_of_the_wheels_layer() -> None:
    """What is pinned decides whether there is something to publish."""
    layer = layer_package()
    assert zips.LAYER_HASH.read_text().split() == [wheel.pinned().sha256, layer.sha256]
    assert layer.sha256 == zips.code_sha256(layer.content)


def test_the_hash_is_known_without_the_wheel(checkout: Path, index: list[bytes]) -> None:
    layer = layer_package()
    assert layer.sha256
    assert index  # nobody has asked for the wheel
    assert layer.content
    assert (checkout / "layer" / ".cache").exists()


@pytest.mark.parametrize("text", ["", "no-hash", "0" * 64 + " aGFzaA==", None])
def test_a_pin_of_another_wheel_or_none_does_not_count(
    checkout: Path, index: list[bytes], text: str | None
) -> None:
    good = layer_package().sha256
    if text is None:
        (checkout / "layer" / "layer.sha256").unlink()
    else:
        (checkout / "layer" / "layer.sha256").write_text(text)
    assert layer_package().sha256 == good
    assert not index  # it was built, to know its hash


@pytest.mark.usefixtures("index")
def test_a_wrong_pin_publishes_nothing_and_is_written_anew(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = checkout / "layer" / "layer.sha256"
    good = pinned.read_text()
    pinned.write_text(f"{wheel.pinned().sha256} {'A' * 43}=\n")
    with pytest.raises(PackageError, match="pins the layer's zip as AAAA") as caught:
        _ = layer_package().content
    assert "zips --pin" in caught.value.next_step
    monkeypatch.setattr(sys, "argv", ["zips", "--pin"])
    assert zips.main() == 0
    assert pinned.read_text() == good


# Sources that are missing


@pytest.mark.parametrize("missing", ["functions/iam", "functions/shared", "certs"])
def test_an_incomplete_checkout_is_told(checkout: Path, missing: str) -> None:
    shutil.rmtree(checkout / missing)
    with pytest.raises(PackageError) as caught:
        function_package("iam")
    assert Path(missing).name in caught.value.message
    assert "complete checkout" in caught.value.next_step


def test_without_requirements_there_is_no_layer(checkout: Path) -> None:
    (checkout / "layer" / "requirements.txt").unlink()
    with pytest.raises(PackageError, match=r"cannot read .*requirements\.txt"):
        layer()


# The command


def run_module(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-m", "provision.packaging.zips"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_prints_sizes_and_hashes() -> None:
    done = run_module()
    assert done.returncode == 0, done.stderr
    for build in BUILDS.values():
        assert f"{len(build().content):,} bytes  CodeSha256 {build().sha256}" in done.stdout


def test_building_needs_no_aws_library() -> None:
    loaded = run_module("-X", "importtime").stderr
    assert "zipfile" in loaded
    assert "boto" not in loaded


def test_the_command_says_what_is_missing(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(checkout / "functions")
    assert zips.main() == 1
    assert "it has no Python file" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_at_once_build_the_same(good_wheel: bytes, tmp_path: Path) -> None:
    """All find no wheel at times, all keep theirs, and none ever reads half a file."""
    code = (
        "import sys; from pathlib import Path; from provision.packaging import wheel, zips\n"
        "good = Path(sys.argv[1]).read_bytes()\n"
        "wheel._fetch = lambda wanted: good\n"
        "wheel.CACHE = Path(sys.argv[2])\n"
        "for _ in range(20):\n"
        "    print(zips.code_sha256(zips.layer_package().content))\n"
        "    (wheel.CACHE / wheel.pinned().filename).unlink(missing_ok=True)\n"
    )
    good = tmp_path / "good"
    good.write_bytes(good_wheel)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(good), str(tmp_path / "cache")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    printed = [process.communicate(timeout=120)[0].split() for process in processes]
    assert {sha for lines in printed for sha in lines} == {layer_package().sha256}
    assert [len(lines) for lines in printed] == [20, 20, 20]


# Installed, and where there is no pip


@pytest.mark.usefixtures("checkout")
def test_an_installed_program_keeps_the_wheel_in_the_users_cache(
    index: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wheel, "CACHE", None)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    layer()
    assert [file.suffix for file in (tmp_path / "cache" / "rds-proxy-auth").iterdir()] == [".whl"]
    assert not index
    layer()  # from the cache: the index has nothing more to give


def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else find(name)
    )


def test_without_pip_the_one_that_python_carries_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    command = wheel._pip(wheel.pinned())
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pip "), done.stderr


@pytest.mark.usefixtures("checkout")
def test_a_python_without_any_pip_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_pip(monkeypatch)
    monkeypatch.setattr("ensurepip.__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(PackageError, match="this Python has no pip") as caught:
        layer()
    assert "py2.py3-none-any.whl" in caught.value.next_step


@pytest.mark.usefixtures("checkout")
def test_pip_takes_the_indexes_that_are_set_for_uv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who runs `uvx` has told uv where packages come from, and perhaps nobody else."""
    fake_pip(
        tmp_path, monkeypatch, "import os, sys; sys.exit('error: ' + os.environ['PIP_INDEX_URL'])"
    )
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    with pytest.raises(PackageError, match=r"index\.example/simple"):
        layer()
    monkeypatch.setenv("PIP_INDEX_URL", "https://pips-own.example/simple")
    with pytest.raises(PackageError, match=r"pips-own\.example"):
        layer()
