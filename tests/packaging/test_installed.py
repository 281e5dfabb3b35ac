"""The wheel and the sdist, installed far from a checkout: what `pipx` and `uvx` users have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.packaging import wheel
from tests.support.commands import ROOT
from tests.support.servers import rehearsal_server

pytestmark = pytest.mark.sweep(part=10)
DATA = {
    "certs/AmazonRootCA1.pem",
    "certs/AmazonRootCA1.sha256",
    "config.toml",
    "functions/iam/index.py",
    "functions/password/index.py",
    "functions/shared/database.py",
    "layer/layer.sha256",
    "layer/requirements.txt",
}


def build(source: Path, target: Path, kind: str) -> Path:
    """Build a wheel or an sdist of `source` with the project's own backend."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


class Installed:
    """The wheel in a virtual environment of its own, and an empty folder to work in."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.work = folder / "work"
        self.home = folder / "home"
        self.work.mkdir()
        self.home.mkdir()
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin = folder / "venv" / "bin"
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = folder / "venv" / "lib" / python / "site-packages"
        shutil.unpack_archive(built, site, "zip")
        # What it depends on is the test's own; the checkout itself is not on this path.
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        for name in ("provision", "teardown"):
            script = self.bin / name
            script.write_text(
                f"#!{self.bin / 'python'}\nfrom {name}.__main__ import script\nscript()\n"
            )
            script.chmod(0o755)
        # The layer's wheel as an earlier run left it in the user's cache.
        cache = self.home / ".cache" / "rds-proxy-auth"
        cache.mkdir(parents=True)
        pinned = wheel.pinned()
        (cache / pinned.filename).write_bytes(wheel.content(pinned))

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the virtual environment in the empty folder."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.work,
            env={"HOME": str(self.home), "PATH": os.defpath, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, installed."""
    return Installed(tmp_path_factory.mktemp("installed"), built)


@pytest.fixture(autouse=True)
def _nothing_left_in_the_folder(installed: Installed) -> Iterator[None]:
    yield
    left = sorted(each.name for each in installed.work.iterdir())
    for each in installed.work.glob("*.toml"):
        each.unlink()
    assert left in ([], ["config.toml"])


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = build(source, tmp_path / "again", "wheel")
    assert again.read_bytes() == built.read_bytes()


def test_the_wheel_holds_what_is_packed_and_nothing_of_the_tests(built: Path) -> None:
    names = zipfile.ZipFile(built).namelist()
    data = {name.removeprefix("provision/_data/") for name in names if "/_data/" in name}
    assert data >= DATA
    roots = {name.partition("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"provision", "teardown"}
    assert not [name for name in names if ".cache" in name or "__pycache__" in name]


def test_a_rehearsal_leaves_an_empty_folder_empty(installed: Installed) -> None:
    done = installed.run("provision", "up", "--dry-run", "--speed", "3000")
    assert done.returncode == 0, done.stderr
    assert "password" in done.stdout + done.stderr
    assert list(installed.work.iterdir()) == []


def test_init_then_a_rehearsal_by_that_config(installed: Installed) -> None:
    assert installed.run("provision", "init").returncode == 0
    config = installed.work / "config.toml"
    assert config.read_bytes() == (ROOT / "config.toml").read_bytes()
    done = installed.run("python", "-m", "teardown", "--dry-run", "--yes", "--speed", "3000")
    assert done.returncode == 0, done.stderr


def test_the_library_example_of_the_readme(installed: Installed) -> None:
    readme = (ROOT / "README.md").read_text().split("## As a library")[1].split("\n## ")[0]
    example = "\n".join(
        line.removeprefix("    ") for line in readme.splitlines() if line.startswith("    ")
    )
    example = example.replace('"config.toml", dry_run=True', "dry_run=True, speed=3000")
    done = installed.run("python", "-c", example)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stdout.endswith("/func2\n")


def test_plan_of_an_account(installed: Installed) -> None:
    with rehearsal_server() as remote:
        done = installed.run("provision", "plan", "--output", "json", **remote.environ())
    assert done.returncode == 0, done.stderr
    assert '"ok": true' in done.stdout


def test_the_version_is_that_of_the_package(installed: Installed) -> None:
    done = installed.run("provision", "--version")
    assert done.stdout.startswith("rds-proxy-auth ")
    assert "unknown" not in done.stdout
