"""The layer's one wheel: pinned in layer/requirements.txt, fetched with pip, kept in a cache.

pip does the fetching, because it knows the user's index, proxy and certificates. Where the
environment has no pip (`uvx`, `uv venv`), the pip that Python itself carries for `ensurepip` runs
from its wheel, and nothing is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from provision.errors import ProvisionError
from provision.packaging.sources import IN_CHECKOUT, RESTORE, ROOT

REQUIREMENTS = ROOT / "layer" / "requirements.txt"
CACHE = ROOT / "layer" / ".cache" if IN_CHECKOUT else None  # None: the user's own cache folder
# Used where the cache is read-only. Others may write here: whatever is read is checked first.
SPARE_CACHE = Path(tempfile.gettempdir()) / "rds-proxy-auth-layer"

PIP_SECONDS = 300.0
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.]+)[\s\\]+--hash=sha256:(?P<sha256>[0-9a-f]{64})\s*$",
    re.MULTILINE,
)


class PackageError(ProvisionError):
    """A package cannot be built: a source is missing, or is not what was pinned."""


@dataclass(frozen=True)
class Wheel:
    """A wheel for every Python and platform, as layer/requirements.txt pins it."""

    name: str
    version: str
    sha256: str  # hexadecimal

    @property
    def filename(self) -> str:
        """The name under which it is kept in the cache."""
        return f"{self.name.replace('-', '_')}-{self.version}-py2.py3-none-any.whl"


def pinned() -> Wheel:
    """Return the wheel that layer/requirements.txt pins; raises PackageError unless it is one."""
    try:
        pins = PIN.findall(REQUIREMENTS.read_text(encoding="utf-8"))
    except OSError as error:
        raise PackageError(
            f"cannot read {REQUIREMENTS}: {error.strerror}",
            next_step=RESTORE,
        ) from error
    if len(pins) != 1:
        raise PackageError(
            f"{REQUIREMENTS} must pin one package by version and SHA-256, but pins {len(pins)}",
            next_step="See layer/README.md.",
        )
    return Wheel(*pins[0])


def content(wheel: Wheel) -> bytes:
    """Return the wheel's bytes, from the cache or else from the package index.

    Raises PackageError if it cannot be downloaded, or if the download is not the pinned file.
    """
    for folder in caches():
        with contextlib.suppress(OSError):
            found = (folder / wheel.filename).read_bytes()
            if _sha256(found) == wheel.sha256:
                return found
    fetched = _fetch(wheel)
    if _sha256(fetched) != wheel.sha256:
        raise PackageError(
            f"{wheel.filename} has the SHA-256 {_sha256(fetched)}, not the pinned {wheel.sha256}",
            next_step="Do not use it. Find out where pip got it from: pip config debug",
        )
    for folder in caches():
        with contextlib.suppress(OSError):
            _keep(fetched, folder / wheel.filename)
            break
    return fetched


def caches() -> tuple[Path, Path]:
    """Return the folders in which the wheel may be kept, the preferred one first."""
    if CACHE is not None:
        return CACHE, SPARE_CACHE
    import platformdirs

    return platformdirs.user_cache_path("rds-proxy-auth"), SPARE_CACHE


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _fetch(wheel: Wheel) -> bytes:
    """Return what pip downloads for the pin, with the user's own pip configuration."""
    with tempfile.TemporaryDirectory(prefix="rds-proxy-auth-") as folder:
        # `--platform any` asks for the pure wheel; by default pip takes one with a C extension.
        command = [*_pip(wheel), "download", "--quiet", "--no-input", "--dest", folder]
        command += ["--platform", "any", "--only-binary=:all:", "--no-deps"]
        command += ["--require-hashes", "--requirement", str(REQUIREMENTS)]
        try:
            pip = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=PIP_SECONDS,
                check=False,
                env=_indexes_of_uv() | os.environ,
            )
        except subprocess.TimeoutExpired as error:
            raise _not_had(wheel, f"pip did not finish within {PIP_SECONDS:.0f} s") from error
        files = list(Path(folder).glob("*.whl"))
        if pip.returncode != 0 or len(files) != 1:
            raise _not_had(wheel, _last_error(pip.stderr) or f"pip ended with {pip.returncode}")
        return files[0].read_bytes()


def _pip(wheel: Wheel) -> list[str]:
    """Return the command that runs pip. Raises PackageError if this Python has none."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    import ensurepip

    bundled = sorted((Path(str(ensurepip.__file__)).parent / "_bundled").glob("pip-*.whl"))
    if not bundled:
        raise _not_had(wheel, "this Python has no pip")
    return [sys.executable, f"{bundled[-1]}/pip"]


def _indexes_of_uv() -> dict[str, str]:
    """Return pip's settings for the package indexes that uv's environment variables name."""
    named = {
        "PIP_INDEX_URL": os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL"),
        "PIP_EXTRA_INDEX_URL": os.environ.get("UV_INDEX") or os.environ.get("UV_EXTRA_INDEX_URL"),
    }
    return {name: urls for name, urls in named.items() if urls}


def _last_error(stderr: str) -> str:
    """Return the last error in pip's output, without its hints."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "error" in line.lower()), " ".join(lines[-1:]))


def _not_had(wheel: Wheel, cause: str) -> PackageError:
    return PackageError(
        f"cannot get {wheel.name} {wheel.version} for the layer: {cause}",
        next_step=f"Put {wheel.filename} into {caches()[0]}, or run once with access to a package "
        "index.",
    )


def _keep(data: bytes, path: Path) -> None:
    """Write a file so that another process sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
